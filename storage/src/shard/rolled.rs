//! Figures from rollups: whole minutes of blocks are read from counts, the rest from columns.
//!
//! ```text
//!   whole minutes of a run       its rollup: spans by class, traces by their classes
//!   its other minutes            columns of the pages that have any of them
//!   classes that are not counted columns of the pages that have any of them
//!   traces in several blocks     taken out as their parts were counted, added as a whole
//!   everything else              as without rollups: the head, runs without a rollup
//! ```
//!
//! Invariant: the answer equals that of `model`'s reference over the distinct spans, whatever the
//! window, wherever spans lie. Every trace is counted in one of these ways, and only one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::aggregate::{
    Aggregate, AggregateKind, AggregateQuery, Counts, DurationSketch, Group, GroupBy, Red,
};
use model::batch::{Index, TraceRows};
use model::budget::Budget;
use model::query::{self, AttributeScope, Field, SpanPredicate};
use model::span::StatusCode;
use model::{Span, Tenant, Text, TraceId};

use super::apart::{Apart, ApartTrace, block_of};
use super::asked::{Minutes, class_passes, is_by_class};
use super::blocks::BlockRun;
use super::columnar::Columnar;
use super::figures::marks_within;
use super::handle::Shard;
use super::hash::LookupSet;
use super::held::Held;
use super::piece::Piece;
use super::read::Snapshot;
use super::reader::PieceReader;
use super::rows::RowSet;
use super::whole::{All, Choice};
use crate::Error;
use crate::block::zones::{ZoneClass, Zones};
use crate::block::{BlockError, Rollup, SectionKind, SortedIds};

/// What a cell of figures by class and minute takes while those of a run are gathered, twice: by
/// class and by group.
const RED_CELL_BYTES: u64 = 512;

/// A run whose whole minutes are read from its rollup.
pub(super) struct RolledRun {
    pub(super) run: BlockRun,
    zones: Arc<Zones>,
    /// By number of a class, and one more for those that are not listed: whether its spans count.
    passes: Vec<bool>,
    /// The same: whether they count, and are not in the rollup.
    left_out: Vec<bool>,
}

/// An answer in the making.
pub(super) struct Rolled<'a> {
    shard: &'a Shard,
    snapshot: &'a Snapshot<'a>,
    query: &'a AggregateQuery,
    budget: &'a Budget,
    minutes: Minutes,
    /// By the number of the block.
    runs: BTreeMap<u64, RolledRun>,
    plus: Aggregate,
    minus: Aggregate,
    /// Traces that have been counted as a whole.
    visited: LookupSet<TraceId>,
    /// Traces in several blocks that have been counted once; their spans have not.
    counted: LookupSet<TraceId>,
}

/// What rollups gave, and what is left to be done without them.
pub(super) struct RolledUp {
    pub(super) answer: Aggregate,
    pub(super) minus: Aggregate,
    pub(super) visited: LookupSet<TraceId>,
    pub(super) blocks: BTreeSet<u64>,
}

impl Shard {
    /// The figures of runs that have rollups; nothing if they do not help.
    pub(super) fn roll_up(
        &self,
        tenant: &Tenant,
        snapshot: &Snapshot<'_>,
        query: &AggregateQuery,
        budget: &Budget,
    ) -> Result<Option<RolledUp>, Error> {
        let is_true = query.predicate == SpanPredicate::True;
        let is_values = matches!(query.kind, AggregateKind::TopValues { .. });
        if !is_by_class(&query.predicate) || (is_values && !is_true) {
            return Ok(None);
        }
        let mut rolled = Rolled {
            shard: self,
            snapshot,
            query,
            budget,
            minutes: Minutes::of(query),
            runs: BTreeMap::new(),
            plus: Aggregate::default(),
            minus: Aggregate::default(),
            visited: LookupSet::default(),
            counted: LookupSet::default(),
        };
        let mut apart = None;
        for run in snapshot.blocks() {
            budget.spend(0)?;
            let Some((run, rollup)) = self.rolled_run(run, query, rolled.minutes)? else {
                continue;
            };
            if apart.is_none() {
                let Some(found) = self.apart(tenant, snapshot, budget)? else { return Ok(None) };
                apart = Some(found);
            }
            // One at a time: those of all runs need not fit the memory.
            rolled.add_rollup(&run, &rollup)?;
            rolled.runs.insert(run.run.block.number(), run);
        }
        let Some(apart) = apart else { return Ok(None) };
        rolled.add_head()?;
        rolled.add_apart(&apart)?;
        rolled.add_columns()?;
        Ok(Some(RolledUp {
            answer: rolled.plus,
            minus: rolled.minus,
            visited: rolled.visited,
            blocks: rolled.runs.into_keys().collect(),
        }))
    }

    /// The rollup of a run, if it has one that answers the question, and for a whole minute.
    fn rolled_run(
        &self,
        run: &BlockRun,
        query: &AggregateQuery,
        minutes: Minutes,
    ) -> Result<Option<(RolledRun, Arc<Rollup>)>, Error> {
        let pages = run.run().map(|run| run.pages.as_slice()).unwrap_or_default();
        if !pages.iter().any(|page| minutes.of_page(page).has_whole) {
            return Ok(None);
        }
        let damaged = |error: BlockError| self.damaged_block(&run.block, error);
        let rollup = run.rollup(&self.cache, self.cache_owner).map_err(damaged)?;
        let zones = run.zones(&self.cache, self.cache_owner).map_err(damaged)?;
        let (Some(rollup), Some(zones)) = (rollup, zones) else { return Ok(None) };
        let is_true = query.predicate == SpanPredicate::True;
        let tells_traces = if is_true { rollup.has_traces() } else { rollup.shapes().is_some() };
        // Of classes that are not listed nobody knows whether they pass.
        if !tells_traces || (!is_true && zones.has_unlisted_classes()) {
            return Ok(None);
        }
        if let AggregateKind::TopValues { field, .. } = &query.kind
            && key_values(&rollup, &zones, field) == KeyValues::Unknown
        {
            return Ok(None);
        }
        let class_passes = |class: &ZoneClass| class_passes(&query.predicate, class);
        let mut passes: Vec<bool> = zones.classes().iter().map(class_passes).collect();
        passes.push(is_true);
        let mut left_out = vec![false; passes.len()];
        if takes_cells(query) {
            let Some(counted) = rollup.classes() else { return Ok(None) };
            left_out.clone_from(&passes);
            for class in counted {
                if let Some(left_out) = left_out.get_mut(class as usize) {
                    *left_out = false;
                }
            }
        }
        Ok(Some((RolledRun { run: run.clone(), zones, passes, left_out }, rollup)))
    }
}

/// Whether the question takes spans by class; without, their durations are enough.
fn takes_cells(query: &AggregateQuery) -> bool {
    query.predicate != SpanPredicate::True || matches!(query.kind, AggregateKind::Red { .. })
}

/// What a rollup knows of the values of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyValues {
    /// It counts them, under this number.
    Counted(usize),
    /// No span has the key.
    Absent,
    /// Nothing.
    Unknown,
}

/// What a rollup knows of the values of a key, as the question means it.
fn key_values(rollup: &Rollup, zones: &Zones, field: &Field) -> KeyValues {
    use KeyValues::{Absent, Counted, Unknown};
    // Rollups count attributes by value, and other fields by class or not at all.
    let Field::Attribute(scope, key) = field else { return Unknown };
    let one = |scope| match rollup.key(scope, key) {
        Some(number) => Counted(number),
        None if zones.lacks_key(scope, key) => Absent,
        None => Unknown,
    };
    match *scope {
        AttributeScope::SpanOrResource => {
            match (one(AttributeScope::Span), one(AttributeScope::Resource)) {
                (Absent, other) | (other, Absent) => other,
                // A span with both would count once or twice, and rollups do not tell.
                _ => Unknown,
            }
        }
        // Those of events and links are not counted, so that they are absent or unknown.
        scope => one(scope),
    }
}

impl RolledRun {
    /// Whether spans of a class are in the rollup's counts by class.
    fn counts_class(&self, class: &ZoneClass) -> bool {
        let place = self.zones.classes().iter().position(|own| own == class);
        let place = place.unwrap_or(self.zones.classes().len());
        !self.left_out.get(place).copied().unwrap_or(false)
    }

    fn has_left_out(&self) -> bool {
        self.left_out.contains(&true)
    }

    /// Whether a page has spans of classes that are not in the rollup.
    fn page_has_left_out(&self, page: usize) -> bool {
        let Some(zones) = self.zones.page(page) else { return self.has_left_out() };
        let is_left_out = |class: usize| self.left_out.get(class).or(self.left_out.last()).copied();
        zones.classes().iter().any(|class| is_left_out(class.class()).unwrap_or(false))
    }

    fn malformed(&self, shard: &Shard, reason: model::columns::ColumnError) -> Error {
        let path = self.run.block.file().path().to_path_buf();
        let error = BlockError::Malformed { path, section: SectionKind::Rollup, reason };
        shard.damaged_block(&self.run.block, error)
    }
}

impl Rolled<'_> {
    /// Adds the whole minutes of a rollup.
    fn add_rollup(&mut self, run: &RolledRun, rollup: &Rollup) -> Result<(), Error> {
        self.budget.spend(rollup.memory_bytes() as u64)?;
        let mut own = Aggregate::default();
        let mut held = Held::new(self.budget);
        let rolled = (run, rollup);
        let added = if takes_cells(self.query) {
            add_cells(self.query, self.minutes, rolled, &mut held, &mut own)
        } else {
            add_totals(self.query, self.minutes, rollup, &mut own)
        };
        added
            .and_then(|()| add_values(self.query, self.minutes, rolled, &mut own))
            .and_then(|()| add_traces(self.minutes, rolled, &mut own))
            .map_err(|reason| run.malformed(self.shard, reason))?;
        held.allowed()?;
        self.budget.hold(self.plus.merge(&own))?;
        Ok(())
    }

    /// Counts traces with parts in the head and in blocks that were rolled up.
    fn add_head(&mut self) -> Result<(), Error> {
        let mut seen: LookupSet<TraceId> = LookupSet::default();
        for batch in self.snapshot.batches() {
            let index = PieceReader::new(self.shard, Arc::clone(batch), self.budget).index()?;
            let ids = index.traces.iter().map(|trace| trace.id);
            let new: Vec<TraceId> = ids.filter(|id| seen.insert(*id)).collect();
            let runs = &mut self.runs.values().map(|rolled| &rolled.run);
            let rolled = self.shard.may_be_in(runs, &mut new.iter().copied(), self.budget)?;
            for id in new.into_iter().filter(|id| rolled.contains(id)) {
                let pieces = self.snapshot.parts(id, self.budget)?;
                self.count_whole(id, &pieces)?;
            }
        }
        Ok(())
    }

    /// Counts traces with parts in several blocks.
    fn add_apart(&mut self, apart: &Apart) -> Result<(), Error> {
        let passes: Vec<bool> = apart
            .classes
            .things()
            .iter()
            .map(|class| class_passes(&self.query.predicate, class))
            .collect();
        for trace in apart.traces.values() {
            let is_rolled = |block: &u64| self.runs.contains_key(block);
            let rolled = trace.parts.iter().filter(|part| is_rolled(&part.block)).count();
            if rolled == 0 || self.visited.contains(&trace.id) {
                continue;
            }
            if rolled == trace.parts.len() && !trace.has_repeats {
                self.count_once(trace, &passes);
            } else {
                let pieces = self.snapshot.parts(trace.id, self.budget)?;
                self.count_whole(trace.id, &pieces)?;
            }
        }
        Ok(())
    }

    /// The spans of a trace were counted rightly, the trace once for each part.
    fn count_once(&mut self, trace: &ApartTrace, passes: &[bool]) {
        let counts = |class: u32| passes.get(class as usize).copied().unwrap_or(false);
        let mut is_in_window = false;
        for part in &trace.parts {
            let mut passing = part.rows.iter().filter(|(_, class)| counts(*class)).peekable();
            let mut is_in_whole_minute = false;
            for (start, _) in passing.by_ref() {
                is_in_window |= self.query.window.contains(*start);
                is_in_whole_minute |= self.minutes.has(*start);
            }
            self.minus.traces += u64::from(is_in_whole_minute);
        }
        self.plus.traces += u64::from(is_in_window);
        self.counted.insert(trace.id);
    }

    /// Takes out what rollups counted of a trace's parts, and adds the whole.
    fn count_whole(&mut self, id: TraceId, pieces: &[Arc<Piece>]) -> Result<(), Error> {
        if !self.visited.insert(id) {
            return Ok(());
        }
        for of_block in pieces.chunk_by(|left, right| block_of(left) == block_of(right)) {
            let block = of_block.first().map(|piece| block_of(piece));
            let Some(run) = block.and_then(|block| self.runs.get(&block)) else { continue };
            let part = self.figures_of_part(run, of_block, id)?;
            self.budget.hold(self.minus.merge(&part))?;
        }
        let whole = self.shard.trace_figures(self.query, pieces, id, &All, self.budget)?;
        Ok(self.budget.hold(self.plus.merge(&whole))?)
    }

    /// What the rollup of a run says of the spans of a trace in it.
    fn figures_of_part(
        &self,
        run: &RolledRun,
        of_block: &[Arc<Piece>],
        id: TraceId,
    ) -> Result<Aggregate, Error> {
        let figures = |classes_of| {
            let choice = InRollup { minutes: self.minutes, classes_of };
            self.shard.trace_figures(self.query, of_block, id, &choice, self.budget)
        };
        let all = figures(None)?;
        if !run.has_left_out() {
            return Ok(all);
        }
        Ok(Aggregate { traces: all.traces, ..figures(Some(run))? })
    }

    /// Adds what columns have to tell of runs that were rolled up.
    fn add_columns(&mut self) -> Result<(), Error> {
        let runs = std::mem::take(&mut self.runs);
        let mut added = Ok(());
        for run in runs.values() {
            added = added.and_then(|()| self.add_pages(run));
        }
        self.runs = runs;
        added
    }

    fn add_pages(&mut self, run: &RolledRun) -> Result<(), Error> {
        let zones = self.shard.run_zones(&run.run, &[&self.query.predicate], self.budget)?;
        let mut long: LookupSet<TraceId> = LookupSet::default();
        for (number, (page, piece)) in run.run.pieces().enumerate() {
            self.budget.spend(0)?;
            let has_left_out = run.page_has_left_out(number);
            if !page.overlaps(self.query.window)
                || !(self.minutes.of_page(page).has_cut || has_left_out)
                || zones.as_ref().is_some_and(|zones| zones.may_pass(number, page) == 0)
            {
                continue;
            }
            self.add_page(run, Arc::new(piece), has_left_out, &mut long)?;
        }
        Ok(())
    }

    fn add_page(
        &mut self,
        run: &RolledRun,
        piece: Arc<Piece>,
        has_left_out: bool,
        long: &mut LookupSet<TraceId>,
    ) -> Result<(), Error> {
        let reader = PieceReader::new(self.shard, piece, self.budget);
        let index = reader.index()?;
        let window = self.query.window;
        let Some(marks) = marks_within(&reader, &index, window, &self.query.predicate)? else {
            return Ok(());
        };
        let rows = PageRows::new(run, &index, self.minutes, marks.may, has_left_out);
        let mut columnar = Columnar::new(self.query, &reader, &index)?;
        for trace in index.traces.iter().filter(|trace| rows.here.any_within(trace.rows())) {
            if self.visited.contains(&trace.id) {
                continue;
            }
            match &mut columnar {
                Some(columnar) => columnar.add_rows(trace, &rows.here),
                None => self.add_spans(&reader, &index, trace, &rows.here)?,
            }
            if self.counted.contains(&trace.id) || !rows.cut.any_within(trace.rows()) {
                continue;
            }
            // One that the splits list and that does not lie apart goes on over pages of this run.
            let is_long = self.snapshot.splits().contains_key(&trace.id);
            let is_counted = if !is_long {
                !rows.whole.any_within(trace.rows())
            } else if long.insert(trace.id) {
                !self.has_whole_minute(run, trace.id)?
            } else {
                false
            };
            self.plus.traces += u64::from(is_counted);
        }
        if let Some(columnar) = columnar {
            self.budget.hold(columnar.finish(&mut self.plus))?;
        }
        Ok(())
    }

    /// Whether a row of a trace that counts lies in a whole minute, on any page of the run.
    fn has_whole_minute(&self, run: &RolledRun, id: TraceId) -> Result<bool, Error> {
        let mut pieces = Vec::new();
        let ids = SortedIds::new(std::iter::once(id));
        self.snapshot.parts_in_run(&run.run, &ids, &mut pieces, self.budget)?;
        for piece in pieces {
            let reader = PieceReader::new(self.shard, piece, self.budget);
            let index = reader.index()?;
            let window = self.query.window;
            let marks = marks_within(&reader, &index, window, &self.query.predicate)?;
            let Some(marks) = marks else { continue };
            for trace in index.traces.iter().filter(|trace| trace.id == id) {
                let is_whole = |row: usize| {
                    let start = index.starts.get(row);
                    marks.may.contains(row) && start.is_some_and(|start| self.minutes.has(*start))
                };
                if trace.rows().any(is_whole) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Adds rows whose values columns do not tell.
    fn add_spans(
        &mut self,
        reader: &PieceReader<'_>,
        index: &Index,
        trace: &TraceRows,
        rows: &RowSet,
    ) -> Result<(), Error> {
        let mut spans = Vec::new();
        for row in trace.rows().filter(|row| rows.contains(*row)) {
            reader.spans(index, row..row + 1, &mut spans)?;
        }
        let figures = query::aggregate(self.query, [spans.as_slice()]);
        // Whoever calls counts the trace.
        let grown = self.plus.merge(&Aggregate { traces: 0, ..figures });
        Ok(self.budget.hold(grown)?)
    }
}

/// Spans in whole minutes; of these, if a run is given, those whose class its rollup counts.
struct InRollup<'a> {
    minutes: Minutes,
    classes_of: Option<&'a RolledRun>,
}

impl Choice for InRollup<'_> {
    fn rows(&self, index: &Index) -> Option<RowSet> {
        let left_out = self.classes_of.map(|run| left_out_classes(run, index)).unwrap_or_default();
        Some(RowSet::from_test(index.starts.len(), |row| {
            let class = index.row_classes.get(row).map(|class| *class as usize);
            let is_left_out = class.and_then(|class| left_out.get(class)).copied();
            let start = index.starts.get(row);
            start.is_some_and(|start| self.minutes.has(*start)) && !is_left_out.unwrap_or(false)
        }))
    }

    fn takes(&self, span: &Span) -> bool {
        self.minutes.has(span.start)
            && self.classes_of.is_none_or(|run| run.counts_class(&class_of(span)))
    }
}

/// By class of a piece: whether its spans count and are not in the rollup of a run.
fn left_out_classes(run: &RolledRun, index: &Index) -> Vec<bool> {
    let is_left_out = |class: &model::batch::Class| {
        zone_class(index, class).is_none_or(|class| !run.counts_class(&class))
    };
    index.classes.iter().map(is_left_out).collect()
}

/// Rows of a page that count.
struct PageRows {
    /// Those in minutes that are not whole.
    cut: RowSet,
    /// Those in whole minutes.
    whole: RowSet,
    /// Those that no rollup has counted.
    here: RowSet,
}

impl PageRows {
    fn new(
        run: &RolledRun,
        index: &Index,
        minutes: Minutes,
        passing: RowSet,
        has_left_out: bool,
    ) -> Self {
        let is_cut = |row: usize| index.starts.get(row).is_some_and(|start| minutes.cuts(*start));
        let cut = RowSet::from_test(index.starts.len(), |row| passing.contains(row) && is_cut(row));
        let mut here = cut.clone();
        if has_left_out {
            let left_out = left_out_classes(run, index);
            for row in 0..index.row_classes.len() {
                let class = index.row_classes.get(row).map(|class| *class as usize);
                let is_left_out = class.and_then(|class| left_out.get(class)).copied();
                if is_left_out.unwrap_or(false) && passing.contains(row) {
                    here.insert(row);
                }
            }
        }
        let mut whole = passing;
        let mut not_cut = cut.clone();
        not_cut.complement();
        whole.intersect(&not_cut);
        Self { cut, whole, here }
    }
}

fn zone_class(index: &Index, class: &model::batch::Class) -> Option<ZoneClass> {
    let name = index.strings.get(class.name as usize)?;
    Some(ZoneClass {
        service: index.services.get(class.resource as usize)?.clone(),
        operation: model::effective::operation_of_name(name.as_bytes()),
        kind: class.kind,
        status: class.status.unwrap_or(StatusCode::UNSET),
    })
}

fn class_of(span: &Span) -> ZoneClass {
    ZoneClass {
        service: model::effective::span_service(span),
        operation: model::effective::span_operation(span),
        kind: span.kind,
        status: span.status.as_ref().map_or(StatusCode::UNSET, |status| status.code),
    }
}

type Visited = Result<(), model::columns::ColumnError>;

/// Adds spans by their durations alone.
fn add_totals(
    query: &AggregateQuery,
    minutes: Minutes,
    rollup: &Rollup,
    out: &mut Aggregate,
) -> Visited {
    let is_heatmap = matches!(query.kind, AggregateKind::Heatmap { .. });
    rollup.totals(&mut |minute, octave, counts| {
        let Some(bin) = minutes.bin(minute) else { return };
        out.spans += counts.spans;
        out.errors += counts.errors;
        if is_heatmap {
            out.heatmap.entry((bin, octave)).or_default().add(counts);
        }
    })
}

/// Adds spans by class and duration. What is held while it gathers them is refused where it is
/// looked at.
fn add_cells(
    query: &AggregateQuery,
    minutes: Minutes,
    (run, rollup): (&RolledRun, &Rollup),
    held: &mut Held<'_>,
    out: &mut Aggregate,
) -> Visited {
    let classes = run.zones.classes();
    let is_error: Vec<bool> =
        classes.iter().map(|class| class.status == StatusCode::ERROR).collect();
    let mut red: BTreeMap<(u32, u64), Red> = BTreeMap::new();
    let passes = |class: u32| run.passes.get(class as usize).copied().unwrap_or(false);
    rollup.cells(&passes, &mut |class, minute, bucket, spans| {
        let Some(bin) = minutes.bin(minute) else { return };
        let is_error = is_error.get(class as usize).copied().unwrap_or(false);
        let counts = Counts { spans, errors: if is_error { spans } else { 0 } };
        out.spans += counts.spans;
        out.errors += counts.errors;
        match query.kind {
            AggregateKind::Heatmap { .. } => {
                let octave = DurationSketch::octave_of_bucket(bucket);
                out.heatmap.entry((bin, octave)).or_default().add(counts);
            }
            AggregateKind::Red { .. } => {
                if !red.contains_key(&(class, bin)) && held.grow(RED_CELL_BYTES).is_err() {
                    return;
                }
                let own = red.entry((class, bin)).or_default();
                own.counts.add(counts);
                own.durations.add_bucket(bucket, spans);
            }
            AggregateKind::Totals | AggregateKind::TopValues { .. } => {}
        }
    })?;
    let AggregateKind::Red { group_by, .. } = query.kind else { return Ok(()) };
    let mut groups: BTreeMap<Group, BTreeMap<u64, Red>> = BTreeMap::new();
    for ((class, bin), red) in red {
        let Some(class) = classes.get(class as usize) else { continue };
        let operation = match group_by {
            GroupBy::Service => Text::EMPTY,
            GroupBy::Operation => class.operation.clone(),
        };
        let group = Group { service: class.service.clone(), operation, kind: class.kind };
        let own = groups.entry(group).or_default().entry(bin).or_default();
        own.counts.add(red.counts);
        own.durations.merge(&red.durations);
    }
    out.merge(&Aggregate { red: groups, ..Aggregate::default() });
    Ok(())
}

/// Adds spans by the values of a key.
fn add_values(
    query: &AggregateQuery,
    minutes: Minutes,
    (run, rollup): (&RolledRun, &Rollup),
    out: &mut Aggregate,
) -> Visited {
    let AggregateKind::TopValues { field, .. } = &query.kind else { return Ok(()) };
    let known = key_values(rollup, &run.zones, field);
    let KeyValues::Counted(key) = known else { return Ok(()) };
    let forms = rollup.forms(key);
    let mut by_form = vec![Counts::default(); forms.len()];
    rollup.values(key, &mut |minute, form, counts| {
        if minutes.bin(minute).is_some()
            && let Some(own) = by_form.get_mut(form as usize)
        {
            own.add(counts);
        }
    })?;
    let values = forms.iter().zip(by_form).filter(|(_, counts)| counts.spans > 0);
    let values = values.map(|(form, counts)| (form.clone(), counts)).collect();
    out.merge(&Aggregate { values, ..Aggregate::default() });
    Ok(())
}

/// Adds traces that have a span which counts in a whole minute.
fn add_traces(
    minutes: Minutes,
    (run, rollup): (&RolledRun, &Rollup),
    out: &mut Aggregate,
) -> Visited {
    let passes = |class: &u32| run.passes.get(*class as usize).copied().unwrap_or(false);
    let by_shape: Option<Vec<bool>> =
        rollup.shapes().map(|shapes| shapes.iter().map(|s| s.iter().any(passes)).collect());
    // Without shapes everything counts.
    let counts = |shape: u32| {
        by_shape.as_ref().is_none_or(|shapes| shapes.get(shape as usize).copied().unwrap_or(false))
    };
    rollup.traces(&mut |trace, count| {
        if trace.iter().any(|(minute, shape)| counts(*shape) && minutes.bin(*minute).is_some()) {
            out.traces += count;
        }
    })
}
