//! A cluster in one process and on one thread, in which everything follows from a seed.
//!
//! What runs is what is shipped: the crates `cluster` and `storage`, wired as the program wires
//! them. Faked are the file system and the key-value store (they forget what was not synced), the
//! network (it loses, delays, doubles and reorders), the clocks (time is paused and jumps ahead,
//! walls go wrong), chance (openraft draws from the seed), and threads: the log's steps and the
//! upkeep's rounds are made by tasks, and what would block runs inline.
//!
//! ```text
//!   seed -> plan of faults -> nemesis ----+
//!        -> clients: write, read ------> world: nodes, disks, clocks, network
//!             |                           |
//!          history: what was promised   observer: what must be equal
//! ```
//!
//! A run has two phases. While faults happen, every answer is checked when it comes, and the
//! replicas ten times a second. Then all faults end: the cluster must heal within a bound of
//! simulated time, serve, and show everything that was acknowledged through every node (LIV-1).
//!
//! The same seed gives the same run: [`run::Outcome::history`] is a hash over every message (when,
//! from whom, to whom, what), every change of every disk (with its bytes) and the whole record, and
//! a test compares it between two runs. What is not simulated: the encoding on the wire between
//! nodes (gRPC, Noise), gossip (members that cannot be reached count as down), RocksDB, the file
//! system's own behaviour, and real threads. Those are left to the tests with real processes.

pub mod clients;
pub mod clock;
pub mod counters;
pub mod disk;
pub mod faults;
pub mod history;
pub mod journal;
pub mod mutants;
pub mod nemesis;
pub mod node;
pub mod observer;
mod panics;
pub mod report;
pub mod run;
pub mod world;

pub use counters::Counters;
pub use faults::{Fault, Plan, Weather};
pub use node::Shape;
pub use run::{Options, Outcome, run, run_plan};
