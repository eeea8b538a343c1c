//! Owned spans from what a receiver tells: for transforming a document that is never stored.
//!
//! This is not on the ingest path, where no owned span exists.

use std::sync::Arc;

use model::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead};
use model::span::{Event, Link, ParentId, SpanKind, Status, StatusCode};
use model::value::ValueRef;
use model::{Attribute, Resource, Scope, Span, SpanId, SpanVisitor, Text, Timestamp};

/// Keeps every span it is told of, in order.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The spans.
    pub(super) spans: Vec<Span>,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    begun: Begun,
}

/// What attributes belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Begun {
    #[default]
    Nothing,
    Resource,
    Scope,
    Span,
    Event,
    Link,
}

impl Collected {
    fn attributes(&mut self) -> Option<&mut Vec<Attribute>> {
        match self.begun {
            Begun::Nothing => None,
            Begun::Resource => Some(&mut Arc::make_mut(&mut self.resource).attributes),
            Begun::Scope => Some(&mut Arc::make_mut(&mut self.scope).attributes),
            Begun::Span => Some(&mut self.spans.last_mut()?.attributes),
            Begun::Event => Some(&mut self.spans.last_mut()?.events.last_mut()?.attributes),
            Begun::Link => Some(&mut self.spans.last_mut()?.links.last_mut()?.attributes),
        }
    }
}

impl SpanVisitor for Collected {
    fn resource(&mut self, resource: &ResourceHead<'_>) -> Interned {
        self.begun = Begun::Resource;
        self.resource = Arc::new(Resource {
            present: resource.present,
            attributes: Vec::new(),
            dropped_attributes_count: resource.dropped_attributes_count,
            schema_url: Text::copy_from(resource.schema_url),
            unknown: Text::copy_from(resource.unknown),
            group_unknown: Text::copy_from(resource.group_unknown),
        });
        Interned::New
    }

    fn scope(&mut self, scope: &ScopeHead<'_>) -> Interned {
        self.begun = Begun::Scope;
        self.scope = Arc::new(Scope {
            present: scope.present,
            name: Text::copy_from(scope.name),
            version: Text::copy_from(scope.version),
            attributes: Vec::new(),
            dropped_attributes_count: scope.dropped_attributes_count,
            schema_url: Text::copy_from(scope.schema_url),
            unknown: Text::copy_from(scope.unknown),
            group_unknown: Text::copy_from(scope.group_unknown),
        });
        Interned::New
    }

    fn end_group(&mut self) {
        self.begun = Begun::Nothing;
    }

    fn span(&mut self, span: &SpanHead<'_>) {
        self.begun = Begun::Span;
        let parent = if span.parent.is_empty() {
            ParentId::None
        } else {
            let id = SpanId::from_slice(span.parent).map(ParentId::Id);
            id.unwrap_or_else(|| ParentId::Odd(Text::copy_from(span.parent)))
        };
        let status = span.status.map(|status| Status {
            code: StatusCode(status.code),
            message: Text::copy_from(status.message),
            unknown: Text::copy_from(status.unknown),
        });
        self.spans.push(Span {
            resource: Arc::clone(&self.resource),
            scope: Arc::clone(&self.scope),
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent,
            trace_state: Text::copy_from(span.trace_state),
            flags: span.flags,
            name: Text::copy_from(span.name),
            kind: SpanKind(span.kind),
            start: Timestamp(span.start),
            end: Timestamp(span.end),
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped_attributes_count: span.dropped_attributes_count,
            dropped_events_count: span.dropped_events_count,
            dropped_links_count: span.dropped_links_count,
            status,
            unknown: Text::copy_from(span.unknown),
        });
    }

    fn attribute(&mut self, key: &[u8], value: ValueRef<'_>) {
        let attribute = Attribute { key: Text::copy_from(key), value: value.to_owned() };
        if let Some(attributes) = self.attributes() {
            attributes.push(attribute);
        }
    }

    fn event(&mut self, event: &EventHead<'_>) {
        self.begun = Begun::Event;
        let Some(span) = self.spans.last_mut() else { return };
        span.events.push(Event {
            time: Timestamp(event.time),
            name: Text::copy_from(event.name),
            attributes: Vec::new(),
            dropped_attributes_count: event.dropped_attributes_count,
            unknown: Text::copy_from(event.unknown),
        });
    }

    fn link(&mut self, link: &LinkHead<'_>) {
        self.begun = Begun::Link;
        let Some(span) = self.spans.last_mut() else { return };
        span.links.push(Link {
            trace_id: Text::copy_from(link.trace_id),
            span_id: Text::copy_from(link.span_id),
            trace_state: Text::copy_from(link.trace_state),
            attributes: Vec::new(),
            dropped_attributes_count: link.dropped_attributes_count,
            flags: link.flags,
            unknown: Text::copy_from(link.unknown),
        });
    }

    fn end_span(&mut self) {
        self.begun = Begun::Nothing;
    }
}
