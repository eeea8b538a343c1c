//! A visitor that builds owned spans of what it is told: the inverse of [`super::tell_spans`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead};
use crate::span::{Event, Link, ParentId, SpanKind, Status, StatusCode};
use crate::value::ValueRef;
use crate::{Attribute, Resource, Scope, Span, SpanId, SpanVisitor, Text, Timestamp};

/// Collects spans. Resources and scopes told before are known by their identity.
#[derive(Debug, Default)]
pub struct Collector {
    spans: Vec<Span>,
    current: Option<Span>,
    resources: BTreeMap<Vec<u8>, Arc<Resource>>,
    scopes: BTreeMap<Vec<u8>, Arc<Scope>>,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    group: Option<Group>,
}

/// A resource or scope whose attributes are being told.
#[derive(Debug)]
enum Group {
    Resource(Vec<u8>, Resource),
    Scope(Vec<u8>, Scope),
}

impl Collector {
    /// The spans told so far, in their order.
    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }

    /// Where the next attribute belongs, if anything was begun.
    fn attributes(&mut self) -> Option<&mut Vec<Attribute>> {
        match &mut self.group {
            Some(Group::Resource(_, resource)) => return Some(&mut resource.attributes),
            Some(Group::Scope(_, scope)) => return Some(&mut scope.attributes),
            None => {}
        }
        let span = self.current.as_mut()?;
        if let Some(link) = span.links.last_mut() {
            return Some(&mut link.attributes);
        }
        if let Some(event) = span.events.last_mut() {
            return Some(&mut event.attributes);
        }
        Some(&mut span.attributes)
    }
}

impl SpanVisitor for Collector {
    fn resource(&mut self, head: &ResourceHead<'_>) -> Interned {
        if let Some(known) = self.resources.get(head.identity) {
            self.resource = Arc::clone(known);
            return Interned::Known;
        }
        let resource = Resource {
            present: head.present,
            attributes: Vec::new(),
            dropped_attributes_count: head.dropped_attributes_count,
            schema_url: Text::copy_from(head.schema_url),
            unknown: Text::copy_from(head.unknown),
            group_unknown: Text::copy_from(head.group_unknown),
        };
        self.group = Some(Group::Resource(head.identity.to_vec(), resource));
        Interned::New
    }

    fn scope(&mut self, head: &ScopeHead<'_>) -> Interned {
        if let Some(known) = self.scopes.get(head.identity) {
            self.scope = Arc::clone(known);
            return Interned::Known;
        }
        let scope = Scope {
            present: head.present,
            name: Text::copy_from(head.name),
            version: Text::copy_from(head.version),
            attributes: Vec::new(),
            dropped_attributes_count: head.dropped_attributes_count,
            schema_url: Text::copy_from(head.schema_url),
            unknown: Text::copy_from(head.unknown),
            group_unknown: Text::copy_from(head.group_unknown),
        };
        self.group = Some(Group::Scope(head.identity.to_vec(), scope));
        Interned::New
    }

    fn end_group(&mut self) {
        match self.group.take() {
            Some(Group::Resource(identity, resource)) => {
                self.resource = Arc::new(resource);
                self.resources.insert(identity, Arc::clone(&self.resource));
            }
            Some(Group::Scope(identity, scope)) => {
                self.scope = Arc::new(scope);
                self.scopes.insert(identity, Arc::clone(&self.scope));
            }
            None => {}
        }
    }

    fn span(&mut self, head: &SpanHead<'_>) {
        let parent = match head.parent {
            [] => ParentId::None,
            bytes => SpanId::from_slice(bytes)
                .map_or_else(|| ParentId::Odd(Text::copy_from(bytes)), ParentId::Id),
        };
        self.current = Some(Span {
            resource: Arc::clone(&self.resource),
            scope: Arc::clone(&self.scope),
            trace_id: head.trace_id,
            span_id: head.span_id,
            parent,
            trace_state: Text::copy_from(head.trace_state),
            flags: head.flags,
            name: Text::copy_from(head.name),
            kind: SpanKind(head.kind),
            start: Timestamp(head.start),
            end: Timestamp(head.end),
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped_attributes_count: head.dropped_attributes_count,
            dropped_events_count: head.dropped_events_count,
            dropped_links_count: head.dropped_links_count,
            status: head.status.map(|status| Status {
                code: StatusCode(status.code),
                message: Text::copy_from(status.message),
                unknown: Text::copy_from(status.unknown),
            }),
            unknown: Text::copy_from(head.unknown),
        });
    }

    fn attribute(&mut self, key: &[u8], value: ValueRef<'_>) {
        let attribute = Attribute { key: Text::copy_from(key), value: value.to_owned() };
        if let Some(attributes) = self.attributes() {
            attributes.push(attribute);
        }
    }

    fn event(&mut self, head: &EventHead<'_>) {
        if let Some(span) = &mut self.current {
            span.events.push(Event {
                time: Timestamp(head.time),
                name: Text::copy_from(head.name),
                attributes: Vec::new(),
                dropped_attributes_count: head.dropped_attributes_count,
                unknown: Text::copy_from(head.unknown),
            });
        }
    }

    fn link(&mut self, head: &LinkHead<'_>) {
        if let Some(span) = &mut self.current {
            span.links.push(Link {
                trace_id: Text::copy_from(head.trace_id),
                span_id: Text::copy_from(head.span_id),
                trace_state: Text::copy_from(head.trace_state),
                attributes: Vec::new(),
                dropped_attributes_count: head.dropped_attributes_count,
                flags: head.flags,
                unknown: Text::copy_from(head.unknown),
            });
        }
    }

    fn end_span(&mut self) {
        self.spans.extend(self.current.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Generator, tell_spans};

    #[test]
    fn what_is_told_is_collected() {
        let spans = Generator::new(42).spans(1_000);
        let mut collector = Collector::default();
        tell_spans(&spans, &mut collector);
        assert_eq!(collector.into_spans(), spans);
    }
}
