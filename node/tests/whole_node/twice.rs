//! One identity, two processes: a data directory was copied, and both copies run.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "the test copies a directory behind the node's back"
)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::server::Server;

/// What a process says that ends because others speak with another one.
const DISOWNED: &str = "another process runs with the identity of this node";

/// Addresses of this run alone: the ports between nodes are the same on each.
struct Hosts {
    network: u32,
}

impl Hosts {
    fn of_this_run() -> Self {
        Self { network: std::process::id() % 250 + 1 }
    }

    fn host(&self, number: u32) -> String {
        format!("127.83.{}.{number}", self.network)
    }

    /// Starts one of three nodes on a directory.
    fn start(&self, directory: &Path, number: u32) -> Server {
        let (host, name) = (self.host(number), format!("node-{number}"));
        let seeds = [1, 2, 3].map(|number| self.host(number)).join(",");
        let more = ["--listen-address", &host, "--node-name", &name, "--seeds", &seeds];
        let more = [&more[..], &["--expected-nodes", "3", "--shards", "1"]].concat();
        Server::spawn(directory, &more)
    }
}

/// Copies a stopped node's directory, as a tool for backups would.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn of_two_processes_with_one_identity_the_one_that_others_refuse_ends() {
    let hosts = Hosts::of_this_run();
    let directories: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let path = |number: usize| directories[number].path();
    let mut nodes: Vec<Server> =
        (0..3).map(|place| hosts.start(path(place), u32::try_from(place).unwrap() + 1)).collect();
    nodes.iter().for_each(Server::wait_until_ready);
    let third = nodes.pop().unwrap();
    third.signal("TERM");
    let (code, log) = third.end();
    assert_eq!(code, Some(0), "{log}");
    copy(&path(2).join("data"), &path(3).join("data"));

    // Both count the same start; the original is seen first.
    let original = hosts.start(path(2), 3);
    original.wait_until_ready();
    let (code, log) = hosts.start(path(3), 4).end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(DISOWNED) && log.contains("Was the data directory copied?"), "{log}");

    // Started once more, the copy is ahead, and the original is told so. The copy does not vote
    // under the ids that the original spoke under.
    let copy = hosts.start(path(3), 4);
    copy.log.wait_for("this node's replicas were given up");
    let (code, log) = original.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(DISOWNED) && log.contains("2 of the 2 other members"), "{log}");
    copy.wait_until_ready();
}
