//! One shard of a node: applies the committed entries of its group, answers queries.
//!
//! ```text
//!   log (batches, as they were replicated)
//!    |  apply: in order, deterministic                      reads: by id, search, figures
//!    v                                                                |
//!   head: per tenant, batches -> places in the log,        <----------+
//!    |    traces -> batches, services, operations                     |
//!    |  seal: a whole prefix of the log                     cache: unpacked indexes, values,
//!    v                                                             tables of traces
//!   blocks: pages of whole traces, one file a bucket       <----------+
//!    |  merge: small ones of a bucket into one
//!    v
//!   blocks, until their bucket is dropped
//! ```
//!
//! The committed batch is level 0 of storage: it is not copied out of the log. The head holds what
//! finds a batch and a trace; what is in a batch is read from the log and unpacked when asked for.
//! Batches of the head and pages of blocks are *pieces*, and whatever answers works on these.
//!
//! Invariants:
//! - contents are a function of the applied entries (REP-2);
//! - contents are a set: rows of repeated requests are marked and skipped, other repeats are found
//!   when a trace is assembled;
//! - answers equal those of `model`'s reference evaluator over the distinct spans (QRY-1): an index
//!   may rule a trace out, it never ranks parts of a trace in the place of the trace;
//! - a batch that does not verify is an error that says where, never an answer without it.
//!
//! What is absent on purpose: consensus, other replicas, threads of its own; when to seal and merge
//! is asked of [`Shard::due`] and done by whoever has a thread for it.

pub(crate) mod hash;
pub(crate) mod rows;

pub mod limits;

mod window;

mod blocks;
mod catalog;
mod contents;
mod head;
mod piece;

mod cache;
mod reader;
mod recent;
mod tally;

mod apply;
mod handle;

mod block_store;
mod manifest;
mod merge;
mod retention;
mod scrub;
mod seal;
mod snapshot;
mod snapshot_manifest;

mod beginning;
pub(crate) mod outline;
pub(crate) mod prefilter;
mod rule_out;
mod skeleton;
mod verdict;

mod apart;
mod asked;
pub(crate) mod columnar;
mod commit;
mod digest;
mod distinct;
mod figures;
mod find;
mod first_hits;
mod gathered;
mod held;
mod names;
mod ranked;
mod read;
mod rolled;
mod rolled_calls;
mod search;
mod structure;
mod trace_ids;
mod whole;

pub use apply::{Applied, BatchOutcome, Refusal};
pub use block_store::BlockStore;
pub use cache::{CacheStats, DecodedCache};
pub use first_hits::FirstHits;
pub use handle::{Shard, ShardParts, ShardStats, Unwrap};
pub use merge::Upkeep;
pub use ranked::RankedHits;
pub use retention::{CLASS_ARCHIVE, CLASS_ORDINARY, bucket_of, class_of};
pub use scrub::Scrubbed;
pub use seal::Sealed;
pub use search::{Beside, OnHit};
pub use snapshot::{MissingBlock, ShardSnapshot, SnapshotPin};
pub use snapshot_manifest::BlockName;
pub use trace_ids::WantedTraces;
