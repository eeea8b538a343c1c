//! Builds the zones of a run out of its pages, as they are closed.

use std::collections::BTreeMap;

use model::batch::{self, BatchError, Class, Column, Index, Part};
use model::effective::operation_of_name;
use model::query::AttributeScope;
use model::span::StatusCode;
use model::string_form::write_string_form;
use model::value::{ValueRef, ValueType};
use model::{Attribute, Text};

use super::class_keys::ClassKeysBuilder;
use super::filter::{self, key_hash, value_hash};
use super::key_values::KeyValuesBuilder;
use super::values::ValueFilterBuilder;
use super::{
    HAS_EVENTS, HAS_LINKS, HAS_RARE_FIELDS, HAS_UNLISTED_KEYS, Page, PageClass, PageKey, Stretch,
    ValueFilterWriter, ZoneClass, Zones, durations,
};
use crate::block::limits::{
    ZONE_CLASSES_MAX, ZONE_FILTER_BITS_MAX, ZONE_FILTER_BITS_MIN, ZONE_FILTER_BITS_PER_ROW,
    ZONE_FILTER_BITS_PER_VALUE, ZONE_FILTER_BITS_PER_VALUE_MIN, ZONE_KEYS_MAX, ZONE_NAME_BYTES_MAX,
};
use crate::shard::prefilter::bytes_value;

/// Zones under construction.
#[derive(Debug, Default)]
pub(crate) struct ZonesBuilder {
    zones: Zones,
    class_numbers: BTreeMap<ZoneClass, u32>,
    key_numbers: BTreeMap<(AttributeScope, Text), u32>,
    class_keys: ClassKeysBuilder,
    key_values: KeyValuesBuilder,
    values: ValueFilterBuilder,
}

/// The values under a key on a page.
#[derive(Debug, Default)]
struct KeyValues {
    hashes: Vec<u64>,
}

/// By place and key.
type Values = BTreeMap<(AttributeScope, Text), KeyValues>;

impl KeyValues {
    /// Whether its values are in the filter, which has the keys with at most so many.
    fn is_filtered(&self, most: Option<usize>) -> bool {
        most.is_some_and(|most| self.hashes.len() <= most)
    }
}

impl ZonesBuilder {
    /// Adds the next page of the run. Returns for each of its classes the number among those that
    /// are listed, beyond all numbers for one that is not.
    pub(crate) fn add(
        &mut self,
        index: &Index,
        columns: &batch::Values,
        details: &batch::Details,
    ) -> Result<Vec<u32>, BatchError> {
        let (classes, numbers) = self.add_classes(index);
        let mut flags = flags(index);
        let values = page_values(columns, details, index)?;
        let (listed, bits) = filtered(&values, index.row_classes.len());
        let start = narrow(self.zones.page_keys.len());
        let mut keys = Vec::new();
        for (key, values) in &values {
            match self.key_number(key) {
                Some(number) => {
                    self.key_values.add(number, &values.hashes);
                    keys.extend(PageKey::new(number, !values.is_filtered(listed)));
                }
                None => flags |= HAS_UNLISTED_KEYS,
            }
        }
        self.add_class_keys(index, &numbers);
        keys.sort_unstable();
        self.zones.page_keys.append(&mut keys);
        let keys = Stretch { start, end: narrow(self.zones.page_keys.len()) };
        let hashes = || {
            let filtered = values.values().filter(|values| values.is_filtered(listed));
            filtered.flat_map(|values| &values.hashes)
        };
        let probes = filter::probes_for(bits, hashes().count());
        self.values.add(bits, probes, hashes().copied());
        let filter = Stretch { start: 0, end: 0 };
        self.zones.pages.push(Page { flags, classes, keys, filter, probes });
        Ok(numbers)
    }

    /// The zones, and what their filters are written by.
    pub(crate) fn finish(self) -> (Zones, ValueFilterWriter) {
        let mut zones = self.zones;
        // Until now those that are not listed stood beyond any number.
        let unlisted = u16::try_from(zones.classes.len()).unwrap_or(u16::MAX);
        for class in &mut zones.page_classes {
            class.class = class.class.min(unlisted);
        }
        self.class_keys.finish(&mut zones);
        self.key_values.finish(&mut zones);
        zones.sum_up();
        (zones, self.values.finish())
    }

    /// Adds which keys the page's classes have; `numbers` as [`Self::add`] returns them.
    fn add_class_keys(&mut self, index: &Index, numbers: &[u32]) {
        let number = |(part, _, key): (Part, ValueType, &Text)| {
            let key = (AttributeScope::Span, key.clone());
            (part == Part::Span).then(|| self.key_numbers.get(&key).copied())
        };
        // By column: whether it is an attribute of spans, and then the number of its key.
        let columns: Vec<Option<Option<u32>>> = (0..)
            .take(index.column_count())
            .map(|column| index.attribute_key(column).and_then(number))
            .collect();
        for (class, number) in index.classes.iter().zip(numbers) {
            let shape = index.shapes.get(class.shape as usize).into_iter().flatten();
            let keys = shape.filter_map(|column| columns.get(*column as usize).copied().flatten());
            self.class_keys.add(*number, keys);
        }
    }

    fn add_classes(&mut self, index: &Index) -> (Stretch, Vec<u32>) {
        let mut bounds: Vec<Option<(u8, u8)>> = vec![None; index.classes.len()];
        for (row, class) in index.row_classes.iter().enumerate() {
            let code = durations::code(index.duration(row).unwrap_or_default());
            if let Some(own) = bounds.get_mut(*class as usize) {
                let (shortest, longest) = own.unwrap_or((code, code));
                *own = Some((shortest.min(code), longest.max(code)));
            }
        }
        let mut by_number: BTreeMap<u32, (u8, u8)> = BTreeMap::new();
        let mut numbers = vec![u32::MAX; index.classes.len()];
        for ((class, bounds), number) in index.classes.iter().zip(bounds).zip(&mut numbers) {
            let Some((shortest, longest)) = bounds else { continue };
            *number = self.class_number(index, class);
            let own = by_number.entry(*number).or_insert((u8::MAX, 0));
            *own = (own.0.min(shortest), own.1.max(longest));
        }
        let start = narrow(self.zones.page_classes.len());
        let classes = by_number.into_iter();
        self.zones.page_classes.extend(classes.map(|(class, (shortest, longest))| PageClass {
            class: u16::try_from(class).unwrap_or(u16::MAX),
            shortest,
            longest,
        }));
        (Stretch { start, end: narrow(self.zones.page_classes.len()) }, numbers)
    }

    /// The number of a page's class; beyond all numbers if it is not listed.
    fn class_number(&mut self, index: &Index, class: &Class) -> u32 {
        let service = index.services.get(class.resource as usize);
        let name = index.strings.get(class.name as usize);
        let (Some(service), Some(name)) = (service, name) else { return u32::MAX };
        if service.len() > ZONE_NAME_BYTES_MAX || name.len() > ZONE_NAME_BYTES_MAX {
            return u32::MAX;
        }
        let class = ZoneClass {
            service: Text::copy_from(service.as_bytes()),
            operation: operation_of_name(name.as_bytes()),
            kind: class.kind,
            status: class.status.unwrap_or(StatusCode::UNSET),
        };
        if let Some(number) = self.class_numbers.get(&class) {
            return *number;
        }
        if self.zones.classes.len() >= ZONE_CLASSES_MAX {
            return u32::MAX;
        }
        let number = narrow(self.zones.classes.len());
        self.zones.classes.push(class.clone());
        self.class_numbers.insert(class, number);
        number
    }

    /// The number of a key, if it is listed. One that is not listed never will be.
    fn key_number(&mut self, key: &(AttributeScope, Text)) -> Option<u32> {
        if let Some(number) = self.key_numbers.get(key) {
            return Some(*number);
        }
        if self.zones.keys.len() >= ZONE_KEYS_MAX || key.1.len() > ZONE_NAME_BYTES_MAX {
            return None;
        }
        let number = narrow(self.zones.keys.len());
        // Copied, so that no page is kept alive.
        let own = (key.0, Text::copy_from(key.1.as_bytes()));
        self.zones.keys.push(own.clone());
        self.key_numbers.insert(own, number);
        Some(number)
    }
}

fn flags(index: &Index) -> u8 {
    let mut flags = 0;
    for class in &index.classes {
        flags |= if class.event_count > 0 { HAS_EVENTS } else { 0 };
        flags |= if class.link_count > 0 { HAS_LINKS } else { 0 };
    }
    let mut columns = (0..).take(index.column_count());
    if columns.any(|column| index.attribute_key(column).is_none()) {
        flags |= HAS_RARE_FIELDS;
    }
    flags
}

/// Which keys have their values in the filter (those with at most so many), and its bits. Keys with
/// few values come first: an id in every span takes all the room there is.
fn filtered(values: &Values, row_count: usize) -> (Option<usize>, usize) {
    let room = nearest_power_of_two(row_count * ZONE_FILTER_BITS_PER_ROW);
    let room = room.clamp(ZONE_FILTER_BITS_MIN, ZONE_FILTER_BITS_MAX);
    let mut counts: Vec<usize> = values.values().map(|values| values.hashes.len()).collect();
    counts.sort_unstable();
    let (mut most, mut sum) = (None, 0);
    for equal in counts.chunk_by(|left, right| left == right) {
        let more: usize = equal.iter().sum();
        if (sum + more) * ZONE_FILTER_BITS_PER_VALUE_MIN > room {
            break;
        }
        sum += more;
        most = equal.first().copied();
    }
    let bits = nearest_power_of_two(sum * ZONE_FILTER_BITS_PER_VALUE);
    (most, bits.clamp(8, room))
}

/// The power of two that a number is nearest to.
fn nearest_power_of_two(number: usize) -> usize {
    let above = number.next_power_of_two();
    if number * 4 >= above * 3 { above } else { above / 2 }
}

/// All values of a page, each once.
fn page_values(
    columns: &batch::Values,
    details: &batch::Details,
    index: &Index,
) -> Result<Values, BatchError> {
    let mut collector = Collector::default();
    for attribute in index.resources.iter().flat_map(|resource| &resource.attributes) {
        collector.add(AttributeScope::Resource, attribute);
    }
    for attribute in index.scopes.iter().flat_map(|scope| &scope.attributes) {
        collector.add(AttributeScope::Scope, attribute);
    }
    for number in (0..).take(index.column_count()) {
        match index.attribute_key(number) {
            Some((Part::Span, value_type, key)) => {
                let column = columns.column(index, number)?;
                collector.add_column(AttributeScope::Span, key, value_type, column);
            }
            Some((Part::Event, value_type, key)) => {
                let column = details.column(index, number)?;
                collector.add_column(AttributeScope::Event, key, value_type, column);
            }
            Some((Part::Link, value_type, key)) => {
                let column = details.column(index, number)?;
                collector.add_column(AttributeScope::Link, key, value_type, column);
            }
            Some(_) | None => {}
        }
    }
    for values in collector.values.values_mut() {
        values.hashes.sort_unstable();
        values.hashes.dedup();
    }
    Ok(collector.values)
}

#[derive(Default)]
struct Collector {
    values: Values,
    form: Vec<u8>,
}

impl Collector {
    fn add(&mut self, scope: AttributeScope, attribute: &Attribute) {
        let Self { values, form } = self;
        let hashes = &mut values.entry((scope, attribute.key.clone())).or_default().hashes;
        let key = key_hash(scope, attribute.key.as_bytes());
        hashes.push(hash_of(key, attribute.value.as_ref(), form));
    }

    /// Adds the distinct values of a column.
    fn add_column(
        &mut self,
        scope: AttributeScope,
        key: &Text,
        value_type: ValueType,
        column: &Column,
    ) {
        let Self { values, form } = self;
        let hashes = &mut values.entry((scope, key.clone())).or_default().hashes;
        let key = key_hash(scope, key.as_bytes());
        match column {
            Column::Unit(_) => hashes.push(value_hash(key, b"")),
            Column::Bool(truths) => {
                for truth in [false, true] {
                    if truths.contains(&truth) {
                        hashes.push(hash_of(key, ValueRef::Bool(truth), form));
                    }
                }
            }
            Column::Int(numbers) => {
                let mut distinct = numbers.clone();
                distinct.sort_unstable();
                distinct.dedup();
                let distinct = distinct.into_iter().map(ValueRef::Int);
                hashes.extend(distinct.map(|value| hash_of(key, value, form)));
            }
            Column::Bytes(strings) | Column::Double(strings) => {
                for code in 0..narrow(strings.distinct_count()) {
                    let Some(bytes) = strings.distinct(code) else { continue };
                    let value = bytes_value(value_type, &bytes);
                    // What is no value of its type passes no test of one.
                    hashes.extend(value.map(|value| hash_of(key, value, form)));
                }
            }
        }
    }
}

fn hash_of(key_hash: u64, value: ValueRef<'_>, form: &mut Vec<u8>) -> u64 {
    if let ValueRef::String(text) = value {
        return value_hash(key_hash, text);
    }
    form.clear();
    write_string_form(value, form);
    value_hash(key_hash, form)
}

/// Counts are bounded by the pages of a run and the rows of a page, far below.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
