//! One shard of a node: applies the committed entries of its group, answers queries.
//!
//! ```text
//!   log (batches, as they were replicated)
//!    |  apply: in order, deterministic                      reads: by id, search, figures
//!    v                                                                |
//!   head: per tenant, batches -> places in the log,        <----------+
//!         traces -> batches, services, operations                     |
//!                                                          cache: unpacked indexes, values
//! ```
//!
//! The committed batch is level 0 of storage: it is not copied out of the log. The head holds what
//! finds a batch and a trace; what is in a batch is read from the log and unpacked when asked for.
//!
//! Invariants:
//! - contents are a function of the applied entries (REP-2);
//! - contents are a set: rows of repeated requests are marked and skipped, other repeats are found
//!   when a trace is assembled;
//! - answers equal those of `model`'s reference evaluator over the distinct spans (QRY-1): an index
//!   may rule a trace out, it never ranks parts of a trace in the place of the trace;
//! - a batch that does not verify is an error that says where, never an answer without it.
//!
//! What is absent on purpose: blocks (a seal will take whole prefixes of the log out of the head,
//! up to the seal cut, by hours of stamps), consensus, other replicas, threads of its own.

mod hash;
mod rows;

pub mod limits;

mod window;

mod catalog;
mod head;

mod cache;
mod reader;

mod apply;
mod handle;

mod beginning;
mod outline;
mod prefilter;
mod skeleton;
mod verdict;

mod figures;
mod names;
mod read;
mod search;

pub use apply::{Applied, BatchOutcome, Refusal};
pub use cache::{CacheStats, DecodedCache};
pub use handle::{Shard, ShardStats, Unwrap};
pub use search::OnHit;
