//! Who seems to be there, and what they say of themselves: gossip over UDP.
//!
//! Nodes probe each other and pass on what they heard (SWIM, by foca), in packets sealed with the
//! cluster's key. What comes of it is an *opinion*: it picks whom to ask first and what to show,
//! and may start a check by RPC. It never decides who owns data, and a node that is down here may
//! well be alive: UDP may be blocked where TCP is not.
//!
//! [`GossipCore`] is the whole of it without sockets and clocks; [`Gossip`] is the task around it.
//!
//! Invariants:
//! - two clusters never mix, whether they differ in their keys or only in their ids;
//! - a packet that was forged, changed, repeated or cut is counted and otherwise has no effect;
//! - of what a node says of itself the newest counts, and old news is not passed on: there are no
//!   storms;
//! - everything is bounded: members, facts, sessions, packets, what is done in one turn.
//!
//! What is absent on purpose: ownership of data, membership of groups, and any state that must not
//! be lost. Those are agreed on, not rumoured.

mod core;
mod envelope;
mod facts;
mod identity;
pub mod limits;
mod members;
mod random;
mod replay;
mod seeds;
mod task;

pub use core::{CoreParts, GossipCore, Now};
pub use envelope::Dropped;
pub use facts::{Facts, NodeState, SpaceMark};
pub use members::{Member, MemberState, Members};
pub use seeds::Seeds;
pub use task::{Gossip, GossipParts};
