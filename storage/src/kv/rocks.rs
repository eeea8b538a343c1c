//! The store in RocksDB: the only file that names it.
//!
//! Without a write-ahead log: a write is durable when the memory tables were flushed. All families
//! are flushed together (`atomic_flush`), so that a batch over several of them survives whole or
//! not at all. Settings are small: the whole store has [`KV_BYTES`] of memory.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, ErrorKind,
    FlushOptions, Options, ReadOptions, WriteOptions,
};
use std::sync::Arc;

use super::{Family, Kv, KvError, Visitor, WriteBatch, WriteOperation};

/// Memory of the store: its share of the memory table of a node.
const KV_BYTES: usize = 12 * 1024 * 1024;
/// Of these, for blocks that were read, indexes and filters included: what a node reads of it, it
/// reads when it starts, once.
const CACHE_BYTES: usize = 2 * 1024 * 1024;
/// Of these, for writes that are not flushed yet, over all families.
const WRITE_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Files held open; the store is small.
const OPEN_FILES_MAX: i32 = 64;
/// Bytes of the store's own text log, in two files.
const TEXT_LOG_BYTES: usize = 1024 * 1024;

// What is left is for the tables' readers, compactions and the allocator.
const _: () = assert!(CACHE_BYTES + WRITE_BUFFER_BYTES < KV_BYTES);

/// A store in a directory of its own.
///
/// RocksDB whose background work met an error takes no more writes, also when the cause is gone
/// (its wiki, *Background error handling*): only opening it again helps, so whoever opens it says
/// what is to happen then.
pub struct RocksKv {
    db: DB,
    failed: Failed,
}

/// Told of an error after which the store takes no more writes.
type Failed = Box<dyn Fn(&KvError) + Send + Sync>;

impl fmt::Debug for RocksKv {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RocksKv").field("db", &self.db).finish_non_exhaustive()
    }
}

impl RocksKv {
    /// Opens the store in `directory`, creating both if needed. Only one process may. `failed` is
    /// told of a write or a flush that failed for another reason than room: the store is of no
    /// use from then on until it is opened again.
    pub fn open(
        directory: &Path,
        failed: impl Fn(&KvError) + Send + Sync + 'static,
    ) -> Result<Self, KvError> {
        let failed: Failed = Box::new(failed);
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(&cache)));
        let opened = DB::open_cf_descriptors(&options(), directory, families);
        opened.map(|db| Self { db, failed }).map_err(|error| match kv_error(&error) {
            KvError::Io { reason } => KvError::Unusable { reason },
            other => other,
        })
    }

    fn told(&self, error: &rocksdb::Error) -> KvError {
        let error = kv_error(error);
        if !error.is_out_of_space() {
            (self.failed)(&error);
        }
        error
    }

    fn family(&self, family: Family) -> Result<Arc<BoundColumnFamily<'_>>, KvError> {
        let name = family.name();
        let missing = || KvError::Corrupt { reason: format!("column family {name} is missing") };
        self.db.cf_handle(name).ok_or_else(missing)
    }
}

impl Kv for RocksKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let family = self.family(family)?;
        self.db.get_cf(&family, key).map_err(|error| kv_error(&error))
    }

    fn visit(
        &self,
        family: Family,
        range: Range<&[u8]>,
        each: &mut Visitor<'_>,
    ) -> Result<(), KvError> {
        if range.start >= range.end {
            return Ok(());
        }
        let family = self.family(family)?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(range.end);
        // What a start or a snapshot reads once would only push out what is asked for often.
        options.fill_cache(false);
        let mut pairs = self.db.raw_iterator_cf_opt(&family, options);
        pairs.seek(range.start);
        while let Some((key, value)) = pairs.item() {
            if each(key, value).is_break() {
                return Ok(());
            }
            pairs.next();
        }
        // It ends at damage as it does at the end.
        pairs.status().map_err(|error| kv_error(&error))
    }

    fn write(&self, batch: WriteBatch) -> Result<(), KvError> {
        let mut writes = rocksdb::WriteBatch::default();
        for operation in batch.into_operations() {
            match operation {
                WriteOperation::Put(family, key, value) => {
                    writes.put_cf(&self.family(family)?, key, value);
                }
                WriteOperation::Delete(family, key) => {
                    writes.delete_cf(&self.family(family)?, key);
                }
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(writes, &options).map_err(|error| self.told(&error))
    }

    fn flush(&self) -> Result<(), KvError> {
        let families = Family::ALL.map(|family| self.family(family));
        let families = families.into_iter().collect::<Result<Vec<_>, _>>()?;
        let families: Vec<_> = families.iter().collect();
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db.flush_cfs_opt(&families, &options).map_err(|error| self.told(&error))
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(true);
    options.set_paranoid_checks(true);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(TEXT_LOG_BYTES);
    options
}

fn family_options(cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES / 4);
    options.set_max_write_buffer_number(2);
    options
}

fn kv_error(error: &rocksdb::Error) -> KvError {
    let reason = error.as_ref().to_owned();
    match error.kind() {
        ErrorKind::Corruption => KvError::Corrupt { reason },
        // The library tells a full disk apart in its text only.
        ErrorKind::IOError if reason.contains("No space left") => KvError::OutOfSpace { reason },
        ErrorKind::InvalidArgument | ErrorKind::Busy => KvError::Unusable { reason },
        _ => KvError::Io { reason },
    }
}
