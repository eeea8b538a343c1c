//! A node whose small store is damaged: it does not know who it is, and comes back as another one.
//!
//! `db/` holds the node's id, its replicas and the ids that must never be used again. Without it
//! nothing in the directory may be used under the old id: what it voted and acknowledged is not
//! known (REP-3). If the other members say that they have all of it, everything is set aside, and
//! the node starts empty, under a new id and its old name, as after an empty disk. Else it does not
//! start: the damage is for people to decide on.
//!
//! Invariants:
//! - before anything is moved, the directory says that it may only join a cluster, for ever: were
//!   all disks of a cluster damaged, the nodes must not found a new one over what was set aside;
//! - `db/` goes last, so that a crash in between begins here again;
//! - nothing is removed, and nothing is set aside twice: the room is for people to free.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use cluster::host::{NodeAddresses, ask_to_be_spared};
use cluster::transport::{
    GrpcTransport, Incarnation, KeyRing, LocalIdentity, OpenGate, TransportParts,
};
use model::NodeId;
use storage::env::Env;
use storage::kv::KvError;

use crate::config::NodeConfig;
use crate::store::os_env;
use crate::{clustered, files};

/// Where what cannot be used goes.
const ASIDE: &str = "damaged";

/// The mark of a directory that may only join a cluster.
const JOIN_ONLY: &str = "JOIN-ONLY";

/// What is set aside, in this order.
const PARTS: [&str; 4] = ["log", "log.damaged", "blocks", "db"];

/// How long the others are asked: they may be starting, too, or electing.
const ASK_TIME_MAX: Duration = Duration::from_secs(30);

/// How long to wait before they are asked again.
const ASK_PAUSE: Duration = Duration::from_millis(500);

/// Whether a start failed because bytes of the small store are not what was written.
pub(crate) fn is_store_damage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<KvError>().is_some_and(KvError::is_corruption))
}

/// Whether the directory belongs to a node that lost itself once.
pub(crate) fn may_only_join(directory: &Path) -> anyhow::Result<bool> {
    Ok(os_env().list(directory)?.iter().any(|name| name == JOIN_ONLY))
}

/// Sets everything aside if the others can do without it.
pub(crate) async fn start_anew(
    config: &NodeConfig,
    directory: &Path,
    keys: Option<Arc<KeyRing>>,
    damage: &anyhow::Error,
) -> anyhow::Result<()> {
    tracing::error!("{damage:#}; asking the other nodes whether they can do without this one");
    let spared = ask(config, keys).await?;
    spared.map_err(|reason| anyhow::anyhow!("{damage:#}; it does not start anew: {reason}"))?;
    let directory = directory.to_path_buf();
    let moving = tokio::task::spawn_blocking(move || {
        set_aside(os_env().as_ref(), &directory)?;
        let aside = directory.join(ASIDE).display().to_string();
        tracing::error!(aside, "the others have what this node held: it starts as a new node");
        anyhow::Ok(())
    });
    moving.await.context("setting the damaged store aside panicked")?
}

/// Asks until the others agree, or time is up.
async fn ask(
    config: &NodeConfig,
    keys: Option<Arc<KeyRing>>,
) -> anyhow::Result<Result<(), String>> {
    // Nobody: the question is not asked in anybody's name.
    let incarnation = Incarnation { start: 0, nonce: 0 };
    let nobody = LocalIdentity::new(NodeId(files::random_bytes()?), incarnation);
    let transport = GrpcTransport::new(TransportParts {
        local: Arc::new(nobody),
        directory: Arc::new(NodeAddresses::default()),
        gate: Arc::new(OpenGate),
        keys,
    });
    let transport = transport.context("there is no runtime for connections")?;
    let settings = &config.cluster;
    let seeds = clustered::resolve(&settings.seeds, settings.rpc_port);
    let started = tokio::time::Instant::now();
    loop {
        let told = ask_to_be_spared(&transport, &seeds, &config.node_name).await;
        if told.is_ok() || started.elapsed() >= ASK_TIME_MAX {
            return Ok(told);
        }
        tokio::time::sleep(ASK_PAUSE).await;
    }
}

fn set_aside(env: &dyn Env, directory: &Path) -> anyhow::Result<()> {
    let aside = directory.join(ASIDE);
    let there = env.list(directory)?;
    if !there.iter().any(|name| name == JOIN_ONLY) {
        env.create(&directory.join(JOIN_ONLY))?.sync()?;
        env.sync_directory(directory)?;
    }
    env.create_directory(&aside)?;
    let already = env.list(&aside)?;
    for part in PARTS.into_iter().filter(|part| there.iter().any(|name| name == part)) {
        if already.iter().any(|name| name == part) {
            bail!("{} holds what was set aside before; look at it, and remove it", aside.display());
        }
        env.rename(&directory.join(part), &aside.join(part))?;
    }
    env.sync_directory(&aside)?;
    env.sync_directory(directory)?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at files behind the node's back")]
mod tests {
    use super::*;

    #[test]
    fn everything_is_set_aside_once_and_the_mark_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for part in ["log", "blocks", "db"] {
            std::fs::create_dir(path.join(part)).unwrap();
            std::fs::write(path.join(part).join("file"), part).unwrap();
        }
        std::fs::write(path.join("LOCK"), "").unwrap();
        assert!(!may_only_join(path).unwrap());
        set_aside(os_env().as_ref(), path).unwrap();
        assert!(may_only_join(path).unwrap());
        for part in ["log", "blocks", "db"] {
            let moved = std::fs::read_to_string(path.join("damaged").join(part).join("file"));
            assert_eq!(moved.unwrap(), part);
            assert!(!path.join(part).exists());
        }
        assert!(path.join("LOCK").exists());
        std::fs::create_dir(path.join("db")).unwrap();
        let error = set_aside(os_env().as_ref(), path).unwrap_err().to_string();
        assert!(error.contains("set aside before"), "{error}");
        assert!(path.join("db").exists(), "nothing is lost");
    }

    #[test]
    fn only_damage_of_the_store_counts() {
        let corrupt = KvError::Corrupt { reason: "a block".into() };
        let wrapped = anyhow::Error::new(corrupt).context("db/ cannot be read");
        assert!(is_store_damage(&wrapped));
        let busy = KvError::Unusable { reason: "in use".into() };
        assert!(!is_store_damage(&anyhow::Error::new(busy)));
        assert!(!is_store_damage(&anyhow::anyhow!("something else")));
    }
}
