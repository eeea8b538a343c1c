//! What the columns of one batch say of a predicate on its rows, without building spans.
//!
//! Exact wherever it is cheap: once per resource, scope, class or distinct value, then by row. What
//! would take more (times of events, ids of links) is left open where the batch has such rows at
//! all.
//! Invariant: a row that is ruled out does not pass `model`'s reference, and one that is marked as
//! passing does.

use std::cell::OnceCell;
use std::sync::Arc;

use model::batch::{Class, Column, Details, Index, Parent, Part, TextField, Values};
use model::effective::operation_of_name;
use model::query::{
    AttributeScope, Field, FieldValue, JaegerTag, Pattern, SpanPredicate, ValueTest, is_in_form,
};
use model::span::StatusCode;
use model::value::{ValueRef, ValueType};
use model::{Attribute, Text};

use super::reader::PieceReader;
use super::rows::{Marks, RowSet, Truth};
use crate::Error;

/// A batch whose rows predicates are asked of.
#[derive(Debug)]
pub(super) struct Prefilter<'a> {
    reader: &'a PieceReader<'a>,
    index: &'a Index,
    /// Read, and charged, once for all columns that are asked for.
    values: OnceCell<Arc<Values>>,
    details: OnceCell<Arc<Details>>,
}

impl<'a> Prefilter<'a> {
    pub(super) fn new(reader: &'a PieceReader<'a>, index: &'a Index) -> Self {
        Self { reader, index, values: OnceCell::new(), details: OnceCell::new() }
    }

    fn values(&self) -> Result<&Values, Error> {
        if let Some(values) = self.values.get() {
            return Ok(values);
        }
        let values = self.reader.values(self.index)?;
        Ok(self.values.get_or_init(|| values))
    }

    fn details(&self) -> Result<&Details, Error> {
        if let Some(details) = self.details.get() {
            return Ok(details);
        }
        let details = self.reader.details(self.index)?;
        Ok(self.details.get_or_init(|| details))
    }

    /// What is known of the predicate on each row of the set. Rows outside have no meaning.
    pub(super) fn marks(&self, predicate: &SpanPredicate, of: &RowSet) -> Result<Marks, Error> {
        match predicate {
            SpanPredicate::True => Ok(Marks::exactly(of.clone())),
            SpanPredicate::All(parts) => self.all(parts, of),
            SpanPredicate::Any(parts) => {
                let mut marks = Marks::none(self.len());
                for part in parts {
                    marks.or(&self.marks(part, of)?);
                }
                Ok(marks)
            }
            SpanPredicate::Not(inner) => {
                let mut marks = self.marks(inner, of)?;
                marks.negate();
                Ok(marks)
            }
            SpanPredicate::Field(field, test) => self.field(field, test),
            SpanPredicate::JaegerTag { key, value } => self.jaeger_tag(key, value),
            SpanPredicate::Mentions(pattern) => self.mentions(pattern),
        }
    }

    /// Parts that the index decides come first: often nothing is left to unpack values for.
    fn all(&self, parts: &[SpanPredicate], of: &RowSet) -> Result<Marks, Error> {
        let mut left = Marks::exactly(of.clone());
        let (values, index): (Vec<_>, Vec<_>) = parts.iter().partition(|part| needs_values(part));
        for part in index.into_iter().chain(values) {
            if left.may.is_empty() {
                break;
            }
            left.and(&self.marks(part, of)?);
        }
        Ok(left)
    }

    fn field(&self, field: &Field, test: &ValueTest) -> Result<Marks, Error> {
        Ok(match field {
            Field::Service => {
                let passes: Vec<bool> =
                    self.index.services.iter().map(|name| test.passes_text(name)).collect();
                self.by_class(|class| at(&passes, class.resource))
            }
            Field::Operation => self.by_class(|class| {
                let name = self.index.strings.get(class.name as usize);
                let passes = |name: &Text| test.passes_text(&operation_of_name(name.as_bytes()));
                name.map_or(Truth::Maybe, |name| passes(name).into())
            }),
            Field::Kind => self.by_class(|class| passes_int(test, class.kind.0)),
            Field::Status => {
                self.by_class(|class| passes_int(test, class.status.map_or(0, |code| code.0)))
            }
            Field::StatusMessage => self.text_field(TextField::StatusMessage, test)?,
            Field::TraceState => self.text_field(TextField::TraceState, test)?,
            Field::Duration => self.by_row(|row| {
                let nanos = self.index.duration(row).unwrap_or_default().0;
                test.passes(FieldValue::Nanos(nanos))
            }),
            Field::Start => self.by_time(&self.index.starts, test),
            Field::End => self.by_time(&self.index.ends, test),
            Field::TraceId => self.by_trace_id(test),
            Field::SpanId => self.by_row(|row| {
                let id = self.index.span_ids.get(row);
                id.is_some_and(|id| passes_hexadecimal(test, &id.to_string()))
            }),
            Field::ParentId => self.by_row(|row| self.parent_passes(test, row)),
            Field::ScopeName => self.by_scope_text(test, |scope| &scope.name),
            Field::ScopeVersion => self.by_scope_text(test, |scope| &scope.version),
            Field::EventName => self.event_name(&|name| test.passes_text(name))?,
            Field::EventTimeSinceStart => self.where_events(),
            Field::LinkTraceId | Field::LinkSpanId => self.where_links(),
            Field::Attribute(scope, key) => self.attribute(*scope, key, test)?,
        })
    }

    fn jaeger_tag(&self, key: &Text, value: &Text) -> Result<Marks, Error> {
        Ok(match JaegerTag::new(key, value) {
            JaegerTag::Never => Marks::none(self.len()),
            JaegerTag::Error(wanted) => self.by_class(|class| (class.is_error() == wanted).into()),
            JaegerTag::Kind(kind) => self.by_class(|class| (class.kind == kind).into()),
            JaegerTag::Status(wanted) => {
                self.by_class(|class| (class.status.unwrap_or(StatusCode::UNSET) == wanted).into())
            }
            JaegerTag::ScopeName(name) => self.by_scope(|scope| scope.name == name),
            JaegerTag::ScopeVersion(version) => self.by_scope(|scope| scope.version == version),
            JaegerTag::Resource { key, value } => {
                self.attribute(AttributeScope::Resource, &key, &ValueTest::StringForm(value))?
            }
            JaegerTag::Anywhere { key, value } => {
                let test = ValueTest::StringForm(value);
                let mut marks = Marks::none(self.len());
                for place in AttributeScope::PLACES {
                    marks.or(&self.attribute(place, &key, &test)?);
                }
                marks
            }
        })
    }

    fn attribute(
        &self,
        scope: AttributeScope,
        key: &Text,
        test: &ValueTest,
    ) -> Result<Marks, Error> {
        let passes = |attributes: &[Attribute]| {
            let with_key = attributes.iter().filter(|attribute| attribute.key == *key);
            with_key
                .map(|attribute| attribute.value.as_ref())
                .any(|value| test.passes(FieldValue::Value(value)))
        };
        Ok(match scope {
            AttributeScope::Span => self.span_attribute(key, test)?,
            AttributeScope::Resource => {
                let resources = self.index.resources.iter();
                let passes: Vec<bool> =
                    resources.map(|resource| passes(&resource.attributes)).collect();
                self.by_class(|class| at(&passes, class.resource))
            }
            AttributeScope::SpanOrResource => {
                let mut marks = self.attribute(AttributeScope::Resource, key, test)?;
                marks.or(&self.span_attribute(key, test)?);
                marks
            }
            AttributeScope::Scope => self.by_scope(|scope| passes(&scope.attributes)),
            AttributeScope::Event => self.detail_attribute(Part::Event, key, test)?,
            AttributeScope::Link => self.detail_attribute(Part::Link, key, test)?,
        })
    }

    /// What words are found in: what the index has of a row, and every column of attributes.
    fn mentions(&self, pattern: &Pattern) -> Result<Marks, Error> {
        let is_in = |text: &[u8]| pattern.is_match(text);
        let is_in_text = |text: &Text| !text.is_empty() && is_in(text.as_bytes());
        let in_attribute = |attribute: &Attribute| {
            is_in(attribute.key.as_bytes())
                || is_in_form(pattern, FieldValue::Value(attribute.value.as_ref()))
        };
        let services: Vec<bool> =
            self.index.services.iter().map(|name| is_in(name.as_bytes())).collect();
        let resources: Vec<bool> = self
            .index
            .resources
            .iter()
            .map(|resource| resource.attributes.iter().any(in_attribute))
            .collect();
        let scopes: Vec<bool> = self
            .index
            .scopes
            .iter()
            .map(|scope| {
                [&scope.name, &scope.version].into_iter().any(is_in_text)
                    || scope.attributes.iter().any(in_attribute)
            })
            .collect();
        let mut marks = self.by_class(|class| {
            let operation = match self.index.strings.get(class.name as usize) {
                Some(name) => is_in(operation_of_name(name.as_bytes()).as_bytes()).into(),
                None => Truth::Maybe,
            };
            operation
                .or(at(&services, class.resource))
                .or(at(&resources, class.resource))
                .or(at(&scopes, class.scope))
        });
        marks.or(&self.event_name(&|name| is_in(name.as_bytes()))?);
        let test = |value: FieldValue<'_>| is_in_form(pattern, value);
        for column in (0..).take(self.index.column_count()) {
            if let Some((_, value_type)) = self.index.text_field(column) {
                let columns = [(column, value_type)].into_iter();
                self.mark_span_columns(columns, &test, &mut marks)?;
            }
            let Some((part, value_type, key)) = self.index.attribute_key(column) else { continue };
            let is_in_key = is_in(key.as_bytes());
            let test: &ValuePasses<'_> = if is_in_key { &|_| true } else { &test };
            let columns = [(column, value_type)].into_iter();
            match part {
                Part::Span => self.mark_span_columns(columns, test, &mut marks)?,
                part => self.mark_detail_columns(part, columns, test, &mut marks)?,
            }
        }
        Ok(marks)
    }

    fn span_attribute(&self, key: &Text, test: &ValueTest) -> Result<Marks, Error> {
        let mut marks = Marks::none(self.len());
        let columns = span_columns(self.index, key);
        self.mark_span_columns(columns, &|value| test.passes(value), &mut marks)?;
        Ok(marks)
    }

    fn text_field(&self, field: TextField, test: &ValueTest) -> Result<Marks, Error> {
        let mut marks = Marks::none(self.len());
        let columns = (0..).take(self.index.column_count()).filter_map(|column| {
            let (own, value_type) = self.index.text_field(column)?;
            (own == field).then_some((column, value_type))
        });
        self.mark_span_columns(columns, &|value| test.passes(value), &mut marks)?;
        Ok(marks)
    }

    fn mark_span_columns(
        &self,
        columns: impl Iterator<Item = (u32, ValueType)>,
        test: &ValuePasses<'_>,
        marks: &mut Marks,
    ) -> Result<(), Error> {
        for (column, value_type) in columns {
            let values = self.values()?.column(self.index, column);
            let values = values.map_err(|error| self.reader.damaged(error))?;
            let mut passes = ColumnTest::new(values, value_type, test);
            self.mark_column(column, &mut passes, marks);
        }
        Ok(())
    }

    /// Walks the rows along the column: each row takes as many values as its shape says.
    fn mark_column(&self, column: u32, test: &mut ColumnTest<'_>, marks: &mut Marks) {
        let takes = takes_by_class(self.index, column);
        let mut place = 0;
        for (row, class) in self.index.row_classes.iter().enumerate() {
            let end = place + takes.get(*class as usize).copied().unwrap_or(0);
            while place < end {
                mark(marks, row, test.passes(place));
                place += 1;
            }
        }
    }

    /// Rows with an event or link of which an attribute passes.
    fn detail_attribute(&self, part: Part, key: &Text, test: &ValueTest) -> Result<Marks, Error> {
        let mut marks = Marks::none(self.len());
        let columns = columns_of(self.index, part, key);
        self.mark_detail_columns(part, columns, &|value| test.passes(value), &mut marks)?;
        Ok(marks)
    }

    fn mark_detail_columns(
        &self,
        part: Part,
        columns: impl Iterator<Item = (u32, ValueType)>,
        test: &ValuePasses<'_>,
        marks: &mut Marks,
    ) -> Result<(), Error> {
        let mut columns = columns.peekable();
        if columns.peek().is_none() {
            return Ok(());
        }
        let details = self.details()?;
        let shapes: Vec<u32> = match part {
            Part::Event => details.events().map(|(_, shape)| shape).collect(),
            _ => details.links().collect(),
        };
        let count = |class: &Class| match part {
            Part::Event => class.event_count as usize,
            _ => class.link_count as usize,
        };
        for (column, value_type) in columns {
            let values = details.column(self.index, column);
            let values = values.map_err(|error| self.reader.damaged(error))?;
            let mut test = ColumnTest::new(values, value_type, test);
            let takes: Vec<usize> = self
                .index
                .shapes
                .iter()
                .map(|shape| shape.iter().filter(|own| **own == column).count())
                .collect();
            let (mut place, mut next) = (0, 0);
            for (row, class) in self.index.row_classes.iter().enumerate() {
                let first = next;
                next += self.index.classes.get(*class as usize).map_or(0, count);
                for shape in shapes.get(first..next).unwrap_or_default() {
                    let end = place + takes.get(*shape as usize).copied().unwrap_or(0);
                    while place < end {
                        mark(marks, row, test.passes(place));
                        place += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows with an event whose name passes.
    fn event_name(&self, test: &dyn Fn(&Text) -> bool) -> Result<Marks, Error> {
        let mut marks = Marks::none(self.len());
        let has_events = self.index.classes.iter().any(|class| class.event_count > 0);
        // The dictionary names more than events; if none of it passes, no event does.
        if !has_events || !self.index.strings.iter().any(test) {
            return Ok(marks);
        }
        let details = self.details()?;
        let passes: Vec<bool> = self.index.strings.iter().map(test).collect();
        let mut names = details.events().map(|(name, _)| passes.get(name as usize).copied());
        for (row, class) in self.index.row_classes.iter().enumerate() {
            let count =
                self.index.classes.get(*class as usize).map_or(0, |class| class.event_count);
            for _ in 0..count {
                mark(&mut marks, row, names.next().flatten());
            }
        }
        Ok(marks)
    }

    fn by_class(&self, test: impl Fn(&Class) -> Truth) -> Marks {
        let truths: Vec<Truth> = self.index.classes.iter().map(test).collect();
        let mut marks = Marks::none(self.len());
        for (row, class) in self.index.row_classes.iter().enumerate() {
            match truths.get(*class as usize).copied().unwrap_or(Truth::Maybe) {
                Truth::No => {}
                Truth::Maybe => marks.may.insert(row),
                Truth::Yes => {
                    marks.may.insert(row);
                    marks.must.insert(row);
                }
            }
        }
        marks
    }

    fn by_row(&self, test: impl FnMut(usize) -> bool) -> Marks {
        Marks::exactly(RowSet::from_test(self.len(), test))
    }

    fn by_time(&self, times: &[model::Timestamp], test: &ValueTest) -> Marks {
        let passes = |time: &model::Timestamp| test.passes(FieldValue::Nanos(time.0));
        self.by_row(|row| times.get(row).is_some_and(passes))
    }

    fn by_trace_id(&self, test: &ValueTest) -> Marks {
        let mut rows = RowSet::empty(self.len());
        for trace in &self.index.traces {
            if passes_hexadecimal(test, &trace.id.to_string()) {
                trace.rows().for_each(|row| rows.insert(row));
            }
        }
        Marks::exactly(rows)
    }

    fn parent_passes(&self, test: &ValueTest, row: usize) -> bool {
        let id = match self.index.parents.get(row) {
            Some(Parent::Row(parent)) => self.index.span_ids.get(*parent as usize).copied(),
            Some(Parent::Far(id)) => Some(*id),
            Some(Parent::None | Parent::Odd) | None => None,
        };
        let id = id.filter(|id| !id.is_zero());
        id.is_some_and(|id| passes_hexadecimal(test, &id.to_string()))
    }

    fn by_scope_text(&self, test: &ValueTest, text: impl Fn(&model::Scope) -> &Text) -> Marks {
        let passes = |text: &Text| !text.is_empty() && test.passes_text(text);
        self.by_scope(|scope| passes(text(scope)))
    }

    fn by_scope(&self, test: impl Fn(&model::Scope) -> bool) -> Marks {
        let passes: Vec<bool> = self.index.scopes.iter().map(|scope| test(scope)).collect();
        self.by_class(|class| at(&passes, class.scope))
    }

    fn where_events(&self) -> Marks {
        self.by_class(|class| if class.event_count > 0 { Truth::Maybe } else { Truth::No })
    }

    fn where_links(&self) -> Marks {
        self.by_class(|class| if class.link_count > 0 { Truth::Maybe } else { Truth::No })
    }

    fn len(&self) -> usize {
        self.index.row_classes.len()
    }
}

/// Marks a row of which a value passes, does not, or cannot be told: of what is too short
/// materialising the row will say so.
fn mark(marks: &mut Marks, row: usize, passes: Option<bool>) {
    match passes {
        Some(true) => {
            marks.may.insert(row);
            marks.must.insert(row);
        }
        Some(false) => {}
        None => marks.may.insert(row),
    }
}

/// By class: how many values each of its rows takes from a column.
pub(crate) fn takes_by_class(index: &Index, column: u32) -> Vec<usize> {
    let takes = |class: &Class| {
        let shape = index.shapes.get(class.shape as usize);
        shape.map_or(0, |shape| shape.iter().filter(|own| **own == column).count())
    };
    index.classes.iter().map(takes).collect()
}

/// The columns of a key of span attributes.
pub(super) fn span_columns<'a>(
    index: &'a Index,
    key: &'a Text,
) -> impl Iterator<Item = (u32, ValueType)> + 'a {
    columns_of(index, Part::Span, key)
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

/// Whether deciding the predicate may take the values section.
fn needs_values(predicate: &SpanPredicate) -> bool {
    match predicate {
        SpanPredicate::All(parts) | SpanPredicate::Any(parts) => parts.iter().any(needs_values),
        SpanPredicate::Not(inner) => needs_values(inner),
        SpanPredicate::Field(Field::Attribute(scope, _), _) => {
            !matches!(scope, AttributeScope::Resource | AttributeScope::Scope)
        }
        SpanPredicate::Field(Field::EventName | Field::StatusMessage | Field::TraceState, _)
        | SpanPredicate::JaegerTag { .. }
        | SpanPredicate::Mentions(_) => true,
        SpanPredicate::True | SpanPredicate::Field(..) => false,
    }
}

fn at(passes: &[bool], place: u32) -> Truth {
    passes.get(place as usize).map_or(Truth::Maybe, |passes| (*passes).into())
}

fn passes_int(test: &ValueTest, number: i32) -> Truth {
    test.passes(FieldValue::Value(ValueRef::Int(number.into()))).into()
}

fn passes_hexadecimal(test: &ValueTest, digits: &str) -> bool {
    test.passes(FieldValue::Value(ValueRef::String(digits.as_bytes())))
}

/// Whether a value passes.
type ValuePasses<'t> = dyn Fn(FieldValue<'_>) -> bool + 't;

/// A test of the values of one column, made once per distinct value.
struct ColumnTest<'a> {
    column: &'a Column,
    value_type: ValueType,
    test: &'a ValuePasses<'a>,
    /// By code, for columns with a list of distinct values.
    known: Vec<Option<bool>>,
    /// Integers have no list; the same one often comes several times in a row.
    last: Option<(i64, bool)>,
}

impl<'a> ColumnTest<'a> {
    fn new(column: &'a Column, value_type: ValueType, test: &'a ValuePasses<'a>) -> Self {
        let distinct = match column {
            Column::Bytes(strings) | Column::Double(strings) => strings.distinct_count(),
            Column::Unit(_) | Column::Bool(_) | Column::Int(_) => 0,
        };
        Self { column, value_type, test, known: vec![None; distinct], last: None }
    }

    /// Whether the value at a place passes; nothing if there is none.
    fn passes(&mut self, place: usize) -> Option<bool> {
        let value = |value| (self.test)(FieldValue::Value(value));
        match self.column {
            Column::Unit(count) => (place < *count).then(|| match self.value_type {
                ValueType::Missing => value(ValueRef::Missing),
                _ => value(ValueRef::Empty),
            }),
            Column::Bool(values) => values.get(place).map(|truth| value(ValueRef::Bool(*truth))),
            Column::Int(values) => {
                let number = *values.get(place)?;
                if let Some((last, passes)) = self.last
                    && last == number
                {
                    return Some(passes);
                }
                let passes = value(ValueRef::Int(number));
                self.last = Some((number, passes));
                Some(passes)
            }
            Column::Bytes(strings) | Column::Double(strings) => {
                let code = strings.code(place)?;
                if let Some(passes) = *self.known.get(code as usize)? {
                    return Some(passes);
                }
                let bytes = strings.distinct(code)?;
                let passes = value(bytes_value(self.value_type, &bytes)?);
                if let Some(known) = self.known.get_mut(code as usize) {
                    *known = Some(passes);
                }
                Some(passes)
            }
        }
    }
}

/// The value of a type whose columns are byte strings.
pub(crate) fn bytes_value(value_type: ValueType, bytes: &[u8]) -> Option<ValueRef<'_>> {
    Some(match value_type {
        ValueType::String => ValueRef::String(bytes),
        ValueType::Bytes => ValueRef::Bytes(bytes),
        ValueType::Array => ValueRef::Array(bytes),
        ValueType::KeyValueList => ValueRef::KeyValueList(bytes),
        ValueType::Opaque => ValueRef::Opaque(bytes),
        ValueType::OpaquePair => ValueRef::OpaquePair(bytes),
        ValueType::Double => {
            ValueRef::Double(f64::from_bits(u64::from_le_bytes(bytes.try_into().ok()?)))
        }
        ValueType::Missing | ValueType::Empty | ValueType::Bool | ValueType::Int => return None,
    })
}
