//! Traces across a fence: those with spans in an older and in a newer shard.
//!
//! When shards are added, spans of some traces go to a new shard from then on, and those that came
//! before stay where they are. By id that is no matter: every shard is asked that may have some. A
//! search is another thing: a shard judges what it has, and of these traces none has all. So a
//! search whose window comes within an hour of a fence first finds out which traces lie across it,
//! has the shards leave them out, and judges each as a whole before the answer is cut off at its
//! limit (QRY-1).
//!
//! Which these are is found out with a share of the read's time, page by page of the ids that an
//! old shard has and the ring leads elsewhere. What is not found out in that time is said to be
//! lacking. Once nothing of it changes any more it is kept, as far as it has come, so that the next
//! read goes on there.
//!
//! Further from the fence than an hour a trace would have to take longer than that to be met; such
//! a one is found in two parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt as _, future, stream};
use model::budget::{Budget, Exhausted};
use model::query::{TraceFacts, TraceQuery, order_key};
use model::store::{
    Answer, Completeness, Detail, Hit, ReadScope, Revision, SearchItem, SearchRequest, Trace,
    TraceRequest,
};
use model::{Duration, ShardId, StoreError, Tenant, TimeRange, TraceId};
use storage::shard::limits::{HIT_SPANS_BYTES_MAX, SPAN_BYTES_ESTIMATE};

use super::Coordinator;
use super::merge::AcrossHits;
use super::read::Gathered;
use super::search::answer;
use super::shards::Fence;
use super::store::SPANS_MAX;
use crate::limits::{
    ACROSS_AT_ONCE_MAX, ACROSS_CACHED_MAX, ACROSS_ROUNDS_MAX, ACROSS_SHARE, ACROSS_TRACES_MAX,
    ACROSS_WALKS_MAX, MOVED_CACHED_IDS_MAX, NEAR_FENCE,
};
use crate::placement::Ring;
use crate::wire::limits::KNOWN_IDS_MAX;
use crate::wire::{ReadItem, ReadOperation};

/// Traces across fences, as far as could be found out.
#[derive(Debug, Default)]
pub(super) struct Across {
    pub(super) trace_ids: BTreeSet<TraceId>,
    pub(super) completeness: Completeness,
}

/// How far the ids of an old shard have been gone through, and what came of it.
#[derive(Debug, Clone, Default)]
struct Walk {
    across: BTreeSet<TraceId>,
    /// The last one that was looked at.
    after: Option<TraceId>,
    is_done: bool,
}

/// What is known of fences and does not change any more, but for traces that go. Filled by reads;
/// what is dropped is found out again.
#[derive(Debug, Default)]
pub(super) struct AcrossCache {
    /// Traces that old shards have and the new ring leads elsewhere. Once the ring is in force no
    /// span of them comes to an old shard any more.
    moved: Mutex<BTreeMap<Place, Arc<[TraceId]>>>,
    /// Which of them lie across a fence that is long past, as far as was looked.
    walks: Mutex<BTreeMap<Place, Walk>>,
}

/// Whose traces, across which fence (by how many shards there were after it), in which old shard.
type Place = (Tenant, u32, ShardId);

impl AcrossCache {
    fn moved(&self, place: &Place) -> Option<Arc<[TraceId]>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    fn put_moved(&self, place: &Place, ids: Vec<TraceId>) {
        let Some(room) = MOVED_CACHED_IDS_MAX.checked_sub(ids.len()) else { return };
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        while moved.len() >= ACROSS_CACHED_MAX
            || moved.values().map(|ids| ids.len()).sum::<usize>() > room
        {
            moved.pop_first();
        }
        moved.insert(place.clone(), ids.into());
    }

    fn walk(&self, place: &Place) -> Option<Walk> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    fn put_walk(&self, place: &Place, walk: &Walk) {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        if walks.len() >= ACROSS_CACHED_MAX && !walks.contains_key(place) {
            walks.pop_first();
        }
        walks.insert(place.clone(), walk.clone());
    }
}

impl Fence {
    /// When traces across it are looked for.
    fn near(&self) -> TimeRange {
        let start = self.from.saturating_sub(NEAR_FENCE);
        TimeRange { start, end: self.until.saturating_add(NEAR_FENCE) }
    }

    fn old_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.before).map(ShardId)
    }
}

impl Coordinator {
    /// The whole answer to a search whose window comes near fences.
    pub(super) async fn told_across(
        &self,
        request: SearchRequest,
    ) -> Result<Vec<SearchItem>, StoreError> {
        let (limit, cursor) = (request.query.limit as usize, request.query.cursor.clone());
        let (gathered, across) = self.hits(request).await?;
        Ok(answer(limit, cursor.as_ref(), gathered, across))
    }

    /// What shards say to a search, without the traces that lie across a fence, and the hits among
    /// these.
    async fn hits(&self, request: SearchRequest) -> Result<(Gathered, AcrossHits), StoreError> {
        let SearchRequest { scope, query, detail, progress: _ } = request;
        let mut fences = self.fences_near(query.window);
        let mut across = self.across(&scope, &fences).await;
        let (mut judged, mut unjudged) = (AcrossHits::default(), across.trace_ids.clone());
        let mut rounds = 0;
        let mut gathered = loop {
            // Parts of traces are among the hits of a shard that are no hits in the end: they must
            // not stop other shards.
            let operation = ReadOperation::Search {
                // One more than asked for tells whether there are more.
                query: TraceQuery { limit: query.limit.saturating_add(1), ..query.clone() },
                detail,
                together: false,
                without: across.trace_ids.clone(),
            };
            let new = std::mem::take(&mut unjudged);
            let asked = self.ask_all(scope.clone(), operation);
            let judging = self.judge(&scope, &query, detail, new, &mut judged);
            let (gathered, ()) = future::join(asked, judging).await;
            let gathered = gathered?;
            rounds += 1;
            // Shards were added while these were asked: there is a fence more to look across.
            let near = self.fences_near(query.window);
            let is_known = near == fences;
            if !is_known {
                fences = near;
                let further = self.across(&scope, &fences).await;
                unjudged.extend(further.trace_ids.difference(&across.trace_ids));
                across.completeness.merge(further.completeness);
            }
            // Traces that came to lie across one since, of which a shard told a part.
            unjudged.extend(self.late(&scope, &fences, &gathered, &mut across).await);
            across.trace_ids.extend(&unjudged);
            if is_known && unjudged.is_empty() {
                break gathered;
            }
            if rounds >= ACROSS_ROUNDS_MAX || across.trace_ids.len() > ACROSS_TRACES_MAX {
                across.completeness.stale.extend(gathered.answers.iter().map(|(shard, _)| *shard));
                self.judge(&scope, &query, detail, unjudged, &mut judged).await;
                break gathered;
            }
        };
        for (_, answer) in &mut gathered.answers {
            answer.items.retain(|item| match item {
                ReadItem::Hit(hit) => !across.trace_ids.contains(&hit.summary.trace_id),
                _ => true,
            });
        }
        judged.completeness.merge(across.completeness);
        Ok((gathered, judged))
    }

    /// The fences that a question with this window comes near.
    pub(super) fn fences_near(&self, window: TimeRange) -> Vec<Fence> {
        let routes = self.core.shards.routes();
        let near = routes.fences.iter().filter(|fence| fence.near().overlaps(&window));
        near.copied().collect()
    }

    /// The same budget for something that may take its share of the time that is left.
    fn share(&self, scope: &ReadScope) -> ReadScope {
        let now = self.core.clock.monotonic();
        let left = scope.budget.deadline().since(now);
        let budget = scope.budget.part(now.plus(Duration(left.0 / ACROSS_SHARE)));
        ReadScope { tenant: scope.tenant.clone(), budget, stale: scope.stale }
    }

    /// The traces across these fences, as far as they can be found out in a share of the time.
    pub(super) async fn across(&self, scope: &ReadScope, fences: &[Fence]) -> Across {
        let share = &self.share(scope);
        let fences_and_shards = fences.iter().flat_map(|fence| {
            let fence = *fence;
            fence.old_shards().map(move |shard| (fence, shard))
        });
        let places: Vec<(Fence, ShardId)> = fences_and_shards.collect();
        let walks = places.into_iter().map(|(fence, shard)| self.across_one(share, fence, shard));
        let mut walks = std::pin::pin!(stream::iter(walks).buffer_unordered(ACROSS_WALKS_MAX));
        let mut across = Across::default();
        while let Some(found) = walks.next().await {
            across.trace_ids.extend(found.trace_ids);
            across.completeness.merge(found.completeness);
        }
        while across.trace_ids.len() > ACROSS_TRACES_MAX {
            across.trace_ids.pop_last();
            across.completeness.missing.extend(fences.iter().flat_map(Fence::old_shards));
        }
        across
    }

    /// The traces of one old shard that lie across a fence.
    async fn across_one(&self, scope: &ReadScope, fence: Fence, shard: ShardId) -> Across {
        let cache = &self.core.across;
        let place = (scope.tenant.clone(), fence.after, shard);
        let is_in_force = self.core.shards.routes().ring.shard_count() >= fence.after;
        let over = fence.near().end.saturating_add(NEAR_FENCE);
        let is_over = is_in_force && self.core.shards.time().is_some_and(|now| now > over);
        let mut completeness = Completeness::default();
        let mut walk = cache.walk(&place).filter(|_| is_over).unwrap_or_default();
        let ring = Ring::new(fence.after);
        if !walk.is_done
            && let Some(moved) = cache.moved(&place)
        {
            walk.across = self.known(scope, &ring, &moved, &mut completeness).await;
            walk.is_done = completeness.is_complete();
        } else {
            // All of them, as long as they are few enough to be kept.
            let mut moved = walk.after.is_none().then(Vec::new);
            while !walk.is_done && walk.across.len() <= ACROSS_TRACES_MAX {
                let page = self.elsewhere(scope, fence, shard, walk.after).await;
                let found = self.known(scope, &ring, &page.trace_ids, &mut completeness).await;
                walk.across.extend(found);
                completeness.merge(page.completeness);
                // What is only stale is gone on behind, and not kept.
                if completeness.exhausted.is_some() || !completeness.missing.is_empty() {
                    break;
                }
                walk.after = page.trace_ids.last().copied().or(walk.after);
                walk.is_done = page.is_last;
                moved = moved.filter(|all| all.len() <= MOVED_CACHED_IDS_MAX);
                if let Some(all) = &mut moved {
                    all.extend(page.trace_ids);
                }
            }
            let is_whole = walk.is_done && completeness.is_complete();
            if let Some(moved) = moved.filter(|_| is_whole && is_in_force) {
                cache.put_moved(&place, moved);
            }
        }
        // One more than are judged tells that there are too many.
        while walk.across.len() > ACROSS_TRACES_MAX + 1 {
            walk.across.pop_last();
        }
        if is_over && completeness.stale.is_empty() {
            cache.put_walk(&place, &walk);
        }
        Across { trace_ids: walk.across, completeness }
    }

    /// Traces that an old shard has of about the time of a fence and that belong elsewhere since.
    async fn elsewhere(
        &self,
        scope: &ReadScope,
        fence: Fence,
        shard: ShardId,
        after: Option<TraceId>,
    ) -> Page {
        let (window, shard_count) = (fence.near(), fence.after);
        let operation = ReadOperation::Elsewhere { window, shard_count, after };
        let mut page = Page { is_last: true, ..Page::default() };
        match self.ask_shards(scope.clone(), operation, vec![shard]).await {
            Ok(asked) => {
                page.completeness = asked.completeness();
                page.is_last = !std::mem::take(&mut page.completeness.sampled);
                page.trace_ids = told_ids(&asked).into_iter().collect();
                // There is nothing to go on behind.
                if !page.is_last && page.trace_ids.last().copied() <= after {
                    page.completeness.missing.insert(shard);
                }
            }
            Err(error) => lacks(&mut page.completeness, &[shard], &error),
        }
        page
    }

    /// Traces that newer shards tell as hits, that older shards have too, and that were not known
    /// to lie across a fence.
    async fn late(
        &self,
        scope: &ReadScope,
        fences: &[Fence],
        gathered: &Gathered,
        across: &mut Across,
    ) -> BTreeSet<TraceId> {
        let share = &self.share(scope);
        let mut late = BTreeSet::new();
        for fence in fences {
            let new = gathered.answers.iter().filter(|(shard, _)| shard.0 >= fence.before);
            let hits = new.flat_map(|(_, answer)| &answer.items).filter_map(|item| match item {
                ReadItem::Hit(hit) => Some(hit.summary.trace_id),
                _ => None,
            });
            let unknown: BTreeSet<TraceId> =
                hits.filter(|id| !across.trace_ids.contains(id)).collect();
            let unknown: Vec<TraceId> = unknown.into_iter().collect();
            let ring = Ring::new(fence.before);
            late.extend(self.known(share, &ring, &unknown, &mut across.completeness).await);
        }
        late
    }

    /// Those of the traces that the shards have to which a ring leads them.
    async fn known(
        &self,
        scope: &ReadScope,
        ring: &Ring,
        trace_ids: &[TraceId],
        completeness: &mut Completeness,
    ) -> BTreeSet<TraceId> {
        let mut by_shard: BTreeMap<ShardId, Vec<TraceId>> = BTreeMap::new();
        for id in trace_ids {
            by_shard.entry(ring.shard_of(*id)).or_default().push(*id);
        }
        let chunks: Vec<(ShardId, BTreeSet<TraceId>)> = by_shard
            .iter()
            .flat_map(|(shard, ids)| ids.chunks(KNOWN_IDS_MAX).map(|ids| (*shard, ids)))
            .map(|(shard, ids)| (shard, ids.iter().copied().collect()))
            .collect();
        let asked = chunks.into_iter().map(|(shard, trace_ids)| async move {
            let operation = ReadOperation::Known { trace_ids };
            (shard, self.ask_shards(scope.clone(), operation, vec![shard]).await)
        });
        let mut asked = std::pin::pin!(stream::iter(asked).buffer_unordered(ACROSS_AT_ONCE_MAX));
        let mut known = BTreeSet::new();
        while let Some((shard, answer)) = asked.next().await {
            match answer {
                Ok(gathered) => {
                    completeness.merge(gathered.completeness());
                    known.extend(told_ids(&gathered));
                }
                Err(error) => lacks(completeness, &[shard], &error),
            }
        }
        known
    }

    /// Whole traces, each by itself, some at the same time.
    pub(super) fn wholes(
        &self,
        scope: &ReadScope,
        trace_ids: BTreeSet<TraceId>,
    ) -> impl Stream<Item = (TraceId, Result<Answer<Option<Trace>>, StoreError>)> {
        let wholes = trace_ids.into_iter().map(|trace_id| {
            // Whoever has enough of them drops the rest, and only the rest.
            let budget = scope.budget.part(scope.budget.deadline());
            let scope = ReadScope { tenant: scope.tenant.clone(), budget, stale: scope.stale };
            let request = TraceRequest { scope, trace_id, spans_max: SPANS_MAX };
            async move { (trace_id, self.live_trace(request).await) }
        });
        stream::iter(wholes.collect::<Vec<_>>()).buffered(ACROSS_AT_ONCE_MAX)
    }

    /// What a trace lacks none of whose shards answers.
    pub(super) fn lacks_trace(
        &self,
        completeness: &mut Completeness,
        trace_id: TraceId,
        error: &StoreError,
    ) {
        lacks(completeness, &self.core.shards.routes().shards_of(trace_id), error);
    }

    /// Adds the hits among traces that lie across a fence, each judged as a whole. Kept are as many
    /// as the answer may show.
    async fn judge(
        &self,
        scope: &ReadScope,
        query: &TraceQuery,
        detail: Detail,
        trace_ids: BTreeSet<TraceId>,
        judged: &mut AcrossHits,
    ) {
        let count_max = (query.limit as usize).saturating_add(1);
        let mut wholes = std::pin::pin!(self.wholes(scope, trace_ids));
        let query = Arc::new(query.clone());
        while let Some((trace_id, whole)) = wholes.next().await {
            let hit = match whole {
                Ok(Answer { value, completeness }) => {
                    judged.completeness.merge(completeness);
                    let Some(trace) = value else { continue };
                    judged.spans_scanned += trace.spans.len() as u64;
                    let query = Arc::clone(&query);
                    let hit = move |budget: &Budget| hit(&query, detail, trace, budget);
                    self.work(&scope.budget, hit).await
                }
                Err(error) => Err(error),
            };
            match hit {
                Ok(None) => continue,
                Ok(Some(hit)) => {
                    let place = judged.hits.partition_point(|other| other.key < hit.key);
                    judged.hits.insert(place, hit);
                    judged.hits.truncate(count_max);
                }
                Err(error) => {
                    judged.is_cut |= matches!(error, StoreError::Exhausted(_));
                    self.lacks_trace(&mut judged.completeness, trace_id, &error);
                }
            }
            let spans = |hit: &Hit| hit.trace.as_ref().map_or(0, |trace| trace.spans.len() as u64);
            let held_bytes = judged.hits.iter().map(spans).sum::<u64>() * SPAN_BYTES_ESTIMATE;
            if held_bytes > HIT_SPANS_BYTES_MAX {
                let exhausted = Exhausted::Bytes { bytes_max: HIT_SPANS_BYTES_MAX };
                judged.completeness.exhausted = Some(exhausted);
                judged.is_cut = true;
            }
            if judged.is_cut {
                return;
            }
        }
    }
}

/// A page of the traces that an old shard has.
#[derive(Debug, Default)]
struct Page {
    /// Ascending.
    trace_ids: Vec<TraceId>,
    is_last: bool,
    completeness: Completeness,
}

/// Notes that shards did not say what they were asked, others lie elsewhere (QRY-2).
fn lacks(completeness: &mut Completeness, shards: &[ShardId], error: &StoreError) {
    match error {
        StoreError::Exhausted(exhausted) => completeness.exhausted = Some(*exhausted),
        _ => completeness.missing.extend(shards),
    }
}

/// The hit that a whole trace is, if it is one and comes after the cursor.
fn hit(
    query: &TraceQuery,
    detail: Detail,
    mut trace: Trace,
    budget: &Budget,
) -> Result<Option<Hit>, Exhausted> {
    let facts = TraceFacts::within(&trace.spans, budget)?;
    let summary = facts.summary().clone();
    let key = order_key(query.order, &summary);
    let is_new = query.cursor.as_ref().is_none_or(|cursor| key > cursor.last);
    if !is_new || !facts.matches_within(query.window, &query.predicate, budget)? {
        return Ok(None);
    }
    let trace = match detail {
        Detail::Summary => None,
        Detail::Trace { spans_max } => {
            let count = trace.spans.len();
            trace.spans.truncate(spans_max);
            trace.truncated = (count > spans_max).then_some(count as u64);
            Some(trace)
        }
    };
    Ok(Some(Hit { key, summary, trace }))
}

fn told_ids(gathered: &Gathered) -> BTreeSet<TraceId> {
    let items = gathered.answers.iter().flat_map(|(_, answer)| &answer.items);
    let told = items.filter_map(|item| match item {
        ReadItem::TraceIds(ids) => Some(ids),
        _ => None,
    });
    told.flatten().copied().collect()
}

/// What names the content of a trace by the revisions of its parts: it changes when one of them
/// does.
pub(super) fn revision<'a>(parts: impl Iterator<Item = &'a Revision>) -> Revision {
    let zero = Revision { shard: 0, applied: 0, parts: 0 };
    parts.fold(zero, |sum, part| Revision {
        shard: sum.shard.max(part.shard),
        applied: sum.applied.saturating_add(part.applied),
        parts: sum.parts.saturating_add(part.parts),
    })
}

#[cfg(test)]
#[path = "across/tests.rs"]
mod tests;
