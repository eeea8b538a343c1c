//! What the disk holds: for every live entry its place, for every segment what is live in it.
//! Pure; the writer applies each frame after its sync, recovery applies each frame it reads, both
//! through [`Index::apply`].

use std::collections::BTreeMap;

use bytes::Bytes;

use super::extent::Extent;
use super::frame::{Frame, FrameKind, Place};
use super::header::{GroupHeader, SegmentHeader, decode_drops};
use super::{Damage, GroupId, LogIndex, SegmentNumber, StateSlot};
use crate::limits::{LOG_DROPS_PER_FRAME_MAX, LOG_MOVE_BYTES_MAX, LOG_MOVE_LIVE_FRACTION};

/// Where the frame of an entry lies, in 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) segment: SegmentNumber,
    /// Segments stay far below 4 GiB (`limits`).
    offset: u32,
    payload_bytes: u32,
}

impl Location {
    fn new(place: Place, payload_bytes: usize) -> Result<Self, Damage> {
        Ok(Self {
            segment: place.segment,
            offset: u32::try_from(place.offset).map_err(|_| Damage::Length)?,
            payload_bytes: u32::try_from(payload_bytes).map_err(|_| Damage::Length)?,
        })
    }

    pub(crate) fn place(&self) -> Place {
        Place { segment: self.segment, offset: u64::from(self.offset) }
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        usize::try_from(self.payload_bytes).unwrap_or(usize::MAX)
    }
}

/// A group as it is on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupIndex {
    pub(crate) extent: Extent,
    pub(crate) slots: BTreeMap<StateSlot, Bytes>,
    /// Invariant: keys lie in the extent. During replay some may be missing: they lie in segments
    /// that are gone, and a later frame removes them from the extent.
    pub(crate) locations: BTreeMap<LogIndex, Location>,
}

/// A segment file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The offset up to which the file is read.
    pub(crate) end: u64,
    pub(crate) live_entries: u64,
    pub(crate) live_bytes: u64,
}

impl Usage {
    fn add(&mut self, location: &Location) {
        self.live_entries += 1;
        self.live_bytes += u64::from(location.payload_bytes);
    }

    fn release(&mut self, location: &Location) {
        self.live_entries = self.live_entries.saturating_sub(1);
        self.live_bytes = self.live_bytes.saturating_sub(u64::from(location.payload_bytes));
    }
}

/// The index of a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) groups: BTreeMap<GroupId, GroupIndex>,
    /// Segments that a start needs: those with live entries and the one being written.
    pub(crate) segments: BTreeMap<SegmentNumber, Usage>,
}

impl Index {
    /// Takes over what a segment's header says, at the start of its replay. What was replayed
    /// before stays only where the header still counts it as live.
    pub(crate) fn begin_segment(&mut self, header: SegmentHeader) {
        self.segments =
            header.segments.into_iter().map(|(segment, end)| (segment, usage(end))).collect();
        self.segments.insert(header.segment, usage(0));
        let mut former = std::mem::take(&mut self.groups);
        for (group, GroupHeader { extent, slots }) in header.groups {
            let mut locations = former.remove(&group).unwrap_or_default().locations;
            locations.retain(|index, _| extent.contains(*index));
            self.groups.insert(group, GroupIndex { extent, slots, locations });
        }
    }

    /// Applies a frame that lies at this place.
    pub(crate) fn apply(&mut self, frame: &Frame<'_>, place: Place) -> Result<(), Damage> {
        match frame.kind {
            FrameKind::Segment => Err(Damage::SegmentHeader),
            FrameKind::Close => Ok(()),
            FrameKind::Drop => {
                for segment in decode_drops(frame.payload)? {
                    self.segments.remove(&segment);
                }
                Ok(())
            }
            FrameKind::RemoveGroup => {
                if let Some(group) = self.groups.remove(&frame.group) {
                    self.release(group.locations);
                }
                Ok(())
            }
            FrameKind::Entry => {
                let group = self.groups.entry(frame.group).or_default();
                if !group.extent.append(frame.index) {
                    return Err(Damage::NotContiguous);
                }
                self.locate(frame, place)
            }
            FrameKind::Moved => {
                let group = self.groups.entry(frame.group).or_default();
                if !group.extent.contains(frame.index) {
                    return Err(Damage::NotContiguous);
                }
                self.locate(frame, place)
            }
            FrameKind::State => {
                let value = Bytes::copy_from_slice(frame.payload);
                let group = self.groups.entry(frame.group).or_default();
                group.slots.insert(StateSlot(frame.slot), value);
                Ok(())
            }
            FrameKind::Truncate => {
                let group = self.groups.entry(frame.group).or_default();
                group.extent.truncate_from(frame.index);
                let removed = group.locations.split_off(&frame.index);
                self.release(removed);
                Ok(())
            }
            FrameKind::Purge => {
                let group = self.groups.entry(frame.group).or_default();
                group.extent.purge(frame.index);
                let kept = group.locations.split_off(&frame.index.next());
                let removed = std::mem::replace(&mut group.locations, kept);
                self.release(removed);
                Ok(())
            }
        }
    }

    fn locate(&mut self, frame: &Frame<'_>, place: Place) -> Result<(), Damage> {
        let location = Location::new(place, frame.payload.len())?;
        let group = self.groups.entry(frame.group).or_default();
        let former = group.locations.insert(frame.index, location);
        if let Some(usage) = self.segments.get_mut(&location.segment) {
            usage.add(&location);
        }
        self.release(former.map(|location| (frame.index, location)));
        Ok(())
    }

    fn release(&mut self, locations: impl IntoIterator<Item = (LogIndex, Location)>) {
        for (_, location) in locations {
            if let Some(usage) = self.segments.get_mut(&location.segment) {
                usage.release(&location);
            }
        }
    }

    /// Counts anew what is live in each segment: replay resets segments under way.
    pub(crate) fn recount(&mut self) {
        for usage in self.segments.values_mut() {
            usage.live_entries = 0;
            usage.live_bytes = 0;
        }
        for location in self.groups.values().flat_map(|group| group.locations.values()) {
            if let Some(usage) = self.segments.get_mut(&location.segment) {
                usage.add(location);
            }
        }
    }

    /// Says whether every live entry has a place, after a replay.
    pub(crate) fn check_complete(&self) -> Result<(), Damage> {
        for (group, index) in &self.groups {
            let held = index.locations.len() as u64;
            let missing = index.extent.count().saturating_sub(held);
            if missing > 0 {
                return Err(Damage::MissingEntries { group: *group, missing });
            }
        }
        Ok(())
    }

    pub(crate) fn location(&self, group: GroupId, index: LogIndex) -> Option<Location> {
        self.groups.get(&group)?.locations.get(&index).copied()
    }

    pub(crate) fn set_end(&mut self, segment: SegmentNumber, end: u64) {
        if let Some(usage) = self.segments.get_mut(&segment) {
            usage.end = end;
        }
    }

    /// Segments without live entries, the one being written excepted; a bounded number of them.
    pub(crate) fn droppable(&self, active: SegmentNumber) -> Vec<SegmentNumber> {
        self.segments
            .iter()
            .filter(|(segment, usage)| **segment != active && usage.live_entries == 0)
            .map(|(segment, _)| *segment)
            .take(LOG_DROPS_PER_FRAME_MAX)
            .collect()
    }

    /// Live entries of segments that are nearly dead, oldest segments first, as many whole
    /// segments as the bound allows. Carried over, they let those files go.
    pub(crate) fn movable(&self) -> Vec<(GroupId, LogIndex, Location)> {
        let mut bytes_left = LOG_MOVE_BYTES_MAX;
        let mut chosen = Vec::new();
        for (segment, usage) in &self.segments {
            let is_nearly_dead = usage.live_bytes <= usage.end / LOG_MOVE_LIVE_FRACTION;
            if usage.live_entries > 0 && is_nearly_dead && usage.live_bytes <= bytes_left {
                bytes_left -= usage.live_bytes;
                chosen.push(*segment);
            }
        }
        if chosen.is_empty() {
            return Vec::new();
        }
        self.located(|location| chosen.contains(&location.segment))
    }

    /// Live entries of one segment at or behind an offset.
    pub(crate) fn entries_from(&self, place: Place) -> Vec<(GroupId, LogIndex, Location)> {
        self.located(|location| {
            location.segment == place.segment && u64::from(location.offset) >= place.offset
        })
    }

    fn located(&self, wanted: impl Fn(&Location) -> bool) -> Vec<(GroupId, LogIndex, Location)> {
        let mut found = Vec::new();
        for (group, index) in &self.groups {
            let hits = index.locations.iter().filter(|(_, location)| wanted(location));
            found.extend(hits.map(|(index, location)| (*group, *index, *location)));
        }
        found
    }

    /// The header of a segment that follows all there is.
    pub(crate) fn header(&self, segment: SegmentNumber, sealed_bytes: u64) -> SegmentHeader {
        let group =
            |group: &GroupIndex| GroupHeader { extent: group.extent, slots: group.slots.clone() };
        SegmentHeader {
            segment,
            sealed_bytes,
            segments: self.segments.iter().map(|(number, usage)| (*number, usage.end)).collect(),
            groups: self.groups.iter().map(|(id, index)| (*id, group(index))).collect(),
        }
    }
}

fn usage(end: u64) -> Usage {
    Usage { end, ..Usage::default() }
}
