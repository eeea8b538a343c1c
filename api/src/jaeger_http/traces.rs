//! The old API's traces: search, several by id, one by id, archive.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use model::store::{Completeness, SPAN_IDS_MAX, SpansRequest, TraceRequest};
use model::{SpanId, Timestamp, TraceId, TraceStore};

use super::answer::{EnvelopeError, Gaps, envelope_of_list, json};
use super::error::{Old, ParameterError, QueryError};
use super::json_text::indent;
use super::pieces::Pieces;
use super::render::{Form, Rendering};
use super::router::Asked;
use super::search::{self, Found};
use super::search_params::{SearchParams, micros, old_bool};
use super::trace_id;
use crate::read_context::{Read, ReadContext};

/// `GET /api/traces`
pub(super) async fn search<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    let limit_max = context.limits.search_limit_max;
    let params = SearchParams::parse_old(&asked.query, context.clock.wall(), limit_max)?;
    let read = asked.begin(&context)?;
    let rendering = Form::Jaeger.rendering(&context, params.raw);
    let (found, errors) = if params.trace_ids.is_empty() {
        (search::traces(&context, &read, &params, rendering).await?, Vec::new())
    } else {
        several(&context, &read, &params.trace_ids, rendering).await?
    };
    Ok(envelope_of_list(&asked.query, found.items, errors, &found.gaps))
}

/// Traces by id, in the order asked for; an error entry for each that is not known.
async fn several<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    ids: &[TraceId],
    rendering: Rendering,
) -> Result<(Found, Vec<EnvelopeError>), QueryError> {
    let mut found = Found::default();
    let mut errors = Vec::new();
    for id in ids {
        let One { rendered, completeness, truncated } = one(context, read, *id, rendering).await?;
        found.gaps.truncated = found.gaps.truncated.max(truncated);
        let Some(rendered) = rendered else {
            errors.extend(missing(*id, &completeness));
            found.gaps.store.merge(completeness);
            continue;
        };
        found.gaps.store.merge(completeness);
        if !found.push(rendered, context.limits.response_bytes_max) {
            break;
        }
    }
    Ok((found, errors))
}

/// What to say of one of several traces: that it is not there only if all answered (QRY-2).
fn missing(id: TraceId, completeness: &Completeness) -> Vec<EnvelopeError> {
    let trace_id = trace_id::print(id);
    if !completeness.is_complete() {
        return Gaps::from(completeness.clone()).errors(Some(&trace_id));
    }
    let message = QueryError::TraceNotFound.to_string();
    vec![EnvelopeError { message, trace_id: Some(trace_id) }]
}

/// `GET /api/traces/{traceID}`
pub(super) async fn by_id<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Old> {
    let (id, raw) = parse_by_id(&asked, &id)?;
    let read = asked.begin_trace(&context)?;
    let found = one(&context, &read, id, Form::Jaeger.rendering(&context, raw)).await?;
    let (data, gaps) = found.whole(&context, QueryError::TraceNotFound)?;
    Ok(envelope_of_list(&asked.query, data, Vec::new(), &gaps))
}

/// `GET /api/skua/v1/traces/{traceID}/spans?span_id=...`: some spans of a trace that is too large
/// to be read whole, in the old API's form.
pub(super) async fn some_spans<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Old> {
    let trace_id = trace_id::parse(&id).map_err(ParameterError::from)?;
    let span_ids = parse_span_ids(&asked)?;
    let read = asked.begin_trace(&context)?;
    let request = SpansRequest { scope: read.scope.clone(), trace_id, span_ids };
    let found = those(&context, request).await?;
    let (data, gaps) = found.whole(&context, QueryError::TraceNotFound)?;
    Ok(envelope_of_list(&asked.query, data, Vec::new(), &gaps))
}

/// Some spans of a trace, rendered.
async fn those<S: TraceStore>(
    context: &ReadContext<S>,
    request: SpansRequest,
) -> Result<One, QueryError> {
    let budget = request.scope.budget.clone();
    let answer = context.store.spans(request).await?;
    // Adjusters look at the whole trace, and what is here would seem to lack its parents.
    let rendering = Form::Jaeger.rendering(context, true);
    let rendered = match answer.value {
        Some(trace) => Some(rendering.render(trace, &budget).await?),
        None => None,
    };
    Ok(One { rendered, completeness: answer.completeness, truncated: None })
}

/// The parameter `span_id`, which may be there several times.
fn parse_span_ids(asked: &Asked) -> Result<BTreeSet<SpanId>, ParameterError> {
    let malformed = |reason| ParameterError::Malformed { name: "span_id", reason };
    let mut ids = BTreeSet::new();
    for text in asked.query.get_all("span_id") {
        ids.insert(SpanId::from_hex(text).map_err(|error| malformed(error.to_string()))?);
        if ids.len() > SPAN_IDS_MAX {
            return Err(malformed(format!("more than {SPAN_IDS_MAX}")));
        }
    }
    if ids.is_empty() {
        return Err(malformed("at least one is needed".to_owned()));
    }
    Ok(ids)
}

/// `POST /api/archive/{traceID}`
pub(super) async fn archive<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Old> {
    let (id, _raw) = parse_by_id(&asked, &id)?;
    let read = asked.begin(&context)?;
    if !context.store.archive(read.scope.tenant.clone(), id).await? {
        return Err(QueryError::TraceNotFound.into());
    }
    Ok(archived(&asked))
}

/// Jaeger answers with empty lists, `errors` included.
fn archived(asked: &Asked) -> Response {
    let body = br#"{"data":[],"total":0,"limit":0,"offset":0,"errors":[]}"#.to_vec();
    let pretty = !matches!(asked.query.get("prettyPrint"), "" | "false");
    json(if pretty { indent(&body) } else { body }, &Gaps::default())
}

fn parse_by_id(asked: &Asked, id: &str) -> Result<(TraceId, bool), ParameterError> {
    let id = trace_id::parse(id)?;
    // Hints for stores that need them; checked as Jaeger checks them.
    micros(&asked.query, "start", Timestamp::default())?;
    micros(&asked.query, "end", Timestamp::default())?;
    Ok((id, old_bool(&asked.query, "raw")?))
}

/// One trace by id, rendered.
pub(super) async fn one<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    trace_id: TraceId,
    rendering: Rendering,
) -> Result<One, QueryError> {
    let spans_max = context.limits.spans_max;
    let request = TraceRequest { scope: read.scope.clone(), trace_id, spans_max };
    let answer = context.store.trace(request).await?;
    let truncated = answer.value.as_ref().and_then(|trace| trace.truncated);
    let rendered = match answer.value {
        Some(trace) => Some(rendering.render(trace, &read.scope.budget).await?),
        None => None,
    };
    Ok(One { rendered, completeness: answer.completeness, truncated })
}

/// One trace, as far as it was found.
#[derive(Debug)]
pub(super) struct One {
    /// Its JSON; nothing if it is not known.
    rendered: Option<Pieces>,
    /// What the store's answer lacks.
    completeness: Completeness,
    /// How many spans it has if only the first are shown.
    truncated: Option<u64>,
}

impl One {
    /// The trace and what the answer lacks; an error if it is not known, or too large.
    pub(super) fn whole<S: TraceStore>(
        self,
        context: &ReadContext<S>,
        absent: QueryError,
    ) -> Result<(Pieces, Gaps), QueryError> {
        let Some(rendered) = self.rendered else {
            return Err(absence(&self.completeness, absent));
        };
        let bytes_max = context.limits.response_bytes_max;
        if rendered.len() > bytes_max {
            return Err(QueryError::AnswerTooLarge { bytes_max });
        }
        Ok((rendered, Gaps { truncated: self.truncated, ..self.completeness.into() }))
    }
}

/// What to say of a trace that was not found: that it is not there only if every shard that
/// may hold it answered (QRY-2).
pub(super) fn absence(completeness: &Completeness, absent: QueryError) -> QueryError {
    if completeness.is_complete() {
        return absent;
    }
    Gaps::from(completeness.clone()).unavailable().into()
}
