//! The index of a batch, unpacked: which traces and rows it holds, when, and of what class.

use std::sync::Arc;

use bytes::Bytes;

use super::class::{Class, ColumnKey, Part, Shape, TextField, span_field};
use super::column::bytes_value;
use super::encode::parent_code;
use super::format::{BatchError, Header, SectionId};
use crate::columns::cursor::{Cursor, unzigzag};
use crate::columns::strings::read_codes;
use crate::columns::{ColumnError, integers};
use crate::effective;
use crate::span::{SpanKind, StatusCode};
use crate::store::RequestDigest;
use crate::value::ValueType;
use crate::{
    Attribute, AttributeValue, Duration, Resource, Scope, SpanId, Text, Timestamp, TraceId,
};

/// The index of a batch.
#[derive(Debug, Clone)]
pub struct Index {
    /// The dictionary of names and keys.
    pub strings: Vec<Text>,
    /// The resources.
    pub resources: Vec<Arc<Resource>>,
    /// The effective service of each resource.
    pub services: Vec<Text>,
    /// The scopes.
    pub scopes: Vec<Arc<Scope>>,
    /// The shapes of rows, events and links.
    pub shapes: Vec<Shape>,
    /// What rows share.
    pub classes: Vec<Class>,
    /// The traces, in the order of their rows.
    pub traces: Vec<TraceRows>,
    /// Per row: its class.
    pub row_classes: Vec<u32>,
    /// Per row: its id.
    pub span_ids: Vec<SpanId>,
    /// Per row: its parent.
    pub parents: Vec<Parent>,
    /// Per row: its start.
    pub starts: Vec<Timestamp>,
    /// Per row: its end.
    pub ends: Vec<Timestamp>,
    /// The requests whose spans these are.
    pub requests: Vec<RequestDigest>,
    /// Per row: its request, as a place in `requests`.
    pub row_requests: Vec<u32>,
    pub(super) columns: Vec<ColumnInfo>,
}

/// The rows of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRows {
    /// The trace.
    pub id: TraceId,
    /// Its first row.
    pub first: u32,
    /// How many rows it has.
    pub count: u32,
}

impl TraceRows {
    /// The rows.
    pub fn rows(&self) -> std::ops::Range<usize> {
        self.first as usize..(self.first + self.count) as usize
    }
}

/// The parent of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// None.
    None,
    /// Another row of the same batch and trace (or the row itself).
    Row(u32),
    /// A span that is not in this batch.
    Far(SpanId),
    /// Bytes that are no span id; they lie in the values.
    Odd,
}

/// What the index says of a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnInfo {
    pub(super) key: ColumnKey,
    pub(super) count: usize,
    pub(super) packed: (usize, usize),
    pub(super) raw: (usize, usize),
}

impl ColumnInfo {
    fn unpacked_bytes(&self) -> usize {
        match self.key.value_type {
            ValueType::Missing | ValueType::Empty => 0,
            ValueType::Bool => self.count,
            ValueType::Int => self.count.saturating_mul(size_of::<i64>()),
            // A number for each value, and the bytes of the distinct ones: hexadecimal ids have
            // twice those of their raw part, with dashes somewhat more.
            _ => {
                let text = self.packed.1.saturating_add(self.raw.1.saturating_mul(3));
                text.saturating_add(self.count.saturating_mul(size_of::<u32>()))
            }
        }
    }
}

/// What a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnBytes<'a> {
    /// What its values belong to.
    pub part: Part,
    /// The type of all its values.
    pub value_type: ValueType,
    /// The key of an attribute; nothing for a field.
    pub key: Option<&'a Text>,
    /// Bytes of its packed part, as they are before their section is compressed.
    pub packed: usize,
    /// Bytes of its raw part.
    pub raw: usize,
}

const TOO_MANY: ColumnError = ColumnError::new("a count is out of bounds");
const NO_SUCH: ColumnError = ColumnError::new("a number names nothing");

impl Index {
    pub(super) fn read(header: &Header, packed: &Bytes, raw: &[u8]) -> Result<Self, BatchError> {
        Self::read_columns(header, packed, raw).map_err(SectionId::Index.malformed())
    }

    fn read_columns(header: &Header, packed: &Bytes, raw: &[u8]) -> Result<Self, ColumnError> {
        let row_count = header.span_count as usize;
        let mut cursor = Cursor::new(packed);
        let strings = read_strings(&mut cursor, packed)?;
        let resources = read_resources(&mut cursor, &strings)?;
        let scopes = read_scopes(&mut cursor, &strings)?;
        let columns = read_column_infos(&mut cursor)?;
        let shapes = read_shapes(&mut cursor, columns.len())?;
        let limits = [strings.len(), resources.len(), scopes.len(), shapes.len()];
        let classes = read_classes(&mut cursor, limits)?;
        let row_classes = read_codes(&mut cursor, row_count, classes.len())?;

        let mut raw = Cursor::new(raw);
        let traces = read_traces(&mut cursor, &mut raw, header)?;
        let span_ids = (0..row_count)
            .map(|_| raw.array().map(SpanId))
            .collect::<Result<Vec<_>, ColumnError>>()?;
        let parents = read_parents(&mut cursor, &mut raw, &traces)?;
        let (starts, ends) = read_times(&mut cursor, &mut raw, header, &traces)?;
        let request_count = cursor.count(row_count)?;
        let row_requests = read_codes(&mut cursor, row_count, request_count.max(1))?;
        let requests = (0..request_count)
            .map(|_| raw.array().map(RequestDigest))
            .collect::<Result<Vec<_>, ColumnError>>()?;
        let services =
            resources.iter().map(|resource| effective::service(&resource.attributes)).collect();
        Ok(Self {
            strings,
            resources,
            services,
            scopes,
            shapes,
            classes,
            traces,
            row_classes,
            span_ids,
            parents,
            starts,
            ends,
            requests,
            row_requests,
            columns,
        })
    }

    /// The class of a row.
    pub fn class(&self, row: usize) -> Option<&Class> {
        self.classes.get(*self.row_classes.get(row)? as usize)
    }

    /// The duration of a row, zero if it ends before it starts.
    pub fn duration(&self, row: usize) -> Option<Duration> {
        Some(self.ends.get(row)?.since(*self.starts.get(row)?))
    }

    /// The key of a column, if it is an attribute's.
    pub fn attribute_key(&self, column: u32) -> Option<(Part, ValueType, &Text)> {
        let key = self.columns.get(column as usize)?.key;
        match key.part {
            Part::Span | Part::Event | Part::Link => {
                Some((key.part, key.value_type, self.strings.get(key.key as usize)?))
            }
            Part::SpanField | Part::EventField | Part::LinkField => None,
        }
    }

    /// The field of spans that a column holds, if it is one that predicates look at.
    pub fn text_field(&self, column: u32) -> Option<(TextField, ValueType)> {
        let key = self.columns.get(column as usize)?.key;
        let field = match (key.part, key.key) {
            (Part::SpanField, span_field::TRACE_STATE) => TextField::TraceState,
            (Part::SpanField, span_field::STATUS_MESSAGE) => TextField::StatusMessage,
            _ => return None,
        };
        Some((field, key.value_type))
    }

    /// What each column takes.
    pub fn columns_bytes(&self) -> impl Iterator<Item = ColumnBytes<'_>> {
        (0..).zip(&self.columns).map(|(number, column)| ColumnBytes {
            part: column.key.part,
            value_type: column.key.value_type,
            key: self.attribute_key(number).map(|(_, _, key)| key),
            packed: column.packed.1,
            raw: column.raw.1,
        })
    }

    /// About how many bytes the columns of spans, or those of events and links, take once all of
    /// them are unpacked, besides their section.
    pub fn columns_unpacked_bytes(&self, of_spans: bool) -> usize {
        let own = self.columns.iter().filter(|column| column.key.part.is_of_span() == of_spans);
        own.map(ColumnInfo::unpacked_bytes).fold(0, usize::saturating_add)
    }

    /// How many columns there are.
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// Roughly how much memory the index takes.
    pub fn bytes(&self) -> usize {
        let per_row = size_of::<(u32, SpanId, Parent, Timestamp, Timestamp, u32)>();
        self.row_classes.len() * per_row
            + self.traces.len() * size_of::<TraceRows>()
            + self.strings.iter().map(|text| text.len() + size_of::<Text>()).sum::<usize>()
            + self.columns.len() * size_of::<ColumnInfo>()
            + self.classes.len() * size_of::<Class>()
            + self.shapes.iter().map(|shape| shape.len() * 4 + 24).sum::<usize>()
            + (self.resources.len() + self.scopes.len()) * 1024
    }
}

/// A count of things that take at least one byte each.
fn count_of(cursor: &mut Cursor<'_>) -> Result<usize, ColumnError> {
    cursor.count(cursor.rest().len())
}

fn read_strings(cursor: &mut Cursor<'_>, packed: &Bytes) -> Result<Vec<Text>, ColumnError> {
    let count = count_of(cursor)?;
    let lengths = (0..count)
        .map(|_| cursor.count(packed.len()))
        .collect::<Result<Vec<usize>, ColumnError>>()?;
    // Slices share the unpacked section, which lives as long as any of them.
    lengths.into_iter().map(|length| Ok(packed.slice_ref(cursor.take(length)?).into())).collect()
}

struct Group {
    present: bool,
    texts: [Text; 5],
    dropped_attributes_count: u32,
    attributes: Vec<Attribute>,
}

fn read_group(cursor: &mut Cursor<'_>, strings: &[Text]) -> Result<Group, ColumnError> {
    let present = cursor.byte()? != 0;
    let mut texts: [Text; 5] = Default::default();
    for text in &mut texts {
        *text = Text::copy_from(cursor.bytes()?);
    }
    let dropped_attributes_count = cursor.varint_u32()?;
    let count = count_of(cursor)?;
    let mut attributes = Vec::with_capacity(count);
    for _ in 0..count {
        let key = strings.get(cursor.varint_u32()? as usize).ok_or(NO_SUCH)?.clone();
        let value_type = ValueType::from_number(cursor.byte()?).ok_or(NO_SUCH)?;
        let value = match value_type {
            ValueType::Missing => AttributeValue::Missing,
            ValueType::Empty => AttributeValue::Empty,
            ValueType::Bool => AttributeValue::Bool(cursor.byte()? != 0),
            ValueType::Int => AttributeValue::Int(unzigzag(cursor.varint()?)),
            _ => bytes_value(value_type, Text::copy_from(cursor.bytes()?)).ok_or(NO_SUCH)?,
        };
        attributes.push(Attribute { key, value });
    }
    Ok(Group { present, texts, dropped_attributes_count, attributes })
}

fn read_resources(
    cursor: &mut Cursor<'_>,
    strings: &[Text],
) -> Result<Vec<Arc<Resource>>, ColumnError> {
    (0..count_of(cursor)?)
        .map(|_| {
            let group = read_group(cursor, strings)?;
            let [_, _, schema_url, unknown, group_unknown] = group.texts;
            Ok(Arc::new(Resource {
                present: group.present,
                attributes: group.attributes,
                dropped_attributes_count: group.dropped_attributes_count,
                schema_url,
                unknown,
                group_unknown,
            }))
        })
        .collect()
}

fn read_scopes(cursor: &mut Cursor<'_>, strings: &[Text]) -> Result<Vec<Arc<Scope>>, ColumnError> {
    (0..count_of(cursor)?)
        .map(|_| {
            let group = read_group(cursor, strings)?;
            let [name, version, schema_url, unknown, group_unknown] = group.texts;
            Ok(Arc::new(Scope {
                present: group.present,
                name,
                version,
                attributes: group.attributes,
                dropped_attributes_count: group.dropped_attributes_count,
                schema_url,
                unknown,
                group_unknown,
            }))
        })
        .collect()
}

fn read_column_infos(cursor: &mut Cursor<'_>) -> Result<Vec<ColumnInfo>, ColumnError> {
    // Values and details are separate sections, each with its own places.
    let mut places = [(0_usize, 0_usize); 2];
    let column_count = count_of(cursor)?;
    let mut infos = Vec::with_capacity(column_count);
    for _ in 0..column_count {
        let kind = cursor.byte()?;
        let part = Part::from_number(kind / 16).ok_or(NO_SUCH)?;
        let value_type = ValueType::from_number(kind % 16).ok_or(NO_SUCH)?;
        let key = cursor.varint_u32()?;
        let count = cursor.count(super::SECTION_BYTES_MAX)?;
        let packed_length = cursor.count(super::SECTION_BYTES_MAX)?;
        let raw_length = cursor.count(super::SECTION_BYTES_MAX)?;
        let [values, details] = &mut places;
        let (packed, raw) = if part.is_of_span() { values } else { details };
        infos.push(ColumnInfo {
            key: ColumnKey { part, value_type, key },
            count,
            packed: (*packed, packed_length),
            raw: (*raw, raw_length),
        });
        *packed = packed.saturating_add(packed_length);
        *raw = raw.saturating_add(raw_length);
    }
    Ok(infos)
}

fn read_shapes(cursor: &mut Cursor<'_>, column_count: usize) -> Result<Vec<Shape>, ColumnError> {
    (0..count_of(cursor)?)
        .map(|_| {
            (0..count_of(cursor)?)
                .map(|_| {
                    let column = cursor.varint_u32()?;
                    if (column as usize) < column_count { Ok(column) } else { Err(NO_SUCH) }
                })
                .collect()
        })
        .collect()
}

fn read_classes(cursor: &mut Cursor<'_>, limits: [usize; 4]) -> Result<Vec<Class>, ColumnError> {
    let narrow = |number: u64| i32::try_from(unzigzag(number)).map_err(|_| TOO_MANY);
    let [strings, resources, scopes, shapes] = limits;
    (0..count_of(cursor)?)
        .map(|_| {
            let below = |limit: usize, cursor: &mut Cursor<'_>| {
                let number = cursor.varint_u32()?;
                if (number as usize) < limit { Ok(number) } else { Err(NO_SUCH) }
            };
            Ok(Class {
                name: below(strings, cursor)?,
                kind: SpanKind(narrow(cursor.varint()?)?),
                flags: cursor.varint_u32()?,
                status: match cursor.varint()? {
                    0 => None,
                    code => Some(StatusCode(narrow(code - 1)?)),
                },
                resource: below(resources, cursor)?,
                scope: below(scopes, cursor)?,
                shape: below(shapes, cursor)?,
                event_count: below(super::DETAIL_ROWS_MAX, cursor)?,
                link_count: below(super::DETAIL_ROWS_MAX, cursor)?,
            })
        })
        .collect()
}

fn read_traces(
    cursor: &mut Cursor<'_>,
    raw: &mut Cursor<'_>,
    header: &Header,
) -> Result<Vec<TraceRows>, ColumnError> {
    let mut first = 0_u32;
    let mut traces = Vec::with_capacity(header.trace_count as usize);
    for _ in 0..header.trace_count {
        let count = cursor.varint_u32()?;
        traces.push(TraceRows { id: TraceId(raw.array()?), first, count });
        first = first.checked_add(count).ok_or(TOO_MANY)?;
    }
    if first == header.span_count { Ok(traces) } else { Err(TOO_MANY) }
}

fn read_parents(
    cursor: &mut Cursor<'_>,
    raw: &mut Cursor<'_>,
    traces: &[TraceRows],
) -> Result<Vec<Parent>, ColumnError> {
    let rows = traces.last().map_or(0, |trace| trace.rows().end);
    let mut parents = Vec::with_capacity(rows);
    for trace in traces {
        for place in 0..i64::from(trace.count) {
            parents.push(match cursor.varint()? {
                parent_code::NONE => Parent::None,
                parent_code::FAR => Parent::Far(SpanId(raw.array()?)),
                parent_code::ODD => Parent::Odd,
                code => {
                    let distance = unzigzag(code - parent_code::NEAR);
                    let parent = place.checked_sub(distance).ok_or(NO_SUCH)?;
                    let parent = u32::try_from(parent).map_err(|_| NO_SUCH)?;
                    if parent >= trace.count {
                        return Err(NO_SUCH);
                    }
                    Parent::Row(trace.first + parent)
                }
            });
        }
    }
    Ok(parents)
}

fn read_times(
    cursor: &mut Cursor<'_>,
    raw: &mut Cursor<'_>,
    header: &Header,
    traces: &[TraceRows],
) -> Result<(Vec<Timestamp>, Vec<Timestamp>), ColumnError> {
    let row_count = header.span_count as usize;
    let (gaps, used) = integers::read(cursor, raw.rest(), row_count)?;
    raw.take(used)?;
    let (durations, used) = integers::read(cursor, raw.rest(), row_count)?;
    raw.take(used)?;
    let mut gaps = gaps.into_iter();
    let mut starts = Vec::with_capacity(row_count);
    for trace in traces {
        let mut previous = header.start_min.0;
        for gap in gaps.by_ref().take(trace.count as usize) {
            previous = previous.wrapping_add(gap);
            starts.push(Timestamp(previous));
        }
    }
    let end = |(start, duration): (&Timestamp, u64)| {
        Timestamp(start.0.wrapping_add(unzigzag(duration).cast_unsigned()))
    };
    let ends = starts.iter().zip(durations).map(end).collect();
    Ok((starts, ends))
}
