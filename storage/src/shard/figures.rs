//! Figures over spans: counts, rates, durations, calls between services.
//!
//! Figures are over distinct spans, so they are made trace by trace: which spans are repeats is a
//! question of the whole trace. A trace is visited once, at the first piece that has something of
//! it that may count. Of one that lies on a piece alone, has no two rows that may be repeats, and
//! whose passing rows the columns tell, the columns give the figures as well; the others are put
//! together from their parts. What rollups have counted is not counted again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::aggregate::{Aggregate, AggregateQuery, Counts, DependencyEdge};
use model::batch::{Index, TraceRows};
use model::budget::Budget;
use model::query::SpanPredicate;
use model::store::{Answer, Completeness};
use model::{Tenant, Text, TimeRange, TraceId};

use super::blocks::BlockRun;
use super::columnar::{Columnar, may_have_twins};
use super::handle::Shard;
use super::hash::LookupSet;
use super::piece::Piece;
use super::prefilter::Prefilter;
use super::read::Snapshot;
use super::reader::PieceReader;
use super::rolled_calls::RolledCalls;
use super::rows::Marks;
use super::whole::All;
use crate::Error;
use crate::block::PageInfo;

/// Is told a piece on which a span may count.
type OnPiece<'a> = &'a mut dyn FnMut(Arc<Piece>) -> Result<(), Error>;

/// Is told what there is of a trace.
type OnParts<'a> = &'a mut dyn FnMut(TraceId, &[Arc<Piece>]) -> Result<(), Error>;

/// Which pieces are asked for.
pub(super) struct Asked<'a> {
    pub(super) window: TimeRange,
    pub(super) predicate: &'a SpanPredicate,
    /// Blocks that are counted already.
    pub(super) passed: &'a BTreeSet<u64>,
}

impl Shard {
    /// The figures of this shard. Merges with those of other shards; what callers see is made by
    /// [`model::query::aggregate::finish`] at the end. With a spent budget, the figures of the
    /// traces seen so far. Of more values or groups than an answer carries the most frequent ones
    /// remain, which is said: merged with others they may lack some of their spans.
    pub fn aggregate(
        &self,
        tenant: &Tenant,
        query: &AggregateQuery,
        budget: &Budget,
    ) -> Result<Answer<Aggregate>, Error> {
        self.aggregate_without(&BTreeSet::new(), tenant, query, budget)
    }

    /// The same as if the shard had nothing of some traces, which others have spans of too.
    pub fn aggregate_without(
        &self,
        without: &BTreeSet<TraceId>,
        tenant: &Tenant,
        query: &AggregateQuery,
        budget: &Budget,
    ) -> Result<Answer<Aggregate>, Error> {
        let mut answer = self.answer(Aggregate::default());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let rolled = match self.roll_up(tenant, &snapshot, query, budget) {
            Ok(rolled) => rolled,
            Err(Error::Exhausted(exhausted)) => {
                answer.completeness.exhausted = Some(exhausted);
                return Ok(answer);
            }
            Err(error) => return Err(error),
        };
        let (mut visited, mut blocks, mut minus) = Default::default();
        if let Some(rolled) = rolled {
            answer.value = rolled.answer;
            (visited, blocks, minus) = (rolled.visited, rolled.blocks, rolled.minus);
        }
        let value = &mut answer.value;
        let asked = Asked { window: query.window, predicate: &query.predicate, passed: &blocks };
        let read = self.for_each_piece(&snapshot, &asked, budget, &mut |piece| {
            self.add_piece(&snapshot, query, &piece, &mut visited, value, budget)
        });
        // Rollups have counted them, whatever is asked: so they are counted, and taken away.
        let read = read.and_then(|()| {
            each_part(&snapshot, without, budget, &mut |id, parts| {
                let figures = self.trace_figures(query, parts, id, &All, budget)?;
                Ok(budget.hold(minus.merge(&figures))?)
            })
        });
        value.subtract(&minus);
        answer.completeness.sampled |= value.cut();
        stopped(read, &mut answer.completeness)?;
        Ok(answer)
    }

    /// Adds the figures of the traces of a piece that were not visited before.
    fn add_piece(
        &self,
        snapshot: &Snapshot<'_>,
        query: &AggregateQuery,
        piece: &Arc<Piece>,
        visited: &mut LookupSet<TraceId>,
        value: &mut Aggregate,
        budget: &Budget,
    ) -> Result<(), Error> {
        let reader = PieceReader::new(self, Arc::clone(piece), budget);
        let index = reader.index()?;
        let Some(marks) = marks_within(&reader, &index, query.window, &query.predicate)? else {
            return Ok(());
        };
        let undecided = marks.undecided();
        let mut columnar = Columnar::new(query, &reader, &index)?;
        let may_be_whole = |trace: &&TraceRows| {
            !undecided.any_within(trace.rows()) && !may_have_twins(&index, piece, trace)
        };
        let passing = || index.traces.iter().filter(|trace| marks.may.any_within(trace.rows()));
        let beyond = match piece.log_stamp() {
            Some(_) if columnar.is_some() => {
                let ids = &mut passing().filter(may_be_whole).map(|trace| trace.id);
                Some(snapshot.beyond_batch(ids, budget)?)
            }
            _ => None,
        };
        let is_whole = |id: TraceId| match &beyond {
            Some(beyond) => !beyond.contains(&id),
            None => snapshot.is_whole_on_page(id),
        };
        for trace in passing() {
            match &mut columnar {
                Some(columnar) if may_be_whole(&trace) && is_whole(trace.id) => {
                    columnar.add(trace, &marks.must);
                }
                _ if visited.insert(trace.id) => {
                    let parts = snapshot.parts(trace.id, budget)?;
                    let figures = self.trace_figures(query, &parts, trace.id, &All, budget)?;
                    budget.hold(value.merge(&figures))?;
                }
                _ => {}
            }
        }
        if let Some(columnar) = columnar {
            budget.hold(columnar.finish(value))?;
        }
        Ok(())
    }

    /// Calls between services, sorted. With a spent budget, those in the traces seen so far.
    pub fn dependencies(
        &self,
        tenant: &Tenant,
        window: TimeRange,
        budget: &Budget,
    ) -> Result<Answer<Vec<DependencyEdge>>, Error> {
        self.dependencies_without(&BTreeSet::new(), tenant, window, budget)
    }

    /// The same as if the shard had nothing of some traces.
    pub fn dependencies_without(
        &self,
        without: &BTreeSet<TraceId>,
        tenant: &Tenant,
        window: TimeRange,
        budget: &Budget,
    ) -> Result<Answer<Vec<DependencyEdge>>, Error> {
        let mut answer = self.answer(Vec::new());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let rolled = match self.roll_up_calls(tenant, &snapshot, window, budget) {
            Ok(rolled) => rolled.unwrap_or_default(),
            Err(Error::Exhausted(exhausted)) => {
                answer.completeness.exhausted = Some(exhausted);
                return Ok(answer);
            }
            Err(error) => return Err(error),
        };
        let RolledCalls { mut edges, mut minus, mut visited, blocks } = rolled;
        let asked = Asked { window, predicate: &SpanPredicate::True, passed: &blocks };
        let read = self.for_each_piece(&snapshot, &asked, budget, &mut |piece| {
            let index = PieceReader::new(self, Arc::clone(&piece), budget).index()?;
            let rows = piece.counted_rows_within(&index, window);
            for trace in index.traces.iter().filter(|trace| rows.any_within(trace.rows())) {
                if visited.insert(trace.id) {
                    let parts = snapshot.parts(trace.id, budget)?;
                    let outline = self.outline(&parts, trace.id, budget)?;
                    edges.add_outline(&outline, |start| window.contains(start), budget)?;
                }
            }
            Ok(())
        });
        let read = read.and_then(|()| {
            each_part(&snapshot, without, budget, &mut |id, parts| {
                let outline = self.outline(parts, id, budget)?;
                minus.add_outline(&outline, |start| window.contains(start), budget)
            })
        });
        stopped(read, &mut answer.completeness)?;
        edges.subtract(&minus);
        answer.value = edges.counts.into_iter().map(edge).collect();
        Ok(answer)
    }

    pub(super) fn answer<T>(&self, value: T) -> Answer<T> {
        Answer { value, completeness: self.completeness() }
    }

    /// Tells every piece that may have a span within the window which passes.
    ///
    /// Pages are left out as soon as zones say that no row passes: a span counts where it lies, and
    /// a trace is visited for a row that does.
    pub(super) fn for_each_piece(
        &self,
        snapshot: &Snapshot<'_>,
        asked: &Asked<'_>,
        budget: &Budget,
        on_piece: OnPiece<'_>,
    ) -> Result<(), Error> {
        let Asked { window, predicate, passed } = *asked;
        let is_passed = |run: &&BlockRun| passed.contains(&run.block.number());
        for run in snapshot.blocks().iter().filter(|run| !is_passed(run)) {
            let within = |page: &PageInfo| page.overlaps(window);
            if !run.run().is_some_and(|run| run.pages.iter().any(within)) {
                continue;
            }
            let zones = self.run_zones(run, &[predicate], budget)?;
            if zones.as_ref().is_some_and(|zones| zones.run_may_pass() == 0) {
                let pages = run.run().into_iter().flat_map(|run| &run.pages);
                let count = pages.filter(|page| within(page)).count() as u64;
                self.pages_ruled_out.fetch_add(count, Ordering::Relaxed);
                continue;
            }
            let pages = run.pieces().enumerate().filter(|(_, (page, _))| within(page));
            for (number, (page, piece)) in pages {
                if zones.as_ref().is_some_and(|zones| zones.may_pass(number, page) == 0) {
                    self.pages_ruled_out.fetch_add(1, Ordering::Relaxed);
                } else {
                    on_piece(Arc::new(piece))?;
                }
            }
        }
        snapshot
            .batches()
            .filter(|batch| batch.overlaps(window))
            .try_for_each(|batch| on_piece(Arc::clone(batch)))
    }
}

/// Tells what the snapshot has of each of these traces.
fn each_part(
    snapshot: &Snapshot<'_>,
    trace_ids: &BTreeSet<TraceId>,
    budget: &Budget,
    on_parts: OnParts<'_>,
) -> Result<(), Error> {
    for id in trace_ids {
        budget.spend(0)?;
        let parts = snapshot.parts(*id, budget)?;
        if !parts.is_empty() {
            on_parts(*id, &parts)?;
        }
    }
    Ok(())
}

/// The rows of a piece within the window that pass; nothing if none may.
pub(super) fn marks_within(
    reader: &PieceReader<'_>,
    index: &Index,
    window: TimeRange,
    predicate: &SpanPredicate,
) -> Result<Option<Marks>, Error> {
    let rows = reader.piece().counted_rows_within(index, window);
    if rows.is_empty() {
        return Ok(None);
    }
    let mut marks = Prefilter::new(reader, index).marks(predicate, &rows)?;
    marks.restrict(&rows);
    Ok((!marks.may.is_empty()).then_some(marks))
}

/// A spent budget ends a read; it is no error of the read.
pub(super) fn stopped(
    read: Result<(), Error>,
    completeness: &mut Completeness,
) -> Result<(), Error> {
    match read {
        Err(Error::Exhausted(exhausted)) => {
            completeness.exhausted = Some(exhausted);
            Ok(())
        }
        other => other,
    }
}

fn edge(((parent, child), counts): ((Text, Text), Counts)) -> DependencyEdge {
    DependencyEdge { parent, child, calls: counts.spans, errors: counts.errors }
}
