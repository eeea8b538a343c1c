//! The network in memory: its faults do what they say, to what is under way too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cluster::transport::{CallError, Link, MemoryNetwork, Method, Transport};
use model::Duration;

use crate::echo::{Echo, life, node, seconds};

struct Pair {
    network: MemoryNetwork,
    one: Arc<dyn Transport>,
    handler: Arc<Echo>,
}

fn pair(seed: u64) -> Pair {
    let network = MemoryNetwork::new(seed);
    let handler = Arc::new(Echo::default());
    let one = network.attach(node(1), life(1), Arc::new(Echo::default()));
    network.attach(node(2), life(1), handler.clone());
    Pair { network, one, handler }
}

impl Pair {
    async fn call(&self, request: &'static str) -> Result<Bytes, CallError> {
        self.one.call(node(2), Method::Raft, request.into(), seconds(1)).await
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_refused_or_lost() {
    let pair = pair(1);
    assert_eq!(pair.call("hello").await.unwrap(), "hello");
    assert_eq!(pair.call("who").await.unwrap(), &node(1).as_bytes()[..]);
    assert!(matches!(pair.call("refuse").await, Err(CallError::Refused { .. })));
    assert!(matches!(pair.call("fail").await, Err(CallError::Lost { .. })));
    assert!(matches!(pair.call("wait").await, Err(CallError::Lost { .. })));
    let nobody = pair.one.call(node(9), Method::Raft, Bytes::new(), seconds(1)).await;
    assert!(matches!(nobody, Err(CallError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_of_one_direction_and_loses_what_waits() {
    let pair = pair(2);
    pair.network.set_link(node(1), node(2), Link { cut: true, ..Link::default() });
    assert!(matches!(pair.call("hello").await, Err(CallError::Unreachable { .. })));
    assert_eq!(pair.handler.calls.load(Ordering::SeqCst), 0);
    pair.network.heal();
    pair.network.set_link(node(2), node(1), Link { cut: true, ..Link::default() });
    assert!(matches!(pair.call("hello").await, Err(CallError::Lost { .. })));
    assert_eq!(pair.handler.calls.load(Ordering::SeqCst), 1);
    pair.network.heal();
    let hold = Link { hold: true, ..Link::default() };
    pair.network.set_link(node(1), node(2), hold);
    let lost = async {
        tokio::task::yield_now().await;
        pair.network.set_link(node(1), node(2), Link { cut: true, ..hold });
    };
    let (reply, ()) = tokio::join!(pair.call("hello"), lost);
    assert_eq!(reply, Err(CallError::Lost { reason: "the connection broke".into() }));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_arrives_later_even_if_nobody_waits() {
    let pair = pair(3);
    pair.network.set_link(node(1), node(2), Link { hold: true, ..Link::default() });
    assert!(matches!(pair.call("late").await, Err(CallError::Lost { .. })));
    assert_eq!(pair.handler.calls.load(Ordering::SeqCst), 0);
    pair.network.heal();
    pair.handler.called.notified().await;
    assert_eq!(pair.handler.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn chance_follows_the_seed() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let pair = pair(seed);
        let link = Link {
            drop: 0.2,
            duplicate: 0.2,
            delay: (Duration::from_millis(1), Duration::from_millis(50)),
            ..Link::default()
        };
        pair.network.set_usual(link);
        let started = tokio::time::Instant::now();
        let mut answered = Vec::new();
        for _ in 0..50 {
            answered.push(pair.call("hello").await.is_ok());
        }
        runs.push((answered, started.elapsed(), pair.handler.calls.load(Ordering::SeqCst)));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].0.contains(&true) && runs[0].0.contains(&false));
}

#[tokio::test(start_paused = true)]
async fn streams_keep_their_order_and_end_on_both_sides() {
    let pair = pair(4);
    let delay = (Duration::from_millis(1), Duration::from_millis(50));
    pair.network.set_usual(Link { delay, ..Link::default() });
    let mut stream = pair.one.open(node(2), Method::Read, "0".into()).await.unwrap();
    let send = async {
        for number in 1..100 {
            stream.send.send(number.to_string().into()).await.unwrap();
        }
    };
    let receive = async {
        for number in 0..100 {
            assert_eq!(stream.receive.recv().await.unwrap().unwrap(), number.to_string());
        }
    };
    tokio::join!(send, receive);
    drop(stream.send);
    assert_eq!(stream.receive.recv().await, None);
    assert_eq!(pair.handler.streams_open.load(Ordering::SeqCst), 0);

    let stream = pair.one.open(node(2), Method::Read, "0".into()).await.unwrap();
    drop(stream);
    pair.handler.stream_ended.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_or_a_node_that_goes_ends_streams_with_an_error() {
    let pair = pair(5);
    for cut in [true, false] {
        let mut stream = pair.one.open(node(2), Method::Read, "0".into()).await.unwrap();
        assert_eq!(stream.receive.recv().await.unwrap().unwrap(), "0");
        if cut {
            pair.network.partition(&[node(1)], &[node(2)]);
        } else {
            pair.network.detach(node(2));
        }
        assert!(matches!(stream.receive.recv().await, Some(Err(CallError::Lost { .. }))));
        assert_eq!(stream.receive.recv().await, None);
        stream.send.closed().await;
        while pair.handler.streams_open.load(Ordering::SeqCst) > 0 {
            pair.handler.stream_ended.notified().await;
        }
        pair.network.heal();
    }
    assert!(matches!(pair.call("hello").await, Err(CallError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_called_without_knowing_who_is_there() {
    let pair = pair(6);
    pair.network.name("two:7947", node(2));
    let dialer = pair.network.dialer(node(1)).unwrap();
    let (reply, peer) =
        dialer.call_address("two:7947", Method::Hello, "hello".into(), seconds(1)).await;
    assert_eq!(reply.unwrap(), "hello");
    assert_eq!(peer.unwrap().node, node(2));
    let (reply, peer) =
        dialer.call_address("two:7947", Method::Write, "hello".into(), seconds(1)).await;
    assert!(matches!(reply, Err(CallError::Refused { .. })) && peer.is_none());
    let (reply, _) = dialer.call_address("three", Method::Hello, "hello".into(), seconds(1)).await;
    assert!(matches!(reply, Err(CallError::Unreachable { .. })));
}
