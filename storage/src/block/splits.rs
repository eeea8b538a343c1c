//! Traces of a block that do not lie on one page of it alone: the rest of them is on other pages,
//! in other blocks, or was when the block was made.
//!
//! Searches rank a trace by all of its parts. A trace that is not listed in any block's splits, nor
//! in the head, lies on one page, whose figures are then its own; the others are looked up.

use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_varint};
use model::{Timestamp, TraceId};

/// A trace with parts in several places, with figures over all parts that were known when this
/// was written. Repeats may count twice, and parts may be gone since: the figures are bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) id: TraceId,
    pub(crate) start_min: Timestamp,
    pub(crate) end_max: Timestamp,
    pub(crate) spans: u64,
    pub(crate) errors: u64,
}

impl Split {
    /// Bounds for both: they may be over the same parts.
    pub(crate) fn covering(self, other: Self) -> Self {
        Self {
            id: self.id,
            start_min: self.start_min.min(other.start_min),
            end_max: self.end_max.max(other.end_max),
            spans: self.spans.max(other.spans),
            errors: self.errors.max(other.errors),
        }
    }

    /// Over the parts of both.
    pub(crate) fn merged(self, other: Self) -> Self {
        Self {
            id: self.id,
            start_min: self.start_min.min(other.start_min),
            end_max: self.end_max.max(other.end_max),
            spans: self.spans + other.spans,
            errors: self.errors + other.errors,
        }
    }
}

/// The splits of a run, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Splits(pub(crate) Vec<Split>);

impl Splits {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.0.len() * 40);
        put_varint(&mut out, self.0.len() as u64);
        for split in &self.0 {
            out.extend_from_slice(split.id.as_bytes());
            put_varint(&mut out, split.start_min.0);
            put_varint(&mut out, split.end_max.0.wrapping_sub(split.start_min.0));
            put_varint(&mut out, split.spans);
            put_varint(&mut out, split.errors);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let mut cursor = Cursor::new(bytes);
        let count = cursor.count(bytes.len())?;
        let mut splits = Vec::with_capacity(count);
        for _ in 0..count {
            let id = TraceId(cursor.array()?);
            let start_min = cursor.varint()?;
            splits.push(Split {
                id,
                start_min: Timestamp(start_min),
                end_max: Timestamp(start_min.wrapping_add(cursor.varint()?)),
                spans: cursor.varint()?,
                errors: cursor.varint()?,
            });
        }
        Ok(Self(splits))
    }
}
