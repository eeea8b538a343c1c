//! Zipkin v2 in protobuf: `zipkin.proto3.ListOfSpans`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::draft::{Annotation, Draft, Endpoint, Scalar, Tag, Text};
use super::v2;
use crate::jaeger_thrift::arena::{Arena, TranslateError};
use crate::otlp::wire::{FIXED64, LENGTH, Reader, VARINT, WireError, low_i32, tag};

/// Tags of fields by their number; `Span` has the most.
mod field {
    use super::{FIXED64, LENGTH, VARINT, tag};
    pub(super) const LENGTH_1: u32 = tag(1, LENGTH);
    pub(super) const LENGTH_2: u32 = tag(2, LENGTH);
    pub(super) const LENGTH_3: u32 = tag(3, LENGTH);
    pub(super) const FIXED64_1: u32 = tag(1, FIXED64);
    pub(super) const VARINT_4: u32 = tag(4, VARINT);
    pub(super) const LENGTH_5: u32 = tag(5, LENGTH);
    pub(super) const FIXED64_6: u32 = tag(6, FIXED64);
    pub(super) const VARINT_7: u32 = tag(7, VARINT);
    pub(super) const LENGTH_8: u32 = tag(8, LENGTH);
    pub(super) const LENGTH_9: u32 = tag(9, LENGTH);
    pub(super) const LENGTH_10: u32 = tag(10, LENGTH);
    pub(super) const LENGTH_11: u32 = tag(11, LENGTH);
}

/// Translates a `ListOfSpans`.
pub fn translate(bytes: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    let mut draft = Draft::default();
    let mut reader = Reader::new(bytes);
    while !reader.is_at_end() {
        match reader.tag()? {
            field::LENGTH_1 => {
                draft.clear();
                read_span(reader.bytes()?, &mut draft)?;
                v2::write(&draft, arena)?;
            }
            other => reader.skip(other)?,
        }
    }
    Ok(())
}

fn read_span(message: &[u8], draft: &mut Draft) -> Result<(), TranslateError> {
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            field::LENGTH_1 => draft.trace_id = trace_id(reader.bytes()?)?,
            field::LENGTH_2 => draft.parent = span_id(reader.bytes()?, "parent id")?,
            field::LENGTH_3 => draft.span_id = span_id(reader.bytes()?, "span id")?,
            field::VARINT_4 => draft.kind = kind(reader.varint()?),
            field::LENGTH_5 => draft.name = draft.keep(reader.bytes()?),
            field::FIXED64_6 => draft.timestamp = reader.fixed64()?.cast_signed(),
            field::VARINT_7 => draft.duration = reader.varint()?.cast_signed(),
            field::LENGTH_8 => {
                draft.local = read_endpoint(reader.bytes()?, draft.local, draft)?;
            }
            field::LENGTH_9 => {
                draft.remote = read_endpoint(reader.bytes()?, draft.remote, draft)?;
            }
            field::LENGTH_10 => {
                let annotation = read_annotation(reader.bytes()?, draft)?;
                draft.push_annotation(annotation);
            }
            field::LENGTH_11 => {
                let tag = read_tag(reader.bytes()?, draft)?;
                draft.push_tag(tag);
            }
            other => reader.skip(other)?,
        }
    }
    // An id that is left out is zero; the walker rejects the span and keeps the others.
    Ok(())
}

fn trace_id(bytes: &[u8]) -> Result<[u8; 16], TranslateError> {
    let mut id = [0; 16];
    match bytes.len() {
        16 => id.copy_from_slice(bytes),
        8 => id[8..].copy_from_slice(bytes),
        _ => {
            return Err(TranslateError::Field { field: "trace id", reason: "not 16 bytes" });
        }
    }
    Ok(id)
}

fn span_id(bytes: &[u8], field: &'static str) -> Result<[u8; 8], TranslateError> {
    if bytes.is_empty() {
        return Ok([0; 8]);
    }
    bytes.try_into().map_err(|_| TranslateError::Field { field, reason: "not 8 bytes" })
}

/// OTLP's number of a kind.
fn kind(kind: u64) -> u64 {
    match low_i32(kind) {
        1 => 3,
        2 => 2,
        3 => 4,
        4 => 5,
        _ => 0,
    }
}

fn read_endpoint(
    message: &[u8],
    mut endpoint: Endpoint,
    draft: &mut Draft,
) -> Result<Endpoint, WireError> {
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            field::LENGTH_1 => endpoint.service = draft.keep(reader.bytes()?),
            field::LENGTH_2 => endpoint.ipv4 = keep_ip(reader.bytes()?, draft),
            field::LENGTH_3 => endpoint.ipv6 = keep_ip(reader.bytes()?, draft),
            // A port has 16 bits, whatever the field can hold.
            field::VARINT_4 => endpoint.port = (reader.varint()? & 0xffff).cast_signed(),
            other => reader.skip(other)?,
        }
    }
    Ok(endpoint)
}

/// Most bytes shown of what is not an address.
const ODD_ADDRESS_BYTES_MAX: usize = 32;

/// An address as text, in the form that Go gives it.
pub(super) fn keep_ip(bytes: &[u8], draft: &mut Draft) -> Text {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return draft.keep(Ipv4Addr::from(four).to_string().as_bytes());
    }
    if let Ok(sixteen) = <[u8; 16]>::try_from(bytes) {
        let address = IpAddr::V6(Ipv6Addr::from(sixteen)).to_canonical();
        return draft.keep(address.to_string().as_bytes());
    }
    // Not an address. Go writes such bytes in hexadecimal behind a question mark.
    if bytes.is_empty() {
        return Text::default();
    }
    let mut text = "?".to_owned();
    for byte in bytes.iter().take(ODD_ADDRESS_BYTES_MAX) {
        let digits = [byte >> 4, byte & 0x0f].map(|digit| char::from_digit(digit.into(), 16));
        text.extend(digits.into_iter().flatten());
    }
    draft.keep(text.as_bytes())
}

fn read_annotation(message: &[u8], draft: &mut Draft) -> Result<Annotation, WireError> {
    let mut annotation = Annotation::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            field::FIXED64_1 => annotation.time = reader.fixed64()?.cast_signed(),
            field::LENGTH_2 => annotation.value = draft.keep(reader.bytes()?),
            other => reader.skip(other)?,
        }
    }
    Ok(annotation)
}

fn read_tag(message: &[u8], draft: &mut Draft) -> Result<Tag, WireError> {
    let (mut key, mut value) = (Text::default(), Text::default());
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            field::LENGTH_1 => key = draft.keep(reader.bytes()?),
            field::LENGTH_2 => value = draft.keep(reader.bytes()?),
            other => reader.skip(other)?,
        }
    }
    Ok(Tag { key, value: Scalar::Text(value), endpoint: Endpoint::default() })
}
