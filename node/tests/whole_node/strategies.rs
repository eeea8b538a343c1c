//! Sampling strategies in a cluster of three processes, of which one was told of a file.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the test edits the operator's file")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::server::{Ports, Server};

/// Longest wait for something that a cluster that is well does by itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// Three nodes at addresses of this run alone.
struct Trio {
    directories: Vec<TempDir>,
    nodes: Vec<Server>,
    file: PathBuf,
    client: Client,
}

fn host(number: usize) -> String {
    format!("127.84.{}.{}", std::process::id() % 250 + 1, number + 1)
}

fn start(directory: &Path, number: usize, more: &[&str]) -> Server {
    let seeds = [host(0), host(1), host(2)].join(",");
    let (own, name) = (host(number), format!("node-{number}"));
    let base = ["--listen-address", &own, "--node-name", &name, "--seeds", &seeds];
    Server::spawn(
        directory,
        &[&base[..], &["--expected-nodes", "3", "--shards", "1"], more].concat(),
    )
}

impl Trio {
    /// The file is the first node's alone; the others serve what that one finds.
    fn new() -> Self {
        let directories: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let file = directories[0].path().join("strategies.json");
        Self { directories, nodes: Vec::new(), file, client: Client::of(Ports::default()) }
    }

    fn start(&mut self, first: &[&str]) {
        let more = [first, &[], &[]];
        let starts = self.directories.iter().zip(more).enumerate();
        self.nodes = starts.map(|(it, (dir, more))| start(dir.path(), it, more)).collect();
        self.nodes.iter().for_each(Server::wait_until_ready);
    }

    fn stop(&mut self) {
        self.nodes.iter().for_each(|node| node.signal("TERM"));
        for node in self.nodes.drain(..) {
            let (code, log) = node.end();
            assert_eq!(code, Some(0), "{log}");
        }
    }

    async fn told(&self, number: usize) -> f64 {
        let port = Ports::told_in(self.directories[number].path()).sampling_http;
        let address = format!("{}:{port}", host(number));
        let answer = self.client.get_from(&address, "/sampling?service=any").await;
        answer.json()["probabilisticSampling"]["samplingRate"].as_f64().unwrap()
    }

    /// Waits until all nodes tell clients this probability.
    async fn until_told(&self, wanted: f64) {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            for number in 0..3 {
                while (self.told(number).await - wanted).abs() > 1e-9 {
                    ticks.tick().await;
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{wanted} is not told");
    }

    async fn status(&self, number: usize) -> serde_json::Value {
        let port = Ports::told_in(self.directories[number].path()).ui;
        let address = format!("{}:{port}", host(number));
        self.client.get_from(&address, "/api/skua/v1/cluster").await.json()["sampling"].clone()
    }

    /// Waits until the node with the file and another one show the same, which is what they show.
    async fn until_agreed(&self) -> serde_json::Value {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                // A node serves its own file before it has heard that the cluster took it.
                let (own, other) = (self.status(0).await, self.status(2).await);
                if own == other {
                    return own;
                }
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the nodes show the same")
    }

    /// Writes a file of this probability that is about so large.
    fn write(&self, probability: f64, bytes: usize) {
        let strategy = format!(r#"{{"type":"probabilistic","param":{probability}}}"#);
        let filling = "-".repeat(bytes);
        let json = format!(r#"{{"default_strategy":{strategy},"filling":"{filling}"}}"#);
        fs::write(&self.file, json).unwrap();
    }
}

#[tokio::test]
async fn what_one_node_is_told_all_nodes_serve_even_after_a_restart_of_all() {
    let mut trio = Trio::new();
    trio.write(0.25, 0);
    let path = trio.file.to_str().unwrap().to_owned();
    let source = ["--sampling-strategies", &path, "--sampling-reload", "1s"];
    trio.start(&source);
    trio.until_told(0.25).await;
    let status = trio.until_agreed().await;
    assert!(status["revision"].as_u64().unwrap() > 0, "{status}");

    // Nearly as large as it may be.
    trio.write(0.5, 1_000_000);
    trio.until_told(0.5).await;
    assert_ne!(trio.status(1).await["digest"], status["digest"]);

    // Content that makes no sense changes nothing anywhere, and the node with the file says so.
    fs::write(&trio.file, "{\"default_strategy\":").unwrap();
    trio.nodes[0].log.wait_for("cannot be used");
    trio.until_told(0.5).await;

    // Without the file, and with nobody who remembers it.
    trio.stop();
    trio.start(&[]);
    trio.until_told(0.5).await;
}
