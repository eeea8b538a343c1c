//! Which shard a trace belongs to.
//!
//! Invariant (PLC-1): the map from trace id to shard is a pure function of the ring epoch's shard
//! count. It is the same on every node, in every build, for ever: it hashes explicit bytes with a
//! fixed hash and depends on no type's layout.

mod ring;

pub use ring::Ring;
