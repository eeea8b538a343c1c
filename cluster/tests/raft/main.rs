//! Groups of replicas over a network in memory: what they promise while leaders die, links break
//! and cores panic. Time is tokio's, paused, but for one test that runs on threads; chance is
//! seeded.
#![cfg(test)]

mod faulty_log;
mod group;
mod map_machine;

mod elections;
mod members;
mod promises;
mod recovery;
mod snapshots;
mod threads;
mod vouches;
