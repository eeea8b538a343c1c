//! Search: the first traces of a query in its exact order.
//!
//! A queue holds runs of blocks and pieces, each under the best place in the order that a trace on
//! it can have, and traces, each under its own place. What comes first is taken: of a run the pages
//! join the queue, unless the run is ruled out; a piece is opened, and the traces on it that may
//! match join the queue; a trace is decided, by the reference evaluator where columns could not. So
//! what cannot have a better trace than those found is never looked at, and whatever ends a search
//! early, its hits are an exact beginning of the answer.
//!
//! The place of a trace is by *all* its rows, wherever they lie: parts are never ranked in the
//! place of a trace. Most traces lie on one piece alone; of the others, that piece's bound is still
//! good for orders where further parts only make the place worse (newest, shortest). For the others
//! they join the queue by themselves, under bounds over all their parts, and the head, whose traces
//! nobody has put in order yet, is opened first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::batch::{Index, TraceRows};
use model::budget::Budget;
use model::query::{Cursor, Order, OrderKey, SpanPredicate, TraceFacts, TraceQuery, order_key};
use model::store::{Detail, Hit, SearchEnd, Trace, TraceSummary};
use model::trace::assemble_within;
use model::{Tenant, TraceId};

use super::blocks::BlockRun;
use super::first_hits::FirstHits;
use super::handle::Shard;
use super::hash::LookupSet;
use super::held::Held;
use super::limits::{DEFERRING_PIECES_MAX, MARKS_KEPT_MAX};
use super::piece::{Piece, Place};
use super::prefilter::Prefilter;
use super::ranked::{RankedHit, Take, has_room};
use super::read::{Snapshot, View};
use super::reader::PieceReader;
use super::rows::{Marks, RowSet, Truth};
use super::rule_out::RunZones;
use super::skeleton::decides_trace;
use super::tally::Tally;
use super::verdict::{Evidence, Figures, judge, leaves};
use crate::Error;
use crate::block::PageInfo;

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
        self.search_beside(Beside::default(), tenant, query, detail, budget, on_hit)
    }

    /// The same beside other shards, for one answer.
    pub fn search_beside(
        &self,
        beside: Beside<'_>,
        tenant: &Tenant,
        query: &TraceQuery,
        detail: Detail,
        budget: &Budget,
        on_hit: OnHit<'_>,
    ) -> Result<SearchEnd, Error> {
        let mut take = Take::Told(on_hit);
        self.find(beside, tenant, query, detail, budget, &mut take).map(|(end, _)| end)
    }

    /// The same, wherever hits go; what was searched comes back too.
    pub(super) fn find(
        &self,
        beside: Beside<'_>,
        tenant: &Tenant,
        query: &TraceQuery,
        detail: Detail,
        budget: &Budget,
        take: &mut Take<'_>,
    ) -> Result<(SearchEnd, Option<View>), Error> {
        if let Some(first) = beside.first {
            first.begin(self.id());
        }
        let applied = self.applied().map_or(0, |index| index.0);
        let mut end = SearchEnd {
            completeness: self.completeness(),
            cursor: None,
            moved: self.moved_since(query.cursor.as_ref(), applied),
            spans_scanned: 0,
        };
        let Some(snapshot) = self.snapshot(tenant) else { return Ok((end, None)) };
        let mut search = Search::new(self, snapshot, query, detail, budget);
        search.beside = beside;
        let is_whole = match search.run(take) {
            Ok(is_whole) => is_whole,
            Err(Error::Exhausted(exhausted)) => {
                end.completeness.exhausted = Some(exhausted);
                false
            }
            Err(error) => return Err(error),
        };
        end.spans_scanned = search.spans_scanned;
        let last = search.stopped_after.or(search.last);
        let last = last.or(query.cursor.as_ref().map(|cursor| cursor.last));
        let applied = vec![(self.id(), applied)];
        end.cursor = last.filter(|_| !is_whole).map(|last| Cursor { last, applied });
        Ok((end, Some(search.snapshot.into_view())))
    }

    fn moved_since(&self, cursor: Option<&Cursor>, applied: u64) -> BTreeSet<model::ShardId> {
        let before = cursor.into_iter().flat_map(|cursor| &cursor.applied);
        let moved = before.filter(|(shard, index)| *shard == self.id() && *index != applied);
        moved.map(|(shard, _)| *shard).collect()
    }
}

/// What a search has to do with other shards that are searched for the same answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// What they have told: the search ends where no further trace of this shard is among the first
    /// of all. The cursor is then the last place up to which everything was told, which may lie
    /// behind the last hit told here.
    pub first: Option<&'a FirstHits>,
    /// Traces that are judged elsewhere because others have spans of them too: left out here.
    pub without: Option<&'a BTreeSet<TraceId>>,
}

struct Search<'a> {
    shard: &'a Shard,
    snapshot: Snapshot<'a>,
    query: &'a TraceQuery,
    detail: Detail,
    budget: &'a Budget,
    /// The predicates on spans.
    leaves: Vec<&'a SpanPredicate>,
    /// A trace may match of which no piece says anything.
    any_trace: bool,
    /// Parts elsewhere may give a trace a better place than its piece knows of.
    by_extent: bool,
    queue: BinaryHeap<Reverse<(OrderKey, Item)>>,
    pieces: Vec<(Arc<Piece>, Option<PagePlace>)>,
    /// By run of a block, as far as it was due: what rules out its pages.
    zones: Vec<Option<RunZones<'a>>>,
    traces: Vec<Option<Ranked>>,
    /// Places among them of traces that were taken.
    free: Vec<usize>,
    /// What all this takes.
    held: Held<'a>,
    /// Traces that are cut over several pieces and have been ranked.
    seen: LookupSet<TraceId>,
    marked: VecDeque<Arc<Marked>>,
    spans_scanned: u64,
    /// Pieces whose rows were asked.
    pieces_marked: usize,
    /// What the spans of the hits take that were told.
    told_bytes: u64,
    last: Option<OrderKey>,
    beside: Beside<'a>,
    /// It was stopped by them: of what comes after this nothing is among the first.
    stopped_after: Option<OrderKey>,
}

/// What a thing in the queue takes; a trace with what is known of it, and its place among those
/// that are free; a piece; a trace that was ranked. Lists and sets have room for twice as many.
const QUEUED_BYTES: u64 = 2 * size_of::<(OrderKey, Item)>() as u64;
const RANKED_BYTES: u64 = QUEUED_BYTES + 2 * size_of::<(Option<Ranked>, usize)>() as u64;
const QUEUED_PIECE_BYTES: u64 =
    QUEUED_BYTES + (size_of::<Piece>() + 2 * size_of::<(Arc<Piece>, Option<PagePlace>)>()) as u64;
const SEEN_BYTES: u64 = 2 * size_of::<TraceId>() as u64;

/// Where a page lies: its run among those of the snapshot, and its number in it.
#[derive(Debug, Clone, Copy)]
struct PagePlace {
    run: usize,
    page: usize,
}

/// What stands in the queue. At equal places what has to be opened comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// A run of a block, by its number.
    Run(usize),
    /// A piece, by its number.
    Piece(usize),
    /// A trace that is cut over several pieces.
    Split(TraceId),
    /// A ranked trace, by its number.
    Trace(usize),
}

/// A trace with its place in the order.
#[derive(Debug, Clone)]
struct Ranked {
    evidence: Evidence,
    figures: Figures,
    /// The piece on which all of it lies, if that is so.
    piece: Option<Arc<Piece>>,
    /// That is so as far as its batch tells: tables of blocks were not asked yet.
    is_unchecked: bool,
}

/// A piece whose rows have been asked for the predicates.
struct Marked {
    number: u64,
    index: Arc<Index>,
    within: RowSet,
    marks: Vec<Marks>,
}

impl<'a> Search<'a> {
    fn new(
        shard: &'a Shard,
        snapshot: Snapshot<'a>,
        query: &'a TraceQuery,
        detail: Detail,
        budget: &'a Budget,
    ) -> Self {
        let by_extent = match query.order {
            Order::Newest | Order::Shortest => false,
            Order::Oldest | Order::Longest | Order::MostSpans | Order::MostErrors => true,
        };
        Self {
            shard,
            snapshot,
            query,
            detail,
            budget,
            leaves: leaves(&query.predicate),
            any_trace: judge(&query.predicate, Evidence::default(), None) != Truth::No,
            by_extent,
            queue: BinaryHeap::new(),
            pieces: Vec::new(),
            zones: Vec::new(),
            traces: Vec::new(),
            free: Vec::new(),
            held: Held::new(budget),
            seen: LookupSet::default(),
            marked: VecDeque::new(),
            spans_scanned: 0,
            pieces_marked: 0,
            told_bytes: 0,
            last: None,
            beside: Beside::default(),
            stopped_after: None,
        }
    }

    /// Tells the hits; true if there are no further ones.
    fn run(&mut self, take: &mut Take<'_>) -> Result<bool, Error> {
        let mut hits_left = self.query.limit;
        if hits_left == 0 {
            return Ok(true);
        }
        self.begin()?;
        while let Some((key, ranked)) = self.next_trace()? {
            let truth = judge(&self.query.predicate, ranked.evidence, Some(ranked.figures));
            has_room(self.told_bytes)?;
            if take.is_deferring() && self.pieces_marked > DEFERRING_PIECES_MAX {
                take.defer_no_longer(self.shard, self.detail, self.budget)?;
            }
            let is_deferring = take.is_deferring();
            let found = self.decide(key.trace_id, &ranked, truth, is_deferring)?;
            let Some(found) = found else { continue };
            self.told_bytes += found.spans_bytes();
            debug_assert_eq!(found.hit.key, key, "ranked by other figures than its own");
            self.last = Some(found.hit.key);
            if let Some(first) = self.beside.first {
                first.tell(self.shard.id(), found.hit.key);
            }
            hits_left -= 1;
            if take.take(found).is_break() {
                return Ok(self.queue.is_empty());
            }
            if hits_left == 0 {
                // Beside others the hits of all are counted, and those of one tell nothing.
                return if self.beside.first.is_some() { Ok(false) } else { self.ends_here() };
            }
        }
        Ok(self.stopped_after.is_none())
    }

    /// Whether no further trace matches. The hits are told: a budget that ends here ends nothing
    /// that was asked for.
    fn ends_here(&mut self) -> Result<bool, Error> {
        let further = |search: &mut Self| {
            while let Some((key, ranked)) = search.next_trace()? {
                let truth = judge(&search.query.predicate, ranked.evidence, Some(ranked.figures));
                let matches = match truth {
                    Truth::Yes => true,
                    Truth::No => false,
                    Truth::Maybe => search.decide(key.trace_id, &ranked, truth, true)?.is_some(),
                };
                if matches {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        match further(self) {
            Err(Error::Exhausted(_)) => Ok(false),
            further => Ok(!further?),
        }
    }

    /// Puts everything into the queue that may hold a trace.
    fn begin(&mut self) -> Result<(), Error> {
        let window = self.query.window;
        let order = self.query.order;
        for (number, run) in self.snapshot.blocks().iter().enumerate() {
            self.budget.spend(0)?;
            self.zones.push(None);
            let pages = run.run().into_iter().flat_map(|run| &run.pages);
            let within = pages.filter(|page| page.overlaps(window));
            if let Some(rank) = within.map(|page| page_bound(order, page)).min() {
                let key = OrderKey { rank, trace_id: TraceId::default() };
                self.queue.push(Reverse((key, Item::Run(number))));
            }
        }
        let is_asked = |piece: &&Arc<Piece>| self.by_extent || piece.overlaps(window);
        let batches = self.snapshot.batches().filter(is_asked);
        let batches: Vec<_> =
            batches.map(|piece| (batch_bound(order, piece), Arc::clone(piece), None)).collect();
        self.push_pieces(batches)?;
        if self.by_extent {
            self.held.grow(self.snapshot.splits().len() as u64 * QUEUED_BYTES)?;
            for split in self.snapshot.splits().values() {
                let rank = Tally::of_split(split).key(order, split.id).rank;
                let key = OrderKey { rank, trace_id: TraceId::default() };
                self.queue.push(Reverse((key, Item::Split(split.id))));
            }
        }
        Ok(())
    }

    fn push_pieces(
        &mut self,
        pieces: Vec<(u64, Arc<Piece>, Option<PagePlace>)>,
    ) -> Result<(), Error> {
        self.held.grow(pieces.len() as u64 * QUEUED_PIECE_BYTES)?;
        for (rank, piece, place) in pieces {
            let key = OrderKey { rank, trace_id: TraceId::default() };
            self.queue.push(Reverse((key, Item::Piece(self.pieces.len()))));
            self.pieces.push((piece, place));
        }
        Ok(())
    }

    /// Puts the pages of a run into the queue, unless it is ruled out with all of them.
    fn open_run(&mut self, number: usize) -> Result<(), Error> {
        let Some(run) = self.snapshot.blocks().get(number) else { return Ok(()) };
        let (window, order) = (self.query.window, self.query.order);
        let zones = self.shard.run_zones(run, &self.leaves, self.budget)?;
        let pages = run.pieces().enumerate();
        let pages = pages.filter(|(_, (page, _))| page.overlaps(window));
        if let Some(zones) = &zones {
            let evidence = Evidence { may: zones.run_may_pass(), must: 0 };
            let is_ruled_out = judge(&self.query.predicate, evidence, None) == Truth::No
                && (evidence.may == 0 || self.by_extent || !self.has_cut_trace(run, None)?);
            if is_ruled_out {
                let count = pages.count() as u64;
                self.shard.pages_ruled_out.fetch_add(count, Ordering::Relaxed);
                return Ok(());
            }
        }
        let place = |page| Some(PagePlace { run: number, page });
        let pages: Vec<_> = pages
            .map(|(at, (page, piece))| (page_bound(order, page), Arc::new(piece), place(at)))
            .collect();
        if let Some(slot) = self.zones.get_mut(number) {
            *slot = zones;
        }
        self.push_pieces(pages)
    }

    /// The next trace in the order that may match.
    fn next_trace(&mut self) -> Result<Option<(OrderKey, Ranked)>, Error> {
        while let Some(Reverse((key, item))) = self.queue.pop() {
            self.budget.spend(0)?;
            if let Some(last) = self.beside.first.and_then(FirstHits::last)
                && key > last
            {
                self.stopped_after = Some(last);
                return Ok(None);
            }
            match item {
                Item::Run(number) => self.open_run(number)?,
                Item::Piece(number) => {
                    let Some((piece, place)) = self.pieces.get(number).cloned() else { continue };
                    if !self.is_ruled_out(&piece, place)? {
                        self.open(&piece)?;
                    }
                }
                Item::Split(id) => self.rank_split(id)?,
                Item::Trace(number) => {
                    let Some(ranked) = self.traces.get_mut(number).and_then(Option::take) else {
                        continue;
                    };
                    self.free.push(number);
                    self.held.shrink(RANKED_BYTES);
                    let id = key.trace_id;
                    if ranked.is_unchecked && self.is_beyond_batch(id)? {
                        self.rank_split(id)?;
                    } else {
                        return Ok(Some((key, ranked)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether no trace has to be looked for on a page; the same holds of all pages of a run.
    ///
    /// Zones say of each predicate on spans whether a row of the page may pass it. If that is not
    /// enough for a trace to match, no trace that lies on the page alone does. It is not enough to
    /// leave the page out: of a trace that is cut, one part may pass one predicate and a part
    /// elsewhere another, and if each page is left out for what the other one has, nobody finds the
    /// trace. So a page is left out only if one of these holds:
    ///
    /// - No row may pass any predicate, and without such a row no trace matches: then each trace
    ///   that does match has a row on another piece that is opened for it.
    /// - Traces that are cut over pages join the queue by themselves (see [`Self::begin`]).
    /// - No trace of the page is listed as cut over pages.
    ///
    /// Traces with parts in the head need no care here. Batches of the head are never ruled out,
    /// and a trace on one is found there if a row of it may pass anything. If none may, what its
    /// pages have decides; if it has one page alone that is no more than this page has, which is
    /// not enough.
    fn is_ruled_out(&self, piece: &Piece, place: Option<PagePlace>) -> Result<bool, Error> {
        let (Some(place), Place::Page { page, .. }) = (place, &piece.place) else {
            return Ok(false);
        };
        let Some(run) = self.snapshot.blocks().get(place.run) else { return Ok(false) };
        let Some(Some(zones)) = self.zones.get(place.run) else { return Ok(false) };
        let evidence = Evidence { may: zones.may_pass(place.page, page), must: 0 };
        let is_ruled_out = judge(&self.query.predicate, evidence, None) == Truth::No
            && (evidence.may == 0
                || self.by_extent
                || !self.has_cut_trace(run, Some(place.page))?);
        if is_ruled_out {
            self.shard.pages_ruled_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(is_ruled_out)
    }

    /// Whether a trace of a page, or of any page of the run, may lie on other pages too.
    fn has_cut_trace(&self, run: &BlockRun, page: Option<usize>) -> Result<bool, Error> {
        self.budget.spend(0)?;
        let ids = &mut self.snapshot.splits().keys().copied();
        let version = self.snapshot.splits_version();
        let cut = run.cut_pages(ids, version, &self.shard.cache, self.shard.cache_owner);
        let cut = cut.map_err(|error| self.shard.damaged_block(&run.block, error))?;
        Ok(page.map_or(!cut.is_empty(), |page| cut.contains(page)))
    }

    /// Whether a trace of a batch of the head may have rows elsewhere.
    fn is_beyond_batch(&self, id: TraceId) -> Result<bool, Error> {
        let beyond = self.snapshot.beyond_batch(&mut std::iter::once(id), self.budget)?;
        Ok(beyond.contains(&id))
    }

    /// Ranks the traces of a piece that may match.
    ///
    /// Where a trace has further rows is asked of every block's table. Where such rows could only
    /// make its place worse, that is asked when its turn comes, which for most it never does: of
    /// traces that are cut, and of those of the head that match by their rows there.
    fn open(&mut self, piece: &Arc<Piece>) -> Result<(), Error> {
        let marked = self.marked(piece)?;
        self.spans_scanned += marked.index.row_classes.len() as u64;
        if marked.within.is_empty() && !self.by_extent {
            return Ok(());
        }
        // For these orders a batch of the head is opened before anything is told, and the traces
        // that it shares with blocks join the queue under their own places.
        let is_batch = piece.log_stamp().is_some();
        let may_extend = self.by_extent && is_batch;
        let mut asked = Vec::new();
        for trace in &marked.index.traces {
            let evidence = evidence(&marked.marks, trace);
            let may_begin =
                marked.within.any_within(trace.rows()) && (self.any_trace || evidence.may != 0);
            let may_match = || judge(&self.query.predicate, evidence, None) != Truth::No;
            let may_wait = is_batch && !self.by_extent && self.is_ahead(piece, &marked, trace);
            if may_begin && may_wait && may_match() {
                self.rank_alone(piece, &marked, trace, evidence, true)?;
            } else if may_begin || may_extend {
                asked.push((*trace, evidence, may_begin));
            }
        }
        let beyond = if is_batch {
            let ids = &mut asked.iter().map(|(trace, ..)| trace.id);
            Some(self.snapshot.beyond_batch(ids, self.budget)?)
        } else {
            None
        };
        let mut alone = Vec::new();
        let mut cut = Vec::new();
        for (trace, evidence, may_begin) in asked {
            let is_whole = match &beyond {
                None => self.snapshot.is_whole_on_page(trace.id),
                Some(beyond) => !beyond.contains(&trace.id),
            };
            if !is_whole {
                cut.push(trace);
            } else if may_begin && judge(&self.query.predicate, evidence, None) != Truth::No {
                alone.push((trace, evidence));
            }
        }
        for (trace, evidence) in alone {
            self.rank_alone(piece, &marked, &trace, evidence, false)?;
        }
        cut.iter().try_for_each(|trace| self.rank_cut(piece, &marked, trace))
    }

    /// Ranks a trace that is cut over several pieces, or lets it wait where its rows on one of them
    /// would have it: they are not worse than its place.
    fn rank_cut(&mut self, piece: &Piece, marked: &Marked, trace: &TraceRows) -> Result<(), Error> {
        let counts = |row: usize| piece.counts(&marked.index, row);
        let tally = Tally::of(&marked.index, trace, counts).filter(|_| !self.by_extent);
        let Some(tally) = tally else { return self.rank_split(trace.id) };
        if !self.seen.contains(&trace.id) {
            self.held.grow(QUEUED_BYTES)?;
            let rank = tally.key(self.query.order, trace.id).rank;
            let key = OrderKey { rank, trace_id: TraceId::default() };
            self.queue.push(Reverse((key, Item::Split(trace.id))));
        }
        Ok(())
    }

    /// Whether a trace comes after the cursor by its rows on one piece. With rows elsewhere it may
    /// all the same where this says that it does not.
    fn is_ahead(&self, piece: &Piece, marked: &Marked, trace: &TraceRows) -> bool {
        self.query.cursor.as_ref().is_none_or(|cursor| {
            let counts = |row: usize| piece.counts(&marked.index, row);
            let tally = Tally::of(&marked.index, trace, counts);
            tally.is_some_and(|tally| tally.key(self.query.order, trace.id) > cursor.last)
        })
    }

    /// Ranks a trace by its rows on one piece: all that it has, if that was checked.
    fn rank_alone(
        &mut self,
        piece: &Arc<Piece>,
        marked: &Marked,
        trace: &TraceRows,
        evidence: Evidence,
        is_unchecked: bool,
    ) -> Result<(), Error> {
        let counts = |row: usize| piece.counts(&marked.index, row);
        let Some(mut tally) = Tally::of(&marked.index, trace, counts) else { return Ok(()) };
        let mut counts_are_exact = !tally.has_twins;
        if tally.has_twins && self.orders_by_count() {
            let outline = self.shard.outline(&[Arc::clone(piece)], trace.id, self.budget)?;
            tally = Tally::of_summary(&outline.summary(self.budget)?);
            counts_are_exact = true;
        }
        let figures = tally.figures(counts_are_exact);
        let piece = Some(Arc::clone(piece));
        let ranked = Ranked { evidence, figures, piece, is_unchecked };
        self.push(tally.key(self.query.order, trace.id), ranked)
    }

    /// Ranks a trace by all its parts, once.
    fn rank_split(&mut self, id: TraceId) -> Result<(), Error> {
        if !self.seen.insert(id) {
            return Ok(());
        }
        self.held.grow(SEEN_BYTES)?;
        let parts = self.snapshot.parts(id, self.budget)?;
        let mut all = Evidence::default();
        let mut is_within = false;
        let mut tally: Option<Tally> = None;
        for piece in &parts {
            let marked = self.marked(piece)?;
            for trace in marked.index.traces.iter().filter(|trace| trace.id == id) {
                let evidence = evidence(&marked.marks, trace);
                all.may |= evidence.may;
                all.must |= evidence.must;
                is_within |= marked.within.any_within(trace.rows());
                let own = Tally::of(&marked.index, trace, |row| piece.counts(&marked.index, row));
                tally = Tally::both(tally, own);
            }
        }
        let Some(mut tally) = tally else { return Ok(()) };
        if !is_within || judge(&self.query.predicate, all, None) == Truth::No {
            return Ok(());
        }
        let by_count = self.orders_by_count();
        if by_count {
            let outline = self.shard.outline(&parts, id, self.budget)?;
            tally = Tally::of_summary(&outline.summary(self.budget)?);
        }
        let figures = tally.figures(by_count);
        let ranked = Ranked { evidence: all, figures, piece: None, is_unchecked: false };
        self.push(tally.key(self.query.order, id), ranked)
    }

    fn push(&mut self, key: OrderKey, ranked: Ranked) -> Result<(), Error> {
        if self.beside.without.is_some_and(|without| without.contains(&key.trace_id)) {
            return Ok(());
        }
        let after = self.query.cursor.as_ref().map(|cursor| cursor.last);
        if after.is_none_or(|after| key > after) {
            self.held.grow(RANKED_BYTES)?;
            let number = self.free.pop().unwrap_or(self.traces.len());
            self.queue.push(Reverse((key, Item::Trace(number))));
            match self.traces.get_mut(number) {
                Some(place) => *place = Some(ranked),
                None => self.traces.push(Some(ranked)),
            }
        }
        Ok(())
    }

    fn orders_by_count(&self) -> bool {
        matches!(self.query.order, Order::MostSpans | Order::MostErrors)
    }

    /// What the rows of a piece say of the predicates; the last ones are kept.
    fn marked(&mut self, piece: &Arc<Piece>) -> Result<Arc<Marked>, Error> {
        if let Some(known) = self.marked.iter().find(|marked| marked.number == piece.number) {
            return Ok(Arc::clone(known));
        }
        self.pieces_marked += 1;
        let reader = PieceReader::new(self.shard, Arc::clone(piece), self.budget);
        let index = reader.index()?;
        let within = if piece.overlaps(self.query.window) {
            piece.counted_rows_within(&index, self.query.window)
        } else {
            RowSet::empty(index.row_classes.len())
        };
        let marks = marks(&Prefilter::new(&reader, &index), &self.leaves, &within)?;
        let marked = Arc::new(Marked { number: piece.number, index, within, marks });
        self.marked.push_back(Arc::clone(&marked));
        if self.marked.len() > MARKS_KEPT_MAX {
            self.marked.pop_front();
        }
        Ok(marked)
    }

    /// Whether the trace matches, and then what is told of it. Deferring, a trace that was not
    /// needed to decide is put together later.
    fn decide(
        &self,
        id: TraceId,
        ranked: &Ranked,
        truth: Truth,
        is_deferring: bool,
    ) -> Result<Option<RankedHit>, Error> {
        if truth == Truth::No {
            return Ok(None);
        }
        let parts = match &ranked.piece {
            Some(piece) => vec![Arc::clone(piece)],
            None => self.snapshot.parts(id, self.budget)?,
        };
        if truth == Truth::Yes && self.detail == Detail::Summary {
            let summary = self.shard.outline(&parts, id, self.budget)?.summary(self.budget)?;
            return Ok(Some(self.hit(summary, None)));
        }
        if truth == Truth::Yes {
            let summary = self.shard.outline(&parts, id, self.budget)?.summary(self.budget)?;
            let mut hit = RankedHit { parts: Some(parts), ..self.hit(summary, None) };
            if !is_deferring {
                hit.put_together(self.shard, self.detail, self.budget)?;
            }
            return Ok(Some(hit));
        }
        let spans = if self.detail == Detail::Summary && decides_trace(&self.query.predicate) {
            self.shard.skeletons(&parts, id, self.budget)?
        } else {
            self.shard.distinct_spans(&parts, id, self.budget)?
        };
        let facts = TraceFacts::within(&spans, self.budget)?;
        let query = self.query;
        if truth != Truth::Yes
            && !facts.matches_within(query.window, &query.predicate, self.budget)?
        {
            return Ok(None);
        }
        let summary = facts.summary().clone();
        let trace = match self.detail {
            Detail::Summary => None,
            Detail::Trace { spans_max } => assemble_within(id, spans, spans_max, self.budget)?,
        };
        Ok(Some(self.hit(summary, trace)))
    }

    fn hit(&self, summary: TraceSummary, trace: Option<Trace>) -> RankedHit {
        let key = order_key(self.query.order, &summary);
        RankedHit { hit: Hit { key, summary, trace }, parts: None }
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

/// What a piece's marks say of one trace.
fn evidence(marks: &[Marks], trace: &TraceRows) -> Evidence {
    let mut evidence = Evidence::default();
    for (leaf, marks) in marks.iter().enumerate() {
        evidence.may |= u64::from(marks.may.any_within(trace.rows())) << leaf;
        evidence.must |= u64::from(marks.must.any_within(trace.rows())) << leaf;
    }
    evidence
}

/// The best rank that a trace on the page can have, if no part of it elsewhere makes it better.
fn page_bound(order: Order, page: &PageInfo) -> u64 {
    match order {
        Order::Newest => u64::MAX - page.trace_start_max.0,
        Order::Oldest => page.start_min.0,
        Order::Longest => u64::MAX - page.duration_max,
        Order::Shortest => page.duration_min,
        Order::MostSpans => u64::MAX - u64::from(page.spans_max),
        Order::MostErrors => u64::MAX - u64::from(page.errors_max),
    }
}

/// The same of a batch of the head.
fn batch_bound(order: Order, piece: &Piece) -> u64 {
    match order {
        Order::Newest => u64::MAX - piece.start_max.0,
        Order::Oldest | Order::Longest | Order::Shortest | Order::MostSpans | Order::MostErrors => {
            0
        }
    }
}
