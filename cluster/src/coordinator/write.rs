//! Writes: open batches per shard and tenant, and the sink that fills them.
//!
//! ```text
//!  sink.append ──lock──> open batch ──close──> pool: encode ──> shard: log, apply ──> acks
//!                            ^                                        │
//!                            └──────────── flusher <── landed ────────┘
//! ```
//!
//! Spans of many requests share a batch; a request waits for every batch that has a span of it.
//! Batches of different ring epochs are apart: a request that began by one ends by it, and what a
//! fence refuses of it is cut anew (`reroute.rs`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use model::batch::{Builder, Encoder};
use model::sink::PartSize;
use model::store::{Ack, RequestDigest};
use model::time::Monotonic;
use model::{Clock, ShardId, SpanSink, StoreError, Tenant, TraceId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::batch_ids::BatchIds;
use super::in_flight::{InFlight, Share};
use super::linger::{self, Decision, Load, Situation};
use super::reroute::Reroute;
use super::shards::{RoutedBatch, Routes, Shards};
use crate::error::Error;
use crate::limits::{
    BATCH_PAYLOAD_BYTES_MAX, BATCH_SPANS_MAX, BATCHES_IN_FLIGHT_MAX, OPEN_BATCHES_MAX,
    SPARE_BUILDERS_MAX,
};
use crate::pool::Pool;
use crate::task::Task;
use crate::wire::RingEpoch;

/// The write side of a node's coordinator.
#[derive(Debug)]
pub(crate) struct Writer {
    shards: Arc<dyn Shards>,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    reroute: Arc<Reroute>,
    runtime: Handle,
    /// Ascending; new requests go by the last. Those before stay: a request may still fill one, and
    /// there are few.
    epochs: RwLock<Vec<Arc<EpochWriter>>>,
    in_flight: InFlight,
}

/// The write side of one ring epoch.
#[derive(Debug)]
struct EpochWriter {
    routes: Arc<Routes>,
    shards: Vec<Arc<ShardWriter>>,
    _flushers: Vec<Task>,
}

impl Writer {
    /// Call it within a runtime: batches are flushed on it.
    pub(crate) fn new(
        shards: &Arc<dyn Shards>,
        pool: &Arc<Pool>,
        clock: &Arc<dyn Clock>,
        batch_ids: BatchIds,
    ) -> Self {
        let reroute = Reroute::new(Arc::clone(shards), Arc::clone(pool), batch_ids);
        let writer = Self {
            shards: Arc::clone(shards),
            pool: Arc::clone(pool),
            clock: Arc::clone(clock),
            reroute: Arc::new(reroute),
            runtime: Handle::current(),
            epochs: RwLock::default(),
            in_flight: InFlight::default(),
        };
        writer.epoch();
        writer
    }

    /// The epoch that requests go by which begin now.
    fn epoch(&self) -> Arc<EpochWriter> {
        let routes = self.shards.routes();
        let is_current = |epoch: &&Arc<EpochWriter>| epoch.routes.epoch >= routes.epoch;
        if let Some(current) = self.epochs().last().filter(is_current) {
            return Arc::clone(current);
        }
        let mut epochs = self.epochs.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have come first.
        if let Some(current) = epochs.last().filter(is_current) {
            return Arc::clone(current);
        }
        let current = Arc::new(self.begin_epoch(routes));
        epochs.push(Arc::clone(&current));
        current
    }

    fn begin_epoch(&self, routes: Arc<Routes>) -> EpochWriter {
        let shard = |shard: u32| {
            Arc::new(ShardWriter {
                id: ShardId(shard),
                epoch: routes.epoch,
                pool: Arc::clone(&self.pool),
                clock: Arc::clone(&self.clock),
                reroute: Arc::clone(&self.reroute),
                load_share: AtomicU32::new(0),
                changed: Notify::new(),
                landed: Notify::new(),
                open: Mutex::new(Open::default()),
                encoders: Mutex::new(Vec::new()),
            })
        };
        let shards: Vec<Arc<ShardWriter>> = (0..routes.ring.shard_count()).map(shard).collect();
        let flusher = |shard: &Arc<ShardWriter>| {
            Task::spawn_on(&self.runtime, "flusher", Arc::clone(shard).run_flusher())
        };
        let flushers = shards.iter().map(flusher).collect();
        EpochWriter { routes, shards, _flushers: flushers }
    }

    fn epochs(&self) -> RwLockReadGuard<'_, Vec<Arc<EpochWriter>>> {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writers of every shard, those of earlier epochs included.
    fn every_shard(&self) -> Vec<Arc<ShardWriter>> {
        self.epochs().iter().flat_map(|epoch| epoch.shards.iter().cloned()).collect()
    }

    /// Closes every open batch: the node is stopping.
    pub(crate) fn flush_all(&self) {
        for shard in self.every_shard() {
            shard.flush_all();
        }
    }

    /// Waits until nothing is on its way to the disk.
    pub(crate) async fn landed(&self) {
        for shard in self.every_shard() {
            loop {
                let landed = shard.landed.notified();
                if shard.lock().in_flight == 0 {
                    break;
                }
                landed.await;
            }
        }
    }

    /// Tells how much of the machine's processors is used.
    pub(crate) fn set_load(&self, share: f32) {
        for shard in self.every_shard() {
            shard.load_share.store(share.to_bits(), Ordering::Relaxed);
        }
    }
}

/// The write side of one shard.
#[derive(Debug)]
struct ShardWriter {
    id: ShardId,
    epoch: RingEpoch,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    reroute: Arc<Reroute>,
    /// The bits of the share of the machine's processors that is used.
    load_share: AtomicU32,
    /// Something was appended, or a batch landed.
    changed: Notify,
    /// A batch landed. Apart from `changed`, whose one permit is the flusher's.
    landed: Notify,
    open: Mutex<Open>,
    /// Room for encoding, one for each thread that ever did it at the same time.
    encoders: Mutex<Vec<Encoder>>,
}

/// The open batches of a shard. Written by appends, by the flusher and by landing batches.
#[derive(Debug, Default)]
struct Open {
    batches: BTreeMap<Tenant, OpenBatch>,
    spare: Vec<Builder>,
    /// Batches that are closed and have not landed: all, and those of each tenant that has any.
    in_flight: usize,
    in_flight_of: BTreeMap<Tenant, usize>,
    last_closed: Monotonic,
}

impl Open {
    /// A batch of a tenant has landed.
    fn landed(&mut self, tenant: &Tenant) {
        self.in_flight -= 1;
        if let Some(count) = self.in_flight_of.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.in_flight_of.remove(tenant);
            }
        }
    }
}

#[derive(Debug)]
struct OpenBatch {
    builder: Builder,
    waiting: Vec<Arc<Pending>>,
    opened: Monotonic,
    /// What the batch counts for among the bytes in flight, and where.
    bytes: usize,
    share: Arc<Share>,
}

impl ShardWriter {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds rows to the tenant's open batch.
    fn append(
        self: &Arc<Self>,
        (tenant, share): (&Tenant, &Arc<Share>),
        digest: RequestDigest,
        size: PartSize,
        pending: &Arc<Pending>,
        rows: &mut dyn FnMut(&mut Builder),
    ) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        let mut open = self.lock();
        if !open.batches.contains_key(tenant) {
            if open.batches.len() >= OPEN_BATCHES_MAX {
                return Err(Error::Busy { what: "the number of tenants writing at once" }.into());
            }
            let mut builder = open.spare.pop().unwrap_or_else(|| Builder::new(tenant.clone()));
            builder.reset(tenant.clone());
            let share = Arc::clone(share);
            let batch = OpenBatch { builder, waiting: Vec::new(), opened: now, bytes: 0, share };
            open.batches.insert(tenant.clone(), batch);
        }
        let Some(batch) = open.batches.get_mut(tenant) else { return Ok(()) };
        batch.builder.begin_request(digest);
        rows(&mut batch.builder);
        batch.bytes += size.bytes;
        batch.share.add(size.bytes);
        pending.add_part();
        batch.waiting.push(Arc::clone(pending));
        let (spans, payload) = (batch.builder.span_count(), batch.builder.payload_bytes());
        let must_close = spans >= BATCH_SPANS_MAX || payload >= BATCH_PAYLOAD_BYTES_MAX;
        let may_close = open.in_flight < BATCHES_IN_FLIGHT_MAX && linger::is_full(spans, payload);
        let closed =
            if must_close || may_close { self.close(&mut open, tenant, now) } else { None };
        drop(open);
        self.launch(closed);
        self.changed.notify_one();
        Ok(())
    }

    /// Closes the batches that are due; returns when to look again if nothing happens before.
    fn flush_due(self: &Arc<Self>) -> Option<Monotonic> {
        let now = self.clock.monotonic();
        let load = Load::of(f32::from_bits(self.load_share.load(Ordering::Relaxed)));
        let mut open = self.lock();
        let mut next: Option<Monotonic> = None;
        let mut closed = Vec::new();
        let tenants: Vec<Tenant> = open.batches.keys().cloned().collect();
        // What was due for one tenant is due for all: one sync serves them.
        let (in_flight, last_closed) = (open.in_flight, open.last_closed);
        for tenant in tenants {
            let Some(batch) = open.batches.get(&tenant) else { continue };
            let situation = Situation {
                opened: batch.opened,
                last_closed,
                spans: batch.builder.span_count(),
                payload_bytes: batch.builder.payload_bytes(),
                in_flight,
                own_in_flight: open.in_flight_of.get(&tenant).copied().unwrap_or(0),
                load,
            };
            match linger::decide(now, &situation) {
                Decision::Close => closed.push(self.close(&mut open, &tenant, now)),
                Decision::WaitUntil(then) => {
                    next = Some(next.map_or(then, |earlier| earlier.min(then)));
                }
            }
        }
        drop(open);
        closed.into_iter().for_each(|closed| self.launch(closed));
        next
    }

    /// Closes every open batch.
    fn flush_all(self: &Arc<Self>) {
        let now = self.clock.monotonic();
        let mut open = self.lock();
        let tenants: Vec<Tenant> = open.batches.keys().cloned().collect();
        let closed: Vec<_> =
            tenants.iter().map(|tenant| self.close(&mut open, tenant, now)).collect();
        drop(open);
        closed.into_iter().for_each(|closed| self.launch(closed));
    }

    /// Takes a tenant's open batch out, to be launched when the lock is released.
    fn close(
        self: &Arc<Self>,
        open: &mut Open,
        tenant: &Tenant,
        now: Monotonic,
    ) -> Option<(Builder, Flight)> {
        let batch = open.batches.remove(tenant)?;
        open.in_flight += 1;
        *open.in_flight_of.entry(tenant.clone()).or_default() += 1;
        open.last_closed = now;
        let OpenBatch { builder, waiting, bytes, share, .. } = batch;
        let (shard, tenant) = (Arc::clone(self), tenant.clone());
        Some((builder, Flight { shard, tenant, waiting, bytes, share }))
    }

    /// Sends a closed batch on its way.
    fn launch(self: &Arc<Self>, closed: Option<(Builder, Flight)>) {
        let Some((builder, flight)) = closed else { return };
        let shard = Arc::clone(self);
        // If the pool refuses, the flight is dropped with the job, and lands as it is dropped.
        let refused = self.pool.submit(move || {
            let bytes = shard.encode(builder);
            let answer = Box::new(move |result| flight.land(&result));
            let batch = RoutedBatch { shard: shard.id, epoch: shard.epoch, bytes };
            shard.reroute.write(batch, answer);
        });
        if let Err(error) = refused {
            tracing::warn!(%error, "a batch was refused");
        }
    }

    fn encode(&self, builder: Builder) -> Bytes {
        let lock = || self.encoders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut encoder = lock().pop().unwrap_or_default();
        let batch = encoder.encode(&builder, self.reroute.next_id());
        lock().push(encoder);
        metrics::counter!("skua_batches_total").increment(1);
        metrics::counter!("skua_batch_bytes_total").increment(batch.len() as u64);
        metrics::histogram!("skua_batch_spans").record(builder.span_count() as f64);
        let mut open = self.lock();
        if open.spare.len() < SPARE_BUILDERS_MAX {
            open.spare.push(builder);
        }
        Bytes::from(batch)
    }

    /// Closes batches as they become due, for as long as it runs.
    async fn run_flusher(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            match self.flush_due() {
                None => changed.await,
                Some(then) => {
                    let wait = then.since(self.clock.monotonic());
                    let sleep = tokio::time::sleep(std::time::Duration::from_nanos(wait.0));
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = sleep => {}
                    }
                }
            }
        }
    }
}

/// A batch on its way. Lands exactly once, at the latest when it is dropped.
#[derive(Debug)]
struct Flight {
    shard: Arc<ShardWriter>,
    tenant: Tenant,
    waiting: Vec<Arc<Pending>>,
    bytes: usize,
    share: Arc<Share>,
}

impl Flight {
    fn land(mut self, result: &Result<(), Error>) {
        for pending in self.waiting.drain(..) {
            pending.land_part(result.clone());
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        for pending in self.waiting.drain(..) {
            let reason = "the batch was dropped on its way".to_owned();
            pending.land_part(Err(Error::Unknown { reason }));
        }
        self.share.remove(self.bytes);
        let mut open = self.shard.lock();
        open.landed(&self.tenant);
        let is_awaited = !open.batches.is_empty();
        drop(open);
        if is_awaited {
            self.shard.changed.notify_one();
        }
        self.shard.landed.notify_waiters();
    }
}

/// A request that waits for its parts.
#[derive(Debug, Default)]
struct Pending {
    state: Mutex<PendingState>,
}

#[derive(Debug, Default)]
struct PendingState {
    parts: usize,
    failure: Option<Error>,
    waiter: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, PendingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_part(&self) {
        self.lock().parts += 1;
    }

    fn land_part(&self, result: Result<(), Error>) {
        let mut state = self.lock();
        state.parts -= 1;
        if let Err(error) = result {
            state.failure.get_or_insert(error);
        }
        if state.parts == 0
            && let Some(waiter) = state.waiter.take()
        {
            let result = state.failure.take().map_or(Ok(()), Err);
            // The request's task may have been cancelled.
            let _ = waiter.send(result);
        }
    }

    /// Waits until all parts have landed.
    async fn landed(&self) -> Result<(), Error> {
        let receiver = {
            let mut state = self.lock();
            if state.parts == 0 {
                return state.failure.take().map_or(Ok(()), Err);
            }
            let (sender, receiver) = oneshot::channel();
            state.waiter = Some(sender);
            receiver
        };
        let lost = |_| Error::Unknown { reason: "the batch was lost on its way".into() };
        receiver.await.map_err(lost)?
    }
}

/// One write request; see [`model::SpanSink`].
#[derive(Debug)]
pub struct WriteSink {
    epoch: Arc<EpochWriter>,
    tenant: Tenant,
    share: Arc<Share>,
    digest: RequestDigest,
    pending: Arc<Pending>,
    spans: u64,
}

impl WriteSink {
    pub(crate) fn begin(
        writer: &Arc<Writer>,
        tenant: &Tenant,
        digest: RequestDigest,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            epoch: writer.epoch(),
            tenant: tenant.clone(),
            share: writer.in_flight.share_of(tenant)?,
            digest,
            pending: Arc::default(),
            spans: 0,
        })
    }
}

impl SpanSink for WriteSink {
    type Visitor = Builder;

    fn partition_count(&self) -> u32 {
        self.epoch.routes.ring.shard_count()
    }

    fn partition_of(&self, trace_id: TraceId) -> u32 {
        self.epoch.routes.ring.shard_of(trace_id).0
    }

    fn append(
        &mut self,
        partition: u32,
        size: PartSize,
        rows: &mut dyn FnMut(&mut Builder),
    ) -> Result<(), StoreError> {
        let Some(shard) = self.epoch.shards.get(partition as usize) else {
            return Err(StoreError::Invalid { what: format!("there is no shard {partition}") });
        };
        self.spans += u64::from(size.spans);
        let whose = (&self.tenant, &self.share);
        shard.append(whose, self.digest, size, &self.pending, rows)
    }

    async fn finish(self) -> Result<Ack, StoreError> {
        self.pending.landed().await?;
        Ok(Ack { spans: self.spans })
    }
}
