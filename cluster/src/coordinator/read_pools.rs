//! Threads for reads, apart by what is asked.
//!
//! A trace that somebody opens must not wait for figures over a day: each kind of question has
//! threads of its own, as many as the machine has processors for each, and the system shares the
//! processors between those that have work.

use crate::pool::Pool;
use crate::wire::ReadOperation;

/// The pools.
#[derive(Debug)]
pub(crate) struct ReadPools {
    lookups: Pool,
    searches: Pool,
    figures: Pool,
}

impl ReadPools {
    /// Starts the threads, so many of each kind; without any, work is done where it is asked for.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        Ok(Self {
            lookups: Pool::new("lookup", threads)?,
            searches: Pool::new("search", threads)?,
            figures: Pool::new("figures", threads)?,
        })
    }

    /// Whose threads answer a question.
    pub(crate) fn of(&self, operation: &ReadOperation) -> &Pool {
        match operation {
            ReadOperation::Trace { .. }
            | ReadOperation::TraceColumns { .. }
            | ReadOperation::Spans { .. }
            | ReadOperation::Services
            | ReadOperation::Known { .. }
            | ReadOperation::Operations { .. } => &self.lookups,
            ReadOperation::Search { .. } => &self.searches,
            // Looks into all that a large trace carries: to open another one comes first.
            ReadOperation::Find { .. }
            | ReadOperation::Aggregate { .. }
            | ReadOperation::Keys { .. }
            | ReadOperation::Values { .. }
            | ReadOperation::Elsewhere { .. }
            | ReadOperation::Dependencies { .. } => &self.figures,
        }
    }

    /// The threads for what is done soon.
    pub(crate) fn lookups(&self) -> &Pool {
        &self.lookups
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use model::TimeRange;
    use model::TraceId;

    use super::*;

    #[tokio::test]
    async fn a_lookup_does_not_wait_for_figures() {
        let pools = ReadPools::new(1).unwrap();
        let figures = ReadOperation::Dependencies {
            window: TimeRange::ALL,
            without: std::collections::BTreeSet::new(),
        };
        let (let_go, held) = mpsc::sync_channel::<()>(1);
        for _ in 0..2 {
            pools.of(&figures).submit(|| ()).unwrap();
        }
        pools.of(&figures).submit(move || held.recv().unwrap_or_default()).unwrap();
        let lookup = ReadOperation::TraceColumns { trace_id: TraceId([1; 16]) };
        assert_eq!(pools.of(&lookup).run(|| 7).await.unwrap(), 7);
        drop(let_go);
    }
}
