//! A run of the suite: calls to the store whose errors say which call it was, the spans that
//! searches run over, and comparisons that tell what differs.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::poll_fn;

use super::Options;
use crate::query::TraceQuery;
use crate::store::{
    Detail, Hit, SearchEnd, SearchItem, SearchRequest, SearchStream, Trace, TraceRequest,
};
use crate::testing::{Generator, simple_span, write_spans};
use crate::trace::distinct;
use crate::{Answer, Span, StoreError, Tenant, TraceId, TraceStore, canonical};

/// What was wrong with a store.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("`{0}` is not supported, and the caller of the suite does not allow that")]
    Unsupported(&'static str),
    #[error("`{call}` failed: {error}")]
    Store { call: &'static str, error: StoreError },
    #[error("{what}\n   found: {found}\nexpected: {expected}")]
    Different { what: String, found: String, expected: String },
}

/// A store under test and what it is tested with.
pub(super) struct Run<'a, S> {
    pub(super) store: &'a S,
    pub(super) options: &'a Options,
}

impl<'a, S: TraceStore> Run<'a, S> {
    pub(super) fn new(store: &'a S, options: &'a Options) -> Self {
        Self { store, options }
    }

    /// A tenant of this check and seed.
    pub(super) fn tenant(&self, check: &str) -> Tenant {
        let name = format!("conformance-{}-{check}", self.options.seed);
        // The names of checks are short and plain.
        Tenant::new(&name).unwrap_or_default()
    }

    /// A generator of its own for each check, so that checks do not depend on one another.
    pub(super) fn generator(&self, check: u64) -> Generator {
        Generator::new(self.options.seed.wrapping_mul(1_000).wrapping_add(check))
    }

    /// A plain span of the one plain trace of this seed.
    pub(super) fn span(&self, id: u64, start: u64, end: u64) -> Span {
        simple_span(self.options.seed.max(1), id, start, end)
    }

    /// Writes the spans as one request.
    pub(super) async fn write(&self, tenant: &Tenant, spans: &[Span]) -> Result<(), Wrong> {
        let ack = checked("begin", write_spans(self.store, tenant, spans).await)?;
        same("spans in the acknowledgement", &ack.spans, &(spans.len() as u64))
    }

    /// Writes made-up traces in many requests, and says what is in the store then.
    pub(super) async fn written(&self, name: &str, number: u64) -> Result<Written, Wrong> {
        let tenant = self.tenant(name);
        let mut generator = self.generator(number);
        let mut spans: Vec<Span> =
            (0..self.options.traces).flat_map(|_| generator.trace()).collect();
        generator.shuffle(&mut spans);
        for request in generator.requests(&spans) {
            self.write(&tenant, &request).await?;
        }
        Ok(Written { tenant, traces: group(spans), generator })
    }

    pub(super) async fn trace(
        &self,
        tenant: &Tenant,
        trace_id: TraceId,
        spans_max: usize,
    ) -> Result<Option<Trace>, Wrong> {
        let request = TraceRequest { scope: self.options.scope(tenant), trace_id, spans_max };
        complete("trace", self.store.trace(request).await)
    }

    pub(super) async fn search(
        &self,
        tenant: &Tenant,
        query: &TraceQuery,
        detail: Detail,
    ) -> Result<(Vec<Hit>, SearchEnd), Wrong> {
        let scope = self.options.scope(tenant);
        let request = SearchRequest { scope, query: query.clone(), detail, progress: false };
        let (hits, end) = collect(checked("search", self.store.search(request).await)?).await?;
        same("the search lacks nothing", &end.completeness.is_complete(), &true)?;
        Ok((hits, end))
    }
}

/// What is in the store.
pub(super) struct Written {
    pub(super) tenant: Tenant,
    /// Distinct spans by trace.
    pub(super) traces: BTreeMap<TraceId, Vec<Span>>,
    pub(super) generator: Generator,
}

impl Written {
    /// The traces, as the reference evaluator takes them.
    pub(super) fn slices(&self) -> Vec<&[Span]> {
        self.traces.values().map(Vec::as_slice).collect()
    }

    /// All distinct spans.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.traces.values().flatten().cloned().collect()
    }
}

/// The distinct spans of each trace.
pub(super) fn group(spans: Vec<Span>) -> BTreeMap<TraceId, Vec<Span>> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span);
    }
    traces.into_iter().map(|(trace_id, spans)| (trace_id, distinct(spans))).collect()
}

/// The items of a search up to its end. The end must be there, and be the last.
pub(super) async fn collect(mut stream: SearchStream) -> Result<(Vec<Hit>, SearchEnd), Wrong> {
    let mut hits = Vec::new();
    while let Some(item) = next(&mut stream).await {
        match checked("search", item)? {
            SearchItem::Progress(_) => {
                same("traces told before the end of a progress", &hits.len(), &0)?;
            }
            SearchItem::Hit(hit) => hits.push(*hit),
            SearchItem::End(end) => {
                let after = next(&mut stream).await.is_some();
                same("items after the end of a search", &after, &false)?;
                return Ok((hits, end));
            }
        }
    }
    Err(different("a search has an end", "no end", "an end"))
}

/// The next item of a search.
pub(super) async fn next(stream: &mut SearchStream) -> Option<Result<SearchItem, StoreError>> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// The outcome of a call.
pub(super) fn checked<T>(call: &'static str, outcome: Result<T, StoreError>) -> Result<T, Wrong> {
    outcome.map_err(|error| match error {
        StoreError::Unsupported { .. } => Wrong::Unsupported(call),
        error => Wrong::Store { call, error },
    })
}

/// The value of an answer that must lack nothing.
pub(super) fn complete<T>(
    call: &'static str,
    outcome: Result<Answer<T>, StoreError>,
) -> Result<T, Wrong> {
    let answer = checked(call, outcome)?;
    if answer.completeness.is_complete() {
        return Ok(answer.value);
    }
    Err(different(call, &answer.completeness, "an answer that lacks nothing"))
}

/// Requires two values to be equal.
pub(super) fn same<T: PartialEq + Debug>(
    what: impl Into<String>,
    found: &T,
    expected: &T,
) -> Result<(), Wrong> {
    if found == expected { Ok(()) } else { Err(different(what, found, expected)) }
}

pub(super) fn different(what: impl Into<String>, found: impl Debug, expected: impl Debug) -> Wrong {
    Wrong::Different {
        what: what.into(),
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    }
}

/// Requires the same set of spans in the order of a trace. Spans with one start and id may stand
/// in either order: that one is by arrival.
pub(super) fn same_spans(what: &str, found: &[Span], expected: &[Span]) -> Result<(), Wrong> {
    let is_ordered = found.is_sorted_by_key(|span| (span.start, span.span_id));
    same(format!("{what}: order of spans"), &is_ordered, &true)?;
    if by_content(found) == by_content(expected) {
        return Ok(());
    }
    Err(different(what, found, expected))
}

fn by_content(spans: &[Span]) -> Vec<Vec<u8>> {
    let content = |span: &Span| {
        let mut bytes = Vec::new();
        canonical::write_span(span, &mut bytes);
        bytes
    };
    let mut contents: Vec<_> = spans.iter().map(content).collect();
    contents.sort_unstable();
    contents
}
