//! The messages of a file, one after another, however large the file is.
//!
//! The same forms as [`crate::recording`] knows, told by their beginning instead of by the whole:
//! a file is believed to have a framing if its first message is one in it and another frame, or the
//! end, follows. Memory holds one message. zstd and gzip are unpacked on the way.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::limits::FILE_MESSAGE_BYTES_MAX;
use crate::recording::{InputFormat, is_otlp, json_message};
use crate::{outside, wire};

const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Bytes read ahead to tell what a file is.
const HEAD_BYTES: usize = 16;

/// Bytes of the longest length before a message.
const LENGTH_BYTES_MAX: usize = 5;

/// Bytes that are read from a file at once.
const BUFFER_BYTES: usize = 1 << 20;

type Input = BufReader<Box<dyn Read + Send>>;

/// A file of recorded traces, read message by message.
pub struct MessageReader {
    messages: Messages,
    format: Option<InputFormat>,
}

impl std::fmt::Debug for MessageReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MessageReader")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

enum Messages {
    Binary { input: Input, framing: Framing },
    Json { values: JsonValues, metered: Arc<AtomicU64> },
}

type JsonValues =
    serde_json::StreamDeserializer<'static, serde_json::de::IoRead<Metered<Input>>, Value>;

/// How messages of protobuf follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Behind a length of four bytes, big-endian.
    BigEndian,
    /// Behind a varint.
    Varint,
    /// One, to the end.
    Whole,
}

impl MessageReader {
    /// Opens a file. A `format` given is insisted on.
    pub fn open(path: &Path, format: Option<InputFormat>) -> anyhow::Result<Self> {
        let file = outside::open_file(path)?;
        Self::of(Box::new(file), format).with_context(|| format!("cannot read {}", path.display()))
    }

    fn of(file: Box<dyn Read + Send>, format: Option<InputFormat>) -> anyhow::Result<Self> {
        let mut packed: Input = BufReader::with_capacity(BUFFER_BYTES, file);
        let head = peek(&mut packed)?;
        let plain: Box<dyn Read + Send> = if head.starts_with(ZSTD_MAGIC) {
            Box::new(zstd::stream::Decoder::with_buffer(packed)?)
        } else if head.starts_with(GZIP_MAGIC) {
            Box::new(flate2::bufread::MultiGzDecoder::new(packed))
        } else {
            Box::new(packed)
        };
        let mut input: Input = BufReader::with_capacity(BUFFER_BYTES, plain);
        let head = peek(&mut input)?;
        let messages = if is_json(&head) {
            ensure!(format != Some(InputFormat::OtlpProtobuf), "the file is JSON");
            let metered = Arc::new(AtomicU64::new(0));
            let input = Metered { input, read: Arc::clone(&metered) };
            Messages::Json {
                values: serde_json::Deserializer::from_reader(input).into_iter(),
                metered,
            }
        } else {
            ensure!(
                format.is_none_or(|format| format == InputFormat::OtlpProtobuf),
                "the file is not JSON"
            );
            Messages::Binary { framing: framing_of(&mut input)?, input }
        };
        Ok(Self { messages, format })
    }

    /// The next message as OTLP protobuf; none at the end.
    pub fn read(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        match &mut self.messages {
            Messages::Binary { input, framing } => {
                let Some(message) = read_frame(input, *framing)? else { return Ok(None) };
                ensure!(is_otlp(&message), "a message that is not OTLP");
                Ok(Some(message))
            }
            Messages::Json { values, metered } => {
                metered.store(0, Ordering::Relaxed);
                let Some(value) = values.next() else { return Ok(None) };
                let value = value.context("neither OTLP protobuf in a known framing nor JSON")?;
                json_message(&value, self.format).map(Some)
            }
        }
    }

    /// Passes over messages; fewer are there if the file became shorter.
    pub fn skip(&mut self, count: u64) -> anyhow::Result<u64> {
        for skipped in 0..count {
            let is_there = match &mut self.messages {
                Messages::Binary { input, framing } => read_frame(input, *framing)?.is_some(),
                Messages::Json { values, metered } => {
                    metered.store(0, Ordering::Relaxed);
                    values.next().transpose()?.is_some()
                }
            };
            if !is_there {
                return Ok(skipped);
            }
        }
        Ok(count)
    }
}

/// The first bytes, without taking them. A reader may give fewer than there are; what is told by
/// them needs only two.
fn peek(input: &mut Input) -> anyhow::Result<Vec<u8>> {
    let buffered = input.fill_buf()?;
    Ok(buffered.get(..HEAD_BYTES.min(buffered.len())).unwrap_or_default().to_vec())
}

/// Whether the file begins as a JSON object does. `{` alone is also the length 123.
fn is_json(head: &[u8]) -> bool {
    let mut visible = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    let begins = visible.next() == Some(&b'{');
    begins && visible.next().is_none_or(|next| matches!(next, b'"' | b'}'))
}

/// The framing in which the beginning of the file holds most messages.
fn framing_of(input: &mut Input) -> anyhow::Result<Framing> {
    let buffered = input.fill_buf()?;
    let [big_endian, varint] = [Framing::BigEndian, Framing::Varint].map(|framing| {
        // Of equal counts, the four bytes are the rarer accident.
        (messages_within(buffered, framing), framing)
    });
    let best = if varint.0 > big_endian.0 { varint } else { big_endian };
    if let (Some(_), framing) = best {
        return Ok(framing);
    }
    ensure!(buffered.first() == Some(&0x0a), "neither OTLP protobuf in a known framing nor JSON");
    Ok(Framing::Whole)
}

/// How many messages that are not empty lie whole in the bytes; none if the bytes cannot be read
/// so. Of a last one that is cut off, its first field must do.
fn messages_within(bytes: &[u8], framing: Framing) -> Option<usize> {
    let (mut rest, mut count) = (bytes, 0);
    while !rest.is_empty() {
        let Some((head, length)) = frame_length(rest, framing) else {
            // The head itself may be cut off where the bytes end.
            if rest.len() < LENGTH_BYTES_MAX {
                break;
            }
            return None;
        };
        if length as u64 > FILE_MESSAGE_BYTES_MAX {
            return None;
        }
        let message = rest.get(head..)?;
        match message.split_at_checked(length) {
            Some((whole, after)) => {
                if !is_otlp(whole) {
                    return None;
                }
                count += usize::from(!whole.is_empty());
                rest = after;
            }
            None if message.first().is_none_or(|first| *first == 0x0a) => break,
            None => return None,
        }
    }
    Some(count)
}

/// The bytes of a frame's head, and how long what follows is.
fn frame_length(bytes: &[u8], framing: Framing) -> Option<(usize, usize)> {
    match framing {
        Framing::BigEndian => {
            let length = u32::from_be_bytes(*bytes.first_chunk::<4>()?);
            Some((4, usize::try_from(length).ok()?))
        }
        Framing::Varint => {
            let mut head = 0;
            let length = wire::read_varint(bytes, &mut head).ok()?;
            Some((head, usize::try_from(length).ok()?))
        }
        Framing::Whole => Some((0, bytes.len())),
    }
}

/// The next frame; none at the end of the file.
fn read_frame(input: &mut Input, framing: Framing) -> anyhow::Result<Option<Vec<u8>>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let length = match framing {
        Framing::BigEndian => {
            let mut head = [0; 4];
            input.read_exact(&mut head).context("the file is cut off")?;
            u64::from(u32::from_be_bytes(head))
        }
        Framing::Varint => read_length(input)?,
        Framing::Whole => FILE_MESSAGE_BYTES_MAX + 1,
    };
    let is_whole = framing == Framing::Whole;
    ensure!(is_whole || length <= FILE_MESSAGE_BYTES_MAX, "a message of {length} bytes");
    let mut message = Vec::new();
    let read = input.take(length).read_to_end(&mut message)? as u64;
    if is_whole {
        ensure!(read <= FILE_MESSAGE_BYTES_MAX, "a message of more than {read} bytes");
    } else {
        ensure!(read == length, "the file is cut off in the middle of a message");
    }
    Ok(Some(message))
}

fn read_length(input: &mut Input) -> anyhow::Result<u64> {
    let mut length = 0_u64;
    for shift in (0..35).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte).context("the file is cut off")?;
        let [byte] = byte;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    bail!("a length of more than five bytes")
}

/// Refuses to read more than one value may have. Read-ahead counts to the value before, so the
/// bound is not exact.
struct Metered<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        let read = self.read.fetch_add(count as u64, Ordering::Relaxed);
        if read > FILE_MESSAGE_BYTES_MAX {
            let what = format!("one JSON value of more than {FILE_MESSAGE_BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, what));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::wire::{put_bytes, put_varint};

    fn message(text: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, text);
        message
    }

    fn read(bytes: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut reader = MessageReader::of(Box::new(Cursor::new(bytes.to_vec())), None)?;
        let mut messages = Vec::new();
        while let Some(message) = reader.read()? {
            messages.push(message);
        }
        Ok(messages)
    }

    #[test]
    fn every_form_is_read_message_by_message() {
        // The second is as long as the character that begins an object of JSON.
        let messages = vec![message(b""), message(&[0x1a; 121]), message(b"\x1a\x03abc")];
        let (mut big_endian, mut varint) = (Vec::new(), Vec::new());
        for message in &messages {
            let length = u32::try_from(message.len()).unwrap();
            big_endian.extend_from_slice(&length.to_be_bytes());
            big_endian.extend_from_slice(message);
            put_varint(&mut varint, u64::from(length));
            varint.extend_from_slice(message);
        }
        assert_eq!(read(&big_endian).unwrap(), messages);
        assert_eq!(read(&varint).unwrap(), messages);
        assert_eq!(read(&varint[3..]).unwrap(), messages[1..]);
        assert_eq!(read(&messages[1]).unwrap(), messages[1..2]);
        assert_eq!(read(&zstd::encode_all(varint.as_slice(), 3).unwrap()).unwrap(), messages);
        assert_eq!(read(b"{\"resourceSpans\":[]}\n{\"data\":[]}\n").unwrap().len(), 2);
        assert_eq!(read(b" {\n \"data\": []\n}").unwrap().len(), 1);
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn what_was_done_is_passed_over() {
        let text = b"{\"data\":[]} {\"data\":[]} {\"data\":[]}";
        let mut reader = MessageReader::of(Box::new(Cursor::new(text.to_vec())), None).unwrap();
        assert_eq!(reader.skip(2).unwrap(), 2);
        assert!(reader.read().unwrap().is_some() && reader.read().unwrap().is_none());
        assert_eq!(reader.skip(2).unwrap(), 0);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        let mut varint = Vec::new();
        for text in [&b"\x1a\x03abc"[..], &[0x1a; 90]] {
            let message = message(text);
            put_varint(&mut varint, message.len() as u64);
            varint.extend_from_slice(&message);
        }
        let json =
            br#"{"data":[{"processes":{"p":{}},"spans":[{"processID":"p","traceID":"1"}]}]}"#;
        let packed = zstd::encode_all(varint.as_slice(), 3).unwrap();
        for good in [varint.as_slice(), json, &packed] {
            for seed in 0..2_000 {
                let mut random = crate::redraw::Random::new(seed);
                let mut damaged = good.to_vec();
                for _ in 0..=random.below(3) {
                    let at = usize::try_from(random.below(damaged.len() as u64)).unwrap();
                    damaged[at] = random.draw().to_le_bytes()[0];
                }
                // Whatever it says, it says it.
                drop(read(&damaged));
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in
            [&b"{\"spans\":[]}"[..], b"hello", &[0, 0, 0, 9, 1], &[0xff; 40], b"{\"data\":"]
        {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
