//! One node keeps the contract of a store of traces, over a log in memory and one on a disk.
#![cfg(test)]

use std::path::Path;
use std::sync::Arc;

use cluster::clock::SystemClock;
use cluster::coordinator::BatchIds;
use cluster::local::LocalGroup;
use cluster::{ClusterConfig, Coordinator, CoordinatorParts};
use model::testing::conformance::{self, Options};
use model::{Clock, NodeId, ShardId};
use storage::Space;
use storage::env::{Env, OsEnv};
use storage::log::{GroupId, LogEngine, LogOptions, MemoryLog, SegmentLog};
use storage::shard::{DecodedCache, Shard};

const SHARDS: u32 = 3;

fn coordinator(log: &Arc<dyn LogEngine>, directory: &Path, start: u8) -> Coordinator {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let cache = Arc::new(DecodedCache::default());
    let groups = (0..SHARDS)
        .map(|number| {
            let group = GroupId(u64::from(number) + 1);
            let shard = Shard::new(ShardId(number), group, Arc::clone(log), Arc::clone(&cache));
            shard.recover(None, &mut |_, _| {}).unwrap();
            let space = Arc::new(Space::open(Arc::new(OsEnv::new()), directory));
            let (log, clock) = (Arc::clone(log), Arc::clone(&clock));
            LocalGroup::start(group, Arc::new(shard), log, clock, space).unwrap()
        })
        .map(Arc::new)
        .collect();
    let env: Arc<dyn Env> = Arc::new(OsEnv::new());
    Coordinator::start(CoordinatorParts {
        frozen: Arc::default(),
        config: ClusterConfig { shard_count: SHARDS, pool_threads: 2 },
        node_id: NodeId([1; 16]),
        node_name: "test".into(),
        version: "test".into(),
        clock,
        batch_ids: BatchIds::new([start; 16]),
        groups,
        log: Arc::clone(log),
        disk: (env, directory.to_owned()),
        load: Box::new(|| 0.0),
    })
    .unwrap()
}

fn options(seed: u64) -> Options {
    Options { clock: Arc::new(SystemClock::default()), ..Options::new(seed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_over_a_log_in_memory_conforms() {
    let log: Arc<dyn LogEngine> = Arc::new(MemoryLog::new());
    let store = coordinator(&log, Path::new("."), 0);
    for seed in 1..=2 {
        if let Err(failure) = conformance::run(&store, &options(seed)).await {
            panic!("{failure}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_over_a_log_on_a_disk_conforms_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 11..=12_u8 {
        let env: Arc<dyn Env> = Arc::new(OsEnv::new());
        let clock = SystemClock::default();
        let fatal = |error: &storage::log::LogError| panic!("{error}");
        let log_options = LogOptions::new(move || clock.monotonic().0, fatal);
        let (log, _) = SegmentLog::open(env, directory.path(), &log_options).unwrap();
        let log: Arc<dyn LogEngine> = Arc::new(log);
        let store = coordinator(&log, directory.path(), seed);
        if let Err(failure) = conformance::run(&store, &options(u64::from(seed))).await {
            panic!("{failure}");
        }
        store.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_what_is_on_its_way() {
    let log: Arc<dyn LogEngine> = Arc::new(MemoryLog::new());
    let tenant = model::Tenant::default();
    for start in 0..20 {
        let store = coordinator(&log, Path::new("."), start);
        let spans = model::testing::Generator::new(u64::from(start)).spans(50);
        let writing = model::testing::write_spans(&store, &tenant, &spans);
        let (written, ()) = tokio::join!(writing, store.drain());
        written.unwrap();
        assert!(matches!(
            model::ClusterAdmin::readiness(&store),
            model::admin::Readiness::NotReady(_)
        ));
    }
}
