//! Grows traces from a profile and writes them as OTLP.

use super::profile::{Profile, SpanParts};
use crate::limits::SYNTHETIC_TRACE_SPANS_MAX;
use crate::recording::{RequestSpan, assemble};
use crate::redraw::{Random, redraw_values};
use crate::replay::change_event_times;
use crate::wire::{WireError, fields, put_bytes, put_fixed64};

/// How many traces, how large.
#[derive(Debug, Clone, Copy)]
pub struct SynthesisOptions {
    /// What everything is drawn from.
    pub seed: u64,
    /// Spans in all; the last trace is cut to them.
    pub spans: u64,
    /// Spans of each trace; as recorded if not given. One giant trace is as many as there are in
    /// all.
    pub spans_per_trace: Option<u32>,
    /// Spans of each message.
    pub spans_per_message: u32,
    /// When the first trace starts, in nanoseconds since 1970.
    pub first_start: u64,
}

/// OTLP messages, one after another, until the options' spans are told.
#[derive(Debug)]
pub struct Synthesis<'a> {
    profile: &'a Profile<'a>,
    options: SynthesisOptions,
    random: Random,
    traces: u64,
    spans: u64,
    /// What the ids of the current trace are drawn from.
    trace: u64,
    /// Spans of the current trace that are not in a message yet, the next one last.
    waiting: Vec<NewSpan>,
}

/// A span of a new trace.
#[derive(Debug, Clone)]
struct NewSpan {
    resource: u32,
    scope: u32,
    bytes: Vec<u8>,
}

/// A span's place in a new trace, before it has bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    operation: u32,
    exemplar: u32,
    /// Its parent's place; its own for the root.
    parent: usize,
    children_left: u32,
    start: u64,
    duration: u64,
}

impl<'a> Synthesis<'a> {
    /// Traces like those of `profile`.
    pub fn new(profile: &'a Profile<'a>, options: SynthesisOptions) -> Self {
        let random = Random::new(options.seed);
        Self { profile, options, random, traces: 0, spans: 0, trace: 0, waiting: Vec::new() }
    }

    /// The next message; `None` when all spans are told, or the recording had none.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let mut message = Vec::new();
        while message.len() < self.options.spans_per_message.max(1) as usize {
            if self.waiting.is_empty() && !self.grow_trace()? {
                break;
            }
            message.extend(self.waiting.pop());
        }
        if message.is_empty() {
            return Ok(None);
        }
        assemble(self.profile.recording(), message).map(Some)
    }

    /// The id of the trace that was begun last.
    pub fn trace_id(&self) -> [u8; 16] {
        trace_id(self.trace)
    }

    /// Makes the next trace; false if there is none.
    fn grow_trace(&mut self) -> Result<bool, WireError> {
        let left = self.options.spans.saturating_sub(self.spans);
        let recorded = self.random.pick(self.profile.trace_spans()).copied();
        let wanted = self.options.spans_per_trace.or(recorded).unwrap_or(0);
        let wanted = u64::from(wanted.max(1)).min(left).min(SYNTHETIC_TRACE_SPANS_MAX);
        let start = self.options.first_start + self.traces * self.profile.gap();
        let places = self.grow_places(wanted, start)?;
        let trace = self.random.draw();
        for (row, place) in places.iter().enumerate() {
            let span = self.write(place, row, trace)?;
            self.waiting.push(span);
        }
        self.waiting.reverse();
        if !places.is_empty() {
            self.trace = trace;
        }
        self.traces += 1;
        self.spans += places.len() as u64;
        Ok(!places.is_empty())
    }

    /// Grows a tree of `wanted` spans from the root, level by level. Where the recorded numbers of
    /// children let it end early, spans anywhere in it get further children.
    fn grow_places(&mut self, wanted: u64, start: u64) -> Result<Vec<Place>, WireError> {
        let mut places: Vec<Place> = Vec::new();
        let mut parent = 0;
        while (places.len() as u64) < wanted {
            let growing = places.get(parent).copied();
            let operation = match growing {
                Some(place) if place.children_left == 0 && parent + 1 < places.len() => {
                    parent += 1;
                    continue;
                }
                Some(place) if place.children_left == 0 => {
                    parent = usize::try_from(self.random.below(places.len() as u64)).unwrap_or(0);
                    places.get(parent).and_then(|place| self.child_of(place.operation))
                }
                Some(place) => self.child_of(place.operation),
                None => None,
            };
            // A span that never has children gets a call of the system's entry.
            let entry = self.random.pick(self.profile.roots()).copied();
            let Some(operation) = operation.or(entry) else { break };
            let within = places.get(parent).map_or((start, u64::MAX), |at| (at.start, at.duration));
            let Some(place) = self.place(operation, parent, within)? else { break };
            if let Some(parent) = places.get_mut(parent) {
                parent.children_left = parent.children_left.saturating_sub(1);
            }
            places.push(place);
        }
        Ok(places)
    }

    fn child_of(&mut self, operation: u32) -> Option<u32> {
        let operation = self.profile.operation(operation)?;
        self.random.pick(&operation.children).copied()
    }

    /// A span of an operation, within its parent's start and duration.
    fn place(
        &mut self,
        operation: u32,
        parent: usize,
        within: (u64, u64),
    ) -> Result<Option<Place>, WireError> {
        let Some(facts) = self.profile.operation(operation) else { return Ok(None) };
        let Some(exemplar) = self.random.pick(&facts.exemplars).copied() else { return Ok(None) };
        let children_left = self.random.pick(&facts.child_counts).copied().unwrap_or(0);
        let (parts, _) = self.exemplar(exemplar)?;
        let duration = parts.end.saturating_sub(parts.start).min(within.1);
        let slack = if within.1 == u64::MAX { 0 } else { within.1 - duration };
        let start = within.0 + self.random.below(slack.saturating_add(1));
        Ok(Some(Place { operation, exemplar, parent, children_left, start, duration }))
    }

    fn exemplar(&self, row: u32) -> Result<(SpanParts<'a>, &'a [u8]), WireError> {
        let recording = self.profile.recording();
        let span = recording.spans().get(row as usize);
        let bytes = span.map(|span| recording.span_bytes(span)).unwrap_or_default();
        Ok((SpanParts::of(bytes)?, bytes))
    }

    /// The exemplar's bytes under the new ids and times.
    fn write(&self, place: &Place, row: usize, trace: u64) -> Result<NewSpan, WireError> {
        let (parts, exemplar) = self.exemplar(place.exemplar)?;
        let mut bytes = Vec::with_capacity(exemplar.len() + 16);
        put_bytes(&mut bytes, 1, &trace_id(trace));
        put_bytes(&mut bytes, 2, &span_id(trace, row));
        if place.parent != row {
            put_bytes(&mut bytes, 4, &span_id(trace, place.parent));
        }
        put_fixed64(&mut bytes, 7, place.start);
        put_fixed64(&mut bytes, 8, place.start + place.duration);
        let rest = bytes.len();
        for field in fields(exemplar) {
            let (field, _) = field?;
            if !matches!(field.number, 1 | 2 | 4 | 7 | 8) {
                bytes.extend_from_slice(exemplar.get(field.whole()).unwrap_or_default());
            }
        }
        let rest = bytes.get_mut(rest..).unwrap_or_default();
        change_event_times(rest, |time| {
            let after = time.saturating_sub(parts.start).min(place.duration);
            place.start + after
        })?;
        redraw_values(rest, self.profile.survey(), trace)?;
        let recorded = self.profile.recording().spans().get(place.exemplar as usize);
        let (resource, scope) = recorded.map_or((0, 0), |span| (span.resource, span.scope));
        Ok(NewSpan { resource, scope, bytes })
    }
}

impl RequestSpan for NewSpan {
    fn group(&self) -> (u32, u32) {
        (self.resource, self.scope)
    }

    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.extend_from_slice(&self.bytes);
        Ok(())
    }
}

/// The id of a trace; never zero.
fn trace_id(trace: u64) -> [u8; 16] {
    let mut random = Random::new(trace);
    let mut id = [0; 16];
    for (half, value) in id.chunks_exact_mut(8).zip([random.draw() | 1, random.draw()]) {
        half.copy_from_slice(&value.to_be_bytes());
    }
    id
}

/// The id of a span of a trace; never zero.
fn span_id(trace: u64, row: usize) -> [u8; 8] {
    Random::of(trace, &row.to_le_bytes()).draw().max(1).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;

    use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};
    use prost::Message as _;

    use super::*;
    use crate::recording::Recording;

    const OPTIONS: SynthesisOptions = SynthesisOptions {
        seed: 42,
        spans: 5000,
        spans_per_trace: None,
        spans_per_message: 500,
        first_start: 1_700_000_000_000_000_000,
    };

    fn recording() -> Recording {
        let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data");
        Recording::open(&[data.join("astronomy-oteltraces.zst")], None).unwrap()
    }

    fn spans(profile: &Profile<'_>, options: SynthesisOptions) -> Vec<Span> {
        let mut synthesis = Synthesis::new(profile, options);
        let mut spans = Vec::new();
        while let Some(message) = synthesis.next_message().unwrap() {
            for group in TracesData::decode(message.as_slice()).unwrap().resource_spans {
                assert!(group.resource.is_some());
                spans.extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        spans
    }

    #[test]
    fn traces_are_whole_and_like_the_recorded_ones() {
        let recording = recording();
        let profile = Profile::fit(&recording).unwrap();
        let spans = self::spans(&profile, OPTIONS);
        assert_eq!(spans.len(), 5000);
        let ids: BTreeMap<_, _> =
            spans.iter().map(|span| ((&span.trace_id, &span.span_id), span)).collect();
        assert_eq!(ids.len(), 5000, "an id twice");
        let mut traces = BTreeSet::new();
        for span in &spans {
            traces.insert(&span.trace_id);
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            if span.parent_span_id.is_empty() {
                continue;
            }
            let parent = ids[&(&span.trace_id, &span.parent_span_id)];
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
            assert!(span.end_time_unix_nano <= parent.end_time_unix_nano);
        }
        let roots = spans.iter().filter(|span| span.parent_span_id.is_empty()).count();
        assert_eq!(roots, traces.len());
        let mean = 64_151 / 13_211;
        assert!((mean / 2..mean * 2).contains(&(5000 / traces.len())), "{} traces", traces.len());
        assert!(spans == self::spans(&profile, OPTIONS), "one seed, two outcomes");
    }

    #[test]
    fn one_giant_trace() {
        let recording = recording();
        let profile = Profile::fit(&recording).unwrap();
        let options = SynthesisOptions { spans: 20_000, spans_per_trace: Some(20_000), ..OPTIONS };
        let spans = self::spans(&profile, options);
        assert_eq!(spans.len(), 20_000);
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
        assert_eq!(spans.iter().filter(|span| span.parent_span_id.is_empty()).count(), 1);
    }

    #[test]
    fn an_empty_recording_makes_no_traces() {
        let recording = Recording::default();
        let profile = Profile::fit(&recording).unwrap();
        assert!(spans(&profile, OPTIONS).is_empty());
    }
}
