//! Where blocks lie: files through [`Env`], their names in the key-value store.
//!
//! Order of every change: the file is written and synced, its directory is synced, the manifest
//! edit is written and flushed, and only then are inputs unlinked or the log purged. So a file that
//! the manifest does not name may go, and a named file that is missing is damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::ShardId;

use super::limits::FIRST_SEAL_PARTS;
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
    /// Where in its turn each shard begins to seal, if shards of several nodes are to take turns.
    turns: Option<u32>,
}

impl BlockStore {
    /// Blocks in `directory`, one directory for each shard in it, named by `kv`.
    pub fn new(env: Arc<dyn Env>, kv: Arc<dyn Kv>, directory: &Path) -> Self {
        let sizes = PageSizes {
            rows: PAGE_ROWS,
            rollup_bytes_per_span: ROLLUP_BYTES_PER_SPAN,
            bare_rows: BARE_RUN_ROWS,
        };
        Self { env, kv, directory: directory.to_path_buf(), sizes, turns: None }
    }

    /// Has shards seal their first heads early, each at a part of its own, from a beginning that
    /// should differ between replicas. The same of a head that follows one which was sealed before
    /// it was full, because somebody asked for it or for its age: that happens to all shards at
    /// once.
    ///
    /// Spans come to all shards alike, so that heads would be full at the same moment, on every
    /// replica: the sealing of all of them then takes the processors and disks from whoever waits
    /// for an acknowledgement. Once apart they stay apart.
    #[must_use]
    pub fn in_turns(self, beginning: u32) -> Self {
        Self { turns: Some(beginning), ..self }
    }

    /// At how much the first head of a shard, or one out of turn, is sealed, where others are
    /// sealed at `full`.
    pub(super) fn first_seal(&self, shard: ShardId, full: u64) -> u64 {
        let Some(beginning) = self.turns else { return full };
        // By the golden ratio: however many shards there are, they lie evenly.
        let turn = beginning.wrapping_add(shard.0.wrapping_mul(0x9E37_79B9)) >> 16;
        let least = full / FIRST_SEAL_PARTS;
        least + (((full - least) * u64::from(turn)) >> 16)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::FaultEnv;
    use crate::kv::MemoryKv;

    #[test]
    fn first_heads_are_sealed_at_different_sizes() {
        const FULL: u64 = 1 << 18;
        let store = BlockStore::new(
            Arc::new(FaultEnv::new(1)),
            Arc::new(MemoryKv::new()),
            Path::new("/blocks"),
        );
        assert_eq!(store.first_seal(ShardId(3), FULL), FULL);
        for beginning in [0, 1 << 31, 0xe3e3_e3e3, u32::MAX] {
            let store = store.clone().in_turns(beginning);
            let mut sizes: Vec<u64> =
                (0..6).map(|shard| store.first_seal(ShardId(shard), FULL)).collect();
            sizes.sort_unstable();
            assert!(sizes[0] >= FULL / FIRST_SEAL_PARTS && sizes[5] <= FULL, "{sizes:?}");
            // A sixth of the turn would be even.
            let apart = sizes.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
            assert!(apart >= FULL / 24, "{sizes:?}");
        }
    }
}
