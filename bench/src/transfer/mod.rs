//! Moves traces between stores and files: what `skua import` and `skua export` run.
//!
//! ```text
//!   files, or a Jaeger that answers over gRPC
//!        |  messages of OTLP, each of one trace or of one line of a file
//!   Collector: an OTLP/gRPC receiver (import), or a file (export)
//! ```
//!
//! A Jaeger's API has no way to list everything: a search returns at most so many traces of one
//! window of time. `windows` therefore walks a range of time, halves what comes back full and
//! widens what comes back nearly empty; it is pure. `source` asks, `position` keeps how far an
//! import has come, so that one that was cut off goes on where it was. What is read twice is
//! harmless: contents of Skua are a set.
//!
//! Invariants: a position is written only after everything before it was acknowledged; nothing is
//! left out silently (a window that is too full to be read whole, an answer that its store calls
//! partial, a span that the receiver refused: all are in the report, and make it incomplete).
//!
//! What is absent on purpose: Jaeger's stores themselves (Cassandra, Elasticsearch). Their schemas
//! are Jaeger's own affair; whoever has the data can still start the Jaeger that reads it.

mod export;
mod framing;
mod import;
mod options;
mod output;
mod position;
mod questions;
mod report;
mod seen;
mod sender;
mod source;
mod walk;
mod windows;

pub use export::{ExportFormat, ExportOptions, export};
pub use framing::MessageReader;
pub use import::{ImportOptions, Origin, import};
pub(crate) use options::pairs;
pub use options::{Header, JaegerAddress, Protocol, Search};
pub use output::Rendering;
pub use report::{Ticker, TransferReport};
pub use windows::{Verdict, Window, WindowWalk};
