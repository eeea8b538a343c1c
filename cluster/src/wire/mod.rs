//! What nodes ask each other about shards, and the answers, as bytes. Pure: bytes in, values out.
//!
//! ```text
//!  asker                                       asked node
//!  VouchRequest    ──────────────────────────▶ VouchReply       for whom replicas voted
//!  BarrierRequest  ──────────────────────────▶ BarrierReply     what must be applied, per shard
//!  ReadRequest     ──────────────────────────▶
//!         FrameReader ◀── frames, mixed ────── FrameWriter      one per shard, each below 1 MiB
//!  WriteRequest    ──────────────────────────▶ WriteReply       what became of each batch
//!  StatusRequest   ──────────────────────────▶ StatusReply      facts about replicas
//! ```
//!
//! The wire form is protobuf, written down once as structs with numbered fields (`messages`,
//! private); numbers and meanings stand in `docs/formats/peer-v1.md`. Spans and batches travel in
//! the batch format, in which they are stored.
//!
//! A shard's answer to a read is a series of *items* ([`ReadItem`]) that ends with an end or a
//! failure. An item takes one frame or several: a list is split into parts, the spans of a trace
//! into batches, and a part that holds something larger than a frame (one span may) into pieces.
//! Nobody outside sees parts or pieces.
//!
//! Invariants:
//!
//! - **What goes in comes out.** Every value of the model that can be sent arrives equal to what it
//!   was, in the same order; what cannot (a predicate nested too deep, a figure no cluster has) is
//!   refused by the sender, with the error that the receiver would give.
//! - **Bounds** ([`limits`]). No message decodes to more than a fixed multiple of its bytes (a
//!   batch to no more than its own reader allows), no frame reaches 1 MiB, no answer under way is
//!   held beyond what its reader was given.
//! - **No panic, no guess.** Any bytes are a value or an error. Fields that this version does not
//!   know are passed over; a *choice* it does not know is refused and named. So a later version may
//!   add a field only if ignoring it is right, and gives everything else a new number.
//! - **Isolation (TEN-1).** Spans of another tenant than the one asked for are refused by the
//!   reader, whoever sent them.
//! - **Time.** What is left of a deadline travels, never a moment of some node's clock. Budgets and
//!   cancellation stay on their node: whoever stops listening drops the stream.
//!
//! What is absent on purpose: who is asked and when to ask again (the coordinator), connections
//! and who may call ([`crate::transport`]), and the messages of Raft, joining and the meta group.

mod barrier;
mod error;
mod frame_reader;
mod frame_writer;
pub mod limits;
mod messages;
mod parts;
mod read_item;
mod read_request;
mod ring_epoch;
mod sketch;
mod spans;
mod status;
mod vouch;
mod write;

pub use barrier::{BarrierOutcome, BarrierReply, BarrierRequest, ShardBarrier};
pub use error::WireError;
pub use frame_reader::FrameReader;
pub use frame_writer::{EmitFrame, FrameWriter};
pub use read_item::{ReadEnd, ReadFailure, ReadFailureKind, ReadItem, SearchProgress};
pub use read_request::{AskedShard, ReadOperation, ReadRequest};
pub use ring_epoch::RingEpoch;
pub use status::{ReplicaDigest, ReplicaFacts, ReplicaRole, StatusReply, StatusRequest};
pub use vouch::{VouchReply, VouchRequest};
pub use write::{ShardBatch, ShardWrite, WriteOutcome, WriteReply, WriteRequest};
