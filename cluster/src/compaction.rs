//! Compaction on request: everything that upkeep would do in time is done now.
//!
//! Whoever asks leaves a note; the upkeep thread, which alone seals and merges, takes it up between
//! two pieces of its work and says how far it is. Asking while one runs asks for nothing more than
//! that one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::admin::CompactionStatus;
use storage::shard::Sealed;

/// The note between those who ask and the thread that works.
#[derive(Debug, Default)]
pub struct Compaction {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_asked: bool,
    status: CompactionStatus,
}

impl Compaction {
    /// Asks for one, unless one is asked for or running; says how that stands.
    pub fn ask(&self) -> CompactionStatus {
        let mut state = self.lock();
        if !state.is_asked && !state.status.is_running {
            state.is_asked = true;
            let runs = state.status.runs;
            state.status = CompactionStatus { is_running: true, runs, ..Default::default() };
        }
        state.status.clone()
    }

    /// How the one that runs, or the last one, stands.
    pub fn status(&self) -> CompactionStatus {
        self.lock().status.clone()
    }

    /// Takes the note, if there is one.
    pub(crate) fn take(&self, shards: u64) -> bool {
        let mut state = self.lock();
        let is_asked = std::mem::take(&mut state.is_asked);
        if is_asked {
            state.status.shards = shards;
        }
        is_asked
    }

    pub(crate) fn add(&self, what: Work, done: Option<Sealed>) -> bool {
        let Some(done) = done else { return false };
        let mut state = self.lock();
        let status = &mut state.status;
        match what {
            Work::Seal => status.sealed_spans += done.spans,
            Work::Merge => status.merged_spans += done.spans,
        }
        status.written_bytes += done.bytes;
        true
    }

    pub(crate) fn shard_done(&self) {
        self.lock().status.shards_done += 1;
    }

    pub(crate) fn finish(&self, failure: Option<String>) {
        let mut state = self.lock();
        state.status.is_running = false;
        state.status.runs += 1;
        state.status.failure = failure;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Seal,
    Merge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runs_at_a_time_and_is_remembered() {
        let compaction = Compaction::default();
        assert!(!compaction.take(2), "nobody asked");
        assert!(compaction.ask().is_running);
        assert!(compaction.take(2) && !compaction.take(2));
        assert!(compaction.ask().is_running && !compaction.take(2), "one is running");
        let done = Sealed { spans: 5, bytes: 7, blocks: 1, ..Sealed::default() };
        assert!(compaction.add(Work::Seal, Some(done)) && !compaction.add(Work::Merge, None));
        compaction.finish(None);
        let status = compaction.status();
        assert_eq!((status.sealed_spans, status.written_bytes, status.runs), (5, 7, 1));
        assert!(!status.is_running && compaction.ask().is_running);
    }
}
