//! Checks of writing, and of reading what was written by trace id.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::run::{Run, Wrong, checked, complete, group, same, same_spans};
use crate::query::{Order, SpanPredicate, TracePredicate, TraceQuery};
use crate::span::ParentId;
use crate::store::{Detail, FindRequest, RequestDigest, SpansRequest, TraceColumns, TraceRequest};
use crate::testing::begin_with_spans;
use crate::trace::{columns, find};
use crate::{
    Attribute, AttributeValue, Resource, Span, SpanSink, Tenant, Text, TimeRange, TraceId,
    TraceStore,
};

/// Bytes of a value that no page or frame is made for.
const LARGE_VALUE_BYTES: usize = 300_000;

/// Spans of a request that no single batch holds.
const LARGE_REQUEST_SPANS: u64 = 5_000;

/// More spans than any trace of the suite has.
const ALL_SPANS: usize = 1_000_000;

pub(super) async fn acknowledged_spans_come_back<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("comes-back");
    let mut generator = run.generator(1);
    for _ in 0..10 {
        let spans = generator.distinct_trace();
        run.write(&tenant, &spans).await?;
        require_trace(run, &tenant, &spans).await?;
    }
    Ok(())
}

pub(super) async fn many_requests_make_whole_traces<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let written = run.written("whole-traces", 2).await?;
    for spans in written.traces.values() {
        require_trace(run, &written.tenant, spans).await?;
    }
    Ok(())
}

pub(super) async fn exact_repeats_count_once<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let tenant = run.tenant("repeats");
    let mut generator = run.generator(3);
    let spans = generator.trace();
    // The same request again, then the same spans in other requests.
    run.write(&tenant, &spans).await?;
    run.write(&tenant, &spans).await?;
    for request in generator.requests(&spans) {
        run.write(&tenant, &request).await?;
    }
    let traces = group(spans);
    for (trace_id, spans) in &traces {
        require_trace(run, &tenant, spans).await?;
        let (hits, _) = run.search(&tenant, &everything(), Detail::Summary).await?;
        let counts: Vec<_> =
            hits.iter().map(|hit| (hit.summary.trace_id, hit.summary.span_count)).collect();
        same("counts over distinct spans", &counts, &vec![(*trace_id, spans.len() as u64)])?;
    }
    Ok(())
}

pub(super) async fn different_spans_under_one_id_are_kept<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("one-id");
    let span = run.span(1, 10, 20);
    let mut named = span.clone();
    named.name = "other".into();
    let mut elsewhere = span.clone();
    let attributes = vec![Attribute::new("service.name", "elsewhere")];
    elsewhere.resource = Arc::new(Resource { present: true, attributes, ..Resource::default() });
    let mut marked = span.clone();
    marked.unknown = Text::copy_from(b"\xc0\x0c\x01");
    let mut rooted = span.clone();
    rooted.parent = ParentId::Id(crate::SpanId([0; 8]));
    let spans = [span, named, elsewhere, marked, rooted];
    for span in &spans {
        run.write(&tenant, std::slice::from_ref(span)).await?;
    }
    require_trace(run, &tenant, &spans).await
}

pub(super) async fn tenants_are_apart<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let (owner, other) = (run.tenant("owner"), run.tenant("stranger"));
    let spans = run.generator(4).distinct_trace();
    run.write(&owner, &spans).await?;
    if let Some(span) = spans.first() {
        let found = run.trace(&other, span.trace_id, ALL_SPANS).await?;
        same("another tenant's trace", &found, &None)?;
    }
    let (hits, _) = run.search(&other, &everything(), Detail::Summary).await?;
    same("another tenant's traces in a search", &hits, &Vec::new())?;
    let services = complete("services", run.store.services(run.options.scope(&other)).await)?;
    same("another tenant's services", &services.len(), &0)?;
    // The same trace id under both tenants is two traces.
    let mut own = spans.clone();
    own.truncate(1);
    run.write(&other, &own).await?;
    require_trace(run, &other, &own).await?;
    require_trace(run, &owner, &spans).await
}

pub(super) async fn empty_requests_are_acknowledged<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("empty");
    let sink = checked("begin", run.store.begin(&tenant, RequestDigest([0; 16])))?;
    let ack = checked("begin", sink.finish().await)?;
    same("spans of an empty request", &ack.spans, &0)?;
    let (hits, _) = run.search(&tenant, &everything(), Detail::Summary).await?;
    same("traces of an empty request", &hits, &Vec::new())
}

/// Two requests at once, finished in the other order, with spans of one trace in both.
pub(super) async fn open_requests_do_not_mix<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let (one, two) = (run.tenant("open-1"), run.tenant("open-2"));
    let spans = run.generator(8).distinct_trace();
    let first = checked("begin", begin_with_spans(run.store, &one, &spans))?;
    let second = checked("begin", begin_with_spans(run.store, &two, &spans))?;
    let late = spans.get(spans.len() - 1..).unwrap_or_default();
    let again = checked("begin", begin_with_spans(run.store, &one, late))?;
    for (sink, count) in [(again, late.len()), (second, spans.len()), (first, spans.len())] {
        let ack = checked("begin", sink.finish().await)?;
        same("spans in the acknowledgement", &ack.spans, &(count as u64))?;
    }
    require_trace(run, &one, &spans).await?;
    require_trace(run, &two, &spans).await
}

pub(super) async fn large_values_and_large_requests_come_back<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("large");
    let mut spans: Vec<_> =
        (1..=LARGE_REQUEST_SPANS).map(|id| run.span(id, 10 * id, 10 * id + 5)).collect();
    for (span, byte) in spans.iter_mut().zip([b'x', 0xff]) {
        let value = AttributeValue::String(vec![byte; LARGE_VALUE_BYTES].into());
        span.attributes.push(Attribute { key: "large".into(), value });
    }
    run.write(&tenant, &spans).await?;
    require_trace(run, &tenant, &spans).await
}

pub(super) async fn unknown_traces_are_not_found<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let found = run.trace(&run.tenant("unknown"), TraceId([9; 16]), ALL_SPANS).await?;
    same("a trace that nobody wrote", &found, &None)
}

pub(super) async fn long_traces_are_cut_off_and_say_so<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("cut-off");
    let spans: Vec<_> = (1..=5).map(|id| run.span(id, 100 * id, 900)).collect();
    run.write(&tenant, &spans).await?;
    let Some(first) = spans.first() else { return Ok(()) };
    let trace = run.trace(&tenant, first.trace_id, 2).await?;
    let (found, truncated) = trace.map(|trace| (trace.spans, trace.truncated)).unwrap_or_default();
    same_spans("the first two spans", &found, spans.get(..2).unwrap_or_default())?;
    same("how many there are", &truncated, &Some(5))?;
    let whole = run.trace(&tenant, first.trace_id, 5).await?;
    same("a trace that just fits", &whole.and_then(|trace| trace.truncated), &None)
}

pub(super) async fn columns_show_the_same_trace<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("columns");
    let mut generator = run.generator(5);
    for _ in 0..10 {
        let spans = generator.distinct_trace();
        run.write(&tenant, &spans).await?;
        let Some(first) = spans.first() else { continue };
        let request = TraceRequest {
            scope: run.options.scope(&tenant),
            trace_id: first.trace_id,
            spans_max: ALL_SPANS,
        };
        let found = complete("trace_columns", run.store.trace_columns(request).await)?;
        let found = found.unwrap_or_default();
        let expected = columns(&spans, found.revision.clone());
        same("services by row", &named(&found).0, &named(&expected).0)?;
        same("operations by row", &named(&found).1, &named(&expected).1)?;
        same("columns", &without_names(found), &without_names(expected))?;
    }
    Ok(())
}

/// What is found by rows is what the reference finds span by span; words in any case too.
pub(super) async fn spans_are_found_by_row<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let tenant = run.tenant("find");
    let mut generator = run.generator(7);
    for _ in 0..10 {
        let spans = generator.distinct_trace();
        run.write(&tenant, &spans).await?;
        let Some(trace_id) = spans.first().map(|span| span.trace_id) else { continue };
        for round in 0..12 {
            let predicate = match round % 3 {
                0 => generator.mentions(&spans),
                1 => generator.span_predicate(&spans, 0),
                _ => generator.span_predicate(&spans, 2),
            };
            let expected = find(&predicate, &spans);
            let what = format!("rows of {predicate:?}");
            let scope = run.options.scope(&tenant);
            let request = FindRequest { scope, trace_id, predicate };
            let found = complete("find", run.store.find(request).await)?;
            same(&what, &found, &Some(expected))?;
        }
    }
    let scope = run.options.scope(&tenant);
    let predicate = SpanPredicate::True;
    let request = FindRequest { scope, trace_id: TraceId([9; 16]), predicate };
    let found = complete("find", run.store.find(request).await)?;
    same("rows of a trace that nobody wrote", &found, &None)
}

/// Services and operations row by row: how names are numbered is the store's matter.
fn named(columns: &TraceColumns) -> (Vec<Option<Text>>, Vec<Option<Text>>) {
    let resolve = |numbers: &[u32], names: &[Text]| {
        numbers.iter().map(|number| names.get(*number as usize).cloned()).collect()
    };
    (resolve(&columns.service, &columns.services), resolve(&columns.operation, &columns.operations))
}

fn without_names(columns: TraceColumns) -> TraceColumns {
    TraceColumns {
        service: Vec::new(),
        operation: Vec::new(),
        services: Vec::new(),
        operations: Vec::new(),
        ..columns
    }
}

pub(super) async fn archived_traces_are_found<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("archive");
    let spans = run.generator(6).distinct_trace();
    run.write(&tenant, &spans).await?;
    let Some(first) = spans.first() else { return Ok(()) };
    let archive = |trace_id| run.store.archive(tenant.clone(), trace_id);
    same("archiving", &checked("archive", archive(first.trace_id).await)?, &true)?;
    let unknown = checked("archive", archive(TraceId([9; 16])).await)?;
    same("archiving a trace that nobody wrote", &unknown, &false)?;
    require_trace(run, &tenant, &spans).await?;
    let (hits, _) = run.search(&tenant, &everything(), Detail::Summary).await?;
    same("an archived trace counts once", &hits.len(), &1)?;
    same("archiving again", &checked("archive", archive(first.trace_id).await)?, &true)?;
    checked("purge", run.store.purge(tenant.clone()).await)?;
    let found = run.trace(&tenant, first.trace_id, ALL_SPANS).await?;
    same("an archived trace of a purged tenant", &found, &None)?;
    same("archiving it", &checked("archive", archive(first.trace_id).await)?, &false)
}

pub(super) async fn purged_tenants_are_empty<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let (purged, other) = (run.tenant("purged"), run.tenant("not-purged"));
    let spans = run.generator(7).distinct_trace();
    run.write(&purged, &spans).await?;
    run.write(&other, &spans).await?;
    checked("purge", run.store.purge(purged.clone()).await)?;
    if let Some(span) = spans.first() {
        let found = run.trace(&purged, span.trace_id, ALL_SPANS).await?;
        same("a purged trace", &found, &None)?;
    }
    let (hits, _) = run.search(&purged, &everything(), Detail::Summary).await?;
    same("purged traces in a search", &hits, &Vec::new())?;
    require_trace(run, &other, &spans).await?;
    // A purged tenant can write again, even the same.
    run.write(&purged, &spans).await?;
    require_trace(run, &purged, &spans).await
}

/// Requires the trace of these distinct spans to be found, whole.
async fn require_trace<S: TraceStore>(
    run: &Run<'_, S>,
    tenant: &Tenant,
    spans: &[Span],
) -> Result<(), Wrong> {
    let Some(first) = spans.first() else { return Ok(()) };
    let found = run.trace(tenant, first.trace_id, ALL_SPANS).await?;
    let found = found.map(|trace| trace.spans).unwrap_or_default();
    same_spans("a trace by its id", &found, spans)?;
    // Some of its spans by theirs: as many as are named, and no others.
    let span_ids: BTreeSet<_> = spans.iter().step_by(3).map(|span| span.span_id).collect();
    let named = |span: &&Span| span_ids.contains(&span.span_id);
    let wanted: Vec<Span> = spans.iter().filter(named).cloned().collect();
    let scope = run.options.scope(tenant);
    let request = SpansRequest { scope, trace_id: first.trace_id, span_ids };
    let found = complete("spans", run.store.spans(request).await)?;
    let found = found.map(|trace| trace.spans).unwrap_or_default();
    same_spans("spans by their ids", &found, &wanted)
}

fn everything() -> TraceQuery {
    TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::Newest,
        limit: 100,
        cursor: None,
    }
}
