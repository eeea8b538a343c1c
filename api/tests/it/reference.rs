//! What the reference decoder makes of a message, in a form that can be compared with what the
//! walker told.

use api::otlp::encode;
use api::otlp::walk::{CheckError, Partitioning, Plan, check, tell};
use model::testing::Collector;
use model::{Span, TraceId};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, TracesData};
use prost::Message;

/// What the walker tells of `message` in one partition, and how many spans it rejected.
pub(crate) fn walk(message: &[u8]) -> Result<(Vec<Span>, u64), CheckError> {
    let mut plan = Plan::default();
    check(message, &Partitioning { of: |_| 0, count: 1 }, &mut plan)?;
    let mut collector = Collector::default();
    tell(message, &plan, 0, &mut collector);
    let spans = collector.into_spans();
    assert_eq!(spans.len(), plan.span_count());
    Ok((spans, plan.rejected().count()))
}

/// Each span of `data` alone, with its resource and scope, in bytes.
pub(crate) fn one_by_one(data: TracesData) -> Vec<Vec<u8>> {
    let mut alone = Vec::new();
    for group in data.resource_spans {
        for mut scope_group in group.scope_spans {
            for span in std::mem::take(&mut scope_group.spans) {
                let scope_spans = vec![ScopeSpans { spans: vec![span], ..scope_group.clone() }];
                let one = ResourceSpans {
                    resource: group.resource.clone(),
                    scope_spans,
                    schema_url: group.schema_url.clone(),
                };
                alone.push(TracesData { resource_spans: vec![one] }.encode_to_vec());
            }
        }
    }
    alone
}

/// Takes the spans away that must be rejected for their ids; says how many.
pub(crate) fn drop_invalid(data: &mut TracesData) -> u64 {
    let mut dropped = 0;
    for scope_group in data.resource_spans.iter_mut().flat_map(|it| &mut it.scope_spans) {
        let before = scope_group.spans.len();
        scope_group.spans.retain(|span| {
            let is_id = |id: &[u8], length| id.len() == length && id.iter().any(|it| *it != 0);
            is_id(&span.trace_id, 16) && is_id(&span.span_id, 8)
        });
        dropped += (before - scope_group.spans.len()) as u64;
    }
    dropped
}

/// What the reference decoder makes of `spans` written by us, each alone.
pub(crate) fn written(spans: &[Span]) -> Vec<Vec<u8>> {
    spans
        .iter()
        .flat_map(|span| {
            let bytes = encode::traces_data(std::slice::from_ref(span));
            one_by_one(TracesData::decode(bytes.as_slice()).unwrap())
        })
        .collect()
}

/// Compares walker and reference on one message; true if the reference accepts it.
///
/// The reference decoder is stricter in two points (text has to be UTF-8, known fields have to
/// have their wire type) and follows deeper groups; where it accepts, both have to agree.
pub(crate) fn compare(message: &[u8]) -> bool {
    let walked = walk(message);
    if let Ok((spans, _)) = &walked {
        // What was told can be written, and read again as the same.
        let again: Vec<Span> = spans
            .iter()
            .flat_map(|span| walk(&encode::traces_data(std::slice::from_ref(span))).unwrap().0)
            .collect();
        assert_eq!(&again, spans);
    }
    let Ok(mut reference) = TracesData::decode(message) else { return false };
    let (spans, rejected) = match walked {
        Ok(walked) => walked,
        Err(CheckError::Malformed(api::otlp::wire::WireError::Depth)) => return true,
        Err(error) => panic!("the reference accepts what the walker refuses: {error}"),
    };
    assert_eq!(rejected, drop_invalid(&mut reference));
    assert_eq!(written(&spans), one_by_one(reference));
    true
}

/// A partition for tests: by the last byte of the id.
pub(crate) fn partition_of(trace_id: TraceId) -> u32 {
    u32::from(trace_id.as_bytes()[15] % 3)
}
