//! Brings a rare form of a message into the usual one, meaning unchanged.
//!
//! Protobuf lets a writer repeat what stands once: the last scalar counts, the parts of a
//! message are merged, the last member of a oneof wins; and unknown fields may stand anywhere.
//! No exporter does this, but what it means is defined. The walker leaves such messages to
//! [`normalise`], which writes each known field once (lists in order), in the order of the
//! numbers, then the unknown fields, in order.
//!
//! Invariant: the input was checked ([`super::walk`]), so nothing here can fail; on bytes that
//! were not checked, the rest of the message is dropped.

use super::schema::{Field, Kind, Message};
use super::wire::{Reader, Writer};

/// Appends the usual form of `bytes`, a message of type `message`.
pub fn normalise(message: &'static Message, bytes: &[u8], writer: &mut Writer) {
    if message.is_oneof {
        winner(message, bytes, writer);
    } else {
        for field in message.fields {
            match field.kind {
                Kind::One(inner) => one(field, inner, bytes, writer),
                Kind::Many(inner) => {
                    for occurrence in Occurrences::of(bytes).filter(|found| found.is(field)) {
                        nested(field, inner, occurrence.payload, writer);
                    }
                }
                _ => {
                    if let Some(last) = Occurrences::of(bytes).filter(|it| it.is(field)).last() {
                        writer.bytes.extend_from_slice(last.whole);
                    }
                }
            }
        }
    }
    for unknown in Occurrences::of(bytes).filter(|found| found.field(message).is_none()) {
        writer.bytes.extend_from_slice(unknown.whole);
    }
}

/// The parts of a message that stands once, merged: merging is what concatenating means.
fn one(field: &Field, inner: &'static Message, bytes: &[u8], writer: &mut Writer) {
    let mut payloads = Occurrences::of(bytes).filter(|found| found.is(field));
    let Some(first) = payloads.next() else { return };
    let mut merged = first.payload.to_vec();
    payloads.for_each(|next| merged.extend_from_slice(next.payload));
    nested(field, inner, &merged, writer);
}

/// The last member of a oneof; a message that repeats without another member between merges.
fn winner(message: &'static Message, bytes: &[u8], writer: &mut Writer) {
    let mut last: Option<(&Field, Vec<u8>, &[u8])> = None;
    for occurrence in Occurrences::of(bytes) {
        let Some(field) = occurrence.field(message) else { continue };
        match &mut last {
            Some((winner, merged, whole)) if winner.number == field.number => {
                merged.extend_from_slice(occurrence.payload);
                *whole = occurrence.whole;
            }
            _ => last = Some((field, occurrence.payload.to_vec(), occurrence.whole)),
        }
    }
    if let Some((field, merged, whole)) = last {
        match field.kind {
            Kind::One(inner) => nested(field, inner, &merged, writer),
            _ => writer.bytes.extend_from_slice(whole),
        }
    }
}

fn nested(field: &Field, inner: &'static Message, payload: &[u8], writer: &mut Writer) {
    let place = writer.begin(field.number);
    normalise(inner, payload, writer);
    writer.end(place);
}

/// A field as it stands in a message.
#[derive(Clone, Copy)]
struct Occurrence<'a> {
    tag: u32,
    /// Tag and value.
    whole: &'a [u8],
    /// The bytes of a field with a length; empty for others.
    payload: &'a [u8],
}

impl Occurrence<'_> {
    fn is(&self, field: &Field) -> bool {
        self.tag == super::wire::tag(field.number, field.kind.wire_type())
    }

    fn field(&self, message: &'static Message) -> Option<&'static Field> {
        message.fields.iter().find(|field| self.is(field))
    }
}

struct Occurrences<'a> {
    reader: Reader<'a>,
}

impl<'a> Occurrences<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }
}

impl<'a> Iterator for Occurrences<'a> {
    type Item = Occurrence<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_at_end() {
            return None;
        }
        let start = self.reader.position();
        let tag = self.reader.tag().ok()?;
        let payload = if tag & 7 == super::wire::LENGTH {
            self.reader.bytes().ok()?
        } else {
            self.reader.skip(tag).ok()?;
            &[]
        };
        Some(Occurrence { tag, whole: self.reader.since(start), payload })
    }
}
