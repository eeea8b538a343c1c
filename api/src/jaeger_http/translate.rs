//! OpenTelemetry's spans in Jaeger's terms: processes, tags, logs, references.
//!
//! Pure. What gets lost on the way is lost in Jaeger too: scope attributes, attributes of links,
//! dropped counts. One difference: warnings stay with their own span, where Jaeger gives those
//! of all spans of one id to the last of them.

use std::collections::HashMap;
use std::sync::Arc;

use model::span::{Event, Link, SpanKind, StatusCode};
use model::value::ValueRef;
use model::{
    Attribute, AttributeValue, Duration, Resource, Scope, Span, SpanId, Text, Timestamp, TraceId,
    nested,
};

use crate::adjust::{EditableSpan, EditableTrace, string_form, take_warnings};

/// The service of a resource without any attribute.
const NO_SERVICE_NAME: &str = "OTLPResourceNoServiceName";
/// The link attribute in which Jaeger's own receivers keep the type of a reference.
const REFERENCE_TYPE_KEY: &str = "opentracing.ref_type";

/// A trace in Jaeger's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct JaegerTrace {
    /// Its id.
    pub trace_id: TraceId,
    /// Its spans.
    pub spans: Vec<JaegerSpan>,
    /// Its distinct processes, by first appearance.
    pub processes: Vec<Process>,
}

/// A span in Jaeger's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct JaegerSpan {
    /// Its id.
    pub span_id: SpanId,
    /// Its operation.
    pub operation: Text,
    /// What it refers to, its parent first.
    pub references: Vec<Reference>,
    /// When it began.
    pub start: Timestamp,
    /// How long it lasted.
    pub duration: Duration,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its logs.
    pub logs: Vec<Log>,
    /// Index of its process.
    pub process: usize,
    /// What was repaired, and what seems wrong.
    pub warnings: Vec<Text>,
}

/// A reference to another span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `CHILD_OF` if true, `FOLLOWS_FROM` if not.
    pub is_child: bool,
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
}

/// What emitted a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its service.
    pub service: Text,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Something logged at a moment of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// When.
    pub time: Timestamp,
    /// What.
    pub fields: Vec<Tag>,
}

/// A key and a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: TagValue,
}

/// The value of a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum TagValue {
    /// `string`
    String(Text),
    /// `bool`
    Bool(bool),
    /// `int64`
    Int(i64),
    /// `float64`
    Double(f64),
    /// `binary`
    Binary(Text),
}

/// Translates a trace.
pub fn translate(trace: EditableTrace) -> JaegerTrace {
    let trace_id = trace.trace_id;
    let (mut translator, spans) = Translator::of(trace);
    let spans = spans.into_iter().map(|editable| translator.span(editable)).collect();
    JaegerTrace { trace_id, spans, processes: translator.into_processes() }
}

/// Translates the spans of a trace one after another.
pub(crate) struct Translator {
    resources: Vec<Arc<Resource>>,
    scope_tags: Vec<Vec<Tag>>,
    processes: Processes,
}

impl Translator {
    /// The translator of a trace, and its spans.
    pub(crate) fn of(trace: EditableTrace) -> (Self, Vec<EditableSpan>) {
        let EditableTrace { trace_id: _, resources, scopes, spans } = trace;
        let processes = Processes::new(resources.len());
        let scope_tags = scopes.iter().map(|scope| scope_tags(scope)).collect();
        (Self { resources, scope_tags, processes }, spans)
    }

    /// A span.
    pub(crate) fn span(&mut self, editable: EditableSpan) -> JaegerSpan {
        let resource = self.resources.get(editable.resource);
        let process =
            resource.map_or(0, |resource| self.processes.number(editable.resource, resource));
        let scope = self.scope_tags.get(editable.scope).map(Vec::as_slice).unwrap_or_default();
        translate_span(editable.span, scope, process)
    }

    /// The processes so far, by their numbers.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes.list
    }

    /// The same, when all spans are translated.
    pub(crate) fn into_processes(self) -> Vec<Process> {
        self.processes.list
    }
}

fn translate_span(mut span: Span, scope_tags: &[Tag], process: usize) -> JaegerSpan {
    let warnings = take_warnings(&mut span.attributes);
    JaegerSpan {
        span_id: span.span_id,
        references: references(&span),
        start: span.start,
        duration: span.duration(),
        logs: std::mem::take(&mut span.events).into_iter().map(log).collect(),
        process,
        warnings,
        operation: std::mem::take(&mut span.name),
        tags: span_tags(span, scope_tags),
    }
}

/// Scope, own attributes, then what Jaeger has no field for, in Jaeger's order.
fn span_tags(span: Span, scope_tags: &[Tag]) -> Vec<Tag> {
    let mut tags = Vec::with_capacity(scope_tags.len() + span.attributes.len() + 5);
    tags.extend_from_slice(scope_tags);
    tags.extend(span.attributes.into_iter().map(tag));
    let mut push = |key: &'static str, value: TagValue| {
        tags.push(Tag { key: Text::from_static(key), value });
    };
    if !span.kind.name().is_empty() {
        push("span.kind", TagValue::String(Text::from_static(span.kind.name())));
    }
    if let Some(status) = span.status {
        match status.code {
            StatusCode::OK => push("otel.status_code", string_tag("OK")),
            StatusCode::ERROR => {
                push("otel.status_code", string_tag("ERROR"));
                push("error", TagValue::Bool(true));
            }
            _ => {}
        }
        if !status.message.is_empty() {
            push("otel.status_description", TagValue::String(status.message));
        }
    }
    if !span.trace_state.is_empty() {
        push("w3c.tracestate", TagValue::String(span.trace_state));
    }
    tags
}

fn string_tag(text: &'static str) -> TagValue {
    TagValue::String(Text::from_static(text))
}

fn scope_tags(scope: &Scope) -> Vec<Tag> {
    [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| Tag {
            key: Text::from_static(key),
            value: TagValue::String(text.clone()),
        })
        .collect()
}

fn tag(attribute: Attribute) -> Tag {
    Tag { key: attribute.key, value: tag_value(attribute.value) }
}

fn tag_value(value: AttributeValue) -> TagValue {
    match value {
        AttributeValue::String(text) => TagValue::String(text),
        AttributeValue::Bool(truth) => TagValue::Bool(truth),
        AttributeValue::Int(number) => TagValue::Int(number),
        AttributeValue::Double(number) => TagValue::Double(number),
        AttributeValue::Bytes(bytes) => TagValue::Binary(bytes),
        AttributeValue::Missing | AttributeValue::Empty => TagValue::String(Text::EMPTY),
        AttributeValue::Array(_) | AttributeValue::KeyValueList(_) => {
            TagValue::String(string_form(&value))
        }
        AttributeValue::Opaque(_) | AttributeValue::OpaquePair(_) => {
            match nested::known_part(value.as_ref()) {
                ValueRef::Opaque(_) | ValueRef::OpaquePair(_) => TagValue::String(Text::EMPTY),
                known => tag_value(known.to_owned()),
            }
        }
    }
}

/// The event's name comes first, as the field `event`, unless an attribute has that key.
fn log(event: Event) -> Log {
    const EVENT_KEY: &str = "event";
    let mut fields = Vec::with_capacity(event.attributes.len() + 1);
    let has_own = event.attributes.iter().any(|attribute| attribute.key == EVENT_KEY);
    if !event.name.is_empty() && !has_own {
        let key = Text::from_static(EVENT_KEY);
        fields.push(Tag { key, value: TagValue::String(event.name) });
    }
    fields.extend(event.attributes.into_iter().map(tag));
    Log { time: event.time, fields }
}

/// The parent, then the links; a link to the parent only says what kind of reference that is.
fn references(span: &Span) -> Vec<Reference> {
    let mut references = Vec::with_capacity(span.links.len() + 1);
    let parent = span.parent.span_id();
    if let Some(span_id) = parent {
        references.push(Reference { is_child: true, trace_id: span.trace_id, span_id });
    }
    for link in &span.links {
        let reference = link_reference(link);
        let is_parent = parent == Some(reference.span_id) && reference.trace_id == span.trace_id;
        match references.first_mut().filter(|_| is_parent) {
            Some(first) => first.is_child = reference.is_child,
            None => references.push(reference),
        }
    }
    references
}

fn link_reference(link: &Link) -> Reference {
    let kind = link.attributes.iter().find(|attribute| attribute.key == REFERENCE_TYPE_KEY);
    let is_child = kind
        .and_then(|attribute| attribute.value.as_text())
        .is_some_and(|text| *text == "child_of");
    Reference {
        is_child,
        trace_id: TraceId::from_slice(link.trace_id.as_bytes()).unwrap_or_default(),
        span_id: SpanId::from_slice(link.span_id.as_bytes()).unwrap_or_default(),
    }
}

/// Numbers processes by first appearance; resources that make equal processes share a number.
struct Processes {
    list: Vec<Process>,
    by_resource: Vec<Option<usize>>,
    by_content: HashMap<Vec<u8>, usize>,
}

impl Processes {
    fn new(resources: usize) -> Self {
        Self { list: Vec::new(), by_resource: vec![None; resources], by_content: HashMap::new() }
    }

    fn number(&mut self, index: usize, resource: &Resource) -> usize {
        if let Some(number) = self.by_resource.get(index).copied().flatten() {
            return number;
        }
        let process = process(resource);
        let next = self.list.len();
        let number = *self.by_content.entry(content(&process)).or_insert(next);
        if number == next {
            self.list.push(process);
        }
        if let Some(known) = self.by_resource.get_mut(index) {
            *known = Some(number);
        }
        number
    }
}

/// The service name becomes a field, all else tags.
fn process(resource: &Resource) -> Process {
    const SERVICE_NAME_KEY: &str = model::effective::SERVICE_NAME_KEY;
    if resource.attributes.is_empty() {
        return Process { service: Text::from_static(NO_SERVICE_NAME), tags: Vec::new() };
    }
    let name = resource.attributes.iter().find(|attribute| attribute.key == SERVICE_NAME_KEY);
    let service = name.and_then(|attribute| attribute.value.as_text()).cloned();
    let others = resource.attributes.iter().filter(|own| own.key != SERVICE_NAME_KEY);
    Process { service: service.unwrap_or_default(), tags: others.cloned().map(tag).collect() }
}

/// Bytes that are equal for equal processes only.
fn content(process: &Process) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut push = |kind: u8, part: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&part.len().to_le_bytes());
        bytes.extend_from_slice(part);
    };
    push(0, process.service.as_bytes());
    for tag in &process.tags {
        push(1, tag.key.as_bytes());
        match &tag.value {
            TagValue::String(text) => push(2, text.as_bytes()),
            TagValue::Bool(truth) => push(3, &[u8::from(*truth)]),
            TagValue::Int(number) => push(4, &number.to_le_bytes()),
            TagValue::Double(number) => push(5, &number.to_bits().to_le_bytes()),
            TagValue::Binary(binary) => push(6, binary.as_bytes()),
        }
    }
    bytes
}

/// The kind that api/v3 over HTTP shows where none was said.
pub(crate) fn kind_or_internal(kind: SpanKind) -> &'static str {
    match kind.name() {
        "" => SpanKind::INTERNAL.name(),
        name => name,
    }
}
