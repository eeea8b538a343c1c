//! Snapshots of a shard (BLK-1, DUR-1, REP-2): what arrives is what was sent, whatever happens to
//! either side in between.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Once};
use std::thread;

use model::budget::Budget;
use model::query::{Order, TracePredicate, TraceQuery, evaluate};
use model::store::Detail;
use model::testing::Generator;
use model::time::{Clock, Monotonic};
use model::{Span, TimeRange, Timestamp};
use storage::entry::{encode_data, encode_drop, encode_purge};
use storage::env::{Crash, Env, Fault, FaultEnv};
use storage::kv::Kv;
use storage::log::{LogEngine, LogIndex};
use storage::shard::{
    Applied, BlockStore, CLASS_ORDINARY, DecodedCache, Scrubbed, Shard, ShardSnapshot,
};

use crate::fixture::{DamagingLog, GROUP, no_limit, open_shard, plain_batch, tenant, traces_of};
use crate::forgetful_kv::ForgetfulKv;

const HOUR: u64 = 3_600_000_000_000;

/// A replica with a disk of its own.
struct Replica {
    env: FaultEnv,
    kv: Arc<ForgetfulKv>,
    log: Arc<DamagingLog>,
    shard: Shard,
}

impl Replica {
    fn new(seed: u64) -> Self {
        let (env, kv) = (FaultEnv::new(seed), Arc::new(ForgetfulKv::default()));
        let log = Arc::new(DamagingLog::default());
        let shard = open(&env, &kv, &log);
        Self { env, kv, log, shard }
    }

    fn add(&self, index: u64, entry: &bytes::Bytes) -> Applied {
        let entries = vec![(LogIndex(index), entry.clone())];
        self.log.append(GROUP, entries, Box::new(|result| result.unwrap())).unwrap();
        self.shard.apply(LogIndex(index), entry).unwrap()
    }

    fn restart(&mut self, crash: Crash, keeps: bool) {
        self.env.restart(crash);
        self.kv.restart(keeps);
        self.shard = open(&self.env, &self.kv, &self.log);
        self.shard.recover(None, &mut |_, _| {}).unwrap();
    }

    fn fetch(&self, sender: &Shard, snapshot: &ShardSnapshot) -> Result<(), storage::Error> {
        for missing in self.shard.missing_blocks(&snapshot.manifest)? {
            let mut offset = missing.bytes_present;
            while offset < missing.name.bytes {
                let stretch = sender.read_snapshot_block(missing.name, offset, 1_500)?.unwrap();
                assert!(!stretch.is_empty());
                self.shard.put_snapshot_block(missing.name, offset, &stretch)?;
                offset += stretch.len() as u64;
            }
        }
        Ok(())
    }

    fn receive(&self, sender: &Shard, snapshot: &ShardSnapshot) -> Result<(), storage::Error> {
        self.fetch(sender, snapshot)?;
        self.shard.install_snapshot(&snapshot.manifest)
    }

    fn compare(&self, spans: &[Span], context: &str) {
        let own = tenant("own");
        let traces = traces_of(spans);
        for spans in &traces {
            let id = spans[0].trace_id;
            let found = self.shard.trace(&own, id, usize::MAX, &no_limit()).unwrap();
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
        let end = self.shard.search(&own, &query, Detail::Summary, &no_limit(), &mut |hit| {
            keys.push(hit.key);
            std::ops::ControlFlow::Continue(())
        });
        assert!(end.unwrap().completeness.is_complete(), "{context}");
        let expected = evaluate(&query, traces.iter().map(Vec::as_slice));
        assert_eq!(keys, expected.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), "{context}");
        let gone =
            self.shard.search(&tenant("gone"), &query, Detail::Summary, &no_limit(), &mut |_| {
                panic!("{context}: what was purged is back")
            });
        gone.unwrap();
    }
}

fn open(env: &FaultEnv, kv: &Arc<ForgetfulKv>, log: &Arc<DamagingLog>) -> Shard {
    let env: Arc<dyn Env> = Arc::new(env.clone());
    let kv: Arc<dyn Kv> = Arc::clone(kv) as Arc<dyn Kv>;
    let store = BlockStore::new(env, kv, Path::new("/blocks")).with_page_rows(8);
    open_shard(log, &Arc::new(DecodedCache::new(1 << 20)), &store)
}

/// A sender that has been through everything, the entries it applied, and their spans with their
/// buckets.
struct Story {
    sender: Replica,
    entries: Vec<bytes::Bytes>,
    spans: Vec<(u64, Vec<Span>)>,
    snapshot: ShardSnapshot,
    /// Spans up to the snapshot.
    cut_spans: Vec<Span>,
    after: Vec<Span>,
}

fn story() -> Story {
    let sender = Replica::new(1);
    let mut generator = Generator::new(9);
    let mut traces: Vec<Span> = (0..8).flat_map(|_| generator.trace()).collect();
    generator.shuffle(&mut traces);
    let parts: Vec<Vec<Span>> = traces.chunks(traces.len() / 6 + 1).map(<[_]>::to_vec).collect();
    let data = |stamp, id, name: &str, spans: &[Span]| {
        encode_data(Timestamp(stamp), 1, &[plain_batch(id, &tenant(name), spans)]).unwrap()
    };
    let entries = vec![
        data(HOUR, 1, "own", &parts[0]),
        data(2 * HOUR, 2, "own", &parts[1]),
        data(2 * HOUR + 1, 3, "gone", &parts[1]),
        encode_drop(Timestamp(2 * HOUR + 2), 1, CLASS_ORDINARY, 1),
        data(2 * HOUR + 3, 4, "own", &parts[2]),
        encode_purge(Timestamp(2 * HOUR + 4), 1, &tenant("gone")),
        data(2 * HOUR + 5, 5, "own", &parts[3]),
        data(3 * HOUR, 6, "own", &parts[4]),
        data(3 * HOUR + 1, 7, "own", &parts[5]),
    ];
    let buckets = [(1, 0), (2, 1), (2, 2), (2, 3), (3, 4), (3, 5)];
    let spans = buckets.iter().map(|(bucket, part)| (*bucket, parts[*part].clone())).collect();
    let mut snapshot = None;
    for (index, entry) in (1..).zip(&entries) {
        sender.add(index, entry);
        if matches!(index, 3 | 5 | 8) {
            sender.shard.seal(&no_limit()).unwrap();
        }
        if index == 8 {
            snapshot = sender.shard.snapshot_at_cut().unwrap();
            // What the snapshot names is merged away and swept while it is held.
            sender.shard.merge(Timestamp(4 * HOUR), true, &no_limit()).unwrap();
            sender.shard.sweep().unwrap();
        }
    }
    let cut_spans = parts[1..5].concat();
    let after = parts[1..].concat();
    Story { sender, entries, spans, snapshot: snapshot.unwrap(), cut_spans, after }
}

impl Story {
    /// A replica that has applied the first entries and sealed some of them.
    fn receiver(&self, applied: usize, sealed: bool) -> Replica {
        let replica = Replica::new(2);
        for (index, entry) in (1..).zip(&self.entries[..applied]) {
            replica.add(index, entry);
            if sealed && index % 2 == 0 {
                replica.shard.seal(&no_limit()).unwrap();
            }
        }
        replica
    }

    fn own_before(&self, applied: usize) -> Vec<Span> {
        let own = [0, 1, 2, 3, 4, 5];
        let entries = [1, 2, 5, 7, 8, 9];
        let is_dropped = applied >= 4;
        let parts = own.iter().zip(entries).filter(|(_, entry)| *entry <= applied);
        let parts = parts.map(|(part, _)| &self.spans[*part]);
        let live = parts.filter(|(bucket, _)| !is_dropped || *bucket > 1);
        live.flat_map(|(_, spans)| spans.clone()).collect()
    }

    /// Lets the receiver apply what follows, and be sealed and started again.
    fn go_on(&self, receiver: &mut Replica, context: &str) {
        assert_eq!(receiver.shard.applied(), Some(self.snapshot.cut), "{context}");
        assert_eq!(receiver.shard.seal_cut(), Some(self.snapshot.cut), "{context}");
        receiver.compare(&self.cut_spans, context);
        // Consensus lets the log begin behind what was installed.
        let done = Box::new(|result: Result<(), _>| result.unwrap());
        receiver.log.purge(GROUP, self.snapshot.cut, done).unwrap();
        let known = receiver.add(9, &self.entries[7]);
        let is_known = format!("{:?}", known.batches).contains("Known");
        assert!(is_known, "{context}: the window of batches did not come along");
        receiver.add(10, &self.entries[8]);
        receiver.compare(&self.after, context);
        receiver.shard.seal(&no_limit()).unwrap();
        receiver.shard.merge(Timestamp(9 * HOUR), true, &no_limit()).unwrap();
        receiver.restart(Crash::Lost, false);
        receiver.compare(&self.after, context);
        let files = receiver.env.paths().len() as u64;
        assert_eq!(files, receiver.shard.stats().blocks, "{context}: a file that nobody names");
    }
}

#[test]
fn an_empty_replica_and_one_that_lags_become_what_was_sent() {
    let story = story();
    for applied in [0, 2, 6] {
        for sealed in [false, true] {
            let context = format!("{applied} applied, sealed: {sealed}");
            let mut receiver = story.receiver(applied, sealed);
            receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
            story.go_on(&mut receiver, &context);
        }
    }
}

#[test]
fn who_received_one_can_send_it_on() {
    let story = story();
    let first = story.receiver(0, false);
    first.receive(&story.sender.shard, &story.snapshot).unwrap();
    let snapshot = first.shard.snapshot_at_cut().unwrap().unwrap();
    assert_eq!(snapshot.cut, story.snapshot.cut);
    let mut second = story.receiver(2, true);
    second.receive(&first.shard, &snapshot).unwrap();
    story.go_on(&mut second, "the second hand");
}

#[test]
fn an_older_snapshot_changes_nothing() {
    let story = story();
    let receiver = story.receiver(9, true);
    let before = receiver.shard.stats();
    receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
    assert_eq!(receiver.shard.stats(), before);
}

#[test]
fn power_may_go_at_every_change_of_the_receivers_disk() {
    let story = story();
    let operations = {
        let receiver = story.receiver(2, true);
        let before = receiver.env.operations();
        receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
        before..receiver.env.operations()
    };
    assert!(operations.clone().count() > 20, "{operations:?}");
    for operation in operations {
        for crash in [Crash::Lost, Crash::Torn, Crash::Kept, Crash::Process] {
            let mut receiver = story.receiver(2, true);
            receiver.env.crash_at(operation);
            let ended = receiver.receive(&story.sender.shard, &story.snapshot);
            receiver.restart(crash, crash != Crash::Lost);
            let context = format!("power lost at change {operation}, {crash:?}, {ended:?}");
            if receiver.shard.seal_cut() != Some(story.snapshot.cut) {
                receiver.compare(&story.own_before(2), &context);
            }
            receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
            story.go_on(&mut receiver, &context);
        }
    }
}

#[test]
fn every_change_of_the_receivers_disk_or_manifest_may_fail_and_be_tried_again() {
    let story = story();
    let (operations, changes) = {
        let receiver = story.receiver(2, true);
        let before = (receiver.env.operations(), receiver.kv.changes());
        receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
        (before.0..receiver.env.operations(), before.1..receiver.kv.changes())
    };
    for operation in operations {
        for fault in [Fault::OutOfSpace, Fault::InputOutput] {
            let mut receiver = story.receiver(2, true);
            receiver.env.fail_at(operation, fault);
            let failed = receiver.receive(&story.sender.shard, &story.snapshot);
            let context = format!("change {operation} fails with {fault:?}: {failed:?}");
            receiver.restart(Crash::Process, true);
            receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
            story.go_on(&mut receiver, &context);
        }
    }
    for change in changes {
        for keeps in [false, true] {
            let mut receiver = story.receiver(2, true);
            receiver.kv.fail_at(change);
            let failed = receiver.receive(&story.sender.shard, &story.snapshot);
            receiver.restart(Crash::Lost, keeps);
            receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
            let context = format!("the manifest fails at {change}, {keeps}: {failed:?}");
            story.go_on(&mut receiver, &context);
        }
    }
}

#[test]
fn what_was_damaged_on_the_way_is_found_and_fetched_again() {
    let story = story();
    let mut receiver = story.receiver(0, false);
    let missing = receiver.shard.missing_blocks(&story.snapshot.manifest).unwrap();
    let name = missing[0].name;
    let whole = story.sender.shard.read_snapshot_block(name, 0, usize::MAX).unwrap().unwrap();
    for place in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.to_vec();
        damaged[place] ^= 8;
        let error = receiver.shard.put_snapshot_block(name, 0, &damaged).unwrap_err();
        assert!(error.is_corruption(), "byte {place}: {error:?}");
    }
    let odd = receiver.shard.put_snapshot_block(name, 7, &whole[..9]);
    odd.unwrap_err();
    receiver.receive(&story.sender.shard, &story.snapshot).unwrap();
    story.go_on(&mut receiver, "after damage");
}

/// A flipped bit that nobody has read yet would be offered for ever: whoever gets it says so, and
/// the sender looks at its own.
#[test]
fn a_sender_that_is_told_of_damage_finds_it_and_offers_nothing_more() {
    let Story { sender, snapshot, .. } = story();
    let receiver = Replica::new(4);
    let missing = receiver.shard.missing_blocks(&snapshot.manifest).unwrap();
    let scrub = |name| sender.shard.scrub_snapshot_block(name).unwrap();
    assert!(missing.iter().all(|it| scrub(it.name) == Scrubbed::Sound));
    for file in sender.env.paths() {
        let middle = sender.env.content(&file).unwrap().len() / 2;
        assert!(sender.env.flip(&file, middle, 0x10));
    }
    assert!(!sender.shard.has_damage());
    let found: Vec<_> = missing.iter().map(|it| scrub(it.name)).collect();
    // The others were merged away: they are read through what the snapshot holds.
    assert!(found.contains(&Scrubbed::Damaged), "{found:?}");
    assert!(sender.shard.has_damage());
    assert!(sender.shard.snapshot_at_cut().unwrap().is_none());
}

/// Tells when it is first looked at, and shows the time when it may.
#[derive(Debug)]
struct Gate {
    reached: SyncSender<()>,
    go_on: Mutex<Receiver<()>>,
    once: Once,
}

impl Clock for Gate {
    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Monotonic {
        self.once.call_once(|| {
            self.reached.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        });
        Monotonic(0)
    }
}

/// Whoever asks for a snapshot applies nothing meanwhile, and a merge may take minutes.
#[test]
fn a_merge_that_is_under_way_keeps_nobody_waiting_for_a_snapshot() {
    let story = story();
    let sender = &story.sender;
    sender.shard.seal(&no_limit()).unwrap();
    let (reached, has_reached) = sync_channel(1);
    let (go_on, may_go_on) = sync_channel(1);
    let (offered, snapshots) = sync_channel(1);
    let clock = Gate { reached, go_on: Mutex::new(may_go_on), once: Once::new() };
    let budget = Budget::new(Arc::new(clock), Monotonic(u64::MAX), u64::MAX);
    let blocks = sender.shard.stats().blocks;
    let (merged, snapshot) = thread::scope(|scope| {
        let merging = scope.spawn(|| sender.shard.merge(Timestamp(0), true, &budget));
        has_reached.recv().unwrap();
        scope.spawn(|| offered.send(sender.shard.snapshot_at_cut().unwrap()).unwrap());
        // No promise about speed, only an end to a test that fails.
        let snapshot = snapshots.recv_timeout(std::time::Duration::from_secs(30));
        go_on.send(()).unwrap();
        (merging.join().unwrap().unwrap(), snapshot)
    });
    let snapshot = snapshot.expect("a snapshot while a merge is under way").unwrap();
    assert!(merged.is_some() && sender.shard.stats().blocks < blocks, "nothing was merged");
    assert_eq!(Some(snapshot.cut), sender.shard.seal_cut());
    let mut receiver = story.receiver(2, true);
    receiver.receive(&sender.shard, &snapshot).unwrap();
    receiver.compare(&story.own_before(9), "before the merge");
    receiver.restart(Crash::Lost, false);
    receiver.compare(&story.own_before(9), "before the merge, after a restart");
}

#[test]
fn what_nobody_holds_cannot_be_read() {
    let story = story();
    let Story { sender, snapshot, .. } = story;
    let receiver = Replica::new(3);
    let missing = receiver.shard.missing_blocks(&snapshot.manifest).unwrap();
    drop(snapshot);
    let gone = missing
        .iter()
        .filter(|it| sender.shard.read_snapshot_block(it.name, 0, 10).unwrap().is_none());
    assert!(gone.count() > 0, "blocks that were merged away stay readable without a holder");
}
