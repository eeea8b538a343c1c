//! A batch under construction: spans as they come.
//!
//! This runs under a lock that every request of a shard waits for, so it does as little as it
//! can: keys become numbers, everything else is copied. Sorting, finding equal values and
//! compressing are [`super::Encoder`]'s, after the lock is released.

use hashbrown::HashTable;
use twox_hash::XxHash3_128;

use super::class::{ColumnKey, Part, event_field, link_field, span_field};
use super::intern::{Interner, mix};
use crate::hash_seed;
use crate::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead, SpanVisitor};
use crate::store::RequestDigest;
use crate::value::{ValueRef, ValueType};
use crate::{SpanId, Tenant, TraceId};

/// What a value, an event or link, and a resource or scope count among the payload besides their
/// text: about what they take to pack, and a quarter of what they take unpacked. Usual spans have
/// more text than that.
const CELL_BYTES: usize = 4;
const DETAIL_BYTES: usize = 8;
const GROUP_BYTES: usize = 64;

/// Spans of one shard and tenant, in order of arrival.
#[derive(Debug)]
pub struct Builder {
    tenant: Tenant,
    /// See [`hash_seed`].
    seed: u64,
    pub(super) strings: Interner,
    pub(super) columns: Vec<ColumnEntry>,
    column_table: HashTable<u32>,
    /// The column that was used last: where to look first for the next one.
    last_column: u32,
    pub(super) resources: Vec<GroupRow>,
    pub(super) scopes: Vec<GroupRow>,
    resource_table: HashTable<(u128, u32)>,
    scope_table: HashTable<(u128, u32)>,
    pub(super) group_cells: Vec<Cell>,
    /// Bytes of text that resources and scopes hold themselves.
    group_bytes: usize,
    pub(super) resource: u32,
    pub(super) scope: u32,
    target: Target,
    pub(super) requests: Vec<RequestDigest>,
    pub(super) spans: Vec<SpanRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) links: Vec<LinkRow>,
    pub(super) cells: Vec<Cell>,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Nothing,
    Resource,
    Scope,
    Span,
    Event,
    Link,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnEntry {
    pub(super) key: ColumnKey,
    /// The column that followed this one the last time; usually it does again.
    next: u32,
}

/// A value: its column and either a number or a stretch of `bytes`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) column: u32,
    pub(super) length: u32,
    pub(super) payload: u64,
}

/// A resource or a scope. Its cells' `column` is the key's place in the dictionary, and their
/// types stand in `types`.
#[derive(Debug)]
pub(super) struct GroupRow {
    pub(super) present: bool,
    pub(super) name: Vec<u8>,
    pub(super) version: Vec<u8>,
    pub(super) schema_url: Vec<u8>,
    pub(super) dropped_attributes_count: u32,
    pub(super) unknown: Vec<u8>,
    pub(super) group_unknown: Vec<u8>,
    pub(super) cells: std::ops::Range<usize>,
    pub(super) types: Vec<ValueType>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SpanRow {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) parent: RowParent,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) name: u32,
    pub(super) kind: i32,
    pub(super) flags: u32,
    pub(super) status: Option<i32>,
    pub(super) resource: u32,
    pub(super) scope: u32,
    pub(super) request: u32,
    pub(super) cells_start: u32,
    pub(super) cells_end: u32,
    pub(super) events_start: u32,
    pub(super) events_end: u32,
    pub(super) links_start: u32,
    pub(super) links_end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowParent {
    None,
    Id(SpanId),
    /// The bytes are in a field of the span.
    Odd,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct EventRow {
    pub(super) time: u64,
    pub(super) name: u32,
    pub(super) cells_start: u32,
    pub(super) cells_end: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LinkRow {
    pub(super) trace_id: (u32, u32),
    pub(super) span_id: (u32, u32),
    pub(super) flags: u32,
    pub(super) cells_start: u32,
    pub(super) cells_end: u32,
}

impl Builder {
    /// An empty batch of a tenant.
    pub fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            seed: hash_seed::get(),
            strings: Interner::default(),
            columns: Vec::new(),
            column_table: HashTable::new(),
            last_column: 0,
            resources: Vec::new(),
            scopes: Vec::new(),
            resource_table: HashTable::new(),
            scope_table: HashTable::new(),
            group_cells: Vec::new(),
            group_bytes: 0,
            resource: 0,
            scope: 0,
            target: Target::Nothing,
            requests: Vec::new(),
            spans: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            cells: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Empties the builder for another tenant, keeping its room.
    pub fn reset(&mut self, tenant: Tenant) {
        self.tenant = tenant;
        self.strings.clear();
        self.columns.clear();
        self.column_table.clear();
        self.resources.clear();
        self.scopes.clear();
        self.resource_table.clear();
        self.scope_table.clear();
        self.group_cells.clear();
        self.group_bytes = 0;
        self.requests.clear();
        self.spans.clear();
        self.events.clear();
        self.links.clear();
        self.cells.clear();
        self.bytes.clear();
        self.last_column = 0;
    }

    /// Whose spans these are.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The spans that follow belong to the request of this digest.
    pub fn begin_request(&mut self, digest: RequestDigest) {
        if self.requests.last() != Some(&digest) {
            self.requests.push(digest);
        }
    }

    /// How many spans there are.
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// What says whether the batch is full: the bytes of text that were copied in or, if that is
    /// more, what there is besides text. Text alone is nothing for a span with thousands of events
    /// that say nothing, or of numbers: they pack to nearly nothing, and whoever unpacks them needs
    /// room for each.
    pub fn payload_bytes(&self) -> usize {
        let text = self.bytes.len() + self.strings.bytes() + self.group_bytes;
        let cells = self.cells.len() + self.group_cells.len();
        let details = self.events.len() + self.links.len();
        let groups = self.resources.len() + self.scopes.len();
        text.max(cells * CELL_BYTES + details * DETAIL_BYTES + groups * GROUP_BYTES)
    }

    /// Roughly how much memory the spans take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
            + self.strings.bytes()
            + size_of_val(self.cells.as_slice())
            + size_of_val(self.spans.as_slice())
            + size_of_val(self.events.as_slice())
            + size_of_val(self.links.as_slice())
    }

    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    fn store_bytes(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        (start, bytes.len() as u32)
    }

    fn push_cell(&mut self, column: u32, value: ValueRef<'_>) {
        let cell = self.cell(column, value);
        self.cells.push(cell);
    }

    #[expect(clippy::cast_sign_loss, reason = "the reader takes the same bits as signed")]
    fn cell(&mut self, column: u32, value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Missing | ValueRef::Empty => Cell { column, length: 0, payload: 0 },
            ValueRef::Bool(value) => Cell { column, length: 0, payload: u64::from(value) },
            ValueRef::Int(value) => Cell { column, length: 0, payload: value as u64 },
            ValueRef::Double(value) => {
                let (start, length) = self.store_bytes(&value.to_bits().to_le_bytes());
                Cell { column, length, payload: u64::from(start) }
            }
            ValueRef::String(bytes)
            | ValueRef::Bytes(bytes)
            | ValueRef::Array(bytes)
            | ValueRef::KeyValueList(bytes)
            | ValueRef::Opaque(bytes)
            | ValueRef::OpaquePair(bytes) => {
                let (start, length) = self.store_bytes(bytes);
                Cell { column, length, payload: u64::from(start) }
            }
        }
    }

    /// The column of an attribute, guessed from what followed the last one before.
    fn attribute_column(&mut self, part: Part, value_type: ValueType, key: &[u8]) -> u32 {
        let guess = self.columns.get(self.last_column as usize).map_or(0, |entry| entry.next);
        if let Some(entry) = self.columns.get(guess as usize)
            && entry.key.part == part
            && entry.key.value_type == value_type
            && self.strings.get(entry.key.key) == key
        {
            self.last_column = guess;
            return guess;
        }
        let key = self.strings.intern(key);
        self.column(ColumnKey { part, value_type, key })
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer columns than cells")]
    pub(super) fn column(&mut self, key: ColumnKey) -> u32 {
        let Self { columns, column_table, .. } = self;
        let same = |column: &u32| columns.get(*column as usize).is_some_and(|old| old.key == key);
        let column = if let Some(column) = column_table.find(hash_of(key), same) {
            *column
        } else {
            let column = columns.len() as u32;
            columns.push(ColumnEntry { key, next: column });
            let rehash =
                |old: &u32| columns.get(*old as usize).map_or(0, |entry| hash_of(entry.key));
            column_table.insert_unique(hash_of(key), column, rehash);
            column
        };
        if let Some(previous) = columns.get_mut(self.last_column as usize) {
            previous.next = column;
        }
        self.last_column = column;
        column
    }

    fn field(&mut self, part: Part, key: u32, value: ValueRef<'_>) {
        let column = self.column(ColumnKey { part, value_type: value.value_type(), key });
        self.push_cell(column, value);
    }

    fn text_field(&mut self, part: Part, key: u32, text: &[u8]) {
        if !text.is_empty() {
            self.field(part, key, ValueRef::String(text));
        }
    }

    fn count_field(&mut self, part: Part, key: u32, count: u32) {
        if count != 0 {
            self.field(part, key, ValueRef::Int(i64::from(count)));
        }
    }

    fn group_attribute(&mut self, key: &[u8], value: ValueRef<'_>) {
        let key = self.strings.intern(key);
        let cell = self.cell(key, value);
        self.group_cells.push(cell);
        let rows = match self.target {
            Target::Scope => &mut self.scopes,
            _ => &mut self.resources,
        };
        if let Some(row) = rows.last_mut() {
            row.cells.end = self.group_cells.len();
            row.types.push(value.value_type());
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    fn cells_end(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Whatever was begun last gets its end.
    fn close_target(&mut self) {
        let end = self.cells_end();
        match self.target {
            Target::Nothing | Target::Resource | Target::Scope => {}
            Target::Span => {
                if let Some(span) = self.spans.last_mut() {
                    span.cells_end = end;
                }
            }
            Target::Event => {
                if let Some(event) = self.events.last_mut() {
                    event.cells_end = end;
                }
            }
            Target::Link => {
                if let Some(link) = self.links.last_mut() {
                    link.cells_end = end;
                }
            }
        }
    }
}

fn hash_of(key: ColumnKey) -> u64 {
    mix(u64::from(key.key) << 16 | (key.part as u64) << 8 | key.value_type as u64)
}

#[expect(clippy::cast_possible_truncation, reason = "fewer groups than spans")]
fn find_group(table: &mut HashTable<(u128, u32)>, identity: u128, count: usize) -> (u32, bool) {
    let hash = identity as u64;
    if let Some((_, group)) = table.find(hash, |(old, _)| *old == identity) {
        return (*group, true);
    }
    let group = count as u32;
    table.insert_unique(hash, (identity, group), |(old, _)| *old as u64);
    (group, false)
}

impl SpanVisitor for Builder {
    fn resource(&mut self, head: &ResourceHead<'_>) -> Interned {
        let identity = XxHash3_128::oneshot_with_seed(self.seed, head.identity);
        let (resource, known) =
            find_group(&mut self.resource_table, identity, self.resources.len());
        self.resource = resource;
        if known {
            return Interned::Known;
        }
        let cells = self.group_cells.len()..self.group_cells.len();
        self.group_bytes += head.schema_url.len() + head.unknown.len() + head.group_unknown.len();
        self.target = Target::Resource;
        self.resources.push(GroupRow {
            present: head.present,
            name: Vec::new(),
            version: Vec::new(),
            schema_url: head.schema_url.to_vec(),
            dropped_attributes_count: head.dropped_attributes_count,
            unknown: head.unknown.to_vec(),
            group_unknown: head.group_unknown.to_vec(),
            cells,
            types: Vec::new(),
        });
        Interned::New
    }

    fn scope(&mut self, head: &ScopeHead<'_>) -> Interned {
        let identity = XxHash3_128::oneshot_with_seed(self.seed, head.identity);
        let (scope, known) = find_group(&mut self.scope_table, identity, self.scopes.len());
        self.scope = scope;
        if known {
            return Interned::Known;
        }
        let cells = self.group_cells.len()..self.group_cells.len();
        self.group_bytes += head.name.len() + head.version.len() + head.schema_url.len();
        self.group_bytes += head.unknown.len() + head.group_unknown.len();
        self.target = Target::Scope;
        self.scopes.push(GroupRow {
            present: head.present,
            name: head.name.to_vec(),
            version: head.version.to_vec(),
            schema_url: head.schema_url.to_vec(),
            dropped_attributes_count: head.dropped_attributes_count,
            unknown: head.unknown.to_vec(),
            group_unknown: head.group_unknown.to_vec(),
            cells,
            types: Vec::new(),
        });
        Interned::New
    }

    fn end_group(&mut self) {
        self.target = Target::Nothing;
    }

    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    fn span(&mut self, span: &SpanHead<'_>) {
        let parent = match span.parent {
            [] => RowParent::None,
            id => SpanId::from_slice(id).map_or(RowParent::Odd, RowParent::Id),
        };
        let name = self.strings.intern(span.name);
        let (cells, events, links) =
            (self.cells_end(), self.events.len() as u32, self.links.len() as u32);
        self.target = Target::Span;
        self.spans.push(SpanRow {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent,
            start: span.start,
            end: span.end,
            name,
            kind: span.kind,
            flags: span.flags,
            status: span.status.map(|status| status.code),
            resource: self.resource,
            scope: self.scope,
            request: self.requests.len().saturating_sub(1) as u32,
            cells_start: cells,
            cells_end: cells,
            events_start: events,
            events_end: events,
            links_start: links,
            links_end: links,
        });
        let part = Part::SpanField;
        self.text_field(part, span_field::TRACE_STATE, span.trace_state);
        if let Some(status) = &span.status {
            self.text_field(part, span_field::STATUS_MESSAGE, status.message);
            self.text_field(part, span_field::STATUS_UNKNOWN, status.unknown);
        }
        self.count_field(part, span_field::DROPPED_ATTRIBUTES, span.dropped_attributes_count);
        self.count_field(part, span_field::DROPPED_EVENTS, span.dropped_events_count);
        self.count_field(part, span_field::DROPPED_LINKS, span.dropped_links_count);
        self.text_field(part, span_field::UNKNOWN, span.unknown);
        if parent == RowParent::Odd {
            self.text_field(part, span_field::ODD_PARENT, span.parent);
        }
    }

    #[inline]
    fn attribute(&mut self, key: &[u8], value: ValueRef<'_>) {
        let part = match self.target {
            Target::Span => Part::Span,
            Target::Event => Part::Event,
            Target::Link => Part::Link,
            Target::Nothing => return,
            Target::Resource | Target::Scope => {
                self.group_attribute(key, value);
                return;
            }
        };
        let column = self.attribute_column(part, value.value_type(), key);
        self.push_cell(column, value);
    }

    fn event(&mut self, event: &EventHead<'_>) {
        self.close_target();
        self.target = Target::Event;
        let name = self.strings.intern(event.name);
        let cells = self.cells_end();
        self.events.push(EventRow { time: event.time, name, cells_start: cells, cells_end: cells });
        let part = Part::EventField;
        self.count_field(part, event_field::DROPPED_ATTRIBUTES, event.dropped_attributes_count);
        self.text_field(part, event_field::UNKNOWN, event.unknown);
    }

    fn link(&mut self, link: &LinkHead<'_>) {
        self.close_target();
        self.target = Target::Link;
        let trace_id = self.store_bytes(link.trace_id);
        let span_id = self.store_bytes(link.span_id);
        let cells = self.cells_end();
        self.links.push(LinkRow {
            trace_id,
            span_id,
            flags: link.flags,
            cells_start: cells,
            cells_end: cells,
        });
        let part = Part::LinkField;
        self.text_field(part, link_field::TRACE_STATE, link.trace_state);
        self.count_field(part, link_field::DROPPED_ATTRIBUTES, link.dropped_attributes_count);
        self.text_field(part, link_field::UNKNOWN, link.unknown);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a builder closes far below 4 GiB")]
    fn end_span(&mut self) {
        self.close_target();
        self.target = Target::Nothing;
        let (events, links) = (self.events.len() as u32, self.links.len() as u32);
        if let Some(span) = self.spans.last_mut() {
            span.events_end = events;
            span.links_end = links;
        }
    }
}
