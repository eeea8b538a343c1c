//! What an acknowledgement means.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cluster::identity::ReplicaId;
use cluster::raft::{
    Blocking, FatalHook, GroupRouter, GroupRouterHandle, Outcome, ProposalBudget, ProposeError,
    Replica, ReplicaParts,
};
use cluster::transport::{Incarnation, MemoryNetwork};
use futures_util::FutureExt as _;
use storage::env::{Crash, FaultEnv};
use storage::log::{LogEngine, LogOptions, SegmentLog};

use crate::group::{GROUP, Group, node};
use crate::map_machine::MapMachine;

#[tokio::test(start_paused = true)]
async fn what_is_written_is_read_through_any_replica() {
    let group = Group::start(1, 3).await;
    for number in 0..20 {
        group.write(&format!("k{number}"), "v").await;
        let at = number % 3;
        assert_eq!(group.read(at, &format!("k{number}")).await.as_deref(), Some("v"));
    }
    assert_eq!(group.settled().await.len(), 21);
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_the_machines_own() {
    let group = Group::start(2, 3).await;
    group.write("first", "1").await;
    let leader = group.leader().await;
    let first = group.write_to(leader, "k", "old").await.unwrap();
    assert_eq!(first, Outcome::Applied(Bytes::new()));
    let second = group.write_to(leader, "k", "new").await.unwrap();
    assert_eq!(second, Outcome::Applied(Bytes::from_static(b"old")));
    let refused = group.members[leader].replica().propose(Bytes::from_static(b"!")).await;
    assert!(matches!(refused, Ok(Outcome::Refused { .. })));
    let follower = (leader + 1) % 3;
    let elsewhere = group.write_to(follower, "k", "x").await.unwrap_err();
    let expected = Some(group.members[leader].place());
    assert_eq!(elsewhere, ProposeError::NotLeader { leader: expected });
    let large = Bytes::from(vec![0; 5 << 20]);
    let large = group.members[leader].replica().propose(large).await;
    assert!(matches!(large, Err(ProposeError::Refused { .. })));
}

/// A node of one replica on a disk that syncs only when the test says so.
struct Lonely {
    env: FaultEnv,
    log: Arc<SegmentLog>,
    machine: MapMachine,
    replica: Replica,
}

impl Lonely {
    async fn start(env: FaultEnv, is_new: bool) -> Self {
        let options = LogOptions::new(|| 0, |_| {});
        let (log, _) =
            SegmentLog::open_manual(Arc::new(env.clone()), Path::new("log"), &options).unwrap();
        let log = Arc::new(log);
        let machine = MapMachine::default();
        let router = Arc::new(GroupRouter::new());
        let handler = Arc::new(GroupRouterHandle(Arc::clone(&router)));
        let incarnation = Incarnation { start: 1, nonce: 1 };
        let transport = MemoryNetwork::new(1).attach(node(1), incarnation, handler);
        let parts = ReplicaParts {
            group: GROUP,
            replica: ReplicaId(1),
            log: Arc::clone(&log) as Arc<dyn LogEngine>,
            machine: Arc::new(machine.clone()),
            transport,
            router,
            budget: ProposalBudget::default(),
            blocking: Blocking::Inline,
            fatal: FatalHook::new(|failure| panic!("{failure}")),
        };
        let replica = pumped(&log, Replica::start(parts)).await.unwrap();
        if is_new {
            let members = BTreeMap::from([(ReplicaId(1), node(1))]);
            pumped(&log, replica.initialize(&members)).await.unwrap();
        }
        let mut leadership = replica.leadership();
        let led = leadership.wait_for(|now| now.leader.is_some());
        pumped(&log, led.map(|led| drop(led.unwrap()))).await;
        Self { env, log, machine, replica }
    }
}

/// Runs a future while the log is written.
async fn pumped<T>(log: &SegmentLog, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {
                while log.pump() {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_before_the_sync() {
    let lonely = Lonely::start(FaultEnv::new(3), true).await;
    let mut proposal = Box::pin(lonely.replica.propose(Bytes::from_static(b"k=v")));
    for _ in 0..50 {
        // All other tasks run until nothing is left to do but to wait.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(futures_util::poll!(&mut proposal).is_pending(), "acknowledged, and not synced");
    }
    assert_eq!(lonely.machine.get("k"), None, "applied, and not synced");
    // Power goes before the sync: the entry is gone, and nobody was told otherwise.
    let before = lonely.env.fork();
    before.restart(Crash::Lost);
    let forgotten = Lonely::start(before, false).await;
    assert_eq!(forgotten.machine.get("k"), None);

    let outcome = pumped(&lonely.log, proposal).await;
    assert_eq!(outcome, Ok(Outcome::Applied(Bytes::new())));
    let after = lonely.env.fork();
    after.restart(Crash::Lost);
    let remembered = Lonely::start(after, false).await;
    let read = async {
        let barrier = remembered.replica.read_barrier().await.unwrap();
        assert!(remembered.replica.wait_applied(barrier).await);
    };
    pumped(&remembered.log, read).await;
    assert_eq!(remembered.machine.get("k").as_deref(), Some("v"));
}
