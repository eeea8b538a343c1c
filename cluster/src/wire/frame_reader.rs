//! Frames, back to what the shards answered.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use model::store::{Hit, Trace, TraceColumns};
use model::{ShardId, Tenant, Text};

use super::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};
use super::messages::aggregate::{join_aggregate, to_edge};
use super::messages::completeness::{to_end, to_failure};
use super::messages::frame::{
    FrameKind, FrameMessage, HitMessage, NamesMessage, TraceMessage, to_found, to_key,
};
use super::messages::number::Numbered as _;
use super::messages::query::to_order_key;
use super::messages::scalar::{check_size, decode, required, to_trace_id};
use super::messages::summary::{check_columns, join_rows, to_summary};
use super::spans::{unpack, unpacked_bytes_min};
use super::{ReadItem, WireError};

/// Puts together what the asked shards of a node answer, in whatever order their frames mix.
///
/// Invariants: frames of a shard that was not asked, or that has ended, are refused, and so is a
/// frame that does not go on with what its shard began; what is begun and not whole never takes
/// more than `bytes_max`. After an error the stream is of no use: what has not ended is missing.
#[derive(Debug)]
pub struct FrameReader {
    tenant: Tenant,
    bytes_max: usize,
    bytes: usize,
    shards: BTreeMap<ShardId, Assembly>,
}

/// What a shard has begun.
#[derive(Debug, Default)]
struct Assembly {
    item: Option<ReadItem>,
    /// Pieces of a part.
    pieces: BytesMut,
    bytes: usize,
    has_ended: bool,
}

impl FrameReader {
    /// A reader of what these shards answer about the tenant's data. It holds at most `bytes_max`
    /// bytes of items that are not whole yet.
    pub fn new(
        tenant: Tenant,
        shards: impl IntoIterator<Item = ShardId>,
        bytes_max: usize,
    ) -> Self {
        let shards = shards.into_iter().map(|shard| (shard, Assembly::default())).collect();
        Self { tenant, bytes_max, bytes: 0, shards }
    }

    /// Takes a frame; gives an item back if it is whole now.
    pub fn accept(&mut self, frame: Bytes) -> Result<Option<(ShardId, ReadItem)>, WireError> {
        let length = frame.len();
        let mut frame: FrameMessage = decode("a frame", frame, FRAME_BYTES_MAX)?;
        let shard = ShardId(frame.shard);
        let kind = FrameKind::from_number(frame.kind)?;
        let out_of_place = move || WireError::OutOfPlace { shard, what: kind.name() };
        let assembly = self.shards.get_mut(&shard).ok_or_else(out_of_place)?;
        if assembly.has_ended {
            return Err(out_of_place());
        }
        let bytes = length.max(unpacked_bytes_min(&frame.spans));
        charge(&mut self.bytes, self.bytes_max, assembly, bytes)?;
        if kind == FrameKind::Piece {
            let more = frame.more;
            let Some(whole) = assembly.join_piece(&frame.piece, more)? else { return Ok(None) };
            frame = decode("a part of an answer", whole, PART_BYTES_MAX)?;
            if frame.shard != shard.0 || frame.kind == FrameKind::Piece.number() {
                return Err(out_of_place());
            }
            let bytes = unpacked_bytes_min(&frame.spans);
            charge(&mut self.bytes, self.bytes_max, assembly, bytes)?;
        } else if !assembly.pieces.is_empty() && kind != FrameKind::Failure {
            return Err(out_of_place());
        }
        let more = frame.more;
        let item = join(assembly.item.take(), frame, &self.tenant)?;
        if more && !item.is_last() {
            assembly.item = Some(item);
            return Ok(None);
        }
        self.bytes -= assembly.bytes;
        *assembly = Assembly { has_ended: item.is_last(), ..Assembly::default() };
        check_whole(&item)?;
        Ok(Some((shard, item)))
    }

    /// The shards whose answer has not ended. At the end of a stream: those that are missing.
    pub fn pending(&self) -> impl Iterator<Item = ShardId> {
        let pending = self.shards.iter().filter(|(_, assembly)| !assembly.has_ended);
        pending.map(|(shard, _)| *shard)
    }
}

fn charge(
    held: &mut usize,
    bytes_max: usize,
    assembly: &mut Assembly,
    bytes: usize,
) -> Result<(), WireError> {
    assembly.bytes = assembly.bytes.saturating_add(bytes);
    *held = held.saturating_add(bytes);
    check_size("an answer under way", *held, bytes_max)
}

impl Assembly {
    /// Adds a piece; gives the part back if this was its last one.
    fn join_piece(&mut self, piece: &Bytes, more: bool) -> Result<Option<Bytes>, WireError> {
        check_size("a part of an answer", self.pieces.len() + piece.len(), PART_BYTES_MAX)?;
        self.pieces.extend_from_slice(piece);
        Ok((!more).then(|| self.pieces.split().freeze()))
    }
}

/// What was begun, with this frame added to it.
fn join(
    begun: Option<ReadItem>,
    frame: FrameMessage,
    tenant: &Tenant,
) -> Result<ReadItem, WireError> {
    let kind = FrameKind::from_number(frame.kind)?;
    let shard = ShardId(frame.shard);
    let body = kind.name();
    Ok(match (begun, kind) {
        (None, FrameKind::Hit) => ReadItem::Hit(Box::new(to_hit(required(body, frame.hit)?)?)),
        (None, FrameKind::Trace) => {
            let trace = required(body, frame.trace)?.trace;
            ReadItem::Trace(trace.as_ref().map(to_trace).transpose()?)
        }
        (Some(ReadItem::Hit(mut hit)), FrameKind::Spans) => {
            let trace = hit.trace.as_mut().ok_or(WireError::OutOfPlace { shard, what: body })?;
            trace.spans.extend(unpack(frame.spans, tenant, trace.trace_id)?);
            ReadItem::Hit(hit)
        }
        (Some(ReadItem::Trace(Some(mut trace))), FrameKind::Spans) => {
            trace.spans.extend(unpack(frame.spans, tenant, trace.trace_id)?);
            ReadItem::Trace(Some(trace))
        }
        (None, FrameKind::Columns) => {
            let revision = required(body, frame.columns)?.revision;
            ReadItem::Columns(revision.map(|revision| {
                Box::new(TraceColumns { revision: revision.into(), ..TraceColumns::default() })
            }))
        }
        (None, FrameKind::Found) => {
            let rows = required(body, frame.found)?.rows;
            ReadItem::Found(rows.as_ref().map(to_found).transpose()?)
        }
        (Some(ReadItem::Columns(Some(mut columns))), FrameKind::Rows) => {
            join_rows(&mut columns, required(body, frame.rows)?)?;
            ReadItem::Columns(Some(columns))
        }
        (begun, FrameKind::Aggregate) => {
            let mut aggregate = match begun {
                None => Box::default(),
                Some(ReadItem::Aggregate(aggregate)) => aggregate,
                Some(_) => return Err(WireError::OutOfPlace { shard, what: body }),
            };
            join_aggregate(&mut aggregate, required(body, frame.aggregate)?)?;
            ReadItem::Aggregate(aggregate)
        }
        (_, FrameKind::Failure) => ReadItem::Failure(to_failure(required(body, frame.failure)?)?),
        (None, FrameKind::End) => ReadItem::End(to_end(required(body, frame.end)?)?),
        (begun, _) => join_list(begun, kind, frame)?,
    })
}

/// The same for the kinds that are lists.
fn join_list(
    begun: Option<ReadItem>,
    kind: FrameKind,
    frame: FrameMessage,
) -> Result<ReadItem, WireError> {
    let body = kind.name();
    let begun = begun.or(match kind {
        FrameKind::Services => Some(ReadItem::Services(BTreeSet::new())),
        FrameKind::Operations => Some(ReadItem::Operations(BTreeSet::new())),
        FrameKind::Keys => Some(ReadItem::Keys(BTreeSet::new())),
        FrameKind::Values => Some(ReadItem::Values(BTreeSet::new())),
        FrameKind::Edges => Some(ReadItem::Edges(Vec::new())),
        FrameKind::TraceIds => Some(ReadItem::TraceIds(BTreeSet::new())),
        _ => None,
    });
    Ok(match (begun, kind) {
        (Some(ReadItem::Services(mut names)), FrameKind::Services) => {
            names.extend(to_names(required(body, frame.services)?));
            ReadItem::Services(names)
        }
        (Some(ReadItem::Values(mut names)), FrameKind::Values) => {
            names.extend(to_names(required(body, frame.values)?));
            ReadItem::Values(names)
        }
        (Some(ReadItem::Operations(mut operations)), FrameKind::Operations) => {
            let messages = required(body, frame.operations)?.operations;
            operations.extend(messages.into_iter().map(Into::into));
            ReadItem::Operations(operations)
        }
        (Some(ReadItem::Keys(mut keys)), FrameKind::Keys) => {
            for key in required(body, frame.keys)?.keys {
                keys.insert(to_key(key)?);
            }
            ReadItem::Keys(keys)
        }
        (Some(ReadItem::TraceIds(mut ids)), FrameKind::TraceIds) => {
            for id in required(body, frame.trace_ids)?.names {
                ids.insert(to_trace_id(&id)?);
            }
            ReadItem::TraceIds(ids)
        }
        (Some(ReadItem::Edges(mut edges)), FrameKind::Edges) => {
            for edge in required(body, frame.edges)?.edges {
                edges.push(to_edge(edge)?);
            }
            ReadItem::Edges(edges)
        }
        _ => return Err(WireError::OutOfPlace { shard: ShardId(frame.shard), what: body }),
    })
}

fn to_names(message: NamesMessage) -> impl Iterator<Item = Text> {
    message.names.into_iter().map(Text::from)
}

fn to_hit(message: HitMessage) -> Result<Hit, WireError> {
    Ok(Hit {
        key: to_order_key(&required("the place of a hit", message.key)?)?,
        summary: to_summary(required("the summary of a hit", message.summary)?)?,
        trace: message.trace.as_ref().map(to_trace).transpose()?,
    })
}

fn to_trace(message: &TraceMessage) -> Result<Trace, WireError> {
    let trace_id = to_trace_id(&message.trace_id)?;
    Ok(Trace { trace_id, spans: Vec::new(), truncated: message.truncated })
}

/// What can only be checked once nothing more comes.
fn check_whole(item: &ReadItem) -> Result<(), WireError> {
    match item {
        ReadItem::Columns(Some(columns)) => check_columns(columns),
        _ => Ok(()),
    }
}
