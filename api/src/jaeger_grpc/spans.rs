//! Spans of `jaeger.api_v2`, written straight from Jaeger's terms, ten to a message.
//!
//! Pure. Each span carries its process, as Jaeger's query service sends them. Text has to be
//! UTF-8 on this wire; what is not (names of events, trace states) is repaired here, since the
//! sanitizer before only knows names, keys and values.

use model::pace::Pace;
use model::{Duration, Text, Timestamp, TraceId};

use super::limits::{CHUNK_SPANS_MAX, MESSAGE_BYTES_MAX, STRETCH_CHUNKS};
use crate::adjust::EditableTrace;
use crate::jaeger_http::{JaegerSpan, Log, Process, Reference, Tag, TagValue, Translator};
use crate::otlp::wire::Writer;

/// The messages `SpansResponseChunk` that hold a trace. Each span is let go as soon as it is
/// written.
pub(super) fn chunks<P: Pace>(trace: EditableTrace, pace: &P) -> Result<Vec<Vec<u8>>, P::Stop> {
    let trace_id = trace.trace_id;
    let mut chunks = Vec::with_capacity(trace.spans.len().div_ceil(CHUNK_SPANS_MAX));
    let (mut translator, editable) = Translator::of(trace);
    let mut processes: Vec<Vec<u8>> = Vec::new();
    let mut chunk = Writer::default();
    let mut spans = 0;
    for editable in editable {
        let span = translator.span(editable);
        let new = translator.processes().iter().skip(processes.len());
        processes.extend(new.map(process));
        let bytes_before = chunk.bytes.len();
        if spans == CHUNK_SPANS_MAX || (spans > 0 && bytes_before >= MESSAGE_BYTES_MAX) {
            chunks.push(std::mem::take(&mut chunk.bytes));
            spans = 0;
            if chunks.len().is_multiple_of(STRETCH_CHUNKS) {
                pace.go_on()?;
            }
        }
        let nested = chunk.begin(1);
        let process = processes.get(span.process).map(Vec::as_slice).unwrap_or_default();
        write_span(&mut chunk, trace_id, &span, process);
        chunk.end(nested);
        spans += 1;
    }
    if spans > 0 {
        chunks.push(chunk.bytes);
    }
    Ok(chunks)
}

fn write_span(out: &mut Writer, trace_id: TraceId, span: &JaegerSpan, process: &[u8]) {
    out.bytes_field(1, trace_id.as_bytes());
    out.bytes_field(2, span.span_id.as_bytes());
    write_text(out, 3, &span.operation);
    for reference in &span.references {
        let nested = out.begin(4);
        write_reference(out, reference);
        out.end(nested);
    }
    write_time(out, 6, span.start);
    write_duration(out, 7, span.duration);
    write_tags(out, 8, &span.tags);
    for log in &span.logs {
        let nested = out.begin(9);
        write_log(out, log);
        out.end(nested);
    }
    out.bytes_field(10, process);
    for warning in &span.warnings {
        write_text(out, 12, warning);
    }
}

fn write_reference(out: &mut Writer, reference: &Reference) {
    out.bytes_field(1, reference.trace_id.as_bytes());
    out.bytes_field(2, reference.span_id.as_bytes());
    if !reference.is_child {
        out.varint_field(3, 1);
    }
}

fn write_log(out: &mut Writer, log: &Log) {
    write_time(out, 1, log.time);
    write_tags(out, 2, &log.fields);
}

fn process(process: &Process) -> Vec<u8> {
    let mut out = Writer::default();
    write_text(&mut out, 1, &process.service);
    write_tags(&mut out, 2, &process.tags);
    out.bytes
}

fn write_tags(out: &mut Writer, number: u32, tags: &[Tag]) {
    for tag in tags {
        let nested = out.begin(number);
        write_text(out, 1, &tag.key);
        write_value(out, &tag.value);
        out.end(nested);
    }
}

/// The type, and the one field that it names; a field at its default value is left out.
fn write_value(out: &mut Writer, value: &TagValue) {
    match value {
        TagValue::String(text) => write_text(out, 3, text),
        TagValue::Bool(truth) => {
            out.varint_field(2, 1);
            if *truth {
                out.varint_field(4, 1);
            }
        }
        TagValue::Int(number) => {
            out.varint_field(2, 2);
            if *number != 0 {
                out.varint_field(5, number.cast_unsigned());
            }
        }
        TagValue::Double(number) => {
            out.varint_field(2, 3);
            if number.to_bits() != 0 {
                out.fixed64_field(6, number.to_bits());
            }
        }
        TagValue::Binary(bytes) => {
            out.varint_field(2, 4);
            if !bytes.is_empty() {
                out.bytes_field(7, bytes.as_bytes());
            }
        }
    }
}

fn write_text(out: &mut Writer, number: u32, text: &Text) {
    if !text.is_empty() || number == WARNING {
        out.bytes_field(number, text.to_str_lossy().as_bytes());
    }
}

/// The one repeated text: an empty item is an item.
const WARNING: u32 = 12;

fn write_time(out: &mut Writer, number: u32, time: Timestamp) {
    write_nanos(out, number, time.0);
}

fn write_duration(out: &mut Writer, number: u32, duration: Duration) {
    write_nanos(out, number, duration.0);
}

/// Seconds and nanoseconds, as `Timestamp` and `Duration` have them alike.
fn write_nanos(out: &mut Writer, number: u32, nanos: u64) {
    let nested = out.begin(number);
    for (number, part) in [(1, nanos / 1_000_000_000), (2, nanos % 1_000_000_000)] {
        if part != 0 {
            out.varint_field(number, part);
        }
    }
    out.end(nested);
}
