//! A small ordered key-value store: the manifest, the node's identity, marks, catalogs.
//!
//! [`Kv`] is the contract; [`RocksKv`] keeps it on a disk, [`MemoryKv`] in memory, for tests and
//! for nodes with ephemeral data. Both pass the same script of tests.
//!
//! Invariants:
//! - a batch of writes is there whole or not at all, also after a crash;
//! - a write is durable only after a later [`Kv::flush`] returned: there is no write-ahead log,
//!   because the node's one log is elsewhere and this is never the only home of an acked span;
//! - after a crash, what is there is what some prefix of the batches made of it.

mod engine;
mod error;
#[cfg(any(test, feature = "testing"))]
mod fault;
mod memory;
mod rocks;

pub use engine::{Family, Kv, Pair, Visitor, WriteBatch, WriteOperation, read_all};
pub use error::KvError;
#[cfg(any(test, feature = "testing"))]
pub use fault::FaultKv;
pub use memory::MemoryKv;
pub use rocks::RocksKv;

#[cfg(test)]
mod tests;
