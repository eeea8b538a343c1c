//! `skua status --digests`: whether all replicas of each shard hold the same spans.
//!
//! For a digest a replica is read whole, so the node is asked for one shard after the other: no
//! answer keeps anybody waiting for all of them, and it can be said how far this is.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::http::Server;
use crate::output;

/// How long the digests of one shard may take: longer than the nodes give each other for them.
const DIGESTS_TIME_MAX: Duration = Duration::from_mins(5);

/// How often a shard is asked for: a replica that seals at the very moment has to be asked again.
const ATTEMPTS: usize = 3;

/// Puts into a cluster's state, as a node told it, what that node says of each shard when it is
/// asked for digests.
pub(super) fn gather(server: &Server<'_>, path: &str, cluster: &mut Value) -> anyhow::Result<()> {
    let shards = shards_mut(cluster).context("the answer is not a cluster's state")?;
    let count = shards.len();
    for (place, shard) in shards.iter_mut().enumerate() {
        let id = shard["id"].as_u64().context("a shard has no id")?;
        if is_alone(shard) {
            continue;
        }
        output::note(&format!("comparing the replicas of shard {id}, {} of {count}", place + 1));
        for _ in 0..ATTEMPTS {
            let path = format!("{path}?digest=true&shard={id}");
            let (status, body) = server.get_within(&path, DIGESTS_TIME_MAX)?;
            let said = String::from_utf8_lossy(&body);
            ensure!(status.is_success(), "the node answered {status}: {}", said.trim());
            let mut told: Value =
                serde_json::from_slice(&body).context("the answer is not a cluster's state")?;
            let is_it = |it: &&mut Value| it["id"] == id;
            let told = shards_mut(&mut told).into_iter().flatten().find(is_it);
            *shard = told.with_context(|| format!("shard {id} is no more"))?.take();
            if !replicas(shard).any(may_tell_yet) {
                break;
            }
        }
    }
    Ok(())
}

/// An error that names the shards whose replicas differ, or could not all be compared.
pub(super) fn judge(cluster: &Value) -> anyhow::Result<()> {
    let mut said = Vec::new();
    for shard in cluster["shards"].as_array().into_iter().flatten() {
        if is_alone(shard) {
            continue;
        }
        let id = &shard["id"];
        let digests: BTreeSet<&str> =
            replicas(shard).filter_map(|replica| replica["digest"].as_str()).collect();
        if digests.len() > 1 {
            said.push(format!("the replicas of shard {id} hold different spans"));
        }
        let silent = replicas(shard).filter(|replica| !replica["digest"].is_string());
        said.extend(silent.map(|replica| {
            let node = replica["node"].as_str().unwrap_or("?");
            format!("the replica of shard {id} on {node} was not compared: ask again later")
        }));
        if replicas(shard).next().is_none() {
            said.push(format!("shard {id} has no replicas"));
        }
    }
    ensure!(said.is_empty(), "{}", said.join("\n"));
    Ok(())
}

fn shards_mut(cluster: &mut Value) -> Option<&mut Vec<Value>> {
    cluster.get_mut("shards")?.as_array_mut()
}

/// Whether a replica answers and has told no digest.
fn may_tell_yet(replica: &Value) -> bool {
    !replica["digest"].is_string() && replica["state"] == "present"
}

/// Whether a shard has one replica, which cannot differ from another.
fn is_alone(shard: &Value) -> bool {
    replicas(shard).count() == 1
}

fn replicas(shard: &Value) -> impl Iterator<Item = &Value> {
    shard["replicas"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_said_which_replicas_differ_and_which_were_not_compared() {
        let shard = |id: u64, digests: &[Option<&str>]| {
            let replicas = digests.iter().enumerate().map(|(node, digest)| {
                json!({"node": format!("node-{node}"), "state": "present", "digest": digest})
            });
            json!({"id": id, "replicas": replicas.collect::<Vec<_>>()})
        };
        let judged =
            |shards: &[Value]| judge(&json!({"shards": shards})).map_err(|error| error.to_string());
        let told = |state: &str, digest: Option<&str>| {
            may_tell_yet(&json!({"state": state, "digest": digest}))
        };
        assert!(told("present", None));
        assert!(!told("unreachable", None) && !told("present", Some("1f")));
        let (one, other) = (Some("1f"), Some("2e"));
        assert_eq!(judged(&[shard(0, &[one, one, one]), shard(1, &[None])]), Ok(()));
        let said = judged(&[
            shard(0, &[one, one, other]),
            shard(1, &[one, None, one]),
            shard(2, &[]),
            shard(3, &[one, one]),
        ]);
        let expected = "\
the replicas of shard 0 hold different spans
the replica of shard 1 on node-1 was not compared: ask again later
shard 2 has no replicas";
        assert_eq!(said, Err(expected.to_owned()));
    }
}
