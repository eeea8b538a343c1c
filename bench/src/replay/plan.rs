//! What each request of a load holds.
//!
//! Pure: the same recording and options give the same bytes for the same request number, whoever
//! builds it and whenever. Requests are numbered over all passes; every pass holds every span of
//! the recording exactly once. Within a request, spans of one resource stand under one resource,
//! which is written once.

use std::ops::Range;

use crate::limits::REQUEST_BYTES_MAX;
use crate::recording::{Recording, RequestSpan, SpanRecord, assemble};
use crate::redraw::{Random, Survey, TraceTimes};
use crate::replay::rewrite::{Rewrite, fresh_trace_id};
use crate::wire::WireError;

/// Times move by whole milliseconds, so that a clock's granularity stays visible.
const SHIFT_UNIT: i128 = 1_000_000;

/// What a plan is made by.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// How many times the recording is sent.
    pub passes: u32,
    /// See [`super::LoadOptions::fresh_ids`].
    pub fresh_ids: bool,
    /// What fresh ids and values are drawn from.
    pub seed: u64,
    /// Where the recording's latest end is moved, in nanoseconds since 1970.
    pub latest_end: Option<u64>,
    /// Spans a request; zero for the recorded messages.
    pub spans_per_request: u32,
    /// Requests end with a trace: what a sender has whose traces are its own. Then each has at
    /// least as many spans as said, as far as one request holds them.
    pub whole_traces: bool,
}

/// All requests of a load.
#[derive(Debug)]
pub struct ReplayPlan {
    recording: Recording,
    survey: Survey,
    chunks: Vec<Range<usize>>,
    options: PlanOptions,
}

impl ReplayPlan {
    /// Plans the requests. Looks at every value of the recording if values are to be drawn anew.
    pub fn new(recording: Recording, options: PlanOptions) -> Result<Self, WireError> {
        let redraws = options.fresh_ids && options.passes > 1;
        let survey = if redraws { Survey::of(&recording)? } else { Survey::default() };
        let (every, of_pass) = (options.spans_per_request as usize, 0..recording.spans().len());
        if options.whole_traces {
            let recording = recording.by_trace();
            let chunks = cut_between_traces(&recording, of_pass, every);
            return Ok(Self { recording, survey, chunks, options });
        }
        let chunks = if every == 0 {
            recording.messages().flat_map(|message| cut(&recording, message, usize::MAX)).collect()
        } else {
            cut(&recording, of_pass, every)
        };
        Ok(Self { recording, survey, chunks, options })
    }

    /// The recording that is sent.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// How many times the recording is sent.
    pub fn passes(&self) -> u32 {
        self.options.passes
    }

    /// How many requests there are in all passes.
    pub fn request_count(&self) -> u64 {
        self.chunks.len() as u64 * u64::from(self.options.passes)
    }

    /// How many spans there are in all passes.
    pub fn span_count(&self) -> u64 {
        self.recording.spans().len() as u64 * u64::from(self.options.passes)
    }

    /// How many spans the requests before `request` hold.
    pub fn spans_before(&self, request: u64) -> u64 {
        let (pass, chunk) = self.locate(request);
        let before = self.chunks.get(chunk).map_or(0, |chunk| chunk.start as u64);
        u64::from(pass) * self.recording.spans().len() as u64 + before
    }

    /// The id that a trace of the recording has in a pass.
    pub fn trace_id(&self, pass: u32, trace: u32) -> Vec<u8> {
        let mut id = self.recording.trace_id(trace).to_vec();
        if self.options.fresh_ids {
            fresh_trace_id(&mut id, self.pass_seed(pass));
        }
        id
    }

    /// The bytes of a request, and how many spans it holds. Empty beyond the last request.
    pub fn build(&self, request: u64) -> Result<(Vec<u8>, u64), WireError> {
        let (pass, chunk) = self.locate(request);
        let chunk = self.chunks.get(chunk).cloned().unwrap_or_default();
        let spans = self.recording.spans().get(chunk).unwrap_or_default();
        if pass >= self.options.passes {
            return Ok((Vec::new(), 0));
        }
        let planned = spans.iter().map(|span| PlannedSpan { plan: self, span, pass });
        Ok((assemble(&self.recording, planned)?, spans.len() as u64))
    }

    fn locate(&self, request: u64) -> (u32, usize) {
        let chunks = (self.chunks.len() as u64).max(1);
        let pass = u32::try_from(request / chunks).unwrap_or(u32::MAX);
        (pass, usize::try_from(request % chunks).unwrap_or_default())
    }

    /// What changes in a span in a pass.
    fn rewrite(&self, span: &SpanRecord, pass: u32) -> Rewrite<'_> {
        let seed = self.pass_seed(pass);
        let facts = self.recording.traces().get(span.trace as usize).copied().unwrap_or_default();
        let redraws = self.options.fresh_ids && pass > 0;
        let times = if redraws {
            TraceTimes::drawn(&self.recording, &facts, self.recording.trace_id(span.trace), seed)
        } else {
            TraceTimes::unchanged(&facts)
        };
        Rewrite {
            id_seed: self.options.fresh_ids.then_some(seed),
            survey: redraws.then_some((&self.survey, seed)),
            times,
            shift: self.shift(pass),
        }
    }

    /// How far all times of a pass move. The last pass ends where the options say, or where it was
    /// recorded; fresh passes before it end one recorded window earlier each.
    fn shift(&self, pass: u32) -> i64 {
        let last_end = self.recording.last_end();
        let to_end = self.options.latest_end.unwrap_or(last_end);
        let period = last_end.saturating_sub(self.recording.first_start());
        let passes_after = self.options.passes.saturating_sub(pass.saturating_add(1));
        let earlier = if self.options.fresh_ids { u64::from(passes_after) } else { 0 };
        let distance =
            i128::from(to_end) - i128::from(last_end) - i128::from(period) * i128::from(earlier);
        let distance = distance.div_euclid(SHIFT_UNIT) * SHIFT_UNIT;
        i64::try_from(distance).unwrap_or(if distance < 0 { i64::MIN } else { i64::MAX })
    }

    fn pass_seed(&self, pass: u32) -> u64 {
        Random::of(self.options.seed, &pass.to_le_bytes()).draw()
    }
}

/// Cuts a run of spans into requests of at most `spans_max` spans and what gRPC takes.
pub(crate) fn cut(recording: &Recording, run: Range<usize>, spans_max: usize) -> Vec<Range<usize>> {
    cut_where(recording, run, |spans, _| spans >= spans_max)
}

/// Cuts a run of spans, the spans of a trace together, into requests of whole traces: at least
/// `spans_min` spans, and at most what gRPC takes.
fn cut_between_traces(
    recording: &Recording,
    run: Range<usize>,
    spans_min: usize,
) -> Vec<Range<usize>> {
    let trace_at = |at: usize| recording.spans().get(at).map(|span| span.trace);
    let begins =
        |at: usize| at.checked_sub(1).is_none_or(|before| trace_at(before) != trace_at(at));
    cut_where(recording, run, |spans, at| spans >= spans_min && begins(at))
}

/// Cuts before the spans at which `ends` says so of the number of spans so far, and before a
/// request becomes larger than gRPC takes.
fn cut_where(
    recording: &Recording,
    run: Range<usize>,
    ends: impl Fn(usize, usize) -> bool,
) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (run.start, 0);
    for (at, span) in recording.spans().iter().enumerate().take(run.end).skip(run.start) {
        // As if every span had a resource and a scope of its own.
        let shared = recording.resource(span.resource).len() + recording.scope(span.scope).len();
        let length = recording.span_bytes(span).len() + shared + 32;
        if at > start && (ends(at - start, at) || bytes + length > REQUEST_BYTES_MAX) {
            chunks.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += length;
    }
    if start < run.end {
        chunks.push(start..run.end);
    }
    chunks
}

/// A recorded span in a pass.
struct PlannedSpan<'a> {
    plan: &'a ReplayPlan,
    span: &'a SpanRecord,
    pass: u32,
}

impl RequestSpan for PlannedSpan<'_> {
    fn group(&self) -> (u32, u32) {
        (self.span.resource, self.span.scope)
    }

    fn length(&self) -> usize {
        self.plan.recording.span_bytes(self.span).len()
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        out.extend_from_slice(self.plan.recording.span_bytes(self.span));
        let written = out.get_mut(start..).unwrap_or_default();
        self.plan.rewrite(self.span, self.pass).apply(written)
    }
}
