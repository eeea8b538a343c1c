//! The number that tables of what clients choose are hashed with.
//!
//! Whoever knows how a table hashes can make any number of keys that meet in one place of it: trace
//! ids, names, values. Then each insertion looks at all before it, under locks that everybody waits
//! for. So a node draws a number when it starts and tells nobody.
//!
//! Invariant: nothing that is answered, stored or replicated depends on it. Such tables are looked
//! up and never iterated, and what they number is numbered in the order of first appearance. So two
//! replicas differ in it, and a simulation, which never sets it, is the same each time.

use std::sync::atomic::{AtomicU64, Ordering};

static SEED: AtomicU64 = AtomicU64::new(0);

/// Sets the number for all tables that are made from now on; those that there are keep theirs.
pub fn set(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

/// The number for a table that is made now.
pub fn get() -> u64 {
    SEED.load(Ordering::Relaxed)
}
