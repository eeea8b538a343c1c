//! The effective service and operation of a span: the only sanitizer rule below `api`.
//!
//! Spans are stored as they came. Jaeger, however, gives spans without a usable service or name
//! stand-in names when it stores them, and lets people search for those. So the index and every
//! predicate on service and operation go through these two functions, and nowhere else.
//! Source: Jaeger's storage exporter sanitizers (service name, span name, UTF-8).

use crate::value::ValueRef;
use crate::{Attribute, AttributeValue, Span, Text};

/// The resource attribute that names the service.
pub const SERVICE_NAME_KEY: &str = "service.name";
/// The service of a resource without `service.name`.
pub const MISSING_SERVICE_NAME: &str = "missing-service-name";
/// The service of a resource whose `service.name` is the empty string.
pub const EMPTY_SERVICE_NAME: &str = "empty-service-name";
/// The service of a resource whose `service.name` is not a string.
pub const WRONG_TYPE_SERVICE_NAME: &str = "service-name-wrong-type";
/// The operation of a span whose name is empty.
pub const EMPTY_SPAN_NAME: &str = "empty-span-name";

/// The effective service under resource attributes: the first `service.name` counts.
pub fn service(resource_attributes: &[Attribute]) -> Text {
    let first = resource_attributes.iter().find(|attribute| attribute.key == SERVICE_NAME_KEY);
    service_of_value(first.map(|attribute| &attribute.value).map(AttributeValue::as_ref))
}

/// The effective service for the value of `service.name`, if there was one.
pub fn service_of_value(value: Option<ValueRef<'_>>) -> Text {
    match value {
        None => Text::from_static(MISSING_SERVICE_NAME),
        Some(ValueRef::String(b"")) => Text::from_static(EMPTY_SERVICE_NAME),
        Some(ValueRef::String(name)) => repaired(name),
        Some(_) => Text::from_static(WRONG_TYPE_SERVICE_NAME),
    }
}

/// The effective operation for a span's name.
pub fn operation_of_name(name: &[u8]) -> Text {
    if name.is_empty() { Text::from_static(EMPTY_SPAN_NAME) } else { repaired(name) }
}

/// The effective service of a span.
pub fn span_service(span: &Span) -> Text {
    service(&span.resource.attributes)
}

/// The effective operation of a span.
pub fn span_operation(span: &Span) -> Text {
    operation_of_name(span.name.as_bytes())
}

fn repaired(bytes: &[u8]) -> Text {
    match String::from_utf8_lossy(bytes) {
        std::borrow::Cow::Borrowed(_) => Text::copy_from(bytes),
        std::borrow::Cow::Owned(repaired) => repaired.into(),
    }
}
