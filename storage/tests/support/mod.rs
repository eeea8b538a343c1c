//! What the log's tests share: seeded workloads, and pictures of a log that can be compared.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use storage::env::{Env, FaultEnv};
use storage::log::{
    Bounds, Done, GroupId, LogEngine, LogError, LogIndex, LogOptions, MemoryLog, Operation,
    RecoveryReport, SegmentLog, StateSlot,
};

/// The log's directory on the modelled disk.
pub(crate) fn directory() -> &'static Path {
    Path::new("data/log")
}

/// A clock that stands still and a hook that does nothing.
pub(crate) fn options(segment_bytes: u64) -> LogOptions {
    LogOptions::new(|| 0, |_| ()).with_segment_bytes(segment_bytes)
}

pub(crate) fn open(
    env: &FaultEnv,
    options: &LogOptions,
) -> Result<(SegmentLog, RecoveryReport), LogError> {
    SegmentLog::open_manual(Arc::new(env.clone()) as Arc<dyn Env>, directory(), options)
}

pub(crate) fn ignore() -> Done {
    Box::new(|_| ())
}

/// Splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[0]
    }

    /// A position in something of this length.
    pub(crate) fn position(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap()
    }

    /// Below the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }
}

/// Everything a log says about a group.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GroupPicture {
    pub(crate) bounds: Bounds,
    pub(crate) slots: Vec<(StateSlot, Bytes)>,
    pub(crate) entries: Vec<(LogIndex, Bytes)>,
}

impl fmt::Debug for GroupPicture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupPicture { bounds, slots, entries } = self;
        write!(formatter, "{bounds:?} slots")?;
        for (slot, value) in slots {
            write!(formatter, " {}:{}B", slot.0, value.len())?;
        }
        write!(formatter, " entries")?;
        for (index, bytes) in entries {
            write!(formatter, " {index}:{}B", bytes.len())?;
        }
        Ok(())
    }
}

pub(crate) type Picture = BTreeMap<GroupId, GroupPicture>;

/// Everything a log says.
pub(crate) fn picture(log: &dyn LogEngine) -> Picture {
    let all = LogIndex(0)..LogIndex(u64::MAX);
    let group = |group| {
        let slots = (0..8).map(StateSlot);
        let slots = slots.filter_map(|slot| Some((slot, log.state(group, slot)?))).collect();
        let entries = log.read(group, all.clone(), usize::MAX).unwrap();
        let picture = GroupPicture { bounds: log.bounds(group), slots, entries };
        check_shape(&picture);
        (group, picture)
    };
    log.groups().into_iter().map(group).collect()
}

/// A group has no gap, and its bounds are those of its entries.
fn check_shape(picture: &GroupPicture) {
    let GroupPicture { bounds, entries, .. } = picture;
    assert_eq!(bounds.first, entries.first().map(|(index, _)| *index));
    assert_eq!(bounds.last, entries.last().map(|(index, _)| *index));
    for pair in entries.windows(2) {
        assert_eq!(pair[0].0.next(), pair[1].0);
    }
    if let (Some(purged), Some(first)) = (bounds.purged, bounds.first) {
        assert_eq!(purged.next(), first);
    }
}

/// One step of a workload.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Submit(Operation),
    Pump,
    Confirm,
    Sweep,
}

/// A workload that is valid after what the model holds, and changes the model accordingly.
pub(crate) fn workload(random: &mut Random, model: &MemoryLog, count: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while steps.len() < count {
        let operation = operation(random, model);
        model.submit_and_wait(operation.clone()).unwrap();
        steps.push(Step::Submit(operation));
        match random.below(8) {
            0..=3 => steps.push(Step::Pump),
            4 => steps.extend([Step::Pump, Step::Confirm, Step::Sweep]),
            5 => steps.extend([Step::Pump, Step::Confirm, Step::Confirm, Step::Sweep]),
            _ => {}
        }
    }
    steps
}

fn operation(random: &mut Random, model: &MemoryLog) -> Operation {
    let group = GroupId(random.below(4));
    let bounds = model.bounds(group);
    let held = bounds.last.map_or(0, |last| last.0 - bounds.first.unwrap().0 + 1);
    let base = bounds.first.or(bounds.purged).unwrap_or(LogIndex(0)).0;
    match random.below(32) {
        0..=4 => {
            let length = random.position(40);
            let value = content(random, length);
            Operation::PutState { group, slot: StateSlot(random.byte() % 3), value }
        }
        5..=7 => {
            let kept = base + random.below(held + 2);
            let after = kept.checked_sub(1).map(LogIndex);
            Operation::TruncateAfter { group, after }
        }
        8..=11 => {
            // Sometimes behind the last entry, sometimes before what is purged already.
            let upto = (base + random.below(held + 3)).saturating_sub(random.below(2));
            Operation::Purge { group, upto: LogIndex(upto) }
        }
        12 => Operation::RemoveGroup { group },
        13 => Operation::Barrier,
        // One group writes rarely, so that it holds on to old segments.
        _ if group == GroupId(3) && random.below(4) > 0 => Operation::Barrier,
        _ => {
            let first = bounds.expected().unwrap_or(LogIndex(random.below(3))).0;
            let count = random.below(5);
            let entries = (first..first + count)
                .map(|index| {
                    let length = random.position(400);
                    (LogIndex(index), content(random, length))
                })
                .collect();
            Operation::Append { group, entries }
        }
    }
}

fn content(random: &mut Random, length: usize) -> Bytes {
    (0..length).map(|_| random.byte()).collect()
}
