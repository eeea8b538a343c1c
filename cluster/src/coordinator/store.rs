//! [`model::TraceStore`] over the coordinator's shards.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use model::aggregate::{Aggregate, DependencyEdge};
use model::query::AttributeScope;
use model::store::{
    AggregateRequest, Answer, Operation, ReadScope, RequestDigest, SUGGESTIONS_MAX, SearchEnd,
    SearchItem, SearchRequest, SearchStream, Trace, TraceColumns, TraceRequest,
};
use model::{StoreError, Tenant, Text, TimeRange, TraceId, TraceStore};

use super::Coordinator;
use super::merge::{ShardHits, merge_hits};
use super::write::WriteSink;
use crate::error::Error;

impl TraceStore for Coordinator {
    type Sink = WriteSink;

    fn begin(&self, tenant: &Tenant, digest: RequestDigest) -> Result<WriteSink, StoreError> {
        WriteSink::begin(&self.core.writer, tenant, digest)
    }

    async fn trace(&self, request: TraceRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        let TraceRequest { scope, trace_id, spans_max } = request;
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let found = self
            .ask_one(&scope, trace_id, move |shard| {
                shard.trace(&tenant, trace_id, spans_max, &budget)
            })
            .await?;
        Ok(Answer::complete(found))
    }

    async fn trace_columns(
        &self,
        request: TraceRequest,
    ) -> Result<Answer<Option<TraceColumns>>, StoreError> {
        let TraceRequest { scope, trace_id, spans_max: _ } = request;
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let found = self
            .ask_one(&scope, trace_id, move |shard| shard.trace_columns(&tenant, trace_id, &budget))
            .await?;
        Ok(Answer::complete(found))
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchStream, StoreError> {
        let SearchRequest { scope, mut query, detail } = request;
        let limit = query.limit as usize;
        // One more than asked for tells whether there are more.
        query.limit = query.limit.saturating_add(1);
        let cursor = query.cursor.clone();
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let gathered = self
            .ask_all(&scope, move |shard| {
                let mut hits = Vec::new();
                let end = shard.search(&tenant, &query, detail, &budget, &mut |hit| {
                    hits.push(hit);
                    ControlFlow::Continue(())
                })?;
                Ok(ShardHits {
                    hits,
                    applied: shard.applied().map_or(0, |index| index.0),
                    spans_scanned: end.spans_scanned,
                    completeness: end.completeness,
                })
            })
            .await?;
        let merged = merge_hits(limit, cursor.as_ref(), gathered.answers, gathered.missing);
        let end = SearchEnd {
            completeness: merged.completeness,
            cursor: merged.cursor,
            moved: merged.moved,
            spans_scanned: merged.spans_scanned,
        };
        let hits = merged.hits.into_iter().map(|hit| SearchItem::Hit(Box::new(hit)));
        let items: Vec<SearchItem> = hits.chain([SearchItem::End(end)]).collect();
        Ok(Box::pin(Items(items.into_iter())))
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<Answer<Aggregate>, StoreError> {
        let AggregateRequest { scope, query } = request;
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let question = query.clone();
        let merged = self
            .merge_all(
                &scope,
                move |shard| shard.aggregate(&tenant, &query, &budget),
                |all, part: Aggregate| all.merge(&part),
            )
            .await?;
        Ok(merged.map(|aggregate| model::query::aggregate::finish(&question, aggregate)))
    }

    async fn services(&self, scope: ReadScope) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let ask = move |shard: &storage::shard::Shard| shard.services(&tenant, &budget);
        self.merge_all(&scope, ask, BTreeSet::extend).await
    }

    async fn operations(
        &self,
        scope: ReadScope,
        service: Option<Text>,
    ) -> Result<Answer<BTreeSet<Operation>>, StoreError> {
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        self.merge_all(
            &scope,
            move |shard| shard.operations(&tenant, service.as_ref(), &budget),
            BTreeSet::extend,
        )
        .await
    }

    async fn keys(
        &self,
        scope: ReadScope,
        prefix: Text,
    ) -> Result<Answer<BTreeSet<(AttributeScope, Text)>>, StoreError> {
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let ask = move |shard: &storage::shard::Shard| shard.keys(&tenant, &prefix, &budget);
        let merged = self.merge_all(&scope, ask, BTreeSet::extend).await?;
        Ok(first_suggestions(merged))
    }

    async fn values(
        &self,
        scope: ReadScope,
        attribute_scope: AttributeScope,
        key: Text,
        prefix: Text,
    ) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let ask = move |shard: &storage::shard::Shard| {
            shard.values(&tenant, attribute_scope, &key, &prefix, &budget)
        };
        let merged = self.merge_all(&scope, ask, BTreeSet::extend).await?;
        Ok(first_suggestions(merged))
    }

    async fn dependencies(
        &self,
        scope: ReadScope,
        window: TimeRange,
    ) -> Result<Answer<Vec<DependencyEdge>>, StoreError> {
        let (tenant, budget) = (scope.tenant.clone(), scope.budget.clone());
        let merged = self
            .merge_all(
                &scope,
                move |shard| shard.dependencies(&tenant, window, &budget),
                Vec::extend,
            )
            .await?;
        Ok(merged.map(add_edges))
    }

    async fn archive(&self, _tenant: Tenant, _trace_id: TraceId) -> Result<bool, StoreError> {
        Err(StoreError::Unsupported { what: "archiving traces" })
    }

    async fn purge(&self, tenant: Tenant) -> Result<(), StoreError> {
        let purges = self.core.groups.iter().map(|group| {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let answer = Box::new(move |result| {
                // Whoever asked may have left; the purge happens all the same.
                let _ = sender.send(result);
            });
            group.propose_purge(&tenant, answer);
            receiver
        });
        for result in futures_util::future::join_all(purges).await {
            let lost = |_| Error::Unknown { reason: "the shard is stopping".into() };
            result.map_err(lost)??;
        }
        Ok(())
    }
}

/// At most [`SUGGESTIONS_MAX`] of the merged suggestions.
fn first_suggestions<T: Ord>(mut answer: Answer<BTreeSet<T>>) -> Answer<BTreeSet<T>> {
    if answer.value.len() > SUGGESTIONS_MAX {
        answer.value = answer.value.into_iter().take(SUGGESTIONS_MAX).collect();
        answer.completeness.sampled = true;
    }
    answer
}

/// One edge for each pair of services, sorted.
fn add_edges(edges: Vec<DependencyEdge>) -> Vec<DependencyEdge> {
    let mut sums: BTreeMap<(Text, Text), (u64, u64)> = BTreeMap::new();
    for edge in edges {
        let sum = sums.entry((edge.parent, edge.child)).or_default();
        sum.0 += edge.calls;
        sum.1 += edge.errors;
    }
    sums.into_iter()
        .map(|((parent, child), (calls, errors))| DependencyEdge { parent, child, calls, errors })
        .collect()
}

/// A stream of what is there already.
struct Items(std::vec::IntoIter<SearchItem>);

impl Stream for Items {
    type Item = Result<SearchItem, StoreError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.get_mut().0.next().map(Ok))
    }
}
