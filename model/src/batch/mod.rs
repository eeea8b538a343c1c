//! The batch: spans of one shard and tenant in columns; the unit of replication, and level 0 of
//! storage.
//!
//! ```text
//!  header   magic, version, batch id, tenant, counts, time bounds, section table, checksum
//!  index    packed: dictionaries, resources, scopes, columns, shapes, classes, the rows' classes,
//!           times and parents             raw: trace ids, span ids, mantissas, far parents
//!  values   the columns of span attributes and of the rarer span fields     (packed, raw)
//!  details  events and links: their classes, times, ids and columns         (packed, raw)
//! ```
//!
//! A *class* is what many spans share: resource, scope, name, kind, status, flags, the numbers
//! of events and links, and the *shape*, which is the ordered list of its attributes' columns.
//! A row is its class, its times, its parent and its place in the columns of its shape. So
//! attribute order, duplicate keys and types cost nothing per row and nothing is lost.
//!
//! Rows are grouped by trace (in order of first appearance), by start within a trace; a parent
//! in the same batch is a distance between rows. The *index* alone answers which traces, when,
//! how long, of which service and operation; *values* and *details* are read when needed.
//!
//! Two phases: the [`Builder`] takes spans as they come, under a lock, with little more work than
//! copying them; [`Encoder`] sorts and packs them, on whatever thread, afterwards. The layout, to
//! the byte, is described in `docs/formats/batch-v1.md`; old versions stay readable.

mod builder;
mod class;
mod column;
mod encode;
mod format;
mod index;
mod intern;
mod reader;
mod rows;
#[cfg(test)]
mod tests;

pub use builder::Builder;
pub use class::{Class, ColumnKey, Part, Shape, TextField};
pub use column::Column;
pub use encode::{Encoder, encode};
pub use format::{BatchError, Header, SectionId};
pub use index::{ColumnBytes, Index, Parent, TraceRows};
pub use reader::{Batch, Details, Values, each_span, spans};
pub use rows::{RowCopier, RowFacts, Rows};

/// Most spans in one batch: row numbers fit 16 bits with room, and a reader knows what to expect.
pub const SPANS_MAX: usize = 1 << 16;

/// Most bytes that one section may unpack to: a builder is closed far below, and a damaged
/// length must not become an allocation.
pub const SECTION_BYTES_MAX: usize = 1 << 26;

/// Most events or links in one batch, and values of a column that takes no byte for them, for the
/// same reasons. A builder is closed far below ([`Builder::payload_bytes`]). Earlier ones were
/// closed by their text alone: what they may have written has to be read, and that is as many as
/// a node takes in at a time (64 MiB at two bytes each).
pub const DETAIL_ROWS_MAX: usize = 1 << 25;
