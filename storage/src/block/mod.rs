//! Blocks: immutable columnar files, each of one shard, one bucket and one retention class.
//!
//! ```text
//!  header     magic, version, the block's number
//!  pages      run by run of a tenant; each page is a batch of its own (`model::batch`), rows
//!             grouped by trace, traces by their start
//!  sections   per tenant: which traces it holds and where, which of them lie elsewhere too, names,
//!             what rules out pages, figures by the minute
//!  directory  what the block is, and where pages and sections lie, with what prunes them
//!  footer     where the directory lies, checksums, the end
//! ```
//!
//! A page has the batch's encoding, because that is what is read, copied and verified everywhere
//! else; what a block adds is order (whole traces, by start), size, and what finds and rules out
//! pages. No page, dictionary or table serves two tenants.
//!
//! Invariants:
//! - a file is complete when its name stands in the manifest: it was synced before;
//! - nothing of it is believed without its checksum, and an error names file and section;
//! - a page holds whole traces, but for traces that are larger than a page.
//!
//! To the byte: `docs/formats/block-v1.md`.

mod build;
mod directory;
mod error;
mod file;
pub mod limits;
mod names;
mod raw_section;
pub(crate) mod rollup;
mod splits;
mod table;
mod table_slices;
mod writer;
pub(crate) mod zones;

pub(crate) use build::{PageSizes, Source, SourceTrace, build_run};
pub use directory::{BlockInfo, Directory, PageInfo, Run, SectionKind};
pub use error::BlockError;
pub use file::BlockFile;
pub(crate) use names::Names;
pub(crate) use rollup::Rollup;
pub(crate) use splits::{Split, Splits};
pub use table::TraceTable;
pub(crate) use table::{OnFound, SortedIds};
pub(crate) use table_slices::{TableChecks, TablePrints};
pub(crate) use writer::BlockWriter;
pub(crate) use zones::Zones;
