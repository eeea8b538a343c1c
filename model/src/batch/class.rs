//! What rows share: classes and shapes, and the names of columns.

use crate::span::{SpanKind, Status, StatusCode};
use crate::value::ValueType;

/// What a column belongs to. Stable: these numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Part {
    /// Attributes of spans; the key is in the dictionary.
    Span = 0,
    /// Rarer fields of spans; the key is a `SpanField`.
    SpanField = 1,
    /// Attributes of events.
    Event = 2,
    /// Rarer fields of events.
    EventField = 3,
    /// Attributes of links.
    Link = 4,
    /// Rarer fields of links.
    LinkField = 5,
}

impl Part {
    const ALL: [Self; 6] =
        [Self::Span, Self::SpanField, Self::Event, Self::EventField, Self::Link, Self::LinkField];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the columns of this part lie in the values section (else in the details).
    pub(crate) fn is_of_span(self) -> bool {
        matches!(self, Self::Span | Self::SpanField)
    }
}

/// Keys of [`Part::SpanField`]: fields that most spans leave at their default. On disk.
pub(crate) mod span_field {
    pub(crate) const TRACE_STATE: u32 = 0;
    pub(crate) const STATUS_MESSAGE: u32 = 1;
    pub(crate) const STATUS_UNKNOWN: u32 = 2;
    pub(crate) const DROPPED_ATTRIBUTES: u32 = 3;
    pub(crate) const DROPPED_EVENTS: u32 = 4;
    pub(crate) const DROPPED_LINKS: u32 = 5;
    pub(crate) const UNKNOWN: u32 = 6;
    pub(crate) const ODD_PARENT: u32 = 7;
}

/// The texts among the fields of spans that have columns. A span without one has no such text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextField {
    /// The trace state.
    TraceState,
    /// The status message.
    StatusMessage,
}

/// Keys of [`Part::EventField`]. On disk.
pub(crate) mod event_field {
    pub(crate) const DROPPED_ATTRIBUTES: u32 = 0;
    pub(crate) const UNKNOWN: u32 = 1;
}

/// Keys of [`Part::LinkField`]. On disk.
pub(crate) mod link_field {
    pub(crate) const TRACE_STATE: u32 = 0;
    pub(crate) const DROPPED_ATTRIBUTES: u32 = 1;
    pub(crate) const UNKNOWN: u32 = 2;
}

/// The name of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnKey {
    /// What it belongs to.
    pub part: Part,
    /// The type of all its values.
    pub value_type: ValueType,
    /// A place in the dictionary, or the number of a field.
    pub key: u32,
}

/// The ordered columns that one row takes a value from each; a column may stand in it twice.
pub type Shape = Vec<u32>;

/// What many spans share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class {
    /// Place of the name in the dictionary.
    pub name: u32,
    /// The kind.
    pub kind: SpanKind,
    /// The flags.
    pub flags: u32,
    /// The status code, if there is a status.
    pub status: Option<StatusCode>,
    /// Place among the resources.
    pub resource: u32,
    /// Place among the scopes.
    pub scope: u32,
    /// Place among the shapes.
    pub shape: u32,
    /// How many events each span has.
    pub event_count: u32,
    /// How many links each span has.
    pub link_count: u32,
}

impl Class {
    /// Whether its spans failed.
    pub fn is_error(&self) -> bool {
        self.status == Some(StatusCode::ERROR)
    }

    pub(crate) fn bare_status(&self) -> Option<Status> {
        self.status.map(|code| Status { code, ..Status::default() })
    }
}

/// What many events share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EventClass {
    pub(crate) name: u32,
    pub(crate) shape: u32,
}

/// What many links share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LinkClass {
    pub(crate) trace_id_length: u32,
    pub(crate) span_id_length: u32,
    pub(crate) flags: u32,
    pub(crate) shape: u32,
}
