//! `skua node remove`, `skua rf set`, `skua shards add`, `skua drain`: changes of a cluster, asked
//! of any of its nodes.

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::cli::{AddShardsArguments, DrainArguments, RemoveNodeArguments, SetFactorArguments};
use crate::http::Server;
use crate::output;

/// What is read of the cluster's state to find a node.
#[derive(Debug, Deserialize)]
struct Cluster {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    name: String,
}

pub(super) fn remove_node(arguments: &RemoveNodeArguments) -> anyhow::Result<()> {
    let server = Server::with(&arguments.node, &arguments.headers.headers)?;
    let (status, body) = server.get("/api/skua/v1/cluster")?;
    if !status.is_success() {
        bail!("the node answered {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    let cluster: Cluster =
        serde_json::from_slice(&body).context("the answer is not a cluster's state")?;
    let id = find(&cluster, &arguments.id)?;
    ask(&server, "remove-node", &serde_json::json!({ "node": id }))?;
    let done = format!("node {id} gives its replicas away; `skua status` shows how far it is\n");
    Ok(output::answer(&done)?)
}

pub(super) fn set_factor(arguments: &SetFactorArguments) -> anyhow::Result<()> {
    let factor = arguments.factor;
    let server = Server::with(&arguments.node, &arguments.headers.headers)?;
    ask(&server, "replication-factor", &serde_json::json!({ "factor": factor }))?;
    let done =
        format!("each shard is to have {factor} replicas; `skua status` shows how far it is\n");
    Ok(output::answer(&done)?)
}

pub(super) fn add_shards(arguments: &AddShardsArguments) -> anyhow::Result<()> {
    let count = arguments.count;
    let server = Server::with(&arguments.node, &arguments.headers.headers)?;
    ask(&server, "add-shards", &serde_json::json!({ "count": count }))?;
    let done = format!("{count} shards are being added; `skua status` shows how far that is\n");
    Ok(output::answer(&done)?)
}

pub(super) fn drain(arguments: &DrainArguments) -> anyhow::Result<()> {
    let server = Server::with(&arguments.node, &arguments.headers.headers)?;
    ask(&server, "drain", &serde_json::json!({}))?;
    Ok(output::answer("drained: the node leads nothing that another one could lead\n")?)
}

/// The one node whose id begins so, or that has this name.
fn find<'a>(cluster: &'a Cluster, text: &str) -> anyhow::Result<&'a str> {
    let matches = |node: &&Node| node.id.starts_with(text) || node.name == text;
    let found: Vec<&Node> = cluster.nodes.iter().filter(matches).collect();
    match found.as_slice() {
        [node] => Ok(&node.id),
        [] => bail!("no node of the cluster has the id or the name `{text}`; see `skua status`"),
        several => bail!("{} nodes have the id or the name `{text}`; say more", several.len()),
    }
}

fn ask(server: &Server<'_>, what: &str, body: &serde_json::Value) -> anyhow::Result<()> {
    let path = format!("/api/skua/v1/admin/{what}");
    let (status, answer) = server.post_json(&path, body)?;
    if status.is_success() {
        return Ok(());
    }
    let said = serde_json::from_slice::<serde_json::Value>(&answer).ok();
    let message = said.as_ref().and_then(|said| said.get("error")?.get("message")?.as_str());
    match message {
        Some(message) => bail!("{message}"),
        None => bail!("the node answered {status}: {}", String::from_utf8_lossy(&answer).trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_what_is_unique_of_it() {
        let node = |id: &str, name: &str| Node { id: id.to_owned(), name: name.to_owned() };
        let nodes = vec![node("ab12", "skua-0"), node("ab34", "skua-1"), node("cd56", "skua-1")];
        let cluster = Cluster { nodes };
        assert_eq!(find(&cluster, "ab1").unwrap(), "ab12");
        assert_eq!(find(&cluster, "skua-0").unwrap(), "ab12");
        assert_eq!(find(&cluster, "cd56").unwrap(), "cd56");
        for unclear in ["ab", "skua-1", "skua", "ef"] {
            assert!(find(&cluster, unclear).is_err(), "{unclear}");
        }
    }
}
