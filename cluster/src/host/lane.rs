//! Batches on their way to one node: what waits for the same node travels in one call.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Duration, NodeId};
use tokio::sync::oneshot;

use super::handle::{Shared, millis};
use super::limits::{LANE_BYTES_MAX, LANE_CALLS_MAX, WRITE_ATTEMPT};
use crate::limits::RETRY_AFTER_MS;
use crate::transport::{CallError, Method};
use crate::wire::limits::{SHARDS_MAX, WRITE_PAYLOAD_BYTES_MAX};
use crate::wire::{RingEpoch, ShardBatch, WriteOutcome, WriteReply, WriteRequest};

/// The lanes to all nodes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Mutex<BTreeMap<NodeId, Lane>>,
}

#[derive(Debug, Default)]
struct Lane {
    queued: VecDeque<Queued>,
    queued_bytes: usize,
    calls: usize,
}

#[derive(Debug)]
struct Queued {
    epoch: RingEpoch,
    batch: ShardBatch,
    answer: oneshot::Sender<WriteOutcome>,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes with the next call: batches of one epoch, as many as fit. None ends the call's
    /// turn: it is given back in the same breath, so that whoever comes next begins one.
    fn next_load(&self, node: NodeId) -> Option<(RingEpoch, Vec<Queued>)> {
        let mut lanes = self.lock();
        let lane = lanes.get_mut(&node)?;
        let mut load: Vec<Queued> = Vec::new();
        let (mut bytes, mut epoch) = (0_usize, None);
        while load.len() < SHARDS_MAX {
            let fits = lane.queued.front().is_some_and(|next| {
                let length = next.batch.batch.len();
                let has_room = load.is_empty() || bytes + length <= WRITE_PAYLOAD_BYTES_MAX;
                has_room && epoch.is_none_or(|epoch| epoch == next.epoch)
            });
            if !fits {
                break;
            }
            let Some(next) = lane.queued.pop_front() else { break };
            lane.queued_bytes = lane.queued_bytes.saturating_sub(next.batch.batch.len());
            bytes += next.batch.batch.len();
            epoch = Some(next.epoch);
            // Who gave up waiting will come again, if at all.
            if !next.answer.is_closed() {
                load.push(next);
            }
        }
        if load.is_empty() && !lane.queued.is_empty() {
            // Nobody waits for any of them: another look, with room for others to go first.
            return Some((epoch.unwrap_or_default(), load));
        }
        if load.is_empty() {
            lane.calls = lane.calls.saturating_sub(1);
            if lane.calls == 0 {
                lanes.remove(&node);
            }
            return None;
        }
        Some((epoch.unwrap_or_default(), load))
    }
}

impl Shared {
    /// Sends a batch to a node, together with others on their way there.
    pub(super) async fn send_batch(
        self: &Arc<Self>,
        node: NodeId,
        epoch: RingEpoch,
        batch: ShardBatch,
    ) -> WriteOutcome {
        let (answer, answered) = oneshot::channel();
        let has_begun = {
            let mut lanes = self.lanes.lock();
            let lane = lanes.entry(node).or_default();
            if lane.queued_bytes > LANE_BYTES_MAX {
                return WriteOutcome::Busy { retry_after_ms: RETRY_AFTER_MS };
            }
            lane.queued_bytes += batch.batch.len();
            lane.queued.push_back(Queued { epoch, batch, answer });
            if lane.calls < LANE_CALLS_MAX {
                lane.calls += 1;
                true
            } else {
                false
            }
        };
        if has_begun {
            let turn = Turn { shared: Arc::clone(self), node, has_ended: false };
            let job = async move {
                // All of it: what is only named in part is only taken in part.
                let mut turn = turn;
                while turn.shared.call_lane(node).await {}
                turn.has_ended = true;
            };
            if !self.writes.take(job) {
                return WriteOutcome::Busy { retry_after_ms: RETRY_AFTER_MS };
            }
        }
        let lost = |_| WriteOutcome::Unknown { reason: "the call was given up".into() };
        answered.await.unwrap_or_else(lost)
    }

    /// One call; false if there was nothing to send.
    async fn call_lane(&self, node: NodeId) -> bool {
        let Some((epoch, load)) = self.lanes.next_load(node) else { return false };
        if load.is_empty() {
            return true;
        }
        let (batches, answers): (Vec<_>, Vec<_>) =
            load.into_iter().map(|queued| (queued.batch, queued.answer)).unzip();
        let outcomes = self.call_write(node, epoch, batches).await;
        let missing = || WriteOutcome::Unknown { reason: "no word of the batch".into() };
        let mut outcomes = outcomes.into_iter();
        for answer in answers {
            // Who gave up waiting will come again, if at all.
            let _ = answer.send(outcomes.next().unwrap_or_else(missing));
        }
        true
    }

    async fn call_write(
        &self,
        node: NodeId,
        ring_epoch: RingEpoch,
        batches: Vec<ShardBatch>,
    ) -> Vec<WriteOutcome> {
        let shards: Vec<_> = batches.iter().map(|batch| batch.shard).collect();
        let all = |outcome: WriteOutcome| vec![outcome; shards.len()];
        let request = WriteRequest { ring_epoch, deadline_left_ms: millis(WRITE_ATTEMPT), batches };
        let request = match request.encode() {
            Ok(request) => request,
            Err(error) => return all(WriteOutcome::Refused { reason: error.to_string() }),
        };
        // A little longer than the other side works on it, so that its answer arrives.
        let within = Duration(WRITE_ATTEMPT.0.saturating_add(WRITE_ATTEMPT.0 / 4));
        let reply = self.transport.call(node, Method::Write, request, within).await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(CallError::Unreachable { .. } | CallError::Refused { .. }) => {
                return all(WriteOutcome::NotLeader { hint: None });
            }
            Err(CallError::Lost { reason }) => return all(WriteOutcome::Unknown { reason }),
        };
        match WriteReply::decode(reply) {
            Ok(reply) if reply.outcomes.iter().map(|o| o.shard).eq(shards.iter().copied()) => {
                reply.outcomes.into_iter().map(|write| write.outcome).collect()
            }
            Ok(_) => all(WriteOutcome::Unknown { reason: "the answer is about others".into() }),
            Err(error) => all(WriteOutcome::Unknown { reason: error.to_string() }),
        }
    }
}

/// A call's turn on a lane. If it ends early, what waits is told so instead of waiting for ever.
struct Turn {
    shared: Arc<Shared>,
    node: NodeId,
    /// The lane was found empty, and the call given back with that.
    has_ended: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut lanes = self.shared.lanes.lock();
        let Some(lane) = lanes.get_mut(&self.node) else { return };
        lane.calls = lane.calls.saturating_sub(1);
        if lane.calls == 0 {
            lanes.remove(&self.node);
        }
    }
}
