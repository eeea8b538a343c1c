//! Counts the values of keys that have few of them.
//!
//! A span counts once for each different string form that it has under a key, as in `model`'s
//! reference. A key whose columns do not say that by themselves (several values of one span), or
//! which has more forms than are worth a count, is *closed*: it is not counted.

use std::collections::{BTreeMap, BTreeSet};

use model::aggregate::Counts;
use model::batch::{BatchError, Class, Index, Part as PagePart, Values};
use model::columns::cursor::{put_bytes, put_varint};
use model::query::AttributeScope;
use model::string_form::string_form;
use model::{Attribute, Text};

use super::counted::Counted;
use super::encode::{Part, part, put_by_minute};
use super::minute_of;
use crate::block::limits::{
    ROLLUP_CELLS_MAX, ROLLUP_FORM_BYTES_MAX, ROLLUP_FORMS_MAX, ROLLUP_VALUES_MAX,
};
use crate::block::names::scope_number;
use crate::shard::columnar::coded;
use crate::shard::prefilter::takes_by_class;

/// Bits of a form's number in a key.
const FORM_BITS: u32 = 20;

const _: () = assert!(ROLLUP_VALUES_MAX * ROLLUP_FORMS_MAX <= 1 << FORM_BITS);

type Key = (AttributeScope, Text);

/// No value, or none that is counted.
const NONE: u32 = u32::MAX;

/// The values of a run, under construction.
#[derive(Debug)]
pub(super) struct ValuesBuilder {
    keys: BTreeMap<Key, State>,
    open: usize,
    /// Minute, form, error.
    counts: Counted,
    next_form: u32,
    /// Columns of which it was asked what the rows of every class take.
    #[cfg(test)]
    pub(super) walks: usize,
}

/// What is known of a key.
#[derive(Debug)]
enum State {
    /// Its forms, with their numbers among those of all keys.
    Open(BTreeMap<Text, u32>),
    Closed,
}

/// A key to be written: its forms in their order, and their counts by minute.
pub(super) struct KeyCounts {
    key: Key,
    forms: Vec<Text>,
    cells: Vec<(u64, u32, Counts)>,
}

impl Default for ValuesBuilder {
    fn default() -> Self {
        let counts = Counted::new(ROLLUP_CELLS_MAX);
        Self {
            keys: BTreeMap::new(),
            open: 0,
            counts,
            next_form: 0,
            #[cfg(test)]
            walks: 0,
        }
    }
}

/// The rows of a page by minute: counts are gathered by minute before they are added.
struct Minutes {
    /// The different minutes.
    minutes: Vec<u64>,
    /// By row: the place of its minute, times 2, plus 1 if it failed.
    by_row: Vec<u32>,
}

impl Minutes {
    fn of(index: &Index) -> Self {
        let mut minutes: Vec<u64> = index.starts.iter().map(|start| minute_of(*start)).collect();
        minutes.sort_unstable();
        minutes.dedup();
        let is_error: Vec<bool> = index.classes.iter().map(Class::is_error).collect();
        let place = |(start, class): (&model::Timestamp, &u32)| {
            let place = minutes.binary_search(&minute_of(*start)).unwrap_or(0);
            let error = is_error.get(*class as usize).copied().unwrap_or(false);
            u32::try_from(place).unwrap_or(0) << 1 | u32::from(error)
        };
        let by_row = index.starts.iter().zip(&index.row_classes).map(place).collect();
        Self { minutes, by_row }
    }
}

impl ValuesBuilder {
    pub(super) fn add_page(&mut self, index: &Index, values: &Values) -> Result<(), BatchError> {
        let minutes = Minutes::of(index);
        self.add_span_columns(index, values, &minutes)?;
        let resources = index.resources.iter().map(|own| own.attributes.as_slice());
        let scopes = index.scopes.iter().map(|own| own.attributes.as_slice());
        self.add_shared(AttributeScope::Resource, resources, index, &minutes, |c| c.resource);
        self.add_shared(AttributeScope::Scope, scopes, index, &minutes, |class| class.scope);
        Ok(())
    }

    fn add_span_columns(
        &mut self,
        index: &Index,
        values: &Values,
        minutes: &Minutes,
    ) -> Result<(), BatchError> {
        // By key: how many values of it a row takes, by class, of the columns before.
        let mut taken: BTreeMap<&Text, Vec<usize>> = BTreeMap::new();
        for column in (0..).take(index.column_count()) {
            let Some((PagePart::Span, value_type, key)) = index.attribute_key(column) else {
                continue;
            };
            let name = (AttributeScope::Span, key.clone());
            // First: what rows take of a column is a walk over all classes, and a page of keys that
            // are never the same has as many columns as values.
            if !self.is_open_or_has_room(&name) {
                continue;
            }
            let takes = takes_by_class(index, column);
            #[cfg(test)]
            {
                self.walks += 1;
            }
            // Of several types each row may have one.
            let all = taken.entry(key).or_insert_with(|| vec![0; takes.len()]);
            all.iter_mut().zip(&takes).for_each(|(all, takes)| *all += takes);
            if all.iter().any(|takes| *takes > 1) {
                self.close(&name);
                continue;
            }
            if !self.is_open(&name) {
                continue;
            }
            let (codes, forms) = coded(values.column(index, column)?, value_type);
            let Some(numbers) = self.forms(&name, &forms) else { continue };
            let mut codes = codes.into_iter();
            let by_row = index.row_classes.iter().map(|class| match takes.get(*class as usize) {
                Some(1) => codes.next().unwrap_or(NONE),
                _ => NONE,
            });
            let by_row: Vec<u32> = by_row.collect();
            self.count(minutes, &by_row, &numbers);
        }
        Ok(())
    }

    fn add_shared<'a>(
        &mut self,
        scope: AttributeScope,
        places: impl Iterator<Item = &'a [Attribute]>,
        index: &Index,
        minutes: &Minutes,
        place_of: impl Fn(&Class) -> u32,
    ) {
        let places: Vec<&[Attribute]> = places.collect();
        // How many rows there are of each place, minute and outcome.
        let width = minutes.minutes.len() * 2;
        let mut rows = vec![0_u32; places.len() * width];
        let by_class: Vec<u32> = index.classes.iter().map(place_of).collect();
        for (class, slot) in index.row_classes.iter().zip(&minutes.by_row) {
            let place = by_class.get(*class as usize).copied().unwrap_or(0) as usize;
            if let Some(count) = rows.get_mut(place * width + *slot as usize) {
                *count += 1;
            }
        }
        for (attributes, rows) in places.iter().zip(rows.chunks(width.max(1))) {
            let mut forms: BTreeMap<&Text, BTreeSet<Text>> = BTreeMap::new();
            for attribute in *attributes {
                let form = string_form(attribute.value.as_ref()).into();
                forms.entry(&attribute.key).or_default().insert(form);
            }
            for (key, forms) in forms {
                let name = (scope, key.clone());
                if !self.is_open(&name) {
                    continue;
                }
                let forms: Vec<Text> = forms.into_iter().collect();
                for number in self.forms(&name, &forms).into_iter().flatten() {
                    self.add(minutes, number, rows);
                }
            }
        }
    }

    /// Adds the counts of a column: by row a code or none, by code the number of a form.
    fn count(&mut self, minutes: &Minutes, by_row: &[u32], numbers: &[u32]) {
        let width = minutes.minutes.len() * 2;
        let mut rows = vec![0_u32; numbers.len() * width];
        for (code, slot) in by_row.iter().zip(&minutes.by_row) {
            let place = (*code as usize).saturating_mul(width).saturating_add(*slot as usize);
            if let Some(count) = rows.get_mut(place) {
                *count += 1;
            }
        }
        for (number, rows) in numbers.iter().zip(rows.chunks(width.max(1))) {
            self.add(minutes, *number, rows);
        }
    }

    fn add(&mut self, minutes: &Minutes, form: u32, rows: &[u32]) {
        for (minute, counts) in minutes.minutes.iter().zip(rows.chunks(2)) {
            let key = (minute << FORM_BITS | u64::from(form)) << 1;
            for (error, count) in (0..).zip(counts).filter(|(_, count)| **count > 0) {
                self.counts.add(key | error, *count);
            }
        }
    }

    /// Whether a key is counted; one that was not seen before is from now on.
    fn is_open(&mut self, key: &Key) -> bool {
        let is_open = self.is_open_or_has_room(key);
        if is_open && !self.keys.contains_key(key) {
            self.open += 1;
            let own = (key.0, Text::copy_from(key.1.as_bytes()));
            self.keys.insert(own, State::Open(BTreeMap::new()));
        }
        is_open
    }

    /// Whether a key is counted, or can be from now on.
    fn is_open_or_has_room(&self, key: &Key) -> bool {
        match self.keys.get(key) {
            Some(State::Open(_)) => true,
            Some(State::Closed) => false,
            // Never again once it was not: what is counted is counted from its first page on.
            None => {
                self.open < ROLLUP_VALUES_MAX
                    && self.keys.len() < 4 * ROLLUP_VALUES_MAX
                    && self.next_form as usize + ROLLUP_FORMS_MAX < 1 << FORM_BITS
            }
        }
    }

    fn close(&mut self, key: &Key) {
        let own = (key.0, Text::copy_from(key.1.as_bytes()));
        if self.keys.len() < 4 * ROLLUP_VALUES_MAX {
            self.keys.insert(own, State::Closed);
        } else if let Some(state) = self.keys.get_mut(&own) {
            *state = State::Closed;
        }
    }

    /// The numbers of forms under a key that is open; nothing if it is closed for having too many.
    fn forms(&mut self, key: &Key, forms: &[Text]) -> Option<Vec<u32>> {
        let Some(State::Open(known)) = self.keys.get_mut(key) else { return None };
        let is_long = |form: &Text| form.len() > ROLLUP_FORM_BYTES_MAX;
        let mut numbers = Vec::with_capacity(forms.len());
        for form in forms {
            if let Some(number) = known.get(form) {
                numbers.push(*number);
                continue;
            }
            if known.len() >= ROLLUP_FORMS_MAX || is_long(form) {
                self.close(key);
                return None;
            }
            known.insert(Text::copy_from(form.as_bytes()), self.next_form);
            numbers.push(self.next_form);
            self.next_form += 1;
        }
        Some(numbers)
    }

    /// The keys that are counted, those first that take the least.
    pub(super) fn finish(self) -> Vec<KeyCounts> {
        let Some(counts) = self.counts.finish() else { return Vec::new() };
        let mut by_form: BTreeMap<u32, (usize, u32)> = BTreeMap::new();
        let mut keys = Vec::new();
        for (key, state) in self.keys {
            let State::Open(forms) = state else { continue };
            for (place, number) in (0..).zip(forms.values()) {
                by_form.insert(*number, (keys.len(), place));
            }
            keys.push(KeyCounts { key, forms: forms.into_keys().collect(), cells: Vec::new() });
        }
        for (number, count) in counts {
            let spans = u64::from(count);
            let counts = Counts { spans, errors: if number & 1 != 0 { spans } else { 0 } };
            let form = u32::try_from(number >> 1 & ((1 << FORM_BITS) - 1)).unwrap_or(NONE);
            let minute = number >> (FORM_BITS + 1);
            let Some((key, place)) = by_form.get(&form).copied() else { continue };
            if let Some(key) = keys.get_mut(key) {
                key.cells.push((minute, place, counts));
            }
        }
        for key in &mut keys {
            key.cells.sort_unstable_by_key(|(minute, form, _)| (*minute, *form));
            key.cells.dedup_by(|later, kept| {
                let is_same = (later.0, later.1) == (kept.0, kept.1);
                if is_same {
                    kept.2.add(later.2);
                }
                is_same
            });
        }
        keys.sort_by_key(|key| key.cells.len());
        keys
    }
}

impl KeyCounts {
    pub(super) fn encode(&self, base: u64) -> Part {
        let mut bytes = vec![scope_number(self.key.0)];
        put_bytes(&mut bytes, self.key.1.as_bytes());
        put_varint(&mut bytes, self.forms.len() as u64);
        self.forms.iter().for_each(|form| put_bytes(&mut bytes, form.as_bytes()));
        put_by_minute(
            &mut bytes,
            base,
            &self.cells,
            |cell| cell.0,
            |out, before, cell| {
                put_varint(out, u64::from(cell.1 - before.map_or(0, |before| before.1)));
                put_varint(out, cell.2.spans);
                put_varint(out, cell.2.errors);
            },
        );
        Part { number: part::VALUES, bytes }
    }
}
