//! What may be asked of a store of traces: one model for Jaeger's parameters, for Tempo's tags
//! and for TraceQL, with one meaning, given by the reference evaluator ([`mod@evaluate`]).
//!
//! A [`TraceQuery`] asks for the first `limit` traces in an exact order. A trace matches if
//!
//! 1. at least one of its spans starts within the window, and
//! 2. its [`TracePredicate`] holds, where predicates on spans look only at the spans that start
//!    within the window.
//!
//! What is returned of a matching trace (its summary, its spans) is always the whole trace, and
//! it is ordered by facts of the whole trace, wherever its spans lie.

pub mod aggregate;
pub mod evaluate;
pub mod field;
mod jaeger_tag;
mod number;
mod predicate;

pub use aggregate::{aggregate, dependencies};
pub use evaluate::{
    Evaluator, TraceFacts, evaluate, is_in_form, order_key, span_matches, trace_matches,
};
pub use field::FieldValue;
pub use jaeger_tag::JaegerTag;
pub use number::Number;
pub use predicate::{
    AttributeScope, Comparison, Field, Literal, NumberTest, PATTERNS_MAX, PREDICATE_DEPTH_MAX,
    Pattern, PatternError, PatternRoom, Relation, SpanPredicate, Statistic, TracePredicate,
    ValueTest,
};

use crate::{ShardId, TimeRange, TraceId};

/// A question for traces.
#[derive(Debug, Clone)]
pub struct TraceQuery {
    /// Spans that start outside do not count for the predicate.
    pub window: TimeRange,
    /// What must hold of a trace.
    pub predicate: TracePredicate,
    /// Which traces come first.
    pub order: Order,
    /// How many traces at most.
    pub limit: u32,
    /// Continue after this place; from the same query's previous answer.
    pub cursor: Option<Cursor>,
}

/// The order of an answer. Ties are broken by trace id, ascending, in every order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// By the start of the trace's earliest span, latest first.
    #[default]
    Newest,
    /// By the start of the trace's earliest span, earliest first.
    Oldest,
    /// By the trace's duration (earliest start to latest end), longest first.
    Longest,
    /// By the trace's duration, shortest first.
    Shortest,
    /// By the number of distinct spans, most first.
    MostSpans,
    /// By the number of distinct spans with status error, most first.
    MostErrors,
}

impl Order {
    /// All orders.
    pub const ALL: [Self; 6] = [
        Self::Newest,
        Self::Oldest,
        Self::Longest,
        Self::Shortest,
        Self::MostSpans,
        Self::MostErrors,
    ];
}

/// The place of a trace in an order: smaller comes first, whatever the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// The order's figure, inverted (`u64::MAX - figure`) where larger figures come first.
    pub rank: u64,
    /// The tie-breaker.
    pub trace_id: TraceId,
}

/// Where an answer ended, and what had been applied when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last trace that was returned.
    pub last: OrderKey,
    /// The applied index of each shard that answered. A later page is exact for its own moment;
    /// these tell whether moments differ.
    pub applied: Vec<(ShardId, u64)>,
}
