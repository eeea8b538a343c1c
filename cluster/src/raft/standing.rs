//! Where a replica's machine stands: what it applied, under which memberships, and what of that is
//! written down.
//!
//! Consensus wants to know, after a start, the log id and the membership at the machine's cut; the
//! machine knows an index only. So the position of each cut is put into the log's state: after the
//! cut is durable in the machine, before the log is purged up to it. A crash in between leaves an
//! older position, and the entries from there to the cut are still in the log: they are read.
//! A snapshot from elsewhere jumps over entries that were never here; its position is therefore
//! written before it is installed, in a slot of its own, and counts if the machine's cut says that
//! the installation happened.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::EntryPayload;
use storage::log::{GroupId, LogEngine, LogIndex, Operation};

use super::blocking::Blocking;
use super::fence::Pass;
use super::limits::{
    APPEND_BYTES_MAX, APPLY_AT_ONCE_BYTES_MAX, APPLY_RECORD_BYTES, MEMBERSHIPS_REMEMBERED_MAX,
};
use super::log_handle::{LogHandle, damaged, failed};
use super::machine::Machine;
use super::position::{self, INSTALLING, POSITION, Position};
use super::record;
use super::types::{Entry, LogId, LogPosition, Outcome, StoredMembership};
use super::witness::Seen;
use crate::watch;

/// A machine and where it stands, for all generations of its replica: what was applied stays
/// applied when a core dies.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) handle: LogHandle,
    pub(crate) machine: Arc<dyn Machine>,
    applied: watch::Sender<Option<LogIndex>>,
    /// Written by whoever applies or installs, one at a time.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    applied: Option<LogId>,
    /// The memberships up to `applied`, the last one in force there.
    memberships: Vec<StoredMembership>,
    /// Whether older ones were forgotten.
    has_forgotten: bool,
    /// The newest position that the log's state was given, or that was read from it.
    saved: Option<Position>,
}

impl Standing {
    /// Finds out where the machine stands after a start. Blocks.
    pub(crate) fn open(handle: LogHandle, machine: Arc<dyn Machine>) -> io::Result<Self> {
        let cut = machine.cut();
        if cut.is_none() && handle.log.bounds(handle.group).purged.is_some() {
            return Err(invalid("the log was purged of what the machine does not have"));
        }
        let position = cut.map(|cut| position_after_start(&handle, cut)).transpose()?;
        let state = State {
            applied: position.as_ref().map(|position| position.log_id),
            memberships: position.iter().map(|position| position.membership.clone()).collect(),
            saved: position,
            has_forgotten: false,
        };
        let applied = watch::Sender::new(state.applied.map(|id| LogIndex(id.index)));
        Ok(Self { handle, machine, applied, state: Mutex::new(state) })
    }

    /// The last applied entry, and the membership there.
    pub(crate) fn applied(&self) -> (Option<LogId>, StoredMembership) {
        let state = self.state();
        (state.applied, state.memberships.last().cloned().unwrap_or_default())
    }

    /// Follows the last applied index.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<Option<LogIndex>> {
        self.applied.subscribe()
    }

    /// Applies an entry. Blocks.
    pub(crate) fn apply(&self, entry: &Entry) -> io::Result<Outcome> {
        let index = LogIndex(entry.log_id.index);
        if self.state().applied.is_some_and(|applied| applied.index >= index.0) {
            return Ok(Outcome::Passed);
        }
        let outcome = match &entry.payload {
            EntryPayload::Normal(command) => {
                self.machine.apply(index, &command.payload).map_err(io::Error::other)?
            }
            EntryPayload::Blank | EntryPayload::Membership(_) => {
                self.machine.pass(index);
                Outcome::Passed
            }
        };
        let mut state = self.state();
        state.applied = Some(entry.log_id);
        if let EntryPayload::Membership(membership) = &entry.payload {
            let stored = StoredMembership::new(Some(entry.log_id), membership.clone());
            state.remember(stored);
        }
        Ok(outcome)
    }

    /// Whether applying these entries, with what follows from it, takes a moment and no disk.
    pub(crate) fn is_brief(&self, entries: &[Entry]) -> bool {
        let saved = self.state().saved.as_ref().map(|saved| LogIndex(saved.log_id.index));
        let mut bytes = 0;
        let mut is_brief = |entry: &Entry| match &entry.payload {
            EntryPayload::Normal(command) => {
                bytes += command.payload.len() + APPLY_RECORD_BYTES;
                bytes <= APPLY_AT_ONCE_BYTES_MAX && self.machine.is_brief(&command.payload)
            }
            EntryPayload::Blank | EntryPayload::Membership(_) => true,
        };
        // The position of a cut that is not written down may have to be read.
        saved >= self.machine.cut() && entries.iter().all(&mut is_brief)
    }

    /// Lets those go on who wait for what was applied.
    pub(crate) fn announce(&self) {
        let applied = self.state().applied.map(|id| LogIndex(id.index));
        self.applied.send_if_modified(|known| std::mem::replace(known, applied) != applied);
    }

    /// The position of the machine's cut, if it is not the one that is written down. Blocks.
    pub(crate) fn unsaved_position(&self) -> io::Result<Option<Position>> {
        let Some(cut) = self.machine.cut() else { return Ok(None) };
        let saved = self.state().saved.as_ref().map(|saved| LogIndex(saved.log_id.index));
        if saved >= Some(cut) { Ok(None) } else { self.position_at(cut) }
    }

    /// The position of a cut; nothing if too much was forgotten since. Blocks.
    pub(crate) fn position_at(&self, cut: LogIndex) -> io::Result<Option<Position>> {
        let (log_id, membership) = {
            let state = self.state();
            if let Some(saved) = state.saved.as_ref().filter(|saved| saved.log_id.index == cut.0) {
                return Ok(Some(saved.clone()));
            }
            let applied = state.applied.filter(|applied| applied.index == cut.0);
            let is_there =
                |stored: &&StoredMembership| stored.log_id().is_none_or(|id| id.index <= cut.0);
            let membership = state.memberships.iter().rev().find(is_there).cloned();
            let none_yet = || (!state.has_forgotten).then(StoredMembership::default);
            (applied, membership.or_else(none_yet))
        };
        let from_log = || {
            let record = self.handle.record(cut)?;
            record.map(|record| record::log_id(&record)).transpose().map_err(damaged)
        };
        let log_id = if log_id.is_some() { log_id } else { from_log()? };
        Ok(log_id.zip(membership).map(|(log_id, membership)| Position { log_id, membership }))
    }

    /// Writes a position down. What is submitted to the log afterwards becomes durable after it.
    pub(crate) async fn save(&self, pass: &Pass, position: Position) -> io::Result<()> {
        let value = position::encode_position(&position).map_err(damaged)?;
        let operation = Operation::PutState { group: self.handle.group, slot: POSITION, value };
        self.handle.submit_unwatched(pass, operation).await?;
        let mut state = self.state();
        let older = |saved: &Position| saved.log_id < position.log_id;
        if state.saved.as_ref().is_none_or(older) {
            state.saved = Some(position);
        }
        Ok(())
    }

    /// Writes down where an installation will lead.
    pub(crate) async fn announce_install(&self, pass: &Pass, to: &Position) -> io::Result<()> {
        let value = position::encode_position(to).map_err(damaged)?;
        let operation = Operation::PutState { group: self.handle.group, slot: INSTALLING, value };
        self.handle.submit_durably(pass, operation).await
    }

    /// The machine is at a position that it did not reach by applying.
    pub(crate) fn jump(&self, to: &Position) {
        let mut state = self.state();
        state.applied = Some(to.log_id);
        state.memberships = vec![to.membership.clone()];
        // What was in force before is not asked for any more, and not known.
        state.has_forgotten = true;
        drop(state);
        self.announce();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, stored: StoredMembership) {
        self.memberships.push(stored);
        if self.memberships.len() > MEMBERSHIPS_REMEMBERED_MAX {
            self.memberships.remove(0);
            self.has_forgotten = true;
        }
    }
}

/// The position of the machine's cut: written down, or read from the log behind an older one.
fn position_after_start(handle: &LogHandle, cut: LogIndex) -> io::Result<Position> {
    let LogHandle { group, log, .. } = handle;
    let load = |slot| position::load(log.as_ref(), *group, slot, position::decode_position);
    let written = [load(POSITION).map_err(damaged)?, load(INSTALLING).map_err(damaged)?];
    let base = written
        .into_iter()
        .flatten()
        .filter(|position| position.log_id.index <= cut.0)
        .max_by_key(|position| position.log_id.index);
    let (mut next, mut membership, mut log_id) = match base {
        Some(base) if base.log_id.index == cut.0 => return Ok(base),
        Some(base) => (base.log_id.index.saturating_add(1), base.membership, None),
        None => (0, StoredMembership::default(), None),
    };
    while next <= cut.0 {
        let range = LogIndex(next)..cut.next();
        let records = log.read(*group, range, APPEND_BYTES_MAX).map_err(failed)?;
        if records.first().is_none_or(|(index, _)| next != 0 && index.0 != next) {
            return Err(invalid("the log lacks entries up to the machine's cut"));
        }
        for (index, bytes) in records {
            let entry = record::decode(&bytes).map_err(damaged)?;
            log_id = Some(entry.log_id);
            if let EntryPayload::Membership(found) = entry.payload {
                membership = StoredMembership::new(log_id, found);
            }
            next = index.0.saturating_add(1);
        }
    }
    let log_id = log_id.filter(|id| id.index == cut.0);
    let log_id = log_id.ok_or_else(|| invalid("the machine's cut is not in the log"))?;
    Ok(Position { log_id, membership })
}

/// Whether the log of a group reaches up to a machine's cut, or says how the machine came there.
/// If it does neither, its end was lost.
pub fn reaches(log: &Arc<dyn LogEngine>, group: GroupId, cut: LogIndex) -> bool {
    let handle = LogHandle::new(group, Arc::clone(log), Blocking::Inline);
    let lacks = |error: io::Error| error.kind() == io::ErrorKind::InvalidData;
    !position_after_start(&handle, cut).is_err_and(lacks)
}

/// What the log holds of a group: up to where it goes, and the last vote. Blocks.
pub fn held_by(log: &Arc<dyn LogEngine>, group: GroupId) -> io::Result<Seen> {
    let load_id = |slot| position::load(log.as_ref(), group, slot, position::decode_log_id);
    let load_position = |slot| position::load(log.as_ref(), group, slot, position::decode_position);
    let vote = position::load(log.as_ref(), group, position::VOTE, position::decode_vote);
    let handle = LogHandle::new(group, Arc::clone(log), Blocking::Inline);
    let last = log.bounds(group).last.map(|last| handle.record(last)).transpose()?.flatten();
    let last = last.map(|record| record::log_id(&record)).transpose().map_err(damaged)?;
    let purged = load_id(position::PURGED).map_err(damaged)?.flatten();
    let cut = load_position(POSITION).map_err(damaged)?.map(|position| position.log_id);
    let last = last.max(purged).max(cut);
    Ok(Seen {
        last: last.as_ref().map(LogPosition::from_log_id),
        voted: vote.map_err(damaged)?.map_or(0, |vote| vote.leader_id.term),
    })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use openraft::vote::RaftLeaderId as _;
    use storage::log::{MemoryLog, StateSlot};

    use super::*;
    use crate::raft::suite::Counter;
    use crate::raft::types::{Command, Host, LeaderId, Membership};

    const GROUP: GroupId = GroupId(4);

    fn id(index: u64) -> LogId {
        LogId::new(LeaderId::new(2, 1), index)
    }

    fn membership(replica: u64) -> Membership {
        let nodes = BTreeMap::from([(replica, Host::default())]);
        Membership::new(vec![BTreeSet::from([replica])], nodes).unwrap()
    }

    fn position(index: u64, replica: u64, since: u64) -> Position {
        let membership = StoredMembership::new(Some(id(since)), membership(replica));
        Position { log_id: id(index), membership }
    }

    /// A log of blanks from 1 to 9, but for a membership at 5.
    fn log(slots: &[(StateSlot, Position)], purged: Option<u64>) -> LogHandle {
        let log = MemoryLog::new();
        for index in 1..10 {
            let payload = match index {
                5 => EntryPayload::Membership(membership(77)),
                _ => EntryPayload::Blank,
            };
            let record = record::encode(&Entry { log_id: id(index), payload }).unwrap();
            log.append(GROUP, vec![(LogIndex(index), record)], Box::new(drop)).unwrap();
        }
        for (slot, position) in slots {
            let value = position::encode_position(position).unwrap();
            log.put_state(GROUP, *slot, value, Box::new(drop)).unwrap();
        }
        if let Some(upto) = purged {
            log.purge(GROUP, LogIndex(upto), Box::new(drop)).unwrap();
        }
        LogHandle::new(GROUP, Arc::new(log), Blocking::Inline)
    }

    fn applied(handle: LogHandle, cut: u64) -> io::Result<(Option<LogId>, StoredMembership)> {
        let machine = Arc::new(Counter::at(LogIndex(cut)));
        Standing::open(handle, machine).map(|standing| standing.applied())
    }

    #[test]
    fn a_cut_that_was_written_down_is_found() {
        let handle = log(&[(POSITION, position(6, 77, 5))], Some(6));
        let (log_id, membership) = applied(handle, 6).unwrap();
        assert_eq!((log_id, membership), (Some(id(6)), position(6, 77, 5).membership));
    }

    #[test]
    fn a_cut_ahead_of_what_was_written_down_is_read_from_the_log() {
        for (base, cut, replica, since) in [(3, 4, 1, 0), (3, 8, 77, 5), (3, 5, 77, 5)] {
            let handle = log(&[(POSITION, position(base, 1, 0))], Some(base));
            let (log_id, membership) = applied(handle, cut).unwrap();
            let expected = position(cut, replica, since).membership;
            assert_eq!((log_id, membership), (Some(id(cut)), expected), "cut {cut}");
        }
        let (log_id, membership) = applied(log(&[], None), 7).unwrap();
        assert_eq!((log_id, membership), (Some(id(7)), position(7, 77, 5).membership));
    }

    #[test]
    fn an_installation_counts_if_the_machine_has_done_it() {
        let slots = [(POSITION, position(6, 77, 5)), (INSTALLING, position(40, 9, 30))];
        let (log_id, membership) = applied(log(&slots, Some(6)), 40).unwrap();
        assert_eq!((log_id, membership), (Some(id(40)), position(40, 9, 30).membership));
        let (log_id, _) = applied(log(&slots, Some(6)), 6).unwrap();
        assert_eq!(log_id, Some(id(6)), "it was announced, and did not happen");
    }

    #[test]
    fn what_is_small_and_needs_no_disk_is_brief() {
        let machine = Arc::new(Counter::at(LogIndex(6)));
        let slots = [(POSITION, position(6, 77, 5))];
        let standing = Standing::open(log(&slots, Some(6)), Arc::clone(&machine) as _).unwrap();
        let entry = |index, payload| Entry { log_id: id(index), payload };
        let normal = |index, bytes: &[u8]| {
            entry(index, EntryPayload::Normal(Command::new(Bytes::copy_from_slice(bytes))))
        };
        let full = vec![0; APPLY_AT_ONCE_BYTES_MAX - APPLY_RECORD_BYTES];
        assert!(standing.is_brief(&[normal(7, &full), entry(8, EntryPayload::Blank)]));
        assert!(!standing.is_brief(&[normal(7, &full), normal(8, b"")]), "too much of it");
        assert!(!standing.is_brief(&[normal(7, b"short"), normal(8, b"long")]));
        machine.pass(LogIndex(7));
        machine.checkpoint().unwrap();
        assert!(!standing.is_brief(&[normal(8, b"short")]), "a position is to be written down");
    }

    #[test]
    fn a_log_whose_end_was_lost_is_told_from_one_that_was_jumped_over() {
        let reaches = |handle: LogHandle, cut| super::reaches(&handle.log, GROUP, LogIndex(cut));
        assert!(reaches(log(&[], None), 9));
        assert!(!reaches(log(&[], None), 10));
        let slots = [(POSITION, position(6, 77, 5)), (INSTALLING, position(40, 9, 30))];
        assert!(reaches(log(&slots, Some(6)), 40));
        assert!(!reaches(log(&slots, Some(6)), 41));
    }

    #[test]
    fn a_machine_and_a_log_that_do_not_fit_are_refused() {
        applied(log(&[], None), 12).unwrap_err();
        applied(log(&[(POSITION, position(3, 1, 0))], Some(6)), 8).unwrap_err();
        let empty = Arc::new(Counter::default());
        Standing::open(log(&[], Some(6)), empty).unwrap_err();
    }
}
