//! What a shard answers, as frames.

use std::fmt;
use std::ops::ControlFlow;

use bytes::Bytes;
use model::store::{Hit, Trace, TraceColumns};
use model::{ShardId, Span, Tenant, TraceId};
use prost::Message as _;

use super::limits::{FRAME_BYTES_MAX, PART_BYTES_MAX};
use super::messages::aggregate::{from_edge, send_aggregate};
use super::messages::completeness::{from_end, from_failure};
use super::messages::frame::{
    EdgesMessage, FoundColumnsMessage, FoundMessage, FoundTraceMessage, FrameKind, FrameMessage,
    HitMessage, KeysMessage, NamesMessage, OperationsMessage, TraceMessage, from_key,
};
use super::messages::scalar::{check_size, from_text, from_trace_id};
use super::messages::summary::send_rows;
use super::parts::Parts;
use super::spans::SpanPacker;
use super::{ReadItem, WireError};

/// Bytes of a frame around a piece: its numbers and the piece's length.
const PIECE_OVERHEAD_BYTES: usize = 64;

/// Takes frames; may wait until there is room for one, and says when no more are wanted.
pub type EmitFrame<'a> = dyn FnMut(Bytes) -> ControlFlow<()> + 'a;

/// Writes the answer of one shard as frames, each below 1 MiB. At no time is more than one part of
/// an item held here.
pub struct FrameWriter<'a> {
    shard: ShardId,
    packer: SpanPacker,
    emit: &'a mut EmitFrame<'a>,
}

impl<'a> FrameWriter<'a> {
    /// A writer for the answer of a shard about a tenant's data.
    pub fn new(shard: ShardId, tenant: Tenant, emit: &'a mut EmitFrame<'a>) -> Self {
        Self { shard, packer: SpanPacker::new(tenant), emit }
    }

    /// Writes one item. After an error of the item itself a [`ReadItem::Failure`] may still be
    /// written; after [`WireError::Stopped`] nobody listens.
    pub fn write(&mut self, item: &ReadItem) -> Result<(), WireError> {
        match item {
            ReadItem::Hit(hit) => self.hit(hit),
            ReadItem::Trace(trace) => self.trace(trace.as_ref()),
            ReadItem::Columns(columns) => self.columns(columns.as_deref()),
            ReadItem::Aggregate(aggregate) => {
                let mut send = |part, more| {
                    self.frame(FrameMessage {
                        aggregate: Some(part),
                        ..FrameMessage::of(FrameKind::Aggregate, more)
                    })
                };
                send_aggregate(aggregate, Parts::new(&mut send))
            }
            ReadItem::Found(found) => {
                let found = Some(FoundMessage { rows: found.as_ref().map(Into::into) });
                self.frame(FrameMessage { found, ..FrameMessage::of(FrameKind::Found, false) })
            }
            ReadItem::Services(names) => self.list(
                names,
                |name| (from_text(name), name.len()),
                FrameKind::Services,
                |names, frame| frame.services = Some(NamesMessage { names }),
            ),
            ReadItem::Values(names) => self.list(
                names,
                |name| (from_text(name), name.len()),
                FrameKind::Values,
                |names, frame| frame.values = Some(NamesMessage { names }),
            ),
            ReadItem::Operations(operations) => self.list(
                operations,
                |operation| (operation.into(), operation.name.len()),
                FrameKind::Operations,
                |operations, frame| frame.operations = Some(OperationsMessage { operations }),
            ),
            ReadItem::Keys(keys) => self.list(
                keys,
                |key| (from_key(key), key.1.len()),
                FrameKind::Keys,
                |keys, frame| frame.keys = Some(KeysMessage { keys }),
            ),
            ReadItem::TraceIds(ids) => self.list(
                ids,
                |id| (from_trace_id(*id), TraceId::LENGTH),
                FrameKind::TraceIds,
                |names, frame| frame.trace_ids = Some(NamesMessage { names }),
            ),
            ReadItem::Edges(edges) => {
                let edges = edges
                    .iter()
                    .map(|edge| Ok((from_edge(edge)?, edge.parent.len() + edge.child.len())))
                    .collect::<Result<Vec<_>, WireError>>()?;
                self.list(
                    edges,
                    |edge| edge,
                    FrameKind::Edges,
                    |edges, frame| {
                        frame.edges = Some(EdgesMessage { edges });
                    },
                )
            }
            ReadItem::End(end) => {
                let end = Some(from_end(end)?);
                self.frame(FrameMessage { end, ..FrameMessage::of(FrameKind::End, false) })
            }
            ReadItem::Failure(failure) => {
                let failure = Some(from_failure(failure));
                self.frame(FrameMessage { failure, ..FrameMessage::of(FrameKind::Failure, false) })
            }
        }
    }

    fn hit(&mut self, hit: &Hit) -> Result<(), WireError> {
        let spans = hit.trace.as_ref().map_or(&[][..], |trace| &trace.spans);
        self.frame(FrameMessage {
            hit: Some(HitMessage {
                key: Some(hit.key.into()),
                summary: Some((&hit.summary).into()),
                trace: hit.trace.as_ref().map(from_trace),
            }),
            ..FrameMessage::of(FrameKind::Hit, !spans.is_empty())
        })?;
        self.spans(spans)
    }

    fn trace(&mut self, trace: Option<&Trace>) -> Result<(), WireError> {
        let spans = trace.map_or(&[][..], |trace| &trace.spans);
        self.frame(FrameMessage {
            trace: Some(FoundTraceMessage { trace: trace.map(from_trace) }),
            ..FrameMessage::of(FrameKind::Trace, !spans.is_empty())
        })?;
        self.spans(spans)
    }

    fn spans(&mut self, spans: &[Span]) -> Result<(), WireError> {
        let mut left = spans;
        while !left.is_empty() {
            let (spans, count) = self.packer.pack(left);
            left = left.get(count..).unwrap_or_default();
            let more = !left.is_empty();
            self.frame(FrameMessage { spans, ..FrameMessage::of(FrameKind::Spans, more) })?;
        }
        Ok(())
    }

    fn columns(&mut self, columns: Option<&TraceColumns>) -> Result<(), WireError> {
        let revision = columns.map(|columns| (&columns.revision).into());
        self.frame(FrameMessage {
            columns: Some(FoundColumnsMessage { revision }),
            ..FrameMessage::of(FrameKind::Columns, columns.is_some())
        })?;
        let Some(columns) = columns else { return Ok(()) };
        let mut send = |part, more| {
            let rows = Some(part);
            self.frame(FrameMessage { rows, ..FrameMessage::of(FrameKind::Rows, more) })
        };
        send_rows(columns, Parts::new(&mut send))
    }

    /// Writes a list: `convert` gives an item's message and the length of its texts, `put` puts
    /// the messages of a part where they belong.
    fn list<T, M>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        convert: impl Fn(T) -> (M, usize),
        kind: FrameKind,
        put: impl Fn(Vec<M>, &mut FrameMessage),
    ) -> Result<(), WireError> {
        let mut send = |part, more| {
            let mut frame = FrameMessage::of(kind, more);
            put(part, &mut frame);
            self.frame(frame)
        };
        let mut parts: Parts<'_, Vec<M>> = Parts::new(&mut send);
        for item in items {
            let (message, text_bytes) = convert(item);
            parts.room(text_bytes + 48)?.push(message);
        }
        parts.finish()
    }

    /// Emits a frame, in pieces if it is too large for one.
    fn frame(&mut self, mut frame: FrameMessage) -> Result<(), WireError> {
        frame.shard = self.shard.0;
        let bytes = frame.encoded_len();
        check_size("a part of an answer", bytes, PART_BYTES_MAX)?;
        let whole = Bytes::from(frame.encode_to_vec());
        if bytes <= FRAME_BYTES_MAX {
            return self.emit(whole);
        }
        drop(frame);
        let mut left = whole;
        while !left.is_empty() {
            let piece = left.split_to(left.len().min(FRAME_BYTES_MAX - PIECE_OVERHEAD_BYTES));
            let mut frame = FrameMessage::of(FrameKind::Piece, !left.is_empty());
            frame.shard = self.shard.0;
            frame.piece = piece;
            self.emit(Bytes::from(frame.encode_to_vec()))?;
        }
        Ok(())
    }

    fn emit(&mut self, frame: Bytes) -> Result<(), WireError> {
        match (self.emit)(frame) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(WireError::Stopped),
        }
    }
}

fn from_trace(trace: &Trace) -> TraceMessage {
    TraceMessage { trace_id: from_trace_id(trace.trace_id), truncated: trace.truncated }
}

impl fmt::Debug for FrameWriter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FrameWriter").field("shard", &self.shard).finish_non_exhaustive()
    }
}
