//! `jaeger.storage.v2`, where it differs from the query services.

use prost::Message;

use super::api_v2::GetTraceRequest;
use super::parameters::trace_query_parameters;
use super::standard::Timestamp;

/// `GetTracesRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetTracesRequest {
    /// The traces.
    #[prost(message, repeated, tag = "1")]
    pub query: Vec<GetTraceRequest>,
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

trace_query_parameters! {
    /// `TraceQueryParameters`
    {
        /// Each of these some span has.
        #[prost(message, repeated, tag = "3")]
        pub attributes: Vec<KeyValue>,
        /// A filter expression, not understood.
        #[prost(bytes = "bytes", optional, tag = "9")]
        pub filter: Option<bytes::Bytes>,
    }
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
