//! Answers of several shards become one. Pure.
//!
//! A trace lies in one shard, so the hits of different shards are different traces, and the
//! first `limit` of the merged order are exactly the first `limit` of all (QRY-1).

use std::collections::BTreeSet;

use model::ShardId;
use model::query::Cursor;
use model::store::{Completeness, Hit};

/// One shard's answer to a search.
#[derive(Debug, Default)]
pub(crate) struct ShardHits {
    /// In the query's order, one more than asked for if there are so many.
    pub(crate) hits: Vec<Hit>,
    /// The shard's applied index.
    pub(crate) applied: u64,
    /// Spans whose columns were looked at.
    pub(crate) spans_scanned: u64,
    /// What the shard's answer lacks.
    pub(crate) completeness: Completeness,
}

/// The merged answer.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) hits: Vec<Hit>,
    pub(crate) completeness: Completeness,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) moved: BTreeSet<ShardId>,
    pub(crate) spans_scanned: u64,
}

/// Merges the answers of shards that answered; `missing` ones did not.
pub(crate) fn merge_hits(
    limit: usize,
    former: Option<&Cursor>,
    answers: Vec<(ShardId, ShardHits)>,
    missing: BTreeSet<ShardId>,
) -> Merged {
    let mut completeness = Completeness { missing, ..Completeness::default() };
    let mut hits = Vec::new();
    let mut applied = Vec::new();
    let mut moved = BTreeSet::new();
    let mut spans_scanned = 0;
    let mut has_more = false;
    for (shard, answer) in answers {
        let before = former.and_then(|cursor| {
            cursor.applied.iter().find(|(other, _)| *other == shard).map(|(_, index)| *index)
        });
        if before.is_some_and(|index| index != answer.applied) {
            moved.insert(shard);
        }
        applied.push((shard, answer.applied));
        spans_scanned += answer.spans_scanned;
        // A shard that stopped early has more for all that is known.
        has_more |= answer.completeness.exhausted.is_some();
        completeness.merge(answer.completeness);
        hits.extend(answer.hits);
    }
    hits.sort_by_key(|hit: &Hit| hit.key);
    has_more |= hits.len() > limit;
    hits.truncate(limit);
    let last = hits.last().map(|hit| hit.key).filter(|_| has_more);
    let cursor = last.map(|last| Cursor { last, applied });
    Merged { hits, completeness, cursor, moved, spans_scanned }
}
