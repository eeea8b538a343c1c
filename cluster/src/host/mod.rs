//! A node's part in a cluster: its replicas, its share of the plan, and the way to everybody
//! else's.
//!
//! ```text
//!   Coordinator ── Shards ──┐                     peers
//!                           v                       |
//!        writes, reads ── Host ── transport ── HostDoor (dispatches every method)
//!                           |
//!        bootstrap: who are we        map: what the cluster looks like
//!        replicas: what lies here     planner: what to do next (on the meta group's leader)
//! ```
//!
//! What there is to decide is decided elsewhere, by pure functions (`crate::plan`); this gathers
//! what they look at and does what they say. Order at a start: the node's store says who it is; its
//! replicas start from the log; a node without a cluster founds or joins one; only then is there a
//! [`Host`].
//!
//! Invariants:
//! - what a promise, a membership or a replica id rests on is flushed before anybody is told;
//! - writes, reads and elections need the map's last copy at most, never the meta group;
//! - a batch is sent again and again with the same bytes and is answered when its leader says that
//!   it is applied (API-1); what is not known at the deadline is an error that may be tried again;
//! - a read shows what a barrier promised, or says of which shards it does not (QRY-2, QRY-3);
//! - a step of the plan is done by a leader only on the configuration that it was planned on;
//! - a process whose node has a later life for a majority of the others ends.

mod alarms;
mod barriers;
mod bootstrap;
mod clocks;
mod crew;
mod digests;
mod disk_watch;
mod disowned;
mod door;
mod drain;
mod durable;
mod error;
mod events;
mod facts;
mod gate;
mod give_up;
mod handle;
mod keeping;
mod lane;
pub mod limits;
mod map;
mod messages;
mod meta_calls;
mod meta_machine;
mod notes;
mod notice;
mod parts;
mod planner;
mod reach;
mod reads;
mod recover;
mod replicas;
mod report;
mod sampling;
mod serve_read;
mod shards;
mod spare;
mod told;
mod trim;
mod whereabouts;
mod witness;
mod work;
mod writes;

pub use disowned::{Disowned, DisownedHook};
pub use door::HostDoor;
pub use durable::begin_life;
pub use error::HostError;
pub use gate::IncarnationGate;
pub use give_up::{forget_disowned, give_up_replicas, holds_replicas, log_is_short, was_disowned};
pub use handle::Host;
pub use parts::{
    ForgetShard, HostParts, NodeAddresses, OpenShard, ProcessFigures, RandomBytes, ResolveSeeds,
    TellFigures,
};
pub use recover::{Recovery, Survey, SurveyedShard};
pub use sampling::SamplingOffer;
pub use spare::ask_to_be_spared;
