//! `jaeger.api_v3`, where it differs from `jaeger.api_v2`.

use std::collections::BTreeMap;

use prost::Message;

use super::api_v2::Operation;
use super::standard::{Duration, Timestamp};

/// `GetTraceRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetTraceRequest {
    /// Hexadecimal.
    #[prost(string, tag = "1")]
    pub trace_id: String,
    /// A hint.
    #[prost(message, optional, tag = "2")]
    pub start_time: Option<Timestamp>,
    /// A hint.
    #[prost(message, optional, tag = "3")]
    pub end_time: Option<Timestamp>,
    /// Without adjusters.
    #[prost(bool, tag = "4")]
    pub raw_traces: bool,
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
    #[prost(btree_map = "string, string", tag = "3")]
    pub attributes: BTreeMap<String, String>,
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
    /// Without adjusters.
    #[prost(bool, tag = "9")]
    pub raw_traces: bool,
    /// A filter expression, not understood.
    #[prost(bytes = "bytes", optional, tag = "10")]
    pub filter: Option<bytes::Bytes>,
}

/// `FindTracesRequest` and `FindTraceSummariesRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTracesRequest {
    /// What is asked.
    #[prost(message, optional, tag = "1")]
    pub query: Option<TraceQueryParameters>,
}

/// `GetOperationsResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetOperationsResponse {
    /// Names and kinds.
    #[prost(message, repeated, tag = "1")]
    pub operations: Vec<Operation>,
}

/// `Dependency`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Dependency {
    /// Who calls.
    #[prost(string, tag = "1")]
    pub parent: String,
    /// Who is called.
    #[prost(string, tag = "2")]
    pub child: String,
    /// How often.
    #[prost(uint64, tag = "3")]
    pub call_count: u64,
}

/// `DependenciesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DependenciesResponse {
    /// The edges.
    #[prost(message, repeated, tag = "1")]
    pub dependencies: Vec<Dependency>,
}

/// `TraceSummary`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TraceSummary {
    /// Hexadecimal, 32 digits.
    #[prost(string, tag = "1")]
    pub trace_id: String,
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
    pub services: Vec<ServiceSummary>,
}

/// `ServiceSummary`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ServiceSummary {
    /// The service.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Spans.
    #[prost(int32, tag = "2")]
    pub span_count: i32,
    /// Spans with status error.
    #[prost(int32, tag = "3")]
    pub error_span_count: i32,
}

/// `FindTraceSummariesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTraceSummariesResponse {
    /// Some of the summaries.
    #[prost(message, repeated, tag = "1")]
    pub summaries: Vec<TraceSummary>,
}
