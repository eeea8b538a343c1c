//! A search in two steps: which traces of the shard come first, and then those traces.
//!
//! Beside other shards most of what one shard finds is not among the first of all, and putting a
//! trace together takes more than finding it. So each shard ranks what it finds, and when all have,
//! only those traces are put together that are among the first of all.
//!
//! What is put together is read from what the search has seen: the view is kept until then.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::budget::{Budget, Exhausted};
use model::query::{Cursor, OrderKey, TraceQuery};
use model::store::{Detail, Hit, SearchEnd};
use model::{ShardId, Tenant};

use super::first_hits::FirstHits;
use super::handle::Shard;
use super::limits::{HIT_SPANS_BYTES_MAX, SPAN_BYTES_ESTIMATE};
use super::piece::Piece;
use super::read::View;
use super::search::{Beside, OnHit};
use crate::Error;

/// A hit whose trace may still have to be put together.
#[derive(Debug)]
pub(super) struct RankedHit {
    pub(super) hit: Hit,
    /// The pieces on which all of it lies, if that is to come.
    pub(super) parts: Option<Vec<Arc<Piece>>>,
}

impl RankedHit {
    /// Puts the trace together, if that is to come.
    pub(super) fn put_together(
        &mut self,
        shard: &Shard,
        detail: Detail,
        budget: &Budget,
    ) -> Result<(), Error> {
        if let (Some(parts), Detail::Trace { spans_max }) = (&self.parts, detail) {
            let id = self.hit.key.trace_id;
            self.hit.trace = shard.assemble_trace(parts, id, spans_max, budget)?;
            self.parts = None;
        }
        Ok(())
    }

    /// What its spans take.
    pub(super) fn spans_bytes(&self) -> u64 {
        let spans = self.hit.trace.as_ref().map_or(0, |trace| trace.spans.len() as u64);
        spans * SPAN_BYTES_ESTIMATE
    }
}

/// Whether a further hit may be told: whoever takes them holds the spans of all.
pub(super) fn has_room(told_bytes: u64) -> Result<(), Exhausted> {
    let bytes_max = HIT_SPANS_BYTES_MAX;
    if told_bytes > bytes_max { Err(Exhausted::Bytes { bytes_max }) } else { Ok(()) }
}

/// Where hits go.
pub(super) enum Take<'a> {
    /// To who takes them as they are found.
    Told(OnHit<'a>),
    /// Here. As long as it defers, traces are put together later.
    Ranked { hits: Vec<RankedHit>, is_deferring: bool },
}

impl Take<'_> {
    pub(super) fn is_deferring(&self) -> bool {
        matches!(self, Self::Ranked { is_deferring: true, .. })
    }

    /// Takes a hit; may say that it has enough.
    pub(super) fn take(&mut self, hit: RankedHit) -> ControlFlow<()> {
        match self {
            Self::Told(on_hit) => on_hit(hit.hit),
            Self::Ranked { hits, .. } => {
                hits.push(hit);
                ControlFlow::Continue(())
            }
        }
    }

    /// Defers no longer: what was deferred is put together.
    pub(super) fn defer_no_longer(
        &mut self,
        shard: &Shard,
        detail: Detail,
        budget: &Budget,
    ) -> Result<(), Error> {
        if let Self::Ranked { hits, is_deferring } = self {
            *is_deferring = false;
            hits.iter_mut().try_for_each(|hit| hit.put_together(shard, detail, budget))?;
        }
        Ok(())
    }

    fn into_ranked(self) -> Vec<RankedHit> {
        match self {
            Self::Told(_) => Vec::new(),
            Self::Ranked { hits, .. } => hits,
        }
    }
}

/// The hits of one shard, ranked.
#[derive(Debug)]
pub struct RankedHits {
    hits: Vec<RankedHit>,
    end: SearchEnd,
    detail: Detail,
    /// Where the search went on from.
    former: Option<OrderKey>,
    shard: ShardId,
    applied: u64,
    /// As long as it is held, the log keeps what the hits are read from.
    _view: Option<View>,
}

impl Shard {
    /// The first step of [`Self::search_beside`].
    pub fn rank_beside(
        &self,
        beside: Beside<'_>,
        tenant: &Tenant,
        query: &TraceQuery,
        detail: Detail,
        budget: &Budget,
    ) -> Result<RankedHits, Error> {
        let applied = self.applied().map_or(0, |index| index.0);
        let mut take = Take::Ranked { hits: Vec::new(), is_deferring: true };
        let (end, view) = self.find(beside, tenant, query, detail, budget, &mut take)?;
        Ok(RankedHits {
            hits: take.into_ranked(),
            end,
            detail,
            former: query.cursor.as_ref().map(|cursor| cursor.last),
            shard: self.id(),
            applied,
            _view: view,
        })
    }
}

impl RankedHits {
    /// Whether a trace is still to be put together, if these are the first of all so far.
    pub fn is_work_left(&self, first: Option<&FirstHits>) -> bool {
        let last = first.and_then(FirstHits::last);
        let is_first = |ranked: &&RankedHit| last.is_none_or(|last| ranked.hit.key <= last);
        self.hits.iter().take_while(is_first).any(|ranked| ranked.parts.is_some())
    }

    /// The second step: tells those hits that are among the first of all so far, with their traces.
    pub fn tell(
        self,
        shard: &Shard,
        first: Option<&FirstHits>,
        budget: &Budget,
        on_hit: OnHit<'_>,
    ) -> Result<SearchEnd, Error> {
        let Self { hits, mut end, detail, former, applied, .. } = self;
        let last = first.and_then(FirstHits::last);
        let cursor = |last| Cursor { last, applied: vec![(self.shard, applied)] };
        let mut told_until = former;
        let mut told_bytes = 0;
        for mut ranked in hits {
            if let Some(last) = last.filter(|last| ranked.hit.key > *last) {
                end.cursor = Some(cursor(last));
                break;
            }
            let ready = has_room(told_bytes).map_err(Error::from);
            match ready.and_then(|()| ranked.put_together(shard, detail, budget)) {
                Ok(()) => {}
                Err(Error::Exhausted(exhausted)) => {
                    end.completeness.exhausted = Some(exhausted);
                    end.cursor = told_until.map(cursor);
                    break;
                }
                Err(error) => return Err(error),
            }
            told_bytes += ranked.spans_bytes();
            told_until = Some(ranked.hit.key);
            if on_hit(ranked.hit).is_break() {
                end.cursor = told_until.map(cursor);
                break;
            }
        }
        Ok(end)
    }
}
