//! Where blocks lie: files through [`Env`], their names in the key-value store.
//!
//! Order of every change: the file is written and synced, its directory is synced, the manifest
//! edit is written and flushed, and only then are inputs unlinked or the log purged. So a file that
//! the manifest does not name may go, and a named file that is missing is damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::ShardId;

use crate::Error;
use crate::block::PageSizes;
use crate::block::limits::{BARE_RUN_ROWS, PAGE_ROWS, ROLLUP_BYTES_PER_SPAN};
use crate::env::Env;
use crate::kv::Kv;

/// The ending of the names of blocks.
const ENDING: &str = ".block";

/// The ending of the names of blocks that are being written.
const UNFINISHED: &str = ".unfinished";

/// The ending of the names of blocks that are being received.
const INCOMING: &str = ".incoming";

/// The ending of the names of blocks that were received, synced and verified, and that no
/// installation has taken yet.
const RECEIVED: &str = ".received";

/// The file system and the manifest of a node's blocks.
#[derive(Debug, Clone)]
pub struct BlockStore {
    pub(super) env: Arc<dyn Env>,
    pub(super) kv: Arc<dyn Kv>,
    directory: PathBuf,
    pub(super) sizes: PageSizes,
}

impl BlockStore {
    /// Blocks in `directory`, one directory for each shard in it, named by `kv`.
    pub fn new(env: Arc<dyn Env>, kv: Arc<dyn Kv>, directory: &Path) -> Self {
        let sizes = PageSizes {
            rows: PAGE_ROWS,
            rollup_bytes_per_span: ROLLUP_BYTES_PER_SPAN,
            bare_rows: BARE_RUN_ROWS,
        };
        Self { env, kv, directory: directory.to_path_buf(), sizes }
    }

    /// Pages of so many rows, for tests that want many of them, and no bare runs, for their runs
    /// are small.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_page_rows(self, page_rows: usize) -> Self {
        Self { sizes: PageSizes { rows: page_rows, bare_rows: 0, ..self.sizes }, ..self }
    }

    /// Runs of one page that are bare below so many rows.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_bare_rows(self, bare_rows: usize) -> Self {
        Self { sizes: PageSizes { bare_rows, ..self.sizes }, ..self }
    }

    /// Rollups of so many bytes a span, for tests whose runs are too small for any.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_rollup_bytes(self, rollup_bytes_per_span: usize) -> Self {
        Self { sizes: PageSizes { rollup_bytes_per_span, ..self.sizes }, ..self }
    }

    /// The directory of a shard.
    pub(super) fn shard_directory(&self, shard: ShardId) -> PathBuf {
        self.directory.join(format!("shard-{:06}", shard.0))
    }

    /// The file of a block.
    pub(super) fn path(&self, shard: ShardId, number: u64) -> PathBuf {
        self.shard_directory(shard).join(format!("{number:016x}{ENDING}"))
    }

    /// The file of a block while it is written.
    pub(super) fn unfinished_path(&self, shard: ShardId, number: u64) -> PathBuf {
        self.shard_directory(shard).join(format!("{number:016x}{UNFINISHED}"))
    }

    /// The file of a block while it is received.
    pub(super) fn incoming_path(&self, shard: ShardId, name: &str) -> PathBuf {
        self.shard_directory(shard).join(format!("{name}{INCOMING}"))
    }

    /// The file of a block that was received, until it is installed.
    pub(super) fn received_path(&self, shard: ShardId, name: &str) -> PathBuf {
        self.shard_directory(shard).join(format!("{name}{RECEIVED}"))
    }

    /// The files of blocks that are being received, and of those that wait to be installed.
    pub(super) fn transferred(&self, shard: ShardId) -> Result<Vec<PathBuf>, Error> {
        let directory = self.shard_directory(shard);
        let names = self.env.list(&directory)?;
        let ours = |name: &&String| name.ends_with(INCOMING) || name.ends_with(RECEIVED);
        Ok(names.iter().filter(ours).map(|name| directory.join(name)).collect())
    }

    /// Removes what a process left in the middle of writing it.
    pub(super) fn remove_unfinished(&self, shard: ShardId) -> Result<(), Error> {
        let directory = self.shard_directory(shard);
        let is_half = |name: &&String| name.ends_with(UNFINISHED) || name.ends_with(INCOMING);
        for name in self.env.list(&directory)?.iter().filter(is_half) {
            self.env.remove(&directory.join(name))?;
        }
        Ok(())
    }

    /// The blocks of which there are files, by their names.
    pub(super) fn numbers(&self, shard: ShardId) -> Result<Vec<(u64, PathBuf)>, Error> {
        let directory = self.shard_directory(shard);
        let names = self.env.list(&directory)?;
        let number = |name: &String| {
            let digits = name.strip_suffix(ENDING)?;
            Some((u64::from_str_radix(digits, 16).ok()?, directory.join(name)))
        };
        Ok(names.iter().filter_map(number).collect())
    }
}
