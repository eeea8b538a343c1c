//! Judges a history: was everything kept that clients were promised?
//!
//! The checker knows what was sent, what was said of it, and what was seen. It uses no code of the
//! product, so it cannot share a mistake with it, and it decides by set difference: a span that was
//! acknowledged before a question was asked has to be in the answer, or the answer has to say that
//! it lacks something. A promise is broken if:
//!
//! - **DUR-1** an acknowledged span is not in the last reading of a node;
//! - **DUR-2** something is in an answer that no client had sent by then, or with other content;
//! - **SET** a span stands twice in an answer, or a trace does;
//! - **REP-2** two replicas of a shard at the same entry hold different numbers of spans, or
//!   digests;
//! - **QRY-2** a partial answer does not say of what; a span that was seen is gone from an answer
//!   that calls itself complete;
//! - **QRY-3** a complete answer lacks a span that was acknowledged before the question;
//! - **API-1** a refusal is neither retryable with a hint nor one for good; a valid request is
//!   refused for good; a success rejects spans;
//! - **RET-1** a span goes everywhere before its retention, after it had been seen; nodes disagree
//!   about what is past it;
//! - **TEN-1** an answer holds a trace of another tenant;
//! - **LIV-1** writes are not accepted again within the limit of a fault; replicas do not converge.
//!
//! *SET* is the rule that contents are a set; it has no id of its own in the registry.
//!
//! A history is read twice: once for what was sent and acknowledged, once for what was answered.
//! What is kept between is some dozens of bytes a request and nothing for each span.
//!
//! What is absent on purpose: an opinion on refused or unknown spans. They may appear or not; but
//! once a complete answer had one, it has to stay.

mod faults;
mod invariant;
mod judge;
mod requests;
mod verdict;

#[cfg(test)]
mod tests;

pub use faults::FaultVerdict;
pub use invariant::{Invariant, Violation};
pub use judge::{Checker, judge};
pub use verdict::{Counts, Verdict};
