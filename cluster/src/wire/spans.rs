//! Spans of one trace as batches, and back.
//!
//! Spans travel in the format in which they are stored: it is the smallest there is, it is checked,
//! and its reader exists. A batch keeps rows of equal start in the order in which they were told,
//! so spans of a trace, which are ordered by start first, come out as they went in. Where the order
//! is another one, a new batch begins: what goes in comes out in any case.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::batch::{Batch, Builder, Encoder};
use model::canonical::{write_resource, write_scope};
use model::sink::{
    EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead, SpanVisitor as _, StatusHead,
};
use model::span::{Event, Link, ParentId};
use model::{Attribute, BatchId, Resource, Scope, Span, Tenant, TraceId};
use twox_hash::XxHash3_128;

use super::WireError;
use super::limits::{SPANS_BYTES_CLOSE, SPANS_CLOSE};

/// Makes batches of spans; keeps its room.
#[derive(Debug)]
pub(crate) struct SpanPacker {
    tenant: Tenant,
    builder: Builder,
    encoder: Encoder,
    resources: Identities,
    scopes: Identities,
    /// Bytes of resources and scopes, which the builder does not count.
    group_bytes: usize,
}

/// What stands for the content of a resource or scope, by the address of the shared value: spans
/// are borrowed while they are told, so no address changes hands.
type Identities = BTreeMap<usize, Identity>;

#[derive(Debug, Clone, Copy)]
struct Identity {
    hash: [u8; 16],
    bytes: usize,
}

impl SpanPacker {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self {
            builder: Builder::new(tenant.clone()),
            tenant,
            encoder: Encoder::default(),
            resources: Identities::new(),
            scopes: Identities::new(),
            group_bytes: 0,
        }
    }

    /// A batch of as many of the first spans as go into one, and how many these are: at least one
    /// if there is any.
    pub(crate) fn pack(&mut self, spans: &[Span]) -> (Bytes, usize) {
        self.builder.reset(self.tenant.clone());
        self.resources.clear();
        self.scopes.clear();
        self.group_bytes = 0;
        let mut previous: Option<&Span> = None;
        let mut count = 0;
        for span in spans {
            if previous.is_some_and(|previous| self.must_close(count, previous, span)) {
                break;
            }
            self.tell(previous, span);
            previous = Some(span);
            count += 1;
        }
        // A name is for what is stored; here equal spans are to make equal bytes.
        let batch = self.encoder.encode(&self.builder, BatchId::default());
        (Bytes::from(batch), count)
    }

    fn must_close(&self, count: usize, previous: &Span, next: &Span) -> bool {
        count >= SPANS_CLOSE
            || self.builder.bytes() + self.group_bytes >= SPANS_BYTES_CLOSE
            || next.start < previous.start
            || next.trace_id != previous.trace_id
    }

    fn tell(&mut self, previous: Option<&Span>, span: &Span) {
        if previous.is_none_or(|previous| !Arc::ptr_eq(&previous.resource, &span.resource)) {
            self.tell_resource(&span.resource);
        }
        if previous.is_none_or(|previous| !Arc::ptr_eq(&previous.scope, &span.scope)) {
            self.tell_scope(&span.scope);
        }
        self.tell_head(span);
        self.tell_attributes(&span.attributes);
        for event in &span.events {
            self.tell_event(event);
        }
        for link in &span.links {
            self.tell_link(link);
        }
        self.builder.end_span();
    }

    fn tell_resource(&mut self, resource: &Arc<Resource>) {
        let identity = identity(&mut self.resources, resource, write_resource);
        let interned = self.builder.resource(&ResourceHead {
            identity: &identity.hash,
            present: resource.present,
            schema_url: resource.schema_url.as_bytes(),
            dropped_attributes_count: resource.dropped_attributes_count,
            unknown: resource.unknown.as_bytes(),
            group_unknown: resource.group_unknown.as_bytes(),
        });
        self.tell_group(interned, identity, &resource.attributes);
    }

    fn tell_scope(&mut self, scope: &Arc<Scope>) {
        let identity = identity(&mut self.scopes, scope, write_scope);
        let interned = self.builder.scope(&ScopeHead {
            identity: &identity.hash,
            present: scope.present,
            name: scope.name.as_bytes(),
            version: scope.version.as_bytes(),
            schema_url: scope.schema_url.as_bytes(),
            dropped_attributes_count: scope.dropped_attributes_count,
            unknown: scope.unknown.as_bytes(),
            group_unknown: scope.group_unknown.as_bytes(),
        });
        self.tell_group(interned, identity, &scope.attributes);
    }

    fn tell_group(&mut self, interned: Interned, identity: Identity, attributes: &[Attribute]) {
        if interned == Interned::New {
            self.group_bytes += identity.bytes;
            self.tell_attributes(attributes);
            self.builder.end_group();
        }
    }

    fn tell_head(&mut self, span: &Span) {
        let parent: &[u8] = match &span.parent {
            ParentId::None => b"",
            ParentId::Id(id) => id.as_bytes(),
            ParentId::Odd(bytes) => bytes.as_bytes(),
        };
        self.builder.span(&SpanHead {
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

    fn tell_event(&mut self, event: &Event) {
        self.builder.event(&EventHead {
            time: event.time.0,
            name: event.name.as_bytes(),
            dropped_attributes_count: event.dropped_attributes_count,
            unknown: event.unknown.as_bytes(),
        });
        self.tell_attributes(&event.attributes);
    }

    fn tell_link(&mut self, link: &Link) {
        self.builder.link(&LinkHead {
            trace_id: link.trace_id.as_bytes(),
            span_id: link.span_id.as_bytes(),
            trace_state: link.trace_state.as_bytes(),
            dropped_attributes_count: link.dropped_attributes_count,
            flags: link.flags,
            unknown: link.unknown.as_bytes(),
        });
        self.tell_attributes(&link.attributes);
    }

    fn tell_attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            self.builder.attribute(attribute.key.as_bytes(), attribute.value.as_ref());
        }
    }
}

fn identity<T>(
    known: &mut Identities,
    shared: &Arc<T>,
    write: impl Fn(&T, &mut Vec<u8>),
) -> Identity {
    *known.entry(Arc::as_ptr(shared).addr()).or_insert_with(|| {
        let mut content = Vec::new();
        write(shared, &mut content);
        Identity { hash: XxHash3_128::oneshot(&content).to_be_bytes(), bytes: content.len() }
    })
}

/// The spans of a batch that has come from a peer.
///
/// Invariant (TEN-1): spans of another tenant are refused, as are those of another trace.
pub(crate) fn unpack(
    batch: Bytes,
    tenant: &Tenant,
    trace_id: TraceId,
) -> Result<Vec<Span>, WireError> {
    let batch = Batch::open(batch)?;
    if batch.header().tenant != *tenant {
        return Err(WireError::invalid("a batch of spans", "it is another tenant's"));
    }
    let spans = batch.spans()?;
    if spans.iter().any(|span| span.trace_id != trace_id) {
        return Err(WireError::invalid("a batch of spans", "it is of another trace"));
    }
    Ok(spans)
}

/// How many bytes the spans of a batch take at least, once they are read.
pub(crate) fn unpacked_bytes_min(batch: &Bytes) -> usize {
    Batch::open(batch.clone())
        .map_or(0, |batch| (batch.header().span_count as usize).saturating_mul(size_of::<Span>()))
}
