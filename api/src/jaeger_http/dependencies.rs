//! The dependency graph: who calls whom, and how often; the old API's and api/v3's.

use axum::extract::State;
use axum::response::Response;
use model::aggregate::DependencyEdge;
use model::{Duration, TimeRange, Timestamp, TraceStore};

use super::answer::{envelope, json};
use super::error::{Old, ParameterError, V3};
use super::go_parse::parse_i64;
use super::go_time::parse_time;
use super::json_text::{push_comma, push_string, push_uint};
use super::query_string::QueryString;
use super::router::Asked;
use super::search_params::{malformed, timestamp, unparsable};
use crate::read_context::ReadContext;

/// How far back the graph looks unless told.
const LOOKBACK_MILLIS_DEFAULT: i64 = 24 * 3_600 * 1_000;

/// `GET /api/dependencies`
pub(super) async fn dependencies<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    let window = window(&asked.query, context.clock.wall())?;
    let read = asked.begin(&context)?;
    let answer = context.store.dependencies(read.scope.clone(), window).await?;
    let service = asked.query.get("service");
    let touches = |edge: &&DependencyEdge| {
        service.is_empty() || edge.parent == service || edge.child == service
    };
    let mut data = b"[".to_vec();
    for edge in answer.value.iter().filter(touches) {
        push_comma(&mut data);
        data.extend_from_slice(b"{\"parent\":");
        push_string(&mut data, edge.parent.as_bytes());
        data.extend_from_slice(b",\"child\":");
        push_string(&mut data, edge.child.as_bytes());
        data.extend_from_slice(b",\"callCount\":");
        push_uint(&mut data, edge.calls);
        data.push(b'}');
    }
    data.push(b']');
    Ok(envelope(&asked.query, &[&data], 0, Vec::new(), &answer.completeness.into()))
}

/// `GET /api/v3/dependencies`
///
/// Counts are strings, as 64-bit numbers are in Protobuf's JSON.
pub(super) async fn v3<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, V3> {
    let start = required_time(&asked.query, ["startTime", "start_time"])?;
    let end = required_time(&asked.query, ["endTime", "end_time"])?;
    if start >= end {
        return Err(ParameterError::TimeOrder.into());
    }
    let read = asked.begin(&context)?;
    let window = TimeRange { start, end };
    let answer = context.store.dependencies(read.scope.clone(), window).await?;
    let mut body = b"{\"dependencies\":[".to_vec();
    for edge in &answer.value {
        push_comma(&mut body);
        body.extend_from_slice(b"{\"parent\":");
        push_string(&mut body, edge.parent.as_bytes());
        body.extend_from_slice(b",\"child\":");
        push_string(&mut body, edge.child.as_bytes());
        body.extend_from_slice(b",\"callCount\":\"");
        push_uint(&mut body, edge.calls);
        body.extend_from_slice(b"\"}");
    }
    body.extend_from_slice(b"]}");
    Ok(json(body, &answer.completeness.into()))
}

fn required_time(
    query: &QueryString,
    names: [&'static str; 2],
) -> Result<Timestamp, ParameterError> {
    match query.get_aliased(names) {
        ("", _) => Err(ParameterError::TimesRequired),
        (text, name) => parse_time(text).map(timestamp).map_err(malformed(name)),
    }
}

/// `endTs` and `lookback`, both in milliseconds.
fn window(query: &QueryString, now: Timestamp) -> Result<TimeRange, ParameterError> {
    let millis = |name| match query.get(name) {
        "" => Ok(None),
        text => parse_i64(text).map(Some).map_err(unparsable(name)),
    };
    let positive = |millis: i64| Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    let end = millis("endTs")?.map_or(now, |end| Timestamp(positive(end).0));
    let lookback = positive(millis("lookback")?.unwrap_or(LOOKBACK_MILLIS_DEFAULT));
    Ok(TimeRange { start: end.saturating_sub(lookback), end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_in_milliseconds() {
        let now = Timestamp(100 * 86_400_000_000_000);
        for (text, start_millis, end_millis) in [
            ("", 99 * 86_400_000, 100 * 86_400_000),
            ("endTs=2000&lookback=500", 1_500, 2_000),
            ("endTs=2000&lookback=5000", 0, 2_000),
            ("endTs=-1", 0, 0),
            ("endTs=2000&lookback=-5", 2_000, 2_000),
        ] {
            let found = window(&QueryString::parse(Some(text)), now).unwrap();
            let range = TimeRange {
                start: Timestamp(start_millis * 1_000_000),
                end: Timestamp(end_millis * 1_000_000),
            };
            assert_eq!(found, range, "{text}");
        }
        let refused = window(&QueryString::parse(Some("lookback=1h")), now).unwrap_err();
        let words =
            r#"unable to parse param 'lookback': strconv.ParseInt: parsing "1h": invalid syntax"#;
        assert_eq!(refused.to_string(), words);
    }
}
