//! First adjuster: Zipkin's shared span ids come apart.
//!
//! Zipkin clients give the two sides of a call one span id. The server's side gets an id of its
//! own and becomes the child of the client's side; spans that named the shared id as their
//! parent were made on the server's side and follow it.

use std::collections::BTreeMap;

use model::SpanId;
use model::pace::{self, Pace};
use model::span::{ParentId, SpanKind};

use super::{EditableTrace, add_warning};

const TOO_MANY_SPANS: &str = "cannot assign unique span ID, too many spans in the trace";

/// Gives each server span that shares its id with a client span an unused id.
pub fn separate_shared_span_ids<P: Pace>(
    trace: &mut EditableTrace,
    pace: &P,
) -> Result<(), P::Stop> {
    // Which ids are taken, and whether by a client span.
    let mut by_client: BTreeMap<SpanId, bool> = BTreeMap::new();
    pace::for_each(&trace.spans, pace, |editable| {
        let is_client = editable.span.kind == SpanKind::CLIENT;
        *by_client.entry(editable.span.span_id).or_default() |= is_client;
    })?;

    let mut moved: BTreeMap<SpanId, SpanId> = BTreeMap::new();
    let mut last_given = 0;
    pace::for_each(&mut trace.spans, pace, |editable| {
        let span = &mut editable.span;
        let shared = by_client.get(&span.span_id).copied().unwrap_or_default();
        if span.kind != SpanKind::SERVER || !shared {
            return;
        }
        let Some(unused) = next_unused(&mut last_given, &by_client) else {
            add_warning(span, TOO_MANY_SPANS);
            return;
        };
        moved.insert(span.span_id, unused);
        span.parent = ParentId::Id(span.span_id);
        span.span_id = unused;
    })?;
    if moved.is_empty() {
        return Ok(());
    }
    pace::for_each(&mut trace.spans, pace, |editable| {
        let span = &mut editable.span;
        let new_parent = span.parent.span_id().and_then(|parent| moved.get(&parent)).copied();
        if let Some(new_parent) = new_parent.filter(|parent| *parent != span.span_id) {
            span.parent = ParentId::Id(new_parent);
        }
    })
}

/// The next id, counted from one, that the trace did not have. Ends after at most as many
/// steps in all as the trace has ids.
fn next_unused(last_given: &mut u64, taken: &BTreeMap<SpanId, bool>) -> Option<SpanId> {
    loop {
        *last_given = last_given.checked_add(1)?;
        let id = SpanId(last_given.to_be_bytes());
        if !taken.contains_key(&id) {
            return Some(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Span;
    use model::pace::{Unhurried, unstopped};
    use model::testing::simple_span;

    use super::*;

    fn span(id: u64, parent: u64, kind: SpanKind) -> Span {
        let mut span = simple_span(1, id, 0, 1);
        span.kind = kind;
        if parent != 0 {
            span.parent = ParentId::Id(SpanId(parent.to_be_bytes()));
        }
        span
    }

    fn ids(spans: Vec<Span>) -> Vec<(u64, u64)> {
        let mut trace = EditableTrace::from_spans(spans[0].trace_id, spans);
        unstopped(separate_shared_span_ids(&mut trace, &Unhurried));
        let number = |id: SpanId| u64::from_be_bytes(id.0);
        let spans = trace.into_spans().into_iter();
        spans.map(|s| (number(s.span_id), s.parent.span_id().map_or(0, number))).collect()
    }

    #[test]
    fn the_server_side_gets_the_smallest_unused_id() {
        let found = ids(vec![
            span(2, 0, SpanKind::SERVER),
            span(7, 2, SpanKind::CLIENT),
            span(7, 2, SpanKind::SERVER),
            span(1, 7, SpanKind::INTERNAL),
        ]);
        // The server side of span 7 becomes span 3; its child follows it.
        assert_eq!(found, [(2, 0), (7, 2), (3, 7), (1, 3)]);
    }

    #[test]
    fn ids_shared_otherwise_stay() {
        let found = ids(vec![
            span(7, 0, SpanKind::SERVER),
            span(7, 0, SpanKind::SERVER),
            span(8, 7, SpanKind::CLIENT),
            span(8, 7, SpanKind::CLIENT),
        ]);
        assert_eq!(found, [(7, 0), (7, 0), (8, 7), (8, 7)]);
    }

    #[test]
    fn two_shared_ids_get_two_new_ones() {
        let found = ids(vec![
            span(1, 0, SpanKind::CLIENT),
            span(1, 0, SpanKind::SERVER),
            span(3, 1, SpanKind::CLIENT),
            span(3, 1, SpanKind::SERVER),
        ]);
        // The client span of the second call was made on the server side of the first.
        assert_eq!(found, [(1, 0), (2, 1), (3, 2), (4, 3)]);
    }
}
