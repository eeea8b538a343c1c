//! `skua status`: the nodes and shards of a cluster, as tables or as JSON.
//!
//! The JSON is what the node said, untouched, so that scripts see fields that this version does not
//! know.

use anyhow::{Context, bail};
use model::Timestamp;
use serde::Deserialize;

use super::digests;
use crate::cli::StatusArguments;
use crate::config::units::ByteSize;
use crate::http::Server;
use crate::output;

/// Where a node answers with the state of its cluster.
const PATH: &str = "/api/skua/v1/cluster";

/// Events that the tables show, the latest: those of the last incident. The JSON has all of them.
const EVENTS_SHOWN: usize = 10;

/// A second of Unix time in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What `status` reads of the answer.
#[derive(Debug, Deserialize)]
struct Cluster {
    nodes: Vec<Node>,
    shards: Vec<Shard>,
    #[serde(default)]
    epochs: Vec<Epoch>,
    #[serde(default)]
    alarms: Vec<Alarm>,
    /// The latest first.
    #[serde(default)]
    events: Vec<Event>,
    sampling: Option<Sampling>,
}

#[derive(Debug, Deserialize)]
struct Epoch {
    id: u64,
    shards: u64,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Sampling {
    digest: String,
    bytes: u64,
    revision: u64,
}

#[derive(Debug, Deserialize)]
struct Alarm {
    kind: String,
    text: String,
    seconds: u64,
}

#[derive(Debug, Deserialize)]
struct Event {
    at_ns: u64,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    name: String,
    address: String,
    state: String,
    down: Option<Down>,
    version: String,
    disk: Disk,
}

#[derive(Debug, Deserialize)]
struct Down {
    seconds: u64,
}

#[derive(Debug, Deserialize)]
struct Disk {
    used_bytes: u64,
    free_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Shard {
    id: u64,
    epoch: u64,
    leader: Option<String>,
    replicas: Vec<Replica>,
}

#[derive(Debug, Deserialize)]
struct Replica {
    node: String,
    /// `present` in the answer of a node that does not say it.
    state: Option<String>,
    applied: Option<u64>,
    lag: Option<u64>,
    spans: Option<u64>,
    bytes: Option<u64>,
    digest: Option<String>,
}

pub(super) fn run(arguments: &StatusArguments) -> anyhow::Result<()> {
    let server = Server::with(&arguments.node, &arguments.headers.headers)?;
    let (status, body) = server.get(PATH)?;
    let mut text = String::from_utf8(body).context("the answer is not text")?;
    if !status.is_success() {
        bail!("the node answered {status}: {}", text.trim());
    }
    let mut judged = Ok(());
    if arguments.digests {
        let mut cluster =
            serde_json::from_str(&text).context("the answer is not a cluster's state")?;
        digests::gather(&server, PATH, &mut cluster)?;
        judged = digests::judge(&cluster);
        text = cluster.to_string();
    }
    if arguments.json {
        output::answer(&format!("{}\n", text.trim_end()))?;
    } else {
        let cluster: Cluster =
            serde_json::from_str(&text).context("the answer is not a cluster's state")?;
        output::answer(&render(&cluster, arguments.digests))?;
    }
    judged
}

fn render(cluster: &Cluster, with_digests: bool) -> String {
    let mut nodes = vec![row(["NODE", "NAME", "ADDRESS", "STATE", "VERSION", "DISK", "FREE"])];
    for node in &cluster.nodes {
        let (used, free) = (ByteSize(node.disk.used_bytes), ByteSize(node.disk.free_bytes));
        // Of a node that is down nothing else is known.
        let (state, version, used, free) = match &node.down {
            None => (node.state.clone(), &*node.version, used.rounded(), free.rounded()),
            Some(down) => (
                format!("{} for {}", node.state, lasting(down.seconds)),
                "-",
                "-".into(),
                "-".into(),
            ),
        };
        nodes.push(row([&node.id, &node.name, &node.address, &state, version, &used, &free]));
    }
    let digest = if with_digests { "DIGEST" } else { "" };
    let mut shards = vec![row([
        "SHARD",
        "EPOCH",
        "REPLICA ON",
        "ROLE",
        "APPLIED",
        "LAG",
        "SPANS",
        "BYTES",
        digest,
    ])];
    for shard in &cluster.shards {
        for replica in &shard.replicas {
            let leads = shard.leader.as_ref() == Some(&replica.node);
            let role = match replica.state.as_deref() {
                None | Some("present") => {
                    if leads {
                        "leader"
                    } else {
                        "follower"
                    }
                }
                Some(other) => other,
            };
            let number = |number: Option<u64>| number.map_or("-".to_owned(), |it| it.to_string());
            shards.push(row([
                &shard.id.to_string(),
                &shard.epoch.to_string(),
                &replica.node,
                role,
                &number(replica.applied),
                &number(replica.lag),
                &number(replica.spans),
                &replica.bytes.map_or("-".to_owned(), |bytes| ByteSize(bytes).rounded()),
                replica.digest.as_deref().unwrap_or(if with_digests { "-" } else { "" }),
            ]));
        }
        if shard.replicas.is_empty() {
            shards.push(row([&shard.id.to_string(), &shard.epoch.to_string(), "nowhere"]));
        }
    }
    let mut tables = format!("{}\n{}", table(&nodes), table(&shards));
    // A cluster to which shards were never added has nothing to tell of it.
    if cluster.epochs.len() > 1 {
        let mut epochs = vec![row(["RING EPOCH", "SHARDS", "STATE"])];
        for epoch in &cluster.epochs {
            epochs.push(row([&epoch.id.to_string(), &epoch.shards.to_string(), &epoch.state]));
        }
        tables = format!("{tables}\n{}", table(&epochs));
    }
    if let Some(Sampling { digest, bytes, revision }) = &cluster.sampling {
        let mut sampling = vec![row(["SAMPLING STRATEGIES", "SIZE", "CHANGE"])];
        let change = if *revision == 0 { "-".to_owned() } else { revision.to_string() };
        sampling.push(row([digest, &ByteSize(*bytes).rounded(), &change]));
        tables = format!("{tables}\n{}", table(&sampling));
    }
    if !cluster.events.is_empty() {
        let mut events = vec![row(["TIME", "EVENT"])];
        for event in cluster.events.iter().take(EVENTS_SHOWN) {
            let second = Timestamp(event.at_ns / SECOND * SECOND);
            events.push(row([&api::adjust::format_rfc3339(second), &event.text]));
        }
        tables = format!("{tables}\n{}", table(&events));
    }
    if cluster.alarms.is_empty() {
        return tables;
    }
    let mut alarms = vec![row(["ALARM", "STANDS", "WHAT"])];
    for alarm in &cluster.alarms {
        alarms.push(row([&alarm.kind, &lasting(alarm.seconds), &alarm.text]));
    }
    format!("{}\n{tables}", table(&alarms))
}

/// A time that is still going on, in its largest unit.
fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Rows under each other, each column as wide as its widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = (*widest).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_becomes_tables() {
        let text = r#"{
            "nodes": [{"id": "ab12", "name": "here", "address": "127.0.0.1", "state": "ready",
                "version": "0.1.0", "disk": {"used_bytes": 2048, "free_bytes": 1073741824},
                "unknown": 1}],
            "shards": [{"id": 0, "epoch": 1, "leader": "ab12", "replicas": [
                {"node": "ab12", "applied": 17, "lag": 0, "spans": 500, "bytes": 22000}]},
                {"id": 1, "epoch": 1, "leader": null, "replicas": []}],
            "sampling": {"digest": "0011223344556677", "bytes": 312, "revision": 40}
        }"#;
        let expected = "\
NODE  NAME  ADDRESS    STATE  VERSION  DISK     FREE
ab12  here  127.0.0.1  ready  0.1.0    2.0 KiB  1.0 GiB

SHARD  EPOCH  REPLICA ON  ROLE    APPLIED  LAG  SPANS  BYTES
0      1      ab12        leader  17       0    500    21 KiB
1      1      nowhere

SAMPLING STRATEGIES  SIZE   CHANGE
0011223344556677     312 B  40
";
        assert_eq!(render(&serde_json::from_str(text).unwrap(), false), expected);
        let text = text.replace(r#""bytes": 22000"#, r#""bytes": 22000, "digest": "9b33""#);
        let told = render(&serde_json::from_str(&text).unwrap(), true);
        assert!(told.contains("BYTES   DIGEST\n") && told.contains("21 KiB  9b33\n"), "{told}");
    }

    #[test]
    fn what_is_wrong_comes_first_and_what_is_unknown_is_a_dash() {
        let text = r#"{
            "nodes": [{"id": "cd34", "name": "gone", "address": "10.0.0.2:7947", "state": "down",
                "down": {"since_ns": 1, "seconds": 725}, "version": "",
                "disk": {"used_bytes": 0, "free_bytes": 0}}],
            "shards": [{"id": 0, "epoch": 1, "leader": null, "replicas": [
                {"node": "cd34", "state": "unreachable"}]}],
            "epochs": [{"id": 1, "shards": 1, "state": "active"},
                {"id": 2, "shards": 4, "state": "preparing"}],
            "alarms": [{"kind": "under-replicated", "shard": 0, "seconds": 119,
                "text": "shard 0 has 2 of 3 replicas that answer"}],
            "events": [{"at_ns": 1700000000999000000, "kind": "silent",
                "text": "Node gone stopped answering."}]
        }"#;
        let expected = "\
ALARM             STANDS  WHAT
under-replicated  119 s   shard 0 has 2 of 3 replicas that answer

NODE  NAME  ADDRESS        STATE            VERSION  DISK  FREE
cd34  gone  10.0.0.2:7947  down for 12 min  -        -     -

SHARD  EPOCH  REPLICA ON  ROLE         APPLIED  LAG  SPANS  BYTES
0      1      cd34        unreachable  -        -    -      -

RING EPOCH  SHARDS  STATE
1           1       active
2           4       preparing

TIME                  EVENT
2023-11-14T22:13:20Z  Node gone stopped answering.
";
        assert_eq!(render(&serde_json::from_str(text).unwrap(), false), expected);
        for (seconds, shown) in [(0, "0 s"), (7_199, "119 min"), (7_200, "2 h"), (172_800, "2 d")] {
            assert_eq!(lasting(seconds), shown);
        }
    }
}
