//! DUR-1, DUR-2, DUR-3 for one node's log: crashes and errors at every single change of the disk.
//!
//! The property: a recovered log equals some prefix of the submitted frames, and that prefix
//! holds everything that was reported done. As the log is one stream, this says at once that no
//! acknowledged entry or state is lost, that nothing appears that was not submitted, that there
//! are no gaps, and that truncations and purges are respected. What a recovery reported, the next
//! one reports again, whatever happens to unsynced bytes in between.

#![cfg(test)]

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use storage::env::{Crash, Fault, FaultEnv};
use storage::log::{LogEngine, LogError, LogOptions, MemoryLog, Operation, SegmentLog};
use support::{Picture, Random, Step, open, options, picture, workload};

/// Small enough that a workload goes through many segments.
const SEGMENT_BYTES: u64 = 2_000;
const CRASHES: [Crash; 4] = [Crash::Lost, Crash::Torn, Crash::Kept, Crash::Process];

/// What was submitted to a log, frame by frame, and how much of it was reported done.
#[derive(Debug)]
struct Promises {
    /// What the log was before.
    base: Vec<Operation>,
    submitted: Vec<Operation>,
    done: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Promises {
    fn new(base: Vec<Operation>) -> Self {
        Self {
            base,
            submitted: Vec::new(),
            done: Arc::new(AtomicUsize::new(0)),
            refused: Arc::new(AtomicUsize::new(0)),
        }
    }

    fn submit(&mut self, log: &SegmentLog, operation: &Operation) {
        let frames = pieces(operation);
        // Some wait for nobody, and nobody for them.
        if matches!(operation, Operation::PutState { value, .. } if value.len() % 2 == 0) {
            if log.try_enqueue(operation.clone()).is_ok() {
                self.submitted.extend(frames);
            }
            return;
        }
        let upto = self.submitted.len() + frames.len();
        let (done, refused) = (Arc::clone(&self.done), Arc::clone(&self.refused));
        let callback = Box::new(move |result: Result<(), LogError>| match result {
            Ok(()) => {
                assert_eq!(refused.load(Ordering::Relaxed), 0, "nothing is done after a failure");
                let former = done.swap(upto, Ordering::Relaxed);
                assert!(former <= upto, "callbacks come in order");
            }
            Err(_) => {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        });
        if log.submit(operation.clone(), callback).is_ok() {
            self.submitted.extend(frames);
        }
    }

    fn run(&mut self, log: &SegmentLog, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Submit(operation) => self.submit(log, operation),
                Step::Pump => {
                    log.pump();
                }
                Step::Confirm => {
                    log.confirm();
                }
                Step::Sweep => log.sweep(),
            }
        }
    }

    /// The frames that a recovered picture stands for; panics if it breaks a promise.
    fn check(&self, recovered: &Picture, context: &str) -> Vec<Operation> {
        let model = MemoryLog::new();
        let done = self.done.load(Ordering::Relaxed);
        for operation in self.base.iter().chain(&self.submitted[..done]) {
            model.submit_and_wait(operation.clone()).unwrap();
        }
        let mut count = done;
        while picture(&model) != *recovered {
            assert!(
                count < self.submitted.len(),
                "{context}: the log is no prefix of what was submitted that holds the {done} \
                 frames reported done: {recovered:#?}"
            );
            model.submit_and_wait(self.submitted[count].clone()).unwrap();
            count += 1;
        }
        self.base.iter().chain(&self.submitted[..count]).cloned().collect()
    }
}

/// The operation in pieces of one frame each: what a crash may separate.
fn pieces(operation: &Operation) -> Vec<Operation> {
    match operation {
        Operation::Append { group, entries } => entries
            .iter()
            .map(|entry| Operation::Append { group: *group, entries: vec![entry.clone()] })
            .collect(),
        Operation::Barrier => Vec::new(),
        other => vec![other.clone()],
    }
}

/// Segments with zeros behind their frames.
fn room_left(env: &FaultEnv) -> usize {
    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|it| it == "log");
    let ends_with_room = |path: &&PathBuf| env.content(path).unwrap().ends_with(&[0; 64]);
    env.paths().iter().filter(is_segment).filter(ends_with_room).count()
}

fn steps(seed: u64, count: usize) -> Vec<Step> {
    workload(&mut Random(seed), &MemoryLog::new(), count)
}

/// Runs a workload on a fresh disk with accidents; returns what was promised.
fn run(env: &FaultEnv, options: &LogOptions, steps: &[Step]) -> Promises {
    let mut promises = Promises::new(Vec::new());
    if let Ok((log, _)) = open(env, options) {
        promises.run(&log, steps);
    }
    promises
}

/// Recovers, checks, and recovers again after a power loss: the second must equal the first.
fn recover_twice(env: &FaultEnv, promises: &Promises, context: &str) {
    let (log, _) =
        open(env, &options(SEGMENT_BYTES)).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let first = picture(&log);
    promises.check(&first, context);
    drop(log);
    env.restart(Crash::Lost);
    let (log, report) = open(env, &options(SEGMENT_BYTES))
        .unwrap_or_else(|error| panic!("{context}, second recovery: {error:?}"));
    assert_eq!(picture(&log), first, "{context}: second recovery");
    assert_eq!(report.torn, None, "{context}: second recovery");
}

#[test]
fn power_may_go_at_every_change() {
    for seed in 0..3 {
        let steps = steps(seed, 240);
        let whole = FaultEnv::new(seed);
        run(&whole, &options(SEGMENT_BYTES), &steps);
        let count = whole.operations();
        assert!(count > 150, "the workload is too small: {count}");
        assert!(room_left(&whole) > 0, "the workload makes room and takes it");
        for operation in 0..count {
            let env = FaultEnv::new(seed);
            env.crash_at(operation);
            let promises = run(&env, &options(SEGMENT_BYTES), &steps);
            assert!(env.has_crashed());
            for crash in CRASHES {
                let env = env.fork();
                env.restart(crash);
                recover_twice(&env, &promises, &format!("seed {seed} at {operation} {crash:?}"));
            }
        }
    }
}

#[test]
fn every_change_may_fail() {
    for (seed, fault) in [(10, Fault::InputOutput), (11, Fault::OutOfSpace)] {
        let steps = steps(seed, 160);
        let whole = FaultEnv::new(seed);
        run(&whole, &options(SEGMENT_BYTES), &steps);
        for operation in 0..whole.operations() {
            let env = FaultEnv::new(seed);
            env.fail_at(operation, fault);
            let told = Arc::new(Mutex::new(Vec::new()));
            let hook = Arc::clone(&told);
            let options =
                LogOptions::new(|| 0, move |error| hook.lock().unwrap().push(error.clone()))
                    .with_segment_bytes(SEGMENT_BYTES);
            let promises = run(&env, &options, &steps);
            let told = told.lock().unwrap();
            let context = format!("seed {seed} at {operation} {fault:?}");
            assert!(told.len() <= 1, "{context}: the hook is told once");
            let is_told = told.iter().all(|e| e.is_out_of_space() == (fault == Fault::OutOfSpace));
            assert!(is_told, "{context}: {told:?}");
            // After a failed sync the kernel takes the bytes for clean: a new process reads them,
            // and only a recovery that writes them anew keeps what it then reports.
            for crash in CRASHES {
                let env = env.fork();
                env.restart(crash);
                recover_twice(&env, &promises, &format!("{context} {crash:?}"));
            }
        }
    }
}

#[test]
fn power_may_go_during_recovery() {
    let seed = 20;
    let steps = steps(seed, 60);
    let whole = FaultEnv::new(seed);
    run(&whole, &options(SEGMENT_BYTES), &steps);
    for operation in (0..whole.operations()).step_by(7) {
        let env = FaultEnv::new(seed);
        env.crash_at(operation);
        let promises = run(&env, &options(SEGMENT_BYTES), &steps);
        env.restart(Crash::Torn);
        let begin = env.operations();
        let trial = env.fork();
        open(&trial, &options(SEGMENT_BYTES)).unwrap();
        for during in begin..trial.operations() {
            let env = env.fork();
            env.crash_at(during);
            assert!(open(&env, &options(SEGMENT_BYTES)).is_err());
            for crash in CRASHES {
                let env = env.fork();
                env.restart(crash);
                let context = format!("seed {seed} at {operation}, recovery at {during} {crash:?}");
                recover_twice(&env, &promises, &context);
            }
        }
    }
}

#[test]
fn a_log_lives_through_many_crashes() {
    for seed in 100..140 {
        let mut random = Random(seed);
        let env = FaultEnv::new(seed);
        let mut base = Vec::new();
        for life in 0..6 {
            let context = format!("seed {seed} life {life}");
            let (log, _) = match open(&env, &options(SEGMENT_BYTES)) {
                Ok(opened) => opened,
                Err(error) => panic!("{context}: {error:?}"),
            };
            let model = MemoryLog::new();
            for operation in &base {
                model.submit_and_wait(Operation::clone(operation)).unwrap();
            }
            assert_eq!(picture(&log), picture(&model), "{context}: before");
            let steps = workload(&mut random, &model, 80);
            env.crash_at(env.operations() + random.below(120));
            let mut promises = Promises::new(base);
            promises.run(&log, &steps);
            drop(log);
            env.restart(CRASHES[random.position(CRASHES.len())]);
            let (log, _) = open(&env, &options(SEGMENT_BYTES))
                .unwrap_or_else(|error| panic!("{context}: {error:?}"));
            base = promises.check(&picture(&log), &context);
            log.close();
        }
    }
}

#[test]
fn a_clean_end_leaves_nothing_to_cut_and_nothing_to_carry() {
    let env = FaultEnv::new(30);
    let steps = steps(30, 100);
    let (log, _) = open(&env, &options(SEGMENT_BYTES)).unwrap();
    let mut promises = Promises::new(Vec::new());
    promises.run(&log, &steps);
    let before = picture(&log);
    log.close();
    assert_eq!(promises.done.load(Ordering::Relaxed), promises.submitted.len());
    env.restart(Crash::Lost);
    let (log, report) = open(&env, &options(SEGMENT_BYTES)).unwrap();
    assert_eq!(picture(&log), before);
    assert_eq!((report.torn, report.carried_entries), (None, 0));
}

#[test]
fn dead_segments_go_and_an_idle_group_does_not_hold_them() {
    let env = FaultEnv::new(40);
    let (log, _) = open(&env, &options(4_000)).unwrap();
    let quiet = storage::log::GroupId(1);
    let busy = storage::log::GroupId(2);
    let entry = |index| vec![(storage::log::LogIndex(index), bytes::Bytes::from(vec![7; 100]))];
    log.append(quiet, entry(0), support::ignore()).unwrap();
    for index in 0..2_000 {
        log.append(busy, entry(index), support::ignore()).unwrap();
        log.pump();
        if index % 10 == 9 {
            log.purge(busy, storage::log::LogIndex(index - 5), support::ignore()).unwrap();
        }
        log.sweep();
    }
    log.pump();
    log.confirm();
    log.confirm();
    log.sweep();
    let (spares, segments): (Vec<_>, Vec<_>) =
        env.paths().into_iter().partition(|path| path.ends_with("spare.log.tmp"));
    let files = segments.len();
    assert!(files <= 4, "{files} files for a handful of entries");
    assert_eq!((log.stats().segments, spares.len()), (files, 1));
    assert_eq!(picture(&log)[&quiet].entries, entry(0));
    let before = picture(&log);
    env.restart(Crash::Lost);
    let (log, _) = open(&env, &options(4_000)).unwrap();
    assert_eq!(picture(&log), before);
}
