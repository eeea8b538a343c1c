//! The node's copy of the cluster's state: from its own replica of the meta group, or from members.

use std::sync::Arc;

use model::NodeId;

use super::error::HostError;
use super::handle::{Shared, std};
use super::limits::{MAP_PERIOD, META_DEADLINE, REPORT_DEADLINE};
use super::messages::{MetaReply, MetaRequest};
use crate::coordinator::Routes;
use crate::identity::META_GROUP;
use crate::meta::{CLUSTER_VERSION, EpochState, MetaCommand, MetaState};
use crate::placement::Ring;
use crate::wire::RingEpoch;

impl Shared {
    /// Takes a state of the cluster, if it is later than the one known.
    pub(super) async fn learn(&self, state: MetaState) -> Result<(), HostError> {
        let known = self.state();
        let is_later = known.cluster().is_none() || state.applied() > known.applied();
        if state.cluster().is_none() || !is_later {
            return Ok(());
        }
        for (node, known) in state.present() {
            if node != self.node {
                self.note_address(node, &known.record, None);
            }
        }
        for (replica, tombstone) in state.tombstones() {
            if tombstone.is_confirmed {
                self.replicas.router.bury(tombstone.group, *replica);
            }
        }
        let (durable, copy) = (self.durable.clone(), state.clone());
        self.blocking.run(move || durable.set_map(&copy)).await??;
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

    /// Fixes how traces are led to shards, by the map as it is now.
    pub(super) fn fix_routes(&self) -> Result<(), HostError> {
        let state = self.state();
        let active = state.active_epoch();
        let active = active.ok_or(HostError::Malformed { what: "the map of the cluster" })?;
        let earlier = state
            .epochs()
            .iter()
            .filter(|epoch| epoch.id < active.id && epoch.state == EpochState::Active);
        let routes = Routes {
            epoch: RingEpoch(active.id.0),
            ring: Ring::new(active.shard_count),
            earlier: earlier.map(|epoch| Ring::new(epoch.shard_count)).collect(),
        };
        self.routes.get_or_init(|| Arc::new(routes));
        Ok(())
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
