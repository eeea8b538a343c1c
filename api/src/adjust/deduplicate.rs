//! Third adjuster: of spans that are the same to Jaeger, the first stays.
//!
//! The store's contents are a set already, but Jaeger compares less than Skua does: only the
//! attributes of resource and scope, and the span itself. Spans that differ in a scope's name
//! or a schema URL alone are one span to Jaeger. Runs after sorting, which makes orders equal.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use model::SpanId;
use model::pace::{self, Pace};
use model::span::ParentId;
use twox_hash::XxHash3_128;

use super::intern::feed_attributes;
use super::{EditableSpan, EditableTrace};

/// Drops repeats.
pub fn deduplicate_spans<P: Pace>(trace: &mut EditableTrace, pace: &P) -> Result<(), P::Stop> {
    let mut counts: BTreeMap<SpanId, u32> = BTreeMap::new();
    pace::for_each(&trace.spans, pace, |editable| {
        *counts.entry(editable.span.span_id).or_default() += 1;
    })?;
    // Only spans of one id can be equal, and ids hardly ever repeat.
    let repeats = |id: &SpanId| counts.get(id).is_some_and(|count| *count > 1);
    let mut seen: BTreeSet<u128> = BTreeSet::new();
    let mut bytes = Bytes::default();
    let (resources, scopes) = (&trace.resources, &trace.scopes);
    let mut is_kept = Vec::with_capacity(trace.spans.len());
    pace::for_each(&trace.spans, pace, |editable| {
        if !repeats(&editable.span.span_id) {
            is_kept.push(true);
            return;
        }
        bytes.0.clear();
        if let Some(resource) = resources.get(editable.resource) {
            feed_attributes(&resource.attributes, &mut bytes);
        }
        if let Some(scope) = scopes.get(editable.scope) {
            feed_attributes(&scope.attributes, &mut bytes);
        }
        feed_span(editable, &mut bytes);
        is_kept.push(seen.insert(XxHash3_128::oneshot(&bytes.0)));
    })?;
    if is_kept.contains(&false) {
        let mut is_kept = is_kept.into_iter();
        trace.spans.retain(|_| is_kept.next().unwrap_or(true));
    }
    Ok(())
}

/// Collects what is fed to it: a hasher whose result is compared by 128 bits.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn feed_span(editable: &EditableSpan, bytes: &mut Bytes) {
    let span = &editable.span;
    span.trace_id.hash(bytes);
    span.span_id.hash(bytes);
    match &span.parent {
        ParentId::None => bytes.write_u8(0),
        ParentId::Id(id) => id.hash(bytes),
        ParentId::Odd(odd) => odd.hash(bytes),
    }
    span.trace_state.hash(bytes);
    span.name.hash(bytes);
    (span.flags, span.kind, span.start, span.end).hash(bytes);
    (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count)
        .hash(bytes);
    if let Some(status) = &span.status {
        status.code.hash(bytes);
        status.message.hash(bytes);
    }
    feed_attributes(&span.attributes, bytes);
    bytes.write_usize(span.events.len());
    for event in &span.events {
        event.time.hash(bytes);
        event.name.hash(bytes);
        event.dropped_attributes_count.hash(bytes);
        feed_attributes(&event.attributes, bytes);
    }
    bytes.write_usize(span.links.len());
    for link in &span.links {
        link.trace_id.hash(bytes);
        link.span_id.hash(bytes);
        link.trace_state.hash(bytes);
        (link.flags, link.dropped_attributes_count).hash(bytes);
        feed_attributes(&link.attributes, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::pace::{Unhurried, unstopped};
    use model::testing::simple_span;
    use model::{Attribute, Scope, Span};

    use super::*;

    fn left(spans: Vec<Span>) -> usize {
        let mut trace = EditableTrace::from_spans(spans[0].trace_id, spans);
        unstopped(deduplicate_spans(&mut trace, &Unhurried));
        trace.spans.len()
    }

    #[test]
    fn spans_that_differ_for_jaeger_are_kept() {
        let plain = simple_span(1, 1, 0, 1);
        let mut other = plain.clone();
        other.attributes.push(Attribute::new("a", 1));
        assert_eq!(left(vec![plain.clone(), other, simple_span(1, 2, 0, 1), plain]), 3);
    }

    #[test]
    fn the_name_of_a_scope_makes_no_difference_but_its_attributes_do() {
        let plain = simple_span(1, 1, 0, 1);
        let mut named = plain.clone();
        named.scope = Arc::new(Scope { name: "scope".into(), ..Scope::default() });
        let mut attributed = plain.clone();
        let attributes = vec![Attribute::new("a", 1)];
        attributed.scope = Arc::new(Scope { attributes, ..Scope::default() });
        assert_eq!(left(vec![plain, named, attributed]), 2);
    }
}
