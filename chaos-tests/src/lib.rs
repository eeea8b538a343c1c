//! Chaos tests: what clients were promised, checked under every fault.

pub mod sim;
