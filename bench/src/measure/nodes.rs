//! A cluster under measurement: nodes on loopback addresses of their own, with the usual ports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::Arguments;
use super::http::HttpClient;
use super::process::Process;
use super::server::own_loopback_address;
use crate::outside::{self, Scratch};

/// How long nodes may take to be ready: one that has a gigabyte to fetch takes a minute.
const READY_TIMEOUT: Duration = Duration::from_mins(5);

/// How often nodes that start are looked at.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// The ports that nodes have unless told otherwise.
const OTLP_GRPC: u16 = 4317;
const UI: u16 = 16686;
const HEALTH: u16 = 13133;

/// The nodes of a cluster.
#[derive(Debug)]
pub(super) struct Nodes {
    binary: String,
    flags: Vec<String>,
    members: Vec<Node>,
    /// Goes after the processes, whose data it holds.
    scratch: Scratch,
}

#[derive(Debug)]
struct Node {
    address: String,
    process: Option<Process>,
}

/// What a cluster says of itself, as far as it is looked at here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    nodes: Vec<StatusNode>,
    shards: Vec<StatusShard>,
}

#[derive(Debug, Clone, Deserialize)]
struct StatusNode {
    id: String,
    name: String,
    state: String,
}

#[derive(Debug, Clone, Deserialize)]
struct StatusShard {
    leader: Option<String>,
    replicas: Vec<StatusReplica>,
}

#[derive(Debug, Clone, Deserialize)]
struct StatusReplica {
    node: String,
    lag: Option<u64>,
    spans: Option<u64>,
}

impl Status {
    /// By node, in the order of their names: how many shards it leads.
    pub(super) fn led(&self, name: &str) -> usize {
        let id = self.nodes.iter().find(|node| node.name == name && node.state == "ready");
        let Some(id) = id.map(|node| node.id.as_str()) else { return 0 };
        self.shards.iter().filter(|shard| shard.leader.as_deref() == Some(id)).count()
    }

    /// Whether every shard has a leader, and a replica on each of so many nodes that lags by no
    /// more than what is on its way.
    pub(super) fn is_whole(&self, nodes: usize) -> bool {
        let ready: Vec<&str> = self
            .nodes
            .iter()
            .filter(|node| node.state == "ready")
            .map(|node| node.id.as_str())
            .collect();
        ready.len() == nodes
            && self.shards.iter().all(|shard| {
                let near = shard.replicas.iter().filter(|replica| {
                    ready.contains(&replica.node.as_str())
                        && replica.lag.is_some_and(|lag| lag < 64)
                });
                shard.leader.is_some() && near.count() == nodes
            })
    }

    /// Whether each shard has so many replicas, all with the same number of distinct spans.
    pub(super) fn agrees(&self, nodes: usize) -> bool {
        self.shards.iter().all(|shard| {
            let spans: Vec<u64> =
                shard.replicas.iter().filter_map(|replica| replica.spans).collect();
            spans.len() == nodes && spans.iter().all(|count| Some(count) == spans.first())
        })
    }
}

impl Nodes {
    /// Starts so many nodes of the binary that `--skua` names, with empty data directories, and
    /// returns at once. These options are the last that a measurement asks for.
    pub(super) fn start(arguments: &Arguments, count: usize) -> anyhow::Result<Self> {
        let binary = arguments.text("skua").context("--skua BINARY is wanted")?.to_owned();
        let scratch = Scratch::make(arguments.text("data-below").map(Path::new), "bench")?;
        arguments.refuse_unknown()?;
        let base = own_loopback_address();
        let (network, _) = base.rsplit_once('.').context("an address has dots")?;
        let node =
            |number: usize| Node { address: format!("{network}.{}", number + 1), process: None };
        let members = (0..count).map(node).collect();
        let mut all = Self { binary, flags: arguments.for_server().to_vec(), members, scratch };
        for number in 0..count {
            all.start_node(number)?;
        }
        Ok(all)
    }

    /// Starts a node that does not run.
    pub(super) fn start_node(&mut self, number: usize) -> anyhow::Result<()> {
        let addresses: Vec<&str> = self.members.iter().map(|node| node.address.as_str()).collect();
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--data-dir").arg(self.data(number));
        command.args(["--listen-address", self.address(number)]);
        command.args(["--node-name", &name(number), "--seeds", &addresses.join(",")]);
        command.args(["--expected-nodes", &addresses.len().to_string()]).args(&self.flags);
        let log = outside::append_file(&self.scratch.path().join(format!("node-{number}.log")))?;
        command.stderr(log);
        let process = Process::start(command)?;
        let node = self.members.get_mut(number).context("there is no such node")?;
        node.process = Some(process);
        Ok(())
    }

    /// Waits until all nodes that run say that they are ready.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let began = outside::now();
        for node in &mut self.members {
            let Some(process) = &mut node.process else { continue };
            while !is_ready(&node.address).await {
                process.still_runs()?;
                ensure!(
                    outside::now().duration_since(began) < READY_TIMEOUT,
                    "{} is not ready in time",
                    node.address
                );
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
        Ok(())
    }

    /// Waits until every shard has a leader and a replica on every node that is up to date.
    pub(super) async fn whole(&self) -> anyhow::Result<Status> {
        let began = outside::now();
        loop {
            if let Ok(status) = self.status(self.first_running()?).await
                && status.is_whole(self.members.len())
            {
                return Ok(status);
            }
            ensure!(
                outside::now().duration_since(began) < READY_TIMEOUT,
                "the cluster does not become whole in time"
            );
            tokio::time::sleep(POLL_EVERY * 10).await;
        }
    }

    fn first_running(&self) -> anyhow::Result<usize> {
        self.members.iter().position(|node| node.process.is_some()).context("no node runs")
    }

    /// Waits until a node answers at all.
    pub(super) async fn answers(&self, number: usize) -> anyhow::Result<()> {
        let began = outside::now();
        while HttpClient::connect(&self.ui(number)).await.is_err() {
            ensure!(
                outside::now().duration_since(began) < READY_TIMEOUT,
                "{} does not answer in time",
                self.address(number)
            );
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok(())
    }

    /// What a node says of the cluster.
    pub(super) async fn status(&self, number: usize) -> anyhow::Result<Status> {
        let mut client = HttpClient::connect(&self.ui(number)).await?;
        let answer = client.get("/api/skua/v1/cluster").await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// The processes that run.
    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.members.iter().filter_map(|node| node.process.as_ref())
    }

    /// Takes a node's process, to end it.
    pub(super) fn take(&mut self, number: usize) -> anyhow::Result<Process> {
        let node = self.members.get_mut(number).context("there is no such node")?;
        node.process.take().context("the node does not run")
    }

    fn address(&self, number: usize) -> &str {
        self.members.get(number).map_or("127.0.0.1", |node| node.address.as_str())
    }

    /// Where OTLP/gRPC of a node goes.
    pub(super) fn otlp_grpc(&self, number: usize) -> String {
        format!("{}:{OTLP_GRPC}", self.address(number))
    }

    /// Where queries to a node go.
    pub(super) fn ui(&self, number: usize) -> String {
        format!("{}:{UI}", self.address(number))
    }

    /// The data directory of a node.
    pub(super) fn data(&self, number: usize) -> PathBuf {
        self.scratch.path().join(name(number))
    }

    /// Where all data directories are.
    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Ends all processes and removes their data.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        for node in &mut self.members {
            if let Some(process) = node.process.take() {
                process.kill().await?;
            }
        }
        Ok(())
    }
}

/// The name of a node.
pub(super) fn name(number: usize) -> String {
    format!("node-{number}")
}

async fn is_ready(address: &str) -> bool {
    let Ok(mut client) = HttpClient::connect(&format!("{address}:{HEALTH}")).await else {
        return false;
    };
    client.get("/readyz").await.is_ok_and(|answer| answer.status == 200)
}
