//! The one writer: frames into the newest segment, a write and a sync per batch, and the change to
//! the next segment. It does IO and nothing else; what a batch means is `shared`'s affair.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{Frame, FrameKind, Place, encode};
use super::header::SegmentHeader;
use super::segment::{Carried, NewSegment, create_segment};
use super::{GroupId, LogError, LogIndex, SegmentNumber, StateSlot};
use crate::env::{AppendFile, Env};
use crate::limits::{LOG_BATCH_BYTES_MAX, LOG_SPARE_FRACTION};
use crate::mutant::{self, Mutant};

/// A frame to be written, with what it owns.
#[derive(Debug)]
pub(crate) enum Record {
    Entry { group: GroupId, index: LogIndex, bytes: Bytes, sequence: u64 },
    State { group: GroupId, slot: StateSlot, value: Bytes },
    Truncate { group: GroupId, from: LogIndex },
    Purge { group: GroupId, upto: LogIndex },
    RemoveGroup { group: GroupId },
    Drop { segments: Vec<SegmentNumber>, payload: Vec<u8> },
    Close,
}

impl Record {
    pub(crate) fn frame(&self, confirmed: u64) -> Frame<'_> {
        let of_group =
            |kind, group, index| Frame { kind, slot: 0, group, index, confirmed, payload: &[] };
        match self {
            Self::Entry { group, index, bytes, .. } => {
                Frame { payload: bytes, ..of_group(FrameKind::Entry, *group, *index) }
            }
            Self::State { group, slot, value } => Frame {
                slot: slot.0,
                payload: value,
                ..of_group(FrameKind::State, *group, LogIndex(0))
            },
            Self::Truncate { group, from } => of_group(FrameKind::Truncate, *group, *from),
            Self::Purge { group, upto } => of_group(FrameKind::Purge, *group, *upto),
            Self::RemoveGroup { group } => of_group(FrameKind::RemoveGroup, *group, LogIndex(0)),
            Self::Drop { payload, .. } => Frame::of_log(FrameKind::Drop, confirmed, payload),
            Self::Close => Frame::of_log(FrameKind::Close, confirmed, &[]),
        }
    }
}

/// Owns the newest segment's file.
#[derive(Debug)]
pub(crate) struct Writer {
    env: Arc<dyn Env>,
    directory: PathBuf,
    segment_bytes: u64,
    number: SegmentNumber,
    file: Box<dyn AppendFile>,
    /// Bytes appended to the file. Invariant: all of them are synced between two calls.
    end: u64,
    /// The file was made with room.
    has_room: bool,
    /// Kept from batch to batch, so that a batch allocates nothing.
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(
        env: Arc<dyn Env>,
        directory: &Path,
        segment_bytes: u64,
        active: NewSegment,
    ) -> Self {
        let NewSegment { number, file, end, has_room, .. } = active;
        let directory = directory.to_path_buf();
        Self { env, directory, segment_bytes, number, file, end, has_room, buffer: Vec::new() }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end >= self.segment_bytes
    }

    /// True once so much is written that the next segment's file is worth making.
    pub(crate) fn wants_spare(&self) -> bool {
        self.end >= self.segment_bytes / LOG_SPARE_FRACTION
    }

    /// True if a file with room is better than this one.
    pub(crate) fn lacks_room(&self) -> bool {
        !self.has_room
    }

    /// Writes and syncs frames, and says where each lies.
    pub(crate) fn write<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
    ) -> Result<Vec<Place>, LogError> {
        self.buffer.clear();
        let mut places = Vec::new();
        for record in records {
            let offset = self.end + self.buffer.len() as u64;
            let place = Place { segment: self.number, offset };
            encode(&record.frame(self.end), place, &mut self.buffer);
            places.push(place);
        }
        self.file.append(&self.buffer)?;
        if !mutant::is(Mutant::AckBeforeSync) {
            self.file.sync()?;
        }
        self.end += self.buffer.len() as u64;
        assert!(self.file.size_bytes() == self.end, "the file holds what was written");
        self.buffer.shrink_to(LOG_BATCH_BYTES_MAX);
        Ok(places)
    }

    /// Begins the next segment. The old file is synced to its last byte already.
    pub(crate) fn next_segment(
        &mut self,
        header: SegmentHeader,
        carried: &[Carried],
        spare: Option<Box<dyn AppendFile>>,
    ) -> Result<NewSegment, LogError> {
        create_segment(self.env.as_ref(), &self.directory, header, carried, spare)
    }

    /// Takes a segment that was just born for all that follows.
    pub(crate) fn switch_to(&mut self, born: NewSegment) {
        self.number = born.number;
        self.end = born.end;
        self.has_room = born.has_room;
        self.file = born.file;
    }
}
