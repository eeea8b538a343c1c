//! A batch as bytes, and its spans given back exactly as they came.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::class::{
    Class, ColumnKey, EventClass, LinkClass, Part, event_field, link_field, span_field,
};
use super::column::Column;
use super::format::{self, BatchError, Header, SECTION_COUNT, Section, SectionId};
use super::index::{ColumnInfo, Index, Parent};
use super::{DETAIL_ROWS_MAX, SECTION_BYTES_MAX};
use crate::columns::cursor::{Cursor, unzigzag};
use crate::columns::strings::read_codes;
use crate::columns::{ColumnError, integers};
use crate::span::{Event, Link, ParentId, Status};
use crate::value::ValueType;
use crate::{Attribute, AttributeValue, Resource, Scope, Span, Text, Timestamp};

/// A batch whose header has been read.
#[derive(Debug, Clone)]
pub struct Batch {
    bytes: Bytes,
    header: Header,
    sections: [Section; SECTION_COUNT],
}

impl Batch {
    /// Reads the header of a batch; the sections are verified when they are read.
    pub fn open(bytes: Bytes) -> Result<Self, BatchError> {
        let (header, sections) = format::read(&bytes)?;
        Ok(Self { bytes, header, sections })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The batch's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Verifies the checksum of every section, and unpacks none.
    pub fn check(&self) -> Result<(), BatchError> {
        let checked = |id: SectionId| format::check(&self.bytes, &self.sections, id).map(|_| ());
        format::SECTIONS.into_iter().try_for_each(checked)
    }

    /// Verifies the checksum of every section, and that events, links and columns are as many as
    /// a reader takes: what passes can be read.
    pub fn verify(&self) -> Result<(), BatchError> {
        self.verified().map(|_| ())
    }

    /// The same, with what was unpacked for it.
    pub fn verified(&self) -> Result<(Index, Values, Details), BatchError> {
        let index = self.index()?;
        let values = self.values(&index)?;
        values.columns.check(&index)?;
        let details = self.details(&index)?;
        details.columns.check(&index)?;
        Ok((index, values, details))
    }

    /// How many bytes each section takes as stored, in the order of [`SectionId`].
    pub fn section_lengths(&self) -> [usize; SECTION_COUNT] {
        self.sections.map(|section| section.stored_length)
    }

    /// How many bytes each section takes unpacked, in the same order.
    pub fn unpacked_lengths(&self) -> [usize; SECTION_COUNT] {
        self.sections.map(|section| section.length)
    }

    fn section(&self, id: SectionId) -> Result<Bytes, BatchError> {
        format::section(&self.bytes, &self.sections, id)
    }

    /// Unpacks the index.
    pub fn index(&self) -> Result<Index, BatchError> {
        let packed = self.section(SectionId::Index)?;
        let raw = self.section(SectionId::IndexRaw)?;
        Index::read(&self.header, &packed, &raw)
    }

    /// Unpacks the values; columns are read when first asked for.
    pub fn values(&self, index: &Index) -> Result<Values, BatchError> {
        Ok(Values {
            columns: Columns::new(
                index,
                self.section(SectionId::Values)?,
                self.section(SectionId::ValuesRaw)?,
                SectionId::Values,
            ),
        })
    }

    /// Unpacks the details; columns are read when first asked for.
    pub fn details(&self, index: &Index) -> Result<Details, BatchError> {
        let packed = self.section(SectionId::Details)?;
        let raw = self.section(SectionId::DetailsRaw)?;
        Details::read(index, &packed, &raw).map_err(SectionId::Details.malformed())
    }

    /// Every span, in row order.
    pub fn spans(&self) -> Result<Vec<Span>, BatchError> {
        let index = self.index()?;
        let values = self.values(&index)?;
        let details = self.details(&index)?;
        spans(&index, &values, &details, 0..index.row_classes.len())
    }
}

/// The spans of a stretch of rows.
pub fn spans(
    index: &Index,
    values: &Values,
    details: &Details,
    rows: std::ops::Range<usize>,
) -> Result<Vec<Span>, BatchError> {
    let mut found = Vec::with_capacity(rows.len());
    each_span(index, values, details, rows, &mut |span| {
        found.push(span);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Tells the spans of a stretch of rows, one after the other, as long as more are wanted.
pub fn each_span(
    index: &Index,
    values: &Values,
    details: &Details,
    rows: std::ops::Range<usize>,
    tell: &mut dyn FnMut(Span) -> ControlFlow<()>,
) -> Result<(), BatchError> {
    let mut places = Places::at(index, details, rows.start);
    for row in rows {
        if tell(span(index, values, details, row, &mut places)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// Columns that are read when first asked for.
#[derive(Debug)]
pub(super) struct Columns {
    packed: Bytes,
    raw: Bytes,
    pub(super) section: SectionId,
    read: Vec<OnceLock<Result<Column, ColumnError>>>,
}

impl Columns {
    fn new(index: &Index, packed: Bytes, raw: Bytes, section: SectionId) -> Self {
        let read = index.columns.iter().map(|_| OnceLock::new()).collect();
        Self { packed, raw, section, read }
    }

    /// Whether every column lies within its section and counts no more than may be.
    fn check(&self, index: &Index) -> Result<(), BatchError> {
        let is_of_span = self.section == SectionId::Values;
        let own = index.columns.iter().filter(|info| info.key.part.is_of_span() == is_of_span);
        let mut checked = own.map(|info| self.stretches(info).map(|_| ()));
        checked.try_for_each(|checked| checked.map_err(self.section.malformed()))
    }

    /// The bytes of a column.
    fn stretches(&self, info: &ColumnInfo) -> Result<(&[u8], &[u8]), ColumnError> {
        let packed = part_of(&self.packed, info.packed)?;
        let raw = part_of(&self.raw, info.raw)?;
        // Some columns take no byte per value; what they count is bounded here.
        if info.count > packed.len().clamp(DETAIL_ROWS_MAX, SECTION_BYTES_MAX) {
            return Err(ColumnError::new("a column has too many values"));
        }
        Ok((packed, raw))
    }

    pub(super) fn get(
        &self,
        index: &Index,
        column: u32,
    ) -> Result<(ColumnKey, &Column), BatchError> {
        let malformed = self.section.malformed();
        let missing = || malformed(ColumnError::new("no such column"));
        let info = index.columns.get(column as usize).ok_or_else(missing)?;
        let slot = self.read.get(column as usize).ok_or_else(missing)?;
        if info.key.part.is_of_span() != (self.section == SectionId::Values) {
            return Err(missing());
        }
        let read = slot.get_or_init(|| {
            let (packed, raw) = self.stretches(info)?;
            Column::read(info.key.value_type, packed, raw, info.count)
        });
        match read {
            Ok(column) => Ok((info.key, column)),
            Err(error) => Err(malformed(*error)),
        }
    }
}

fn part_of(bytes: &[u8], (start, length): (usize, usize)) -> Result<&[u8], ColumnError> {
    let rest = bytes.get(start..).and_then(|rest| rest.get(..length));
    rest.ok_or(ColumnError::new("a column lies outside its section"))
}

/// The columns of span attributes.
#[derive(Debug)]
pub struct Values {
    pub(super) columns: Columns,
}

impl Values {
    /// A column of span attributes.
    pub fn column<'a>(&'a self, index: &Index, column: u32) -> Result<&'a Column, BatchError> {
        self.columns.get(index, column).map(|(_, column)| column)
    }
}

/// Events and links.
#[derive(Debug)]
pub struct Details {
    pub(super) event_classes: Vec<EventClass>,
    pub(super) event_codes: Vec<u32>,
    pub(super) event_times: Vec<u64>,
    pub(super) link_classes: Vec<LinkClass>,
    pub(super) link_codes: Vec<u32>,
    pub(super) link_ids: Bytes,
    pub(super) columns: Columns,
}

impl Details {
    /// A column of attributes of events or links: its values in the order of rows, and in each of
    /// its events or links.
    pub fn column<'a>(&'a self, index: &Index, column: u32) -> Result<&'a Column, BatchError> {
        self.columns.get(index, column).map(|(_, column)| column)
    }

    /// The events of all rows, in their order: the place of the name in the dictionary, and of the
    /// shape among the shapes.
    pub fn events(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let class = |code: &u32| self.event_classes.get(*code as usize);
        let places = |class: Option<&EventClass>| class.map(|class| (class.name, class.shape));
        self.event_codes.iter().map(move |code| places(class(code)).unwrap_or((u32::MAX, u32::MAX)))
    }

    /// The links of all rows, in their order: the place of the shape among the shapes.
    pub fn links(&self) -> impl Iterator<Item = u32> + '_ {
        let class = |code: &u32| self.link_classes.get(*code as usize);
        self.link_codes.iter().map(move |code| class(code).map_or(u32::MAX, |class| class.shape))
    }

    fn read(index: &Index, packed: &Bytes, raw: &Bytes) -> Result<Self, ColumnError> {
        if packed.is_empty() && raw.is_empty() {
            return Ok(Self::empty(index));
        }
        let (event_count, link_count) = detail_counts(index)?;
        let mut cursor = Cursor::new(packed);
        let shape_count = index.shapes.len();
        let event_class_count = cursor.count(cursor.rest().len())?;
        let mut event_classes = Vec::with_capacity(event_class_count);
        for _ in 0..event_class_count {
            let class = EventClass { name: cursor.varint_u32()?, shape: cursor.varint_u32()? };
            check_shape(class.shape, shape_count)?;
            event_classes.push(class);
        }
        let event_codes = read_codes(&mut cursor, event_count, event_classes.len())?;
        let (event_times, used) = integers::read(&mut cursor, raw, event_count)?;
        let mut raw_cursor = Cursor::new(raw);
        raw_cursor.take(used)?;
        let link_class_count = cursor.count(cursor.rest().len())?;
        let mut link_classes = Vec::with_capacity(link_class_count);
        for _ in 0..link_class_count {
            let class = LinkClass {
                trace_id_length: cursor.varint_u32()?,
                span_id_length: cursor.varint_u32()?,
                flags: cursor.varint_u32()?,
                shape: cursor.varint_u32()?,
            };
            check_shape(class.shape, shape_count)?;
            link_classes.push(class);
        }
        let link_codes = read_codes(&mut cursor, link_count, link_classes.len())?;
        let mut ids_length = 0_usize;
        for code in &link_codes {
            let class = link_classes.get(*code as usize);
            let length = class.map_or(0, |class| {
                (class.trace_id_length as usize).saturating_add(class.span_id_length as usize)
            });
            ids_length = ids_length.saturating_add(length);
        }
        let link_ids = raw.slice_ref(raw_cursor.take(ids_length)?);
        let columns_packed = packed.slice_ref(cursor.rest());
        let columns_raw = raw.slice_ref(raw_cursor.rest());
        let columns = Columns::new(index, columns_packed, columns_raw, SectionId::Details);
        Ok(Self {
            event_classes,
            event_codes,
            event_times,
            link_classes,
            link_codes,
            link_ids,
            columns,
        })
    }

    fn empty(index: &Index) -> Self {
        Self {
            event_classes: Vec::new(),
            event_codes: Vec::new(),
            event_times: Vec::new(),
            link_classes: Vec::new(),
            link_codes: Vec::new(),
            link_ids: Bytes::new(),
            columns: Columns::new(index, Bytes::new(), Bytes::new(), SectionId::Details),
        }
    }
}

fn check_shape(shape: u32, count: usize) -> Result<(), ColumnError> {
    if (shape as usize) < count { Ok(()) } else { Err(ColumnError::new("no such shape")) }
}

fn detail_counts(index: &Index) -> Result<(usize, usize), ColumnError> {
    let (mut events, mut links) = (0_usize, 0_usize);
    for class in index.row_classes.iter().filter_map(|code| index.classes.get(*code as usize)) {
        events = events.saturating_add(class.event_count as usize);
        links = links.saturating_add(class.link_count as usize);
    }
    if events > DETAIL_ROWS_MAX || links > DETAIL_ROWS_MAX {
        return Err(ColumnError::new("too many events or links"));
    }
    Ok((events, links))
}

/// Where the next row's values lie: in each column, among the events, among the links.
struct Places {
    columns: Vec<usize>,
    event: usize,
    link: usize,
    link_id: usize,
}

impl Places {
    /// The places of `row`: counts what the rows before it took.
    fn at(index: &Index, details: &Details, row: usize) -> Self {
        let mut places =
            Self { columns: vec![0; index.columns.len()], event: 0, link: 0, link_id: 0 };
        let mut class_counts = vec![0_usize; index.classes.len()];
        for class in index.row_classes.iter().take(row) {
            if let Some(count) = class_counts.get_mut(*class as usize) {
                *count += 1;
            }
        }
        for (class, count) in index.classes.iter().zip(class_counts) {
            places.skip_shape(index, class.shape, count);
            places.event += count * class.event_count as usize;
            places.link += count * class.link_count as usize;
        }
        for code in details.event_codes.iter().take(places.event) {
            if let Some(class) = details.event_classes.get(*code as usize) {
                places.skip_shape(index, class.shape, 1);
            }
        }
        for code in details.link_codes.iter().take(places.link) {
            if let Some(class) = details.link_classes.get(*code as usize) {
                places.skip_shape(index, class.shape, 1);
                places.link_id += class.trace_id_length as usize + class.span_id_length as usize;
            }
        }
        places
    }

    fn skip_shape(&mut self, index: &Index, shape: u32, count: usize) {
        if count == 0 {
            return;
        }
        for column in index.shapes.get(shape as usize).into_iter().flatten() {
            if let Some(place) = self.columns.get_mut(*column as usize) {
                *place += count;
            }
        }
    }

    fn next(&mut self, column: u32) -> usize {
        let Some(place) = self.columns.get_mut(column as usize) else { return usize::MAX };
        *place += 1;
        *place - 1
    }
}

/// Attributes of a shape, and its rarer fields apart.
struct Cells {
    attributes: Vec<Attribute>,
    fields: Vec<(u32, AttributeValue)>,
}

impl Cells {
    fn read(
        index: &Index,
        columns: &Columns,
        shape: u32,
        places: &mut Places,
    ) -> Result<Self, BatchError> {
        let short = || columns.section.malformed()(ColumnError::new("a column is too short"));
        let shape = index.shapes.get(shape as usize).map(Vec::as_slice).unwrap_or_default();
        let mut cells = Self { attributes: Vec::with_capacity(shape.len()), fields: Vec::new() };
        for number in shape {
            let (key, column) = columns.get(index, *number)?;
            let value = column.value(key, places.next(*number)).ok_or_else(short)?;
            match key.part {
                Part::Span | Part::Event | Part::Link => {
                    let text = index.strings.get(key.key as usize).ok_or_else(short)?;
                    cells.attributes.push(Attribute { key: text.clone(), value });
                }
                Part::SpanField | Part::EventField | Part::LinkField => {
                    cells.fields.push((key.key, value));
                }
            }
        }
        Ok(cells)
    }

    fn text(&mut self, field: u32) -> Text {
        let found = self.fields.iter_mut().find(|(key, _)| *key == field);
        match found {
            Some((_, AttributeValue::String(text))) => std::mem::take(text),
            _ => Text::EMPTY,
        }
    }

    fn count(&self, field: u32) -> u32 {
        let found = self.fields.iter().find(|(key, _)| *key == field);
        match found {
            Some((_, AttributeValue::Int(count))) => u32::try_from(*count).unwrap_or(u32::MAX),
            _ => 0,
        }
    }
}

fn span(
    index: &Index,
    values: &Values,
    details: &Details,
    row: usize,
    places: &mut Places,
) -> Result<Span, BatchError> {
    let malformed = SectionId::Index.malformed();
    let missing = || malformed(ColumnError::new("no such row"));
    let class = *index.class(row).ok_or_else(missing)?;
    let trace = index.traces.partition_point(|trace| trace.first as usize <= row);
    let trace = index.traces.get(trace.wrapping_sub(1)).ok_or_else(missing)?;
    let mut cells = Cells::read(index, &values.columns, class.shape, places)?;
    let start = *index.starts.get(row).ok_or_else(missing)?;
    let resource: &Arc<Resource> =
        index.resources.get(class.resource as usize).ok_or_else(missing)?;
    let scope: &Arc<Scope> = index.scopes.get(class.scope as usize).ok_or_else(missing)?;
    let parent = match index.parents.get(row).ok_or_else(missing)? {
        Parent::None => ParentId::None,
        Parent::Far(id) => ParentId::Id(*id),
        Parent::Row(row) => ParentId::Id(*index.span_ids.get(*row as usize).ok_or_else(missing)?),
        Parent::Odd => ParentId::Odd(cells.text(span_field::ODD_PARENT)),
    };
    Ok(Span {
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
        trace_id: trace.id,
        span_id: *index.span_ids.get(row).ok_or_else(missing)?,
        parent,
        trace_state: cells.text(span_field::TRACE_STATE),
        flags: class.flags,
        name: index.strings.get(class.name as usize).ok_or_else(missing)?.clone(),
        kind: class.kind,
        start,
        end: *index.ends.get(row).ok_or_else(missing)?,
        status: status(&class, &mut cells),
        dropped_attributes_count: cells.count(span_field::DROPPED_ATTRIBUTES),
        dropped_events_count: cells.count(span_field::DROPPED_EVENTS),
        dropped_links_count: cells.count(span_field::DROPPED_LINKS),
        unknown: cells.text(span_field::UNKNOWN),
        attributes: cells.attributes,
        events: events(index, details, &class, start, places)?,
        links: links(index, details, &class, places)?,
    })
}

fn status(class: &Class, cells: &mut Cells) -> Option<Status> {
    class.bare_status().map(|bare| Status {
        message: cells.text(span_field::STATUS_MESSAGE),
        unknown: cells.text(span_field::STATUS_UNKNOWN),
        ..bare
    })
}

fn events(
    index: &Index,
    details: &Details,
    class: &Class,
    start: Timestamp,
    places: &mut Places,
) -> Result<Vec<Event>, BatchError> {
    let malformed = SectionId::Details.malformed();
    let missing = || malformed(ColumnError::new("no such event"));
    (0..class.event_count)
        .map(|_| {
            let place = places.event;
            places.event += 1;
            let code = *details.event_codes.get(place).ok_or_else(missing)?;
            let event = *details.event_classes.get(code as usize).ok_or_else(missing)?;
            let gap = *details.event_times.get(place).ok_or_else(missing)?;
            let mut cells = Cells::read(index, &details.columns, event.shape, places)?;
            Ok(Event {
                time: Timestamp(start.0.wrapping_add(unzigzag(gap).cast_unsigned())),
                name: index.strings.get(event.name as usize).ok_or_else(missing)?.clone(),
                dropped_attributes_count: cells.count(event_field::DROPPED_ATTRIBUTES),
                unknown: cells.text(event_field::UNKNOWN),
                attributes: cells.attributes,
            })
        })
        .collect()
}

fn links(
    index: &Index,
    details: &Details,
    class: &Class,
    places: &mut Places,
) -> Result<Vec<Link>, BatchError> {
    let malformed = SectionId::DetailsRaw.malformed();
    let missing = || malformed(ColumnError::new("no such link"));
    (0..class.link_count)
        .map(|_| {
            let code = *details.link_codes.get(places.link).ok_or_else(missing)?;
            places.link += 1;
            let link = *details.link_classes.get(code as usize).ok_or_else(missing)?;
            let mut id = |length: u32| {
                let range = places.link_id..places.link_id.saturating_add(length as usize);
                places.link_id = range.end;
                (range.end <= details.link_ids.len())
                    .then(|| Text::from(details.link_ids.slice(range)))
                    .ok_or_else(missing)
            };
            let trace_id = id(link.trace_id_length)?;
            let span_id = id(link.span_id_length)?;
            let mut cells = Cells::read(index, &details.columns, link.shape, places)?;
            Ok(Link {
                trace_id,
                span_id,
                flags: link.flags,
                trace_state: cells.text(link_field::TRACE_STATE),
                dropped_attributes_count: cells.count(link_field::DROPPED_ATTRIBUTES),
                unknown: cells.text(link_field::UNKNOWN),
                attributes: cells.attributes,
            })
        })
        .collect()
}

const _: () = assert!(ValueType::ALL.len() <= 16, "part and type share a byte");
