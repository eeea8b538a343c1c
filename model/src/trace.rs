//! A whole trace out of spans that lay in several places, some of them more than once.
//!
//! Contents are a set: spans equal in every field count once, different spans under one span id
//! are all kept. Order: start, then span id, then the fingerprint: nothing that depends on where a
//! span lies or when it came, because sealing and merging move spans.

use std::collections::BTreeMap;

use crate::canonical::fingerprint;
use crate::effective;
use crate::span::SpanKind;
use crate::store::{Revision, Trace, TraceColumns};
use crate::tree::Tree;
use crate::{Span, SpanId, Text, Timestamp, TraceId};

/// The trace of all of `spans` (of one trace, in any order), cut off after `spans_max`
/// spans; nothing if there are none.
pub fn assemble(trace_id: TraceId, spans: Vec<Span>, spans_max: usize) -> Option<Trace> {
    if spans.is_empty() {
        return None;
    }
    let mut spans = distinct(spans);
    let distinct_count = spans.len();
    spans.truncate(spans_max);
    let truncated = (distinct_count > spans_max).then_some(distinct_count as u64);
    Some(Trace { trace_id, spans, truncated })
}

/// The distinct ones of `spans` (of one trace, in any order) in the order of a trace.
pub fn distinct(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(order_key);
    let is_twin = |pair: &[Span]| matches!(pair, [a, b] if order_key(a) == order_key(b));
    if !spans.windows(2).any(is_twin) {
        return spans;
    }
    let mut keyed: Vec<(u128, Span)> = spans.into_iter().map(|span| (0, span)).collect();
    // Only runs of one key are hashed and compared: equal spans have the same key.
    for run in keyed.chunk_by_mut(|(_, a), (_, b)| order_key(a) == order_key(b)) {
        if run.len() > 1 {
            run.iter_mut().for_each(|(print, span)| *print = fingerprint(span));
            run.sort_by_key(|(print, _)| *print);
        }
    }
    keyed.dedup_by(|(print, span), (kept_print, kept)| print == kept_print && span == kept);
    keyed.into_iter().map(|(_, span)| span).collect()
}

fn order_key(span: &Span) -> (Timestamp, SpanId) {
    (span.start, span.span_id)
}

/// Bit of [`TraceColumns::flags`]: the span's status says error.
pub const FLAG_ERROR: u8 = 1 << 3;
/// Bit of [`TraceColumns::flags`]: the span has events.
pub const FLAG_EVENTS: u8 = 1 << 4;
/// Bit of [`TraceColumns::flags`]: the span has links.
pub const FLAG_LINKS: u8 = 1 << 5;
/// Bit of [`TraceColumns::flags`]: the span's parent is not in the trace.
pub const FLAG_ORPHAN: u8 = 1 << 6;

/// The structure of a trace in columns. Services and operations are listed by first appearance.
pub fn columns(spans: &[Span], revision: Revision) -> TraceColumns {
    let tree = Tree::of_spans(spans);
    let mut columns = TraceColumns { revision, ..TraceColumns::default() };
    let mut services = Names::default();
    let mut operations = Names::default();
    for (row, span) in (0..u32::MAX).zip(spans) {
        columns.span_ids.push(span.span_id);
        columns.parents.push(tree.parent(row).unwrap_or(row));
        columns.starts.push(span.start);
        columns.durations.push(span.duration());
        columns.service.push(services.number(effective::span_service(span)));
        columns.operation.push(operations.number(effective::span_operation(span)));
        columns.flags.push(flags(span, tree.is_orphan(row)));
    }
    columns.services = services.names;
    columns.operations = operations.names;
    columns
}

fn flags(span: &Span, is_orphan: bool) -> u8 {
    let bit = |set: bool, flag: u8| if set { flag } else { 0 };
    kind_bits(span.kind)
        | bit(span.is_error(), FLAG_ERROR)
        | bit(!span.events.is_empty(), FLAG_EVENTS)
        | bit(!span.links.is_empty(), FLAG_LINKS)
        | bit(is_orphan, FLAG_ORPHAN)
}

/// The kind's number where three bits hold it; kinds unknown to this version count as not said.
pub fn kind_bits(kind: SpanKind) -> u8 {
    u8::try_from(kind.0).ok().filter(|number| *number < 8).unwrap_or(0)
}

/// Numbers names by first appearance.
#[derive(Default)]
struct Names {
    names: Vec<Text>,
    numbers: BTreeMap<Text, u32>,
}

impl Names {
    fn number(&mut self, name: Text) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let names = &mut self.names;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Generator, simple_span};

    #[test]
    fn exact_repeats_count_once_and_the_rest_is_ordered() {
        let early = simple_span(1, 9, 10, 20);
        let late = simple_span(1, 1, 30, 40);
        let mut other = late.clone();
        other.name = "other".into();
        let arrived = vec![late.clone(), early.clone(), late.clone(), other.clone()];
        let trace = assemble(early.trace_id, arrived, 10).unwrap();
        let mut twins = [late, other];
        twins.sort_by_key(fingerprint);
        let [first, second] = twins;
        assert_eq!(trace.spans, [early, first, second]);
        assert_eq!(trace.truncated, None);
    }

    #[test]
    fn latest_spans_are_cut_off_first_and_it_is_said() {
        let spans: Vec<_> = (1..=5).map(|id| simple_span(1, id, 100 - id, 200)).collect();
        let trace = assemble(spans[0].trace_id, spans, 2).unwrap();
        let starts: Vec<_> = trace.spans.iter().map(|span| span.start).collect();
        assert_eq!(starts, [Timestamp(95), Timestamp(96)]);
        assert_eq!(trace.truncated, Some(5));
        assert_eq!(assemble(trace.trace_id, Vec::new(), 2), None);
    }

    #[test]
    fn writing_twice_changes_nothing() {
        let mut generator = Generator::new(5);
        for _ in 0..50 {
            let once = generator.trace();
            let mut twice = [once.clone(), once.clone()].concat();
            assert_eq!(distinct(twice.clone()), distinct(once.clone()));
            twice.reverse();
            assert_eq!(distinct(twice), distinct(once), "whatever the order of arrival");
        }
    }

    #[test]
    fn columns_have_one_entry_a_span() {
        let mut child = simple_span(1, 2, 20, 30);
        child.parent = crate::span::ParentId::Id(SpanId(1_u64.to_be_bytes()));
        let mut orphan = simple_span(1, 3, 40, 30);
        orphan.parent = crate::span::ParentId::Odd("x".into());
        orphan.kind = SpanKind(-7);
        let columns = columns(&[simple_span(1, 1, 10, 20), child, orphan], Revision::default());
        assert_eq!(columns.parents, [0, 0, 2]);
        assert_eq!(columns.services.len(), 1);
        assert_eq!(columns.flags[2], FLAG_ORPHAN);
    }
}
