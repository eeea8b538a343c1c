//! Recorded traces of real SDKs, repaired and written.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "recorded traces are a file of the repository")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::adjust::{EditableTrace, adjust, sanitize, take_warnings};
use api::jaeger_http::{push_resource_spans, push_trace, translate};
use api::otlp::walk::{Partitioning, Plan, check, tell};
use model::pace::{Unhurried, unstopped};
use model::store::Trace;
use model::testing::Collector;
use model::{Duration, Span, TraceId};

/// Facts of the recording, from its description.
const SPANS: usize = 64_151;
const TRACES: usize = 13_211;
const ZERO_DURATION_SPANS: usize = 3_896;

fn recorded() -> BTreeMap<TraceId, Vec<Span>> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bench/data/astronomy-oteltraces.zst");
    let bytes = zstd::decode_all(std::fs::read(path).unwrap().as_slice()).unwrap();
    let mut rest = bytes.as_slice();
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (message, next) = behind.split_at(u32::from_be_bytes(*length) as usize);
        rest = next;
        let mut plan = Plan::default();
        check(message, &Partitioning { of: |_| 0, count: 1 }, &mut plan).unwrap();
        let mut collector = Collector::default();
        tell(message, &plan, 0, &mut collector);
        for span in collector.into_spans() {
            traces.entry(span.trace_id).or_default().push(span);
        }
    }
    traces
}

#[test]
fn the_sanitizer_warns_of_each_span_without_duration() {
    let traces = recorded();
    let spans: usize = traces.values().map(Vec::len).sum();
    assert_eq!((spans, traces.len()), (SPANS, TRACES));
    let mut warned = 0;
    for (trace_id, spans) in traces {
        let durations: Vec<_> = spans.iter().map(|span| span.end.0 > span.start.0).collect();
        let mut trace = EditableTrace::from_spans(trace_id, spans);
        unstopped(sanitize(&mut trace, &Unhurried));
        for (mut span, lasts) in trace.into_spans().into_iter().zip(durations) {
            let warnings = take_warnings(&mut span.attributes);
            assert_eq!(warnings.is_empty(), lasts);
            assert!(span.end > span.start);
            warned += warnings.len();
        }
    }
    assert_eq!(warned, ZERO_DURATION_SPANS);
}

#[test]
fn every_span_is_written_once_in_both_forms() {
    let mut negative = 0;
    let mut written = [0, 0];
    for (trace_id, spans) in recorded() {
        let count = spans.len();
        let mut trace = unstopped(EditableTrace::from_trace(
            Trace { trace_id, spans, truncated: None },
            &Unhurried,
        ));
        unstopped(sanitize(&mut trace, &Unhurried));
        unstopped(adjust(&mut trace, Duration(0), &Unhurried));
        assert_eq!(trace.spans.len(), count, "no two recorded spans are equal");
        let mut otlp = b"[".to_vec();
        push_resource_spans(&mut otlp, trace.clone());
        otlp.push(b']');
        let otlp: serde_json::Value = serde_json::from_slice(&otlp).unwrap();
        for resource in otlp.as_array().unwrap() {
            for scope in resource["scopeSpans"].as_array().unwrap() {
                written[0] += scope["spans"].as_array().unwrap().len();
            }
        }
        let mut json = Vec::new();
        push_trace(&mut json, &translate(trace));
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let processes = json["processes"].as_object().unwrap();
        for span in json["spans"].as_array().unwrap() {
            written[1] += 1;
            assert!(processes.contains_key(span["processID"].as_str().unwrap()));
            let warnings = span["warnings"].as_array().into_iter().flatten();
            negative += warnings
                .filter(|warning| warning.as_str().unwrap().starts_with("Negative duration"))
                .count();
        }
    }
    assert_eq!(written, [SPANS; 2]);
    assert_eq!(negative, ZERO_DURATION_SPANS);
}
