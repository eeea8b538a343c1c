//! How spans come in: a receiver walks its wire format and tells a [`SpanVisitor`] what it
//! sees, borrowed from the request's own bytes. No owned span exists on this path.
//!
//! The order of calls for one request: [`crate::TraceStore::begin`], then for each partition
//! that has spans one [`SpanSink::append`], inside which the visitor is told of every span of
//! the partition, then [`SpanSink::finish`]. A receiver has checked the whole request before
//! the first `append`: appending cannot fail because of what is appended.

use std::future::Future;

use crate::store::{Ack, StoreError};
use crate::value::ValueRef;
use crate::{SpanId, TraceId};

/// One write request on its way into a store.
pub trait SpanSink: Send {
    /// What spans are told to.
    type Visitor: SpanVisitor;

    /// How many partitions there are; fixed for the life of the sink.
    fn partition_count(&self) -> u32;

    /// The partition that holds `trace_id`, below [`SpanSink::partition_count`]. All spans of a
    /// trace share one.
    fn partition_of(&self, trace_id: TraceId) -> u32;

    /// Adds the rows of one partition in one critical section. `rows` tells the visitor about
    /// exactly `size.spans` spans. A part of more than [`PART_SPANS_MAX`] spans or
    /// [`PART_BYTES_MAX`] bytes is told in several calls; each begins with resource and scope.
    ///
    /// An error is a refusal of the whole request for lack of room; parts appended before may
    /// still become visible, as after any unacknowledged request.
    fn append(
        &mut self,
        partition: u32,
        size: PartSize,
        rows: &mut dyn FnMut(&mut Self::Visitor),
    ) -> Result<(), StoreError>;

    /// Waits until every appended row is durable as the store promises (DUR-1) and visible.
    fn finish(self) -> impl Future<Output = Result<Ack, StoreError>> + Send;
}

/// Most spans that one [`SpanSink::append`] tells: a critical section is held meanwhile.
pub const PART_SPANS_MAX: usize = 8_192;

/// Most bytes of spans that one [`SpanSink::append`] tells, for the same reason and because a
/// log entry must stay small; a single span may be larger.
pub const PART_BYTES_MAX: usize = 1 << 20;

/// How much a partition gets from one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSize {
    /// Spans.
    pub spans: u32,
    /// Bytes of those spans on the wire: an estimate of their room in memory.
    pub bytes: usize,
}

/// Is told about spans, one after another.
///
/// For each span: [`resource`](Self::resource) and [`scope`](Self::scope) if they differ from
/// the previous span's, [`span`](Self::span), its attributes, then each event and its
/// attributes, then each link and its attributes, then [`end_span`](Self::end_span).
pub trait SpanVisitor {
    /// Sets the resource of the following spans. If this returns [`Interned::New`], its
    /// attributes follow, then [`end_group`](Self::end_group); if [`Interned::Known`], nothing.
    fn resource(&mut self, resource: &ResourceHead<'_>) -> Interned;

    /// Sets the scope of the following spans; protocol as for [`resource`](Self::resource).
    fn scope(&mut self, scope: &ScopeHead<'_>) -> Interned;

    /// Ends the attributes of a new resource or scope.
    fn end_group(&mut self);

    /// Begins a span.
    fn span(&mut self, span: &SpanHead<'_>);

    /// An attribute of whatever was begun last: resource, scope, span, event or link.
    fn attribute(&mut self, key: &[u8], value: ValueRef<'_>);

    /// Begins an event of the current span.
    fn event(&mut self, event: &EventHead<'_>);

    /// Begins a link of the current span.
    fn link(&mut self, link: &LinkHead<'_>);

    /// Ends the current span.
    fn end_span(&mut self);
}

/// Whether a visitor already knows a resource or scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interned {
    /// Its attributes are wanted.
    New,
    /// Its attributes need not be told again.
    Known,
}

/// A resource, without its attributes.
#[derive(Debug, Clone, Copy)]
pub struct ResourceHead<'a> {
    /// The whole resource in the receiver's wire form. Equal bytes under one receiver mean an
    /// equal resource; this is what makes the second sight of a resource cheap.
    pub identity: &'a [u8],
    /// See [`crate::Resource::present`].
    pub present: bool,
    /// See [`crate::Resource::schema_url`].
    pub schema_url: &'a [u8],
    /// See [`crate::Resource::dropped_attributes_count`].
    pub dropped_attributes_count: u32,
    /// See [`crate::Resource::unknown`].
    pub unknown: &'a [u8],
    /// See [`crate::Resource::group_unknown`].
    pub group_unknown: &'a [u8],
}

/// A scope, without its attributes.
#[derive(Debug, Clone, Copy)]
pub struct ScopeHead<'a> {
    /// As [`ResourceHead::identity`].
    pub identity: &'a [u8],
    /// See [`crate::Scope::present`].
    pub present: bool,
    /// See [`crate::Scope::name`].
    pub name: &'a [u8],
    /// See [`crate::Scope::version`].
    pub version: &'a [u8],
    /// See [`crate::Scope::schema_url`].
    pub schema_url: &'a [u8],
    /// See [`crate::Scope::dropped_attributes_count`].
    pub dropped_attributes_count: u32,
    /// See [`crate::Scope::unknown`].
    pub unknown: &'a [u8],
    /// See [`crate::Scope::group_unknown`].
    pub group_unknown: &'a [u8],
}

/// A span, without attributes, events and links.
#[derive(Debug, Clone, Copy)]
pub struct SpanHead<'a> {
    /// Its trace; never zero.
    pub trace_id: TraceId,
    /// Its id; never zero.
    pub span_id: SpanId,
    /// The parent's id as it came: empty, eight bytes, or an odd number of them.
    pub parent: &'a [u8],
    /// See [`crate::Span::trace_state`].
    pub trace_state: &'a [u8],
    /// See [`crate::Span::flags`].
    pub flags: u32,
    /// See [`crate::Span::name`].
    pub name: &'a [u8],
    /// See [`crate::Span::kind`].
    pub kind: i32,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    /// See [`crate::Span::dropped_attributes_count`].
    pub dropped_attributes_count: u32,
    /// See [`crate::Span::dropped_events_count`].
    pub dropped_events_count: u32,
    /// See [`crate::Span::dropped_links_count`].
    pub dropped_links_count: u32,
    /// The outcome, if said.
    pub status: Option<StatusHead<'a>>,
    /// See [`crate::Span::unknown`].
    pub unknown: &'a [u8],
}

/// A span's status.
#[derive(Debug, Clone, Copy)]
pub struct StatusHead<'a> {
    /// See [`crate::span::StatusCode`].
    pub code: i32,
    /// See [`crate::span::Status::message`].
    pub message: &'a [u8],
    /// See [`crate::span::Status::unknown`].
    pub unknown: &'a [u8],
}

/// An event, without its attributes.
#[derive(Debug, Clone, Copy)]
pub struct EventHead<'a> {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// See [`crate::span::Event::name`].
    pub name: &'a [u8],
    /// See [`crate::span::Event::dropped_attributes_count`].
    pub dropped_attributes_count: u32,
    /// See [`crate::span::Event::unknown`].
    pub unknown: &'a [u8],
}

/// A link, without its attributes.
#[derive(Debug, Clone, Copy)]
pub struct LinkHead<'a> {
    /// See [`crate::span::Link::trace_id`].
    pub trace_id: &'a [u8],
    /// See [`crate::span::Link::span_id`].
    pub span_id: &'a [u8],
    /// See [`crate::span::Link::trace_state`].
    pub trace_state: &'a [u8],
    /// See [`crate::span::Link::dropped_attributes_count`].
    pub dropped_attributes_count: u32,
    /// See [`crate::span::Link::flags`].
    pub flags: u32,
    /// See [`crate::span::Link::unknown`].
    pub unknown: &'a [u8],
}
