//! One of the connections to a peer: opened when it is needed, kept, and opened again.
//!
//! Connecting goes on in a task of its own, so that a caller with a short deadline does not take
//! the attempt down with it; those who come while it lasts wait for the same attempt. After a
//! failure callers are told at once until the pause is over: a dead peer costs a caller nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::connection::Connection;
use super::limits::{
    BACKOFF_FIRST, BACKOFF_MAX, CALLS_PER_LANE_MAX, RAFT_CALLS_PER_LANE_MAX,
    REQUEST_BYTES_PER_LANE_MAX, STREAMS_PER_LANE_MAX,
};
use super::tasks::TaskSet;
use super::{KeyRing, Lane};

/// A lane to one peer.
#[derive(Debug)]
pub(crate) struct LaneState {
    lane: Lane,
    keys: Option<Arc<KeyRing>>,
    tasks: TaskSet,
    phase: watch::Sender<Phase>,
    /// Calls under way, but for votes and heartbeats.
    pub(crate) calls: Arc<Semaphore>,
    /// Votes and heartbeats under way.
    pub(crate) raft_calls: Arc<Semaphore>,
    /// Open streams.
    pub(crate) streams: Arc<Semaphore>,
    /// Bytes of requests under way.
    pub(crate) request_bytes: Arc<Semaphore>,
}

#[derive(Debug)]
struct Phase {
    /// Counts connects, so that the end of an old connection does not touch a newer one.
    attempt: u64,
    failures: u32,
    now: Now,
}

#[derive(Debug)]
enum Now {
    Idle { reason: String, address: String, retry_at: Option<Instant> },
    Connecting { address: String },
    Connected { connection: Connection, address: String },
}

/// What a caller finds.
enum Found {
    Connection(Connection, u64),
    Failed(String),
    Connecting,
}

impl LaneState {
    pub(crate) fn new(lane: Lane, keys: Option<Arc<KeyRing>>, tasks: TaskSet) -> Self {
        let now = Now::Idle { reason: String::new(), address: String::new(), retry_at: None };
        Self {
            lane,
            keys,
            tasks,
            phase: watch::Sender::new(Phase { attempt: 0, failures: 0, now }),
            calls: Arc::new(Semaphore::new(CALLS_PER_LANE_MAX)),
            raft_calls: Arc::new(Semaphore::new(RAFT_CALLS_PER_LANE_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_PER_LANE_MAX)),
            request_bytes: Arc::new(Semaphore::new(REQUEST_BYTES_PER_LANE_MAX)),
        }
    }

    /// A connection to `address` and its number, or why there is none.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        address: &str,
    ) -> Result<(Connection, u64), String> {
        let mut phase = self.phase.subscribe();
        loop {
            phase.mark_unchanged();
            match self.look(address) {
                Found::Connection(connection, attempt) => return Ok((connection, attempt)),
                Found::Failed(reason) => return Err(reason),
                Found::Connecting => {
                    // The sender is a field of `self`.
                    let _ = phase.changed().await;
                }
            }
        }
    }

    /// Gives a connection up that turned out to lead elsewhere.
    pub(crate) fn forget(&self, attempt: u64, reason: &str) {
        self.end(attempt, Duration::ZERO, reason.to_owned());
    }

    fn look(self: &Arc<Self>, address: &str) -> Found {
        let mut found = Found::Connecting;
        let mut start = None;
        self.phase.send_if_modified(|phase| {
            match &phase.now {
                Now::Connected { connection, address: current }
                    if current == address && !connection.is_closed() =>
                {
                    found = Found::Connection(connection.clone(), phase.attempt);
                    return false;
                }
                // The pause is for the address that failed: a node that moved is tried at once.
                Now::Idle { reason, address: failed, retry_at: Some(at) }
                    if failed == address && *at > tokio::time::Instant::now() =>
                {
                    found = Found::Failed(reason.clone());
                    return false;
                }
                Now::Connecting { address: current } if current == address => return false,
                Now::Idle { .. } | Now::Connecting { .. } | Now::Connected { .. } => {}
            }
            phase.attempt += 1;
            phase.now = Now::Connecting { address: address.to_owned() };
            start = Some(phase.attempt);
            true
        });
        if let Some(attempt) = start {
            let work = Arc::clone(self).run(attempt, address.to_owned());
            if !self.tasks.spawn("rpc connection", work) {
                self.end(attempt, Duration::ZERO, "the transport is closed or full".to_owned());
            }
        }
        found
    }

    /// Connects, and keeps the connection until it ends.
    async fn run(self: Arc<Self>, attempt: u64, address: String) {
        // However this ends, nobody waits for it for ever.
        let guard = Attempt { lane: &self, attempt };
        let opened = Connection::open(&address, self.keys.as_deref()).await;
        let outcome = if opened.is_ok() { "connected" } else { "failed" };
        let labels = [("lane", self.lane.label()), ("outcome", outcome)];
        metrics::counter!("skua_rpc_connects_total", &labels).increment(1);
        let (connection, driver) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(%address, lane = self.lane.label(), %error, "no connection");
                self.end(attempt, Duration::ZERO, format!("{address}: {error}"));
                return;
            }
        };
        self.phase.send_if_modified(|phase| {
            if phase.attempt == attempt {
                phase.now = Now::Connected { connection, address: address.clone() };
            }
            phase.attempt == attempt
        });
        let since = tokio::time::Instant::now();
        let open = metrics::gauge!("skua_rpc_connections", "lane" => self.lane.label());
        open.increment(1.0);
        let open = OpenConnection(open);
        let ended = driver.await;
        drop(open);
        let reason = match ended {
            Ok(()) => format!("{address}: the connection was closed"),
            Err(error) => format!("{address}: the connection broke: {error}"),
        };
        tracing::debug!(%reason, lane = self.lane.label(), "connection ended");
        self.end(attempt, since.elapsed(), reason);
        drop(guard);
    }

    /// Notes that an attempt or its connection is over.
    fn end(&self, attempt: u64, lived: Duration, reason: String) {
        self.phase.send_if_modified(|phase| {
            let (Now::Connecting { address } | Now::Connected { address, .. }) = &phase.now else {
                return false;
            };
            if phase.attempt != attempt {
                return false;
            }
            let address = address.clone();
            // A connection that served for a while says that the peer was fine until now.
            phase.failures = if lived > BACKOFF_MAX { 0 } else { phase.failures.saturating_add(1) };
            let factor = 1_u32.checked_shl(phase.failures.saturating_sub(1)).unwrap_or(u32::MAX);
            let pause = BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_MAX);
            let retry_at = Some(tokio::time::Instant::now() + pause);
            phase.now = Now::Idle { reason, address, retry_at };
            true
        });
    }
}

/// Ends an attempt whose task was dropped.
struct Attempt<'lane> {
    lane: &'lane LaneState,
    attempt: u64,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.lane.end(self.attempt, Duration::ZERO, "the transport was closed".to_owned());
    }
}

/// Counts a connection while it is open, however it ends.
struct OpenConnection(metrics::Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
