//! Gossip over real sockets: two nodes find each other through a seed.

use std::sync::Arc;

use cluster::clock::SystemClock;
use cluster::gossip::{CoreParts, Facts, Gossip, GossipParts, MemberState, NodeState, Seeds};
use cluster::transport::{ClusterId, ClusterKey, KeyRing};
use tokio::net::UdpSocket;

use crate::echo::node;

async fn start(number: u8, seed_port: Option<u16>) -> (Gossip, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let seeds = match seed_port {
        Some(port) => Seeds::new(&["127.0.0.1:7947".to_owned()], port, 2),
        None => Seeds::default(),
    };
    let keys = KeyRing::new(ClusterKey::new([3; 32]).unwrap(), None);
    let core = CoreParts {
        node: node(number),
        start: 1,
        address,
        cluster: ClusterId([9; 16]),
        keys: Some(Arc::new(keys)),
        session: [number; 16],
        seed: u64::from(number),
        facts: Facts { name: format!("node-{number}"), ..Facts::default() },
    };
    let clock = Arc::new(SystemClock::default());
    (Gossip::start(GossipParts { core, socket, clock, seeds }), address.port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_find_each_other_through_a_seed_and_hear_who_leaves() {
    let (one, port) = start(1, None).await;
    let (two, _) = start(2, Some(port)).await;
    for (gossip, other) in [(&one, 2), (&two, 1)] {
        let mut members = gossip.watch();
        let is_known = |facts: &Facts| facts.name == format!("node-{other}");
        let known = members.wait_for(|members| {
            members.get(node(other)).is_some_and(|it| it.facts.as_ref().is_some_and(is_known))
        });
        known.await.unwrap();
    }
    two.set_facts(Facts { state: NodeState::Draining, ..Facts::default() }).await;
    let mut members = one.watch();
    let drains = members.wait_for(|members| {
        let facts = members.get(node(2)).and_then(|it| it.facts.clone());
        facts.is_some_and(|facts| facts.state == NodeState::Draining)
    });
    drains.await.unwrap();
    two.leave().await;
    let mut members = one.watch();
    let down = members.wait_for(|members| members.state(node(2)) == Some(MemberState::Down));
    down.await.unwrap();
}
