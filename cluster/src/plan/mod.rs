//! What to do next: the decisions of a cluster as functions of values.
//!
//! Two machines. [`decide`] and [`consider`] bring nodes that know only addresses into one cluster.
//! [`plan`] then keeps it as it should be: the leader of the meta group gathers [`Facts`], the
//! planner compares them with the intent in `MetaState`, and names for each group at most one
//! [`Step`]. Steps are of two kinds: commands to the meta group, which change the intent, and work
//! on a group, which brings the fact nearer to the intent. A caller performs them, gathers facts
//! anew, and asks again; nothing is remembered in between, so a new leader of the meta group simply
//! goes on.
//!
//! ```text
//!   MetaState (intent) ──┐
//!                        ├─► plan() ─► Step::Propose(command) ─► meta group ─► MetaState
//!   Facts (what is)  ────┘         └─► AddLearner, ChangeVoters, ... ─► groups ─► Facts
//! ```
//!
//! A replica moves in these steps, each conditional on what was seen: the intent changes (the new
//! replica gets its id, the old one a tombstone); a learner is added; when it has caught up, one
//! joint change takes it in and the old one out; the leader confirms that no configuration has the
//! old one; its data goes; its tombstone goes.
//!
//! Invariants:
//! - nothing is planned for a group whose leader is not known, and no change of voters that would
//!   leave a group, before or after, with less than a majority of voters that are up;
//! - every step of work carries the configuration it was planned on, every command the revision:
//!   a stale step fails and does nothing;
//! - gossip's opinion alone decides nothing: a node has gone only if gossip says so *and* the meta
//!   leader and a majority of members cannot reach it, for the whole time;
//! - REP-3: data of a replica is deleted only after its group's leader confirmed, by a read index,
//!   that the id is in no configuration;
//! - the same input gives the same plan; nothing reads a clock: times are readings of the meta
//!   leader's monotonic clock, handed in.
//!
//! What is absent on purpose: performing the steps, measuring the facts, retrying. And retirement
//! of old ring epochs: they live as long as their data may be there.

pub mod limits;

mod bootstrap;
mod found;
mod node_ring;
mod placement;
mod roll_call;
mod voters;

mod facts;
mod spare;
mod step;
mod view;

mod change;
mod epochs;
mod follow;
mod intent;
mod leaders;
mod names;
mod rebalance;

pub use bootstrap::{
    Answer, BootstrapConfig, Consideration, DataState, Decision, Declined, Hello, Myself,
    RefusedStart, Told, Waiting, consider, decide,
};
pub use change::{Plan, plan};
pub use epochs::add_shards;
pub use facts::{
    Configuration, ConfigurationId, DiskMark, Facts, Gossip, GroupFacts, Held, NodeFacts, Progress,
};
pub use leaders::{Transfer, drain};
pub use placement::{Move, Placement, Site, next_move, place};
pub use spare::{Indispensable, can_do_without};
pub use step::{Alarm, AlarmSubject, At, Step};
pub use voters::{meta_voter_count, meta_voters};

#[cfg(test)]
mod tests;
