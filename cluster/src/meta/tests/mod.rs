//! Tests of the cluster's own state: what commands do, and that their encoding is for ever.

mod commands;
mod encoding;

use model::{NodeId, Timestamp};
use storage::log::LogIndex;

use super::*;
use crate::identity::ClusterId;

pub(super) const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

pub(super) fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

pub(super) fn record(name: &str) -> NodeRecord {
    NodeRecord {
        name: name.to_owned(),
        addresses: vec![format!("{name}:7947")],
        zone: String::new(),
        version: 1,
    }
}

/// Nodes 1, 2, 3; two shards, each on all of them.
pub(super) fn founding() -> Founding {
    let nodes = [1, 2, 3].map(node);
    Founding {
        cluster_id: CLUSTER,
        cluster_version: 1,
        replication_factor: 3,
        nodes: nodes
            .iter()
            .map(|node| Founder { node: *node, record: record(&format!("n{}", node.0[0])) })
            .collect(),
        meta_voters: nodes.to_vec(),
        shards: vec![nodes.to_vec(), nodes.to_vec()],
    }
}

/// A state, and the index of the next command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) state: MetaState,
    pub(super) next: u64,
}

impl Log {
    /// A cluster that was just founded.
    pub(super) fn founded() -> Self {
        let mut log = Self { state: MetaState::default(), next: 1 };
        log.done(MetaCommand::Found { founding: founding(), at: Timestamp(5) });
        log
    }

    /// A founded cluster whose groups have been up.
    pub(super) fn formed() -> Self {
        let mut log = Self::founded();
        let groups: Vec<_> =
            log.state.groups().iter().map(|(id, group)| (*id, group.revision)).collect();
        for (group, expected) in groups {
            log.done(MetaCommand::GroupFormed { group, expected });
        }
        log
    }

    pub(super) fn apply(&mut self, command: &MetaCommand) -> MetaOutcome {
        let index = LogIndex(self.next);
        self.next += 1;
        self.state.apply(index, command)
    }

    /// Applies a command that must be taken.
    #[expect(clippy::needless_pass_by_value, reason = "most commands are made in place")]
    pub(super) fn done(&mut self, command: MetaCommand) -> Applied {
        match self.apply(&command) {
            MetaOutcome::Applied(applied) => applied,
            MetaOutcome::Refused(refusal) => panic!("{command:?}: {refusal}"),
        }
    }

    /// Applies a command that must be refused, and checks that it changed nothing.
    pub(super) fn refused(&mut self, command: &MetaCommand) -> Refusal {
        let before = self.state.clone();
        match self.apply(command) {
            MetaOutcome::Applied(_) => panic!("{command:?} was not refused"),
            MetaOutcome::Refused(refusal) => {
                let applied = self.state.applied();
                assert_eq!(
                    self.state,
                    MetaState { applied, ..before },
                    "a refusal changes nothing"
                );
                refusal
            }
        }
    }

    pub(super) fn join(&mut self, number: u8, name: &str) {
        let (node, record, at) = (node(number), record(name), Timestamp(9));
        self.done(MetaCommand::PutNode { node, record, at });
    }
}
