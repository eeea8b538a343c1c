//! Killed in mid-load, again and again, a node loses nothing that it acknowledged.
//!
//! A client sends the recording over several connections. After a number of acknowledgements that
//! the seed says, the node is killed while other requests are on their way; it is started on the
//! same data, sometimes killed again while it recovers, and what was not acknowledged is sent
//! again, as a real client would. In the end every trace is read back raw and compared, span by
//! span, with what the reference decoder makes of the recording.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bench::redraw::Random;
use model::TraceId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{Client, Outcome};
use crate::originals::{self, Alone};
use crate::server::Server;

const SEED: u64 = 0x5eed_0002;

/// Requests under way at a time; every other one goes over gRPC.
const SENDERS: usize = 8;

/// Reads under way at a time.
const READERS: usize = 8;

/// How often the node is killed while it takes spans.
const KILLS: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_kill_and_comes_back_equal() {
    println!("seed {SEED:#x}");
    let mut random = Random::new(SEED);
    let directory = tempfile::tempdir().unwrap();
    let mut load = Load::new();
    let share = originals::messages().len() as u64 / (KILLS + 2);
    for kill in 0..KILLS {
        let server = Server::start(directory.path(), &[]);
        let acknowledged_max = 1 + random.below(share + share / 4);
        let acknowledged = load.run(server, acknowledged_max).await;
        assert!(acknowledged >= acknowledged_max, "seed {SEED:#x}, kill {kill}: {acknowledged}");
        if random.below(2) == 0 {
            let mut recovering = Server::spawn(directory.path(), &[]);
            recovering.log.wait_for("read the log");
            recovering.kill();
        }
    }
    load.run(Server::start(directory.path(), &[]), load.missing()).await;
    assert_eq!(load.missing(), 0);
    println!("{} requests were sent again", load.repeats);
    assert!(load.repeats > 0, "no kill met a request on its way");

    let server = Server::start(directory.path(), &[]);
    let client = Client::of(server.ports);
    let expected = originals::alone_by_trace();
    assert_eq!(expected.values().map(BTreeSet::len).sum::<usize>() as u64, originals::SPANS);
    assert_eq!(trace_ids(&client).await, expected.keys().copied().collect(), "seed {SEED:#x}");
    compare(&client, expected).await;
}

/// The requests of the recording, and which of them are acknowledged.
struct Load {
    waiting: Arc<Mutex<VecDeque<usize>>>,
    acknowledged: BTreeSet<usize>,
    /// Requests whose outcome was unknown.
    repeats: usize,
}

impl Load {
    fn new() -> Self {
        let waiting = Arc::new(Mutex::new((0..originals::messages().len()).collect()));
        Self { waiting, acknowledged: BTreeSet::new(), repeats: 0 }
    }

    /// Requests that are not acknowledged.
    fn missing(&self) -> u64 {
        (originals::messages().len() - self.acknowledged.len()) as u64
    }

    /// Sends until this many requests were acknowledged, then kills the node at once. How many
    /// acknowledgements came in all, those that the kill let through included.
    async fn run(&mut self, mut server: Server, acknowledged_max: u64) -> u64 {
        let (tell, mut told) = mpsc::channel(SENDERS);
        let is_killed = Arc::<AtomicBool>::default();
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            let sender = Sender {
                is_grpc: number % 2 == 0,
                client: Client::of(server.ports),
                waiting: Arc::clone(&self.waiting),
                is_killed: Arc::clone(&is_killed),
                tell: tell.clone(),
            };
            senders.spawn(sender.send());
        }
        drop(tell);
        let mut count = 0;
        while let Some((request, outcome)) = told.recv().await {
            if outcome == Outcome::Unknown {
                self.repeats += 1;
                continue;
            }
            assert!(self.acknowledged.insert(request));
            count += 1;
            if count == acknowledged_max {
                is_killed.store(true, Ordering::Relaxed);
                server.kill();
            }
        }
        while let Some(ended) = senders.join_next().await {
            ended.unwrap();
        }
        count
    }
}

/// One connection of the client.
struct Sender {
    is_grpc: bool,
    client: Client,
    waiting: Arc<Mutex<VecDeque<usize>>>,
    is_killed: Arc<AtomicBool>,
    tell: mpsc::Sender<(usize, Outcome)>,
}

impl Sender {
    /// Sends one waiting request after another, until there is none or the node is killed.
    async fn send(self) {
        while !self.is_killed.load(Ordering::Relaxed) {
            let next = self.waiting.lock().unwrap().pop_front();
            let Some(request) = next else { return };
            let message = originals::messages()[request].clone();
            let outcome = if self.is_grpc {
                self.client.export_grpc(&message).await
            } else {
                self.client.export_http(message).await
            };
            if outcome == Outcome::Unknown {
                self.waiting.lock().unwrap().push_back(request);
            }
            self.tell.send((request, outcome)).await.unwrap();
        }
    }
}

/// The ids of all traces that the node shows, found by searching one stretch of time after the
/// other.
async fn trace_ids(client: &Client) -> BTreeSet<TraceId> {
    let mut ids = BTreeSet::new();
    let bounds = [
        "1970-01-01T00:00:00Z",
        "2024-12-13T12:39:20Z",
        "2024-12-13T12:40:00Z",
        "2024-12-13T12:40:40Z",
        "2200-01-01T00:00:00Z",
    ];
    for pair in bounds.windows(2) {
        let path = format!(
            "/api/v3/trace-summaries?query.startTimeMin={}&query.startTimeMax={}\
             &query.searchDepth=10000",
            pair[0], pair[1]
        );
        let answer = client.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.completeness()), (200, "complete"), "{path}");
        let json = answer.json();
        let summaries = json["summaries"].as_array().unwrap();
        assert!(summaries.len() < 10_000, "there may be more than one search returns");
        let id = |summary: &serde_json::Value| {
            TraceId::from_hex(summary["traceId"].as_str().unwrap()).unwrap()
        };
        ids.extend(summaries.iter().map(id));
    }
    ids
}

/// Reads every trace raw and compares it with what was sent.
async fn compare(client: &Client, expected: BTreeMap<TraceId, BTreeSet<Alone>>) {
    let expected = Arc::new(Mutex::new(expected.into_iter()));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (client, expected) = (client.clone(), Arc::clone(&expected));
        readers.spawn(async move {
            loop {
                let next = expected.lock().unwrap().next();
                let Some((trace_id, sent)) = next else { return };
                compare_trace(&client, trace_id, &sent).await;
            }
        });
    }
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
}

async fn compare_trace(client: &Client, trace_id: TraceId, sent: &BTreeSet<Alone>) {
    let answer = client.get(&format!("/api/skua/v1/traces/{trace_id}")).await;
    let what = format!("trace {trace_id}, seed {SEED:#x}");
    assert_eq!((answer.status.as_u16(), answer.completeness()), (200, "complete"), "{what}");
    let read: Vec<Alone> =
        originals::one_by_one(&answer.body).into_iter().map(|(_, span)| span).collect();
    let distinct: BTreeSet<Alone> = read.iter().cloned().collect();
    assert_eq!(distinct.len(), read.len(), "{what}: a span comes back twice");
    let missing = sent.difference(&distinct).count();
    let foreign = distinct.difference(sent).count();
    assert_eq!((missing, foreign), (0, 0), "{what}: missing or different, never sent");
}
