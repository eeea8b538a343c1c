//! Reading a segment's bytes: which frames it holds, where it ends, and whether an end is a torn
//! tail or damage. Pure: bytes come from a [`Source`], which alone may do IO.
//!
//! The rule: a place that does not decode is corruption if anything says that bytes behind it were
//! synced: the segment's end as a younger header gives it, the part that was synced before the
//! file got its name, or the confirmation in any frame before or behind the place. Otherwise the
//! segment ends there: cleanly if nothing but zeros follows, which are room that was not needed,
//! and else with the torn tail of the last batch, which nobody was told about.

use std::path::Path;

use super::extent::Extent;
use super::frame::{
    Decoded, FRAME_HEADER_BYTES, Frame, FrameKind, Place, confirms_beyond, decode, frame_bytes_of,
};
use super::header::{FORMAT_VERSION, SegmentHeader};
use super::index::Index;
use super::{Damage, LogError, SegmentNumber};
use crate::limits::LOG_SCAN_BYTES;
use crate::mutant::{self, Mutant};

/// Where a segment's bytes come from.
pub(crate) trait Source {
    /// The bytes from an offset on, this many, fewer only at the end of the file.
    fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], LogError>;
}

/// Bytes that are in memory already.
pub(crate) struct SliceSource<'a>(pub(crate) &'a [u8]);

impl Source for SliceSource<'_> {
    fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], LogError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(start..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }
}

/// Which bytes of which file are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) segment: SegmentNumber,
    pub(crate) file: &'a Path,
    /// Where the segment ends, if a younger header says so.
    pub(crate) end: Option<u64>,
}

impl Target<'_> {
    pub(crate) fn corrupt(&self, offset: u64, damage: Damage) -> LogError {
        let file = self.file.to_path_buf();
        match damage {
            Damage::Version { version } => {
                LogError::Format { file, version, version_max: FORMAT_VERSION }
            }
            damage => LogError::Corrupt { file, offset, damage },
        }
    }
}

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEnd {
    /// Behind the last sound frame.
    pub(crate) end: u64,
    /// What is known to have been synced. Invariant: a frame's boundary, at most `end`.
    pub(crate) confirmed: u64,
    /// What stopped the reading before the end of the file, unless it was room.
    pub(crate) torn: Option<Damage>,
}

/// What takes the frames of a segment, in order.
pub(crate) trait Visitor {
    fn begin(&mut self, header: SegmentHeader) -> Result<(), Damage>;
    fn frame(&mut self, frame: &Frame<'_>, place: Place) -> Result<(), Damage>;
}

/// Reads a segment from its beginning to its end.
pub(crate) fn read_segment(
    source: &mut dyn Source,
    target: Target<'_>,
    visitor: &mut dyn Visitor,
) -> Result<SegmentEnd, LogError> {
    let mut offset = 0;
    let mut confirmed = 0;
    loop {
        if target.end == Some(offset) {
            return Ok(SegmentEnd { end: offset, confirmed, torn: None });
        }
        let damage = match next_frame(source, target, offset)? {
            Next::Frame(frame) => {
                let place = Place { segment: target.segment, offset };
                let known = take(&frame, place, visitor)
                    .map_err(|damage| target.corrupt(offset, damage))?;
                confirmed = confirmed.max(known);
                offset += frame.size_bytes();
                continue;
            }
            Next::End if target.end.is_none() && offset >= confirmed && offset > 0 => {
                return Ok(SegmentEnd { end: offset, confirmed, torn: None });
            }
            Next::End => Damage::Truncated,
            Next::Damaged(damage) => damage,
        };
        let must_be_sound = target.end.is_some() || offset < confirmed || offset == 0;
        let rest = rest_of(source, Place { segment: target.segment, offset })?;
        let is_damage = must_be_sound || rest == Rest::Confirming;
        if is_damage && !(offset > 0 && mutant::is(Mutant::DamageCutOff)) {
            return Err(target.corrupt(offset, damage));
        }
        let confirmed = confirmed.min(offset);
        let torn = (rest != Rest::Zeros).then_some(damage);
        return Ok(SegmentEnd { end: offset, confirmed, torn });
    }
}

/// Hands a sound frame on and says how far it confirms the segment.
fn take(frame: &Frame<'_>, place: Place, visitor: &mut dyn Visitor) -> Result<u64, Damage> {
    if (frame.kind == FrameKind::Segment) != (place.offset == 0) {
        return Err(Damage::SegmentHeader);
    }
    if place.offset > 0 {
        visitor.frame(frame, place)?;
        return Ok(frame.confirmed);
    }
    let header = SegmentHeader::decode(frame.payload)?;
    if header.segment != place.segment || header.sealed_bytes < frame.size_bytes() {
        return Err(Damage::SegmentHeader);
    }
    let sealed_bytes = header.sealed_bytes;
    visitor.begin(header)?;
    Ok(sealed_bytes)
}

enum Next<'a> {
    Frame(Frame<'a>),
    Damaged(Damage),
    /// No byte is left.
    End,
}

fn next_frame<'a>(
    source: &'a mut dyn Source,
    target: Target<'_>,
    offset: u64,
) -> Result<Next<'a>, LogError> {
    let place = Place { segment: target.segment, offset };
    let room = target.end.map_or(u64::MAX, |end| end.saturating_sub(offset));
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let head = source.bytes(offset, FRAME_HEADER_BYTES.min(room))?;
    if head.is_empty() {
        return Ok(Next::End);
    }
    let frame_bytes = match frame_bytes_of(head, place) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Next::Damaged(Damage::Truncated)),
        Err(damage) => return Ok(Next::Damaged(damage)),
    };
    Ok(match decode(source.bytes(offset, frame_bytes.min(room))?, place) {
        Decoded::Frame(frame) => Next::Frame(frame),
        Decoded::Incomplete => Next::Damaged(Damage::Truncated),
        Decoded::Invalid(damage) => Next::Damaged(damage),
    })
}

/// What the bytes of a segment are from a place on that does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Among them is a frame that confirms the place.
    Confirming,
    /// Room.
    Zeros,
    /// Neither.
    Torn,
}

/// Looks through all bytes from a damaged place on.
fn rest_of(source: &mut dyn Source, damaged: Place) -> Result<Rest, LogError> {
    let mut place = damaged;
    let mut is_room = true;
    loop {
        let bytes = source.bytes(place.offset, LOG_SCAN_BYTES)?;
        is_room = is_room && bytes.iter().all(|byte| *byte == 0);
        // Zeros hold no frame, and room may be long.
        if !is_room && confirms_beyond(bytes, place, damaged.offset) {
            return Ok(Rest::Confirming);
        }
        if bytes.len() < LOG_SCAN_BYTES {
            return Ok(if is_room { Rest::Zeros } else { Rest::Torn });
        }
        // The next piece overlaps by what a header cut at the end of this one needs.
        place.offset += (LOG_SCAN_BYTES - FRAME_HEADER_BYTES) as u64;
    }
}

/// Builds the index from frames.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) index: Index,
    pub(crate) entries: u64,
}

impl Visitor for Replay {
    fn begin(&mut self, header: SegmentHeader) -> Result<(), Damage> {
        self.index.begin_segment(header);
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>, place: Place) -> Result<(), Damage> {
        if matches!(frame.kind, FrameKind::Entry | FrameKind::Moved) {
            self.entries += 1;
        }
        self.index.apply(frame, place)
    }
}

/// What a single segment's bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Bytes of sound frames.
    pub end_bytes: u64,
    /// Bytes that some frame confirms.
    pub confirmed_bytes: u64,
    /// Entries that are live at the end.
    pub live_entries: u64,
    /// Groups at the end.
    pub groups: usize,
    /// What stopped the reading, if neither the end of the bytes nor room.
    pub torn: Option<Damage>,
}

/// Decodes the bytes of one segment, whatever they are: for inspection and for fuzzing. Never
/// panics and never reads anything else.
pub fn check_segment(segment: SegmentNumber, bytes: &[u8]) -> Result<SegmentSummary, LogError> {
    let mut replay = Replay::default();
    let target = Target { segment, file: Path::new("segment"), end: None };
    let end = read_segment(&mut SliceSource(bytes), target, &mut replay)?;
    let extents = replay.index.groups.values().map(|group| group.extent);
    Ok(SegmentSummary {
        end_bytes: end.end,
        confirmed_bytes: end.confirmed,
        live_entries: extents.map(|extent: Extent| extent.count()).fold(0, u64::saturating_add),
        groups: replay.index.groups.len(),
        torn: end.torn,
    })
}
