//! Commands about what people set, tenants, and the cluster version.

use std::collections::BTreeMap;

use model::{Duration, Tenant};
use storage::log::LogIndex;

use super::apply::{Done, changed, check_revision};
use super::limits::{
    REPLICATION_FACTOR_MAX, RETENTION_CLASSES_MAX, SAMPLING_BYTES_MAX, TENANTS_MAX,
};
use super::{Applied, MetaState, Refusal, Retention, RetentionClass, Sampling, Settings};

impl MetaState {
    pub(super) fn set_replication_factor(&mut self, index: LogIndex, factor: u32) -> Done {
        if factor == 0 || factor > REPLICATION_FACTOR_MAX {
            return Err(Refusal::Malformed { what: "the replication factor is out of bounds" });
        }
        let nodes = self.members().count();
        if usize::try_from(factor).map_or(true, |factor| factor > nodes) {
            return Err(Refusal::TooFewNodes { nodes, factor });
        }
        self.settings = Settings { replication_factor: factor, revision: index };
        Ok(changed(index))
    }

    pub(super) fn put_tenant(&mut self, index: LogIndex, tenant: &Tenant) -> Done {
        if let Some(since) = self.tenants.get(tenant) {
            return Ok(changed(*since));
        }
        if self.tenants.len() >= TENANTS_MAX {
            return Err(Refusal::TooMany { what: "tenants", max: TENANTS_MAX });
        }
        self.tenants.insert(tenant.clone(), index);
        Ok(changed(index))
    }

    pub(super) fn drop_tenant(&mut self, index: LogIndex, tenant: &Tenant) -> Applied {
        self.tenants.remove(tenant);
        changed(index)
    }

    pub(super) fn set_retention(
        &mut self,
        index: LogIndex,
        expected: LogIndex,
        ages: &BTreeMap<RetentionClass, Duration>,
        disk_bytes_max: Option<u64>,
    ) -> Done {
        check_revision(expected, self.retention.revision)?;
        if ages.len() > RETENTION_CLASSES_MAX {
            return Err(Refusal::TooMany { what: "retention classes", max: RETENTION_CLASSES_MAX });
        }
        // Zero would drop what was just acknowledged.
        if ages.values().any(|age| age.0 == 0) || disk_bytes_max == Some(0) {
            return Err(Refusal::Malformed { what: "nothing would be kept" });
        }
        self.retention = Retention { ages: ages.clone(), disk_bytes_max, revision: index };
        Ok(changed(index))
    }

    pub(super) fn set_sampling(
        &mut self,
        index: LogIndex,
        expected: LogIndex,
        content: &[u8],
    ) -> Done {
        check_revision(expected, self.sampling.revision)?;
        if content.len() > SAMPLING_BYTES_MAX {
            return Err(Refusal::TooMany { what: "bytes of sampling", max: SAMPLING_BYTES_MAX });
        }
        self.sampling = Sampling { content: content.to_vec(), revision: index };
        Ok(changed(index))
    }

    /// One version at a time: a cluster runs with two neighbouring ones at most.
    pub(super) fn raise_version(&mut self, index: LogIndex, to: u32) -> Done {
        if to <= self.cluster_version {
            return Ok(changed(index));
        }
        if to != self.cluster_version.saturating_add(1) {
            return Err(Refusal::Malformed { what: "a version was left out" });
        }
        let older = self.present().find(|(_, node)| node.record.version < to);
        if let Some((node, record)) = older {
            return Err(Refusal::NodeTooOld { node, version: record.record.version });
        }
        self.cluster_version = to;
        Ok(changed(index))
    }
}
