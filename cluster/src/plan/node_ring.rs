//! The ring over nodes: in which order a shard would like to lie on them.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::HashRing;
use model::{NodeId, ShardId};
use twox_hash::XxHash3_64;

use super::limits::POINTS_PER_NODE;

/// Proposes an order of nodes for each shard; adding or removing a node changes few orders.
pub(crate) struct NodeRing {
    ring: HashRing<Point, FixedHash>,
    points: usize,
}

impl NodeRing {
    pub(crate) fn new(nodes: impl Iterator<Item = NodeId>) -> Self {
        let mut ring = HashRing::with_hasher(FixedHash);
        let points: Vec<Point> = nodes
            .flat_map(|node| (0..POINTS_PER_NODE).map(move |number| Point { node, number }))
            .collect();
        let count = points.len();
        ring.batch_add(points);
        Self { ring, points: count }
    }

    /// Every node once, the one the shard would like best first.
    pub(crate) fn order(&self, shard: ShardId) -> Vec<NodeId> {
        // Asked for `n` replicas, the ring gives the first point and `n` more.
        let others = self.points.saturating_sub(1);
        let points = self.ring.get_with_replicas(&Key(shard), others).unwrap_or_default();
        let mut order: Vec<NodeId> = Vec::new();
        for point in points {
            if !order.contains(&point.node) {
                order.push(point.node);
            }
        }
        order
    }
}

impl fmt::Debug for NodeRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NodeRing").field("points", &self.points).finish_non_exhaustive()
    }
}

/// A point of a node on the ring.
#[derive(Debug, Clone, Copy)]
struct Point {
    node: NodeId,
    number: u32,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.node.as_bytes());
        state.write(&self.number.to_be_bytes());
    }
}

struct Key(ShardId);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0.0.to_be_bytes());
    }
}

/// xxh3 without a seed over exactly the bytes written: two builds propose the same.
#[derive(Clone, Copy)]
struct FixedHash;

impl BuildHasher for FixedHash {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher { bytes: [0; KEY_BYTES_MAX], length: 0 }
    }
}

/// A node id and the number of a point.
const KEY_BYTES_MAX: usize = 20;

/// Collects the few bytes that a key has and hashes them at once.
struct FixedHasher {
    bytes: [u8; KEY_BYTES_MAX],
    length: usize,
}

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn finish(&self) -> u64 {
        XxHash3_64::oneshot(self.bytes.get(..self.length).unwrap_or_default())
    }
}
