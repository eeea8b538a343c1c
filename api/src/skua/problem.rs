//! Why one of Skua's own reads was refused, and how it says so: a status and JSON.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::StoreError;

use crate::error::{ApiError, retry_after_seconds};
use crate::jaeger_http::json_text::{push_name, push_string};
use crate::read_context::MissingTenant;

/// Why a read was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// For a reason that other doors know too.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Something in the query is wrong.
    #[error("{path}: {message}")]
    Query {
        /// Where.
        path: String,
        /// What.
        message: String,
    },
    /// The trace is at another revision than the one asked for.
    #[error("the trace has changed")]
    Moved {
        /// The revision now.
        revision: String,
    },
    /// The trace is too large for one answer.
    #[error("the trace has more than {spans_max} spans")]
    TooManySpans {
        /// The bound.
        spans_max: usize,
    },
    /// The answer is too large.
    #[error("the answer exceeds {bytes_max} bytes")]
    AnswerTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The query is too large.
    #[error("a query has at most {bytes_max} bytes")]
    QueryTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// Nothing is known of the trace.
    #[error("trace not found")]
    NotFound,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Api(error.into())
    }
}

impl From<MissingTenant> for Problem {
    fn from(_: MissingTenant) -> Self {
        tracing::error!("a read without a tenant");
        Self::Api(ApiError::Internal)
    }
}

impl Problem {
    /// A parameter that cannot be understood.
    pub(super) fn parameter(what: impl Into<String>) -> Self {
        Self::Api(ApiError::Parameter { what: what.into() })
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Api(error) => error.answer().status,
            Self::Query { .. } => StatusCode::BAD_REQUEST,
            Self::Moved { .. } => StatusCode::CONFLICT,
            Self::TooManySpans { .. } | Self::AnswerTooLarge { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::QueryTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }

    /// `{"error":{"message":...}}`, with the place or the revision where there is one.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut out = b"{\"error\":{\"message\":".to_vec();
        push_string(&mut out, self.to_string().as_bytes());
        if let Self::Query { path, .. } = self {
            push_name(&mut out, "path");
            push_string(&mut out, path.as_bytes());
        }
        out.push(b'}');
        if let Self::Moved { revision } = self {
            push_name(&mut out, "revision");
            push_string(&mut out, revision.as_bytes());
        }
        out.extend_from_slice(b"}\n");
        out
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_json()).into_response();
        let json = HeaderValue::from_static("application/json");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, json);
        if let Self::Api(error) = &self
            && let Some(delay) = error.answer().retry_after
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds(delay)));
        }
        response
    }
}
