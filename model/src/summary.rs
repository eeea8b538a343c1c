//! The summary of a trace: what a row of a search result needs.
//!
//! [`summarize`] reads owned spans. [`SummaryBuilder`] takes the same facts one span at a time,
//! in any order, so that columns can summarize without building spans; builders over disjoint
//! sets of spans merge. Only the number of orphans needs the whole trace at once, and is handed
//! in at the end.
//!
//! Invariant: a summary is a function of the *set* of distinct spans. Ties for the root are
//! therefore broken by what is shown of it, not by arrival.

use std::collections::BTreeMap;

use crate::aggregate::Counts;
use crate::pace::{self, Pace, Unhurried, unstopped};
use crate::store::{ServiceSummary, TraceSummary};
use crate::tree::Tree;
use crate::{Span, SpanId, Text, Timestamp, TraceId, effective};

/// What a summary needs to know of one span.
#[derive(Debug, Clone, Copy)]
pub struct SpanFacts<'a> {
    /// Its id.
    pub span_id: SpanId,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, as it came.
    pub end: Timestamp,
    /// [`crate::span::ParentId::is_root`].
    pub is_root: bool,
    /// [`Span::is_error`].
    pub is_error: bool,
    /// Effective service.
    pub service: &'a Text,
    /// Effective operation.
    pub operation: &'a Text,
}

/// The earliest root so far; ordered so that the smallest is the root to show.
type RootCandidate = (Timestamp, SpanId, Text, Text);

/// Adds up the facts of the distinct spans of a trace.
#[derive(Debug, Clone, Default)]
pub struct SummaryBuilder {
    start: Option<Timestamp>,
    end: Timestamp,
    root: Option<RootCandidate>,
    total: Counts,
    services: BTreeMap<Text, Counts>,
}

impl SummaryBuilder {
    /// Adds one span.
    pub fn add(&mut self, span: &SpanFacts<'_>) {
        let counts = Counts { spans: 1, errors: u64::from(span.is_error) };
        self.add_time(span.start, span.end);
        self.total.add(counts);
        if let Some(own) = self.services.get_mut(span.service) {
            own.add(counts);
        } else {
            self.services.insert(span.service.clone(), counts);
        }
        let may_be_root = self
            .root
            .as_ref()
            .is_none_or(|(start, id, ..)| (span.start, span.span_id) <= (*start, *id));
        if span.is_root && may_be_root {
            let (service, operation) = (span.service.clone(), span.operation.clone());
            self.add_root((span.start, span.span_id, service, operation));
        }
    }

    /// Adds the facts of a disjoint set of spans of the same trace.
    pub fn merge(&mut self, other: Self) {
        if let Some(start) = other.start {
            self.add_time(start, other.end);
        }
        self.total.add(other.total);
        for (service, counts) in other.services {
            self.services.entry(service).or_default().add(counts);
        }
        if let Some(root) = other.root {
            self.add_root(root);
        }
    }

    /// The summary, given how many of the spans name a parent that is not among them.
    pub fn finish(self, trace_id: TraceId, orphan_count: u64) -> TraceSummary {
        let start = self.start.unwrap_or_default();
        let (root_service, root_operation) =
            self.root.map(|(_, _, service, operation)| (service, operation)).unwrap_or_default();
        TraceSummary {
            trace_id,
            start,
            end: self.end.max(start),
            root_service,
            root_operation,
            span_count: self.total.spans,
            error_count: self.total.errors,
            orphan_count,
            services: self.services.into_iter().map(service_summary).collect(),
        }
    }

    fn add_time(&mut self, start: Timestamp, end: Timestamp) {
        self.start = Some(self.start.map_or(start, |own| own.min(start)));
        self.end = self.end.max(end);
    }

    fn add_root(&mut self, root: RootCandidate) {
        self.root = Some(match self.root.take() {
            Some(own) => own.min(root),
            None => root,
        });
    }
}

fn service_summary((service, counts): (Text, Counts)) -> ServiceSummary {
    ServiceSummary { service, span_count: counts.spans, error_count: counts.errors }
}

/// The summary of a trace, given all its distinct spans in any order. Without spans it is that
/// of the all-zero trace id, with nothing in it.
pub fn summarize(spans: &[Span]) -> TraceSummary {
    unstopped(summarize_within(spans, &Tree::of_spans(spans), &Unhurried))
}

/// [`summarize`] for whoever has the tree of these spans already, as long as the pace lets it go
/// on.
pub fn summarize_within<P: Pace>(
    spans: &[Span],
    tree: &Tree,
    pace: &P,
) -> Result<TraceSummary, P::Stop> {
    let mut builder = SummaryBuilder::default();
    pace::for_each(spans, pace, |span| {
        builder.add(&SpanFacts {
            span_id: span.span_id,
            start: span.start,
            end: span.end,
            is_root: span.parent.is_root(),
            is_error: span.is_error(),
            service: &effective::span_service(span),
            operation: &effective::span_operation(span),
        });
    })?;
    let trace_id = spans.first().map(|span| span.trace_id).unwrap_or_default();
    Ok(builder.finish(trace_id, tree.orphans().len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::ParentId;
    use crate::testing::{Generator, simple_span};

    #[test]
    fn the_root_is_the_earliest_span_without_a_parent() {
        let mut late_root = simple_span(1, 1, 50, 60);
        late_root.name = "late".into();
        let mut root = simple_span(1, 2, 20, 90);
        root.name = "root".into();
        let mut child = simple_span(1, 3, 10, 5);
        child.parent = ParentId::Id(SpanId([7; 8]));
        let summary = summarize(&[late_root, root, child]);
        assert_eq!(summary.root_operation, "root");
        assert_eq!((summary.start, summary.end), (Timestamp(10), Timestamp(90)));
        assert_eq!((summary.span_count, summary.orphan_count), (3, 1));
    }

    #[test]
    fn a_summary_is_over_a_set_and_merges() {
        let mut generator = Generator::new(3);
        for _ in 0..50 {
            let mut spans = generator.distinct_trace();
            let whole = summarize(&spans);
            spans.reverse();
            assert_eq!(summarize(&spans), whole);
            let (left, right) = spans.split_at(spans.len() / 2);
            let mut merged = builder_over(left);
            merged.merge(builder_over(right));
            assert_eq!(merged.finish(whole.trace_id, whole.orphan_count), whole);
        }
    }

    fn builder_over(spans: &[Span]) -> SummaryBuilder {
        let mut builder = SummaryBuilder::default();
        for span in spans {
            builder.add(&SpanFacts {
                span_id: span.span_id,
                start: span.start,
                end: span.end,
                is_root: span.parent.is_root(),
                is_error: span.is_error(),
                service: &effective::span_service(span),
                operation: &effective::span_operation(span),
            });
        }
        builder
    }
}
