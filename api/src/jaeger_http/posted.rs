//! The POST bindings of api/v3: the same searches with their parameters in a body of JSON.
//!
//! The body is turned into the parameters that the GET binding has, so that both mean the same
//! and refuse the same.

use axum::extract::{FromRequest, Request};
use http::Method;
use model::TraceStore;
use serde_json::Value;

use super::error::{ParameterError, QueryError, V3};
use super::limits::SEARCH_BODY_BYTES_MAX;
use super::router::Asked;
use crate::limits::READ_BODY_DEADLINE;
use crate::read_context::{ReadContext, ReadRoom};

/// What a search asks, by either binding.
#[derive(Debug)]
pub(super) struct Searched(pub(super) Asked);

impl<S: TraceStore> FromRequest<ReadContext<S>> for Searched {
    type Rejection = V3;

    async fn from_request(request: Request, context: &ReadContext<S>) -> Result<Self, V3> {
        let is_posted = request.method() == Method::POST;
        let room = &context.room;
        Ok(Self(if is_posted { asked(room, request).await? } else { Asked::new(request) }))
    }
}

async fn asked(room: &ReadRoom, request: Request) -> Result<Asked, QueryError> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked::from_parts(&parts.uri, parts.extensions);
    let bytes_max = SEARCH_BODY_BYTES_MAX;
    let question = room.question(body, bytes_max, READ_BODY_DEADLINE).await;
    let question = question.map_err(|error| QueryError::of_body(error, bytes_max))?;
    asked.query.extend(parameters(&question.bytes)?);
    Ok(asked)
}

/// The parameters in a `FindTracesRequest`. Members may be named as JSON or as the description
/// names them; `null` is the same as nothing.
fn parameters(body: &[u8]) -> Result<Vec<(String, String)>, ParameterError> {
    let malformed = |reason: String| ParameterError::Malformed { name: "body", reason };
    let document: Value =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let query = match document.get("query") {
        Some(Value::Object(query)) => query,
        Some(Value::Null) | None => return Err(malformed("missing query".to_owned())),
        Some(_) => return Err(malformed("query is not an object".to_owned())),
    };
    let mut pairs = Vec::with_capacity(query.len());
    for (name, value) in query {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Object(_) => value.to_string(),
            Value::Array(_) => return Err(malformed(format!("query.{name} is a list"))),
        };
        pairs.push((format!("query.{name}"), text));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jaeger_http::query_string::QueryString;
    use crate::jaeger_http::search_params::SearchParams;

    fn read(body: &str) -> Result<SearchParams, ParameterError> {
        let mut query = QueryString::default();
        query.extend(parameters(body.as_bytes())?);
        SearchParams::parse_v3(&query)
    }

    #[test]
    fn a_body_means_what_the_parameters_mean() {
        let body = r#"{"query":{"serviceName":"a","operation_name":"b",
            "attributes":{"k":"v"},"startTimeMin":"2024-12-13T12:00:00Z",
            "startTimeMax":"2024-12-13T13:00:00.5Z","durationMin":"1.500s","searchDepth":7,
            "rawTraces":true,"durationMax":null}}"#;
        let posted = read(body).unwrap();
        let text = "query.serviceName=a&query.operation_name=b&query.attributes={\"k\":\"v\"}\
            &query.startTimeMin=2024-12-13T12:00:00Z&query.startTimeMax=2024-12-13T13:00:00.5Z\
            &query.durationMin=1500ms&query.searchDepth=7&query.rawTraces=true";
        assert_eq!(posted, SearchParams::parse_v3(&QueryString::parse(Some(text))).unwrap());
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        for (body, words) in [
            ("", "malformed parameter body: EOF while parsing a value at line 1 column 0"),
            ("{}", "malformed parameter body: missing query"),
            (r#"{"query":3}"#, "malformed parameter body: query is not an object"),
            (
                r#"{"query":{"serviceName":[]}}"#,
                "malformed parameter body: query.serviceName is a list",
            ),
            (r#"{"query":{}}"#, "query.startTimeMin and query.startTimeMax are required"),
        ] {
            assert_eq!(read(body).unwrap_err().to_string(), words);
        }
    }
}
