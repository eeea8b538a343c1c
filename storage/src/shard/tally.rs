//! What orders look at: times and counts over some rows of a trace.

use model::batch::{Index, TraceRows};
use model::query::{Order, OrderKey, order_key};
use model::store::TraceSummary;
use model::{Text, Timestamp, TraceId};

use super::verdict::Figures;
use crate::block::Split;

/// Times and counts over some rows of a trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    start_min: Timestamp,
    end_max: Timestamp,
    spans: u64,
    errors: u64,
    /// Some rows have equal starts: perhaps repeats, so that the counts may be too high.
    pub(super) has_twins: bool,
}

impl Tally {
    /// Over the counted rows of a trace in one piece; nothing if there are none.
    pub(super) fn of(
        index: &Index,
        trace: &TraceRows,
        counts: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let mut tally: Option<Self> = None;
        let mut last_start = None;
        for row in trace.rows().filter(|row| counts(*row)) {
            let (start, end) = (*index.starts.get(row)?, *index.ends.get(row)?);
            let is_error = index.class(row)?.is_error();
            let own = Self {
                start_min: start,
                end_max: end,
                spans: 1,
                errors: u64::from(is_error),
                // Rows of a trace are ordered by start.
                has_twins: last_start == Some(start),
            };
            last_start = Some(start);
            tally = Self::both(tally, Some(own));
        }
        tally
    }

    pub(super) fn of_summary(summary: &TraceSummary) -> Self {
        Self {
            start_min: summary.start,
            end_max: summary.end,
            spans: summary.span_count,
            errors: summary.error_count,
            has_twins: false,
        }
    }

    pub(super) fn of_split(split: &Split) -> Self {
        let Split { start_min, end_max, spans, errors, .. } = *split;
        Self { start_min, end_max, spans, errors, has_twins: true }
    }

    pub(super) fn split(self, id: TraceId) -> Split {
        let Self { start_min, end_max, spans, errors, .. } = self;
        Split { id, start_min, end_max, spans, errors }
    }

    /// Over the rows of both.
    pub(super) fn both(left: Option<Self>, right: Option<Self>) -> Option<Self> {
        match (left, right) {
            (Some(left), Some(right)) => Some(Self {
                start_min: left.start_min.min(right.start_min),
                end_max: left.end_max.max(right.end_max),
                spans: left.spans + right.spans,
                errors: left.errors + right.errors,
                has_twins: left.has_twins || right.has_twins,
            }),
            (left, right) => left.or(right),
        }
    }

    /// The place in the order, as the reference gives it.
    pub(super) fn key(&self, order: Order, trace_id: TraceId) -> OrderKey {
        let summary = TraceSummary {
            trace_id,
            start: self.start_min,
            end: self.end_max.max(self.start_min),
            root_service: Text::EMPTY,
            root_operation: Text::EMPTY,
            span_count: self.spans,
            error_count: self.errors,
            orphan_count: 0,
            services: Vec::new(),
        };
        order_key(order, &summary)
    }

    pub(super) fn figures(&self, counts_are_exact: bool) -> Figures {
        Figures {
            duration: self.end_max.since(self.start_min).0,
            counts: counts_are_exact.then_some((self.spans, self.errors)),
        }
    }
}
