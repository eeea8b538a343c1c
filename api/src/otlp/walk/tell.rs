//! The second pass: tells a visitor about the spans of one partition.
//!
//! Every message here was checked and is in the usual form, so reading cannot fail. Where a
//! reader still answers with an error, which only a bug could cause, the message ends there.

use model::sink::{
    EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead, SpanVisitor, StatusHead,
};
use model::{SpanId, TraceId};

use super::attribute::{Piece, pair_of};
use super::plan::{GroupPlace, NONE, PartPiece, Plan, ScopePlace, SpanParts};
use crate::otlp::wire::{Reader, low_i32, low_u32};

/// Tells `visitor` about the spans of `partition`, in the order of the request, and about
/// resource and scope where they change. `request` is what [`super::check()`] saw.
pub fn tell<V: SpanVisitor + ?Sized>(request: &[u8], plan: &Plan, partition: u32, visitor: &mut V) {
    let Some(part) = plan.parts.get(partition as usize) else { return };
    tell_spans(request, plan, part.first, part.size.spans, visitor);
}

/// Tells `visitor` about the spans of a piece, as [`tell()`] does of a whole partition.
pub fn tell_piece<V: SpanVisitor + ?Sized>(
    request: &[u8],
    plan: &Plan,
    piece: &PartPiece,
    visitor: &mut V,
) {
    tell_spans(request, plan, piece.first, piece.size.spans, visitor);
}

fn tell_spans<V: SpanVisitor + ?Sized>(
    request: &[u8],
    plan: &Plan,
    first: u32,
    count: u32,
    visitor: &mut V,
) {
    let (mut next, mut scope, mut resource) = (first, NONE, NONE);
    for _ in 0..count {
        let Some(span) = plan.spans.get(next as usize) else { return };
        if span.scope != scope
            && let Some(found) = plan.scopes.get(span.scope as usize)
        {
            scope = span.scope;
            if found.resource != resource
                && let Some(group) = plan.resources.get(found.resource as usize)
            {
                resource = found.resource;
                tell_resource(request, plan, group, visitor);
            }
            tell_scope(request, plan, found, visitor);
        }
        tell_span(plan.slice(request, span.message), &span.parts, visitor);
        next = span.next;
    }
}

fn tell_resource<V: SpanVisitor + ?Sized>(
    request: &[u8],
    plan: &Plan,
    group: &GroupPlace,
    visitor: &mut V,
) {
    let interned = visitor.resource(&ResourceHead {
        identity: plan.slice(request, group.identity),
        present: group.present,
        schema_url: plan.slice(request, group.schema_url),
        dropped_attributes_count: group.dropped_attributes_count,
        unknown: plan.slice(request, group.unknown),
        group_unknown: plan.slice(request, group.group_unknown),
    });
    if interned == Interned::New {
        tell_attributes(plan.slice(request, group.message), 0x0a, visitor);
        visitor.end_group();
    }
}

fn tell_scope<V: SpanVisitor + ?Sized>(
    request: &[u8],
    plan: &Plan,
    scope: &ScopePlace,
    visitor: &mut V,
) {
    let group = &scope.group;
    let interned = visitor.scope(&ScopeHead {
        identity: plan.slice(request, group.identity),
        present: group.present,
        name: plan.slice(request, scope.name),
        version: plan.slice(request, scope.version),
        schema_url: plan.slice(request, group.schema_url),
        dropped_attributes_count: group.dropped_attributes_count,
        unknown: plan.slice(request, group.unknown),
        group_unknown: plan.slice(request, group.group_unknown),
    });
    if interned == Interned::New {
        tell_attributes(plan.slice(request, group.message), 0x1a, visitor);
        visitor.end_group();
    }
}

/// Calls `each` with every field of the given tag.
#[inline]
fn each_field<'a>(fields: &'a [u8], wanted: u8, mut each: impl FnMut(&'a [u8])) {
    let mut reader = Reader::new(fields);
    loop {
        while let Some(bytes) = reader.short(wanted) {
            each(bytes);
        }
        if reader.is_at_end() {
            return;
        }
        // A longer one, or another field in a resource or scope.
        match reader.tag() {
            Ok(tag) if tag == u32::from(wanted) => match reader.bytes() {
                Ok(bytes) => each(bytes),
                Err(_) => return,
            },
            Ok(tag) if reader.skip(tag).is_ok() => {}
            _ => return,
        }
    }
}

#[inline]
fn tell_attributes<V: SpanVisitor + ?Sized>(fields: &[u8], tag: u8, visitor: &mut V) {
    each_field(fields, tag, |pair| {
        let (key, value) = pair_of(pair);
        visitor.attribute(key, value);
    });
}

fn tell_span<V: SpanVisitor + ?Sized>(message: &[u8], parts: &SpanParts, visitor: &mut V) {
    let Some(head) = span_head(message, parts) else { return };
    visitor.span(&head);
    tell_attributes(parts.attributes.of(message), 0x4a, visitor);
    each_field(parts.events.of(message), 0x5a, |event| tell_event(event, visitor));
    each_field(parts.links.of(message), 0x6a, |link| tell_link(link, visitor));
    visitor.end_span();
}

fn span_head<'a>(message: &'a [u8], parts: &SpanParts) -> Option<SpanHead<'a>> {
    let mut head = SpanHead {
        trace_id: TraceId::default(),
        span_id: SpanId::default(),
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
    let mut unknown = Piece::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag().ok()? {
            0x0a => head.trace_id = TraceId::from_slice(reader.bytes().ok()?).unwrap_or_default(),
            0x12 => head.span_id = SpanId::from_slice(reader.bytes().ok()?).unwrap_or_default(),
            0x1a => head.trace_state = reader.bytes().ok()?,
            0x22 => head.parent = reader.bytes().ok()?,
            0x2a => head.name = reader.bytes().ok()?,
            0x30 => head.kind = low_i32(reader.varint().ok()?),
            0x39 => head.start = reader.fixed64().ok()?,
            0x41 => head.end = reader.fixed64().ok()?,
            0x4a => reader.seek(parts.attributes.end as usize),
            0x50 => head.dropped_attributes_count = low_u32(reader.varint().ok()?),
            0x5a => reader.seek(parts.events.end as usize),
            0x60 => head.dropped_events_count = low_u32(reader.varint().ok()?),
            0x6a => reader.seek(parts.links.end as usize),
            0x70 => head.dropped_links_count = low_u32(reader.varint().ok()?),
            0x7a => head.status = Some(status_head(reader.bytes().ok()?)?),
            0x85 => head.flags = reader.fixed32().ok()?,
            tag => {
                reader.skip(tag).ok()?;
                unknown.note(start, reader.position());
            }
        }
    }
    head.unknown = unknown.of(message);
    Some(head)
}

fn status_head(message: &[u8]) -> Option<StatusHead<'_>> {
    let mut head = StatusHead { code: 0, message: &[], unknown: &[] };
    let mut unknown = Piece::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag().ok()? {
            0x12 => head.message = reader.bytes().ok()?,
            0x18 => head.code = low_i32(reader.varint().ok()?),
            tag => {
                reader.skip(tag).ok()?;
                unknown.note(start, reader.position());
            }
        }
    }
    head.unknown = unknown.of(message);
    Some(head)
}

fn tell_event<V: SpanVisitor + ?Sized>(message: &[u8], visitor: &mut V) {
    let mut attributes = Piece::default();
    let Some(head) = event_head(message, &mut attributes) else { return };
    visitor.event(&head);
    tell_attributes(attributes.of(message), 0x1a, visitor);
}

fn event_head<'a>(message: &'a [u8], attributes: &mut Piece) -> Option<EventHead<'a>> {
    let mut head = EventHead { time: 0, name: &[], dropped_attributes_count: 0, unknown: &[] };
    let mut unknown = Piece::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag().ok()? {
            0x09 => head.time = reader.fixed64().ok()?,
            0x12 => head.name = reader.bytes().ok()?,
            0x1a => {
                reader.bytes().ok()?;
                attributes.note(start, reader.position());
            }
            0x20 => head.dropped_attributes_count = low_u32(reader.varint().ok()?),
            tag => {
                reader.skip(tag).ok()?;
                unknown.note(start, reader.position());
            }
        }
    }
    head.unknown = unknown.of(message);
    Some(head)
}

fn tell_link<V: SpanVisitor + ?Sized>(message: &[u8], visitor: &mut V) {
    let mut attributes = Piece::default();
    let Some(head) = link_head(message, &mut attributes) else { return };
    visitor.link(&head);
    tell_attributes(attributes.of(message), 0x22, visitor);
}

fn link_head<'a>(message: &'a [u8], attributes: &mut Piece) -> Option<LinkHead<'a>> {
    let mut head = LinkHead {
        trace_id: &[],
        span_id: &[],
        trace_state: &[],
        dropped_attributes_count: 0,
        flags: 0,
        unknown: &[],
    };
    let mut unknown = Piece::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag().ok()? {
            0x0a => head.trace_id = reader.bytes().ok()?,
            0x12 => head.span_id = reader.bytes().ok()?,
            0x1a => head.trace_state = reader.bytes().ok()?,
            0x22 => {
                reader.bytes().ok()?;
                attributes.note(start, reader.position());
            }
            0x28 => head.dropped_attributes_count = low_u32(reader.varint().ok()?),
            0x35 => head.flags = reader.fixed32().ok()?,
            tag => {
                reader.skip(tag).ok()?;
                unknown.note(start, reader.position());
            }
        }
    }
    head.unknown = unknown.of(message);
    Some(head)
}
