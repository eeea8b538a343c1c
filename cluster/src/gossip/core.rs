//! All of gossip but its socket and its clock: packets and time in, packets and an opinion out.
//!
//! The same inputs give the same outputs. foca holds the membership protocol; around it stand the
//! envelope, the timers, the facts and the view that is shown to others.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use foca::{
    AccumulatingRuntime, Config, Foca, OwnedNotification, PeriodicParams, PostcardCodec, Timer,
};
use model::NodeId;
use model::time::{Duration, Monotonic, Timestamp};

use super::envelope::{Envelope, Kind, OVERHEAD_BYTES};
use super::facts::{FactsStore, FactsVersion};
use super::identity::Identity;
use super::limits::{
    ANNOUNCE_PERIOD, ANNOUNCE_TO_DOWN_PERIOD, DOWN_REMEMBERED, FACTS_PERIOD_MAX, FACTS_PERIOD_MIN,
    GOSSIP_PERIOD, MEMBERS_MAX, PACKET_BYTES_MAX, PROBE_ANSWER, PROBE_PERIOD, SUSPECT_TO_DOWN,
    TRANSMISSIONS_MIN,
};
use super::{Dropped, Facts, Member, MemberState, Members};
use crate::transport::{ClusterId, KeyRing};

/// Both clocks, read once for each input.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Times everything.
    pub monotonic: Monotonic,
    /// Stands in packets.
    pub wall: Timestamp,
}

/// What a core is made of.
#[derive(Debug, Clone)]
pub struct CoreParts {
    /// This node.
    pub node: NodeId,
    /// How often it was started. It must grow with every start.
    pub start: u64,
    /// Where others reach its gossip.
    pub address: SocketAddr,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The cluster's keys; none on loopback only.
    pub keys: Option<Arc<KeyRing>>,
    /// Random for every start: names this sender's packets.
    pub session: [u8; 16],
    /// Seeds the order in which nodes are probed and told.
    pub seed: u64,
    /// What this node says of itself at first.
    pub facts: Facts,
}

type Protocol = Foca<Identity, PostcardCodec, super::random::Random, FactsStore>;

/// Gossip of one node.
pub struct GossipCore {
    foca: Protocol,
    runtime: AccumulatingRuntime<Identity>,
    envelope: Envelope,
    identity: Identity,
    timers: BTreeMap<(Monotonic, u64), Timer<Identity>>,
    timers_set: u64,
    facts: FactsStore,
    own: Facts,
    own_version: FactsVersion,
    facts_due: Monotonic,
    facts_said: Monotonic,
    members: Members,
    configured_for: u32,
    outgoing: Vec<(SocketAddr, Vec<u8>)>,
    dropped: BTreeMap<Dropped, u64>,
}

impl fmt::Debug for GossipCore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GossipCore")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl GossipCore {
    /// A node that knows nobody yet.
    pub fn new(parts: CoreParts, now: Now) -> Self {
        let identity = Identity::new(parts.node, parts.start, parts.address);
        let facts = FactsStore::new(parts.node);
        let foca = Foca::with_custom_broadcast(
            identity.clone(),
            config(1),
            super::random::Random::new(parts.seed),
            PostcardCodec,
            facts.clone(),
        );
        Self {
            foca,
            runtime: AccumulatingRuntime::new(),
            envelope: Envelope::new(parts.cluster, parts.keys.as_deref(), parts.session),
            identity,
            timers: BTreeMap::new(),
            timers_set: 0,
            facts,
            own: parts.facts,
            own_version: FactsVersion { start: parts.start, counter: 0 },
            facts_due: now.monotonic,
            facts_said: Monotonic(0),
            members: Members::default(),
            configured_for: 1,
            outgoing: Vec::new(),
            dropped: BTreeMap::new(),
        }
    }

    /// Takes a datagram. What is wrong with it is counted and has no other effect.
    pub fn receive(&mut self, packet: &[u8], now: Now) -> Result<(), Dropped> {
        let result = self.try_receive(packet, now);
        if let Err(dropped) = result {
            *self.dropped.entry(dropped).or_default() += 1;
            let labels = [("reason", dropped.label())];
            metrics::counter!("skua_gossip_dropped_total", &labels).increment(1);
        }
        self.settle(now);
        result
    }

    fn try_receive(&mut self, packet: &[u8], now: Now) -> Result<(), Dropped> {
        let (kind, payload) = self.envelope.open(packet, now)?;
        if self.foca.iter_membership_state().len() >= MEMBERS_MAX {
            return Err(Dropped::Full);
        }
        let handled = match kind {
            Kind::Protocol => self.foca.handle_data(&payload, &mut self.runtime),
            Kind::Knock => {
                let knocker: Identity =
                    postcard::from_bytes(&payload).map_err(|_| Dropped::Malformed)?;
                if knocker.node() == self.identity.node() {
                    return Ok(());
                }
                self.foca.announce(knocker, &mut self.runtime)
            }
        };
        handled.map_err(|error| {
            tracing::debug!(%error, "a gossip packet was refused");
            Dropped::Protocol
        })
    }

    /// Asks whoever listens at an address to greet this node.
    pub fn knock(&mut self, address: SocketAddr, now: Now) {
        if address == self.identity.address {
            return;
        }
        if let Ok(payload) = postcard::to_stdvec(self.foca.identity())
            && let Some(packet) = self.envelope.seal(Kind::Knock, &payload, now)
        {
            self.outgoing.push((address, packet));
        }
    }

    /// Changes what this node says of itself; it is spread at the next [`GossipCore::advance`].
    pub fn set_facts(&mut self, facts: Facts, now: Now) {
        if self.own != facts {
            self.own = facts;
            let soonest = self.facts_said.plus(FACTS_PERIOD_MIN).max(now.monotonic);
            self.facts_due = self.facts_due.min(soonest);
        }
    }

    /// Tells others that this node goes.
    pub fn leave(&mut self, now: Now) {
        let left = self.foca.leave_cluster(&mut self.runtime);
        note(left);
        self.settle(now);
    }

    /// When [`GossipCore::advance`] has something to do.
    pub fn wakes_at(&self) -> Monotonic {
        let timer = self.timers.keys().next().map(|(at, _)| *at);
        timer.map_or(self.facts_due, |at| at.min(self.facts_due))
    }

    /// Does what is due.
    pub fn advance(&mut self, now: Now) {
        if self.facts_due <= now.monotonic {
            self.say_facts(now);
        }
        // Timers that are set meanwhile lie in the future.
        while let Some(timer) = self.timers.first_entry() {
            if timer.key().0 > now.monotonic {
                break;
            }
            let timer = timer.remove();
            let handled = self.foca.handle_timer(timer, &mut self.runtime);
            note(handled);
            self.settle(now);
        }
        self.settle(now);
    }

    /// Datagrams to be sent, and where to.
    pub fn take_outgoing(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.outgoing)
    }

    /// The opinion.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// How many packets had no effect, by reason.
    pub fn dropped(&self) -> &BTreeMap<Dropped, u64> {
        &self.dropped
    }

    fn say_facts(&mut self, now: Now) {
        self.own_version.counter += 1;
        let encoded = self.own.encode(self.identity.node(), self.own_version);
        if let Some(bytes) = encoded {
            note(self.foca.add_broadcast(&bytes));
        } else {
            tracing::warn!("this node's address is too long to be spread");
        }
        self.facts_said = now.monotonic;
        self.facts_due = now.monotonic.plus(FACTS_PERIOD_MAX);
    }

    /// Turns what foca wants into packets, timers and a view.
    fn settle(&mut self, now: Now) {
        while let Some(notification) = self.runtime.to_notify() {
            self.notice(&notification, now);
        }
        while let Some((to, payload)) = self.runtime.to_send() {
            if let Some(packet) = self.envelope.seal(Kind::Protocol, &payload, now) {
                self.outgoing.push((to.address, packet));
            }
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
            self.timers_set += 1;
            self.timers.insert((now.monotonic.plus(Duration(nanos)), self.timers_set), timer);
        }
        self.look(now);
    }

    fn notice(&mut self, notification: &OwnedNotification<Identity>, now: Now) {
        match notification {
            OwnedNotification::MemberUp(member) => {
                tracing::info!(node = %member.node(), address = %member.address, "node is up");
                // Whoever comes has missed what was said before.
                let soonest = self.facts_said.plus(FACTS_PERIOD_MIN).max(now.monotonic);
                self.facts_due = self.facts_due.min(soonest);
                if self.foca.num_members() == 1 {
                    // The first acquaintance knows the others.
                    let asked = self.foca.announce(member.clone(), &mut self.runtime);
                    note(asked);
                }
            }
            OwnedNotification::MemberDown(member) => {
                tracing::info!(node = %member.node(), address = %member.address, "node is down");
            }
            OwnedNotification::Rejoin(identity) => {
                tracing::warn!("others took this node for dead; it speaks up");
                metrics::counter!("skua_gossip_rejoins_total").increment(1);
                self.identity = identity.clone();
            }
            OwnedNotification::Defunct => tracing::debug!("this node has left the gossip"),
            OwnedNotification::Rename(..) | OwnedNotification::Active | OwnedNotification::Idle => {
            }
        }
    }

    /// Brings the view up to date, and the protocol to the number of nodes.
    fn look(&mut self, now: Now) {
        let mut members = Members::default();
        for known in self.foca.iter_membership_state() {
            let (identity, node) = (known.id(), known.id().node());
            let state = match known.state() {
                foca::State::Alive => MemberState::Up,
                foca::State::Suspect => MemberState::Suspect,
                foca::State::Down => MemberState::Down,
            };
            let before = self.members.get(node);
            let before = before.filter(|it| it.state == state && it.start == identity.start);
            members.insert(Member {
                node,
                address: identity.address,
                start: identity.start,
                state,
                since: before.map_or(now.monotonic, |it| it.since),
                facts: self.facts.get(node),
            });
        }
        if self.members != members {
            self.facts.retain(|node| members.get(node).is_some());
            self.members = members;
            let nodes = u32::try_from(self.members.active()).unwrap_or(u32::MAX).saturating_add(1);
            if nodes != self.configured_for {
                self.configured_for = nodes;
                let configured = self.foca.set_config(config(nodes));
                note(configured);
            }
        }
    }
}

/// An error of the protocol that no packet brought: none is expected.
fn note<T>(result: Result<T, foca::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "gossip stumbled");
        metrics::counter!("skua_gossip_errors_total").increment(1);
    }
}

/// Settings for a cluster of so many nodes, this one included.
fn config(nodes: u32) -> Config {
    let std = |duration: Duration| std::time::Duration::from_nanos(duration.0);
    let periodic = |period: Duration, num_members: usize| {
        let num_members = NonZeroUsize::new(num_members).unwrap_or(NonZeroUsize::MIN);
        Some(PeriodicParams { frequency: std(period), num_members })
    };
    let usual = Config::new_lan(NonZeroU32::new(nodes).unwrap_or(NonZeroU32::MIN));
    let payload_max = NonZeroUsize::new(PACKET_BYTES_MAX - OVERHEAD_BYTES);
    Config {
        probe_period: std(PROBE_PERIOD),
        probe_rtt: std(PROBE_ANSWER),
        max_transmissions: usual
            .max_transmissions
            .max(NonZeroU8::new(TRANSMISSIONS_MIN).unwrap_or(NonZeroU8::MIN)),
        suspect_to_down_after: usual.suspect_to_down_after.max(std(SUSPECT_TO_DOWN)),
        remove_down_after: Some(std(DOWN_REMEMBERED)),
        max_packet_size: payload_max.unwrap_or(NonZeroUsize::MIN),
        notify_down_members: true,
        periodic_announce: periodic(ANNOUNCE_PERIOD, 1),
        periodic_announce_to_down_members: periodic(ANNOUNCE_TO_DOWN_PERIOD, 2),
        periodic_gossip: periodic(GOSSIP_PERIOD, 3),
        ..usual
    }
}

#[cfg(test)]
mod tests;
