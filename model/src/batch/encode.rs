//! From a builder to the bytes of a batch: sort, group, pack.

use hashbrown::HashTable;
use twox_hash::XxHash3_64;

use super::builder::{Builder, Cell, GroupRow, RowParent, SpanRow};
use super::class::{Class, ColumnKey, EventClass, LinkClass};
use super::format::{self, Header};
use super::intern::mix;
use crate::columns::compress::Compressor;
use crate::columns::cursor::{put_bytes, put_varint, zigzag};
use crate::columns::strings::{StringEncoder, write_codes};
use crate::columns::{Streams, integers};
use crate::hash_seed;
use crate::span::{SpanKind, StatusCode};
use crate::value::ValueType;
use crate::{BatchId, SpanId, Timestamp, TraceId};

/// How a parent is written, before the distance of a parent in the same trace.
pub(super) mod parent_code {
    pub(in crate::batch) const NONE: u64 = 0;
    pub(in crate::batch) const FAR: u64 = 1;
    pub(in crate::batch) const ODD: u64 = 2;
    pub(in crate::batch) const NEAR: u64 = 3;
}

/// Room that encoding needs, kept from batch to batch by whoever encodes many.
#[derive(Debug, Default)]
pub struct Encoder {
    compressor: Compressor,
    strings: StringEncoder,
    index: Streams,
    values: Streams,
    details: Streams,
    rows: Vec<u32>,
    shapes: ShapeTable,
    classes: Table<Class>,
    event_classes: Table<EventClass>,
    link_classes: Table<LinkClass>,
    codes: Vec<u32>,
    /// Cells grouped by column, in row order.
    grouped: Vec<Cell>,
    column_ends: Vec<u32>,
    ranges: Vec<(u32, u32)>,
}

/// Numbers for equal things, in order of first appearance.
#[derive(Debug)]
struct Table<T> {
    /// See [`hash_seed`].
    seed: u64,
    /// Hash and number.
    found: HashTable<(u64, u32)>,
    items: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { seed: hash_seed::get(), found: HashTable::new(), items: Vec::new() }
    }
}

impl<T: Copy + Eq> Table<T> {
    fn clear(&mut self) {
        self.found.clear();
        self.items.clear();
    }

    /// The number of an item; `hash_from` makes a hash of it, beginning with a seed.
    #[expect(clippy::cast_possible_truncation, reason = "fewer items than rows")]
    fn number(&mut self, item: T, hash_from: impl FnOnce(u64) -> u64) -> u32 {
        let Self { seed, found, items } = self;
        let hash = hash_from(*seed);
        let same = |(_, number): &(u64, u32)| items.get(*number as usize) == Some(&item);
        if let Some((_, number)) = found.find(hash, same) {
            return *number;
        }
        let number = items.len() as u32;
        items.push(item);
        found.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        number
    }
}

/// Shapes of different lengths, one after another.
#[derive(Debug)]
struct ShapeTable {
    /// See [`hash_seed`].
    seed: u64,
    /// Hash and number.
    found: HashTable<(u64, u32)>,
    columns: Vec<u32>,
    ends: Vec<u32>,
}

impl Default for ShapeTable {
    fn default() -> Self {
        let (columns, ends) = (Vec::new(), Vec::new());
        Self { seed: hash_seed::get(), found: HashTable::new(), columns, ends }
    }
}

impl ShapeTable {
    fn clear(&mut self) {
        self.found.clear();
        self.columns.clear();
        self.ends.clear();
    }

    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    fn number(&mut self, cells: &[Cell]) -> u32 {
        let Self { seed, found, columns, ends } = self;
        let hash = cells.iter().fold(*seed, |hash, cell| mix(hash ^ u64::from(cell.column)));
        let same = |(_, number): &(u64, u32)| {
            shape_of(columns, ends, *number).iter().eq(cells.iter().map(|cell| &cell.column))
        };
        if let Some((_, number)) = found.find(hash, same) {
            return *number;
        }
        let number = ends.len() as u32;
        columns.extend(cells.iter().map(|cell| cell.column));
        ends.push(columns.len() as u32);
        found.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        number
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..).take(self.ends.len()).map(|number| shape_of(&self.columns, &self.ends, number))
    }
}

fn shape_of<'a>(columns: &'a [u32], ends: &[u32], number: u32) -> &'a [u32] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(number).copied().unwrap_or(0);
    columns.get(start as usize..end as usize).unwrap_or_default()
}

/// Packs the spans of `builder` into a batch of the given name.
pub fn encode(builder: &Builder, id: BatchId) -> Vec<u8> {
    Encoder::default().encode(builder, id)
}

impl Encoder {
    /// Packs the spans of `builder` into a batch of the given name. The bytes depend on nothing
    /// but the two arguments.
    pub fn encode(&mut self, builder: &Builder, id: BatchId) -> Vec<u8> {
        for streams in [&mut self.index, &mut self.values, &mut self.details] {
            streams.clear();
        }
        let traces = self.sort_rows(builder);
        self.find_classes(builder);
        self.group_cells(builder);
        self.write_details_rows(builder);
        self.write_index(builder, &traces);
        let header = header(builder, id, traces.len());
        let contents = [
            self.index.packed.as_slice(),
            &self.index.raw,
            &self.values.packed,
            &self.values.raw,
            &self.details.packed,
            &self.details.raw,
        ];
        format::write(&header, &contents, &mut self.compressor)
    }

    /// Orders rows by trace (first appearance), start, arrival; returns each trace's rows.
    #[expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]
    fn sort_rows(&mut self, builder: &Builder) -> Vec<(TraceId, u32)> {
        let mut traces: Table<TraceId> = Table::default();
        let mut keyed: Vec<(u32, u64, u32)> = Vec::with_capacity(builder.spans.len());
        let mut last = None;
        for (row, span) in builder.spans.iter().enumerate() {
            let trace = match last {
                Some((id, number)) if id == span.trace_id => number,
                _ => traces.number(span.trace_id, |seed| {
                    XxHash3_64::oneshot_with_seed(seed, span.trace_id.as_bytes())
                }),
            };
            last = Some((span.trace_id, trace));
            keyed.push((trace, span.start, row as u32));
        }
        keyed.sort_unstable();
        let mut counted: Vec<(TraceId, u32)> = traces.items.iter().map(|id| (*id, 0)).collect();
        self.rows.clear();
        for (trace, _, row) in keyed {
            self.rows.push(row);
            if let Some((_, count)) = counted.get_mut(trace as usize) {
                *count += 1;
            }
        }
        counted
    }

    fn ordered<'a>(
        rows: &'a [u32],
        builder: &'a Builder,
    ) -> impl Iterator<Item = &'a SpanRow> + Clone {
        rows.iter().filter_map(|row| builder.spans.get(*row as usize))
    }

    fn find_classes(&mut self, builder: &Builder) {
        self.shapes.clear();
        self.classes.clear();
        self.codes.clear();
        for span in Self::ordered(&self.rows, builder) {
            let shape = self.shapes.number(cells_of(builder, span.cells_start, span.cells_end));
            let class = Class {
                name: span.name,
                kind: SpanKind(span.kind),
                flags: span.flags,
                status: span.status.map(StatusCode),
                resource: span.resource,
                scope: span.scope,
                shape,
                event_count: span.events_end - span.events_start,
                link_count: span.links_end - span.links_start,
            };
            self.codes.push(self.classes.number(class, |seed| hash_class(seed, &class)));
        }
    }

    /// Puts all cells into the order of their columns, and of rows within a column.
    fn group_cells(&mut self, builder: &Builder) {
        let Self { rows, grouped, column_ends, .. } = self;
        column_ends.clear();
        column_ends.resize(builder.columns.len(), 0);
        for cell in &builder.cells {
            if let Some(count) = column_ends.get_mut(cell.column as usize) {
                *count += 1;
            }
        }
        let mut start = 0;
        for end in column_ends.iter_mut() {
            let count = *end;
            *end = start;
            start += count;
        }
        grouped.clear();
        grouped.resize(builder.cells.len(), Cell { column: 0, length: 0, payload: 0 });
        debug_assert_eq!(start as usize, builder.cells.len(), "each cell has a column");
        let mut place = |cells: &[Cell]| {
            for cell in cells {
                if let Some(end) = column_ends.get_mut(cell.column as usize) {
                    if let Some(slot) = grouped.get_mut(*end as usize) {
                        *slot = *cell;
                    }
                    *end += 1;
                }
            }
        };
        for span in Self::ordered(rows, builder) {
            place(cells_of(builder, span.cells_start, span.cells_end));
        }
        for event in events_in_order(rows, builder) {
            place(cells_of(builder, event.cells_start, event.cells_end));
        }
        for link in links_in_order(rows, builder) {
            place(cells_of(builder, link.cells_start, link.cells_end));
        }
    }

    /// Classes, times and ids of events and links; their columns follow in `write_columns`.
    fn write_details_rows(&mut self, builder: &Builder) {
        if builder.events.is_empty() && builder.links.is_empty() {
            return;
        }
        let Self { rows, shapes, event_classes, link_classes, codes, details, .. } = self;
        let rows: &[u32] = rows;
        event_classes.clear();
        link_classes.clear();
        let row_codes = std::mem::take(codes);
        for event in events_in_order(rows, builder) {
            let shape = shapes.number(cells_of(builder, event.cells_start, event.cells_end));
            let class = EventClass { name: event.name, shape };
            let hash = |seed| mix(seed ^ (u64::from(event.name) << 32 | u64::from(shape)));
            codes.push(event_classes.number(class, hash));
        }
        let out = &mut details.packed;
        put_varint(out, event_classes.items.len() as u64);
        for class in &event_classes.items {
            put_varint(out, u64::from(class.name));
            put_varint(out, u64::from(class.shape));
        }
        write_codes(out, codes, event_classes.items.len());
        let times = Self::ordered(rows, builder).flat_map(|span| {
            let range = span.events_start as usize..span.events_end as usize;
            let events = builder.events.get(range).unwrap_or_default();
            events.iter().map(|event| difference(event.time, span.start))
        });
        integers::write(details, times);
        codes.clear();
        for link in links_in_order(rows, builder) {
            let shape = shapes.number(cells_of(builder, link.cells_start, link.cells_end));
            let class = LinkClass {
                trace_id_length: link.trace_id.1,
                span_id_length: link.span_id.1,
                flags: link.flags,
                shape,
            };
            let hash = |seed| mix(seed ^ (u64::from(link.flags) << 32 | u64::from(shape)));
            codes.push(link_classes.number(class, hash));
        }
        let out = &mut details.packed;
        put_varint(out, link_classes.items.len() as u64);
        for class in &link_classes.items {
            for number in [class.trace_id_length, class.span_id_length, class.flags, class.shape] {
                put_varint(out, u64::from(number));
            }
        }
        write_codes(out, codes, link_classes.items.len());
        for link in links_in_order(rows, builder) {
            for (start, length) in [link.trace_id, link.span_id] {
                details.raw.extend_from_slice(stretch(&builder.bytes, start, length));
            }
        }
        *codes = row_codes;
    }

    fn write_index(&mut self, builder: &Builder, traces: &[(TraceId, u32)]) {
        let column_lengths = self.write_columns(builder);
        let Self { index, shapes, classes, rows, codes, .. } = self;
        let rows: &[u32] = rows;
        let out = &mut index.packed;
        put_varint(out, builder.strings.len() as u64);
        builder.strings.iter().for_each(|text| put_varint(out, text.len() as u64));
        builder.strings.iter().for_each(|text| out.extend_from_slice(text));
        for groups in [&builder.resources, &builder.scopes] {
            put_varint(out, groups.len() as u64);
            groups.iter().for_each(|group| write_group(out, builder, group));
        }
        put_varint(out, builder.columns.len() as u64);
        for (entry, lengths) in builder.columns.iter().zip(column_lengths) {
            let ColumnKey { part, value_type, key } = entry.key;
            out.push(part as u8 * 16 + value_type as u8);
            put_varint(out, u64::from(key));
            lengths.into_iter().for_each(|length| put_varint(out, length));
        }
        put_varint(out, shapes.ends.len() as u64);
        for shape in shapes.iter() {
            put_varint(out, shape.len() as u64);
            shape.iter().for_each(|column| put_varint(out, u64::from(*column)));
        }
        put_varint(out, classes.items.len() as u64);
        classes.items.iter().for_each(|class| write_class(out, class));
        write_codes(out, codes, classes.items.len());
        traces.iter().for_each(|(_, count)| put_varint(out, u64::from(*count)));
        for (trace_id, _) in traces {
            index.raw.extend_from_slice(trace_id.as_bytes());
        }
        for span in Self::ordered(rows, builder) {
            index.raw.extend_from_slice(span.span_id.as_bytes());
        }
        write_parents(index, rows, builder, traces);
        write_times(index, rows, builder, traces);
        write_requests(index, rows, builder, codes);
    }

    /// Writes all columns; returns each one's count, packed and raw length.
    fn write_columns(&mut self, builder: &Builder) -> Vec<[u64; 3]> {
        let Self { values, details, grouped, column_ends, strings, ranges, .. } = self;
        let mut start = 0;
        let mut lengths = Vec::with_capacity(builder.columns.len());
        for (entry, end) in builder.columns.iter().zip(column_ends.iter()) {
            let cells = grouped.get(start as usize..*end as usize).unwrap_or_default();
            start = *end;
            let out = if entry.key.part.is_of_span() { &mut *values } else { &mut *details };
            let before = (out.packed.len(), out.raw.len());
            match entry.key.value_type {
                ValueType::Missing | ValueType::Empty => {}
                ValueType::Bool => {
                    out.packed.extend(cells.iter().map(|cell| u8::from(cell.payload != 0)));
                }
                ValueType::Int => write_integers(out, cells),
                _ => {
                    ranges.clear();
                    ranges.extend(cells.iter().map(cell_range));
                    strings.write(out, &builder.bytes, ranges);
                }
            }
            lengths.push([
                cells.len() as u64,
                (out.packed.len() - before.0) as u64,
                (out.raw.len() - before.1) as u64,
            ]);
        }
        lengths
    }
}

fn cells_of(builder: &Builder, start: u32, end: u32) -> &[Cell] {
    builder.cells.get(start as usize..end as usize).unwrap_or_default()
}

fn events_in_order<'a>(
    rows: &'a [u32],
    builder: &'a Builder,
) -> impl Iterator<Item = &'a super::builder::EventRow> {
    Encoder::ordered(rows, builder).flat_map(|span| {
        let range = span.events_start as usize..span.events_end as usize;
        builder.events.get(range).unwrap_or_default()
    })
}

fn links_in_order<'a>(
    rows: &'a [u32],
    builder: &'a Builder,
) -> impl Iterator<Item = &'a super::builder::LinkRow> {
    Encoder::ordered(rows, builder).flat_map(|span| {
        let range = span.links_start as usize..span.links_end as usize;
        builder.links.get(range).unwrap_or_default()
    })
}

fn stretch(bytes: &[u8], start: u32, length: u32) -> &[u8] {
    bytes.get(start as usize..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "a place within the builder's bytes")]
fn cell_range(cell: &Cell) -> (u32, u32) {
    (cell.payload as u32, cell.length)
}

fn hash_class(seed: u64, class: &Class) -> u64 {
    let status = class.status.map_or(u32::MAX, |status| status.0.cast_unsigned());
    let pairs = [
        (class.name, class.shape),
        (class.resource, class.scope),
        (class.kind.0.cast_unsigned(), status),
        (class.flags, class.event_count),
        (class.link_count, 0),
    ];
    pairs
        .iter()
        .fold(seed, |hash, (left, right)| mix(hash ^ (u64::from(*left) << 32 | u64::from(*right))))
}

fn write_class(out: &mut Vec<u8>, class: &Class) {
    put_varint(out, u64::from(class.name));
    put_varint(out, zigzag(i64::from(class.kind.0)));
    put_varint(out, u64::from(class.flags));
    put_varint(out, class.status.map_or(0, |code| 1 + zigzag(i64::from(code.0))));
    for number in [class.resource, class.scope, class.shape, class.event_count, class.link_count] {
        put_varint(out, u64::from(number));
    }
}

fn write_group(out: &mut Vec<u8>, builder: &Builder, group: &GroupRow) {
    out.push(u8::from(group.present));
    for text in
        [&group.name, &group.version, &group.schema_url, &group.unknown, &group.group_unknown]
    {
        put_bytes(out, text);
    }
    put_varint(out, u64::from(group.dropped_attributes_count));
    let cells = builder.group_cells.get(group.cells.clone()).unwrap_or_default();
    put_varint(out, cells.len() as u64);
    for (cell, value_type) in cells.iter().zip(&group.types) {
        put_varint(out, u64::from(cell.column));
        out.push(*value_type as u8);
        match value_type {
            ValueType::Missing | ValueType::Empty => {}
            ValueType::Bool => out.push(u8::from(cell.payload != 0)),
            ValueType::Int => put_varint(out, zigzag(cell.payload.cast_signed())),
            _ => {
                let (start, length) = cell_range(cell);
                put_bytes(out, stretch(&builder.bytes, start, length));
            }
        }
    }
}

/// The zigzag of `time - origin` on the circle of 64-bit numbers: any pair comes back.
fn difference(time: u64, origin: u64) -> u64 {
    zigzag(time.wrapping_sub(origin).cast_signed())
}

/// Parents: a code or a distance per row; far ones' ids are raw.
fn write_parents(index: &mut Streams, rows: &[u32], builder: &Builder, traces: &[(TraceId, u32)]) {
    let mut near: Vec<(SpanId, i64)> = Vec::new();
    let mut first = 0_usize;
    for (_, count) in traces {
        let trace_rows = rows.get(first..first + *count as usize).unwrap_or_default();
        first += *count as usize;
        near.clear();
        near.extend(Encoder::ordered(trace_rows, builder).map(|span| span.span_id).zip(0..));
        near.sort_unstable();
        for (place, span) in (0_i64..).zip(Encoder::ordered(trace_rows, builder)) {
            let code = match span.parent {
                RowParent::None => parent_code::NONE,
                RowParent::Odd => parent_code::ODD,
                RowParent::Id(id) => {
                    let found = near.partition_point(|(other, _)| *other < id);
                    match near.get(found) {
                        Some((other, parent_place)) if *other == id => {
                            parent_code::NEAR + zigzag(place - parent_place)
                        }
                        _ => {
                            index.raw.extend_from_slice(id.as_bytes());
                            parent_code::FAR
                        }
                    }
                }
            };
            put_varint(&mut index.packed, code);
        }
    }
}

/// Starts (of a trace from the batch's, of a span from the row before), then durations.
fn write_times(index: &mut Streams, rows: &[u32], builder: &Builder, traces: &[(TraceId, u32)]) {
    let start_min = builder.spans.iter().map(|span| span.start).min().unwrap_or(0);
    let mut starts = integers::IntegerWriter::default();
    let mut ordered = Encoder::ordered(rows, builder);
    for (_, count) in traces {
        let mut previous = start_min;
        for span in ordered.by_ref().take(*count as usize) {
            starts.put(index, span.start - previous);
            previous = span.start;
        }
    }
    starts.finish(index);
    integers::write(
        index,
        Encoder::ordered(rows, builder).map(|span| difference(span.end, span.start)),
    );
}

/// The requests' digests and, if there are several, each row's request.
fn write_requests(index: &mut Streams, rows: &[u32], builder: &Builder, codes: &mut Vec<u32>) {
    put_varint(&mut index.packed, builder.requests.len() as u64);
    codes.clear();
    codes.extend(Encoder::ordered(rows, builder).map(|span| span.request));
    write_codes(&mut index.packed, codes, builder.requests.len());
    for digest in &builder.requests {
        index.raw.extend_from_slice(&digest.0);
    }
}

/// A column of signed integers: direct, or codes and distinct ones if at least half repeat.
fn write_integers(out: &mut Streams, cells: &[Cell]) {
    let mut table: Table<u64> = Table::default();
    let codes: Vec<u32> = cells
        .iter()
        .map(|cell| table.number(cell.payload, |seed| mix(seed ^ cell.payload)))
        .collect();
    let zigzagged = |payload: u64| zigzag(payload.cast_signed());
    if table.items.len() * 2 <= cells.len() {
        put_varint(&mut out.packed, table.items.len() as u64);
        write_codes(&mut out.packed, &codes, table.items.len());
        integers::write(out, table.items.iter().map(|payload| zigzagged(*payload)));
    } else {
        put_varint(&mut out.packed, 0);
        integers::write(out, cells.iter().map(|cell| zigzagged(cell.payload)));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a builder closes below SPANS_MAX")]
fn header(builder: &Builder, id: BatchId, trace_count: usize) -> Header {
    let starts = builder.spans.iter().map(|span| span.start);
    Header {
        id,
        tenant: builder.tenant().clone(),
        span_count: builder.spans.len() as u32,
        trace_count: trace_count as u32,
        start_min: Timestamp(starts.clone().min().unwrap_or(0)),
        start_max: Timestamp(starts.max().unwrap_or(0)),
        end_max: Timestamp(builder.spans.iter().map(|span| span.end).max().unwrap_or(0)),
    }
}
