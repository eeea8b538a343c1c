//! OTLP's JSON, as api/v3 answers: enums as numbers, ids in hexadecimal, 64-bit integers as
//! strings, empty and zero fields left out. `resource`, `scope` and `status` are always there.
//!
//! Spans of one resource and scope are grouped, by first appearance. Fields that this version
//! does not know cannot be written in JSON and are left out.

use std::collections::HashMap;

use model::pace::{Pace, unstopped};
use model::span::{Event, Link, StatusCode};
use model::value::ValueRef;
use model::{Attribute, Resource, Scope, Span, Text, nested};

use super::json_text::{
    push_base64, push_comma, push_double, push_hex, push_int, push_name, push_string, push_uint,
};
use super::pieces::Cuts;
use crate::adjust::EditableTrace;

/// What is written of what is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// Empty objects, as Jaeger writes them.
    Empty,
    /// Nothing, so that reading it back gives what was.
    Nothing,
}

/// Appends the `ResourceSpans` of a trace to a list under construction, as Jaeger writes them.
pub fn push_resource_spans(out: &mut Vec<u8>, trace: EditableTrace) {
    unstopped(push_groups(out, trace, Absent::Empty, &mut |_| Ok(())));
}

/// The same, for pieces.
pub(super) fn write_resource_spans<P: Pace>(
    trace: EditableTrace,
    out: &mut Vec<u8>,
    cuts: &mut Cuts<'_, P>,
) -> Result<(), P::Stop> {
    push_groups(out, trace, Absent::Empty, &mut |out| cuts.after_span(out))
}

/// The same for whoever reads it back: what was absent is absent again.
pub(crate) fn push_exact_resource_spans(out: &mut Vec<u8>, trace: EditableTrace) {
    unstopped(push_groups(out, trace, Absent::Nothing, &mut |_| Ok(())));
}

/// A span is let go as soon as it is written.
fn push_groups<E>(
    out: &mut Vec<u8>,
    mut trace: EditableTrace,
    absent: Absent,
    after_span: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let shows = |is_present: bool| is_present || absent == Absent::Empty;
    for group in groups(&trace) {
        let Some(resource) = trace.resources.get(group.resource) else { continue };
        push_comma(out);
        out.push(b'{');
        if shows(resource.present) {
            out.extend_from_slice(b"\"resource\":{");
            push_resource(out, resource);
            out.push(b'}');
        }
        push_name(out, "scopeSpans");
        out.push(b'[');
        for (scope, rows) in &group.scopes {
            let Some(scope) = trace.scopes.get(*scope) else { continue };
            push_comma(out);
            out.push(b'{');
            if shows(scope.present) {
                out.extend_from_slice(b"\"scope\":{");
                push_scope(out, scope);
                out.push(b'}');
            }
            push_name(out, "spans");
            out.push(b'[');
            for row in rows {
                let Some(editable) = trace.spans.get_mut(*row) else { continue };
                push_comma(out);
                push_span(out, &editable.span, absent);
                let Span { attributes, events, links, .. } = &mut editable.span;
                (*attributes, *events, *links) = Default::default();
                after_span(out)?;
            }
            out.push(b']');
            push_text(out, "schemaUrl", &scope.schema_url);
            out.push(b'}');
        }
        out.push(b']');
        push_text(out, "schemaUrl", &resource.schema_url);
        out.push(b'}');
    }
    Ok(())
}

/// The rows of one resource, by scope.
struct Group {
    resource: usize,
    scopes: Vec<(usize, Vec<usize>)>,
}

fn groups(trace: &EditableTrace) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    let mut place_of: HashMap<(usize, usize), usize> = HashMap::new();
    for (row, editable) in trace.spans.iter().enumerate() {
        let group_index = *group_of.entry(editable.resource).or_insert_with(|| {
            groups.push(Group { resource: editable.resource, scopes: Vec::new() });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(group_index) else { continue };
        let place = *place_of.entry((editable.resource, editable.scope)).or_insert_with(|| {
            group.scopes.push((editable.scope, Vec::new()));
            group.scopes.len() - 1
        });
        if let Some((_, rows)) = group.scopes.get_mut(place) {
            rows.push(row);
        }
    }
    groups
}

fn push_resource(out: &mut Vec<u8>, resource: &Resource) {
    push_attributes(out, &resource.attributes);
    push_count(out, "droppedAttributesCount", resource.dropped_attributes_count);
}

fn push_scope(out: &mut Vec<u8>, scope: &Scope) {
    push_text(out, "name", &scope.name);
    push_text(out, "version", &scope.version);
    push_attributes(out, &scope.attributes);
    push_count(out, "droppedAttributesCount", scope.dropped_attributes_count);
}

fn push_span(out: &mut Vec<u8>, span: &Span, absent: Absent) {
    out.extend_from_slice(b"{\"traceId\":\"");
    push_hex(out, span.trace_id.as_bytes());
    out.extend_from_slice(b"\",\"spanId\":\"");
    push_hex(out, span.span_id.as_bytes());
    out.push(b'"');
    push_text(out, "traceState", &span.trace_state);
    if let Some(parent) = span.parent.span_id() {
        push_name(out, "parentSpanId");
        out.push(b'"');
        push_hex(out, parent.as_bytes());
        out.push(b'"');
    }
    push_count(out, "flags", span.flags);
    push_text(out, "name", &span.name);
    if span.kind.0 != 0 {
        push_name(out, "kind");
        push_int(out, i64::from(span.kind.0));
    }
    push_long(out, "startTimeUnixNano", span.start.0);
    push_long(out, "endTimeUnixNano", span.end.0);
    push_attributes(out, &span.attributes);
    push_count(out, "droppedAttributesCount", span.dropped_attributes_count);
    push_list(out, "events", &span.events, push_event);
    push_count(out, "droppedEventsCount", span.dropped_events_count);
    push_list(out, "links", &span.links, push_link);
    push_count(out, "droppedLinksCount", span.dropped_links_count);
    if span.status.is_none() && absent == Absent::Nothing {
        out.push(b'}');
        return;
    }
    push_name(out, "status");
    out.push(b'{');
    if let Some(status) = &span.status {
        push_text(out, "message", &status.message);
        if status.code != StatusCode::UNSET {
            push_name(out, "code");
            push_int(out, i64::from(status.code.0));
        }
    }
    out.extend_from_slice(b"}}");
}

fn push_event(out: &mut Vec<u8>, event: &Event) {
    out.push(b'{');
    push_long(out, "timeUnixNano", event.time.0);
    push_text(out, "name", &event.name);
    push_attributes(out, &event.attributes);
    push_count(out, "droppedAttributesCount", event.dropped_attributes_count);
    out.push(b'}');
}

fn push_link(out: &mut Vec<u8>, link: &Link) {
    out.push(b'{');
    push_hexadecimal(out, "traceId", &link.trace_id);
    push_hexadecimal(out, "spanId", &link.span_id);
    push_text(out, "traceState", &link.trace_state);
    push_attributes(out, &link.attributes);
    push_count(out, "droppedAttributesCount", link.dropped_attributes_count);
    push_count(out, "flags", link.flags);
    out.push(b'}');
}

fn push_list<T>(
    out: &mut Vec<u8>,
    name: &'static str,
    items: &[T],
    push_item: fn(&mut Vec<u8>, &T),
) {
    if items.is_empty() {
        return;
    }
    push_name(out, name);
    out.push(b'[');
    for item in items {
        push_comma(out);
        push_item(out, item);
    }
    out.push(b']');
}

fn push_attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
    push_list(out, "attributes", attributes, |out, attribute| {
        push_pair(out, attribute.key.as_bytes(), attribute.value.as_ref(), 0);
    });
}

fn push_pair(out: &mut Vec<u8>, key: &[u8], value: ValueRef<'_>, depth: usize) {
    out.extend_from_slice(b"{\"key\":");
    push_string(out, key);
    out.extend_from_slice(b",\"value\":");
    push_value(out, value, depth);
    out.push(b'}');
}

/// Appends an `AnyValue`. Receivers bound the depth; a value nested deeper reads as empty.
fn push_value(out: &mut Vec<u8>, value: ValueRef<'_>, depth: usize) {
    if depth > nested::DEPTH_MAX {
        out.extend_from_slice(b"{}");
        return;
    }
    out.push(b'{');
    match nested::known_part(value) {
        ValueRef::Missing | ValueRef::Empty | ValueRef::Opaque(_) | ValueRef::OpaquePair(_) => {}
        ValueRef::String(text) => {
            push_name(out, "stringValue");
            push_string(out, text);
        }
        ValueRef::Bool(truth) => {
            push_name(out, "boolValue");
            out.extend_from_slice(truth.to_string().as_bytes());
        }
        ValueRef::Int(number) => {
            push_name(out, "intValue");
            push_string(out, number.to_string().as_bytes());
        }
        ValueRef::Double(number) => {
            push_name(out, "doubleValue");
            if !push_double(out, number) {
                push_string(out, not_finite(number).as_bytes());
            }
        }
        ValueRef::Bytes(bytes) => {
            push_name(out, "bytesValue");
            push_base64(out, bytes);
        }
        ValueRef::Array(items) => {
            out.extend_from_slice(b"\"arrayValue\":{\"values\":[");
            for item in nested::array_items(items) {
                push_comma(out);
                push_value(out, item, depth + 1);
            }
            out.extend_from_slice(b"]}");
        }
        ValueRef::KeyValueList(pairs) => {
            out.extend_from_slice(b"\"kvlistValue\":{\"values\":[");
            for (key, value) in nested::pairs(pairs) {
                push_comma(out);
                push_pair(out, key, value, depth + 1);
            }
            out.extend_from_slice(b"]}");
        }
    }
    out.push(b'}');
}

/// As Protobuf's JSON mapping spells them.
fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn push_text(out: &mut Vec<u8>, name: &'static str, text: &Text) {
    if !text.is_empty() {
        push_name(out, name);
        push_string(out, text.as_bytes());
    }
}

fn push_hexadecimal(out: &mut Vec<u8>, name: &'static str, bytes: &Text) {
    if bytes.as_bytes().iter().any(|byte| *byte != 0) {
        push_name(out, name);
        out.push(b'"');
        push_hex(out, bytes.as_bytes());
        out.push(b'"');
    }
}

fn push_count(out: &mut Vec<u8>, name: &'static str, count: u32) {
    if count != 0 {
        push_name(out, name);
        push_uint(out, u64::from(count));
    }
}

/// A 64-bit number: a string in Protobuf's JSON mapping.
fn push_long(out: &mut Vec<u8>, name: &'static str, number: u64) {
    if number != 0 {
        push_name(out, name);
        push_string(out, number.to_string().as_bytes());
    }
}
