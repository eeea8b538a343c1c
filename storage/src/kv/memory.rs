//! The store in memory: what [`RocksKv`](super::RocksKv) must equal.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use super::{Family, Kv, KvError, Visitor, WriteBatch, WriteOperation};

type Pairs = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

/// A store that ends with its value. Durable means nothing here.
#[derive(Debug, Default)]
pub struct MemoryKv {
    pairs: RwLock<Pairs>,
}

impl MemoryKv {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Kv for MemoryKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        Ok(pairs.get(&(family, key.to_vec())).cloned())
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
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        let range = (family, range.start.to_vec())..(family, range.end.to_vec());
        // That it was broken off is not the caller's concern.
        let _ = pairs.range(range).try_for_each(|((_, key), value)| each(key, value));
        Ok(())
    }

    fn write(&self, batch: WriteBatch) -> Result<(), KvError> {
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        for operation in batch.into_operations() {
            match operation {
                WriteOperation::Put(family, key, value) => pairs.insert((family, key), value),
                WriteOperation::Delete(family, key) => pairs.remove(&(family, key)),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), KvError> {
        Ok(())
    }
}
