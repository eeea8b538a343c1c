//! Rows of batches, unpacked to be copied into another batch: what sealing and merging run on.
//!
//! [`Rows`] holds the rows of one batch in the builder's own form, with names, columns, resources
//! and scopes under the batch's numbers. [`RowCopier`] translates these numbers into a builder's,
//! each once, so that copying a row is copying its cells: no owned span, no hash per value.

use std::sync::Arc;

use super::builder::{Builder, Cell, EventRow, LinkRow, RowParent, SpanRow};
use super::class::{ColumnKey, Part, span_field};
use super::column::Column;
use super::format::{BatchError, SectionId};
use super::index::{Index, Parent, TraceRows};
use super::reader::{Batch, Columns, Details, Values};
use crate::columns::ColumnError;
use crate::columns::cursor::unzigzag;
use crate::tell::{tell_resource, tell_scope};
use crate::value::ValueType;
use crate::{Resource, Scope, Span, SpanId, Tenant, Text, Timestamp};

/// A number that has not been translated yet.
const UNKNOWN: u32 = u32::MAX;

/// Cells for which room is made before any is read: those of most pages. A batch may say that it
/// has more than it has.
const CELLS_RESERVED_MAX: usize = 1 << 20;

/// The rows of a batch, unpacked.
#[derive(Debug)]
pub struct Rows {
    tenant: Tenant,
    strings: Vec<Text>,
    columns: Vec<ColumnKey>,
    resources: Vec<Arc<Resource>>,
    scopes: Vec<Arc<Scope>>,
    traces: Vec<TraceRows>,
    spans: Vec<SpanRow>,
    events: Vec<EventRow>,
    links: Vec<LinkRow>,
    cells: Vec<Cell>,
    bytes: Vec<u8>,
}

/// What ordering and comparing rows takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFacts {
    /// The span's id.
    pub span_id: SpanId,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, as it came.
    pub end: Timestamp,
    /// Whether it failed.
    pub is_error: bool,
}

impl Rows {
    /// Unpacks all rows of a batch.
    pub fn read(batch: &Batch) -> Result<Self, BatchError> {
        let index = batch.index()?;
        let values = batch.values(&index)?;
        let details = batch.details(&index)?;
        // What grows as it is filled takes up to twice of what it holds in the end.
        let cells = index.columns.iter().map(|column| column.count);
        let cells = cells.fold(0_usize, usize::saturating_add).min(CELLS_RESERVED_MAX);
        let mut reader = Reader {
            next: vec![0; index.columns.len()],
            unpacked: index.columns.iter().map(|_| None).collect(),
            event: 0,
            link: 0,
            link_id: 0,
            cells: Vec::with_capacity(cells),
            events: Vec::with_capacity(details.event_codes.len()),
            links: Vec::with_capacity(details.link_codes.len()),
            bytes: Vec::new(),
        };
        let mut spans = Vec::with_capacity(index.row_classes.len());
        for trace in &index.traces {
            for row in trace.rows() {
                spans.push(reader.span(&index, &values, &details, trace, row)?);
            }
        }
        Ok(Self {
            tenant: batch.header().tenant.clone(),
            spans,
            columns: index.columns.iter().map(|column| column.key).collect(),
            strings: index.strings,
            resources: index.resources,
            scopes: index.scopes,
            traces: index.traces,
            events: reader.events,
            links: reader.links,
            cells: reader.cells,
            bytes: reader.bytes,
        })
    }

    /// The traces, in the order of their rows.
    pub fn traces(&self) -> &[TraceRows] {
        &self.traces
    }

    /// What ordering and comparing a row takes.
    pub fn facts(&self, row: usize) -> Option<RowFacts> {
        let span = self.spans.get(row)?;
        Some(RowFacts {
            span_id: span.span_id,
            start: Timestamp(span.start),
            end: Timestamp(span.end),
            is_error: span.status == Some(crate::span::StatusCode::ERROR.0),
        })
    }

    /// A row as an owned span.
    pub fn span(&self, row: usize) -> Result<Option<Span>, BatchError> {
        let mut builder = Builder::new(self.tenant.clone());
        RowCopier::new(self).copy(self, row, &mut builder);
        let batch = Batch::open(super::encode(&builder, crate::BatchId::default()).into())?;
        Ok(batch.spans()?.pop())
    }

    /// Roughly how much memory the rows take.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len()
            + size_of_val(self.cells.as_slice())
            + size_of_val(self.spans.as_slice())
            + size_of_val(self.events.as_slice())
            + size_of_val(self.links.as_slice())
            + self.strings.iter().map(|text| text.len() + size_of::<Text>()).sum::<usize>()
    }
}

/// A column with its values in the arena.
enum Unpacked {
    Unit,
    Numbers(Vec<u64>),
    /// A stretch of the arena for each distinct value; the column tells each place's code.
    Stretches(Vec<(u32, u32)>),
}

struct Reader {
    /// By column: the place of the next value.
    next: Vec<usize>,
    unpacked: Vec<Option<Unpacked>>,
    event: usize,
    link: usize,
    link_id: usize,
    cells: Vec<Cell>,
    events: Vec<EventRow>,
    links: Vec<LinkRow>,
    bytes: Vec<u8>,
}

impl Reader {
    #[expect(clippy::cast_possible_truncation, reason = "a batch holds far less than 4 Gi cells")]
    fn span(
        &mut self,
        index: &Index,
        values: &Values,
        details: &Details,
        trace: &TraceRows,
        row: usize,
    ) -> Result<SpanRow, BatchError> {
        let malformed = SectionId::Index.malformed();
        let missing = || malformed(ColumnError::new("no such row"));
        let class = *index.class(row).ok_or_else(missing)?;
        let start = *index.starts.get(row).ok_or_else(missing)?;
        let (cells_start, cells_end) = self.cells(index, &values.columns, class.shape)?;
        let events_start = self.events.len() as u32;
        for _ in 0..class.event_count {
            self.event(index, details, start)?;
        }
        let links_start = self.links.len() as u32;
        for _ in 0..class.link_count {
            self.link(index, details)?;
        }
        Ok(SpanRow {
            trace_id: trace.id,
            span_id: *index.span_ids.get(row).ok_or_else(missing)?,
            parent: match index.parents.get(row).ok_or_else(missing)? {
                Parent::None => RowParent::None,
                Parent::Far(id) => RowParent::Id(*id),
                Parent::Row(row) => {
                    RowParent::Id(*index.span_ids.get(*row as usize).ok_or_else(missing)?)
                }
                Parent::Odd => RowParent::Odd,
            },
            start: start.0,
            end: index.ends.get(row).ok_or_else(missing)?.0,
            name: class.name,
            kind: class.kind.0,
            flags: class.flags,
            status: class.status.map(|code| code.0),
            resource: class.resource,
            scope: class.scope,
            request: 0,
            cells_start,
            cells_end,
            events_start,
            events_end: self.events.len() as u32,
            links_start,
            links_end: self.links.len() as u32,
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a batch holds far less than 4 Gi cells")]
    fn cells(
        &mut self,
        index: &Index,
        columns: &Columns,
        shape: u32,
    ) -> Result<(u32, u32), BatchError> {
        let short = || columns.section.malformed()(ColumnError::new("a column is too short"));
        let shape = index.shapes.get(shape as usize).map(Vec::as_slice).unwrap_or_default();
        let start = self.cells.len() as u32;
        for number in shape {
            let (_, column) = columns.get(index, *number)?;
            let at = *number as usize;
            let place = self.next.get_mut(at).ok_or_else(short)?;
            let slot = self.unpacked.get_mut(at).ok_or_else(short)?;
            let unpacked = slot.get_or_insert_with(|| unpack(column, &mut self.bytes));
            let (payload, length) = match (unpacked, column) {
                (Unpacked::Unit, Column::Unit(count)) if *place < *count => (0, 0),
                (Unpacked::Numbers(numbers), _) => (*numbers.get(*place).ok_or_else(short)?, 0),
                (
                    Unpacked::Stretches(stretches),
                    Column::Bytes(strings) | Column::Double(strings),
                ) => {
                    let code = strings.code(*place).ok_or_else(short)?;
                    let (start, length) = *stretches.get(code as usize).ok_or_else(short)?;
                    (u64::from(start), length)
                }
                _ => return Err(short()),
            };
            *place += 1;
            self.cells.push(Cell { column: *number, length, payload });
        }
        Ok((start, self.cells.len() as u32))
    }

    fn event(
        &mut self,
        index: &Index,
        details: &Details,
        start: Timestamp,
    ) -> Result<(), BatchError> {
        let malformed = SectionId::Details.malformed();
        let missing = || malformed(ColumnError::new("no such event"));
        let code = *details.event_codes.get(self.event).ok_or_else(missing)?;
        let class = *details.event_classes.get(code as usize).ok_or_else(missing)?;
        let gap = *details.event_times.get(self.event).ok_or_else(missing)?;
        self.event += 1;
        let (cells_start, cells_end) = self.cells(index, &details.columns, class.shape)?;
        let time = start.0.wrapping_add(unzigzag(gap).cast_unsigned());
        self.events.push(EventRow { time, name: class.name, cells_start, cells_end });
        Ok(())
    }

    fn link(&mut self, index: &Index, details: &Details) -> Result<(), BatchError> {
        let malformed = SectionId::DetailsRaw.malformed();
        let missing = || malformed(ColumnError::new("no such link"));
        let code = *details.link_codes.get(self.link).ok_or_else(missing)?;
        let class = *details.link_classes.get(code as usize).ok_or_else(missing)?;
        self.link += 1;
        let mut id = |length: u32| {
            let range = self.link_id..self.link_id.saturating_add(length as usize);
            self.link_id = range.end;
            let id = details.link_ids.get(range).ok_or_else(missing)?;
            Ok(store(&mut self.bytes, id))
        };
        let trace_id = id(class.trace_id_length)?;
        let span_id = id(class.span_id_length)?;
        let (cells_start, cells_end) = self.cells(index, &details.columns, class.shape)?;
        self.links.push(LinkRow { trace_id, span_id, flags: class.flags, cells_start, cells_end });
        Ok(())
    }
}

fn unpack(column: &Column, bytes: &mut Vec<u8>) -> Unpacked {
    match column {
        Column::Unit(_) => Unpacked::Unit,
        Column::Bool(values) => {
            Unpacked::Numbers(values.iter().map(|value| u64::from(*value)).collect())
        }
        Column::Int(values) => {
            Unpacked::Numbers(values.iter().map(|value| value.cast_unsigned()).collect())
        }
        Column::Double(strings) | Column::Bytes(strings) => {
            let codes = (0..).take(strings.distinct_count());
            let values = codes.map(|code| strings.distinct(code).unwrap_or_default());
            Unpacked::Stretches(values.map(|value| store(bytes, &value)).collect())
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sections are bounded far below 4 GiB")]
fn store(arena: &mut Vec<u8>, bytes: &[u8]) -> (u32, u32) {
    let start = arena.len() as u32;
    arena.extend_from_slice(bytes);
    (start, bytes.len() as u32)
}

/// Copies rows of one batch into one builder. Another builder, or a builder that was reset, takes
/// another copier.
#[derive(Debug)]
pub struct RowCopier {
    strings: Vec<u32>,
    columns: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
}

impl RowCopier {
    /// A copier that has translated nothing yet.
    pub fn new(rows: &Rows) -> Self {
        Self {
            strings: vec![UNKNOWN; rows.strings.len()],
            columns: vec![UNKNOWN; rows.columns.len()],
            resources: vec![UNKNOWN; rows.resources.len()],
            scopes: vec![UNKNOWN; rows.scopes.len()],
        }
    }

    /// Forgets what was translated: the builder was reset.
    pub fn reset(&mut self) {
        for known in [&mut self.strings, &mut self.columns, &mut self.resources, &mut self.scopes] {
            known.fill(UNKNOWN);
        }
    }

    /// Appends a row to the builder, of the request that was begun there last; does nothing if
    /// there is no such row.
    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    pub fn copy(&mut self, rows: &Rows, row: usize, builder: &mut Builder) {
        let Some(span) = rows.spans.get(row) else { return };
        let (cells_start, cells_end) =
            self.copy_cells(rows, span.cells_start, span.cells_end, builder);
        let events_start = builder.events.len() as u32;
        let events = rows.events.get(span.events_start as usize..span.events_end as usize);
        for event in events.unwrap_or_default() {
            let (cells_start, cells_end) =
                self.copy_cells(rows, event.cells_start, event.cells_end, builder);
            let name = self.string(rows, event.name, builder);
            builder.events.push(EventRow { time: event.time, name, cells_start, cells_end });
        }
        let links_start = builder.links.len() as u32;
        let links = rows.links.get(span.links_start as usize..span.links_end as usize);
        for link in links.unwrap_or_default() {
            let (cells_start, cells_end) =
                self.copy_cells(rows, link.cells_start, link.cells_end, builder);
            let mut id = |id: (u32, u32)| store(&mut builder.bytes, stretch(&rows.bytes, id));
            let (trace_id, span_id) = (id(link.trace_id), id(link.span_id));
            builder.links.push(LinkRow { trace_id, span_id, cells_start, cells_end, ..*link });
        }
        let span = SpanRow {
            name: self.string(rows, span.name, builder),
            resource: self.resource(rows, span.resource, builder),
            scope: self.scope(rows, span.scope, builder),
            request: (builder.requests.len() as u32).saturating_sub(1),
            cells_start,
            cells_end,
            events_start,
            events_end: builder.events.len() as u32,
            links_start,
            links_end: builder.links.len() as u32,
            ..*span
        };
        builder.spans.push(span);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    fn copy_cells(
        &mut self,
        rows: &Rows,
        start: u32,
        end: u32,
        builder: &mut Builder,
    ) -> (u32, u32) {
        let copied_start = builder.cells.len() as u32;
        for cell in rows.cells.get(start as usize..end as usize).unwrap_or_default() {
            let column = self.column(rows, cell.column, builder);
            let value_type = rows
                .columns
                .get(cell.column as usize)
                .map_or(ValueType::Empty, |key| key.value_type);
            let copied = match value_type {
                ValueType::Missing | ValueType::Empty | ValueType::Bool | ValueType::Int => {
                    Cell { column, ..*cell }
                }
                _ => {
                    let stretch = stretch(&rows.bytes, (cell.payload as u32, cell.length));
                    let (start, length) = store(&mut builder.bytes, stretch);
                    Cell { column, length, payload: u64::from(start) }
                }
            };
            builder.cells.push(copied);
        }
        (copied_start, builder.cells.len() as u32)
    }

    fn string(&mut self, rows: &Rows, number: u32, builder: &mut Builder) -> u32 {
        translate(&mut self.strings, number, || {
            let text = rows.strings.get(number as usize);
            builder.strings.intern(text.map_or(b"", |text| text.as_bytes()))
        })
    }

    fn column(&mut self, rows: &Rows, number: u32, builder: &mut Builder) -> u32 {
        if let Some(known) = self.columns.get(number as usize)
            && *known != UNKNOWN
        {
            return *known;
        }
        let key = rows.columns.get(number as usize).copied();
        let key = key.unwrap_or(ColumnKey {
            part: Part::SpanField,
            value_type: ValueType::Empty,
            key: span_field::UNKNOWN,
        });
        let key = match key.part {
            Part::Span | Part::Event | Part::Link => {
                ColumnKey { key: self.string(rows, key.key, builder), ..key }
            }
            Part::SpanField | Part::EventField | Part::LinkField => key,
        };
        translate(&mut self.columns, number, || builder.column(key))
    }

    fn resource(&mut self, rows: &Rows, number: u32, builder: &mut Builder) -> u32 {
        translate(&mut self.resources, number, || {
            if let Some(resource) = rows.resources.get(number as usize) {
                tell_resource(resource, builder);
            }
            builder.resource
        })
    }

    fn scope(&mut self, rows: &Rows, number: u32, builder: &mut Builder) -> u32 {
        translate(&mut self.scopes, number, || {
            if let Some(scope) = rows.scopes.get(number as usize) {
                tell_scope(scope, builder);
            }
            builder.scope
        })
    }
}

fn translate(known: &mut [u32], number: u32, find: impl FnOnce() -> u32) -> u32 {
    match known.get_mut(number as usize) {
        Some(known) => {
            if *known == UNKNOWN {
                *known = find();
            }
            *known
        }
        // Numbers were checked when the batch was read.
        None => find(),
    }
}

fn stretch(bytes: &[u8], (start, length): (u32, u32)) -> &[u8] {
    bytes.get(start as usize..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::encode;
    use crate::testing::{Generator, tell_spans};
    use crate::{BatchId, trace};

    fn batch(spans: &[Span]) -> Batch {
        let mut builder = Builder::new(Tenant::default());
        tell_spans(spans, &mut builder);
        Batch::open(encode(&builder, BatchId::default()).into()).unwrap()
    }

    #[test]
    fn copied_rows_are_the_same_spans() {
        let mut generator = Generator::new(21);
        for round in 0..20 {
            let (left, right) = (generator.spans(40), generator.spans(30));
            let sources = [Rows::read(&batch(&left)).unwrap(), Rows::read(&batch(&right)).unwrap()];
            let mut builder = Builder::new(Tenant::default());
            let mut copiers: Vec<_> = sources.iter().map(RowCopier::new).collect();
            for row in 0..40 {
                for (source, copier) in sources.iter().zip(&mut copiers) {
                    copier.copy(source, row, &mut builder);
                }
            }
            let copied = batch_of(&builder).spans().unwrap();
            assert_eq!(copied.len(), 70, "round {round}");
            let mut sent = [left, right].concat();
            let mut copied = copied;
            let key = |span: &Span| crate::canonical::fingerprint(span);
            sent.sort_by_key(key);
            copied.sort_by_key(key);
            assert_eq!(sent, copied, "round {round}");
        }
    }

    #[test]
    fn a_builder_that_was_reset_takes_rows_again() {
        let spans = Generator::new(22).spans(50);
        let rows = Rows::read(&batch(&spans)).unwrap();
        let mut builder = Builder::new(Tenant::default());
        let mut copier = RowCopier::new(&rows);
        copier.copy(&rows, 3, &mut builder);
        builder.reset(Tenant::default());
        copier.reset();
        for row in 0..50 {
            copier.copy(&rows, row, &mut builder);
        }
        let given = batch_of(&builder).spans().unwrap();
        assert_eq!(trace::distinct(given).len(), trace::distinct(spans).len());
    }

    #[test]
    fn a_row_is_given_as_a_span() {
        let spans = Generator::new(23).spans(20);
        let packed = batch(&spans);
        let rows = Rows::read(&packed).unwrap();
        for (row, span) in packed.spans().unwrap().iter().enumerate() {
            assert_eq!(rows.span(row).unwrap().as_ref(), Some(span));
            let facts = rows.facts(row).unwrap();
            assert_eq!((facts.span_id, facts.start), (span.span_id, span.start));
            assert_eq!(facts.is_error, span.is_error());
        }
        assert_eq!(rows.span(20).unwrap(), None);
    }

    fn batch_of(builder: &Builder) -> Batch {
        Batch::open(encode(builder, BatchId::default()).into()).unwrap()
    }
}
