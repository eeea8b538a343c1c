//! What is encoded is decoded as it was, whatever it is and however many frames it takes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use cluster::wire::limits::{FRAME_BYTES_MAX, WRITE_PAYLOAD_BYTES_MAX};
use cluster::wire::{
    FrameReader, FrameWriter, ReadEnd, ReadFailure, ReadFailureKind, ReadItem, ReadOperation,
    ReadRequest, RingEpoch, ShardBatch, WireError, WriteRequest,
};
use model::query::{AttributeScope, Cursor, OrderKey, order_key};
use model::store::{Detail, Hit, Operation, Revision, Trace};
use model::summary::summarize;
use model::testing::{Generator, Random, simple_span};
use model::{Attribute, AttributeValue, Resource, ShardId, Span, Tenant, Text, TraceId, effective};

use crate::samples::{self, ROOM, SHARD, byte, frames, items, request, tenant};

fn returns(request: &ReadRequest, context: &str) {
    let bytes = request.encode().unwrap();
    let read = ReadRequest::decode(bytes.clone()).unwrap();
    assert_eq!(format!("{read:?}"), format!("{request:?}"), "{context}");
    assert_eq!(read.encode().unwrap(), bytes, "{context}");
}

#[test]
fn questions_return() {
    for seed in 0..400 {
        let mut generator = Generator::new(seed);
        let spans = generator.spans(40);
        let mut random = Random::new(seed);
        let mut query = generator.trace_query(&spans);
        if seed % 2 == 0 {
            query.cursor = Some(Cursor {
                last: OrderKey { rank: random.below(u64::MAX), trace_id: spans[0].trace_id },
                applied: (0..4).map(|shard| (ShardId(shard), random.below(1_000))).collect(),
            });
        }
        let context = format!("seed {seed}");
        let detail = Detail::Trace { spans_max: random.index(100_000) };
        let together = seed % 3 == 0;
        let without = spans.iter().take(random.index(9)).map(|span| span.trace_id).collect();
        returns(&request(ReadOperation::Search { query, detail, together, without }), &context);
        let query = generator.aggregate_query(&spans);
        let without = spans.iter().take(random.index(9)).map(|span| span.trace_id).collect();
        returns(&request(ReadOperation::Aggregate { query, without }), &context);
    }
}

fn checked(shard: ShardId, item: &ReadItem, context: &str) -> usize {
    let frames = frames(shard, std::slice::from_ref(item));
    assert!(frames.iter().all(|frame| frame.len() <= FRAME_BYTES_MAX), "{context}");
    let count = frames.len();
    assert_eq!(&items(shard, frames).unwrap(), std::slice::from_ref(item), "{context}");
    count
}

fn whole_trace(spans: Vec<Span>) -> Trace {
    Trace { trace_id: spans[0].trace_id, spans, truncated: None }
}

#[test]
fn traces_return_in_their_order() {
    for seed in 0..150 {
        let mut generator = Generator::new(seed);
        let spans = generator.distinct_trace();
        let columns = model::trace::columns(&spans, Revision::default());
        let context = format!("seed {seed}");
        checked(SHARD, &ReadItem::Columns(Some(Box::new(columns))), &context);
        let query = generator.trace_query(&spans);
        let summary = summarize(&spans);
        let key = order_key(query.order, &summary);
        let trace = whole_trace(spans);
        let hit = Hit { key, summary, trace: Some(trace.clone()) };
        checked(SHARD, &ReadItem::Hit(Box::new(hit)), &context);
        checked(SHARD, &ReadItem::Trace(Some(trace)), &context);
    }
}

#[test]
fn spans_in_any_other_order_return_in_it_too() {
    for seed in 0..50 {
        // As they came: repeats and all.
        let trace = whole_trace(Generator::new(seed).trace());
        checked(SHARD, &ReadItem::Trace(Some(trace)), &format!("seed {seed}"));
    }
}

#[test]
fn figures_and_names_return() {
    for seed in 0..150 {
        let mut generator = Generator::new(seed);
        let traces = generator.traces(20);
        let all = traces.concat();
        let query = generator.aggregate_query(&all);
        let traces = || traces.iter().map(Vec::as_slice);
        let aggregate = model::query::aggregate(&query, traces());
        let context = format!("seed {seed}");
        checked(SHARD, &ReadItem::Aggregate(Box::new(aggregate)), &context);
        let edges = model::query::dependencies(query.window, traces());
        checked(SHARD, &ReadItem::Edges(edges), &context);
        let services = all.iter().map(effective::span_service).collect();
        checked(SHARD, &ReadItem::Services(services), &context);
        let operation =
            |span: &Span| Operation { name: effective::span_operation(span), kind: span.kind };
        checked(SHARD, &ReadItem::Operations(all.iter().map(operation).collect()), &context);
        let key = |attribute: &Attribute| (AttributeScope::Span, attribute.key.clone());
        let keys = all.iter().flat_map(|span| span.attributes.iter().map(key)).collect();
        checked(SHARD, &ReadItem::Keys(keys), &context);
    }
}

/// A trace of many spans, of which some have a resource of their own that is large.
fn large_trace(count: u64) -> Vec<Span> {
    let mut random = Random::new(count);
    (0..count)
        .map(|id| {
            let mut span = simple_span(1, id + 1, 1_000 + id, 2_000 + id);
            let value: Vec<u8> = (0..100).map(|_| byte(&mut random)).collect();
            span.attributes =
                vec![Attribute::new("noise", AttributeValue::Bytes(Text::from(value)))];
            if id % 7 == 0 {
                let noise: Vec<u8> = (0..3_000).map(|_| byte(&mut random)).collect();
                let unknown = Text::from(noise);
                span.resource = Arc::new(Resource { unknown, ..Resource::default() });
            }
            span
        })
        .collect()
}

#[test]
fn what_is_long_takes_several_frames() {
    let spans = large_trace(12_000);
    let columns = model::trace::columns(&spans, Revision::default());
    assert!(checked(SHARD, &ReadItem::Trace(Some(whole_trace(spans))), "trace") > 8);
    assert!(checked(SHARD, &ReadItem::Columns(Some(Box::new(columns))), "columns") > 1);
    let names: BTreeSet<Text> = (0..60_000).map(|n| format!("{n:060}").into()).collect();
    assert!(checked(SHARD, &ReadItem::Services(names.clone()), "names") > 4);
    assert!(checked(SHARD, &ReadItem::Values(names), "values") > 4);
    let mut aggregate = model::aggregate::Aggregate::default();
    for number in 0..6_000_u64 {
        let group = model::aggregate::Group {
            service: format!("service {}", number % 3).into(),
            operation: format!("{:0200}", number / 100).into(),
            kind: model::span::SpanKind(2),
        };
        let red = aggregate.red.entry(group).or_default().entry(number).or_default();
        for octave in 0..40 {
            red.durations.add(model::Duration(1 << octave));
        }
        aggregate.heatmap.insert((number, 3), model::aggregate::Counts::default());
        let value = format!("{number:0100}").into();
        aggregate.values.insert(value, model::aggregate::Counts { spans: number, errors: 1 });
    }
    assert!(checked(SHARD, &ReadItem::Aggregate(Box::new(aggregate)), "figures") > 2);
}

#[test]
fn what_is_larger_than_a_frame_takes_pieces() {
    let mut random = Random::new(1);
    let noise: Vec<u8> = (0..3 << 20).map(|_| byte(&mut random)).collect();
    let text = Text::from(noise);
    let mut span = simple_span(1, 2, 10, 20);
    span.attributes = vec![Attribute::new("noise", AttributeValue::Bytes(text.clone()))];
    let trace = whole_trace(vec![simple_span(1, 1, 5, 30), span, simple_span(1, 3, 15, 20)]);
    assert!(checked(SHARD, &ReadItem::Trace(Some(trace)), "trace") >= 5);
    let names = BTreeSet::from(["a".into(), text, "z".into()]);
    assert!(checked(SHARD, &ReadItem::Values(names), "values") >= 5);
}

#[test]
fn an_item_beyond_all_bounds_is_refused_and_the_failure_is_told() {
    let name = Text::from(vec![b'x'; 17 << 20]);
    let mut told = Vec::new();
    let mut emit = |frame| {
        told.push(frame);
        ControlFlow::Continue(())
    };
    let mut writer = FrameWriter::new(SHARD, tenant(), &mut emit);
    let error = writer.write(&ReadItem::Services(BTreeSet::from(["a".into(), name]))).unwrap_err();
    assert!(matches!(error, WireError::TooLarge { .. }), "{error}");
    let kind = ReadFailureKind::Unavailable { retry_after_ms: 0 };
    let failure = ReadItem::Failure(ReadFailure { kind, text: error.to_string() });
    writer.write(&failure).unwrap();
    assert_eq!(items(SHARD, told).unwrap(), [failure]);
}

#[test]
fn answers_of_several_shards_mix() {
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let mut sent: Vec<(ShardId, Vec<ReadItem>, Vec<Bytes>)> = (0..3)
            .map(|shard| {
                let mut generator = Generator::new(seed * 3 + u64::from(shard));
                let mut items: Vec<ReadItem> =
                    (0..4).map(|_| ReadItem::Trace(Some(whole_trace(generator.trace())))).collect();
                items.push(ReadItem::End(ReadEnd::default()));
                let mut frames = frames(ShardId(shard), &items);
                frames.reverse();
                (ShardId(shard), items, frames)
            })
            .collect();
        let mut reader = FrameReader::new(tenant(), (0..3).map(ShardId), ROOM);
        let mut received = [Vec::new(), Vec::new(), Vec::new()];
        while sent.iter().any(|(_, _, frames)| !frames.is_empty()) {
            let (_, _, frames) = &mut sent[random.index(3)];
            let Some(frame) = frames.pop() else { continue };
            if let Some((shard, item)) = reader.accept(frame).unwrap() {
                received[shard.0 as usize].push(item);
            }
        }
        for (shard, items, _) in &sent {
            assert_eq!(&received[shard.0 as usize], items, "seed {seed}");
        }
        assert_eq!(reader.pending().count(), 0);
    }
}

#[test]
fn a_cut_stream_leaves_its_shards_pending() {
    let item = ReadItem::Trace(Some(whole_trace(large_trace(2_000))));
    let sent = frames(SHARD, &[item]);
    let mut reader = FrameReader::new(tenant(), [SHARD, ShardId(8)], ROOM);
    for frame in &sent[..sent.len() - 1] {
        assert_eq!(reader.accept(frame.clone()), Ok(None));
    }
    assert_eq!(reader.pending().collect::<Vec<_>>(), [SHARD, ShardId(8)]);
}

#[test]
fn whoever_stops_listening_is_not_told_more() {
    let item = ReadItem::Trace(Some(whole_trace(large_trace(2_000))));
    let mut count = 0;
    let mut emit = |_| {
        count += 1;
        if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut writer = FrameWriter::new(SHARD, tenant(), &mut emit);
    assert_eq!(writer.write(&item), Err(WireError::Stopped));
    assert_eq!(count, 2);
}

#[test]
fn another_tenants_spans_are_refused() {
    let item = ReadItem::Trace(Some(whole_trace(large_trace(10))));
    let mut reader = FrameReader::new(Tenant::new("other").unwrap(), [SHARD], ROOM);
    let results: Vec<_> =
        frames(SHARD, &[item]).into_iter().map(|frame| reader.accept(frame)).collect();
    assert!(matches!(results[..], [Ok(None), Err(WireError::Invalid { .. })]), "{results:?}");
}

#[test]
fn another_traces_spans_are_refused() {
    let trace = Trace { trace_id: TraceId([1; 16]), ..whole_trace(large_trace(10)) };
    let sent = frames(SHARD, &[ReadItem::Trace(Some(trace))]);
    assert!(matches!(items(SHARD, sent), Err(WireError::Invalid { .. })));
}

#[test]
fn long_reasons_are_cut_between_characters() {
    let text = "ü".repeat(2_000);
    let kind = ReadFailureKind::Damaged;
    let sent = frames(SHARD, &[ReadItem::Failure(ReadFailure { kind, text: text.clone() })]);
    let ReadItem::Failure(failure) = &items(SHARD, sent).unwrap()[0] else { unreachable!() };
    assert!(text.starts_with(&failure.text) && failure.text.len() == 1_024);
}

#[test]
fn batches_travel_untouched_up_to_their_bound() {
    let batch = |bytes| ShardBatch { shard: SHARD, batch: Bytes::from(vec![0xa5; bytes]) };
    let request = |batches| WriteRequest { ring_epoch: RingEpoch(1), deadline_left_ms: 1, batches };
    let full = request(vec![batch(WRITE_PAYLOAD_BYTES_MAX - 1_000), batch(1_000)]);
    assert_eq!(WriteRequest::decode(full.encode().unwrap()).unwrap(), full);
    let many = request(vec![batch(1_248); 4_096]);
    assert!(4_096 * 1_248 <= WRITE_PAYLOAD_BYTES_MAX && many.encode().is_ok());
    let over = request(vec![batch(6 << 20)]).encode();
    assert!(matches!(over, Err(WireError::TooLarge { .. })));
}

#[test]
fn hand_made_items_return_one_after_another() {
    let made: Vec<ReadItem> = samples::read_items()
        .into_iter()
        .map(|(_, item)| item)
        .filter(|item| !item.is_last())
        .chain([ReadItem::End(ReadEnd::default())])
        .collect();
    assert_eq!(items(SHARD, frames(SHARD, &made)).unwrap(), made);
}
