//! A node that is about to stop gives away what it leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::facts::{Gathered, facts};
use super::handle::{Shared, std};
use super::limits::{DRAIN_DEADLINE, DRAIN_PAUSE};
use crate::plan::{self, Transfer};

impl Shared {
    /// Hands leadership over until this node leads nothing that another one could, or time is up;
    /// then makes durable what the log was given.
    pub(super) async fn drain(self: Arc<Self>) {
        self.draining.store(true, Ordering::Relaxed);
        let deadline = self.now().plus(DRAIN_DEADLINE);
        while self.left(deadline).0 > 0 && self.could_give_away() {
            let state = self.state();
            let reports = BTreeMap::from([(self.node, Some(self.report()))]);
            let unreachable = BTreeMap::new();
            let gathered = Gathered { meta_leader: self.node, reports, unreachable };
            let facts = facts(&gathered, None, self.now());
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

    /// Whether this node leads a group that has another voter.
    fn could_give_away(&self) -> bool {
        self.replicas.all().iter().any(|(_, hosted)| {
            let voters = hosted.replica.status().configuration.voters;
            hosted.leads() && voters.iter().any(|voters| voters.len() > 1)
        })
    }

    async fn hand_over(&self, transfer: Transfer) {
        let Some(hosted) = self.replicas.get(transfer.at.group) else { return };
        if let Err(error) = hosted.replica.transfer_leader(transfer.to).await {
            tracing::debug!(group = %transfer.at.group, %error, "leadership stays for now");
        }
    }
}
