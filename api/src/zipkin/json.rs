//! Zipkin v1 and v2 in JSON: a list of spans, read as a stream into one draft.
//!
//! Ids are hexadecimal; those of v1 complete, those of v2 with or without leading zeros. `null`
//! stands for an absent value, unknown keys are passed over, of a key that stands twice the last
//! one counts. A value of another type than it should be refuses the request, as at Jaeger;
//! v1's binary annotations may hold text, numbers and truth values.
//!
//! Nesting is bounded by the JSON reader, at 128 levels.

use std::fmt;
use std::net::IpAddr;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::draft::{Annotation, Draft, Endpoint, Scalar, Tag, Text};
use super::json_values::{Key, KeySeed, Nullable, ScalarSeed, TextSeed};
use super::{v1, v2};
use crate::jaeger_thrift::arena::{Arena, TranslateError};

/// Which of Zipkin's two models a text is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// Translates a list of v1 spans.
pub fn translate_v1(json: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    translate(Version::V1, json, arena)
}

/// Translates a list of v2 spans.
pub fn translate_v2(json: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    translate(Version::V2, json, arena)
}

fn translate(version: Version, json: &[u8], arena: &mut Arena) -> Result<(), TranslateError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut spans = Spans { version, draft: Draft::default(), arena, failure: None };
    let read = Nullable(SpanList(&mut spans)).deserialize(&mut reader);
    match spans.failure {
        Some(failure) => Err(failure),
        None => Ok(read.and_then(|_| reader.end())?),
    }
}

/// Spans being translated.
struct Spans<'w> {
    version: Version,
    draft: Draft,
    arena: &'w mut Arena,
    /// Why the last span could not be written; reading ended there.
    failure: Option<TranslateError>,
}

/// The whole text.
struct SpanList<'s, 'w>(&'s mut Spans<'w>);

impl<'de> DeserializeSeed<'de> for SpanList<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SpanList<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let spans = self.0;
        loop {
            spans.draft.clear();
            let seed = SpanSeed { draft: &mut spans.draft, version: spans.version };
            match items.next_element_seed(Nullable(seed))? {
                None => return Ok(()),
                Some(None) => continue,
                Some(Some(())) => {}
            }
            let written = match spans.version {
                Version::V1 => v1::write(&spans.draft, spans.arena),
                Version::V2 => v2::write(&spans.draft, spans.arena),
            };
            if let Err(failure) = written {
                spans.failure = Some(failure);
                return Err(A::Error::custom("a span cannot be written"));
            }
        }
    }
}

struct SpanSeed<'d> {
    draft: &'d mut Draft,
    version: Version,
}

impl<'de> DeserializeSeed<'de> for SpanSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SpanSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a span")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { draft, version } = self;
        let is_v1 = version == Version::V1;
        let (mut trace_id, mut span_id, mut parent) = (None, None, None);
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Key::TraceId => trace_id = map.next_value_seed(Nullable(TextSeed(draft)))?,
                Key::Id => span_id = map.next_value_seed(Nullable(TextSeed(draft)))?,
                Key::ParentId => parent = map.next_value_seed(Nullable(TextSeed(draft)))?,
                Key::Name => {
                    draft.name =
                        map.next_value_seed(Nullable(TextSeed(draft)))?.unwrap_or_default();
                }
                Key::Kind if !is_v1 => {
                    let kind = map.next_value_seed(Nullable(TextSeed(draft)))?;
                    draft.kind = kind_of(draft.text(kind.unwrap_or_default()));
                }
                Key::Timestamp => draft.timestamp = integer(&mut map, draft)?,
                Key::Duration => draft.duration = integer(&mut map, draft)?,
                Key::LocalEndpoint if !is_v1 => {
                    draft.local = endpoint(&mut map, draft, version)?;
                }
                Key::RemoteEndpoint if !is_v1 => {
                    draft.remote = endpoint(&mut map, draft, version)?;
                }
                Key::Annotations => {
                    let seed = List { draft, version, is_binary: false };
                    map.next_value_seed(Nullable(seed))?;
                }
                Key::BinaryAnnotations if is_v1 => {
                    let seed = List { draft, version, is_binary: true };
                    map.next_value_seed(Nullable(seed))?;
                }
                Key::Tags if !is_v1 => {
                    map.next_value_seed(Nullable(TagsSeed(draft)))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let invalid = |what| A::Error::custom(format_args!("{what} is not a valid id"));
        if let Some(text) = trace_id {
            let id = trace_id_of(draft.text(text), is_v1);
            draft.trace_id = id.ok_or_else(|| invalid("traceId"))?;
        }
        if let Some(text) = span_id {
            let id = span_id_of(draft.text(text), is_v1);
            draft.span_id = id.ok_or_else(|| invalid("id"))?;
        }
        if let Some(text) = parent.filter(|text| !text.is_empty()) {
            let id = span_id_of(draft.text(text), is_v1);
            draft.parent = id.ok_or_else(|| invalid("parentId"))?;
        }
        if is_v1 && (draft.trace_id == [0; 16] || draft.span_id == [0; 8]) {
            return Err(invalid(if draft.span_id == [0; 8] { "id" } else { "traceId" }));
        }
        Ok(())
    }
}

/// A trace's id; one of 16 digits or fewer is the low half.
fn trace_id_of(digits: &[u8], is_strict: bool) -> Option<[u8; 16]> {
    if is_strict && !matches!(digits.len(), 16 | 32) {
        return None;
    }
    let (high, low) = digits.split_at(digits.len().saturating_sub(16));
    let high = if high.is_empty() { 0 } else { hex(high)? };
    Some((u128::from(high) << 64 | u128::from(hex(low)?)).to_be_bytes())
}

fn span_id_of(digits: &[u8], is_strict: bool) -> Option<[u8; 8]> {
    if is_strict && digits.len() != 16 {
        return None;
    }
    hex(digits).map(u64::to_be_bytes)
}

/// A number of 64 bits in hexadecimal.
fn hex(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// OTLP's number of a kind.
fn kind_of(name: &[u8]) -> u64 {
    match name {
        b"SERVER" => 2,
        b"CLIENT" => 3,
        b"PRODUCER" => 4,
        b"CONSUMER" => 5,
        _ => 0,
    }
}

fn integer<'de, A: MapAccess<'de>>(map: &mut A, draft: &mut Draft) -> Result<i64, A::Error> {
    match map.next_value_seed(Nullable(ScalarSeed(draft)))? {
        None => Ok(0),
        Some(Scalar::Int(integer)) => Ok(integer),
        Some(_) => Err(A::Error::custom("a time is not an integer")),
    }
}

fn endpoint<'de, A: MapAccess<'de>>(
    map: &mut A,
    draft: &mut Draft,
    version: Version,
) -> Result<Endpoint, A::Error> {
    let endpoint = map.next_value_seed(Nullable(EndpointSeed { draft, version }))?;
    Ok(endpoint.unwrap_or_default())
}

struct EndpointSeed<'d> {
    draft: &'d mut Draft,
    version: Version,
}

impl<'de> DeserializeSeed<'de> for EndpointSeed<'_> {
    type Value = Endpoint;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Endpoint, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EndpointSeed<'_> {
    type Value = Endpoint;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an endpoint")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Endpoint, A::Error> {
        let Self { draft, version } = self;
        let mut endpoint = Endpoint::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Key::ServiceName => endpoint.service = text(&mut map, draft)?,
                Key::Ipv4 => endpoint.ipv4 = address(text(&mut map, draft)?, draft, version)?,
                Key::Ipv6 => endpoint.ipv6 = address(text(&mut map, draft)?, draft, version)?,
                Key::Port => {
                    endpoint.port = integer(&mut map, draft)?;
                    if u16::try_from(endpoint.port).is_err() {
                        return Err(A::Error::custom("port is out of range"));
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(endpoint)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A, draft: &mut Draft) -> Result<Text, A::Error> {
    Ok(map.next_value_seed(Nullable(TextSeed(draft)))?.unwrap_or_default())
}

/// An address; v2 reads it and says it in its usual form, v1 takes it as it is.
fn address<E: Error>(text: Text, draft: &mut Draft, version: Version) -> Result<Text, E> {
    if text.is_empty() || version == Version::V1 {
        return Ok(text);
    }
    let parsed = std::str::from_utf8(draft.text(text)).ok().and_then(|it| it.parse().ok());
    let parsed: IpAddr = parsed.ok_or_else(|| E::custom("invalid IP address"))?;
    Ok(draft.keep(parsed.to_canonical().to_string().as_bytes()))
}

/// Annotations or binary annotations.
struct List<'d> {
    draft: &'d mut Draft,
    version: Version,
    is_binary: bool,
}

/// What annotations and binary annotations can hold.
#[derive(Default)]
struct Parts {
    annotation: Annotation,
    key: Text,
    value: Option<Scalar>,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            let Self { version, is_binary, .. } = self;
            let seed = PartsSeed { draft: self.draft, version, is_binary };
            let Some(parts) = items.next_element_seed(Nullable(seed))? else { return Ok(()) };
            let Some(Parts { annotation, key, value }) = parts else { continue };
            if is_binary {
                let value = value.unwrap_or(Scalar::Text(Text::default()));
                self.draft.push_tag(Tag { key, value, endpoint: annotation.endpoint });
            } else {
                self.draft.push_annotation(annotation);
            }
        }
    }
}

struct PartsSeed<'d> {
    draft: &'d mut Draft,
    version: Version,
    is_binary: bool,
}

impl<'de> DeserializeSeed<'de> for PartsSeed<'_> {
    type Value = Parts;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parts, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PartsSeed<'_> {
    type Value = Parts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an annotation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
        let Self { draft, version, is_binary } = self;
        let mut parts = Parts::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Key::Timestamp => parts.annotation.time = integer(&mut map, draft)?,
                Key::OfTag => parts.key = text(&mut map, draft)?,
                Key::Value if is_binary => {
                    parts.value = map.next_value_seed(Nullable(ScalarSeed(draft)))?;
                }
                Key::Value => parts.annotation.value = text(&mut map, draft)?,
                Key::Endpoint if version == Version::V1 => {
                    parts.annotation.endpoint = endpoint(&mut map, draft, version)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(parts)
    }
}

/// The tags of a v2 span.
struct TagsSeed<'d>(&'d mut Draft);

impl<'de> DeserializeSeed<'de> for TagsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TagsSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let draft = self.0;
        while let Some(key) = map.next_key_seed(TextSeed(draft))? {
            let value = Scalar::Text(text(&mut map, draft)?);
            draft.push_tag(Tag { key, value, endpoint: Endpoint::default() });
        }
        Ok(())
    }
}
