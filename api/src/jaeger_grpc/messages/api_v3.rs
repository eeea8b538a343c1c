//! `jaeger.api_v3`, where it differs from `jaeger.api_v2`. Remote storage's answers are the same
//! but for an id's form.

use prost::Message;

use super::api_v2::Operation;

/// `GetOperationsResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetOperationsResponse {
    /// Names and kinds.
    #[prost(message, repeated, tag = "1")]
    pub operations: Vec<Operation>,
}

/// `TraceSummary`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TraceSummary {
    /// Hexadecimal, 32 digits; in remote storage the sixteen bytes.
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
