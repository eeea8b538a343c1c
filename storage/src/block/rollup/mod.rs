//! Rollups: figures of a run by the minute, so that questions over long windows read no pages.
//!
//! Of the distinct spans of a run, by the minute of their start:
//!
//! | part | counts |
//! |---|---|
//! | totals | spans and errors by duration, to the power of two |
//! | traces | traces, by the set of classes that they have in each of their minutes |
//! | cells | spans by class (as numbered by the run's zones) and duration, as sketches have it |
//! | calls | calls and failed calls from service to service, by the callee's minute |
//! | values | spans and errors by attributes' values, of keys with few of them |
//!
//! All of it are counts, so that what one trace adds can be taken away again: of a trace that lies
//! in several places, what its parts say together is not what the whole would say.
//!
//! Invariants:
//! - a count is exact or not there; what has too many classes, values or services for the room that
//!   a rollup may take is left out as a whole, and [`Rollup`] says that it is;
//! - a rollup takes at most a byte a span, so that rare data costs nothing and is counted from its
//!   few pages instead.

mod build;
mod calls;
mod counted;
mod encode;
#[cfg(test)]
mod tests;
mod values;

use std::ops::Range;

use model::query::AttributeScope;
use model::{Text, Timestamp, TraceId};

pub(crate) use build::RollupBuilder;

/// Nanoseconds of a minute.
pub(crate) const MINUTE_NANOSECONDS: u64 = 60_000_000_000;

/// The minute of a moment, counted from the epoch.
pub(crate) fn minute_of(moment: Timestamp) -> u64 {
    moment.0 / MINUTE_NANOSECONDS
}

/// The figures of a run. Counts stay packed and are told as they are unpacked: a question walks
/// them once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rollup {
    bytes: Vec<u8>,
    /// The earliest minute.
    base: u64,
    totals: Range<usize>,
    traces: Option<TracesPart>,
    cells: Option<CellsPart>,
    calls: Option<CallsPart>,
    values: Vec<ValuesPart>,
}

/// Traces by the classes they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct TracesPart {
    /// Sets of classes; nothing if they are not told apart.
    shapes: Option<Vec<Vec<u32>>>,
    counts: Range<usize>,
}

/// Spans by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct CellsPart {
    /// The classes that are counted, ascending, with their counts.
    classes: Vec<(u32, Range<usize>)>,
}

/// Calls between services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct CallsPart {
    services: Vec<Text>,
    counts: Range<usize>,
    /// Traces whose calls are not counted.
    left_out: Vec<TraceId>,
}

/// Spans by the values of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ValuesPart {
    scope: AttributeScope,
    key: Text,
    forms: Vec<Text>,
    counts: Range<usize>,
}

impl Rollup {
    /// Whether traces are counted.
    pub(crate) fn has_traces(&self) -> bool {
        self.traces.is_some()
    }

    /// The sets of classes of traces, by number; nothing if they are not told apart.
    pub(crate) fn shapes(&self) -> Option<&[Vec<u32>]> {
        self.traces.as_ref()?.shapes.as_deref()
    }

    /// The classes whose spans are counted, ascending; nothing if none are.
    pub(crate) fn classes(&self) -> Option<impl Iterator<Item = u32> + '_> {
        Some(self.cells.as_ref()?.classes.iter().map(|(class, _)| *class))
    }

    /// The services that calls name, by number; nothing if calls are not counted.
    pub(crate) fn services(&self) -> Option<&[Text]> {
        Some(self.calls.as_ref()?.services.as_slice())
    }

    /// Traces whose calls are not counted.
    pub(crate) fn calls_left_out(&self) -> &[TraceId] {
        self.calls.as_ref().map(|calls| calls.left_out.as_slice()).unwrap_or_default()
    }

    /// The number of a key in a place, if its values are counted.
    pub(crate) fn key(&self, scope: AttributeScope, key: &Text) -> Option<usize> {
        self.values.iter().position(|own| own.scope == scope && own.key == *key)
    }

    /// The string forms of the values of a key, by number.
    pub(crate) fn forms(&self, key: usize) -> &[Text] {
        self.values.get(key).map(|own| own.forms.as_slice()).unwrap_or_default()
    }

    /// Bytes of memory, roughly.
    pub(crate) fn memory_bytes(&self) -> usize {
        let shapes = self.shapes().into_iter().flatten();
        let forms = self.values.iter().flat_map(|own| &own.forms);
        size_of::<Self>()
            + self.bytes.len()
            + shapes.map(|shape| size_of_val(shape.as_slice()) + 24).sum::<usize>()
            + forms.map(|form| 64 + form.len()).sum::<usize>()
            + self.calls_left_out().len() * 16
    }
}
