//! Batches that a fence refused: cut anew by the ring that is in force, and written again.
//!
//! A shard refuses a batch that was routed by a ring epoch before its last fence. It does not have
//! the batch then, and never will: had it come before the fence, its id would be known, and
//! whatever comes later meets the fence. So its spans go to their new shards under new batch ids,
//! and whoever waits for the batch waits for all of these (PLC-1, API-1).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::batch::{Batch, BatchError, Builder, RowCopier, Rows, encode};
use model::{BatchId, ShardId};

use super::batch_ids::BatchIds;
use super::shards::{RoutedBatch, Shards};
use crate::error::Error;
use crate::local::Answer;
use crate::placement::Ring;
use crate::pool::Pool;

/// Writes batches, and cuts anew what fences refuse.
#[derive(Debug)]
pub(super) struct Reroute {
    shards: Arc<dyn Shards>,
    pool: Arc<Pool>,
    batch_ids: BatchIds,
}

impl Reroute {
    pub(super) fn new(shards: Arc<dyn Shards>, pool: Arc<Pool>, batch_ids: BatchIds) -> Self {
        Self { shards, pool, batch_ids }
    }

    /// The name of a new batch.
    pub(super) fn next_id(&self) -> BatchId {
        self.batch_ids.next()
    }

    /// Writes a batch; `answer` is told how that ended, or dropped. Never blocks.
    pub(super) fn write(self: &Arc<Self>, batch: RoutedBatch, answer: Answer) {
        let (this, again) = (Arc::clone(self), batch.clone());
        let answer = Box::new(move |result| match result {
            Err(Error::Fenced) => {
                let pool = Arc::clone(&this.pool);
                // If the pool refuses, the answer is dropped with the job.
                if let Err(error) = pool.submit(move || this.cut(&again, answer)) {
                    tracing::warn!(%error, "a batch of a former ring epoch was refused");
                }
            }
            result => answer(result),
        });
        self.shards.write(batch, answer);
    }

    fn cut(self: &Arc<Self>, batch: &RoutedBatch, answer: Answer) {
        let routes = self.shards.routes();
        if routes.epoch <= batch.epoch {
            let reason = format!("ring epoch {} is over, and no later one is known", batch.epoch);
            return answer(Err(Error::Unknown { reason }));
        }
        let parts = match split(&batch.bytes, &routes.ring) {
            Ok(parts) => parts,
            Err(error) => return answer(Err(Error::Refused { reason: error.to_string() })),
        };
        let shard = batch.shard;
        tracing::debug!(%shard, parts = parts.len(), "a batch is cut anew behind a fence");
        metrics::counter!("skua_batches_rerouted_total").increment(1);
        let landing = Arc::new(Mutex::new(Landing {
            left: parts.len(),
            failure: None,
            answer: Some(answer),
        }));
        for (shard, builder) in parts {
            let bytes = Bytes::from(encode(&builder, self.next_id()));
            let landing = Arc::clone(&landing);
            let answer = Box::new(move |result| land(&landing, result));
            self.write(RoutedBatch { shard, epoch: routes.epoch, bytes }, answer);
        }
    }
}

/// The parts of a batch on their way. If one is lost the answer is dropped with the last of them.
struct Landing {
    left: usize,
    failure: Option<Error>,
    answer: Option<Answer>,
}

fn land(landing: &Mutex<Landing>, result: Result<(), Error>) {
    let mut state = landing.lock().unwrap_or_else(PoisonError::into_inner);
    state.left = state.left.saturating_sub(1);
    if let Err(error) = result {
        state.failure.get_or_insert(error);
    }
    if state.left > 0 {
        return;
    }
    let (answer, failure) = (state.answer.take(), state.failure.take());
    drop(state);
    if let Some(answer) = answer {
        answer(failure.map_or(Ok(()), Err));
    }
}

/// The spans of a batch, by the shards that a ring leads them to. Requests keep their digests.
fn split(batch: &Bytes, ring: &Ring) -> Result<BTreeMap<ShardId, Builder>, BatchError> {
    let batch = Batch::open(batch.clone())?;
    let (index, rows) = (batch.index()?, Rows::read(&batch)?);
    // By request: each begins once in each part.
    let mut by_request: BTreeMap<u32, Vec<(ShardId, usize)>> = BTreeMap::new();
    for trace in &index.traces {
        let shard = ring.shard_of(trace.id);
        for row in trace.rows() {
            let request = index.row_requests.get(row).copied().unwrap_or_default();
            by_request.entry(request).or_default().push((shard, row));
        }
    }
    let tenant = &batch.header().tenant;
    let mut parts: BTreeMap<ShardId, (Builder, RowCopier)> = BTreeMap::new();
    for (request, placed) in by_request {
        let digest = index.requests.get(request as usize);
        for (shard, row) in placed {
            let new = || (Builder::new(tenant.clone()), RowCopier::new(&rows));
            let (builder, copier) = parts.entry(shard).or_insert_with(new);
            if let Some(digest) = digest {
                builder.begin_request(*digest);
            }
            copier.copy(&rows, row, builder);
        }
    }
    Ok(parts.into_iter().map(|(shard, (builder, _))| (shard, builder)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::store::RequestDigest;
    use model::testing::{Generator, tell_spans};
    use model::{Span, Tenant};

    use super::*;

    #[test]
    fn every_span_goes_where_the_ring_leads_it_with_its_request() {
        let mut builder = Builder::new(Tenant::new("acme").unwrap());
        let mut sent: BTreeSet<(RequestDigest, Vec<u8>)> = BTreeSet::new();
        let mut generator = Generator::new(7);
        for request in 0..20_u8 {
            let (digest, spans) = (RequestDigest([request; 16]), generator.spans(25));
            builder.begin_request(digest);
            tell_spans(&spans, &mut builder);
            sent.extend(spans.iter().map(|span| (digest, name(span))));
        }
        let bytes = Bytes::from(encode(&builder, BatchId([1; 16])));
        let ring = Ring::new(5);
        let mut came = BTreeSet::new();
        for (shard, builder) in split(&bytes, &ring).unwrap() {
            let batch = Batch::open(encode(&builder, BatchId([2; 16])).into()).unwrap();
            assert_eq!(batch.header().tenant.as_str(), "acme");
            let (index, spans) = (batch.index().unwrap(), batch.spans().unwrap());
            let distinct: BTreeSet<_> = index.requests.iter().collect();
            assert_eq!(distinct.len(), index.requests.len(), "a request stands once in a part");
            for (row, span) in spans.iter().enumerate() {
                assert_eq!(ring.shard_of(span.trace_id), shard);
                let request = index.row_requests[row] as usize;
                came.insert((index.requests[request], name(span)));
            }
        }
        assert_eq!(came, sent);
    }

    fn name(span: &Span) -> Vec<u8> {
        format!("{span:?}").into_bytes()
    }
}
