//! `jaeger.api_v2`, services of reading.

use std::collections::BTreeMap;

use prost::Message;

use super::standard::{Duration, Timestamp};

/// `GetTraceRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetTraceRequest {
    /// Sixteen bytes, or eight.
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: bytes::Bytes,
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

/// `ArchiveTraceRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ArchiveTraceRequest {
    /// Sixteen bytes, or eight.
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: bytes::Bytes,
    /// A hint.
    #[prost(message, optional, tag = "2")]
    pub start_time: Option<Timestamp>,
    /// A hint.
    #[prost(message, optional, tag = "3")]
    pub end_time: Option<Timestamp>,
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
    pub tags: BTreeMap<String, String>,
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
}

/// `FindTracesRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTracesRequest {
    /// What is asked.
    #[prost(message, optional, tag = "1")]
    pub query: Option<TraceQueryParameters>,
}

/// `GetServicesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetServicesResponse {
    /// The services.
    #[prost(string, repeated, tag = "1")]
    pub services: Vec<String>,
}

/// `GetOperationsRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetOperationsRequest {
    /// The service; empty for all.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The kind; empty for all.
    #[prost(string, tag = "2")]
    pub span_kind: String,
}

/// `Operation`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Operation {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its kind; empty if not said.
    #[prost(string, tag = "2")]
    pub span_kind: String,
}

/// `GetOperationsResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetOperationsResponse {
    /// Names, each once; what old clients read.
    #[prost(string, repeated, tag = "1")]
    pub operation_names: Vec<String>,
    /// Names and kinds.
    #[prost(message, repeated, tag = "2")]
    pub operations: Vec<Operation>,
}

/// `GetDependenciesRequest`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct GetDependenciesRequest {
    /// Earliest start of a call.
    #[prost(message, optional, tag = "1")]
    pub start_time: Option<Timestamp>,
    /// Latest start of a call.
    #[prost(message, optional, tag = "2")]
    pub end_time: Option<Timestamp>,
}

/// `DependencyLink`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DependencyLink {
    /// Who calls.
    #[prost(string, tag = "1")]
    pub parent: String,
    /// Who is called.
    #[prost(string, tag = "2")]
    pub child: String,
    /// How often.
    #[prost(uint64, tag = "3")]
    pub call_count: u64,
    /// Who computed it; always empty here.
    #[prost(string, tag = "4")]
    pub source: String,
}

/// `GetDependenciesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetDependenciesResponse {
    /// The edges.
    #[prost(message, repeated, tag = "1")]
    pub dependencies: Vec<DependencyLink>,
}

/// A message without fields.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Nothing {}
