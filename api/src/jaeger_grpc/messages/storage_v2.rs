//! `jaeger.storage.v2`, where it differs from the query services.

use prost::Message;

use super::standard::{Duration, Timestamp};

/// `GetTraceParams`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetTraceParams {
    /// Sixteen bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: bytes::Bytes,
    /// A hint.
    #[prost(message, optional, tag = "2")]
    pub start_time: Option<Timestamp>,
    /// A hint.
    #[prost(message, optional, tag = "3")]
    pub end_time: Option<Timestamp>,
}

/// `GetTracesRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetTracesRequest {
    /// The traces.
    #[prost(message, repeated, tag = "1")]
    pub query: Vec<GetTraceParams>,
}

/// `KeyValue`, its value as the bytes of an OTLP `AnyValue`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValue {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<bytes::Bytes>,
}

/// `TraceQueryParameters`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TraceQueryParameters {
    /// Empty for all services.
    #[prost(string, tag = "1")]
    pub service_name: String,
    /// Empty for all operations.
    #[prost(string, tag = "2")]
    pub operation_name: String,
    /// Each of these some span has.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
    /// Earliest start of a span.
    #[prost(message, optional, tag = "4")]
    pub start_time_min: Option<Timestamp>,
    /// Latest start of a span.
    #[prost(message, optional, tag = "5")]
    pub start_time_max: Option<Timestamp>,
    /// Shortest span.
    #[prost(message, optional, tag = "6")]
    pub duration_min: Option<Duration>,
    /// Longest span.
    #[prost(message, optional, tag = "7")]
    pub duration_max: Option<Duration>,
    /// How many traces.
    #[prost(int32, tag = "8")]
    pub search_depth: i32,
    /// A filter expression, not understood.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub filter: Option<bytes::Bytes>,
}

/// `FindTracesRequest`, `FindTraceIDsRequest`, `FindTraceSummariesRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTracesRequest {
    /// What is asked.
    #[prost(message, optional, tag = "1")]
    pub query: Option<TraceQueryParameters>,
}

/// `FoundTraceID`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FoundTraceId {
    /// Sixteen bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// Start of the earliest span.
    #[prost(message, optional, tag = "2")]
    pub start: Option<Timestamp>,
    /// End of the latest span.
    #[prost(message, optional, tag = "3")]
    pub end: Option<Timestamp>,
}

/// `FindTraceIDsResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTraceIdsResponse {
    /// The traces.
    #[prost(message, repeated, tag = "1")]
    pub trace_ids: Vec<FoundTraceId>,
}

/// `TraceSummary`; as in api_v3, but for the id's bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TraceSummary {
    /// Sixteen bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// The service of the root.
    #[prost(string, tag = "2")]
    pub root_service_name: String,
    /// The root's operation.
    #[prost(string, tag = "3")]
    pub root_operation_name: String,
    /// Start of the earliest span.
    #[prost(fixed64, tag = "4")]
    pub min_start_time_unix_nano: u64,
    /// End of the latest span.
    #[prost(fixed64, tag = "5")]
    pub max_end_time_unix_nano: u64,
    /// Spans.
    #[prost(int32, tag = "6")]
    pub span_count: i32,
    /// Spans with status error.
    #[prost(int32, tag = "7")]
    pub error_span_count: i32,
    /// Spans whose parent is not in the trace.
    #[prost(int32, tag = "8")]
    pub orphan_span_count: i32,
    /// Per service, sorted by name.
    #[prost(message, repeated, tag = "9")]
    pub services: Vec<super::api_v3::ServiceSummary>,
}

/// `FindTraceSummariesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTraceSummariesResponse {
    /// Some of the summaries.
    #[prost(message, repeated, tag = "1")]
    pub summaries: Vec<TraceSummary>,
}

/// `GetCapabilitiesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetCapabilitiesResponse {
    /// What searches can do.
    #[prost(message, optional, tag = "1")]
    pub search: Option<SearchCapabilities>,
}

/// `SearchCapabilities`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SearchCapabilities {
    /// A search need not name a service.
    #[prost(bool, tag = "1")]
    pub without_service_name: bool,
    /// All predicates hold of one span.
    #[prost(bool, tag = "2")]
    pub same_span_conjunction: bool,
    /// What filter expressions may say; absent if there are none.
    #[prost(message, optional, tag = "3")]
    pub filter: Option<FilterCapabilities>,
}

/// `FilterCapabilities`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FilterCapabilities {
    /// Where references may point.
    #[prost(string, repeated, tag = "1")]
    pub levels: Vec<String>,
    /// Which operators there are.
    #[prost(string, repeated, tag = "2")]
    pub operators: Vec<String>,
}
