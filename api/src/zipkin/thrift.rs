//! Zipkin v1 in Thrift: a bare `list<zipkincore.Span>` in the binary protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::draft::{Annotation, Draft, Endpoint, Scalar, Tag, Text};
use super::protobuf::keep_ip;
use super::v1;
use crate::jaeger_thrift::arena::{Arena, TranslateError};
use crate::jaeger_thrift::batch::each_field;
use crate::jaeger_thrift::binary::Binary;
use crate::jaeger_thrift::protocol::{Kind, Protocol, ThriftError};

/// Translates a `list<zipkincore.Span>`.
pub fn translate(bytes: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    let mut reader = Binary::new(bytes);
    let count = structs(&mut reader, "Span")?;
    let mut draft = Draft::default();
    for _ in 0..count {
        draft.clear();
        read_span(&mut reader, &mut draft)?;
        v1::write(&draft, arena)?;
    }
    Ok(())
}

/// How many structures the list at which the reader stands has.
fn structs(reader: &mut Binary<'_>, name: &'static str) -> Result<usize, ThriftError> {
    let list = reader.list()?;
    if list.count > 0 && list.kind != Kind::Struct {
        return Err(ThriftError::Items(name));
    }
    Ok(list.count)
}

fn read_span(reader: &mut Binary<'_>, draft: &mut Draft) -> Result<(), ThriftError> {
    let (mut low, mut high) = (0_i64, 0_i64);
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::I64) => low = reader.i64()?,
            (12, Kind::I64) => high = reader.i64()?,
            (3, Kind::Bytes) => draft.name = draft.keep(reader.bytes()?),
            (4, Kind::I64) => draft.span_id = reader.i64()?.to_be_bytes(),
            (5, Kind::I64) => draft.parent = reader.i64()?.to_be_bytes(),
            (6, Kind::List) => {
                for _ in 0..structs(reader, "Annotation")? {
                    let annotation = read_annotation(reader, draft)?;
                    draft.push_annotation(annotation);
                }
            }
            (8, Kind::List) => {
                for _ in 0..structs(reader, "BinaryAnnotation")? {
                    let tag = read_binary_annotation(reader, draft)?;
                    draft.push_tag(tag);
                }
            }
            (10, Kind::I64) => draft.timestamp = reader.i64()?,
            (11, Kind::I64) => draft.duration = reader.i64()?,
            _ => reader.skip(field.kind)?,
        }
        Ok(())
    })?;
    let both = u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned());
    draft.trace_id = both.to_be_bytes();
    Ok(())
}

fn read_annotation(reader: &mut Binary<'_>, draft: &mut Draft) -> Result<Annotation, ThriftError> {
    let mut annotation = Annotation::default();
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::I64) => annotation.time = reader.i64()?,
            (2, Kind::Bytes) => annotation.value = draft.keep(reader.bytes()?),
            (3, Kind::Struct) => annotation.endpoint = read_endpoint(reader, draft)?,
            _ => reader.skip(field.kind)?,
        }
        Ok(())
    })?;
    Ok(annotation)
}

fn read_binary_annotation(reader: &mut Binary<'_>, draft: &mut Draft) -> Result<Tag, ThriftError> {
    let (mut key, mut value, mut kind): (Text, &[u8], i32) = (Text::default(), &[], 0);
    let mut endpoint = Endpoint::default();
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::Bytes) => key = draft.keep(reader.bytes()?),
            (2, Kind::Bytes) => value = reader.bytes()?,
            (3, Kind::I32) => kind = reader.i32()?,
            (4, Kind::Struct) => endpoint = read_endpoint(reader, draft)?,
            _ => reader.skip(field.kind)?,
        }
        Ok(())
    })?;
    Ok(Tag { key, value: typed(kind, value, draft), endpoint })
}

/// A binary annotation's value; where it cannot be, the reason in its place, as Jaeger has it.
fn typed(kind: i32, value: &[u8], draft: &mut Draft) -> Scalar {
    let number = match kind {
        0 => return Scalar::Bool(value == [1]),
        1 => return Scalar::Text(draft.keep(STANDARD.encode(value).as_bytes())),
        2 => value.first_chunk().map(|bytes| Scalar::Int(i16::from_be_bytes(*bytes).into())),
        3 => value.first_chunk().map(|bytes| Scalar::Int(i32::from_be_bytes(*bytes).into())),
        4 => value.first_chunk().map(|bytes| Scalar::Int(i64::from_be_bytes(*bytes))),
        5 => value.first_chunk().map(|bytes| Scalar::Double(f64::from_be_bytes(*bytes))),
        6 => return Scalar::Text(draft.keep(value)),
        other => {
            let text = format!("<unknown zipkin v1 binary annotation type ({other})>");
            return Scalar::Text(draft.keep(text.as_bytes()));
        }
    };
    number
        .unwrap_or_else(|| Scalar::Text(draft.keep(b"<not enough bytes representing the number>")))
}

fn read_endpoint(reader: &mut Binary<'_>, draft: &mut Draft) -> Result<Endpoint, ThriftError> {
    let mut endpoint = Endpoint::default();
    each_field(reader, |reader, field| {
        match (field.id, field.kind) {
            (1, Kind::I32) => {
                let address = reader.i32()?;
                if address != 0 {
                    endpoint.ipv4 = keep_ip(&address.to_be_bytes(), draft);
                }
            }
            // The sixteen bits of a port, which Thrift calls signed.
            (2, Kind::I16) => endpoint.port = reader.i16()?.cast_unsigned().into(),
            (3, Kind::Bytes) => endpoint.service = draft.keep(reader.bytes()?),
            (4, Kind::Bytes) => endpoint.ipv6 = keep_ip(reader.bytes()?, draft),
            _ => reader.skip(field.kind)?,
        }
        Ok(())
    })?;
    Ok(endpoint)
}
