//! A question to shards: barriers first, then one replica of each, the nearest that is far enough.
//! A replica here that has applied all it knows of is read while the barriers are under way; what
//! it says counts if the barrier turns out to be no further (QRY-3).
//!
//! No shard waits for another: each is answered as soon as its barrier and its replica have, so
//! that a search can show what most shards found while a leader that is gone is still sought.
//!
//! A shard whose majority does not answer is read from whatever replica can be reached, and named
//! as stale; one of which no replica can be reached is an error, and named as missing by whoever
//! puts the answers together (QRY-2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use model::budget::Exhausted;
use model::time::Monotonic;
use model::{Duration, NodeId, ShardId, StoreError};
use storage::log::LogIndex;
use storage::mutant::{self, Mutant};
use tokio::sync::mpsc;

use super::barriers::Barriers;
use super::handle::{Shared, millis, std};
use super::limits::{
    BARRIER_SHARE, BEHIND_ENTRIES_MAX, BEHIND_WAIT, READ_BYTES_MAX, READ_DEADLINE_MAX,
    READ_HELD_BYTES_MAX,
};
use super::told::told;
use crate::coordinator::{Answered, Question, ShardAnswer, serve_whole};
use crate::limits::RETRY_AFTER_MS;
use crate::raft::Role;
use crate::transport::Method;
use crate::wire::{AskedShard, FrameReader, ReadFailure, ReadFailureKind, ReadItem, ReadRequest};

/// A shard that has not answered yet.
#[derive(Debug)]
struct Wanted {
    applied_min: Option<LogIndex>,
    candidates: VecDeque<NodeId>,
    error: StoreError,
    /// What a damaged replica answered: all there is if no other one can be reached.
    partial: Option<ShardAnswer>,
}

/// One question to many shards, under way.
#[derive(Clone)]
struct Reading {
    question: Arc<Question>,
    deadline: Monotonic,
    /// Takes one answer for each shard.
    answers: mpsc::Sender<Answered>,
}

impl Reading {
    async fn tell(&self, shard: ShardId, answer: Result<ShardAnswer, StoreError>) {
        // Whoever asked may have left.
        let _ = self.answers.send((shard, answer)).await;
    }

    /// Says what there is of a shard that no further replica can be asked about.
    async fn give_up(&self, shard: ShardId, Wanted { applied_min, error, partial, .. }: Wanted) {
        let answer = partial.map(|answer| said_stale(shard, applied_min, answer));
        self.tell(shard, answer.ok_or(error)).await;
    }
}

impl Wanted {
    /// Who is asked next, if there is somebody and time.
    fn next(&mut self, left: Duration) -> Option<NodeId> {
        self.candidates.pop_front().filter(|_| left.0 > 0)
    }
}

/// What a replica here had applied when it was read before its barrier was known, and its answer.
type Ahead = (LogIndex, ShardAnswer);

/// Replicas that are read ahead, and their barriers, until both are there.
#[derive(Default)]
struct Meeting {
    being_read: BTreeSet<ShardId>,
    read: BTreeMap<ShardId, Ahead>,
    barriers: BTreeMap<ShardId, Option<LogIndex>>,
}

impl Meeting {
    /// A replica was read: the barrier, if that is known.
    fn read(&mut self, shard: ShardId, answer: Option<Ahead>) -> Option<Met> {
        self.being_read.remove(&shard);
        let Some(barrier) = self.barriers.remove(&shard) else {
            self.read.extend(answer.map(|answer| (shard, answer)));
            return None;
        };
        Some((shard, barrier, answer))
    }

    /// A barrier is known: the answer, unless it is still read.
    fn barrier(&mut self, shard: ShardId, barrier: Option<LogIndex>) -> Option<Met> {
        if self.being_read.contains(&shard) {
            self.barriers.insert(shard, barrier);
            return None;
        }
        Some((shard, barrier, self.read.remove(&shard)))
    }
}

/// A shard, its barrier, and what its replica here said before that was known.
type Met = (ShardId, Option<LogIndex>, Option<Ahead>);

impl Shared {
    /// Asks shards. One answer for each, as soon as it is there.
    pub(super) fn ask(
        self: Arc<Self>,
        question: Question,
        shards: Vec<ShardId>,
    ) -> BoxStream<'static, Answered> {
        told(shards.len(), move |answers| async move {
            let began = self.now();
            let deadline = question.scope.budget.deadline().min(began.plus(READ_DEADLINE_MAX));
            let reading = Reading { question: Arc::new(question), deadline, answers };
            self.ask_each(&reading, began, shards).await;
        })
    }

    async fn ask_each(self: &Arc<Self>, reading: &Reading, began: Monotonic, shards: Vec<ShardId>) {
        let scope = &reading.question.scope;
        // Nobody is asked for somebody who has left, or who has no time.
        if let Err(exhausted) = scope.budget.spend(0) {
            for shard in shards {
                reading.tell(shard, Err(StoreError::Exhausted(exhausted))).await;
            }
            return;
        }
        if scope.stale {
            let wave = shards.into_iter().map(|shard| (shard, None)).collect();
            return self.pursue(reading, wave).await;
        }
        let left = reading.deadline.since(began);
        let mut ahead = self.read_ahead(&reading.question, &shards, left);
        let being_read = ahead.iter().map(|(shard, _)| *shard).collect();
        let mut meeting = Meeting { being_read, ..Meeting::default() };
        let mut ahead: FuturesUnordered<_> =
            ahead.drain(..).map(|(shard, answer)| async move { (shard, answer.await) }).collect();
        let mut barriers = self.barriers(shards, began.plus(Duration(left.0 / BARRIER_SHARE)));
        let mut pursuits = FuturesUnordered::new();
        loop {
            let met: Vec<Met> = tokio::select! {
                biased;
                Some((shard, answer)) = ahead.next() => {
                    meeting.read(shard, answer).into_iter().collect()
                }
                Some(found) = barriers.next() => {
                    let found = found.into_iter();
                    found.filter_map(|(shard, barrier)| meeting.barrier(shard, barrier)).collect()
                }
                Some(()) = pursuits.next() => continue,
                else => break,
            };
            let mut wave = Vec::new();
            for (shard, barrier, ahead) in met {
                match ahead {
                    Some((applied, answer))
                        if barrier.is_some_and(|barrier| barrier <= applied)
                            && !lacks_damaged(&answer) =>
                    {
                        reading.tell(shard, Ok(answer)).await;
                    }
                    _ => wave.push((shard, barrier)),
                }
            }
            if !wave.is_empty() {
                pursuits.push(self.pursue(reading, wave));
            }
        }
    }

    /// Asks one replica of each shard after another until one answers. Shards whose first replica
    /// is on the same node are asked in one call; one that has to look further waits for no other.
    async fn pursue(self: &Arc<Self>, reading: &Reading, wave: Barriers) {
        let mut wanted: BTreeMap<ShardId, Wanted> = BTreeMap::new();
        let mut by_node: BTreeMap<NodeId, Vec<AskedShard>> = BTreeMap::new();
        for (shard, applied_min) in wave {
            let candidates = self.candidates(shard, applied_min);
            let error = unavailable(format!("no replica of shard {shard} can be reached"));
            let mut each = Wanted { applied_min, candidates, error, partial: None };
            match each.next(self.left(reading.deadline)) {
                Some(node) => {
                    by_node.entry(node).or_default().push(AskedShard { shard, applied_min });
                    wanted.insert(shard, each);
                }
                None => reading.give_up(shard, each).await,
            }
        }
        let asked = by_node.into_iter().map(|(node, asked)| self.ask_node(reading, node, asked));
        let mut answered = stream::select_all(asked);
        while let Some((shard, result)) = answered.next().await {
            let Some(mut each) = wanted.remove(&shard) else { continue };
            match result {
                Ok(answer) if lacks_damaged(&answer) => {
                    each.partial.get_or_insert(answer);
                }
                Ok(answer) => {
                    let answer = said_stale(shard, each.applied_min, answer);
                    reading.tell(shard, Ok(answer)).await;
                    continue;
                }
                // Another replica would spend as much.
                Err(error @ StoreError::Exhausted(_)) => {
                    reading.tell(shard, Err(error)).await;
                    continue;
                }
                Err(error) => {
                    tracing::debug!(%shard, %error, "a replica could not answer");
                    each.error = error;
                }
            }
            let Some(node) = each.next(self.left(reading.deadline)) else {
                reading.give_up(shard, each).await;
                continue;
            };
            let asked = AskedShard { shard, applied_min: each.applied_min };
            wanted.insert(shard, each);
            answered.push(self.ask_node(reading, node, vec![asked]));
        }
        for (shard, each) in wanted {
            reading.give_up(shard, each).await;
        }
    }

    /// Asks the replicas on a node, which may be this one.
    fn ask_node<'a>(
        self: &'a Arc<Self>,
        reading: &Reading,
        node: NodeId,
        asked: Vec<AskedShard>,
    ) -> BoxStream<'a, Answered> {
        let question = Arc::clone(&reading.question);
        let left = self.left(reading.deadline);
        if node == self.node {
            return self.ask_here(&question, asked, left);
        }
        told(asked.len(), move |answers| async move {
            self.ask_there(node, question, asked, left, answers).await;
        })
    }

    /// Answers of replicas here, while their barriers are still asked for, and what each had
    /// applied when it began: if the barrier is no further, it is the answer. Asked are replicas
    /// that have applied all that they have: others are likely to be behind, and reading twice
    /// costs twice.
    fn read_ahead(
        &self,
        question: &Arc<Question>,
        shards: &[ShardId],
        left: Duration,
    ) -> Vec<(ShardId, BoxFuture<'_, Option<Ahead>>)> {
        let ahead = shards.iter().filter_map(|shard| {
            let applied = self.replicas.of_shard(*shard)?.replica.all_applied()?;
            let asked = AskedShard { shard: *shard, applied_min: None };
            let answer = self.ask_own(Arc::clone(question), asked, left);
            Some((*shard, async move { Some((applied, answer.await.ok()?)) }.boxed()))
        });
        ahead.collect()
    }

    /// Nodes to ask about a shard: this one, then the leader, then the others; those that could not
    /// be reached lately last. A replica here that is damaged, catches up, or is far behind the
    /// barrier, is asked last: what it says is not whole, or would be waited for in vain.
    fn candidates(&self, shard: ShardId, applied_min: Option<LogIndex>) -> VecDeque<NodeId> {
        let leader = self.leader_of(shard);
        let own = self.replicas.of_shard(shard);
        let is_near = own.as_ref().is_some_and(|hosted| {
            let applied = hosted.shard.as_ref().and_then(|shard| shard.applied());
            let (applied, wanted) =
                (applied.map_or(0, |at| at.0), applied_min.map_or(0, |at| at.0));
            !hosted.shard.as_ref().is_some_and(|shard| shard.has_damage())
                && hosted.replica.leadership().borrow().role != Role::Learner
                && wanted.saturating_sub(applied) <= BEHIND_ENTRIES_MAX
        });
        let mut nodes = self.holders(shard);
        nodes.extend(own.map(|_| self.node));
        let rank = |node: &NodeId| {
            let is_own = *node == self.node;
            let (near, far) = (is_own && is_near, is_own && !is_near);
            (!near, far, self.cannot_reach(*node), Some(*node) != leader, *node)
        };
        nodes.sort_by_key(rank);
        nodes.dedup();
        nodes.into()
    }

    /// Asks the replicas here.
    fn ask_here(
        &self,
        question: &Arc<Question>,
        asked: Vec<AskedShard>,
        left: Duration,
    ) -> BoxStream<'_, Answered> {
        let asked = asked.into_iter().map(|asked| {
            let question = Arc::clone(question);
            async move { (asked.shard, self.ask_own(question, asked, left).await) }
        });
        asked.collect::<FuturesUnordered<_>>().boxed()
    }

    async fn ask_own(
        &self,
        question: Arc<Question>,
        asked: AskedShard,
        left: Duration,
    ) -> Result<ShardAnswer, StoreError> {
        let AskedShard { shard, applied_min } = asked;
        let own = self.replicas.of_shard(shard).and_then(|hosted| {
            hosted.shard.as_ref().map(|shard| (Arc::clone(&hosted), Arc::clone(shard)))
        });
        let Some((hosted, replica)) = own else {
            return Err(unavailable(format!("shard {shard} has no replica here")));
        };
        if let Some(index) = applied_min.filter(|_| !mutant::is(Mutant::BarrierSkipped)) {
            let within = std(left.min(BEHIND_WAIT));
            let applied = tokio::time::timeout(within, hosted.replica.wait_applied(index)).await;
            if !matches!(applied, Ok(true)) {
                return Err(unavailable(format!("the replica of shard {shard} here is behind")));
            }
        }
        let pool = self.read_pools.of(&question.operation);
        let served = serve_whole(pool, &replica, &question);
        // A disk that hangs looks at no budget.
        let served = tokio::time::timeout(std(left), served).await;
        let late = |_| unavailable(format!("the replica of shard {shard} here did not answer"));
        served.map_err(late)?
    }

    /// Asks the replicas on another node. Only what ended well is an answer.
    async fn ask_there(
        &self,
        node: NodeId,
        question: Arc<Question>,
        asked: Vec<AskedShard>,
        left: Duration,
        answers: mpsc::Sender<Answered>,
    ) {
        let mut unanswered: BTreeSet<ShardId> = asked.iter().map(|asked| asked.shard).collect();
        let reading = self.read_frames(node, &question, asked, left, &mut unanswered, &answers);
        let ended = match tokio::time::timeout(std(left), reading).await {
            Ok(Ok(())) => unavailable(format!("node {node} broke off")),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Exhausted(Exhausted::Deadline),
        };
        for shard in unanswered {
            let error = match &ended {
                StoreError::Exhausted(exhausted) => StoreError::Exhausted(*exhausted),
                // No node would take this question: asking again is no use.
                StoreError::Invalid { what } => StoreError::Invalid { what: what.clone() },
                other => unavailable(other.to_string()),
            };
            let _ = answers.send((shard, Err(error))).await;
        }
    }

    async fn read_frames(
        &self,
        node: NodeId,
        question: &Question,
        asked: Vec<AskedShard>,
        left: Duration,
        unanswered: &mut BTreeSet<ShardId>,
        answers: &mpsc::Sender<Answered>,
    ) -> Result<(), StoreError> {
        let shards: Vec<ShardId> = asked.iter().map(|asked| asked.shard).collect();
        let request = ReadRequest {
            tenant: question.scope.tenant.clone(),
            deadline_left_ms: millis(left),
            bytes_max: READ_BYTES_MAX,
            ring_epoch: self.routes().epoch,
            shards: asked,
            operation: question.operation.clone(),
        };
        let invalid =
            |error: crate::wire::WireError| StoreError::Invalid { what: error.to_string() };
        let request = request.encode().map_err(invalid)?;
        let opened = self.transport.open(node, Method::Read, request).await;
        let mut stream = opened.map_err(|error| unavailable(error.to_string()))?;
        let tenant = question.scope.tenant.clone();
        let mut reader = FrameReader::new(tenant, shards, READ_HELD_BYTES_MAX);
        let mut begun: BTreeMap<ShardId, Vec<ReadItem>> = BTreeMap::new();
        while let Some(frame) = stream.receive.recv().await {
            let frame = frame.map_err(|error| unavailable(error.to_string()))?;
            question.scope.budget.spend(frame.len() as u64)?;
            let item = reader.accept(frame).map_err(|error| unavailable(error.to_string()))?;
            let ended = match item {
                None => None,
                Some((shard, ReadItem::End(end))) => {
                    let items = begun.remove(&shard).unwrap_or_default();
                    Some((shard, Ok(ShardAnswer { items, end })))
                }
                Some((shard, ReadItem::Failure(failure))) => Some((shard, Err(as_error(&failure)))),
                Some((shard, item)) => {
                    begun.entry(shard).or_default().push(item);
                    None
                }
            };
            if let Some(answered) = ended.filter(|(shard, _)| unanswered.remove(shard)) {
                // Whoever asked may have left.
                let _ = answers.send(answered).await;
            }
            if reader.pending().next().is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Whether the answer lacks what is damaged in the replica that gave it. Others may have it.
fn lacks_damaged(answer: &ShardAnswer) -> bool {
    !answer.end.completeness.missing.is_empty()
}

/// The answer, which says that it may be stale if there was no barrier.
fn said_stale(shard: ShardId, barrier: Option<LogIndex>, mut answer: ShardAnswer) -> ShardAnswer {
    if barrier.is_none() && !mutant::is(Mutant::StaleNotSaid) {
        answer.end.completeness.stale.insert(shard);
    }
    answer
}

pub(super) fn unavailable(what: String) -> StoreError {
    StoreError::Unavailable { what, retry_after_ms: RETRY_AFTER_MS }
}

fn as_error(failure: &ReadFailure) -> StoreError {
    match failure.kind {
        ReadFailureKind::Exhausted(exhausted) => StoreError::Exhausted(exhausted),
        _ => unavailable(failure.to_string()),
    }
}
