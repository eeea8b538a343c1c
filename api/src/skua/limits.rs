//! Bounds of Skua's own reads, each with its reason.

/// Largest query in JSON: a thousand terms with long values.
pub(super) const QUERY_BYTES_MAX: usize = 256 << 10;
/// Most terms of one query: each is looked at for every page of a scan.
pub(super) const TERMS_MAX: usize = 1_000;
/// Traces that a search returns unless told.
pub(super) const LIMIT_DEFAULT: u32 = 20;
/// Most shards that a cursor may name; far beyond any cluster.
pub(super) const CURSOR_SHARDS_MAX: usize = 4_096;
/// Most time bins of one answer: more than a screen has columns.
pub(super) const BINS_MAX: u64 = 10_000;
/// Most quantiles of one answer.
pub(super) const QUANTILES_MAX: usize = 8;
/// Most of the frequent values of a key.
pub(super) const VALUES_MAX: u64 = 1_000;
/// Frequent values unless told.
pub(super) const VALUES_DEFAULT: u32 = 10;
/// Most spans of a trace in columns: 148 MB on the wire, and what a browser still holds.
pub(super) const COLUMNS_SPANS_MAX: usize = 4_000_000;
/// Bytes of one piece of a body that is written while it is sent.
pub(super) const PIECE_BYTES: usize = 64 << 10;
