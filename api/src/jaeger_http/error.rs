//! What can go wrong with a request to Jaeger's query APIs, and how each of the two says so.
//!
//! The texts are Jaeger's own, source included: clients show them and scripts match them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::StoreError;

use super::go_parse::GoParseError;
use super::json_text::push_string;
use super::trace_id::TraceIdError;
use crate::error::ApiError;
use crate::ingest::BodyError;
use crate::read_context::MissingTenant;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    /// A parameter is wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// No span of the trace is known.
    #[error("trace not found")]
    TraceNotFound,
    /// What api/v3 says where the old API answers with an empty list.
    #[error("No traces found")]
    NoTracesFound,
    /// The body of a transformation is not OTLP in JSON.
    #[error("cannot unmarshal OTLP : {reason}")]
    Transform {
        /// What is wrong with it.
        reason: String,
    },
    /// The body of a transformation is too large.
    #[error("request body too large, at most {bytes_max} bytes are allowed")]
    BodyTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The answer would be too large.
    #[error("the answer exceeds {bytes_max} bytes")]
    AnswerTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// No middleware said who reads.
    #[error(transparent)]
    MissingTenant(#[from] MissingTenant),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] ApiError),
    /// The answer could not be written.
    #[error("internal error while writing the answer")]
    Internal,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParameterError {
    /// The old API's words for most parameters.
    #[error("unable to parse param '{name}': {reason}")]
    Unparsable {
        /// The parameter.
        name: &'static str,
        /// Why.
        reason: GoParseError,
    },
    /// The old API's words for `limit`.
    #[error(transparent)]
    Bare(GoParseError),
    /// The words of api/v3.
    #[error("malformed parameter {name}: {reason}")]
    Malformed {
        /// The parameter.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// A trace id in the path of the old API.
    #[error(transparent)]
    TraceId(#[from] TraceIdError),
    /// A trace id among the parameters of a search.
    #[error("cannot parse traceID param: {0}")]
    SearchTraceId(TraceIdError),
    /// More trace ids than one request may ask for.
    #[error("too many 'traceID' parameters, at most {count_max} are allowed")]
    TraceIds {
        /// The bound.
        count_max: u32,
    },
    /// A parameter that must be there.
    #[error("parameter 'service' is required")]
    ServiceRequired,
    /// Metrics without a service.
    #[error("unable to parse param 'service': please provide at least one service name")]
    MetricsServiceRequired,
    /// A length of time that has to be longer than nothing.
    #[error("unable to parse param '{name}': must be positive")]
    Positive {
        /// The parameter.
        name: &'static str,
    },
    /// Metrics at more moments than one answer shows.
    #[error("unable to parse param 'step': more than {points_max} points, use a longer step")]
    Points {
        /// The bound.
        points_max: u64,
    },
    /// Metrics of a kind that does not exist.
    #[error("unable to parse param 'spanKind': unsupported span kind: '{kind}'")]
    SpanKind {
        /// What was asked for.
        kind: String,
    },
    /// Durations in the wrong order.
    #[error("'maxDuration' should be greater than 'minDuration'")]
    Durations,
    /// A tag without a colon.
    #[error("malformed 'tag' parameter, expecting key:value, received: {received}")]
    Tag {
        /// What was given.
        received: String,
    },
    /// Tags that are not a JSON object of strings.
    #[error("malformed 'tags' parameter, cannot unmarshal JSON: {reason}")]
    Tags {
        /// Why.
        reason: String,
    },
    /// A search of api/v3 without its window.
    #[error("query.startTimeMin and query.startTimeMax are required")]
    WindowRequired,
    /// A search of api/v3 whose window is empty.
    #[error("query.startTimeMin must be before query.startTimeMax")]
    WindowOrder,
    /// A question of api/v3 without its times.
    #[error("startTime and endTime are required")]
    TimesRequired,
    /// A question of api/v3 whose times are in the wrong order.
    #[error("startTime must be before endTime")]
    TimeOrder,
    /// A search with a filter expression.
    #[error("structured filters are not supported; use the other query parameters")]
    FilterUnsupported,
}

/// Seconds to wait before trying again where the store does not say.
const RETRY_AFTER_SECONDS_MIN: u64 = 1;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl QueryError {
    /// Why a body of at most `bytes_max` bytes could not be read.
    pub(super) fn of_body(error: ApiError, bytes_max: usize) -> Self {
        match error {
            ApiError::Body(BodyError::TooLarge { .. }) => Self::BodyTooLarge { bytes_max },
            error => Self::Store(error),
        }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Parameter(_) | Self::Transform { .. } => StatusCode::BAD_REQUEST,
            Self::TraceNotFound | Self::NoTracesFound => StatusCode::NOT_FOUND,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AnswerTooLarge { .. } | Self::MissingTenant(_) | Self::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Store(error) => error.answer().status,
        }
    }

    /// The answer of the old API: its envelope, sent as plain text.
    fn into_old_response(self) -> Response {
        let status = self.status();
        let mut body = b"{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":".to_vec();
        body.extend_from_slice(format!("[{{\"code\":{},\"msg\":", status.as_u16()).as_bytes());
        push_string(&mut body, self.to_string().as_bytes());
        body.extend_from_slice(b"}]}");
        self.respond(status, body)
    }

    /// The answer of api/v3.
    fn into_v3_response(self) -> Response {
        let status = self.status();
        let mut body =
            format!("{{\"error\":{{\"httpCode\":{},\"message\":", status.as_u16()).into_bytes();
        push_string(&mut body, self.to_string().as_bytes());
        body.extend_from_slice(b"}}");
        self.respond(status, body)
    }

    fn respond(&self, status: StatusCode, body: Vec<u8>) -> Response {
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "query failed");
        }
        let mut response = plain_text(status, body);
        if let Self::Store(error) = self
            && let Some(retry_after) = error.answer().retry_after
        {
            let seconds = retry_after.0.div_ceil(NANOS_PER_SECOND).max(RETRY_AFTER_SECONDS_MIN);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error that the old API answers with.
#[derive(Debug)]
pub(super) struct Old(QueryError);

/// An error that api/v3 answers with.
#[derive(Debug)]
pub(super) struct V3(QueryError);

impl<E: Into<QueryError>> From<E> for Old {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<E: Into<QueryError>> From<E> for V3 {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Old {
    fn into_response(self) -> Response {
        self.0.into_old_response()
    }
}

impl IntoResponse for V3 {
    fn into_response(self) -> Response {
        self.0.into_v3_response()
    }
}

/// An error as Go's `http.Error` sends it: plain text with a line end, not to be sniffed.
pub(super) fn plain_text(status: StatusCode, mut body: Vec<u8>) -> Response {
    body.push(b'\n');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
