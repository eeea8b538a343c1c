//! The values that a span has for a field, and the tests of one value.

use super::{AttributeScope, Comparison, Field, Literal, Number, ValueTest};
use crate::string_form::{equals_string_form, string_form};
use crate::value::ValueRef;
use crate::{Attribute, Span, Text, effective};

/// One value of a field.
#[derive(Debug, Clone, Copy)]
pub enum FieldValue<'a> {
    /// A value as attributes have it.
    Value(ValueRef<'a>),
    /// A time or duration; beyond what an attribute's integer can hold.
    Nanos(u64),
}

impl FieldValue<'_> {
    /// The number, if it is one.
    pub fn number(&self) -> Option<Number> {
        match *self {
            Self::Value(value) => Number::of_value(value),
            Self::Nanos(nanos) => Some(nanos.into()),
        }
    }

    /// The string form ([`crate::string_form`]).
    pub fn string_form(&self) -> Text {
        match *self {
            Self::Value(value) => string_form(value).into(),
            Self::Nanos(nanos) => nanos.to_string().into(),
        }
    }
}

impl ValueTest {
    /// Whether one value passes. An attribute whose pair carries no value is a value for
    /// `Exists` and has the empty string form.
    pub fn passes(&self, value: FieldValue<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) => true,
            (Self::Compare(comparison, literal), value) => compare(*comparison, literal, value),
            (Self::Matches(pattern), FieldValue::Value(ValueRef::String(text))) => {
                pattern.is_match(text)
            }
            (Self::Matches(_), _) => false,
            (Self::StringForm(text), FieldValue::Value(value)) => {
                equals_string_form(value, text.as_bytes())
            }
            (Self::StringForm(text), FieldValue::Nanos(_)) => value.string_form() == *text,
        }
    }

    /// [`Self::passes`] for text that is not an attribute, such as a service's name.
    pub fn passes_text(&self, text: &Text) -> bool {
        self.passes(FieldValue::Value(ValueRef::String(text.as_bytes())))
    }
}

fn compare(comparison: Comparison, literal: &Literal, value: FieldValue<'_>) -> bool {
    let ordering = match (value, literal) {
        (FieldValue::Value(ValueRef::String(text)), Literal::String(constant)) => {
            Some(text.cmp(constant.as_bytes()))
        }
        (FieldValue::Value(ValueRef::Bool(truth)), Literal::Bool(constant)) => {
            Some(truth.cmp(constant))
        }
        (value, literal) => match (value.number(), Number::of_literal(literal)) {
            (Some(number), Some(constant)) => number.compare(constant),
            // Values of two kinds never pass, not even as "not equal".
            _ => return false,
        },
    };
    comparison.holds(ordering)
}

/// Whether `test` holds of any value that `span` has for `field`. Stops at the first.
pub fn any_value(field: &Field, span: &Span, test: &mut dyn FnMut(FieldValue<'_>) -> bool) -> bool {
    match field {
        Field::Service => test(text(&effective::span_service(span))),
        Field::Operation => test(text(&effective::span_operation(span))),
        Field::Kind => test(FieldValue::Value(ValueRef::Int(span.kind.0.into()))),
        Field::Status => {
            let code = span.status.as_ref().map_or(0, |status| status.code.0);
            test(FieldValue::Value(ValueRef::Int(code.into())))
        }
        Field::StatusMessage => {
            span.status.as_ref().is_some_and(|status| nonempty(&status.message, test))
        }
        Field::Duration => test(FieldValue::Nanos(span.duration().0)),
        Field::Start => test(FieldValue::Nanos(span.start.0)),
        Field::End => test(FieldValue::Nanos(span.end.0)),
        Field::TraceId => test(text(&hexadecimal(span.trace_id.as_bytes()))),
        Field::SpanId => test(text(&hexadecimal(span.span_id.as_bytes()))),
        Field::ParentId => {
            span.parent.span_id().is_some_and(|id| test(text(&hexadecimal(id.as_bytes()))))
        }
        Field::TraceState => nonempty(&span.trace_state, test),
        Field::ScopeName => nonempty(&span.scope.name, test),
        Field::ScopeVersion => nonempty(&span.scope.version, test),
        Field::EventName => span.events.iter().any(|event| test(text(&event.name))),
        Field::EventTimeSinceStart => {
            span.events.iter().any(|event| test(FieldValue::Nanos(event.time.since(span.start).0)))
        }
        Field::LinkTraceId => {
            span.links.iter().any(|link| test(text(&hexadecimal(link.trace_id.as_bytes()))))
        }
        Field::LinkSpanId => {
            span.links.iter().any(|link| test(text(&hexadecimal(link.span_id.as_bytes()))))
        }
        Field::Attribute(scope, key) => any_attribute(*scope, span, &mut |attribute| {
            attribute.key == *key && test(FieldValue::Value(attribute.value.as_ref()))
        }),
    }
}

/// Whether `test` holds of any attribute in this scope of the span. Stops at the first.
pub fn any_attribute(
    scope: AttributeScope,
    span: &Span,
    test: &mut dyn FnMut(&Attribute) -> bool,
) -> bool {
    match scope {
        AttributeScope::SpanOrResource => {
            span.attributes.iter().chain(&span.resource.attributes).any(test)
        }
        AttributeScope::Span => span.attributes.iter().any(test),
        AttributeScope::Resource => span.resource.attributes.iter().any(test),
        AttributeScope::Scope => span.scope.attributes.iter().any(test),
        AttributeScope::Event => span.events.iter().flat_map(|event| &event.attributes).any(test),
        AttributeScope::Link => span.links.iter().flat_map(|link| &link.attributes).any(test),
    }
}

impl AttributeScope {
    /// The places where attributes stand; each attribute of a span is in exactly one of them.
    pub const PLACES: [Self; 5] =
        [Self::Span, Self::Resource, Self::Scope, Self::Event, Self::Link];
}

impl Field {
    /// The fields that hold words for people, which [`super::SpanPredicate::Mentions`] looks at
    /// besides attributes.
    pub const TEXTS: [Self; 7] = [
        Self::Service,
        Self::Operation,
        Self::StatusMessage,
        Self::TraceState,
        Self::ScopeName,
        Self::ScopeVersion,
        Self::EventName,
    ];
}

fn text(text: &Text) -> FieldValue<'_> {
    FieldValue::Value(ValueRef::String(text.as_bytes()))
}

fn nonempty(value: &Text, test: &mut dyn FnMut(FieldValue<'_>) -> bool) -> bool {
    !value.is_empty() && test(text(value))
}

fn hexadecimal(bytes: &[u8]) -> Text {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>().into()
}
