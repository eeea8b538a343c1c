//! What tests of any crate need of the model: hostile but legal spans from a seed, a visitor
//! that collects them again, a store in memory, and the suite that every store must pass.
//!
//! Behind the feature `testing`; no production code depends on it. Everything is deterministic
//! in its seed and needs no runtime.

mod block_on;
mod clock;
mod collect;
pub mod conformance;
mod counting_pace;
mod generate;
mod memory_store;
mod queries;
mod random;
mod visit;

pub use crate::tell::{Teller, tell_spans};
pub use block_on::block_on;
pub use clock::ManualClock;
pub use collect::Collector;
pub use counting_pace::CountingPace;
pub use generate::{Generator, simple_span};
pub use memory_store::{MemorySink, MemoryStore};
pub use random::Random;
pub use visit::{begin_with_spans, write_spans};
