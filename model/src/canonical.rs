//! The canonical bytes of a span: equal bytes mean a span equal in every field, and the other
//! way round. They exist to be hashed and compared, never to be read back or kept.
//!
//! Every variable part is preceded by its length and every list by its count, so that no two
//! spans can run into the same bytes. Resource and scope are included: two spans are the same
//! only if these are equal too.

use crate::span::{ParentId, Status};
use crate::value::ValueRef;
use crate::{Attribute, Resource, Scope, Span, Text};

/// A hash of the whole span: equal for equal spans, and different with all but certainty for
/// spans that nobody made to collide.
pub fn fingerprint(span: &Span) -> u128 {
    let mut bytes = Vec::new();
    write_span(span, &mut bytes);
    twox_hash::XxHash3_128::oneshot(&bytes)
}

/// Appends the canonical bytes of a span.
pub fn write_span(span: &Span, out: &mut Vec<u8>) {
    write_resource(&span.resource, out);
    write_scope(&span.scope, out);
    out.extend_from_slice(span.trace_id.as_bytes());
    out.extend_from_slice(span.span_id.as_bytes());
    match &span.parent {
        ParentId::None => put_bytes(b"", out),
        ParentId::Id(id) => put_bytes(id.as_bytes(), out),
        ParentId::Odd(bytes) => put_text(bytes, out),
    }
    put_text(&span.trace_state, out);
    put_u32(span.flags, out);
    put_text(&span.name, out);
    put_u32(span.kind.0.cast_unsigned(), out);
    put_u64(span.start.0, out);
    put_u64(span.end.0, out);
    put_attributes(&span.attributes, out);
    put_u64(span.events.len() as u64, out);
    for event in &span.events {
        put_u64(event.time.0, out);
        put_text(&event.name, out);
        put_attributes(&event.attributes, out);
        put_u32(event.dropped_attributes_count, out);
        put_text(&event.unknown, out);
    }
    put_u64(span.links.len() as u64, out);
    for link in &span.links {
        put_text(&link.trace_id, out);
        put_text(&link.span_id, out);
        put_text(&link.trace_state, out);
        put_attributes(&link.attributes, out);
        put_u32(link.dropped_attributes_count, out);
        put_u32(link.flags, out);
        put_text(&link.unknown, out);
    }
    put_u32(span.dropped_attributes_count, out);
    put_u32(span.dropped_events_count, out);
    put_u32(span.dropped_links_count, out);
    put_status(span.status.as_ref(), out);
    put_text(&span.unknown, out);
}

/// Appends the canonical bytes of a resource.
pub fn write_resource(resource: &Resource, out: &mut Vec<u8>) {
    out.push(u8::from(resource.present));
    put_attributes(&resource.attributes, out);
    put_u32(resource.dropped_attributes_count, out);
    put_text(&resource.schema_url, out);
    put_text(&resource.unknown, out);
    put_text(&resource.group_unknown, out);
}

/// Appends the canonical bytes of a scope.
pub fn write_scope(scope: &Scope, out: &mut Vec<u8>) {
    out.push(u8::from(scope.present));
    put_text(&scope.name, out);
    put_text(&scope.version, out);
    put_attributes(&scope.attributes, out);
    put_u32(scope.dropped_attributes_count, out);
    put_text(&scope.schema_url, out);
    put_text(&scope.unknown, out);
    put_text(&scope.group_unknown, out);
}

fn put_status(status: Option<&Status>, out: &mut Vec<u8>) {
    out.push(u8::from(status.is_some()));
    if let Some(status) = status {
        put_u32(status.code.0.cast_unsigned(), out);
        put_text(&status.message, out);
        put_text(&status.unknown, out);
    }
}

fn put_attributes(attributes: &[Attribute], out: &mut Vec<u8>) {
    put_u64(attributes.len() as u64, out);
    for attribute in attributes {
        put_text(&attribute.key, out);
        let value = attribute.value.as_ref();
        out.push(value.value_type() as u8);
        match value {
            ValueRef::Missing | ValueRef::Empty => {}
            ValueRef::Bool(truth) => out.push(u8::from(truth)),
            ValueRef::Int(number) => put_u64(number.cast_unsigned(), out),
            ValueRef::Double(number) => put_u64(number.to_bits(), out),
            ValueRef::String(bytes)
            | ValueRef::Bytes(bytes)
            | ValueRef::Array(bytes)
            | ValueRef::KeyValueList(bytes)
            | ValueRef::Opaque(bytes)
            | ValueRef::OpaquePair(bytes) => put_bytes(bytes, out),
        }
    }
}

fn put_text(text: &Text, out: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_u64(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_u32(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Generator;

    #[test]
    fn equal_bytes_mean_equal_spans() {
        let spans = Generator::new(11).spans(200);
        let bytes: Vec<_> = spans
            .iter()
            .map(|span| {
                let mut bytes = Vec::new();
                write_span(span, &mut bytes);
                bytes
            })
            .collect();
        for (left, left_bytes) in spans.iter().zip(&bytes) {
            for (right, right_bytes) in spans.iter().zip(&bytes) {
                assert_eq!(left == right, left_bytes == right_bytes, "{left:?}\n{right:?}");
            }
        }
    }
}
