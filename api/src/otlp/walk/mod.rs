//! The walker: OTLP bytes become calls to a [`SpanVisitor`], and no span is ever built.
//!
//! Decoding 500 spans into structs costs thousands of allocations, and the store turns them
//! into columns at once anyway. So a request is walked twice where it lies:
//!
//! 1. [`check()`] looks at every byte that could refuse the request or a span: wire form, nesting,
//!    lengths of ids, limits. It notes where each span, resource and scope stands ([`Plan`]).
//! 2. [`tell()`] goes over the spans of one partition and tells the visitor what they hold.
//!
//! What a message means is what protobuf says: fields in any order, the last scalar counts,
//! repeated singular messages merge, the last member of a oneof wins, unknown fields are kept.
//! The usual order is walked as it lies. Whatever needs rewriting first (merged messages,
//! scattered unknown fields) is brought into the usual form by [`super::normal`] during the
//! check, into the plan's scratch space.
//!
//! Invariants:
//! - [`tell()`] sees exactly the spans that [`check()`] accepted, and cannot fail.
//! - Memory is allocated per request, not per span; a plan that is used again allocates nothing.
//! - Text is bytes here. Invalid UTF-8 passes and is repaired where it is shown.
//!
//! What it does not keep: unknown fields of a request, and groups that hold no span.
//!
//! [`SpanVisitor`]: model::SpanVisitor

mod attribute;
mod check;
mod plan;
mod tell;

pub use check::{CheckError, Partitioning, check};
pub use plan::{PartPiece, Plan, PlanPool, Rejected, Rejection};
pub use tell::{tell, tell_piece};
