//! Writes requests of OTLP in protobuf: the few fields that marked spans need.

use crate::history::content::start_us;
use crate::history::{Content, LATE_PLACE, RequestId, Sent, SpanKey, TraceKey, fingerprint};

/// How many requests of a client share the value of the attribute that searches ask for.
pub(crate) const GROUP_REQUESTS: u32 = 8;

/// The service that a client writes as.
pub(crate) fn service(client: u16) -> String {
    format!("chaos-{client}")
}

/// The value of `chaos.group` for the traces of a request.
pub(crate) fn group(request: RequestId) -> String {
    format!("{}-{}", request.client, request.number / GROUP_REQUESTS)
}

/// The body of a request. `before` is the client's request before it, whose traces get their last
/// spans.
pub(crate) fn body(tag: u32, sent: &Sent, before: Option<&Sent>) -> Vec<u8> {
    let mut spans = Vec::with_capacity(512 * usize::from(sent.traces));
    for trace in 0..sent.traces {
        let key = TraceKey { request: sent.request(), trace };
        for place in 0..sent.spans {
            push_span(&mut spans, tag, key, key.span(place), sent);
        }
    }
    for trace in 0..before.map_or(0, |before| before.traces) {
        let Some(number) = sent.number.checked_sub(1) else { break };
        let key = TraceKey { request: RequestId { client: sent.client, number }, trace };
        push_span(&mut spans, tag, key, key.span(LATE_PLACE), sent);
    }
    let mut scope = Vec::new();
    message(&mut scope, 1, |scope| text(scope, 1, "chaos"));
    scope.extend_from_slice(&spans);
    let mut body = Vec::new();
    message(&mut body, 1, |resource_spans| {
        message(resource_spans, 1, |resource| {
            attribute(resource, 1, "service.name", &service(sent.client));
        });
        bytes(resource_spans, 2, &scope);
    });
    body
}

fn push_span(out: &mut Vec<u8>, tag: u32, trace: TraceKey, span: SpanKey, sent: &Sent) {
    let print = fingerprint(sent.content, span.index());
    let content = Content::of(print);
    let start_us = start_us(sent.base_us, span.index());
    message(out, 2, |out| {
        bytes(out, 1, &trace.id(tag));
        bytes(out, 2, &span.id());
        if span.place != 0 {
            bytes(out, 4, &trace.span(0).id());
        }
        text(out, 5, &content.name);
        varint(out, 6 << 3);
        varint(out, 2);
        fixed(out, 7, start_us * 1_000);
        fixed(out, 8, (start_us + content.duration_us) * 1_000);
        attribute(out, 9, "chaos.print", &format!("{print:016x}"));
        attribute(out, 9, "chaos.group", &group(trace.request));
        attribute(out, 9, "chaos.text", &content.text);
    });
}

fn attribute(out: &mut Vec<u8>, field: u64, key: &str, value: &str) {
    message(out, field, |out| {
        text(out, 1, key);
        message(out, 2, |out| text(out, 1, value));
    });
}

fn message(out: &mut Vec<u8>, field: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    bytes(out, field, &inner);
}

fn text(out: &mut Vec<u8>, field: u64, text: &str) {
    bytes(out, field, text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, u64::try_from(bytes.len()).unwrap_or_default());
    out.extend_from_slice(bytes);
}

fn fixed(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value & 0x7f).unwrap_or_default());
}

/// How many spans a success says it rejected: field 1 of field 1, absent in a whole success.
pub(crate) fn rejected(body: &[u8]) -> u64 {
    let mut rest = body;
    if take_varint(&mut rest) != Some(1 << 3 | 2) || take_varint(&mut rest).is_none() {
        return 0;
    }
    if take_varint(&mut rest) == Some(1 << 3) { take_varint(&mut rest).unwrap_or(0) } else { 0 }
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_read() {
        assert_eq!(rejected(&[]), 0);
        assert_eq!(rejected(&[0x0a, 0x03, 0x08, 0xac, 0x02]), 300);
        assert_eq!(rejected(&[0x0a, 0x02, 0x12, 0x00]), 0);
        assert_eq!(rejected(&[0x0a]), 0);
    }
}
