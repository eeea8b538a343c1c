//! What a shard answers to a read: whole items, whatever frames they take.

use std::collections::BTreeSet;

use model::aggregate::{Aggregate, DependencyEdge};
use model::budget::Exhausted;
use model::query::{AttributeScope, Cursor};
use model::store::{Completeness, FoundRows, Hit, Operation, Trace, TraceColumns};
use model::{ShardId, Text, TraceId};
use storage::log::LogIndex;

use super::RingEpoch;

/// Something that a shard answers. A shard's answer is any number of results, then exactly one
/// [`ReadItem::End`] or [`ReadItem::Failure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadItem {
    /// To a search: a trace that matches, in the query's order.
    Hit(Box<Hit>),
    /// To a question by id: the trace, if any span of it is known.
    Trace(Option<Trace>),
    /// Likewise: its structure.
    Columns(Option<Box<TraceColumns>>),
    /// Likewise: which of its rows pass.
    Found(Option<FoundRows>),
    /// To a question for figures.
    Aggregate(Box<Aggregate>),
    /// Effective services.
    Services(BTreeSet<Text>),
    /// Effective operations.
    Operations(BTreeSet<Operation>),
    /// Keys of attributes.
    Keys(BTreeSet<(AttributeScope, Text)>),
    /// String forms of values.
    Values(BTreeSet<Text>),
    /// Calls between services.
    Edges(Vec<DependencyEdge>),
    /// Traces.
    TraceIds(BTreeSet<TraceId>),
    /// The answer is over.
    End(ReadEnd),
    /// There is no answer, or no more of it.
    Failure(ReadFailure),
}

impl ReadItem {
    /// Whether nothing of the shard follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::End(_) | Self::Failure(_))
    }
}

/// The end of a shard's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadEnd {
    /// What the answer lacks.
    pub completeness: Completeness,
    /// What the replica had applied when it answered.
    pub applied: LogIndex,
    /// The highest ring epoch whose fence the replica has applied: a later one than the asker's
    /// means that the question has to be repeated with the new map.
    pub fenced_epoch: RingEpoch,
    /// Of a search: what it knows at its end.
    pub search: Option<SearchProgress>,
}

/// What a search knows at its end, besides its completeness; see [`model::store::SearchEnd`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchProgress {
    /// Where to continue within this shard.
    pub cursor: Option<Cursor>,
    /// Shards that applied entries since the query's cursor.
    pub moved: BTreeSet<ShardId>,
    /// Spans whose columns were looked at.
    pub spans_scanned: u64,
}

/// Why a shard does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {text}")]
pub struct ReadFailure {
    /// What the asker should do.
    pub kind: ReadFailureKind,
    /// In words, for logs; long texts are cut off on the way.
    pub text: String,
}

/// Why a shard does not answer, by what the asker should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFailureKind {
    /// The asker's ring epoch is over. Fetch the map, at least this version of it, and ask anew.
    #[error("the ring epoch is over, see version {map_version} of the map")]
    StaleEpoch {
        /// The version of the map that the node knows.
        map_version: u64,
    },
    /// The replica has not applied what was asked for in time. Ask another one.
    #[error("the replica has applied {applied} only")]
    Behind {
        /// What it has applied.
        applied: LogIndex,
    },
    /// The read spent what it may. Another replica would spend as much.
    #[error("{0}")]
    Exhausted(Exhausted),
    /// The shard is not here, or cannot be read now. Ask another replica.
    #[error("unavailable, try again in {retry_after_ms} ms")]
    Unavailable {
        /// When asking this one again may help.
        retry_after_ms: u64,
    },
    /// Data of the replica is damaged. Ask another one.
    #[error("damaged data")]
    Damaged,
    /// The node does not know what is asked: its version is an earlier one.
    #[error("not known to this version")]
    Unsupported,
}
