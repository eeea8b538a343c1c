//! Figures and edges. Figures are sent in parts that name different bins, values and groups.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use model::Text;
use model::aggregate::{Aggregate, Counts, DependencyEdge, GROUPS_MAX, Group, Red};
use model::span::SpanKind;

use super::scalar::{check_count, from_text};
use crate::wire::parts::Parts;
use crate::wire::{WireError, sketch};

/// A part of an answer of figures.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AggregateMessage {
    #[prost(uint64, tag = "1")]
    spans: u64,
    #[prost(uint64, tag = "2")]
    errors: u64,
    #[prost(uint64, tag = "3")]
    traces: u64,
    #[prost(uint64, tag = "4")]
    other: u64,
    /// Of the heatmap, one entry each in four lists.
    #[prost(uint64, repeated, tag = "5")]
    heat_bins: Vec<u64>,
    #[prost(uint32, repeated, tag = "6")]
    heat_durations: Vec<u32>,
    #[prost(uint64, repeated, tag = "7")]
    heat_spans: Vec<u64>,
    #[prost(uint64, repeated, tag = "8")]
    heat_errors: Vec<u64>,
    #[prost(message, repeated, tag = "9")]
    values: Vec<ValueMessage>,
    #[prost(message, repeated, tag = "10")]
    groups: Vec<GroupMessage>,
}

/// A value and its figures.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ValueMessage {
    #[prost(bytes = "bytes", tag = "1")]
    value: Bytes,
    #[prost(uint64, tag = "2")]
    spans: u64,
    #[prost(uint64, tag = "3")]
    errors: u64,
}

/// A group, and some of its bins.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GroupMessage {
    #[prost(bytes = "bytes", tag = "1")]
    service: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    operation: Bytes,
    #[prost(sint32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    bins: Vec<BinMessage>,
}

/// A time bin of a group.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BinMessage {
    #[prost(uint64, tag = "1")]
    bin: u64,
    #[prost(uint64, tag = "2")]
    spans: u64,
    #[prost(uint64, tag = "3")]
    errors: u64,
    /// Numbers of buckets of durations, and how many are in each.
    #[prost(uint32, repeated, tag = "4")]
    buckets: Vec<u32>,
    #[prost(uint64, repeated, tag = "5")]
    bucket_counts: Vec<u64>,
}

/// Sends figures in parts.
pub(crate) fn send_aggregate(
    aggregate: &Aggregate,
    mut parts: Parts<'_, AggregateMessage>,
) -> Result<(), WireError> {
    let part = parts.room(40)?;
    part.spans = check_count("spans", aggregate.spans)?;
    part.errors = check_count("errors", aggregate.errors)?;
    part.traces = check_count("traces", aggregate.traces)?;
    part.other = check_count("other spans", aggregate.other)?;
    for ((bin, duration), counts) in &aggregate.heatmap {
        let part = parts.room(32)?;
        part.heat_bins.push(*bin);
        part.heat_durations.push(u32::from(*duration));
        part.heat_spans.push(check_count("spans", counts.spans)?);
        part.heat_errors.push(check_count("errors", counts.errors)?);
    }
    for (value, counts) in &aggregate.values {
        parts.room(value.len() + 40)?.values.push(ValueMessage {
            value: from_text(value),
            spans: check_count("spans", counts.spans)?,
            errors: check_count("errors", counts.errors)?,
        });
    }
    for (group, bins) in &aggregate.red {
        send_group(group, bins, &mut parts)?;
    }
    parts.finish()
}

/// A group begins again in each part that holds some of its bins.
fn send_group(
    group: &Group,
    bins: &BTreeMap<u64, Red>,
    parts: &mut Parts<'_, AggregateMessage>,
) -> Result<(), WireError> {
    let head_bytes = group.service.len() + group.operation.len() + 32;
    let head = || GroupMessage {
        service: from_text(&group.service),
        operation: from_text(&group.operation),
        kind: group.kind.0,
        bins: Vec::new(),
    };
    parts.room(head_bytes)?.groups.push(head());
    for (bin, red) in bins {
        let (buckets, bucket_counts): (Vec<u32>, Vec<u64>) =
            sketch::buckets(&red.durations)?.into_iter().unzip();
        let bin = BinMessage {
            bin: *bin,
            spans: check_count("spans", red.counts.spans)?,
            errors: check_count("errors", red.counts.errors)?,
            bucket_counts,
            buckets,
        };
        let part = parts.room(48 + 12 * bin.buckets.len())?;
        if part.groups.is_empty() {
            part.groups.push(head());
        }
        if let Some(group) = part.groups.last_mut() {
            group.bins.push(bin);
        }
    }
    Ok(())
}

/// Adds a part to what came before it.
pub(crate) fn join_aggregate(
    aggregate: &mut Aggregate,
    message: AggregateMessage,
) -> Result<(), WireError> {
    add(&mut aggregate.spans, "spans", message.spans)?;
    add(&mut aggregate.errors, "errors", message.errors)?;
    add(&mut aggregate.traces, "traces", message.traces)?;
    add(&mut aggregate.other, "other spans", message.other)?;
    let count = message.heat_bins.len();
    if message.heat_durations.len() != count
        || message.heat_spans.len() != count
        || message.heat_errors.len() != count
    {
        return Err(WireError::invalid("a heatmap", "its lists differ in length"));
    }
    let places = message.heat_bins.into_iter().zip(message.heat_durations);
    let figures = message.heat_spans.into_iter().zip(message.heat_errors);
    for ((bin, duration), (spans, errors)) in places.zip(figures) {
        let duration = u8::try_from(duration)
            .map_err(|_| WireError::Unknown { what: "a bucket of a heatmap", number: duration })?;
        put("a heatmap", &mut aggregate.heatmap, (bin, duration), to_counts(spans, errors)?)?;
    }
    for value in message.values {
        let counts = to_counts(value.spans, value.errors)?;
        put("values", &mut aggregate.values, value.value.into(), counts)?;
    }
    for group in message.groups {
        join_group(aggregate, group)?;
    }
    if aggregate.values.len().max(aggregate.red.len()) > GROUPS_MAX {
        let count_max = GROUPS_MAX as u64;
        return Err(WireError::TooMany { what: "values or groups", count_max });
    }
    Ok(())
}

fn join_group(aggregate: &mut Aggregate, message: GroupMessage) -> Result<(), WireError> {
    let group = Group {
        service: message.service.into(),
        operation: message.operation.into(),
        kind: SpanKind(message.kind),
    };
    let bins = aggregate.red.entry(group).or_default();
    for message in message.bins {
        if message.buckets.len() != message.bucket_counts.len() {
            return Err(WireError::invalid("a sketch", "its lists differ in length"));
        }
        let buckets = message.buckets.into_iter().zip(message.bucket_counts);
        let counts = to_counts(message.spans, message.errors)?;
        let red = Red { counts, durations: sketch::sketch(buckets)? };
        put("a group", bins, message.bin, red)?;
    }
    Ok(())
}

fn to_counts(spans: u64, errors: u64) -> Result<Counts, WireError> {
    Ok(Counts { spans: check_count("spans", spans)?, errors: check_count("errors", errors)? })
}

fn add(sum: &mut u64, what: &'static str, more: u64) -> Result<(), WireError> {
    *sum = check_count(what, sum.saturating_add(more))?;
    Ok(())
}

/// Parts of one answer share nothing.
fn put<K: Ord, V>(
    what: &'static str,
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
) -> Result<(), WireError> {
    match map.entry(key) {
        Entry::Occupied(_) => Err(WireError::invalid(what, "the same place twice")),
        Entry::Vacant(place) => {
            place.insert(value);
            Ok(())
        }
    }
}

/// Calls from one service to another.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EdgeMessage {
    #[prost(bytes = "bytes", tag = "1")]
    parent: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    child: Bytes,
    #[prost(uint64, tag = "3")]
    calls: u64,
    #[prost(uint64, tag = "4")]
    errors: u64,
}

pub(crate) fn from_edge(edge: &DependencyEdge) -> Result<EdgeMessage, WireError> {
    Ok(EdgeMessage {
        parent: from_text(&edge.parent),
        child: from_text(&edge.child),
        calls: check_count("calls", edge.calls)?,
        errors: check_count("errors", edge.errors)?,
    })
}

pub(crate) fn to_edge(message: EdgeMessage) -> Result<DependencyEdge, WireError> {
    Ok(DependencyEdge {
        parent: Text::from(message.parent),
        child: Text::from(message.child),
        calls: check_count("calls", message.calls)?,
        errors: check_count("errors", message.errors)?,
    })
}
