//! Segment files: their names, their birth, and reading from them.
//!
//! Invariant: a file has a segment's name only after its header, and what it was born with, are
//! synced. Until then it has a temporary name, which a start removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{
    Decoded, FRAME_HEADER_BYTES, Frame, FrameKind, Place, decode, encode, frame_bytes,
};
use super::header::SegmentHeader;
use super::index::Location;
use super::recover::Source;
use super::{Damage, GroupId, LogError, LogIndex, SegmentNumber};
use crate::env::{AppendFile, Env, EnvError, ReadFile};
use crate::limits::LOG_SCAN_BYTES;

const SUFFIX: &str = ".log";
/// Ends the name of a file that is not a segment yet.
pub(crate) const TEMPORARY_SUFFIX: &str = ".log.tmp";
/// Begins the name of the file with room that waits for the next segment.
const SPARE_STEM: &str = "spare";
/// Digits of the largest number, so that names sort as numbers do.
const NAME_DIGITS: usize = 20;

pub(crate) fn segment_path(directory: &Path, segment: SegmentNumber) -> PathBuf {
    directory.join(format!("{:0NAME_DIGITS$}{SUFFIX}", segment.0))
}

/// Where the file with room lies until a segment takes it.
pub(crate) fn spare_path(directory: &Path) -> PathBuf {
    directory.join(format!("{SPARE_STEM}{TEMPORARY_SUFFIX}"))
}

/// The segment that a file name stands for.
pub(crate) fn parse_name(name: &str) -> Option<SegmentNumber> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == NAME_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { digits.parse().ok().map(SegmentNumber) } else { None }
}

/// An entry that a new segment is born with.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) group: GroupId,
    pub(crate) index: LogIndex,
    pub(crate) bytes: Bytes,
}

impl Carried {
    pub(crate) fn frame(&self, confirmed: u64) -> Frame<'_> {
        Frame {
            kind: FrameKind::Moved,
            slot: 0,
            group: self.group,
            index: self.index,
            confirmed,
            payload: &self.bytes,
        }
    }
}

/// A segment that was just born.
#[derive(Debug)]
pub(crate) struct NewSegment {
    pub(crate) number: SegmentNumber,
    pub(crate) file: Box<dyn AppendFile>,
    pub(crate) reader: Arc<dyn ReadFile>,
    pub(crate) end: u64,
    /// The file was made with room.
    pub(crate) has_room: bool,
    /// Where the carried entries lie, in their order.
    pub(crate) places: Vec<Place>,
}

/// Creates a segment with its header and the entries carried over, durable under its name: in the
/// file with room, if there is one.
pub(crate) fn create_segment(
    env: &dyn Env,
    directory: &Path,
    mut header: SegmentHeader,
    carried: &[Carried],
    spare: Option<Box<dyn AppendFile>>,
) -> Result<NewSegment, LogError> {
    // The header's size does not depend on the value of the field that is set last.
    let header_bytes = frame_bytes(header.encode().len());
    let carried_bytes: u64 = carried.iter().map(|entry| frame_bytes(entry.bytes.len())).sum();
    header.sealed_bytes = header_bytes + carried_bytes;
    let mut buffer = Vec::new();
    let segment = header.segment;
    let place = Place { segment, offset: 0 };
    encode(&Frame::of_log(FrameKind::Segment, 0, &header.encode()), place, &mut buffer);
    let mut places = Vec::with_capacity(carried.len());
    for entry in carried {
        let place = Place { segment, offset: buffer.len() as u64 };
        encode(&entry.frame(0), place, &mut buffer);
        places.push(place);
    }
    assert!(buffer.len() as u64 == header.sealed_bytes, "the header says how long the birth is");

    let path = segment_path(directory, segment);
    let has_room = spare.is_some();
    let (temporary, mut file) = if let Some(file) = spare {
        (spare_path(directory), file)
    } else {
        let path = directory.join(format!("{:0NAME_DIGITS$}{TEMPORARY_SUFFIX}", segment.0));
        let file = env.create(&path)?;
        (path, file)
    };
    file.append(&buffer)?;
    file.sync()?;
    env.rename(&temporary, &path)?;
    env.sync_directory(directory)?;
    let reader = env.open(&path)?;
    let end = header.sealed_bytes;
    Ok(NewSegment { number: segment, file, reader, end, has_room, places })
}

/// Reads one entry and checks that it is the one that was asked for.
pub(crate) fn read_entry(
    file: &dyn ReadFile,
    path: &Path,
    location: Location,
    group: GroupId,
    index: LogIndex,
) -> Result<Bytes, LogError> {
    let place = location.place();
    let mut buffer = vec![0; FRAME_HEADER_BYTES + location.payload_bytes()];
    let filled = file.read_at(place.offset, &mut buffer)?;
    buffer.truncate(filled);
    let damage = match decode(&buffer, place) {
        Decoded::Frame(Frame {
            kind: FrameKind::Entry | FrameKind::Moved,
            group: g,
            index: i,
            ..
        }) if (g, i) == (group, index) => {
            return Ok(Bytes::from(buffer).slice(FRAME_HEADER_BYTES..));
        }
        Decoded::Frame(_) => Damage::WrongEntry,
        Decoded::Incomplete => Damage::Truncated,
        Decoded::Invalid(damage) => damage,
    };
    Err(LogError::Corrupt { file: path.to_path_buf(), offset: place.offset, damage })
}

/// A segment file read from front to back through a buffer.
#[derive(Debug)]
pub(crate) struct FileSource {
    file: Arc<dyn ReadFile>,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
    /// The buffer reaches to the end of the file.
    is_last: bool,
}

impl FileSource {
    pub(crate) fn new(file: Arc<dyn ReadFile>) -> Self {
        Self { file, buffer: Vec::new(), start: 0, is_last: false }
    }

    /// Where in the buffer an offset is, if as many bytes as asked are there, or all there are.
    fn position(&self, offset: u64, count: usize) -> Option<usize> {
        let position = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let available = self.buffer.len().checked_sub(position)?;
        (available >= count || self.is_last).then_some(position)
    }

    fn fill(&mut self, offset: u64, count: usize) -> Result<(), EnvError> {
        let wanted = count.max(LOG_SCAN_BYTES);
        self.buffer.resize(wanted, 0);
        let filled = self.file.read_at(offset, &mut self.buffer)?;
        self.buffer.truncate(filled);
        self.start = offset;
        self.is_last = filled < wanted;
        Ok(())
    }
}

impl Source for FileSource {
    fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], LogError> {
        let position = if let Some(position) = self.position(offset, count) {
            position
        } else {
            self.fill(offset, count)?;
            0
        };
        let rest = self.buffer.get(position..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_and_read_back() {
        let directory = Path::new("d");
        let nine = segment_path(directory, SegmentNumber(9));
        assert_eq!(nine, Path::new("d/00000000000000000009.log"));
        assert!(nine < segment_path(directory, SegmentNumber(10)));
        for number in [SegmentNumber(9), SegmentNumber(u64::MAX)] {
            let path = segment_path(directory, number);
            assert_eq!(parse_name(path.file_name().unwrap().to_str().unwrap()), Some(number));
        }
        for name in ["9.log", "0000000000000000000x.log", "00000000000000000009.log.tmp", "LOCK"] {
            assert_eq!(parse_name(name), None);
        }
    }
}
