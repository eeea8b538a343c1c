//! Ids, texts, windows and whole messages: the small conversions that all others use.

use bytes::Bytes;
use model::{NodeId, ShardId, Tenant, Text, TimeRange, Timestamp, TraceId};
use prost::Message;

use crate::wire::WireError;
use crate::wire::limits::{COUNT_MAX, REASON_BYTES_MAX, SHARDS_MAX};

/// The bytes of a message of bounded length.
pub(crate) fn encode(
    what: &'static str,
    message: &impl Message,
    bytes_max: usize,
) -> Result<Bytes, WireError> {
    check_size(what, message.encoded_len(), bytes_max)?;
    Ok(Bytes::from(message.encode_to_vec()))
}

/// The message in bytes of bounded length; unknown fields are passed over.
pub(crate) fn decode<M: Message + Default>(
    what: &'static str,
    bytes: Bytes,
    bytes_max: usize,
) -> Result<M, WireError> {
    check_size(what, bytes.len(), bytes_max)?;
    M::decode(bytes).map_err(|error| WireError::NotAMessage { what, reason: error.to_string() })
}

pub(crate) fn check_size(
    what: &'static str,
    bytes: usize,
    bytes_max: usize,
) -> Result<(), WireError> {
    if bytes > bytes_max {
        return Err(WireError::TooLarge { what, bytes, bytes_max });
    }
    Ok(())
}

/// Refuses more shards, batches or replicas than one message may name.
pub(crate) fn check_shards(what: &'static str, count: usize) -> Result<(), WireError> {
    if count > SHARDS_MAX {
        return Err(WireError::TooMany { what, count_max: SHARDS_MAX as u64 });
    }
    Ok(())
}

/// Refuses a figure that could overflow where figures are added up.
pub(crate) fn check_count(what: &'static str, count: u64) -> Result<u64, WireError> {
    if count > COUNT_MAX {
        return Err(WireError::TooMany { what, count_max: COUNT_MAX });
    }
    Ok(count)
}

/// A field that must be there.
pub(crate) fn required<T>(what: &'static str, field: Option<T>) -> Result<T, WireError> {
    field.ok_or(WireError::Missing { what })
}

pub(crate) fn from_text(text: &Text) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn from_trace_id(id: TraceId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

pub(crate) fn to_trace_id(bytes: &[u8]) -> Result<TraceId, WireError> {
    TraceId::from_slice(bytes).ok_or_else(|| wrong_length("a trace id", bytes))
}

pub(crate) fn from_node_hint(hint: Option<NodeId>) -> Bytes {
    hint.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()))
}

/// Nothing says that there is no hint.
pub(crate) fn to_node_hint(bytes: &[u8]) -> Result<Option<NodeId>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    NodeId::from_slice(bytes).map(Some).ok_or_else(|| wrong_length("a node id", bytes))
}

pub(super) fn wrong_length(what: &'static str, bytes: &[u8]) -> WireError {
    WireError::invalid(what, format!("{} bytes", bytes.len()))
}

pub(crate) fn from_tenant(tenant: &Tenant) -> Bytes {
    Bytes::copy_from_slice(tenant.as_str().as_bytes())
}

pub(crate) fn to_tenant(bytes: &[u8]) -> Result<Tenant, WireError> {
    let name =
        std::str::from_utf8(bytes).map_err(|_| WireError::invalid("a tenant", "not UTF-8"))?;
    Tenant::stored(name).map_err(|error| WireError::invalid("a tenant", error.to_string()))
}

pub(crate) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A text for people, cut off where it gets long.
pub(crate) fn from_reason(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A window of time.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WindowMessage {
    #[prost(fixed64, tag = "1")]
    pub(crate) start: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) end: u64,
}

impl From<TimeRange> for WindowMessage {
    fn from(window: TimeRange) -> Self {
        Self { start: window.start.0, end: window.end.0 }
    }
}

impl From<WindowMessage> for TimeRange {
    fn from(message: WindowMessage) -> Self {
        Self { start: Timestamp(message.start), end: Timestamp(message.end) }
    }
}

/// A shard and an index of its log.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppliedMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) shard: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) index: u64,
}

pub(crate) fn from_applied(applied: &[(ShardId, u64)]) -> Result<Vec<AppliedMessage>, WireError> {
    check_shards("shards of a cursor", applied.len())?;
    Ok(applied
        .iter()
        .map(|(shard, index)| AppliedMessage { shard: shard.0, index: *index })
        .collect())
}

pub(crate) fn to_applied(messages: &[AppliedMessage]) -> Result<Vec<(ShardId, u64)>, WireError> {
    check_shards("shards of a cursor", messages.len())?;
    Ok(messages.iter().map(|message| (ShardId(message.shard), message.index)).collect())
}
