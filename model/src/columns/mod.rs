//! Column codecs shared by batches and blocks.
//!
//! A column is written into two streams: `packed`, which is compressed with its neighbours
//! afterwards, and `raw`, for bits that no compressor can shorten (ids, mantissas), which would
//! only cost time there and blur the statistics of the rest. What belongs to a value that
//! repeats goes to `packed`; what looks random goes to `raw`.
//!
//! Writers trust their caller, who sized everything. Readers trust nobody: every length is
//! checked against what is left before anything is allocated, and what does not add up is a
//! [`ColumnError`], never a panic.

pub mod bits;
pub mod compress;
pub mod cursor;
pub mod integers;
pub mod strings;

/// Bytes that do not add up to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed column: {reason}")]
pub struct ColumnError {
    /// What does not add up.
    pub reason: &'static str,
}

impl ColumnError {
    /// An error of the given reason.
    pub const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

/// The two streams a column is written to.
#[derive(Debug, Default)]
pub struct Streams {
    /// To be compressed.
    pub packed: Vec<u8>,
    /// To be kept as it is.
    pub raw: Vec<u8>,
}

impl Streams {
    /// Empties both, keeping their room.
    pub fn clear(&mut self) {
        self.packed.clear();
        self.raw.clear();
    }
}
