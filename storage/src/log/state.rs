//! Everything the callers and the steps of a segment log share, behind one lock held for moments.
//! No IO happens here: a batch goes out, and comes back durable.
//!
//! Two pictures meet in it. `views` is what callers see: every submitted operation at once.
//! `index` is what the disk holds: every synced frame, in the same order. So the index is never
//! ahead of the view, and what a caller sees and memory does not hold is in the index.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{FRAME_HEADER_BYTES, Place};
use super::header::{SegmentHeader, encode_drops};
use super::index::{GroupIndex, Index, Location};
use super::open::adopt;
use super::segment::{Carried, NewSegment, segment_path};
use super::spare::Spare;
use super::view::{View, Views, queued_bytes, truncated_from};
use super::writer::Record;
use super::{Damage, Done, GroupId, LogError, LogIndex, LogStats, Operation, SegmentNumber};
use crate::env::ReadFile;
use crate::limits::{
    LOG_BATCH_BYTES_MAX, LOG_QUEUE_BYTES_MAX, LOG_TAIL_BYTES_MAX, LOG_TAIL_ENTRIES_MAX,
};

/// One record of an operation; the last one carries the operation's callback.
pub(crate) struct Queued {
    /// None for a barrier.
    pub(crate) record: Option<Record>,
    bytes: usize,
    /// Somebody waits for it: it does not wait for others.
    is_hurried: bool,
    pub(crate) done: Option<Done>,
}

/// The shared state. Invariant: a name of a segment is in `index.segments` and in `files`, or in
/// neither.
pub(crate) struct State {
    /// Written by callers.
    views: Views,
    /// Written by steps.
    index: Index,
    directory: PathBuf,
    files: BTreeMap<SegmentNumber, Arc<dyn ReadFile>>,
    queue: VecDeque<Queued>,
    /// Those in the queue that somebody waits for.
    queued_hurried: usize,
    /// Bytes in the queue and in the batch that is being written.
    queued_bytes: usize,
    /// Entries that are on the disk and in memory, in the order in which memory forgets them.
    recent: VecDeque<(GroupId, LogIndex, u64)>,
    /// Segments whose end is announced by a frame that nothing confirms yet.
    announced: Vec<SegmentNumber>,
    /// Segments whose files may be removed.
    pub(crate) garbage: Vec<SegmentNumber>,
    pub(crate) spare: Spare,
    /// The last batch held more than a closing frame.
    is_unconfirmed: bool,
    /// A copy of the writer's, for those who do not hold it.
    active: SegmentNumber,
    pub(crate) is_closing: bool,
    pub(crate) failed: Option<LogError>,
    pub(crate) stats: LogStats,
}

/// Where an entry is read from.
pub(crate) enum Piece {
    Memory(Bytes),
    Disk(Location, Arc<dyn ReadFile>),
}

/// A segment about to be born.
pub(crate) struct SegmentPlan {
    pub(crate) header: SegmentHeader,
    /// Entries to carry over, and the files they are in.
    pub(crate) moves: Vec<(GroupId, LogIndex, Location, Arc<dyn ReadFile>)>,
}

impl Queued {
    /// A record that nobody submitted: it counts for nothing in the queue.
    fn unasked(record: Record) -> Self {
        Self { record: Some(record), bytes: 0, is_hurried: false, done: None }
    }
}

impl State {
    /// The state of a log that was just opened.
    pub(crate) fn new(
        directory: PathBuf,
        index: Index,
        files: BTreeMap<SegmentNumber, Arc<dyn ReadFile>>,
        active: SegmentNumber,
    ) -> Self {
        let view = |group: &GroupIndex| View::new(group.extent, group.slots.clone());
        let views = index.groups.iter().map(|(id, group)| (*id, view(group))).collect();
        Self {
            views: Views::new(views),
            index,
            directory,
            files,
            queue: VecDeque::new(),
            queued_hurried: 0,
            queued_bytes: 0,
            recent: VecDeque::new(),
            announced: Vec::new(),
            garbage: Vec::new(),
            spare: Spare::default(),
            is_unconfirmed: false,
            active,
            is_closing: false,
            failed: None,
            stats: LogStats::default(),
        }
    }

    /// Says whether an operation may be taken now.
    pub(crate) fn check(&self, operation: &Operation) -> Result<(), LogError> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        if self.is_closing {
            return Err(LogError::Closed);
        }
        self.views.check(operation)?;
        let bytes = queued_bytes(operation);
        // An operation that is as large as the bound is taken when it is alone.
        if self.queued_bytes > 0 && self.queued_bytes + bytes > LOG_QUEUE_BYTES_MAX {
            return Err(LogError::Busy {
                queued_bytes: self.queued_bytes,
                queued_bytes_max: LOG_QUEUE_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// Takes an operation that [`Self::check`] let pass. Without a callback, it is in no hurry.
    pub(crate) fn push(&mut self, operation: Operation, done: Option<Done>) {
        let mut sequence = self.views.apply(&operation);
        self.queued_bytes += queued_bytes(&operation);
        let record = match operation {
            Operation::Append { group, mut entries } => {
                // The last entry carries the callback; without entries it is a barrier.
                let last = entries.pop();
                for (index, bytes) in entries {
                    self.push_record(Record::Entry { group, index, bytes, sequence });
                    sequence += 1;
                }
                last.map(|(index, bytes)| Record::Entry { group, index, bytes, sequence })
            }
            Operation::PutState { group, slot, value } => {
                Some(Record::State { group, slot, value })
            }
            Operation::TruncateAfter { group, after } => {
                Some(Record::Truncate { group, from: truncated_from(after) })
            }
            Operation::Purge { group, upto } => Some(Record::Purge { group, upto }),
            Operation::RemoveGroup { group } => Some(Record::RemoveGroup { group }),
            Operation::Barrier => None,
        };
        let bytes = record_bytes(record.as_ref());
        let is_hurried = done.is_some();
        self.queued_hurried += usize::from(is_hurried);
        self.queue.push_back(Queued { record, bytes, is_hurried, done });
    }

    fn push_record(&mut self, record: Record) {
        let bytes = record_bytes(Some(&record));
        self.queue.push_back(Queued { record: Some(record), bytes, is_hurried: false, done: None });
    }

    /// Whether there is something to write that somebody waits for, or a batch of what nobody does.
    pub(crate) fn is_hurried(&self) -> bool {
        self.queued_hurried > 0 || self.queued_bytes >= LOG_BATCH_BYTES_MAX
    }

    /// Takes a batch off the queue, led by the announcement of segments that may go.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<Queued>> {
        if self.failed.is_some() || self.queue.is_empty() {
            return None;
        }
        let mut batch: Vec<Queued> = self.announcement().into_iter().collect();
        let mut bytes: usize = batch.iter().map(|queued| queued.bytes).sum();
        let mut is_first = true;
        while let Some(queued) = self
            .queue
            .pop_front_if(|queued| is_first || bytes + queued.bytes <= LOG_BATCH_BYTES_MAX)
        {
            is_first = false;
            bytes += queued.bytes;
            self.queued_hurried -= usize::from(queued.is_hurried);
            batch.push(queued);
        }
        Some(batch)
    }

    /// The batch of an idle log: what may go is announced; after that, everything is confirmed.
    pub(crate) fn closing_batch(&self) -> Option<Vec<Queued>> {
        if self.failed.is_some() || !self.needs_confirmation() {
            return None;
        }
        let announcement = self.announcement();
        Some(vec![announcement.unwrap_or_else(|| Queued::unasked(Record::Close))])
    }

    /// True if an idle log still has something to write.
    pub(crate) fn needs_confirmation(&self) -> bool {
        self.is_unconfirmed || !self.index.droppable(self.active).is_empty()
    }

    /// Whether there are files to remove or to make.
    pub(crate) fn has_chores(&self) -> bool {
        !self.garbage.is_empty() || self.spare.is_wanted()
    }

    fn announcement(&self) -> Option<Queued> {
        let segments = self.index.droppable(self.active);
        let payload = encode_drops(&segments);
        (!segments.is_empty()).then(|| Queued::unasked(Record::Drop { segments, payload }))
    }

    /// Applies a batch that is durable: its frames lie at these places, the segment ends there.
    pub(crate) fn commit(
        &mut self,
        batch: &[Queued],
        places: &[Place],
        end: u64,
    ) -> Result<(), LogError> {
        if !places.is_empty() {
            // Whatever was announced before this batch is confirmed by it.
            self.garbage.append(&mut self.announced);
            self.is_unconfirmed = false;
        }
        let records = batch.iter().filter_map(|queued| queued.record.as_ref());
        for (record, place) in records.zip(places) {
            self.commit_record(record, *place)?;
        }
        self.index.set_end(self.active, end);
        let bytes: usize = batch.iter().map(|queued| queued.bytes).sum();
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        self.shorten_tail();
        Ok(())
    }

    fn commit_record(&mut self, record: &Record, place: Place) -> Result<(), LogError> {
        self.index.apply(&record.frame(0), place).map_err(|damage| LogError::Corrupt {
            file: segment_path(&self.directory, place.segment),
            offset: place.offset,
            damage,
        })?;
        self.is_unconfirmed |= !matches!(record, Record::Close);
        match record {
            Record::Entry { group, index, sequence, .. } => {
                self.stats.entries += 1;
                self.recent.push_back((*group, *index, *sequence));
            }
            Record::Drop { segments, .. } => {
                for segment in segments {
                    self.files.remove(segment);
                }
                self.announced.extend(segments);
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets durable entries, oldest first, until memory is within its bounds.
    fn shorten_tail(&mut self) {
        while self.views.tail_bytes > LOG_TAIL_BYTES_MAX || self.recent.len() > LOG_TAIL_ENTRIES_MAX
        {
            let Some((group, index, sequence)) = self.recent.pop_front() else { break };
            self.views.evict(group, index, sequence);
        }
    }

    /// What the next segment is born with: its header, and the entries to carry over.
    pub(crate) fn plan_segment(&self) -> Result<SegmentPlan, LogError> {
        let header = self.index.header(self.active.next(), 0);
        let mut moves = Vec::new();
        for (group, index, location) in self.index.movable() {
            moves.push((group, index, location, self.file(location)?));
        }
        Ok(SegmentPlan { header, moves })
    }

    /// Takes over a segment that was born by that plan.
    pub(crate) fn adopt(&mut self, born: &NewSegment, carried: &[Carried]) -> Result<(), LogError> {
        adopt(&mut self.index, &mut self.files, born, carried, &self.directory)?;
        self.active = born.number;
        // The new header no longer names what was announced, and confirms all before it.
        self.garbage.append(&mut self.announced);
        self.is_unconfirmed = false;
        Ok(())
    }

    /// Ends the log: returns those who wait, and the answer for them and for all who come.
    pub(crate) fn fail(&mut self, error: &LogError) -> (Vec<Queued>, LogError) {
        let failure = || LogError::Failed(Arc::new(error.clone()));
        let failure = self.failed.get_or_insert_with(failure).clone();
        self.queued_bytes = 0;
        self.queued_hurried = 0;
        (self.queue.drain(..).collect(), failure)
    }

    pub(crate) fn view(&self, group: GroupId) -> Option<&View> {
        self.views.groups.get(&group)
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        self.views.groups.keys().copied().collect()
    }

    pub(crate) fn stats(&self) -> LogStats {
        let segments = self.index.segments.values();
        LogStats {
            queued_bytes: self.queued_bytes,
            tail_bytes: self.views.tail_bytes,
            segments: segments.len(),
            segment_bytes: segments.map(|usage| usage.end).sum(),
            ..self.stats
        }
    }

    fn file(&self, location: Location) -> Result<Arc<dyn ReadFile>, LogError> {
        self.files.get(&location.segment).cloned().ok_or_else(|| LogError::Corrupt {
            file: segment_path(&self.directory, location.segment),
            offset: location.place().offset,
            damage: Damage::MissingSegment(location.segment),
        })
    }

    /// Where the entries of a range are; see [`LogEngine::read`](super::LogEngine::read).
    pub(crate) fn plan_read(
        &mut self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Piece)>, LogError> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        let mut plan = Vec::new();
        let Some(view) = self.views.groups.get(&group) else { return Ok(plan) };
        let Some(live) = view.extent.live else { return Ok(plan) };
        let mut bytes_left = bytes_max;
        let mut index = range.start.max(live.first);
        while index < range.end && index <= live.last {
            let (piece, payload_bytes) = if let Some(bytes) = view.cached(index) {
                (Piece::Memory(bytes.clone()), bytes.len())
            } else {
                // Not in memory, so it is durable.
                let Some(location) = self.index.location(group, index) else { break };
                let file = self.file(location)?;
                self.stats.disk_reads += 1;
                (Piece::Disk(location, file), location.payload_bytes())
            };
            let cost = payload_bytes + FRAME_HEADER_BYTES;
            if !plan.is_empty() && cost > bytes_left {
                break;
            }
            bytes_left = bytes_left.saturating_sub(cost);
            plan.push((index, piece));
            index = index.next();
        }
        Ok(plan)
    }
}

fn record_bytes(record: Option<&Record>) -> usize {
    let payload = match record {
        Some(Record::Entry { bytes, .. }) => bytes.len(),
        Some(Record::State { value, .. }) => value.len(),
        _ => 0,
    };
    payload + FRAME_HEADER_BYTES
}
