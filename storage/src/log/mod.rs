//! The one log of a node: entries, votes and purge marks of all its groups in one stream of
//! segment files, written by one thread, many waiters to one sync.
//!
//! The log knows groups ([`GroupId`]) and indexes ([`LogIndex`]); an entry is bytes. It does not
//! know what a group agrees on, nor what a batch is. [`LogEngine`] is the contract; [`SegmentLog`]
//! keeps it on a disk behind [`Env`](crate::env::Env), [`MemoryLog`] in memory.
//!
//! Invariants:
//! - DUR-3: what was reported done is found again after a power loss, in the order it was
//!   submitted, over all groups; what follows the last confirmed frame may be there or not, but
//!   only as a prefix of what was submitted.
//! - A frame says up to where the frames before it were synced. Damage below such a point is
//!   corruption and stops the start with file and offset; only the frames after the last such
//!   point may be a torn tail, which is cut off and reported.
//! - A segment gets its name only when its header is synced, and a file is removed only after the
//!   frame that announces it is confirmed.
//! - After one failed write or sync nothing more is written, and every caller gets the error.
//!
//! The layout stands to the byte in `docs/formats/log-v1.md`.
//!
//! What is absent on purpose: nothing that was appended is overwritten, truncated or used again,
//! but by [`salvage()`], which somebody decided on; no segment is compressed (entries are
//! compressed batches already); no read goes through the writer.

mod id;

mod error;

mod engine;

mod extent;
mod frame;
mod header;
mod index;
mod recover;
mod view;

mod memory;
mod open;
mod salvage;
mod segment;
mod segment_log;
mod shared;
mod spare;
mod state;
mod stats;
mod writer;

pub use engine::{Bounds, Done, LogEngine, Operation, Rejected};
pub use error::{Damage, LogError};
pub use id::{GroupId, LogIndex, SegmentNumber, StateSlot};
pub use memory::MemoryLog;
pub use open::{LogOptions, Progress, RecoveryReport, TornTail};
pub use recover::{SegmentSummary, check_segment};
pub use salvage::{Cut, salvage};
pub use segment_log::SegmentLog;
pub use stats::LogStats;
