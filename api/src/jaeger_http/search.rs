//! A search, hit by hit, into one list of JSON.

use futures_util::StreamExt as _;
use model::TraceStore;
use model::store::{Detail, Hit, SearchItem, SearchRequest};

use super::answer::Gaps;
use super::error::QueryError;
use super::pieces::Pieces;
use super::render::Rendering;
use super::search_params::SearchParams;
use crate::read_context::{Read, ReadContext};

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The items, separated by commas.
    pub(super) items: Pieces,
    /// How many traces.
    pub(super) count: usize,
    /// What is missing.
    pub(super) gaps: Gaps,
}

/// Searches for whole traces.
pub(super) async fn traces<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    params: &SearchParams,
    rendering: Rendering,
) -> Result<Found, QueryError> {
    let detail = Detail::Trace { spans_max: context.limits.spans_max };
    let mut found = Found::default();
    let mut stream = context.store.search(request(context, read, params, detail)).await?;
    while let Some(item) = stream.next().await {
        match item? {
            SearchItem::Progress(_) => {}
            SearchItem::Hit(hit) => {
                let Some(trace) = hit.trace else { continue };
                found.gaps.truncated = found.gaps.truncated.max(trace.truncated);
                let rendered = rendering.render(trace, &read.scope.budget).await?;
                if !found.push(rendered, context.limits.response_bytes_max) {
                    break;
                }
            }
            SearchItem::End(end) => {
                found.end(context, params, end.completeness, end.cursor.is_some());
            }
        }
    }
    Ok(found)
}

/// Searches for summaries.
pub(super) async fn summaries<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    params: &SearchParams,
    push: fn(&mut Vec<u8>, &Hit),
) -> Result<Found, QueryError> {
    let mut found = Found::default();
    let request = request(context, read, params, Detail::Summary);
    let mut stream = context.store.search(request).await?;
    while let Some(item) = stream.next().await {
        match item? {
            SearchItem::Progress(_) => {}
            SearchItem::Hit(hit) => {
                let mut item_bytes = Vec::new();
                push(&mut item_bytes, &hit);
                let mut item = Pieces::default();
                item.push(&item_bytes);
                if !found.push(item, context.limits.response_bytes_max) {
                    break;
                }
            }
            SearchItem::End(end) => {
                found.end(context, params, end.completeness, end.cursor.is_some());
            }
        }
    }
    Ok(found)
}

fn request<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    params: &SearchParams,
    detail: Detail,
) -> SearchRequest {
    let query = params.to_query(context.limits.search_limit_max);
    SearchRequest { scope: read.scope.clone(), query, detail, progress: false }
}

impl Found {
    /// Adds an item unless the answer would grow too large.
    pub(super) fn push(&mut self, item: Pieces, bytes_max: usize) -> bool {
        if self.items.len() + item.len() > bytes_max {
            self.gaps.bytes_max = Some(bytes_max);
            return false;
        }
        if !self.items.is_empty() && !item.is_empty() {
            self.items.push(b",");
        }
        self.items.append(item);
        self.count += 1;
        true
    }

    fn end<S: TraceStore>(
        &mut self,
        context: &ReadContext<S>,
        params: &SearchParams,
        completeness: model::store::Completeness,
        has_more: bool,
    ) {
        self.gaps.store = completeness;
        let limit_max = context.limits.search_limit_max;
        if has_more && params.limit > limit_max {
            self.gaps.limit = Some(limit_max);
        }
    }
}
