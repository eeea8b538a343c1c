//! Answers of several shards become one. Pure.
//!
//! A trace lies in one shard, so the hits of different shards are different traces, and the
//! first `limit` of the merged order are exactly the first `limit` of all (QRY-1). Traces that lie
//! in two were judged apart (`across.rs`), and no shard's answer has them.

use std::collections::BTreeSet;

use model::ShardId;
use model::query::{Cursor, OrderKey};
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
    /// There may be more behind this place, and all that comes before it was told.
    pub(crate) told_until: Option<OrderKey>,
    /// What the shard's answer lacks.
    pub(crate) completeness: Completeness,
}

/// Hits among traces that lie in two shards.
#[derive(Debug, Default)]
pub(crate) struct AcrossHits {
    /// In any order, more than asked for if there are so many.
    pub(crate) hits: Vec<Hit>,
    /// Spans that were looked at.
    pub(crate) spans_scanned: u64,
    /// What finding and judging these traces lacked.
    pub(crate) completeness: Completeness,
    /// Some that are known were not judged: any of them may come first.
    pub(crate) is_cut: bool,
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

/// How far the merged order is exact, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    /// A shard told nothing before it was exhausted.
    Nothing,
    /// A shard was exhausted or stopped after this place.
    UpTo(OrderKey),
    /// No shard was.
    Everything,
}

/// Merges the answers of shards that answered; `missing` ones did not. `across` are the hits among
/// traces that lie in two shards.
pub(crate) fn merge_hits(
    limit: usize,
    former: Option<&Cursor>,
    answers: Vec<(ShardId, ShardHits)>,
    across: AcrossHits,
    missing: BTreeSet<ShardId>,
) -> Merged {
    let mut completeness = Completeness { missing, ..Completeness::default() };
    let mut hits = Vec::new();
    let mut applied = Vec::new();
    let mut moved = BTreeSet::new();
    let mut spans_scanned = 0;
    let mut has_more = false;
    let mut bound = Bound::Everything;
    for (shard, answer) in answers {
        let before = former.and_then(|cursor| {
            cursor.applied.iter().find(|(other, _)| *other == shard).map(|(_, index)| *index)
        });
        if before.is_some_and(|index| index != answer.applied) {
            moved.insert(shard);
        }
        applied.push((shard, answer.applied));
        spans_scanned += answer.spans_scanned;
        if answer.completeness.exhausted.is_some() {
            // The shard has more, for all that is known, and all of it comes after this.
            has_more = true;
            let last = answer.hits.last().map(|hit| hit.key);
            bound = bound.min(last.map_or(Bound::Nothing, Bound::UpTo));
        } else if let Some(until) = answer.told_until {
            has_more = true;
            bound = bound.min(Bound::UpTo(until));
        }
        completeness.merge(answer.completeness);
        hits.extend(answer.hits);
    }
    spans_scanned += across.spans_scanned;
    if across.is_cut {
        has_more = true;
        bound = Bound::Nothing;
    }
    completeness.merge(across.completeness);
    hits.extend(across.hits);
    hits.sort_by_key(|hit: &Hit| hit.key);
    has_more |= hits.len() > limit;
    hits.truncate(limit);
    match bound {
        Bound::Everything => {}
        // What lies beyond may stand in the wrong order, and the next page would begin behind
        // what the exhausted shard has not told: it belongs to the next page.
        Bound::UpTo(last) => hits.retain(|hit| hit.key <= last),
        // There is no beginning to return; what was found is shown once, and not continued.
        Bound::Nothing => has_more = false,
    }
    let last = hits.last().map(|hit| hit.key).filter(|_| has_more);
    let cursor = last.map(|last| Cursor { last, applied });
    Merged { hits, completeness, cursor, moved, spans_scanned }
}
