//! A process that is not its node any more: others speak with a later life of it.
//!
//! It happens when a data directory was copied and both copies run. Peers speak with the later life
//! and refuse the earlier one, each by itself; a process that a majority of them refuses would go
//! on answering clients from what it knew, so it ends instead. One peer's word is not enough: it
//! may be the one that is mistaken.

use std::collections::BTreeMap;
use std::fmt;

use model::NodeId;

use super::handle::Shared;
use crate::meta::MetaState;
use crate::transport::{Incarnation, Peer};

/// Is told that this process is not its node any more. Production ends the process.
pub type DisownedHook = std::sync::Arc<dyn Fn(&Disowned) + Send + Sync>;

/// Why a process is not its node any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disowned {
    /// The node, and the life of it that this process is.
    pub own: Peer,
    /// The life that others speak with: the latest one, if they differ.
    pub known: Incarnation,
    /// How many members say so.
    pub by: usize,
    /// Of how many others.
    pub of: usize,
}

impl fmt::Display for Disowned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, known, by, of } = self;
        let Incarnation { start, .. } = own.incarnation;
        write!(
            formatter,
            "another process runs with the identity of this node, {}: {by} of the {of} other \
             members speak with its start {}, and refuse this process, its start {start}. Was the \
             data directory copied? Only one of them may run",
            own.node, known.start
        )
    }
}

/// Whether a majority of the other members refuses this process.
pub(crate) fn disowned(
    own: Peer,
    state: &MetaState,
    refusals: &BTreeMap<NodeId, Incarnation>,
) -> Option<Disowned> {
    let others: Vec<NodeId> =
        state.present().map(|(node, _)| node).filter(|node| *node != own.node).collect();
    let known: Vec<Incarnation> =
        others.iter().filter_map(|node| refusals.get(node).copied()).collect();
    let (by, of) = (known.len(), others.len());
    let known = known.into_iter().max_by_key(|known| known.start)?;
    (by > of / 2).then_some(Disowned { own, known, by, of })
}

impl Shared {
    /// Whether a majority of the other members refuses this process.
    pub(super) fn disowned(&self, state: &MetaState) -> Option<Disowned> {
        let identity = self.identity.as_ref()?;
        disowned(identity.peer, state, &identity.refusals())
    }

    /// Ends this process. The other one has spoken from another log, under the ids of the replicas
    /// here, so the next start gives them up (REP-3).
    pub(super) async fn give_way(&self, disowned: &Disowned) {
        let durable = self.durable.clone();
        let noted = self.blocking.run(move || durable.set_disowned(true)).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::error!(?noted, "it cannot be noted that another process ran as this node");
        }
        (self.on_disowned)(disowned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::give_up::tests::formed;

    const OWN: NodeId = NodeId([1; 16]);

    fn verdict(nodes: u8, refused_by: &[u8]) -> Option<Disowned> {
        let ids: Vec<NodeId> = (1..=nodes).map(|number| NodeId([number; 16])).collect();
        let own = Peer { node: OWN, incarnation: Incarnation { start: 4, nonce: 1 } };
        let known = |number: &u8| {
            (NodeId([*number; 16]), Incarnation { start: 4 + u64::from(*number), nonce: 2 })
        };
        disowned(own, &formed(&ids), &refused_by.iter().map(known).collect())
    }

    #[test]
    fn a_majority_of_the_others_ends_a_process_and_less_does_not() {
        for (nodes, refused_by, ends) in [
            (1, &[][..], false),
            (2, &[][..], false),
            (2, &[2], true),
            (3, &[2], false),
            (3, &[2, 3], true),
            (5, &[2, 3], false),
            (5, &[2, 3, 5], true),
            // Who is no member has no say.
            (3, &[2, 8, 9], false),
        ] {
            let found = verdict(nodes, refused_by);
            assert_eq!(found.is_some(), ends, "{nodes} nodes, refused by {refused_by:?}");
        }
        let found = verdict(3, &[2, 3]).unwrap();
        assert_eq!((found.known.start, found.by, found.of), (7, 2, 2));
        let text = found.to_string();
        assert!(text.contains("2 of the 2") && text.contains("data directory copied"), "{text}");
    }
}
