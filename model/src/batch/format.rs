//! The header of a batch and its section table.

use bytes::Bytes;

use crate::columns::ColumnError;
use crate::columns::compress::{Compressor, decompress};
use crate::columns::cursor::{Cursor, put_bytes, put_varint};
use crate::{BatchId, Tenant, Timestamp};

use super::{SECTION_BYTES_MAX, SPANS_MAX};

/// The first bytes of every batch.
pub(super) const MAGIC: [u8; 4] = *b"SkuB";
/// The version this code writes; it reads this one and those before.
pub(super) const VERSION: u8 = 1;
/// Sections of version 1, in order.
pub(super) const SECTION_COUNT: usize = 6;

/// A section of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SectionId {
    /// Dictionaries, classes, rows.
    Index = 0,
    /// Ids and mantissas of the index.
    IndexRaw = 1,
    /// Columns of span attributes.
    Values = 2,
    /// Incompressible parts of those columns.
    ValuesRaw = 3,
    /// Events and links.
    Details = 4,
    /// Incompressible parts of events and links.
    DetailsRaw = 5,
}

/// The sections in the order of their numbers.
pub(super) const SECTIONS: [SectionId; SECTION_COUNT] = [
    SectionId::Index,
    SectionId::IndexRaw,
    SectionId::Values,
    SectionId::ValuesRaw,
    SectionId::Details,
    SectionId::DetailsRaw,
];

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The first bytes are not those of a batch.
    #[error("not a batch")]
    NotABatch,
    /// A later version of Skua wrote it.
    #[error("batch version {version} is newer than this program")]
    Version {
        /// The version found.
        version: u8,
    },
    /// The header does not have its checksum.
    #[error("the header of a batch is damaged")]
    Header,
    /// A section does not have its checksum.
    #[error("section {section:?} of a batch is damaged")]
    Checksum {
        /// Which one.
        section: SectionId,
    },
    /// A section has its checksum but makes no sense.
    #[error("section {section:?} of a batch makes no sense: {reason}")]
    Malformed {
        /// Which one.
        section: SectionId,
        /// What does not add up.
        reason: ColumnError,
    },
}

impl SectionId {
    pub(super) fn malformed(self) -> impl Fn(ColumnError) -> BatchError {
        move |reason| BatchError::Malformed { section: self, reason }
    }
}

/// What can be known of a batch without unpacking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name, the same for every replica and every retry.
    pub id: BatchId,
    /// Whose spans it holds.
    pub tenant: Tenant,
    /// How many spans.
    pub span_count: u32,
    /// How many traces.
    pub trace_count: u32,
    /// The earliest start of a span.
    pub start_min: Timestamp,
    /// The latest start of a span.
    pub start_max: Timestamp,
    /// The latest end of a span.
    pub end_max: Timestamp,
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Section {
    pub(super) offset: usize,
    pub(super) stored_length: usize,
    pub(super) length: usize,
    pub(super) compressed: bool,
    pub(super) checksum: u32,
}

/// Writes header and sections; `contents` are in the order of their ids.
pub(super) fn write(
    header: &Header,
    contents: &[&[u8]; SECTION_COUNT],
    compressor: &mut Compressor,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(contents.iter().map(|content| content.len()).sum());
    let mut table = Vec::with_capacity(SECTION_COUNT * 12);
    for (number, content) in contents.iter().enumerate() {
        let start = body.len();
        // Odd sections are raw by design; compressing them only costs time.
        let compressed = if number % 2 == 0 {
            compressor.append(&mut body, content)
        } else {
            body.extend_from_slice(content);
            false
        };
        let stored = body.get(start..).unwrap_or_default();
        put_varint(&mut table, (stored.len() as u64) << 1 | u64::from(compressed));
        if compressed {
            put_varint(&mut table, content.len() as u64);
        }
        table.extend_from_slice(&crc32fast::hash(stored).to_le_bytes());
    }
    let mut out = Vec::with_capacity(body.len() + table.len() + 128);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(header.id.as_bytes());
    put_bytes(&mut out, header.tenant.as_str().as_bytes());
    put_varint(&mut out, u64::from(header.span_count));
    put_varint(&mut out, u64::from(header.trace_count));
    put_varint(&mut out, header.start_min.0);
    put_varint(&mut out, header.start_max.since(header.start_min).0);
    put_varint(&mut out, header.end_max.0);
    out.extend_from_slice(&table);
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&body);
    out
}

/// Reads the header of a batch and finds its sections.
pub(super) fn read(bytes: &[u8]) -> Result<(Header, [Section; SECTION_COUNT]), BatchError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array() != Ok(MAGIC) {
        return Err(BatchError::NotABatch);
    }
    match cursor.byte() {
        Ok(VERSION) => {}
        Ok(version) if version > VERSION => return Err(BatchError::Version { version }),
        _ => return Err(BatchError::NotABatch),
    }
    read_fields(bytes, cursor).ok_or(BatchError::Header)
}

fn read_fields(bytes: &[u8], mut cursor: Cursor<'_>) -> Option<(Header, [Section; SECTION_COUNT])> {
    let id = BatchId(cursor.array().ok()?);
    let tenant = Tenant::stored(std::str::from_utf8(cursor.bytes().ok()?).ok()?).ok()?;
    let span_count = cursor.varint_u32().ok()?;
    let trace_count = cursor.varint_u32().ok()?;
    let start_min = Timestamp(cursor.varint().ok()?);
    let start_max = Timestamp(start_min.0.checked_add(cursor.varint().ok()?)?);
    let end_max = Timestamp(cursor.varint().ok()?);
    let mut sections = [Section::default(); SECTION_COUNT];
    let mut offset = 0_usize;
    for section in &mut sections {
        let length_and_flag = cursor.varint().ok()?;
        section.compressed = length_and_flag & 1 != 0;
        section.stored_length = usize::try_from(length_and_flag >> 1).ok()?;
        section.length = if section.compressed {
            cursor.count(SECTION_BYTES_MAX).ok()?
        } else {
            section.stored_length
        };
        section.checksum = cursor.u32().ok()?;
        section.offset = offset;
        offset = offset.checked_add(section.stored_length)?;
    }
    let header_length = bytes.len() - cursor.rest().len();
    let checksum = cursor.u32().ok()?;
    let header_bytes = bytes.get(..header_length)?;
    let within_bounds = span_count as usize <= SPANS_MAX && trace_count <= span_count;
    if checksum != crc32fast::hash(header_bytes) || cursor.rest().len() != offset || !within_bounds
    {
        return None;
    }
    for section in &mut sections {
        section.offset += header_length + 4;
    }
    let header = Header { id, tenant, span_count, trace_count, start_min, start_max, end_max };
    Some((header, sections))
}

/// The content of a section, verified and unpacked.
pub(super) fn section(
    bytes: &Bytes,
    sections: &[Section; SECTION_COUNT],
    id: SectionId,
) -> Result<Bytes, BatchError> {
    let (section, stored) = check(bytes, sections, id)?;
    if section.compressed {
        decompress(&stored, section.length).map(Bytes::from).map_err(id.malformed())
    } else {
        Ok(stored)
    }
}

/// A section as it is stored, verified.
pub(super) fn check(
    bytes: &Bytes,
    sections: &[Section; SECTION_COUNT],
    id: SectionId,
) -> Result<(Section, Bytes), BatchError> {
    let damaged = BatchError::Checksum { section: id };
    let Some(section) = sections.get(id as usize) else { return Err(damaged) };
    let range = section.offset..section.offset.saturating_add(section.stored_length);
    if range.end > bytes.len() {
        return Err(damaged);
    }
    let stored = bytes.slice(range);
    if crc32fast::hash(&stored) != section.checksum {
        return Err(damaged);
    }
    Ok((*section, stored))
}
