//! Tells a [`SpanVisitor`] of the spans of a request, so that what a store makes of a recording can
//! be measured without a store.
//!
//! It knows well-formed OTLP as recordings hold it; the receiver that faces the world is `api`'s,
//! with all its checks. Unknown fields are left out here.

use model::nested;
use model::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead, StatusHead};
use model::{SpanId, SpanVisitor, TraceId};

use crate::wire::{Field, WireError, fields, fixed64, read_varint};

/// Tells `visitor` of every span of an `ExportTraceServiceRequest`.
pub(crate) fn tell(request: &[u8], visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    for field in fields(request) {
        match field? {
            (field, group) if field.is_bytes(1) => tell_resource_spans(group, visitor)?,
            _ => {}
        }
    }
    Ok(())
}

fn tell_resource_spans(group: &[u8], visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    let (mut resource, mut schema_url) = (None, &[][..]);
    for field in fields(group) {
        match field? {
            (field, value) if field.is_bytes(1) => resource = Some(value),
            (field, value) if field.is_bytes(3) => schema_url = value,
            _ => {}
        }
    }
    let message = resource.unwrap_or_default();
    let head = ResourceHead {
        identity: message,
        present: resource.is_some(),
        schema_url,
        dropped_attributes_count: count(message, 2)?,
        unknown: &[],
        group_unknown: &[],
    };
    if visitor.resource(&head) == Interned::New {
        tell_attributes(message, 1, visitor)?;
        visitor.end_group();
    }
    for field in fields(group) {
        match field? {
            (field, value) if field.is_bytes(2) => tell_scope_spans(value, visitor)?,
            _ => {}
        }
    }
    Ok(())
}

fn tell_scope_spans(group: &[u8], visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    let (mut scope, mut schema_url) = (None, &[][..]);
    for field in fields(group) {
        match field? {
            (field, value) if field.is_bytes(1) => scope = Some(value),
            (field, value) if field.is_bytes(3) => schema_url = value,
            _ => {}
        }
    }
    let message = scope.unwrap_or_default();
    let head = ScopeHead {
        identity: message,
        present: scope.is_some(),
        name: bytes(message, 1)?,
        version: bytes(message, 2)?,
        schema_url,
        dropped_attributes_count: count(message, 4)?,
        unknown: &[],
        group_unknown: &[],
    };
    if visitor.scope(&head) == Interned::New {
        tell_attributes(message, 3, visitor)?;
        visitor.end_group();
    }
    for field in fields(group) {
        match field? {
            (field, value) if field.is_bytes(2) => tell_span(value, visitor)?,
            _ => {}
        }
    }
    Ok(())
}

fn tell_span(span: &[u8], visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    let mut head = SpanHead {
        trace_id: TraceId([0; 16]),
        span_id: SpanId([0; 8]),
        parent: &[],
        trace_state: &[],
        flags: 0,
        name: &[],
        kind: 0,
        start: 0,
        end: 0,
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
        status: None,
        unknown: &[],
    };
    for field in fields(span) {
        let (field, value) = field?;
        match field.number {
            1 => head.trace_id = TraceId::from_slice(value).unwrap_or(head.trace_id),
            2 => head.span_id = SpanId::from_slice(value).unwrap_or(head.span_id),
            3 => head.trace_state = value,
            4 => head.parent = value,
            5 => head.name = value,
            6 => head.kind = number(value)?.cast_signed(),
            7 => head.start = fixed64(value),
            8 => head.end = fixed64(value),
            10 => head.dropped_attributes_count = number(value)?,
            12 => head.dropped_events_count = number(value)?,
            14 => head.dropped_links_count = number(value)?,
            15 => head.status = Some(status(value)?),
            16 => head.flags = fixed32(value),
            _ => {}
        }
    }
    visitor.span(&head);
    tell_attributes(span, 9, visitor)?;
    for field in fields(span) {
        let (field, value) = field?;
        if field.is_bytes(11) {
            tell_event(value, visitor)?;
        }
    }
    for field in fields(span) {
        let (field, value) = field?;
        if field.is_bytes(13) {
            tell_link(value, visitor)?;
        }
    }
    visitor.end_span();
    Ok(())
}

fn tell_event(event: &[u8], visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    let time = last(event, 1)?.map_or(0, |(_, value)| fixed64(value));
    let dropped_attributes_count = count(event, 4)?;
    let name = bytes(event, 2)?;
    visitor.event(&EventHead { time, name, dropped_attributes_count, unknown: &[] });
    tell_attributes(event, 3, visitor)
}

fn tell_link(link: &[u8], visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    visitor.link(&LinkHead {
        trace_id: bytes(link, 1)?,
        span_id: bytes(link, 2)?,
        trace_state: bytes(link, 3)?,
        dropped_attributes_count: count(link, 5)?,
        flags: last(link, 6)?.map_or(0, |(_, value)| fixed32(value)),
        unknown: &[],
    });
    tell_attributes(link, 4, visitor)
}

fn tell_attributes(
    holder: &[u8],
    number: u32,
    visitor: &mut impl SpanVisitor,
) -> Result<(), WireError> {
    for field in fields(holder) {
        match field? {
            (field, attribute) if field.is_bytes(number) => {
                let (key, value) = nested::pair(attribute);
                visitor.attribute(key, value);
            }
            _ => {}
        }
    }
    Ok(())
}

fn status(message: &[u8]) -> Result<StatusHead<'_>, WireError> {
    let code = count(message, 3)?.cast_signed();
    Ok(StatusHead { code, message: bytes(message, 2)?, unknown: &[] })
}

/// The last field of a number.
fn last(message: &[u8], number: u32) -> Result<Option<(Field, &[u8])>, WireError> {
    let mut found = None;
    for field in fields(message) {
        let (field, value) = field?;
        if field.number == number {
            found = Some((field, value));
        }
    }
    Ok(found)
}

fn bytes(message: &[u8], number: u32) -> Result<&[u8], WireError> {
    Ok(last(message, number)?.map(|(_, value)| value).unwrap_or_default())
}

fn count(message: &[u8], field: u32) -> Result<u32, WireError> {
    last(message, field)?.map_or(Ok(0), |(_, value)| number(value))
}

/// A 32-bit integer on the wire: the low half of what stands there, as protobuf says.
fn number(value: &[u8]) -> Result<u32, WireError> {
    let [a, b, c, d, ..] = read_varint(value, &mut 0)?.to_le_bytes();
    Ok(u32::from_le_bytes([a, b, c, d]))
}

fn fixed32(value: &[u8]) -> u32 {
    <[u8; 4]>::try_from(value).map_or(0, u32::from_le_bytes)
}
