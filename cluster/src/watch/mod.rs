//! Watch channels: a value, and those who want to know when it changes.
//!
//! They are tokio's. Tokio wakes those who wait in an order that it draws from a generator that
//! cannot be seeded, so a simulation, which has to run the same way twice, has its own in their
//! place: first come, first woken. Everything in this crate that is watched by more than one task
//! goes through this module.

#[cfg(feature = "simulation")]
mod fifo;

#[cfg(feature = "simulation")]
pub use fifo::{Closed, NoReceiver, Receiver, Ref, Sender, channel};
#[cfg(not(feature = "simulation"))]
pub use tokio::sync::watch::{Receiver, Ref, Sender, channel};
