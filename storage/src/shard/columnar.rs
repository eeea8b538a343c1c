//! Figures straight from the columns of one piece, row by row, without spans.
//!
//! For rows of which it is known that they are distinct spans and whether they pass; who uses this
//! sees to that. Equal to what `model`'s reference says of the same spans.

use std::collections::{BTreeMap, BTreeSet};

use model::aggregate::{
    Aggregate, AggregateKind, AggregateQuery, Counts, Group, GroupBy, Red, duration_bucket,
    time_bin,
};
use model::batch::{Column, Index, TraceRows};
use model::effective::operation_of_name;
use model::query::{AttributeScope, Field};
use model::string_form::string_form;
use model::value::{ValueRef, ValueType};
use model::{Attribute, Duration, Text, Timestamp};

use super::piece::Piece;
use super::prefilter::{bytes_value, span_columns, takes_by_class};
use super::reader::PieceReader;
use super::rows::RowSet;
use crate::Error;

/// Cells of a grid that are kept in a row; with more, only those in use are kept.
const DENSE_CELLS_MAX: usize = 1 << 15;

/// Duration buckets of a heatmap.
const DURATION_BUCKETS: usize = 65;

/// Earlier rows of the same start that a row is compared with. With more, repeats are not ruled
/// out.
const TWINS_COMPARED_MAX: usize = 16;

/// Whether two counted rows of a trace may be repeats of one span. Rows of a trace are ordered by
/// start.
pub(super) fn may_have_twins(index: &Index, piece: &Piece, trace: &TraceRows) -> bool {
    let facts = |row: usize| Some((*index.starts.get(row)?, *index.span_ids.get(row)?));
    trace.rows().any(|row| {
        let Some((start, id)) = facts(row) else { return true };
        let before = (trace.first as usize..row).rev();
        let equal = before.take_while(|other| index.starts.get(*other) == Some(&start));
        let mut compared = 0;
        piece.counts(index, row)
            && equal.into_iter().any(|other| {
                compared += 1;
                compared > TWINS_COMPARED_MAX
                    || (facts(other) == Some((start, id)) && piece.counts(index, other))
            })
    })
}

/// The figures of a piece, under construction.
pub(super) struct Columnar<'a> {
    query: &'a AggregateQuery,
    index: &'a Index,
    is_error: Vec<bool>,
    totals: Aggregate,
    kind: Kind,
}

enum Kind {
    Totals,
    Heatmap { step: Duration, grid: Grid<Counts> },
    Red { step: Duration, groups: Groups, grid: Grid<Red> },
    Values(Values),
}

impl<'a> Columnar<'a> {
    /// Nothing if the figures take more than columns.
    pub(super) fn new(
        query: &'a AggregateQuery,
        reader: &PieceReader<'_>,
        index: &'a Index,
    ) -> Result<Option<Self>, Error> {
        let kind = match &query.kind {
            AggregateKind::Totals => Kind::Totals,
            AggregateKind::Heatmap { step } => {
                let grid = Grid::new(query, *step, index, DURATION_BUCKETS);
                Kind::Heatmap { step: *step, grid }
            }
            AggregateKind::Red { step, group_by } => {
                let groups = Groups::new(index, *group_by);
                let grid = Grid::new(query, *step, index, groups.groups.len());
                Kind::Red { step: *step, groups, grid }
            }
            AggregateKind::TopValues { field, .. } => match Values::new(reader, index, field)? {
                Some(values) => Kind::Values(values),
                None => return Ok(None),
            },
        };
        let is_error = index.classes.iter().map(model::batch::Class::is_error).collect();
        Ok(Some(Self { query, index, is_error, totals: Aggregate::default(), kind }))
    }

    /// Counts the rows of a trace that are in the set, and the trace if there are any.
    pub(super) fn add(&mut self, trace: &TraceRows, rows: &RowSet) {
        let spans_before = self.totals.spans;
        self.add_rows(trace, rows);
        self.totals.traces += u64::from(self.totals.spans > spans_before);
    }

    /// Counts the rows of a trace that are in the set; the trace is counted elsewhere.
    pub(super) fn add_rows(&mut self, trace: &TraceRows, rows: &RowSet) {
        for row in trace.rows().filter(|row| rows.contains(*row)) {
            self.add_row(row);
        }
    }

    fn add_row(&mut self, row: usize) {
        let Some(class) = self.index.row_classes.get(row).map(|class| *class as usize) else {
            return;
        };
        let is_error = self.is_error.get(class).copied().unwrap_or(false);
        let counts = Counts { spans: 1, errors: u64::from(is_error) };
        self.totals.spans += counts.spans;
        self.totals.errors += counts.errors;
        let start = self.index.starts.get(row).copied().unwrap_or_default();
        let duration = || self.index.duration(row).unwrap_or_default();
        let origin = self.query.window.start;
        match &mut self.kind {
            Kind::Totals => {}
            Kind::Heatmap { step, grid } => {
                let lane = usize::from(duration_bucket(duration()));
                grid.cell(time_bin(start, origin, *step), lane).add(counts);
            }
            Kind::Red { step, groups, grid } => {
                let lane = groups.by_class.get(class).copied().unwrap_or(0);
                let red = grid.cell(time_bin(start, origin, *step), lane);
                red.counts.add(counts);
                red.durations.add(duration());
            }
            Kind::Values(values) => values.add(row, class, counts),
        }
    }

    /// Adds the figures to those of other spans; says by how many bytes of memory these grew.
    pub(super) fn finish(self, answer: &mut Aggregate) -> u64 {
        let mut own = self.totals;
        match self.kind {
            Kind::Totals => {}
            Kind::Heatmap { grid, .. } => {
                grid.for_each(|bin, lane, counts| {
                    if counts != Counts::default() {
                        let bucket = u8::try_from(lane).unwrap_or(u8::MAX);
                        own.heatmap.insert((bin, bucket), counts);
                    }
                });
            }
            Kind::Red { groups, grid, .. } => {
                grid.for_each(|bin, lane, red| {
                    if let Some(group) = groups.groups.get(lane).filter(|_| red.counts.spans > 0) {
                        own.red.entry(group.clone()).or_default().insert(bin, red);
                    }
                });
            }
            Kind::Values(values) => {
                for (form, counts) in values.forms.into_iter().zip(values.counts) {
                    if counts != Counts::default() {
                        own.values.entry(form).or_default().add(counts);
                    }
                }
            }
        }
        answer.merge(&own)
    }
}

/// Cells by time bin and lane. A piece lies in few bins.
struct Grid<T> {
    first_bin: u64,
    lanes: usize,
    dense: Vec<T>,
    sparse: BTreeMap<(u64, usize), T>,
}

impl<T: Default + Clone> Grid<T> {
    fn new(query: &AggregateQuery, step: Duration, index: &Index, lanes: usize) -> Self {
        let bin = |start: Timestamp| time_bin(start, query.window.start, step);
        let first_bin = index.starts.iter().min().copied().map_or(0, bin);
        let last_bin = index.starts.iter().max().copied().map_or(0, bin);
        let bins = usize::try_from(last_bin - first_bin).unwrap_or(usize::MAX).saturating_add(1);
        let cells = bins.saturating_mul(lanes);
        let cells = if cells > DENSE_CELLS_MAX { 0 } else { cells };
        Self { first_bin, lanes, dense: vec![T::default(); cells], sparse: BTreeMap::new() }
    }

    fn cell(&mut self, bin: u64, lane: usize) -> &mut T {
        let row = usize::try_from(bin.saturating_sub(self.first_bin)).unwrap_or(usize::MAX);
        let place = row.saturating_mul(self.lanes).saturating_add(lane);
        match self.dense.get_mut(place) {
            Some(cell) => cell,
            None => self.sparse.entry((bin, lane)).or_default(),
        }
    }

    fn for_each(self, mut tell: impl FnMut(u64, usize, T)) {
        let lanes = self.lanes.max(1);
        for (place, cell) in self.dense.into_iter().enumerate() {
            tell(self.first_bin + (place / lanes) as u64, place % lanes, cell);
        }
        for ((bin, lane), cell) in self.sparse {
            tell(bin, lane, cell);
        }
    }
}

/// The groups of the classes.
struct Groups {
    groups: Vec<Group>,
    by_class: Vec<usize>,
}

impl Groups {
    fn new(index: &Index, group_by: GroupBy) -> Self {
        let group = |class: &model::batch::Class| {
            let service = index.services.get(class.resource as usize).cloned();
            let name = index.strings.get(class.name as usize).cloned().unwrap_or_default();
            let operation = match group_by {
                GroupBy::Service => Text::EMPTY,
                GroupBy::Operation => operation_of_name(name.as_bytes()),
            };
            Group { service: service.unwrap_or_default(), operation, kind: class.kind }
        };
        let mut numbers: BTreeMap<Group, usize> = BTreeMap::new();
        let mut groups = Vec::new();
        let by_class = index.classes.iter().map(group).map(|group| {
            *numbers.entry(group).or_insert_with_key(|group| {
                groups.push(group.clone());
                groups.len() - 1
            })
        });
        let by_class = by_class.collect();
        Self { groups, by_class }
    }
}

/// No value.
const NONE: u32 = u32::MAX;

/// The string forms of a field.
struct Values {
    forms: Vec<Text>,
    counts: Vec<Counts>,
    /// By class: the forms that all its spans have, each once.
    by_class: Vec<Vec<usize>>,
    /// By row: the form of its own attribute, or [`NONE`].
    by_row: Vec<u32>,
}

impl Values {
    /// Nothing if a row may have more than one value of its own, or some of its own and others.
    fn new(reader: &PieceReader<'_>, index: &Index, field: &Field) -> Result<Option<Self>, Error> {
        let Field::Attribute(scope, key) = field else {
            return Ok(Self::of_classes(index, field));
        };
        let resources = || index.resources.iter().map(|resource| resource.attributes.as_slice());
        let has_key = |attributes: &[Attribute]| attributes.iter().any(|own| own.key == *key);
        match *scope {
            AttributeScope::Resource => {
                Ok(Some(Self::shared(index, key, resources(), |class| class.resource)))
            }
            AttributeScope::Scope => {
                let scopes = index.scopes.iter().map(|scope| scope.attributes.as_slice());
                Ok(Some(Self::shared(index, key, scopes, |class| class.scope)))
            }
            AttributeScope::Span => Self::own(reader, index, key),
            AttributeScope::SpanOrResource if !resources().any(has_key) => {
                Self::own(reader, index, key)
            }
            AttributeScope::SpanOrResource if span_columns(index, key).next().is_none() => {
                Ok(Some(Self::shared(index, key, resources(), |class| class.resource)))
            }
            AttributeScope::SpanOrResource | AttributeScope::Event | AttributeScope::Link => {
                Ok(None)
            }
        }
    }

    /// Of a field that is the same in all spans of a class; nothing of another one.
    fn of_classes(index: &Index, field: &Field) -> Option<Self> {
        let string = |number: u32| index.strings.get(number as usize).cloned().unwrap_or_default();
        let form = |class: &model::batch::Class| match field {
            Field::Service => {
                Some(index.services.get(class.resource as usize).cloned().unwrap_or_default())
            }
            Field::Operation => Some(operation_of_name(string(class.name).as_bytes())),
            Field::Kind => Some(Text::from(string_form(ValueRef::Int(class.kind.0.into())))),
            Field::Status => {
                let code = class.status.map_or(0, |code| code.0);
                Some(Text::from(string_form(ValueRef::Int(code.into()))))
            }
            _ => None,
        };
        let mut forms: Vec<Text> = Vec::new();
        let mut numbers: BTreeMap<Text, usize> = BTreeMap::new();
        let mut by_class = Vec::with_capacity(index.classes.len());
        for class in &index.classes {
            let number = *numbers.entry(form(class)?).or_insert_with_key(|form| {
                forms.push(form.clone());
                forms.len() - 1
            });
            by_class.push(vec![number]);
        }
        Some(Self {
            counts: vec![Counts::default(); forms.len()],
            forms,
            by_class,
            by_row: Vec::new(),
        })
    }

    fn shared<'b>(
        index: &Index,
        key: &Text,
        places: impl Iterator<Item = &'b [Attribute]>,
        place: impl Fn(&model::batch::Class) -> u32,
    ) -> Self {
        let mut forms: Vec<Text> = Vec::new();
        let mut by_place = Vec::new();
        for attributes in places {
            let with_key = attributes.iter().filter(|attribute| attribute.key == *key);
            let distinct: BTreeSet<Text> =
                with_key.map(|attribute| string_form(attribute.value.as_ref()).into()).collect();
            by_place.push((forms.len()..forms.len() + distinct.len()).collect::<Vec<_>>());
            forms.extend(distinct);
        }
        let of_class = |class| by_place.get(place(class) as usize).cloned().unwrap_or_default();
        let by_class = index.classes.iter().map(of_class).collect();
        Self { counts: vec![Counts::default(); forms.len()], forms, by_class, by_row: Vec::new() }
    }

    fn own(reader: &PieceReader<'_>, index: &Index, key: &Text) -> Result<Option<Self>, Error> {
        let mut own = Self::none();
        own.by_row = vec![NONE; index.row_classes.len()];
        // How many values a row has, by class. Of several types it may have one.
        let mut taken = vec![0; index.classes.len()];
        for (column, value_type) in span_columns(index, key) {
            let takes = takes_by_class(index, column);
            taken.iter_mut().zip(&takes).for_each(|(all, takes)| *all += takes);
            if taken.iter().any(|takes| *takes > 1) {
                return Ok(None);
            }
            let values = reader.values(index)?;
            let values = values.column(index, column).map_err(|error| reader.damaged(error))?;
            let (codes, forms) = coded(values, value_type);
            let first = u32::try_from(own.forms.len()).unwrap_or(NONE);
            let mut codes = codes.into_iter();
            for (by_row, class) in own.by_row.iter_mut().zip(&index.row_classes) {
                if takes.get(*class as usize) == Some(&1) {
                    // A column that is too short: materialising the row will say so.
                    let Some(code) = codes.next() else { return Ok(None) };
                    *by_row = code.saturating_add(first);
                }
            }
            own.forms.extend(forms);
        }
        own.counts = vec![Counts::default(); own.forms.len()];
        Ok(Some(own))
    }

    fn none() -> Self {
        Self { forms: Vec::new(), counts: Vec::new(), by_class: Vec::new(), by_row: Vec::new() }
    }

    fn add(&mut self, row: usize, class: usize, counts: Counts) {
        for form in self.by_class.get(class).into_iter().flatten() {
            if let Some(own) = self.counts.get_mut(*form) {
                own.add(counts);
            }
        }
        let code = self.by_row.get(row).copied().unwrap_or(NONE);
        if let Some(own) = self.counts.get_mut(code as usize) {
            own.add(counts);
        }
    }
}

/// A code for each value of a column, and the string forms of the codes.
pub(crate) fn coded(column: &Column, value_type: ValueType) -> (Vec<u32>, Vec<Text>) {
    let form = |value: ValueRef<'_>| Text::from(string_form(value));
    let narrow = |place: usize| u32::try_from(place).unwrap_or(NONE);
    match column {
        Column::Unit(count) => (vec![0; *count], vec![form(ValueRef::Empty)]),
        Column::Bool(truths) => (
            truths.iter().map(|truth| u32::from(*truth)).collect(),
            [false, true].map(|truth| form(ValueRef::Bool(truth))).to_vec(),
        ),
        Column::Int(numbers) => {
            let mut distinct = numbers.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let code = |number| narrow(distinct.binary_search(number).unwrap_or(usize::MAX));
            let codes = numbers.iter().map(code).collect();
            (codes, distinct.into_iter().map(|number| form(ValueRef::Int(number))).collect())
        }
        Column::Bytes(strings) | Column::Double(strings) => {
            let of_code = |code| {
                let bytes = strings.distinct(code)?;
                bytes_value(value_type, &bytes).map(form)
            };
            let forms = (0..narrow(strings.distinct_count())).map(of_code);
            let forms = forms.map(Option::unwrap_or_default).collect();
            let codes = (0..strings.len()).map(|place| strings.code(place).unwrap_or(NONE));
            (codes.collect(), forms)
        }
    }
}
