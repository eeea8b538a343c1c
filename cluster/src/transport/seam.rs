//! The contract of a transport, whoever keeps it.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::{Duration, NodeId};
use tokio::sync::mpsc;

/// Most bytes of one frame, request or answer: an entry of the log with what is put around it.
pub const FRAME_BYTES_MAX: usize = 5 << 20;

/// Frames under way in one direction of a stream before the sender must wait.
pub const STREAM_FRAMES_MAX: usize = 8;

/// What a call is about, and by that which connection carries it. Stable: the numbers are on the
/// wire. A node that does not know a method refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Method {
    /// Asks an address who is there (joining, bootstrap, clashes of names).
    Hello = 1,
    /// A step of the bootstrap.
    Bootstrap = 2,
    /// Asks a member to let a node join.
    Join = 3,
    /// A command for the meta group, to be proposed by its leader.
    Meta = 4,
    /// Asks a member whether a node that has lost itself can be done without.
    Spare = 5,
    /// Votes, heartbeats, leader transfers and other short messages of Raft groups.
    Raft = 10,
    /// A stream of log entries of one Raft group to one follower.
    RaftAppend = 11,
    /// Offers a snapshot; its files are then fetched with [`Method::FetchFile`].
    RaftSnapshot = 12,
    /// A stretch of a file of a shard.
    FetchFile = 13,
    /// Read barriers, batched for all shards of a node.
    Barrier = 20,
    /// What replicas say of their votes, for all shards of a node.
    Vouch = 25,
    /// Batches for shards that the called node leads.
    Write = 21,
    /// A question to shards of the called node; the answer is a stream.
    Read = 22,
    /// What a node says of itself and its replicas.
    Status = 23,
    /// The note that the called node keeps for others.
    Note = 24,
}

/// A connection to a peer: each has its own, so that bulk never delays what is urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Short and urgent: votes, heartbeats, barriers.
    Control,
    /// Log entries and batches.
    Log,
    /// Reads and files.
    Bulk,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 15] = [
        Self::Hello,
        Self::Bootstrap,
        Self::Join,
        Self::Meta,
        Self::Spare,
        Self::Raft,
        Self::RaftAppend,
        Self::RaftSnapshot,
        Self::FetchFile,
        Self::Barrier,
        Self::Vouch,
        Self::Write,
        Self::Read,
        Self::Status,
        Self::Note,
    ];

    /// The method of a number from the wire.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|method| *method as u16 == number)
    }

    /// The connection that carries it.
    pub fn lane(self) -> Lane {
        match self {
            Self::RaftAppend | Self::Write => Lane::Log,
            Self::RaftSnapshot | Self::FetchFile | Self::Read | Self::Note => Lane::Bulk,
            _ => Lane::Control,
        }
    }
}

/// One life of a node: how often it was started, and a number drawn at that start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation {
    /// Counts starts; synced to disk before the first packet.
    pub start: u64,
    /// Tells two processes apart that claim the same start.
    pub nonce: u64,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No connection: nobody handled the call.
    #[error("the node cannot be reached: {reason}")]
    Unreachable {
        /// What stood in the way.
        reason: String,
    },
    /// The other side declined to handle the call.
    #[error("refused: {reason}")]
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// Lost on the way there or back: it may have been handled.
    #[error("the answer was lost: {reason}")]
    Lost {
        /// How.
        reason: String,
    },
}

/// An answer to a call.
pub type Reply = Result<Bytes, CallError>;

/// One side of an open stream. Dropping it ends the stream.
#[derive(Debug)]
pub struct FrameStream {
    /// Frames to the other side; at most [`STREAM_FRAMES_MAX`] wait.
    pub send: mpsc::Sender<Bytes>,
    /// Frames from the other side. An error, or the end, is the last thing that comes.
    pub receive: mpsc::Receiver<Reply>,
}

/// Reaches peers by their node ids.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// One question, one answer, in at most `deadline`.
    fn call(
        &self,
        to: NodeId,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Reply>;

    /// Opens a stream. `first` is its first frame, so that opening and asking take one way.
    fn open(
        &self,
        to: NodeId,
        method: Method,
        first: Bytes,
    ) -> BoxFuture<'static, Result<FrameStream, CallError>>;
}

/// Answers what peers ask.
pub trait Handler: fmt::Debug + Send + Sync + 'static {
    /// Answers one call.
    fn call(&self, from: Peer, method: Method, request: Bytes) -> BoxFuture<'static, Reply>;

    /// Serves one stream until it ends. Dropped when the caller has gone.
    fn open(
        &self,
        from: Peer,
        method: Method,
        first: Bytes,
        stream: FrameStream,
    ) -> BoxFuture<'static, ()>;
}
