//! Watches a replica's core, and replaces one that died.
//!
//! A core that panics leaves everything else in place: the process, the other groups, and metrics
//! that go on saying "leader" for ever. Only the closing of their channel tells. What is left of
//! it may still apply entries, so the order of a replacement matters:
//!
//! 1. out of the router and the handle, so that nobody asks it any more;
//! 2. its generation ends: what it still tries is refused;
//! 3. shut down, and waited for until the last of its parts is gone;
//! 4. a barrier in the log: what it had submitted is durable, and is what will be read;
//! 5. everything read anew from the log; the machine keeps what it applied;
//! 6. a new core under the same id, and back into the router.
//!
//! A core whose storage failed is not replaced: the disk may have forgotten what it promised. The
//! hook is told, and in production the process ends.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration as StdDuration;

use openraft::async_runtime::WatchReceiver as _;
use storage::log::Operation;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::failure::{ReplicaFailure, storage_failure};
use super::fence::Generation;
use super::limits::{
    REBUILD_FORGOTTEN_AFTER, REBUILD_PAUSE_MAX, REBUILD_PAUSE_MIN, REBUILD_SLOW_AFTER,
};
use super::log_store::LogStore;
use super::network::Network;
use super::receive::Receiving;
use super::replica::{CurrentCore, Shared};
use super::router::{Endpoint, Raft};
use super::state_machine::StateMachine;
use super::status::{Leadership, leadership};

/// What the replica's handle and its links want of its supervisor.
#[derive(Debug)]
pub(crate) enum Order {
    /// End the replica for good: its machine's storage failed, where consensus does not see it.
    StorageFailed(String),
    /// Replace the core, though it lives.
    Rebuild,
    /// End it, and say when nothing is left.
    Shutdown(oneshot::Sender<()>),
}

/// The one that owns a replica's core.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    /// For the core's links.
    orderer: mpsc::WeakSender<Order>,
    core: Core,
    pause: StdDuration,
}

struct Core {
    raft: Raft,
    generation: Generation,
    born: Instant,
}

/// Why a core is not watched any longer.
enum End {
    Died,
    StorageFailed(String),
    Rebuild,
    Shutdown(Option<oneshot::Sender<()>>),
}

impl Supervisor {
    /// Builds the first core.
    pub(crate) async fn start(
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Order>,
        orderer: mpsc::WeakSender<Order>,
    ) -> io::Result<Self> {
        let core = build(&shared, &orderer).await?;
        Ok(Self { shared, orders, orderer, core, pause: StdDuration::ZERO })
    }

    /// Until the replica ends.
    pub(crate) async fn run(mut self) {
        loop {
            let end = self.watch().await;
            self.shared.take_down();
            match end {
                End::Shutdown(reply) => {
                    stop(&self.shared, &mut self.core).await;
                    self.shared.fence.close();
                    if let Some(reply) = reply {
                        // Whoever asked may have left.
                        let _ = reply.send(());
                    }
                    return;
                }
                End::StorageFailed(reason) => {
                    self.shared.fence.close();
                    return self.shared.fail(reason);
                }
                End::Died => {
                    metrics::counter!("skua_raft_cores_died_total").increment(1);
                    tracing::error!(group = %self.shared.parts.group, "a core died; rebuilding it");
                    self.shared.fence.close();
                }
                End::Rebuild => {
                    tracing::warn!(group = %self.shared.parts.group, "a core is being replaced");
                }
            }
            stop(&self.shared, &mut self.core).await;
            self.rest().await;
            match build(&self.shared, &self.orderer).await {
                Ok(core) => self.core = core,
                Err(error) => return self.shared.fail(error.to_string()),
            }
        }
    }

    /// Watches the core until something is to be done.
    async fn watch(&mut self) -> End {
        let mut changes = self.core.raft.server_metrics();
        loop {
            self.shared.publish(leadership(&self.core.raft));
            tokio::select! {
                biased;
                order = self.orders.recv() => return match order {
                    Some(Order::Rebuild) => End::Rebuild,
                    Some(Order::StorageFailed(reason)) => End::StorageFailed(reason),
                    Some(Order::Shutdown(reply)) => End::Shutdown(Some(reply)),
                    None => End::Shutdown(None),
                },
                changed = changes.changed() => if changed.is_err() {
                    let end = self.core.raft.metrics().borrow_watched().running_state.clone();
                    return storage_failure(&end).map_or(End::Died, End::StorageFailed);
                },
            }
        }
    }

    /// A core that dies again and again must not keep a processor busy.
    async fn rest(&mut self) {
        let lived = self.core.born.elapsed();
        if lived > StdDuration::from_nanos(REBUILD_FORGOTTEN_AFTER.0) {
            self.pause = StdDuration::ZERO;
        }
        tokio::time::sleep(self.pause).await;
        let longest = StdDuration::from_nanos(REBUILD_PAUSE_MAX.0);
        let shortest = StdDuration::from_nanos(REBUILD_PAUSE_MIN.0);
        self.pause = (self.pause * 2).clamp(shortest, longest);
    }
}

/// Builds a core from what log and machine hold.
async fn build(shared: &Arc<Shared>, orderer: &mpsc::WeakSender<Order>) -> io::Result<Core> {
    let (pass, generation) = shared.fence.advance();
    shared.handle.submit_durably(&pass, Operation::Barrier).await?;
    let (handle, held) = (shared.handle.clone(), pass.clone());
    let opened = shared.handle.blocking.run(move || LogStore::open(handle, held)).await;
    let store = opened??;
    let machine = StateMachine::new(Arc::clone(&shared.standing), pass);
    let parts = &shared.parts;
    let network = Network {
        transport: Arc::clone(&parts.transport),
        group: parts.group,
        own: parts.replica,
        witness: Arc::clone(&parts.router.witness),
        noted: Arc::clone(&shared.handle.noted),
        machine: Arc::clone(&parts.machine),
        orders: orderer.clone(),
        blocking: parts.blocking,
    };
    let config = Arc::clone(&shared.config);
    let raft = Raft::new(parts.replica.0, config, network, store, machine).await;
    let raft = raft.map_err(io::Error::other)?;
    *shared.current.write().unwrap_or_else(PoisonError::into_inner) =
        Some(CurrentCore(raft.clone()));
    let endpoint = Endpoint {
        replica: parts.replica,
        raft: raft.clone(),
        machine: Arc::clone(&parts.machine),
        blocking: parts.blocking,
        transport: Arc::clone(&parts.transport),
        receiving: Receiving::default(),
        room: parts.router.room.clone(),
    };
    parts.router.attach(parts.group, endpoint);
    Ok(Core { raft, generation, born: tokio::time::Instant::now() })
}

/// Ends a core and waits until nothing of it is left: its end is announced before its workers have
/// ended.
async fn stop(shared: &Shared, core: &mut Core) {
    if core.raft.shutdown().await.is_err() {
        tracing::debug!(group = %shared.parts.group, "the core had ended already");
    }
    let slow = StdDuration::from_nanos(REBUILD_SLOW_AFTER.0);
    while tokio::time::timeout(slow, core.generation.ended()).await.is_err() {
        tracing::warn!(group = %shared.parts.group, "parts of a dead core are still at work");
    }
}

impl Shared {
    /// From now on nobody reaches the core.
    pub(crate) fn take_down(&self) {
        self.parts.router.detach(self.parts.group, self.parts.replica);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        let term = self.leadership.borrow().term;
        self.publish(Leadership { term, ..Leadership::default() });
    }

    fn publish(&self, now: Leadership) {
        self.leadership.send_if_modified(|known| std::mem::replace(known, now) != now);
    }

    fn fail(&self, reason: String) {
        let (group, replica) = (self.parts.group, self.parts.replica);
        tracing::error!(%group, %replica, reason, "a replica's storage failed");
        self.parts.fatal.call(&ReplicaFailure { group, replica, reason });
    }
}
