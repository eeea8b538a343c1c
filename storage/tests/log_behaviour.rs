//! The contract of `LogEngine`, the same script on every implementation.

#![cfg(test)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use storage::env::{Crash, Env, Fault, FaultEnv, OsEnv};
use storage::limits::{
    LOG_ENTRY_BYTES_MAX, LOG_GROUPS_MAX, LOG_QUEUE_BYTES_MAX, LOG_STATE_BYTES_MAX,
    LOG_TAIL_BYTES_MAX,
};
use storage::log::{
    Bounds, GroupId, LogEngine, LogError, LogIndex, LogOptions, MemoryLog, Operation, Progress,
    SegmentLog, StateSlot,
};
use support::{Random, directory, ignore, open, options, picture, workload};

const GROUP: GroupId = GroupId(7);

fn entry(index: u64) -> (LogIndex, Bytes) {
    (LogIndex(index), Bytes::from(format!("entry {index}")))
}

fn entries(range: std::ops::Range<u64>) -> Vec<(LogIndex, Bytes)> {
    range.map(entry).collect()
}

fn bounds(purged: Option<u64>, live: Option<(u64, u64)>) -> Bounds {
    Bounds {
        purged: purged.map(LogIndex),
        first: live.map(|(first, _)| LogIndex(first)),
        last: live.map(|(_, last)| LogIndex(last)),
    }
}

fn append(log: &dyn LogEngine, range: std::ops::Range<u64>) {
    let operation = Operation::Append { group: GROUP, entries: entries(range) };
    log.submit_and_wait(operation).unwrap();
}

/// What every log must do.
fn script(log: &dyn LogEngine) {
    let all = LogIndex(0)..LogIndex(u64::MAX);
    assert_eq!(log.groups(), []);
    assert_eq!(log.bounds(GROUP), Bounds::default());
    assert_eq!(log.entry(GROUP, LogIndex(0)).unwrap(), None);
    assert_eq!(log.read(GROUP, all.clone(), 100).unwrap(), []);

    append(log, 0..10);
    assert_eq!(log.groups(), [GROUP]);
    assert_eq!(log.bounds(GROUP), bounds(None, Some((0, 9))));
    assert_eq!(log.entry(GROUP, LogIndex(4)).unwrap(), Some(entry(4).1));
    assert_eq!(log.read(GROUP, LogIndex(3)..LogIndex(6), 10_000).unwrap(), entries(3..6));
    assert_eq!(log.read(GROUP, LogIndex(8)..LogIndex(60), 10_000).unwrap(), entries(8..10));
    // At least one entry, whatever its size.
    assert_eq!(log.read(GROUP, all.clone(), 0).unwrap(), entries(0..1));
    assert_eq!(log.read(GROUP, all.clone(), 120).unwrap(), entries(0..2));

    for given in [9, 11] {
        let rejected = log.append(GROUP, entries(given..given + 1), ignore()).unwrap_err();
        let LogError::NotContiguous { expected, .. } = rejected.error else { panic!() };
        assert_eq!(expected, LogIndex(10));
    }
    let gap = vec![entry(10), entry(12)];
    assert!(log.append(GROUP, gap, ignore()).is_err());
    assert_eq!(log.bounds(GROUP), bounds(None, Some((0, 9))), "a refusal changes nothing");

    log.submit_and_wait(Operation::TruncateAfter { group: GROUP, after: Some(LogIndex(5)) })
        .unwrap();
    assert_eq!(log.bounds(GROUP), bounds(None, Some((0, 5))));
    assert_eq!(log.entry(GROUP, LogIndex(6)).unwrap(), None);
    let other = vec![(LogIndex(6), Bytes::from_static(b"another six"))];
    log.submit_and_wait(Operation::Append { group: GROUP, entries: other.clone() }).unwrap();
    assert_eq!(log.read(GROUP, LogIndex(6)..LogIndex(9), 1_000).unwrap(), other);

    log.submit_and_wait(Operation::Purge { group: GROUP, upto: LogIndex(2) }).unwrap();
    log.submit_and_wait(Operation::Purge { group: GROUP, upto: LogIndex(1) }).unwrap();
    assert_eq!(log.bounds(GROUP), bounds(Some(2), Some((3, 6))));
    assert_eq!(log.read(GROUP, LogIndex(0)..LogIndex(5), 1_000).unwrap(), entries(3..5));
    log.submit_and_wait(Operation::TruncateAfter { group: GROUP, after: None }).unwrap();
    assert_eq!(log.bounds(GROUP), bounds(Some(2), None));
    assert_eq!(log.bounds(GROUP).expected(), Some(LogIndex(3)));
    // Behind the last entry: a snapshot came from elsewhere.
    log.submit_and_wait(Operation::Purge { group: GROUP, upto: LogIndex(99) }).unwrap();
    assert_eq!(log.bounds(GROUP), bounds(Some(99), None));
    append(log, 100..102);
    assert_eq!(log.bounds(GROUP), bounds(Some(99), Some((100, 101))));

    let vote = StateSlot(0);
    for value in ["first", "second", ""] {
        let value = Bytes::from_static(value.as_bytes());
        let operation = Operation::PutState { group: GROUP, slot: vote, value: value.clone() };
        log.submit_and_wait(operation).unwrap();
        assert_eq!(log.state(GROUP, vote), Some(value));
    }
    assert_eq!(log.state(GROUP, StateSlot(1)), None);
    assert_eq!(log.state(GroupId(8), vote), None);

    log.submit_and_wait(Operation::RemoveGroup { group: GROUP }).unwrap();
    assert_eq!(log.groups(), []);
    append(log, 5..6);
    assert_eq!(log.bounds(GROUP), bounds(None, Some((5, 5))));
    assert_eq!(log.state(GROUP, vote), None);
    refusals(log);
    log.barrier().unwrap();
}

fn refusals(log: &dyn LogEngine) {
    let large = vec![(LogIndex(6), Bytes::from(vec![0; LOG_ENTRY_BYTES_MAX + 1]))];
    let rejected = log.append(GROUP, large, ignore()).unwrap_err();
    assert!(matches!(rejected.error, LogError::TooLarge { what: "entry", .. }));
    assert!(!rejected.error.is_retryable());
    let state = Bytes::from(vec![0; LOG_STATE_BYTES_MAX + 1]);
    let rejected = log.put_state(GROUP, StateSlot(0), state, ignore()).unwrap_err();
    assert!(matches!(rejected.error, LogError::TooLarge { what: "state", .. }));
    let rejected = log.put_state(GROUP, StateSlot(8), Bytes::new(), ignore()).unwrap_err();
    assert!(matches!(rejected.error, LogError::NoSuchSlot { slot: 8, .. }));
    let piece = Bytes::from(vec![0; LOG_ENTRY_BYTES_MAX]);
    let many = (6..11).map(|index| (LogIndex(index), piece.clone())).collect();
    let rejected = log.append(GROUP, many, ignore()).unwrap_err();
    assert!(matches!(rejected.error, LogError::TooLarge { what: "operation", .. }));
    let (sender, receiver) = sync_channel(1);
    let rejected = log
        .append(GROUP, entries(50..51), Box::new(move |result| sender.send(result).unwrap()))
        .unwrap_err();
    rejected.give_up();
    assert!(receiver.recv().unwrap().is_err());
    // An append of nothing is a barrier.
    log.submit_and_wait(Operation::Append { group: GROUP, entries: Vec::new() }).unwrap();
}

#[test]
fn memory_keeps_the_contract() {
    script(&MemoryLog::new());
}

#[test]
fn a_modelled_disk_keeps_the_contract() {
    for segment_bytes in [100, 1 << 20] {
        let env = FaultEnv::new(1);
        let (log, _) = open(&env, &options(segment_bytes)).unwrap();
        script(&log);
        let before = picture(&log);
        log.close();
        env.restart(Crash::Lost);
        let (log, _) = open(&env, &options(segment_bytes)).unwrap();
        assert_eq!(picture(&log), before);
    }
}

#[test]
fn a_real_disk_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("log");
    let env: Arc<dyn Env> = Arc::new(OsEnv::new());
    let (log, report) = SegmentLog::open(Arc::clone(&env), &root, &options(300)).unwrap();
    assert_eq!(report.segments, 0);
    script(&log);
    let before = picture(&log);
    log.close();
    let (log, report) = SegmentLog::open(Arc::clone(&env), &root, &options(300)).unwrap();
    assert_eq!(picture(&log), before);
    assert_eq!((report.torn, report.carried_entries), (None, 0));
    // Dropped without closing: what was done is there.
    append(&log, 6..9);
    let before = picture(&log);
    drop(log);
    let (log, _) = SegmentLog::open(env, &root, &options(300)).unwrap();
    assert_eq!(picture(&log), before);
}

#[test]
fn random_workloads_leave_the_same_on_every_log() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let model = MemoryLog::new();
        let env = FaultEnv::new(seed);
        let (log, _) = open(&env, &options(3_000)).unwrap();
        for step in workload(&mut random, &model, 200) {
            match step {
                support::Step::Submit(operation) => log.submit(operation, ignore()).unwrap(),
                support::Step::Pump => drop(log.pump()),
                support::Step::Confirm => drop(log.confirm()),
                support::Step::Sweep => log.sweep(),
            }
        }
        assert_eq!(picture(&log), picture(&model), "seed {seed}");
    }
}

#[test]
fn entries_are_readable_before_they_are_durable() {
    let env = FaultEnv::new(2);
    let (log, _) = open(&env, &options(1 << 20)).unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    for index in 0..3 {
        let done = Arc::clone(&done);
        let callback = Box::new(move |result: Result<(), LogError>| {
            done.lock().unwrap().push((index, result.is_ok()));
        });
        log.append(GROUP, entries(index..index + 1), callback).unwrap();
    }
    assert_eq!(log.read(GROUP, LogIndex(0)..LogIndex(9), 1_000).unwrap(), entries(0..3));
    assert!(done.lock().unwrap().is_empty());
    let syncs = log.stats().syncs;
    assert!(log.pump());
    assert_eq!(*done.lock().unwrap(), [(0, true), (1, true), (2, true)]);
    assert_eq!(log.stats().syncs, syncs + 1, "one sync for all three");
    assert_eq!(log.stats().entries, 3);
    assert!(!log.pump());
}

#[test]
fn a_full_queue_refuses_and_a_batch_is_bounded() {
    let env = FaultEnv::new(3);
    let (log, _) = open(&env, &options(1 << 30)).unwrap();
    let mebibyte = Bytes::from(vec![9; 1 << 20]);
    let mut index = 0;
    let rejected = loop {
        match log.try_append(GROUP, vec![(LogIndex(index), mebibyte.clone())], ignore()) {
            Ok(()) => index += 1,
            Err(rejected) => break rejected,
        }
    };
    assert_eq!(index, 15);
    assert!(rejected.error.is_retryable());
    assert!(log.stats().queued_bytes <= LOG_QUEUE_BYTES_MAX);
    let written = log.stats().written_bytes;
    assert!(log.pump());
    assert!(log.stats().written_bytes - written <= 4 << 20);
    log.try_submit(rejected.operation, rejected.done).unwrap();
    // Waiting for room works without a thread as well.
    for index in 16..40 {
        log.append(GROUP, vec![(LogIndex(index), mebibyte.clone())], ignore()).unwrap();
    }
    log.barrier().unwrap();
    let stats = log.stats();
    assert_eq!((stats.queued_bytes, stats.entries), (0, 40));
    assert!(stats.tail_bytes <= LOG_TAIL_BYTES_MAX);
    for index in 0..40 {
        assert_eq!(log.entry(GROUP, LogIndex(index)).unwrap(), Some(mebibyte.clone()));
    }
    assert!(log.stats().disk_reads >= 24);
}

fn segment_files(env: &dyn Env, directory: &Path) -> Vec<u64> {
    let names = env.list(directory).unwrap().into_iter();
    let paths = names.map(|name| directory.join(name));
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|it| it == "log");
    paths.filter(is_segment).map(|path| env.open(&path).unwrap().size_bytes().unwrap()).collect()
}

#[test]
fn a_log_in_use_gets_files_with_room() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("log");
    let env: Arc<dyn Env> = Arc::new(OsEnv::new());
    let reopen = || SegmentLog::open_manual(Arc::clone(&env), &root, &options(3_200)).unwrap();
    let (log, _) = reopen();
    log.sweep();
    append(&log, 0..1);
    log.sweep();
    assert!(segment_files(env.as_ref(), &root)[0] < 200, "not for so little");
    append(&log, 1..4);
    log.sweep();
    let has_spare = || env.list(&root).unwrap().contains(&"spare.log.tmp".to_owned());
    assert!(has_spare());
    append(&log, 4..5);
    let files = segment_files(env.as_ref(), &root);
    assert!(files[0] < 400 && files[1] == 3_200, "it is taken at once: {files:?}");
    for index in 5..200 {
        append(&log, index..index + 1);
        log.sweep();
    }
    let files = segment_files(env.as_ref(), &root);
    assert!(files.len() > 3 && files[1..].iter().all(|bytes| *bytes < 3_300), "{files:?}");
    let before = picture(&log);
    drop(log);
    let (log, report) = reopen();
    assert_eq!((picture(&log), report.torn), (before, None));
    assert!(!has_spare());
}

#[test]
fn a_disk_without_room_for_the_next_file_stops_nothing() {
    let env = FaultEnv::new(8);
    let told = Arc::new(Mutex::new(0));
    let hook = Arc::clone(&told);
    let options =
        LogOptions::new(|| 0, move |_| *hook.lock().unwrap() += 1).with_segment_bytes(3_200);
    let (log, _) = open(&env, &options).unwrap();
    append(&log, 0..5);
    let before = env.paths();
    env.set_full(true);
    log.sweep();
    assert_eq!(env.paths(), before, "what was written of it is gone");
    env.set_full(false);
    log.sweep();
    assert_eq!(env.paths(), before, "not again for this segment");
    (5..90).for_each(|index| append(&log, index..index + 1));
    log.sweep();
    append(&log, 90..91);
    assert!(segment_files(&env, directory()).contains(&3_200), "but for the next");
    assert_eq!(*told.lock().unwrap(), 0);
    // Any other error ends the log, as everywhere.
    append(&log, 91..100);
    env.fail_at(env.operations() + 1, Fault::InputOutput);
    log.sweep();
    assert_eq!(*told.lock().unwrap(), 1);
}

#[test]
fn memory_never_forgets_what_is_not_synced() {
    let env = FaultEnv::new(7);
    let (log, _) = open(&env, &options(1 << 30)).unwrap();
    let busy = GroupId(8);
    let mebibyte = Bytes::from(vec![9; 1 << 20]);
    let one = |index| vec![(LogIndex(index), mebibyte.clone())];
    append(&log, 0..1);
    for index in 0..12 {
        log.append(busy, one(index), ignore()).unwrap();
    }
    log.barrier().unwrap();
    // Entry 0 is the first that memory forgets; another one takes its index behind a full batch.
    for index in 12..16 {
        log.append(busy, one(index), ignore()).unwrap();
    }
    log.truncate_after(GROUP, None, ignore()).unwrap();
    log.append(GROUP, vec![(LogIndex(0), Bytes::from_static(b"other"))], ignore()).unwrap();
    assert!(log.pump());
    assert!(log.stats().queued_bytes > 0);
    assert_eq!(log.entry(GROUP, LogIndex(0)).unwrap(), Some(Bytes::from_static(b"other")));
}

#[test]
fn groups_are_bounded() {
    let log = MemoryLog::new();
    for group in 0..LOG_GROUPS_MAX as u64 {
        log.put_state(GroupId(group), StateSlot(0), Bytes::new(), ignore()).unwrap();
    }
    let more = GroupId(LOG_GROUPS_MAX as u64);
    let rejected = log.purge(more, LogIndex(0), ignore()).unwrap_err();
    assert!(matches!(rejected.error, LogError::TooManyGroups { .. }));
    log.remove_group(GroupId(0), ignore()).unwrap();
    log.purge(more, LogIndex(0), ignore()).unwrap();
}

#[test]
fn an_idle_log_confirms_its_last_frames_once() {
    let env = FaultEnv::new(4);
    let (log, _) = open(&env, &options(1 << 20)).unwrap();
    assert!(!log.confirm(), "a new log has nothing to confirm");
    append(&log, 0..3);
    assert!(log.confirm());
    assert!(!log.confirm());
    env.restart(Crash::Lost);
    let (_, report) = open(&env, &options(1 << 20)).unwrap();
    assert_eq!((report.live_entries, report.carried_entries), (3, 0));
}

#[test]
fn a_failure_is_final_and_reaches_everyone() {
    let env = FaultEnv::new(5);
    let told = Arc::new(Mutex::new(0));
    let hook = Arc::clone(&told);
    let options = LogOptions::new(|| 0, move |_| *hook.lock().unwrap() += 1);
    let (log, _) = open(&env, &options).unwrap();
    append(&log, 0..1);
    let refused = Arc::new(Mutex::new(0));
    for index in 1..4 {
        let refused = Arc::clone(&refused);
        let callback = Box::new(move |result: Result<(), LogError>| {
            assert!(matches!(result, Err(LogError::Failed(_))));
            *refused.lock().unwrap() += 1;
        });
        log.append(GROUP, entries(index..index + 1), callback).unwrap();
    }
    env.fail_at(env.operations() + 1, Fault::InputOutput);
    log.pump();
    assert_eq!((*told.lock().unwrap(), *refused.lock().unwrap()), (1, 3));
    let operations = env.operations();
    assert!(matches!(log.barrier(), Err(LogError::Failed(_))));
    assert!(log.read(GROUP, LogIndex(0)..LogIndex(1), 100).is_err());
    log.pump();
    log.confirm();
    log.sweep();
    log.close();
    assert_eq!(env.operations(), operations, "nothing is written after a failure");
    assert_eq!(*told.lock().unwrap(), 1);
}

#[test]
fn the_clock_that_was_given_measures_syncs_and_progress_is_told() {
    let env = FaultEnv::new(6);
    let ticks = Arc::new(Mutex::new(0));
    let clock = move || {
        let mut ticks = ticks.lock().unwrap();
        *ticks += 5;
        *ticks
    };
    let (log, _) = open(&env, &LogOptions::new(clock, |_| ())).unwrap();
    append(&log, 0..3);
    let stats = log.stats();
    assert_eq!((stats.sync_last_nanoseconds, stats.sync_max_nanoseconds), (5, 5));
    assert_eq!(stats.sync_started_nanoseconds, None);
    drop(log);
    env.restart(Crash::Lost);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let options = options(1 << 20).with_progress(move |step| sink.lock().unwrap().push(step));
    let (_, report) = open(&env, &options).unwrap();
    let bytes = report.bytes;
    let expected = Progress { done_bytes: bytes, total_bytes: bytes, entries: 3 };
    assert_eq!(*seen.lock().unwrap(), [expected]);
}

#[test]
fn many_threads_share_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let env: Arc<dyn Env> = Arc::new(OsEnv::new());
    let root = directory.path().join("log");
    let (log, _) = SegmentLog::open(Arc::clone(&env), &root, &options(20_000)).unwrap();
    thread::scope(|scope| {
        for group in 0..8 {
            let log = &log;
            scope.spawn(move || {
                let group = GroupId(group);
                for index in 0..100 {
                    let entries = vec![entry(index)];
                    if index % 10 == 9 {
                        log.submit_and_wait(Operation::Append { group, entries }).unwrap();
                        let upto = LogIndex(index - 5);
                        log.purge(group, upto, ignore()).unwrap();
                    } else {
                        log.append(group, entries, ignore()).unwrap();
                    }
                    let found = log.entry(group, LogIndex(index)).unwrap();
                    assert_eq!(found, Some(entry(index).1));
                }
            });
        }
    });
    log.barrier().unwrap();
    assert_eq!((log.stats().entries, log.stats().queued_bytes), (800, 0));
    let before = picture(&log);
    log.close();
    let (log, _) = SegmentLog::open(env, &root, &options(20_000)).unwrap();
    assert_eq!(picture(&log), before);
    assert_eq!(log.bounds(GroupId(3)), bounds(Some(94), Some((95, 99))));
}

#[test]
fn a_callback_may_drop_the_last_handle() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("log");
    let (log, _) = SegmentLog::open(Arc::new(OsEnv::new()), &root, &options(1 << 20)).unwrap();
    let log = Arc::new(log);
    let (sender, receiver) = sync_channel(1);
    let handle = Arc::clone(&log);
    let (go, wait) = sync_channel::<()>(1);
    let callback = Box::new(move |result: Result<(), LogError>| {
        wait.recv().unwrap();
        drop(handle);
        sender.send(result.is_ok()).unwrap();
    });
    log.append(GROUP, entries(0..1), callback).unwrap();
    drop(log);
    go.send(()).unwrap();
    assert!(receiver.recv().unwrap());
}
