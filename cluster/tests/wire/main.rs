//! What nodes say to each other returns as it was, reads as it did, and is bounded.
#![cfg(test)]

mod golden;
mod hostile;
mod round_trip;
mod samples;
