//! Damage at rest: a flipped byte below a confirmed point is an error that names file and offset,
//! a flipped byte behind it cuts the tail; nothing is ever answered with other bytes than were
//! written, and nothing panics. The decoder takes any bytes whatever.

#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use storage::env::{Crash, FaultEnv};
use storage::log::{
    Damage, GroupId, LogEngine, LogError, LogIndex, MemoryLog, Operation, SegmentNumber, StateSlot,
    check_segment, salvage,
};
use support::{Picture, Random, Step, directory, ignore, open, options, picture, workload};

const SEGMENT_BYTES: u64 = 1_500;

/// A disk with a log of several segments, the last of which holds confirmed and unconfirmed
/// frames; and what the log says.
fn disk(seed: u64, count: usize) -> (FaultEnv, Picture) {
    let env = FaultEnv::new(seed);
    let (log, _) = open(&env, &options(SEGMENT_BYTES)).unwrap();
    for step in workload(&mut Random(seed), &MemoryLog::new(), count) {
        match step {
            Step::Submit(operation) => log.submit(operation, ignore()).unwrap(),
            Step::Pump => drop(log.pump()),
            Step::Confirm => drop(log.confirm()),
            Step::Sweep => log.sweep(),
        }
    }
    log.pump();
    let before = picture(&log);
    drop(log);
    env.restart(Crash::Process);
    (env, before)
}

fn segments(env: &FaultEnv) -> Vec<(SegmentNumber, PathBuf)> {
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
        name.parse().ok().map(SegmentNumber)
    };
    let paths = env.paths().into_iter();
    paths.filter_map(|path| number(&path).map(|number| (number, path))).collect()
}

#[test]
fn every_flipped_byte_is_corruption_or_a_cut_tail() {
    let mut rooms = 0;
    for seed in [0, 1, 3] {
        let (env, before) = disk(seed, 70);
        let segments = segments(&env);
        assert!(segments.len() > 2, "{}", segments.len());
        let (newest, newest_path) = segments.last().unwrap().clone();
        let summary = check_segment(newest, &env.content(&newest_path).unwrap()).unwrap();
        assert!(summary.confirmed_bytes < summary.end_bytes);
        assert_eq!(summary.torn, None, "zeros behind the frames are no torn tail");
        let length = env.content(&newest_path).unwrap().len();
        rooms += usize::from(summary.end_bytes < length as u64);
        let (mut refused, mut cut, mut ignored) = (0, 0, 0);
        for (_, path) in &segments {
            for offset in 0..env.content(path).unwrap().len() {
                let env = env.fork();
                let mask = 1 << (offset % 8);
                assert!(env.flip(path, offset, mask));
                let is_tail = *path == newest_path && offset as u64 >= summary.confirmed_bytes;
                let context = format!("seed {seed}, {} at {offset}", path.display());
                match open(&env, &options(SEGMENT_BYTES)) {
                    Err(LogError::Corrupt { file, offset: at, .. }) => {
                        assert!(!is_tail, "{context}: a tail was refused");
                        assert_eq!(file, *path, "{context}");
                        assert!(at <= offset as u64, "{context}: {at}");
                        refused += 1;
                    }
                    Err(error) => panic!("{context}: {error:?}"),
                    Ok((log, report)) if is_tail => {
                        let torn = report.torn.unwrap();
                        assert_eq!(torn.file, *path, "{context}");
                        assert!(torn.offset >= summary.confirmed_bytes, "{context}");
                        assert!(torn.offset <= offset as u64, "{context}");
                        // What is left is sound: the log can be read to its end.
                        picture(&log);
                        cut += 1;
                    }
                    Ok((log, _)) => {
                        // A file that no longer counts, or the part that a younger one replaced.
                        assert_eq!(picture(&log), before, "{context}");
                        ignored += 1;
                    }
                }
            }
        }
        assert!(refused > 1_000 && cut > 20, "seed {seed}: {refused} {cut} {ignored}");
    }
    assert!(rooms > 0, "some newest segment has room left");
}

#[test]
fn zeros_where_frames_were_confirmed_are_corruption() {
    let env = FaultEnv::new(12);
    let (log, _) = open(&env, &options(3_000)).unwrap();
    let group = GroupId(1);
    let mut append = |index: u64| {
        log.append(group, vec![(LogIndex(index), Bytes::from(vec![3; 100]))], ignore()).unwrap();
        log.pump();
        log.sweep();
    };
    (0..12).for_each(&mut append);
    let (newest, path) = segments(&env).pop().unwrap();
    let content = env.content(&path).unwrap();
    let summary = check_segment(newest, &content).unwrap();
    assert!(content.len() == 3_000 && summary.end_bytes > 1_000, "{summary:?}");
    for zeros_from in 0..content.len() {
        let mut bytes = content.clone();
        bytes[zeros_from..].fill(0);
        let checked = check_segment(newest, &bytes);
        // What was confirmed by a frame that is gone as well looks like a shorter log.
        let is_shorter = checked.is_ok_and(|it| it.confirmed_bytes <= zeros_from as u64);
        assert!(is_shorter || zeros_from < 300, "from {zeros_from}");
        // A frame that is left knows better.
        let mut bytes = content.clone();
        let confirmed = usize::try_from(summary.confirmed_bytes).unwrap();
        if let Some(gone) = bytes.get_mut(zeros_from.min(confirmed - 1)..confirmed) {
            gone.fill(0);
        }
        assert!(check_segment(newest, &bytes).is_err(), "from {zeros_from}");
    }
}

#[test]
fn a_damaged_log_is_cut_where_the_damage_begins() {
    let env = FaultEnv::new(11);
    let (log, _) = open(&env, &options(1_000)).unwrap();
    let group = GroupId(1);
    let entry = |index: u64| Bytes::from(vec![u8::try_from(index).unwrap(); 100]);
    for index in 0..40 {
        log.append(group, vec![(LogIndex(index), entry(index))], ignore()).unwrap();
        log.pump();
    }
    log.confirm();
    drop(log);
    env.restart(Crash::Process);
    let aside = Path::new("data/aside");
    let mut held = BTreeSet::new();
    for (_, path) in segments(&env) {
        for offset in (0..env.content(&path).unwrap().len()).step_by(13) {
            let env = env.fork();
            env.flip(&path, offset, 1);
            if open(&env.fork(), &options(1_000)).is_ok() {
                continue;
            }
            let before = env.content(&path).unwrap();
            let cuts = salvage(&env, directory(), aside, &options(1_000)).unwrap();
            let context = format!("{} at {offset}: {cuts:?}", path.display());
            assert_eq!(cuts[0].file, path, "{context}");
            assert!(cuts[0].kept_bytes <= offset as u64, "{context}");
            let name = aside.join(path.file_name().unwrap());
            assert_eq!(env.content(&name).unwrap(), before, "{context}");
            env.restart(Crash::Lost);
            let (log, _) = open(&env, &options(1_000)).unwrap();
            let entries = log.read(group, LogIndex(0)..LogIndex(99), usize::MAX).unwrap();
            for (index, bytes) in &entries {
                assert_eq!(*bytes, entry(index.0), "{context}");
            }
            held.insert(entries.len());
            // What is left is a log like any other.
            let next = LogIndex(entries.len() as u64);
            log.append(group, vec![(next, entry(1))], ignore()).unwrap();
            log.pump();
        }
    }
    assert!(held.len() > 30, "as many as come before the damage: {held:?}");
}

#[test]
fn a_missing_or_cut_segment_is_corruption() {
    let (env, _) = disk(3, 70);
    let segments = segments(&env);
    let needed = open(&env.fork(), &options(SEGMENT_BYTES)).unwrap().1.segments;
    let mut refused = 0;
    for (number, path) in segments.iter().rev().skip(1) {
        let env = env.fork();
        storage::env::Env::remove(&env, path).unwrap();
        if let Err(error) = open(&env, &options(SEGMENT_BYTES)) {
            let LogError::Corrupt { damage, .. } = &error else { panic!("{error:?}") };
            assert_eq!(*damage, Damage::MissingSegment(*number));
            assert!(error.is_corruption());
            refused += 1;
        }
    }
    assert!(refused > 0 && refused <= needed);
}

#[test]
fn files_go_only_after_their_announcement_is_confirmed() {
    let env = FaultEnv::new(8);
    let (log, _) = open(&env, &options(1_000)).unwrap();
    let group = GroupId(1);
    for index in 0..20 {
        log.append(group, vec![(LogIndex(index), Bytes::from(vec![3; 100]))], ignore()).unwrap();
        log.pump();
    }
    log.purge(group, LogIndex(19), ignore()).unwrap();
    log.pump();
    // This batch announces the dead segments, and nothing confirms it.
    log.put_state(group, StateSlot(0), Bytes::from_static(b"vote"), ignore()).unwrap();
    log.pump();
    log.sweep();
    drop(log);
    env.restart(Crash::Process);
    let (newest, path) = segments(&env).pop().unwrap();
    let content = env.content(&path).unwrap();
    let summary = check_segment(newest, &content).unwrap();
    assert!(summary.confirmed_bytes < summary.end_bytes);
    for offset in usize::try_from(summary.confirmed_bytes).unwrap()..content.len() {
        let env = env.fork();
        env.flip(&path, offset, 1);
        let (log, report) = open(&env, &options(1_000)).unwrap();
        assert!(report.torn.is_some());
        assert_eq!(log.bounds(group).purged, Some(LogIndex(19)));
    }
}

#[test]
fn what_a_segment_is_born_with_is_never_a_torn_tail() {
    let env = FaultEnv::new(9);
    let (log, _) = open(&env, &options(1 << 20)).unwrap();
    let entries = (0..5).map(|index| (LogIndex(index), Bytes::from(vec![3; 50]))).collect();
    log.submit_and_wait(Operation::Append { group: GroupId(1), entries }).unwrap();
    drop(log);
    env.restart(Crash::Lost);
    let (log, report) = open(&env, &options(1 << 20)).unwrap();
    assert_eq!(report.carried_entries, 5);
    drop(log);
    env.restart(Crash::Lost);
    let (_, path) = segments(&env).pop().unwrap();
    for offset in 0..env.content(&path).unwrap().len() {
        let env = env.fork();
        env.flip(&path, offset, 1);
        match open(&env, &options(1 << 20)).unwrap_err() {
            LogError::Corrupt { damage: Damage::MissingEntries { .. }, .. } => {
                panic!("at {offset}: the frame itself must be named")
            }
            LogError::Corrupt { offset: at, .. } => assert!(at <= offset as u64),
            error => panic!("at {offset}: {error:?}"),
        }
    }
}

#[test]
fn a_read_notices_damage_that_came_after_the_start() {
    let env = FaultEnv::new(4);
    let (log, _) = open(&env, &options(1 << 20)).unwrap();
    let group = GroupId(1);
    // More than memory holds, so that the first entries are read from the disk.
    let big = Bytes::from(vec![0x5a; 1 << 20]);
    for index in 0..20 {
        log.append(group, vec![(LogIndex(index), big.clone())], ignore()).unwrap();
        log.pump();
    }
    assert_eq!(log.entry(group, LogIndex(0)).unwrap(), Some(big.clone()));
    assert!(log.stats().disk_reads > 0);
    let path = &segments(&env)[0].1;
    assert!(env.flip(path, 500_000, 4));
    let error = log.entry(group, LogIndex(0)).unwrap_err();
    assert!(error.is_corruption(), "{error:?}");
    assert_eq!(log.entry(group, LogIndex(19)).unwrap(), Some(big.clone()));
    // An error of the device is another matter: it ends the log.
    env.fail_read_at(env.reads());
    assert!(matches!(log.entry(group, LogIndex(1)), Err(LogError::Env(_))));
    assert!(matches!(log.entry(group, LogIndex(19)), Err(LogError::Failed(_))));
    let rejected = log.try_append(group, vec![(LogIndex(20), big)], ignore()).unwrap_err();
    assert!(matches!(rejected.error, LogError::Failed(_)));
}

/// The body of the fuzz target: whatever the bytes, an answer and no panic.
fn decode_anything(number: u64, bytes: &[u8]) {
    if let Ok(summary) = check_segment(SegmentNumber(number), bytes) {
        assert!(summary.end_bytes <= bytes.len() as u64);
        assert!(summary.confirmed_bytes <= summary.end_bytes);
        let mut rest = bytes.iter().skip(usize::try_from(summary.end_bytes).unwrap());
        assert_eq!(summary.torn.is_none(), rest.all(|byte| *byte == 0));
    }
}

/// A whole segment to start from, with every kind of frame.
fn sample_segment() -> (u64, Vec<u8>) {
    let env = FaultEnv::new(5);
    let (log, _) = open(&env, &options(1 << 20)).unwrap();
    let group = GroupId(1);
    let entry = |index: u64| (LogIndex(index), Bytes::from(vec![1; 30]));
    for operation in [
        Operation::Append { group, entries: (0..6).map(entry).collect() },
        Operation::PutState { group, slot: StateSlot(1), value: Bytes::from_static(b"vote") },
        Operation::TruncateAfter { group, after: Some(LogIndex(3)) },
        Operation::Append { group, entries: vec![entry(4)] },
        Operation::Purge { group, upto: LogIndex(1) },
        Operation::Append { group: GroupId(2), entries: vec![entry(9)] },
        Operation::RemoveGroup { group: GroupId(2) },
    ] {
        log.submit_and_wait(operation).unwrap();
    }
    log.close();
    let (number, path) = segments(&env).pop().unwrap();
    (number.0, env.content(&path).unwrap())
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_to_an_answer(
        number in 0_u64..3,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        decode_anything(number, &bytes);
    }

    #[test]
    fn a_changed_segment_decodes_to_an_answer(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        tail in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let (number, mut bytes) = sample_segment();
        for (position, value) in changes {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes.extend(tail);
        decode_anything(number, &bytes);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the number of fuzz cases comes from outside")]
fn fuzz_seeded_bytes_decode_to_an_answer() {
    let (number, sample) = sample_segment();
    decode_anything(number, &sample);
    let mut random = Random(6);
    let cases = std::env::var("SKUA_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    for _ in 0..cases.unwrap_or(2_000) {
        // Pieces of a real segment in any order: more frames survive than in noise.
        let mut bytes = Vec::new();
        while random.below(4) > 0 {
            let from = random.position(sample.len());
            let length = random.position(200);
            bytes.extend(sample[from..].iter().take(length));
        }
        decode_anything(number, &bytes);
        decode_anything(number, &[&sample[..sample.len() / 2], &bytes].concat());
    }
}

#[test]
fn a_disk_full_of_noise_never_panics() {
    let mut random = Random(7);
    for seed in 0..100 {
        let (env, _) = disk(seed, 30);
        let paths = env.paths();
        for _ in 0..=random.below(6) {
            let path = &paths[random.position(paths.len())];
            let offset = random.position(env.content(path).unwrap().len());
            env.flip(path, offset, random.byte() | 1);
        }
        match open(&env, &options(SEGMENT_BYTES)) {
            Ok((log, _)) => drop(picture(&log)),
            Err(LogError::Corrupt { .. } | LogError::Format { .. }) => {}
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
    }
}
