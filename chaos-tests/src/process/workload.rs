//! The clients: writers that retry as SDKs do, probes that do not, and readers.
//!
//! Each writes down what it does before it does it, and what it was told.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::BufWriter;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};

use super::chance::Chance;
use super::http::{Connection, Failure, Request, get};
use super::jaeger::Observed;
use super::node::{OTLP_PORT, UI_PORT};
use super::otlp::{self, GROUP_REQUESTS};
use super::world::World;
use crate::history::{
    Answer, Asked, Attempt, HistoryWriter, Outcome, Record, RequestId, Sent, TraceKey,
};

/// How long a writer waits for an answer: OTLP's own default.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// How long a probe waits: long enough for a healthy cluster, short enough to measure with.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// How long a reader waits; a node gives up after 15 s.
pub(crate) const READ_MAX: Duration = Duration::from_secs(20);

/// How long a writer keeps trying one request.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How far a search looks beyond the spans that it is after.
const WINDOW_MARGIN_US: u64 = 10_000_000;
const FINAL_MARGIN_US: u64 = 500_000;

/// About how many spans one question of the last reading is about.
const FINAL_SPANS_MAX: u64 = 4_000;

/// Most that are remembered for readers to ask for.
const RECENT_MAX: usize = 4_000;

/// How a client writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Repeats as an SDK does, at another node after a failure.
    Patient,
    /// Tries once, at its node: what it is told is how the cluster is now.
    Probe,
    /// Tries once and does not pause: a flood.
    Flood,
}

/// A writing client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) client: u16,
    pub(crate) node: usize,
    pub(crate) manner: Manner,
    pub(crate) traces: u16,
    pub(crate) spans: u8,
    pub(crate) pause: Duration,
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Clients<'a> {
    pub(crate) world: &'a World,
    pub(crate) history: &'a HistoryWriter<BufWriter<File>>,
    pub(crate) tag: u32,
    recent: Mutex<VecDeque<RequestId>>,
    /// For each group of a client when its first request was made, by the wall clock, and how many
    /// spans a request of it has.
    groups: Mutex<BTreeMap<(u16, u32), (u64, u64)>>,
    /// For each node, when the youngest request was begun that it has acknowledged.
    pulse: Vec<AtomicU64>,
    pub(crate) acked_spans: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// The tenant of a client.
pub(crate) fn tenant(client: u16) -> u16 {
    client % 2
}

pub(crate) fn tenant_name(tenant: u16) -> String {
    format!("tenant-{tenant}")
}

impl<'a> Clients<'a> {
    pub(crate) fn new(
        world: &'a World,
        history: &'a HistoryWriter<BufWriter<File>>,
        tag: u32,
    ) -> Self {
        Self {
            world,
            history,
            tag,
            recent: Mutex::new(VecDeque::new()),
            groups: Mutex::new(BTreeMap::new()),
            pulse: world.nodes.iter().map(|_| AtomicU64::new(0)).collect(),
            acked_spans: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    fn now_ns(&self) -> u64 {
        self.world.bell.now_ns()
    }

    /// Has every node, those aside, acknowledged a request that was begun since?
    pub(crate) fn alive_since(&self, since_ns: u64, aside: &[usize]) -> bool {
        let mut nodes = self.pulse.iter().enumerate().filter(|(node, _)| !aside.contains(node));
        nodes.all(|(_, pulse)| pulse.load(Ordering::Relaxed) >= since_ns)
    }

    /// Writes until `stop`, and returns the number of requests made.
    pub(crate) fn write(&self, writer: Writer, stop: &dyn Fn() -> bool) -> Result<u32> {
        let mut chance = Chance::part(self.world.settings.seed, u64::from(writer.client));
        let mut connection = Connection::default();
        let mut before: Option<Sent> = None;
        let mut number = 0;
        while !stop() {
            let begun_ns = self.now_ns();
            let sent = Sent {
                client: writer.client,
                number,
                at_ns: begun_ns,
                base_us: wall_us()?,
                content: chance.next(),
                traces: writer.traces,
                spans: writer.spans,
                late: before.is_some(),
            };
            self.history.write(&Record::Sent(sent.clone()))?;
            if number % GROUP_REQUESTS == 0 {
                let mut groups = self.groups.lock().map_err(|_| anyhow!("a client panicked"))?;
                let about = (sent.base_us, sent.spans_in_all());
                groups.insert((sent.client, number / GROUP_REQUESTS), about);
            }
            let body = otlp::body(self.tag, &sent, before.as_ref());
            self.deliver(writer, &sent, &body, &mut connection, &mut chance, stop)?;
            before = Some(sent);
            number += 1;
            let spent = Duration::from_nanos(self.now_ns() - begun_ns);
            if writer.manner != Manner::Flood {
                self.world.bell.wait(writer.pause.saturating_sub(spent));
            }
        }
        Ok(number)
    }

    /// Tries a request until it is taken, refused for good, or too old.
    fn deliver(
        &self,
        writer: Writer,
        sent: &Sent,
        body: &[u8],
        connection: &mut Connection,
        chance: &mut Chance,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let tenant = tenant_name(tenant(writer.client));
        let mut node = writer.node;
        let mut back_off = Duration::from_millis(200);
        loop {
            let (attempt, wait) = self.attempt(writer, sent, body, &tenant, node, connection)?;
            let outcome = attempt.outcome;
            self.history.write(&Record::Attempt(attempt))?;
            if outcome == Outcome::Acked {
                self.acked_spans.fetch_add(sent.spans_in_all(), Ordering::Relaxed);
                let mut recent = self.recent.lock().map_err(|_| anyhow!("a client panicked"))?;
                recent.push_back(sent.request());
                if recent.len() > RECENT_MAX {
                    recent.pop_front();
                }
                return Ok(());
            }
            let too_old = self.now_ns().saturating_sub(sent.at_ns) > nanos(RETRY_MAX);
            if writer.manner != Manner::Patient || too_old || stop() {
                return Ok(());
            }
            node = (node + 1) % self.world.nodes.len();
            let jitter = Duration::from_millis(chance.below(50));
            self.world.bell.wait(wait.unwrap_or(back_off).min(Duration::from_secs(2)) + jitter);
            back_off = (back_off * 2).min(Duration::from_secs(2));
        }
    }

    fn attempt(
        &self,
        writer: Writer,
        sent: &Sent,
        body: &[u8],
        tenant: &str,
        node: usize,
        connection: &mut Connection,
    ) -> Result<(Attempt, Option<Duration>)> {
        let to = self.world.node(node)?.socket(OTLP_PORT)?;
        let most = if writer.manner == Manner::Probe { PROBE_MAX } else { WRITE_MAX };
        let request = Request {
            method: "POST",
            path: "/v1/traces",
            tenant,
            content_type: "application/x-protobuf",
            body,
            most,
        };
        let begun_ns = self.now_ns();
        let answer = connection.send(to, &request);
        let ended_ns = self.now_ns();
        let mut attempt = Attempt {
            client: sent.client,
            number: sent.number,
            node: u16::try_from(node)?,
            begun_ns,
            ended_ns,
            outcome: Outcome::Unknown,
            status: 0,
            hint: false,
            rejected: 0,
        };
        let mut wait = None;
        match answer {
            Ok(response) => {
                attempt.status = response.status;
                let hint = response.header("retry-after");
                wait = hint.and_then(|hint| hint.parse().ok()).map(Duration::from_secs);
                attempt.hint = hint.is_some();
                if response.status == 200 {
                    attempt.outcome = Outcome::Acked;
                    attempt.rejected = otlp::rejected(&response.body);
                    if let Some(pulse) = self.pulse.get(node) {
                        pulse.fetch_max(begun_ns, Ordering::Relaxed);
                    }
                } else {
                    attempt.outcome = Outcome::Refused;
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(Failure::NotSent) => attempt.outcome = Outcome::NotSent,
            Err(Failure::Lost) => {}
        }
        Ok((attempt, wait))
    }

    /// Asks for what was acknowledged lately, by id and by search, through every node in turn.
    pub(crate) fn read(&self, reader: u64, pause: Duration, stop: &dyn Fn() -> bool) -> Result<()> {
        let mut chance = Chance::part(self.world.settings.seed, 1 << 32 | reader);
        let mut connections: Vec<_> =
            self.world.nodes.iter().map(|_| Connection::default()).collect();
        while !stop() {
            if self.world.bell.wait(pause) {
                break;
            }
            let node = chance.index(self.world.nodes.len());
            let Some(id) = self.some_recent(&mut chance)? else { continue };
            let asked = if chance.below(3) == 0 {
                let from = id.number / GROUP_REQUESTS * GROUP_REQUESTS;
                Asked::Search { client: id.client, from, until: from + GROUP_REQUESTS }
            } else {
                let trace = u16::try_from(chance.below(20))?;
                Asked::Trace { client: id.client, number: id.number, trace }
            };
            let stranger = chance.below(20) == 0;
            let tenant = tenant(id.client) ^ u16::from(stranger);
            let Some(connection) = connections.get_mut(node) else { continue };
            let answer = self.ask(connection, node, tenant, asked, READ_MAX)?;
            self.history.write(&Record::Answer(answer))?;
        }
        Ok(())
    }

    /// One of the last requests that were acknowledged; often the very last.
    fn some_recent(&self, chance: &mut Chance) -> Result<Option<RequestId>> {
        let recent = self.recent.lock().map_err(|_| anyhow!("a client panicked"))?;
        let back = if chance.below(2) == 0 { chance.index(8) } else { chance.index(recent.len()) };
        Ok(recent.iter().rev().nth(back).copied())
    }

    /// Questions that together are about all requests that were made, none about too many spans.
    pub(crate) fn last_questions(&self) -> Result<Vec<Asked>> {
        let groups = self.groups.lock().map_err(|_| anyhow!("a client panicked"))?;
        let mut questions: Vec<Asked> = Vec::new();
        let mut spans = 0;
        for ((client, group), (_, of_request)) in &*groups {
            let (from, next) = (group * GROUP_REQUESTS, (group + 1) * GROUP_REQUESTS);
            spans += of_request * u64::from(GROUP_REQUESTS);
            match questions.last_mut() {
                Some(Asked::Final { client: last, until, .. })
                    if last == client && *until == from && spans <= FINAL_SPANS_MAX =>
                {
                    *until = next;
                }
                _ => {
                    spans = of_request * u64::from(GROUP_REQUESTS);
                    questions.push(Asked::Final { client: *client, from, until: next });
                }
            }
        }
        Ok(questions)
    }

    /// From when to when the spans of these requests start, the late ones of the last among them
    /// perhaps not: a trace is found by any of its spans.
    fn window(&self, client: u16, from: u32, until: u32, margin_us: u64) -> Result<(u64, u64)> {
        let groups = self.groups.lock().map_err(|_| anyhow!("a client panicked"))?;
        let base = |number: u32| groups.get(&(client, number / GROUP_REQUESTS)).map(|of| of.0);
        let start = base(from).unwrap_or_default();
        let end = match base(until) {
            Some(next) => next,
            None => wall_us()?,
        };
        Ok((start.saturating_sub(margin_us), end + margin_us))
    }

    /// Asks a node.
    pub(crate) fn ask(
        &self,
        connection: &mut Connection,
        node: usize,
        tenant: u16,
        asked: Asked,
        most: Duration,
    ) -> Result<Answer> {
        let to = self.world.node(node)?.socket(UI_PORT)?;
        let path = match &asked {
            Asked::Trace { client, number, trace } => {
                let request = RequestId { client: *client, number: *number };
                let id = TraceKey { request, trace: *trace }.id(self.tag);
                format!("/api/traces/{:032x}", u128::from_be_bytes(id))
            }
            Asked::Final { client, from, until } => {
                let (start, end) = self.window(*client, *from, *until, FINAL_MARGIN_US)?;
                let service = otlp::service(*client);
                format!("/api/traces?service={service}&limit=10000&start={start}&end={end}")
            }
            Asked::Search { client, from, until } => {
                let group = otlp::group(RequestId { client: *client, number: *from });
                let (start, end) = self.window(*client, *from, *until, WINDOW_MARGIN_US)?;
                format!(
                    "/api/traces?service={}&tags=%7B%22chaos.group%22%3A%22{group}%22%7D&limit=5000\
                     &start={start}&end={end}",
                    otlp::service(*client),
                )
            }
        };
        let begun_ns = self.now_ns();
        let answer = connection.send(to, &get(&path, &tenant_name(tenant), most));
        let ended_ns = self.now_ns();
        let observed = match &answer {
            Ok(response) => Observed::of(response, self.tag),
            Err(_) => Observed::failed(0),
        };
        let Observed { claim, seen, odd } = observed;
        Ok(Answer {
            node: u16::try_from(node)?,
            tenant,
            begun_ns,
            ended_ns,
            asked,
            claim,
            seen,
            odd,
        })
    }
}

/// Microseconds of the wall clock.
pub(crate) fn wall_us() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
