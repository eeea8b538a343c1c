//! The contract between whoever speaks a protocol and whoever keeps traces.
//!
//! `api` is written against [`TraceStore`] alone; the coordinator of a cluster implements it,
//! and so does a memory store for tests. One conformance suite (`model::testing::conformance`)
//! runs on all of them. What every implementation owes its callers:
//!
//! - **Durability (DUR-1, API-1).** [`SpanSink::finish`] says `Ok` only after every span of the
//!   request is on stable storage of a majority of its replicas. Any error leaves the request
//!   *unknown*: some of it may appear later, and sending it again is harmless.
//! - **Visibility (QRY-3).** What was acknowledged before a read began is in its answer.
//! - **Sets.** Spans equal in every field count once; different spans under one id are all kept.
//! - **Honesty (QRY-2).** Every answer carries its [`Completeness`]. A shard that cannot answer
//!   makes the answer partial, not an error; an error means there is nothing to show.
//! - **Isolation (TEN-1).** Each call names a tenant and touches that tenant's data only.
//! - **Bounds.** Every read takes a [`Budget`]; dropping the future or stream of a read cancels
//!   it. Nothing is returned in unbounded pieces.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use futures_core::Stream;

use crate::aggregate::{Aggregate, AggregateQuery, DependencyEdge};
use crate::budget::{Budget, Exhausted};
use crate::query::{AttributeScope, Cursor, OrderKey, SpanPredicate, TraceQuery};
use crate::span::SpanKind;
use crate::{
    Duration, ShardId, Span, SpanId, SpanSink, Tenant, Text, TimeRange, Timestamp, TraceId,
};

/// A store of traces.
pub trait TraceStore: Clone + Send + Sync + 'static {
    /// One write request.
    type Sink: SpanSink + 'static;

    /// Begins a write request. `digest` names the request's content: the same request sent
    /// again has the same digest, which lets the store drop its rows as repeats.
    fn begin(&self, tenant: &Tenant, digest: RequestDigest) -> Result<Self::Sink, StoreError>;

    /// One whole trace, or nothing if no span of it is known. No time range is needed.
    fn trace(
        &self,
        request: TraceRequest,
    ) -> impl Future<Output = Result<Answer<Option<Trace>>, StoreError>> + Send;

    /// The structure of a trace in columns, for traces too large to be shown span by span.
    fn trace_columns(
        &self,
        request: TraceRequest,
    ) -> impl Future<Output = Result<Answer<Option<TraceColumns>>, StoreError>> + Send;

    /// Which spans of a trace pass a predicate, by their rows in its columns: for traces too large
    /// to be looked through span by span. Nothing if no span of the trace is known.
    fn find(
        &self,
        request: FindRequest,
    ) -> impl Future<Output = Result<Answer<Option<FoundRows>>, StoreError>> + Send;

    /// Spans of a trace by their ids, with all that they carry; nothing if the trace has none of
    /// them. For traces too large to be read whole: what it costs is what is asked for.
    fn spans(
        &self,
        request: SpansRequest,
    ) -> impl Future<Output = Result<Answer<Option<Trace>>, StoreError>> + Send;

    /// The first traces of a query in its exact order. Hits come in that order; the last item
    /// of the stream is [`SearchItem::End`].
    fn search(
        &self,
        request: SearchRequest,
    ) -> impl Future<Output = Result<SearchStream, StoreError>> + Send;

    /// Figures over spans.
    fn aggregate(
        &self,
        request: AggregateRequest,
    ) -> impl Future<Output = Result<Answer<Aggregate>, StoreError>> + Send;

    /// The effective services of all live spans, sorted by bytes.
    fn services(
        &self,
        scope: ReadScope,
    ) -> impl Future<Output = Result<Answer<BTreeSet<Text>>, StoreError>> + Send;

    /// The effective operations of a service, or of all services, with their span kinds, sorted.
    fn operations(
        &self,
        scope: ReadScope,
        service: Option<Text>,
    ) -> impl Future<Output = Result<Answer<BTreeSet<Operation>>, StoreError>> + Send;

    /// Attribute keys in use, sorted by scope and key, at most [`SUGGESTIONS_MAX`].
    fn keys(
        &self,
        scope: ReadScope,
        prefix: Text,
    ) -> impl Future<Output = Result<Answer<BTreeSet<(AttributeScope, Text)>>, StoreError>> + Send;

    /// String forms of values under a key, at most [`SUGGESTIONS_MAX`]. A suggestion: may leave
    /// out rare values of keys with very many, and says so with [`Completeness::sampled`].
    fn values(
        &self,
        scope: ReadScope,
        attribute_scope: AttributeScope,
        key: Text,
        prefix: Text,
    ) -> impl Future<Output = Result<Answer<BTreeSet<Text>>, StoreError>> + Send;

    /// Calls between services, counted by distinct child spans that start within the window and
    /// whose parent lies in the same trace; calls within a service included. Sorted.
    fn dependencies(
        &self,
        scope: ReadScope,
        window: TimeRange,
    ) -> impl Future<Output = Result<Answer<Vec<DependencyEdge>>, StoreError>> + Send;

    /// Keeps a trace beyond its retention; false if it is not known. Archived traces are found
    /// by id after the others, and never by search.
    fn archive(
        &self,
        tenant: Tenant,
        trace_id: TraceId,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes all data of a tenant. Returns when every shard has applied it.
    fn purge(&self, tenant: Tenant) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Most keys or values one suggestion call returns: more than a person reads.
pub const SUGGESTIONS_MAX: usize = 1_000;

/// A name for the content of a write request (128 bits of xxh3 over its bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestDigest(pub [u8; 16]);

/// A write request is durable and visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// How many spans it carried.
    pub spans: u64,
}

/// Who reads, and what the read may cost.
#[derive(Debug, Clone)]
pub struct ReadScope {
    /// Whose data.
    pub tenant: Tenant,
    /// What it may spend.
    pub budget: Budget,
    /// Skip the barrier: answer from whatever the nearest replica has applied.
    pub stale: bool,
}

/// A request for one trace.
#[derive(Debug, Clone)]
pub struct TraceRequest {
    /// Who reads.
    pub scope: ReadScope,
    /// Which trace.
    pub trace_id: TraceId,
    /// Most spans to return; more are cut off, latest first, and [`Trace::truncated`] says so.
    pub spans_max: usize,
}

/// A question for the spans of a trace that pass a predicate.
#[derive(Debug, Clone)]
pub struct FindRequest {
    /// Who reads.
    pub scope: ReadScope,
    /// Which trace.
    pub trace_id: TraceId,
    /// What must hold of a span.
    pub predicate: SpanPredicate,
}

/// Which rows of a trace's columns ([`TraceColumns`]) pass a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundRows {
    rows: usize,
    bits: Vec<u8>,
}

impl FoundRows {
    /// Of so many rows, none.
    pub fn none(rows: usize) -> Self {
        Self { rows, bits: vec![0; rows.div_ceil(8)] }
    }

    /// The rows whose bits are set, the lowest bit of the first byte first; nothing unless there is
    /// a bit for each row, and none for any other.
    pub fn from_bits(rows: usize, bits: Vec<u8>) -> Option<Self> {
        let tail = rows % 8;
        let is_clear = |last: &u8| tail == 0 || last >> tail == 0;
        let is_whole = bits.len() == rows.div_ceil(8) && bits.last().is_none_or(is_clear);
        is_whole.then_some(Self { rows, bits })
    }

    /// Adds a row, if there is one of this number.
    pub fn insert(&mut self, row: usize) {
        if row < self.rows
            && let Some(byte) = self.bits.get_mut(row / 8)
        {
            *byte |= 1 << (row % 8);
        }
    }

    /// Whether the row is one of them.
    pub fn contains(&self, row: usize) -> bool {
        self.bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 != 0)
    }

    /// How many rows the trace has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many of them pass.
    pub fn count(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// A bit a row, the lowest bit of the first byte first.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }
}

/// Most span ids one [`SpansRequest`] may name: more than are looked at together.
pub const SPAN_IDS_MAX: usize = 1_000;

/// A request for some spans of a trace.
#[derive(Debug, Clone)]
pub struct SpansRequest {
    /// Who reads.
    pub scope: ReadScope,
    /// Which trace.
    pub trace_id: TraceId,
    /// Which spans; all that have one of these ids. At most [`SPAN_IDS_MAX`].
    pub span_ids: BTreeSet<SpanId>,
}

/// A search.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Who reads.
    pub scope: ReadScope,
    /// What is asked.
    pub query: TraceQuery,
    /// What each hit carries.
    pub detail: Detail,
    /// Whether the search tells how far it has come ([`SearchItem::Progress`]) before its hits.
    pub progress: bool,
}

/// What a hit of a search carries besides its summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    Summary,
    /// The whole trace, cut off at this many spans.
    Trace {
        /// See [`TraceRequest::spans_max`].
        spans_max: usize,
    },
}

/// A request for figures.
#[derive(Debug, Clone)]
pub struct AggregateRequest {
    /// Who reads.
    pub scope: ReadScope,
    /// What is asked.
    pub query: AggregateQuery,
}

/// A value and how complete it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was found.
    pub value: T,
    /// How complete it is.
    pub completeness: Completeness,
}

impl<T> Answer<T> {
    /// An answer that lacks nothing.
    pub fn complete(value: T) -> Self {
        Self { value, completeness: Completeness::default() }
    }

    /// The same completeness for another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), completeness: self.completeness }
    }
}

/// What an answer lacks. The default lacks nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completeness {
    /// Shards that did not answer at all.
    pub missing: BTreeSet<ShardId>,
    /// Shards that answered from a replica that may not have applied the latest writes.
    pub stale: BTreeSet<ShardId>,
    /// Why the read ended early, if it did.
    pub exhausted: Option<Exhausted>,
    /// The values are a sample.
    pub sampled: bool,
}

impl Completeness {
    /// Whether the answer lacks nothing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.stale.is_empty() && self.exhausted.is_none()
    }

    /// The completeness of both answers together.
    pub fn merge(&mut self, other: Self) {
        self.missing.extend(other.missing);
        self.stale.extend(other.stale);
        self.exhausted = self.exhausted.or(other.exhausted);
        self.sampled |= other.sampled;
    }
}

/// All distinct spans of one trace id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The id.
    pub trace_id: TraceId,
    /// Its distinct spans, by start, then span id, then arrival.
    pub spans: Vec<Span>,
    /// How many distinct spans the trace has if `spans` was cut off.
    pub truncated: Option<u64>,
}

/// The structure of a trace, one entry a span, ordered as [`Trace::spans`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceColumns {
    /// Span ids.
    pub span_ids: Vec<SpanId>,
    /// Row of the parent; a row's own number for a root or an orphan.
    pub parents: Vec<u32>,
    /// Starts.
    pub starts: Vec<Timestamp>,
    /// Durations.
    pub durations: Vec<Duration>,
    /// Index into `services`.
    pub service: Vec<u32>,
    /// Index into `operations`.
    pub operation: Vec<u32>,
    /// Kind in the low three bits, then error, has events, has links, orphan.
    pub flags: Vec<u8>,
    /// Distinct effective services.
    pub services: Vec<Text>,
    /// Distinct effective operations.
    pub operations: Vec<Text>,
    /// Which state of the trace this is.
    pub revision: Revision,
}

/// A state of a trace that a later call can name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revision {
    /// The trace's shard.
    pub shard: u32,
    /// The shard's applied index.
    pub applied: u64,
    /// In how many places the trace's spans lie.
    pub parts: u32,
}

/// What a row of a search result needs, over all distinct spans of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSummary {
    /// The trace.
    pub trace_id: TraceId,
    /// Start of the earliest span.
    pub start: Timestamp,
    /// End of the latest span (never before `start`).
    pub end: Timestamp,
    /// Effective service of the root: the earliest span without a parent; empty without one.
    pub root_service: Text,
    /// Effective operation of the root; empty without one.
    pub root_operation: Text,
    /// Distinct spans.
    pub span_count: u64,
    /// Distinct spans with status error.
    pub error_count: u64,
    /// Distinct spans whose parent is not in the trace.
    pub orphan_count: u64,
    /// Per effective service, sorted by name.
    pub services: Vec<ServiceSummary>,
}

/// A service's share of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSummary {
    /// Effective service.
    pub service: Text,
    /// Distinct spans.
    pub span_count: u64,
    /// Distinct spans with status error.
    pub error_count: u64,
}

/// An operation of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// Effective operation.
    pub name: Text,
    /// The kind of its spans.
    pub kind: SpanKind,
}

/// The items of a search, in order.
pub type SearchStream = Pin<Box<dyn Stream<Item = Result<SearchItem, StoreError>> + Send>>;

/// One item of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchItem {
    /// How far the search has come, if that was asked for: any number of times, before all hits.
    Progress(Progress),
    /// A trace that matches.
    Hit(Box<Hit>),
    /// The end of the answer.
    End(SearchEnd),
}

/// How far a search has come while shards still answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Shards that were asked.
    pub asked: u32,
    /// Shards that have answered.
    pub answered: u32,
    /// Shards that have failed to.
    pub missing: BTreeSet<ShardId>,
    /// Spans whose columns were looked at, as far as is known.
    pub spans_scanned: u64,
    /// What the shard that answered last adds to the first traces of all that answered so far, in
    /// order. Shards that still have to answer may put others before and between them: only the
    /// hits of the answer are final.
    pub early: Vec<EarlyHit>,
}

/// A hit among the first of those that are known so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyHit {
    /// How many of the traces told so far stand before it.
    pub place: u32,
    /// The hit; without its trace.
    pub hit: Hit,
}

/// A trace that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its place in the order.
    pub key: OrderKey,
    /// Its summary.
    pub summary: TraceSummary,
    /// The trace itself, if asked for.
    pub trace: Option<Trace>,
}

/// What is known at the end of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchEnd {
    /// How complete the answer is.
    pub completeness: Completeness,
    /// Where to continue; nothing if there are no further traces.
    pub cursor: Option<Cursor>,
    /// Shards that applied entries since the cursor that the query carried.
    pub moved: BTreeSet<ShardId>,
    /// Spans whose columns were looked at.
    pub spans_scanned: u64,
}

/// What went wrong, by what the caller should do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for the request now; try again after the hint.
    #[error("overloaded: {what}; try again in {retry_after_ms} ms")]
    Overloaded {
        /// What is full.
        what: &'static str,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The request's outcome is unknown or its data out of reach; try again after the hint.
    #[error("unavailable: {what}; try again in {retry_after_ms} ms")]
    Unavailable {
        /// What is missing.
        what: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The request can never succeed as it is.
    #[error("{what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// The read spent its budget before there was anything to show.
    #[error("the read was stopped: {0}")]
    Exhausted(#[from] Exhausted),
    /// This store cannot do that (yet).
    #[error("{what} is not supported by this store")]
    Unsupported {
        /// What was asked.
        what: &'static str,
    },
}

impl StoreError {
    /// Whether sending the same request again may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Overloaded { .. } | Self::Unavailable { .. } => true,
            Self::Exhausted(_) | Self::Invalid { .. } | Self::Unsupported { .. } => false,
        }
    }

    /// When to try again, in milliseconds, if that helps.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Overloaded { retry_after_ms, .. } | Self::Unavailable { retry_after_ms, .. } => {
                Some(*retry_after_ms)
            }
            Self::Exhausted(_) | Self::Invalid { .. } | Self::Unsupported { .. } => None,
        }
    }
}
