//! What reads have unpacked and may need again: one cache for all shards of a node, bounded in
//! bytes, the longest unused goes first. What finds pages (tables, zones, names and rollups) has
//! shares of its own, so that a scan over pages does not push it out.
//!
//! Sizes are estimates: columns unpack when first asked for, after they were put in. The estimate
//! takes them as unpacked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::batch::{Details, Index, Values};

use super::hash::LookupMap;
use super::limits::{
    DECODED_CACHE_BYTES, DECODED_CACHE_ITEM_FRACTION, FIGURES_CACHE_BYTES, FINDERS_ADMITTED_EVERY,
    TABLES_ADMITTED_EVERY, TABLES_CACHE_BYTES, ZONES_CACHE_BYTES,
};
use crate::block::{Names, Rollup, TablePrints, TraceTable, Zones};

/// Unpacked parts of batches.
#[derive(Debug)]
pub struct DecodedCache {
    next_owner: AtomicU64,
    parts: Mutex<Inner>,
    /// What finds pages, by kind: each has a share that no other takes. A table is asked for each
    /// trace and cheap to do without, zones are asked by each search and dear.
    tables: Mutex<Inner>,
    zones: Mutex<Inner>,
    figures: Mutex<Inner>,
}

/// What the cache holds and has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Items held.
    pub items: usize,
    /// Their size, estimated.
    pub bytes: usize,
    /// Lookups that found something.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
}

#[derive(Debug, Default)]
struct Inner {
    bytes_max: usize,
    /// Of things for which there is no room one in so many is put in all the same.
    admitted_every: u64,
    items: LookupMap<Key, Item>,
    /// When each item was last used.
    order: BTreeMap<u64, Key>,
    next_use: u64,
    bytes: usize,
    hits: u64,
    misses: u64,
    /// How often something was to be put in for which there was no room.
    crowded: u64,
}

/// Names a part of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The shard, by a number that no other shard of this process ever had.
    pub(super) owner: u64,
    /// The batch, by its number within the shard.
    pub(super) batch: u64,
    pub(super) part: CachedPart,
}

/// Which part of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CachedPart {
    Index,
    Values,
    Details,
    Table,
    Names,
    Zones,
    Rollup,
}

/// A part of a batch, unpacked.
#[derive(Debug, Clone)]
pub(super) enum Decoded {
    Index(Arc<Index>),
    Values(Arc<Values>),
    Details(Arc<Details>),
    Table(Arc<RunTable>),
    Names(Arc<Names>),
    Zones(Arc<Zones>),
    Rollup(Arc<Rollup>),
}

/// What is kept of a table of traces.
#[derive(Debug)]
pub(super) enum RunTable {
    /// All of it.
    Whole(TraceTable),
    /// What denies most traces; the rest is read where it lies.
    Prints(TablePrints),
}

impl RunTable {
    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Whole(table) => table.memory_bytes(),
            Self::Prints(prints) => prints.memory_bytes(),
        }
    }
}

#[derive(Debug)]
struct Item {
    decoded: Decoded,
    bytes: usize,
    last_use: u64,
}

impl Default for DecodedCache {
    fn default() -> Self {
        Self::new(DECODED_CACHE_BYTES)
    }
}

impl DecodedCache {
    /// A cache of at most this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let inner = |bytes_max, admitted_every| {
            Mutex::new(Inner { bytes_max, admitted_every, ..Inner::default() })
        };
        Self {
            next_owner: AtomicU64::new(0),
            parts: inner(bytes_max, 1),
            tables: inner(TABLES_CACHE_BYTES, TABLES_ADMITTED_EVERY),
            zones: inner(ZONES_CACHE_BYTES, FINDERS_ADMITTED_EVERY),
            figures: inner(FIGURES_CACHE_BYTES, FINDERS_ADMITTED_EVERY),
        }
    }

    /// What it holds and has done.
    pub fn stats(&self) -> CacheStats {
        stats(&self.parts)
    }

    /// The same of what finds pages.
    pub fn table_stats(&self) -> CacheStats {
        let mut sum = CacheStats::default();
        for share in [&self.tables, &self.zones, &self.figures] {
            let CacheStats { items, bytes, hits, misses } = stats(share);
            sum.items += items;
            sum.bytes += bytes;
            sum.hits += hits;
            sum.misses += misses;
        }
        sum
    }

    /// A number for a shard that puts things in.
    pub(super) fn new_owner(&self) -> u64 {
        self.next_owner.fetch_add(1, Ordering::Relaxed)
    }

    /// An item and its size.
    pub(super) fn get(&self, key: Key) -> Option<(Decoded, usize)> {
        let mut inner = lock(self.share(key.part));
        let Inner { items, order, next_use, hits, misses, .. } = &mut *inner;
        let Some(item) = items.get_mut(&key) else {
            *misses += 1;
            return None;
        };
        *hits += 1;
        order.remove(&item.last_use);
        item.last_use = *next_use;
        order.insert(*next_use, key);
        *next_use += 1;
        Some((item.decoded.clone(), item.bytes))
    }

    /// [`Self::put`], if it is admitted.
    pub(super) fn offer(&self, key: Key, decoded: Decoded, bytes: usize) {
        if self.admits(key.part, bytes) {
            self.put(key, decoded, bytes);
        }
    }

    /// Puts something in and takes out what was longest unused, as far as there is no room.
    pub(super) fn put(&self, key: Key, decoded: Decoded, bytes: usize) {
        let mut inner = lock(self.share(key.part));
        if bytes > inner.bytes_max / DECODED_CACHE_ITEM_FRACTION {
            return;
        }
        inner.remove(&key);
        let last_use = inner.next_use;
        inner.next_use += 1;
        inner.order.insert(last_use, key);
        inner.items.insert(key, Item { decoded, bytes, last_use });
        inner.bytes += bytes;
        while inner.bytes > inner.bytes_max {
            let Some((_, oldest)) = inner.order.first_key_value() else { break };
            let oldest = *oldest;
            inner.remove(&oldest);
        }
    }

    /// Whether something of what finds pages should be put in: as long as there is room, and else
    /// now and then. If all blocks are asked in turn and do not fit, and each were put in, each
    /// would be gone when it is asked again.
    pub(super) fn admits(&self, part: CachedPart, bytes: usize) -> bool {
        let mut inner = lock(self.share(part));
        if bytes > inner.bytes_max / DECODED_CACHE_ITEM_FRACTION {
            return false;
        }
        if inner.bytes + bytes <= inner.bytes_max {
            return true;
        }
        inner.crowded += 1;
        inner.crowded.is_multiple_of(inner.admitted_every)
    }

    fn share(&self, part: CachedPart) -> &Mutex<Inner> {
        match part {
            CachedPart::Index | CachedPart::Values | CachedPart::Details => &self.parts,
            CachedPart::Table => &self.tables,
            CachedPart::Zones => &self.zones,
            CachedPart::Names | CachedPart::Rollup => &self.figures,
        }
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stats(inner: &Mutex<Inner>) -> CacheStats {
    let inner = lock(inner);
    let Inner { bytes, hits, misses, .. } = *inner;
    CacheStats { items: inner.items.len(), bytes, hits, misses }
}

impl Inner {
    fn remove(&mut self, key: &Key) {
        if let Some(item) = self.items.remove(key) {
            self.order.remove(&item.last_use);
            self.bytes = self.bytes.saturating_sub(item.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::batch::{Batch, Builder, encode};
    use model::{BatchId, Tenant};

    use super::*;

    #[test]
    fn the_longest_unused_goes_first() {
        let batch = encode(&Builder::new(Tenant::default()), BatchId::default());
        let index = Arc::new(Batch::open(batch.into()).unwrap().index().unwrap());
        let cache = DecodedCache::new(100);
        let key = |batch| Key { owner: 1, batch, part: CachedPart::Index };
        let put = |number, bytes| cache.put(key(number), Decoded::Index(index.clone()), bytes);
        put(0, 26);
        assert_eq!(cache.stats().items, 0, "one item may not take more than a quarter");
        for number in 1..=4 {
            put(number, 25);
        }
        assert!(cache.get(key(1)).is_some());
        put(5, 25);
        assert!(cache.get(key(2)).is_none() && cache.get(key(1)).is_some());
        put(5, 10);
        assert!(cache.admits(CachedPart::Index, 20) && !cache.admits(CachedPart::Index, 26));
        let stats = cache.stats();
        assert_eq!((stats.items, stats.bytes), (4, 85));
        assert_eq!((stats.hits, stats.misses), (2, 1));
    }

    #[test]
    fn of_what_has_no_room_little_is_put_in() {
        let cache = DecodedCache::new(100);
        let key = |batch| Key { owner: 1, batch, part: CachedPart::Zones };
        let bytes = ZONES_CACHE_BYTES / DECODED_CACHE_ITEM_FRACTION;
        let zones = Decoded::Zones(Arc::default());
        for number in 0..4 {
            cache.offer(key(number), zones.clone(), bytes);
        }
        assert_eq!(cache.table_stats().items, 4);
        let times = 10 * FINDERS_ADMITTED_EVERY;
        (10..10 + times).for_each(|number| cache.offer(key(number), zones.clone(), bytes));
        let put_in = (10..10 + times).filter(|number| cache.get(key(*number)).is_some()).count();
        assert_eq!(put_in, 4, "the last ones that were put in");
        let admitted = (0..times).filter(|_| cache.admits(CachedPart::Zones, bytes)).count();
        assert_eq!(admitted as u64, times / FINDERS_ADMITTED_EVERY);
        assert!(cache.admits(CachedPart::Table, 1), "each kind has a share of its own");
    }
}
