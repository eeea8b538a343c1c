//! Chaos tests: what clients were promised, checked under every fault.
//!
//! [`history`] is what clients wrote down, [`checker`] judges it, and [`process`] makes it happen
//! with real nodes, real networks and real disks. The checker uses no code of the product: it reads
//! what clients sent and what they were told, and nothing else.

pub mod checker;
pub mod history;
pub mod process;
#[cfg(feature = "sim")]
pub mod sim;
