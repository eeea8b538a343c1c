//! The first pass: everything that can refuse a request or a span.

use model::sink::PartSize;
use model::{SpanId, TraceId};

use super::attribute::{Notes, Piece, check_attribute};
use super::plan::{
    GroupPlace, NONE, Part, Plan, Range, Rejection, ScopePlace, SpanParts, SpanPlace,
};
use crate::limits;
use crate::otlp::normal::normalise;
use crate::otlp::schema::{self, Message};
use crate::otlp::wire::{Reader, WireError, low_u32};

/// Why a request is refused whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It is not a protobuf message.
    #[error("not a well-formed OTLP message: {0}")]
    Malformed(#[from] WireError),
    /// It is larger than any request may be.
    #[error("the request is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It has too many spans for one request.
    #[error("the request has more than {} spans", limits::REQUEST_SPANS_MAX)]
    TooManySpans,
    /// It has too many resources and scopes for one request.
    #[error("the request has more than {} resources and scopes", limits::REQUEST_GROUPS_MAX)]
    TooManyGroups,
}

/// Where spans go: [`model::SpanSink`]'s view of it.
#[derive(Debug)]
pub struct Partitioning<P> {
    /// The partition of a trace, below `count`.
    pub of: P,
    /// How many partitions there are.
    pub count: u32,
}

/// Largest request whose places, and those of its rewritten parts (at most four copies of it),
/// fit into 32 bits.
const ADDRESSABLE_BYTES: usize = 1 << 29;

/// Checks a whole `ExportTraceServiceRequest` (or `TracesData`, the same on the wire) and notes
/// in `plan` what it holds. After an error the plan is empty.
pub fn check<P: Fn(TraceId) -> u32>(
    request: &[u8],
    partitioning: &Partitioning<P>,
    plan: &mut Plan,
) -> Result<(), CheckError> {
    plan.clear(0);
    if request.len() > ADDRESSABLE_BYTES {
        return Err(CheckError::TooLarge { bytes_max: ADDRESSABLE_BYTES });
    }
    plan.clear(place(request.len()));
    let mut checker = Checker { partitioning, plan, last: None };
    let checked = checker.request(request);
    if checked.is_ok() {
        plan.chain(partitioning.count);
    } else {
        plan.clear(0);
    }
    checked
}

/// A place in the request or the scratch space as 32 bits.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A message and where it lies in the request.
#[derive(Clone, Copy)]
struct Located<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Located<'a> {
    /// The message with a length that `reader`, reading `self`, is about to read.
    fn next(&self, reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let bytes = reader.bytes()?;
        Ok(Self { bytes, at: self.at + reader.position() - bytes.len() })
    }

    fn range(&self) -> Range {
        self.part(0, self.bytes.len())
    }

    fn part(&self, start: usize, end: usize) -> Range {
        Range { start: place(self.at + start), end: place(self.at + end) }
    }
}

struct Checker<'p, P> {
    partitioning: &'p Partitioning<P>,
    plan: &'p mut Plan,
    /// The trace of the previous span and its partition: neighbours often share a trace.
    last: Option<(TraceId, u32)>,
}

impl<P: Fn(TraceId) -> u32> Checker<'_, P> {
    fn request(&mut self, request: &[u8]) -> Result<(), CheckError> {
        let whole = Located { bytes: request, at: 0 };
        let mut reader = Reader::new(request);
        while !reader.is_at_end() {
            match reader.tag()? {
                0x0a => self.resource_spans(whole.next(&mut reader)?)?,
                tag => reader.skip(tag)?,
            }
        }
        Ok(())
    }

    fn resource_spans(&mut self, message: Located<'_>) -> Result<(), CheckError> {
        let (first_span, first_scope) = (self.plan.spans.len(), self.plan.scopes.len());
        let resource = place(self.plan.resources.len());
        let group = self.group(message, scan_resource, |checker, scope_spans| {
            checker.scope_spans(scope_spans, resource)
        })?;
        if self.plan.spans.len() == first_span {
            return Ok(());
        }
        if group.is_over_limit() {
            self.plan.scopes.truncate(first_scope);
            self.reject_from(first_span);
            return Ok(());
        }
        let (group, _) = self.group_place(message, &group, &schema::RESOURCE, scan_resource)?;
        self.plan.resources.push(group);
        self.check_group_count()
    }

    fn scope_spans(&mut self, message: Located<'_>, resource: u32) -> Result<(), CheckError> {
        let first_span = self.plan.spans.len();
        let scope = place(self.plan.scopes.len());
        let group = self.group(message, scan_scope, |checker, span| checker.span(span, scope))?;
        if self.plan.spans.len() == first_span {
            return Ok(());
        }
        if group.is_over_limit() {
            self.reject_from(first_span);
            return Ok(());
        }
        let (group, head) = self.group_place(message, &group, &schema::SCOPE, scan_scope)?;
        let within = |(start, end): (usize, usize)| Range {
            start: group.message.start + place(start),
            end: group.message.start + place(end),
        };
        let (name, version) = (within(head.name), within(head.version));
        self.plan.scopes.push(ScopePlace { resource, group, name, version });
        self.check_group_count()
    }

    fn check_group_count(&self) -> Result<(), CheckError> {
        let groups = self.plan.scopes.len() + self.plan.resources.len();
        if groups > limits::REQUEST_GROUPS_MAX { Err(CheckError::TooManyGroups) } else { Ok(()) }
    }

    fn reject_from(&mut self, first_span: usize) {
        let spans = self.plan.spans.len().saturating_sub(first_span);
        self.plan.rejected.add(Rejection::Group, spans as u64);
        self.plan.spans.truncate(first_span);
    }

    /// Goes over `ResourceSpans` or `ScopeSpans`: both have a head in field 1, children in 2 and
    /// a schema URL in 3.
    fn group<'a>(
        &mut self,
        message: Located<'a>,
        scan_head: ScanHead,
        mut child: impl FnMut(&mut Self, Located<'a>) -> Result<(), CheckError>,
    ) -> Result<Group, CheckError> {
        let mut group = Group::default();
        let mut reader = Reader::new(message.bytes);
        while !reader.is_at_end() {
            let start = reader.position();
            let tag = reader.tag()?;
            if tag == 0x12 {
                child(self, message.next(&mut reader)?)?;
                continue;
            }
            match tag {
                0x0a => {
                    let head = message.next(&mut reader)?;
                    scan_head(head.bytes, &mut group.notes)?;
                    group.heads += 1;
                    group.head = head.range();
                }
                0x1a => group.schema_url = message.next(&mut reader)?.range(),
                _ => {
                    reader.skip(tag)?;
                    group.is_unknown_split |= !group.unknown.note(start, reader.position());
                }
            }
            group.identity_bytes += reader.position() - start;
            group.is_identity_split |= !group.identity.note(start, reader.position());
        }
        Ok(group)
    }

    /// Where the parts of a group lie, after what is scattered or rare was rewritten.
    fn group_place(
        &mut self,
        message: Located<'_>,
        group: &Group,
        head_schema: &'static Message,
        scan_head: ScanHead,
    ) -> Result<(GroupPlace, Head), CheckError> {
        let gather = |checker: &mut Self, is_split: bool, bounds: (usize, usize), keep: Keep| {
            if is_split {
                checker.gather(message.bytes, keep)
            } else {
                message.part(bounds.0, bounds.1)
            }
        };
        let identity =
            gather(self, group.is_identity_split, group.identity.bounds(), |tag| tag != 0x12);
        let group_unknown =
            gather(self, group.is_unknown_split, group.unknown.bounds(), is_group_unknown);

        let mut head_message = group.head;
        let mut bytes = message.bytes.get(group.head_bounds(message)).unwrap_or_default();
        let normal;
        if group.heads > 1 || group.notes.rare {
            let merged = merged_heads(message.bytes)?;
            (head_message, normal) = self.rewrite(head_schema, &merged);
            bytes = &normal;
        }
        let head = scan_head(bytes, &mut Notes::default())?;
        let (start, end) = head.unknown.bounds();
        let place = GroupPlace {
            identity,
            message: head_message,
            present: group.heads > 0,
            schema_url: group.schema_url,
            unknown: Range {
                start: head_message.start + place(start),
                end: head_message.start + place(end),
            },
            group_unknown,
            dropped_attributes_count: head.dropped_attributes_count,
        };
        Ok((place, head))
    }

    /// Copies the fields that `keep` wants to the scratch space.
    fn gather(&mut self, message: &[u8], keep: Keep) -> Range {
        let start = self.scratch_end();
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            let field = reader.position();
            let Ok(tag) = reader.tag() else { break };
            if reader.skip(tag).is_err() {
                break;
            }
            if keep(tag) {
                self.plan.scratch.bytes.extend_from_slice(reader.since(field));
            }
        }
        Range { start, end: self.scratch_end() }
    }

    /// Brings a message into its usual form, in the scratch space, and gives a copy.
    fn rewrite(&mut self, schema: &'static Message, message: &[u8]) -> (Range, Vec<u8>) {
        let start = self.scratch_end();
        let before = self.plan.scratch.bytes.len();
        normalise(schema, message, &mut self.plan.scratch);
        let copy = self.plan.scratch.bytes.get(before..).unwrap_or_default().to_vec();
        (Range { start, end: self.scratch_end() }, copy)
    }

    fn scratch_end(&self) -> u32 {
        self.plan.request_bytes + place(self.plan.scratch.bytes.len())
    }

    fn span(&mut self, message: Located<'_>, scope: u32) -> Result<(), CheckError> {
        let span = scan_span(message.bytes)?;
        let trace_id = match span.accept(message.bytes.len()) {
            Ok(trace_id) => trace_id,
            Err(rejection) => {
                self.plan.rejected.add(rejection, 1);
                return Ok(());
            }
        };
        if self.plan.spans.len() >= limits::REQUEST_SPANS_MAX {
            return Err(CheckError::TooManySpans);
        }
        let partition = match self.last {
            Some((last, partition)) if last == trace_id => partition,
            _ => (self.partitioning.of)(trace_id),
        };
        self.last = Some((trace_id, partition));
        let (message, parts) = if span.notes.rare {
            let (range, normal) = self.rewrite(&schema::SPAN, message.bytes);
            (range, scan_span(&normal)?.parts())
        } else {
            (message.range(), span.parts())
        };
        self.plan.spans.push(SpanPlace { message, parts, scope, partition, next: NONE });
        Ok(())
    }
}

type Keep = fn(u32) -> bool;
type ScanHead = fn(&[u8], &mut Notes) -> Result<Head, WireError>;

fn is_group_unknown(tag: u32) -> bool {
    !matches!(tag, 0x0a | 0x12 | 0x1a)
}

/// The head messages of a group, one after the other: merged, as protobuf means it.
fn merged_heads(message: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut merged = Vec::new();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        match reader.tag()? {
            0x0a => merged.extend_from_slice(reader.bytes()?),
            tag => reader.skip(tag)?,
        }
    }
    Ok(merged)
}

/// What stands in a group besides its children.
#[derive(Default)]
struct Group {
    heads: usize,
    /// The last head.
    head: Range,
    schema_url: Range,
    identity: Piece,
    identity_bytes: usize,
    is_identity_split: bool,
    unknown: Piece,
    is_unknown_split: bool,
    notes: Notes,
}

impl Group {
    fn is_over_limit(&self) -> bool {
        self.identity_bytes > limits::GROUP_BYTES_MAX
            || self.notes.attributes > limits::SPAN_ATTRIBUTES_MAX
            || self.notes.key_bytes > limits::KEY_BYTES_MAX
    }

    /// Where the head stands within the group's message.
    fn head_bounds(&self, message: Located<'_>) -> std::ops::Range<usize> {
        let within = |at: u32| (at as usize).saturating_sub(message.at);
        within(self.head.start)..within(self.head.end)
    }
}

/// A resource or scope, without its attributes.
#[derive(Default)]
struct Head {
    name: (usize, usize),
    version: (usize, usize),
    dropped_attributes_count: u32,
    unknown: Piece,
}

fn scan_resource(message: &[u8], notes: &mut Notes) -> Result<Head, WireError> {
    let mut head = Head::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x0a => check_attribute(reader.bytes()?, notes)?,
            0x10 => head.dropped_attributes_count = low_u32(reader.varint()?),
            tag => {
                reader.skip(tag)?;
                notes.rare |= !head.unknown.note(start, reader.position());
            }
        }
    }
    Ok(head)
}

fn scan_scope(message: &[u8], notes: &mut Notes) -> Result<Head, WireError> {
    let mut head = Head::default();
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        let text = |bytes: &[u8], end: usize| (end - bytes.len(), end);
        match reader.tag()? {
            0x0a => head.name = text(reader.bytes()?, reader.position()),
            0x12 => head.version = text(reader.bytes()?, reader.position()),
            0x1a => check_attribute(reader.bytes()?, notes)?,
            0x20 => head.dropped_attributes_count = low_u32(reader.varint()?),
            tag => {
                reader.skip(tag)?;
                notes.rare |= !head.unknown.note(start, reader.position());
            }
        }
    }
    Ok(head)
}

/// What the check needs to know of a span.
#[derive(Default)]
struct SpanScan<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attribute_fields: Piece,
    events: usize,
    event_fields: Piece,
    links: usize,
    link_fields: Piece,
    notes: Notes,
}

impl SpanScan<'_> {
    fn parts(&self) -> SpanParts {
        let range = |piece: &Piece| {
            let (start, end) = piece.bounds();
            Range { start: place(start), end: place(end) }
        };
        SpanParts {
            attributes: range(&self.attribute_fields),
            events: range(&self.event_fields),
            links: range(&self.link_fields),
        }
    }

    /// The span's trace, unless the span has to be rejected.
    fn accept(&self, span_bytes: usize) -> Result<TraceId, Rejection> {
        let trace_id = TraceId::from_slice(self.trace_id).filter(|id| !id.is_zero());
        let trace_id = trace_id.ok_or(Rejection::TraceId)?;
        let span_id = SpanId::from_slice(self.span_id).filter(|id| !id.is_zero());
        span_id.ok_or(Rejection::SpanId)?;
        let limits = [
            (span_bytes, limits::SPAN_BYTES_MAX, Rejection::SpanBytes),
            (self.notes.attributes, limits::SPAN_ATTRIBUTES_MAX, Rejection::Attributes),
            (self.events, limits::SPAN_EVENTS_MAX, Rejection::Events),
            (self.links, limits::SPAN_LINKS_MAX, Rejection::Links),
            (self.notes.key_bytes, limits::KEY_BYTES_MAX, Rejection::Key),
        ];
        match limits.iter().find(|(found, max, _)| found > max) {
            Some((_, _, rejection)) => Err(*rejection),
            None => Ok(trace_id),
        }
    }
}

fn scan_span(message: &[u8]) -> Result<SpanScan<'_>, WireError> {
    let mut span = SpanScan::default();
    let (mut statuses, mut unknown) = (0_usize, Piece::default());
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x0a => span.trace_id = reader.bytes()?,
            0x12 => span.span_id = reader.bytes()?,
            0x1a | 0x22 | 0x2a => drop(reader.bytes()?),
            0x30 | 0x50 | 0x60 | 0x70 => drop(reader.varint()?),
            0x39 | 0x41 => drop(reader.fixed64()?),
            0x4a => {
                check_attribute(reader.bytes()?, &mut span.notes)?;
                while let Some(pair) = reader.short(0x4a) {
                    check_attribute(pair, &mut span.notes)?;
                }
                span.notes.rare |= !span.attribute_fields.note(start, reader.position());
            }
            0x5a => {
                span.events += 1;
                check_event(reader.bytes()?, &mut span.notes)?;
                span.notes.rare |= !span.event_fields.note(start, reader.position());
            }
            0x6a => {
                span.links += 1;
                check_link(reader.bytes()?, &mut span.notes)?;
                span.notes.rare |= !span.link_fields.note(start, reader.position());
            }
            0x7a => {
                statuses += 1;
                check_status(reader.bytes()?, &mut span.notes)?;
            }
            0x85 => drop(reader.fixed32()?),
            tag => {
                reader.skip(tag)?;
                span.notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    span.notes.rare |= statuses > 1;
    Ok(span)
}

fn check_event(event: &[u8], notes: &mut Notes) -> Result<(), WireError> {
    let mut unknown = Piece::default();
    let mut reader = Reader::new(event);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x09 => drop(reader.fixed64()?),
            0x12 => drop(reader.bytes()?),
            0x1a => check_attribute(reader.bytes()?, notes)?,
            0x20 => drop(reader.varint()?),
            tag => {
                reader.skip(tag)?;
                notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    Ok(())
}

fn check_link(link: &[u8], notes: &mut Notes) -> Result<(), WireError> {
    let mut unknown = Piece::default();
    let mut reader = Reader::new(link);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x0a | 0x12 | 0x1a => drop(reader.bytes()?),
            0x22 => check_attribute(reader.bytes()?, notes)?,
            0x28 => drop(reader.varint()?),
            0x35 => drop(reader.fixed32()?),
            tag => {
                reader.skip(tag)?;
                notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    Ok(())
}

fn check_status(status: &[u8], notes: &mut Notes) -> Result<(), WireError> {
    let mut unknown = Piece::default();
    let mut reader = Reader::new(status);
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x12 => drop(reader.bytes()?),
            0x18 => drop(reader.varint()?),
            tag => {
                reader.skip(tag)?;
                notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    Ok(())
}

impl Plan {
    /// Links the spans of each partition, in order.
    fn chain(&mut self, partition_count: u32) {
        let empty = PartSize { spans: 0, bytes: 0 };
        let part = Part { first: NONE, last: NONE, size: empty };
        self.parts.resize(partition_count.max(1) as usize, part);
        let last_part = partition_count.saturating_sub(1);
        for index in 0..self.spans.len() {
            let Some(&SpanPlace { partition, message, .. }) = self.spans.get(index) else { break };
            // A partition that does not exist breaks the sink's contract; no span is lost to it.
            let Some(part) = self.parts.get_mut(partition.min(last_part) as usize) else { break };
            let previous = std::mem::replace(&mut part.last, place(index));
            part.size.spans += 1;
            part.size.bytes += (message.end - message.start) as usize;
            if part.first == NONE {
                part.first = place(index);
            } else if let Some(previous) = self.spans.get_mut(previous as usize) {
                previous.next = place(index);
            }
        }
    }
}
