//! Parameters of Skua's own reads.

use http::Uri;

use super::problem::Problem;
use crate::jaeger_http::query_string::QueryString;

/// The parameters of a request.
pub(super) fn query_of(uri: &Uri) -> QueryString {
    QueryString::parse(uri.query())
}

/// `true` or `false`; false if it is not there.
pub(super) fn flag(query: &QueryString, name: &'static str) -> Result<bool, Problem> {
    match query.get(name) {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        other => Err(Problem::parameter(format!("{name}: {other:?} is neither true nor false"))),
    }
}
