//! A disk that hangs: a sync that takes too long costs this node its leaderships, then its life.
//!
//! Nothing fails while a disk hangs, so no error says it. A leader whose disk hangs is slow for
//! everybody; a node whose disk hangs for long is better gone: another one takes its place, and
//! whoever runs it sees it restart.

use std::sync::Arc;

use futures_util::future::join_all;
use model::Duration;

use super::handle::{Shared, std};
use super::limits::{SYNC_DEADLINE, SYNC_SLOW_AFTER, SYNC_WATCH_PERIOD};
use crate::raft::{ReplicaFailure, Role};

/// What to do about a sync that has been under way for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Fine,
    /// Others should lead.
    StepDown,
    /// The node should end.
    End,
}

/// Judges a sync by its age.
pub(crate) fn judge(under_way_for: Option<Duration>) -> Verdict {
    match under_way_for {
        Some(age) if age > SYNC_DEADLINE => Verdict::End,
        Some(age) if age > SYNC_SLOW_AFTER => Verdict::StepDown,
        _ => Verdict::Fine,
    }
}

impl Shared {
    /// Watches for as long as it runs.
    pub(super) async fn watch_disk(self: Arc<Self>) {
        let mut period = tokio::time::interval(std(SYNC_WATCH_PERIOD));
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            let started = self.log.stats().sync_started_nanoseconds;
            let age = started.map(|started| Duration(self.now().0.saturating_sub(started)));
            match judge(age) {
                Verdict::Fine => {}
                Verdict::StepDown => {
                    metrics::counter!("skua_log_slow_syncs_total").increment(1);
                    tracing::warn!(?age, "the disk hangs: others should lead");
                    self.step_down().await;
                }
                Verdict::End => {
                    let all = self.replicas.all();
                    let Some((group, hosted)) = all.first() else { continue };
                    let reason = "a sync of the log does not come back: the disk hangs".into();
                    let replica = hosted.replica.id();
                    self.fatal.call(&ReplicaFailure { group: *group, replica, reason });
                    return;
                }
            }
        }
    }

    /// Hands over what can be handed over.
    async fn step_down(&self) {
        let handed = self.replicas.all().into_iter().map(|(group, hosted)| async move {
            let status = hosted.replica.status();
            if status.leadership.role != Role::Leader {
                return;
            }
            let ready = status.followers.iter().find(|(replica, follower)| {
                let votes = status.configuration.voters.iter().all(|set| set.contains(replica));
                votes && follower.matching == status.last
            });
            let Some((to, _)) = ready else { return };
            if let Err(error) = hosted.replica.transfer_leader(*to).await {
                tracing::debug!(%group, %error, "leadership stays for now");
            }
        });
        join_all(handed).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_judged_by_its_age() {
        assert_eq!(judge(None), Verdict::Fine);
        assert_eq!(judge(Some(SYNC_SLOW_AFTER)), Verdict::Fine);
        assert_eq!(judge(Some(Duration(SYNC_SLOW_AFTER.0 + 1))), Verdict::StepDown);
        assert_eq!(judge(Some(Duration(SYNC_DEADLINE.0 + 1))), Verdict::End);
    }
}
