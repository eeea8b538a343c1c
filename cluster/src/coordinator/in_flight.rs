//! Bytes that were taken in and are not acknowledged yet, of all tenants and of each.
//!
//! A tenant may hold [`TENANT_TO_FREE`] times what is still free. Alone it can use most of the
//! memory; the more others use, the less it may add, and whoever comes new finds room, however hard
//! the others push (the dynamic thresholds that switches divide their buffers by: A. K. Choudhury,
//! E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{StoreError, Tenant};

use crate::error::Error;
use crate::limits::{
    RETRY_AFTER_MS, TENANT_TO_FREE, TENANTS_IN_FLIGHT_MAX, WRITE_BYTES_IN_FLIGHT_MAX,
};

/// Bytes in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    all: Arc<AtomicUsize>,
    tenants: Mutex<BTreeMap<Tenant, Arc<Share>>>,
}

/// What a tenant has in flight.
#[derive(Debug)]
pub(crate) struct Share {
    own: AtomicUsize,
    all: Arc<AtomicUsize>,
}

impl Share {
    pub(crate) fn add(&self, bytes: usize) {
        self.own.fetch_add(bytes, Ordering::Relaxed);
        self.all.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl InFlight {
    /// The tenant's share, if it may add to it now; else a refusal that says when to come back.
    pub(crate) fn share_of(&self, tenant: &Tenant) -> Result<Arc<Share>, StoreError> {
        let used = self.all.load(Ordering::Relaxed);
        let free = WRITE_BYTES_IN_FLIGHT_MAX.saturating_sub(used);
        if free == 0 {
            return Err(refused("bytes_in_flight", "the memory for writes"));
        }
        let share = self.find(tenant)?;
        if share.own.load(Ordering::Relaxed) > free.saturating_mul(TENANT_TO_FREE) {
            return Err(refused("tenant_share", "the tenant's share of the memory for writes"));
        }
        Ok(share)
    }

    fn find(&self, tenant: &Tenant) -> Result<Arc<Share>, StoreError> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = tenants.get(tenant) {
            return Ok(Arc::clone(share));
        }
        if tenants.len() >= TENANTS_IN_FLIGHT_MAX {
            // Whoever holds one may still add to it: it has to stay the only one of its tenant.
            tenants.retain(|_, share| {
                share.own.load(Ordering::Relaxed) > 0 || Arc::strong_count(share) > 1
            });
        }
        if tenants.len() >= TENANTS_IN_FLIGHT_MAX {
            return Err(Error::Busy { what: "the number of tenants writing at once" }.into());
        }
        let share = Arc::new(Share { own: AtomicUsize::new(0), all: Arc::clone(&self.all) });
        tenants.insert(tenant.clone(), Arc::clone(&share));
        Ok(share)
    }
}

fn refused(reason: &'static str, what: &'static str) -> StoreError {
    metrics::counter!("skua_write_refusals_total", "reason" => reason).increment(1);
    StoreError::Overloaded { what, retry_after_ms: RETRY_AFTER_MS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: usize) -> Tenant {
        Tenant::new(&format!("tenant-{number}")).unwrap()
    }

    /// Adds as much as is let in.
    fn fill(in_flight: &InFlight, tenant: &Tenant) -> usize {
        const STEP: usize = 64 << 10;
        let mut bytes = 0;
        while let Ok(share) = in_flight.share_of(tenant) {
            share.add(STEP);
            bytes += STEP;
        }
        bytes
    }

    #[test]
    fn one_tenant_has_most_of_it_and_leaves_room_for_others() {
        let in_flight = InFlight::default();
        let flood = fill(&in_flight, &tenant(0));
        assert!(flood >= WRITE_BYTES_IN_FLIGHT_MAX / 10 * 8, "{flood}");
        for number in 1..20 {
            assert!(in_flight.share_of(&tenant(number)).is_ok(), "tenant {number}");
        }
        assert!(matches!(
            in_flight.share_of(&tenant(0)),
            Err(StoreError::Overloaded { retry_after_ms: RETRY_AFTER_MS, .. })
        ));
        in_flight.share_of(&tenant(1)).unwrap();
        let share = in_flight.find(&tenant(0)).unwrap();
        share.remove(flood);
        assert!(in_flight.share_of(&tenant(0)).is_ok(), "what landed makes room");
    }

    #[test]
    fn two_that_push_end_with_equal_shares() {
        let in_flight = InFlight::default();
        fill(&in_flight, &tenant(0));
        fill(&in_flight, &tenant(1));
        // Requests land in turn, and both take whatever they can get.
        for round in 0..2_000 {
            let share = in_flight.find(&tenant(round % 2)).unwrap();
            share.remove(share.own.load(Ordering::Relaxed).min(256 << 10));
            fill(&in_flight, &tenant((round + 1) % 2));
            fill(&in_flight, &tenant(round % 2));
        }
        let own = |number| in_flight.find(&tenant(number)).unwrap().own.load(Ordering::Relaxed);
        let (one, other) = (own(0), own(1));
        assert!(one.abs_diff(other) < WRITE_BYTES_IN_FLIGHT_MAX / 20, "{one} and {other}");
    }

    #[test]
    fn tenants_that_are_done_are_forgotten() {
        let in_flight = InFlight::default();
        for number in 0..3 * TENANTS_IN_FLIGHT_MAX {
            in_flight.share_of(&tenant(number)).unwrap();
        }
        assert!(in_flight.tenants.lock().unwrap().len() <= TENANTS_IN_FLIGHT_MAX);
    }
}
