//! What a node does for its replicas now and then: lets their logs forget what is in blocks, and
//! has dropped what is past its retention.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use model::{Duration, NodeId, ShardId, Timestamp};
use storage::entry;
use storage::log::{GroupId, LogIndex};
use storage::shard::CLASS_ORDINARY;

use super::clocks::{log_time, reached_by_majority};
use super::handle::{Shared, std};
use super::limits::{META_DEADLINE, META_LOG_KEPT, UPKEEP_PERIOD};
use super::messages::{MetaReply, MetaRequest};
use super::replicas::Hosted;
use super::trim::Trim;
use super::writes::{answer, propose};
use crate::identity::META_GROUP;
use crate::limits::{NO_SPACE_RETRY_AFTER_MS, RETRY_AFTER_MS};
use crate::meta::{MetaCommand, RetentionClass};
use crate::upkeep::{ClockGuard, drop_due, newest_stamp};
use crate::wire::WriteOutcome;

impl Shared {
    /// Does it for as long as it runs.
    pub(super) async fn keep_up(self: Arc<Self>) {
        let mut period = tokio::time::interval(std(UPKEEP_PERIOD));
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut trim = Trim::new(self.log_kept_bytes);
        let mut guard = ClockGuard::default();
        loop {
            period.tick().await;
            self.trim_logs(&mut trim).await;
            self.put_retention().await;
            let Some(now) = self.time_for_drops(&mut guard) else { continue };
            for (_, hosted) in self.replicas.all() {
                self.drop_what_is_past(&hosted, now).await;
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
    pub(super) fn retention(&self) -> Duration {
        let state = self.map.borrow();
        let age = state.retention().ages.get(&RetentionClass(CLASS_ORDINARY));
        age.copied().unwrap_or(self.retention)
    }

    /// The time by which something may be past: that of a majority of the members, whoever holds
    /// the shard, for one that has a single replica must not go by a single clock. A cluster of one
    /// has its monotonic clock beside.
    fn time_for_drops(&self, guard: &mut ClockGuard) -> Option<Timestamp> {
        let members: Vec<NodeId> = self.state().present().map(|(id, _)| id).collect();
        let (count, wall, now) = (members.len(), self.clock.wall(), self.now());
        if count == 1 {
            let hosted = self.replicas.all();
            let shards: Vec<_> = hosted.iter().filter_map(|(_, it)| it.shard.clone()).collect();
            let frozen = guard.look(wall, now, newest_stamp(&shards));
            self.frozen.note(frozen);
            return frozen.is_none().then_some(wall);
        }
        let walls = self.peer_clocks.walls(members, (self.node, wall), now);
        reached_by_majority(&walls, count)
    }

    /// Has buckets dropped that are past, if this node leads the shard.
    async fn drop_what_is_past(&self, hosted: &Hosted, now: Timestamp) {
        let Some(shard) = hosted.shard.as_ref().filter(|_| hosted.leads()) else { return };
        let oldest = shard.oldest_bucket(CLASS_ORDINARY);
        let Some(bucket) = drop_due(now, self.retention(), oldest) else { return };
        match self.drop_here(shard.id(), CLASS_ORDINARY, bucket).await {
            MetaReply::Done => {
                tracing::info!(shard = %shard.id(), bucket, "dropped what is past its retention");
            }
            reply => tracing::debug!(shard = %shard.id(), ?reply, "nothing was dropped"),
        }
    }

    /// Drops buckets of a shard, if this node leads it.
    pub(super) async fn drop_here(&self, shard: ShardId, class: u8, bucket: u64) -> MetaReply {
        let Some(hosted) = self.replicas.of_shard(shard) else {
            return MetaReply::NotLeader { hint: None };
        };
        let epoch = self.routes().epoch;
        let entry = entry::encode_drop(self.stamp(shard, &hosted), epoch.0, class, bucket);
        answer(propose(&hosted, entry).await)
    }

    /// Has buckets of a shard dropped, wherever it is led: the disk of this node is full.
    pub(super) async fn drop_for_room(self: Arc<Self>, shard: ShardId, class: u8, bucket: u64) {
        let reply = match self.leader_of(shard) {
            Some(node) if node != self.node => {
                let request = MetaRequest::Drop { shard: shard.0, class, bucket };
                let asked = self.ask_meta(node, &request, META_DEADLINE).await;
                asked.unwrap_or_else(|error| MetaReply::Failed(error.to_string()))
            }
            _ => self.drop_here(shard, class, bucket).await,
        };
        if !matches!(reply, MetaReply::Done) {
            tracing::info!(%shard, bucket, ?reply, "what should make room is not dropped yet");
        }
    }

    /// Why a shard takes no batches now, if it does not: this node, or a majority of the voters,
    /// have too little room; or sealing has fallen behind here.
    pub(super) fn has_no_room(&self, shard: ShardId, hosted: &Hosted) -> Option<WriteOutcome> {
        let short = self.short_of_room.lock().unwrap_or_else(PoisonError::into_inner);
        let is_short = if short.is_empty() {
            false
        } else {
            let holders = self.holders(shard);
            holders.iter().filter(|node| short.contains(*node)).count() > holders.len() / 2
        };
        drop(short);
        if is_short || !self.space.mark().takes_client_batches() {
            metrics::counter!("skua_write_refusals_total", "reason" => "disk").increment(1);
            return Some(WriteOutcome::Busy { retry_after_ms: NO_SPACE_RETRY_AFTER_MS });
        }
        if hosted.shard.as_ref().is_some_and(|shard| shard.is_behind()) {
            metrics::counter!("skua_write_refusals_total", "reason" => "sealing").increment(1);
            return Some(WriteOutcome::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        None
    }

    /// The stamp of the next entry: what the median of the voters' clocks shows, and never less
    /// than the last one; see [`log_time`].
    pub(super) fn stamp(&self, shard: ShardId, hosted: &Hosted) -> Timestamp {
        let last = hosted.shard.as_ref().map(|shard| shard.stamp()).unwrap_or_default();
        let own = self.clock.wall();
        let holders = self.holders(shard);
        let voters = holders.len();
        let walls = self.peer_clocks.walls(holders, (self.node, own), self.now());
        log_time(&walls, voters, last, own)
    }
}
