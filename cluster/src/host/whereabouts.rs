//! Where members are that are not where the map says.
//!
//! The map says where a member was when it last told the cluster. Members that all come back at
//! other addresses cannot tell: those who would have to agree look for each other at the old ones.
//! So a member that is missed is looked for where the seeds lead, and where gossip, which begins
//! at the seeds too, heard it say it is.
//!
//! Nobody is believed for its address: a call counts only if the node that was meant answers it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use model::NodeId;
use tokio::time::MissedTickBehavior;

use super::handle::{Shared, std};
use super::limits::WHEREABOUTS_PERIOD;
use crate::gossip::MemberState;
use crate::meta::NodeRecord;
use crate::plan::{Hello, Told};

impl Shared {
    /// Looks for those that are missed, for as long as it runs.
    pub(super) async fn find_members(self: Arc<Self>) {
        let mut period = tokio::time::interval(std(WHEREABOUTS_PERIOD));
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            if self.misses_members() {
                // Who answers for itself has the last word.
                self.hear_gossip();
                self.ask_seeds().await;
            }
        }
    }

    /// Whether a member does not answer; before it was looked for, all may be anywhere. Who knows
    /// no members has its own way of finding some ([`Self::find_cluster`]).
    fn misses_members(&self) -> bool {
        if self.state().cluster().is_none() {
            return false;
        }
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        !self.has_looked.load(Ordering::Relaxed) || !unreachable.is_empty()
    }

    fn hear_gossip(&self) {
        let Some(members) = self.gossip.get().map(|members| Arc::clone(&members.borrow())) else {
            return;
        };
        for member in members.iter().filter(|member| member.state != MemberState::Down) {
            if let Some(facts) = &member.facts
                && !facts.rpc_address.is_empty()
            {
                self.hear_address(member.node, member.start, facts.rpc_address.clone());
            }
        }
    }

    /// Notes where a node is that answered at `address`. To a member, nodes of other clusters are
    /// strangers: one may have the id of another from a copy of its disk.
    pub(super) fn hear_hello(&self, hello: &Hello, address: &str) {
        let own = self.state().cluster();
        if own.is_some_and(|own| hello.told != Told::Member(own)) {
            return;
        }
        let said = hello.record.addresses.first().cloned();
        let address = said.unwrap_or_else(|| address.to_owned());
        self.hear_address(hello.node, hello.incarnation.start, address);
    }

    fn hear_address(&self, node: NodeId, start: u64, address: String) {
        if node != self.node {
            self.addresses.hear(node, start, address);
        }
    }

    /// Notes where a node was when it told the cluster.
    pub(super) fn note_record(&self, node: NodeId, record: &NodeRecord) {
        if let Some(address) = record.addresses.first()
            && node != self.node
        {
            self.addresses.tell(node, address);
        }
    }
}
