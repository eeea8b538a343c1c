//! The highest life of each peer that this node has seen, and what follows from another one.

use std::collections::BTreeMap;

use model::NodeId;

use crate::transport::Incarnation;

/// Nodes remembered: four times as many as a cluster may have, so that members are never the ones
/// to be forgotten while strangers come and go.
pub const NODES_SEEN_MAX: usize = 4 * crate::meta::limits::NODES_MAX;

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The life known so far, or the first one seen: handle it.
    Accept,
    /// The node was started again: handle it, and give up what belonged to the earlier life.
    Newer,
    /// From an earlier life: refuse it.
    RefuseOlder,
    /// Two processes claim the same life, and this is the one seen later: refuse it, tell it why,
    /// and raise the alarm here and at the one seen first.
    RefuseClash {
        /// The life that was seen first.
        first: Incarnation,
    },
}

impl Verdict {
    /// Whether the packet is to be handled.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accept | Self::Newer)
    }
}

/// The highest incarnation of each node, as one peer has seen them.
///
/// Bounded by [`NODES_SEEN_MAX`]: for a new node, the one not seen for longest is forgotten.
#[derive(Debug, Default, Clone)]
pub struct IncarnationTable {
    seen: BTreeMap<NodeId, Seen>,
    /// Counts observations, to know which node was seen when.
    observations: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    highest: Incarnation,
    observation: u64,
}

impl IncarnationTable {
    /// Judges a packet from `incarnation` of `node`, and remembers it if it is accepted.
    pub fn observe(&mut self, node: NodeId, incarnation: Incarnation) -> Verdict {
        self.observations = self.observations.saturating_add(1);
        let known = self.seen.get(&node).map(|seen| seen.highest);
        let verdict = match known {
            None => {
                self.make_room();
                Verdict::Accept
            }
            Some(first) if first.start == incarnation.start => {
                if first.nonce == incarnation.nonce {
                    Verdict::Accept
                } else {
                    Verdict::RefuseClash { first }
                }
            }
            Some(highest) if incarnation.start > highest.start => Verdict::Newer,
            Some(_) => Verdict::RefuseOlder,
        };
        if verdict.is_accepted() {
            let observation = self.observations;
            self.seen.insert(node, Seen { highest: incarnation, observation });
        }
        verdict
    }

    /// The highest life of a node seen so far.
    pub fn highest(&self, node: NodeId) -> Option<Incarnation> {
        self.seen.get(&node).map(|seen| seen.highest)
    }

    /// How many nodes are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no node was seen.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Forgets the node not seen for longest if another would be one too many.
    fn make_room(&mut self) {
        if self.seen.len() < NODES_SEEN_MAX {
            return;
        }
        let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.observation);
        if let Some(node) = oldest.map(|(node, _)| *node) {
            self.seen.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([7; 16]);

    fn life(start: u64, nonce: u64) -> Incarnation {
        Incarnation { start, nonce }
    }

    #[test]
    fn rule_7_1_a_lower_incarnation_is_refused() {
        let mut table = IncarnationTable::default();
        assert_eq!(table.observe(NODE, life(3, 1)), Verdict::Accept);
        assert_eq!(table.observe(NODE, life(3, 1)), Verdict::Accept);
        assert_eq!(table.observe(NODE, life(5, 2)), Verdict::Newer);
        assert_eq!(table.observe(NODE, life(3, 1)), Verdict::RefuseOlder);
        assert_eq!(table.observe(NODE, life(4, 9)), Verdict::RefuseOlder);
        assert_eq!(table.highest(NODE), Some(life(5, 2)), "what is refused leaves no trace");
    }

    #[test]
    fn rule_7_1_an_equal_incarnation_with_another_nonce_refuses_the_later() {
        let mut table = IncarnationTable::default();
        assert_eq!(table.observe(NODE, life(3, 1)), Verdict::Accept);
        assert_eq!(table.observe(NODE, life(3, 2)), Verdict::RefuseClash { first: life(3, 1) });
        assert_eq!(table.observe(NODE, life(3, 1)), Verdict::Accept, "the first one stays");
    }

    #[test]
    fn rule_7_1_each_node_is_judged_alone() {
        let mut table = IncarnationTable::default();
        assert_eq!(table.observe(NODE, life(9, 1)), Verdict::Accept);
        assert_eq!(table.observe(NodeId([8; 16]), life(1, 1)), Verdict::Accept);
    }

    #[test]
    fn strangers_push_out_strangers_not_who_speaks() {
        let mut table = IncarnationTable::default();
        table.observe(NODE, life(9, 1));
        for number in 0..u64::try_from(NODES_SEEN_MAX).unwrap() * 2 {
            let mut id = [1; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            table.observe(NodeId(id), life(1, 1));
            table.observe(NODE, life(9, 1));
            assert!(table.len() <= NODES_SEEN_MAX);
        }
        assert_eq!(table.observe(NODE, life(8, 1)), Verdict::RefuseOlder);
    }
}
