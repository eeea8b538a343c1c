//! Starting and stopping: who owns a directory, what a signal does, what a start says of a log
//! that is long, torn or damaged.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests damage files behind the node's back")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{Client, Outcome};
use crate::originals;
use crate::server::Server;

/// Requests under way at a time.
const SENDERS: usize = 8;

/// Sends the first `count` messages; how many spans the node holds then.
async fn load(server: &Server, count: usize) -> u64 {
    let client = Client::of(server.ports);
    for message in &originals::messages()[..count] {
        assert_eq!(client.export_grpc(message).await, Outcome::Acknowledged);
    }
    client.spans_held().await
}

/// A directory in which a node took some spans and stopped; and how many.
async fn stopped_node() -> (TempDir, u64) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let spans = load(&server, 20).await;
    assert!(spans > 1_000, "{spans}");
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    (directory, spans)
}

/// The files of a stopped node's log with their sizes, oldest first.
fn segments(directory: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(directory.join("data/log")).unwrap();
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.path(), entry.metadata().unwrap().len())
    };
    let mut files: Vec<_> = entries.map(file).collect();
    files.retain(|(path, _)| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

/// The event of this message in a JSON log.
fn event(log: &str, message: &str) -> serde_json::Value {
    let events = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut found = events.filter(|event: &serde_json::Value| event["message"] == message);
    found.next().unwrap_or_else(|| panic!("no {message:?} in {log}"))
}

#[tokio::test]
async fn a_second_node_on_the_same_data_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let first = Server::start(directory.path(), &[]);
    let before = load(&first, 2).await;
    let (code, log) = Server::spawn(directory.path(), &[]).end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("another node is running in the data directory data"), "{log}");
    let after = load(&first, 4).await;
    assert!(after > before, "{before} spans, then {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_mid_load_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let next = Arc::<AtomicUsize>::default();
    let (tell, mut told) = mpsc::channel(SENDERS);
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (client, next, tell) = (Client::of(server.ports), Arc::clone(&next), tell.clone());
        senders.spawn(async move {
            while let Some(message) =
                originals::messages().get(next.fetch_add(1, Ordering::Relaxed))
            {
                if client.export_grpc(message).await == Outcome::Unknown {
                    return;
                }
                tell.send(message).await.unwrap();
            }
        });
    }
    drop(tell);
    let mut acknowledged = Vec::new();
    while let Some(message) = told.recv().await {
        acknowledged.push(message);
        if acknowledged.len() == 40 {
            server.signal("TERM");
        }
    }
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(acknowledged.len() < originals::messages().len(), "all was sent before the stop");
    println!("{} requests were acknowledged", acknowledged.len());

    let server = Server::start(directory.path(), &[]);
    let client = Client::of(server.ports);
    let mut of_trace = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (trace_id, span) in acknowledged.iter().flat_map(|message| originals::one_by_one(message)) {
        of_trace.entry(trace_id).or_default().push(span);
    }
    for (trace_id, spans) in of_trace {
        let answer = client.get(&format!("/api/skua/v1/traces/{trace_id}")).await;
        assert_eq!(answer.status, 200, "trace {trace_id}");
        let read = originals::one_by_one(&answer.body);
        for span in spans {
            let is_there = read.iter().any(|(_, other)| *other == span);
            assert!(is_there, "a span of trace {trace_id} is lost");
        }
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_stop_that_takes_long_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--drain-delay", "1h"]);
    let spans = load(&server, 5).await;
    let client = Client::of(server.ports);
    assert_eq!(client.health_over_grpc().await, [0, 0, 0, 0, 2, 0x08, 1], "SERVING");
    server.signal("TERM");
    server.out.wait_for("stopping");
    assert_eq!(client.get_at(server.ports.health, "/readyz").await.status, 503);
    assert_eq!(client.health_over_grpc().await, [0, 0, 0, 0, 2, 0x08, 2], "NOT_SERVING");
    // Until the doors close, balancers may still send.
    let message = &originals::messages()[5];
    assert_eq!(client.export_grpc(message).await, Outcome::Acknowledged);
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("second signal"), "{log}");

    let server = Server::start(directory.path(), &[]);
    let held = Client::of(server.ports).spans_held().await;
    assert_eq!(held, spans + originals::one_by_one(message).len() as u64);
}

#[tokio::test]
async fn a_damaged_log_is_not_served_and_the_place_is_named() {
    let (directory, _) = stopped_node().await;
    let (path, bytes) = segments(directory.path()).into_iter().max_by_key(|file| file.1).unwrap();
    let place = usize::try_from(bytes / 2).unwrap();
    let sound = fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    damaged[place] ^= 0x10;
    fs::write(&path, &damaged).unwrap();
    for _ in 0..2 {
        let (code, log) = Server::spawn(directory.path(), &[]).end();
        assert_eq!(code, Some(1), "{log}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(log.contains("the log is damaged") && log.contains(name), "{log}");
        let offset = log.split("at offset ").nth(1).unwrap();
        let digits: String = offset.chars().take_while(char::is_ascii_digit).collect();
        let offset: usize = digits.parse().unwrap();
        assert!(offset <= place, "the damage is at {place}, not behind {offset}");
        assert!(fs::read(&path).unwrap() == damaged, "a start that was refused changed the log");
    }
    fs::write(&path, &sound).unwrap();
    Server::start(directory.path(), &[]);
}

/// Runs a command that asks a node; whether it succeeded, and what it printed.
fn asked_of(server: &Server, command: &[&str], headers: &[&str]) -> (bool, String) {
    let node = format!("http://127.0.0.1:{}", server.ports.ui);
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_skua"));
    run.args(command).args(["--node", &node]).env_clear();
    for header in headers {
        run.args(["--header", header]);
    }
    let output = run.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn commands_say_which_tenant_asks() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--tenancy", "x-tenant"]);
    let commands = [
        &["status"][..],
        &["status", "--json"],
        &["status", "--digests"],
        &["compact", "--wait"],
        &["drain"],
    ];
    for command in commands {
        let (is_done, said) = asked_of(&server, command, &[]);
        assert!(!is_done && said.contains("missing tenant header"), "{command:?}: {said}");
        let (is_done, said) = asked_of(&server, command, &["X-Tenant: shop"]);
        assert!(is_done, "{command:?}: {said}");
    }
    for command in [&["node", "remove", "nobody"][..], &["rf", "set", "1"], &["shards", "add", "1"]]
    {
        let (_, said) = asked_of(&server, command, &["x-tenant: shop"]);
        assert!(!said.contains("tenant header"), "{command:?}: {said}");
    }
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_skua"))
        .args(["status", "--node", &format!("http://127.0.0.1:{}", server.ports.ui)])
        .env_clear()
        .env("SKUA_HEADER", "x-tenant: shop")
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn replicas_that_are_alone_differ_from_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let (is_done, said) = asked_of(&server, &["status", "--digests"], &[]);
    assert!(is_done && said.contains("DIGEST"), "{said}");
    let client = Client::of(server.ports);
    let bad = ["digest=maybe", "shard=0", "digest=true&shard=x", "digest=true&shard=999"];
    for query in bad {
        let answer = client.get(&format!("/api/skua/v1/cluster?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    let answer = client.get("/api/skua/v1/cluster?digest=true&shard=0").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn clients_do_not_take_the_descriptors_that_the_node_needs() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with_descriptors(directory.path(), 256);
    let open = |count: u32| -> Vec<std::net::TcpStream> {
        let connect = |_| std::net::TcpStream::connect(("127.0.0.1", server.ports.otlp_grpc));
        (0..count).map(connect).collect::<Result<_, _>>().unwrap()
    };
    // As many as a queue before the door takes besides.
    let _held = open(140);
    let client = Client::of(server.ports);
    for message in &originals::messages()[..40] {
        assert_eq!(client.export_http(message.clone()).await, Outcome::Acknowledged);
    }
    // Blocks are files that are opened now.
    for _ in 0..3 {
        let (is_done, said) = asked_of(&server, &["compact", "--wait"], &[]);
        assert!(is_done, "{said}");
    }
    assert_eq!(client.get_at(server.ports.health, "/readyz").await.status, 200);
    assert!(client.metric("skua_connections", &["otlp_grpc"]).await <= 64);
    let log = server.log.text();
    assert!(log.contains("few descriptors may be open"), "{log}");
}

/// Runs `skua recover` on a stopped node's directory; its exit code and what it printed.
fn recover(directory: &Path, more: &[&str]) -> (Option<i32>, serde_json::Value) {
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_skua"))
        .args(["recover", "--data-dir", "data", "--json"])
        .args(more)
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap();
    let report = serde_json::from_slice(&command.stdout).unwrap_or_default();
    (command.status.code(), report)
}

#[tokio::test]
async fn a_damaged_log_that_nobody_else_has_is_cut_if_somebody_accepts_the_loss() {
    let (directory, spans) = stopped_node().await;
    let (code, report) = recover(directory.path(), &["--accept-loss"]);
    assert_eq!((code, &report["is_done"]), (Some(0), &false.into()), "{report}");
    let (path, bytes) = segments(directory.path()).into_iter().max_by_key(|file| file.1).unwrap();
    let mut damaged = fs::read(&path).unwrap();
    damaged[usize::try_from(bytes / 2).unwrap()] ^= 0x10;
    fs::write(&path, &damaged).unwrap();

    let (code, report) = recover(directory.path(), &[]);
    assert_eq!((code, &report["is_done"]), (Some(0), &false.into()), "{report}");
    assert!(report["damage"].as_str().unwrap().contains("the log is damaged"), "{report}");
    assert!(fs::read(&path).unwrap() == damaged, "looking changed the log");

    let (code, report) = recover(directory.path(), &["--accept-loss"]);
    assert_eq!((code, &report["is_done"]), (Some(0), &true.into()), "{report}");
    assert_eq!(report["cuts"].as_array().unwrap().len(), 1, "{report}");
    let aside = directory.path().join("data/log.damaged").join(path.file_name().unwrap());
    assert!(fs::read(aside).unwrap() == damaged, "what was cut off is kept");
    let server = Server::start(directory.path(), &[]);
    let left = Client::of(server.ports).spans_held().await;
    assert!(left > 0 && left < spans, "{left} of {spans}");
    // What was lost is taken in when it is sent again.
    assert!(load(&server, 20).await >= spans);
}

#[tokio::test]
async fn a_log_that_ends_before_the_blocks_do_is_not_written_to() {
    let (directory, spans) = stopped_node().await;
    let server = Server::start(directory.path(), &[]);
    let node = format!("http://127.0.0.1:{}", server.ports.ui);
    let compact = std::process::Command::new(env!("CARGO_BIN_EXE_skua"))
        .args(["compact", "--wait", "--node", &node])
        .env_clear()
        .output()
        .unwrap();
    assert!(compact.status.success(), "{}", String::from_utf8_lossy(&compact.stderr));
    server.signal("TERM");
    server.end();
    for (path, _) in segments(directory.path()) {
        fs::remove_file(path).unwrap();
    }
    let (code, log) = Server::spawn(directory.path(), &[]).end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the log in") && log.contains("has lost its end"), "{log}");
    let (_, report) = recover(directory.path(), &[]);
    assert!(report["damage"].as_str().unwrap().contains("lost its end"), "{report}");
    let (code, report) = recover(directory.path(), &["--accept-loss"]);
    assert_eq!((code, &report["is_done"]), (Some(0), &true.into()), "{report}");
    let mut server = Server::start(directory.path(), &[]);
    let client = Client::of(server.ports);
    assert_eq!(client.spans_held().await, spans, "all of it was in blocks");
    let message = &originals::messages()[20];
    assert_eq!(client.export_grpc(message).await, Outcome::Acknowledged);
    let more = client.spans_held().await;
    assert!(more > spans, "what came after is taken in");
    server.kill();
    drop(server);
    let server = Server::start(directory.path(), &[]);
    assert_eq!(Client::of(server.ports).spans_held().await, more);
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_reported() {
    let (directory, spans) = stopped_node().await;
    let (path, bytes) = segments(directory.path()).pop().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(bytes - 3).unwrap();
    drop(file);
    let server = Server::start(directory.path(), &[]);
    // The last frame of a node that was stopped only says that all before it is synced.
    assert_eq!(Client::of(server.ports).spans_held().await, spans);
    let log = server.log.text();
    let torn = event(
        &log,
        "cut off the end of the log that was never acknowledged, as a crash \
                            leaves one",
    );
    assert_eq!(torn["level"], "WARN");
    assert!(torn["file"].as_str().unwrap().ends_with(path.file_name().unwrap().to_str().unwrap()));
    let cut = torn["offset"].as_u64().unwrap() + torn["bytes"].as_u64().unwrap();
    assert_eq!(cut, bytes - 3, "{torn}");
}

#[tokio::test]
async fn a_start_from_the_whole_recording_says_what_it_read_and_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let spans = load(&server, originals::messages().len()).await;
    assert_eq!(spans, originals::SPANS);
    server.kill();
    drop(server);
    let server = Server::start(directory.path(), &[]);
    let log = server.log.text();
    let read = event(&log, "read the log");
    assert!(read["bytes"].as_u64().unwrap() > 1_000_000, "{read}");
    assert!(read["entries"].as_u64().unwrap() > 0 && read["segments"] != 0, "{read}");
    assert_eq!(event(&log, "recovered")["spans"], spans);
    let client = Client::of(server.ports);
    assert_eq!(client.get_at(server.ports.health, "/readyz").await.status, 200);
    assert_eq!(client.spans_held().await, spans);
}
