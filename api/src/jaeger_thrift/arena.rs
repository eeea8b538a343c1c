//! The request-local arena: whatever a client speaks becomes an OTLP message in one vector, which
//! the one walker then reads.
//!
//! Spans are told in their order; [`Arena::resource`] and [`Arena::scope`] open a new group only
//! where it differs from the open one, so a request of one resource stays one group.
//!
//! Invariants:
//! - What was written is a well-formed `ExportTraceServiceRequest` after [`Arena::finish`].
//! - Its size is bounded: attributes, events and links of a span stop where the walker rejects
//!   the span anyway, and [`Arena::end_span`] refuses more than [`limits::ARENA_BYTES_MAX`].
//! - Nothing is allocated per span; an arena that is used again allocates nothing at all.

use super::limits::{self, ATTRIBUTES_TRANSLATED_MAX};
use super::protocol::ThriftError;
use crate::error::ApiError;
use crate::otlp::walk::CheckError;
use crate::otlp::wire::{LENGTH, Nested, WireError, Writer};

/// Why a body in a foreign format cannot be translated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// It is not the Thrift message it should be.
    #[error(transparent)]
    Thrift(#[from] ThriftError),
    /// It is not the protobuf message it should be.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It is not the JSON text it should be.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A field has a value that cannot be.
    #[error("invalid {field}: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It grows beyond what a request may be.
    #[error("the request is larger than {} bytes as OTLP", limits::ARENA_BYTES_MAX)]
    TooLarge,
}

impl From<TranslateError> for ApiError {
    fn from(error: TranslateError) -> Self {
        match error {
            TranslateError::Wire(error) => CheckError::Malformed(error).into(),
            TranslateError::TooLarge => {
                CheckError::TooLarge { bytes_max: limits::ARENA_BYTES_MAX }.into()
            }
            other => Self::Parameter { what: other.to_string() },
        }
    }
}

/// The value of an attribute, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text, possibly not UTF-8.
    Text(&'a [u8]),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The text, or nothing if it is something else.
    pub fn text(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text,
            _ => b"",
        }
    }

    /// The size of the `AnyValue` that holds it.
    fn size(self) -> usize {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => field_size(bytes.len()),
            Self::Bool(_) => 2,
            Self::Int(value) => 1 + varint_size(value.cast_unsigned()),
            Self::Double(_) => 9,
        }
    }
}

/// Bytes of a field with a one-byte tag and this many bytes of content.
fn field_size(length: usize) -> usize {
    1 + varint_size(length as u64) + length
}

/// Bytes of a varint.
fn varint_size(value: u64) -> usize {
    (value | 1).ilog2() as usize / 7 + 1
}

/// Field numbers of attributes in the messages that have some.
pub mod attributes_of {
    /// `Resource.attributes`
    pub const RESOURCE: u32 = 1;
    /// `Span.attributes`
    pub const SPAN: u32 = 9;
    /// `Event.attributes`
    pub const EVENT: u32 = 3;
    /// `Link.attributes`
    pub const LINK: u32 = 4;
}

/// Attributes of one message being written.
#[derive(Debug)]
pub struct Attributes<'w> {
    writer: &'w mut Writer,
    field: u32,
    left: &'w mut usize,
}

impl Attributes<'_> {
    /// Adds an attribute; beyond the bound, nothing.
    pub fn put(&mut self, key: &[u8], value: Value<'_>) {
        if *self.left == 0 {
            return;
        }
        *self.left -= 1;
        let value_size = value.size();
        self.writer.tag(self.field, LENGTH);
        self.writer.varint((field_size(key.len()) + field_size(value_size)) as u64);
        self.writer.bytes_field(1, key);
        self.writer.tag(2, LENGTH);
        self.writer.varint(value_size as u64);
        match value {
            Value::Text(text) => self.writer.bytes_field(1, text),
            Value::Bool(truth) => self.writer.varint_field(2, u64::from(truth)),
            Value::Int(integer) => self.writer.varint_field(3, integer.cast_unsigned()),
            Value::Double(double) => self.writer.fixed64_field(4, double.to_bits()),
            Value::Bytes(bytes) => self.writer.bytes_field(7, bytes),
        }
    }

    /// Adds an attribute that is a list of texts.
    pub fn put_texts<'t>(&mut self, key: &[u8], texts: impl Iterator<Item = &'t [u8]>) {
        if *self.left == 0 {
            return;
        }
        *self.left -= 1;
        let attribute = self.writer.begin(self.field);
        self.writer.bytes_field(1, key);
        let value = self.writer.begin(2);
        let list = self.writer.begin(5);
        for text in texts {
            let item = self.writer.begin(1);
            self.writer.bytes_field(1, text);
            self.writer.end(item);
        }
        self.writer.end(list);
        self.writer.end(value);
        self.writer.end(attribute);
    }
}

/// An OTLP message being written.
#[derive(Debug, Default)]
pub struct Arena {
    writer: Writer,
    /// The open `ResourceSpans` and its resource.
    resource_spans: Option<Nested>,
    resource: Vec<u8>,
    /// The open `ScopeSpans` and its scope.
    scope_spans: Option<Nested>,
    scope: Vec<u8>,
    /// A resource or scope that may turn out to be the open one.
    candidate: Writer,
    /// How many attributes the current message may still get.
    attributes_left: usize,
    spans: u64,
}

impl Arena {
    /// An arena for a body of this size; OTLP is about as large as any other format.
    pub fn for_body(bytes: usize) -> Self {
        let mut arena = Self::default();
        arena.writer.bytes.reserve(bytes);
        arena
    }

    /// How many spans were written.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.writer.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.writer.bytes.is_empty()
    }

    /// Sets the resource of the following spans to the attributes that `fill` puts.
    pub fn resource<E>(
        &mut self,
        fill: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.candidate.bytes.clear();
        let mut left = ATTRIBUTES_TRANSLATED_MAX;
        let field = attributes_of::RESOURCE;
        fill(&mut Attributes { writer: &mut self.candidate, field, left: &mut left })?;
        if self.resource_spans.is_some() && self.candidate.bytes == self.resource {
            return Ok(());
        }
        self.finish();
        std::mem::swap(&mut self.resource, &mut self.candidate.bytes);
        self.resource_spans = Some(self.writer.begin(1));
        self.writer.bytes_field(1, &self.resource);
        Ok(())
    }

    /// Sets the scope of the following spans; nothing is written of one without a name.
    pub fn scope(&mut self, name: &[u8], version: &[u8]) {
        self.candidate.bytes.clear();
        for (number, text) in [(1, name), (2, version)] {
            if !text.is_empty() {
                self.candidate.bytes_field(number, text);
            }
        }
        if self.scope_spans.is_some() && self.candidate.bytes == self.scope {
            return;
        }
        self.end_scope();
        std::mem::swap(&mut self.scope, &mut self.candidate.bytes);
        self.scope_spans = Some(self.writer.begin(2));
        if !self.scope.is_empty() {
            self.writer.bytes_field(1, &self.scope);
        }
    }

    /// Begins a span of the open scope.
    pub fn begin_span(&mut self) -> Nested {
        self.attributes_left = ATTRIBUTES_TRANSLATED_MAX;
        self.spans += 1;
        self.writer.begin(2)
    }

    /// Ends a span.
    pub fn end_span(&mut self, span: Nested) -> Result<(), TranslateError> {
        self.writer.end(span);
        if self.len() > limits::ARENA_BYTES_MAX {
            return Err(TranslateError::TooLarge);
        }
        Ok(())
    }

    /// For the fields of the span, event or link that is being written.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// For the attributes of the span, event or link that is being written. Attributes of events
    /// and links count as the span's.
    pub fn attributes(&mut self, field: u32) -> Attributes<'_> {
        Attributes { writer: &mut self.writer, field, left: &mut self.attributes_left }
    }

    /// Ends what is open.
    pub fn finish(&mut self) {
        self.end_scope();
        if let Some(resource_spans) = self.resource_spans.take() {
            self.writer.end(resource_spans);
        }
    }

    fn end_scope(&mut self) {
        if let Some(scope_spans) = self.scope_spans.take() {
            self.writer.end(scope_spans);
        }
    }

    /// A place to come back to if what follows turns out to be malformed.
    pub fn mark(&mut self) -> Mark {
        self.finish();
        Mark { bytes: self.len(), spans: self.spans }
    }

    /// Forgets what was written since, and answers how many spans that were.
    #[expect(clippy::needless_pass_by_value, reason = "a place is good for one return")]
    pub fn roll_back(&mut self, mark: Mark) -> u64 {
        (self.scope_spans, self.resource_spans) = (None, None);
        self.writer.bytes.truncate(mark.bytes);
        let forgotten = self.spans.saturating_sub(mark.spans);
        self.spans = mark.spans;
        forgotten
    }

    /// Takes the message and leaves an empty arena.
    pub fn take(&mut self) -> Vec<u8> {
        self.finish();
        self.spans = 0;
        std::mem::take(&mut self.writer.bytes)
    }
}

/// A place in an arena at which no group is open.
#[derive(Debug)]
pub struct Mark {
    bytes: usize,
    spans: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_varints_are_those_that_are_written() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1_u64 << shift) - 1, u64::MAX >> shift] {
                let mut writer = Writer::default();
                writer.varint(value);
                assert_eq!(varint_size(value), writer.bytes.len(), "{value}");
            }
        }
    }

    #[test]
    fn a_rolled_back_arena_is_as_before() {
        let mut arena = Arena::default();
        let put = |attributes: &mut Attributes<'_>| {
            attributes.put(b"service.name", Value::Text(b"a"));
            Ok::<_, TranslateError>(())
        };
        arena.resource(put).unwrap();
        arena.scope(b"", b"");
        let span = arena.begin_span();
        arena.end_span(span).unwrap();
        let mark = arena.mark();
        let before = arena.len();
        arena.resource(put).unwrap();
        arena.scope(b"x", b"");
        let _unfinished = arena.begin_span();
        assert_eq!(arena.roll_back(mark), 1);
        assert_eq!((arena.len(), arena.spans()), (before, 1));
        assert_eq!(arena.take().len(), before);
    }
}
