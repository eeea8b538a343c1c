//! How nodes speak to each other: calls with one answer, and streams of frames both ways.
//!
//! The seam between what a cluster decides and the network that carries it: production speaks
//! gRPC over three connections per peer, tests and the simulation hand frames over in memory,
//! with every fault a network has.
//!
//! Invariants:
//! - whoever is called knows by which node and in which life (incarnation) of it; a call that is
//!   meant for another node, or comes from another cluster, never reaches a handler;
//! - everything is bounded: a frame in bytes, a stream in frames under way, a call in time;
//! - a call that fails may have been handled. Only [`CallError::Refused`] says that it was not.
//!
//! What is absent on purpose: what the bytes mean. Raft, reads, writes and joining each encode
//! their own.

mod seam;

mod dial;
mod frames;
mod identity;
mod key;
pub mod limits;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod tasks;

mod connection;
mod gather;
mod grpc;
mod lane;
mod noise;
mod server;
mod socket;
mod wire;

pub use dial::Dial;
pub use grpc::{GrpcTransport, TransportParts};
pub use identity::{ClusterId, Directory, LocalIdentity, NotAdmitted, OpenGate, PeerGate};
pub(crate) use key::Purpose;
pub use key::{ClusterKey, KeyError, KeyRing};
#[cfg(any(test, feature = "testing"))]
pub use memory::{Link, MemoryNetwork};
pub use noise::{NoiseError, NoiseStream};
pub use seam::{
    CallError, FRAME_BYTES_MAX, FrameStream, Handler, Incarnation, Lane, Method, Peer, Reply,
    STREAM_FRAMES_MAX, Transport,
};
pub use server::GrpcServer;
