//! Search: the first traces of a query in its exact order.
//!
//! Three steps. (1) Each batch that may have spans within the window says of its traces which
//! predicates on spans may hold; a trace that cannot match goes. (2) Each trace that is left gets
//! its place in the order from *all* its rows, wherever they lie: parts are never ranked in the
//! place of a trace. (3) Traces are taken in that order and decided, by the reference evaluator
//! where columns could not, until there are enough.
//!
//! So whatever ends a search early, its hits are an exact beginning of the answer.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::ControlFlow;
use std::sync::Arc;

use model::batch::{Index, TraceRows};
use model::budget::Budget;
use model::query::{Cursor, Order, OrderKey, SpanPredicate, TraceFacts, TraceQuery, order_key};
use model::store::{Completeness, Detail, Hit, SearchEnd, Trace, TraceSummary};
use model::{Tenant, Text, Timestamp, TraceId, trace};

use super::handle::Shard;
use super::hash::LookupMap;
use super::limits::LOOKUPS_PER_LOCK;
use super::prefilter::Prefilter;
use super::read::Snapshot;
use super::reader::BatchReader;
use super::rows::{Marks, RowSet, Truth};
use super::skeleton::decides_trace;
use super::verdict::{Evidence, Figures, judge, leaves};
use crate::Error;

/// Takes hits in order; may say that it has enough.
pub type OnHit<'a> = &'a mut dyn FnMut(Hit) -> ControlFlow<()>;

impl Shard {
    /// Tells the first traces of the query that come after its cursor, in order, at most as many
    /// as it asks for. A spent budget ends the search; the answer's end says so, and the hits told
    /// are the exact beginning of the answer.
    pub fn search(
        &self,
        tenant: &Tenant,
        query: &TraceQuery,
        detail: Detail,
        budget: &Budget,
        on_hit: OnHit<'_>,
    ) -> Result<SearchEnd, Error> {
        let applied = self.applied().map_or(0, |index| index.0);
        let mut end = SearchEnd {
            completeness: Completeness::default(),
            cursor: None,
            moved: self.moved_since(query.cursor.as_ref(), applied),
            spans_scanned: 0,
        };
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(end) };
        let mut search =
            Search { shard: self, snapshot, query, detail, budget, spans_scanned: 0, last: None };
        let is_whole = match search.run(on_hit) {
            Ok(is_whole) => is_whole,
            Err(Error::Exhausted(exhausted)) => {
                end.completeness.exhausted = Some(exhausted);
                false
            }
            Err(error) => return Err(error),
        };
        end.spans_scanned = search.spans_scanned;
        let last = search.last.or(query.cursor.as_ref().map(|cursor| cursor.last));
        let applied = vec![(self.id(), applied)];
        end.cursor = last.filter(|_| !is_whole).map(|last| Cursor { last, applied });
        Ok(end)
    }

    fn moved_since(&self, cursor: Option<&Cursor>, applied: u64) -> BTreeSet<model::ShardId> {
        let before = cursor.into_iter().flat_map(|cursor| &cursor.applied);
        let moved = before.filter(|(shard, index)| *shard == self.id() && *index != applied);
        moved.map(|(shard, _)| *shard).collect()
    }
}

struct Search<'a> {
    shard: &'a Shard,
    snapshot: Snapshot,
    query: &'a TraceQuery,
    detail: Detail,
    budget: &'a Budget,
    spans_scanned: u64,
    last: Option<OrderKey>,
}

/// A trace that may match, while batches are looked at.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: TraceId,
    evidence: Evidence,
    tally: Tally,
    /// How many batches the tally is over.
    parts: usize,
}

/// Candidates by first appearance, found again by id.
#[derive(Debug, Default)]
struct Candidates {
    places: LookupMap<TraceId, usize>,
    list: Vec<Candidate>,
}

/// A candidate with its place in the order.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    evidence: Evidence,
    figures: Figures,
}

/// Places in the order, and where the candidate stands among the ranked ones.
type Queue = BinaryHeap<Reverse<(OrderKey, usize)>>;

impl Search<'_> {
    /// Tells the hits; true if there are no further ones.
    fn run(&mut self, on_hit: OnHit<'_>) -> Result<bool, Error> {
        let candidates = self.collect()?;
        let (mut queue, ranked) = self.rank(&candidates)?;
        let mut hits_left = self.query.limit;
        if hits_left == 0 {
            return Ok(true);
        }
        while let Some(Reverse((key, place))) = queue.pop() {
            self.budget.spend(0)?;
            let Some(Ranked { evidence, figures }) = ranked.get(place).copied() else { continue };
            let truth = judge(&self.query.predicate, evidence, Some(figures));
            let Some(hit) = self.decide(key.trace_id, truth)? else { continue };
            debug_assert_eq!(hit.key, key, "a trace was ranked by other figures than its own");
            self.last = Some(hit.key);
            hits_left -= 1;
            if on_hit(hit).is_break() {
                return Ok(queue.is_empty());
            }
            if hits_left == 0 {
                return self.ends_here(queue, &ranked);
            }
        }
        Ok(true)
    }

    /// Whether no further trace matches. The hits are told: a budget that ends here ends nothing
    /// that was asked for.
    fn ends_here(&self, mut queue: Queue, ranked: &[Ranked]) -> Result<bool, Error> {
        while let Some(Reverse((key, place))) = queue.pop() {
            let Some(Ranked { evidence, figures }) = ranked.get(place).copied() else { continue };
            let truth = judge(&self.query.predicate, evidence, Some(figures));
            let further = match truth {
                Truth::Yes => true,
                Truth::No => false,
                Truth::Maybe => match self.decide(key.trace_id, truth) {
                    Err(Error::Exhausted(_)) => true,
                    decided => decided?.is_some(),
                },
            };
            if further {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Step 1: the traces that may match, with what the batches within the window say of them.
    fn collect(&mut self) -> Result<Candidates, Error> {
        let query = self.query;
        let leaves = leaves(&query.predicate);
        // Whether a trace may match of which no batch says anything.
        let any_trace = judge(&query.predicate, Evidence::default(), None) != Truth::No;
        let mut candidates = Candidates::default();
        for batch in self.snapshot.batches.iter().filter(|batch| batch.overlaps(query.window)) {
            let reader = BatchReader::new(self.shard, Arc::clone(batch), self.budget);
            let index = reader.index()?;
            self.spans_scanned += index.row_classes.len() as u64;
            let counted = batch.counted_rows(&index);
            let within = batch.counted_rows_within(&index, query.window);
            let marks = marks(&Prefilter::new(&reader, &index), &leaves, &within)?;
            let counts = |row: usize| counted.contains(row);
            let candidates_before = candidates.list.len();
            for trace in &index.traces {
                let Some(tally) = Tally::of(&index, trace, counts) else { continue };
                let evidence = evidence(&marks, trace);
                let may_begin = within.any_within(trace.rows()) && (any_trace || evidence.may != 0);
                candidates.add(trace.id, evidence, tally, may_begin);
            }
            let added = candidates.list.len() - candidates_before;
            self.budget.spend((added * size_of::<Candidate>()) as u64)?;
        }
        Ok(candidates)
    }

    /// Step 2: the place of each candidate in the order, by all its rows.
    fn rank(&self, candidates: &Candidates) -> Result<(Queue, Vec<Ranked>), Error> {
        let predicate = &self.query.predicate;
        let after = self.query.cursor.as_ref().map(|cursor| cursor.last);
        let mut queue = Vec::new();
        let mut ranked = Vec::new();
        for chunk in candidates.list.chunks(LOOKUPS_PER_LOCK) {
            let may_match =
                |found: &&Candidate| judge(predicate, found.evidence, None) != Truth::No;
            let chunk: Vec<&Candidate> = chunk.iter().filter(may_match).collect();
            let end = self.snapshot.batches.len();
            let mut ids = chunk.iter().map(|candidate| candidate.id);
            let parts = self.snapshot.head.parts_of_all(&mut ids, end);
            for (candidate, places) in chunk.iter().zip(parts) {
                self.budget.spend(0)?;
                let (tally, counts_are_exact) = self.whole_tally(candidate, &places)?;
                let key = tally.key(self.query.order, candidate.id);
                if after.is_none_or(|after| key > after) {
                    queue.push(Reverse((key, ranked.len())));
                    let figures = tally.figures(counts_are_exact);
                    ranked.push(Ranked { evidence: candidate.evidence, figures });
                }
            }
        }
        Ok((BinaryHeap::from(queue), ranked))
    }

    /// The tally over all distinct rows of a candidate, and whether it counts each span once. Where
    /// counts do not matter for the order, repeats do not either.
    fn whole_tally(&self, candidate: &Candidate, places: &[u32]) -> Result<(Tally, bool), Error> {
        let is_whole = candidate.parts == places.len();
        let is_exact = is_whole && places.len() == 1 && !candidate.tally.has_twins;
        let by_count = matches!(self.query.order, Order::MostSpans | Order::MostErrors);
        if is_exact || (is_whole && !by_count) {
            return Ok((candidate.tally, is_exact));
        }
        let parts = self.snapshot.at(places);
        if by_count {
            let summary = self.shard.outline(&parts, candidate.id, self.budget)?.summary();
            return Ok((Tally::of_summary(&summary), true));
        }
        let mut whole: Option<Tally> = None;
        for batch in &parts {
            let reader = BatchReader::new(self.shard, Arc::clone(batch), self.budget);
            let index = reader.index()?;
            let counted = |row: usize| batch.counts(&index, row);
            for trace in index.traces.iter().filter(|trace| trace.id == candidate.id) {
                if let Some(tally) = Tally::of(&index, trace, counted) {
                    whole = Some(whole.map_or(tally, |whole| whole.merged(tally)));
                }
            }
        }
        Ok((whole.unwrap_or(candidate.tally), false))
    }

    /// Step 3: whether the trace matches, and then what is told of it.
    fn decide(&self, id: TraceId, truth: Truth) -> Result<Option<Hit>, Error> {
        if truth == Truth::No {
            return Ok(None);
        }
        let parts = self.snapshot.parts(id);
        if truth == Truth::Yes && self.detail == Detail::Summary {
            let summary = self.shard.outline(&parts, id, self.budget)?.summary();
            return Ok(Some(self.hit(summary, None)));
        }
        if let (Truth::Yes, Detail::Trace { spans_max }) = (truth, self.detail) {
            let summary = self.shard.outline(&parts, id, self.budget)?.summary();
            let trace = self.shard.assemble_trace(&parts, id, spans_max, self.budget)?;
            return Ok(Some(self.hit(summary, trace)));
        }
        let spans = if self.detail == Detail::Summary && decides_trace(&self.query.predicate) {
            self.shard.skeletons(&parts, id, self.budget)?
        } else {
            trace::distinct(self.shard.trace_spans(&parts, id, self.budget)?)
        };
        let facts = TraceFacts::new(&spans);
        let query = self.query;
        if truth != Truth::Yes && !facts.matches(query.window, &query.predicate) {
            return Ok(None);
        }
        let summary = facts.summary().clone();
        let trace = match self.detail {
            Detail::Summary => None,
            Detail::Trace { spans_max } => trace::assemble(id, spans, spans_max),
        };
        Ok(Some(self.hit(summary, trace)))
    }

    fn hit(&self, summary: TraceSummary, trace: Option<Trace>) -> Hit {
        Hit { key: order_key(self.query.order, &summary), summary, trace }
    }
}

impl Candidates {
    /// Adds what a batch says of a trace; a new candidate only if it may begin here.
    fn add(&mut self, id: TraceId, evidence: Evidence, tally: Tally, may_begin: bool) {
        let known = self.places.get(&id).and_then(|place| self.list.get_mut(*place));
        if let Some(candidate) = known {
            candidate.evidence.may |= evidence.may;
            candidate.evidence.must |= evidence.must;
            candidate.tally = candidate.tally.merged(tally);
            candidate.parts += 1;
        } else if may_begin {
            self.places.insert(id, self.list.len());
            self.list.push(Candidate { id, evidence, tally, parts: 1 });
        }
    }
}

/// The marks of each predicate on spans, among the rows within the window.
fn marks(
    prefilter: &Prefilter<'_>,
    leaves: &[&SpanPredicate],
    within: &RowSet,
) -> Result<Vec<Marks>, Error> {
    let mark = |leaf: &&SpanPredicate| {
        if within.is_empty() {
            return Ok(Marks::exactly(within.clone()));
        }
        let mut marks = prefilter.marks(leaf, within)?;
        marks.restrict(within);
        Ok(marks)
    };
    leaves.iter().map(mark).collect()
}

/// What a batch's marks say of one trace.
fn evidence(marks: &[Marks], trace: &TraceRows) -> Evidence {
    let mut evidence = Evidence::default();
    for (leaf, marks) in marks.iter().enumerate() {
        evidence.may |= u64::from(marks.may.any_within(trace.rows())) << leaf;
        evidence.must |= u64::from(marks.must.any_within(trace.rows())) << leaf;
    }
    evidence
}

/// What orders look at, over some rows of a trace.
#[derive(Debug, Clone, Copy)]
struct Tally {
    start_min: Timestamp,
    end_max: Timestamp,
    spans: u64,
    errors: u64,
    /// Some rows have equal starts: perhaps repeats, so that the counts may be too high.
    has_twins: bool,
}

impl Tally {
    /// Over the counted rows of a trace in one batch; nothing if there are none.
    fn of(index: &Index, trace: &TraceRows, counts: impl Fn(usize) -> bool) -> Option<Self> {
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
            tally = Some(tally.map_or(own, |tally| tally.merged(own)));
        }
        tally
    }

    fn of_summary(summary: &TraceSummary) -> Self {
        Self {
            start_min: summary.start,
            end_max: summary.end,
            spans: summary.span_count,
            errors: summary.error_count,
            has_twins: false,
        }
    }

    fn merged(self, other: Self) -> Self {
        Self {
            start_min: self.start_min.min(other.start_min),
            end_max: self.end_max.max(other.end_max),
            spans: self.spans + other.spans,
            errors: self.errors + other.errors,
            has_twins: self.has_twins || other.has_twins,
        }
    }

    /// The place in the order, as the reference gives it.
    fn key(&self, order: Order, trace_id: TraceId) -> OrderKey {
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

    fn figures(&self, counts_are_exact: bool) -> Figures {
        Figures {
            duration: self.end_max.since(self.start_min).0,
            counts: counts_are_exact.then_some((self.spans, self.errors)),
        }
    }
}
