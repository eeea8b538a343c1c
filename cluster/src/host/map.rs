//! The node's copy of the cluster's state: from its own replica of the meta group, or from members.

use std::sync::{Arc, PoisonError};

use model::time::Monotonic;
use model::{Duration, NodeId, Timestamp};

use super::error::HostError;
use super::handle::{Shared, std};
use super::limits::{MAP_PERIOD, META_DEADLINE, PAUSE_MAX, PAUSE_MIN, REPORT_DEADLINE};
use super::messages::{MetaReply, MetaRequest};
use crate::coordinator::{Fence, Routes};
use crate::identity::META_GROUP;
use crate::meta::{CLUSTER_VERSION, Epoch, EpochState, MetaCommand, MetaState};
use crate::placement::Ring;
use crate::wire::RingEpoch;

/// When a member was last asked for its map because somebody waits for it, and whose turn it was.
#[derive(Debug, Default)]
pub(super) struct MapAsked {
    at: Monotonic,
    turn: usize,
}

impl Shared {
    /// Takes a state of the cluster, if it is later than the one known.
    pub(super) async fn learn(&self, state: MetaState) -> Result<(), HostError> {
        // One after another, or an older one that took longer would be put in place last.
        let _learning = self.learning.lock().await;
        let known = self.state();
        let is_later = known.cluster().is_none() || state.applied() > known.applied();
        if state.cluster().is_none() || !is_later {
            return Ok(());
        }
        for (node, known) in state.present() {
            self.note_record(node, &known.record);
        }
        for (replica, tombstone) in state.tombstones() {
            if tombstone.is_confirmed {
                self.replicas.router.bury(tombstone.group, *replica);
            }
        }
        let (durable, copy) = (self.durable.clone(), state.clone());
        self.blocking.run(move || durable.set_map(&copy)).await??;
        // Before the map: whoever waits for that counts on the routes.
        self.route_by(&state);
        self.map.send_replace(Arc::new(state));
        Ok(())
    }

    /// Follows the state of the cluster for as long as it runs, and keeps what the cluster knows of
    /// this node up to date.
    pub(super) async fn follow_map(self: Arc<Self>) {
        let mut own = self.meta.watch();
        let mut period = tokio::time::interval(std(MAP_PERIOD));
        let mut turn = 0_usize;
        loop {
            tokio::select! {
                biased;
                changed = own.changed() => if changed.is_err() { return },
                _ = period.tick() => self.tend_map(&mut turn).await,
            }
            let applied = MetaState::clone(&own.borrow_and_update());
            if let Err(error) = self.learn(applied).await {
                tracing::error!(%error, "the map of the cluster cannot be kept");
            }
        }
    }

    async fn tend_map(&self, turn: &mut usize) {
        let leads = self.replicas.get(META_GROUP).and_then(|hosted| hosted.replica.leader());
        if leads.is_none() {
            *turn = turn.wrapping_add(1);
            self.ask_for_map(*turn).await;
        }
        let state = self.state();
        let known = state.nodes().get(&self.node);
        if known.is_some_and(|known| !known.is_removed() && known.record != self.record) {
            let (node, record) = (self.node, self.record.clone());
            let command = MetaCommand::PutNode { node, record, at: self.clock.wall() };
            if let Err(error) = self.propose_meta(&command, META_DEADLINE).await {
                tracing::warn!(%error, "the cluster does not know yet what changed of this node");
            }
        }
    }

    /// Asks one member for a later state; each time another one.
    async fn ask_for_map(&self, turn: usize) {
        let state = self.state();
        let others: Vec<NodeId> =
            state.present().map(|(node, _)| node).filter(|node| *node != self.node).collect();
        let Some(place) = turn.checked_rem(others.len()) else { return };
        let Some(node) = others.get(place) else { return };
        let request = MetaRequest::State { known: state.applied().0 };
        if let Ok(MetaReply::State(Some(bytes))) =
            self.ask_meta(*node, &request, REPORT_DEADLINE).await
            && let Ok(state) = MetaState::decode(&bytes)
            && let Err(error) = self.learn(state).await
        {
            tracing::error!(%error, "the map of the cluster cannot be kept");
        }
    }

    /// How traces are led to shards now. No shards are known before the cluster is.
    pub(super) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the epochs of a newer state. Shards of an epoch that is being brought in are read
    /// from the first fence on: who is told of a fence knows of them, or asks who does.
    fn route_by(&self, state: &MetaState) {
        let Some(routes) = routes_of(state) else { return };
        let known = self.routes();
        if (routes.epoch, routes.last, routes.ring.shard_count())
            == (known.epoch, known.last, known.ring.shard_count())
        {
            return;
        }
        tracing::info!(epoch = routes.epoch.0, last = routes.last.0, "routing by the newest map");
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
    }

    /// Makes sure that there are shards to lead traces to.
    pub(super) fn check_routes(&self) -> Result<(), HostError> {
        match self.routes().ring.shard_count() {
            0 => Err(HostError::Malformed { what: "the map of the cluster" }),
            _ => Ok(()),
        }
    }

    /// Waits until the routes are such, asking one member after another for its map; false if they
    /// are not in time. However many wait, one asks at a time, and what it learns all know.
    pub(super) async fn learns(&self, until: Monotonic, is_such: impl Fn(&Routes) -> bool) -> bool {
        let mut pause = PAUSE_MIN;
        while !is_such(&self.routes()) {
            let left = self.left(until);
            if left.0 == 0 {
                return false;
            }
            let asking = async {
                let mut asked = self.map_asked.lock().await;
                if is_such(&self.routes()) || self.now().since(asked.at) < PAUSE_MIN {
                    return;
                }
                // The members' turns; whoever leads the meta group knows, and this may be here.
                asked.turn = asked.turn.wrapping_add(1);
                self.ask_for_map(asked.turn).await;
                asked.at = self.now();
            };
            let asked = tokio::time::timeout(std(left), asking).await;
            if asked.is_err() || is_such(&self.routes()) {
                continue;
            }
            tokio::time::sleep(std(pause.min(left))).await;
            pause = Duration(pause.0.saturating_mul(2)).min(PAUSE_MAX);
        }
        true
    }

    /// Whether this program knows what the cluster may write.
    pub(super) fn check_version(&self) -> Result<(), HostError> {
        let version = self.state().cluster_version();
        if version <= CLUSTER_VERSION {
            return Ok(());
        }
        Err(HostError::Version { version, known: CLUSTER_VERSION })
    }
}

/// The rings of a state's epochs; nothing if it has no epoch that is in force.
fn routes_of(state: &MetaState) -> Option<Routes> {
    let active = state.active_epoch()?;
    let is_known = |epoch: &&Epoch| epoch.state != EpochState::Preparing;
    let known: Vec<&Epoch> = state.epochs().iter().filter(is_known).collect();
    let fence = |pair: &[&Epoch]| match pair {
        // One that was abandoned has the shards of the one before it.
        [before, after] if before.shard_count < after.shard_count => Some(Fence {
            from: after.fenced_at,
            until: match after.state {
                EpochState::Active => after.activated_at.max(after.fenced_at),
                // Nobody knows yet.
                EpochState::Preparing | EpochState::Fencing => Timestamp::MAX,
            },
            before: before.shard_count,
            after: after.shard_count,
        }),
        _ => None,
    };
    let others = known.iter().filter(|epoch| epoch.id != active.id);
    Some(Routes {
        epoch: RingEpoch(active.id.0),
        ring: Ring::new(active.shard_count),
        last: RingEpoch(known.last().map_or(active.id, |epoch| epoch.id).0),
        others: others.map(|epoch| Ring::new(epoch.shard_count)).collect(),
        fences: known.windows(2).filter_map(fence).collect(),
    })
}
