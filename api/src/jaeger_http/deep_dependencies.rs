//! The deep dependency graph: the distinct paths of calls through a service, from real traces.
//!
//! A step of a path is a span that enters a service: a root, a span whose parent belongs to
//! another service, or one of kind server or consumer. What happens inside a service is not
//! shown. A path leads from a root to a step without further steps below, and carries one trace
//! in which it was seen.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use futures_util::StreamExt as _;
use model::pace::{self, Pace, WhileAwaited};
use model::span::SpanKind;
use model::store::{Detail, SearchItem, SearchRequest, Trace};
use model::tree::Tree;
use model::{
    Duration, Span, StoreError, Text, TimeRange, Timestamp, TraceId, TraceStore, effective,
};

use super::answer::{Gaps, json};
use super::error::{Old, ParameterError, QueryError};
use super::json_text::{push_comma, push_string};
use super::limits::{PATH_SPANS_MAX, PATH_STEPS_MAX, PATH_TRACES_MAX, PATHS_MAX};
use super::router::Asked;
use super::search_params::{SearchParams, micros};
use crate::adjust::{EditableTrace, separate_shared_span_ids};
use crate::read_context::ReadContext;
use crate::task;

/// How far back the graph looks unless told.
const LOOKBACK_DEFAULT: Duration = Duration::from_secs(2 * 24 * 3_600);

/// A step: service and operation.
type Step = (Text, Text);
/// The distinct paths, each with a trace that has it.
type Paths = BTreeMap<Vec<Step>, TraceId>;

/// `GET /analytics/v1/dependencies` and `GET /api/deep-dependencies`
pub(super) async fn graph<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    let service = asked.query.get("service");
    if service.is_empty() {
        return Err(ParameterError::ServiceRequired.into());
    }
    let operation = asked.query.get("operation");
    let params = SearchParams {
        service: service.to_owned(),
        operation: operation.to_owned(),
        window: window(&asked, context.clock.wall())?,
        tags: BTreeMap::new(),
        limit: PATH_TRACES_MAX,
        duration_nanos_min: 0,
        duration_nanos_max: 0,
        raw: true,
        trace_ids: Vec::new(),
    };
    let read = asked.begin(&context)?;
    let request = SearchRequest {
        scope: read.scope.clone(),
        query: params.to_query(PATH_TRACES_MAX),
        detail: Detail::Trace { spans_max: PATH_SPANS_MAX },
        progress: false,
    };
    let mut stream = context.store.search(request).await?;
    let (mut all, mut gaps) = (Paths::new(), Gaps::default());
    while let Some(item) = stream.next().await {
        match item? {
            SearchItem::Progress(_) => {}
            SearchItem::Hit(hit) => {
                let Some(trace) = hit.trace else { continue };
                gaps.truncated = gaps.truncated.max(trace.truncated);
                let pace = WhileAwaited(read.scope.budget.clone());
                let paths = task::blocking("paths", move || paths(trace, &pace)).await;
                let paths = paths.map_err(|task::Panicked| QueryError::Internal)?;
                let paths = paths.map_err(StoreError::Exhausted)?;
                for (path, trace_id) in paths {
                    let touches = path.iter().any(|step| {
                        step.0 == service && (operation.is_empty() || step.1 == operation)
                    });
                    if touches && (all.len() < PATHS_MAX || all.contains_key(&path)) {
                        all.entry(path).or_insert(trace_id);
                    }
                }
            }
            SearchItem::End(end) => gaps.store = end.completeness,
        }
    }
    Ok(json(render(&all), &gaps))
}

/// `start` and `end` in microseconds; a zero is the same as nothing, as Jaeger's UI sends it.
fn window(asked: &Asked, now: Timestamp) -> Result<TimeRange, ParameterError> {
    let or = |time: Timestamp, default: Timestamp| if time.0 == 0 { default } else { time };
    let end = or(micros(&asked.query, "end", now)?, now);
    let back = end.saturating_sub(LOOKBACK_DEFAULT);
    let start = or(micros(&asked.query, "start", back)?, back);
    Ok(TimeRange { start, end })
}

/// The distinct paths of one trace. Ids that client and server share (Zipkin's) are told apart
/// first, as when the trace is shown.
fn paths<P: Pace>(trace: Trace, pace: &P) -> Result<Paths, P::Stop> {
    let trace_id = trace.trace_id;
    // Nobody sees these spans: that some were cut off is said of the answer.
    let trace = Trace { truncated: None, ..trace };
    let mut trace = EditableTrace::from_trace(trace, pace)?;
    separate_shared_span_ids(&mut trace, pace)?;
    paths_of(trace_id, &trace.into_spans(), pace)
}

fn paths_of<P: Pace>(trace_id: TraceId, spans: &[Span], pace: &P) -> Result<Paths, P::Stop> {
    let tree = Tree::of_spans_within(spans, pace)?;
    let services = pace::collect(spans.iter().map(effective::span_service), pace)?;
    let service = |row: u32| services.get(row as usize);
    let is_step = |row: u32| {
        let kind = spans.get(row as usize).map(|span| span.kind);
        let enters = tree.parent(row).is_none_or(|parent| service(parent) != service(row));
        enters || matches!(kind, Some(SpanKind::SERVER | SpanKind::CONSUMER))
    };
    let rows = 0..u32::try_from(spans.len()).unwrap_or(u32::MAX);
    // The nearest step at or above each row, known for rows whose number is below their own
    // parent's only after the climb; each climb ends at the first row that is known.
    let mut steps: Vec<Option<u32>> = vec![None; spans.len()];
    pace::for_each(rows.clone(), pace, |row| {
        let mut climbed = Vec::new();
        let mut at = row;
        let found = loop {
            if let Some(known) = steps.get(at as usize).copied().flatten() {
                break known;
            }
            climbed.push(at);
            match tree.parent(at) {
                Some(parent) if !is_step(at) => at = parent,
                _ => break at,
            }
        };
        for row in climbed {
            if let Some(step) = steps.get_mut(row as usize) {
                *step = Some(found);
            }
        }
    })?;
    let step_above = |row: u32| {
        let parent = tree.parent(row)?;
        steps.get(parent as usize).copied().flatten()
    };
    let mut has_below = vec![false; spans.len()];
    pace::for_each(rows.clone().filter(|row| is_step(*row)), pace, |row| {
        let above = step_above(row).and_then(|above| has_below.get_mut(above as usize));
        above.into_iter().for_each(|has_below| *has_below = true);
    })?;
    let mut paths = Paths::new();
    pace::for_each(rows.filter(|row| is_step(*row)), pace, |leaf| {
        if has_below.get(leaf as usize).copied().unwrap_or(true) || paths.len() >= PATHS_MAX {
            return;
        }
        let mut path = Vec::new();
        let mut at = Some(leaf);
        while let Some(row) = at.filter(|_| path.len() < PATH_STEPS_MAX) {
            if let Some(span) = spans.get(row as usize) {
                let service = effective::span_service(span);
                path.push((service, effective::span_operation(span)));
            }
            at = step_above(row);
        }
        path.reverse();
        paths.insert(path, trace_id);
    })?;
    Ok(paths)
}

fn render(paths: &Paths) -> Vec<u8> {
    let mut out = b"{\"dependencies\":[".to_vec();
    for (path, trace_id) in paths {
        push_comma(&mut out);
        out.extend_from_slice(b"{\"path\":[");
        for (service, operation) in path {
            push_comma(&mut out);
            out.extend_from_slice(b"{\"service\":");
            push_string(&mut out, service.as_bytes());
            out.extend_from_slice(b",\"operation\":");
            push_string(&mut out, operation.as_bytes());
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"attributes\":[{\"key\":\"exemplar_trace_id\",\"value\":\"");
        out.extend_from_slice(super::trace_id::print(*trace_id).as_bytes());
        out.extend_from_slice(b"\"}]}");
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use model::SpanId;
    use model::span::ParentId;
    use model::testing::{CountingPace, simple_span};

    use super::*;

    /// Servers that call two others each.
    fn calls(count: u64) -> Trace {
        let span = |number: u64| {
            let mut span = simple_span(1, number, number, number + 5);
            span.kind = SpanKind::SERVER;
            if number > 1 {
                span.parent = ParentId::Id(SpanId((number / 2).to_be_bytes()));
            }
            span
        };
        let spans = (1..=count).map(span).collect();
        Trace { trace_id: TraceId([1; 16]), spans, truncated: None }
    }

    #[test]
    fn a_caller_who_left_ends_the_search_for_paths_wherever_it_is() {
        let all = |count| {
            let pace = CountingPace::endless();
            assert!(!paths(calls(count), &pace).unwrap().is_empty());
            pace.asked()
        };
        let (few, many) = (all(20_000), all(40_000));
        assert!(many * 10 >= few * 16, "{few} then {many}: no stretch grows with the trace");
        let asked = all(5_000);
        for asked_max in 0..asked {
            let pace = CountingPace::new(asked_max);
            assert_eq!(paths(calls(5_000), &pace), Err(()));
            assert_eq!(pace.asked(), asked_max + 1);
        }
    }
}
