//! A question to a node about some of its shards.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::aggregate::AggregateQuery;
use model::query::{AttributeScope, SpanPredicate, TraceQuery};
use model::store::Detail;
use model::{ShardId, SpanId, Tenant, Text, TimeRange, TraceId};
use storage::log::LogIndex;

use super::limits::REQUEST_BYTES_MAX;
use super::messages::request::{from_read_request, to_read_request};
use super::messages::scalar;
use super::{RingEpoch, WireError};

/// A question to a node about some of its shards. The answer is a stream of frames.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Whose data.
    pub tenant: Tenant,
    /// How long the asker still waits. Clocks differ between nodes; what is left does not.
    pub deadline_left_ms: u64,
    /// How many bytes of decoded data the node may read for it.
    pub bytes_max: u64,
    /// The ring epoch by which the asker chose these shards.
    pub ring_epoch: RingEpoch,
    /// Which shards, each with what must have been applied.
    pub shards: Vec<AskedShard>,
    /// What is asked.
    pub operation: ReadOperation,
}

/// A shard that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedShard {
    /// The shard.
    pub shard: ShardId,
    /// What the replica must have applied before it answers, as a barrier said; nothing asks for
    /// whatever is there, and the asker marks the answer stale.
    pub applied_min: Option<LogIndex>,
}

/// What is asked of each shard.
#[derive(Debug, Clone)]
pub enum ReadOperation {
    /// One whole trace. Answer: a trace.
    Trace {
        /// Which.
        trace_id: TraceId,
        /// See [`model::store::TraceRequest::spans_max`].
        spans_max: usize,
    },
    /// The structure of a trace. Answer: columns.
    TraceColumns {
        /// Which.
        trace_id: TraceId,
    },
    /// Which spans of a trace pass a predicate. Answer: rows of its columns.
    Find {
        /// Which trace.
        trace_id: TraceId,
        /// What must hold of a span.
        predicate: SpanPredicate,
    },
    /// Some spans of a trace. Answer: a trace with these alone.
    Spans {
        /// Which trace.
        trace_id: TraceId,
        /// Which of its spans.
        span_ids: BTreeSet<SpanId>,
    },
    /// The first traces of an order. Answer: hits in that order.
    Search {
        /// The query.
        query: TraceQuery,
        /// What each hit carries.
        detail: Detail,
        /// Only the first of all shards count: one may stop where it knows that others come
        /// first, and says by its cursor how far it has told everything.
        together: bool,
        /// Traces that are left out: they lie in other shards too, and are judged as a whole. At
        /// most [`super::limits::WITHOUT_IDS_MAX`].
        without: BTreeSet<TraceId>,
    },
    /// Figures. Answer: figures that merge.
    Aggregate {
        /// The question.
        query: AggregateQuery,
        /// Traces that are left out: they lie in other shards too, and are counted as a whole. As
        /// many as a search leaves out.
        without: BTreeSet<TraceId>,
    },
    /// All effective services.
    Services,
    /// Operations of a service, or of all.
    Operations {
        /// The service.
        service: Option<Text>,
    },
    /// Keys of attributes.
    Keys {
        /// What they begin with.
        prefix: Text,
    },
    /// String forms of values.
    Values {
        /// Where the key stands.
        scope: AttributeScope,
        /// The key.
        key: Text,
        /// What they begin with.
        prefix: Text,
    },
    /// Calls between services.
    Dependencies {
        /// When the called spans start.
        window: TimeRange,
        /// Traces that are left out, likewise.
        without: BTreeSet<TraceId>,
    },
    /// Traces that a ring would lead to another shard than the one asked. Answer: the first of
    /// their ids; if there are more behind them, it is a sample.
    Elsewhere {
        /// When a span of them starts.
        window: TimeRange,
        /// How many shards the ring has.
        shard_count: u32,
        /// Those behind this one.
        after: Option<TraceId>,
    },
    /// Which of these traces the shard has. Answer: trace ids.
    Known {
        /// At most [`super::limits::KNOWN_IDS_MAX`].
        trace_ids: BTreeSet<TraceId>,
    },
}

impl ReadRequest {
    /// The question as bytes. Refuses what a peer of this version would refuse.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        scalar::encode("a read request", &from_read_request(self)?, REQUEST_BYTES_MAX)
    }

    /// The question in these bytes. Patterns are compiled anew.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        to_read_request(scalar::decode("a read request", bytes, REQUEST_BYTES_MAX)?)
    }
}
