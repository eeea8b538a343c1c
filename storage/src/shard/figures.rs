//! Figures over spans: counts, rates, durations, calls between services.
//!
//! Figures are over distinct spans, so they are made trace by trace: which spans are repeats is a
//! question of the whole trace. A trace is visited once, at the first batch that has something of
//! it that may count.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::aggregate::{Aggregate, AggregateQuery, Counts, DependencyEdge};
use model::budget::Budget;
use model::query::{self, SpanPredicate};
use model::store::{Answer, Completeness};
use model::{Tenant, Text, TimeRange, TraceId, trace};

use super::handle::Shard;
use super::hash::LookupSet;
use super::head::HeadBatch;
use super::outline::Outline;
use super::prefilter::Prefilter;
use super::read::Snapshot;
use super::reader::BatchReader;
use super::skeleton::{decides_figures, decides_span};
use crate::Error;

/// Is told a trace and its batches.
type Visit<'a> = &'a mut dyn FnMut(TraceId, &[Arc<HeadBatch>]) -> Result<(), Error>;

impl Shard {
    /// The figures of this shard. Merges with those of other shards; what callers see is made by
    /// [`model::query::aggregate::finish`] at the end. With a spent budget, the figures of the
    /// traces seen so far.
    pub fn aggregate(
        &self,
        tenant: &Tenant,
        query: &AggregateQuery,
        budget: &Budget,
    ) -> Result<Answer<Aggregate>, Error> {
        let mut answer = Answer::complete(Aggregate::default());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let value = &mut answer.value;
        let by_index = decides_figures(&query.kind) && decides_span(&query.predicate);
        let visited = self.for_each_trace(
            &snapshot,
            query.window,
            &query.predicate,
            budget,
            &mut |id, parts| {
                let spans = if by_index {
                    self.skeletons(parts, id, budget)?
                } else {
                    trace::distinct(self.trace_spans(parts, id, budget)?)
                };
                value.merge(&query::aggregate(query, [spans.as_slice()]));
                Ok(())
            },
        );
        stopped(visited, &mut answer.completeness)?;
        Ok(answer)
    }

    /// Calls between services, sorted. With a spent budget, those in the traces seen so far.
    pub fn dependencies(
        &self,
        tenant: &Tenant,
        window: TimeRange,
        budget: &Budget,
    ) -> Result<Answer<Vec<DependencyEdge>>, Error> {
        let mut answer = Answer::complete(Vec::new());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let mut edges = BTreeMap::new();
        let visited = self.for_each_trace(
            &snapshot,
            window,
            &SpanPredicate::True,
            budget,
            &mut |id, parts| {
                add_calls(&self.outline(parts, id, budget)?, window, &mut edges);
                Ok(())
            },
        );
        stopped(visited, &mut answer.completeness)?;
        answer.value = edges.into_iter().map(edge).collect();
        Ok(answer)
    }

    /// Visits each trace once that may have a span within the window which passes.
    fn for_each_trace(
        &self,
        snapshot: &Snapshot,
        window: TimeRange,
        predicate: &SpanPredicate,
        budget: &Budget,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let mut visited: LookupSet<TraceId> = LookupSet::default();
        for batch in snapshot.batches.iter().filter(|batch| batch.overlaps(window)) {
            let reader = BatchReader::new(self, Arc::clone(batch), budget);
            let index = reader.index()?;
            let rows = batch.counted_rows_within(&index, window);
            if rows.is_empty() {
                continue;
            }
            let mut marks = Prefilter::new(&reader, &index).marks(predicate, &rows)?;
            marks.restrict(&rows);
            for trace in &index.traces {
                if marks.may.any_within(trace.rows()) && visited.insert(trace.id) {
                    visit(trace.id, &snapshot.parts(trace.id))?;
                }
            }
        }
        Ok(())
    }
}

/// A spent budget ends a read; it is no error of the read.
fn stopped(read: Result<(), Error>, completeness: &mut Completeness) -> Result<(), Error> {
    match read {
        Err(Error::Exhausted(exhausted)) => {
            completeness.exhausted = Some(exhausted);
            Ok(())
        }
        other => other,
    }
}

fn add_calls(outline: &Outline, window: TimeRange, edges: &mut BTreeMap<(Text, Text), Counts>) {
    let tree = outline.tree();
    for (number, child) in (0..u32::MAX).zip(&outline.rows) {
        let parent = tree.parent(number).and_then(|parent| outline.rows.get(parent as usize));
        if let Some(parent) = parent.filter(|_| window.contains(child.start)) {
            let edge = (parent.service.clone(), child.service.clone());
            let counts = Counts { spans: 1, errors: u64::from(child.is_error) };
            edges.entry(edge).or_default().add(counts);
        }
    }
}

fn edge(((parent, child), counts): ((Text, Text), Counts)) -> DependencyEdge {
    DependencyEdge { parent, child, calls: counts.spans, errors: counts.errors }
}
