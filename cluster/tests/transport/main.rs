//! The contract of a transport, kept by the network in memory and by the real one.
#![cfg(test)]

mod echo;
mod gossip;
mod grpc;
mod memory;
