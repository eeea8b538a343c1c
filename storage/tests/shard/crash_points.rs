//! DUR-1, DUR-2, BLK-1, RET-1 of a shard's blocks: crashes and errors at every single change of
//! the disk and of the manifest, while it is sealed, merged, purged and dropped.
//!
//! The property: whatever was interrupted, the next start finds exactly the spans of the entries
//! that were applied, no more and no fewer, with a log that was purged as far as it may be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::query::{Order, TracePredicate, TraceQuery, evaluate};
use model::store::Detail;
use model::testing::Generator;
use model::{Span, TimeRange, Timestamp};
use storage::entry::{encode_data, encode_drop};
use storage::env::{Crash, Env, Fault, FaultEnv};
use storage::kv::Kv;
use storage::log::{LogEngine, LogIndex, LogOptions, SegmentLog};
use storage::shard::{BlockStore, CLASS_ORDINARY, DecodedCache, Shard, Upkeep};

use crate::fixture::{
    Fixture, GROUP, SHARD, no_limit, open_shard, open_shard_over, plain_batch, tenant, traces_of,
};
use crate::forgetful_kv::ForgetfulKv;

const HOUR: u64 = 3_600_000_000_000;

/// A shard on a disk that fails, over a log that does not.
struct Rig {
    env: FaultEnv,
    kv: Arc<ForgetfulKv>,
    fixture: Fixture,
    /// What was applied and not dropped, with its bucket: the same span may come again later.
    applied: Vec<(u64, Span)>,
}

impl Rig {
    fn new() -> Self {
        let env = FaultEnv::new(77);
        let kv = Arc::new(ForgetfulKv::default());
        let mut fixture = Fixture::with_cache(1 << 20);
        fixture.shard = open(&env, &kv, &fixture);
        Self { env, kv, fixture, applied: Vec::new() }
    }

    fn add(&mut self, stamp: u64, id: u64, spans: &[Span]) {
        self.fixture.stamp = stamp;
        self.fixture.add(&[plain_batch(id, &tenant("own"), spans)]);
        self.applied.extend(spans.iter().map(|span| (stamp / HOUR, span.clone())));
    }

    /// Everything that a shard goes through, up to the first failure.
    fn run(&mut self) -> Result<(), storage::Error> {
        let mut generator = Generator::new(5);
        let mut traces: Vec<Span> = (0..12).flat_map(|_| generator.trace()).collect();
        generator.shuffle(&mut traces);
        let parts: Vec<&[Span]> = traces.chunks(traces.len() / 8 + 1).collect();
        let now = Timestamp(4 * HOUR);
        self.add(HOUR, 1, parts[0]);
        self.add(HOUR + 1, 2, parts[1]);
        self.seal()?;
        self.add(2 * HOUR, 3, parts[2]);
        self.add(3 * HOUR, 4, parts[3]);
        self.seal()?;
        self.add(3 * HOUR + 1, 5, parts[4]);
        self.seal()?;
        self.fixture.shard.merge(now, true, &no_limit())?;
        self.add(3 * HOUR + 2, 6, parts[5]);
        let drop = encode_drop(Timestamp(3 * HOUR + 3), 1, CLASS_ORDINARY, 1);
        self.fixture.add_entry(&drop);
        self.applied.retain(|(bucket, _)| *bucket > 1);
        self.fixture.shard.sweep()?;
        self.add(3 * HOUR + 4, 7, parts[6]);
        self.seal()?;
        // The head is sealed in the middle of a merge.
        self.add(3 * HOUR + 5, 8, parts[7]);
        let shard = &self.fixture.shard;
        let mut sealed = Ok(None);
        let merged = shard.merge_with_pauses(now, true, &no_limit(), &mut || {
            if sealed.is_ok() {
                sealed = shard.seal(&no_limit());
            }
        });
        sealed?;
        merged?;
        self.purge();
        Ok(())
    }

    fn traces(&self) -> Vec<Vec<Span>> {
        traces_of(&self.applied.iter().map(|(_, span)| span.clone()).collect::<Vec<_>>())
    }

    fn seal(&mut self) -> Result<(), storage::Error> {
        self.fixture.shard.seal(&no_limit())?;
        self.purge();
        Ok(())
    }

    fn purge(&self) {
        if let Some(upto) = self.fixture.shard.purgeable() {
            let done = Box::new(|result: Result<(), _>| result.unwrap());
            self.fixture.log.purge(GROUP, upto, done).unwrap();
        }
    }

    /// Starts again and compares everything with what was applied.
    fn check(&mut self, context: &str) {
        self.fixture.shard = open(&self.env, &self.kv, &self.fixture);
        self.fixture.shard.recover(None, &mut |_, _| {}).unwrap();
        self.compare(context);
        // And it goes on from there.
        self.fixture.shard.seal(&no_limit()).unwrap();
        self.compare(context);
        self.fixture.shard.merge(Timestamp(9 * HOUR), true, &no_limit()).unwrap();
        self.fixture.shard.sweep().unwrap();
        self.compare(context);
        let stats = self.fixture.shard.stats();
        let files = self.env.paths().len() as u64;
        assert_eq!(files, stats.blocks, "{context}: a file that nobody names");
        assert_eq!(stats.blocks_damaged, 0, "{context}");
    }

    fn compare(&self, context: &str) {
        self.compare_in(&self.fixture.shard, context);
    }

    /// What a snapshot makes of another shard, with what follows it in the log, is all there is.
    /// Says whether there was a snapshot.
    fn compare_snapshot(&self, context: &str) -> bool {
        let shard = &self.fixture.shard;
        let Some(snapshot) = shard.snapshot_at_cut().unwrap() else { return false };
        let other = open(&FaultEnv::new(78), &Arc::default(), &self.fixture);
        for missing in other.missing_blocks(&snapshot.manifest).unwrap() {
            let bytes = usize::try_from(missing.name.bytes).unwrap();
            let bytes = shard.read_snapshot_block(missing.name, 0, bytes).unwrap().unwrap();
            other.put_snapshot_block(missing.name, 0, &bytes).unwrap();
        }
        assert_eq!(other.snapshot_cut(&snapshot.manifest).unwrap(), snapshot.cut);
        other.install_snapshot(&snapshot.manifest).unwrap();
        other.recover(None, &mut |_, _| {}).unwrap();
        self.compare_in(&other, context);
        true
    }

    fn compare_in(&self, shard: &Shard, context: &str) {
        let traces = self.traces();
        for spans in &traces {
            let id = spans[0].trace_id;
            let found = shard.trace(&tenant("own"), id, usize::MAX, &no_limit()).unwrap();
            assert_eq!(found.map(|trace| trace.spans).as_ref(), Some(spans), "{context}");
        }
        let query = TraceQuery {
            window: TimeRange::ALL,
            predicate: TracePredicate::True,
            order: Order::MostSpans,
            limit: 10_000,
            cursor: None,
        };
        let mut keys = Vec::new();
        let own = tenant("own");
        let end = shard.search(&own, &query, Detail::Summary, &no_limit(), &mut |hit| {
            keys.push(hit.key);
            std::ops::ControlFlow::Continue(())
        });
        assert!(end.unwrap().completeness.is_complete(), "{context}");
        let expected = evaluate(&query, traces.iter().map(Vec::as_slice));
        let expected: Vec<_> = expected.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected, "{context}");
    }
}

fn open(env: &FaultEnv, kv: &Arc<ForgetfulKv>, fixture: &Fixture) -> Shard {
    let env: Arc<dyn Env> = Arc::new(env.clone());
    let kv: Arc<dyn Kv> = Arc::clone(kv) as Arc<dyn Kv>;
    let store = BlockStore::new(env, kv, Path::new("/blocks"));
    let store = store.with_page_rows(8).with_rollup_bytes(1_000);
    open_shard(&fixture.log, &Arc::new(DecodedCache::new(1 << 20)), &store)
}

#[test]
fn nothing_interrupted_ends_well() {
    let mut rig = Rig::new();
    rig.run().unwrap();
    assert_eq!(rig.fixture.log.bounds(GROUP).purged, rig.fixture.shard.purgeable());
    assert!(rig.fixture.shard.purgeable() > Some(LogIndex(5)));
    rig.check("uninterrupted");
}

#[test]
fn power_may_go_at_every_change_of_the_disk() {
    let operations = {
        let mut rig = Rig::new();
        let before = rig.env.operations();
        rig.run().unwrap();
        before..rig.env.operations()
    };
    assert!(operations.clone().count() > 30, "{operations:?}");
    for operation in operations {
        for crash in [Crash::Lost, Crash::Torn, Crash::Kept, Crash::Process] {
            let mut rig = Rig::new();
            rig.env.crash_at(operation);
            let ended = rig.run();
            rig.env.restart(crash);
            rig.kv.restart(crash != Crash::Lost);
            rig.check(&format!("power lost at change {operation}, {crash:?}, {ended:?}"));
        }
    }
}

#[test]
fn every_change_of_the_disk_may_fail_without_a_crash() {
    let operations = {
        let mut rig = Rig::new();
        let before = rig.env.operations();
        rig.run().unwrap();
        before..rig.env.operations()
    };
    for operation in operations {
        for fault in [Fault::OutOfSpace, Fault::InputOutput] {
            let mut rig = Rig::new();
            rig.env.fail_at(operation, fault);
            let failed = rig.run();
            let context = format!("change {operation} fails with {fault:?}: {failed:?}");
            // The process goes on: what is in memory still answers.
            rig.compare(&context);
            rig.env.restart(Crash::Process);
            rig.check(&context);
        }
    }
}

#[test]
fn every_change_of_the_manifest_may_be_the_last() {
    let changes = {
        let mut rig = Rig::new();
        rig.run().unwrap();
        rig.kv.changes()
    };
    for change in 0..changes {
        for keeps in [false, true] {
            let mut rig = Rig::new();
            rig.kv.fail_at(change);
            let ended = rig.run();
            assert!(ended.is_err());
            rig.env.restart(Crash::Lost);
            rig.kv.restart(keeps);
            rig.check(&format!("the manifest ends at change {change}, keeps {keeps}: {ended:?}"));
        }
    }
}

/// What fails once and is not the end of the process: a change of the manifest that failed may be
/// there all the same. Blocks in memory with a cut from such a manifest once made a snapshot that
/// left out a whole block, and a replica that lacked acknowledged spans.
#[test]
fn a_change_that_fails_once_leaves_nothing_half() {
    let (changes, operations) = {
        let mut rig = Rig::new();
        let before = rig.env.operations();
        rig.run().unwrap();
        (rig.kv.changes(), before..rig.env.operations())
    };
    let manifest = (0..changes).map(|change| (Some(change), None));
    let mut snapshots = 0;
    for (change, operation) in manifest.chain(operations.map(|operation| (None, Some(operation)))) {
        let mut rig = Rig::new();
        change.inspect(|change| rig.kv.fail_once(*change));
        operation.inspect(|operation| rig.env.fail_at(*operation, Fault::InputOutput));
        let failed = rig.run();
        let context = format!("manifest {change:?}, disk {operation:?}: {failed:?}");
        rig.compare(&context);
        snapshots += u32::from(rig.compare_snapshot(&context));
        // A merge or a sweep settles what a seal left.
        rig.fixture.shard.merge(Timestamp(4 * HOUR), true, &no_limit()).unwrap();
        rig.fixture.shard.sweep().unwrap();
        rig.compare(&context);
        snapshots += u32::from(rig.compare_snapshot(&context));
        rig.fixture.shard.seal(&no_limit()).unwrap();
        assert!(rig.compare_snapshot(&context), "{context}: it is settled again");
        rig.fixture.shard.merge(Timestamp(4 * HOUR), true, &no_limit()).unwrap();
        assert!(rig.compare_snapshot(&context), "{context}: and after a merge");
        rig.env.restart(Crash::Process);
        rig.kv.restart(true);
        rig.check(&context);
    }
    assert!(snapshots > 20, "{snapshots}");
}

/// A full disk is where changes of the manifest fail, and what is to go is what makes room on it:
/// no seal may have to come before a sweep, nor leave more than it found each time it fails.
#[test]
fn what_is_gone_is_swept_although_a_seal_failed() {
    for keeps in [false, true] {
        let mut rig = Rig::new();
        let spans = Generator::new(3).trace();
        rig.add(HOUR, 1, &spans);
        rig.seal().unwrap();
        rig.add(2 * HOUR, 2, &spans);
        // The write, or the flush behind it.
        rig.kv.fail_once(rig.kv.changes() + u64::from(keeps));
        assert!(rig.seal().is_err());
        let drop = encode_drop(Timestamp(2 * HOUR), 1, CLASS_ORDINARY, 1);
        rig.fixture.add_entry(&drop);
        rig.applied.retain(|(bucket, _)| *bucket > 1);
        let mut done = Vec::new();
        for _ in 0..10 {
            let due = rig.fixture.shard.due(Timestamp(2 * HOUR));
            done.push(due);
            match due {
                Upkeep::Sweep => drop_result(rig.fixture.shard.sweep()),
                Upkeep::Seal => drop_result(rig.fixture.shard.seal(&no_limit())),
                Upkeep::Merge | Upkeep::Nothing => break,
            }
        }
        assert_eq!(done, [Upkeep::Sweep, Upkeep::Seal, Upkeep::Nothing], "keeps {keeps}");
        rig.compare("swept and sealed");
        assert_eq!(rig.env.paths().len(), 1, "keeps {keeps}: files that nobody names");
        assert!(rig.compare_snapshot("swept and sealed"));
        rig.env.restart(Crash::Process);
        rig.kv.restart(true);
        rig.check(&format!("keeps {keeps}"));
    }
}

fn drop_result<T>(result: Result<T, storage::Error>) {
    result.unwrap();
}

/// The row of the state goes back as well: a start after a seal that failed and was taken back does
/// not pass over what it sealed.
#[test]
fn a_seal_that_failed_is_taken_back_whole() {
    let mut rig = Rig::new();
    let mut generator = Generator::new(4);
    for bucket in 1..=2 {
        for id in 0..2 {
            let spans = generator.trace();
            rig.add(bucket * HOUR + id, bucket * 10 + id, &spans);
            rig.seal().unwrap();
        }
    }
    rig.add(3 * HOUR, 99, &generator.trace());
    // Written, and perhaps there: the flush fails.
    rig.kv.fail_once(rig.kv.changes() + 1);
    assert!(rig.seal().is_err());
    assert!(rig.fixture.shard.merge(Timestamp(4 * HOUR), true, &no_limit()).unwrap().is_some());
    rig.compare("merged after a seal that failed");
    assert!(rig.compare_snapshot("merged after a seal that failed"));
    rig.env.restart(Crash::Process);
    rig.kv.restart(true);
    rig.check("started after it was taken back");
}

#[test]
fn a_flipped_bit_anywhere_in_a_block_is_found_and_the_rest_serves() {
    let mut rig = Rig::new();
    rig.run().unwrap();
    let files: Vec<PathBuf> = rig.env.paths();
    let file = files.first().unwrap();
    let length = rig.env.content(file).unwrap().len();
    let traces = rig.traces();
    // Among them the versions of the block, at byte 4, and of its first page, at byte 20.
    let places = (0..length).step_by(97).chain(0..40).chain([length - 1, length - 10]);
    for place in places {
        rig.env.flip(file, place, 0x02);
        let shard = open(&rig.env, &rig.kv, &rig.fixture);
        shard.recover(None, &mut |_, _| {}).unwrap();
        for spans in &traces {
            let found = shard.trace(&tenant("own"), spans[0].trace_id, usize::MAX, &no_limit());
            match found {
                Ok(found) => {
                    let found = found.map(|trace| trace.spans).unwrap_or_default();
                    let is_sound = found.iter().all(|span| spans.contains(span));
                    assert!(is_sound, "byte {place}: a span that was never sent");
                    let is_whole = found.len() == spans.len();
                    assert!(is_whole || shard.has_damage(), "byte {place}: missing, not said");
                }
                Err(error) => assert!(error.is_corruption(), "byte {place}: {error:?}"),
            }
        }
        rig.env.flip(file, place, 0x02);
    }
    rig.check("every bit flipped back");
}

/// Blocks that are made while another is set aside do not count its parts of traces. If a start
/// forgot that it was, a search would rank what is left of these traces and call them whole.
#[test]
fn what_is_set_aside_stays_so_after_a_start() {
    let mut rig = Rig::new();
    let own = tenant("own");
    let mut generator = Generator::new(9);
    let traces: Vec<Vec<Span>> = (0..6).map(|_| generator.trace()).collect();
    let first: Vec<Span> =
        traces.iter().flat_map(|trace| trace[..trace.len() / 2].to_vec()).collect();
    let second: Vec<Span> =
        traces.iter().flat_map(|trace| trace[trace.len() / 2..].to_vec()).collect();
    rig.add(HOUR, 1, &first);
    rig.seal().unwrap();
    let file = rig.env.paths().first().unwrap().clone();
    // In the first page, which no start reads.
    rig.env.flip(&file, 200, 0x10);
    let meet = |shard: &Shard| {
        let ids = traces.iter().map(|trace| trace[0].trace_id);
        ids.filter(|id| shard.trace(&own, *id, usize::MAX, &no_limit()).is_err()).count()
    };
    rig.fixture.shard = open(&rig.env, &rig.kv, &rig.fixture);
    assert!(!rig.fixture.shard.has_damage(), "a start does not read pages");
    assert!(meet(&rig.fixture.shard) > 0);
    rig.add(HOUR + 1, 2, &second);
    rig.seal().unwrap();
    for flip_back in [false, true] {
        if flip_back {
            rig.env.flip(&file, 200, 0x10);
        }
        for _ in 0..2 {
            rig.fixture.shard = open(&rig.env, &rig.kv, &rig.fixture);
            let shard = &rig.fixture.shard;
            assert!(shard.has_damage(), "flipped back: {flip_back}");
            assert!(!shard.completeness().is_complete());
            assert!(shard.snapshot_at_cut().unwrap().is_none());
            assert_eq!(meet(shard), 0, "what is left is served");
            // Another change keeps the mark.
            shard.merge(Timestamp(9 * HOUR), true, &no_limit()).unwrap();
            rig.add(2 * HOUR, 3, &first);
            rig.seal().unwrap();
        }
    }
}

/// Every byte counts: what arrives is not what was sent, however well it can be read.
#[test]
fn a_bit_that_is_flipped_on_the_way_is_refused() {
    let mut rig = Rig::new();
    rig.run().unwrap();
    let shard = &rig.fixture.shard;
    let snapshot = shard.snapshot_at_cut().unwrap().unwrap();
    let other = open(&FaultEnv::new(78), &Arc::default(), &rig.fixture);
    let name = other.missing_blocks(&snapshot.manifest).unwrap()[0].name;
    let length = usize::try_from(name.bytes).unwrap();
    let sent = shard.read_snapshot_block(name, 0, length).unwrap().unwrap();
    let is_taken = |place: &usize| {
        let mut bytes = sent.to_vec();
        bytes[*place] ^= 1 << (place % 8);
        other.put_snapshot_block(name, 0, &bytes).is_ok()
    };
    let taken: Vec<usize> = (0..length).filter(is_taken).collect();
    assert_eq!(taken, [], "of {length} bytes");
    other.put_snapshot_block(name, 0, &sent).unwrap();
}

/// A majority commits an entry, and a replica applies it, before the replica's own disk has it. A
/// node whose blocks were ahead of its log could not start after a power cut.
#[test]
fn blocks_are_never_ahead_of_the_log() {
    let env = FaultEnv::new(5);
    let options = LogOptions::new(|| 0, |_| {});
    let open_log = |env: &FaultEnv| {
        let env: Arc<dyn Env> = Arc::new(env.clone());
        Arc::new(SegmentLog::open_manual(env, Path::new("/log"), &options).unwrap().0)
    };
    let kv = Arc::new(ForgetfulKv::default());
    let store = || {
        let env: Arc<dyn Env> = Arc::new(env.clone());
        BlockStore::new(env, Arc::clone(&kv) as Arc<dyn Kv>, Path::new("/blocks"))
    };
    let log = open_log(&env);
    let shard = over(&log, &store());
    let batch = plain_batch(1, &tenant("own"), &Generator::new(5).trace());
    let entry = encode_data(Timestamp(HOUR), 1, &[batch]).unwrap();
    let appended = vec![(LogIndex(1), entry.clone())];
    log.append(GROUP, appended, Box::new(drop)).unwrap();
    shard.apply(LogIndex(1), &entry).unwrap();
    shard.seal(&no_limit()).unwrap();
    drop((shard, log));
    env.restart(Crash::Lost);
    let log = open_log(&env);
    let cut = over(&log, &store()).purgeable();
    assert_eq!(cut, Some(LogIndex(1)));
    assert!(log.bounds(GROUP).last >= cut, "the log ends before the cut");
}

fn over(log: &Arc<SegmentLog>, store: &BlockStore) -> Shard {
    open_shard_over(SHARD, Arc::clone(log) as Arc<dyn LogEngine>, &Arc::default(), store)
}
