//! A node that is about to stop gives away what it leads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use model::NodeId;
use model::time::Monotonic;

use super::handle::{Shared, std};
use super::limits::{DRAIN_DEADLINE, DRAIN_HOPELESS, DRAIN_PAUSE};
use crate::plan::{self, DiskMark, Facts, Transfer};

impl Shared {
    /// Hands leadership over until this node leads nothing that another one could, or time is up;
    /// then makes durable what the log was given. Nodes that stop together do not wait for each
    /// other.
    pub(super) async fn drain(self: Arc<Self>) {
        self.draining.store(true, Ordering::Relaxed);
        let deadline = self.now().plus(DRAIN_DEADLINE);
        let mut alone_since: Option<Monotonic> = None;
        while self.left(deadline).0 > 0 {
            let heirs = self.heirs();
            if heirs.is_empty() {
                break;
            }
            let state = self.state();
            let mut facts = self.gather(&state).await;
            for node in facts.nodes.values_mut() {
                // Whoever is elected instead would not be asked for its room either.
                node.disk = DiskMark::Ample;
            }
            // One that does not answer now may answer the next time.
            let is_alone = heirs.iter().all(|node| !could_take(&facts, *node));
            alone_since = alone_since.or(Some(self.now())).filter(|_| is_alone);
            if alone_since.is_some_and(|since| self.now().since(since) >= DRAIN_HOPELESS) {
                tracing::info!("nobody is left to lead what this node leads");
                break;
            }
            let transfers = plan::drain(&state, &facts, self.now(), self.node);
            join_all(transfers.into_iter().map(|transfer| self.hand_over(transfer))).await;
            tokio::time::sleep(std(DRAIN_PAUSE)).await;
        }
        let log = Arc::clone(&self.log);
        let synced = self.blocking.run(move || log.barrier()).await;
        if !matches!(synced, Ok(Ok(()))) {
            tracing::warn!("the log could not be synced before the stop");
        }
    }

    /// Other nodes with voters of groups that this one leads.
    fn heirs(&self) -> BTreeSet<NodeId> {
        let mut heirs = BTreeSet::new();
        for (_, hosted) in self.replicas.all() {
            if hosted.leads() {
                let configuration = hosted.replica.status().configuration;
                let voters = configuration.voters.iter().flatten();
                heirs.extend(voters.filter_map(|voter| configuration.members.get(voter).copied()));
            }
        }
        heirs.remove(&self.node);
        heirs
    }

    async fn hand_over(&self, transfer: Transfer) {
        let Some(hosted) = self.replicas.get(transfer.at.group) else { return };
        if let Err(error) = hosted.replica.transfer_leader(transfer.to).await {
            tracing::debug!(group = %transfer.at.group, %error, "leadership stays for now");
        }
    }
}

/// Whether a node answers and does not stop too.
fn could_take(facts: &Facts, node: NodeId) -> bool {
    facts.nodes.get(&node).is_some_and(|facts| facts.held.is_some() && !facts.is_draining)
}
