//! Traces on their way out: read, rendered as messages, sent one after another.
//!
//! Invariants: a message never holds spans of two traces; the messages of one trace follow each
//! other; no message is empty.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use model::budget::Budget;
use model::pace::{Pace, WhileAwaited};
use model::store::TraceRequest;
use model::store::{Completeness, Detail, Hit, SearchItem, SearchRequest, SearchStream, Trace};
use model::{Duration, Span, StoreError, TraceId, TraceStore};
use tonic::Status;

use super::calls::{Source, place};
use super::limits;
use super::question::{refusal, unavailable};
use super::spans;
use crate::adjust::{EditableTrace, adjust, sanitize};
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::search_params::SearchParams;
use crate::otlp::encode::traces_data;
use crate::read_context::{Read, ReadContext};
use crate::task;

/// How a trace is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rendering {
    /// As `SpansResponseChunk` of api_v2.
    ApiV2(Repairs),
    /// As `TracesData` of OTLP.
    Otlp(Repairs),
    /// As `TracesData`, just as it came in: for a Jaeger that has repaired it already.
    Stored,
}

/// What is repaired on the way out; the sanitizer always runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repairs {
    /// Without adjusters.
    pub(super) raw: bool,
    /// See [`crate::read_context::ReadLimits::clock_skew_max`].
    pub(super) clock_skew_max: Duration,
}

impl Repairs {
    /// What is repaired, as this node is set up.
    pub(super) fn new<S: TraceStore>(context: &ReadContext<S>, raw: bool) -> Self {
        Self { raw, clock_skew_max: context.limits.clock_skew_max }
    }
}

impl Rendering {
    async fn render(self, trace: Trace, budget: &Budget) -> Result<Vec<Vec<u8>>, Status> {
        let pace = WhileAwaited(budget.clone());
        let rendered = if trace.spans.len() <= limits::INLINE_SPANS_MAX {
            self.render_here(trace, &pace)
        } else {
            let rendered =
                task::blocking("render trace", move || self.render_here(trace, &pace)).await;
            rendered.map_err(|task::Panicked| Status::internal("internal error"))?
        };
        rendered.map_err(|exhausted| refusal(StoreError::Exhausted(exhausted)))
    }

    fn render_here<P: Pace>(self, trace: Trace, pace: &P) -> Result<Vec<Vec<u8>>, P::Stop> {
        let repaired = |repairs: Repairs, trace| {
            let mut trace = EditableTrace::from_trace(trace, pace)?;
            sanitize(&mut trace, pace)?;
            if !repairs.raw {
                adjust(&mut trace, repairs.clock_skew_max, pace)?;
            }
            Ok(trace)
        };
        let mut messages = Vec::new();
        match self {
            Self::ApiV2(repairs) => return spans::chunks(repaired(repairs, trace)?, pace),
            Self::Otlp(repairs) => {
                split(&repaired(repairs, trace)?.into_spans(), &mut messages, pace)?;
            }
            Self::Stored => split(&trace.spans, &mut messages, pace)?,
        }
        Ok(messages)
    }
}

/// One message, or as many as keep each below what clients take.
fn split<P: Pace>(spans: &[Span], messages: &mut Vec<Vec<u8>>, pace: &P) -> Result<(), P::Stop> {
    for spans in spans.chunks(limits::MESSAGE_SPANS_MAX) {
        pace.go_on()?;
        let message = traces_data(spans);
        if message.len() <= limits::MESSAGE_BYTES_MAX || spans.len() <= 1 {
            messages.push(message);
            continue;
        }
        drop(message);
        let (left, right) = spans.split_at(spans.len() / 2);
        split(left, messages, pace)?;
        split(right, messages, pace)?;
    }
    Ok(())
}

/// One trace by id, as messages; none if it is not known, and then what the answer lacks.
pub(super) async fn by_id<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    trace_id: TraceId,
    rendering: Rendering,
) -> Result<(Option<VecDeque<Vec<u8>>>, Gaps), Status> {
    let spans_max = context.limits.spans_max;
    let request = TraceRequest { scope: read.scope.clone(), trace_id, spans_max };
    let answer = context.store.trace(request).await.map_err(refusal)?;
    let mut gaps = Gaps::from(answer.completeness);
    let Some(trace) = answer.value else { return Ok((None, gaps)) };
    gaps.truncated = trace.truncated;
    let messages = rendering.render(trace, &read.scope.budget).await?;
    Ok((Some(messages.into()), gaps))
}

/// Messages that are there already.
#[derive(Debug)]
pub(super) struct Ready {
    /// What is left of them.
    pub(super) messages: VecDeque<Vec<u8>>,
    /// What the answer lacks.
    pub(super) gaps: Gaps,
}

impl Source for Ready {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        Ok(self.messages.pop_front())
    }

    fn completeness(&self) -> String {
        self.gaps.header()
    }
}

/// Several traces by id, one read after another; unknown ones are passed over.
#[derive(Debug)]
pub(super) struct ByIds<S: TraceStore> {
    /// Where from.
    pub(super) context: ReadContext<S>,
    /// The read.
    pub(super) read: Read,
    /// What is left to read.
    pub(super) trace_ids: VecDeque<TraceId>,
    /// What was read and is not sent.
    pub(super) ready: Ready,
}

impl<S: TraceStore> Source for ByIds<S> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        loop {
            if let Some(message) = self.ready.messages.pop_front() {
                return Ok(Some(message));
            }
            let Some(trace_id) = self.trace_ids.pop_front() else { return Ok(None) };
            let place = place(&self.context.room).await?;
            let found = by_id(&self.context, &self.read, trace_id, Rendering::Stored).await?;
            drop(place);
            let (messages, gaps) = found;
            if messages.is_none() && !gaps.store.is_complete() {
                return Err(unavailable(&gaps.store));
            }
            self.ready.messages = messages.unwrap_or_default();
            self.ready.gaps.truncated = self.ready.gaps.truncated.max(gaps.truncated);
            self.ready.gaps.store.merge(gaps.store);
        }
    }

    fn completeness(&self) -> String {
        self.ready.completeness()
    }
}

/// The traces of a search, as they are found.
pub(super) struct Found {
    stream: SearchStream,
    rendering: Rendering,
    ready: Ready,
    limits: SearchLimits,
    /// Held until the answer is sent: dropping it cancels the read.
    read: Read,
}

#[derive(Debug, Clone, Copy)]
struct SearchLimits {
    asked: u32,
    max: u32,
}

impl Found {
    /// Begins a search for whole traces.
    pub(super) async fn begin<S: TraceStore>(
        context: &ReadContext<S>,
        read: Read,
        params: &SearchParams,
        rendering: Rendering,
    ) -> Result<Self, Status> {
        let detail = Detail::Trace { spans_max: context.limits.spans_max };
        let stream = search(context, &read, params, detail).await?;
        let limits = SearchLimits { asked: params.limit, max: context.limits.search_limit_max };
        let ready = Ready { messages: VecDeque::new(), gaps: Gaps::default() };
        Ok(Self { stream, rendering, ready, limits, read })
    }
}

impl Source for Found {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        loop {
            if let Some(message) = self.ready.messages.pop_front() {
                return Ok(Some(message));
            }
            match self.stream.next().await.transpose().map_err(refusal)? {
                None => return Ok(None),
                Some(SearchItem::Progress(_)) => {}
                Some(SearchItem::Hit(hit)) => {
                    let Some(trace) = hit.trace else { continue };
                    self.ready.gaps.truncated = self.ready.gaps.truncated.max(trace.truncated);
                    self.ready.messages =
                        self.rendering.render(trace, &self.read.scope.budget).await?.into();
                }
                Some(SearchItem::End(end)) => {
                    self.ready.gaps.store = end.completeness;
                    let SearchLimits { asked, max } = self.limits;
                    let is_cut = end.cursor.is_some() && asked > max;
                    self.ready.gaps.limit = is_cut.then_some(max);
                }
            }
        }
    }

    fn completeness(&self) -> String {
        self.ready.completeness()
    }
}

/// The hits of a search without their traces, and what the answer lacks.
pub(super) async fn summaries<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    params: &SearchParams,
) -> Result<(Vec<Hit>, Completeness), Status> {
    let mut stream = search(context, read, params, Detail::Summary).await?;
    let mut hits = Vec::new();
    let mut completeness = Completeness::default();
    while let Some(item) = stream.next().await.transpose().map_err(refusal)? {
        match item {
            SearchItem::Progress(_) => {}
            SearchItem::Hit(hit) => hits.push(*hit),
            SearchItem::End(end) => completeness = end.completeness,
        }
    }
    Ok((hits, completeness))
}

async fn search<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    params: &SearchParams,
    detail: Detail,
) -> Result<SearchStream, Status> {
    let query = params.to_query(context.limits.search_limit_max);
    let request = SearchRequest { scope: read.scope.clone(), query, detail, progress: false };
    context.store.search(request).await.map_err(refusal)
}
