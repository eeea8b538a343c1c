//! Jaeger's span model becomes OTLP: the rules, whatever the wire format was.
//!
//! The wire formats give a [`SpanHead`] and iterators over tags, references and logs; they are
//! read twice (what decides about the span first, then what is written), which costs less than
//! keeping them.
//!
//! The rules, after those of OpenTelemetry's translator that Jaeger's own receivers use:
//! - `span.kind`, `otel.status_code`, `otel.status_description` and `w3c.tracestate` become
//!   fields; `error` does if it is the truth value `true`, any other stays an attribute; of a
//!   tag that stands twice the last one counts. `http.status_code` decides about a status that
//!   nothing else says.
//! - The parent is the first reference to the same trace that is `CHILD_OF`, else the first that
//!   is `FOLLOWS_FROM`; other references become links with `opentracing.ref_type`.
//! - A log becomes an event named by its text field `event`.
//! - Of a process, `hostname` becomes `host.name` and `jaeger.version` becomes
//!   `opencensus.exporterversion`, unless those are there already.
//!
//! Where that translator would lose something, this one keeps it: tags that stand twice, a
//! `span.kind` of no known name, an `event` field that is not text, a `CHILD_OF` reference to
//! the parent's id in another trace, warnings.

use super::arena::{Arena, Attributes, TranslateError, Value, attributes_of};
use super::decisive::{Decisive, ERROR, UNSET};
use super::limits::SPAN_ITEMS_TRANSLATED_MAX;
use crate::adjust::WARNINGS_KEY;

/// What Jaeger calls a service when there is none.
const NO_SERVICE_NAME: &[u8] = b"OTLPResourceNoServiceName";

/// A tag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tag<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: TagValue<'a>,
}

/// The value of a tag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TagValue<'a> {
    /// A value.
    Known(Value<'a>),
    /// A type that does not exist, in Thrift, where it has no name.
    UnknownThrift,
    /// A type that does not exist, in protobuf, where its number is its name.
    UnknownProto(i32),
}

impl<'a> Tag<'a> {
    /// The value, if its type exists.
    pub(super) fn known(&self) -> Option<Value<'a>> {
        match self.value {
            TagValue::Known(value) => Some(value),
            _ => None,
        }
    }

    fn put(&self, attributes: &mut Attributes<'_>) {
        self.put_as(self.key, attributes);
    }

    fn put_as(&self, key: &[u8], attributes: &mut Attributes<'_>) {
        match self.value {
            TagValue::Known(value) => attributes.put(key, value),
            TagValue::UnknownThrift => {
                attributes.put(key, Value::Text(b"<Unknown Jaeger TagType \"<UNSET>\">"));
            }
            TagValue::UnknownProto(number) => {
                let text = format!("<Unknown Jaeger TagType \"{number}\">");
                attributes.put(key, Value::Text(text.as_bytes()));
            }
        }
    }
}

/// A reference to another span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The other span's trace, in 16 bytes if it is well-formed.
    pub trace_id: TraceIdBytes<'a>,
    /// The other span, in eight bytes if it is well-formed.
    pub span_id: SpanIdBytes<'a>,
    /// `CHILD_OF` rather than `FOLLOWS_FROM`.
    pub is_child_of: bool,
}

/// A trace id as it came: complete, or bytes of a wrong number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceIdBytes<'a> {
    /// 16 bytes.
    Whole([u8; 16]),
    /// Something else, for the walker to reject.
    Odd(&'a [u8]),
}

impl<'a> TraceIdBytes<'a> {
    /// Of two halves.
    pub fn from_halves(high: i64, low: i64) -> Self {
        let both = u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned());
        Self::Whole(both.to_be_bytes())
    }

    /// Of bytes; eight are the low half.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        if let Ok(whole) = bytes.try_into() {
            return Self::Whole(whole);
        }
        match <[u8; 8]>::try_from(bytes) {
            Ok(low) => Self::from_halves(0, i64::from_be_bytes(low)),
            Err(_) => Self::Odd(bytes),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Odd(bytes) => bytes,
        }
    }

    fn is_blank(&self) -> bool {
        self.as_bytes().iter().all(|byte| *byte == 0)
    }
}

/// A span id as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanIdBytes<'a> {
    /// Eight bytes.
    Whole([u8; 8]),
    /// Something else, for the walker to reject.
    Odd(&'a [u8]),
}

impl<'a> SpanIdBytes<'a> {
    /// Of a number.
    pub fn from_number(id: i64) -> Self {
        Self::Whole(id.to_be_bytes())
    }

    /// Of bytes.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        bytes.try_into().map_or(Self::Odd(bytes), Self::Whole)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Odd(bytes) => bytes,
        }
    }

    /// Whether it names no span.
    pub fn is_blank(&self) -> bool {
        self.as_bytes().iter().all(|byte| *byte == 0)
    }
}

/// A log.
#[derive(Debug, Clone)]
pub struct Log<F> {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Its fields.
    pub fields: F,
}

/// A span without its lists.
#[derive(Debug, Clone, Copy)]
pub struct SpanHead<'a> {
    /// Its trace.
    pub trace_id: TraceIdBytes<'a>,
    /// Its id.
    pub span_id: SpanIdBytes<'a>,
    /// The parent, where the format says it outright; blank for none.
    pub parent: SpanIdBytes<'a>,
    /// Its operation.
    pub name: &'a [u8],
    /// Jaeger's flags; the lowest bit says "sampled", as it does in OTLP.
    pub flags: u32,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
}

impl SpanHead<'_> {
    /// Whether nothing was said of the span; Jaeger passes over such a one.
    pub fn is_blank(&self) -> bool {
        self.trace_id.is_blank()
            && self.span_id.is_blank()
            && self.parent.is_blank()
            && self.name.is_empty()
            && self.flags == 0
            && self.end == 0
    }
}

/// Microseconds since the epoch as nanoseconds; the span of time that OTLP cannot say is cut off.
pub fn nanos_of_micros(micros: i128) -> u64 {
    clamped(micros.saturating_mul(1_000))
}

/// Nanoseconds since the epoch, cut off at both ends.
pub fn clamped(nanos: i128) -> u64 {
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

/// Writes the attributes of the resource that a process is.
pub fn write_process<'a, E>(
    attributes: &mut Attributes<'_>,
    service_name: &[u8],
    tags: impl Iterator<Item = Result<Tag<'a>, E>> + Clone,
) -> Result<(), E> {
    let (mut has_service, mut has_host, mut has_exporter) = (false, false, false);
    for tag in tags.clone() {
        match tag?.key {
            b"service.name" => has_service = true,
            b"host.name" => has_host = true,
            b"opencensus.exporterversion" => has_exporter = true,
            _ => {}
        }
    }
    // A tag of that name counts more: it comes later.
    if !service_name.is_empty() && service_name != NO_SERVICE_NAME && !has_service {
        attributes.put(b"service.name", Value::Text(service_name));
    }
    for tag in tags {
        let tag = tag?;
        match tag.key {
            b"hostname" if !has_host => tag.put_as(b"host.name", attributes),
            b"jaeger.version" if !has_exporter => {
                let version = tag.known().map(Value::text).unwrap_or_default();
                let text = [b"Jaeger-", version].concat();
                attributes.put(b"opencensus.exporterversion", Value::Text(&text));
            }
            _ => tag.put(attributes),
        }
    }
    Ok(())
}

/// Writes a span into the open scope.
pub fn write_span<'a, E, T, R, L, F>(
    arena: &mut Arena,
    head: &SpanHead<'a>,
    (tags, references, logs): (T, R, L),
    warnings: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<(), TranslateError>
where
    TranslateError: From<E>,
    T: Iterator<Item = Result<Tag<'a>, E>> + Clone,
    R: Iterator<Item = Result<Reference<'a>, E>> + Clone,
    L: Iterator<Item = Result<Log<F>, E>>,
    F: Iterator<Item = Result<Tag<'a>, E>> + Clone,
{
    let decisive = Decisive::of(tags.clone())?;
    let status = decisive.status();
    let kind = decisive.span_kind();
    let parent = parent_of(head, references.clone())?;

    let span = arena.begin_span();
    let writer = arena.writer();
    writer.bytes_field(1, head.trace_id.as_bytes());
    writer.bytes_field(2, head.span_id.as_bytes());
    if let Some(trace_state) = decisive.trace_state {
        writer.bytes_field(3, trace_state.text());
    }
    if let Some(parent) = &parent {
        writer.bytes_field(4, parent.as_bytes());
    }
    writer.bytes_field(5, head.name);
    if kind != 0 {
        writer.varint_field(6, kind);
    }
    writer.fixed64_field(7, head.start);
    writer.fixed64_field(8, head.end);

    let mut attributes = arena.attributes(attributes_of::SPAN);
    for tag in tags {
        let tag = tag?;
        let is_field = match tag.key {
            b"span.kind" => kind != 0,
            b"error" => tag.known() == Some(Value::Bool(true)) && status.code == ERROR,
            b"otel.status_code" | b"w3c.tracestate" => true,
            b"otel.status_description" => status.takes_description,
            _ => false,
        };
        if !is_field {
            tag.put(&mut attributes);
        }
    }
    if warnings.clone().next().is_some() {
        attributes.put_texts(WARNINGS_KEY.as_bytes(), warnings);
    }
    for log in logs.take(SPAN_ITEMS_TRANSLATED_MAX) {
        write_event(arena, log?)?;
    }
    write_links(arena, head, parent.as_ref(), references)?;

    if status.code != UNSET || !status.message.is_empty() {
        let writer = arena.writer();
        let nested = writer.begin(15);
        if !status.message.is_empty() {
            writer.bytes_field(2, status.message);
        }
        if status.code != UNSET {
            writer.varint_field(3, status.code);
        }
        writer.end(nested);
    }
    if head.flags & 1 != 0 {
        arena.writer().fixed32_field(16, 1);
    }
    arena.end_span(span)
}

fn parent_of<'a, E>(
    head: &SpanHead<'a>,
    references: impl Iterator<Item = Result<Reference<'a>, E>>,
) -> Result<Option<SpanIdBytes<'a>>, E> {
    if !head.parent.is_blank() {
        return Ok(Some(head.parent));
    }
    let mut followed = None;
    for reference in references {
        let reference = reference?;
        if reference.trace_id != head.trace_id {
            continue;
        }
        if reference.is_child_of {
            return Ok(Some(reference.span_id).filter(|id| !id.is_blank()));
        }
        followed = followed.or(Some(reference.span_id));
    }
    Ok(followed.filter(|id| !id.is_blank()))
}

fn write_links<'a, E>(
    arena: &mut Arena,
    head: &SpanHead<'a>,
    parent: Option<&SpanIdBytes<'a>>,
    references: impl Iterator<Item = Result<Reference<'a>, E>>,
) -> Result<(), E> {
    for reference in references.take(SPAN_ITEMS_TRANSLATED_MAX) {
        let reference = reference?;
        let is_parent = parent == Some(&reference.span_id)
            && reference.is_child_of
            && reference.trace_id == head.trace_id;
        if is_parent {
            continue;
        }
        let link = arena.writer().begin(13);
        arena.writer().bytes_field(1, reference.trace_id.as_bytes());
        arena.writer().bytes_field(2, reference.span_id.as_bytes());
        let kind: &[u8] = if reference.is_child_of { b"child_of" } else { b"follows_from" };
        let mut attributes = arena.attributes(attributes_of::LINK);
        attributes.put(b"opentracing.ref_type", Value::Text(kind));
        arena.writer().end(link);
    }
    Ok(())
}

fn write_event<'a, E, F>(arena: &mut Arena, log: Log<F>) -> Result<(), E>
where
    F: Iterator<Item = Result<Tag<'a>, E>> + Clone,
{
    let mut name = None;
    for (place, field) in log.fields.clone().enumerate() {
        let field = field?;
        if let (b"event", Some(Value::Text(text))) = (field.key, field.known()) {
            name = Some((place, text));
        }
    }
    let event = arena.writer().begin(11);
    arena.writer().fixed64_field(1, log.time);
    if let Some((_, name)) = name {
        arena.writer().bytes_field(2, name);
    }
    let mut attributes = arena.attributes(attributes_of::EVENT);
    for (place, field) in log.fields.enumerate() {
        if name.is_none_or(|(of_name, _)| of_name != place) {
            field?.put(&mut attributes);
        }
    }
    arena.writer().end(event);
    Ok(())
}
