//! The directory of a block: what it is, and where its pages and sections lie.

use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_bytes, put_varint};
use model::{ShardId, Tenant, TimeRange, Timestamp};

use super::limits::{BLOCK_TENANTS_MAX, RUN_PAGES_MAX};

/// Bytes before the first page.
pub(super) const HEADER_BYTES: usize = 16;

/// What a section behind the pages holds. Stable: the numbers are on disk, and a reader passes over
/// those it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SectionKind {
    /// Not behind the pages: the directory itself.
    Directory = 0,
    /// Which traces the tenant's pages hold, and on which page each begins.
    TraceTable = 1,
    /// Traces that lie elsewhere too, or on several pages.
    Splits = 2,
    /// Services, operations and keys.
    Names = 3,
    /// What rules out pages, by class and value.
    Zones = 4,
    /// Figures by the minute.
    Rollup = 5,
    /// Which keys the classes of the zones have.
    ClassKeys = 6,
    /// What verifies slices of the trace table.
    TableChecks = 7,
    /// Which values stand on which pages, by bit.
    ValueFilter = 8,
    /// Which values stand under keys of few values, anywhere in the run.
    KeyValues = 9,
}

impl SectionKind {
    /// The kinds that stand behind the pages.
    pub const ALL: [Self; 9] = [
        Self::TraceTable,
        Self::Splits,
        Self::Names,
        Self::Zones,
        Self::Rollup,
        Self::ClassKeys,
        Self::TableChecks,
        Self::ValueFilter,
        Self::KeyValues,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its number within the shard's replica, larger than that of any block there is.
    pub number: u64,
    /// Whose spans it holds.
    pub shard: ShardId,
    /// The hour of the stamps of its spans, counted from the epoch.
    pub bucket: u64,
    /// Its retention class.
    pub class: u8,
    /// The last log entry that it holds anything of.
    pub last_index: u64,
    /// The earliest stamp.
    pub stamp_min: Timestamp,
    /// The latest stamp.
    pub stamp_max: Timestamp,
}

/// Where a page lies, and what rules it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageInfo {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its bytes.
    pub length: u32,
    /// Its rows.
    pub span_count: u32,
    /// Its traces.
    pub trace_count: u32,
    /// The earliest start of a span.
    pub start_min: Timestamp,
    /// The latest start of a span.
    pub start_max: Timestamp,
    /// The latest start of a trace, as far as it lies on this page; so below.
    pub trace_start_max: Timestamp,
    /// The shortest trace, nanoseconds.
    pub duration_min: u64,
    /// The longest trace, nanoseconds.
    pub duration_max: u64,
    /// Most spans of a trace.
    pub spans_max: u32,
    /// Most failed spans of a trace.
    pub errors_max: u32,
    /// The first trace of the page began on the page before.
    pub continues: bool,
}

impl BlockInfo {
    pub(super) const NONE: Self = Self {
        number: 0,
        shard: ShardId(0),
        bucket: 0,
        class: 0,
        last_index: 0,
        stamp_min: Timestamp(0),
        stamp_max: Timestamp(0),
    };
}

impl PageInfo {
    /// Whether a span that starts within `window` may be on the page.
    pub fn overlaps(&self, window: TimeRange) -> bool {
        TimeRange { start: self.start_min, end: self.start_max }.overlaps(&window)
    }
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SectionRef {
    pub(crate) kind: SectionKind,
    pub(crate) offset: u64,
    pub(crate) stored_length: u32,
    /// Unpacked; 0 if it is stored as it is.
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

/// A tenant's part of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The tenant.
    pub tenant: Tenant,
    /// Its pages.
    pub pages: Vec<PageInfo>,
    /// Distinct traces.
    pub trace_count: u64,
    pub(crate) sections: Vec<SectionRef>,
}

impl Run {
    /// Its spans.
    pub fn span_count(&self) -> u64 {
        self.pages.iter().map(|page| u64::from(page.span_count)).sum()
    }

    pub(crate) fn section(&self, kind: SectionKind) -> Option<&SectionRef> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// Kind and stored bytes of each section.
    pub fn section_lengths(&self) -> impl Iterator<Item = (SectionKind, u64)> + '_ {
        self.sections.iter().map(|section| (section.kind, u64::from(section.stored_length)))
    }
}

/// The directory of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// What the block is.
    pub info: BlockInfo,
    /// Its tenants, in the order of their names.
    pub runs: Vec<Run>,
}

const TOO_MANY: ColumnError = ColumnError::new("a count is out of bounds");
const NO_TENANT: ColumnError = ColumnError::new("not a tenant's name");

impl Directory {
    /// Its spans.
    pub fn span_count(&self) -> u64 {
        self.runs.iter().map(Run::span_count).sum()
    }

    /// The run of a tenant, and its place.
    pub fn run(&self, tenant: &Tenant) -> Option<(usize, &Run)> {
        let place = self.runs.binary_search_by(|run| run.tenant.cmp(tenant)).ok()?;
        Some((place, self.runs.get(place)?))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let info = &self.info;
        put_varint(&mut out, info.number);
        put_varint(&mut out, u64::from(info.shard.0));
        put_varint(&mut out, info.bucket);
        out.push(info.class);
        for number in [info.last_index, info.stamp_min.0, info.stamp_max.0] {
            put_varint(&mut out, number);
        }
        put_varint(&mut out, self.runs.len() as u64);
        let mut offset = HEADER_BYTES as u64;
        for run in &self.runs {
            put_bytes(&mut out, run.tenant.as_str().as_bytes());
            put_varint(&mut out, run.trace_count);
            put_varint(&mut out, run.pages.len() as u64);
            for page in &run.pages {
                put_varint(&mut out, page.offset.wrapping_sub(offset));
                offset = page.offset + u64::from(page.length);
                put_page(&mut out, page);
            }
        }
        for run in &self.runs {
            put_varint(&mut out, run.sections.len() as u64);
            for section in &run.sections {
                out.push(section.kind as u8);
                put_varint(&mut out, section.offset);
                put_varint(&mut out, u64::from(section.stored_length));
                put_varint(&mut out, u64::from(section.length));
                out.extend_from_slice(&section.checksum.to_le_bytes());
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let mut cursor = Cursor::new(bytes);
        let number = cursor.varint()?;
        let shard = ShardId(cursor.varint_u32()?);
        let bucket = cursor.varint()?;
        let class = cursor.byte()?;
        let info = BlockInfo {
            number,
            shard,
            bucket,
            class,
            last_index: cursor.varint()?,
            stamp_min: Timestamp(cursor.varint()?),
            stamp_max: Timestamp(cursor.varint()?),
        };
        let run_count = cursor.count(BLOCK_TENANTS_MAX)?;
        let mut offset = HEADER_BYTES as u64;
        let mut runs = Vec::with_capacity(run_count);
        for _ in 0..run_count {
            let name = std::str::from_utf8(cursor.bytes()?).map_err(|_| NO_TENANT)?;
            let tenant = Tenant::stored(name).map_err(|_| NO_TENANT)?;
            let trace_count = cursor.varint()?;
            let page_count = cursor.count(RUN_PAGES_MAX)?;
            let mut pages = Vec::with_capacity(page_count);
            for _ in 0..page_count {
                offset = offset.checked_add(cursor.varint()?).ok_or(TOO_MANY)?;
                let page = take_page(&mut cursor, offset)?;
                offset = offset.checked_add(u64::from(page.length)).ok_or(TOO_MANY)?;
                pages.push(page);
            }
            runs.push(Run { tenant, pages, trace_count, sections: Vec::new() });
        }
        for run in &mut runs {
            for _ in 0..cursor.count(usize::from(u8::MAX))? {
                let kind = SectionKind::from_number(cursor.byte()?);
                let offset = cursor.varint()?;
                let stored_length = cursor.varint_u32()?;
                let length = cursor.varint_u32()?;
                let checksum = cursor.u32()?;
                // A later version may write kinds that only make it faster.
                if let Some(kind) = kind {
                    run.sections.push(SectionRef { kind, offset, stored_length, length, checksum });
                }
            }
        }
        Ok(Self { info, runs })
    }
}

fn put_page(out: &mut Vec<u8>, page: &PageInfo) {
    let length_and_flag = u64::from(page.length) << 1 | u64::from(page.continues);
    put_varint(out, length_and_flag);
    for number in [page.span_count, page.trace_count, page.spans_max, page.errors_max] {
        put_varint(out, u64::from(number));
    }
    put_varint(out, page.start_min.0);
    put_varint(out, page.start_max.0.wrapping_sub(page.start_min.0));
    put_varint(out, page.trace_start_max.0.wrapping_sub(page.start_min.0));
    put_varint(out, page.duration_min);
    put_varint(out, page.duration_max);
}

fn take_page(cursor: &mut Cursor<'_>, offset: u64) -> Result<PageInfo, ColumnError> {
    let length_and_flag = cursor.varint()?;
    let length = u32::try_from(length_and_flag >> 1).map_err(|_| TOO_MANY)?;
    let (span_count, trace_count) = (cursor.varint_u32()?, cursor.varint_u32()?);
    let (spans_max, errors_max) = (cursor.varint_u32()?, cursor.varint_u32()?);
    let start_min = cursor.varint()?;
    Ok(PageInfo {
        offset,
        length,
        span_count,
        trace_count,
        start_min: Timestamp(start_min),
        start_max: Timestamp(start_min.wrapping_add(cursor.varint()?)),
        trace_start_max: Timestamp(start_min.wrapping_add(cursor.varint()?)),
        duration_min: cursor.varint()?,
        duration_max: cursor.varint()?,
        spans_max,
        errors_max,
        continues: length_and_flag & 1 != 0,
    })
}
