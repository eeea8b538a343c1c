//! The Monitor tab's endpoints. Parameters are checked as Jaeger checks them; the answer is
//! Jaeger's for a server without a metrics backend.

use axum::extract::Request;
use axum::response::Response;

use super::error::{ParameterError, QueryError};
use super::go_parse::{parse_f64, parse_i64};
use super::query_string::QueryString;
use super::router::Asked;
use super::search_params::{old_bool, unparsable};

const SPAN_KINDS: [&str; 6] =
    ["unspecified", "internal", "server", "client", "producer", "consumer"];

/// `GET /api/metrics/latencies`
pub(super) async fn latencies(request: Request) -> Response {
    let asked = Asked::new(request);
    let quantile = parse_f64(asked.query.get("quantile")).map_err(unparsable("quantile"));
    let checked = quantile.and_then(|_| check(&asked.query));
    refuse(checked)
}

/// `GET /api/metrics/calls` and `GET /api/metrics/errors`
pub(super) async fn rates(request: Request) -> Response {
    refuse(check(&Asked::new(request).query))
}

/// `GET /api/metrics/minstep`
pub(super) async fn minimal_step() -> Response {
    refuse(Ok(()))
}

fn refuse(checked: Result<(), ParameterError>) -> Response {
    let error = checked.map_or_else(QueryError::from, |()| QueryError::MetricsDisabled);
    error.into_old_response()
}

fn check(query: &QueryString) -> Result<(), ParameterError> {
    if query.get_all("service").next().is_none() {
        return Err(ParameterError::MetricsServiceRequired);
    }
    old_bool(query, "groupByOperation")?;
    for kind in query.get_all("spanKind") {
        if !SPAN_KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err(ParameterError::SpanKind { kind: kind.to_owned() });
        }
    }
    for name in ["endTs", "lookback", "step", "ratePer"] {
        match query.get(name) {
            "" => {}
            text => drop(parse_i64(text).map_err(unparsable(name))?),
        }
    }
    Ok(())
}
