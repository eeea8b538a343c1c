//! Services, operations, keys and values: what people choose from.
//!
//! Services, operations and keys come from what the head and blocks list of them; values from the
//! dictionaries of batches and pages, the newest first, so that what a bound leaves out is the
//! oldest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::batch::{Column, Index, Part};
use model::budget::Budget;
use model::query::AttributeScope;
use model::store::{Answer, Completeness, Operation, SUGGESTIONS_MAX};
use model::string_form::string_form;
use model::value::{ValueRef, ValueType};
use model::{Attribute, Tenant, Text};

use super::catalog::names;
use super::figures::stopped;
use super::handle::Shard;
use super::limits::VALUE_PIECES_MAX;
use super::piece::Piece;
use super::prefilter::bytes_value;
use super::read::Snapshot;
use super::reader::PieceReader;
use crate::Error;

impl Shard {
    /// The effective services.
    pub fn services(
        &self,
        tenant: &Tenant,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<Text>>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else {
            return Ok(Answer { value: BTreeSet::new(), completeness: self.completeness() });
        };
        let mut found = BTreeSet::new();
        let completeness = self.for_each_name(&snapshot, budget, &mut |service, _| {
            if !found.contains(service) {
                budget.hold(NAME_BYTES + service.len() as u64)?;
                found.insert(copied(service));
            }
            Ok(())
        })?;
        Ok(Answer { value: found, completeness })
    }

    /// The effective operations of a service, or of all, with their kinds.
    pub fn operations(
        &self,
        tenant: &Tenant,
        service: Option<&Text>,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<Operation>>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else {
            return Ok(Answer { value: BTreeSet::new(), completeness: self.completeness() });
        };
        let mut found = BTreeSet::new();
        let completeness = self.for_each_name(&snapshot, budget, &mut |name, operation| {
            if service.is_none_or(|service| service == name) && !found.contains(operation) {
                budget.hold(NAME_BYTES + operation.name.len() as u64)?;
                found.insert(Operation { name: copied(&operation.name), kind: operation.kind });
            }
            Ok(())
        })?;
        Ok(Answer { value: found, completeness })
    }

    /// Tells every service with every operation, at least once: from what lists them, or from
    /// indexes where there are too many to be listed. A spent budget ends it, which is said.
    fn for_each_name(
        &self,
        snapshot: &Snapshot<'_>,
        budget: &Budget,
        tell: OnName<'_>,
    ) -> Result<Completeness, Error> {
        let mut completeness = self.completeness();
        let mut unlisted = Vec::new();
        let listed = self.for_each_listed(snapshot, budget, &mut unlisted, tell);
        stopped(listed, &mut completeness)?;
        if completeness.exhausted.is_some() {
            return Ok(completeness);
        }
        self.for_each_index(unlisted.into_iter(), budget, &mut |_, index| {
            for (service, name, kind) in names(index) {
                tell(service, &Operation { name, kind })?;
            }
            Ok(())
        })
    }

    /// Tells what is listed, and finds the pieces of which nothing is.
    fn for_each_listed(
        &self,
        snapshot: &Snapshot<'_>,
        budget: &Budget,
        unlisted: &mut Vec<Arc<Piece>>,
        tell: OnName<'_>,
    ) -> Result<(), Error> {
        for head in snapshot.heads() {
            match head.catalog().services() {
                Some(services) => tell_all(services, tell)?,
                None => unlisted.extend(head.batches()),
            }
        }
        for run in snapshot.blocks() {
            budget.spend(0)?;
            let names = run.names(&self.cache, self.cache_owner);
            let names = names.map_err(|error| self.damaged_block(&run.block, error))?;
            match names.as_ref().and_then(|names| names.services.as_ref()) {
                Some(services) => tell_all(services, tell)?,
                None => unlisted.extend(run.pieces().map(|(_, piece)| Arc::new(piece))),
            }
        }
        Ok(())
    }

    /// Attribute keys that begin with `prefix`, the first [`SUGGESTIONS_MAX`] by scope and key; if
    /// there are more, the answer says that it is a sample.
    pub fn keys(
        &self,
        tenant: &Tenant,
        prefix: &Text,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<(AttributeScope, Text)>>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else {
            return Ok(Answer { value: BTreeSet::new(), completeness: self.completeness() });
        };
        let mut found = Suggestions::new(budget);
        let mut unlisted: Vec<Arc<Piece>> = snapshot.batches().cloned().collect();
        let mut completeness = self.completeness();
        let mut add = |scope: AttributeScope, key: &Text| {
            if key.as_bytes().starts_with(prefix.as_bytes()) {
                found.add((scope, copied(key)))?;
            }
            Ok(())
        };
        let mut listed = || {
            for run in snapshot.blocks() {
                budget.spend(0)?;
                let names = run.names(&self.cache, self.cache_owner);
                let names = names.map_err(|error| self.damaged_block(&run.block, error))?;
                match names.as_ref().and_then(|names| names.keys.as_ref()) {
                    Some(keys) => keys.iter().try_for_each(|(scope, key)| add(*scope, key))?,
                    None => unlisted.extend(run.pieces().map(|(_, piece)| Arc::new(piece))),
                }
            }
            Ok(())
        };
        stopped(listed(), &mut completeness)?;
        if completeness.exhausted.is_none() {
            let pieces = unlisted.into_iter();
            completeness = self.for_each_index(pieces, budget, &mut |_, index| {
                index_keys(index).try_for_each(|(scope, key)| add(scope, key))
            })?;
        }
        completeness.sampled |= found.were_cut;
        Ok(Answer { value: found.items, completeness })
    }

    /// String forms of the values under a key that begin with `prefix`, the first
    /// [`SUGGESTIONS_MAX`]; if there are more, the answer says that it is a sample.
    pub fn values(
        &self,
        tenant: &Tenant,
        scope: AttributeScope,
        key: &Text,
        prefix: &Text,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<Text>>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else {
            return Ok(Answer { value: BTreeSet::new(), completeness: self.completeness() });
        };
        let mut found = Suggestions::new(budget);
        let batches = snapshot.batches().rev().cloned();
        let pages = snapshot.blocks().iter().rev().flat_map(|run| {
            let mut pages: Vec<_> = run.pieces().map(|(_, piece)| Arc::new(piece)).collect();
            pages.reverse();
            pages
        });
        let mut pieces = batches.chain(pages);
        let mut read = 0;
        let newest = std::iter::from_fn(|| {
            read += 1;
            pieces.next().filter(|_| read <= VALUE_PIECES_MAX)
        });
        let mut completeness = self.for_each_index(newest, budget, &mut |reader, index| {
            let mut added = Ok(());
            batch_values(reader, index, scope, key, &mut |value| {
                let form = string_form(value);
                if added.is_ok() && form.starts_with(prefix.as_bytes()) {
                    added = found.add(form.into());
                }
            })?;
            added
        })?;
        completeness.sampled |= found.were_cut || read > VALUE_PIECES_MAX;
        Ok(Answer { value: found.items, completeness })
    }

    /// Reads the index of each piece until the budget is spent.
    fn for_each_index(
        &self,
        pieces: impl Iterator<Item = Arc<Piece>>,
        budget: &Budget,
        each: &mut dyn FnMut(&PieceReader<'_>, &Index) -> Result<(), Error>,
    ) -> Result<Completeness, Error> {
        let mut completeness = self.completeness();
        for piece in pieces {
            let reader = PieceReader::new(self, piece, budget);
            match reader.index().and_then(|index| each(&reader, &index)) {
                Ok(()) => {}
                Err(Error::Exhausted(exhausted)) => {
                    completeness.exhausted = Some(exhausted);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(completeness)
    }
}

/// What a name takes in a list besides its text, about.
const NAME_BYTES: u64 = 80;

/// Is told a service and an operation.
type OnName<'a> = &'a mut dyn FnMut(&Text, &Operation) -> Result<(), Error>;

fn tell_all(services: &BTreeMap<Text, BTreeSet<Operation>>, tell: OnName<'_>) -> Result<(), Error> {
    for (service, operations) in services {
        operations.iter().try_for_each(|operation| tell(service, operation))?;
    }
    Ok(())
}

/// A text that keeps alive nothing else of where it was found.
fn copied(text: &Text) -> Text {
    Text::copy_from(text.as_bytes())
}

/// The first items of an order, as many as are shown.
struct Suggestions<'a, T> {
    items: BTreeSet<T>,
    were_cut: bool,
    budget: &'a Budget,
}

impl<'a, T: Ord + Named> Suggestions<'a, T> {
    fn new(budget: &'a Budget) -> Self {
        Self { items: BTreeSet::new(), were_cut: false, budget }
    }

    fn add(&mut self, item: T) -> Result<(), Error> {
        if self.items.contains(&item) {
            return Ok(());
        }
        self.budget.hold(item.bytes())?;
        self.items.insert(item);
        if self.items.len() > SUGGESTIONS_MAX
            && let Some(last) = self.items.pop_last()
        {
            self.budget.let_go(last.bytes());
            self.were_cut = true;
        }
        Ok(())
    }
}

/// What is suggested.
trait Named {
    /// What it takes in a list.
    fn bytes(&self) -> u64;
}

impl Named for Text {
    fn bytes(&self) -> u64 {
        NAME_BYTES + self.len() as u64
    }
}

impl Named for (AttributeScope, Text) {
    fn bytes(&self) -> u64 {
        self.1.bytes()
    }
}

fn index_keys(index: &Index) -> impl Iterator<Item = (AttributeScope, &Text)> {
    let columns = (0..).take(index.column_count()).filter_map(|column| {
        let (part, _, key) = index.attribute_key(column)?;
        let scope = match part {
            Part::Span => AttributeScope::Span,
            Part::Event => AttributeScope::Event,
            Part::Link => AttributeScope::Link,
            Part::SpanField | Part::EventField | Part::LinkField => return None,
        };
        Some((scope, key))
    });
    let resources = index.resources.iter().flat_map(|resource| &resource.attributes);
    let scopes = index.scopes.iter().flat_map(|scope| &scope.attributes);
    columns
        .chain(resources.map(|attribute| (AttributeScope::Resource, &attribute.key)))
        .chain(scopes.map(|attribute| (AttributeScope::Scope, &attribute.key)))
}

/// Tells the values under a key in a batch, each at least once.
fn batch_values(
    reader: &PieceReader<'_>,
    index: &Index,
    scope: AttributeScope,
    key: &Text,
    tell: &mut dyn FnMut(ValueRef<'_>),
) -> Result<(), Error> {
    match scope {
        AttributeScope::SpanOrResource => {
            batch_values(reader, index, AttributeScope::Span, key, tell)?;
            batch_values(reader, index, AttributeScope::Resource, key, tell)?;
        }
        AttributeScope::Resource => {
            let resources = index.resources.iter();
            resources.for_each(|resource| tell_values(&resource.attributes, key, tell));
        }
        AttributeScope::Scope => {
            index.scopes.iter().for_each(|scope| tell_values(&scope.attributes, key, tell));
        }
        AttributeScope::Span => {
            for (column, value_type) in columns_of(index, Part::Span, key) {
                let values = reader.values(index)?;
                let values = values.column(index, column);
                let values = values.map_err(|error| reader.damaged(error))?;
                tell_column(values, value_type, tell);
            }
        }
        AttributeScope::Event if columns_of(index, Part::Event, key).next().is_some() => {
            let spans = all_spans(reader, index)?;
            let events = spans.iter().flat_map(|span| &span.events);
            events.for_each(|event| tell_values(&event.attributes, key, tell));
        }
        AttributeScope::Link if columns_of(index, Part::Link, key).next().is_some() => {
            let spans = all_spans(reader, index)?;
            let links = spans.iter().flat_map(|span| &span.links);
            links.for_each(|link| tell_values(&link.attributes, key, tell));
        }
        AttributeScope::Event | AttributeScope::Link => {}
    }
    Ok(())
}

fn all_spans(reader: &PieceReader<'_>, index: &Index) -> Result<Vec<model::Span>, Error> {
    let mut spans = Vec::new();
    reader.spans(index, 0..index.row_classes.len(), &mut spans)?;
    Ok(spans)
}

fn columns_of<'a>(
    index: &'a Index,
    part: Part,
    key: &'a Text,
) -> impl Iterator<Item = (u32, ValueType)> + 'a {
    (0..).take(index.column_count()).filter_map(move |column| {
        let (own_part, value_type, own_key) = index.attribute_key(column)?;
        (own_part == part && own_key == key).then_some((column, value_type))
    })
}

fn tell_values(attributes: &[Attribute], key: &Text, tell: &mut dyn FnMut(ValueRef<'_>)) {
    let with_key = attributes.iter().filter(|attribute| attribute.key == *key);
    with_key.for_each(|attribute| tell(attribute.value.as_ref()));
}

fn tell_column(column: &Column, value_type: ValueType, tell: &mut dyn FnMut(ValueRef<'_>)) {
    match column {
        Column::Unit(0) => {}
        Column::Unit(_) if value_type == ValueType::Missing => tell(ValueRef::Missing),
        Column::Unit(_) => tell(ValueRef::Empty),
        Column::Bool(values) => {
            for truth in [false, true] {
                if values.contains(&truth) {
                    tell(ValueRef::Bool(truth));
                }
            }
        }
        Column::Int(values) => {
            let distinct: BTreeSet<i64> = values.iter().copied().collect();
            for number in distinct {
                tell(ValueRef::Int(number));
            }
        }
        Column::Double(strings) | Column::Bytes(strings) => {
            for code in (0..).take(strings.distinct_count()) {
                let bytes = strings.distinct(code);
                if let Some(value) =
                    bytes.as_deref().and_then(|bytes| bytes_value(value_type, bytes))
                {
                    tell(value);
                }
            }
        }
    }
}
