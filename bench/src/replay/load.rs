//! Keeps connections busy with a plan's requests, and counts.
//!
//! Each connection has a fixed number of senders, each with one request on its way: that is the
//! bound on memory and on what the server sees at once. A sender takes the next request number,
//! builds the request, and sends it until it is acknowledged or refused for good. Nothing is built
//! ahead, and dropping the future of a load ends all its senders.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::client::{Client, Refusal};
use super::histogram::Histogram;
use super::options::LoadOptions;
use super::plan::ReplayPlan;
use super::report::{LoadProgress, LoadReport, Progress};
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};
use crate::outside;
use crate::recording::Recording;
use crate::redraw::Random;
use crate::transfer::pairs;

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Replays the files of `options` and tells how it went. A server that refuses, or goes away in the
/// middle, is part of the report; an error means that nothing was sent.
pub async fn load(
    options: &LoadOptions,
    progress: &mut dyn Progress,
) -> anyhow::Result<LoadReport> {
    options.validate()?;
    let recording = Recording::open(&options.files, options.format)?;
    ensure!(!recording.spans().is_empty(), "there are no spans in the files");
    let plan = ReplayPlan::new(recording, options.plan_options())?;
    Load { plan: Arc::new(plan), options: options.clone() }.run(progress).await
}

/// A load that is ready to run.
#[derive(Debug)]
pub struct Load {
    /// What is sent.
    pub plan: Arc<ReplayPlan>,
    /// Where and how fast; the parts that make a plan are not looked at.
    pub options: LoadOptions,
}

impl Load {
    /// Sends everything and tells how it went.
    pub async fn run(self, progress: &mut dyn Progress) -> anyhow::Result<LoadReport> {
        let all = 0..self.plan.request_count();
        self.run_requests(all, progress).await
    }

    /// Sends these requests of the plan and tells how it went.
    pub async fn run_requests(
        self,
        requests: Range<u64>,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<LoadReport> {
        let mut clients = Vec::new();
        for _ in 0..self.options.connections {
            let client = Client::connect(&self.options.to).await?;
            clients.push(client.with_headers(pairs(&self.options.headers)));
        }
        let shared = Arc::new(Shared {
            plan: self.plan,
            retry_for: self.options.retry_for,
            rate: self.options.rate,
            started: outside::now(),
            counts: Counts { next_request: requests.start.into(), ..Counts::default() },
            requests,
        });
        let mut senders = JoinSet::new();
        for (connection, client) in clients.iter().enumerate() {
            for slot in 0..self.options.in_flight {
                let seed = (connection as u64) << 32 | u64::from(slot);
                senders.spawn(send_until_done(Arc::clone(&shared), client.clone(), seed));
            }
        }
        let mut latencies = Histogram::default();
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        ticks.tick().await;
        loop {
            tokio::select! {
                ended = senders.join_next() => match ended {
                    Some(sender) => latencies.merge(&sender?),
                    None => break,
                },
                _ = ticks.tick() => progress.update(&shared.progress()),
            }
        }
        Ok(shared.report(&latencies))
    }
}

/// What the senders of a load share.
#[derive(Debug)]
struct Shared {
    plan: Arc<ReplayPlan>,
    retry_for: Duration,
    rate: Option<f64>,
    started: Instant,
    /// What is sent of the plan.
    requests: Range<u64>,
    counts: Counts,
}

/// Written by every sender, read for progress.
#[derive(Debug, Default)]
struct Counts {
    next_request: AtomicU64,
    spans_acked: AtomicU64,
    spans_rejected: AtomicU64,
    spans_refused: AtomicU64,
    requests_acked: AtomicU64,
    requests_refused: AtomicU64,
    bytes_acked: AtomicU64,
    retries: AtomicU64,
    /// Set once, by the sender that gave up.
    stopping: AtomicBool,
    stopped: Mutex<Option<String>>,
    first_refusal: Mutex<Option<String>>,
}

/// Sends requests until none is left or the load stops; the answer is how long each took.
async fn send_until_done(shared: Arc<Shared>, mut client: Client, seed: u64) -> Histogram {
    let mut latencies = Histogram::default();
    let mut jitter = Random::new(seed);
    let counts = &shared.counts;
    while !counts.stopping.load(Ordering::Relaxed) {
        let request = counts.next_request.fetch_add(1, Ordering::Relaxed);
        if request >= shared.requests.end {
            break;
        }
        shared.wait_until_due(request).await;
        let (body, spans) = match shared.plan.build(request) {
            Ok(built) => built,
            Err(error) => {
                shared.stop(format!("request {request} cannot be built: {error}"));
                break;
            }
        };
        let (bytes, sent) = (body.len() as u64, outside::now());
        match shared.send(&mut client, Bytes::from(body), sent, &mut jitter).await {
            Ok(rejected) => {
                latencies.add(outside::now().duration_since(sent));
                let rejected = rejected.min(spans);
                counts.requests_acked.fetch_add(1, Ordering::Relaxed);
                counts.bytes_acked.fetch_add(bytes, Ordering::Relaxed);
                counts.spans_acked.fetch_add(spans - rejected, Ordering::Relaxed);
                counts.spans_rejected.fetch_add(rejected, Ordering::Relaxed);
            }
            Err(refusal) => {
                counts.requests_refused.fetch_add(1, Ordering::Relaxed);
                counts.spans_refused.fetch_add(spans, Ordering::Relaxed);
                set_once(&counts.first_refusal, refusal.message.clone());
                if refusal.retryable {
                    shared.stop(format!(
                        "gave up after {} s: {}",
                        shared.retry_for.as_secs(),
                        refusal.message
                    ));
                }
            }
        }
    }
    latencies
}

impl Shared {
    /// Sends one request until it is acknowledged, refused for good, or out of time.
    async fn send(
        &self,
        client: &mut Client,
        body: Bytes,
        sent: Instant,
        jitter: &mut Random,
    ) -> Result<u64, Refusal> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let refusal = match client.export(body.clone()).await {
                Ok(rejected) => return Ok(rejected),
                Err(refusal) => refusal,
            };
            let out_of_time = outside::now().duration_since(sent) >= self.retry_for;
            if !refusal.retryable || out_of_time || self.counts.stopping.load(Ordering::Relaxed) {
                return Err(refusal);
            }
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
            let pause = refusal.retry_after.unwrap_or(backoff).min(BACKOFF_MAX);
            // Senders that were refused together must not come back together.
            let spread = u32::try_from(jitter.below(512)).unwrap_or_default();
            tokio::time::sleep(pause + pause * spread / 1024).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn wait_until_due(&self, request: u64) {
        if let Some(rate) = self.rate {
            let seconds = self.spans_before(request) as f64 / rate;
            let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            let waited = outside::now().duration_since(self.started);
            tokio::time::sleep(due.saturating_sub(waited)).await;
        }
    }

    /// Spans of the requests that are sent before this one.
    fn spans_before(&self, request: u64) -> u64 {
        let first = self.plan.spans_before(self.requests.start);
        self.plan.spans_before(request).saturating_sub(first)
    }

    fn stop(&self, reason: String) {
        set_once(&self.counts.stopped, reason);
        self.counts.stopping.store(true, Ordering::Relaxed);
    }

    fn progress(&self) -> LoadProgress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = outside::now().duration_since(self.started).as_secs_f64();
        let spans_acked = read(&self.counts.spans_acked);
        LoadProgress {
            seconds,
            spans_total: self.spans_before(self.requests.end),
            spans_acked,
            spans_rejected: read(&self.counts.spans_rejected),
            spans_refused: read(&self.counts.spans_refused),
            retries: read(&self.counts.retries),
            spans_per_second: spans_acked as f64 / seconds.max(1e-9),
        }
    }

    fn report(&self, latencies: &Histogram) -> LoadReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let text = |text: &Mutex<Option<String>>| {
            text.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        LoadReport {
            totals: self.progress(),
            requests_acked: read(&self.counts.requests_acked),
            requests_refused: read(&self.counts.requests_refused),
            bytes_acked: read(&self.counts.bytes_acked),
            ack_p50_milliseconds: latencies.percentile_milliseconds(50),
            ack_p99_milliseconds: latencies.percentile_milliseconds(99),
            ack_max_milliseconds: latencies.max_milliseconds(),
            first_refusal: text(&self.counts.first_refusal),
            stopped: text(&self.counts.stopped),
        }
    }
}

/// Keeps the first of several reasons.
fn set_once(place: &Mutex<Option<String>>, reason: String) {
    place.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
}
