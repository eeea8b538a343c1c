//! What is counted about write requests.
//!
//! Labels are bounded: a protocol for each door and format, the codes of gRPC, three outcomes. The
//! two `otelcol_receiver_*` counters carry the names that existing dashboards look for.

use metrics::{counter, histogram};
use model::Duration;
use tonic::Code;

use super::{Accepted, Refused};
use crate::error::ApiError;

/// How a write request came in, as labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// The protocol's own name.
    pub name: &'static str,
    /// The collector's word for the receiver.
    pub receiver: &'static str,
    /// The collector's word for the transport.
    pub transport: &'static str,
}

impl Protocol {
    /// OTLP over gRPC.
    pub const OTLP_GRPC: Self = Self::otlp("otlp_grpc", "grpc");
    /// OTLP over HTTP, protobuf.
    pub const OTLP_HTTP_PROTOBUF: Self = Self::otlp("otlp_http_protobuf", "http");
    /// OTLP over HTTP, JSON.
    pub const OTLP_HTTP_JSON: Self = Self::otlp("otlp_http_json", "http");
    /// OTLP over HTTP, refused before its format was known.
    pub const OTLP_HTTP_UNKNOWN: Self = Self::otlp("otlp_http_unknown", "http");

    const fn otlp(name: &'static str, transport: &'static str) -> Self {
        Self { name, receiver: "otlp", transport }
    }
}

/// Counts one write request and what became of it.
pub fn record(
    protocol: Protocol,
    result: &Result<Accepted, Refused>,
    body_bytes: usize,
    took: Duration,
) {
    let Protocol { name, receiver, transport } = protocol;
    let code = result.as_ref().err().map_or(Code::Ok, |refused| refused.error.answer().code);
    let code = code_name(code);
    counter!("skua_ingest_requests_total", "protocol" => name, "code" => code).increment(1);
    counter!("skua_ingest_bytes_total", "protocol" => name).increment(body_bytes as u64);
    histogram!("skua_ingest_request_seconds", "protocol" => name).record(took.0 as f64 / 1e9);
    let (accepted, rejected, refused) = match result {
        Ok(accepted) => (accepted.spans, accepted.rejected, 0),
        Err(Refused { error: ApiError::AllRejected(rejected), .. }) => (0, rejected.count(), 0),
        // Known only where the whole request was looked at; the request itself is counted by
        // its code.
        Err(refused) => (0, 0, refused.spans),
    };
    for (outcome, spans) in [("accepted", accepted), ("rejected", rejected), ("refused", refused)] {
        if spans > 0 {
            let labels = [("protocol", name), ("outcome", outcome)];
            counter!("skua_ingest_spans_total", &labels).increment(spans);
        }
    }
    let labels = [("receiver", receiver), ("transport", transport)];
    if accepted > 0 {
        counter!("otelcol_receiver_accepted_spans", &labels).increment(accepted);
    }
    if rejected + refused > 0 {
        counter!("otelcol_receiver_refused_spans", &labels).increment(rejected + refused);
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}
