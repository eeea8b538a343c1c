//! Recorded traces in memory: the messages' bytes, and an index of their spans.
//!
//! `framing` finds the messages in a file, whatever form it has; `index` finds the spans in
//! the messages; `request` puts spans together into messages again. A span stays the bytes it was
//! recorded as.

mod framing;
mod index;
mod request;

pub use framing::{InputFormat, read_messages};
pub(crate) use framing::{is_otlp, json_message};
pub(crate) use index::granularity;
pub use index::{Recording, SpanRecord, TraceFacts};
pub(crate) use request::{RequestSpan, assemble};
