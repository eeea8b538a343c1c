//! Disk only: the log, the head and the shards of one node.
//!
//! What this crate promises: what it reported durable survives a power loss; what it returns is
//! what was written, or an error that names the file and the offset; nothing on a disk makes it
//! panic. It knows files, groups, indexes, bytes and columns. It does not know a socket, a runtime,
//! Raft, a peer or a protocol, it takes the clock as an argument, and it reaches the file system
//! through [`env::Env`] alone, so that every write and every sync can be made to fail in a test.

pub mod block;
pub mod entry;
pub mod env;
pub mod error;
mod keys;
pub mod kv;
pub mod limits;
pub mod log;
pub mod meta;
pub mod mutant;
pub mod shard;
pub mod space;

pub use error::Error;
pub use shard::Shard;
pub use space::{Space, SpaceMark};
