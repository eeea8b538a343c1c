//! One Zipkin span being read, in a form that all of Zipkin's formats fill.
//!
//! Texts are copied behind one another into one vector and named by their place in it. A draft
//! is cleared and filled again for every span of a request; lists stop one item after the
//! walker's limits, so that it rejects the span and the draft stays small.

use crate::jaeger_thrift::arena::Value;
use crate::jaeger_thrift::limits::{
    ATTRIBUTES_TRANSLATED_MAX, DRAFT_BYTES_MAX, SPAN_ITEMS_TRANSLATED_MAX,
};

/// A text of a draft, by its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    start: usize,
    end: usize,
}

impl Text {
    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The value of a tag or a binary annotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// Text.
    Text(Text),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// A service somewhere in the network; empty fields are not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub service: Text,
    /// Its address.
    pub ipv4: Text,
    /// Its other address.
    pub ipv6: Text,
    /// Its port.
    pub port: i64,
}

/// An event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Annotation {
    /// Microseconds since the epoch.
    pub time: i64,
    /// What happened.
    pub value: Text,
    /// Where (v1 only).
    pub endpoint: Endpoint,
}

/// A tag, or a binary annotation.
#[derive(Debug, Clone, Copy)]
pub struct Tag {
    /// Its key.
    pub key: Text,
    /// Its value.
    pub value: Scalar,
    /// Where (v1 only).
    pub endpoint: Endpoint,
}

/// A span being read.
#[derive(Debug, Default)]
pub struct Draft {
    texts: Vec<u8>,
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its id.
    pub span_id: [u8; 8],
    /// Its parent's id; all zero for none.
    pub parent: [u8; 8],
    /// Its name.
    pub name: Text,
    /// Its kind in OTLP's numbers; 0 if it says none (v2 only).
    pub kind: u64,
    /// Microseconds since the epoch; 0 if it says none.
    pub timestamp: i64,
    /// Microseconds.
    pub duration: i64,
    /// Whose span it is (v2 only).
    pub local: Endpoint,
    /// Who was spoken to (v2 only).
    pub remote: Endpoint,
    annotations: Vec<Annotation>,
    tags: Vec<Tag>,
}

impl Draft {
    /// Forgets the span and keeps the memory.
    pub fn clear(&mut self) {
        let Self { mut texts, mut annotations, mut tags, .. } = std::mem::take(self);
        texts.clear();
        annotations.clear();
        tags.clear();
        *self = Self { texts, annotations, tags, ..Self::default() };
    }

    /// Keeps a text; beyond the bound, nothing.
    pub fn keep(&mut self, text: &[u8]) -> Text {
        let start = self.texts.len();
        if start + text.len() > DRAFT_BYTES_MAX {
            return Text::default();
        }
        self.texts.extend_from_slice(text);
        Text { start, end: self.texts.len() }
    }

    /// The bytes of a text.
    pub fn text(&self, text: Text) -> &[u8] {
        self.texts.get(text.start..text.end).unwrap_or_default()
    }

    /// A value as an attribute has it.
    pub fn value(&self, value: Scalar) -> Value<'_> {
        match value {
            Scalar::Text(text) => Value::Text(self.text(text)),
            Scalar::Bool(truth) => Value::Bool(truth),
            Scalar::Int(integer) => Value::Int(integer),
            Scalar::Double(double) => Value::Double(double),
        }
    }

    /// Adds an annotation; beyond the bound, nothing.
    pub fn push_annotation(&mut self, annotation: Annotation) {
        if self.annotations.len() < SPAN_ITEMS_TRANSLATED_MAX {
            self.annotations.push(annotation);
        }
    }

    /// Adds a tag; beyond the bound, nothing.
    pub fn push_tag(&mut self, tag: Tag) {
        if self.tags.len() < ATTRIBUTES_TRANSLATED_MAX {
            self.tags.push(tag);
        }
    }

    /// Its annotations.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// Its tags.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The text of the last tag of this key; nothing if there is none.
    pub fn tag_text(&self, key: &[u8]) -> Option<&[u8]> {
        let tag = self.tags.iter().rev().find(|tag| self.text(tag.key) == key)?;
        Some(self.value(tag.value).text())
    }
}
