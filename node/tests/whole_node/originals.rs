//! What the recording holds, as the reference decoder reads it: no walker, no column, no store.
//!
//! Twice: each span alone with its resource and scope as the reference encoder writes it, to be
//! compared byte by byte; and as the model's spans, to be asked and adjusted.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hyper::body::Bytes;
use model::span::{Event, Link, ParentId, SpanKind, Status, StatusCode};
use model::{Attribute, AttributeValue, Resource, Scope, Span, SpanId, Text, Timestamp, TraceId};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, TracesData, span};
use opentelemetry_proto::tonic::{resource, trace};
use prost::Message;

/// The messages of the recording, in its order: 64,151 spans.
pub(crate) fn messages() -> &'static [Bytes] {
    static MESSAGES: OnceLock<Vec<Bytes>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/data/astronomy-oteltraces.zst");
        let read = bench::recording::read_messages(Path::new(path), None).unwrap();
        read.into_iter().map(Bytes::from).collect()
    })
}

/// Spans of the recording.
pub(crate) const SPANS: u64 = 64_151;

/// What identifies a span alone: its resource and scope around it, in the reference's bytes.
pub(crate) type Alone = Vec<u8>;

/// Each span of `message` alone, by trace id.
pub(crate) fn one_by_one(message: &[u8]) -> Vec<(TraceId, Alone)> {
    let mut alone = Vec::new();
    for group in TracesData::decode(message).unwrap().resource_spans {
        for mut scope_group in group.scope_spans {
            for span in std::mem::take(&mut scope_group.spans) {
                let trace_id = TraceId::from_slice(&span.trace_id).unwrap();
                let scope_spans = vec![ScopeSpans { spans: vec![span], ..scope_group.clone() }];
                let one = ResourceSpans {
                    resource: group.resource.clone(),
                    scope_spans,
                    schema_url: group.schema_url.clone(),
                };
                alone.push((trace_id, one.encode_to_vec()));
            }
        }
    }
    alone
}

/// The distinct spans of each trace of the recording, each alone.
pub(crate) fn alone_by_trace() -> BTreeMap<TraceId, BTreeSet<Alone>> {
    let mut traces: BTreeMap<TraceId, BTreeSet<Alone>> = BTreeMap::new();
    for (trace_id, span) in messages().iter().flat_map(|message| one_by_one(message)) {
        traces.entry(trace_id).or_default().insert(span);
    }
    traces
}

/// The traces of the recording as the model's spans, by id, in the order of a trace.
pub(crate) fn traces() -> BTreeMap<TraceId, Vec<Span>> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for message in messages() {
        for span in spans(TracesData::decode(message.clone()).unwrap()) {
            traces.entry(span.trace_id).or_default().push(span);
        }
    }
    for spans in traces.values_mut() {
        *spans = model::trace::distinct(std::mem::take(spans));
    }
    traces
}

fn spans(data: TracesData) -> Vec<Span> {
    let mut spans = Vec::new();
    for group in data.resource_spans {
        let resource = Arc::new(resource_of(group.resource, group.schema_url));
        for group in group.scope_spans {
            let scope = Arc::new(scope_of(group.scope, group.schema_url));
            let of_group = group.spans.into_iter();
            spans.extend(of_group.map(|span| span_of(span, &resource, &scope)));
        }
    }
    spans
}

fn resource_of(resource: Option<resource::v1::Resource>, schema_url: String) -> Resource {
    let present = resource.is_some();
    let resource = resource.unwrap_or_default();
    assert!(resource.entity_refs.is_empty(), "unknown to Skua's model, and not recorded");
    Resource {
        present,
        attributes: attributes(resource.attributes),
        dropped_attributes_count: resource.dropped_attributes_count,
        schema_url: schema_url.into(),
        ..Resource::default()
    }
}

fn scope_of(scope: Option<InstrumentationScope>, schema_url: String) -> Scope {
    let present = scope.is_some();
    let scope = scope.unwrap_or_default();
    Scope {
        present,
        name: scope.name.into(),
        version: scope.version.into(),
        attributes: attributes(scope.attributes),
        dropped_attributes_count: scope.dropped_attributes_count,
        schema_url: schema_url.into(),
        ..Scope::default()
    }
}

fn span_of(span: trace::v1::Span, resource: &Arc<Resource>, scope: &Arc<Scope>) -> Span {
    let parent = match SpanId::from_slice(&span.parent_span_id) {
        Some(id) => ParentId::Id(id),
        None if span.parent_span_id.is_empty() => ParentId::None,
        None => ParentId::Odd(span.parent_span_id.into()),
    };
    Span {
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
        trace_id: TraceId::from_slice(&span.trace_id).unwrap(),
        span_id: SpanId::from_slice(&span.span_id).unwrap(),
        parent,
        trace_state: span.trace_state.into(),
        flags: span.flags,
        name: span.name.into(),
        kind: SpanKind(span.kind),
        start: Timestamp(span.start_time_unix_nano),
        end: Timestamp(span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(event_of).collect(),
        links: span.links.into_iter().map(link_of).collect(),
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
        status: span.status.map(|status| Status {
            code: StatusCode(status.code),
            message: status.message.into(),
            unknown: Text::EMPTY,
        }),
        unknown: Text::EMPTY,
    }
}

fn event_of(event: span::Event) -> Event {
    Event {
        time: Timestamp(event.time_unix_nano),
        name: event.name.into(),
        attributes: attributes(event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
        unknown: Text::EMPTY,
    }
}

fn link_of(link: span::Link) -> Link {
    Link {
        trace_id: link.trace_id.into(),
        span_id: link.span_id.into(),
        trace_state: link.trace_state.into(),
        attributes: attributes(link.attributes),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
        unknown: Text::EMPTY,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Vec<Attribute> {
    let attribute = |pair: KeyValue| Attribute::new(pair.key, value_of(pair.value));
    pairs.into_iter().map(attribute).collect()
}

fn value_of(value: Option<AnyValue>) -> AttributeValue {
    let Some(AnyValue { value }) = value else { return AttributeValue::Missing };
    match value {
        None => AttributeValue::Empty,
        Some(Value::StringValue(text)) => AttributeValue::String(text.into()),
        Some(Value::BoolValue(truth)) => AttributeValue::Bool(truth),
        Some(Value::IntValue(number)) => AttributeValue::Int(number),
        Some(Value::DoubleValue(number)) => AttributeValue::Double(number),
        Some(Value::BytesValue(bytes)) => AttributeValue::Bytes(bytes.into()),
        Some(Value::ArrayValue(list)) => AttributeValue::Array(list.encode_to_vec().into()),
        Some(Value::KvlistValue(map)) => AttributeValue::KeyValueList(map.encode_to_vec().into()),
        Some(Value::StringValueStrindex(_)) => panic!("of profiles, and not recorded"),
    }
}
