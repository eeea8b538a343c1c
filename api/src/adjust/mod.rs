//! Jaeger's repairs of a trace, applied when it is read.
//!
//! Skua stores spans as they came. Jaeger changes them twice: a *sanitizer* runs before spans
//! are stored, and seven *adjusters* run before a trace is shown, unless the caller asks for the
//! raw trace. Both are pure functions here, applied at Jaeger's edge in Jaeger's order:
//!
//! ```text
//! Trace --from_trace--> EditableTrace --sanitize--> --adjust (unless raw)--> translate, write
//! ```
//!
//! Each takes a [`Pace`]: a trace may have a hundred thousand spans, and whoever asked may leave.
//! A warning travels inside the span, as the attribute [`WARNINGS_KEY`] with a list of texts.
//! What is *not* here: any rule that storage or search depends on (that is `model::effective`).

mod editable;
mod go_text;
mod intern;
mod values;
mod warnings;

mod sanitize;

mod clock_skew;
mod deduplicate;
mod ip_attributes;
mod library_attributes;
mod links;
mod shared_span_ids;
mod sort;

pub use clock_skew::correct_clock_skew;
pub use deduplicate::deduplicate_spans;
pub use editable::{EditableSpan, EditableTrace};
pub use go_text::{format_duration, format_rfc3339, format_time};
pub use ip_attributes::normalize_ip_attributes;
pub use library_attributes::move_library_attributes;
pub use links::remove_empty_links;
pub use sanitize::sanitize;
pub use shared_span_ids::separate_shared_span_ids;
pub use sort::sort_collections;
pub use values::{list_items, string_form};
pub use warnings::{WARNINGS_KEY, add_warning, take_warnings};

use model::Duration;
use model::pace::Pace;

/// Applies the seven query-time adjusters in Jaeger's order.
pub fn adjust<P: Pace>(
    trace: &mut EditableTrace,
    clock_skew_max: Duration,
    pace: &P,
) -> Result<(), P::Stop> {
    separate_shared_span_ids(trace, pace)?;
    sort_collections(trace, pace)?;
    deduplicate_spans(trace, pace)?;
    correct_clock_skew(trace, clock_skew_max, pace)?;
    normalize_ip_attributes(trace, pace)?;
    move_library_attributes(trace, pace)?;
    remove_empty_links(trace, pace)
}
