//! Whom this node can reach: each member is asked now and then, and what it says is noted, its
//! clock and the room on its disk included.
//!
//! What is different from the last time is noted for people ([`super::events`]).
//!
//! Another member's opinion that somebody has gone counts only beside this one. Whether the others
//! still take this process for its node is seen here too, since everybody is asked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use model::{NodeId, Timestamp};

use super::handle::{Shared, std};
use super::limits::{REACH_PERIOD, REPORT_DEADLINE};
use super::messages::{MetaReply, MetaRequest};
use crate::meta::MetaState;

impl Shared {
    /// Watches for as long as it runs.
    pub(super) async fn watch_reach(self: Arc<Self>) {
        let mut period = tokio::time::interval(std(REACH_PERIOD));
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            let state = self.state();
            let asked = state.present().filter(|(node, _)| *node != self.node).map(|(node, _)| {
                let shared = &self;
                async move {
                    let asked = shared.ask_meta(node, &MetaRequest::Ping, REPORT_DEADLINE).await;
                    shared.note_reach(node, asked.is_ok());
                    if let Ok(MetaReply::Pong { wall, takes_batches }) = asked {
                        shared.peer_clocks.note(node, Timestamp(wall), shared.now());
                        shared.note_room(node, takes_batches);
                    }
                }
            });
            join_all(asked).await;
            self.has_looked.store(true, Ordering::Relaxed);
            self.forget_removed(&state);
            self.note_events();
            if let Some(disowned) = self.disowned(&state) {
                self.give_way(&disowned).await;
                return;
            }
        }
    }

    fn forget_removed(&self, state: &MetaState) {
        let mut unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        unreachable.retain(|node, _| state.nodes().get(node).is_some_and(|n| !n.is_removed()));
    }

    /// Notes whether a node's disk has room. One that does not answer keeps what it said.
    fn note_room(&self, node: NodeId, takes_batches: bool) {
        let mut short = self.short_of_room.lock().unwrap_or_else(PoisonError::into_inner);
        if takes_batches {
            short.remove(&node);
        } else {
            short.insert(node);
        }
    }

    /// Notes whether a node answered.
    pub(super) fn note_reach(&self, node: NodeId, has_answered: bool) {
        let now = self.now();
        let mut unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        if has_answered {
            unreachable.remove(&node);
        } else {
            unreachable.entry(node).or_insert(now);
        }
    }
}
