//! What a predicate looks at and what it demands: fields, tests, literals, patterns, statistics.

use bytes::Bytes;
use model::Text;
use model::query::{
    AttributeScope, Comparison, Field, Literal, NumberTest, Pattern, Statistic, ValueTest,
};

use super::number::Numbered as _;
use super::predicate::Seen;
use super::scalar::{from_text, required};
use crate::wire::WireError;

numbered!(AttributeScope, "a scope of attributes", {
    1 => SpanOrResource, 2 => Span, 3 => Resource, 4 => Scope, 5 => Event, 6 => Link,
});

numbered!(Comparison, "a comparison", {
    1 => Equal, 2 => NotEqual, 3 => Less, 4 => LessOrEqual, 5 => Greater, 6 => GreaterOrEqual,
});

#[derive(Clone, Copy)]
enum FieldKind {
    Service,
    Operation,
    Kind,
    Status,
    StatusMessage,
    Duration,
    Start,
    End,
    TraceId,
    SpanId,
    ParentId,
    TraceState,
    ScopeName,
    ScopeVersion,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    Attribute,
}

numbered!(FieldKind, "a field", {
    1 => Service, 2 => Operation, 3 => Kind, 4 => Status, 5 => StatusMessage, 6 => Duration,
    7 => Start, 8 => End, 9 => TraceId, 10 => SpanId, 11 => ParentId, 12 => TraceState,
    13 => ScopeName, 14 => ScopeVersion, 15 => EventName, 16 => EventTimeSinceStart,
    17 => LinkTraceId, 18 => LinkSpanId, 19 => Attribute,
});

/// A field of a span.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FieldMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "2")]
    scope: u32,
    #[prost(bytes = "bytes", tag = "3")]
    key: Bytes,
}

pub(crate) fn from_field(field: &Field) -> FieldMessage {
    let kind = match field {
        Field::Service => FieldKind::Service,
        Field::Operation => FieldKind::Operation,
        Field::Kind => FieldKind::Kind,
        Field::Status => FieldKind::Status,
        Field::StatusMessage => FieldKind::StatusMessage,
        Field::Duration => FieldKind::Duration,
        Field::Start => FieldKind::Start,
        Field::End => FieldKind::End,
        Field::TraceId => FieldKind::TraceId,
        Field::SpanId => FieldKind::SpanId,
        Field::ParentId => FieldKind::ParentId,
        Field::TraceState => FieldKind::TraceState,
        Field::ScopeName => FieldKind::ScopeName,
        Field::ScopeVersion => FieldKind::ScopeVersion,
        Field::EventName => FieldKind::EventName,
        Field::EventTimeSinceStart => FieldKind::EventTimeSinceStart,
        Field::LinkTraceId => FieldKind::LinkTraceId,
        Field::LinkSpanId => FieldKind::LinkSpanId,
        Field::Attribute(..) => FieldKind::Attribute,
    };
    let (scope, key) = match field {
        Field::Attribute(scope, key) => (scope.number(), from_text(key)),
        _ => (0, Bytes::new()),
    };
    FieldMessage { kind: kind.number(), scope, key }
}

pub(crate) fn to_field(message: FieldMessage) -> Result<Field, WireError> {
    Ok(match FieldKind::from_number(message.kind)? {
        FieldKind::Service => Field::Service,
        FieldKind::Operation => Field::Operation,
        FieldKind::Kind => Field::Kind,
        FieldKind::Status => Field::Status,
        FieldKind::StatusMessage => Field::StatusMessage,
        FieldKind::Duration => Field::Duration,
        FieldKind::Start => Field::Start,
        FieldKind::End => Field::End,
        FieldKind::TraceId => Field::TraceId,
        FieldKind::SpanId => Field::SpanId,
        FieldKind::ParentId => Field::ParentId,
        FieldKind::TraceState => Field::TraceState,
        FieldKind::ScopeName => Field::ScopeName,
        FieldKind::ScopeVersion => Field::ScopeVersion,
        FieldKind::EventName => Field::EventName,
        FieldKind::EventTimeSinceStart => Field::EventTimeSinceStart,
        FieldKind::LinkTraceId => Field::LinkTraceId,
        FieldKind::LinkSpanId => Field::LinkSpanId,
        FieldKind::Attribute => {
            Field::Attribute(AttributeScope::from_number(message.scope)?, message.key.into())
        }
    })
}

#[derive(Clone, Copy)]
enum TestKind {
    Exists,
    Compare,
    Matches,
    StringForm,
}

numbered!(TestKind, "a test of kind", {
    1 => Exists, 2 => Compare, 3 => Matches, 4 => StringForm,
});

/// A test of a value.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ValueTestMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "2")]
    comparison: u32,
    #[prost(message, optional, tag = "3")]
    literal: Option<LiteralMessage>,
    #[prost(string, tag = "4")]
    pattern: String,
    #[prost(bytes = "bytes", tag = "5")]
    form: Bytes,
}

pub(crate) fn from_value_test(
    test: &ValueTest,
    seen: &mut Seen,
) -> Result<ValueTestMessage, WireError> {
    let of = |kind: TestKind| ValueTestMessage { kind: kind.number(), ..Default::default() };
    Ok(match test {
        ValueTest::Exists => of(TestKind::Exists),
        ValueTest::Compare(comparison, literal) => ValueTestMessage {
            comparison: comparison.number(),
            literal: Some(from_literal(literal)),
            ..of(TestKind::Compare)
        },
        ValueTest::Matches(pattern) => {
            seen.pattern()?;
            ValueTestMessage { pattern: from_pattern(pattern)?, ..of(TestKind::Matches) }
        }
        ValueTest::StringForm(form) => {
            ValueTestMessage { form: from_text(form), ..of(TestKind::StringForm) }
        }
    })
}

pub(crate) fn to_value_test(
    message: ValueTestMessage,
    seen: &mut Seen,
) -> Result<ValueTest, WireError> {
    Ok(match TestKind::from_number(message.kind)? {
        TestKind::Exists => ValueTest::Exists,
        TestKind::Compare => ValueTest::Compare(
            Comparison::from_number(message.comparison)?,
            to_literal(required("the literal of a comparison", message.literal)?)?,
        ),
        TestKind::Matches => {
            seen.pattern()?;
            ValueTest::Matches(Pattern::unanchored(&message.pattern)?)
        }
        TestKind::StringForm => ValueTest::StringForm(message.form.into()),
    })
}

/// The expression that a pattern was compiled from, anchors included: compiled as it stands it is
/// the same pattern. A pattern shows itself as its expression between slashes.
pub(crate) fn from_pattern(pattern: &Pattern) -> Result<String, WireError> {
    let shown = format!("{pattern:?}");
    let expression = shown.strip_prefix('/').and_then(|shown| shown.strip_suffix('/'));
    let expression =
        expression.ok_or_else(|| WireError::invalid("a pattern", "it does not show itself"))?;
    Ok(expression.to_owned())
}

#[derive(Clone, Copy)]
enum LiteralKind {
    String,
    Int,
    Double,
    Bool,
}

numbered!(LiteralKind, "a literal of kind", { 1 => String, 2 => Int, 3 => Double, 4 => Bool });

/// A constant. Doubles as their bits.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LiteralMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(bytes = "bytes", tag = "2")]
    text: Bytes,
    #[prost(sint64, tag = "3")]
    int: i64,
    #[prost(fixed64, tag = "4")]
    double_bits: u64,
    #[prost(bool, tag = "5")]
    truth: bool,
}

fn from_literal(literal: &Literal) -> LiteralMessage {
    let of = |kind: LiteralKind| LiteralMessage { kind: kind.number(), ..Default::default() };
    match literal {
        Literal::String(text) => {
            LiteralMessage { text: from_text(text), ..of(LiteralKind::String) }
        }
        Literal::Int(int) => LiteralMessage { int: *int, ..of(LiteralKind::Int) },
        Literal::Double(double) => {
            LiteralMessage { double_bits: double.to_bits(), ..of(LiteralKind::Double) }
        }
        Literal::Bool(truth) => LiteralMessage { truth: *truth, ..of(LiteralKind::Bool) },
    }
}

fn to_literal(message: LiteralMessage) -> Result<Literal, WireError> {
    Ok(match LiteralKind::from_number(message.kind)? {
        LiteralKind::String => Literal::String(Text::from(message.text)),
        LiteralKind::Int => Literal::Int(message.int),
        LiteralKind::Double => Literal::Double(f64::from_bits(message.double_bits)),
        LiteralKind::Bool => Literal::Bool(message.truth),
    })
}

/// A test of a number.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NumberTestMessage {
    #[prost(uint32, tag = "1")]
    comparison: u32,
    #[prost(fixed64, tag = "2")]
    number_bits: u64,
}

impl From<NumberTest> for NumberTestMessage {
    fn from(test: NumberTest) -> Self {
        Self { comparison: test.comparison.number(), number_bits: test.number.to_bits() }
    }
}

pub(crate) fn to_number_test(message: &NumberTestMessage) -> Result<NumberTest, WireError> {
    Ok(NumberTest {
        comparison: Comparison::from_number(message.comparison)?,
        number: f64::from_bits(message.number_bits),
    })
}

#[derive(Clone, Copy)]
enum StatisticKind {
    Count,
    Sum,
    Min,
    Max,
    Mean,
}

numbered!(StatisticKind, "a statistic of kind", {
    1 => Count, 2 => Sum, 3 => Min, 4 => Max, 5 => Mean,
});

/// A figure over spans.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatisticMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(message, optional, tag = "2")]
    field: Option<FieldMessage>,
}

pub(crate) fn from_statistic(statistic: &Statistic) -> StatisticMessage {
    let (kind, field) = match statistic {
        Statistic::Count => (StatisticKind::Count, None),
        Statistic::Sum(field) => (StatisticKind::Sum, Some(field)),
        Statistic::Min(field) => (StatisticKind::Min, Some(field)),
        Statistic::Max(field) => (StatisticKind::Max, Some(field)),
        Statistic::Mean(field) => (StatisticKind::Mean, Some(field)),
    };
    StatisticMessage { kind: kind.number(), field: field.map(from_field) }
}

pub(crate) fn to_statistic(message: StatisticMessage) -> Result<Statistic, WireError> {
    let field = |field| required("the field of a statistic", field).and_then(to_field);
    Ok(match StatisticKind::from_number(message.kind)? {
        StatisticKind::Count => Statistic::Count,
        StatisticKind::Sum => Statistic::Sum(field(message.field)?),
        StatisticKind::Min => Statistic::Min(field(message.field)?),
        StatisticKind::Max => Statistic::Max(field(message.field)?),
        StatisticKind::Mean => Statistic::Mean(field(message.field)?),
    })
}
