//! What callers see: every group as the submitted operations leave it, and the tail of entries in
//! memory. Pure. The memory log is this and nothing else; the segment log keeps here what the disk
//! does not hold yet, and as much of the rest as the bound allows.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::extent::Extent;
use super::frame::FRAME_HEADER_BYTES;
use super::{GroupId, LogError, LogIndex, Operation, StateSlot};
use crate::limits::{
    LOG_ENTRY_BYTES_MAX, LOG_GROUPS_MAX, LOG_QUEUE_BYTES_MAX, LOG_STATE_BYTES_MAX,
    LOG_STATE_SLOTS_MAX,
};

/// One group.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) extent: Extent,
    pub(crate) slots: BTreeMap<StateSlot, Bytes>,
    tail: BTreeMap<LogIndex, Cached>,
}

#[derive(Clone, Debug)]
struct Cached {
    bytes: Bytes,
    /// Tells this entry from others that had its index.
    sequence: u64,
}

impl View {
    /// A group known from elsewhere, with nothing of it in memory.
    pub(crate) fn new(extent: Extent, slots: BTreeMap<StateSlot, Bytes>) -> Self {
        Self { extent, slots, tail: BTreeMap::new() }
    }

    pub(crate) fn cached(&self, index: LogIndex) -> Option<&Bytes> {
        let held = self.tail.get(&index).filter(|_| self.extent.contains(index));
        held.map(|cached| &cached.bytes)
    }
}

/// All groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views {
    pub(crate) groups: BTreeMap<GroupId, View>,
    pub(crate) tail_bytes: usize,
    sequence_next: u64,
}

impl Views {
    /// Groups known from elsewhere.
    pub(crate) fn new(groups: BTreeMap<GroupId, View>) -> Self {
        Self { groups, ..Self::default() }
    }

    /// Says whether an operation may be taken.
    pub(crate) fn check(&self, operation: &Operation) -> Result<(), LogError> {
        let bytes = queued_bytes(operation);
        check_size("operation", bytes, LOG_QUEUE_BYTES_MAX)?;
        match operation {
            Operation::Append { group, entries } => {
                self.check_group(*group)?;
                self.check_entries(*group, entries)
            }
            Operation::PutState { group, slot, value } => {
                self.check_group(*group)?;
                if slot.0 >= LOG_STATE_SLOTS_MAX {
                    let slots_max = LOG_STATE_SLOTS_MAX;
                    return Err(LogError::NoSuchSlot { slot: slot.0, slots_max });
                }
                check_size("state", value.len(), LOG_STATE_BYTES_MAX)
            }
            Operation::TruncateAfter { group, .. } | Operation::Purge { group, .. } => {
                self.check_group(*group)
            }
            Operation::RemoveGroup { .. } | Operation::Barrier => Ok(()),
        }
    }

    fn check_group(&self, group: GroupId) -> Result<(), LogError> {
        if self.groups.len() >= LOG_GROUPS_MAX && !self.groups.contains_key(&group) {
            return Err(LogError::TooManyGroups { groups_max: LOG_GROUPS_MAX });
        }
        Ok(())
    }

    fn check_entries(&self, group: GroupId, entries: &[(LogIndex, Bytes)]) -> Result<(), LogError> {
        let mut extent = self.groups.get(&group).map(|view| view.extent).unwrap_or_default();
        for (index, bytes) in entries {
            check_size("entry", bytes.len(), LOG_ENTRY_BYTES_MAX)?;
            let expected = extent.expected().unwrap_or(*index);
            if !extent.append(*index) {
                return Err(LogError::NotContiguous { group, expected, given: *index });
            }
        }
        Ok(())
    }

    /// Applies an operation that [`Self::check`] let pass. Its entries get consecutive sequence
    /// numbers; the first is returned.
    pub(crate) fn apply(&mut self, operation: &Operation) -> u64 {
        let first_sequence = self.sequence_next;
        match operation {
            Operation::Append { group, entries } => {
                let view = self.groups.entry(*group).or_default();
                for (index, bytes) in entries {
                    let follows = view.extent.append(*index);
                    assert!(follows, "entries are checked before they are applied");
                    let sequence = self.sequence_next;
                    self.sequence_next += 1;
                    self.tail_bytes += bytes.len();
                    view.tail.insert(*index, Cached { bytes: bytes.clone(), sequence });
                }
            }
            Operation::PutState { group, slot, value } => {
                self.groups.entry(*group).or_default().slots.insert(*slot, value.clone());
            }
            Operation::TruncateAfter { group, after } => {
                let from = truncated_from(*after);
                let view = self.groups.entry(*group).or_default();
                view.extent.truncate_from(from);
                let removed = view.tail.split_off(&from);
                self.forget(&removed);
            }
            Operation::Purge { group, upto } => {
                let view = self.groups.entry(*group).or_default();
                view.extent.purge(*upto);
                let kept = view.tail.split_off(&upto.next());
                let removed = std::mem::replace(&mut view.tail, kept);
                self.forget(&removed);
            }
            Operation::RemoveGroup { group } => {
                if let Some(view) = self.groups.remove(group) {
                    self.forget(&view.tail);
                }
            }
            Operation::Barrier => {}
        }
        first_sequence
    }

    fn forget(&mut self, removed: &BTreeMap<LogIndex, Cached>) {
        let bytes: usize = removed.values().map(|cached| cached.bytes.len()).sum();
        self.tail_bytes -= bytes;
    }

    /// Lets go of an entry in memory, if it is still the one with this number.
    pub(crate) fn evict(&mut self, group: GroupId, index: LogIndex, sequence: u64) {
        let Some(view) = self.groups.get_mut(&group) else { return };
        if view.tail.get(&index).is_some_and(|cached| cached.sequence == sequence)
            && let Some(cached) = view.tail.remove(&index)
        {
            self.tail_bytes -= cached.bytes.len();
        }
    }
}

/// The first index that a truncation removes.
pub(crate) fn truncated_from(after: Option<LogIndex>) -> LogIndex {
    after.map_or(LogIndex(0), LogIndex::next)
}

/// What an operation counts for in the queue: its payload and the frames around it.
pub(crate) fn queued_bytes(operation: &Operation) -> usize {
    match operation {
        Operation::Append { entries, .. } => {
            let payload: usize = entries.iter().map(|(_, bytes)| bytes.len()).sum();
            payload + FRAME_HEADER_BYTES * entries.len().max(1)
        }
        Operation::PutState { value, .. } => value.len() + FRAME_HEADER_BYTES,
        Operation::TruncateAfter { .. }
        | Operation::Purge { .. }
        | Operation::RemoveGroup { .. }
        | Operation::Barrier => FRAME_HEADER_BYTES,
    }
}

fn check_size(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), LogError> {
    if bytes > bytes_max {
        return Err(LogError::TooLarge { what, bytes, bytes_max });
    }
    Ok(())
}
