//! Predicates on spans and on traces.
//!
//! A level of nesting is one message within another. Depth, number of parts and number of patterns
//! are bounded on the way out as on the way in: what this node asks, a peer of its version takes.

use bytes::Bytes;
use model::query::{
    NumberTest, PREDICATE_DEPTH_MAX, Pattern, Relation, SpanPredicate, TracePredicate,
};

use super::number::Numbered as _;
use super::scalar::{from_text, required};
use super::value_test::{
    FieldMessage, NumberTestMessage, StatisticMessage, ValueTestMessage, from_field, from_pattern,
    from_statistic, from_value_test, to_field, to_number_test, to_statistic, to_value_test,
};
use crate::wire::WireError;
use crate::wire::limits::{PATTERNS_MAX, PREDICATE_NODES_MAX};

/// How much of a query has been seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    nodes: usize,
    patterns: usize,
}

impl Seen {
    fn node(&mut self, depth: usize) -> Result<(), WireError> {
        self.nodes += 1;
        if self.nodes > PREDICATE_NODES_MAX {
            let count_max = PREDICATE_NODES_MAX as u64;
            return Err(WireError::TooMany { what: "parts of a predicate", count_max });
        }
        if depth > PREDICATE_DEPTH_MAX {
            return Err(WireError::TooDeep { depth_max: PREDICATE_DEPTH_MAX });
        }
        Ok(())
    }

    pub(crate) fn pattern(&mut self) -> Result<(), WireError> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            let count_max = PATTERNS_MAX as u64;
            return Err(WireError::TooMany { what: "patterns in a query", count_max });
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum SpanPredicateKind {
    True,
    All,
    Any,
    Not,
    Field,
    Tag,
    Mentions,
}

numbered!(SpanPredicateKind, "a predicate on spans of kind", {
    1 => True, 2 => All, 3 => Any, 4 => Not, 5 => Field, 6 => Tag, 7 => Mentions,
});

/// A predicate on a span.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SpanPredicateMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(message, repeated, tag = "2")]
    parts: Vec<SpanPredicateMessage>,
    #[prost(message, optional, tag = "3")]
    field: Option<FieldMessage>,
    #[prost(message, optional, tag = "4")]
    test: Option<ValueTestMessage>,
    #[prost(bytes = "bytes", tag = "5")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    value: Bytes,
    #[prost(string, tag = "7")]
    pattern: String,
}

pub(crate) fn from_span_predicate(
    predicate: &SpanPredicate,
    depth: usize,
    seen: &mut Seen,
) -> Result<SpanPredicateMessage, WireError> {
    seen.node(depth)?;
    let of = |kind: SpanPredicateKind| SpanPredicateMessage {
        kind: kind.number(),
        ..Default::default()
    };
    let mut all = |parts: &[SpanPredicate]| -> Result<Vec<_>, WireError> {
        parts.iter().map(|part| from_span_predicate(part, depth + 1, seen)).collect()
    };
    Ok(match predicate {
        SpanPredicate::True => of(SpanPredicateKind::True),
        SpanPredicate::All(parts) => {
            SpanPredicateMessage { parts: all(parts)?, ..of(SpanPredicateKind::All) }
        }
        SpanPredicate::Any(parts) => {
            SpanPredicateMessage { parts: all(parts)?, ..of(SpanPredicateKind::Any) }
        }
        SpanPredicate::Not(inner) => SpanPredicateMessage {
            parts: all(std::slice::from_ref(inner))?,
            ..of(SpanPredicateKind::Not)
        },
        SpanPredicate::Field(field, test) => SpanPredicateMessage {
            field: Some(from_field(field)),
            test: Some(from_value_test(test, seen)?),
            ..of(SpanPredicateKind::Field)
        },
        SpanPredicate::JaegerTag { key, value } => SpanPredicateMessage {
            key: from_text(key),
            value: from_text(value),
            ..of(SpanPredicateKind::Tag)
        },
        SpanPredicate::Mentions(pattern) => {
            seen.pattern()?;
            SpanPredicateMessage {
                pattern: from_pattern(pattern)?,
                ..of(SpanPredicateKind::Mentions)
            }
        }
    })
}

pub(crate) fn to_span_predicate(
    message: SpanPredicateMessage,
    depth: usize,
    seen: &mut Seen,
) -> Result<SpanPredicate, WireError> {
    seen.node(depth)?;
    let kind = SpanPredicateKind::from_number(message.kind)?;
    let mut all = |parts: Vec<SpanPredicateMessage>| -> Result<Vec<_>, WireError> {
        parts.into_iter().map(|part| to_span_predicate(part, depth + 1, seen)).collect()
    };
    Ok(match kind {
        SpanPredicateKind::True => SpanPredicate::True,
        SpanPredicateKind::All => SpanPredicate::All(all(message.parts)?),
        SpanPredicateKind::Any => SpanPredicate::Any(all(message.parts)?),
        SpanPredicateKind::Not => SpanPredicate::Not(Box::new(only(all(message.parts)?)?)),
        SpanPredicateKind::Field => SpanPredicate::Field(
            to_field(required("the field of a predicate", message.field)?)?,
            to_value_test(required("the test of a predicate", message.test)?, seen)?,
        ),
        SpanPredicateKind::Tag => {
            SpanPredicate::JaegerTag { key: message.key.into(), value: message.value.into() }
        }
        SpanPredicateKind::Mentions => {
            seen.pattern()?;
            SpanPredicate::Mentions(Pattern::unanchored(&message.pattern)?)
        }
    })
}

/// A negation negates one thing.
fn only<T>(mut parts: Vec<T>) -> Result<T, WireError> {
    match (parts.pop(), parts.is_empty()) {
        (Some(part), true) => Ok(part),
        _ => Err(WireError::invalid("a negation", "not exactly one part")),
    }
}

#[derive(Clone, Copy)]
enum TracePredicateKind {
    True,
    All,
    Any,
    Not,
    HasSpan,
    Duration,
    SpanCount,
    ErrorCount,
    RootService,
    RootOperation,
    Structure,
    Aggregate,
}

numbered!(TracePredicateKind, "a predicate on traces of kind", {
    1 => True, 2 => All, 3 => Any, 4 => Not, 5 => HasSpan, 6 => Duration, 7 => SpanCount,
    8 => ErrorCount, 9 => RootService, 10 => RootOperation, 11 => Structure, 12 => Aggregate,
});

/// A predicate on a trace.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TracePredicateMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(message, repeated, tag = "2")]
    parts: Vec<TracePredicateMessage>,
    #[prost(message, optional, tag = "3")]
    of: Option<SpanPredicateMessage>,
    #[prost(message, optional, tag = "4")]
    right: Option<SpanPredicateMessage>,
    #[prost(uint32, tag = "5")]
    relation: u32,
    #[prost(message, optional, tag = "6")]
    test: Option<ValueTestMessage>,
    #[prost(message, optional, tag = "7")]
    number_test: Option<NumberTestMessage>,
    #[prost(message, optional, tag = "8")]
    statistic: Option<StatisticMessage>,
}

pub(crate) fn from_trace_predicate(
    predicate: &TracePredicate,
    depth: usize,
    seen: &mut Seen,
) -> Result<TracePredicateMessage, WireError> {
    seen.node(depth)?;
    let of = |kind: TracePredicateKind| TracePredicateMessage {
        kind: kind.number(),
        ..Default::default()
    };
    let number = |kind: TracePredicateKind, test: NumberTest| TracePredicateMessage {
        number_test: Some(test.into()),
        ..of(kind)
    };
    let mut all = |parts: &[TracePredicate]| -> Result<Vec<_>, WireError> {
        parts.iter().map(|part| from_trace_predicate(part, depth + 1, seen)).collect()
    };
    Ok(match predicate {
        TracePredicate::True => of(TracePredicateKind::True),
        TracePredicate::All(parts) => {
            TracePredicateMessage { parts: all(parts)?, ..of(TracePredicateKind::All) }
        }
        TracePredicate::Any(parts) => {
            TracePredicateMessage { parts: all(parts)?, ..of(TracePredicateKind::Any) }
        }
        TracePredicate::Not(inner) => TracePredicateMessage {
            parts: all(std::slice::from_ref(inner))?,
            ..of(TracePredicateKind::Not)
        },
        TracePredicate::HasSpan(span) => TracePredicateMessage {
            of: Some(from_span_predicate(span, 0, seen)?),
            ..of(TracePredicateKind::HasSpan)
        },
        TracePredicate::Duration(test) => number(TracePredicateKind::Duration, *test),
        TracePredicate::SpanCount(test) => number(TracePredicateKind::SpanCount, *test),
        TracePredicate::ErrorCount(test) => number(TracePredicateKind::ErrorCount, *test),
        TracePredicate::RootService(test) => TracePredicateMessage {
            test: Some(from_value_test(test, seen)?),
            ..of(TracePredicateKind::RootService)
        },
        TracePredicate::RootOperation(test) => TracePredicateMessage {
            test: Some(from_value_test(test, seen)?),
            ..of(TracePredicateKind::RootOperation)
        },
        TracePredicate::Structure { left, relation, right } => TracePredicateMessage {
            of: Some(from_span_predicate(left, 0, seen)?),
            right: Some(from_span_predicate(right, 0, seen)?),
            relation: relation.number(),
            ..of(TracePredicateKind::Structure)
        },
        TracePredicate::Aggregate { of: span, statistic, test } => TracePredicateMessage {
            of: Some(from_span_predicate(span, 0, seen)?),
            statistic: Some(from_statistic(statistic)),
            number_test: Some((*test).into()),
            ..of(TracePredicateKind::Aggregate)
        },
    })
}

pub(crate) fn to_trace_predicate(
    message: TracePredicateMessage,
    depth: usize,
    seen: &mut Seen,
) -> Result<TracePredicate, WireError> {
    seen.node(depth)?;
    let kind = TracePredicateKind::from_number(message.kind)?;
    let number = |test: Option<NumberTestMessage>| {
        required("the number of a predicate", test).and_then(|test| to_number_test(&test))
    };
    let of_span = |span: Option<SpanPredicateMessage>, seen: &mut Seen| {
        required("a predicate on spans", span).and_then(|span| to_span_predicate(span, 0, seen))
    };
    let of_value = |test: Option<ValueTestMessage>, seen: &mut Seen| {
        required("the test of a root", test).and_then(|test| to_value_test(test, seen))
    };
    let mut all = |parts: Vec<TracePredicateMessage>| -> Result<Vec<_>, WireError> {
        parts.into_iter().map(|part| to_trace_predicate(part, depth + 1, seen)).collect()
    };
    Ok(match kind {
        TracePredicateKind::True => TracePredicate::True,
        TracePredicateKind::All => TracePredicate::All(all(message.parts)?),
        TracePredicateKind::Any => TracePredicate::Any(all(message.parts)?),
        TracePredicateKind::Not => TracePredicate::Not(Box::new(only(all(message.parts)?)?)),
        TracePredicateKind::HasSpan => TracePredicate::HasSpan(of_span(message.of, seen)?),
        TracePredicateKind::Duration => TracePredicate::Duration(number(message.number_test)?),
        TracePredicateKind::SpanCount => TracePredicate::SpanCount(number(message.number_test)?),
        TracePredicateKind::ErrorCount => TracePredicate::ErrorCount(number(message.number_test)?),
        TracePredicateKind::RootService => {
            TracePredicate::RootService(of_value(message.test, seen)?)
        }
        TracePredicateKind::RootOperation => {
            TracePredicate::RootOperation(of_value(message.test, seen)?)
        }
        TracePredicateKind::Structure => TracePredicate::Structure {
            left: of_span(message.of, seen)?,
            relation: Relation::from_number(message.relation)?,
            right: of_span(message.right, seen)?,
        },
        TracePredicateKind::Aggregate => TracePredicate::Aggregate {
            of: of_span(message.of, seen)?,
            statistic: to_statistic(required("a statistic", message.statistic)?)?,
            test: number(message.number_test)?,
        },
    })
}

numbered!(Relation, "a relation of spans", {
    1 => Child, 2 => Descendant, 3 => Parent, 4 => Ancestor, 5 => Sibling,
});
