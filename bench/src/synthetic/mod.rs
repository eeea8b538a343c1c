//! Traces that look like recorded ones, in any number and any size.
//!
//! [`Profile`] learns from a recording which operations there are, who calls whom how often, how
//! long things take, and how many spans traces have. [`Synthesis`] grows traces from that: each
//! span is a recorded span of its operation (its attributes, events and status), under new ids,
//! with a place and a duration in the new trace, its variable values drawn anew. The same seed
//! gives the same bytes.
//!
//! What it is not: a model of time across traces (they start at even distances), nor of anything
//! that recordings do not hold.

mod profile;
mod synthesis;

pub use profile::Profile;
pub use synthesis::{Synthesis, SynthesisOptions};
