//! What Jaeger repairs before it stores a span, done here before anything else on reading.
//!
//! In order: a service name for every resource, a name for every span, valid UTF-8 in the
//! attributes of resource, scope and span, and an end after the start. The first two use
//! `model::effective`, so that what is shown is what search finds.
//!
//! Where this differs from Jaeger on purpose: a service or span name that is not UTF-8 is shown
//! repaired (Jaeger shows an empty service and the span name `invalid-span-name`), because the
//! repaired name is the one that the index knows. The original bytes are kept beside it.

use std::sync::Arc;

use model::effective::{self, SERVICE_NAME_KEY};
use model::pace::{self, Pace};
use model::{Attribute, AttributeValue, Duration, Resource, Span, Text};

use super::go_text::format_time;
use super::values::string_form;
use super::{EditableTrace, add_warning};

/// Holds the bytes of a span name that is not UTF-8.
const INVALID_SPAN_NAME: &str = "invalid-span-name";
/// Holds the bytes of a service name that is not UTF-8.
const INVALID_SERVICE_NAME: &str = "invalid-service-name";
/// With a number behind it: holds an attribute whose key is not UTF-8, as `key:value`.
const INVALID_TAG_KEY: &str = "invalid-tag-key";
/// What a span lasts at least.
const DURATION_MIN: Duration = Duration(1);

/// Applies Jaeger's storage sanitizers.
pub fn sanitize<P: Pace>(trace: &mut EditableTrace, pace: &P) -> Result<(), P::Stop> {
    for resource in &mut trace.resources {
        sanitize_resource(resource);
    }
    for scope in &mut trace.scopes {
        if !is_utf8(&scope.attributes) {
            repair_attributes(&mut Arc::make_mut(scope).attributes);
        }
    }
    pace::for_each(&mut trace.spans, pace, |editable| sanitize_span(&mut editable.span))
}

fn sanitize_resource(resource: &mut Arc<Resource>) {
    let position = resource.attributes.iter().position(|own| own.key == SERVICE_NAME_KEY);
    let came = position.and_then(|position| resource.attributes.get(position));
    let shown = effective::service_of_value(came.map(|attribute| attribute.value.as_ref()));
    let is_sound = came.and_then(|own| own.value.as_text()).is_some_and(|name| *name == shown);
    if is_sound && is_utf8(&resource.attributes) {
        return;
    }
    let attributes = &mut Arc::make_mut(resource).attributes;
    if !is_sound {
        let shown = AttributeValue::String(shown);
        match position.and_then(|position| attributes.get_mut(position)) {
            Some(attribute) => {
                let came = std::mem::replace(&mut attribute.value, shown);
                if let AttributeValue::String(bytes) = came
                    && !bytes.is_empty()
                {
                    attributes.push(bytes_attribute(INVALID_SERVICE_NAME, bytes));
                }
            }
            None => attributes.push(Attribute::new(SERVICE_NAME_KEY, shown)),
        }
    }
    repair_attributes(attributes);
}

fn sanitize_span(span: &mut Span) {
    let shown = effective::operation_of_name(span.name.as_bytes());
    if shown != span.name {
        let came = std::mem::replace(&mut span.name, shown);
        if !came.is_empty() {
            span.attributes.push(bytes_attribute(INVALID_SPAN_NAME, came));
        }
    }
    if !is_utf8(&span.attributes) {
        repair_attributes(&mut span.attributes);
    }
    if span.start >= span.end {
        let came = span.end;
        span.end = span.start.saturating_add(DURATION_MIN);
        let warning = format!(
            "Negative duration detected, sanitizing end timestamp. \
             Original end timestamp: {}, adjusted to: {}",
            format_time(came),
            format_time(span.end),
        );
        add_warning(span, &warning);
    }
}

fn is_utf8(attributes: &[Attribute]) -> bool {
    attributes.iter().all(|attribute| {
        attribute.key.as_str().is_some()
            && attribute.value.as_text().is_none_or(|text| text.as_str().is_some())
    })
}

/// Turns invalid text values into bytes, and moves attributes with invalid keys to the end
/// under numbered keys.
fn repair_attributes(attributes: &mut Vec<Attribute>) {
    for attribute in attributes.iter_mut() {
        if let AttributeValue::String(text) = &attribute.value
            && text.as_str().is_none()
        {
            attribute.value = AttributeValue::Bytes(text.clone());
        }
    }
    let (sound, invalid) = std::mem::take(attributes)
        .into_iter()
        .partition::<Vec<_>, _>(|attribute| attribute.key.as_str().is_some());
    *attributes = sound;
    for (index, attribute) in invalid.into_iter().enumerate() {
        let mut bytes = attribute.key.as_bytes().to_vec();
        bytes.push(b':');
        match &attribute.value {
            AttributeValue::Bytes(value) => bytes.extend_from_slice(value.as_bytes()),
            other => bytes.extend_from_slice(string_form(other).as_bytes()),
        }
        let key = format!("{INVALID_TAG_KEY}-{}", index + 1);
        attributes.push(Attribute::new(key, AttributeValue::Bytes(bytes.into())));
    }
}

fn bytes_attribute(key: &'static str, bytes: Text) -> Attribute {
    Attribute { key: Text::from_static(key), value: AttributeValue::Bytes(bytes) }
}

#[cfg(test)]
mod tests {
    use model::pace::{Unhurried, unstopped};
    use model::testing::simple_span;
    use model::{Scope, Timestamp};

    use super::*;
    use crate::adjust::take_warnings;

    fn sanitized(span: Span) -> Span {
        let mut trace = EditableTrace::from_spans(span.trace_id, vec![span]);
        unstopped(sanitize(&mut trace, &Unhurried));
        trace.into_spans().remove(0)
    }

    fn bytes(bytes: &[u8]) -> AttributeValue {
        AttributeValue::Bytes(Text::copy_from(bytes))
    }

    fn invalid_text() -> AttributeValue {
        AttributeValue::String(Text::copy_from(b"a\xff"))
    }

    #[test]
    fn every_resource_gets_a_service_name() {
        fn name(value: impl Into<AttributeValue>) -> Attribute {
            Attribute::new(SERVICE_NAME_KEY, value)
        }
        let other = || Attribute::new("x", 1);
        for (came, shown) in [
            (vec![other()], vec![other(), name("missing-service-name")]),
            (vec![name(""), other()], vec![name("empty-service-name"), other()]),
            (vec![name(5), other()], vec![name("service-name-wrong-type"), other()]),
            (vec![name("s"), other()], vec![name("s"), other()]),
            (
                vec![name(invalid_text())],
                vec![name("a\u{fffd}"), Attribute::new("invalid-service-name", bytes(b"a\xff"))],
            ),
        ] {
            let mut span = simple_span(1, 1, 0, 1);
            span.resource = Arc::new(Resource { attributes: came, ..Resource::default() });
            assert_eq!(sanitized(span).resource.attributes, shown);
        }
    }

    #[test]
    fn every_span_gets_a_name() {
        let mut span = simple_span(1, 1, 0, 1);
        span.name = Text::EMPTY;
        assert_eq!(sanitized(span.clone()).name, "empty-span-name");
        span.name = Text::copy_from(b"\xffx");
        let span = sanitized(span);
        assert_eq!(span.name, "\u{fffd}x");
        assert_eq!(span.attributes, [Attribute::new("invalid-span-name", bytes(b"\xffx"))]);
    }

    #[test]
    fn text_that_is_not_utf8_becomes_bytes() {
        let attributes = || {
            vec![
                Attribute::new(Text::copy_from(b"\xfe"), 7),
                Attribute::new("text", invalid_text()),
                Attribute::new(Text::copy_from(b"\xff"), invalid_text()),
                Attribute::new("sound", "text"),
            ]
        };
        let repaired = [
            Attribute::new("text", bytes(b"a\xff")),
            Attribute::new("sound", "text"),
            Attribute::new("invalid-tag-key-1", bytes(b"\xfe:7")),
            Attribute::new("invalid-tag-key-2", bytes(b"\xff:a\xff")),
        ];
        let mut span = simple_span(1, 1, 0, 1);
        span.attributes = attributes();
        span.scope = Arc::new(Scope { attributes: attributes(), ..Scope::default() });
        let span = sanitized(span);
        assert_eq!(span.attributes, repaired);
        assert_eq!(span.scope.attributes, repaired);
    }

    #[test]
    fn every_span_lasts_at_least_a_nanosecond() {
        const START: u64 = 1_734_093_461_500_000_000;
        const WARNING: &str =
            "Negative duration detected, sanitizing end timestamp. Original end timestamp: ";
        for (start, end, words) in [
            (5, 6, None),
            (
                START,
                START,
                Some(
                    "2024-12-13 12:37:41.5 +0000 UTC, \
                     adjusted to: 2024-12-13 12:37:41.500000001 +0000 UTC",
                ),
            ),
            (
                2_000_000_000,
                0,
                Some(
                    "1970-01-01 00:00:00 +0000 UTC, \
                     adjusted to: 1970-01-01 00:00:02.000000001 +0000 UTC",
                ),
            ),
        ] {
            let mut span = sanitized(simple_span(1, 1, start, end));
            assert_eq!((span.start, span.duration()), (Timestamp(start), DURATION_MIN));
            let warnings = take_warnings(&mut span.attributes);
            let expected: Vec<Text> =
                words.iter().map(|words| format!("{WARNING}{words}").into()).collect();
            assert_eq!(warnings, expected);
        }
    }

    #[test]
    fn the_latest_time_there_is_has_nothing_behind_it() {
        let span = sanitized(simple_span(1, 1, u64::MAX, 0));
        assert_eq!(span.end, Timestamp::MAX);
    }
}
