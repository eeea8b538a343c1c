//! From a stored trace to JSON: sanitizer, adjusters, translation, writer.
//!
//! All of it is computation. A small trace takes well under a millisecond and is done in place;
//! a large one is done off the runtime's threads, which other requests need.

use model::store::Trace;
use model::{Duration, TraceStore};
use tokio::task::spawn_blocking;

use super::error::QueryError;
use super::json::push_trace;
use super::otlp_json::push_resource_spans;
use super::translate::translate;
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
    /// The JSON of a trace.
    pub(super) async fn render(self, trace: Trace) -> Result<Vec<u8>, QueryError> {
        if trace.spans.len() <= INLINE_SPANS_MAX {
            return Ok(self.render_here(trace));
        }
        let rendered = spawn_blocking(move || self.render_here(trace)).await;
        rendered.map_err(|_| QueryError::Internal)
    }

    fn render_here(self, trace: Trace) -> Vec<u8> {
        let mut trace = EditableTrace::from_trace(trace);
        sanitize(&mut trace);
        if !self.raw {
            adjust(&mut trace, self.clock_skew_max);
        }
        let mut out = Vec::new();
        match self.form {
            Form::Jaeger => push_trace(&mut out, &translate(trace)),
            Form::Otlp => push_resource_spans(&mut out, &trace),
        }
        out
    }
}
