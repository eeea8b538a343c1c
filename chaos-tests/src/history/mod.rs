//! What clients of a run sent, were told and saw: one JSON object a line, only ever appended to.
//!
//! A history is written while the run goes on and can be judged again later, offline. So that a
//! million spans need little room, identities are arithmetic: a trace id says which client made it,
//! in which request and as which trace, a span id says which request carried it and at which place.
//! Whether a span was ever sent is a look into a table of requests; no span is listed.
//!
//! - [`identity`]: ids to and from what they encode.
//! - [`content`]: what a span holds, and the number that stands for it.
//! - [`record`]: the lines of the file.
//! - [`file`](mod@file): writing and reading them.
//!
//! Invariant: times are nanoseconds of one clock, that of the harness, which never goes back.
//!
//! What is absent on purpose: any type of the product. A history of another trace store could be
//! written and judged in the same way.

pub mod content;
pub mod file;
pub mod identity;
pub mod record;

pub use content::{Content, fingerprint};
pub use file::{HistoryReader, HistoryWriter};
pub use identity::{LATE_PLACE, RequestId, SpanKey, TraceKey};
pub use record::{
    Answer, Asked, Attempt, Claim, Client, Fault, Odd, Outcome, Record, Replica, Replicas, Run,
    Seen, Sent,
};
