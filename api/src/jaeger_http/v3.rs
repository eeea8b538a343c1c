//! api/v3 over HTTP: services, operations, traces as OTLP JSON.

use axum::extract::{Path, State};
use axum::response::Response;
use model::TraceStore;

use super::answer::{Gaps, json, json_of};
use super::catalog::{of_service, push_operation, texts};
use super::error::{ParameterError, QueryError, V3};
use super::pieces::Pieces;
use super::posted::Searched;
use super::render::Form;
use super::router::Asked;
use super::search;
use super::search_params::{SearchParams, check_v3_time, v3_bool};
use super::trace_id;
use super::traces::{absence, one};
use super::translate::kind_or_internal;
use crate::read_context::ReadContext;

/// `GET /api/v3/services`
pub(super) async fn services<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, V3> {
    let read = asked.begin(&context)?;
    let answer = context.store.services(read.scope.clone()).await?;
    let mut body = b"{\"services\":".to_vec();
    body.extend_from_slice(&texts(answer.value.iter()));
    body.push(b'}');
    Ok(json(body, &answer.completeness.into()))
}

/// `GET /api/v3/operations`
pub(super) async fn operations<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, V3> {
    let (kind, _) = asked.query.get_aliased(["spanKind", "span_kind"]);
    let read = asked.begin(&context)?;
    let answer = of_service(&context, &read, asked.query.get("service"), kind).await?;
    let mut body = b"{\"operations\":[".to_vec();
    for operation in &answer.value {
        push_operation(&mut body, operation, kind_or_internal(operation.kind));
    }
    body.extend_from_slice(b"]}");
    Ok(json(body, &answer.completeness.into()))
}

/// `GET /api/v3/traces/{trace_id}`
pub(super) async fn by_id<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, V3> {
    let id = trace_id::parse(&id).map_err(|error| ParameterError::Malformed {
        name: "trace_id",
        reason: error.to_string(),
    })?;
    check_v3_time(&asked.query, ["startTime", "start_time"])?;
    check_v3_time(&asked.query, ["endTime", "end_time"])?;
    let raw = v3_bool(&asked.query, ["rawTraces", "raw_traces"])?;
    let read = asked.begin_trace(&context)?;
    let found = one(&context, &read, id, Form::Otlp.rendering(&context, raw)).await?;
    let (items, gaps) = found.whole(&context, QueryError::NoTracesFound)?;
    Ok(result(items, &gaps))
}

/// `GET` and `POST /api/v3/traces`: all traces in one list; none at all is an error.
pub(super) async fn search<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Searched(asked): Searched,
) -> Result<Response, V3> {
    let params = SearchParams::parse_v3(&asked.query)?;
    let read = asked.begin(&context)?;
    let rendering = Form::Otlp.rendering(&context, params.raw);
    let found = search::traces(&context, &read, &params, rendering).await?;
    if found.count == 0 {
        return Err(absence(&found.gaps.store, QueryError::NoTracesFound).into());
    }
    Ok(result(found.items, &found.gaps))
}

fn result(items: Pieces, gaps: &Gaps) -> Response {
    let mut body = Pieces::default();
    body.push(b"{\"result\":{\"resourceSpans\":[");
    body.append(items);
    body.push(b"]}}");
    json_of(body, false, gaps)
}
