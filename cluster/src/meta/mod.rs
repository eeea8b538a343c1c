//! The cluster's own state: what the meta group agrees on, as a pure state machine.
//!
//! One Raft group of up to five voters holds what every node must agree on but nobody needs in
//! order to write, read or elect: which nodes belong to the cluster, which replica ids were handed
//! out, where the replicas of each group are meant to lie, ring epochs, tenants, retention,
//! sampling, and the version whose formats may be written. [`MetaState::apply`] takes one command
//! after another; the planner (`crate::plan`) looks at the state and at what is really there, and
//! proposes the next command.
//!
//! The shard map kept here is the *intent*. A group's own Raft configuration is the *fact*, and a
//! group works by the fact alone: the meta group may be gone for a day and no shard will notice.
//!
//! Invariants:
//! - apply is a function of the state and the command: no clock, no chance, no order of hashes, no
//!   local setting. Replicas that applied the same commands are equal, byte for byte, snapshots
//!   included;
//! - apply is total: a command that asks for nonsense is refused, and a refusal changes nothing. It
//!   is the same refusal on every replica;
//! - a step that was planned on a state that is no longer there does nothing: commands carry the
//!   revision (the index of the last change) of what they mean to change;
//! - REP-3: replica ids come from one counter and are never handed out again; what was removed
//!   leaves a tombstone until its data is known to be gone;
//! - a group's intent stands still until the group was formed by exactly the replicas first named,
//!   since each of those starts with that list;
//! - everything is bounded by [`limits`].
//!
//! The encoding is written down in `docs/formats/meta-v1.md`. What is absent on purpose: load,
//! gossip, incarnations, lag: whatever changes by the second is a fact for the planner, not state.

pub mod limits;

mod command;
mod epoch;
mod founding;
mod group;
mod node;
mod outcome;
mod settings;

mod apply;
mod apply_epochs;
mod apply_groups;
mod apply_nodes;
mod apply_recover;
mod apply_settings;
mod state;

mod codec;
mod wire;
mod wire_command;
mod wire_state;

pub use codec::{CodecError, FORMAT};
pub use command::{Addition, MetaCommand};
pub use epoch::{Epoch, EpochId, EpochState};
pub use founding::{Founder, Founding, MalformedFounding};
pub use group::{Group, Replica, Role, Tombstone};
pub use node::{Node, NodeRecord, Standing};
pub use outcome::{Applied, MetaOutcome, Refusal};
pub use settings::{Retention, RetentionClass, Sampling, Settings};
pub use state::MetaState;

/// The newest cluster version this program can take part in: formats, kinds of entries and rules of
/// apply up to it are known.
pub const CLUSTER_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
