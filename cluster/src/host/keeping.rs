//! What a node does for its replicas now and then: lets their logs forget what is in blocks, and
//! has dropped what is past its retention.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Duration, ShardId, Timestamp};
use storage::entry;
use storage::log::{GroupId, LogIndex};
use storage::shard::CLASS_ORDINARY;

use super::clocks::{median, reached_by_majority};
use super::handle::{Shared, std};
use super::limits::{META_DEADLINE, META_LOG_KEPT, UPKEEP_PERIOD};
use super::replicas::Hosted;
use super::trim::Trim;
use crate::identity::META_GROUP;
use crate::meta::{MetaCommand, RetentionClass};
use crate::upkeep::drop_due;

impl Shared {
    /// Does it for as long as it runs.
    pub(super) async fn keep_up(self: Arc<Self>) {
        let mut period = tokio::time::interval(std(UPKEEP_PERIOD));
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut trim = Trim::new(self.log_kept_bytes);
        loop {
            period.tick().await;
            self.trim_logs(&mut trim).await;
            self.put_retention().await;
            for (_, hosted) in self.replicas.all() {
                self.drop_what_is_past(&hosted).await;
            }
        }
    }

    async fn trim_logs(&self, trim: &mut Trim) {
        let hosted = self.replicas.all();
        let ends: BTreeMap<GroupId, LogIndex> = hosted
            .iter()
            .filter_map(|(group, hosted)| Some((*group, hosted.replica.applied()?)))
            .collect();
        let mut upto = trim.step(self.log.stats().written_bytes, ends);
        // Commands are few and small, and a snapshot of them is one message.
        let meta = self.replicas.get(META_GROUP).and_then(|hosted| hosted.replica.machine().cut());
        let meta = meta.and_then(|cut| cut.0.checked_sub(META_LOG_KEPT));
        upto.extend(meta.map(|index| (META_GROUP, LogIndex(index))));
        for (group, hosted) in hosted {
            let Some(upto) = upto.get(&group) else { continue };
            if let Err(error) = hosted.replica.purge(*upto).await {
                tracing::debug!(%group, %error, "the log of a group was not purged");
            }
        }
    }

    /// The retention that this node was started with is the cluster's, until one is set.
    async fn put_retention(&self) {
        let state = self.state();
        let leads = self.replicas.get(META_GROUP).is_some_and(|hosted| hosted.leads());
        if !leads || state.cluster().is_none() || !state.retention().ages.is_empty() {
            return;
        }
        let command = MetaCommand::SetRetention {
            expected: state.retention().revision,
            ages: BTreeMap::from([(RetentionClass(CLASS_ORDINARY), self.retention)]),
            disk_bytes_max: state.retention().disk_bytes_max,
        };
        if let Err(error) = self.propose_meta(&command, META_DEADLINE).await {
            tracing::debug!(%error, "the retention is not known to the cluster yet");
        }
    }

    /// For how long spans are kept.
    fn retention(&self) -> Duration {
        let state = self.map.borrow();
        let age = state.retention().ages.get(&RetentionClass(CLASS_ORDINARY));
        age.copied().unwrap_or(self.retention)
    }

    /// Has buckets dropped that are past by the clocks of a majority, if this node leads the shard.
    async fn drop_what_is_past(&self, hosted: &Hosted) {
        let Some(shard) = hosted.shard.as_ref().filter(|_| hosted.leads()) else { return };
        let holders = self.holders(shard.id());
        let voters = holders.len();
        let walls = self.peer_clocks.walls(holders, (self.node, self.clock.wall()), self.now());
        let Some(now) = reached_by_majority(&walls, voters) else { return };
        let oldest = shard.oldest_bucket(CLASS_ORDINARY);
        let Some(bucket) = drop_due(now, self.retention(), oldest) else { return };
        let epoch = self.routes.get().map_or(crate::wire::RingEpoch(1), |routes| routes.epoch);
        let entry =
            entry::encode_drop(self.stamp(shard.id(), hosted), epoch.0, CLASS_ORDINARY, bucket);
        match super::writes::propose(hosted, entry).await {
            crate::wire::WriteOutcome::Done => {
                tracing::info!(shard = %shard.id(), bucket, "spans past their retention were dropped");
            }
            outcome => tracing::debug!(shard = %shard.id(), ?outcome, "nothing was dropped"),
        }
    }

    /// The stamp of the next entry: what the median of the voters' clocks shows, and never less
    /// than the last one.
    pub(super) fn stamp(&self, shard: ShardId, hosted: &Hosted) -> Timestamp {
        let last = hosted.shard.as_ref().map(|shard| shard.stamp()).unwrap_or_default();
        let own = self.clock.wall();
        let walls = self.peer_clocks.walls(self.holders(shard), (self.node, own), self.now());
        median(&walls).unwrap_or(own).max(last)
    }
}
