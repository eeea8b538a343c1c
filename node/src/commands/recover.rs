//! `skua recover`: what one data directory holds, and going on with that alone.
//!
//! Two losses end here, because no node may decide on them: the majority of a cluster is gone for
//! good, or a log is damaged and nobody else has what it held. Both are undone as far as this disk
//! goes, if somebody accepts the rest as lost.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use cluster::clock::SystemClock;
use cluster::host::{Recovery, Survey, log_is_short};
use cluster::identity::ClusterId;
use model::time::Clock;
use model::{NodeId, ShardId, Timestamp};
use serde::Serialize;
use storage::entry;
use storage::env::Env;
use storage::kv::{Kv, RocksKv};
use storage::log::{Cut, GroupId, LogEngine, LogOptions, Operation, salvage};
use storage::meta::NodeMeta;
use storage::shard::BlockStore;

use crate::cli::RecoverArguments;
use crate::config::NodeConfig;
use crate::data_directory::DataDirectory;
use crate::store::{
    FIRST_SHARD_GROUP, OF_A_CLUSTER, end_process_of_store, is_log_damage, open_log, os_env, reaches,
};
use crate::{files, output};

/// Where the damaged part of a log goes.
const LOG_ASIDE: &str = "log.damaged";

/// What was found, and done.
#[derive(Debug, Default, Serialize)]
struct Report {
    node: String,
    /// Whether anything was changed.
    is_done: bool,
    /// Places where the log was cut.
    cuts: Vec<CutPlace>,
    /// What the log's first damage is, if it was not cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Cluster>,
}

#[derive(Debug, Serialize)]
struct CutPlace {
    file: PathBuf,
    kept_bytes: u64,
    reason: String,
}

/// What is left of a cluster.
#[derive(Debug, Serialize)]
struct Cluster {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_id: Option<String>,
    lost_nodes: Vec<Node>,
    shards: Vec<Shard>,
}

#[derive(Debug, Serialize)]
struct Node {
    id: String,
    name: String,
}

/// What is left of a shard.
#[derive(Debug, Serialize)]
struct Shard {
    id: u32,
    is_here: bool,
    /// Whether the replica was meant to vote; one that was still catching up lacks more.
    is_voter: bool,
    last_entry: Option<u64>,
    newest: Option<String>,
}

pub(super) fn run(arguments: &RecoverArguments) -> anyhow::Result<()> {
    let path = &arguments.data_dir;
    let env = os_env();
    let there = env.list(path).unwrap_or_default();
    ensure!(
        there.iter().any(|name| name == "db"),
        "{} is no data directory of a node: there is no db/ in it",
        path.display()
    );
    let config = NodeConfig { data_dir: path.clone(), ..NodeConfig::default() };
    let directory = DataDirectory::take(&config)?;
    let report = recover(&env, directory.path(), arguments.accept_loss)?;
    directory.release()?;
    if arguments.json {
        output::answer(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        output::answer(&render(&report, path)?)?;
    }
    Ok(())
}

fn recover(env: &Arc<dyn Env>, path: &Path, accepts: bool) -> anyhow::Result<Report> {
    let kv = RocksKv::open(&path.join("db"), end_process_of_store)
        .with_context(|| format!("{}/db cannot be opened", path.display()))?;
    let kv: Arc<dyn Kv> = Arc::new(kv);
    let meta = NodeMeta::load(kv.as_ref())?.context("db/ does not know whose directory this is")?;
    let node = NodeId(meta.node_id);
    let mut report = Report { node: node.to_string(), ..Report::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let log = match open_log(env, path, &clock) {
        Ok(log) => log,
        Err(error) if is_log_damage(&error) && accepts => {
            report.cuts = cut(env.as_ref(), path)?.into_iter().map(CutPlace::from).collect();
            report.is_done = true;
            open_log(env, path, &clock)?
        }
        Err(error) if is_log_damage(&error) => {
            report.damage = Some(format!("{error:#}"));
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let blocks = BlockStore::new(Arc::clone(env), Arc::clone(&kv), &path.join("blocks"));
    if meta.shard_count != OF_A_CLUSTER {
        go_on_alone(&log, &blocks, meta.shard_count, accepts, &mut report)?;
        return Ok(report);
    }
    if log_is_short(&kv, &blocks, &log)? {
        bail!(
            "the log's sound part ends before what is in blocks, which a node of a cluster cannot \
             go on with; recover on another node, or start this one with an empty directory"
        );
    }
    let recovery = Recovery::open(&kv, &log, node)?;
    let mut cluster = Cluster::from(recovery.survey()?);
    if accepts {
        let new = ClusterId(files::random_bytes()?);
        recovery.accept_loss(new)?;
        cluster.new_id = Some(new.to_string());
        report.is_done = true;
    }
    report.cluster = Some(cluster);
    Ok(report)
}

/// Cuts a damaged log until it opens.
fn cut(env: &dyn Env, path: &Path) -> anyhow::Result<Vec<Cut>> {
    let options = LogOptions::new(|| 0, |_| {});
    salvage(env, &path.join("log"), &path.join(LOG_ASIDE), &options)
        .context("the log cannot be cut where it is damaged")
}

/// A node that is alone: where its log ends before its blocks do, it goes on behind them.
fn go_on_alone(
    log: &Arc<dyn LogEngine>,
    blocks: &BlockStore,
    shard_count: u32,
    accepts: bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    for number in 0..shard_count {
        let group = GroupId(FIRST_SHARD_GROUP + u64::from(number));
        let cut = blocks.seal_cut(ShardId(number))?;
        let Some(end) = cut.filter(|_| !reaches(log.as_ref(), group, cut)) else { continue };
        if !accepts {
            report.damage =
                Some(format!("the log has lost its end: blocks of shard {number} know of more"));
            return Ok(());
        }
        // Nothing of it is missing in blocks; an entry that does nothing says how far they go.
        log.submit_and_wait(Operation::RemoveGroup { group })?;
        let entries = vec![(end.next(), entry::encode_mark(Timestamp(0), 1))];
        log.submit_and_wait(Operation::Append { group, entries })?;
        report.is_done = true;
    }
    Ok(())
}

impl From<Cut> for CutPlace {
    fn from(cut: Cut) -> Self {
        Self { file: cut.file, kept_bytes: cut.kept_bytes, reason: cut.reason }
    }
}

impl From<Survey> for Cluster {
    fn from(survey: Survey) -> Self {
        let node = |(id, name): (NodeId, String)| Node { id: id.to_string(), name };
        let shards = survey.shards.into_iter().map(|(id, surveyed)| Shard {
            id: id.0,
            is_here: surveyed.is_some(),
            is_voter: surveyed.is_some_and(|shard| shard.is_voter),
            last_entry: surveyed.and_then(|shard| shard.last).map(|last| last.index.0),
            newest: surveyed.and_then(|shard| shard.newest).map(api::adjust::format_rfc3339),
        });
        Self {
            id: survey.cluster.to_string(),
            new_id: None,
            lost_nodes: survey.others.into_iter().map(node).collect(),
            shards: shards.collect(),
        }
    }
}

/// The report for people.
fn render(report: &Report, path: &Path) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for cut in &report.cuts {
        let (file, kept) = (cut.file.display(), cut.kept_bytes);
        writeln!(text, "{file}: cut after {kept} bytes, {}", cut.reason)?;
    }
    if !report.cuts.is_empty() {
        let aside = path.join(LOG_ASIDE);
        writeln!(text, "What was cut off is in {}.", aside.display())?;
    }
    if let Some(damage) = &report.damage {
        writeln!(text, "{damage}\nWhat the log holds behind that would be lost; blocks stay.")?;
    }
    if let Some(cluster) = &report.cluster {
        render_cluster(&mut text, &report.node, cluster)?;
    }
    if report.is_done {
        text.push_str("Done. Start the node as before.\n");
        if report.cluster.as_ref().is_some_and(|cluster| !cluster.lost_nodes.is_empty()) {
            text.push_str(
                "Empty the directories of all other nodes before they start: they join as new \
                 ones, and get replicas.\n",
            );
        }
    } else if report.damage.is_none() && report.cluster.is_none() {
        text.push_str("Nothing is lost here: the node starts by itself.\n");
    } else {
        text.push_str("Nothing was changed. With --accept-loss it is.\n");
    }
    Ok(text)
}

fn render_cluster(text: &mut String, node: &str, cluster: &Cluster) -> std::fmt::Result {
    match &cluster.new_id {
        Some(new) => writeln!(text, "node {node} was of cluster {}, and is {new} now", cluster.id)?,
        None => writeln!(text, "node {node} of cluster {}", cluster.id)?,
    }
    for Node { id, name } in &cluster.lost_nodes {
        writeln!(text, "lost: node {id} ({name})")?;
    }
    for shard in &cluster.shards {
        write!(text, "shard {}: ", shard.id)?;
        match (shard.is_here, shard.last_entry) {
            (false, _) => text.push_str("no replica here, so it begins empty"),
            (true, None) => text.push_str("a replica that holds nothing yet"),
            (true, Some(last)) => write!(text, "up to entry {last}")?,
        }
        if let Some(newest) = &shard.newest {
            write!(text, ", written at {newest}")?;
        }
        if shard.is_here && !shard.is_voter {
            text.push_str("; it was still catching up");
        }
        text.push('\n');
    }
    text.push_str("Whatever the others took in and this node never received is lost.\n");
    Ok(())
}
