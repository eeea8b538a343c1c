//! A search's cursor as text: where an answer ended, for a client to bring back unread.
//!
//! Version 1, in base64 without padding (the alphabet for URLs): one byte 1, the rank and the
//! trace id of the last trace, then shard and applied index of each shard that answered;
//! numbers big-endian.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::query::{Cursor, OrderKey};
use model::{ShardId, TraceId};

use super::limits::CURSOR_SHARDS_MAX;

const VERSION: u8 = 1;
const SHARD_BYTES: usize = 12;

/// The text of a cursor.
pub(super) fn print(cursor: &Cursor) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&cursor.last.rank.to_be_bytes());
    bytes.extend_from_slice(cursor.last.trace_id.as_bytes());
    for (shard, applied) in &cursor.applied {
        bytes.extend_from_slice(&shard.0.to_be_bytes());
        bytes.extend_from_slice(&applied.to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor in a text, if it is one.
pub(super) fn parse(text: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (rank, rest) = rest.split_first_chunk::<8>()?;
    let (trace_id, rest) = rest.split_first_chunk::<16>()?;
    if *version != VERSION || !rest.len().is_multiple_of(SHARD_BYTES) {
        return None;
    }
    let applied: Option<Vec<_>> = rest.chunks_exact(SHARD_BYTES).map(shard).collect();
    let applied = applied.filter(|applied| applied.len() <= CURSOR_SHARDS_MAX)?;
    let last = OrderKey { rank: u64::from_be_bytes(*rank), trace_id: TraceId(*trace_id) };
    Some(Cursor { last, applied })
}

fn shard(bytes: &[u8]) -> Option<(ShardId, u64)> {
    let (shard, applied) = bytes.split_first_chunk::<4>()?;
    let applied: [u8; 8] = applied.try_into().ok()?;
    Some((ShardId(u32::from_be_bytes(*shard)), u64::from_be_bytes(applied)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_nothing_else_is_one() {
        let last = OrderKey { rank: u64::MAX - 7, trace_id: TraceId([9; 16]) };
        for applied in [vec![], vec![(ShardId(0), 5), (ShardId(u32::MAX), u64::MAX)]] {
            let cursor = Cursor { last, applied };
            assert_eq!(parse(&print(&cursor)), Some(cursor));
        }
        for bad in ["", "AQ", "!!", "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(100_000)] {
            assert_eq!(parse(bad), None, "{bad:.40}");
        }
    }
}
