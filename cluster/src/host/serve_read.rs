//! The other side of a read: shards of this node answer what another one asks, frame by frame.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use model::store::ReadScope;
use model::time::Monotonic;
use model::{Duration, ShardId, Tenant};
use storage::Shard;
use storage::log::LogIndex;
use storage::shard::RankedHits;
use tokio::sync::mpsc;

use super::handle::{Shared, std};
use super::limits::{BEHIND_WAIT, READ_BYTES_MAX, READ_DEADLINE_MAX};
use crate::coordinator::{Question, serve, serve_in};
use crate::limits::RETRY_AFTER_MS;
use crate::transport::FrameStream;
use crate::wire::{
    AskedShard, FrameWriter, ReadFailure, ReadFailureKind, ReadItem, ReadRequest, WireError,
};

impl Shared {
    /// Serves one question. Dropped when the asker has gone, which cancels what it began.
    pub(super) async fn serve_read(self: Arc<Self>, first: Bytes, stream: FrameStream) {
        let request = match ReadRequest::decode(first) {
            Ok(request) => request,
            Err(error) => {
                // The stream ends without an end: the asker asks somebody else.
                tracing::warn!(%error, "a question cannot be read");
                return;
            }
        };
        let within = Duration::from_millis(request.deadline_left_ms).min(READ_DEADLINE_MAX);
        let deadline = self.now().plus(within);
        let bytes_max = request.bytes_max.min(READ_BYTES_MAX);
        let budget = model::budget::Budget::new(Arc::clone(&self.clock), deadline, bytes_max);
        let _guard = budget.cancel_on_drop();
        let scope = ReadScope { tenant: request.tenant, budget, stale: false };
        let question = Arc::new(Question::new(scope, request.operation));
        let FrameStream { send, receive } = stream;
        let served = request
            .shards
            .into_iter()
            .map(|asked| self.serve_shard(asked, Arc::clone(&question), deadline, send.clone()));
        join_all(served).await;
        // Only now: it ends the stream.
        drop(receive);
    }

    async fn serve_shard(
        &self,
        asked: AskedShard,
        question: Arc<Question>,
        deadline: Monotonic,
        send: mpsc::Sender<Bytes>,
    ) {
        let tenant = question.scope.tenant.clone();
        let shard = match self.fit_shard(asked, deadline).await {
            Ok(shard) => shard,
            Err(failure) => {
                let mut frames = Vec::new();
                write_failure(asked.shard, tenant, failure, &mut |frame| {
                    frames.push(frame);
                    ControlFlow::Continue(())
                });
                return send_all(&send, frames).await;
            }
        };
        let pool = self.read_pools.of(&question.operation);
        if pool.is_inline() {
            let served = serve_in(pool, &shard, &question, |shard, question, ranked| {
                let mut frames = Vec::new();
                write_answer(shard, question, ranked, &mut |frame| {
                    frames.push(frame);
                    ControlFlow::Continue(())
                });
                frames
            });
            return send_all(&send, served.await.unwrap_or_default()).await;
        }
        let served = serve_in(pool, &shard, &question, move |shard, question, ranked| {
            write_answer(shard, question, ranked, &mut |frame| match send.blocking_send(frame) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        });
        if let Err(error) = served.await {
            tracing::warn!(%error, "a question was not served");
        }
    }

    /// The shard, once it has applied what is asked for.
    async fn fit_shard(
        &self,
        asked: AskedShard,
        deadline: Monotonic,
    ) -> Result<Arc<Shard>, ReadFailure> {
        let retry_after_ms = RETRY_AFTER_MS;
        let absent = || ReadFailure {
            kind: ReadFailureKind::Unavailable { retry_after_ms },
            text: "the shard has no replica here".into(),
        };
        let hosted = self.replicas.of_shard(asked.shard).ok_or_else(absent)?;
        let shard = Arc::clone(hosted.shard.as_ref().ok_or_else(absent)?);
        if let Some(index) = asked.applied_min {
            let within = std(self.left(deadline).min(BEHIND_WAIT));
            let applied = tokio::time::timeout(within, hosted.replica.wait_applied(index)).await;
            if !matches!(applied, Ok(true)) {
                let applied = shard.applied().unwrap_or(LogIndex(0));
                let kind = ReadFailureKind::Behind { applied };
                return Err(ReadFailure { kind, text: String::new() });
            }
        }
        Ok(shard)
    }
}

async fn send_all(send: &mpsc::Sender<Bytes>, frames: Vec<Bytes>) {
    for frame in frames {
        if send.send(frame).await.is_err() {
            return;
        }
    }
}

/// The whole answer of a shard, its end or failure included.
fn write_answer(
    shard: &Shard,
    question: &Question,
    ranked: Result<Option<RankedHits>, storage::Error>,
    emit: &mut dyn FnMut(Bytes) -> ControlFlow<()>,
) {
    let tenant = question.scope.tenant.clone();
    let mut forward = |frame| emit(frame);
    let mut writer = FrameWriter::new(shard.id(), tenant, &mut forward);
    let mut unsent: Option<WireError> = None;
    let mut emit = |item| match writer.write(&item) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            unsent = Some(error);
            ControlFlow::Break(())
        }
    };
    let served = ranked.and_then(|ranked| serve(shard, question, ranked, &mut emit));
    let last = match (unsent, served) {
        (Some(WireError::Stopped), _) => return,
        (Some(error), _) => ReadItem::Failure(ReadFailure {
            kind: ReadFailureKind::Unavailable { retry_after_ms: RETRY_AFTER_MS },
            text: error.to_string(),
        }),
        (None, Ok(end)) => ReadItem::End(end),
        (None, Err(error)) => ReadItem::Failure(as_failure(&error)),
    };
    if let Err(error) = writer.write(&last) {
        tracing::debug!(%error, "an answer was not taken to its end");
    }
}

fn write_failure(
    shard: ShardId,
    tenant: Tenant,
    failure: ReadFailure,
    emit: &mut dyn FnMut(Bytes) -> ControlFlow<()>,
) {
    let mut forward = |frame| emit(frame);
    let written = FrameWriter::new(shard, tenant, &mut forward).write(&ReadItem::Failure(failure));
    if let Err(error) = written {
        tracing::debug!(%error, "a failure was not told");
    }
}

fn as_failure(error: &storage::Error) -> ReadFailure {
    let kind = match error {
        storage::Error::Exhausted(exhausted) => ReadFailureKind::Exhausted(*exhausted),
        error if error.is_corruption() => ReadFailureKind::Damaged,
        _ => ReadFailureKind::Unavailable { retry_after_ms: RETRY_AFTER_MS },
    };
    // Counts and logs what is damaged.
    let text = crate::coordinator::explain(error).to_string();
    ReadFailure { kind, text }
}
