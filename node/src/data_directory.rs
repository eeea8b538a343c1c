//! The data directory: made, locked, and, if it is ephemeral, removed.
//!
//! Layout: `LOCK` (held while a node runs), `log/` (what was acknowledged), `db/` (what can be made
//! again from it), and `EPHEMERAL` in a directory that is removed when the node stops. That mark is
//! why no directory with anything else in it is ever removed: one without the mark must be empty
//! to become ephemeral.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use storage::env::{DirectoryLock, Env, OsEnv};

use crate::config::NodeConfig;

/// Name of the mark of a directory that is removed at exit.
const EPHEMERAL_MARK: &str = "EPHEMERAL";

/// A data directory that this process owns.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    is_ephemeral: bool,
    lock: Box<dyn DirectoryLock>,
}

impl DataDirectory {
    /// Makes the directory if it is not there, and takes it.
    pub(crate) fn take(config: &NodeConfig) -> anyhow::Result<Self> {
        let path = config.data_dir.clone();
        let shown = path.display().to_string();
        let env = OsEnv::new();
        env.create_directory(&path)
            .with_context(|| format!("the data directory {shown} cannot be made"))?;
        let before = env.list(&path)?;
        let lock = env.lock(&path).map_err(|error| {
            let is_held = error.kind() == std::io::ErrorKind::ResourceBusy;
            let error = anyhow::Error::new(error);
            if is_held {
                error.context(format!("another node is running in the data directory {shown}"))
            } else {
                error.context(format!("the data directory {shown} cannot be locked"))
            }
        })?;
        let is_marked = before.iter().any(|name| name == EPHEMERAL_MARK);
        if config.ephemeral && !is_marked {
            ensure!(
                before.is_empty(),
                "the directory {shown} is not empty; it would be removed at exit because of \
                 --ephemeral"
            );
            env.create(&path.join(EPHEMERAL_MARK))?.sync()?;
        }
        ensure!(
            config.ephemeral || !is_marked,
            "the data directory {shown} belongs to an ephemeral node that was killed; remove it or \
             start with --ephemeral"
        );
        Ok(Self { path, is_ephemeral: config.ephemeral, lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets go of the directory, and removes it if it is ephemeral.
    pub(crate) fn release(self) -> anyhow::Result<()> {
        if self.is_ephemeral {
            remove(&self.path).with_context(|| {
                format!("the ephemeral data directory {} cannot be removed", self.path.display())
            })?;
        }
        drop(self.lock);
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "storage::env cannot remove directories, because storage never does; nothing here is \
              data that a crash test could lose"
)]
fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        // A mount point cannot be removed, only emptied.
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path, ephemeral: bool) -> NodeConfig {
        NodeConfig { data_dir: path.to_path_buf(), ephemeral, ..NodeConfig::default() }
    }

    #[test]
    fn a_directory_has_one_owner() {
        let parent = tempfile::tempdir().unwrap();
        let config = config(&parent.path().join("a/b"), false);
        let first = DataDirectory::take(&config).unwrap();
        let error = DataDirectory::take(&config).unwrap_err().to_string();
        assert!(error.starts_with("another node is running in the data directory"), "{error}");
        first.release().unwrap();
        DataDirectory::take(&config).unwrap().release().unwrap();
        assert!(config.data_dir.is_dir());
    }

    #[test]
    fn only_what_is_ephemeral_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        DataDirectory::take(&config(&path, true)).unwrap().release().unwrap();
        assert!(!path.exists());
        DataDirectory::take(&config(&path, false)).unwrap().release().unwrap();
        let error = DataDirectory::take(&config(&path, true)).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        assert!(path.exists());
    }

    #[test]
    fn an_ephemeral_node_that_was_killed_may_come_back() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        drop(DataDirectory::take(&config(&path, true)).unwrap());
        let error = DataDirectory::take(&config(&path, false)).unwrap_err().to_string();
        assert!(error.contains("ephemeral node that was killed"), "{error}");
        DataDirectory::take(&config(&path, true)).unwrap().release().unwrap();
        assert!(!path.exists());
    }
}
