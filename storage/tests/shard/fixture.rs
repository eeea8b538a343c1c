//! What the tests of shards share: spans cut into requests, batches and entries, a shard over a
//! log in memory, and a log that damages what it is told to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use model::batch::{Builder, encode};
use model::budget::Budget;
use model::canonical::fingerprint;
use model::store::RequestDigest;
use model::testing::{Generator, ManualClock, Random, tell_spans};
use model::time::Monotonic;
use model::{BatchId, ShardId, Span, Tenant, Timestamp, TraceId, trace};
use storage::Shard;
use storage::entry::encode_data;
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::log::{
    Bounds, Done, GroupId, LogEngine, LogError, LogIndex, LogStats, MemoryLog, Operation, Rejected,
    StateSlot,
};
use storage::shard::{BlockStore, DecodedCache, ShardParts};

pub(crate) const GROUP: GroupId = GroupId(7);

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

/// A budget that lets everything through.
pub(crate) fn no_limit() -> Budget {
    Budget::new(Arc::new(ManualClock::default()), Monotonic(u64::MAX), u64::MAX)
}

/// A budget of so many bytes.
pub(crate) fn bytes_limit(bytes_max: u64) -> Budget {
    Budget::new(Arc::new(ManualClock::default()), Monotonic(u64::MAX), bytes_max)
}

/// The digest of a request of these spans.
pub(crate) fn digest(spans: &[Span]) -> RequestDigest {
    let sum = spans.iter().fold(0_u128, |sum, span| sum.wrapping_mul(31) ^ fingerprint(span));
    RequestDigest(sum.to_be_bytes())
}

/// A batch of requests.
pub(crate) fn batch(id: u64, tenant: &Tenant, requests: &[Vec<Span>]) -> Bytes {
    let mut builder = Builder::new(tenant.clone());
    for request in requests {
        builder.begin_request(digest(request));
        tell_spans(request, &mut builder);
    }
    encode(&builder, BatchId(u128::from(id).to_be_bytes())).into()
}

/// A batch of spans without requests.
pub(crate) fn plain_batch(id: u64, tenant: &Tenant, spans: &[Span]) -> Bytes {
    let mut builder = Builder::new(tenant.clone());
    tell_spans(spans, &mut builder);
    encode(&builder, BatchId(u128::from(id).to_be_bytes())).into()
}

/// A shard, its log, and what was appended.
pub(crate) struct Fixture {
    pub(crate) log: Arc<DamagingLog>,
    pub(crate) cache: Arc<DecodedCache>,
    pub(crate) shard: Shard,
    pub(crate) next_index: u64,
    pub(crate) stamp: u64,
    /// Where blocks lie, if there are to be any, and what decides when.
    pub(crate) sealing: Option<(BlockStore, Random)>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_cache(1 << 20)
    }

    pub(crate) fn with_cache(bytes_max: usize) -> Self {
        let log = Arc::new(DamagingLog::default());
        let cache = Arc::new(DecodedCache::new(bytes_max));
        let shard = new_shard(&log, &cache);
        Self { log, cache, shard, next_index: 1, stamp: 1_000, sealing: None }
    }

    /// A shard that is sealed and merged now and then, into small pages.
    pub(crate) fn sealing(seed: u64, cache_bytes: usize) -> Self {
        let mut random = Random::new(seed);
        let env = Arc::new(FaultEnv::new(seed));
        let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/blocks"));
        let store = store.with_page_rows(*random.pick(&[1, 3, 20, 4_096]));
        let store = store.with_bare_rows(*random.pick(&[0, 30, 1_024]));
        let mut fixture = Self::with_cache(cache_bytes);
        fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
        fixture.sealing = Some((store, random));
        fixture
    }

    /// Seals or merges, if chance wills it.
    pub(crate) fn upkeep(&mut self) {
        let Some((store, random)) = &mut self.sealing else { return };
        if random.one_in(4) {
            self.shard.seal(&no_limit()).unwrap();
        }
        if random.one_in(9) {
            let seals = random.one_in(2);
            let shard = &self.shard;
            let mut pause = || {
                if seals {
                    shard.seal(&no_limit()).unwrap();
                }
            };
            shard.merge_with_pauses(Timestamp(self.stamp), true, &no_limit(), &mut pause).unwrap();
        }
        if random.one_in(12) {
            // As after a start: what is not sealed is applied again.
            self.shard = open_shard(&self.log, &self.cache, store);
            self.shard.recover(None, &mut |_, _| {}).unwrap();
        }
    }

    /// The shard as it is opened again, before anything of the log is applied.
    pub(crate) fn reopened(&self) -> Shard {
        let (store, _) = self.sealing.as_ref().unwrap();
        open_shard(&self.log, &self.cache, store)
    }

    /// Appends an entry to the log and applies it.
    pub(crate) fn add_entry(&mut self, entry: &Bytes) -> storage::shard::Applied {
        let index = LogIndex(self.next_index);
        self.next_index += 1;
        let entries = vec![(index, entry.clone())];
        self.log.append(GROUP, entries, Box::new(|result| result.unwrap())).unwrap();
        self.shard.apply(index, entry).unwrap()
    }

    pub(crate) fn add(&mut self, batches: &[Bytes]) -> storage::shard::Applied {
        let entry = encode_data(Timestamp(self.stamp), 1, batches).unwrap();
        self.add_entry(&entry)
    }

    /// The same, opened as a shard of another number.
    pub(crate) fn opened_as(&self, id: ShardId) -> Shard {
        let log = || Arc::clone(&self.log) as Arc<dyn LogEngine>;
        let shard = match &self.sealing {
            Some((store, _)) => open_shard_over(id, log(), &self.cache, store),
            None => Shard::new(id, GROUP, log(), Arc::clone(&self.cache)),
        };
        shard.recover(None, &mut |_, _| {}).unwrap();
        shard
    }

    /// Another shard that re-applies the same log.
    pub(crate) fn recovered(&self) -> Shard {
        let shard = new_shard(&self.log, &self.cache);
        let mut told = Vec::new();
        shard.recover(None, &mut |index, goal| told.push((index, goal))).unwrap();
        assert_eq!(told.len() as u64, self.next_index - 1);
        shard
    }
}

pub(crate) const SHARD: ShardId = ShardId(3);

fn new_shard(log: &Arc<DamagingLog>, cache: &Arc<DecodedCache>) -> Shard {
    let log: Arc<dyn LogEngine> = Arc::clone(log) as Arc<dyn LogEngine>;
    Shard::new(SHARD, GROUP, log, Arc::clone(cache))
}

pub(crate) fn open_shard(
    log: &Arc<DamagingLog>,
    cache: &Arc<DecodedCache>,
    store: &BlockStore,
) -> Shard {
    open_shard_over(SHARD, Arc::clone(log) as Arc<dyn LogEngine>, cache, store)
}

pub(crate) fn open_shard_over(
    id: ShardId,
    log: Arc<dyn LogEngine>,
    cache: &Arc<DecodedCache>,
    store: &BlockStore,
) -> Shard {
    let parts = ShardParts {
        id,
        group: GROUP,
        log,
        unwrap: |record| Some(record.clone()),
        cache: Arc::clone(cache),
        blocks: Some(store.clone()),
    };
    Shard::open(parts).unwrap()
}

/// The distinct spans of each trace, sorted by id: what the reference looks at.
pub(crate) fn traces_of(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span.clone());
    }
    traces.into_values().map(trace::distinct).collect()
}

/// Writes spans cut at random into requests, batches and entries; requests are sent again now and
/// then, in the same batch or a later one.
pub(crate) fn write_scattered(
    fixture: &mut Fixture,
    generator: &mut Generator,
    random: &mut Random,
    tenant: &Tenant,
    spans: &[Span],
) {
    let mut requests = generator.requests(spans);
    for _ in 0..requests.len() / 4 {
        let again = random.pick(&requests).clone();
        let place = random.index(requests.len() + 1);
        requests.insert(place, again);
    }
    let mut batches = Vec::new();
    let mut rest = requests.as_slice();
    let mut id = random.next_u64();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + random.index(5)).min(rest.len()));
        id = id.wrapping_add(1);
        batches.push(if random.one_in(4) {
            plain_batch(id, tenant, &now.concat())
        } else {
            batch(id, tenant, now)
        });
        rest = later;
    }
    let mut rest = batches.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + random.index(3)).min(rest.len()));
        fixture.stamp += random.below(1_000_000_000);
        fixture.add(now);
        fixture.upkeep();
        rest = later;
    }
}

/// A log in memory that flips a bit of one entry when told to.
#[derive(Debug, Default)]
pub(crate) struct DamagingLog {
    inner: MemoryLog,
    damage: Mutex<Option<(LogIndex, usize)>>,
}

impl DamagingLog {
    /// From now on this byte of this entry reads wrong.
    pub(crate) fn damage(&self, index: LogIndex, place: usize) {
        *self.damage.lock().unwrap() = Some((index, place));
    }

    fn damaged(&self, index: LogIndex, entry: Bytes) -> Bytes {
        match *self.damage.lock().unwrap() {
            Some((damaged, place)) if damaged == index => {
                let mut bytes = entry.to_vec();
                let place = place.min(bytes.len() - 1);
                bytes[place] ^= 1;
                bytes.into()
            }
            _ => entry,
        }
    }
}

impl LogEngine for DamagingLog {
    fn try_submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        self.inner.try_submit(operation, done)
    }

    fn submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        self.inner.submit(operation, done)
    }

    fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError> {
        // A small bound, so that recovery reads several times.
        let found = self.inner.read(group, range, bytes_max.min(10_000))?;
        Ok(found.into_iter().map(|(index, entry)| (index, self.damaged(index, entry))).collect())
    }

    fn entry(&self, group: GroupId, index: LogIndex) -> Result<Option<Bytes>, LogError> {
        let entry = self.inner.entry(group, index)?;
        Ok(entry.map(|entry| self.damaged(index, entry)))
    }

    fn bounds(&self, group: GroupId) -> Bounds {
        self.inner.bounds(group)
    }

    fn groups(&self) -> Vec<GroupId> {
        self.inner.groups()
    }

    fn state(&self, group: GroupId, slot: StateSlot) -> Option<Bytes> {
        self.inner.state(group, slot)
    }

    fn stats(&self) -> LogStats {
        self.inner.stats()
    }
}
