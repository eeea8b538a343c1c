//! The meaning of figures, on owned spans: the reference for [`crate::aggregate`].
//!
//! As in [`mod@super::evaluate`], "the spans of a trace" are all its distinct spans in the order of
//! a trace, and clarity goes before speed.

use std::collections::{BTreeMap, BTreeSet};

use super::Field;
use super::evaluate::span_matches;
use super::field::any_value;
use crate::aggregate::{
    Aggregate, AggregateKind, AggregateQuery, Counts, DependencyEdge, Group, GroupBy,
    duration_bucket, time_bin,
};
use crate::tree::Tree;
use crate::{Duration, Span, Text, TimeRange, effective};

/// The answer over all `traces`. Merges with answers over other traces; [`finish`] comes last.
pub fn aggregate<'a>(
    query: &AggregateQuery,
    traces: impl IntoIterator<Item = &'a [Span]>,
) -> Aggregate {
    let mut answer = Aggregate::default();
    for spans in traces {
        let spans_before = answer.spans;
        for span in spans {
            if query.window.contains(span.start) && span_matches(&query.predicate, span) {
                add_span(query, span, &mut answer);
            }
        }
        answer.traces += u64::from(answer.spans > spans_before);
    }
    answer
}

/// What a caller gets to see, once all answers are merged: of [`AggregateKind::TopValues`] the
/// most frequent ones (ties by value), the others counted as `other`; of groups no more than an
/// answer carries.
pub fn finish(query: &AggregateQuery, mut answer: Aggregate) -> Aggregate {
    answer.cut();
    if let AggregateKind::TopValues { limit, .. } = &query.kind {
        answer.keep_values(*limit as usize);
    }
    answer
}

fn add_span(query: &AggregateQuery, span: &Span, answer: &mut Aggregate) {
    let counts = Counts { spans: 1, errors: u64::from(span.is_error()) };
    answer.spans += counts.spans;
    answer.errors += counts.errors;
    match &query.kind {
        AggregateKind::Totals => {}
        AggregateKind::Heatmap { step } => {
            let bin = time_bin(span.start, query.window.start, *step);
            let place = (bin, duration_bucket(span.duration()));
            answer.heatmap.entry(place).or_default().add(counts);
        }
        AggregateKind::TopValues { field, .. } => add_values(field, span, counts, answer),
        AggregateKind::Red { step, group_by } => {
            add_red(query.window, *step, *group_by, span, counts, answer);
        }
    }
}

/// A span counts once for each different string form of its values.
fn add_values(field: &Field, span: &Span, counts: Counts, answer: &mut Aggregate) {
    let mut forms = BTreeSet::new();
    any_value(field, span, &mut |value| {
        forms.insert(value.string_form());
        false
    });
    for form in forms {
        answer.values.entry(form).or_default().add(counts);
    }
}

fn add_red(
    window: TimeRange,
    step: Duration,
    group_by: GroupBy,
    span: &Span,
    counts: Counts,
    answer: &mut Aggregate,
) {
    let operation = match group_by {
        GroupBy::Service => Text::EMPTY,
        GroupBy::Operation => effective::span_operation(span),
    };
    let group = Group { service: effective::span_service(span), operation, kind: span.kind };
    let bin = time_bin(span.start, window.start, step);
    let red = answer.red.entry(group).or_default().entry(bin).or_default();
    red.counts.add(counts);
    red.durations.add(span.duration());
}

/// The calls between services, sorted: one for each distinct span that starts within the window
/// and whose parent row ([`crate::tree`]) lies in its trace, wherever that one starts.
pub fn dependencies<'a>(
    window: TimeRange,
    traces: impl IntoIterator<Item = &'a [Span]>,
) -> Vec<DependencyEdge> {
    let mut edges: BTreeMap<(Text, Text), Counts> = BTreeMap::new();
    for spans in traces {
        let tree = Tree::of_spans(spans);
        for (row, child) in (0..u32::MAX).zip(spans) {
            let parent = tree.parent(row).and_then(|parent| spans.get(parent as usize));
            if let Some(parent) = parent.filter(|_| window.contains(child.start)) {
                let edge = (effective::span_service(parent), effective::span_service(child));
                let counts = Counts { spans: 1, errors: u64::from(child.is_error()) };
                edges.entry(edge).or_default().add(counts);
            }
        }
    }
    edges.into_iter().map(dependency_edge).collect()
}

fn dependency_edge(((parent, child), counts): ((Text, Text), Counts)) -> DependencyEdge {
    DependencyEdge { parent, child, calls: counts.spans, errors: counts.errors }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::query::{AttributeScope, SpanPredicate};
    use crate::span::{ParentId, Status, StatusCode};
    use crate::testing::{Generator, simple_span};
    use crate::{Attribute, Resource, SpanId, Timestamp};

    fn query(kind: AggregateKind) -> AggregateQuery {
        AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind }
    }

    fn kinds() -> Vec<AggregateKind> {
        let step = Duration(1_000);
        vec![
            AggregateKind::Totals,
            AggregateKind::Heatmap { step },
            AggregateKind::TopValues {
                field: Field::Attribute(AttributeScope::SpanOrResource, "http.status_code".into()),
                limit: 2,
            },
            AggregateKind::TopValues { field: Field::StatusMessage, limit: 3 },
            AggregateKind::Red { step, group_by: GroupBy::Service },
            AggregateKind::Red { step, group_by: GroupBy::Operation },
        ]
    }

    #[test]
    fn answers_over_disjoint_traces_merge() {
        let traces = Generator::new(17).traces(40);
        let slices: Vec<&[Span]> = traces.iter().map(Vec::as_slice).collect();
        for kind in kinds() {
            let query = query(kind);
            let whole = aggregate(&query, slices.iter().copied());
            let (left, right) = slices.split_at(slices.len() / 3);
            let mut merged = aggregate(&query, left.iter().copied());
            merged.merge(&aggregate(&query, right.iter().copied()));
            assert_eq!(merged, whole);
        }
    }

    #[test]
    fn the_most_frequent_values_remain() {
        let values = ["a", "b", "a", "c", "b", "d"];
        let spans: Vec<_> = (1..)
            .zip(values)
            .map(|(id, value)| {
                let mut span = simple_span(1, id, id, id);
                // Twice the same value in one span counts once.
                span.attributes = vec![Attribute::new("k", value), Attribute::new("k", value)];
                span
            })
            .collect();
        let field = Field::Attribute(AttributeScope::Span, "k".into());
        let query = query(AggregateKind::TopValues { field, limit: 3 });
        let answer = finish(&query, aggregate(&query, [spans.as_slice()]));
        let found: Vec<_> =
            answer.values.iter().map(|(text, counts)| (text, counts.spans)).collect();
        assert_eq!(found, [(&"a".into(), 2), (&"b".into(), 2), (&"c".into(), 1)]);
        assert_eq!((answer.other, answer.spans, answer.traces), (1, 6, 1));
    }

    #[test]
    fn any_field_can_be_counted() {
        let messages = ["no route", "", "no route", "timed out"];
        let spans = (1..).zip(messages).map(|(id, message)| {
            let mut span = simple_span(1, id, id, id);
            let code = if message.is_empty() { StatusCode::OK } else { StatusCode::ERROR };
            span.status = Some(Status { code, message: message.into(), ..Status::default() });
            span
        });
        let spans: Vec<_> = spans.collect();
        let found = |field| {
            let query = query(AggregateKind::TopValues { field, limit: 10 });
            let answer = finish(&query, aggregate(&query, [spans.as_slice()]));
            let told = answer.values.iter().map(|(form, counts)| {
                (String::from_utf8_lossy(form.as_bytes()).into_owned(), counts.spans, counts.errors)
            });
            told.collect::<Vec<_>>()
        };
        let expected = [("no route".to_owned(), 2, 2), ("timed out".to_owned(), 1, 1)];
        assert_eq!(found(Field::StatusMessage), expected);
        assert_eq!(found(Field::Status), [("1".to_owned(), 1, 0), ("2".to_owned(), 3, 3)]);
    }

    #[test]
    fn dependencies_count_children_in_the_window() {
        let service = |name: &str| {
            let attributes = vec![Attribute::new(effective::SERVICE_NAME_KEY, name)];
            Arc::new(Resource { attributes, ..Resource::default() })
        };
        let parent = ParentId::Id(SpanId(1_u64.to_be_bytes()));
        let mut root = simple_span(1, 1, 10, 90);
        root.resource = service("front");
        let mut own = simple_span(1, 2, 20, 30);
        own.resource = service("front");
        own.parent = parent.clone();
        let mut call = simple_span(1, 3, 30, 40);
        call.resource = service("back");
        call.parent = parent.clone();
        call.status = Some(Status { code: StatusCode::ERROR, ..Status::default() });
        let mut late = simple_span(1, 4, 80, 81);
        late.resource = service("back");
        late.parent = parent;
        let window = TimeRange { start: Timestamp(15), end: Timestamp(50) };
        let edges = dependencies(window, [[root, own, call, late].as_slice()]);
        let edge = |child: &str, errors| DependencyEdge {
            parent: "front".into(),
            child: child.into(),
            calls: 1,
            errors,
        };
        assert_eq!(edges, [edge("back", 1), edge("front", 0)]);
    }
}
