//! Three nodes in one process, over a network and logs in memory: whole writes and whole reads
//! through any of them, with the faults that a cluster has to live with.
//!
//! Time is paused and nothing runs on other threads, so that a run depends on its seed.
#![cfg(test)]

mod bootstrap;
mod conformance;
mod faults;
mod keeping;
mod recover;
mod sampling;
mod shards;
mod world;
