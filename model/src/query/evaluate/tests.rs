//! Tests of the reference evaluator on traces small enough to be checked by eye.

use std::sync::Arc;

use super::*;
use crate::query::{
    AttributeScope, Comparison, Cursor, Field, Literal, NumberTest, Pattern, ValueTest,
};
use crate::span::{ParentId, SpanKind, Status, StatusCode};
use crate::testing::{Generator, simple_span};
use crate::{Attribute, AttributeValue, Resource, SpanId, Timestamp};

fn named(name: &str) -> SpanPredicate {
    SpanPredicate::Field(Field::Operation, ValueTest::StringForm(name.into()))
}

fn compare(field: Field, comparison: Comparison, literal: Literal) -> SpanPredicate {
    SpanPredicate::Field(field, ValueTest::Compare(comparison, literal))
}

fn attribute(key: &str) -> Field {
    Field::Attribute(AttributeScope::SpanOrResource, key.into())
}

/// A root `r` with children `a`, `b` and grandchild `c` under `a`; starts 10, 20, 30, 40.
fn family() -> Vec<Span> {
    [("r", 0), ("a", 1), ("b", 1), ("c", 2)]
        .into_iter()
        .zip(1..)
        .map(|((name, parent), id)| {
            let mut span = simple_span(1, id, 10 * id, 10 * id + 100);
            span.name = name.into();
            span.parent = ParentId::Id(SpanId(u64::to_be_bytes(parent)));
            span
        })
        .collect()
}

fn holds(predicate: &TracePredicate, spans: &[Span]) -> bool {
    trace_matches(TimeRange::ALL, predicate, spans)
}

fn related(left: &str, relation: Relation, right: &str) -> bool {
    let (left, right) = (named(left), named(right));
    holds(&TracePredicate::Structure { left, relation, right }, &family())
}

#[test]
fn numbers_compare_across_types_and_other_types_never_do() {
    let mut span = simple_span(1, 1, 0, 0);
    span.attributes = vec![
        Attribute::new("int", 200_i64),
        Attribute::new("double", 200.0),
        Attribute::new("text", "200"),
        Attribute { key: "nothing".into(), value: AttributeValue::Missing },
    ];
    let test = |key: &str, comparison, literal| {
        span_matches(&compare(attribute(key), comparison, literal), &span)
    };
    for key in ["int", "double"] {
        assert!(test(key, Comparison::Equal, Literal::Int(200)));
        assert!(test(key, Comparison::Less, Literal::Double(200.5)));
        assert!(!test(key, Comparison::NotEqual, Literal::Double(200.0)));
        assert!(!test(key, Comparison::NotEqual, Literal::String("x".into())));
    }
    assert!(!test("text", Comparison::Equal, Literal::Int(200)));
    assert!(!test("text", Comparison::NotEqual, Literal::Int(200)));
    assert!(test("text", Comparison::Greater, Literal::String("199".into())));
    assert!(!test("missing", Comparison::NotEqual, Literal::Int(1)));
    let exists =
        |key| span_matches(&SpanPredicate::Field(attribute(key), ValueTest::Exists), &span);
    assert!(exists("nothing") && !exists("missing"));
}

#[test]
fn a_field_with_several_values_needs_one_that_passes() {
    let mut span = simple_span(1, 1, 0, 0);
    span.attributes = vec![Attribute::new("k", "a"), Attribute::new("k", "b")];
    let attributes = vec![Attribute::new("k", "c")];
    span.resource = Arc::new(Resource { attributes, ..Resource::default() });
    for value in ["a", "b", "c"] {
        let predicate = compare(attribute("k"), Comparison::Equal, Literal::String(value.into()));
        assert!(span_matches(&predicate, &span));
        let pattern = ValueTest::Matches(Pattern::anchored(value).unwrap());
        assert!(span_matches(&SpanPredicate::Field(attribute("k"), pattern), &span));
    }
    let not_equal = compare(attribute("k"), Comparison::NotEqual, Literal::String("a".into()));
    assert!(span_matches(&not_equal, &span), "some other value is not equal");
}

#[test]
fn intrinsic_fields() {
    let mut span = simple_span(1, 2, 1_000, 500);
    span.name = "".into();
    span.kind = SpanKind::SERVER;
    let form = |field, form: &str| {
        span_matches(&SpanPredicate::Field(field, ValueTest::StringForm(form.into())), &span)
    };
    assert!(form(Field::Service, "missing-service-name"));
    assert!(form(Field::Operation, "empty-span-name"));
    assert!(form(Field::Kind, "2") && form(Field::Status, "0"));
    assert!(form(Field::Duration, "0") && form(Field::End, "500"));
    assert!(form(Field::SpanId, "0000000000000002"));
    let exists = |field| span_matches(&SpanPredicate::Field(field, ValueTest::Exists), &span);
    for absent in [Field::StatusMessage, Field::ParentId, Field::TraceState, Field::ScopeName] {
        assert!(!exists(absent.clone()), "{absent:?}");
    }
}

#[test]
fn relations_between_spans() {
    use Relation::{Ancestor, Child, Descendant, Parent, Sibling};
    assert!(related("r", Child, "a") && !related("r", Child, "c") && !related("a", Child, "r"));
    assert!(related("a", Parent, "r") && !related("c", Parent, "r"));
    assert!(related("r", Descendant, "c") && !related("b", Descendant, "c"));
    assert!(!related("r", Descendant, "r"), "no span descends from itself");
    assert!(related("c", Ancestor, "r") && !related("r", Ancestor, "c"));
    assert!(related("a", Sibling, "b") && related("b", Sibling, "a"));
    assert!(!related("a", Sibling, "a") && !related("r", Sibling, "a"));
}

#[test]
fn relations_hold_across_spans_outside_the_window() {
    let mut spans = family();
    spans[1].start = Timestamp(1_000);
    let window = TimeRange { start: Timestamp(0), end: Timestamp(100) };
    let (left, right) = (named("r"), named("c"));
    let relation = Relation::Descendant;
    let predicate = TracePredicate::Structure { left, relation, right };
    assert!(trace_matches(window, &predicate, &spans), "`a` lies between them");
    let (left, right) = (named("r"), named("a"));
    let predicate = TracePredicate::Structure { left, relation, right };
    assert!(!trace_matches(window, &predicate, &spans), "`a` itself does not count");
}

#[test]
fn windows_decide_before_everything_else() {
    let spans = family();
    let outside = TimeRange { start: Timestamp(41), end: Timestamp::MAX };
    assert!(!trace_matches(outside, &TracePredicate::True, &spans));
    let never = TracePredicate::Not(Box::new(TracePredicate::True));
    assert!(!trace_matches(outside, &TracePredicate::Not(Box::new(never)), &spans));
    let edge = TimeRange { start: Timestamp(40), end: Timestamp(40) };
    assert!(trace_matches(edge, &TracePredicate::HasSpan(named("c")), &spans));
    assert!(!trace_matches(edge, &TracePredicate::HasSpan(named("r")), &spans));
}

#[test]
fn figures_over_passing_spans() {
    let figure = |statistic, comparison, number| TracePredicate::Aggregate {
        of: compare(Field::Start, Comparison::Greater, Literal::Int(10)),
        statistic,
        test: NumberTest { comparison, number },
    };
    let spans = family();
    let equals = |statistic, number| holds(&figure(statistic, Comparison::Equal, number), &spans);
    assert!(equals(Statistic::Count, 3.0));
    assert!(equals(Statistic::Sum(Field::Start), 90.0));
    assert!(equals(Statistic::Min(Field::Start), 20.0));
    assert!(equals(Statistic::Max(Field::Start), 40.0));
    assert!(equals(Statistic::Mean(Field::Start), 30.0));
    let none = figure(Statistic::Sum(attribute("absent")), Comparison::NotEqual, 1.0);
    assert!(!holds(&none, &spans), "a figure over no numbers does not exist");
}

#[test]
fn facts_of_the_whole_trace() {
    let mut spans = family();
    spans[2].status = Some(Status { code: StatusCode::ERROR, ..Status::default() });
    let equals = |number| NumberTest { comparison: Comparison::Equal, number };
    // Predicates on whole traces do not look at the window.
    let window = TimeRange { start: Timestamp(40), end: Timestamp(40) };
    let all = TracePredicate::All(vec![
        TracePredicate::Duration(equals(130.0)),
        TracePredicate::SpanCount(equals(4.0)),
        TracePredicate::ErrorCount(equals(1.0)),
        TracePredicate::RootOperation(ValueTest::StringForm("r".into())),
        TracePredicate::RootService(ValueTest::Exists),
    ]);
    assert!(trace_matches(window, &all, &spans));
    let rootless = &spans[1..];
    assert!(!holds(&TracePredicate::RootService(ValueTest::Exists), rootless));
    assert!(!holds(&TracePredicate::RootOperation(ValueTest::Exists), rootless));
}

#[test]
fn answers_are_ordered_limited_and_continued() {
    // Traces 1 to 4 start at 10, 20, 20, 30; the longest is trace 2.
    let traces: Vec<_> = [(1, 10, 15), (2, 20, 90), (3, 20, 25), (4, 30, 31)]
        .into_iter()
        .map(|(trace, start, end)| vec![simple_span(trace, 1, start, end)])
        .collect();
    let numbers = |order, limit, cursor: Option<OrderKey>| -> Vec<usize> {
        let query = TraceQuery {
            window: TimeRange::ALL,
            predicate: TracePredicate::True,
            order,
            limit,
            cursor: cursor.map(|last| Cursor { last, applied: Vec::new() }),
        };
        let answer = evaluate(&query, traces.iter().map(Vec::as_slice));
        answer.into_iter().map(|(_, number)| number).collect()
    };
    assert_eq!(numbers(Order::Newest, 10, None), [3, 1, 2, 0]);
    assert_eq!(numbers(Order::Oldest, 10, None), [0, 1, 2, 3]);
    assert_eq!(numbers(Order::Longest, 2, None), [1, 0]);
    assert_eq!(numbers(Order::Shortest, 10, None), [3, 0, 2, 1]);
    let last = order_key(Order::Newest, TraceFacts::new(&traces[1]).summary());
    assert_eq!(numbers(Order::Newest, 10, Some(last)), [2, 0]);
}

#[test]
fn a_predicate_and_its_negation_share_the_traces_of_the_window() {
    let mut generator = Generator::new(23);
    let traces = generator.traces(30);
    let spans: Vec<Span> = traces.iter().flatten().cloned().collect();
    for _ in 0..200 {
        let window = generator.window(&spans);
        let predicate = generator.trace_predicate(&spans, 2);
        let negation = TracePredicate::Not(Box::new(predicate.clone()));
        for trace in &traces {
            let within = trace_matches(window, &TracePredicate::True, trace);
            let both =
                trace_matches(window, &predicate, trace) ^ trace_matches(window, &negation, trace);
            assert_eq!(within, both, "{predicate:?} over {trace:?}");
        }
    }
}
