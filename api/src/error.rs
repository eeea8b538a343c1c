//! Why a request is refused, and the one table that turns the reason into a gRPC code and an
//! HTTP status.
//!
//! Every refusal is either *retryable*, and then says when, or *permanent* (API-1). Clients act
//! on nothing else: OpenTelemetry's exporters repeat on 429, 502, 503, 504 and UNAVAILABLE, on
//! RESOURCE_EXHAUSTED only with a hint, and drop the data on everything else.

use http::StatusCode;
use model::Duration;
use model::StoreError;
use model::budget::Exhausted;
use tonic::Code;

use crate::ingest::{BodyError, Overload};
use crate::otlp::json::JsonError;
use crate::otlp::response;
use crate::otlp::walk::{CheckError, Rejected};
use crate::tenant::TenantError;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The body could not be read or decompressed.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not an OTLP message, or one that is too large.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The body is not OTLP/JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Not one span of the request could be kept.
    #[error("{0}")]
    AllRejected(Rejected),
    /// The body is of a type that this path does not take.
    #[error("content type is not one of {expected}")]
    ContentType {
        /// What it takes.
        expected: &'static str,
    },
    /// The path takes another method.
    #[error("method not allowed; use {expected}")]
    Method {
        /// The method it takes.
        expected: &'static str,
    },
    /// There is nothing at this path.
    #[error("not found")]
    NotFound,
    /// A parameter cannot be understood.
    #[error("{what}")]
    Parameter {
        /// What is wrong with it.
        what: String,
    },
    /// Too much is under way already.
    #[error(transparent)]
    Overload(#[from] Overload),
    /// The answer was not there in time; the outcome is unknown.
    #[error("the request did not finish in time")]
    Deadline,
    /// Whose request it is cannot be told.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our own fault.
    #[error("internal error")]
    Internal,
}

/// How a refusal looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// For gRPC.
    pub code: Code,
    /// For HTTP.
    pub status: StatusCode,
    /// When to try again; nothing if that is no use.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// How the refusal looks from outside.
    pub fn answer(&self) -> Answer {
        let permanent = |code, status| Answer { code, status, retry_after: None };
        match self {
            Self::Check(CheckError::Malformed(_)) | Self::Json(_) | Self::AllRejected(_) => {
                permanent(Code::InvalidArgument, StatusCode::BAD_REQUEST)
            }
            Self::Check(_) => permanent(Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE),
            Self::Parameter { .. } => permanent(Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Self::Body(error) => error.answer(),
            Self::ContentType { .. } => {
                permanent(Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::Method { .. } => permanent(Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED),
            Self::NotFound => permanent(Code::NotFound, StatusCode::NOT_FOUND),
            Self::Overload(overload) => Answer {
                code: Code::ResourceExhausted,
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(overload.retry_after()),
            },
            Self::Deadline => Answer {
                code: Code::Unavailable,
                status: StatusCode::SERVICE_UNAVAILABLE,
                retry_after: Some(crate::ingest::overload_retry()),
            },
            Self::Tenant(error) => permanent(error.code(), StatusCode::UNAUTHORIZED),
            Self::Store(error) => store_answer(error),
            Self::Internal => permanent(Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The refusal for gRPC, with details that tell a client when to try again.
    pub fn to_status(&self) -> tonic::Status {
        let answer = self.answer();
        let message = self.to_string();
        let details = match answer.retry_after {
            Some(_) => response::rpc_status(answer.code as i32, &message, answer.retry_after),
            None => Vec::new(),
        };
        tonic::Status::with_details(answer.code, message, details.into())
    }
}

/// The table for what a store answers.
fn store_answer(error: &StoreError) -> Answer {
    let (code, status) = match error {
        StoreError::Overloaded { .. } => (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
        StoreError::Unavailable { .. } => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
        StoreError::Invalid { .. } => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
        StoreError::Exhausted(Exhausted::Deadline) => {
            (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT)
        }
        StoreError::Exhausted(Exhausted::Cancelled) => {
            (Code::Cancelled, StatusCode::SERVICE_UNAVAILABLE)
        }
        StoreError::Exhausted(Exhausted::Bytes { .. }) => {
            (Code::ResourceExhausted, StatusCode::UNPROCESSABLE_ENTITY)
        }
        StoreError::Unsupported { .. } => (Code::Unimplemented, StatusCode::NOT_IMPLEMENTED),
        // A variant that this version does not know.
        _ => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
    };
    let retry_after = error.retry_after_ms().map(Duration::from_millis);
    Answer { code, status, retry_after }
}

/// Whole seconds for a `Retry-After` header, at least one.
pub fn retry_after_seconds(delay: Duration) -> u64 {
    delay.0.div_ceil(1_000_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retryable_errors_and_only_those_carry_a_hint_and_a_status_that_clients_retry() {
        let table = [
            (StoreError::Overloaded { what: "log", retry_after_ms: 7 }, 429, true),
            (StoreError::Unavailable { what: String::new(), retry_after_ms: 7 }, 503, true),
            (StoreError::Invalid { what: String::new() }, 400, false),
            (StoreError::Exhausted(Exhausted::Deadline), 504, false),
            (StoreError::Exhausted(Exhausted::Bytes { bytes_max: 1 }), 422, false),
            (StoreError::Unsupported { what: "it" }, 501, false),
        ];
        for (error, status, is_retryable) in table {
            let error = ApiError::from(error);
            let answer = error.answer();
            assert_eq!(answer.status.as_u16(), status, "{error}");
            assert_eq!(answer.retry_after.is_some(), is_retryable, "{error}");
            assert_eq!(error.to_status().details().is_empty(), !is_retryable, "{error}");
        }
        assert_eq!(retry_after_seconds(Duration::from_millis(1)), 1);
        assert_eq!(retry_after_seconds(Duration::from_millis(1_001)), 2);
    }
}
