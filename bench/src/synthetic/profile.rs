//! What a recording says about the traces of its system.

use std::collections::HashMap;

use crate::limits::{CHILDREN_PER_EXEMPLAR_MAX, EXEMPLARS_MAX};
use crate::recording::Recording;
use crate::redraw::{Random, Survey};
use crate::wire::{WireError, fields, fixed64, read_varint};

/// The operations of a system, and how traces are made of them.
#[derive(Debug)]
pub struct Profile<'a> {
    recording: &'a Recording,
    survey: Survey,
    operations: Vec<Operation>,
    /// Operations of spans without a recorded parent, as often as they occur.
    roots: Vec<u32>,
    /// How many spans traces have, as often as they do.
    trace_spans: Vec<u32>,
    /// Mean distance between the starts of traces, in nanoseconds.
    gap: u64,
}

/// What spans of one resource, scope, name and kind have in common.
#[derive(Debug, Default)]
pub(super) struct Operation {
    /// Some of its recorded spans.
    pub(super) exemplars: Vec<u32>,
    /// How many were recorded, exemplars or not.
    seen: u64,
    /// Children of its exemplars: an operation for each, as often as it occurs.
    pub(super) children: Vec<u32>,
    /// How many children each exemplar has.
    pub(super) child_counts: Vec<u32>,
}

/// The parts of a span that a profile looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SpanParts<'a> {
    pub(super) span_id: &'a [u8],
    pub(super) parent: &'a [u8],
    pub(super) name: &'a [u8],
    pub(super) kind: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl<'a> SpanParts<'a> {
    pub(super) fn of(span: &'a [u8]) -> Result<Self, WireError> {
        let mut parts = Self::default();
        for field in fields(span) {
            let (field, value) = field?;
            match field.number {
                2 => parts.span_id = value,
                4 => parts.parent = value,
                5 => parts.name = value,
                6 => parts.kind = read_varint(value, &mut 0)?,
                7 => parts.start = fixed64(value),
                8 => parts.end = fixed64(value),
                _ => {}
            }
        }
        Ok(parts)
    }
}

impl<'a> Profile<'a> {
    /// Learns from all spans of a recording.
    pub fn fit(recording: &'a Recording) -> Result<Self, WireError> {
        let mut profile = Self {
            recording,
            survey: Survey::of(recording)?,
            operations: Vec::new(),
            roots: Vec::new(),
            trace_spans: recording.traces().iter().map(|trace| trace.spans).collect(),
            gap: recording.last_end().saturating_sub(recording.first_start())
                / (recording.traces().len() as u64).max(1),
        };
        let operation_of = profile.find_operations()?;
        profile.find_children(&operation_of)?;
        Ok(profile)
    }

    /// Numbers the operations and picks their exemplars; the answer is each span's operation.
    fn find_operations(&mut self) -> Result<Vec<u32>, WireError> {
        let mut numbers: HashMap<(u32, u32, u64, &[u8]), u32> = HashMap::new();
        let mut operation_of = Vec::new();
        let mut random = Random::new(0);
        for (row, span) in (0_u32..).zip(self.recording.spans()) {
            let parts = SpanParts::of(self.recording.span_bytes(span))?;
            let next = u32::try_from(self.operations.len()).unwrap_or(u32::MAX);
            let key = (span.resource, span.scope, parts.kind, parts.name);
            let number = *numbers.entry(key).or_insert(next);
            if number == next {
                self.operations.push(Operation::default());
            }
            operation_of.push(number);
            let Some(operation) = self.operations.get_mut(number as usize) else { continue };
            // A reservoir: every recorded span is as likely an exemplar as any other.
            operation.seen += 1;
            if operation.exemplars.len() < EXEMPLARS_MAX {
                operation.exemplars.push(row);
            } else {
                let at = usize::try_from(random.below(operation.seen)).unwrap_or(usize::MAX);
                if let Some(exemplar) = operation.exemplars.get_mut(at) {
                    *exemplar = row;
                }
            }
        }
        Ok(operation_of)
    }

    /// Counts who calls whom, for as many children as the limits let an operation remember.
    fn find_children(&mut self, operation_of: &[u32]) -> Result<(), WireError> {
        let mut rows: HashMap<(u32, &[u8]), u32> = HashMap::new();
        let mut parents: Vec<(u32, &[u8])> = Vec::new();
        for (row, span) in (0_u32..).zip(self.recording.spans()) {
            let parts = SpanParts::of(self.recording.span_bytes(span))?;
            rows.insert((span.trace, parts.span_id), row);
            parents.push((span.trace, parts.parent));
        }
        let mut child_counts = vec![0_u32; operation_of.len()];
        for (parent, child) in parents.iter().zip(operation_of) {
            match rows.get(parent).copied() {
                None => self.roots.push(*child),
                Some(row) => {
                    if let Some(count) = child_counts.get_mut(row as usize) {
                        *count += 1;
                    }
                    let operation = operation_of.get(row as usize).copied().unwrap_or_default();
                    if let Some(operation) = self.operations.get_mut(operation as usize)
                        && operation.children.len() < CHILDREN_PER_EXEMPLAR_MAX * EXEMPLARS_MAX
                    {
                        operation.children.push(*child);
                    }
                }
            }
        }
        for operation in &mut self.operations {
            let counts = operation.exemplars.iter().map(|row| child_counts.get(*row as usize));
            operation.child_counts = counts.map(|count| count.copied().unwrap_or(0)).collect();
        }
        Ok(())
    }

    pub(super) fn recording(&self) -> &'a Recording {
        self.recording
    }

    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    pub(super) fn operation(&self, number: u32) -> Option<&Operation> {
        self.operations.get(number as usize)
    }

    pub(super) fn roots(&self) -> &[u32] {
        &self.roots
    }

    pub(super) fn trace_spans(&self) -> &[u32] {
        &self.trace_spans
    }

    pub(super) fn gap(&self) -> u64 {
        self.gap
    }
}
