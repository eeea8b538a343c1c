//! The contract of a key-value store, whoever keeps it.

use std::fmt;
use std::ops::{ControlFlow, Range};

use super::KvError;

/// A part of the store with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The node's own small state.
    Meta,
    /// The shards: which blocks there are, and what is not in them.
    Shards,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 2] = [Self::Meta, Self::Shards];

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Shards => "shards",
        }
    }
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Looks at a key and its value, and says whether it wants to see the next.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered key-value store.
pub trait Kv: fmt::Debug + Send + Sync {
    /// The value under a key.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Shows the pairs of a range of keys in order, where they lie: some values are large. Ends
    /// when `each` breaks. The store may be locked meanwhile, so `each` must not come back to it.
    fn visit(
        &self,
        family: Family,
        range: Range<&[u8]>,
        each: &mut Visitor<'_>,
    ) -> Result<(), KvError>;

    /// The pairs of a range of keys in order, the first `pairs_max` of them.
    fn scan(
        &self,
        family: Family,
        range: Range<&[u8]>,
        pairs_max: usize,
    ) -> Result<Vec<Pair>, KvError> {
        let mut pairs = Vec::new();
        if pairs_max > 0 {
            self.visit(family, range, &mut |key, value| {
                pairs.push((key.to_vec(), value.to_vec()));
                go_on_while(pairs.len() < pairs_max)
            })?;
        }
        Ok(pairs)
    }

    /// The keys of a range in order, the first `keys_max` of them.
    fn keys(
        &self,
        family: Family,
        range: Range<&[u8]>,
        keys_max: usize,
    ) -> Result<Vec<Vec<u8>>, KvError> {
        let mut keys = Vec::new();
        if keys_max > 0 {
            self.visit(family, range, &mut |key, _| {
                keys.push(key.to_vec());
                go_on_while(keys.len() < keys_max)
            })?;
        }
        Ok(keys)
    }

    /// Makes all writes of the batch, or none. Visible at once, durable after [`Self::flush`].
    fn write(&self, batch: WriteBatch) -> Result<(), KvError>;

    /// Returns when everything written before is durable.
    fn flush(&self) -> Result<(), KvError>;
}

/// Writes that belong together. Later ones win over earlier ones of the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    operations: Vec<WriteOperation>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOperation {
    /// Puts a value under a key.
    Put(Family, Vec<u8>, Vec<u8>),
    /// Removes a key.
    Delete(Family, Vec<u8>),
}

impl WriteBatch {
    /// Puts a value under a key.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.operations.push(WriteOperation::Put(family, key.to_vec(), value.to_vec()));
    }

    /// Removes a key.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        self.operations.push(WriteOperation::Delete(family, key.to_vec()));
    }

    /// The writes, in order.
    pub fn into_operations(self) -> Vec<WriteOperation> {
        self.operations
    }
}

/// No key has so many bytes: all are numbers and short words.
const KEY_BYTES_MAX: usize = 64;

/// Reads everything, so that damage is found now and not in the middle of something. The store is
/// small.
pub fn read_all(kv: &dyn Kv) -> Result<(), KvError> {
    // Behind all keys.
    let end = [u8::MAX; KEY_BYTES_MAX];
    let mut whole = |_: &[u8], _: &[u8]| ControlFlow::Continue(());
    Family::ALL.into_iter().try_for_each(|family| kv.visit(family, &[]..&end, &mut whole))
}

/// What a visitor says that wants to see more as long as the condition holds.
fn go_on_while(condition: bool) -> ControlFlow<()> {
    if condition { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
