//! `POST aggregate`: figures over spans.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use model::aggregate::{Aggregate, AggregateKind, AggregateQuery, GroupBy};
use model::query::{AttributeScope, Field, SpanPredicate};
use model::store::AggregateRequest;
use model::{Duration, TimeRange, TraceStore};
use serde_json::{Map, Value};

use super::limits::{BINS_MAX, QUANTILES_MAX, VALUES_DEFAULT, VALUES_MAX};
use super::problem::Problem;
use super::query_json::{
    Place, SCOPES, Terms, flag, known, limit, named, named_field, object, present, required,
    span_predicate, step, string, window, word_of,
};
use super::search::{compiled, posted};
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::json_text::{push_comma, push_double, push_name, push_string, push_uint};
use crate::read_context::ReadContext;
use crate::task;

/// Handles the request.
pub(super) async fn figures<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Response {
    answer(&context, request).await.unwrap_or_else(Problem::into_response)
}

async fn answer<S: TraceStore>(
    context: &ReadContext<S>,
    request: Request,
) -> Result<Response, Problem> {
    let extensions = request.extensions().clone();
    let document = posted(&context.room, request).await?;
    let Question { query, quantiles, stale } = compiled(document, question).await?;
    let read = context.begin(&extensions, stale)?;
    let request = AggregateRequest { scope: read.scope.clone(), query: query.clone() };
    let answer = context.store.aggregate(request).await?;
    let is_sampled = answer.completeness.sampled;
    let completeness = Gaps::from(answer.completeness).header();
    let aggregate = answer.value;
    let said = Said { completeness: completeness.clone(), is_sampled };
    let rendered =
        task::blocking("aggregate", move || render(&query, &quantiles, &aggregate, &said)).await;
    let body = rendered.map_err(|task::Panicked| crate::error::ApiError::Internal)?;
    let bytes_max = context.limits.response_bytes_max;
    if body.len() > bytes_max {
        return Err(Problem::AnswerTooLarge { bytes_max });
    }
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::try_from(completeness) {
        headers.insert(COMPLETENESS_HEADER, value);
    }
    Ok(response)
}

/// A question for figures.
#[derive(Debug, Clone)]
struct Question {
    query: AggregateQuery,
    quantiles: Vec<f64>,
    stale: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KindName {
    Totals,
    Heatmap,
    TopValues,
    Red,
}

fn question(document: &Value) -> Result<Question, Problem> {
    const KINDS: &[(&str, KindName)] = &[
        ("totals", KindName::Totals),
        ("heatmap", KindName::Heatmap),
        ("top_values", KindName::TopValues),
        ("red", KindName::Red),
    ];
    let root = Place::ROOT;
    let members = object(document, &root)?;
    let kind_value = required(members, &root, "kind")?;
    let kind_name = named(kind_value, &root.member("kind"), KINDS)?;
    let own: &[&str] = match kind_name {
        KindName::Totals => &["window", "where", "kind", "stale"],
        KindName::Heatmap => &["window", "where", "kind", "stale", "step"],
        KindName::TopValues => {
            &["window", "where", "kind", "stale", "field", "scope", "key", "limit"]
        }
        KindName::Red => &["window", "where", "kind", "stale", "step", "group_by", "quantiles"],
    };
    known(members, &root, own)?;
    let range = window(members, &root)?;
    let predicate = match present(members, "where") {
        None => SpanPredicate::True,
        Some(value) => span_predicate(value, &root.member("where"), &Terms::of(document), 0)?,
    };
    let kind = match kind_name {
        KindName::Totals => AggregateKind::Totals,
        KindName::Heatmap => AggregateKind::Heatmap { step: bins(members, &root, range)? },
        KindName::TopValues => top_values(members, &root)?,
        KindName::Red => AggregateKind::Red {
            step: bins(members, &root, range)?,
            group_by: group_by(members, &root)?,
        },
    };
    let quantiles = match present(members, "quantiles") {
        None => Vec::new(),
        Some(value) => quantiles(value, &root.member("quantiles"))?,
    };
    let query = AggregateQuery { window: range, predicate, kind };
    Ok(Question { query, quantiles, stale: flag(members, &root, "stale")? })
}

/// The width of the bins that a window is cut into.
fn bins(
    members: &Map<String, Value>,
    root: &Place<'_>,
    range: TimeRange,
) -> Result<Duration, Problem> {
    if range.start == TimeRange::ALL.start || range.end == TimeRange::ALL.end {
        return Err(root.member("window").problem("bins need a window with start and end"));
    }
    let place = root.member("step");
    let step = step(required(members, root, "step")?, &place)?;
    if range.end.since(range.start).0 / step.0 >= BINS_MAX {
        return Err(place.problem(format!("more than {BINS_MAX} bins; use a longer step")));
    }
    Ok(step)
}

#[expect(clippy::cast_possible_truncation, reason = "a bound of three digits")]
fn top_values(members: &Map<String, Value>, root: &Place<'_>) -> Result<AggregateKind, Problem> {
    let field = counted_field(members, root)?;
    let limit = match present(members, "limit") {
        None => VALUES_DEFAULT,
        Some(value) => limit(value, &root.member("limit"), VALUES_MAX as u32)?,
    };
    Ok(AggregateKind::TopValues { field, limit })
}

/// A field by its name, or an attribute by key and scope.
fn counted_field(members: &Map<String, Value>, root: &Place<'_>) -> Result<Field, Problem> {
    if let Some(value) = present(members, "field") {
        let place = root.member("field");
        if ["key", "scope"].iter().any(|name| present(members, name).is_some()) {
            return Err(place.problem("either a field, or an attribute's key and scope"));
        }
        return named_field(value, &place);
    }
    let key = string(required(members, root, "key")?, &root.member("key"))?;
    let scope = match present(members, "scope") {
        None => AttributeScope::SpanOrResource,
        Some(value) => named(value, &root.member("scope"), SCOPES)?,
    };
    Ok(Field::Attribute(scope, key.into()))
}

fn group_by(members: &Map<String, Value>, root: &Place<'_>) -> Result<GroupBy, Problem> {
    const GROUPS: &[(&str, GroupBy)] =
        &[("service", GroupBy::Service), ("operation", GroupBy::Operation)];
    match present(members, "group_by") {
        None => Ok(GroupBy::Service),
        Some(value) => named(value, &root.member("group_by"), GROUPS),
    }
}

fn quantiles(value: &Value, place: &Place<'_>) -> Result<Vec<f64>, Problem> {
    let wrong = || place.problem(format!("not a list of up to {QUANTILES_MAX} numbers, 0 to 1"));
    let list = value.as_array().filter(|list| list.len() <= QUANTILES_MAX).ok_or_else(wrong)?;
    let quantile = |value: &Value| value.as_f64().filter(|it| (0.0..=1.0).contains(it));
    list.iter().map(|value| quantile(value).ok_or_else(wrong)).collect()
}

/// What an answer says of itself.
struct Said {
    completeness: String,
    /// There are more values or groups than a shard tells of.
    is_sampled: bool,
}

fn render(query: &AggregateQuery, quantiles: &[f64], answer: &Aggregate, said: &Said) -> Vec<u8> {
    let mut out = b"{".to_vec();
    push_name(&mut out, "completeness");
    push_string(&mut out, said.completeness.as_bytes());
    if said.is_sampled {
        push_name(&mut out, "sampled");
        out.extend_from_slice(b"true");
    }
    for (name, count) in [
        ("spans", answer.spans),
        ("errors", answer.errors),
        ("traces", answer.traces),
        ("other", answer.other),
    ] {
        push_name(&mut out, name);
        push_uint(&mut out, count);
    }
    match &query.kind {
        AggregateKind::Totals => {}
        AggregateKind::Heatmap { step } => push_heatmap(&mut out, query.window, *step, answer),
        AggregateKind::TopValues { field, .. } => push_values(&mut out, field, answer),
        AggregateKind::Red { step, .. } => {
            push_red(&mut out, query.window, *step, quantiles, answer);
        }
    }
    out.extend_from_slice(b"}\n");
    out
}

/// `start` and `step_nanos` of what is cut into bins.
fn push_axis(out: &mut Vec<u8>, window: TimeRange, step: Duration) {
    push_name(out, "start");
    push_string(out, window.start.0.to_string().as_bytes());
    push_name(out, "step_nanos");
    push_uint(out, step.0);
}

fn push_heatmap(out: &mut Vec<u8>, window: TimeRange, step: Duration, answer: &Aggregate) {
    push_name(out, "heatmap");
    out.push(b'{');
    push_axis(out, window, step);
    push_name(out, "cells");
    out.push(b'[');
    for ((bin, bucket), counts) in &answer.heatmap {
        push_comma(out);
        push_numbers(out, [*bin, (*bucket).into(), counts.spans, counts.errors]);
        out.push(b']');
    }
    out.extend_from_slice(b"]}");
}

/// Opens a list of numbers, which the caller closes.
fn push_numbers<const N: usize>(out: &mut Vec<u8>, numbers: [u64; N]) {
    out.push(b'[');
    for number in numbers {
        push_comma(out);
        push_uint(out, number);
    }
}

/// Most frequent first, ties by value.
fn push_values(out: &mut Vec<u8>, field: &Field, answer: &Aggregate) {
    let mut values: Vec<_> = answer.values.iter().collect();
    values.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.spans));
    push_name(out, "values");
    out.push(b'[');
    for (value, counts) in values {
        push_comma(out);
        out.extend_from_slice(b"{\"value\":");
        let word = word_of(field, value.as_bytes());
        push_string(out, word.map_or(value.as_bytes(), str::as_bytes));
        push_name(out, "spans");
        push_uint(out, counts.spans);
        push_name(out, "errors");
        push_uint(out, counts.errors);
        out.push(b'}');
    }
    out.push(b']');
}

fn push_red(
    out: &mut Vec<u8>,
    window: TimeRange,
    step: Duration,
    quantiles: &[f64],
    answer: &Aggregate,
) {
    push_name(out, "red");
    out.push(b'{');
    push_axis(out, window, step);
    push_name(out, "quantiles");
    out.push(b'[');
    for quantile in quantiles {
        push_comma(out);
        push_double(out, *quantile);
    }
    out.push(b']');
    push_name(out, "groups");
    out.push(b'[');
    for (group, bins) in &answer.red {
        push_comma(out);
        out.extend_from_slice(b"{\"service\":");
        push_string(out, group.service.as_bytes());
        push_name(out, "operation");
        push_string(out, group.operation.as_bytes());
        push_name(out, "kind");
        push_string(out, group.kind.name().as_bytes());
        push_name(out, "bins");
        out.push(b'[');
        for (bin, red) in bins {
            push_comma(out);
            push_numbers(out, [*bin, red.counts.spans, red.counts.errors]);
            for quantile in quantiles {
                push_comma(out);
                push_uint(out, red.durations.quantile(*quantile).unwrap_or_default().0);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
}
