//! Clients: they write and read through any node, and hold every answer against the history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::budget::Budget;
use model::query::{Order, TracePredicate, TraceQuery};
use model::store::{
    Completeness, Detail, ReadScope, SearchItem, SearchRequest, Trace, TraceRequest,
};
use model::testing::{Random, write_spans};
use model::time::Clock;
use model::{StoreError, Tenant, TimeRange, TraceId, TraceStore as _};

use super::history::{History, Promise, Request};
use super::world::{Handle, World};

/// How long a client waits for the answer to a request.
const WRITE_PATIENCE: Duration = Duration::from_secs(12);

/// How long a client lets a read take.
const READ_PATIENCE: Duration = Duration::from_secs(4);

/// How often a request of unknown outcome is sent, at most.
const ATTEMPTS_MAX: u32 = 3;

/// Traces that an ordinary search asks for.
const SEARCH_LIMIT: u32 = 25;

/// More traces than a run makes.
const ALL_TRACES: u32 = 100_000;

/// What all clients share.
#[derive(Debug, Clone)]
pub struct Clients {
    world: World,
    history: Arc<Mutex<History>>,
    clock: Arc<dyn Clock>,
}

/// What a client does next, for as long as faults go on.
#[derive(Debug, Clone, Copy)]
pub enum Habit {
    /// It writes, and rests up to so many milliseconds.
    Write(u64),
    /// It reads, and rests up to so many milliseconds.
    Read(u64),
}

impl Clients {
    /// Of a world.
    pub fn new(world: &World, seed: u64) -> Self {
        let history = Arc::new(Mutex::new(History::new(seed)));
        Self { world: world.clone(), history, clock: world.true_clock() }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, through: usize, result: &Result<(), String>) -> bool {
        if let Err(what) = result {
            self.world.violation(&format!("through node {through}: {what}"));
        }
        result.is_ok()
    }

    /// Goes on until it is dropped.
    pub async fn run(self, habit: Habit, seed: u64) {
        let mut random = Random::new(seed);
        loop {
            let (Habit::Write(rest) | Habit::Read(rest)) = habit;
            tokio::time::sleep(Duration::from_millis(1 + random.below(rest))).await;
            let up = self.world.up();
            let Some(through) = up.get(random.index(up.len())) else { continue };
            match habit {
                Habit::Write(_) => self.write_next(through, &mut random).await,
                Habit::Read(_) if random.one_in(3) => {
                    let _ = self.search(through, &mut random).await;
                }
                Habit::Read(_) => self.read_some(through, &mut random).await,
            }
        }
    }

    async fn write_next(&self, through: &Handle, random: &mut Random) {
        let request = self.history().next_request();
        let mut through = through.clone();
        for attempt in 1..=ATTEMPTS_MAX {
            if self.write(&through, &request).await {
                if random.one_in(16) && attempt < ATTEMPTS_MAX {
                    // A client that did not hear the answer sends again.
                    self.world.count(|counters| counters.repeated += 1);
                    self.write(&through, &request).await;
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(50 + random.below(500))).await;
            let up = self.world.up();
            let Some(next) = up.get(random.index(up.len())) else { return };
            through = next.clone();
            self.world.count(|counters| counters.repeated += 1);
        }
    }

    /// Sends a request once. True if it was acknowledged.
    pub async fn write(&self, through: &Handle, request: &Request) -> bool {
        let sent = write_spans(through.store.as_ref(), &request.tenant, &request.spans);
        let answer = tokio::select! {
            biased;
            () = through.life.gone.cancelled() => None,
            answer = tokio::time::timeout(WRITE_PATIENCE, sent) => answer.ok(),
        };
        match answer {
            Some(Ok(ack)) => {
                self.history().acked(request);
                self.world.count(|counters| {
                    counters.acked += 1;
                    counters.acked_spans += ack.spans;
                });
                let number = through.number;
                let spans = request.spans.len() as u64;
                if ack.spans != spans {
                    self.world.violation(&format!("API-1: {} of {spans} acked", ack.spans));
                }
                self.world.note(&format!("ack {} through {number}", request.trace_id));
                true
            }
            Some(Err(error)) => {
                self.world.count(|counters| counters.unknown += 1);
                if !error.is_retryable() {
                    self.world.violation(&format!("API-1: a sound request is refused: {error}"));
                }
                false
            }
            None => {
                self.world.count(|counters| counters.unknown += 1);
                false
            }
        }
    }

    /// One new request, sent until it is acknowledged or time is up.
    pub async fn write_until(&self, through: &Handle, within: Duration) -> bool {
        let request = self.history().next_request();
        let writing = async {
            while !self.write(through, &request).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(within, writing).await.is_ok()
    }

    async fn read_some(&self, through: &Handle, random: &mut Random) {
        let Some((trace_id, tenant)) = self.history().some_acked() else { return };
        let foreign = random.one_in(20);
        let other = || self.history().tenants().into_iter().find(|other| *other != tenant);
        let asked = if foreign { other() } else { None };
        let asked = asked.unwrap_or_else(|| tenant.clone());
        let promise =
            if asked == tenant { self.history().promise(trace_id) } else { Promise::default() };
        self.read(through, &asked, trace_id, &promise).await;
    }

    /// Reads a trace. True if the answer lacked nothing and was as promised.
    pub async fn read(
        &self,
        through: &Handle,
        tenant: &Tenant,
        trace_id: TraceId,
        promise: &Promise,
    ) -> bool {
        let request = TraceRequest { scope: self.scope(tenant), trace_id, spans_max: 1_000_000 };
        let Some(answer) = self.ask(through, through.store.trace(request)).await else {
            return false;
        };
        let is_complete = self.note_completeness(through, &answer.completeness);
        let trace = answer.value.as_ref();
        let checked = self.history().check_trace(tenant, trace_id, trace, promise, is_complete);
        self.check(through.number, &checked) && is_complete
    }

    async fn search(&self, through: &Handle, random: &mut Random) -> Option<()> {
        let tenants = self.history().tenants();
        let tenant = tenants.get(random.index(tenants.len()))?.clone();
        let promise = self.history().promise_all(&tenant);
        let (shown, completeness) =
            self.newest(through, &tenant, SEARCH_LIMIT, Detail::Summary).await?;
        if !self.note_completeness(through, &completeness) {
            return Some(());
        }
        let ids: Vec<TraceId> = shown.into_iter().map(|(id, _)| id).collect();
        let checked = self.history().check_newest(&tenant, &ids, SEARCH_LIMIT as usize, &promise);
        self.check(through.number, &checked);
        Some(())
    }

    /// Reads everything through a node. Returns how many traces there are, if the answers lacked
    /// nothing and were as promised.
    pub async fn read_all(&self, through: &Handle) -> Option<usize> {
        let mut count = 0;
        let tenants = self.history().tenants();
        for tenant in tenants {
            let promise = self.history().promise_all(&tenant);
            let detail = Detail::Trace { spans_max: 1_000_000 };
            let (shown, completeness) = self.newest(through, &tenant, ALL_TRACES, detail).await?;
            if !self.note_completeness(through, &completeness) {
                return None;
            }
            count += shown.len();
            let ids: Vec<TraceId> = shown.iter().map(|(id, _)| *id).collect();
            let checked = self.history().check_newest(&tenant, &ids, ALL_TRACES as usize, &promise);
            self.check(through.number, &checked);
            for (trace_id, trace) in shown {
                let checked =
                    self.history().check_trace(&tenant, trace_id, trace.as_ref(), &promise, true);
                self.check(through.number, &checked);
            }
        }
        Some(count)
    }

    /// Reads some acknowledged traces by their ids. False if an answer lacked anything.
    pub async fn read_sample(&self, through: &Handle, count: usize) -> bool {
        for _ in 0..count {
            let Some((trace_id, tenant)) = self.history().some_acked() else { return true };
            let promise = self.history().promise(trace_id);
            if !self.read(through, &tenant, trace_id, &promise).await {
                return false;
            }
        }
        true
    }

    async fn newest(
        &self,
        through: &Handle,
        tenant: &Tenant,
        limit: u32,
        detail: Detail,
    ) -> Option<(Vec<(TraceId, Option<Trace>)>, Completeness)> {
        let query = TraceQuery {
            window: TimeRange::ALL,
            predicate: TracePredicate::True,
            order: Order::Newest,
            limit,
            cursor: None,
        };
        let request = SearchRequest { scope: self.scope(tenant), query, detail, progress: false };
        let searching = async {
            let mut stream = through.store.search(request).await?;
            let mut shown = Vec::new();
            loop {
                let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context));
                match next.await {
                    Some(Ok(SearchItem::Progress(_))) => {}
                    Some(Ok(SearchItem::Hit(hit))) => {
                        shown.push((hit.key.trace_id, hit.trace));
                    }
                    Some(Ok(SearchItem::End(end))) => return Ok((shown, end.completeness)),
                    Some(Err(error)) => return Err(error),
                    None => {
                        let what = "a search ended without its end".to_owned();
                        return Err(StoreError::Invalid { what });
                    }
                }
            }
        };
        self.ask(through, searching).await
    }

    /// Waits for an answer as a client would; nothing if there was none.
    async fn ask<T>(
        &self,
        through: &Handle,
        asking: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        let patience = READ_PATIENCE * 2;
        let answer = tokio::select! {
            biased;
            () = through.life.gone.cancelled() => return None,
            answer = tokio::time::timeout(patience, asking) => answer,
        };
        let failed = || self.world.count(|counters| counters.reads_failed += 1);
        match answer {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                failed();
                if !error.is_retryable() && !matches!(error, StoreError::Exhausted(_)) {
                    self.world.violation(&format!("API-1: a sound read is refused: {error}"));
                }
                None
            }
            Err(_) => {
                failed();
                self.world.violation("a read went on for twice its deadline");
                None
            }
        }
    }

    fn note_completeness(&self, through: &Handle, completeness: &Completeness) -> bool {
        let is_complete = completeness.is_complete();
        self.world.count(|counters| {
            if is_complete {
                counters.reads += 1;
            } else {
                counters.reads_partial += 1;
            }
        });
        let number = through.number;
        self.world.note(&format!("read through {number}, complete: {is_complete}"));
        is_complete
    }

    fn scope(&self, tenant: &Tenant) -> ReadScope {
        let patience = u64::try_from(READ_PATIENCE.as_nanos()).unwrap_or(u64::MAX);
        let deadline = self.clock.monotonic().plus(model::Duration(patience));
        let budget = Budget::new(Arc::clone(&self.clock), deadline, u64::MAX);
        ReadScope { tenant: tenant.clone(), budget, stale: false }
    }
}
