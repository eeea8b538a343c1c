//! What a shard holds at a moment: the head, in one or two generations, and the blocks.
//!
//! Entries are applied to the newest generation. A seal begins a new one and makes blocks of the
//! old one; when they are named in the manifest, the old generation leaves the contents. Reads that
//! began before keep it (and by that, keep the log from being purged below it).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::Tenant;

use super::blocks::Block;
use super::head::TenantHead;
use super::seal::Closed;
use crate::block::BlockInfo;
use crate::log::LogIndex;

/// A generation of the head.
#[derive(Debug, Default)]
pub(super) struct Generation {
    /// Set when nothing is applied to it any more.
    pub(super) closed: OnceLock<Closed>,
    tenants: RwLock<BTreeMap<Tenant, Arc<TenantHead>>>,
}

impl Generation {
    /// The first entry that it holds anything of.
    pub(super) fn first_index(&self) -> Option<LogIndex> {
        let tenants = self.tenants();
        tenants.values().filter_map(|head| head.first_index()).min()
    }

    pub(super) fn tenants(&self) -> RwLockReadGuard<'_, BTreeMap<Tenant, Arc<TenantHead>>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tenants_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Tenant, Arc<TenantHead>>> {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that is searched.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// The head; the last one is written to, one before it is being sealed.
    pub(super) generations: Vec<Arc<Generation>>,
    /// The blocks, by number.
    pub(super) blocks: Arc<Vec<Arc<Block>>>,
    /// By tenant: the log index of the entry that removed all its data. Blocks whose last entry is
    /// before it hold nothing of the tenant, whatever their pages say.
    pub(super) purged: Arc<BTreeMap<Tenant, u64>>,
    /// By retention class: the last bucket that is gone.
    pub(super) dropped: BTreeMap<u8, u64>,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            generations: vec![Arc::default()],
            blocks: Arc::default(),
            purged: Arc::default(),
            dropped: BTreeMap::new(),
        }
    }
}

impl Contents {
    /// The generation that entries are applied to.
    pub(super) fn active(&self) -> Option<&Arc<Generation>> {
        self.generations.last()
    }

    /// Whether a block may hold spans of the tenant that count.
    pub(super) fn is_live(&self, block: &Block, tenant: &Tenant) -> bool {
        let is_purged = |purged: &u64| block.info().last_index <= *purged;
        !self.is_dropped(block.info()) && !self.purged.get(tenant).is_some_and(is_purged)
    }

    /// Whether everything in the block is gone.
    pub(super) fn is_gone(&self, block: &Block) -> bool {
        let mut runs = block.file().directory().runs.iter();
        !runs.any(|run| self.is_live(block, &run.tenant))
    }

    /// Whether the block's bucket is gone.
    pub(super) fn is_dropped(&self, info: &BlockInfo) -> bool {
        self.is_bucket_dropped(info.class, info.bucket)
    }

    /// Whether a bucket is gone.
    pub(super) fn is_bucket_dropped(&self, class: u8, bucket: u64) -> bool {
        self.dropped.get(&class).is_some_and(|dropped| bucket <= *dropped)
    }
}
