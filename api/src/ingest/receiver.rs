//! From a request's body to spans that are durable: what every OTLP door does alike.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use model::store::RequestDigest;
use model::time::Clock;
use model::{SpanSink, Tenant, TraceStore};
use twox_hash::XxHash3_128;

use super::admission::{Admission, Admitted};
use super::body::{self, Encoding};
use super::walkers::Walkers;
use crate::error::ApiError;
use crate::meter::Meter;
use crate::otlp::walk::{self, Partitioning, Plan, PlanPool, Rejected};
use crate::sampling::{Roots, ThroughputCounter};
use crate::task::Panicked;
use crate::{limits, otlp};

/// A write request whose body is here.
#[derive(Debug)]
pub struct WriteRequest {
    /// Whose spans they are.
    pub tenant: Tenant,
    /// The body as it came.
    pub body: Bytes,
    /// How it is compressed.
    pub encoding: Encoding,
    /// What it is below that.
    pub format: Format,
    /// Its room.
    pub admitted: Admitted,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OTLP `ExportTraceServiceRequest`.
    Protobuf,
    /// The same in JSON.
    Json,
}

/// Spans are durable and visible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// How many.
    pub spans: u64,
    /// How many of the request were rejected for good.
    pub rejected: u64,
    /// Why, in words; empty if none was.
    pub message: String,
}

/// A write request was refused.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: ApiError,
    /// How many spans it held, as far as it was looked at; for the metrics.
    pub spans: u64,
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { error: error.into(), spans: 0 }
    }
}

/// Takes write requests for a store. Cloning shares.
pub struct Receiver<S: TraceStore> {
    shared: Arc<Shared<S>>,
}

/// Who counts what a receiver takes in.
#[derive(Debug, Default)]
pub struct Counters {
    /// Spans.
    pub meter: Arc<Meter>,
    /// Root spans for adaptive sampling, if that is on.
    pub throughput: Option<ThroughputCounter>,
}

struct Shared<S> {
    store: S,
    clock: Arc<dyn Clock>,
    admission: Admission,
    plans: PlanPool,
    counters: Counters,
    walkers: Walkers,
}

impl<S: TraceStore> Clone for Receiver<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: TraceStore> fmt::Debug for Receiver<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Receiver")
            .field("admission", &self.shared.admission)
            .finish_non_exhaustive()
    }
}

impl<S: TraceStore> Receiver<S> {
    /// A receiver for `store`.
    pub fn new(store: S, clock: Arc<dyn Clock>, admission: Admission) -> Self {
        Self::counting(store, clock, admission, Counters::default())
    }

    /// A receiver for `store` that counts.
    pub fn counting(
        store: S,
        clock: Arc<dyn Clock>,
        admission: Admission,
        counters: Counters,
    ) -> Self {
        let (plans, walkers) = (PlanPool::default(), Walkers::default());
        let shared = Shared { store, clock, admission, plans, counters, walkers };
        Self { shared: Arc::new(shared) }
    }

    /// Where requests are let in.
    pub fn admission(&self) -> &Admission {
        &self.shared.admission
    }

    /// What time it is, for measuring.
    pub fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Takes a request and answers when its spans are durable. Whoever stops waiting leaves the
    /// request in an unknown state: some of it may become visible.
    pub async fn receive(&self, mut request: WriteRequest) -> Result<Accepted, Refused> {
        let WriteRequest { encoding, body, admitted, .. } = &mut request;
        let appended = if let Some(plain) = body::plain_if_small(*encoding, body, admitted)? {
            self.shared.append(WriteRequest {
                body: plain,
                encoding: Encoding::Identity,
                ..request
            })
        } else {
            let shared = Arc::clone(&self.shared);
            let appended = self.shared.walkers.run(move || shared.append(request)).await;
            appended.map_err(|Panicked| ApiError::Internal)?
        }?;
        let spans = appended.spans;
        if let Some(sink) = appended.sink {
            let finished = sink.finish().await;
            finished.map_err(|error| Refused { error: error.into(), spans })?;
        }
        self.shared.counters.meter.note_spans(spans);
        let rejected = appended.rejected;
        let message = if rejected.count() > 0 { rejected.to_string() } else { String::new() };
        Ok(Accepted { spans, rejected: rejected.count(), message })
    }
}

/// A request whose rows are in the sink.
struct Appended<K> {
    /// Nothing if the request held no span.
    sink: Option<K>,
    spans: u64,
    rejected: Rejected,
    /// Keeps the request counted until it is answered.
    _admitted: Admitted,
}

impl<S: TraceStore> Shared<S> {
    /// All the work on a request's bytes; they are gone when this returns.
    fn append(&self, request: WriteRequest) -> Result<Appended<S::Sink>, Refused> {
        let WriteRequest { tenant, body, encoding, format, mut admitted } = request;
        let plain = match encoding {
            Encoding::Identity => body,
            compressed => {
                let bytes_max = limits::DECOMPRESSED_BYTES_MAX;
                body::decompress(compressed, &body, bytes_max, &mut admitted)?.into()
            }
        };
        let message = match format {
            Format::Protobuf => plain,
            Format::Json => {
                // The arena is smaller than the text.
                admitted.charge(plain.len())?;
                otlp::json::to_protobuf(&plain)?.into()
            }
        };
        let digest = RequestDigest(XxHash3_128::oneshot(&message).to_be_bytes());
        let mut sink = self.store.begin(&tenant, digest)?;
        let mut plan = self.plans.take();
        let appended = append_rows(&message, &mut sink, &mut plan);
        if let (Ok(()), Some(throughput)) = (&appended, &self.counters.throughput) {
            count_roots(&message, &plan, throughput);
        }
        let (spans, rejected) = (plan.span_count() as u64, *plan.rejected());
        self.plans.give(plan);
        appended.map_err(|error| Refused { error, spans })?;
        if spans == 0 && rejected.count() > 0 {
            return Err(ApiError::AllRejected(rejected).into());
        }
        admitted.release_bytes();
        let sink = (spans > 0).then_some(sink);
        Ok(Appended { sink, spans, rejected, _admitted: admitted })
    }
}

/// Both passes over a message. Nothing is appended unless all of it was checked.
fn append_rows<K: SpanSink>(message: &[u8], sink: &mut K, plan: &mut Plan) -> Result<(), ApiError> {
    let partitioning =
        Partitioning { of: |id| sink.partition_of(id), count: sink.partition_count() };
    walk::check(message, &partitioning, plan)?;
    for piece in plan.pieces() {
        sink.append(piece.partition, piece.size, &mut |visitor| {
            walk::tell_piece(message, plan, &piece, visitor);
        })?;
    }
    Ok(())
}

/// A third pass, for a node that computes sampling probabilities.
fn count_roots(message: &[u8], plan: &Plan, throughput: &ThroughputCounter) {
    let mut roots = Roots::default();
    for piece in plan.pieces() {
        walk::tell_piece(message, plan, &piece, &mut roots);
    }
    throughput.add(roots);
}
