//! The structures of `jaeger.thrift` and `agent.thrift`, read in either encoding.
//!
//! A `Batch` is passed over once to see that it is well-formed and where its lists begin; the
//! lists are then read where they lie. A structure without one of its required fields is
//! refused, as Jaeger's generated readers do; fields that are not known, or of another type than
//! they should be, are passed over.

use super::arena::Value;
use super::arena::{Arena, TranslateError};
use super::protocol::{Field, Kind, List, Protocol, ThriftError};
use super::translate::{
    Log, Reference, SpanHead, SpanIdBytes, Tag, TagValue, TraceIdBytes, nanos_of_micros,
    write_process, write_span,
};

/// Translates a bare `Batch`, as HTTP carries it.
pub fn translate<'a, P: Protocol<'a>>(
    bytes: &'a [u8],
    arena: &mut Arena,
) -> Result<(), TranslateError> {
    translate_batch(&mut P::new(bytes), arena)
}

/// Translates an `emitBatch` message, as a datagram carries it.
pub fn translate_message<'a, P: Protocol<'a>>(
    bytes: &'a [u8],
    arena: &mut Arena,
) -> Result<(), TranslateError> {
    let mut reader = P::new(bytes);
    let message = reader.message()?;
    if !message.is_call() {
        return Err(ThriftError::NotACall.into());
    }
    if message.name != b"emitBatch" {
        return Err(ThriftError::Method.into());
    }
    let mut batch = None;
    each_field(&mut reader, |reader, field| {
        if let (1, Kind::Struct) = (field.id, field.kind) {
            batch = Some(reader.clone());
        }
        reader.skip(field.kind)
    })?;
    translate_batch(&mut batch.ok_or(ThriftError::Missing("batch"))?, arena)
}

fn translate_batch<'a, P: Protocol<'a>>(
    reader: &mut P,
    arena: &mut Arena,
) -> Result<(), TranslateError> {
    let (mut process, mut spans) = (None, None);
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::Struct) => process = Some(reader.clone()),
            (2, Kind::List) => spans = Some(reader.clone()),
            _ => {}
        }
        reader.skip(field.kind)
    })?;
    let process = Process::read(&mut process.ok_or(ThriftError::Missing("process"))?)?;
    let spans: Items<P, ()> = Items::at(spans.ok_or(ThriftError::Missing("spans"))?, "Span", skip)?;

    arena.resource(|attributes| write_process(attributes, process.service_name, process.tags))?;
    arena.scope(b"", b"");
    let (mut reader, count) = (spans.reader, spans.left);
    for _ in 0..count {
        translate_span(&mut reader, arena)?;
    }
    Ok(())
}

fn skip<'a, P: Protocol<'a>>(reader: &mut P) -> Result<(), ThriftError> {
    reader.skip(Kind::Struct)
}

fn translate_span<'a, P: Protocol<'a>>(
    reader: &mut P,
    arena: &mut Arena,
) -> Result<(), TranslateError> {
    let mut numbers: [Option<i64>; 10] = [None; 10];
    let mut name: Option<&[u8]> = None;
    let (mut references, mut tags, mut logs) = (None, None, None);
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1..=4 | 8..=9, Kind::I64) => {
                let value = reader.i64()?;
                if let Some(place) = numbers.get_mut(usize::from(field.id.unsigned_abs())) {
                    *place = Some(value);
                }
                return Ok(());
            }
            (7, Kind::I32) => {
                let [.., flags, _, _] = &mut numbers;
                *flags = Some(i64::from(reader.i32()?));
                return Ok(());
            }
            (5, Kind::Bytes) => {
                name = Some(reader.bytes()?);
                return Ok(());
            }
            (6, Kind::List) => references = Some(reader.clone()),
            (10, Kind::List) => tags = Some(reader.clone()),
            (11, Kind::List) => logs = Some(reader.clone()),
            _ => {}
        }
        reader.skip(field.kind)
    })?;
    let [_, trace_low, trace_high, span_id, parent, _, _, flags, start, duration] = numbers;
    let required = |value: Option<i64>, name| value.ok_or(ThriftError::Missing(name));
    let start = required(start, "startTime")?;
    let duration = required(duration, "duration")?;
    let flags = required(flags, "flags")?;
    let head = SpanHead {
        trace_id: TraceIdBytes::from_halves(
            required(trace_high, "traceIdHigh")?,
            required(trace_low, "traceIdLow")?,
        ),
        span_id: SpanIdBytes::from_number(required(span_id, "spanId")?),
        parent: SpanIdBytes::from_number(required(parent, "parentSpanId")?),
        name: name.ok_or(ThriftError::Missing("operationName"))?,
        flags: u32::from(flags & 1 != 0),
        start: nanos_of_micros(i128::from(start)),
        end: nanos_of_micros(i128::from(start) + i128::from(duration)),
    };
    let lists = (
        Items::maybe_at(tags, "Tag", read_tag)?,
        Items::maybe_at(references, "SpanRef", read_reference)?,
        Items::maybe_at(logs, "Log", read_log)?,
    );
    if head.is_blank() && lists.0.left == 0 && lists.2.left == 0 {
        return Ok(());
    }
    write_span(arena, &head, lists, std::iter::empty())
}

/// A `Process`.
struct Process<'a, P> {
    service_name: &'a [u8],
    tags: Items<P, Tag<'a>>,
}

impl<'a, P: Protocol<'a>> Process<'a, P> {
    fn read(reader: &mut P) -> Result<Self, ThriftError> {
        let (mut service_name, mut tags) = (None, None);
        each_field(reader, |reader, field| {
            match (field.id, field.kind) {
                (1, Kind::Bytes) => {
                    service_name = Some(reader.bytes()?);
                    return Ok(());
                }
                (2, Kind::List) => tags = Some(reader.clone()),
                _ => {}
            }
            reader.skip(field.kind)
        })?;
        let service_name = service_name.ok_or(ThriftError::Missing("serviceName"))?;
        Ok(Self { service_name, tags: Items::maybe_at(tags, "Tag", read_tag)? })
    }
}

fn read_tag<'a, P: Protocol<'a>>(reader: &mut P) -> Result<Tag<'a>, ThriftError> {
    let (mut key, mut kind) = (None, None);
    let (mut text, mut double, mut truth, mut long, mut binary) = (&[][..], 0.0, false, 0, &[][..]);
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::Bytes) => key = Some(reader.bytes()?),
            (2, Kind::I32) => kind = Some(reader.i32()?),
            (3, Kind::Bytes) => text = reader.bytes()?,
            (4, Kind::Double) => double = reader.double()?,
            (5, Kind::Bool | Kind::Known(_)) => truth = reader.bool(field.kind)?,
            (6, Kind::I64) => long = reader.i64()?,
            (7, Kind::Bytes) => binary = reader.bytes()?,
            _ => reader.skip(field.kind)?,
        }
        Ok(())
    })?;
    let value = match kind.ok_or(ThriftError::Missing("vType"))? {
        0 => TagValue::Known(Value::Text(text)),
        1 => TagValue::Known(Value::Double(double)),
        2 => TagValue::Known(Value::Bool(truth)),
        3 => TagValue::Known(Value::Int(long)),
        4 => TagValue::Known(Value::Bytes(binary)),
        _ => TagValue::UnknownThrift,
    };
    Ok(Tag { key: key.ok_or(ThriftError::Missing("key"))?, value })
}

fn read_reference<'a, P: Protocol<'a>>(reader: &mut P) -> Result<Reference<'a>, ThriftError> {
    let (mut kind, mut low, mut high, mut span_id) = (None, None, None, None);
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::I32) => kind = Some(reader.i32()?),
            (2, Kind::I64) => low = Some(reader.i64()?),
            (3, Kind::I64) => high = Some(reader.i64()?),
            (4, Kind::I64) => span_id = Some(reader.i64()?),
            _ => reader.skip(field.kind)?,
        }
        Ok(())
    })?;
    let high = high.ok_or(ThriftError::Missing("traceIdHigh"))?;
    let low = low.ok_or(ThriftError::Missing("traceIdLow"))?;
    let span_id = span_id.ok_or(ThriftError::Missing("spanId"))?;
    Ok(Reference {
        trace_id: TraceIdBytes::from_halves(high, low),
        span_id: SpanIdBytes::from_number(span_id),
        is_child_of: kind.ok_or(ThriftError::Missing("refType"))? == 0,
    })
}

fn read_log<'a, P: Protocol<'a>>(reader: &mut P) -> Result<Log<Items<P, Tag<'a>>>, ThriftError> {
    let (mut time, mut fields) = (None, None);
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::I64) => {
                time = Some(reader.i64()?);
                return Ok(());
            }
            (2, Kind::List) => fields = Some(reader.clone()),
            _ => {}
        }
        reader.skip(field.kind)
    })?;
    let time = nanos_of_micros(i128::from(time.ok_or(ThriftError::Missing("timestamp"))?));
    let fields = fields.ok_or(ThriftError::Missing("fields"))?;
    Ok(Log { time, fields: Items::at(fields, "Tag", read_tag)? })
}

/// Tells `told` of each field of a structure; it has to read or pass over the value.
pub(crate) fn each_field<'a, P: Protocol<'a>>(
    reader: &mut P,
    mut told: impl FnMut(&mut P, Field) -> Result<(), ThriftError>,
) -> Result<(), ThriftError> {
    let mut last_id = 0;
    while let Some(field) = reader.field(last_id)? {
        last_id = field.id;
        told(reader, field)?;
    }
    Ok(())
}

/// The structures of a list, read one after another.
#[derive(Debug)]
pub(crate) struct Items<P, T> {
    reader: P,
    left: usize,
    read: fn(&mut P) -> Result<T, ThriftError>,
}

impl<P: Clone, T> Clone for Items<P, T> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), left: self.left, read: self.read }
    }
}

impl<'a, P: Protocol<'a>, T> Items<P, T> {
    /// Those of the list at which `reader` stands.
    pub(crate) fn at(
        mut reader: P,
        name: &'static str,
        read: fn(&mut P) -> Result<T, ThriftError>,
    ) -> Result<Self, ThriftError> {
        let List { kind, count: left } = reader.list()?;
        if left > 0 && kind != Kind::Struct {
            return Err(ThriftError::Items(name));
        }
        Ok(Self { reader, left, read })
    }

    /// Those of a list that may be missing.
    pub(crate) fn maybe_at(
        reader: Option<P>,
        name: &'static str,
        read: fn(&mut P) -> Result<T, ThriftError>,
    ) -> Result<Self, ThriftError> {
        match reader {
            Some(reader) => Self::at(reader, name, read),
            None => Ok(Self { reader: P::new(&[]), left: 0, read }),
        }
    }
}

impl<'a, P: Protocol<'a>, T> Iterator for Items<P, T> {
    type Item = Result<T, ThriftError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = (self.read)(&mut self.reader);
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }
}
