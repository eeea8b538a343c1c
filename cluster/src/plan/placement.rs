//! Where the replicas of shards should lie: the ring proposes, the bounded pass decides.
//!
//! Each shard takes as many nodes as it has replicas: those that hold it already, then those that
//! the ring would like best, in zones of their own as far as possible, and none above the cap (the
//! mean, rounded up, and one more). What chance leaves uneven, [`next_move`] evens out one replica
//! at a time: the cap comes before zones, and zones before evenness.
//!
//! Invariants: a shard never lies twice on a node; the answer is a function of its input; no node
//! is filled above the cap while another is below it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model::{NodeId, ShardId};

use super::node_ring::NodeRing;

/// A node as a place for replicas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// What may fail together with it; a node without a zone is one of its own.
    pub zone: String,
    /// Whether it may be given more than it holds.
    pub takes_more: bool,
}

impl Site {
    /// Tells zones apart, nodes without one included.
    fn zone_key(&self) -> (&str, Option<NodeId>) {
        let own = if self.zone.is_empty() { Some(self.node) } else { None };
        (&self.zone, own)
    }
}

/// The nodes of each shard.
pub type Placement = BTreeMap<ShardId, Vec<NodeId>>;

/// One replica that should lie elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Its shard.
    pub shard: ShardId,
    /// Where it lies.
    pub from: NodeId,
    /// Where it should lie.
    pub to: NodeId,
}

/// Places the shards in `wanted` on `factor` nodes each, as far as there are so many. `wanted`
/// names the nodes that hold each already; `others` are shards that stay where they are and count
/// as load.
pub fn place(sites: &[Site], factor: usize, wanted: &Placement, others: &Placement) -> Placement {
    let ring = NodeRing::new(sites.iter().map(|site| site.node));
    let replicas = wanted.len() * factor + others.values().map(Vec::len).sum::<usize>();
    let cap = cap(sites, replicas);
    let mut loads = loads(sites, others);
    let mut placed = Placement::new();
    // Who holds a shard keeps it before anybody is given another one.
    for only_present in [true, false] {
        for (shard, present) in wanted {
            let order = ring.order(*shard);
            let nodes = placed.entry(*shard).or_default();
            while nodes.len() < factor {
                let load = |node: NodeId| loads.get(&node).copied().unwrap_or_default();
                let takes = |node| find(sites, node).is_some_and(|site| site.takes_more);
                let fit = |node: &&NodeId| {
                    let is_present = present.contains(*node) && load(**node) < cap;
                    let is_fit = is_present || (!only_present && takes(**node));
                    is_fit && !nodes.contains(*node)
                };
                let rank = |node: &&NodeId| {
                    // A full node is the last resort, then the emptiest of the full ones.
                    let excess = (load(**node) + 1).saturating_sub(cap);
                    let place = order.iter().position(|other| other == *node);
                    (excess, repeats_with(sites, nodes, **node), place)
                };
                let Some(node) = order.iter().filter(fit).min_by_key(rank).copied() else { break };
                *loads.entry(node).or_default() += 1;
                nodes.push(node);
            }
        }
    }
    level(sites, &ring, placed, wanted, others)
}

/// Evens out what was placed anew; what was present stays.
fn level(
    sites: &[Site],
    ring: &NodeRing,
    mut placed: Placement,
    wanted: &Placement,
    others: &Placement,
) -> Placement {
    let may_move = |shard: ShardId, from: NodeId, _to: NodeId| {
        wanted.get(&shard).is_some_and(|present| !present.contains(&from))
    };
    let bound = placed.values().map(Vec::len).sum::<usize>().pow(2);
    for _ in 0..bound {
        let mut all = others.clone();
        all.extend(placed.clone());
        let Some(next) = next_move_on(sites, ring, &all, &may_move) else { break };
        let nodes = placed.entry(next.shard).or_default();
        nodes.retain(|node| *node != next.from);
        nodes.push(next.to);
    }
    placed
}

/// The one move that helps most: a replica off a node above the cap; else one out of a zone that
/// its shard has twice; else one from the fullest node to the emptiest, if that evens out anything.
/// `may_move` can forbid moves.
///
/// Moves come to an end: what is above the cap shrinks or stays; with it the same, the zones that
/// shards have twice do; with those the same, the squares of the loads shrink.
pub fn next_move(
    sites: &[Site],
    placement: &Placement,
    may_move: &dyn Fn(ShardId, NodeId, NodeId) -> bool,
) -> Option<Move> {
    let ring = NodeRing::new(sites.iter().map(|site| site.node));
    next_move_on(sites, &ring, placement, may_move)
}

fn next_move_on(
    sites: &[Site],
    ring: &NodeRing,
    placement: &Placement,
    may_move: &dyn Fn(ShardId, NodeId, NodeId) -> bool,
) -> Option<Move> {
    let loads = loads(sites, placement);
    let load = |node: NodeId| loads.get(&node).copied().unwrap_or_default();
    let cap = cap(sites, placement.values().map(Vec::len).sum());
    let mut best = None;
    for (shard, nodes) in placement {
        let repeats = repeats(sites, nodes);
        let sources = nodes.iter().filter_map(|node| find(sites, *node));
        for from in sources.map(|site| site.node) {
            let kept: Vec<NodeId> = nodes.iter().copied().filter(|node| *node != from).collect();
            let targets = sites.iter().filter(|site| site.takes_more);
            for to in targets.map(|site| site.node).filter(|node| !nodes.contains(node)) {
                let after = repeats_with(sites, &kept, to);
                let relieves = load(from) > cap && load(to) < cap;
                let spreads = after < repeats && load(to) < cap;
                let evens = after <= repeats && load(from) >= load(to) + 2;
                if !(relieves || spreads || evens) || !may_move(*shard, from, to) {
                    continue;
                }
                let worse = after.saturating_sub(repeats);
                let gain = (!relieves, !spreads, worse, Reverse(load(from)), load(to));
                // The ring is asked only among equals: it is the dearest of the questions.
                let next = Move { shard: *shard, from, to };
                let is_better = match &best {
                    None => true,
                    Some((other, _)) if gain != *other => gain < *other,
                    Some((_, other)) => preference(ring, next) < preference(ring, *other),
                };
                if is_better {
                    best = Some((gain, next));
                }
            }
        }
    }
    best.map(|(_, next)| next)
}

/// Among equal moves: to where the ring wants the shard most, then the first shard.
fn preference(ring: &NodeRing, next: Move) -> (usize, ShardId, NodeId) {
    let order = ring.order(next.shard);
    let place = order.iter().position(|node| *node == next.to).unwrap_or(usize::MAX);
    (place, next.shard, next.from)
}

/// How many replicas a node should have at most.
fn cap(sites: &[Site], replicas: usize) -> usize {
    replicas.div_ceil(sites.len().max(1)) + 1
}

fn loads(sites: &[Site], placement: &Placement) -> BTreeMap<NodeId, usize> {
    let mut loads: BTreeMap<NodeId, usize> = sites.iter().map(|site| (site.node, 0)).collect();
    for node in placement.values().flatten() {
        *loads.entry(*node).or_default() += 1;
    }
    loads
}

fn find(sites: &[Site], node: NodeId) -> Option<&Site> {
    sites.iter().find(|site| site.node == node)
}

/// How many replicas share a zone with an earlier one.
pub(crate) fn repeats(sites: &[Site], nodes: &[NodeId]) -> usize {
    let known: Vec<&Site> = nodes.iter().filter_map(|node| find(sites, *node)).collect();
    let zones: BTreeSet<_> = known.iter().map(|site| site.zone_key()).collect();
    known.len() - zones.len()
}

/// The same if `node` came in addition.
pub(crate) fn repeats_with(sites: &[Site], nodes: &[NodeId], node: NodeId) -> usize {
    let mut all = nodes.to_vec();
    all.push(node);
    repeats(sites, &all)
}
