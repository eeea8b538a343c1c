//! Rollups to bytes and back.
//!
//! A section is the earliest minute and then parts, each with a number and a length; counts stand
//! by minute, minutes and whatever else ascends as differences.

use std::ops::Range;

use model::aggregate::Counts;
use model::columns::ColumnError;
use model::columns::compress::Compressor;
use model::columns::cursor::{Cursor, put_bytes, put_varint};
use model::{Text, TraceId};

use super::{CallsPart, CellsPart, Rollup, TracesPart, ValuesPart};
use crate::block::limits::{
    ROLLUP_SERVICES_MAX, ROLLUP_SHAPE_CLASSES_MAX, ROLLUP_SHAPES_MAX, ROLLUP_VALUES_MAX,
    ZONE_CLASSES_MAX,
};
use crate::block::names::scope_of;

/// Numbers of parts, on disk.
pub(super) mod part {
    pub(crate) const TOTALS: u8 = 1;
    pub(crate) const TRACES: u8 = 2;
    pub(crate) const CELLS: u8 = 3;
    pub(crate) const CALLS: u8 = 4;
    pub(crate) const VALUES: u8 = 5;
}

const MALFORMED: ColumnError = ColumnError::new("a rollup does not add up");

/// Is told minutes and shapes of a trace, and how many there are of it.
pub(crate) type OnTraces<'a> = &'a mut dyn FnMut(&[(u64, u32)], u64);

/// A part to be written.
pub(super) struct Part {
    pub(super) number: u8,
    pub(super) bytes: Vec<u8>,
}

/// A section under construction, which takes parts as long as there is room.
pub(super) struct Encoding {
    out: Vec<u8>,
    base: u64,
    /// Bytes left, compressed.
    left: usize,
    compressor: Compressor,
}

impl Encoding {
    pub(super) fn new(base: u64, bytes_max: usize) -> Self {
        let mut out = Vec::new();
        put_varint(&mut out, base);
        Self { out, base, left: bytes_max, compressor: Compressor::default() }
    }

    /// Adds a part if there is room for it.
    pub(super) fn add(&mut self, part: impl FnOnce(u64) -> Part) -> bool {
        self.add_some(|base| Some(part(base)))
    }

    /// Adds a part if there is one, and room for it.
    pub(super) fn add_some(&mut self, part: impl FnOnce(u64) -> Option<Part>) -> bool {
        let Some(part) = part(self.base) else { return false };
        let bytes = self.packed_bytes(&part.bytes);
        if bytes > self.left {
            return false;
        }
        self.left -= bytes;
        self.out.push(part.number);
        put_bytes(&mut self.out, &part.bytes);
        true
    }

    /// What bytes take, compressed.
    fn packed_bytes(&mut self, bytes: &[u8]) -> usize {
        let mut packed = Vec::new();
        self.compressor.append(&mut packed, bytes);
        packed.len()
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Puts groups of things that have a minute: the minute, how many there are, and each of them.
pub(super) fn put_by_minute<T>(
    out: &mut Vec<u8>,
    base: u64,
    items: &[T],
    minute: impl Fn(&T) -> u64,
    mut put: impl FnMut(&mut Vec<u8>, Option<&T>, &T),
) {
    let groups = || items.chunk_by(|left, right| minute(left) == minute(right));
    put_varint(out, groups().count() as u64);
    let mut last = base;
    for group in groups() {
        let Some(first) = group.first() else { continue };
        put_varint(out, minute(first).saturating_sub(last));
        last = minute(first);
        put_varint(out, group.len() as u64);
        let mut before = None;
        for item in group {
            put(out, before, item);
            before = Some(item);
        }
    }
}

/// Walks what [`put_by_minute`] has put; `take` reads one thing of a minute.
fn for_each_minute<'a>(
    cursor: &mut Cursor<'a>,
    base: u64,
    mut take: impl FnMut(&mut Cursor<'a>, u64, usize) -> Result<(), ColumnError>,
) -> Result<(), ColumnError> {
    let mut minute = base;
    for _ in 0..cursor.count(cursor.rest().len())? {
        minute = minute.checked_add(cursor.varint()?).ok_or(MALFORMED)?;
        let count = cursor.count(cursor.rest().len())?;
        take(cursor, minute, count)?;
    }
    Ok(())
}

pub(super) fn put_totals(base: u64, totals: impl Iterator<Item = (u64, u8, bool, u32)>) -> Part {
    let mut cells: Vec<(u64, u8, Counts)> = Vec::new();
    for (minute, octave, is_error, count) in totals {
        let spans = u64::from(count);
        let counts = Counts { spans, errors: if is_error { spans } else { 0 } };
        match cells.last_mut() {
            Some((own_minute, own_octave, own))
                if (*own_minute, *own_octave) == (minute, octave) =>
            {
                own.add(counts);
            }
            _ => cells.push((minute, octave, counts)),
        }
    }
    let mut bytes = Vec::new();
    put_by_minute(
        &mut bytes,
        base,
        &cells,
        |cell| cell.0,
        |out, _, (_, octave, counts)| {
            out.push(*octave);
            put_varint(out, counts.spans);
            put_varint(out, counts.errors);
        },
    );
    Part { number: part::TOTALS, bytes }
}

pub(super) fn put_traces(
    base: u64,
    shapes: Option<&[Vec<u32>]>,
    single: &[(u64, u32, u32)],
    long: &[Vec<(u64, u32)>],
) -> Part {
    let mut bytes = Vec::new();
    // Without shapes each trace has shape 0.
    let shape_of = |shape: u32| if shapes.is_some() { shape } else { 0 };
    put_varint(&mut bytes, shapes.map_or(0, |shapes| shapes.len() as u64 + 1));
    for shape in shapes.unwrap_or_default() {
        put_varint(&mut bytes, shape.len() as u64);
        let mut last = 0;
        for class in shape {
            put_varint(&mut bytes, u64::from(class.saturating_sub(last)));
            last = *class;
        }
    }
    let mut merged: Vec<(u64, u32, u64)> = Vec::with_capacity(single.len());
    for (minute, shape, count) in single {
        let (shape, count) = (shape_of(*shape), u64::from(*count));
        match merged.last_mut() {
            Some((own_minute, own_shape, own)) if (*own_minute, *own_shape) == (*minute, shape) => {
                *own += count;
            }
            _ => merged.push((*minute, shape, count)),
        }
    }
    put_by_minute(
        &mut bytes,
        base,
        &merged,
        |trace| trace.0,
        |out, before, (_, shape, count)| {
            put_varint(out, u64::from(shape - before.map_or(0, |before| before.1)));
            put_varint(out, *count);
        },
    );
    put_varint(&mut bytes, long.len() as u64);
    for minutes in long {
        put_varint(&mut bytes, minutes.len() as u64);
        let mut last = base;
        for (minute, shape) in minutes {
            put_varint(&mut bytes, minute.saturating_sub(last));
            put_varint(&mut bytes, u64::from(shape_of(*shape)));
            last = *minute;
        }
    }
    Part { number: part::TRACES, bytes }
}

/// Adds as many classes as there is room for, those first that have many spans for their bytes;
/// none if what is left out would be the greater part.
pub(super) fn put_cells(
    encoding: &mut Encoding,
    cells: &[(u32, u64, u16, u32)],
    class_spans: &[u64],
    spans: u64,
) {
    let mut classes: Vec<(u32, u64, Vec<u8>)> = Vec::new();
    for of_class in cells.chunk_by(|left, right| left.0 == right.0) {
        let Some((class, ..)) = of_class.first() else { continue };
        let mut bytes = Vec::new();
        put_by_minute(
            &mut bytes,
            encoding.base,
            of_class,
            |cell| cell.1,
            |out, before, cell| {
                put_varint(out, u64::from(cell.2 - before.map_or(0, |before| before.2)));
                put_varint(out, u64::from(cell.3));
            },
        );
        let of_class = class_spans.get(*class as usize).copied().unwrap_or(0);
        classes.push((*class, of_class, bytes));
    }
    // Those with the most spans for their bytes come last, so that the others are taken away.
    let worth = |class: &(u32, u64, Vec<u8>)| class.1 * 1_000 / (class.2.len() as u64).max(1);
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(classes.get(*place).map_or(0, worth)));
    let raw: usize = classes.iter().map(|class| class.2.len()).sum();
    let whole = cells_part(&classes, &order);
    let packed = encoding.packed_bytes(&whole.bytes);
    if packed > encoding.left {
        // Nine tenths of what the whole would say, so that a rest which packs worse still fits.
        let raw_max = raw.saturating_mul(encoding.left) / packed.max(1) / 10 * 9;
        let mut sum = 0;
        order.retain(|place| {
            sum += classes.get(*place).map_or(0, |class| class.2.len());
            sum <= raw_max
        });
    }
    let counted: u64 = order.iter().filter_map(|place| classes.get(*place)).map(|c| c.1).sum();
    if counted * 2 > spans {
        encoding.add(|_| cells_part(&classes, &order));
    }
}

fn cells_part(classes: &[(u32, u64, Vec<u8>)], order: &[usize]) -> Part {
    let mut places = order.to_vec();
    places.sort_unstable();
    let mut bytes = Vec::new();
    put_varint(&mut bytes, places.len() as u64);
    let mut last = 0;
    for (class, _, counts) in places.iter().filter_map(|place| classes.get(*place)) {
        put_varint(&mut bytes, u64::from(class - last));
        put_bytes(&mut bytes, counts);
        last = *class;
    }
    Part { number: part::CELLS, bytes }
}

impl Rollup {
    pub(in crate::block) fn decode(section: &[u8]) -> Result<Self, ColumnError> {
        let mut rollup = Self { bytes: section.to_vec(), ..Self::default() };
        let mut cursor = Cursor::new(section);
        rollup.base = cursor.varint()?;
        while !cursor.is_empty() {
            let number = cursor.byte()?;
            let content = cursor.bytes()?;
            let end = section.len() - cursor.rest().len();
            let place = Place { start: end - content.len() };
            match number {
                part::TOTALS => rollup.totals = place.all(content),
                part::TRACES => rollup.traces = Some(decode_traces(content, place)?),
                part::CELLS => rollup.cells = Some(decode_cells(content, place)?),
                part::CALLS => rollup.calls = Some(decode_calls(content, place)?),
                part::VALUES if rollup.values.len() < ROLLUP_VALUES_MAX => {
                    rollup.values.push(decode_values(content, place)?);
                }
                // A later version may count more.
                _ => {}
            }
        }
        rollup.check()?;
        Ok(rollup)
    }

    /// Walks everything once, so that what is told later makes sense.
    fn check(&self) -> Result<(), ColumnError> {
        self.totals(&mut |_, _, _| {})?;
        self.traces(&mut |_, _| {})?;
        self.cells(&|_| true, &mut |_, _, _, _| {})?;
        self.calls(&mut |_, _, _, _| {})?;
        (0..self.values.len()).try_for_each(|key| self.values(key, &mut |_, _, _| {}))
    }

    /// Tells minute, octave of the duration, spans and errors.
    pub(crate) fn totals(&self, tell: &mut dyn FnMut(u64, u8, Counts)) -> Result<(), ColumnError> {
        if self.totals.is_empty() {
            return Ok(());
        }
        let mut cursor = self.cursor(&self.totals);
        for_each_minute(&mut cursor, self.base, |cursor, minute, count| {
            for _ in 0..count {
                let octave = cursor.byte()?;
                tell(minute, octave, take_counts(cursor)?);
            }
            Ok(())
        })
    }

    /// Tells of equal traces their minutes, ascending, with the number of the shape in each, and
    /// how many there are.
    pub(crate) fn traces(&self, tell: OnTraces<'_>) -> Result<(), ColumnError> {
        let Some(traces) = &self.traces else { return Ok(()) };
        let shape_count = traces.shapes.as_ref().map_or(1, Vec::len);
        let is_shape = |shape: u32| (shape as usize) < shape_count;
        let mut cursor = self.cursor(&traces.counts);
        for_each_minute(&mut cursor, self.base, |cursor, minute, count| {
            let mut shape = 0_u32;
            for _ in 0..count {
                shape = shape.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
                let traces = cursor.varint()?;
                if !is_shape(shape) {
                    return Err(MALFORMED);
                }
                tell(&[(minute, shape)], traces);
            }
            Ok(())
        })?;
        let mut minutes = Vec::new();
        for _ in 0..cursor.count(cursor.rest().len())? {
            minutes.clear();
            let mut minute = self.base;
            for _ in 0..cursor.count(cursor.rest().len())? {
                minute = minute.checked_add(cursor.varint()?).ok_or(MALFORMED)?;
                let shape = cursor.varint_u32()?;
                if !is_shape(shape) {
                    return Err(MALFORMED);
                }
                minutes.push((minute, shape));
            }
            tell(&minutes, 1);
        }
        Ok(())
    }

    /// Tells class, minute, bucket and spans of the classes that are wanted.
    pub(crate) fn cells(
        &self,
        is_wanted: &dyn Fn(u32) -> bool,
        tell: &mut dyn FnMut(u32, u64, u16, u64),
    ) -> Result<(), ColumnError> {
        let classes = self.cells.iter().flat_map(|cells| &cells.classes);
        for (class, range) in classes.filter(|(class, _)| is_wanted(*class)) {
            let mut cursor = self.cursor(range);
            for_each_minute(&mut cursor, self.base, |cursor, minute, count| {
                let mut bucket = 0_u16;
                for _ in 0..count {
                    let more = u16::try_from(cursor.varint()?).map_err(|_| MALFORMED)?;
                    bucket = bucket.checked_add(more).ok_or(MALFORMED)?;
                    tell(*class, minute, bucket, cursor.varint()?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Tells the callee's minute, caller and callee by number, calls and failed calls.
    pub(crate) fn calls(
        &self,
        tell: &mut dyn FnMut(u64, u32, u32, Counts),
    ) -> Result<(), ColumnError> {
        let Some(calls) = &self.calls else { return Ok(()) };
        let mut cursor = self.cursor(&calls.counts);
        for_each_minute(&mut cursor, self.base, |cursor, minute, count| {
            for _ in 0..count {
                let (parent, child) = (cursor.varint_u32()?, cursor.varint_u32()?);
                if parent.max(child) as usize >= calls.services.len() {
                    return Err(MALFORMED);
                }
                tell(minute, parent, child, take_counts(cursor)?);
            }
            Ok(())
        })
    }

    /// Tells minute, number of the form, spans and errors of a key.
    pub(crate) fn values(
        &self,
        key: usize,
        tell: &mut dyn FnMut(u64, u32, Counts),
    ) -> Result<(), ColumnError> {
        let Some(values) = self.values.get(key) else { return Ok(()) };
        let mut cursor = self.cursor(&values.counts);
        for_each_minute(&mut cursor, self.base, |cursor, minute, count| {
            let mut form = 0_u32;
            for _ in 0..count {
                form = form.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
                if form as usize >= values.forms.len() {
                    return Err(MALFORMED);
                }
                tell(minute, form, take_counts(cursor)?);
            }
            Ok(())
        })
    }

    fn cursor(&self, range: &Range<usize>) -> Cursor<'_> {
        Cursor::new(self.bytes.get(range.clone()).unwrap_or_default())
    }
}

/// Where a part begins in the section.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
}

impl Place {
    fn all(self, content: &[u8]) -> Range<usize> {
        self.start..self.start + content.len()
    }

    /// What a cursor over the part has not read.
    fn rest(self, content: &[u8], cursor: &Cursor<'_>) -> Range<usize> {
        self.start + content.len() - cursor.rest().len()..self.start + content.len()
    }
}

fn take_counts(cursor: &mut Cursor<'_>) -> Result<Counts, ColumnError> {
    let (spans, errors) = (cursor.varint()?, cursor.varint()?);
    if errors <= spans { Ok(Counts { spans, errors }) } else { Err(MALFORMED) }
}

fn decode_traces(content: &[u8], place: Place) -> Result<TracesPart, ColumnError> {
    let mut cursor = Cursor::new(content);
    let mut shapes = None;
    if let Some(count) = cursor.count(ROLLUP_SHAPES_MAX + 1)?.checked_sub(1) {
        let mut decoded = Vec::with_capacity(count.min(content.len()));
        let mut left = ROLLUP_SHAPE_CLASSES_MAX;
        for _ in 0..count {
            let length = cursor.count(left)?;
            left -= length;
            let mut shape = Vec::with_capacity(length.min(content.len()));
            let mut class = 0_u32;
            for _ in 0..length {
                class = class.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
                shape.push(class);
            }
            decoded.push(shape);
        }
        shapes = Some(decoded);
    }
    Ok(TracesPart { shapes, counts: place.rest(content, &cursor) })
}

fn decode_cells(content: &[u8], place: Place) -> Result<CellsPart, ColumnError> {
    let mut cursor = Cursor::new(content);
    let count = cursor.count(ZONE_CLASSES_MAX)?;
    let mut classes = Vec::with_capacity(count.min(content.len()));
    let mut class = 0_u32;
    for _ in 0..count {
        class = class.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
        let counts = cursor.bytes()?;
        let end = place.rest(content, &cursor).start;
        classes.push((class, end - counts.len()..end));
    }
    Ok(CellsPart { classes })
}

fn decode_calls(content: &[u8], place: Place) -> Result<CallsPart, ColumnError> {
    let mut cursor = Cursor::new(content);
    let services = take_texts(&mut cursor, ROLLUP_SERVICES_MAX)?;
    let count = cursor.count(cursor.rest().len() / 16)?;
    let mut left_out = Vec::with_capacity(count);
    for _ in 0..count {
        left_out.push(TraceId(cursor.array()?));
    }
    Ok(CallsPart { services, left_out, counts: place.rest(content, &cursor) })
}

fn decode_values(content: &[u8], place: Place) -> Result<ValuesPart, ColumnError> {
    let mut cursor = Cursor::new(content);
    let scope = scope_of(cursor.byte()?).ok_or(MALFORMED)?;
    let key = Text::copy_from(cursor.bytes()?);
    let forms = take_texts(&mut cursor, content.len())?;
    Ok(ValuesPart { scope, key, forms, counts: place.rest(content, &cursor) })
}

fn take_texts(cursor: &mut Cursor<'_>, count_max: usize) -> Result<Vec<Text>, ColumnError> {
    let count = cursor.count(count_max)?;
    let mut texts = Vec::with_capacity(count.min(cursor.rest().len()));
    for _ in 0..count {
        texts.push(Text::copy_from(cursor.bytes()?));
    }
    Ok(texts)
}
