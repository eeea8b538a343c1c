//! The forms a file of recorded traces may have, told apart by their first bytes.
//!
//! Any of them may be compressed with zstd. Then:
//!
//! - messages behind a four-byte big-endian length, or behind a protobuf varint length, or one
//!   message alone: OTLP protobuf (`ExportTraceServiceRequest` and `TracesData` are the same on
//!   the wire);
//! - JSON values one after another, a line each or not: OTLP/JSON, or what Jaeger's UI saves
//!   (`{"data": [...]}`).
//!
//! A binary framing is believed only if its lengths tile the file exactly and every message is
//! well-formed, so no file is taken for what it is not. An empty file holds no messages.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::limits::FILE_BYTES_MAX;
use crate::wire::{fields, read_varint};
use crate::{convert, outside};

const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// What the messages of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFormat {
    /// OTLP protobuf, in any of the framings.
    OtlpProtobuf,
    /// OTLP/JSON.
    OtlpJson,
    /// The JSON of Jaeger's query API and UI.
    JaegerJson,
}

impl FromStr for InputFormat {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "otlp-pb" => Ok(Self::OtlpProtobuf),
            "otlp-json" => Ok(Self::OtlpJson),
            "jaeger-json" => Ok(Self::JaegerJson),
            _ => bail!("unknown format `{name}`; known are otlp-pb, otlp-json and jaeger-json"),
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OtlpProtobuf => "otlp-pb",
            Self::OtlpJson => "otlp-json",
            Self::JaegerJson => "jaeger-json",
        })
    }
}

/// The messages of a file as OTLP protobuf, in the file's order. A `format` given is insisted on.
pub fn read_messages(path: &Path, format: Option<InputFormat>) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = outside::read_file(path, FILE_BYTES_MAX)?;
    let bytes = decompress(bytes).with_context(|| format!("cannot read {}", path.display()))?;
    split(&bytes, format).with_context(|| format!("cannot read {}", path.display()))
}

fn decompress(bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    if !bytes.starts_with(ZSTD_MAGIC) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let decoder = zstd::stream::Decoder::new(bytes.as_slice())?;
    decoder.take(FILE_BYTES_MAX + 1).read_to_end(&mut plain).context("damaged zstd data")?;
    ensure!(plain.len() as u64 <= FILE_BYTES_MAX, "more than {FILE_BYTES_MAX} bytes unpacked");
    Ok(plain)
}

/// The messages in the bytes of a file.
fn split(bytes: &[u8], format: Option<InputFormat>) -> anyhow::Result<Vec<Vec<u8>>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    if matches!(format, None | Some(InputFormat::OtlpProtobuf)) {
        for length_of in [big_endian_length, varint_length, whole_length] {
            if let Some(messages) = tile(bytes, length_of) {
                return Ok(messages.into_iter().map(<[u8]>::to_vec).collect());
            }
        }
        ensure!(format.is_none(), "no known framing of OTLP protobuf fits the file");
    }
    split_json(bytes, format)
}

fn big_endian_length(rest: &[u8], position: &mut usize) -> Option<usize> {
    let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    *position += 4;
    usize::try_from(length).ok()
}

fn varint_length(rest: &[u8], position: &mut usize) -> Option<usize> {
    let length = read_varint(rest, position).ok()?;
    usize::try_from(length).ok()
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside two framings that can fail")]
fn whole_length(rest: &[u8], _: &mut usize) -> Option<usize> {
    Some(rest.len())
}

/// The messages of a framing if its lengths end exactly at the end of the file and each message
/// consists of `resource_spans` fields.
fn tile(bytes: &[u8], length_of: fn(&[u8], &mut usize) -> Option<usize>) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut head = 0;
        let length = length_of(rest, &mut head)?;
        let message = rest.get(head..head.checked_add(length)?)?;
        if !is_otlp(message) {
            return None;
        }
        messages.push(message);
        rest = rest.get(head + length..)?;
    }
    Some(messages)
}

fn split_json(bytes: &[u8], format: Option<InputFormat>) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
        let value = value.context("neither OTLP protobuf in a known framing nor JSON")?;
        messages.push(json_message(&value, format)?);
    }
    Ok(messages)
}

/// A JSON value of a file as OTLP protobuf. A `format` given is insisted on.
pub(crate) fn json_message(value: &Value, format: Option<InputFormat>) -> anyhow::Result<Vec<u8>> {
    let found = if value.get("resourceSpans").or(value.get("resource_spans")).is_some() {
        InputFormat::OtlpJson
    } else if value.get("data").is_some() {
        InputFormat::JaegerJson
    } else {
        bail!("a JSON value with neither `resourceSpans` nor `data`");
    };
    ensure!(format.is_none_or(|format| format == found), "the file is {found}");
    match found {
        InputFormat::JaegerJson => convert::jaeger_json(value),
        _ => convert::otlp_json(value),
    }
}

/// Whether a message consists of `resource_spans` fields.
pub(crate) fn is_otlp(message: &[u8]) -> bool {
    fields(message).all(|field| field.is_ok_and(|(field, _)| field.is_bytes(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{put_bytes, put_varint};

    fn message(text: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, text);
        message
    }

    #[test]
    fn all_binary_framings_are_recognised() {
        let messages = vec![message(b""), message(b"\x1a\x03abc"), message(&[0x1a; 2])];
        let mut big_endian = Vec::new();
        let mut varint = Vec::new();
        for message in &messages {
            let length = u32::try_from(message.len()).unwrap();
            big_endian.extend_from_slice(&length.to_be_bytes());
            big_endian.extend_from_slice(message);
            put_varint(&mut varint, u64::from(length));
            varint.extend_from_slice(message);
        }
        assert_eq!(split(&big_endian, None).unwrap(), messages);
        assert_eq!(split(&varint, Some(InputFormat::OtlpProtobuf)).unwrap(), messages);
        assert_eq!(split(&messages[1], None).unwrap(), vec![messages[1].clone()]);
        let compressed = zstd::encode_all(varint.as_slice(), 3).unwrap();
        assert_eq!(split(&decompress(compressed).unwrap(), None).unwrap(), messages);
    }

    #[test]
    fn json_is_recognised_however_it_is_laid_out() {
        for text in [
            "{\"resourceSpans\":[]}\n{\"resourceSpans\":[]}\n",
            "{\n  \"resourceSpans\": []\n}{\"data\":[]}",
            "{\"data\":[]} {\"data\":[]}",
        ] {
            assert_eq!(split(text.as_bytes(), None).unwrap().len(), 2, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [&b"{\"spans\":[]}"[..], b"hello", &[0, 0, 0, 9, 1], &[0xff; 40]] {
            assert!(split(bytes, None).is_err(), "{bytes:?}");
        }
        assert!(split(b"{\"data\":[]}", Some(InputFormat::OtlpJson)).is_err());
        assert!(split(b"{\"data\":[]}", Some(InputFormat::OtlpProtobuf)).is_err());
    }
}
