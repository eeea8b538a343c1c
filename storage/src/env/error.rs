//! Why the file system refused: what was tried, on which path, and the system's own answer.

use std::io;
use std::path::{Path, PathBuf};

/// A failed call of [`Env`](super::Env) or of one of its files.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct EnvError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl EnvError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), source }
    }

    /// What was tried: a verb such as `sync`.
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The file or directory it was tried on.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's kind of failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// True if the device or the quota is full.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}
