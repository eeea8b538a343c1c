//! Several cores over a network of datagrams that loses, delays and repeats, in simulated time.
#![expect(clippy::unnecessary_wraps, reason = "keys are optional everywhere else")]

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::gossip::{NodeState, SpaceMark};
use crate::transport::ClusterKey;

const SECOND: u64 = 1_000_000_000;
const CLUSTER: ClusterId = ClusterId([9; 16]);

fn id(number: u8) -> NodeId {
    NodeId([number; 16])
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 7_946))
}

fn ring(first: u8, second: Option<u8>) -> Option<Arc<KeyRing>> {
    let key = |byte: u8| ClusterKey::new([byte; 32]).unwrap();
    Some(Arc::new(KeyRing::new(key(first), second.map(key))))
}

fn parts(number: u8, start: u64, keys: Option<Arc<KeyRing>>) -> CoreParts {
    let mut session = [number; 16];
    session[0] = start.to_le_bytes()[0];
    CoreParts {
        node: id(number),
        start,
        address: address(number),
        cluster: CLUSTER,
        keys,
        session,
        seed: u64::from(number) * 1_000 + start,
        facts: Facts {
            rpc_address: format!("127.0.0.{number}:7947"),
            name: format!("node-{number}"),
            state: NodeState::Ready,
            ..Facts::default()
        },
    }
}

struct Network {
    cores: BTreeMap<u8, GossipCore>,
    under_way: BTreeMap<(u64, u64), (SocketAddr, Vec<u8>)>,
    sent: u64,
    random: StdRng,
    loss: f64,
    cut: Vec<u8>,
    nanos: u64,
}

impl Network {
    fn new(seed: u64, loss: f64) -> Self {
        println!("seed {seed}");
        Self {
            cores: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            random: StdRng::seed_from_u64(seed),
            loss,
            cut: Vec::new(),
            nanos: 1_000 * SECOND,
        }
    }

    fn now(&self) -> Now {
        Now { monotonic: Monotonic(self.nanos), wall: Timestamp(self.nanos * 2) }
    }

    fn start(&mut self, parts: CoreParts, knock_at: u8) {
        let [.., number] = parts.node.0;
        let mut core = GossipCore::new(parts, self.now());
        core.knock(address(knock_at), self.now());
        self.cores.insert(number, core);
        self.collect();
    }

    fn collect(&mut self) {
        for (number, core) in &mut self.cores {
            for (to, packet) in core.take_outgoing() {
                assert!(packet.len() <= PACKET_BYTES_MAX);
                let is_cut = self.cut.iter().any(|cut| cut == number || address(*cut) == to);
                let copies = if self.random.random::<f64>() < 0.05 { 2 } else { 1 };
                for _ in 0..copies {
                    let delay = self.random.random_range(SECOND / 1_000..SECOND / 20);
                    let is_lost = self.random.random::<f64>() < self.loss || is_cut;
                    self.sent += 1;
                    if !is_lost {
                        let key = (self.nanos + delay, self.sent);
                        self.under_way.insert(key, (to, packet.clone()));
                    }
                }
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        let until = self.nanos + seconds * SECOND;
        loop {
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let wake = self.cores.values().map(|core| core.wakes_at().0).min();
            let next = arrival.into_iter().chain(wake).min().unwrap_or(u64::MAX);
            if next > until {
                self.nanos = until;
                return;
            }
            self.nanos = next.max(self.nanos);
            let now = self.now();
            while let Some(packet) = self.under_way.first_entry() {
                if packet.key().0 > self.nanos {
                    break;
                }
                let (to, bytes) = packet.remove();
                let core = self.cores.values_mut().find(|core| core.identity.address == to);
                if let Some(core) = core {
                    let _ = core.receive(&bytes, now);
                }
            }
            self.cores.values_mut().for_each(|core| core.advance(now));
            self.collect();
        }
    }

    fn state(&self, of: u8, in_eyes_of: u8) -> Option<MemberState> {
        self.cores[&in_eyes_of].members().state(id(of))
    }

    /// Runs until everyone takes everyone else for up and knows their facts.
    fn run_until_converged(&mut self, seconds_max: u64) {
        for _ in 0..seconds_max {
            self.run(1);
            let is_converged = self.cores.iter().all(|(number, core)| {
                self.cores.keys().filter(|other| *other != number).all(|other| {
                    let member = core.members().get(id(*other));
                    member.is_some_and(|it| it.state == MemberState::Up && it.facts.is_some())
                })
            });
            if is_converged {
                return;
            }
        }
        for core in self.cores.values() {
            println!("{:#?} {:?}", core.members(), core.dropped());
        }
        panic!("not converged after {seconds_max} s");
    }
}

fn three(seed: u64, loss: f64) -> Network {
    let mut network = Network::new(seed, loss);
    network.start(parts(1, 1, ring(1, None)), 1);
    network.run(1);
    for number in [2, 3] {
        network.start(parts(number, 1, ring(1, None)), 1);
    }
    for _ in 0..6 {
        // What the seeds do: knock again while somebody is missing.
        for number in [2, 3] {
            let now = network.now();
            let core = network.cores.get_mut(&number).unwrap();
            if core.members().active() < 2 {
                core.knock(address(1), now);
            }
        }
        network.collect();
        network.run(10);
    }
    network.run_until_converged(60);
    network
}

#[test]
fn three_nodes_find_each_other_through_a_bad_network() {
    for seed in 0..10 {
        let network = three(seed, 0.2);
        let facts = network.cores[&2].members().get(id(3)).unwrap().facts.clone().unwrap();
        assert_eq!(facts, parts(3, 1, None).facts);
    }
}

#[test]
fn facts_spread_in_their_newest_version() {
    let mut network = three(20, 0.1);
    let now = network.now();
    let facts = Facts { space: SpaceMark::Low, disk_free_bytes: 7, ..parts(1, 1, None).facts };
    network.cores.get_mut(&1).unwrap().set_facts(facts.clone(), now);
    network.run(10);
    for other in [2, 3] {
        let member = network.cores[&other].members().get(id(1)).unwrap().clone();
        assert_eq!(member.facts.as_ref(), Some(&facts));
    }
    // No storm: three calm nodes send some packets a second each.
    let before = network.sent;
    network.run(100);
    assert!(network.sent - before < 100 * 3 * 12, "{} packets", network.sent - before);
}

#[test]
fn a_dead_node_is_down_and_its_next_life_is_up() {
    for seed in 30..35 {
        let mut network = three(seed, 0.1);
        let since = network.cores[&1].members().get(id(3)).unwrap().since;
        network.cores.remove(&3);
        network.run(60);
        for other in [1, 2] {
            assert_eq!(network.state(3, other), Some(MemberState::Down));
        }
        network.start(parts(3, 2, ring(1, None)), 1);
        network.run_until_converged(60);
        let member = network.cores[&1].members().get(id(3)).unwrap().clone();
        assert!(member.start == 2 && member.since > since);
    }
}

#[test]
fn a_node_that_leaves_is_down_at_once() {
    let mut network = three(40, 0.0);
    let now = network.now();
    network.cores.get_mut(&3).unwrap().leave(now);
    network.collect();
    network.cores.remove(&3);
    network.run(3);
    assert_eq!(network.state(3, 1), Some(MemberState::Down));
    assert_eq!(network.state(3, 2), Some(MemberState::Down));
}

#[test]
fn a_partition_heals() {
    let mut network = three(50, 0.1);
    network.cut = vec![3];
    network.run(60);
    assert_eq!(network.state(3, 1), Some(MemberState::Down));
    network.cut.clear();
    network.run_until_converged(120);
}

#[test]
fn clusters_never_mix() {
    let other_cluster =
        |number| CoreParts { cluster: ClusterId([8; 16]), ..parts(number, 1, ring(1, None)) };
    let plain =
        |number, cluster| CoreParts { cluster: ClusterId([cluster; 16]), ..parts(number, 1, None) };
    let others = [other_cluster(3), parts(4, 1, ring(2, None)), plain(5, 9), plain(6, 8)];
    let mut network = Network::new(60, 0.0);
    network.start(parts(1, 1, ring(1, None)), 1);
    network.start(parts(2, 1, ring(1, None)), 1);
    for parts in others {
        network.start(parts, 1);
    }
    for _ in 0..3 {
        let now = network.now();
        for (one, core) in &mut network.cores {
            (1..=6).filter(|it| it != one).for_each(|other| core.knock(address(other), now));
        }
        network.collect();
        network.run(10);
    }
    for (number, core) in &network.cores {
        let known: Vec<NodeId> = core.members().iter().map(|it| it.node).collect();
        let expected = match number {
            1 => vec![id(2)],
            2 => vec![id(1)],
            _ => Vec::new(),
        };
        assert_eq!(known, expected, "node {number}");
    }
    let dropped = network.cores[&1].dropped();
    let reasons = [Dropped::Forged, Dropped::UnknownKey, Dropped::WrongForm];
    assert!(reasons.iter().all(|reason| dropped[reason] > 0), "{dropped:?}");
    assert!(network.cores[&5].dropped()[&Dropped::OtherCluster] > 0);
}

#[test]
fn a_key_is_replaced_node_by_node() {
    let mut network = Network::new(70, 0.0);
    network.start(parts(1, 1, ring(1, Some(2))), 1);
    network.start(parts(2, 1, ring(2, Some(1))), 1);
    network.run_until_converged(30);
}

/// A packet that the second node would accept.
fn genuine() -> (GossipCore, GossipCore, Vec<u8>, Now) {
    let network = Network::new(80, 0.0);
    let now = network.now();
    let mut one = GossipCore::new(parts(1, 1, ring(1, None)), now);
    let two = GossipCore::new(parts(2, 1, ring(1, None)), now);
    one.knock(address(2), now);
    let (_, packet) = one.take_outgoing().pop().unwrap();
    (one, two, packet, now)
}

#[test]
fn repeated_changed_and_cut_packets_are_counted_and_dropped() {
    let (_, mut two, packet, now) = genuine();
    for byte in 0..packet.len() {
        for bit in 0..8 {
            let mut changed = packet.clone();
            changed[byte] ^= 1 << bit;
            assert!(two.receive(&changed, now).is_err(), "byte {byte}, bit {bit}");
        }
        assert!(two.receive(&packet[..byte], now).is_err(), "{byte} bytes");
    }
    let long = [&packet[..], &[0; PACKET_BYTES_MAX]].concat();
    assert_eq!(two.receive(&long, now), Err(Dropped::Malformed));
    assert!(two.take_outgoing().is_empty());
    assert_eq!(two.receive(&packet, now), Ok(()));
    assert!(!two.take_outgoing().is_empty());
    assert_eq!(two.receive(&packet, now), Err(Dropped::Replayed));
    assert_eq!(two.dropped()[&Dropped::Replayed], 1);
    assert!(two.dropped()[&Dropped::Forged] > 100);
    // A node that has just started, later.
    let later = Now { wall: Timestamp(now.wall.0 + 301 * SECOND), ..now };
    let mut fresh = GossipCore::new(parts(2, 2, ring(1, None)), later);
    assert_eq!(fresh.receive(&packet, later), Err(Dropped::Clock));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hostile_bytes_do_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        form in 0..4_u8,
        is_sealed in any::<bool>(),
    ) {
        let (_, mut two, _, now) = genuine();
        if !is_sealed {
            two = GossipCore::new(parts(2, 1, None), now);
        }
        let bytes = [&[form][..], &bytes].concat();
        let _ = two.receive(&bytes, now);
        two.advance(now);
    }

    #[test]
    fn hostile_bytes_under_the_right_key_do_not_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        is_knock in any::<bool>(),
        prefix in 0..80_usize,
    ) {
        let (mut one, mut two, _, now) = genuine();
        // Half of the cases continue a real message, so that they get past its first bytes.
        let knocker = one.foca.identity().clone();
        let announced = two.foca.announce(knocker, &mut two.runtime);
        prop_assert!(announced.is_ok());
        let (_, real) = two.runtime.to_send().unwrap();
        let payload = [&real[..prefix.min(real.len())], &bytes].concat();
        let kind = if is_knock { Kind::Knock } else { Kind::Protocol };
        let packet = one.envelope.seal(kind, &payload, now).unwrap();
        let _ = two.receive(&packet, now);
        let packet = two.envelope.seal(kind, &payload, now).unwrap();
        let _ = one.receive(&packet, now);
        for core in [&mut one, &mut two] {
            core.advance(Now { monotonic: now.monotonic.plus(Duration::from_secs(30)), ..now });
        }
    }
}
