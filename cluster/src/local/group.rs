//! The local group: orders proposals, logs them, applies what is durable, then answers.
//!
//! This stands where a replicated group will stand: same entries, same log, same order of
//! steps (append, durable, apply, answer). Invariant (API-1): a proposal is answered `Ok` only
//! after its entry was reported durable by the log and applied to the shard.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use model::time::Timestamp;
use model::{Clock, Tenant};
use storage::Space;
use storage::entry;
use storage::log::{GroupId, LogEngine, LogError, LogIndex};
use storage::shard::{Applied, BatchOutcome, Shard};

use crate::error::Error;
use crate::limits::APPLY_QUEUE_ENTRIES_MAX;

/// The ring epoch that a store begins with; a node that is alone has no other.
const FIRST_RING_EPOCH: u32 = 1;

/// Is told how a proposal ended. Runs on the apply thread and must not block.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A shard's replica that needs nobody's consent.
pub struct LocalGroup {
    group: GroupId,
    shard: Arc<Shard>,
    log: Arc<dyn LogEngine>,
    clock: Arc<dyn Clock>,
    space: Arc<Space>,
    proposals: Mutex<Proposals>,
    apply_queue: Option<SyncSender<Durable>>,
    apply_thread: Option<JoinHandle<()>>,
}

/// What orders proposals. Written by whoever proposes, under the lock.
struct Proposals {
    next: LogIndex,
    last_stamp: Timestamp,
}

/// An entry that is on the disk.
struct Durable {
    index: LogIndex,
    entry: Bytes,
    answer: Answer,
}

impl LocalGroup {
    /// Takes over a shard that has been recovered from the log.
    pub fn start(
        group: GroupId,
        shard: Arc<Shard>,
        log: Arc<dyn LogEngine>,
        clock: Arc<dyn Clock>,
        space: Arc<Space>,
    ) -> std::io::Result<Self> {
        let next = log.bounds(group).expected().unwrap_or(LogIndex(1));
        let last_stamp = shard.stamp();
        let (sender, receiver) = sync_channel(APPLY_QUEUE_ENTRIES_MAX);
        let applying = Arc::clone(&shard);
        let thread = std::thread::Builder::new()
            .name(format!("apply-{}", shard.id()))
            .spawn(move || apply_all(&applying, &receiver))?;
        Ok(Self {
            group,
            shard,
            log,
            clock,
            space,
            proposals: Mutex::new(Proposals { next, last_stamp }),
            apply_queue: Some(sender),
            apply_thread: Some(thread),
        })
    }

    /// The shard that the group keeps.
    pub fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    /// Proposes one batch. Refused while there is too little room on the disk, or too much waits to
    /// be sealed: reads, drops and purges go on.
    pub(crate) fn propose_batch(&self, batch: &Bytes, answer: Answer) {
        if !self.space.mark().takes_client_batches() {
            metrics::counter!("skua_write_refusals_total", "reason" => "disk").increment(1);
            return answer(Err(Error::NoSpace));
        }
        if self.shard.is_behind() {
            metrics::counter!("skua_write_refusals_total", "reason" => "sealing").increment(1);
            return answer(Err(Error::Busy { what: "what waits to be sealed" }));
        }
        let batches = std::slice::from_ref(batch);
        self.propose(|stamp| entry::encode_data(stamp, FIRST_RING_EPOCH, batches), answer);
    }

    /// Proposes that the buckets of a retention class up to and including one go. Nobody waits: who
    /// proposes it does so again while it has not happened.
    pub fn propose_drop(&self, class: u8, bucket: u64) {
        let answer = Box::new(move |result: Result<(), Error>| {
            if let Err(error) = result {
                tracing::warn!(class, bucket, %error, "old data could not be dropped yet");
            }
        });
        self.propose(
            |stamp| Ok(entry::encode_drop(stamp, FIRST_RING_EPOCH, class, bucket)),
            answer,
        );
    }

    /// Lets the log forget what is in blocks, up to and including an index.
    pub fn purge_log(&self, upto: LogIndex) {
        if self.log.bounds(self.group).purged >= Some(upto) {
            return;
        }
        let done = Box::new(|result: Result<(), LogError>| {
            if let Err(error) = result {
                tracing::warn!(%error, "the log could not be purged");
            }
        });
        if let Err(rejected) = self.log.purge(self.group, upto, done) {
            rejected.give_up();
        }
    }

    /// Proposes that all data of a tenant goes.
    pub(crate) fn propose_purge(&self, tenant: &Tenant, answer: Answer) {
        self.propose(|stamp| Ok(entry::encode_purge(stamp, FIRST_RING_EPOCH, tenant)), answer);
    }

    fn propose(
        &self,
        encode: impl FnOnce(Timestamp) -> Result<Bytes, entry::EntryError>,
        answer: Answer,
    ) {
        let Some(apply_queue) = self.apply_queue.clone() else { return };
        let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamps never go back, whatever the wall clock does.
        let stamp = proposals.last_stamp.max(self.clock.wall());
        let index = proposals.next;
        let entry = match encode(stamp) {
            Ok(entry) => entry,
            Err(error) => {
                drop(proposals);
                answer(Err(Error::Refused { reason: error.to_string() }));
                return;
            }
        };
        // The lock is held until the log has taken the entry: indexes and log agree in order.
        let durable = entry.clone();
        let slot = Arc::new(Mutex::new(Some(answer)));
        let answer_later = Arc::clone(&slot);
        let done = Box::new(move |result: Result<(), LogError>| {
            let Some(answer) = take(&answer_later) else { return };
            match result {
                Ok(()) => hand_over(&apply_queue, Durable { index, entry: durable, answer }),
                Err(error) => answer(Err(Error::Unknown { reason: error.to_string() })),
            }
        });
        match self.log.try_append(self.group, vec![(index, entry)], done) {
            Ok(()) => {
                proposals.next = index.next();
                proposals.last_stamp = stamp;
            }
            Err(rejected) => {
                drop(proposals);
                let error = match rejected.error {
                    LogError::Busy { .. } => Error::Busy { what: "the log's queue" },
                    error => Error::Unknown { reason: error.to_string() },
                };
                if let Some(answer) = take(&slot) {
                    answer(Err(error));
                }
            }
        }
    }
}

fn take(slot: &Mutex<Option<Answer>>) -> Option<Answer> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn hand_over(apply_queue: &SyncSender<Durable>, durable: Durable) {
    // More fit than can be in flight, and the thread lives as long as the group; an entry that
    // cannot be handed over stays in the log and is applied by the next start.
    if let Err(refused) = apply_queue.try_send(durable) {
        let durable = match refused {
            std::sync::mpsc::TrySendError::Full(durable)
            | std::sync::mpsc::TrySendError::Disconnected(durable) => durable,
        };
        (durable.answer)(Err(Error::Unknown { reason: "the shard is stopping".into() }));
    }
}

fn apply_all(shard: &Shard, queue: &Receiver<Durable>) {
    let mut failed: Option<String> = None;
    while let Ok(Durable { index, entry, answer }) = queue.recv() {
        if let Some(reason) = &failed {
            answer(Err(Error::Unknown { reason: reason.clone() }));
            continue;
        }
        answer(match shard.apply(index, &entry) {
            Ok(applied) => {
                refusal(&applied).map_or(Ok(()), |reason| Err(Error::Refused { reason }))
            }
            Err(error) => {
                // A replica that cannot apply what was agreed must not apply what follows.
                tracing::error!(shard = %shard.id(), %index, %error, "the shard stops applying");
                metrics::counter!("skua_apply_failures_total").increment(1);
                failed = Some(error.to_string());
                Err(Error::Unknown { reason: error.to_string() })
            }
        });
    }
}

/// Why the state machine refused a batch of an entry, if it did.
fn refusal(applied: &Applied) -> Option<String> {
    applied.batches.iter().find_map(|outcome| match outcome {
        BatchOutcome::Refused(refusal) => Some(refusal.to_string()),
        BatchOutcome::Fenced { epoch } => Some(format!("ring epoch {epoch} has begun")),
        BatchOutcome::Added { .. } | BatchOutcome::Known => None,
    })
}

impl Drop for LocalGroup {
    fn drop(&mut self) {
        self.apply_queue = None;
        let own = std::thread::current().id();
        if let Some(thread) = self.apply_thread.take()
            && thread.thread().id() != own
        {
            // Ends when the log has let go of its callbacks; a panic was reported by the hook.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for LocalGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalGroup").field("group", &self.group).finish_non_exhaustive()
    }
}
