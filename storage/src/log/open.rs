//! Opening a log: finding the segments, replaying them, and making durable what was read.
//!
//! The newest segment's header says which older segments count and where each of them ends. They
//! are replayed in order, the newest last; its sound end is where the log ends. What lies behind
//! its last confirmed offset may be in the page cache only (after a sync that failed, even a sync
//! now would not help), so these entries are written once more: a new segment is born with them,
//! and everything from then on goes there. Only then is anything reported.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Frame, FrameKind, Place};
use super::header::{SegmentHeader, decode_drops};
use super::index::Index;
use super::recover::{Replay, SegmentEnd, Target, Visitor, read_segment};
use super::segment::{
    Carried, FileSource, NewSegment, TEMPORARY_SUFFIX, create_segment, parse_name, read_entry,
    segment_path,
};
use super::{Damage, GroupId, LogError, LogIndex, SegmentNumber};
use crate::env::{Env, ReadFile};
use crate::limits::{LOG_SEGMENT_BYTES, LOG_SEGMENT_BYTES_MAX};

/// Monotonic nanoseconds.
pub(crate) type Now = Arc<dyn Fn() -> u64 + Send + Sync>;
/// Told of the failure that ends the log.
pub(crate) type Fatal = Arc<dyn Fn(&LogError) + Send + Sync>;
type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// How a log is opened.
#[derive(Clone)]
pub struct LogOptions {
    /// Bytes after which the next segment begins.
    pub segment_bytes: u64,
    now: Now,
    fatal: Fatal,
    progress: Option<OnProgress>,
}

impl LogOptions {
    /// Defaults, with a clock of monotonic nanoseconds and a hook that is told, once, of the
    /// failure after which the log is of no use. The production hook ends the process.
    pub fn new(
        now: impl Fn() -> u64 + Send + Sync + 'static,
        fatal: impl Fn(&LogError) + Send + Sync + 'static,
    ) -> Self {
        Self {
            segment_bytes: LOG_SEGMENT_BYTES,
            now: Arc::new(now),
            fatal: Arc::new(fatal),
            progress: None,
        }
    }

    /// Sets the size of segments.
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Reports progress while the log is read.
    pub fn with_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    pub(crate) fn now(&self) -> Now {
        Arc::clone(&self.now)
    }

    pub(crate) fn fatal(&self) -> Fatal {
        Arc::clone(&self.fatal)
    }
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LogOptions")
            .field("segment_bytes", &self.segment_bytes)
            .finish_non_exhaustive()
    }
}

/// How far recovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub done_bytes: u64,
    /// Bytes there are.
    pub total_bytes: u64,
    /// Entries read.
    pub entries: u64,
}

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments read.
    pub segments: usize,
    /// Bytes of sound frames.
    pub bytes: u64,
    /// Entries that are live now.
    pub live_entries: u64,
    /// Entries written once more, because nothing confirmed them.
    pub carried_entries: usize,
    /// Files removed: unfinished ones, and segments without live entries.
    pub removed_files: usize,
    /// What was cut off.
    pub torn: Option<TornTail>,
}

/// Bytes at the end of the log that are no frames. Nobody was told that they are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Where the sound part ends.
    pub offset: u64,
    /// Bytes from there to the end of the file.
    pub bytes: u64,
    /// What is wrong with the first of them.
    pub damage: Damage,
}

/// A log that was read and can be continued.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) index: Index,
    pub(crate) files: BTreeMap<SegmentNumber, Arc<dyn ReadFile>>,
    pub(crate) active: NewSegment,
    pub(crate) report: RecoveryReport,
}

pub(crate) fn open_log(
    env: &dyn Env,
    directory: &Path,
    options: &LogOptions,
) -> Result<Opened, LogError> {
    if options.segment_bytes > LOG_SEGMENT_BYTES_MAX {
        let bytes = options.segment_bytes;
        return Err(LogError::SegmentSize { bytes, bytes_max: LOG_SEGMENT_BYTES_MAX });
    }
    env.create_directory(directory)?;
    let mut report = RecoveryReport::default();
    let mut present = Vec::new();
    for name in env.list(directory)? {
        if name.ends_with(TEMPORARY_SUFFIX) {
            env.remove(&directory.join(&name))?;
            report.removed_files += 1;
        } else if let Some(segment) = parse_name(&name) {
            present.push(segment);
        }
    }

    let mut recovery = Recovery { env, directory, options, files: BTreeMap::new(), report };
    let (mut index, carried, next) = match present.iter().max().copied() {
        None => (Index::default(), Vec::new(), SegmentNumber(1)),
        Some(newest) => {
            let (index, carried) = recovery.replay_all(newest)?;
            (index, carried, newest.next())
        }
    };
    let Recovery { mut files, mut report, .. } = recovery;
    let active = create_segment(env, directory, index.header(next, 0), &carried, None)?;
    adopt(&mut index, &mut files, &active, &carried, directory)?;
    for segment in present {
        if !index.segments.contains_key(&segment) {
            files.remove(&segment);
            env.remove(&segment_path(directory, segment))?;
            report.removed_files += 1;
        }
    }
    Ok(Opened { index, files, active, report })
}

/// Makes a segment that was just born the newest one of an index.
pub(crate) fn adopt(
    index: &mut Index,
    files: &mut BTreeMap<SegmentNumber, Arc<dyn ReadFile>>,
    born: &NewSegment,
    carried: &[Carried],
    directory: &Path,
) -> Result<(), LogError> {
    index.segments.entry(born.number).or_default();
    index.set_end(born.number, born.end);
    for (entry, place) in carried.iter().zip(&born.places) {
        index.apply(&entry.frame(0), *place).map_err(|damage| LogError::Corrupt {
            file: segment_path(directory, born.number),
            offset: place.offset,
            damage,
        })?;
    }
    files.insert(born.number, Arc::clone(&born.reader));
    Ok(())
}

struct Recovery<'a> {
    env: &'a dyn Env,
    directory: &'a Path,
    options: &'a LogOptions,
    files: BTreeMap<SegmentNumber, Arc<dyn ReadFile>>,
    report: RecoveryReport,
}

impl Recovery<'_> {
    /// Replays all segments that count, and returns the entries that must be written again.
    fn replay_all(&mut self, newest: SegmentNumber) -> Result<(Index, Vec<Carried>), LogError> {
        let older = self.older_segments(newest)?;
        let newest_bytes = self.open(newest)?.size_bytes()?;
        let total_bytes = newest_bytes + older.values().sum::<u64>();
        let mut replay = Replay::default();
        for (segment, end) in older {
            // A file may be missing if the newest segment says it was dropped: asked at the end.
            if self.files.contains_key(&segment) {
                self.replay_one(segment, Some(end), total_bytes, &mut replay)?;
            }
        }
        let end = self.replay_one(newest, None, total_bytes, &mut replay)?;
        if let Some(damage) = end.torn {
            self.report.torn = Some(TornTail {
                file: segment_path(self.directory, newest),
                offset: end.end,
                bytes: newest_bytes.saturating_sub(end.end),
                damage,
            });
        }
        let mut index = replay.index;
        let path = segment_path(self.directory, newest);
        let corrupt = |damage| LogError::Corrupt { file: path.clone(), offset: 0, damage };
        for segment in index.segments.keys() {
            if !self.files.contains_key(segment) {
                return Err(corrupt(Damage::MissingSegment(*segment)));
            }
        }
        index.check_complete().map_err(corrupt)?;
        index.recount();
        // The next header does not name what holds nothing live, so these files can go at once.
        index.segments.retain(|_, usage| usage.live_entries > 0);
        self.report.live_entries = index.groups.values().map(|group| group.extent.count()).sum();
        let carried = self.unconfirmed(&index, newest, end)?;
        self.report.carried_entries = carried.len();
        // Whatever is behind the confirmed part lives in the next segment from now on.
        index.set_end(newest, end.confirmed);
        Ok((index, carried))
    }

    /// Opens the segments that the newest one's header names, and says where they end.
    fn older_segments(
        &mut self,
        newest: SegmentNumber,
    ) -> Result<BTreeMap<SegmentNumber, u64>, LogError> {
        let path = segment_path(self.directory, newest);
        let target = Target { segment: newest, file: &path, end: None };
        let mut source = FileSource::new(self.open(newest)?);
        let mut first = FirstHeader::default();
        read_segment(&mut source, target, &mut first)?;
        let listed = first.header.map(|header| header.segments).unwrap_or_default();
        for segment in listed.keys() {
            if !first.dropped.contains(segment) {
                self.open_if_present(*segment)?;
            }
        }
        Ok(listed)
    }

    fn open(&mut self, segment: SegmentNumber) -> Result<Arc<dyn ReadFile>, LogError> {
        if let Some(file) = self.files.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = self.env.open(&segment_path(self.directory, segment))?;
        self.files.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    fn open_if_present(&mut self, segment: SegmentNumber) -> Result<(), LogError> {
        match self.open(segment) {
            Err(LogError::Env(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn replay_one(
        &mut self,
        segment: SegmentNumber,
        end: Option<u64>,
        total_bytes: u64,
        replay: &mut Replay,
    ) -> Result<SegmentEnd, LogError> {
        let path = segment_path(self.directory, segment);
        let target = Target { segment, file: &path, end };
        let is_newest = end.is_none();
        let mut source = FileSource::new(self.open(segment)?);
        let end = read_segment(&mut source, target, replay)?;
        replay.index.set_end(segment, end.end);
        self.report.segments += 1;
        self.report.bytes += end.end;
        if let Some(progress) = &self.options.progress {
            // The newest segment comes last, and may hold room that nobody needed.
            let done_bytes = if is_newest { total_bytes } else { self.report.bytes };
            progress(Progress { done_bytes, total_bytes, entries: replay.entries });
        }
        Ok(end)
    }

    /// Live entries that no later frame confirms: at most a batch.
    fn unconfirmed(
        &mut self,
        index: &Index,
        newest: SegmentNumber,
        end: SegmentEnd,
    ) -> Result<Vec<Carried>, LogError> {
        let path = segment_path(self.directory, newest);
        let file = self.open(newest)?;
        let from = Place { segment: newest, offset: end.confirmed };
        let carry = |(group, index, location): (GroupId, LogIndex, _)| {
            let bytes = read_entry(file.as_ref(), &path, location, group, index)?;
            Ok(Carried { group, index, bytes })
        };
        index.entries_from(from).into_iter().map(carry).collect()
    }
}

/// Reads a segment for its header and its announcements of deletions only.
#[derive(Debug, Default)]
struct FirstHeader {
    header: Option<SegmentHeader>,
    dropped: Vec<SegmentNumber>,
}

impl Visitor for FirstHeader {
    fn begin(&mut self, header: SegmentHeader) -> Result<(), Damage> {
        self.header = Some(header);
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>, _place: Place) -> Result<(), Damage> {
        if frame.kind == FrameKind::Drop {
            self.dropped.extend(decode_drops(frame.payload)?);
        }
        Ok(())
    }
}
