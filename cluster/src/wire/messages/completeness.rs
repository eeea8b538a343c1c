//! What an answer lacks, how it ended, and why there is none.

use std::collections::BTreeSet;

use model::ShardId;
use model::budget::Exhausted;
use model::store::Completeness;
use storage::log::LogIndex;

use super::number::Numbered as _;
use super::query::{CursorMessage, from_cursor, to_cursor};
use super::scalar::{check_count, check_shards, from_reason, required};
use crate::wire::{ReadEnd, ReadFailure, ReadFailureKind, RingEpoch, SearchProgress, WireError};

#[derive(Clone, Copy)]
enum ExhaustedKind {
    Deadline,
    Cancelled,
    Bytes,
}

numbered!(ExhaustedKind, "an exhaustion of kind", { 1 => Deadline, 2 => Cancelled, 3 => Bytes });

/// Why a read stopped early.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExhaustedMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, tag = "2")]
    bytes_max: u64,
}

impl From<Exhausted> for ExhaustedMessage {
    fn from(exhausted: Exhausted) -> Self {
        let (kind, bytes_max) = match exhausted {
            Exhausted::Deadline => (ExhaustedKind::Deadline, 0),
            Exhausted::Cancelled => (ExhaustedKind::Cancelled, 0),
            Exhausted::Bytes { bytes_max } => (ExhaustedKind::Bytes, bytes_max),
        };
        Self { kind: kind.number(), bytes_max }
    }
}

fn to_exhausted(message: &ExhaustedMessage) -> Result<Exhausted, WireError> {
    Ok(match ExhaustedKind::from_number(message.kind)? {
        ExhaustedKind::Deadline => Exhausted::Deadline,
        ExhaustedKind::Cancelled => Exhausted::Cancelled,
        ExhaustedKind::Bytes => Exhausted::Bytes { bytes_max: message.bytes_max },
    })
}

/// What an answer lacks.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CompletenessMessage {
    #[prost(uint32, repeated, tag = "1")]
    missing: Vec<u32>,
    #[prost(uint32, repeated, tag = "2")]
    stale: Vec<u32>,
    #[prost(message, optional, tag = "3")]
    exhausted: Option<ExhaustedMessage>,
    #[prost(bool, tag = "4")]
    sampled: bool,
}

fn from_completeness(completeness: &Completeness) -> Result<CompletenessMessage, WireError> {
    Ok(CompletenessMessage {
        missing: from_shards(&completeness.missing)?,
        stale: from_shards(&completeness.stale)?,
        exhausted: completeness.exhausted.map(Into::into),
        sampled: completeness.sampled,
    })
}

fn to_completeness(message: &CompletenessMessage) -> Result<Completeness, WireError> {
    Ok(Completeness {
        missing: to_shards(&message.missing)?,
        stale: to_shards(&message.stale)?,
        exhausted: message.exhausted.as_ref().map(to_exhausted).transpose()?,
        sampled: message.sampled,
    })
}

fn from_shards(shards: &BTreeSet<ShardId>) -> Result<Vec<u32>, WireError> {
    check_shards("shards of an answer", shards.len())?;
    Ok(shards.iter().map(|shard| shard.0).collect())
}

fn to_shards(numbers: &[u32]) -> Result<BTreeSet<ShardId>, WireError> {
    check_shards("shards of an answer", numbers.len())?;
    Ok(numbers.iter().copied().map(ShardId).collect())
}

/// The end of a shard's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EndMessage {
    #[prost(message, optional, tag = "1")]
    completeness: Option<CompletenessMessage>,
    #[prost(uint64, tag = "2")]
    applied: u64,
    #[prost(uint32, tag = "3")]
    fenced_epoch: u32,
    #[prost(message, optional, tag = "4")]
    search: Option<SearchProgressMessage>,
}

/// What a search knows at its end.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SearchProgressMessage {
    #[prost(message, optional, tag = "1")]
    cursor: Option<CursorMessage>,
    #[prost(uint32, repeated, tag = "2")]
    moved: Vec<u32>,
    #[prost(uint64, tag = "3")]
    spans_scanned: u64,
}

pub(crate) fn from_end(end: &ReadEnd) -> Result<EndMessage, WireError> {
    Ok(EndMessage {
        completeness: Some(from_completeness(&end.completeness)?),
        applied: end.applied.0,
        fenced_epoch: end.fenced_epoch.0,
        search: end.search.as_ref().map(from_progress).transpose()?,
    })
}

pub(crate) fn to_end(message: EndMessage) -> Result<ReadEnd, WireError> {
    let completeness = required("the completeness of an answer", message.completeness)?;
    Ok(ReadEnd {
        completeness: to_completeness(&completeness)?,
        applied: LogIndex(message.applied),
        fenced_epoch: RingEpoch(message.fenced_epoch),
        search: message.search.map(to_progress).transpose()?,
    })
}

fn from_progress(progress: &SearchProgress) -> Result<SearchProgressMessage, WireError> {
    Ok(SearchProgressMessage {
        cursor: progress.cursor.as_ref().map(from_cursor).transpose()?,
        moved: from_shards(&progress.moved)?,
        spans_scanned: check_count("spans scanned", progress.spans_scanned)?,
    })
}

fn to_progress(message: SearchProgressMessage) -> Result<SearchProgress, WireError> {
    Ok(SearchProgress {
        cursor: message.cursor.map(to_cursor).transpose()?,
        moved: to_shards(&message.moved)?,
        spans_scanned: check_count("spans scanned", message.spans_scanned)?,
    })
}

#[derive(Clone, Copy)]
enum FailureKind {
    StaleEpoch,
    Behind,
    Exhausted,
    Unavailable,
    Damaged,
    Unsupported,
}

numbered!(FailureKind, "a failure of kind", {
    1 => StaleEpoch, 2 => Behind, 3 => Exhausted, 4 => Unavailable, 5 => Damaged, 6 => Unsupported,
});

/// Why a shard does not answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FailureMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, tag = "2")]
    text: String,
    #[prost(uint64, tag = "3")]
    map_version: u64,
    #[prost(uint64, tag = "4")]
    applied: u64,
    #[prost(message, optional, tag = "5")]
    exhausted: Option<ExhaustedMessage>,
    #[prost(uint64, tag = "6")]
    retry_after_ms: u64,
}

pub(crate) fn from_failure(failure: &ReadFailure) -> FailureMessage {
    let of = |kind: FailureKind| FailureMessage {
        kind: kind.number(),
        text: from_reason(&failure.text),
        ..Default::default()
    };
    match failure.kind {
        ReadFailureKind::StaleEpoch { map_version } => {
            FailureMessage { map_version, ..of(FailureKind::StaleEpoch) }
        }
        ReadFailureKind::Behind { applied } => {
            FailureMessage { applied: applied.0, ..of(FailureKind::Behind) }
        }
        ReadFailureKind::Exhausted(exhausted) => {
            FailureMessage { exhausted: Some(exhausted.into()), ..of(FailureKind::Exhausted) }
        }
        ReadFailureKind::Unavailable { retry_after_ms } => {
            FailureMessage { retry_after_ms, ..of(FailureKind::Unavailable) }
        }
        ReadFailureKind::Damaged => of(FailureKind::Damaged),
        ReadFailureKind::Unsupported => of(FailureKind::Unsupported),
    }
}

pub(crate) fn to_failure(message: FailureMessage) -> Result<ReadFailure, WireError> {
    let kind = match FailureKind::from_number(message.kind)? {
        FailureKind::StaleEpoch => ReadFailureKind::StaleEpoch { map_version: message.map_version },
        FailureKind::Behind => ReadFailureKind::Behind { applied: LogIndex(message.applied) },
        FailureKind::Exhausted => ReadFailureKind::Exhausted(to_exhausted(&required(
            "what was exhausted",
            message.exhausted,
        )?)?),
        FailureKind::Unavailable => {
            ReadFailureKind::Unavailable { retry_after_ms: message.retry_after_ms }
        }
        FailureKind::Damaged => ReadFailureKind::Damaged,
        FailureKind::Unsupported => ReadFailureKind::Unsupported,
    };
    Ok(ReadFailure { kind, text: message.text })
}
