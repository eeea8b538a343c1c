//! A whole trace out of spans that lay in several places, some of them more than once.
//!
//! Contents are a set: spans equal in every field count once, different spans under one span id
//! are all kept. Order: start, then span id, then the fingerprint: nothing that depends on where a
//! span lies or when it came, because sealing and merging move spans.

use crate::canonical::fingerprint;
use crate::effective;
use crate::names::Names;
use crate::pace::{self, Pace, Unhurried, unstopped};
use crate::query::{SpanPredicate, span_matches};
use crate::span::SpanKind;
use crate::store::{FoundRows, Revision, Trace, TraceColumns};
use crate::tree::Tree;
use crate::{Span, SpanId, Timestamp, TraceId};

/// The trace of all of `spans` (of one trace, in any order), cut off after `spans_max`
/// spans; nothing if there are none.
pub fn assemble(trace_id: TraceId, spans: Vec<Span>, spans_max: usize) -> Option<Trace> {
    unstopped(assemble_within(trace_id, spans, spans_max, &Unhurried))
}

/// The same, as long as the pace lets it go on.
pub fn assemble_within<P: Pace>(
    trace_id: TraceId,
    spans: Vec<Span>,
    spans_max: usize,
    pace: &P,
) -> Result<Option<Trace>, P::Stop> {
    if spans.is_empty() {
        return Ok(None);
    }
    let mut spans = distinct_within(spans, pace)?;
    let distinct_count = spans.len();
    spans.truncate(spans_max);
    let truncated = (distinct_count > spans_max).then_some(distinct_count as u64);
    Ok(Some(Trace { trace_id, spans, truncated }))
}

/// Which of the distinct spans of a trace, in its order, pass a predicate.
pub fn find(predicate: &SpanPredicate, spans: &[Span]) -> FoundRows {
    unstopped(find_within(predicate, spans, &Unhurried))
}

/// The same, as long as the pace lets it go on.
pub fn find_within<P: Pace>(
    predicate: &SpanPredicate,
    spans: &[Span],
    pace: &P,
) -> Result<FoundRows, P::Stop> {
    let mut found = FoundRows::none(spans.len());
    pace::for_each(spans.iter().enumerate(), pace, |(row, span)| {
        if span_matches(predicate, span) {
            found.insert(row);
        }
    })?;
    Ok(found)
}

/// The distinct ones of `spans` (of one trace, in any order) in the order of a trace.
pub fn distinct(spans: Vec<Span>) -> Vec<Span> {
    unstopped(distinct_within(spans, &Unhurried))
}

/// The same, as long as the pace lets it go on. What is sorted are small keys; a span is moved to
/// its place at the end, if it is not there already.
pub fn distinct_within<P: Pace>(spans: Vec<Span>, pace: &P) -> Result<Vec<Span>, P::Stop> {
    let keys = (0..u32::MAX).zip(&spans).map(|(place, span)| Key::of(span, place));
    let mut keys = pace::sort_by_key(pace::collect(keys, pace)?, |key| *key, pace)?;
    if mark_twins(&mut keys, &spans, pace)? {
        keys = pace::sort_by_key(keys, |key| *key, pace)?;
    }
    let mut kept: Vec<Key> = Vec::with_capacity(keys.len());
    pace::for_each(keys, pace, |key| {
        if !kept.last().is_some_and(|last| last.is_repeated_by(&key, &spans)) {
            kept.push(key);
        }
    })?;
    let is_moved = |(place, key): (u32, &Key)| key.place != place;
    let is_in_order =
        kept.len() == spans.len() && !pace::any((0..u32::MAX).zip(&kept), pace, is_moved)?;
    if is_in_order {
        return Ok(spans);
    }
    let mut spans = pace::collect(spans.into_iter().map(Some), pace)?;
    let mut take = |key: &Key| spans.get_mut(key.place as usize).and_then(Option::take);
    pace::collect(kept.iter().filter_map(&mut take), pace)
}

/// A span by its place in the order of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    start: Timestamp,
    span_id: SpanId,
    /// Its fingerprint, if another span has the same start and id: equal spans have the same key.
    print: u128,
    /// Among the spans as given.
    place: u32,
}

impl Key {
    fn of(span: &Span, place: u32) -> Self {
        Self { start: span.start, span_id: span.span_id, print: 0, place }
    }

    fn is_twin_of(&self, other: &Self) -> bool {
        (self.start, self.span_id) == (other.start, other.span_id)
    }

    /// Whether another span is equal to this one.
    fn is_repeated_by(&self, other: &Self, spans: &[Span]) -> bool {
        self.is_twin_of(other)
            && self.print == other.print
            && spans.get(self.place as usize) == spans.get(other.place as usize)
    }
}

/// Takes the fingerprints of spans with a start and an id that another one has too; says whether
/// there are any.
fn mark_twins<P: Pace>(keys: &mut [Key], spans: &[Span], pace: &P) -> Result<bool, P::Stop> {
    let mut last: Option<&mut Key> = None;
    let mut is_twin_of_last = false;
    let mut has_twins = false;
    let mark = |key: &mut Key| {
        key.print = spans.get(key.place as usize).map_or(0, fingerprint);
    };
    pace::for_each(keys, pace, |key| {
        let is_twin = last.as_ref().is_some_and(|last| last.is_twin_of(key));
        has_twins |= is_twin;
        if let Some(last) = last.take().filter(|_| is_twin || is_twin_of_last) {
            mark(last);
        }
        is_twin_of_last = is_twin;
        last = Some(key);
    })?;
    if let Some(last) = last.filter(|_| is_twin_of_last) {
        mark(last);
    }
    Ok(has_twins)
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
    columns.services = services.into_vec();
    columns.operations = operations.into_vec();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CountingPace, Generator, simple_span};

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

    /// Spans in no order; every third one twice, and every fifth with another of its id.
    fn mixed(count: u64) -> Vec<Span> {
        let span = |number: u64| {
            let start = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let span = simple_span(1, number, start, start + 5);
            let mut other = span.clone();
            other.name = "other".into();
            let repeats = if number.is_multiple_of(3) { 2 } else { 1 };
            let others = usize::from(number.is_multiple_of(5));
            [vec![span; repeats], vec![other; others]].concat()
        };
        (1..=count).flat_map(span).collect()
    }

    #[test]
    fn a_caller_who_left_ends_the_work_wherever_it_is() {
        let all = |count| {
            let pace = CountingPace::endless();
            let spans = distinct_within(mixed(count), &pace).unwrap();
            assert_eq!(spans.len() as u64, count + count / 5);
            pace.asked()
        };
        let (few, many) = (all(20_000), all(40_000));
        assert!(many * 10 >= few * 16, "{few} then {many}: no stretch grows with the trace");
        let spans = mixed(6_000);
        let whole = CountingPace::endless();
        distinct_within(spans.clone(), &whole).unwrap();
        for asked_max in 0..whole.asked() {
            let pace = CountingPace::new(asked_max);
            assert_eq!(distinct_within(spans.clone(), &pace), Err(()));
            assert_eq!(pace.asked(), asked_max + 1);
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
