//! The real transport over loopback: plain and sealed, refusals, deadlines, streams, reconnects.
#![expect(clippy::unnecessary_wraps, reason = "keys are optional everywhere else")]

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cluster::transport::limits::CALLS_PER_LANE_MAX;
use cluster::transport::{
    CallError, ClusterId, ClusterKey, Dial, Directory, FRAME_BYTES_MAX, FrameStream, GrpcServer,
    GrpcTransport, KeyRing, LocalIdentity, Method, NotAdmitted, Peer, PeerGate, Reply, Transport,
    TransportParts,
};
use model::{Duration, NodeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::echo::{Echo, life, node, seconds};

#[derive(Debug, Default)]
struct Addresses(Mutex<BTreeMap<NodeId, String>>);

impl Directory for Addresses {
    fn address(&self, node: NodeId) -> Option<String> {
        self.0.lock().unwrap().get(&node).cloned()
    }
}

/// Admits lives from the one that is noted for a node on.
#[derive(Debug, Default)]
struct Lives(Mutex<BTreeMap<NodeId, u64>>);

impl PeerGate for Lives {
    fn admit(&self, peer: Peer) -> Result<(), NotAdmitted> {
        let lives = self.0.lock().unwrap();
        match lives.get(&peer.node) {
            Some(start) if peer.incarnation.start < *start => {
                Err(NotAdmitted { reason: "an older life".into(), known: Some(life(*start)) })
            }
            _ => Ok(()),
        }
    }
}

const CLUSTER: ClusterId = ClusterId([9; 16]);

struct Node {
    local: Arc<LocalIdentity>,
    gate: Arc<Lives>,
    handler: Arc<Echo>,
    transport: GrpcTransport,
    server: Option<GrpcServer>,
}

/// Two nodes that know each other's addresses.
struct Pair {
    addresses: Arc<Addresses>,
    one: Node,
    two: Node,
}

fn keys(byte: u8) -> Option<Arc<KeyRing>> {
    Some(Arc::new(KeyRing::new(ClusterKey::new([byte; 32]).unwrap(), None)))
}

async fn start(
    number: u8,
    start: u64,
    keys: Option<Arc<KeyRing>>,
    addresses: &Arc<Addresses>,
) -> Node {
    let local = Arc::new(LocalIdentity::new(node(number), life(start)));
    local.set_cluster(CLUSTER);
    let gate = Arc::new(Lives::default());
    let transport = GrpcTransport::new(TransportParts {
        local: local.clone(),
        directory: addresses.clone(),
        gate: gate.clone(),
        keys: keys.clone(),
    })
    .unwrap();
    let handler = Arc::new(Echo::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server =
        GrpcServer::start(listener, local.clone(), gate.clone(), keys, handler.clone()).unwrap();
    let address = server.local_addr().to_string();
    addresses.0.lock().unwrap().insert(node(number), address);
    Node { local, gate, handler, transport, server: Some(server) }
}

async fn pair(one_keys: Option<Arc<KeyRing>>, two_keys: Option<Arc<KeyRing>>) -> Pair {
    let addresses = Arc::new(Addresses::default());
    let one = start(1, 1, one_keys, &addresses).await;
    let two = start(2, 1, two_keys, &addresses).await;
    Pair { addresses, one, two }
}

impl Pair {
    async fn call(&self, method: Method, request: impl Into<Bytes>) -> Reply {
        self.one.transport.call(node(2), method, request.into(), seconds(10)).await
    }

    fn address(&self, number: u8) -> String {
        self.addresses.address(node(number)).unwrap()
    }

    /// A stream whose handler has begun: that it was accepted alone does not say so, and a caller
    /// that goes before the first frame was handed over has none.
    async fn echoing(&self) -> FrameStream {
        let opened = self.one.transport.open(node(2), Method::RaftAppend, "0".into()).await;
        let mut stream = opened.unwrap();
        assert_eq!(stream.receive.recv().await.unwrap().unwrap(), "0");
        stream
    }

    /// Calls until an answer comes: connects are retried after a pause.
    async fn call_until_answered(&self) -> Reply {
        loop {
            match self.call(Method::Raft, "again").await {
                Err(CallError::Unreachable { .. }) => tokio::task::yield_now().await,
                Err(CallError::Refused { reason }) if reason.contains("another node") => {}
                reply => return reply,
            }
        }
    }
}

fn is_refused(reply: &Reply) -> bool {
    matches!(reply, Err(CallError::Refused { .. }))
}

fn is_lost(reply: &Reply) -> bool {
    matches!(reply, Err(CallError::Lost { .. }))
}

fn is_unreachable(reply: &Reply) -> bool {
    matches!(reply, Err(CallError::Unreachable { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_answered_refused_or_lost() {
    for keys in [None, keys(1)] {
        let pair = pair(keys.clone(), keys).await;
        for method in [Method::Raft, Method::Write, Method::Read] {
            assert_eq!(pair.call(method, "hello").await.unwrap(), "hello");
        }
        assert_eq!(pair.call(Method::Raft, "who").await.unwrap(), &node(1).as_bytes()[..]);
        assert!(is_refused(&pair.call(Method::Raft, "refuse").await));
        assert!(is_lost(&pair.call(Method::Raft, "fail").await));
        // A handler that panics ends its call alone, not the connection.
        let (waiting, panicked) =
            tokio::join!(pair.call(Method::Raft, "beside"), pair.call(Method::Raft, "panic"));
        assert!(is_lost(&panicked) && waiting.unwrap() == "beside");
        let largest = Bytes::from(vec![7; FRAME_BYTES_MAX]);
        assert!(pair.call(Method::Write, largest.clone()).await.unwrap() == largest);
        let too_large = Bytes::from(vec![7; FRAME_BYTES_MAX + 1]);
        assert!(is_refused(&pair.call(Method::Write, too_large).await));
        let short = Duration::from_millis(20);
        let late = pair.one.transport.call(node(2), Method::Raft, "wait".into(), short).await;
        assert!(is_lost(&late));
        let nobody = pair.one.transport.call(node(7), Method::Raft, "x".into(), short).await;
        assert!(is_unreachable(&nobody));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_old_lives_are_refused() {
    let pair = pair(None, None).await;
    // Another node is where the second one is looked for.
    let three = start(3, 1, None, &pair.addresses).await;
    let (right, wrong) = (pair.address(2), pair.address(3));
    pair.addresses.0.lock().unwrap().insert(node(2), wrong);
    assert!(is_refused(&pair.call(Method::Raft, "hello").await));
    assert_eq!(three.handler.calls.load(Ordering::SeqCst), 0);
    pair.addresses.0.lock().unwrap().insert(node(2), right);
    assert_eq!(pair.call_until_answered().await.unwrap(), "again");
    // The caller's life is over, or that of whoever answers.
    pair.two.gate.0.lock().unwrap().insert(node(1), 2);
    assert!(pair.one.local.refusals().is_empty());
    assert!(is_refused(&pair.call(Method::Raft, "hello").await));
    assert_eq!(pair.one.local.refusals(), BTreeMap::from([(node(2), life(2))]));
    pair.two.gate.0.lock().unwrap().clear();
    assert_eq!(pair.call(Method::Raft, "hello").await.unwrap(), "hello");
    assert!(pair.one.local.refusals().is_empty());
    pair.one.gate.0.lock().unwrap().insert(node(2), 2);
    assert!(is_lost(&pair.call(Method::Raft, "hello").await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_clusters_may_ask_an_address_who_is_there_and_nothing_else() {
    let pair = pair(keys(1), keys(1)).await;
    let stranger = LocalIdentity::new(node(5), life(3));
    stranger.set_cluster(ClusterId([8; 16]));
    let transport = GrpcTransport::new(TransportParts {
        local: Arc::new(stranger),
        directory: pair.addresses.clone(),
        gate: Arc::new(Lives::default()),
        keys: keys(1),
    })
    .unwrap();
    let reply = transport.call(node(2), Method::Raft, "hello".into(), seconds(10)).await;
    assert!(is_refused(&reply), "{reply:?}");
    let address = pair.address(2);
    let (reply, peer) =
        transport.call_address(&address, Method::Hello, "hello".into(), seconds(10)).await;
    assert_eq!((reply.unwrap().as_ref(), peer), (&b"hello"[..], Some(pair.two.local.peer)));
    let (reply, peer) =
        transport.call_address(&address, Method::Join, "refuse".into(), seconds(10)).await;
    assert!(is_refused(&reply) && peer == Some(pair.two.local.peer));
    let (reply, _) =
        transport.call_address(&address, Method::Write, "hello".into(), seconds(10)).await;
    assert!(is_refused(&reply));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (reply, peer) =
        transport.call_address(&free.to_string(), Method::Hello, "hello".into(), seconds(10)).await;
    assert!(is_unreachable(&reply) && peer.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_different_keys_never_reach_each_other() {
    for (one, two) in [(keys(1), keys(2)), (keys(1), None), (None, keys(2))] {
        let pair = pair(one, two).await;
        let reply = pair.call(Method::Raft, "hello").await;
        assert!(matches!(reply, Err(CallError::Unreachable { .. } | CallError::Lost { .. })));
        assert_eq!(pair.two.handler.calls.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_carry_frames_both_ways_and_end_on_both_sides() {
    let pair = pair(keys(1), keys(1)).await;
    let mut stream =
        pair.one.transport.open(node(2), Method::RaftAppend, "0".into()).await.unwrap();
    let (send, receive) = (stream.send.clone(), &mut stream.receive);
    let sending = async {
        for number in 1..200 {
            send.send(number.to_string().into()).await.unwrap();
        }
    };
    let receiving = async {
        for number in 0..200 {
            assert_eq!(receive.recv().await.unwrap().unwrap(), number.to_string());
        }
    };
    tokio::join!(sending, receiving);
    drop((send, stream.send));
    assert_eq!(stream.receive.recv().await, None);

    // Whoever called goes: the handler ends.
    pair.two.handler.stream_ended.notified().await;
    drop(pair.echoing().await);
    pair.two.handler.stream_ended.notified().await;
    // Even if only the receiving half goes.
    let stream = pair.echoing().await;
    drop(stream.receive);
    stream.send.closed().await;
    pair.two.handler.stream_ended.notified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_breaks_streams_and_its_successor_is_found() {
    let mut pair = pair(None, None).await;
    let mut stream = pair.one.transport.open(node(2), Method::Read, "0".into()).await.unwrap();
    assert_eq!(stream.receive.recv().await.unwrap().unwrap(), "0");
    let waiting = pair.one.transport.call(node(2), Method::Raft, "wait".into(), seconds(60));
    let dying = async {
        pair.two.handler.called.notified().await;
        drop(pair.two.server.take());
    };
    let (reply, ()) = tokio::join!(waiting, dying);
    assert!(is_lost(&reply), "{reply:?}");
    assert!(matches!(stream.receive.recv().await, Some(Err(CallError::Lost { .. }))));
    assert_eq!(stream.receive.recv().await, None);
    pair.two.handler.stream_ended.notified().await;
    assert!(is_unreachable(&pair.call(Method::Raft, "hello").await));
    // In its next life, at another address.
    pair.two = start(2, 2, None, &pair.addresses).await;
    assert_eq!(pair.call_until_answered().await.unwrap(), "again");
    // The transport goes: its streams end.
    let mut stream = pair.one.transport.open(node(2), Method::Read, "0".into()).await.unwrap();
    drop(pair.one.transport);
    while let Some(frame) = stream.receive.recv().await {
        assert!(frame.is_ok() || stream.receive.recv().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_connections_are_turned_away() {
    for keys in [None, keys(1)] {
        let pair = pair(keys.clone(), keys).await;
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], b"SKN\x01", b""] {
            let mut stream = TcpStream::connect(pair.address(2)).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            // A reset is as good as an end.
            let _ = stream.read_to_end(&mut answer).await;
        }
        assert_eq!(pair.call(Method::Raft, "hello").await.unwrap(), "hello");
        assert_eq!(pair.two.handler.calls.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_connection() {
    let pair = pair(keys(1), keys(1)).await;
    let calls = (0..2_000_u32).map(|number| {
        let request = Bytes::from(number.to_string().repeat(100));
        let call = pair.call(Method::Write, request.clone());
        async move { assert!(call.await.unwrap() == request) }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_address_is_unreachable_by_the_deadline_and_left_for_a_better_one() {
    let pair = pair(keys(1), keys(1)).await;
    // Somebody who takes connections and says nothing: the handshake never ends.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (right, wrong) = (pair.address(2), silent.local_addr().unwrap().to_string());
    pair.addresses.0.lock().unwrap().insert(node(2), wrong.clone());
    let short = Duration::from_millis(50);
    let reply = pair.one.transport.call(node(2), Method::Raft, "x".into(), short).await;
    assert!(is_unreachable(&reply), "{reply:?}");
    let (reply, _) =
        pair.one.transport.call_address(&wrong, Method::Hello, "x".into(), short).await;
    assert!(is_unreachable(&reply), "{reply:?}");
    // The node has moved: nobody waits for the attempt that still lasts.
    pair.addresses.0.lock().unwrap().insert(node(2), right);
    assert_eq!(pair.call(Method::Raft, "hello").await.unwrap(), "hello");
}

/// A group whose heartbeats wait for the seats of questions loses its leader, though it is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_and_heartbeats_do_not_wait_for_questions() {
    let pair = pair(keys(1), keys(1)).await;
    let questions = (0..=CALLS_PER_LANE_MAX).map(|_| pair.call(Method::Barrier, "wait"));
    let mut questions = std::pin::pin!(futures_util::future::join_all(questions));
    let heartbeat = async {
        // Every seat is taken, and one question waits for one.
        while pair.two.handler.calls.load(Ordering::SeqCst) < CALLS_PER_LANE_MAX {
            pair.two.handler.called.notified().await;
        }
        pair.call(Method::Raft, "heartbeat").await
    };
    tokio::select! {
        reply = heartbeat => assert_eq!(reply.unwrap(), "heartbeat"),
        _ = &mut questions => panic!("nobody answers these"),
    }
}
