//! Consensus: one Raft group per shard, and one for the cluster's own state, over one log.
//!
//! ```text
//!   propose, read_barrier, change_membership_if, transfer_leader, purge
//!        |
//!     Replica ---- Supervisor: watches the core, rebuilds it, owns its generation
//!        |
//!      core (openraft) ----------------------------------------------+
//!        |                        |                                  |
//!     LogStore                 StateMachine                       Network ..... GroupRouter
//!        |                        |                                  |               |
//!     storage::log          Standing, Machine                     Transport      Transport
//!     records, slots        apply, cut, snapshot                  to others      from others
//! ```
//!
//! This is the only module that names openraft. What leaves it speaks of replicas, positions and
//! outcomes; openraft's version, its types and its habits can change behind that.
//!
//! A proposal is bytes. The leader puts a record around them, appends it to its log and
//! sends the very record to the others; each appends it, and reports it flushed when its own log
//! has synced it. What a majority has flushed is committed; each replica reads it from its log and
//! hands the bytes inside to its [`Machine`], whose [`Outcome`] answers the proposal.
//!
//! Invariants:
//! - API-1, DUR-1: an outcome is given only for an entry that a majority's logs have synced. The
//!   callback that says "flushed" is called in one place, by the log itself;
//! - DUR-3: votes are durable before they are answered; a failed log or machine ends the replica
//!   for good, and is told to a hook that ends the process. Nothing is rebuilt on such a disk;
//! - REP-1, REP-3: a replica speaks and listens under its own id only; messages name both ends, and
//!   those to or from a replica that is not here, or is buried, are refused;
//! - the log is never purged beyond the machine's cut, and where the machine stood at its cut is
//!   written down before;
//! - of the parts of a core only one generation can act, and a new one begins when nothing of the
//!   last is left (`fence`);
//! - everything that waits is bounded in bytes: proposals by the node's budget, requests to a
//!   follower by a window, snapshots by stretches.
//!
//! Reads never rely on leases: a leader asks a majority, batched with whoever asks at that moment.
//! Snapshots are never pushed: a leader offers a manifest and the receiver fetches the files that
//! it lacks, so a transfer goes on where it broke off.
//!
//! What is absent on purpose: who should be a member, when to purge, when to hand over (the plan's
//! affair, step by step through [`Replica`]); what bytes mean (the machine's); connections and
//! authentication (the transport's); waiting for others' word on how long our log once was, before
//! the first vote (whoever starts replicas does that before it starts one).

pub mod limits;

mod config;

mod runtime;
#[cfg(feature = "simulation")]
mod simulated;

mod codec;
mod types;

mod membership;
mod position;
mod record;

mod blocking;
mod fence;

mod ledger;
mod log_handle;
mod log_store;

mod machine;
mod pace;
mod shard_machine;
mod standing;
mod state_machine;

mod messages;

mod append_stream;
mod network;
mod offer;
mod witness;

mod receive;
mod router;
mod serve_append;

mod budget;
mod failure;
mod sole;
mod status;

mod replica;
mod supervisor;
mod vouch;

#[cfg(test)]
mod suite;

pub use blocking::Blocking;
pub use budget::ProposalBudget;
pub use failure::{
    BarrierError, ChangeError, FatalHook, InitializeFailure, ProposeError, PurgeError,
    ReplicaFailure, TransferError,
};
pub use ledger::Lag;
pub use machine::{FileName, Machine, MachineError, MachineSnapshot, MissingFile, Pin};
pub use record::unwrap;
pub use replica::{Change, Replica, ReplicaParts};
pub use router::{GroupRouter, GroupRouterHandle, Intake};
pub use shard_machine::ShardMachine;
#[cfg(feature = "simulation")]
pub use simulated::seed_chance;
pub use sole::make_sole_voter;
pub use standing::{held_by, reaches};
pub use status::{Configuration, FollowerStatus, Leadership, ReplicaStatus, Role};
pub use types::{LogPosition, Outcome, Place};
pub use witness::{Seen, Witness};
