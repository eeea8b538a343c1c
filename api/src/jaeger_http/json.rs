//! Jaeger's trace JSON, to the letter: field order, omissions, units.
//!
//! Two things JSON cannot carry are made strings: integers beyond what JavaScript holds exactly
//! (as Jaeger does), and doubles that are not finite (on which Jaeger fails).

use model::TraceId;
use model::pace::Pace;

use super::json_text::{
    push_base64, push_comma, push_double, push_hex, push_int, push_name, push_string, push_uint,
};
use super::pieces::Cuts;
use super::trace_id;
use super::translate::{
    JaegerSpan, JaegerTrace, Log, Process, Reference, Tag, TagValue, Translator,
};
use crate::adjust::EditableTrace;

/// The largest integer that JavaScript's numbers tell from its neighbours.
const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Appends a trace.
pub fn push_trace(out: &mut Vec<u8>, trace: &JaegerTrace) {
    let id = push_beginning(out, trace.trace_id);
    for span in &trace.spans {
        push_comma(out);
        push_span(out, span, &id);
    }
    push_end(out, &trace.processes);
}

/// Appends a trace span by span; each is let go as soon as it is written.
pub(super) fn write_trace<P: Pace>(
    trace: EditableTrace,
    out: &mut Vec<u8>,
    cuts: &mut Cuts<'_, P>,
) -> Result<(), P::Stop> {
    let id = push_beginning(out, trace.trace_id);
    let (mut translator, spans) = Translator::of(trace);
    for span in spans {
        push_comma(out);
        push_span(out, &translator.span(span), &id);
        cuts.after_span(out)?;
    }
    push_end(out, &translator.into_processes());
    Ok(())
}

/// Says the trace's id as it is printed.
fn push_beginning(out: &mut Vec<u8>, id: TraceId) -> String {
    let id = trace_id::print(id);
    out.extend_from_slice(b"{\"traceID\":\"");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"\",\"spans\":[");
    id
}

fn push_end(out: &mut Vec<u8>, processes: &[Process]) {
    out.extend_from_slice(b"],\"processes\":{");
    push_processes(out, processes);
    out.extend_from_slice(b"},\"warnings\":null}");
}

/// Go writes maps in the order of their keys as texts: p1, p10, p2.
fn push_processes(out: &mut Vec<u8>, processes: &[Process]) {
    let mut named: Vec<(String, &Process)> = processes
        .iter()
        .enumerate()
        .map(|(index, process)| (format!("p{}", index + 1), process))
        .collect();
    named.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, process) in named {
        push_comma(out);
        push_string(out, name.as_bytes());
        out.extend_from_slice(b":{\"serviceName\":");
        push_string(out, process.service.as_bytes());
        push_tags(out, "tags", &process.tags);
        out.push(b'}');
    }
}

fn push_span(out: &mut Vec<u8>, span: &JaegerSpan, trace_id: &str) {
    out.extend_from_slice(b"{\"traceID\":\"");
    out.extend_from_slice(trace_id.as_bytes());
    out.extend_from_slice(b"\",\"spanID\":\"");
    push_hex(out, span.span_id.as_bytes());
    out.extend_from_slice(b"\",\"operationName\":");
    push_string(out, span.operation.as_bytes());
    out.extend_from_slice(b",\"references\":[");
    for reference in &span.references {
        push_comma(out);
        push_reference(out, reference);
    }
    out.extend_from_slice(b"],\"startTime\":");
    push_uint(out, span.start.micros());
    out.extend_from_slice(b",\"duration\":");
    push_uint(out, span.duration.micros());
    push_tags(out, "tags", &span.tags);
    out.extend_from_slice(b",\"logs\":[");
    for log in &span.logs {
        push_comma(out);
        push_log(out, log);
    }
    out.extend_from_slice(b"],\"processID\":\"p");
    push_uint(out, span.process as u64 + 1);
    out.extend_from_slice(b"\",\"warnings\":");
    if span.warnings.is_empty() {
        out.extend_from_slice(b"null}");
        return;
    }
    out.push(b'[');
    for warning in &span.warnings {
        push_comma(out);
        push_string(out, warning.as_bytes());
    }
    out.extend_from_slice(b"]}");
}

fn push_reference(out: &mut Vec<u8>, reference: &Reference) {
    let kind = if reference.is_child { "CHILD_OF" } else { "FOLLOWS_FROM" };
    out.extend_from_slice(b"{\"refType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"traceID\":\"");
    let (high, low) = reference.trace_id.as_bytes().split_at(8);
    if reference.trace_id.high() != 0 {
        push_hex(out, high);
    }
    push_hex(out, low);
    out.extend_from_slice(b"\",\"spanID\":\"");
    push_hex(out, reference.span_id.as_bytes());
    out.extend_from_slice(b"\"}");
}

fn push_log(out: &mut Vec<u8>, log: &Log) {
    out.extend_from_slice(b"{\"timestamp\":");
    push_uint(out, log.time.micros());
    push_tags(out, "fields", &log.fields);
    out.push(b'}');
}

fn push_tags(out: &mut Vec<u8>, name: &'static str, tags: &[Tag]) {
    push_name(out, name);
    out.push(b'[');
    for tag in tags {
        push_comma(out);
        out.extend_from_slice(b"{\"key\":");
        push_string(out, tag.key.as_bytes());
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(type_name(&tag.value).as_bytes());
        out.extend_from_slice(b"\",\"value\":");
        push_value(out, &tag.value);
        out.push(b'}');
    }
    out.push(b']');
}

fn type_name(value: &TagValue) -> &'static str {
    match value {
        TagValue::String(_) => "string",
        TagValue::Bool(_) => "bool",
        TagValue::Int(_) => "int64",
        TagValue::Double(_) => "float64",
        TagValue::Binary(_) => "binary",
    }
}

fn push_value(out: &mut Vec<u8>, value: &TagValue) {
    match value {
        TagValue::String(text) => push_string(out, text.as_bytes()),
        TagValue::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        TagValue::Int(number) if number.unsigned_abs() > SAFE_INTEGER_MAX => {
            push_string(out, number.to_string().as_bytes());
        }
        TagValue::Int(number) => push_int(out, *number),
        TagValue::Double(number) => {
            if !push_double(out, *number) {
                push_string(out, not_finite(*number).as_bytes());
            }
        }
        TagValue::Binary(bytes) => push_base64(out, bytes.as_bytes()),
    }
}

/// As Go prints them.
fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}
