//! Sends recorded traces over OTLP/gRPC: what `skua load` runs.
//!
//! `plan` says what each request of a load holds, as a pure function of the recording, the
//! options and the request's number; `rewrite` changes a span's ids, times and values in place;
//! `client` sends bytes and understands refusals; [`load()`] keeps the connections busy and
//! counts. A load is over when every request was acknowledged or refused for good, or when the
//! server refused one for longer than the options allow.

mod client;
mod histogram;
mod load;
#[cfg(test)]
mod load_tests;
mod options;
mod plan;
mod report;
mod rewrite;
#[cfg(test)]
mod tests;

pub(crate) use client::{Client, RawCodec, Refusal};
pub use histogram::Histogram;
pub use load::{Load, load};
pub use options::LoadOptions;
pub(crate) use plan::cut;
pub use plan::{PlanOptions, ReplayPlan};
pub use report::{LoadProgress, LoadReport, Progress};
pub(crate) use rewrite::change_event_times;
