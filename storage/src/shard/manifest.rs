//! What the manifest says of a shard: its blocks, and what it remembers besides spans.
//!
//! The state is that at the seal cut. What the shard remembers of batches and requests grows with
//! every seal; each seal writes what it added in chunks of its own, so that the bytes written are a
//! small part of the bytes sealed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_bytes, put_varint};
use model::store::RequestDigest;
use model::{BatchId, ShardId, Tenant, Timestamp};

use super::block_store::BlockStore;
use super::blocks::Block;
use super::handle::{ChunkInfo, Shard, State};
use super::limits::{BATCH_IDS_MAX, BLOCKS_MAX, DIGESTS_MAX, TENANTS_MAX, WINDOW_CHUNK_THINGS};
use super::retention::bucket_of;
use super::window::RequestPart;
use crate::Error;
use crate::keys::ShardKey;
use crate::kv::{Family, WriteBatch};
use crate::log::LogIndex;
use crate::mutant::{self, Mutant};

/// The version that is written. Rows of version 1 have no fence; those of version 2 do not say when
/// a tenant's last entry was.
const VERSION: u8 = 3;

/// What is remembered of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TenantState {
    /// It has had data since it was last purged.
    pub(super) has_data: bool,
    /// The entry that purged it; 0 if none did.
    pub(super) purged_at: u64,
    /// The bucket of its last batch or purge: when that is dropped, nothing is left of it.
    pub(super) last_bucket: u64,
}

/// What the shard remembers at its seal cut, but for requests and batches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct StateRow {
    pub(super) cut: u64,
    pub(super) stamp: Timestamp,
    pub(super) next_block: u64,
    /// By class: the last bucket that was dropped.
    pub(super) dropped: BTreeMap<u8, u64>,
    pub(super) tenants: BTreeMap<Tenant, TenantState>,
    /// The ring epoch of the last fence; 0 if there was none.
    pub(super) fenced: u32,
}

/// Requests and batches, in the order of the entries that brought them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WindowChunk {
    pub(super) batch_ids: Vec<(LogIndex, BatchId)>,
    pub(super) digests: Vec<(LogIndex, Timestamp, RequestPart)>,
}

/// What the manifest says of a block besides its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BlockRow {
    /// The length of its file.
    pub(super) file_bytes: u64,
    /// It was found damaged, and what was made since may not count what is in it.
    pub(super) is_set_aside: bool,
}

impl BlockRow {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = self.file_bytes.to_be_bytes().to_vec();
        out.extend(self.is_set_aside.then_some(1));
        out
    }

    /// Never fails: which blocks there are is in the keys.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Self { file_bytes: u64::from_be_bytes(*length), is_set_aside: !rest.is_empty() }
    }
}

impl StateRow {
    /// By tenant: the entry that purged it.
    pub(super) fn purged(&self) -> BTreeMap<Tenant, u64> {
        let purged = self.tenants.iter().filter(|(_, state)| state.purged_at > 0);
        purged.map(|(tenant, state)| (tenant.clone(), state.purged_at)).collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for number in [self.cut, self.stamp.0, self.next_block, self.dropped.len() as u64] {
            put_varint(&mut out, number);
        }
        for (class, bucket) in &self.dropped {
            out.push(*class);
            put_varint(&mut out, *bucket);
        }
        put_varint(&mut out, self.tenants.len() as u64);
        for (tenant, state) in &self.tenants {
            put_bytes(&mut out, tenant.as_str().as_bytes());
            put_varint(&mut out, state.purged_at << 1 | u64::from(state.has_data));
            put_varint(&mut out, state.last_bucket);
        }
        put_varint(&mut out, u64::from(self.fenced));
        finish(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let (version, mut cursor) = begin(bytes)?;
        let mut row = Self {
            cut: cursor.varint()?,
            stamp: Timestamp(cursor.varint()?),
            next_block: cursor.varint()?,
            ..Self::default()
        };
        for _ in 0..cursor.count(usize::from(u8::MAX) + 1)? {
            let class = cursor.byte()?;
            row.dropped.insert(class, cursor.varint()?);
        }
        for _ in 0..cursor.count(bytes.len())? {
            let name = std::str::from_utf8(cursor.bytes()?).ok();
            let tenant = name.and_then(|name| Tenant::stored(name).ok());
            let tenant = tenant.ok_or(ColumnError::new("not a tenant's name"))?;
            let packed = cursor.varint()?;
            let (has_data, purged_at) = (packed & 1 != 0, packed >> 1);
            // Before there was the field: as late as can be.
            let last_bucket = if version > 2 { cursor.varint()? } else { bucket_of(row.stamp) };
            let state = TenantState { has_data, purged_at, last_bucket };
            row.tenants.insert(tenant, state);
        }
        if version > 1 {
            row.fenced = cursor.varint_u32()?;
        }
        Ok(row)
    }
}

impl WindowChunk {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.batch_ids.len() as u64);
        for (index, id) in &self.batch_ids {
            put_varint(&mut out, index.0);
            out.extend_from_slice(id.as_bytes());
        }
        put_varint(&mut out, self.digests.len() as u64);
        for (index, stamp, part) in &self.digests {
            put_varint(&mut out, index.0);
            put_varint(&mut out, stamp.0);
            out.extend_from_slice(&part.tenant.to_le_bytes());
            out.extend_from_slice(&part.digest.0);
            out.extend_from_slice(&part.rows.to_le_bytes());
        }
        finish(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let (_, mut cursor) = begin(bytes)?;
        let mut chunk = Self::default();
        let batch_ids = cursor.count(BATCH_IDS_MAX)?;
        chunk.batch_ids.reserve_exact(batch_ids);
        for _ in 0..batch_ids {
            let index = LogIndex(cursor.varint()?);
            chunk.batch_ids.push((index, BatchId(cursor.array()?)));
        }
        let digests = cursor.count(DIGESTS_MAX)?;
        chunk.digests.reserve_exact(digests);
        for _ in 0..digests {
            let index = LogIndex(cursor.varint()?);
            let stamp = Timestamp(cursor.varint()?);
            let tenant = cursor.u64()?;
            let digest = RequestDigest(cursor.array()?);
            let rows = cursor.u64()?;
            chunk.digests.push((index, stamp, RequestPart { tenant, digest, rows }));
        }
        Ok(chunk)
    }

    /// Adds it to a change of a shard's manifest, and says what the manifest has of it then. `upto`
    /// is the last entry that it covers.
    pub(super) fn put(
        &self,
        edit: &mut WriteBatch,
        shard: ShardId,
        upto: LogIndex,
    ) -> Vec<ChunkInfo> {
        let put = |(last, piece): (LogIndex, Self)| {
            edit.put(Family::Shards, &ShardKey::Window(last.0).of(shard), &piece.encode());
            piece.info(last.0)
        };
        self.pieces(upto).into_iter().map(put).collect()
    }

    /// Pieces of about [`WINDOW_CHUNK_THINGS`], each with the last entry that it covers: what an
    /// entry brought stays together.
    fn pieces(&self, upto: LogIndex) -> Vec<(LogIndex, Self)> {
        let (mut batch_ids, mut digests) = (self.batch_ids.as_slice(), self.digests.as_slice());
        let mut pieces = Vec::new();
        loop {
            let half = WINDOW_CHUNK_THINGS / 2;
            let ends = [batch_ids.get(half).map(|id| id.0), digests.get(half).map(|part| part.0)];
            let end = ends.into_iter().flatten().min().unwrap_or(upto).min(upto);
            let ids = batch_ids.partition_point(|id| id.0 <= end);
            let parts = digests.partition_point(|part| part.0 <= end);
            // Nothing is before the end only in what came from elsewhere and has no order.
            if end == upto || ids + parts == 0 {
                let rest = Self { batch_ids: batch_ids.to_vec(), digests: digests.to_vec() };
                pieces.push((upto, rest));
                return pieces;
            }
            let ((ids, later_ids), (parts, later)) =
                (batch_ids.split_at(ids), digests.split_at(parts));
            pieces.push((end, Self { batch_ids: ids.to_vec(), digests: parts.to_vec() }));
            (batch_ids, digests) = (later_ids, later);
        }
    }

    pub(super) fn info(&self, number: u64) -> ChunkInfo {
        ChunkInfo {
            number,
            batch_ids: self.batch_ids.len(),
            digests: self.digests.len(),
            stamp_max: self.digests.iter().map(|(_, stamp, _)| *stamp).max().unwrap_or_default(),
        }
    }
}

fn finish(mut out: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The version of a row, and what follows it.
fn begin(bytes: &[u8]) -> Result<(u8, Cursor<'_>), ColumnError> {
    let (content, checksum) =
        bytes.split_last_chunk().ok_or(ColumnError::new("a row of the manifest is too short"))?;
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(ColumnError::new("a row of the manifest does not have its checksum"));
    }
    let mut cursor = Cursor::new(content);
    match cursor.byte()? {
        version @ 1..=VERSION => Ok((version, cursor)),
        _ => Err(ColumnError::new("a row of the manifest is of another version")),
    }
}

impl Shard {
    /// Reads what the manifest names, and removes files that it does not name.
    pub(super) fn load(&self) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        let malformed = |reason| Error::Manifest { shard: self.id(), reason };
        store.env.create_directory(&store.shard_directory(self.id()))?;
        store.remove_unfinished(self.id())?;
        let bytes = store.kv.get(Family::Shards, &ShardKey::State.of(self.id()))?;
        let row = bytes.as_deref().map(StateRow::decode).transpose().map_err(malformed)?;
        let row = row.unwrap_or_default();
        self.state().row = bytes;
        self.load_windows(store)?;
        let named = self.scan(store, ShardKey::Block(0), ShardKey::Block(u64::MAX), BLOCKS_MAX)?;
        let row_of = |(key, value): &(Vec<u8>, Vec<u8>)| {
            ShardKey::number(key).map(|number| (number, BlockRow::decode(value)))
        };
        let named: BTreeMap<u64, BlockRow> = named.iter().filter_map(row_of).collect();
        for (number, path) in store.numbers(self.id())? {
            if !named.contains_key(&number) {
                tracing::info!(file = %path.display(), "removed a block that was never finished");
                store.env.remove(&path)?;
            }
        }
        // Merges count on without writing the row.
        let last_block = named.last_key_value().map_or(0, |(number, _)| *number);
        let mut blocks = Vec::new();
        for (number, row) in named {
            let block = self.open_block(store, number)?;
            if let Some(block) = block.as_ref().filter(|_| row.is_set_aside) {
                let shard = self.id();
                tracing::error!(%shard, block = number, "a damaged block stays set aside");
                block.set_damaged();
            }
            blocks.push(block);
        }
        let mut state = self.state();
        if row.cut > 0 {
            let skipped = u64::from(mutant::is(Mutant::SealCutTooHigh));
            state.applied = Some(LogIndex(row.cut + skipped));
            state.seal_cut = state.applied;
            state.rotated = state.applied;
        }
        state.stamp = row.stamp;
        state.fenced = row.fenced;
        state.next_block = row.next_block.max(last_block);
        let mut contents = self.contents_mut();
        contents.purged = Arc::new(row.purged());
        contents.dropped = row.dropped;
        contents.blocks = Arc::new(blocks.into_iter().flatten().collect());
        state.tenants = row.tenants;
        let applied = state.applied;
        drop(contents);
        if let Some(applied) = applied {
            self.set_applied(&mut state, applied);
        }
        self.tell_times(&state);
        drop(state);
        self.add_splits_of_blocks()
    }

    /// Opens a block that the manifest names. A damaged one is reported and left out: the rest
    /// serves, and answers say that something is missing.
    fn open_block(&self, store: &BlockStore, number: u64) -> Result<Option<Arc<Block>>, Error> {
        let path = store.path(self.id(), number);
        match Block::open(store.env.as_ref(), &path, number) {
            Ok(block) => Ok(Some(Arc::new(block))),
            Err(error) if error.is_corruption() || !self.exists(store, &path) => {
                self.report_damage(&error);
                self.state().blocks_lost.insert(number);
                self.has_lost.store(true, Ordering::Release);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn exists(&self, store: &BlockStore, path: &Path) -> bool {
        let named = store.numbers(self.id()).unwrap_or_default();
        named.iter().any(|(_, other)| other == path)
    }

    /// Says once what is damaged.
    pub(super) fn report_damage(&self, error: &crate::block::BlockError) {
        let error = error as &dyn std::error::Error;
        tracing::error!(shard = %self.id(), error, "a block is damaged and set aside");
    }

    fn load_windows(&self, store: &BlockStore) -> Result<(), Error> {
        let mut state = self.state();
        let State { chunks, batch_ids, digests, .. } = &mut *state;
        self.visit_windows(store, &mut |number, chunk| {
            chunks.push(chunk.info(number));
            for (index, id) in chunk.batch_ids {
                batch_ids.insert(index, id);
            }
            for (index, stamp, part) in chunk.digests {
                digests.insert(index, stamp, part);
            }
        })
    }

    /// Shows the chunks of the windows, the oldest first, one at a time: together they are large.
    pub(super) fn visit_windows(
        &self,
        store: &BlockStore,
        each: &mut dyn FnMut(u64, WindowChunk),
    ) -> Result<(), Error> {
        let (first, last) = (ShardKey::Window(0), ShardKey::Window(u64::MAX));
        let (first, last) = (first.of(self.id()), last.of(self.id()));
        let mut decoded = Ok(());
        store.kv.visit(Family::Shards, &first..&last, &mut |key, value| {
            match WindowChunk::decode(value) {
                Ok(chunk) => each(ShardKey::number(key).unwrap_or_default(), chunk),
                Err(error) => decoded = Err(error),
            }
            if decoded.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        decoded.map_err(|reason| Error::Manifest { shard: self.id(), reason })
    }

    fn scan(
        &self,
        store: &BlockStore,
        first: ShardKey,
        last: ShardKey,
        pairs_max: usize,
    ) -> Result<Vec<crate::kv::Pair>, Error> {
        let (first, last) = (first.of(self.id()), last.of(self.id()));
        Ok(store.kv.scan(Family::Shards, &first..&last, pairs_max)?)
    }
}

impl BlockStore {
    /// Up to where a shard's log is in blocks, as the manifest says; nothing if it was never
    /// sealed.
    pub fn seal_cut(&self, shard: ShardId) -> Result<Option<LogIndex>, Error> {
        let row = self.kv.get(Family::Shards, &ShardKey::State.of(shard))?;
        let row = row.map(|bytes| StateRow::decode(&bytes)).transpose();
        let row = row.map_err(|reason| Error::Manifest { shard, reason })?;
        Ok(row.filter(|row| row.cut > 0).map(|row| LogIndex(row.cut)))
    }

    /// Removes all files of a shard's replica, and everything that the manifest says of it.
    pub fn forget(&self, shard: ShardId) -> Result<(), Error> {
        let edit = self.edit_without(shard)?;
        self.kv.write(edit)?;
        self.kv.flush()?;
        let directory = self.shard_directory(shard);
        self.env.create_directory(&directory)?;
        self.remove_unfinished(shard)?;
        for path in self.transferred(shard)? {
            self.env.remove(&path)?;
        }
        for (_, path) in self.numbers(shard)? {
            self.env.remove(&path)?;
        }
        Ok(self.env.sync_directory(&directory)?)
    }
}

const _: () = assert!(TENANTS_MAX < BATCH_IDS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_set_aside_is_marked() {
        for is_set_aside in [false, true] {
            let row = BlockRow { file_bytes: 4_711, is_set_aside };
            assert_eq!(BlockRow::decode(&row.encode()), row);
        }
        assert_eq!(BlockRow::decode(&[1]), BlockRow::default());
    }

    #[test]
    fn rows_come_back_and_damage_is_found() {
        let tenant = |name| Tenant::new(name).unwrap();
        let row = StateRow {
            cut: 77,
            stamp: Timestamp(9_000_000_000_000),
            next_block: 12,
            dropped: [(0, 400), (3, 9)].into(),
            tenants: [
                (tenant("a"), TenantState { has_data: true, purged_at: 0, last_bucket: 2 }),
                (tenant("b"), TenantState { has_data: false, purged_at: 40, last_bucket: 2 }),
            ]
            .into(),
            fenced: 3,
        };
        let part = RequestPart { tenant: 1, digest: RequestDigest([7; 16]), rows: 3 };
        let chunk = WindowChunk {
            batch_ids: vec![(LogIndex(3), BatchId([1; 16])), (LogIndex(4), BatchId([2; 16]))],
            digests: vec![(LogIndex(4), Timestamp(9), part)],
        };
        let (row_bytes, chunk_bytes) = (row.encode(), chunk.encode());
        assert_eq!(StateRow::decode(&row_bytes).unwrap(), row);
        assert_eq!(WindowChunk::decode(&chunk_bytes).unwrap(), chunk);
        for place in 0..row_bytes.len() {
            let mut damaged = row_bytes.clone();
            damaged[place] ^= 4;
            assert!(StateRow::decode(&damaged).is_err(), "byte {place}");
        }
        // As former versions wrote it: a tenant's bucket is a byte behind its purge; the fence is
        // the last byte but for the checksum.
        let mut former = row_bytes[..row_bytes.len() - 4].to_vec();
        let ends: Vec<usize> = (1..former.len())
            .filter(|at| former[at - 1..=*at] == [b'b', 40 << 1] || former[at - 1] == b'a')
            .collect();
        assert_eq!(ends.len(), 2);
        former.remove(ends[1] + 1);
        former.remove(ends[0] + 1);
        former[0] = 2;
        assert_eq!(StateRow::decode(&finish(former.clone())).unwrap(), row);
        former.pop();
        former[0] = 1;
        assert_eq!(StateRow::decode(&finish(former)).unwrap(), StateRow { fenced: 0, ..row });
        for length in 0..chunk_bytes.len() {
            assert!(WindowChunk::decode(&chunk_bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_large_window_lies_in_pieces_that_end_with_an_entry() {
        let part = RequestPart { tenant: 1, digest: RequestDigest([7; 16]), rows: 3 };
        let digest_of = |index| (LogIndex(index), Timestamp(index), part);
        // Entries of three batches each, one in ten of which brought a request.
        let whole = WindowChunk {
            batch_ids: (1..=9_000)
                .map(|n: u64| (LogIndex(n.div_ceil(3)), BatchId([0; 16])))
                .collect(),
            digests: (1..=300).map(|n| digest_of(n * 10)).collect(),
        };
        let pieces = whole.pieces(LogIndex(3_005));
        let ends: Vec<u64> = pieces.iter().map(|(end, _)| end.0).collect();
        assert!(ends.is_sorted_by(|one, other| one < other) && ends.last() == Some(&3_005));
        let mut first = 0;
        for (end, piece) in &pieces {
            let ids = piece.batch_ids.iter().map(|id| id.0.0);
            let digests = piece.digests.iter().map(|part| part.0.0);
            assert!(ids.chain(digests).all(|index| (first + 1..=end.0).contains(&index)), "{end}");
            assert!(piece.encode().len() < 64 << 10);
            first = end.0;
        }
        let joined = WindowChunk {
            batch_ids: pieces.iter().flat_map(|(_, piece)| piece.batch_ids.clone()).collect(),
            digests: pieces.iter().flat_map(|(_, piece)| piece.digests.clone()).collect(),
        };
        assert_eq!(joined, whole);
        // An entry's own stay together, and nothing at all is a piece too.
        let one = WindowChunk { batch_ids: vec![], digests: vec![digest_of(5); 3_000] };
        assert_eq!(
            one.pieces(LogIndex(6)).iter().map(|(end, _)| end.0).collect::<Vec<_>>(),
            [5, 6]
        );
        let nothing = WindowChunk::default();
        assert_eq!(nothing.pieces(LogIndex(6)), [(LogIndex(6), nothing.clone())]);
        // Without order there are no pieces, but nothing is lost.
        let digests = (1..=3_000).rev().map(digest_of).collect();
        let disorder = WindowChunk { batch_ids: vec![], digests };
        let found = disorder.pieces(LogIndex(3_000));
        assert_eq!(found.iter().map(|(_, piece)| piece.digests.len()).sum::<usize>(), 3_000);
    }
}
