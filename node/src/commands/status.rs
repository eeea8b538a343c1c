//! `skua status`: the nodes and shards of a cluster, as tables or as JSON.
//!
//! The JSON is what the node said, untouched, so that scripts see fields that this version does not
//! know.

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::cli::StatusArguments;
use crate::config::units::ByteSize;
use crate::{http, output};

/// Where a node answers with the state of its cluster.
const PATH: &str = "/api/skua/v1/cluster";

/// What `status` reads of the answer.
#[derive(Debug, Deserialize)]
struct Cluster {
    nodes: Vec<Node>,
    shards: Vec<Shard>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    name: String,
    address: String,
    state: String,
    version: String,
    disk: Disk,
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
    applied: u64,
    lag: u64,
    spans: u64,
    bytes: u64,
}

pub(super) fn run(arguments: &StatusArguments) -> anyhow::Result<()> {
    let (status, body) = http::get(&arguments.node, PATH)?;
    let text = String::from_utf8(body).context("the answer is not text")?;
    if !status.is_success() {
        bail!("the node answered {status}: {}", text.trim());
    }
    if arguments.json {
        output::answer(&format!("{}\n", text.trim_end()))?;
        return Ok(());
    }
    let cluster: Cluster =
        serde_json::from_str(&text).context("the answer is not a cluster's state")?;
    output::answer(&render(&cluster))?;
    Ok(())
}

fn render(cluster: &Cluster) -> String {
    let mut nodes = vec![row(["NODE", "NAME", "ADDRESS", "STATE", "VERSION", "DISK", "FREE"])];
    for node in &cluster.nodes {
        nodes.push(row([
            &node.id,
            &node.name,
            &node.address,
            &node.state,
            &node.version,
            &ByteSize(node.disk.used_bytes).rounded(),
            &ByteSize(node.disk.free_bytes).rounded(),
        ]));
    }
    let mut shards =
        vec![row(["SHARD", "EPOCH", "REPLICA ON", "ROLE", "APPLIED", "LAG", "SPANS", "BYTES"])];
    for shard in &cluster.shards {
        for replica in &shard.replicas {
            let leads = shard.leader.as_ref() == Some(&replica.node);
            shards.push(row([
                &shard.id.to_string(),
                &shard.epoch.to_string(),
                &replica.node,
                if leads { "leader" } else { "follower" },
                &replica.applied.to_string(),
                &replica.lag.to_string(),
                &replica.spans.to_string(),
                &ByteSize(replica.bytes).rounded(),
            ]));
        }
        if shard.replicas.is_empty() {
            shards.push(row([&shard.id.to_string(), &shard.epoch.to_string(), "nowhere"]));
        }
    }
    format!("{}\n{}", table(&nodes), table(&shards))
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
                {"id": 1, "epoch": 1, "leader": null, "replicas": []}]
        }"#;
        let expected = "\
NODE  NAME  ADDRESS    STATE  VERSION  DISK     FREE
ab12  here  127.0.0.1  ready  0.1.0    2.0 KiB  1.0 GiB

SHARD  EPOCH  REPLICA ON  ROLE    APPLIED  LAG  SPANS  BYTES
0      1      ab12        leader  17       0    500    21 KiB
1      1      nowhere
";
        assert_eq!(render(&serde_json::from_str(text).unwrap()), expected);
    }
}
