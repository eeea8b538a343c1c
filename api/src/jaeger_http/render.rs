//! From a stored trace to JSON: sanitizer, adjusters, translation, writer.
//!
//! All of it is computation. A small trace takes well under a millisecond and is done in place;
//! a large one is done off the runtime's threads, which other requests need, in stretches: whoever
//! asked may leave.

use model::budget::Budget;
use model::pace::{Pace, WhileAwaited};
use model::store::Trace;
use model::{Duration, StoreError, TraceStore};
use tokio::task::spawn_blocking;

use super::error::QueryError;
use super::json::write_trace;
use super::otlp_json::write_resource_spans;
use super::pieces::Pieces;
use crate::adjust::{EditableTrace, adjust, sanitize};
use crate::read_context::ReadContext;

/// Most spans rendered in place: some 200 us of work.
const INLINE_SPANS_MAX: usize = 200;

/// How a trace is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rendering {
    /// In which form.
    pub(super) form: Form,
    /// Without adjusters (the sanitizer still runs: Jaeger runs it before it stores a span).
    pub(super) raw: bool,
    /// See [`crate::read_context::ReadLimits::clock_skew_max`].
    pub(super) clock_skew_max: Duration,
}

/// A form of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One object, Jaeger's own.
    Jaeger,
    /// Items of a list of `ResourceSpans`.
    Otlp,
}

impl Form {
    /// This form, as this node is set up.
    pub(super) fn rendering<S: TraceStore>(self, context: &ReadContext<S>, raw: bool) -> Rendering {
        Rendering { form: self, raw, clock_skew_max: context.limits.clock_skew_max }
    }
}

impl Rendering {
    /// The JSON of a trace. Ends when the caller has left, and not before: what a spent budget has
    /// found is shown.
    pub(super) async fn render(self, trace: Trace, budget: &Budget) -> Result<Pieces, QueryError> {
        let pace = WhileAwaited(budget.clone());
        let rendered = if trace.spans.len() <= INLINE_SPANS_MAX {
            self.render_here(trace, &pace)
        } else {
            let rendered = spawn_blocking(move || self.render_here(trace, &pace)).await;
            rendered.map_err(|_| QueryError::Internal)?
        };
        rendered.map_err(|exhausted| StoreError::Exhausted(exhausted).into())
    }

    fn render_here<P: Pace>(self, trace: Trace, pace: &P) -> Result<Pieces, P::Stop> {
        let mut trace = EditableTrace::from_trace(trace, pace)?;
        sanitize(&mut trace, pace)?;
        if !self.raw {
            adjust(&mut trace, self.clock_skew_max, pace)?;
        }
        let mut pieces = Pieces::default();
        pieces.write(pace, |out, cuts| match self.form {
            Form::Jaeger => write_trace(trace, out, cuts),
            Form::Otlp => write_resource_spans(trace, out, cuts),
        })?;
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    use model::TraceId;
    use model::testing::{CountingPace, simple_span};

    use super::*;

    fn trace(spans: u64) -> Trace {
        let spans = (1..=spans).map(|id| simple_span(1, id, id, id + 5)).collect();
        Trace { trace_id: TraceId([1; 16]), spans, truncated: None }
    }

    /// Renders, and says how often it was asked whether that goes on.
    fn asked(form: Form, spans: u64, asked_max: usize) -> (bool, usize) {
        let rendering = Rendering { form, raw: false, clock_skew_max: Duration(0) };
        let pace = CountingPace::new(asked_max);
        let is_rendered = rendering.render_here(trace(spans), &pace).is_ok();
        (is_rendered, pace.asked())
    }

    #[test]
    fn a_caller_who_left_ends_the_rendering_wherever_it_is() {
        for form in [Form::Jaeger, Form::Otlp] {
            let (is_rendered, all) = asked(form, 10_000, usize::MAX);
            assert!(is_rendered);
            for asked_max in 0..all {
                assert_eq!(asked(form, 10_000, asked_max), (false, asked_max + 1));
            }
            // No stretch grows with the trace: whoever asks twice as much is asked twice as often.
            let (_, more) = asked(form, 20_000, usize::MAX);
            assert!(more * 10 >= all * 16, "{form:?}: {all} then {more}");
            assert!(all >= 10_000 / 256, "{form:?}: {all}");
        }
    }
}
