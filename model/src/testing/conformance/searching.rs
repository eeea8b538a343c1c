//! Checks of searches against the reference evaluator.

use super::run::{Run, Written, Wrong, same, same_spans};
use crate::query::{
    Comparison, Field, NumberTest, Order, OrderKey, Relation, SpanPredicate, Statistic,
    TracePredicate, TraceQuery, ValueTest, evaluate,
};
use crate::store::{Detail, Hit};
use crate::summary::summarize;
use crate::{Span, TimeRange, Timestamp, TraceStore};

pub(super) async fn pages_follow_the_exact_order<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let mut written = run.written("pages", 20).await?;
    let spans = written.spans();
    for order in Order::ALL {
        for limit in [1, 3, 7, 1_000] {
            let mut query = written.generator.trace_query(&spans);
            query.predicate = TracePredicate::True;
            (query.order, query.limit) = (order, limit);
            page_through(run, &written, query).await?;
        }
    }
    Ok(())
}

/// Follows the cursor to the end: the pages together are the whole answer.
async fn page_through<S: TraceStore>(
    run: &Run<'_, S>,
    written: &Written,
    query: TraceQuery,
) -> Result<(), Wrong> {
    let all = TraceQuery { limit: u32::MAX, ..query.clone() };
    let expected = expected_keys(&all, &written.slices());
    let mut found: Vec<OrderKey> = Vec::new();
    let mut page = query;
    loop {
        let hits = require_answer(run, written, &page, Detail::Summary).await?;
        found.extend(hits.0.iter().map(|hit| hit.key));
        match hits.1 {
            Some(cursor) => page.cursor = Some(cursor),
            None => return same(format!("the pages of {page:?}"), &found, &expected),
        }
        same("pages that make progress", &(found.len() <= expected.len()), &true)?;
    }
}

pub(super) async fn every_predicate_means_what_it_says<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let mut written = run.written("predicates", 21).await?;
    let spans = written.spans();
    let mut predicates = span_predicates(&mut written, &spans);
    predicates.extend(trace_predicates(&mut written, &spans));
    for predicate in predicates {
        let query = TraceQuery {
            window: written.generator.window(&spans),
            predicate,
            order: Order::Newest,
            limit: 1_000,
            cursor: None,
        };
        require_answer(run, &written, &query, Detail::Summary).await?;
    }
    Ok(())
}

/// Each field with several tests, and each of Jaeger's special keys.
fn span_predicates(written: &mut Written, spans: &[Span]) -> Vec<TracePredicate> {
    let mut predicates = vec![SpanPredicate::True];
    for field in written.generator.every_field(spans) {
        predicates.push(SpanPredicate::Field(field.clone(), ValueTest::Exists));
        for _ in 0..6 {
            let test = written.generator.value_test(&field, spans);
            predicates.push(SpanPredicate::Field(field.clone(), test));
        }
    }
    for (key, value) in [
        ("error", "true"),
        ("error", "0"),
        ("error", "perhaps"),
        ("span.kind", "server"),
        ("span.kind", ""),
        ("span.status", "Error"),
        ("span.status", "OK"),
        ("span.status", "unset"),
        ("scope.name", "lib"),
        ("scope.version", "1.2"),
        ("resource.service.name", "front"),
        ("service.name", "front"),
        ("http.status_code", "200"),
    ] {
        predicates.push(SpanPredicate::JaegerTag { key: key.into(), value: value.into() });
    }
    predicates.into_iter().map(TracePredicate::HasSpan).collect()
}

/// Each relation and statistic, each figure of a trace, and what joins predicates.
fn trace_predicates(written: &mut Written, spans: &[Span]) -> Vec<TracePredicate> {
    use TracePredicate::{All, Any, Not, True};
    let at_least = |number| NumberTest { comparison: Comparison::GreaterOrEqual, number };
    let mut predicates = vec![
        True,
        All(Vec::new()),
        Any(Vec::new()),
        Not(Box::new(True)),
        TracePredicate::Duration(at_least(1e6)),
        TracePredicate::SpanCount(at_least(3.0)),
        TracePredicate::ErrorCount(at_least(1.0)),
        TracePredicate::RootService(ValueTest::Exists),
        TracePredicate::RootOperation(ValueTest::StringForm("GET /".into())),
    ];
    for relation in [
        Relation::Child,
        Relation::Descendant,
        Relation::Parent,
        Relation::Ancestor,
        Relation::Sibling,
    ] {
        for _ in 0..4 {
            let left = written.generator.span_predicate(spans, 0);
            let right = written.generator.span_predicate(spans, 0);
            predicates.push(TracePredicate::Structure { left, relation, right });
        }
    }
    for statistic in [
        Statistic::Count,
        Statistic::Sum(Field::Duration),
        Statistic::Min(Field::Start),
        Statistic::Max(Field::EventTimeSinceStart),
        Statistic::Mean(Field::Duration),
    ] {
        for number in [0.0, 2.0, 1e6] {
            let of = written.generator.span_predicate(spans, 0);
            let (statistic, test) = (statistic.clone(), at_least(number));
            predicates.push(TracePredicate::Aggregate { of, statistic, test });
        }
    }
    predicates
}

pub(super) async fn made_up_queries_are_answered_exactly<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let mut written = run.written("made-up", 22).await?;
    let spans = written.spans();
    for _ in 0..run.options.queries {
        let query = written.generator.trace_query(&spans);
        require_answer(run, &written, &query, Detail::Summary).await?;
    }
    Ok(())
}

pub(super) async fn windows_include_both_ends<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let tenant = run.tenant("windows");
    let early = run.span(1, 1_000, 5_000);
    let late = run.span(2, 3_000, 4_000);
    run.write(&tenant, &[early, late]).await?;
    for (start, end, is_found) in [
        (1_000, 1_000, true),
        (3_000, 9_000, true),
        (0, 999, false),
        (1_001, 2_999, false),
        (3_001, 9_000, false),
        (3_000, 1_000, false),
    ] {
        let query = TraceQuery {
            window: TimeRange { start: Timestamp(start), end: Timestamp(end) },
            predicate: TracePredicate::True,
            order: Order::Oldest,
            limit: 10,
            cursor: None,
        };
        let (hits, _) = run.search(&tenant, &query, Detail::Summary).await?;
        same(format!("found within {start} to {end}"), &!hits.is_empty(), &is_found)?;
        let counts: Vec<_> = hits.iter().map(|hit| hit.summary.span_count).collect();
        let expected = if is_found { vec![2] } else { Vec::new() };
        same("summaries are of whole traces", &counts, &expected)?;
    }
    Ok(())
}

pub(super) async fn hits_carry_whole_traces<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let mut written = run.written("details", 23).await?;
    let spans = written.spans();
    for spans_max in [1, 3, 1_000_000] {
        let mut query = written.generator.trace_query(&spans);
        query.predicate = TracePredicate::True;
        let detail = Detail::Trace { spans_max };
        let (hits, _) = require_answer(run, &written, &query, detail).await?;
        for hit in hits {
            let whole = written.traces.get(&hit.key.trace_id).map(Vec::as_slice);
            let whole = whole.unwrap_or_default();
            let (found, truncated) =
                hit.trace.map(|trace| (trace.spans, trace.truncated)).unwrap_or_default();
            let expected = whole.get(..spans_max).unwrap_or(whole);
            same_spans("the trace of a hit", &found, expected)?;
            let cut = (whole.len() > spans_max).then_some(whole.len() as u64);
            same("how much of it was cut off", &truncated, &cut)?;
        }
    }
    Ok(())
}

/// Requires the store's answer to be the reference's, summaries included.
async fn require_answer<S: TraceStore>(
    run: &Run<'_, S>,
    written: &Written,
    query: &TraceQuery,
    detail: Detail,
) -> Result<(Vec<Hit>, Option<crate::query::Cursor>), Wrong> {
    let (hits, end) = run.search(&written.tenant, query, detail).await?;
    let found: Vec<_> = hits.iter().map(|hit| hit.key).collect();
    // One more than asked for tells whether there are further traces.
    let one_more = TraceQuery { limit: query.limit.saturating_add(1), ..query.clone() };
    let mut expected = expected_keys(&one_more, &written.slices());
    let has_more = expected.len() > query.limit as usize;
    expected.truncate(query.limit as usize);
    same(format!("the answer to {query:?}"), &found, &expected)?;
    for hit in &hits {
        let spans = written.traces.get(&hit.key.trace_id).map(Vec::as_slice);
        same("a summary", &hit.summary, &summarize(spans.unwrap_or_default()))?;
    }
    let last = end.cursor.as_ref().map(|cursor| cursor.last);
    let expected_last = expected.last().copied().filter(|_| has_more);
    same("where to continue", &last, &expected_last)?;
    Ok((hits, end.cursor))
}

fn expected_keys(query: &TraceQuery, traces: &[&[Span]]) -> Vec<OrderKey> {
    evaluate(query, traces.iter().copied()).into_iter().map(|(key, _)| key).collect()
}
