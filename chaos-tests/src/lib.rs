//! Chaos tests: what clients were promised, checked under every fault.

#[cfg(feature = "sim")]
pub mod sim;
