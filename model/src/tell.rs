//! Tells owned spans to a visitor, as a receiver would.
//!
//! The way for spans that were materialised (tests, answers between nodes) to become columns again.
//! Receivers do not come this way: they tell what they read.

use std::sync::Arc;

use crate::canonical::{write_resource, write_scope};
use crate::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead, StatusHead};
use crate::span::{Event, Link, ParentId};
use crate::{Attribute, Resource, Scope, Span, SpanVisitor};

/// Tells the spans to the visitor, in their order.
pub fn tell_spans<'a>(spans: impl IntoIterator<Item = &'a Span>, visitor: &mut dyn SpanVisitor) {
    let mut teller = Teller::default();
    for span in spans {
        teller.tell(span, visitor);
    }
}

/// Tells spans to one visitor and remembers what was told last, so that a resource or scope is
/// told only where it changes.
#[derive(Debug, Default)]
pub struct Teller {
    resource: Option<Arc<Resource>>,
    scope: Option<Arc<Scope>>,
}

impl Teller {
    /// Tells one span.
    pub fn tell(&mut self, span: &Span, visitor: &mut dyn SpanVisitor) {
        if self.resource.as_ref() != Some(&span.resource) {
            tell_resource(&span.resource, visitor);
            self.resource = Some(Arc::clone(&span.resource));
        }
        if self.scope.as_ref() != Some(&span.scope) {
            tell_scope(&span.scope, visitor);
            self.scope = Some(Arc::clone(&span.scope));
        }
        tell_head(span, visitor);
        tell_attributes(&span.attributes, visitor);
        for event in &span.events {
            tell_event(event, visitor);
        }
        for link in &span.links {
            tell_link(link, visitor);
        }
        visitor.end_span();
    }
}

/// Tells a resource, its attributes only if they are wanted.
pub(crate) fn tell_resource(resource: &Resource, visitor: &mut dyn SpanVisitor) {
    let mut identity = Vec::new();
    write_resource(resource, &mut identity);
    let interned = visitor.resource(&ResourceHead {
        identity: &identity,
        present: resource.present,
        schema_url: resource.schema_url.as_bytes(),
        dropped_attributes_count: resource.dropped_attributes_count,
        unknown: resource.unknown.as_bytes(),
        group_unknown: resource.group_unknown.as_bytes(),
    });
    tell_group(interned, &resource.attributes, visitor);
}

/// Tells a scope, its attributes only if they are wanted.
pub(crate) fn tell_scope(scope: &Scope, visitor: &mut dyn SpanVisitor) {
    let mut identity = Vec::new();
    write_scope(scope, &mut identity);
    let interned = visitor.scope(&ScopeHead {
        identity: &identity,
        present: scope.present,
        name: scope.name.as_bytes(),
        version: scope.version.as_bytes(),
        schema_url: scope.schema_url.as_bytes(),
        dropped_attributes_count: scope.dropped_attributes_count,
        unknown: scope.unknown.as_bytes(),
        group_unknown: scope.group_unknown.as_bytes(),
    });
    tell_group(interned, &scope.attributes, visitor);
}

fn tell_group(interned: Interned, attributes: &[Attribute], visitor: &mut dyn SpanVisitor) {
    if interned == Interned::New {
        tell_attributes(attributes, visitor);
        visitor.end_group();
    }
}

fn tell_head(span: &Span, visitor: &mut dyn SpanVisitor) {
    let parent: &[u8] = match &span.parent {
        ParentId::None => b"",
        ParentId::Id(id) => id.as_bytes(),
        ParentId::Odd(bytes) => bytes.as_bytes(),
    };
    visitor.span(&SpanHead {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent,
        trace_state: span.trace_state.as_bytes(),
        flags: span.flags,
        name: span.name.as_bytes(),
        kind: span.kind.0,
        start: span.start.0,
        end: span.end.0,
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
        status: span.status.as_ref().map(|status| StatusHead {
            code: status.code.0,
            message: status.message.as_bytes(),
            unknown: status.unknown.as_bytes(),
        }),
        unknown: span.unknown.as_bytes(),
    });
}

fn tell_event(event: &Event, visitor: &mut dyn SpanVisitor) {
    visitor.event(&EventHead {
        time: event.time.0,
        name: event.name.as_bytes(),
        dropped_attributes_count: event.dropped_attributes_count,
        unknown: event.unknown.as_bytes(),
    });
    tell_attributes(&event.attributes, visitor);
}

fn tell_link(link: &Link, visitor: &mut dyn SpanVisitor) {
    visitor.link(&LinkHead {
        trace_id: link.trace_id.as_bytes(),
        span_id: link.span_id.as_bytes(),
        trace_state: link.trace_state.as_bytes(),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
        unknown: link.unknown.as_bytes(),
    });
    tell_attributes(&link.attributes, visitor);
}

fn tell_attributes(attributes: &[Attribute], visitor: &mut dyn SpanVisitor) {
    for attribute in attributes {
        visitor.attribute(attribute.key.as_bytes(), attribute.value.as_ref());
    }
}
