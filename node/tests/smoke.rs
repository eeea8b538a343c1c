//! A real node from start to stop: ports, health, metrics, and what a signal does.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Longest wait for an answer of a node that is well.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A running node; killed when dropped.
struct Node {
    child: Child,
    /// Kept open, or the node could not print any more.
    out: BufReader<ChildStdout>,
    banner: String,
    ports: serde_json::Value,
}

impl Node {
    /// Starts a node on free ports and waits for its banner.
    fn start(directory: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_skua"))
            .args(["serve", "--data-dir", "data", "--ports-file", "ports.json"])
            .args(["--otlp-grpc-port", "0", "--otlp-http-port", "0", "--ui-port", "0"])
            .args(["--health-port", "0", "--metrics-port", "0"])
            .args(["--jaeger-grpc-port", "0", "--jaeger-http-port", "0", "--zipkin-port", "0"])
            .args(["--jaeger-compact-port", "0", "--jaeger-binary-port", "0"])
            .args(["--query-grpc-port", "0", "--remote-storage-port", "0"])
            .args(["--sampling-http-port", "0", "--sampling-grpc-port", "0"])
            .args(more)
            .current_dir(directory)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("\nTry: ") {
            assert_ne!(out.read_line(&mut banner).unwrap(), 0, "the node ended: {banner}");
        }
        let ports = serde_json::from_str(&read(&directory.join("ports.json"))).unwrap();
        Self { child, out, banner, ports }
    }

    fn port(&self, name: &str) -> u16 {
        self.ports[name].as_u64().unwrap().try_into().unwrap()
    }

    /// The status line's code and the body of a GET.
    fn get(&self, port: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port(port))).unwrap();
        stream.set_read_timeout(Some(ANSWER_TIME_MAX)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: skua\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (code, body.to_owned())
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end and returns the exit code.
    fn end(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the file of ports is not Skua's data")]
fn read(path: &PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_skua")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_node_starts_answers_and_stops() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path(), &["--ephemeral"]);
    assert!(node.banner.contains(&format!("http://127.0.0.1:{}\n", node.port("ui"))));
    assert_eq!(node.get("health", "/livez").0, 200);
    assert_eq!(node.get("health", "/readyz").0, 200);
    let (code, metrics) = node.get("metrics", "/metrics");
    assert_eq!(code, 200);
    for name in ["skua_build_info{", "process_resident_memory_bytes "] {
        assert!(metrics.contains(&format!("\n{name}")), "{name} is missing in {metrics}");
    }
    let (code, services) = node.get("ui", "/api/services");
    assert_eq!(code, 200, "{services}");
    let health = format!("http://127.0.0.1:{}", node.port("health"));
    assert_eq!(run(&["health", "--node", &health]), (Some(0), "ready\n".to_owned()));
    let ui = format!("http://127.0.0.1:{}", node.port("ui"));
    let (code, status) = run(&["status", "--node", &ui]);
    assert_eq!(code, Some(0));
    assert!(status.contains("SHARD") && status.contains("leader"), "{status}");
    assert!(directory.path().join("data").is_dir());
    node.signal("TERM");
    assert_eq!(node.end(), Some(0));
    assert!(!directory.path().join("data").exists());
}

#[test]
fn a_second_signal_stops_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut node = Node::start(directory.path(), &["--drain-delay", "1h"]);
    node.signal("TERM");
    // The node says on its standard output that it is draining; before that, a second signal
    // could still be the first it sees.
    let mut line = String::new();
    while !line.contains("stopping") {
        assert_ne!(node.out.read_line(&mut line).unwrap(), 0, "the node ended: {line}");
    }
    assert_eq!(node.get("health", "/readyz").0, 503);
    assert_eq!(node.get("health", "/livez").0, 200);
    node.signal("INT");
    assert_eq!(node.end(), Some(1));
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/data/hipster-20k.pb.zst");
    let spans = |node: &Node| -> u64 {
        let (code, body) = node.get("ui", "/api/skua/v1/cluster");
        assert_eq!(code, 200, "{body}");
        let cluster: serde_json::Value = serde_json::from_str(&body).unwrap();
        let shards = cluster["shards"].as_array().unwrap();
        shards.iter().map(|shard| shard["replicas"][0]["spans"].as_u64().unwrap()).sum()
    };
    let first = Node::start(directory.path(), &[]);
    let to = format!("127.0.0.1:{}", first.port("otlp_grpc"));
    let (code, said) = run(&["load", recording, "--to", &to]);
    assert_eq!(code, Some(0), "{said}");
    let acknowledged = spans(&first);
    assert!(acknowledged > 20_000, "{said}");
    drop(first);
    let second = Node::start(directory.path(), &[]);
    assert_eq!(spans(&second), acknowledged);
    second.signal("TERM");
    assert_eq!(second.end(), Some(0));
    let third = Node::start(directory.path(), &["--shards", "5"]);
    assert_eq!(spans(&third), acknowledged, "the number of shards stays what it was");
}

#[test]
fn a_data_directory_has_one_node() {
    let directory = tempfile::tempdir().unwrap();
    let first = Node::start(directory.path(), &["--ephemeral"]);
    let second = Command::new(env!("CARGO_BIN_EXE_skua"))
        .args(["serve", "--ephemeral", "--data-dir", "data", "--ui-port", "0"])
        .current_dir(directory.path())
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another node is running in the data directory data"), "{said}");
    drop(first);
}
