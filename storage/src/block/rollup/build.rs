//! Builds the rollup of a run out of its pages, as they are closed.

use model::aggregate::{DurationSketch, duration_bucket};
use model::batch::{BatchError, Index, TraceRows, Values};
use model::{Duration, TraceId};

use super::calls::CallsBuilder;
use super::counted::Counted;
use super::encode::{Encoding, put_cells, put_totals, put_traces};
use super::minute_of;
use super::values::ValuesBuilder;
use crate::block::limits::{
    ROLLUP_CELLS_MAX, ROLLUP_SHAPE_CLASSES_MAX, ROLLUP_SHAPES_MAX, ROLLUP_TOTALS_MAX,
    ROLLUP_TRACE_MINUTES_MAX,
};
use crate::shard::hash::LookupMap;

/// Bits of a number of a minute: all of the time that a timestamp can say.
pub(super) const MINUTE_BITS: u32 = 29;
const OCTAVE_BITS: u32 = 7;
const BUCKET_BITS: u32 = 10;
const SHAPE_BITS: u32 = 17;

const _: () = assert!(u64::MAX / super::MINUTE_NANOSECONDS < 1 << MINUTE_BITS);
const _: () = assert!(ROLLUP_SHAPES_MAX < 1 << SHAPE_BITS);

/// A minute and a class in one number.
type MinuteClass = (u64, u32);

/// A rollup under construction.
#[derive(Debug)]
pub(crate) struct RollupBuilder {
    /// Minute, octave, error.
    totals: Counted,
    /// Class, minute, bucket.
    cells: Counted,
    shapes: Shapes,
    /// Minute, shape; of traces that lie in one minute.
    traces: Counted,
    /// Minutes and shapes of each of the others.
    long_traces: Vec<Vec<(u64, u32)>>,
    long_minutes: usize,
    /// The trace that goes on on the next page, and what it has so far.
    open: Option<(TraceId, Vec<MinuteClass>)>,
    calls: CallsBuilder,
    values: ValuesBuilder,
    spans: u64,
    /// Spans by class.
    class_spans: Vec<u64>,
    has_unlisted: bool,
}

/// Sets of classes, numbered.
#[derive(Debug, Default)]
struct Shapes {
    numbers: LookupMap<Vec<u32>, u32>,
    sets: Vec<Vec<u32>>,
    classes: usize,
    has_overflowed: bool,
}

impl Default for RollupBuilder {
    fn default() -> Self {
        Self {
            totals: Counted::new(ROLLUP_TOTALS_MAX),
            cells: Counted::new(ROLLUP_CELLS_MAX),
            shapes: Shapes::default(),
            traces: Counted::new(ROLLUP_CELLS_MAX),
            long_traces: Vec::new(),
            long_minutes: 0,
            open: None,
            calls: CallsBuilder::default(),
            values: ValuesBuilder::default(),
            spans: 0,
            class_spans: Vec::new(),
            has_unlisted: false,
        }
    }
}

impl RollupBuilder {
    /// Adds the next page of the run. `classes` has the number of each of its classes among those
    /// of the zones, beyond all numbers if it has none. `goes_on` names the trace that the next
    /// page continues.
    pub(crate) fn add(
        &mut self,
        index: &Index,
        values: &Values,
        classes: &[u32],
        goes_on: Option<TraceId>,
    ) -> Result<(), BatchError> {
        self.spans += index.row_classes.len() as u64;
        self.add_rows(index, classes);
        for trace in &index.traces {
            self.add_trace(index, trace, classes, goes_on == Some(trace.id));
        }
        self.calls.add_page(index, goes_on);
        self.values.add_page(index, values)
    }

    #[cfg(test)]
    pub(super) fn walks(&self) -> usize {
        self.values.walks
    }

    fn add_rows(&mut self, index: &Index, classes: &[u32]) {
        let is_error: Vec<bool> = index.classes.iter().map(model::batch::Class::is_error).collect();
        for (row, class) in index.row_classes.iter().enumerate() {
            let minute = index.starts.get(row).copied().map_or(0, minute_of);
            let duration = index.duration(row).unwrap_or(Duration(0));
            let is_error = is_error.get(*class as usize).copied().unwrap_or(false);
            let octave = u64::from(duration_bucket(duration));
            let total = (minute << OCTAVE_BITS | octave) << 1 | u64::from(is_error);
            self.totals.add(total, 1);
            let class = classes.get(*class as usize).copied().unwrap_or(u32::MAX);
            if class == u32::MAX {
                self.has_unlisted = true;
                continue;
            }
            let bucket = u64::from(DurationSketch::bucket_of(duration));
            let place = u64::from(class) << MINUTE_BITS | minute;
            self.cells.add(place << BUCKET_BITS | bucket, 1);
            if self.class_spans.len() <= class as usize {
                self.class_spans.resize(class as usize + 1, 0);
            }
            if let Some(spans) = self.class_spans.get_mut(class as usize) {
                *spans += 1;
            }
        }
    }

    fn add_trace(&mut self, index: &Index, trace: &TraceRows, classes: &[u32], goes_on: bool) {
        let mut pairs = match self.open.take_if(|(id, _)| *id == trace.id) {
            Some((_, pairs)) => pairs,
            None => Vec::new(),
        };
        for row in trace.rows() {
            let minute = index.starts.get(row).copied().map_or(0, minute_of);
            let class = index.row_classes.get(row).and_then(|class| classes.get(*class as usize));
            let pair = (minute, class.copied().unwrap_or(u32::MAX));
            if pairs.last() != Some(&pair) {
                pairs.push(pair);
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        if goes_on {
            self.open = Some((trace.id, pairs));
        } else {
            self.finish_trace(&pairs);
        }
    }

    fn finish_trace(&mut self, pairs: &[MinuteClass]) {
        let mut minutes = Vec::new();
        for of_minute in pairs.chunk_by(|left, right| left.0 == right.0) {
            let Some((minute, _)) = of_minute.first() else { continue };
            let classes: Vec<u32> = of_minute.iter().map(|(_, class)| *class).collect();
            minutes.push((*minute, self.shapes.number(classes)));
        }
        if let [(minute, shape)] = minutes.as_slice() {
            self.traces.add(minute << SHAPE_BITS | u64::from(*shape), 1);
        } else {
            self.long_minutes += minutes.len();
            if self.long_minutes <= ROLLUP_TRACE_MINUTES_MAX {
                self.long_traces.push(minutes);
            }
        }
    }

    /// The section, if there is anything in it that fits. `class_count` is the number of classes
    /// that the zones list, `bytes_per_span` how much there may be.
    pub(crate) fn finish(self, class_count: u32, bytes_per_span: usize) -> Option<Vec<u8>> {
        let spans = usize::try_from(self.spans).unwrap_or(usize::MAX);
        let totals = self.totals.finish()?;
        let minute = |total: &(u64, u32)| total.0 >> (OCTAVE_BITS + 1);
        let base = totals.first().map(minute)?;
        let mut encoding = Encoding::new(base, spans.saturating_mul(bytes_per_span));
        let split = |(total, count): (u64, u32)| {
            let rest = total >> 1;
            let octave = u8::try_from(rest & ((1 << OCTAVE_BITS) - 1)).unwrap_or(u8::MAX);
            (rest >> OCTAVE_BITS, octave, total & 1 != 0, count)
        };
        if !encoding.add(|base| put_totals(base, totals.into_iter().map(split))) {
            return None;
        }
        let traces = self.traces.finish().filter(|_| self.long_minutes <= ROLLUP_TRACE_MINUTES_MAX);
        if let Some(traces) = traces {
            let single: Vec<(u64, u32, u32)> = traces
                .into_iter()
                .map(|(number, count)| {
                    let shape = u32::try_from(number & ((1 << SHAPE_BITS) - 1)).unwrap_or(0);
                    (number >> SHAPE_BITS, shape, count)
                })
                .collect();
            let shapes = self.shapes.finish(class_count);
            let is_told = shapes.as_ref().is_some_and(|shapes| {
                encoding.add(|base| put_traces(base, Some(shapes), &single, &self.long_traces))
            });
            if !is_told {
                encoding.add(|base| put_traces(base, None, &single, &self.long_traces));
            }
        }
        encoding.add_some(|base| self.calls.encode(base));
        if let Some(cells) = self.cells.finish() {
            let cells: Vec<(u32, u64, u16, u32)> = cells
                .into_iter()
                .map(|(number, count)| {
                    let bucket = u16::try_from(number & ((1 << BUCKET_BITS) - 1)).unwrap_or(0);
                    let place = number >> BUCKET_BITS;
                    let class = u32::try_from(place >> MINUTE_BITS).unwrap_or(u32::MAX);
                    (class, place & ((1 << MINUTE_BITS) - 1), bucket, count)
                })
                .collect();
            put_cells(&mut encoding, &cells, &self.class_spans, self.spans);
        }
        for key in self.values.finish() {
            encoding.add(|base| key.encode(base));
        }
        Some(encoding.finish())
    }
}

impl Shapes {
    fn number(&mut self, classes: Vec<u32>) -> u32 {
        if self.has_overflowed {
            return 0;
        }
        if let Some(number) = self.numbers.get(&classes) {
            return *number;
        }
        self.classes += classes.len();
        if self.sets.len() >= ROLLUP_SHAPES_MAX || self.classes > ROLLUP_SHAPE_CLASSES_MAX {
            *self = Self { has_overflowed: true, ..Self::default() };
            return 0;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(0);
        self.sets.push(classes.clone());
        self.numbers.insert(classes, number);
        number
    }

    /// The sets, with the classes that are not listed as one behind all others.
    fn finish(self, class_count: u32) -> Option<Vec<Vec<u32>>> {
        let mut sets = self.sets;
        for class in sets.iter_mut().flatten() {
            *class = (*class).min(class_count);
        }
        (!self.has_overflowed).then_some(sets)
    }
}
