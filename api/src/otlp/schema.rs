//! The messages of OTLP traces as tables: field numbers, types, JSON names.
//!
//! Two slow paths share them: [`super::json`], which turns JSON into protobuf, and
//! [`super::normal`], which brings a rare form of a message into the usual one. The walker has
//! the same numbers in its code, for speed; a test compares both with the reference types.
//! Source: `opentelemetry/proto/{common,resource,trace}/v1` and the OTLP specification's section
//! on JSON (ids in hexadecimal, enums as numbers, unknown keys ignored).

use std::fmt;

/// A message type.
pub struct Message {
    /// Its fields, in the order of their numbers.
    pub fields: &'static [Field],
    /// Whether all its fields exclude each other.
    pub is_oneof: bool,
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number on the wire.
    pub number: u32,
    /// Its name in JSON.
    pub json_name: &'static str,
    /// Its name in the description, which some writers use in JSON.
    pub proto_name: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A varint of 64 bits, signed.
    Int64,
    /// A varint of 32 bits, unsigned.
    Uint32,
    /// A varint of 32 bits with names.
    Enum(&'static [(&'static str, i32)]),
    /// A truth value.
    Bool,
    /// Eight bytes, unsigned.
    Fixed64,
    /// Four bytes, unsigned.
    Fixed32,
    /// Eight bytes, a floating-point number.
    Double,
    /// Text.
    Text,
    /// Bytes that JSON writes in hexadecimal.
    Hex,
    /// Bytes that JSON writes in base64.
    Base64,
    /// One message; several are merged.
    One(&'static Message),
    /// A list of messages.
    Many(&'static Message),
}

impl Kind {
    /// The wire type of a field of this kind.
    pub fn wire_type(self) -> u32 {
        match self {
            Self::Int64 | Self::Uint32 | Self::Enum(_) | Self::Bool => super::wire::VARINT,
            Self::Fixed64 | Self::Double => super::wire::FIXED64,
            Self::Fixed32 => super::wire::FIXED32,
            Self::Text | Self::Hex | Self::Base64 | Self::One(_) | Self::Many(_) => {
                super::wire::LENGTH
            }
        }
    }
}

impl fmt::Debug for Message {
    // Message types refer to themselves.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}

const fn field(
    number: u32,
    json_name: &'static str,
    proto_name: &'static str,
    kind: Kind,
) -> Field {
    Field { number, json_name, proto_name, kind }
}

/// `ExportTraceServiceRequest` and `TracesData`.
pub static REQUEST: Message = Message {
    is_oneof: false,
    fields: &[field(1, "resourceSpans", "resource_spans", Kind::Many(&RESOURCE_SPANS))],
};

/// `ResourceSpans`.
pub static RESOURCE_SPANS: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "resource", "resource", Kind::One(&RESOURCE)),
        field(2, "scopeSpans", "scope_spans", Kind::Many(&SCOPE_SPANS)),
        field(3, "schemaUrl", "schema_url", Kind::Text),
    ],
};

/// `Resource`.
pub static RESOURCE: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "attributes", "attributes", Kind::Many(&KEY_VALUE)),
        field(2, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
    ],
};

/// `ScopeSpans`.
pub static SCOPE_SPANS: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "scope", "scope", Kind::One(&SCOPE)),
        field(2, "spans", "spans", Kind::Many(&SPAN)),
        field(3, "schemaUrl", "schema_url", Kind::Text),
    ],
};

/// `InstrumentationScope`.
pub static SCOPE: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "name", "name", Kind::Text),
        field(2, "version", "version", Kind::Text),
        field(3, "attributes", "attributes", Kind::Many(&KEY_VALUE)),
        field(4, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
    ],
};

/// `Span`.
pub static SPAN: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "traceId", "trace_id", Kind::Hex),
        field(2, "spanId", "span_id", Kind::Hex),
        field(3, "traceState", "trace_state", Kind::Text),
        field(4, "parentSpanId", "parent_span_id", Kind::Hex),
        field(5, "name", "name", Kind::Text),
        field(6, "kind", "kind", Kind::Enum(SPAN_KINDS)),
        field(7, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
        field(8, "endTimeUnixNano", "end_time_unix_nano", Kind::Fixed64),
        field(9, "attributes", "attributes", Kind::Many(&KEY_VALUE)),
        field(10, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
        field(11, "events", "events", Kind::Many(&EVENT)),
        field(12, "droppedEventsCount", "dropped_events_count", Kind::Uint32),
        field(13, "links", "links", Kind::Many(&LINK)),
        field(14, "droppedLinksCount", "dropped_links_count", Kind::Uint32),
        field(15, "status", "status", Kind::One(&STATUS)),
        field(16, "flags", "flags", Kind::Fixed32),
    ],
};

const SPAN_KINDS: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

/// `Span.Event`.
pub static EVENT: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        field(2, "name", "name", Kind::Text),
        field(3, "attributes", "attributes", Kind::Many(&KEY_VALUE)),
        field(4, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
    ],
};

/// `Span.Link`.
pub static LINK: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "traceId", "trace_id", Kind::Hex),
        field(2, "spanId", "span_id", Kind::Hex),
        field(3, "traceState", "trace_state", Kind::Text),
        field(4, "attributes", "attributes", Kind::Many(&KEY_VALUE)),
        field(5, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
        field(6, "flags", "flags", Kind::Fixed32),
    ],
};

/// `Status`.
pub static STATUS: Message = Message {
    is_oneof: false,
    fields: &[
        field(2, "message", "message", Kind::Text),
        field(3, "code", "code", Kind::Enum(STATUS_CODES)),
    ],
};

const STATUS_CODES: &[(&str, i32)] =
    &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

/// `KeyValue`. Its `key_strindex` belongs to profiles and is unknown here.
pub static KEY_VALUE: Message = Message {
    is_oneof: false,
    fields: &[
        field(1, "key", "key", Kind::Text),
        field(2, "value", "value", Kind::One(&ANY_VALUE)),
    ],
};

/// `AnyValue`.
pub static ANY_VALUE: Message = Message {
    is_oneof: true,
    fields: &[
        field(1, "stringValue", "string_value", Kind::Text),
        field(2, "boolValue", "bool_value", Kind::Bool),
        field(3, "intValue", "int_value", Kind::Int64),
        field(4, "doubleValue", "double_value", Kind::Double),
        field(5, "arrayValue", "array_value", Kind::One(&ARRAY_VALUE)),
        field(6, "kvlistValue", "kvlist_value", Kind::One(&KEY_VALUE_LIST)),
        field(7, "bytesValue", "bytes_value", Kind::Base64),
        // Of profiles only, yet part of the oneof: it decides which value is the last.
        field(8, "stringValueStrindex", "string_value_strindex", Kind::Uint32),
    ],
};

/// `ArrayValue`.
pub static ARRAY_VALUE: Message =
    Message { is_oneof: false, fields: &[field(1, "values", "values", Kind::Many(&ANY_VALUE))] };

/// `KeyValueList`.
pub static KEY_VALUE_LIST: Message =
    Message { is_oneof: false, fields: &[field(1, "values", "values", Kind::Many(&KEY_VALUE))] };
