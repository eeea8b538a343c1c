//! What a tag in a Jaeger search means.
//!
//! Jaeger's memory storage, which its own tests take for the reference, gives five keys and one
//! prefix a meaning of their own; every other key is looked for in all places where attributes
//! stand, and its value compared by string form.

use super::AttributeScope;
use super::field::any_attribute;
use crate::span::{SpanKind, StatusCode};
use crate::string_form::equals_string_form;
use crate::{Span, Text};

/// The meaning of a key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JaegerTag {
    /// Holds of no span: `error` with something that is no truth value.
    Never,
    /// `error`: the status says error, or it does not.
    Error(bool),
    /// `span.kind`; a name that is no kind means unspecified.
    Kind(SpanKind),
    /// `span.status`; a name that is no status means unset.
    Status(StatusCode),
    /// `scope.name`
    ScopeName(Text),
    /// `scope.version`
    ScopeVersion(Text),
    /// `resource.` and a key: only attributes of the resource.
    Resource {
        /// The key without the prefix.
        key: Text,
        /// The string form.
        value: Text,
    },
    /// Any other key: attributes anywhere.
    Anywhere {
        /// The key.
        key: Text,
        /// The string form.
        value: Text,
    },
}

/// The prefix of keys that mean attributes of the resource.
const RESOURCE_PREFIX: &[u8] = b"resource.";

impl JaegerTag {
    /// The meaning of `key` = `value`.
    pub fn new(key: &Text, value: &Text) -> Self {
        match key.as_bytes() {
            b"error" => parse_bool(value).map_or(Self::Never, Self::Error),
            b"span.kind" => Self::Kind(parse_kind(value)),
            b"span.status" => Self::Status(parse_status(value)),
            b"scope.name" => Self::ScopeName(value.clone()),
            b"scope.version" => Self::ScopeVersion(value.clone()),
            bytes => match bytes.strip_prefix(RESOURCE_PREFIX) {
                Some(rest) => Self::Resource { key: Text::copy_from(rest), value: value.clone() },
                None => Self::Anywhere { key: key.clone(), value: value.clone() },
            },
        }
    }

    /// Whether `span` matches.
    pub fn matches(&self, span: &Span) -> bool {
        match self {
            Self::Never => false,
            Self::Error(wanted) => span.is_error() == *wanted,
            Self::Kind(kind) => span.kind == *kind,
            Self::Status(code) => {
                span.status.as_ref().map_or(StatusCode::UNSET, |status| status.code) == *code
            }
            Self::ScopeName(name) => span.scope.name == *name,
            Self::ScopeVersion(version) => span.scope.version == *version,
            Self::Resource { key, value } => has(AttributeScope::Resource, key, value, span),
            Self::Anywhere { key, value } => {
                AttributeScope::PLACES.iter().any(|place| has(*place, key, value, span))
            }
        }
    }
}

fn has(scope: AttributeScope, key: &Text, value: &Text, span: &Span) -> bool {
    any_attribute(scope, span, &mut |attribute| {
        attribute.key == *key && equals_string_form(attribute.value.as_ref(), value.as_bytes())
    })
}

/// The spellings of truth values that Go's parser takes.
fn parse_bool(text: &Text) -> Option<bool> {
    match text.as_bytes() {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
}

fn parse_kind(text: &Text) -> SpanKind {
    let name = text.to_str_lossy().to_ascii_lowercase();
    SpanKind::from_name(&name).unwrap_or_default()
}

fn parse_status(text: &Text) -> StatusCode {
    match text.to_str_lossy().to_ascii_uppercase().as_str() {
        "OK" => StatusCode::OK,
        "ERROR" => StatusCode::ERROR,
        _ => StatusCode::UNSET,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::span::{Event, Link, Status};
    use crate::testing::simple_span;
    use crate::{Attribute, Resource, Scope, Timestamp};

    fn matches(span: &Span, key: &str, value: &str) -> bool {
        JaegerTag::new(&key.into(), &value.into()).matches(span)
    }

    #[test]
    fn special_keys_look_at_fields_only() {
        let mut span = simple_span(1, 1, 1, 2);
        span.attributes = vec![Attribute::new("error", true), Attribute::new("span.kind", "x")];
        span.scope = Arc::new(Scope { name: "lib".into(), ..Scope::default() });
        assert!(matches(&span, "error", "false") && !matches(&span, "error", "true"));
        assert!(matches(&span, "span.status", "unset") && !matches(&span, "span.status", "ok"));
        span.status = Some(Status { code: StatusCode::ERROR, ..Status::default() });
        assert!(matches(&span, "error", "T") && matches(&span, "span.status", "error"));
        assert!(!matches(&span, "error", "yes") && !matches(&span, "error", "no"));
        span.kind = SpanKind::SERVER;
        assert!(matches(&span, "span.kind", "Server") && !matches(&span, "span.kind", "x"));
        assert!(matches(&span, "scope.name", "lib") && matches(&span, "scope.version", ""));
    }

    #[test]
    fn other_keys_are_found_wherever_attributes_stand() {
        let mut span = simple_span(1, 1, 1, 2);
        let pair = |value: i64| vec![Attribute::new("key", 0_i64), Attribute::new("key", value)];
        span.attributes = pair(1);
        span.resource = Arc::new(Resource { attributes: pair(2), ..Resource::default() });
        span.scope = Arc::new(Scope { attributes: pair(3), ..Scope::default() });
        span.events.push(Event {
            time: Timestamp(1),
            name: "event".into(),
            attributes: pair(4),
            dropped_attributes_count: 0,
            unknown: Text::EMPTY,
        });
        span.links.push(Link {
            trace_id: Text::EMPTY,
            span_id: Text::EMPTY,
            trace_state: Text::EMPTY,
            attributes: pair(5),
            dropped_attributes_count: 0,
            flags: 0,
            unknown: Text::EMPTY,
        });
        for value in ["1", "2", "3", "4", "5"] {
            assert!(matches(&span, "key", value), "{value}");
        }
        assert!(!matches(&span, "key", "6"));
        assert!(matches(&span, "resource.key", "2") && !matches(&span, "resource.key", "1"));
    }
}
