//! Traces across a fence: those with spans in an older and in a newer shard.
//!
//! When shards are added, spans of some traces go to a new shard from then on, and those that came
//! before stay where they are. By id that is no matter: every shard is asked that may have some. A
//! search is another thing: a shard judges what it has, and of these traces none has all. So a
//! search whose window comes within an hour of a fence first finds out which traces lie across it,
//! leaves them out of what the shards say, and judges each as a whole before the answer is cut off
//! at its limit (QRY-1).
//!
//! Further from the fence than that a trace would have to take more than an hour to be met; such a
//! one is found in two parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt as _, stream};
use model::query::{Evaluator, TraceFacts, TraceQuery};
use model::store::{
    Answer, Completeness, Detail, Hit, ReadScope, Revision, SearchItem, SearchRequest, Trace,
    TraceRequest,
};
use model::{ShardId, StoreError, Tenant, TimeRange, TraceId};

use super::Coordinator;
use super::merge::ShardHits;
use super::read::Gathered;
use super::search::answer;
use super::shards::Fence;
use super::store::SPANS_MAX;
use crate::limits::{
    ACROSS_AT_ONCE_MAX, ACROSS_CACHED_IDS_MAX, ACROSS_CACHED_MAX, ACROSS_ROUNDS_MAX,
    ACROSS_TRACES_MAX, NEAR_FENCE,
};
use crate::placement::Ring;
use crate::wire::limits::KNOWN_IDS_MAX;
use crate::wire::{ReadItem, ReadOperation};

/// Traces across fences, as far as could be found out.
#[derive(Debug, Default)]
struct Across {
    trace_ids: BTreeSet<TraceId>,
    completeness: Completeness,
}

/// What is known of fences and does not change any more, but for traces that go. Filled by
/// searches; what is dropped is found out again.
#[derive(Debug, Default)]
pub(super) struct AcrossCache {
    /// Traces that old shards have and the new ring leads elsewhere. Once the ring is in force no
    /// span of them comes to an old shard any more.
    moved: Kept,
    /// Those of them that lie across the fence, of one that is long past.
    across: Kept,
}

/// Sets of traces, by whose they are and across which fence: how many shards there were after it.
#[derive(Debug, Default)]
struct Kept {
    traces: Mutex<BTreeMap<(Tenant, u32), TraceIds>>,
}

type TraceIds = Arc<BTreeSet<TraceId>>;

impl Kept {
    fn get(&self, tenant: &Tenant, fence: Fence) -> Option<TraceIds> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.get(&(tenant.clone(), fence.after)).cloned()
    }

    fn put(&self, tenant: &Tenant, fence: Fence, trace_ids: &TraceIds) {
        if trace_ids.len() > ACROSS_CACHED_IDS_MAX {
            return;
        }
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        if traces.len() >= ACROSS_CACHED_MAX {
            traces.pop_first();
        }
        traces.insert((tenant.clone(), fence.after), Arc::clone(trace_ids));
    }
}

impl Fence {
    /// When traces across it are looked for.
    fn near(&self) -> TimeRange {
        let (start, end) = (self.at.saturating_sub(NEAR_FENCE), self.at.saturating_add(NEAR_FENCE));
        TimeRange { start, end }
    }

    fn old_shards(&self) -> Vec<ShardId> {
        (0..self.before).map(ShardId).collect()
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
    /// these. Each shard was asked for more than the limit, so that the limit of all together is
    /// found.
    async fn hits(&self, request: SearchRequest) -> Result<(Gathered, ShardHits), StoreError> {
        let SearchRequest { scope, query, detail, progress: _ } = request;
        let mut fences = self.fences_near(query.window);
        let mut across = self.across(&scope, &fences).await?;
        let mut rounds = 0;
        let mut gathered = loop {
            // One more than asked for tells whether there are more.
            let extra = u32::try_from(across.trace_ids.len()).unwrap_or(u32::MAX);
            let limit = query.limit.saturating_add(1).saturating_add(extra);
            let query = TraceQuery { limit, ..query.clone() };
            // Parts of traces are among the hits of a shard that are no hits in the end: they must
            // not stop other shards.
            let operation = ReadOperation::Search { query, detail, together: false };
            let gathered = self.ask_all(scope.clone(), operation).await?;
            rounds += 1;
            // Shards were added while these were asked: there is a fence more to look across.
            let near = self.fences_near(query.window);
            let is_known = near == fences;
            if !is_known {
                across = self.across(&scope, &near).await?;
                fences = near;
            }
            // Traces that came to lie across one since, of which a shard told a part.
            let late = self.late(&scope, &fences, &gathered, &mut across).await?;
            if is_known && late.is_empty() {
                break gathered;
            }
            across.trace_ids.extend(late);
            if rounds >= ACROSS_ROUNDS_MAX {
                across.completeness.stale.extend(gathered.answers.iter().map(|(shard, _)| *shard));
                break gathered;
            }
        };
        if across.trace_ids.is_empty() {
            let completeness = across.completeness;
            return Ok((gathered, ShardHits { completeness, ..ShardHits::default() }));
        }
        for (_, answer) in &mut gathered.answers {
            answer.items.retain(|item| match item {
                ReadItem::Hit(hit) => !across.trace_ids.contains(&hit.summary.trace_id),
                _ => true,
            });
        }
        let judged = self.judge(&scope, &query, detail, across).await?;
        Ok((gathered, judged))
    }

    /// The fences that a search with this window comes near.
    pub(super) fn fences_near(&self, window: TimeRange) -> Vec<Fence> {
        let routes = self.core.shards.routes();
        let near = routes.fences.iter().filter(|fence| fence.near().overlaps(&window));
        near.copied().collect()
    }

    async fn across(&self, scope: &ReadScope, fences: &[Fence]) -> Result<Across, StoreError> {
        let mut across = Across::default();
        for fence in fences {
            if let Some(known) = self.core.across.across.get(&scope.tenant, *fence) {
                across.trace_ids.extend(known.iter());
                continue;
            }
            let found = self.across_fence(scope, *fence).await?;
            let is_over = self.core.clock.wall() > fence.near().end.saturating_add(NEAR_FENCE);
            if is_over && found.completeness.is_complete() {
                let trace_ids = Arc::new(found.trace_ids.clone());
                self.core.across.across.put(&scope.tenant, *fence, &trace_ids);
            }
            across.trace_ids.extend(found.trace_ids);
            across.completeness.merge(found.completeness);
        }
        while across.trace_ids.len() > ACROSS_TRACES_MAX {
            across.trace_ids.pop_last();
            across.completeness.missing.extend(fences.iter().flat_map(Fence::old_shards));
        }
        Ok(across)
    }

    async fn across_fence(&self, scope: &ReadScope, fence: Fence) -> Result<Across, StoreError> {
        let (moved, mut completeness) = self.moved(scope, fence).await?;
        let ring = Ring::new(fence.after);
        let moved = moved.iter().copied().collect();
        let trace_ids = self.known(scope, &ring, moved, &mut completeness).await?;
        Ok(Across { trace_ids, completeness })
    }

    /// The traces that old shards have of about the time of a fence and that belong elsewhere
    /// since.
    async fn moved(
        &self,
        scope: &ReadScope,
        fence: Fence,
    ) -> Result<(TraceIds, Completeness), StoreError> {
        if let Some(moved) = self.core.across.moved.get(&scope.tenant, fence) {
            return Ok((moved, Completeness::default()));
        }
        let is_in_force = self.core.shards.routes().ring.shard_count() >= fence.after;
        let (window, shard_count) = (fence.near(), fence.after);
        let operation = ReadOperation::Elsewhere { window, shard_count };
        let asked = match self.ask_shards(scope.clone(), operation, fence.old_shards()).await {
            Ok(asked) => asked,
            Err(error @ StoreError::Exhausted(_)) => return Err(error),
            // The newer ones may answer still (QRY-2).
            Err(_) => {
                let missing = fence.old_shards().into_iter().collect();
                return Ok((TraceIds::default(), Completeness { missing, ..Default::default() }));
            }
        };
        let mut completeness = asked.completeness();
        for (shard, answer) in &asked.answers {
            // Of an hour with more traces than are told, not all are known.
            if answer.end.completeness.sampled {
                completeness.missing.insert(*shard);
            }
        }
        // It said no more than what is in `missing` now.
        completeness.sampled = false;
        let moved = Arc::new(told_ids(&asked));
        if is_in_force && completeness.is_complete() {
            self.core.across.moved.put(&scope.tenant, fence, &moved);
        }
        Ok((moved, completeness))
    }

    /// Traces that newer shards tell as hits, that older shards have too, and that were not known
    /// to lie across a fence.
    async fn late(
        &self,
        scope: &ReadScope,
        fences: &[Fence],
        gathered: &Gathered,
        across: &mut Across,
    ) -> Result<BTreeSet<TraceId>, StoreError> {
        let mut late = BTreeSet::new();
        for fence in fences {
            let new = gathered.answers.iter().filter(|(shard, _)| shard.0 >= fence.before);
            let hits = new.flat_map(|(_, answer)| &answer.items).filter_map(|item| match item {
                ReadItem::Hit(hit) => Some(hit.summary.trace_id),
                _ => None,
            });
            let unknown: BTreeSet<TraceId> =
                hits.filter(|id| !across.trace_ids.contains(id)).collect();
            let ring = Ring::new(fence.before);
            late.extend(self.known(scope, &ring, unknown, &mut across.completeness).await?);
        }
        Ok(late)
    }

    /// Those of the traces that the shards have to which a ring leads them.
    async fn known(
        &self,
        scope: &ReadScope,
        ring: &Ring,
        trace_ids: BTreeSet<TraceId>,
        completeness: &mut Completeness,
    ) -> Result<BTreeSet<TraceId>, StoreError> {
        let mut by_shard: BTreeMap<ShardId, Vec<TraceId>> = BTreeMap::new();
        for id in trace_ids {
            by_shard.entry(ring.shard_of(id)).or_default().push(id);
        }
        let mut known = BTreeSet::new();
        for (shard, ids) in by_shard {
            for ids in ids.chunks(KNOWN_IDS_MAX) {
                let operation = ReadOperation::Known { trace_ids: ids.iter().copied().collect() };
                match self.ask_shards(scope.clone(), operation, vec![shard]).await {
                    Ok(asked) => {
                        completeness.merge(asked.completeness());
                        known.extend(told_ids(&asked));
                    }
                    Err(error @ StoreError::Exhausted(_)) => return Err(error),
                    Err(_) => {
                        completeness.missing.insert(shard);
                    }
                }
            }
        }
        Ok(known)
    }

    /// The hits among traces that lie across a fence, each judged as a whole.
    async fn judge(
        &self,
        scope: &ReadScope,
        query: &TraceQuery,
        detail: Detail,
        across: Across,
    ) -> Result<ShardHits, StoreError> {
        let Across { trace_ids, completeness } = across;
        let mut judged = ShardHits { completeness, ..ShardHits::default() };
        let wholes = trace_ids.into_iter().map(|trace_id| {
            let request = TraceRequest { scope: scope.clone(), trace_id, spans_max: SPANS_MAX };
            async move { (trace_id, self.live_trace(request).await) }
        });
        let mut wholes =
            std::pin::pin!(stream::iter(wholes.collect::<Vec<_>>()).buffered(ACROSS_AT_ONCE_MAX));
        while let Some((trace_id, whole)) = wholes.next().await {
            match whole {
                Ok(Answer { value, completeness }) => {
                    judged.completeness.merge(completeness);
                    let Some(trace) = value else { continue };
                    judged.spans_scanned += trace.spans.len() as u64;
                    judged.hits.extend(hit(query, detail, trace));
                }
                Err(StoreError::Exhausted(exhausted)) => {
                    judged.completeness.exhausted = Some(exhausted);
                    break;
                }
                // None of its shards answers; other traces lie elsewhere (QRY-2).
                Err(_) => {
                    let shards = self.core.shards.routes().shards_of(trace_id);
                    judged.completeness.missing.extend(shards);
                }
            }
        }
        Ok(judged)
    }
}

/// The hit that a whole trace is, if it is one.
fn hit(query: &TraceQuery, detail: Detail, mut trace: Trace) -> Option<Hit> {
    let key = Evaluator::new(query).hit(&trace.spans)?;
    let summary = TraceFacts::new(&trace.spans).summary().clone();
    let trace = match detail {
        Detail::Summary => None,
        Detail::Trace { spans_max } => {
            let count = trace.spans.len();
            trace.spans.truncate(spans_max);
            trace.truncated = (count > spans_max).then_some(count as u64);
            Some(trace)
        }
    };
    Some(Hit { key, summary, trace })
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
