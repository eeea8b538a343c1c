//! Owned spans back into OTLP: the protobuf bytes of a `TracesData`, for raw reads.
//!
//! Spans are grouped by resource and scope in the order of first appearance. What came in goes
//! out: order and repeats of attributes, odd ids, unknown fields, a status that is present but
//! empty. Fields at their default value are left out, as every protobuf writer does.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::span::{Event, Link, ParentId, Status};
use model::value::{Attribute, AttributeValue};
use model::{Resource, Scope, Span, Text};

use super::wire::Writer;

/// The `TracesData` (on the wire the same as `ExportTraceServiceRequest`) that holds `spans`.
pub fn traces_data(spans: &[Span]) -> Vec<u8> {
    let mut writer = Writer::default();
    let by_resource = grouped(spans.iter(), |span| &span.resource, write_resource);
    for (resource, spans) in by_resource {
        let group = writer.begin(1);
        writer.bytes.extend_from_slice(&resource);
        let by_scope = grouped(spans.into_iter(), |span| &span.scope, write_scope);
        for (scope, spans) in by_scope {
            let group = writer.begin(2);
            writer.bytes.extend_from_slice(&scope);
            for span in spans {
                let nested = writer.begin(2);
                write_span(span, &mut writer);
                writer.end(nested);
            }
            writer.end(group);
        }
        writer.end(group);
    }
    writer.bytes
}

/// Spans by what `write` makes of their resource or scope, in order of first appearance.
///
/// Spans that share an `Arc` are recognised by its address; `spans` keeps them all alive, so no
/// address is used twice.
fn grouped<'a, G: 'a>(
    spans: impl Iterator<Item = &'a Span>,
    group_of: impl Fn(&'a Span) -> &'a Arc<G>,
    write: impl Fn(&G, &mut Writer),
) -> Vec<(Vec<u8>, Vec<&'a Span>)> {
    let mut groups: Vec<(Vec<u8>, Vec<&'a Span>)> = Vec::new();
    let mut by_address: BTreeMap<usize, usize> = BTreeMap::new();
    let mut by_bytes: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for span in spans {
        let group = group_of(span);
        let index = *by_address.entry(Arc::as_ptr(group).addr()).or_insert_with(|| {
            let mut writer = Writer::default();
            write(group, &mut writer);
            *by_bytes.entry(writer.bytes).or_insert_with_key(|bytes| {
                groups.push((bytes.clone(), Vec::new()));
                groups.len() - 1
            })
        });
        if let Some((_, members)) = groups.get_mut(index) {
            members.push(span);
        }
    }
    groups
}

/// Everything in a `ResourceSpans` but the spans.
fn write_resource(resource: &Resource, writer: &mut Writer) {
    if resource.present {
        let nested = writer.begin(1);
        write_attributes(1, &resource.attributes, writer);
        write_count(2, resource.dropped_attributes_count, writer);
        writer.bytes.extend_from_slice(resource.unknown.as_bytes());
        writer.end(nested);
    }
    write_text(3, &resource.schema_url, writer);
    writer.bytes.extend_from_slice(resource.group_unknown.as_bytes());
}

/// Everything in a `ScopeSpans` but the spans.
fn write_scope(scope: &Scope, writer: &mut Writer) {
    if scope.present {
        let nested = writer.begin(1);
        write_text(1, &scope.name, writer);
        write_text(2, &scope.version, writer);
        write_attributes(3, &scope.attributes, writer);
        write_count(4, scope.dropped_attributes_count, writer);
        writer.bytes.extend_from_slice(scope.unknown.as_bytes());
        writer.end(nested);
    }
    write_text(3, &scope.schema_url, writer);
    writer.bytes.extend_from_slice(scope.group_unknown.as_bytes());
}

fn write_span(span: &Span, writer: &mut Writer) {
    writer.bytes_field(1, span.trace_id.as_bytes());
    writer.bytes_field(2, span.span_id.as_bytes());
    write_text(3, &span.trace_state, writer);
    match &span.parent {
        ParentId::None => {}
        ParentId::Id(id) => writer.bytes_field(4, id.as_bytes()),
        ParentId::Odd(bytes) => writer.bytes_field(4, bytes.as_bytes()),
    }
    write_text(5, &span.name, writer);
    write_enum(6, span.kind.0, writer);
    write_time(7, span.start.0, writer);
    write_time(8, span.end.0, writer);
    write_attributes(9, &span.attributes, writer);
    write_count(10, span.dropped_attributes_count, writer);
    for event in &span.events {
        let nested = writer.begin(11);
        write_event(event, writer);
        writer.end(nested);
    }
    write_count(12, span.dropped_events_count, writer);
    for link in &span.links {
        let nested = writer.begin(13);
        write_link(link, writer);
        writer.end(nested);
    }
    write_count(14, span.dropped_links_count, writer);
    if let Some(status) = &span.status {
        let nested = writer.begin(15);
        write_status(status, writer);
        writer.end(nested);
    }
    write_flags(16, span.flags, writer);
    writer.bytes.extend_from_slice(span.unknown.as_bytes());
}

fn write_event(event: &Event, writer: &mut Writer) {
    write_time(1, event.time.0, writer);
    write_text(2, &event.name, writer);
    write_attributes(3, &event.attributes, writer);
    write_count(4, event.dropped_attributes_count, writer);
    writer.bytes.extend_from_slice(event.unknown.as_bytes());
}

fn write_link(link: &Link, writer: &mut Writer) {
    write_text(1, &link.trace_id, writer);
    write_text(2, &link.span_id, writer);
    write_text(3, &link.trace_state, writer);
    write_attributes(4, &link.attributes, writer);
    write_count(5, link.dropped_attributes_count, writer);
    write_flags(6, link.flags, writer);
    writer.bytes.extend_from_slice(link.unknown.as_bytes());
}

fn write_status(status: &Status, writer: &mut Writer) {
    write_text(2, &status.message, writer);
    write_enum(3, status.code.0, writer);
    writer.bytes.extend_from_slice(status.unknown.as_bytes());
}

fn write_attributes(number: u32, attributes: &[Attribute], writer: &mut Writer) {
    for attribute in attributes {
        let nested = writer.begin(number);
        match &attribute.value {
            // The whole pair, its key included.
            AttributeValue::OpaquePair(pair) => writer.bytes.extend_from_slice(pair.as_bytes()),
            AttributeValue::Missing => write_text(1, &attribute.key, writer),
            value => {
                write_text(1, &attribute.key, writer);
                let nested = writer.begin(2);
                write_value(value, writer);
                writer.end(nested);
            }
        }
        writer.end(nested);
    }
}

/// The fields of an `AnyValue`; a member of its oneof is written even at its default value.
fn write_value(value: &AttributeValue, writer: &mut Writer) {
    match value {
        AttributeValue::Missing | AttributeValue::Empty => {}
        AttributeValue::String(text) => writer.bytes_field(1, text.as_bytes()),
        AttributeValue::Bool(value) => writer.varint_field(2, u64::from(*value)),
        AttributeValue::Int(value) => writer.varint_field(3, value.cast_unsigned()),
        AttributeValue::Double(value) => writer.fixed64_field(4, value.to_bits()),
        AttributeValue::Array(list) => writer.bytes_field(5, list.as_bytes()),
        AttributeValue::KeyValueList(list) => writer.bytes_field(6, list.as_bytes()),
        AttributeValue::Bytes(bytes) => writer.bytes_field(7, bytes.as_bytes()),
        AttributeValue::Opaque(whole) | AttributeValue::OpaquePair(whole) => {
            writer.bytes.extend_from_slice(whole.as_bytes());
        }
    }
}

fn write_text(number: u32, text: &Text, writer: &mut Writer) {
    if !text.is_empty() {
        writer.bytes_field(number, text.as_bytes());
    }
}

fn write_count(number: u32, count: u32, writer: &mut Writer) {
    if count != 0 {
        writer.varint_field(number, u64::from(count));
    }
}

fn write_enum(number: u32, value: i32, writer: &mut Writer) {
    if value != 0 {
        // With the sign in all 64 bits, as protobuf writes a negative enum.
        writer.varint_field(number, i64::from(value).cast_unsigned());
    }
}

fn write_time(number: u32, nanos: u64, writer: &mut Writer) {
    if nanos != 0 {
        writer.fixed64_field(number, nanos);
    }
}

fn write_flags(number: u32, flags: u32, writer: &mut Writer) {
    if flags != 0 {
        writer.fixed32_field(number, flags);
    }
}
