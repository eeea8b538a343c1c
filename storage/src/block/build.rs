//! Builds a tenant's run of a block out of batches or pages: what sealing and merging share.
//!
//! A plan of traces comes first (where the parts of each lie, traces by their start), then rows are
//! copied trace by trace into pages. Sources are unpacked when their first trace is due and
//! forgotten when their last one is done, or when there is no room: memory does not depend on how
//! much there is to copy.
//!
//! Invariant (BLK-1): the rows written are the distinct ones of the rows that count. Rows with the
//! same start and span id are compared as whole spans.

use std::collections::{BTreeMap, BTreeSet};

use model::batch::{
    Batch, BatchError, Builder, Details, Encoder, Index, Part, RowCopier, Rows, Values,
};
use model::budget::Budget;
use model::canonical::fingerprint;
use model::effective::operation_of_name;
use model::query::AttributeScope;
use model::store::Operation;
use model::{BatchId, SpanId, Tenant, Timestamp, TraceId};

use super::directory::{PageInfo, SectionKind};
use super::limits::{
    BUILD_BYTES_MAX, BUILD_ROWS_BYTES_MAX, BUILD_ROWS_BYTES_MIN, PAGE_GROWTH_MAX,
    PAGE_PAYLOAD_BYTES, PLAN_PART_BYTES, RUN_PAGES_MAX, START_ORDER_ROWS_MAX, STRETCH_PAGES,
};
use super::rollup::RollupBuilder;
use super::table::TraceTable;
use super::zones::ZonesBuilder;
use super::{BlockError, BlockWriter, Names, Split, Splits};
use crate::Error;
use crate::shard::hash::LookupMap;
use crate::shard::rows::RowSet;

/// The rows of a trace in one source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceTrace {
    pub(crate) id: TraceId,
    pub(crate) start_min: Timestamp,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Something to copy rows from.
pub(crate) struct Source<'a> {
    /// What it holds.
    pub(crate) traces: Vec<SourceTrace>,
    /// The rows that count, if not all do.
    pub(crate) counted: Option<RowSet>,
    /// Unpacks it; may be asked more than once.
    pub(crate) read: Box<dyn Fn() -> Result<Rows, Error> + 'a>,
}

/// Figures over all parts that lie outside the sources, of the traces that have any.
pub(crate) type Elsewhere<'a> = &'a LookupMap<TraceId, Split>;

/// What became of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Built {
    /// Rows written.
    pub(crate) spans: u64,
    /// Rows left out because another is equal to them.
    pub(crate) repeats: u64,
}

/// How large things become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSizes {
    /// Rows of a page, about.
    pub(crate) rows: usize,
    /// Bytes a span of a run's rollup.
    pub(crate) rollup_bytes_per_span: usize,
    /// Rows below which a run of one page is *bare*: nothing but the page tells what is on it.
    pub(crate) bare_rows: usize,
}

/// Writes the run of a tenant, and pauses every [`STRETCH_PAGES`]. The sources' lists of traces are
/// taken out of them: the plan has all that is in them, and there may be some hundred thousand.
pub(crate) fn build_run(
    writer: &mut BlockWriter,
    tenant: &Tenant,
    sources: &mut [Source<'_>],
    sizes: PageSizes,
    elsewhere: Elsewhere<'_>,
    budget: &Budget,
    pause: &mut dyn FnMut(),
) -> Result<Built, Error> {
    writer.begin_run(tenant.clone());
    let mut plan = plan(sources)?;
    let mut run = RunBuilder {
        writer,
        sizes,
        loaded: Loaded::new(sources, rows_bytes_max(plan.len())),
        builder: Builder::new(tenant.clone()),
        encoder: Encoder::default(),
        page: PageFigures::default(),
        page_number: 0,
        is_bare: false,
        splits: Vec::new(),
        names: Names::default(),
        zones: ZonesBuilder::default(),
        rollup: RollupBuilder::default(),
        built: Built::default(),
    };
    // What was copied is needed no more, and gives its place to what the table says of it.
    let (mut next, mut written) = (0, 0);
    loop {
        // The first source tells how large they are.
        let rows_max = if run.loaded.loads == 0 { 1 } else { sizes.rows * STRETCH_PAGES };
        let due = stretch(plan.get(next..).unwrap_or_default(), rows_max).to_vec();
        if due.is_empty() {
            break;
        }
        next += due.len();
        pause();
        let mut traces: Vec<_> = due.chunk_by(|left, right| left.id == right.id).collect();
        if run.loaded.is_too_small_for(&due) {
            // Stable: else in the order of their starts.
            traces.sort_by_key(|parts| parts.first().map(|part| part.source));
        }
        for parts in traces {
            budget.spend(0)?;
            if let (Some(page), Some(first)) = (run.trace(parts, elsewhere)?, parts.first())
                && let Some(place) = plan.get_mut(written)
            {
                *place = PlanPart { source: page, ..*first };
                written += 1;
            }
        }
    }
    plan.truncate(written);
    run.finish(plan)
}

/// The first traces of a plan, whole ones, with about so many rows.
fn stretch(plan: &[PlanPart], rows_max: usize) -> &[PlanPart] {
    let (mut rows, mut end) = (0, 0);
    for trace in plan.chunk_by(|left, right| left.id == right.id) {
        end += trace.len();
        rows += trace.iter().map(PlanPart::rows).sum::<usize>();
        if rows >= rows_max {
            break;
        }
    }
    plan.get(..end).unwrap_or_default()
}

/// What rows that are unpacked may take beside a plan of so many parts.
fn rows_bytes_max(parts: usize) -> usize {
    let left = BUILD_BYTES_MAX.saturating_sub(parts.saturating_mul(size_of::<PlanPart>()));
    left.clamp(BUILD_ROWS_BYTES_MIN, BUILD_ROWS_BYTES_MAX)
}

/// A part of a trace: rows of one source. Once they are written, of the first part of a trace the
/// page on which it begins, in the place of the source.
#[derive(Debug, Clone, Copy)]
struct PlanPart {
    id: TraceId,
    /// The earliest start of the whole trace.
    start: Timestamp,
    source: u32,
    /// The first row and the last: a batch numbers its rows with 16 bits.
    first: u16,
    last: u16,
}

impl PlanPart {
    fn rows(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

// There is one for each trace of a merge.
const _: () =
    assert!(size_of::<PlanPart>() == PLAN_PART_BYTES && model::batch::SPANS_MAX == 1 << 16);

/// All parts, by the start of their trace, the parts of a trace together.
fn plan(sources: &mut [Source<'_>]) -> Result<Vec<PlanPart>, Error> {
    let mut plan = Vec::with_capacity(sources.iter().map(|source| source.traces.len()).sum());
    let narrow = |row: u32| {
        u16::try_from(row).map_err(|_| Error::Bug { what: "a batch has more rows than it may" })
    };
    for (number, source) in (0..).zip(sources) {
        for trace in std::mem::take(&mut source.traces) {
            let SourceTrace { id, start_min, first, count } = trace;
            let Some(last) = count.checked_sub(1) else { continue };
            let (first, last) = (narrow(first)?, narrow(first.saturating_add(last))?);
            plan.push(PlanPart { id, start: start_min, source: number, first, last });
        }
    }
    plan.sort_unstable_by_key(|part: &PlanPart| part.id);
    for trace in plan.chunk_by_mut(|left, right| left.id == right.id) {
        let start = trace.iter().map(|part| part.start).min().unwrap_or_default();
        trace.iter_mut().for_each(|part| part.start = start);
    }
    plan.sort_unstable_by_key(|part| (part.start, part.id, part.source, part.first));
    Ok(plan)
}

/// A row of the trace that is being written.
#[derive(Debug, Clone, Copy)]
struct RowRef {
    start: Timestamp,
    span_id: SpanId,
    end: Timestamp,
    is_error: bool,
    source: u32,
    row: u32,
}

impl RowRef {
    fn is_twin_of(&self, other: &Self) -> bool {
        (self.start, self.span_id) == (other.start, other.span_id)
    }
}

struct RunBuilder<'a, 'b> {
    writer: &'a mut BlockWriter,
    sizes: PageSizes,
    loaded: Loaded<'a, 'b>,
    builder: Builder,
    encoder: Encoder,
    page: PageFigures,
    page_number: u32,
    /// Names, zones and rollup are left out.
    is_bare: bool,
    splits: Vec<Split>,
    names: Names,
    zones: ZonesBuilder,
    rollup: RollupBuilder,
    built: Built,
}

impl RunBuilder<'_, '_> {
    /// Writes a trace; says on which page it begins, if it has a row that counts.
    fn trace(
        &mut self,
        parts: &[PlanPart],
        elsewhere: Elsewhere<'_>,
    ) -> Result<Option<u32>, Error> {
        let Some(id) = parts.first().map(|part| part.id) else { return Ok(None) };
        let mut rows = Vec::new();
        for part in parts {
            self.loaded.rows(part, &mut rows)?;
        }
        rows.sort_unstable_by_key(|row| (row.start, row.span_id, row.source, row.row));
        self.leave_out_repeats(&mut rows)?;
        if rows.is_empty() {
            return Ok(None);
        }
        if rows.len() > START_ORDER_ROWS_MAX {
            // By their places, so that each source is unpacked once and not once for each page.
            rows.sort_unstable_by_key(|row| (row.source, row.row));
        }
        if self.builder.span_count() + rows.len() > 2 * self.sizes.rows
            && self.builder.span_count() > 0
        {
            self.close_page(None)?;
        }
        let first_page = self.page_number;
        let mut figures = TraceFigures::default();
        let mut whole = TraceFigures::default();
        for row in rows {
            if self.page_is_full(rows_are_many(&figures)) {
                self.page.add(figures);
                figures = TraceFigures::default();
                self.close_page(Some(id).filter(|_| whole.spans > 0))?;
                self.page.continues = true;
            }
            self.loaded.copy(row.source, row.row, self.page_number, &mut self.builder)?;
            figures.add(&row);
            whole.add(&row);
        }
        self.page.add(figures);
        let own = whole.split(id);
        match elsewhere.get(&id) {
            Some(other) => self.splits.push(own.merged(*other)),
            None if self.page_number > first_page => self.splits.push(own),
            None => {}
        }
        self.built.spans += whole.spans;
        if self.builder.span_count() >= self.sizes.rows
            || self.builder.payload_bytes() >= self.payload_bytes_max()
        {
            self.close_page(None)?;
        }
        Ok(Some(first_page))
    }

    /// Whether the next row of a trace that is being copied has to go on another page.
    fn page_is_full(&self, trace_is_on_page: bool) -> bool {
        self.builder.span_count() >= 2 * self.sizes.rows
            || (self.builder.payload_bytes() >= self.payload_bytes_max()
                && (trace_is_on_page || self.builder.span_count() >= self.sizes.rows))
    }

    /// Payload at which a page is closed. It grows with the number of pages, so that no input,
    /// however large its values, fills the run before it ends.
    fn payload_bytes_max(&self) -> usize {
        let eighths = (self.page_number as usize * 8 / RUN_PAGES_MAX).min(PAGE_GROWTH_MAX);
        PAGE_PAYLOAD_BYTES << eighths
    }

    /// Takes out rows whose span equals that of a row that stays.
    fn leave_out_repeats(&mut self, rows: &mut Vec<RowRef>) -> Result<(), Error> {
        if !rows.windows(2).any(|pair| matches!(pair, [a, b] if a.is_twin_of(b))) {
            return Ok(());
        }
        let count_before = rows.len();
        let mut prints: BTreeMap<(u32, u32), u128> = BTreeMap::new();
        for run in rows.chunk_by(RowRef::is_twin_of).filter(|run| run.len() > 1) {
            for row in run {
                prints.insert((row.source, row.row), self.loaded.fingerprint(row)?);
            }
        }
        let print = |row: &RowRef| prints.get(&(row.source, row.row)).copied();
        rows.sort_by_key(|row| (row.start, row.span_id, print(row)));
        rows.dedup_by(|row, kept| row.is_twin_of(kept) && print(row) == print(kept));
        self.built.repeats += (count_before - rows.len()) as u64;
        Ok(())
    }

    /// Ends a page; the trace that is named goes on on the next one.
    fn close_page(&mut self, goes_on: Option<TraceId>) -> Result<(), Error> {
        if self.builder.span_count() == 0 {
            return Ok(());
        }
        let id = BatchId(u128::from(self.page_number).to_be_bytes());
        let bytes = self.encoder.encode(&self.builder, id);
        // What was packed is unpacked before it may replace what it was made of.
        let batch = Batch::open(bytes.into());
        let batch = batch.map_err(|source| self.bad_page(source))?;
        let described = batch.verified().and_then(|unpacked| self.describe(&unpacked, goes_on));
        described.map_err(|source| self.bad_page(source))?;
        let header = batch.header();
        let figures = std::mem::take(&mut self.page);
        let info = PageInfo {
            offset: 0,
            length: 0,
            span_count: header.span_count,
            trace_count: header.trace_count,
            start_min: header.start_min,
            start_max: header.start_max,
            trace_start_max: figures.start_max,
            duration_min: figures.duration_min.unwrap_or(0),
            duration_max: figures.duration_max,
            spans_max: figures.spans_max,
            errors_max: figures.errors_max,
            continues: figures.continues,
        };
        self.writer.page(info, batch.bytes())?;
        let tenant = self.builder.tenant().clone();
        self.builder.reset(tenant);
        self.page_number += 1;
        Ok(())
    }

    /// Adds a page to what is told of the run.
    fn describe(
        &mut self,
        (index, values, details): &(Index, Values, Details),
        goes_on: Option<TraceId>,
    ) -> Result<(), BatchError> {
        if self.is_bare {
            return Ok(());
        }
        add_names(index, &mut self.names);
        let classes = self.zones.add(index, values, details)?;
        self.rollup.add(index, values, &classes, goes_on)
    }

    fn bad_page(&self, source: BatchError) -> BlockError {
        BlockError::Page {
            path: self.writer.path().into(),
            offset: self.writer.size_bytes(),
            source,
        }
    }

    /// Ends the run; the traces say on which page they begin.
    fn finish(mut self, mut traces: Vec<PlanPart>) -> Result<Built, Error> {
        self.is_bare = self.page_number == 0 && self.builder.span_count() < self.sizes.bare_rows;
        self.close_page(None)?;
        if self.writer.run_pages() > RUN_PAGES_MAX {
            return Err(Error::Bug { what: "a run has more pages than it may" });
        }
        self.loaded.forget();
        self.writer.set_trace_count(traces.len() as u64);
        let table = TraceTable::of(&mut traces, |trace| (trace.id, trace.source));
        drop(traces);
        let table = table.encode();
        self.writer.table(&table)?;
        drop(table);
        self.splits.sort_unstable_by_key(|split| split.id);
        if self.is_bare {
            if !self.splits.is_empty() {
                self.writer.section(SectionKind::Splits, &Splits(self.splits).encode())?;
            }
            return Ok(self.built);
        }
        self.writer.section(SectionKind::Splits, &Splits(self.splits).encode())?;
        self.writer.section(SectionKind::Names, &self.names.encode())?;
        let (zones, mut values) = self.zones.finish();
        self.writer.section(SectionKind::Zones, &zones.encode())?;
        self.writer.section(SectionKind::ClassKeys, &zones.encode_class_keys())?;
        self.writer.section(SectionKind::KeyValues, &zones.encode_key_values())?;
        let next = &mut |out: &mut Vec<u8>| values.next(out);
        self.writer.raw_section(SectionKind::ValueFilter, next)?;
        drop(values);
        let class_count = u32::try_from(zones.classes().len()).unwrap_or(u32::MAX);
        let bytes_per_span = self.sizes.rollup_bytes_per_span;
        if let Some(rollup) = self.rollup.finish(class_count, bytes_per_span) {
            self.writer.section(SectionKind::Rollup, &rollup)?;
        }
        Ok(self.built)
    }
}

fn rows_are_many(figures: &TraceFigures) -> bool {
    figures.spans > 0
}

/// Figures over the rows of a trace.
#[derive(Debug, Clone, Copy, Default)]
struct TraceFigures {
    start_min: Option<Timestamp>,
    end_max: Timestamp,
    spans: u64,
    errors: u64,
}

impl TraceFigures {
    fn add(&mut self, row: &RowRef) {
        self.start_min = Some(self.start_min.map_or(row.start, |start| start.min(row.start)));
        self.end_max = self.end_max.max(row.end);
        self.spans += 1;
        self.errors += u64::from(row.is_error);
    }

    fn split(self, id: TraceId) -> Split {
        let start_min = self.start_min.unwrap_or_default();
        let Self { end_max, spans, errors, .. } = self;
        Split { id, start_min, end_max, spans, errors }
    }
}

/// Figures over the traces of a page.
#[derive(Debug, Clone, Copy, Default)]
struct PageFigures {
    start_max: Timestamp,
    duration_min: Option<u64>,
    duration_max: u64,
    spans_max: u32,
    errors_max: u32,
    continues: bool,
}

impl PageFigures {
    fn add(&mut self, trace: TraceFigures) {
        let Some(start) = trace.start_min else { return };
        let duration = trace.end_max.max(start).since(start).0;
        self.start_max = self.start_max.max(start);
        self.duration_min = Some(self.duration_min.map_or(duration, |own| own.min(duration)));
        self.duration_max = self.duration_max.max(duration);
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.spans_max = self.spans_max.max(narrow(trace.spans));
        self.errors_max = self.errors_max.max(narrow(trace.errors));
    }
}

/// The sources that are unpacked now.
///
/// Traces come by their starts, and so does what is unpacked for them: of each input about a page
/// at a time. Where inputs lie over one another in time and their pages are large, there may be no
/// room for all of them, and each trace would push out what the next one needs. Then the traces of
/// some pages are taken source by source: each is unpacked once for that many rows.
struct Loaded<'a, 'b> {
    sources: &'a [Source<'b>],
    slots: Vec<Slot>,
    bytes: usize,
    bytes_max: usize,
    next_use: u64,
    /// How often a source was unpacked, and what all of them took.
    loads: usize,
    read_bytes: usize,
}

#[derive(Default)]
struct Slot {
    rows: Option<(Rows, RowCopier)>,
    /// What they take, or took.
    bytes: usize,
    last_use: u64,
    /// The page for which the copier has translated.
    page: Option<u32>,
}

impl<'a, 'b> Loaded<'a, 'b> {
    fn new(sources: &'a [Source<'b>], bytes_max: usize) -> Self {
        let slots = sources.iter().map(|_| Slot::default()).collect();
        Self { sources, slots, bytes: 0, bytes_max, next_use: 0, loads: 0, read_bytes: 0 }
    }

    /// Whether the sources of these parts do not fit together. Those that were not unpacked yet are
    /// taken to be like those that were.
    fn is_too_small_for(&self, parts: &[PlanPart]) -> bool {
        let sources: BTreeSet<u32> = parts.iter().map(|part| part.source).collect();
        let average = self.read_bytes.checked_div(self.loads).unwrap_or(0);
        let bytes = sources.into_iter().map(|source| {
            let slot = self.slots.get(source as usize);
            slot.map(|slot| slot.bytes).filter(|bytes| *bytes > 0).unwrap_or(average)
        });
        bytes.sum::<usize>() > self.bytes_max
    }

    fn forget(&mut self) {
        self.slots = Vec::new();
        self.bytes = 0;
    }

    /// Appends the counting rows of a part.
    fn rows(&mut self, part: &PlanPart, out: &mut Vec<RowRef>) -> Result<(), Error> {
        let sources = self.sources;
        let counted = sources.get(part.source as usize).and_then(|it| it.counted.as_ref());
        let Some((rows, _)) = self.load(part.source)?.rows.as_ref() else { return Ok(()) };
        for row in u32::from(part.first)..=u32::from(part.last) {
            let counts = counted.is_none_or(|counted| counted.contains(row as usize));
            if let Some(facts) = rows.facts(row as usize).filter(|_| counts) {
                out.push(RowRef {
                    start: facts.start,
                    span_id: facts.span_id,
                    end: facts.end,
                    is_error: facts.is_error,
                    source: part.source,
                    row,
                });
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        source: u32,
        row: u32,
        page: u32,
        builder: &mut Builder,
    ) -> Result<(), Error> {
        let slot = self.load(source)?;
        if let Some((rows, copier)) = &mut slot.rows {
            if slot.page != Some(page) {
                copier.reset();
                slot.page = Some(page);
            }
            copier.copy(rows, row as usize, builder);
        }
        Ok(())
    }

    fn fingerprint(&mut self, row: &RowRef) -> Result<u128, Error> {
        let Some((rows, _)) = self.load(row.source)?.rows.as_ref() else { return Ok(0) };
        let span = rows.span(row.row as usize);
        // A row that was unpacked can be packed: only a bug comes here, and then nothing is equal.
        let own = || u128::from(row.source) << 32 | u128::from(row.row);
        Ok(span.ok().flatten().as_ref().map_or_else(own, fingerprint))
    }

    fn load(&mut self, source: u32) -> Result<&mut Slot, Error> {
        let place = source as usize;
        if self.slots.get(place).is_some_and(|slot| slot.rows.is_none())
            && let Some(from) = self.sources.get(place)
        {
            let rows = (from.read)()?;
            let bytes = rows.memory_bytes();
            self.loads += 1;
            self.read_bytes += bytes;
            self.make_room(bytes);
            if let Some(slot) = self.slots.get_mut(place) {
                let copier = RowCopier::new(&rows);
                *slot = Slot { rows: Some((rows, copier)), bytes, last_use: 0, page: None };
                self.bytes += bytes;
            }
        }
        self.next_use += 1;
        let missing = Error::Bug { what: "a plan names a source that there is not" };
        let slot = self.slots.get_mut(place).ok_or(missing)?;
        slot.last_use = self.next_use;
        Ok(slot)
    }

    /// Forgets the longest unused, until so many bytes fit.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max {
            let loaded = self.slots.iter_mut().filter(|slot| slot.rows.is_some());
            let Some(oldest) = loaded.min_by_key(|slot| slot.last_use) else { return };
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            *oldest = Slot { bytes: oldest.bytes, ..Slot::default() };
        }
    }
}

/// Adds the names of a page.
fn add_names(index: &Index, names: &mut Names) {
    for class in &index.classes {
        let service = index.services.get(class.resource as usize);
        let name = index.strings.get(class.name as usize);
        if let (Some(service), Some(name)) = (service, name) {
            let name = operation_of_name(name.as_bytes());
            names.add_operation(service, &Operation { name, kind: class.kind });
        }
    }
    for column in (0..).take(index.column_count()) {
        let Some((part, _, key)) = index.attribute_key(column) else { continue };
        let scope = match part {
            Part::Span => AttributeScope::Span,
            Part::Event => AttributeScope::Event,
            Part::Link => AttributeScope::Link,
            Part::SpanField | Part::EventField | Part::LinkField => continue,
        };
        names.add_key(scope, key);
    }
    for attribute in index.resources.iter().flat_map(|resource| &resource.attributes) {
        names.add_key(AttributeScope::Resource, &attribute.key);
    }
    for attribute in index.scopes.iter().flat_map(|scope| &scope.attributes) {
        names.add_key(AttributeScope::Scope, &attribute.key);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use model::batch::encode;
    use model::testing::{ManualClock, simple_span, tell_spans};
    use model::time::Monotonic;
    use model::{Attribute, ShardId, Span};

    use super::*;
    use crate::block::{BlockFile, BlockInfo};
    use crate::env::FaultEnv;

    const SOURCES: u64 = 16;
    const TRACES: u64 = 400;

    /// A source of traces of two spans that begin beside those of all other sources.
    fn batch(source: u64, value_bytes: usize) -> Batch {
        let mut spans: Vec<Span> = Vec::new();
        for number in 0..TRACES {
            let (id, start) = (number * SOURCES + source + 1, (number * SOURCES + source) * 100);
            for span in [2 * id, 2 * id + 1] {
                let mut span = simple_span(id, span, start, start + 50);
                let value = format!("{id:08} ").repeat(value_bytes / 9);
                span.attributes = vec![Attribute::new("text", value.as_str())];
                spans.push(span);
            }
        }
        let mut builder = Builder::new(Tenant::new("a").unwrap());
        tell_spans(&spans, &mut builder);
        Batch::open(encode(&builder, BatchId::default()).into()).unwrap()
    }

    /// Merges the sources; says how often one was unpacked, and the traces as they begin on pages.
    fn merged(value_bytes: usize, page_rows: usize) -> (u64, Vec<TraceId>) {
        let batches: Vec<Batch> = (0..SOURCES).map(|source| batch(source, value_bytes)).collect();
        let reads = Cell::new(0);
        let source = |batch: &Batch| {
            let index = batch.index().unwrap();
            let trace = |trace: &model::batch::TraceRows| SourceTrace {
                id: trace.id,
                start_min: index.starts[trace.first as usize],
                first: trace.first,
                count: trace.count,
            };
            let (batch, reads) = (batch.clone(), &reads);
            let read = Box::new(move || {
                reads.set(reads.get() + 1);
                Ok(Rows::read(&batch).unwrap())
            });
            Source { traces: index.traces.iter().map(trace).collect(), counted: None, read }
        };
        let mut sources: Vec<Source<'_>> = batches.iter().map(source).collect();
        let env = FaultEnv::new(1);
        let path = Path::new("/block");
        let info = BlockInfo {
            number: 1,
            shard: ShardId(0),
            bucket: 0,
            class: 0,
            last_index: 1,
            stamp_min: Timestamp(0),
            stamp_max: Timestamp(0),
        };
        let mut writer = BlockWriter::create(&env, path, info).unwrap();
        let sizes = PageSizes { rows: page_rows, rollup_bytes_per_span: 1, bare_rows: 0 };
        let budget =
            Budget::new(std::sync::Arc::new(ManualClock::default()), Monotonic(u64::MAX), u64::MAX);
        let tenant = Tenant::new("a").unwrap();
        let none = LookupMap::default();
        let built =
            build_run(&mut writer, &tenant, &mut sources, sizes, &none, &budget, &mut || {});
        let built = built.unwrap();
        assert_eq!((built.spans, built.repeats), (2 * SOURCES * TRACES, 0));
        writer.finish().unwrap();
        let file = BlockFile::open(&env, path).unwrap();
        let run = &file.directory().runs[0];
        let table = file.trace_table(run).unwrap();
        let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
        for (number, page) in (0..).zip(&run.pages) {
            let index = file.page(page).unwrap().index().unwrap();
            for trace in index.traces.iter().filter(|trace| seen.insert(trace.id)) {
                assert!(table.pages(trace.id).contains(&number), "{} on {number}", trace.id);
                ids.push(trace.id);
            }
        }
        assert_eq!(table.len(), ids.len());
        (reads.get(), ids)
    }

    #[test]
    fn sources_that_fit_are_unpacked_once_and_traces_stay_in_order() {
        let (reads, ids) = merged(90, 200);
        assert_eq!(reads, SOURCES);
        assert!(ids.is_sorted(), "ids ascend with starts");
    }

    /// With a place for each trace's source in turn, each trace unpacked a source again.
    #[test]
    fn sources_that_do_not_fit_together_are_unpacked_once_for_some_pages() {
        let (reads, mut ids) = merged(6_000, 100);
        let stretch_rows = 100 * STRETCH_PAGES as u64;
        let stretches = (2 * SOURCES * TRACES).div_ceil(stretch_rows);
        assert!(reads <= (stretches + 1) * SOURCES, "{reads} of {stretches}");
        assert!(reads > SOURCES, "everything fits, which shows nothing");
        // Pages still follow each other in time, but for those of a stretch.
        assert!(!ids.is_sorted());
        for (number, id) in (0..).zip(&ids) {
            let place = u64::from_be_bytes(id.0[8..].try_into().unwrap());
            assert!(place.abs_diff(number) <= stretch_rows, "{place} at {number}");
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len() as u64, SOURCES * TRACES);
    }
}
