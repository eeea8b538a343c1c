//! `emitBatch` in Thrift's compact protocol, as Jaeger's old clients send it in datagrams.
//!
//! Just enough of an encoder to load a server with, written from the protocol's description.

/// A batch under construction: its spans are written behind each other.
#[derive(Debug, Default)]
pub struct Batch {
    spans: Vec<u8>,
    count: usize,
}

/// What a span is written from.
#[derive(Debug, Clone, Copy)]
pub struct ThriftSpan<'a> {
    /// The lower half of the trace id; the upper one is zero, as with old clients.
    pub trace_id: u64,
    /// The span's id.
    pub span_id: u64,
    /// The parent's id; zero for a root.
    pub parent_id: u64,
    /// The operation.
    pub operation: &'a str,
    /// Microseconds since 1970.
    pub start_micros: u64,
    /// Its length.
    pub duration_micros: u64,
    /// Tags of text.
    pub tags: &'a [(&'a str, &'a str)],
}

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Batch {
    /// Adds a span.
    pub fn push(&mut self, span: &ThriftSpan<'_>) {
        let out = &mut self.spans;
        let numbers = [span.trace_id, 0, span.span_id, span.parent_id];
        for number in numbers {
            field(out, 1, I64);
            zigzag(out, number.cast_signed());
        }
        field(out, 1, BINARY);
        text(out, span.operation);
        // Past the references.
        field(out, 2, I32);
        zigzag(out, 1);
        for number in [span.start_micros, span.duration_micros] {
            field(out, 1, I64);
            zigzag(out, number.cast_signed());
        }
        field(out, 1, LIST);
        tags(out, span.tags);
        out.push(0);
        self.count += 1;
    }

    /// The datagram of all that was added, and an empty batch again.
    pub fn take(&mut self, service: &str, process_tags: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.spans.len() + 256);
        // Protocol, version 1 of it, a call that nobody answers.
        out.extend([0x82, 1 | 4 << 5, 0]);
        text(&mut out, "emitBatch");
        field(&mut out, 1, STRUCT);
        field(&mut out, 1, STRUCT);
        field(&mut out, 1, BINARY);
        text(&mut out, service);
        field(&mut out, 1, LIST);
        tags(&mut out, process_tags);
        out.push(0);
        field(&mut out, 1, LIST);
        list(&mut out, self.count, STRUCT);
        out.append(&mut self.spans);
        // The batch, the arguments.
        out.extend([0, 0]);
        self.count = 0;
        out
    }
}

fn tags(out: &mut Vec<u8>, tags: &[(&str, &str)]) {
    list(out, tags.len(), STRUCT);
    for (key, value) in tags {
        field(out, 1, BINARY);
        text(out, key);
        // A text.
        field(out, 1, I32);
        zigzag(out, 0);
        field(out, 1, BINARY);
        text(out, value);
        out.push(0);
    }
}

/// A field whose number is so much above the last one's.
fn field(out: &mut Vec<u8>, step: u8, kind: u8) {
    out.push(step << 4 | kind);
}

fn list(out: &mut Vec<u8>, length: usize, kind: u8) {
    match u8::try_from(length) {
        Ok(short) if short < 15 => out.push(short << 4 | kind),
        _ => {
            out.push(0xf0 | kind);
            varint(out, length as u64);
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_what_the_protocol_says() {
        let mut batch = Batch::default();
        batch.push(&ThriftSpan {
            trace_id: 1,
            span_id: 2,
            parent_id: 0,
            operation: "op",
            start_micros: 64,
            duration_micros: 3,
            tags: &[("k", "v")],
        });
        let wanted = [
            &b"\x82\x81\x00\x09emitBatch\x1c\x1c"[..],
            b"\x18\x01s\x19\x0c\x00",
            b"\x19\x1c\x16\x02\x16\x00\x16\x04\x16\x00\x18\x02op\x25\x02\x16\x80\x01\x16\x06",
            b"\x19\x1c\x18\x01k\x15\x00\x18\x01v\x00\x00\x00\x00",
        ];
        assert_eq!(batch.take("s", &[]), wanted.concat());
        assert!(batch.take("s", &[]).len() < 30, "it is empty again");
    }
}
