//! What a plan sends, compared span by span with what a protobuf library reads of the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};
use prost::Message as _;

use super::{PlanOptions, ReplayPlan};
use crate::limits::REQUEST_BYTES_MAX;
use crate::recording::{Recording, read_messages};
use crate::wire::put_bytes;

const PLAIN: PlanOptions = PlanOptions {
    passes: 1,
    fresh_ids: false,
    seed: 42,
    latest_end: None,
    spans_per_request: 500,
    whole_traces: false,
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn plan(name: &str, options: PlanOptions) -> ReplayPlan {
    let recording = Recording::open(&[file(name)], None).unwrap();
    ReplayPlan::new(recording, options).unwrap()
}

/// Every span with its resource and scope, as bytes.
fn spans_with_context(data: &TracesData, into: &mut Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>) {
    for group in &data.resource_spans {
        let mut resource = group.clone();
        resource.scope_spans.clear();
        for scope_spans in &group.scope_spans {
            let mut scope = scope_spans.clone();
            scope.spans.clear();
            for span in &scope_spans.spans {
                into.push((resource.encode_to_vec(), scope.encode_to_vec(), span.encode_to_vec()));
            }
        }
    }
}

/// The requests of a pass, decoded.
fn pass(plan: &ReplayPlan, pass: u64) -> Vec<TracesData> {
    let per_pass = plan.request_count() / u64::from(plan.passes());
    let requests = pass * per_pass..(pass + 1) * per_pass;
    requests
        .map(|request| TracesData::decode(plan.build(request).unwrap().0.as_slice()).unwrap())
        .collect()
}

fn spans(requests: &[TracesData]) -> Vec<Span> {
    let groups = requests.iter().flat_map(|request| &request.resource_spans);
    let spans = groups.flat_map(|group| &group.scope_spans).flat_map(|scope| &scope.spans);
    spans.cloned().collect()
}

#[test]
fn splitting_keeps_every_span_equal() {
    for name in ["hipster-20k.pb.zst", "astronomy-oteltraces.zst"] {
        let mut recorded = Vec::new();
        for message in read_messages(&file(name), None).unwrap() {
            spans_with_context(&TracesData::decode(message.as_slice()).unwrap(), &mut recorded);
        }
        recorded.sort();
        for spans_per_request in [0, 500, 2000] {
            let plan = plan(name, PlanOptions { spans_per_request, ..PLAIN });
            let mut sent = Vec::new();
            for request in pass(&plan, 0) {
                let before = sent.len();
                spans_with_context(&request, &mut sent);
                assert!(
                    spans_per_request == 0 || sent.len() - before <= spans_per_request as usize
                );
                assert!(request.encoded_len() <= REQUEST_BYTES_MAX);
            }
            sent.sort();
            assert_eq!(sent.len() as u64, plan.span_count());
            assert!(sent == recorded, "{name} in requests of {spans_per_request}");
        }
    }
}

#[test]
fn requests_of_whole_traces_hold_every_span_and_share_no_trace() {
    for name in ["hipster-20k.pb.zst", "astronomy-oteltraces.zst"] {
        let plan = plan(name, PlanOptions { spans_per_request: 10, whole_traces: true, ..PLAIN });
        let mut recorded = spans(&pass(&self::plan(name, PLAIN), 0));
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut sent = Vec::new();
        let requests = pass(&plan, 0);
        for (number, request) in requests.iter().enumerate() {
            let of_request = spans(std::slice::from_ref(request));
            assert!(of_request.len() >= 10 || number + 1 == requests.len());
            let ids: BTreeSet<Vec<u8>> =
                of_request.iter().map(|span| span.trace_id.clone()).collect();
            assert!(ids.iter().all(|id| seen.insert(id.clone())), "{name} {number}");
            sent.extend(of_request);
        }
        let by_id =
            |span: &Span| (span.trace_id.clone(), span.span_id.clone(), span.encode_to_vec());
        recorded.sort_by_key(by_id);
        sent.sort_by_key(by_id);
        assert!(sent == recorded, "{name}");
    }
}

#[test]
fn a_resource_is_written_once_in_a_request() {
    let plan = plan("hipster-20k.pb.zst", PLAIN);
    for request in pass(&plan, 0) {
        let mut resources: Vec<_> =
            request.resource_spans.iter().map(|group| group.resource.clone()).collect();
        let count = resources.len();
        resources.dedup();
        assert_eq!(resources.len(), count);
        assert!(count <= 10);
    }
}

#[test]
fn spans_before_a_request_are_those_of_the_requests_before() {
    let plan = plan("hipster-20k.pb.zst", PlanOptions { passes: 2, spans_per_request: 0, ..PLAIN });
    let mut before = 0;
    for request in 0..plan.request_count() {
        assert_eq!(plan.spans_before(request), before);
        before += plan.build(request).unwrap().1;
    }
    assert_eq!(before, plan.span_count());
    assert_eq!(plan.build(plan.request_count()).unwrap(), (Vec::new(), 0));
}

#[test]
fn fresh_ids_keep_the_shape_of_traces_and_differ_in_every_pass() {
    let options = PlanOptions { passes: 2, fresh_ids: true, ..PLAIN };
    let plan = plan("hipster-20k.pb.zst", options);
    let recorded = spans(&pass(&self::plan("hipster-20k.pb.zst", PLAIN), 0));
    let mut seen: BTreeSet<Vec<u8>> = recorded.iter().map(|span| span.trace_id.clone()).collect();
    for number in 0..2 {
        let fresh = spans(&pass(&plan, number));
        let mut span_ids = BTreeMap::new();
        let mut trace_ids = BTreeMap::new();
        for (old, new) in recorded.iter().zip(&fresh) {
            assert_eq!(old.name, new.name);
            span_ids.insert(&old.span_id, &new.span_id);
            trace_ids.insert(&old.trace_id, &new.trace_id);
        }
        for (old, new) in recorded.iter().zip(&fresh) {
            assert_eq!(trace_ids[&old.trace_id], &new.trace_id);
            assert_eq!(old.parent_span_id.is_empty(), new.parent_span_id.is_empty());
            if let Some(parent) = span_ids.get(&old.parent_span_id) {
                assert_eq!(**parent, new.parent_span_id);
            }
        }
        for id in trace_ids.values() {
            assert!(seen.insert((*id).clone()), "a trace id of another pass");
        }
        let (first, trace) = (&fresh[0].trace_id, plan.recording().spans()[0].trace);
        assert_eq!(&plan.trace_id(u32::try_from(number).unwrap(), trace), first);
    }
}

#[test]
fn links_follow_fresh_ids() {
    let target = Span { trace_id: vec![7; 16], span_id: vec![8; 8], ..Span::default() };
    let mut linking = target.clone();
    linking.span_id = vec![9; 8];
    linking.parent_span_id = vec![0; 8];
    linking.links = vec![Link::default()];
    linking.links[0].trace_id = vec![7; 16];
    linking.links[0].span_id = vec![8; 8];
    let mut scope_spans = Vec::new();
    put_bytes(&mut scope_spans, 2, &target.encode_to_vec());
    put_bytes(&mut scope_spans, 2, &linking.encode_to_vec());
    let mut resource_spans = Vec::new();
    put_bytes(&mut resource_spans, 2, &scope_spans);
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &resource_spans);

    let mut recording = Recording::default();
    recording.add(&message).unwrap();
    let plan = ReplayPlan::new(recording, PlanOptions { fresh_ids: true, ..PLAIN }).unwrap();
    let sent = spans(&pass(&plan, 0));
    assert_ne!(sent[0].span_id, vec![8; 8]);
    assert_eq!(sent[1].links[0].span_id, sent[0].span_id);
    assert_eq!(sent[1].links[0].trace_id, sent[0].trace_id);
    assert_eq!(sent[1].parent_span_id, vec![0; 8], "an id of zeros stays");
}

#[test]
fn shifting_moves_the_latest_end_and_keeps_all_distances() {
    const NOW: u64 = 1_800_000_000_123_456_789;
    let recorded = spans(&pass(&plan("hipster-20k.pb.zst", PLAIN), 0));
    let options = PlanOptions { latest_end: Some(NOW), ..PLAIN };
    let shifted = spans(&pass(&plan("hipster-20k.pb.zst", options), 0));
    let latest = shifted.iter().map(|span| span.end_time_unix_nano).max().unwrap();
    assert!(NOW - 1_000_000 < latest && latest <= NOW, "{latest}");
    let distance = shifted[0].start_time_unix_nano - recorded[0].start_time_unix_nano;
    assert_eq!(distance % 1_000_000, 0);
    for (old, new) in recorded.iter().zip(&shifted) {
        assert_eq!(new.start_time_unix_nano - old.start_time_unix_nano, distance);
        assert_eq!(new.end_time_unix_nano - old.end_time_unix_nano, distance);
        for (old, new) in old.events.iter().zip(&new.events) {
            assert_eq!(new.time_unix_nano - old.time_unix_nano, distance);
        }
        assert_eq!(old.attributes, new.attributes);
    }
}

#[test]
fn further_passes_are_drawn_anew_the_same_way_every_time() {
    let options = PlanOptions { passes: 2, fresh_ids: true, ..PLAIN };
    let name = "astronomy-oteltraces.zst";
    let (first, again) = (plan(name, options), plan(name, options));
    let recorded = spans(&pass(&plan(name, PLAIN), 0));
    let drawn = spans(&pass(&first, 1));
    assert!(drawn == spans(&pass(&again, 1)), "two plans of one seed differ");

    let (mut changed, mut values, mut same_duration) = (0, 0, 0);
    let end = recorded.iter().map(|span| span.end_time_unix_nano).max().unwrap();
    for (old, new) in recorded.iter().zip(&drawn) {
        assert_eq!(old.encoded_len(), new.encoded_len());
        assert_eq!((&old.name, old.kind, &old.status), (&new.name, new.kind, &new.status));
        assert!(new.end_time_unix_nano <= end);
        let duration = |span: &Span| {
            i128::from(span.end_time_unix_nano) - i128::from(span.start_time_unix_nano)
        };
        assert_eq!(duration(old) == 0, duration(new) == 0);
        same_duration += u32::from(duration(old) == duration(new) && duration(old) != 0);
        for (old, new) in old.attributes.iter().zip(&new.attributes) {
            assert_eq!(old.key, new.key);
            values += 1;
            changed += u32::from(old.value != new.value);
        }
    }
    let count = u32::try_from(recorded.len()).unwrap();
    assert!(same_duration < count / 10, "{same_duration} durations stayed");
    assert!(0 < changed && changed < values / 2, "{changed} of {values} values changed");
    let unchanged = spans(&pass(&first, 0));
    let attributes =
        |spans: &[Span]| -> Vec<_> { spans.iter().map(|span| span.attributes.clone()).collect() };
    assert!(attributes(&unchanged) == attributes(&recorded), "the first pass is as recorded");
}
