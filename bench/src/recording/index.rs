//! The index over recorded messages: where each span's bytes are, and what it belongs to.
//!
//! A resource is everything of a `ResourceSpans` but its `scope_spans`, and a scope everything of a
//! `ScopeSpans` but its `spans`: schema URLs and unknown fields travel with them. Equal ones are
//! kept once, so spans of one resource meet again in a request however they were recorded.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, ensure};

use super::framing::{InputFormat, read_messages};
use crate::limits::RECORDING_SPANS_MAX;
use crate::wire::{fields, fixed64};

/// Recorded traces, in memory.
#[derive(Debug, Default)]
pub struct Recording {
    bytes: Vec<u8>,
    spans: Vec<SpanRecord>,
    message_ends: Vec<u32>,
    resources: Interner,
    scopes: Interner,
    trace_ids: Interner,
    traces: Vec<TraceFacts>,
    first_start: u64,
    last_end: u64,
}

/// One recorded span.
#[derive(Debug, Clone, Copy)]
pub struct SpanRecord {
    offset: usize,
    length: u32,
    /// Its resource, for [`Recording::resource`].
    pub resource: u32,
    /// Its scope, for [`Recording::scope`].
    pub scope: u32,
    /// Its trace, for [`Recording::traces`].
    pub trace: u32,
}

/// What is known of one recorded trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceFacts {
    /// Its earliest start, in nanoseconds since 1970.
    pub first_start: u64,
    /// Its latest end.
    pub last_end: u64,
    /// The power of ten that divides all its starts: the clock's granularity in nanoseconds.
    pub granularity: u64,
    /// Spans of it.
    pub spans: u32,
}

impl Recording {
    /// Reads files, one after another.
    pub fn open(files: &[PathBuf], format: Option<InputFormat>) -> anyhow::Result<Self> {
        let mut recording = Self::default();
        for file in files {
            for (index, message) in read_messages(file, format)?.iter().enumerate() {
                recording
                    .add(message)
                    .with_context(|| format!("message {index} of {}", file.display()))?;
            }
        }
        Ok(recording)
    }

    /// The same with the spans of each trace together, traces in the order of their first spans,
    /// as one message.
    pub fn by_trace(mut self) -> Self {
        self.spans.sort_by_key(|span| span.trace);
        // No more spans than these numbers count are taken.
        self.message_ends = vec![u32::try_from(self.spans.len()).unwrap_or(u32::MAX)];
        self
    }

    /// Adds the spans of one `ExportTraceServiceRequest` or `TracesData`.
    pub fn add(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(message);
        for field in fields(message) {
            let (field, group) = field?;
            if field.is_bytes(1) {
                self.add_resource_spans(base + field.start, group)?;
            }
        }
        self.message_ends.push(u32::try_from(self.spans.len())?);
        Ok(())
    }

    fn add_resource_spans(&mut self, base: usize, group: &[u8]) -> anyhow::Result<()> {
        let mut rest = Vec::new();
        for field in fields(group) {
            let (field, _) = field?;
            ensure!(field.number != 1000, "spans of OTLP before 0.15 are not read");
            if !field.is_bytes(2) {
                rest.extend_from_slice(group.get(field.whole()).unwrap_or_default());
            }
        }
        let resource = self.resources.intern(&rest)?;
        for field in fields(group) {
            let (field, scope_spans) = field?;
            if field.is_bytes(2) {
                self.add_scope_spans(base + field.start, scope_spans, resource)?;
            }
        }
        Ok(())
    }

    fn add_scope_spans(&mut self, base: usize, group: &[u8], resource: u32) -> anyhow::Result<()> {
        let mut rest = Vec::new();
        for field in fields(group) {
            let (field, _) = field?;
            if !field.is_bytes(2) {
                rest.extend_from_slice(group.get(field.whole()).unwrap_or_default());
            }
        }
        let scope = self.scopes.intern(&rest)?;
        for field in fields(group) {
            let (field, span) = field?;
            if field.is_bytes(2) {
                let trace = self.add_span_facts(span)?;
                let length = u32::try_from(span.len())?;
                let offset = base + field.start;
                self.spans.push(SpanRecord { offset, length, resource, scope, trace });
                ensure!(self.spans.len() <= RECORDING_SPANS_MAX, "too many spans for one load");
            }
        }
        Ok(())
    }

    /// Counts a span into its trace.
    fn add_span_facts(&mut self, span: &[u8]) -> anyhow::Result<u32> {
        let (mut trace_id, mut start, mut end) = (&[][..], 0, 0);
        for field in fields(span) {
            let (field, value) = field?;
            match field.number {
                1 => trace_id = value,
                7 => start = fixed64(value),
                8 => end = fixed64(value),
                _ => {}
            }
        }
        if start != 0 && (self.first_start == 0 || start < self.first_start) {
            self.first_start = start;
        }
        self.last_end = self.last_end.max(end);
        let trace = self.trace_ids.intern(trace_id)?;
        let granularity = granularity(start);
        match self.traces.get_mut(trace as usize) {
            Some(facts) => {
                facts.first_start = facts.first_start.min(start);
                facts.last_end = facts.last_end.max(end);
                facts.granularity = facts.granularity.min(granularity);
                facts.spans += 1;
            }
            None => self.traces.push(TraceFacts {
                first_start: start,
                last_end: end,
                granularity,
                spans: 1,
            }),
        }
        Ok(trace)
    }

    /// All spans in the recording's order.
    pub fn spans(&self) -> &[SpanRecord] {
        &self.spans
    }

    /// The bytes of a span's message.
    pub fn span_bytes(&self, span: &SpanRecord) -> &[u8] {
        self.bytes.get(span.offset..span.offset + span.length as usize).unwrap_or_default()
    }

    /// The fields of a `ResourceSpans` other than its scopes' spans.
    pub fn resource(&self, resource: u32) -> &[u8] {
        self.resources.get(resource)
    }

    /// The fields of a `ScopeSpans` other than its spans.
    pub fn scope(&self, scope: u32) -> &[u8] {
        self.scopes.get(scope)
    }

    /// The traces in order of first appearance.
    pub fn traces(&self) -> &[TraceFacts] {
        &self.traces
    }

    /// The id of a trace as recorded.
    pub fn trace_id(&self, trace: u32) -> &[u8] {
        self.trace_ids.get(trace)
    }

    /// The spans of each recorded message, as ranges of [`spans`](Self::spans).
    pub fn messages(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.message_ends.iter().copied());
        starts.zip(&self.message_ends).map(|(start, end)| start as usize..*end as usize)
    }

    /// The earliest start that is not zero, in nanoseconds since 1970.
    pub fn first_start(&self) -> u64 {
        self.first_start
    }

    /// The latest end, in nanoseconds since 1970.
    pub fn last_end(&self) -> u64 {
        self.last_end
    }
}

/// The largest power of ten, up to a second, that divides `nanos`.
pub(crate) fn granularity(nanos: u64) -> u64 {
    let mut granularity = 1;
    while granularity < 1_000_000_000 && nanos.is_multiple_of(granularity * 10) {
        granularity *= 10;
    }
    granularity
}

/// Byte strings, each kept once, numbered in order of first appearance.
#[derive(Debug, Default)]
struct Interner {
    numbers: HashMap<Vec<u8>, u32>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Interner {
    fn intern(&mut self, value: &[u8]) -> anyhow::Result<u32> {
        if let Some(number) = self.numbers.get(value) {
            return Ok(*number);
        }
        let number = u32::try_from(self.ends.len())?;
        self.numbers.insert(value.to_vec(), number);
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
        Ok(number)
    }

    fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(number).copied().unwrap_or_default();
        self.bytes.get(start.unwrap_or_default()..end).unwrap_or_default()
    }
}
