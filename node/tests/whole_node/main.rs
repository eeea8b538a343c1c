//! One whole node as its users meet it: the real binary, real sockets, a real disk.
//!
//! - `durability`: killed in mid-load again and again, it loses nothing it acknowledged (DUR-1),
//!   shows nothing that was never sent (DUR-2), and every span comes back equal.
//! - `jaeger_answers`: what Jaeger's API shows is what Jaeger's repairs make of the originals, and
//!   searches find what the reference evaluator finds in them.
//! - `bad_input`: what is refused is refused clearly, counted, and leaves nothing behind.
//! - `transfer`: import and export carry everything that the form in between can carry.
//! - `lifecycle`: starting, stopping, a directory in use, a log that is torn or damaged.
//! - `strategies`: sampling strategies that one of three nodes finds are served by all of them.
//! - `twice`: of two processes with one identity, the one that others refuse ends.
//!
//! The rest is what they stand on: `server` runs the process, `client` speaks to it, and
//! `originals` knows what the recording holds, read by the reference decoder and not by Skua.
#![cfg(test)]

mod client;
mod originals;
mod server;

mod bad_input;
mod durability;
mod jaeger_answers;
mod lifecycle;
mod strategies;
mod transfer;
mod twice;
