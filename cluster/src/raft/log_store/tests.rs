//! The store over a disk that syncs when told to, and over the log in memory.

use std::path::Path;

use futures_util::{FutureExt as _, TryStreamExt as _};
use openraft::EntryPayload;
use openraft::type_config::TypeConfigExt as _;
use openraft::vote::{RaftLeaderId as _, RaftVote as _};
use storage::env::{Crash, FaultEnv};
use storage::log::{GroupId, LogEngine, LogOptions, MemoryLog, SegmentLog};

use super::*;
use crate::raft::blocking::Blocking;
use crate::raft::fence::{Fence, Generation};
use crate::raft::types::{Command, LeaderId};

const GROUP: GroupId = GroupId(2);

fn id(index: u64) -> LogId {
    LogId::new(LeaderId::new(1, 1), index)
}

fn entry(index: u64, bytes: usize) -> Entry {
    let payload = EntryPayload::Normal(Command::new(vec![7; bytes].into()));
    Entry { log_id: id(index), payload }
}

/// A store over a disk that syncs when told to.
fn on_disk(env: &FaultEnv) -> (Arc<SegmentLog>, LogStore, Generation) {
    let options = LogOptions::new(|| 0, |_| {});
    let env = Arc::new(env.clone());
    let (log, _) = SegmentLog::open_manual(env, Path::new("log"), &options).unwrap();
    let log = Arc::new(log);
    let (store, generation) = over(Arc::clone(&log) as Arc<dyn LogEngine>);
    (log, store, generation)
}

fn over(log: Arc<dyn LogEngine>) -> (LogStore, Generation) {
    let (pass, generation) = Arc::new(Fence::default()).advance();
    let handle = LogHandle::new(GROUP, log, Blocking::Inline);
    (LogStore::open(handle, pass).unwrap(), generation)
}

#[tokio::test]
async fn a_vote_is_saved_when_it_is_synced() {
    let env = FaultEnv::new(1);
    let (log, mut store, _generation) = on_disk(&env);
    let vote = Vote::from_leader_id(LeaderId::new(5, 1), false);
    let mut saving = Box::pin(store.save_vote(&vote));
    assert!(futures_util::poll!(&mut saving).is_pending());
    let unsynced = env.fork();
    assert!(log.pump());
    saving.await.unwrap();
    assert_eq!(store.read_vote().await.unwrap(), Some(vote));
    for (disk, expected) in [(unsynced, None), (env, Some(vote))] {
        disk.restart(Crash::Lost);
        let (_log, mut store, _generation) = on_disk(&disk);
        assert_eq!(store.read_vote().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn entries_are_readable_at_once_and_flushed_when_synced() {
    let env = FaultEnv::new(2);
    let (log, mut store, _generation) = on_disk(&env);
    let (sender, mut flushed) = Consensus::oneshot();
    // More than one operation of the log: the callback belongs to the last.
    let entries: Vec<Entry> = (1..=5).map(|index| entry(index, 1 << 20)).collect();
    store.save_committed(Some(id(1))).await.unwrap();
    store.append(entries, IOFlushed::signal(sender)).await.unwrap();
    assert_eq!(store.try_get_log_entries(..).await.unwrap().len(), 5);
    while (&mut flushed).now_or_never().is_none() {
        let unsynced = env.fork();
        assert!(log.pump(), "everything is written, and nobody was told");
        if (&mut flushed).now_or_never().is_some() {
            unsynced.restart(Crash::Lost);
            let (_log, mut store, _generation) = on_disk(&unsynced);
            let there = store.try_get_log_entries(..).await.unwrap().len();
            assert!(there < 5, "the callback came a sync late");
            break;
        }
    }
    env.restart(Crash::Lost);
    let (_log, mut store, _generation) = on_disk(&env);
    assert_eq!(store.try_get_log_entries(..).await.unwrap().len(), 5);
    assert_eq!(store.read_committed().await.unwrap(), Some(id(1)));
}

#[tokio::test]
async fn reads_are_cut_at_their_bound() {
    let (mut store, _generation) = over(Arc::new(MemoryLog::new()));
    let entries: Vec<Entry> = (1..=6).map(|index| entry(index, 400 << 10)).collect();
    store.append(entries, IOFlushed::noop()).await.unwrap();
    assert_eq!(store.limited_get_log_entries(1, 7).await.unwrap().len(), 2);
    assert_eq!(store.limited_get_log_entries(6, 7).await.unwrap().len(), 1);
    assert_eq!(store.try_get_log_entries(1..7).await.unwrap().len(), 6);
    let stream = store.entries_stream(2..6).await;
    let streamed: Vec<Entry> = std::pin::pin!(stream).try_collect().await.unwrap();
    let indexes: Vec<u64> = streamed.iter().map(|entry| entry.log_id.index).collect();
    assert_eq!(indexes, [2, 3, 4, 5]);
}

/// A leader's log is purged while it sends: what is left of the range lies behind a gap.
#[tokio::test]
async fn what_follows_purged_entries_is_not_sent_in_their_place() {
    let (mut store, _generation) = over(Arc::new(MemoryLog::new()));
    let entries: Vec<Entry> = (1..=8).map(|index| entry(index, 1)).collect();
    store.append(entries, IOFlushed::noop()).await.unwrap();
    store.purge(id(5)).await.unwrap();
    assert_eq!(store.limited_get_log_entries(3, 9).await.unwrap(), []);
    assert_eq!(store.limited_get_log_entries(5, 9).await.unwrap(), []);
    assert_eq!(store.limited_get_log_entries(6, 9).await.unwrap().len(), 3);
    // Nor is it applied.
    let stream = store.entries_stream(3..9).await;
    std::pin::pin!(stream).try_collect::<Vec<_>>().await.unwrap_err();
    let stream = store.entries_stream(6..9).await;
    assert_eq!(std::pin::pin!(stream).try_collect::<Vec<_>>().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_purge_that_is_owed_is_done_at_the_start() {
    let log: Arc<dyn LogEngine> = Arc::new(MemoryLog::new());
    let (mut store, _generation) = over(Arc::clone(&log));
    let entries: Vec<Entry> = (1..=6).map(|index| entry(index, 1)).collect();
    store.append(entries, IOFlushed::noop()).await.unwrap();
    let value = position::encode_log_id(Some(&id(4)));
    log.put_state(GROUP, PURGED, value, Box::new(drop)).unwrap();
    let (mut store, _generation) = over(Arc::clone(&log));
    assert_eq!(log.bounds(GROUP).first, Some(LogIndex(5)));
    let state = store.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(4)), Some(id(6))));
    // The other way round cannot come about: what was purged is not known.
    log.purge(GROUP, LogIndex(5), Box::new(drop)).unwrap();
    let (pass, _generation) = Arc::new(Fence::default()).advance();
    let handle = LogHandle::new(GROUP, log, Blocking::Inline);
    LogStore::open(handle, pass).unwrap_err();
}

#[tokio::test]
async fn parts_of_a_former_generation_write_nothing() {
    let log: Arc<dyn LogEngine> = Arc::new(MemoryLog::new());
    let fence = Arc::new(Fence::default());
    let (pass, _generation) = fence.advance();
    let handle = LogHandle::new(GROUP, Arc::clone(&log), Blocking::Inline);
    let mut store = LogStore::open(handle, pass).unwrap();
    let (_pass, _generation) = fence.advance();
    store.append([entry(1, 1)], IOFlushed::noop()).await.unwrap_err();
    let vote = Vote::from_leader_id(LeaderId::new(5, 1), false);
    store.save_vote(&vote).await.unwrap_err();
    store.purge(id(1)).await.unwrap_err();
    assert_eq!(log.groups(), []);
}
