//! Whatever a client may send, the answer is JSON, and says as much as there is.
#![cfg(test)]

use api::adjust::{EditableTrace, adjust, sanitize};
use api::jaeger_http::{push_resource_spans, push_trace, translate};
use model::pace::{Unhurried, unstopped};
use model::testing::Generator;
use model::{Duration, Span};
use serde_json::Value;

const SEEDS: u64 = 8;
const TRACES: usize = 20;

fn check(seed: u64, spans: Vec<Span>, is_adjusted: bool) {
    let mut trace = EditableTrace::from_spans(spans[0].trace_id, spans);
    unstopped(sanitize(&mut trace, &Unhurried));
    if is_adjusted {
        unstopped(adjust(&mut trace, Duration::from_secs(seed), &Unhurried));
    }
    let count = trace.spans.len();

    let mut otlp = b"[".to_vec();
    push_resource_spans(&mut otlp, trace.clone());
    otlp.push(b']');
    let otlp: Value = serde_json::from_slice(&otlp).unwrap();
    let groups = otlp.as_array().unwrap().iter();
    let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
    let written: usize = scopes.map(|scope| scope["spans"].as_array().unwrap().len()).sum();
    assert_eq!(written, count, "seed {seed}");

    let mut json = Vec::new();
    push_trace(&mut json, &translate(trace));
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["spans"].as_array().unwrap().len(), count, "seed {seed}");
}

#[test]
fn generated_spans_make_sound_answers() {
    for seed in 0..SEEDS {
        for spans in Generator::new(seed).traces(TRACES) {
            check(seed, spans.clone(), false);
            check(seed, spans, true);
        }
    }
}

#[test]
fn sanitizing_twice_changes_nothing_more() {
    for seed in 0..SEEDS {
        for spans in Generator::new(seed).traces(TRACES) {
            let mut once = EditableTrace::from_spans(spans[0].trace_id, spans);
            unstopped(sanitize(&mut once, &Unhurried));
            let mut again = once.clone();
            unstopped(sanitize(&mut again, &Unhurried));
            assert_eq!(once, again, "seed {seed}");
        }
    }
}
