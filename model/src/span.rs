//! Spans as OpenTelemetry defines them, owned: what reading returns.
//!
//! The ingest path never builds these (see [`crate::sink`]); they exist for answers, for the
//! reference evaluator and for tests. Field meanings are those of
//! `opentelemetry/proto/trace/v1/trace.proto`; "unknown" fields are parts of a message that this
//! version does not know, in their wire form, returned as they came.

use std::sync::Arc;

use crate::{Attribute, Duration, SpanId, Text, Timestamp, TraceId};

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What emitted it.
    pub resource: Arc<Resource>,
    /// The instrumentation that recorded it.
    pub scope: Arc<Scope>,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its name within the trace; different spans may share one.
    pub span_id: SpanId,
    /// Its parent.
    pub parent: ParentId,
    /// W3C `tracestate`.
    pub trace_state: Text,
    /// W3C trace flags and OTLP's two "is remote" bits.
    pub flags: u32,
    /// The span name (Jaeger: operation), as it came.
    pub name: Text,
    /// Its role.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; may lie before `start`.
    pub end: Timestamp,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Its events, in order.
    pub events: Vec<Event>,
    /// Its links, in order.
    pub links: Vec<Link>,
    /// Attributes the client dropped.
    pub dropped_attributes_count: u32,
    /// Events the client dropped.
    pub dropped_events_count: u32,
    /// Links the client dropped.
    pub dropped_links_count: u32,
    /// The outcome; a present but empty status differs from none.
    pub status: Option<Status>,
    /// Unknown fields of the span.
    pub unknown: Text,
}

impl Span {
    /// `end - start`, zero for a negative duration.
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Whether the status says error. The only rule for errors in Skua.
    pub fn is_error(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.code == StatusCode::ERROR)
    }
}

/// The parent of a span as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ParentId {
    /// No parent field, or an empty one.
    #[default]
    None,
    /// Eight bytes. All zero means "no parent" to every consumer, yet comes back as it was.
    Id(SpanId),
    /// Some other number of bytes; never matches a span.
    Odd(Text),
}

impl ParentId {
    /// The parent's span id, if there is a valid one.
    pub fn span_id(&self) -> Option<SpanId> {
        match self {
            Self::Id(id) if !id.is_zero() => Some(*id),
            Self::None | Self::Id(_) | Self::Odd(_) => None,
        }
    }

    /// Whether the span claims to be a root: no parent, or an all-zero one.
    pub fn is_root(&self) -> bool {
        match self {
            Self::None => true,
            Self::Id(id) => id.is_zero(),
            Self::Odd(_) => false,
        }
    }
}

/// A span's role, OTLP's `SpanKind`; numbers this version does not know are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanKind(pub i32);

impl SpanKind {
    /// Not said.
    pub const UNSPECIFIED: Self = Self(0);
    /// Work inside one process.
    pub const INTERNAL: Self = Self(1);
    /// The serving side of a call.
    pub const SERVER: Self = Self(2);
    /// The calling side of a call.
    pub const CLIENT: Self = Self(3);
    /// Sends a message.
    pub const PRODUCER: Self = Self(4);
    /// Receives a message.
    pub const CONSUMER: Self = Self(5);

    /// The lower-case name that Jaeger uses; empty for unspecified and unknown kinds.
    pub fn name(self) -> &'static str {
        match self {
            Self::INTERNAL => "internal",
            Self::SERVER => "server",
            Self::CLIENT => "client",
            Self::PRODUCER => "producer",
            Self::CONSUMER => "consumer",
            _ => "",
        }
    }

    /// The kind of this lower-case name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::INTERNAL, Self::SERVER, Self::CLIENT, Self::PRODUCER, Self::CONSUMER]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// The outcome of a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Unset, ok or error.
    pub code: StatusCode,
    /// What went wrong, in words.
    pub message: Text,
    /// Unknown fields of the status.
    pub unknown: Text,
}

/// OTLP's status code; numbers this version does not know are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StatusCode(pub i32);

impl StatusCode {
    /// Nothing said.
    pub const UNSET: Self = Self(0);
    /// Declared a success.
    pub const OK: Self = Self(1);
    /// Failed.
    pub const ERROR: Self = Self(2);
}

/// Something that happened at a moment of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// What.
    pub name: Text,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Attributes the client dropped.
    pub dropped_attributes_count: u32,
    /// Unknown fields of the event.
    pub unknown: Text,
}

/// A reference to another span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The other trace's id, of any length.
    pub trace_id: Text,
    /// The other span's id, of any length.
    pub span_id: Text,
    /// W3C `tracestate` of the other span.
    pub trace_state: Text,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Attributes the client dropped.
    pub dropped_attributes_count: u32,
    /// Flags of the other span.
    pub flags: u32,
    /// Unknown fields of the link.
    pub unknown: Text,
}

/// What emitted a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resource {
    /// Whether there was a resource message at all.
    pub present: bool,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Attributes the client dropped.
    pub dropped_attributes_count: u32,
    /// Schema of the resource.
    pub schema_url: Text,
    /// Unknown fields of the resource.
    pub unknown: Text,
    /// Unknown fields of the group of spans under this resource.
    pub group_unknown: Text,
}

/// The instrumentation that recorded a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Whether there was a scope message at all.
    pub present: bool,
    /// Its name.
    pub name: Text,
    /// Its version.
    pub version: Text,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Attributes the client dropped.
    pub dropped_attributes_count: u32,
    /// Schema of the spans of this scope.
    pub schema_url: Text,
    /// Unknown fields of the scope.
    pub unknown: Text,
    /// Unknown fields of the group of spans under this scope.
    pub group_unknown: Text,
}
