//! Queries from a seed, about values that really occur: constants are taken from spans at hand,
//! so that about as many predicates hold as do not.

use super::generate::Generator;
use crate::aggregate::{AggregateKind, AggregateQuery, GroupBy};
use crate::query::{
    AttributeScope, Comparison, Field, FieldValue, Literal, Number, NumberTest, Order, Pattern,
    Relation, SpanPredicate, Statistic, TracePredicate, TraceQuery, ValueTest, field,
};
use crate::value::ValueRef;
use crate::{Duration, Span, Text, TimeRange, Timestamp};

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

const RELATIONS: [Relation; 5] = [
    Relation::Child,
    Relation::Descendant,
    Relation::Parent,
    Relation::Ancestor,
    Relation::Sibling,
];

/// Fields besides attributes whose values are counted: some that all spans of a class share, some
/// that each has for itself.
const COUNTED_FIELDS: [Field; 8] = [
    Field::Service,
    Field::Operation,
    Field::Kind,
    Field::Status,
    Field::StatusMessage,
    Field::EventName,
    Field::ScopeName,
    Field::Duration,
];

const SCOPES: [AttributeScope; 6] = [
    AttributeScope::SpanOrResource,
    AttributeScope::Span,
    AttributeScope::Resource,
    AttributeScope::Scope,
    AttributeScope::Event,
    AttributeScope::Link,
];

/// Patterns over the words that generated spans use.
const PATTERNS: [&str; 5] = ["GET|back", "^$", "2.0", "(?i)ERROR|TRUE", "[0-9a-f]+"];

impl Generator {
    /// A query about spans like these, without a cursor.
    pub fn trace_query(&mut self, spans: &[Span]) -> TraceQuery {
        TraceQuery {
            window: self.window(spans),
            predicate: self.trace_predicate(spans, 2),
            order: *self.random.pick(&Order::ALL),
            limit: *self.random.pick(&[1, 3, 20, 1_000]),
            cursor: None,
        }
    }

    /// A question for figures about spans like these.
    pub fn aggregate_query(&mut self, spans: &[Span]) -> AggregateQuery {
        let window = self.window(spans);
        // At most a thousand bins, whatever the window.
        let step = Duration(window.end.since(window.start).0 / 1_000 + 1);
        let kind = match self.random.below(5) {
            0 => AggregateKind::Totals,
            1 => AggregateKind::Heatmap { step },
            2 => AggregateKind::Red { step, group_by: GroupBy::Service },
            3 => AggregateKind::Red { step, group_by: GroupBy::Operation },
            _ => AggregateKind::TopValues {
                field: self.counted_field(spans),
                limit: *self.random.pick(&[1, 5, 1_000]),
            },
        };
        AggregateQuery { window, predicate: self.span_predicate(spans, 1), kind }
    }

    /// An attribute as often as something else.
    fn counted_field(&mut self, spans: &[Span]) -> Field {
        if self.random.one_in(2) {
            return Field::Attribute(*self.random.pick(&SCOPES), self.key(spans));
        }
        self.random.pick(&COUNTED_FIELDS).clone()
    }

    /// All of time, or what lies between the starts of two of the spans.
    pub fn window(&mut self, spans: &[Span]) -> TimeRange {
        if spans.is_empty() || self.random.one_in(3) {
            return TimeRange::ALL;
        }
        let (one, two) = (self.random.pick(spans).start, self.random.pick(spans).start);
        let end = if self.random.one_in(4) { Timestamp::MAX } else { one.max(two) };
        TimeRange { start: one.min(two), end }
    }

    /// A predicate on traces, nested at most this deep.
    pub fn trace_predicate(&mut self, spans: &[Span], depth: usize) -> TracePredicate {
        let kinds = if depth == 0 { 9 } else { 12 };
        match self.random.below(kinds) {
            0 => TracePredicate::True,
            1 | 2 => TracePredicate::HasSpan(self.span_predicate(spans, 2)),
            3 => TracePredicate::Duration(self.number_test(&[0.0, 1e3, 1e6, 1e9, 1e18])),
            4 => TracePredicate::SpanCount(self.number_test(&[0.0, 1.0, 2.0, 4.0, 10.5])),
            5 => TracePredicate::ErrorCount(self.number_test(&[0.0, 1.0, 3.0])),
            6 => {
                let test = self.value_test(&Field::Service, spans);
                TracePredicate::RootService(test)
            }
            7 => {
                let test = self.value_test(&Field::Operation, spans);
                TracePredicate::RootOperation(test)
            }
            8 => TracePredicate::Structure {
                left: self.span_predicate(spans, 1),
                relation: *self.random.pick(&RELATIONS),
                right: self.span_predicate(spans, 1),
            },
            9 => TracePredicate::Aggregate {
                of: self.span_predicate(spans, 1),
                statistic: self.statistic(spans),
                test: self.number_test(&[0.0, 1.0, 200.0, 1e6, 1e18]),
            },
            10 => TracePredicate::Not(Box::new(self.trace_predicate(spans, depth - 1))),
            _ => {
                let parts = self.random.index(3);
                let parts = (0..parts).map(|_| self.trace_predicate(spans, depth - 1)).collect();
                if self.random.one_in(2) {
                    TracePredicate::All(parts)
                } else {
                    TracePredicate::Any(parts)
                }
            }
        }
    }

    /// A predicate on spans, nested at most this deep.
    pub fn span_predicate(&mut self, spans: &[Span], depth: usize) -> SpanPredicate {
        match self.random.below(if depth == 0 { 8 } else { 10 }) {
            0 => SpanPredicate::True,
            1..=4 => {
                let field = self.field(spans);
                let test = self.value_test(&field, spans);
                SpanPredicate::Field(field, test)
            }
            5 | 6 => self.jaeger_tag(spans),
            7 => self.mentions(spans),
            8 => SpanPredicate::Not(Box::new(self.span_predicate(spans, depth - 1))),
            _ => {
                let parts = self.random.index(3);
                let parts = (0..parts).map(|_| self.span_predicate(spans, depth - 1)).collect();
                if self.random.one_in(2) {
                    SpanPredicate::All(parts)
                } else {
                    SpanPredicate::Any(parts)
                }
            }
        }
    }

    /// Words that some span is likely to have: a stretch of a key or of the form of a value.
    pub fn mentions(&mut self, spans: &[Span]) -> SpanPredicate {
        let field = self.field(spans);
        let text = match self.value_of(&field, spans) {
            Some((_, form)) if self.random.one_in(2) => form,
            _ => self.key(spans),
        };
        let text = String::from_utf8_lossy(text.as_bytes());
        let mut characters = text.chars();
        for _ in 0..self.random.index(3) {
            characters.next();
        }
        let words: String = characters.take(1 + self.random.index(6)).collect();
        let words = if self.random.one_in(2) { words.to_uppercase() } else { words };
        Pattern::words(&words).map_or(SpanPredicate::True, SpanPredicate::Mentions)
    }

    /// Any field.
    pub fn field(&mut self, spans: &[Span]) -> Field {
        let fields = self.every_field(spans);
        self.random.pick(&fields).clone()
    }

    /// Every field there is; attributes in each scope under two keys.
    pub fn every_field(&mut self, spans: &[Span]) -> Vec<Field> {
        let mut fields = vec![
            Field::Service,
            Field::Operation,
            Field::Kind,
            Field::Status,
            Field::StatusMessage,
            Field::Duration,
            Field::Start,
            Field::End,
            Field::TraceId,
            Field::SpanId,
            Field::ParentId,
            Field::TraceState,
            Field::ScopeName,
            Field::ScopeVersion,
            Field::EventName,
            Field::EventTimeSinceStart,
            Field::LinkTraceId,
            Field::LinkSpanId,
        ];
        for scope in SCOPES {
            fields.push(Field::Attribute(scope, self.key(spans)));
            fields.push(Field::Attribute(scope, self.key(spans)));
        }
        fields
    }

    /// A test that a value of the field is likely to pass or just not.
    pub fn value_test(&mut self, field: &Field, spans: &[Span]) -> ValueTest {
        let value = self.value_of(field, spans);
        match self.random.below(6) {
            0 => ValueTest::Exists,
            1 => {
                let pattern = *self.random.pick(&PATTERNS);
                Pattern::unanchored(pattern).map_or(ValueTest::Exists, ValueTest::Matches)
            }
            2 => ValueTest::StringForm(value.map_or(Text::EMPTY, |(_, form)| form)),
            _ => {
                let literal = value.and_then(|(literal, _)| literal);
                let literal = literal.unwrap_or(Literal::Int(200));
                ValueTest::Compare(*self.random.pick(&COMPARISONS), literal)
            }
        }
    }

    fn jaeger_tag(&mut self, spans: &[Span]) -> SpanPredicate {
        let special = [
            ("error", "true"),
            ("error", "false"),
            ("error", "perhaps"),
            ("span.kind", "server"),
            ("span.kind", "CLIENT"),
            ("span.kind", "nothing"),
            ("span.status", "ERROR"),
            ("span.status", "ok"),
            ("span.status", ""),
            ("scope.name", "lib"),
            ("scope.version", ""),
        ];
        if self.random.one_in(3) {
            let (key, value) = *self.random.pick(&special);
            return SpanPredicate::JaegerTag { key: key.into(), value: value.into() };
        }
        let scope = *self.random.pick(&AttributeScope::PLACES);
        let key = self.key(spans);
        let value = self.value_of(&Field::Attribute(scope, key.clone()), spans);
        let value = value.map_or_else(|| "200".into(), |(_, form)| form);
        let key = if scope == AttributeScope::Resource && self.random.one_in(2) {
            [b"resource.", key.as_bytes()].concat().into()
        } else {
            key
        };
        SpanPredicate::JaegerTag { key, value }
    }

    fn statistic(&mut self, spans: &[Span]) -> Statistic {
        let field = if self.random.one_in(2) { Field::Duration } else { self.field(spans) };
        match self.random.below(5) {
            0 => Statistic::Count,
            1 => Statistic::Sum(field),
            2 => Statistic::Min(field),
            3 => Statistic::Max(field),
            _ => Statistic::Mean(field),
        }
    }

    fn number_test(&mut self, numbers: &[f64]) -> NumberTest {
        let comparison = *self.random.pick(&COMPARISONS);
        NumberTest { comparison, number: *self.random.pick(numbers) }
    }

    /// A key of one of the spans, or one that none has.
    fn key(&mut self, spans: &[Span]) -> Text {
        let mut keys = Vec::new();
        if !spans.is_empty() {
            let span = self.random.pick(spans);
            for place in AttributeScope::PLACES {
                field::any_attribute(place, span, &mut |attribute| {
                    keys.push(attribute.key.clone());
                    false
                });
            }
        }
        if keys.is_empty() { "http.method".into() } else { self.random.pick(&keys).clone() }
    }

    /// A value that some span has for the field: as a literal if there is one, and its form.
    fn value_of(&mut self, of: &Field, spans: &[Span]) -> Option<(Option<Literal>, Text)> {
        let mut values = Vec::new();
        for _ in 0..8.min(spans.len()) {
            field::any_value(of, self.random.pick(spans), &mut |value| {
                values.push((literal(value), value.string_form()));
                false
            });
        }
        (!values.is_empty()).then(|| self.random.pick(&values).clone())
    }
}

fn literal(value: FieldValue<'_>) -> Option<Literal> {
    match value {
        FieldValue::Value(ValueRef::String(text)) => Some(Literal::String(Text::copy_from(text))),
        FieldValue::Value(ValueRef::Bool(truth)) => Some(Literal::Bool(truth)),
        FieldValue::Value(ValueRef::Int(number)) => Some(Literal::Int(number)),
        FieldValue::Nanos(nanos) => i64::try_from(nanos).ok().map(Literal::Int),
        FieldValue::Value(other) => {
            Number::of_value(other).map(Number::to_f64).map(Literal::Double)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::evaluate;

    #[test]
    fn made_up_queries_find_some_traces_and_leave_others() {
        let mut generator = Generator::new(9);
        let traces = generator.traces(40);
        let spans = traces.concat();
        let (mut nothing, mut something) = (0, 0);
        for _ in 0..400 {
            let mut query = generator.trace_query(&spans);
            query.limit = u32::MAX;
            match evaluate(&query, traces.iter().map(Vec::as_slice)).len() {
                0 => nothing += 1,
                found if found < traces.len() => something += 1,
                _ => {}
            }
        }
        assert!(nothing > 40 && something > 120, "{nothing} find nothing, {something} some");
    }

    #[test]
    fn a_seed_makes_the_same_queries_again() {
        let queries = || {
            let mut generator = Generator::new(4);
            let spans = generator.spans(50);
            format!("{:?} {:?}", generator.trace_query(&spans), generator.aggregate_query(&spans))
        };
        assert_eq!(queries(), queries());
    }
}
