//! Snapshots of a shard: what it is at its seal cut, for a replica that the log cannot help.
//!
//! A snapshot is a manifest: the blocks, and what the shard remembers besides spans. Nothing is
//! copied to make one; blocks are read as they are, also when they have been merged or dropped
//! meanwhile, as long as the snapshot is held. A receiver fetches the files that it lacks under
//! names that no start takes for blocks, verifies each when it is whole, and then becomes what the
//! manifest describes in one write of its own manifest.
//!
//! The receiver gives the blocks numbers of its own: a block's number names it within one replica.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use super::block_store::BlockStore;
use super::blocks::Block;
use super::contents::Contents;
use super::handle::{ChunkInfo, Shard};
use super::limits::{BATCH_IDS_MAX, BLOCKS_MAX, DIGESTS_MAX, WINDOW_CHUNKS_MAX};
use super::manifest::{StateRow, WindowChunk};
use super::scrub::Scrubbed;
use super::seal::splits_of;
use super::snapshot_manifest::{BlockName, Manifest};
use super::window::{BatchIdWindow, DigestWindow};
use crate::Error;
use crate::block::BlockFile;
use crate::env::AppendFile;
use crate::keys::ShardKey;
use crate::kv::{Family, WriteBatch};
use crate::log::LogIndex;
use crate::mutant::{self, Mutant};

/// A shard at its seal cut.
#[derive(Debug, Clone)]
pub struct ShardSnapshot {
    /// The seal cut.
    pub cut: LogIndex,
    /// What a receiver needs besides the files that it names.
    pub manifest: Bytes,
    /// Keeps the files readable.
    pub pin: SnapshotPin,
}

/// Keeps the blocks of a snapshot readable until its last clone is dropped.
#[derive(Debug, Clone)]
pub struct SnapshotPin {
    _blocks: Arc<Vec<Arc<Block>>>,
}

/// A file of a snapshot that a receiver does not have whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingBlock {
    /// What the sender calls it.
    pub name: BlockName,
    /// How much of it, from the beginning, is there.
    pub bytes_present: u64,
}

/// What fetching a snapshot has open, and what snapshots given out name.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// Files that are being received.
    incoming: BTreeMap<BlockName, Box<dyn AppendFile>>,
    /// Blocks of snapshots that are held by someone.
    pinned: BTreeMap<BlockName, Weak<Block>>,
}

impl Shard {
    /// The shard at its seal cut; nothing if it was never sealed, is damaged, or if its last change
    /// of the manifest failed. Does not wait for a seal or a merge that is under way. Reads all
    /// that is remembered of requests, so it is for whoever hands the snapshot on.
    pub fn snapshot_at_cut(&self) -> Result<Option<ShardSnapshot>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let _changing = self.changing();
        let is_sound = !self.is_closed() && !self.has_damage() && !self.is_unsettled();
        let Some(cut) = self.seal_cut().filter(|_| is_sound) else { return Ok(None) };
        let malformed = |reason| Error::Manifest { shard: self.id(), reason };
        let Some(row) = store.kv.get(Family::Shards, &ShardKey::State.of(self.id()))? else {
            return Ok(None);
        };
        let state = StateRow::decode(&row).map_err(malformed)?;
        // Invariant (REP-2): blocks and cut are of one moment.
        if state.cut != cut.0 {
            return Err(Error::Bug { what: "the manifest and the blocks in memory differ" });
        }
        let blocks = Arc::clone(&self.contents().blocks);
        let names = blocks.iter().map(|block| name(block)).collect();
        let window = Cow::Owned(self.window_at_cut(store)?.encode());
        let manifest = Manifest { state, window, blocks: names };
        let mut transfers = self.transfers();
        transfers.pinned.retain(|_, block| block.strong_count() > 0);
        for block in blocks.iter() {
            transfers.pinned.insert(name(block), Arc::downgrade(block));
        }
        let manifest = manifest.encode().into();
        Ok(Some(ShardSnapshot { cut, manifest, pin: SnapshotPin { _blocks: blocks } }))
    }

    /// Bytes of a block that a snapshot names, fewer than asked only at its end; nothing if no
    /// snapshot that is held names it.
    pub fn read_snapshot_block(
        &self,
        name: BlockName,
        offset: u64,
        length: usize,
    ) -> Result<Option<Bytes>, Error> {
        let block = self.transfers().pinned.get(&name).and_then(Weak::upgrade);
        let Some(block) = block else { return Ok(None) };
        let left = usize::try_from(name.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        let read = block.file().read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes.into()))
    }

    /// Reads every byte of a block that a snapshot names, because what came of it elsewhere is
    /// damaged; nothing if no snapshot that is held names it.
    pub fn scrub_snapshot_block(&self, name: BlockName) -> Option<Scrubbed> {
        let block = self.transfers().pinned.get(&name).and_then(Weak::upgrade)?;
        Some(self.scrub_block(&block))
    }

    /// The blocks of a manifest from elsewhere that are not here whole. Files of other snapshots
    /// that were not fetched to the end go.
    pub fn missing_blocks(&self, manifest: &[u8]) -> Result<Vec<MissingBlock>, Error> {
        let Some(store) = &self.store else { return Ok(Vec::new()) };
        let manifest = self.manifest(manifest)?;
        let is_needed = self.needs(&manifest);
        let blocks = if is_needed { manifest.blocks } else { Vec::new() };
        let mut transfers = self.transfers();
        transfers.incoming.retain(|name, _| blocks.contains(name));
        let wanted: BTreeSet<PathBuf> = blocks
            .iter()
            .flat_map(|name| [self.incoming(store, *name), self.received(store, *name)])
            .collect();
        for path in store.transferred(self.id())? {
            if !wanted.contains(&path) {
                store.env.remove(&path)?;
            }
        }
        let mut missing = Vec::new();
        for name in blocks {
            let bytes_present = match transfers.incoming.get(&name) {
                Some(file) => file.size_bytes(),
                None if self.is_whole(store, name) => name.bytes,
                None => 0,
            };
            if bytes_present != name.bytes {
                missing.push(MissingBlock { name, bytes_present });
            }
        }
        Ok(missing)
    }

    /// Adds bytes at the end of what is there of a block; verifies it when it is whole. A block
    /// that turns out damaged is forgotten and said to be damaged.
    pub fn put_snapshot_block(
        &self,
        name: BlockName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        let path = self.incoming(store, name);
        let mut transfers = self.transfers();
        let mut file = if let Some(file) = transfers.incoming.remove(&name) {
            file
        } else {
            // One that failed cannot be appended to.
            if store.transferred(self.id())?.contains(&path) {
                store.env.remove(&path)?;
            }
            store.env.create(&path)?
        };
        let end = offset.saturating_add(bytes.len() as u64);
        if file.size_bytes() != offset || end > name.bytes {
            return Err(Error::Bug { what: "a stretch of a block does not follow what is there" });
        }
        file.append(bytes)?;
        if end < name.bytes {
            transfers.incoming.insert(name, file);
            return Ok(());
        }
        drop(transfers);
        // A file that has the name of one that was received survives a loss of power.
        file.sync()?;
        match first_damage(store, &path) {
            Some(error) => {
                store.env.remove(&path)?;
                Err(error.into())
            }
            None => Ok(store.env.rename(&path, &self.received(store, name))?),
        }
    }

    /// The seal cut that a manifest describes.
    pub fn snapshot_cut(&self, manifest: &[u8]) -> Result<LogIndex, Error> {
        self.manifest(manifest).map(|manifest| LogIndex(manifest.state.cut))
    }

    /// Becomes what the manifest describes: its blocks, which are all here, and what it remembers.
    /// Nothing may be applied meanwhile. After a crash the shard is the old one or the new one.
    /// One that is past the manifest's cut stays as it is.
    pub fn install_snapshot(&self, manifest: &[u8]) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        let manifest = self.manifest(manifest)?;
        let closed = Error::Bug { what: "a closed shard is to install a snapshot" };
        let _upkeep = self.upkeep_lock().ok_or(closed)?;
        if !self.needs(&manifest) || mutant::is(Mutant::SnapshotNotInstalled) {
            return Ok(());
        }
        let window = WindowChunk::decode(&manifest.window);
        let window = window.map_err(|reason| Error::Manifest { shard: self.id(), reason })?;
        let mut installed = Vec::new();
        let forgotten = usize::from(mutant::is(Mutant::SnapshotWithoutBlock));
        for name in manifest.blocks.iter().skip(forgotten) {
            let number = self.next_block();
            let path = store.path(self.id(), number);
            store.env.rename(&self.received(store, *name), &path)?;
            installed.push(Arc::new(Block::open(store.env.as_ref(), &path, number)?));
        }
        store.env.sync_directory(&store.shard_directory(self.id()))?;
        let splits = splits_of(&installed)?;
        let row = StateRow { next_block: self.state().next_block, ..manifest.state };
        let mut edit = store.edit_without(self.id())?;
        let row_bytes = row.encode();
        edit.put(Family::Shards, &ShardKey::State.of(self.id()), &row_bytes);
        for block in &installed {
            self.name_block(&mut edit, block);
        }
        let chunks = window.put(&mut edit, self.id(), LogIndex(row.cut));
        let changing = self.commit(store, edit, &installed)?;
        self.state().row = Some(row_bytes);
        // Before reads can meet the blocks.
        self.know_splits(splits);
        self.thaw();
        let (cut, blocks) = (row.cut, installed.len());
        tracing::info!(shard = %self.id(), cut, blocks, "became what a snapshot describes");
        let old = Arc::clone(&self.contents().blocks);
        self.become_installed(&row, &window, chunks, installed);
        drop(changing);
        self.remove_blocks(store, &old)
    }

    fn become_installed(
        &self,
        row: &StateRow,
        window: &WindowChunk,
        chunks: Vec<ChunkInfo>,
        blocks: Vec<Arc<Block>>,
    ) {
        let cut = LogIndex(row.cut);
        let mut state = self.state();
        let mut contents = self.contents_mut();
        state.batch_ids = BatchIdWindow::with_room(window.batch_ids.len());
        state.digests = DigestWindow::with_room(window.digests.len());
        for (index, id) in &window.batch_ids {
            state.batch_ids.insert(*index, *id);
        }
        for (index, stamp, part) in &window.digests {
            state.digests.insert(*index, *stamp, *part);
        }
        state.chunks = chunks;
        state.stamp = row.stamp;
        state.fenced = row.fenced;
        state.seal_cut = Some(cut);
        state.rotated = Some(cut);
        state.tenants = row.tenants.clone();
        state.blocks_lost.clear();
        self.has_lost.store(false, Ordering::Release);
        for generation in &contents.generations {
            state.retired.push((cut, Arc::downgrade(generation)));
        }
        *contents = Contents {
            blocks: Arc::new(blocks),
            purged: Arc::new(row.purged()),
            dropped: row.dropped.clone(),
            ..Contents::default()
        };
        drop(contents);
        self.set_applied(&mut state, cut);
    }

    /// What the manifest remembers of requests and batches, the newest of it, as one chunk.
    fn window_at_cut(&self, store: &BlockStore) -> Result<WindowChunk, Error> {
        let mut all = WindowChunk::default();
        self.visit_windows(store, &mut |_, chunk| {
            all.batch_ids.extend(chunk.batch_ids);
            all.digests.extend(chunk.digests);
        })?;
        all.batch_ids.drain(..all.batch_ids.len().saturating_sub(BATCH_IDS_MAX));
        all.digests.drain(..all.digests.len().saturating_sub(DIGESTS_MAX));
        Ok(all)
    }

    fn manifest<'a>(&self, bytes: &'a [u8]) -> Result<Manifest<'a>, Error> {
        Manifest::decode(bytes).map_err(|reason| Error::Manifest { shard: self.id(), reason })
    }

    /// Whether the manifest describes more than is here.
    fn needs(&self, manifest: &Manifest<'_>) -> bool {
        self.has_damage() || self.seal_cut() < Some(LogIndex(manifest.state.cut))
    }

    /// Whether the block was received, maybe before the last start.
    fn is_whole(&self, store: &BlockStore, name: BlockName) -> bool {
        let path = self.received(store, name);
        let file = BlockFile::open(store.env.as_ref(), &path);
        file.is_ok_and(|file| file.size_bytes() == name.bytes)
            && first_damage(store, &path).is_none()
    }

    fn incoming(&self, store: &BlockStore, name: BlockName) -> PathBuf {
        store.incoming_path(self.id(), &name.to_string())
    }

    fn received(&self, store: &BlockStore, name: BlockName) -> PathBuf {
        store.received_path(self.id(), &name.to_string())
    }

    fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockStore {
    /// An edit that takes away everything that the manifest says of a shard.
    pub(super) fn edit_without(&self, shard: model::ShardId) -> Result<WriteBatch, Error> {
        let mut edit = WriteBatch::default();
        edit.delete(Family::Shards, &ShardKey::State.of(shard));
        for (first, last, keys_max) in [
            (ShardKey::Block(0), ShardKey::Block(u64::MAX), BLOCKS_MAX),
            (ShardKey::Window(0), ShardKey::Window(u64::MAX), WINDOW_CHUNKS_MAX),
        ] {
            let (first, last) = (first.of(shard), last.of(shard));
            for key in self.kv.keys(Family::Shards, &first..&last, keys_max)? {
                edit.delete(Family::Shards, &key);
            }
        }
        Ok(edit)
    }
}

fn name(block: &Block) -> BlockName {
    let file = block.file();
    BlockName { number: block.number(), bytes: file.size_bytes(), checksum: file.checksum() }
}

/// The first thing that is wrong with the copy of a block, every byte of it read.
fn first_damage(store: &BlockStore, path: &std::path::Path) -> Option<crate::block::BlockError> {
    match BlockFile::open(store.env.as_ref(), path) {
        Ok(file) => file.first_damage(),
        Err(error) => Some(error),
    }
}
