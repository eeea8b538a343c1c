//! `jaeger.api_v2`, services of reading, and what the other packages have alike.
//!
//! Messages that are the same on the wire are one type here, whatever they are called there.

use std::collections::BTreeMap;

use prost::Message;

use super::parameters::trace_query_parameters;
use super::standard::Timestamp;

/// `GetTraceRequest`, of api_v3 too; `ArchiveTraceRequest` and remote storage's `GetTraceParams`,
/// which have no `raw_traces`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetTraceRequest {
    /// Sixteen bytes, or eight; hexadecimal text in api_v3.
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

trace_query_parameters! {
    /// `TraceQueryParameters`, of api_v3 too.
    {
        /// Each of these some span has.
        #[prost(btree_map = "string, string", tag = "3")]
        pub attributes: BTreeMap<String, String>,
        /// Without adjusters.
        #[prost(bool, tag = "9")]
        pub raw_traces: bool,
        /// A filter expression, of which only api_v3 knows, and which is not understood.
        #[prost(bytes = "bytes", optional, tag = "10")]
        pub filter: Option<bytes::Bytes>,
    }
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

/// `DependencyLink`, elsewhere `Dependency`. Who computed it is always empty, which is nothing on
/// the wire.
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
}

/// `GetDependenciesResponse`; in api_v3 `DependenciesResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetDependenciesResponse {
    /// The edges.
    #[prost(message, repeated, tag = "1")]
    pub dependencies: Vec<DependencyLink>,
}

/// A message without fields.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Nothing {}
