//! The messages of `jaeger.api_v2` that carry spans, read where they lie.
//!
//! Each message is scanned for its scalars, and its lists are iterated over its bytes. What
//! protobuf means is kept: fields in any order, the last scalar counts, unknown fields are passed
//! over, times that stand twice are merged. Of a process that stands twice the last one counts
//! (no writer repeats it).

use crate::jaeger_thrift::arena::{Arena, TranslateError, Value};
use crate::jaeger_thrift::translate::{
    Log, Reference, SpanHead, SpanIdBytes, Tag, TagValue, TraceIdBytes, clamped, write_process,
    write_span,
};
use crate::otlp::wire::{FIXED64, LENGTH, Reader, VARINT, WireError, low_i32, low_u32, tag};

/// Tags of `PostSpansRequest`.
mod request {
    use super::{LENGTH, tag};
    pub(super) const BATCH: u32 = tag(1, LENGTH);
}

/// Tags of `Batch`.
mod spans_and_process {
    use super::{LENGTH, tag};
    pub(super) const SPANS: u32 = tag(1, LENGTH);
    pub(super) const PROCESS: u32 = tag(2, LENGTH);
}

/// Tags of `Process`.
mod process {
    use super::{LENGTH, tag};
    pub(super) const SERVICE_NAME: u32 = tag(1, LENGTH);
    pub(super) const TAGS: u32 = tag(2, LENGTH);
}

/// Tags of `Span`.
mod span {
    use super::{LENGTH, VARINT, tag};
    pub(super) const TRACE_ID: u32 = tag(1, LENGTH);
    pub(super) const SPAN_ID: u32 = tag(2, LENGTH);
    pub(super) const OPERATION_NAME: u32 = tag(3, LENGTH);
    pub(super) const REFERENCES: u32 = tag(4, LENGTH);
    pub(super) const FLAGS: u32 = tag(5, VARINT);
    pub(super) const START_TIME: u32 = tag(6, LENGTH);
    pub(super) const DURATION: u32 = tag(7, LENGTH);
    pub(super) const TAGS: u32 = tag(8, LENGTH);
    pub(super) const LOGS: u32 = tag(9, LENGTH);
    pub(super) const PROCESS: u32 = tag(10, LENGTH);
    pub(super) const WARNINGS: u32 = tag(12, LENGTH);
}

/// Tags of `google.protobuf.Timestamp` and `Duration`.
mod time {
    use super::{VARINT, tag};
    pub(super) const SECONDS: u32 = tag(1, VARINT);
    pub(super) const NANOS: u32 = tag(2, VARINT);
}

/// Tags of `KeyValue`.
mod key_value {
    use super::{FIXED64, LENGTH, VARINT, tag};
    pub(super) const KEY: u32 = tag(1, LENGTH);
    pub(super) const V_TYPE: u32 = tag(2, VARINT);
    pub(super) const V_STR: u32 = tag(3, LENGTH);
    pub(super) const V_BOOL: u32 = tag(4, VARINT);
    pub(super) const V_INT64: u32 = tag(5, VARINT);
    pub(super) const V_FLOAT64: u32 = tag(6, FIXED64);
    pub(super) const V_BINARY: u32 = tag(7, LENGTH);
}

/// Tags of `SpanRef`.
mod span_ref {
    use super::{LENGTH, VARINT, tag};
    pub(super) const TRACE_ID: u32 = tag(1, LENGTH);
    pub(super) const SPAN_ID: u32 = tag(2, LENGTH);
    pub(super) const REF_TYPE: u32 = tag(3, VARINT);
}

/// Tags of `Log`.
mod log {
    use super::{LENGTH, tag};
    pub(super) const TIMESTAMP: u32 = tag(1, LENGTH);
    pub(super) const FIELDS: u32 = tag(2, LENGTH);
}

/// Translates a `PostSpansRequest`.
pub fn translate(bytes: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    let mut shared = None;
    each(bytes, request::BATCH, |message| {
        each(message, spans_and_process::PROCESS, |process| {
            shared = Some(process);
            Ok::<_, WireError>(())
        })
    })?;
    let mut spans = Spans { arena, previous: Previous::Nothing };
    each(bytes, request::BATCH, |message| {
        each(message, spans_and_process::SPANS, |span| spans.translate(span, shared))
    })
}

/// Translates one bare `Span` with its own process, as Jaeger's collector puts it into Kafka.
pub fn translate_span(bytes: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    Spans { arena, previous: Previous::Nothing }.translate(bytes, None)
}

/// Tells `told` of every field of a message with this tag.
fn each<'a, E: From<WireError>>(
    message: &'a [u8],
    wanted: u32,
    mut told: impl FnMut(&'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            found if found == wanted => told(reader.bytes()?)?,
            found => reader.skip(found)?,
        }
    }
    Ok(())
}

/// What the span before had.
#[derive(PartialEq, Eq)]
enum Previous<'a> {
    /// There was none.
    Nothing,
    /// Its process, if it had one.
    Process(Option<&'a [u8]>),
}

/// Spans being translated.
struct Spans<'a, 'w> {
    arena: &'w mut Arena,
    previous: Previous<'a>,
}

impl<'a> Spans<'a, '_> {
    fn translate(
        &mut self,
        message: &'a [u8],
        shared: Option<&'a [u8]>,
    ) -> Result<(), TranslateError> {
        let (head, own) = read_head(message)?;
        if message.is_empty() {
            return Ok(());
        }
        let process = own.or(shared);
        if self.previous != Previous::Process(process) {
            self.arena.resource(|attributes| match process {
                Some(process) => {
                    let name = service_name(process)?;
                    write_process(attributes, name, Repeated::of(process, process::TAGS, read_tag))
                }
                None => Ok(()),
            })?;
            self.previous = Previous::Process(process);
        }
        let tags = Repeated::of(message, span::TAGS, read_tag);
        let scope = Scope::of(tags.clone())?;
        self.arena.scope(scope.name.unwrap_or_default(), scope.version.unwrap_or_default());
        let tags = tags.filter(move |tag| tag.as_ref().map_or(true, |tag| !scope.took(tag)));
        let references = Repeated::of(message, span::REFERENCES, read_reference);
        let logs = Repeated::of(message, span::LOGS, read_log);
        // Reading the head went over all of them.
        let warnings = Repeated::of(message, span::WARNINGS, Ok).filter_map(Result::ok);
        write_span(self.arena, &head, (tags, references, logs), warnings)
    }
}

/// A span's scalars and its own process.
fn read_head(message: &[u8]) -> Result<(SpanHead<'_>, Option<&[u8]>), WireError> {
    let (mut trace_id, mut span_id, mut name): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let (mut flags, mut start, mut duration) = (0, 0, 0);
    let mut process = None;
    let mut reader = Reader::new(message);
    let (mut start_parts, mut duration_parts) = (Time::default(), Time::default());
    while !reader.is_at_end() {
        match reader.tag()? {
            span::TRACE_ID => trace_id = reader.bytes()?,
            span::SPAN_ID => span_id = reader.bytes()?,
            span::OPERATION_NAME => name = reader.bytes()?,
            span::FLAGS => flags = low_u32(reader.varint()?),
            span::START_TIME => start = start_parts.merge(reader.bytes()?)?,
            span::DURATION => duration = duration_parts.merge(reader.bytes()?)?,
            span::PROCESS => process = Some(reader.bytes()?),
            other => reader.skip(other)?,
        }
    }
    let head = SpanHead {
        trace_id: TraceIdBytes::from_bytes(trace_id),
        span_id: SpanIdBytes::from_bytes(span_id),
        parent: SpanIdBytes::Odd(&[]),
        name,
        flags,
        start: clamped(start),
        end: clamped(start + duration),
    };
    Ok((head, process))
}

/// `Timestamp` and `Duration`, which have the same fields.
#[derive(Default)]
struct Time {
    seconds: i64,
    nanos: i32,
}

impl Time {
    /// Adds what another occurrence says; answers the whole in nanoseconds.
    fn merge(&mut self, message: &[u8]) -> Result<i128, WireError> {
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            match reader.tag()? {
                time::SECONDS => self.seconds = reader.varint()?.cast_signed(),
                time::NANOS => self.nanos = low_i32(reader.varint()?),
                other => reader.skip(other)?,
            }
        }
        Ok(i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos))
    }
}

fn service_name(process: &[u8]) -> Result<&[u8], WireError> {
    let mut name: &[u8] = &[];
    each(process, process::SERVICE_NAME, |found| {
        name = found;
        Ok::<_, WireError>(())
    })?;
    Ok(name)
}

/// The instrumentation scope that a span's tags name.
#[derive(Debug, Clone, Copy, Default)]
struct Scope<'a> {
    name: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
}

impl<'a> Scope<'a> {
    /// A version without a name stays a tag.
    fn of(tags: impl Iterator<Item = Result<Tag<'a>, WireError>>) -> Result<Self, WireError> {
        let mut scope = Self::default();
        for tag in tags {
            let tag = tag?;
            let TagValue::Known(Value::Text(text)) = tag.value else { continue };
            match tag.key {
                b"otel.scope.name" => scope.name = scope.name.or(Some(text)),
                b"otel.scope.version" => scope.version = scope.version.or(Some(text)),
                _ => {}
            }
        }
        Ok(if scope.name.is_some() { scope } else { Self::default() })
    }

    /// Whether a tag is what the scope says already.
    fn took(&self, tag: &Tag<'_>) -> bool {
        let TagValue::Known(Value::Text(text)) = tag.value else { return false };
        match tag.key {
            b"otel.scope.name" => self.name == Some(text),
            b"otel.scope.version" => self.version == Some(text),
            _ => false,
        }
    }
}

fn read_tag(message: &[u8]) -> Result<Tag<'_>, WireError> {
    let (mut key, mut text, mut binary): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let (mut kind, mut truth, mut integer, mut double) = (0, false, 0, 0.0);
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            key_value::KEY => key = reader.bytes()?,
            key_value::V_TYPE => kind = low_i32(reader.varint()?),
            key_value::V_STR => text = reader.bytes()?,
            key_value::V_BOOL => truth = reader.varint()? != 0,
            key_value::V_INT64 => integer = reader.varint()?.cast_signed(),
            key_value::V_FLOAT64 => double = f64::from_bits(reader.fixed64()?),
            key_value::V_BINARY => binary = reader.bytes()?,
            other => reader.skip(other)?,
        }
    }
    let value = match kind {
        0 => TagValue::Known(Value::Text(text)),
        1 => TagValue::Known(Value::Bool(truth)),
        2 => TagValue::Known(Value::Int(integer)),
        3 => TagValue::Known(Value::Double(double)),
        4 => TagValue::Known(Value::Bytes(binary)),
        other => TagValue::UnknownProto(other),
    };
    Ok(Tag { key, value })
}

fn read_reference(message: &[u8]) -> Result<Reference<'_>, WireError> {
    let (mut trace_id, mut span_id, mut kind): (&[u8], &[u8], i32) = (&[], &[], 0);
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            span_ref::TRACE_ID => trace_id = reader.bytes()?,
            span_ref::SPAN_ID => span_id = reader.bytes()?,
            span_ref::REF_TYPE => kind = low_i32(reader.varint()?),
            other => reader.skip(other)?,
        }
    }
    let (trace_id, span_id) =
        (TraceIdBytes::from_bytes(trace_id), SpanIdBytes::from_bytes(span_id));
    Ok(Reference { trace_id, span_id, is_child_of: kind == 0 })
}

fn read_log(message: &[u8]) -> Result<Log<Repeated<'_, Tag<'_>>>, WireError> {
    let (mut parts, mut time) = (Time::default(), 0);
    each(message, log::TIMESTAMP, |timestamp| {
        time = parts.merge(timestamp)?;
        Ok::<_, WireError>(())
    })?;
    let fields = Repeated::of(message, log::FIELDS, read_tag);
    Ok(Log { time: clamped(time), fields })
}

/// The messages of a repeated field, read one after another.
#[derive(Debug)]
struct Repeated<'a, T> {
    reader: Reader<'a>,
    wanted: u32,
    read: fn(&'a [u8]) -> Result<T, WireError>,
}

impl<T> Clone for Repeated<'_, T> {
    fn clone(&self) -> Self {
        Self { reader: self.reader, wanted: self.wanted, read: self.read }
    }
}

impl<'a, T> Repeated<'a, T> {
    fn of(message: &'a [u8], wanted: u32, read: fn(&'a [u8]) -> Result<T, WireError>) -> Self {
        Self { reader: Reader::new(message), wanted, read }
    }

    fn read_next(&mut self) -> Result<Option<T>, WireError> {
        while !self.reader.is_at_end() {
            match self.reader.tag()? {
                found if found == self.wanted => {
                    return (self.read)(self.reader.bytes()?).map(Some);
                }
                found => self.reader.skip(found)?,
            }
        }
        Ok(None)
    }
}

impl<T> Iterator for Repeated<'_, T> {
    type Item = Result<T, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read_next();
        if item.is_err() {
            self.reader = Reader::new(&[]);
        }
        item.transpose()
    }
}
