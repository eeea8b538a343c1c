//! One cluster's life under faults: it is founded, written to, hurt, healed, read back and judged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::calibrate::{Lateness, Syncs};
use super::chance::Chance;
use super::faults::{Fault as Made, KINDS, Kind, Scene};
use super::http::Connection;
use super::node::Node;
use super::settings::Settings;
use super::tool;
use super::workload::{Clients, Manner, READ_MAX, Writer, nanos, tenant};
use super::world::{HUB, World};
use crate::checker::{Verdict, judge};
use crate::history::{Asked, Claim, Client, Fault, HistoryWriter, Record, Replica, Replicas, Run};

/// How long a new cluster may take, and a hurt one before the run is given up.
const FOUND_MAX: Duration = Duration::from_mins(1);
const ALONE_MAX: Duration = Duration::from_secs(20);
const RECOVER_MAX: Duration = Duration::from_secs(40);

/// How long replicas may take to become alike, and a last reading to be answered whole.
const SETTLE_MAX: Duration = Duration::from_mins(1);

/// How long all of it may take to be read back: three times what a loaded machine needs.
const READ_BACK_MAX: Duration = Duration::from_mins(5);

/// How long it may take until what a fault cost is made good, how long that has to last, and how
/// many entries a replica may lag meanwhile.
const MEND_MAX: Duration = Duration::from_mins(2);
const MENDED_FOR: Duration = Duration::from_secs(4);
const LAG_MAX: u64 = 64;

/// Before one fault in so many all nodes seal and merge, as they do by themselves after minutes.
const COMPACT_ONE_IN: usize = 3;

/// Replicas of each shard.
const FACTOR: usize = 3;

/// Between two faults.
const CALM: Duration = Duration::from_millis(700);

/// A store that met an error is written to again within this: shards are sealed more often.
const NOTICED_WITHIN_NS: u64 = 60_000_000_000;

/// What came of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) kinds: Vec<String>,
    pub(crate) skipped: BTreeMap<String, String>,
    pub(crate) verdict: Verdict,
    pub(crate) syncs: Syncs,
    pub(crate) lateness_ns: u64,
    /// Processes that ended although no fault was at them.
    pub(crate) ends: Vec<String>,
    /// Lines of panics in the nodes' logs.
    pub(crate) panics: Vec<String>,
    pub(crate) resident_bytes_max: u64,
    pub(crate) seconds: u64,
    pub(crate) read_back_seconds: u64,
    /// Why the run was given up.
    pub(crate) failure: Option<String>,
}

impl Outcome {
    /// Every promise was kept, and the run proves it.
    pub(crate) fn is_good(&self) -> bool {
        self.verdict.is_good()
            && self.failure.is_none()
            && self.ends.is_empty()
            && self.panics.is_empty()
    }
}

/// The file that holds the history, in the run's folder.
pub(crate) const HISTORY: &str = "history.jsonl";

/// The parts of a run that its threads share.
struct Stage<'a> {
    clients: Clients<'a>,
    lateness: Lateness,
    syncs: Syncs,
    over: AtomicBool,
    readers_over: AtomicBool,
    resident_bytes_max: AtomicU64,
}

/// Lives through one run in the namespaces that we are in.
pub(crate) fn run(settings: &Settings) -> Result<Outcome> {
    prepare(settings)?;
    let kinds = choose(settings)?;
    let mut outcome = Outcome { seed: settings.seed, ..Outcome::default() };
    let mut possible = Vec::new();
    for kind in kinds {
        match kind.skipped() {
            None => possible.push(kind),
            Some(why) => {
                outcome.skipped.insert(kind.name.to_owned(), why.to_owned());
            }
        }
    }
    outcome.kinds = possible.iter().map(|kind| kind.name.to_owned()).collect();
    if possible.is_empty() {
        return Ok(outcome);
    }
    let world = World::build(settings.clone(), &settings.folder)?;
    outcome.syncs = Syncs::measure(&world.node(0)?.disk)?;
    let path = settings.folder.join(HISTORY);
    let history = HistoryWriter::new(BufWriter::with_capacity(1 << 20, File::create(&path)?));
    let tag = u32::try_from(settings.seed % 0xffff_fff1)?.wrapping_add(1);
    let stage = Stage {
        clients: Clients::new(&world, &history, tag),
        lateness: Lateness::default(),
        syncs: outcome.syncs,
        over: AtomicBool::new(false),
        readers_over: AtomicBool::new(false),
        resident_bytes_max: AtomicU64::new(0),
    };
    let writers = writers(settings);
    history.write(&Record::Run(Run {
        seed: settings.seed,
        tag,
        nodes: settings.nodes,
        retention_ns: nanos(Duration::from_hours(7 * 24)),
        clients: everybody(&writers),
    }))?;
    let ended = std::thread::scope(|threads| {
        threads.spawn(|| world.names.serve(HUB, &world.bell));
        threads.spawn(|| world.supervise());
        threads.spawn(|| stage.lateness.watch(&world.bell));
        threads.spawn(|| stage.watch_memory());
        for writer in &writers {
            let stop = || stage.over.load(Ordering::Relaxed) || world.bell.has_rung();
            let clients = &stage.clients;
            threads.spawn(move || complain(clients.write(*writer, &stop).map(|_| ())));
        }
        for reader in 0..u64::from(settings.nodes) {
            let stop = || stage.readers_over.load(Ordering::Relaxed) || world.bell.has_rung();
            let clients = &stage.clients;
            let pause = Duration::from_millis(40);
            threads.spawn(move || complain(clients.read(reader, pause, &stop)));
        }
        let ended = stage.direct(&possible, &mut outcome);
        world.bell.ring();
        ended
    });
    for node in &world.nodes {
        node.hold_down()?;
        node.signal("KILL")?;
    }
    history.flush()?;
    outcome.failure = ended.err().map(|error| format!("{error:#}"));
    outcome.seconds = world.bell.now_ns() / 1_000_000_000;
    outcome.lateness_ns = stage.lateness.worst_ever_ns();
    outcome.resident_bytes_max = stage.resident_bytes_max.load(Ordering::Relaxed);
    outcome.verdict = judge(|| Ok(BufReader::with_capacity(1 << 20, File::open(&path)?)))?;
    outcome.ends = unexpected_ends(&world, &outcome.verdict)?;
    outcome.panics = panics(&world)?;
    if settings.none_skipped && !outcome.skipped.is_empty() {
        let kinds: Vec<&str> = outcome.skipped.keys().map(String::as_str).collect();
        outcome.verdict.invalid.push(format!("skipped: {}", kinds.join(", ")));
    }
    let spans = outcome.verdict.counts.acked_spans;
    if spans < settings.spans_min {
        let why = format!("{spans} spans acknowledged, {} wanted", settings.spans_min);
        outcome.verdict.invalid.push(why);
    }
    Ok(outcome)
}

/// A client that cannot go on says why: the history would lack what it does.
fn complain(result: Result<()>) {
    if let Err(error) = result {
        eprintln!("a client ended: {error:#}");
    }
}

/// What lies in the folder before the world is made: tools from their sources, the key, names.
fn prepare(settings: &Settings) -> Result<()> {
    let folder = &settings.folder;
    fs::create_dir_all(folder)?;
    if tool::exists("cc") {
        let source = folder.join("faults.c");
        fs::write(&source, include_str!("faults.c"))?;
        let (source, library) = (source.to_string_lossy(), settings.preload.to_string_lossy());
        tool::words(&["cc", "-shared", "-fPIC", "-O2", "-o", &library, &source, "-ldl"])?;
        let source = folder.join("power.c");
        fs::write(&source, include_str!("power.c"))?;
        let power = folder.join("power");
        let (source, power) = (source.to_string_lossy(), power.to_string_lossy());
        tool::words(&["cc", "-O2", "-o", &power, &source])?;
    }
    fs::write(folder.join("cluster.key"), format!("{:064x}\n", u128::MAX / 7))?;
    let names = folder.join("resolv.conf");
    fs::write(&names, format!("nameserver {HUB}\noptions timeout:1 attempts:1\n"))?;
    tool::words(&["mount", "--bind", &names.to_string_lossy(), "/etc/resolv.conf"])?;
    tool::run("mount -t tmpfs tmpfs /run")?;
    fs::create_dir_all("/run/netns")?;
    Ok(())
}

/// The kinds of this run: those that were asked for, else all that are expected to be survived.
fn choose(settings: &Settings) -> Result<Vec<&'static Kind>> {
    for name in &settings.only {
        if !KINDS.iter().any(|kind| kind.name == name) {
            bail!("there is no kind of fault `{name}`; --list prints them");
        }
    }
    let asked = |kind: &&Kind| match settings.only.as_slice() {
        [] => kind.known.is_none() && !kind.by_name,
        only => only.iter().any(|name| name == kind.name),
    };
    Ok(KINDS.iter().filter(asked).collect())
}

/// The run's own clients: for each node one that repeats as an SDK does, and two probes.
fn writers(settings: &Settings) -> Vec<Writer> {
    let nodes = u64::from(settings.nodes);
    let mut writers = Vec::new();
    let mut client = 0;
    for node in 0..usize::from(settings.nodes) {
        for probe in 0..3_u16 {
            client += 1;
            // A third of the spans comes from probes.
            let (manner, traces, spans, share) = match probe {
                0 => (Manner::Patient, 40, 4, 2.0 / 3.0),
                _ => (Manner::Probe, 24, 1, 1.0 / 6.0),
            };
            let of_request = f64::from(traces) * (f64::from(spans) + 1.0);
            let rate = settings.rate as f64 * share / nodes as f64;
            let pause = Duration::from_secs_f64((of_request / rate.max(1.0)).min(0.25));
            writers.push(Writer { client, node, manner, traces, spans, pause });
        }
    }
    writers
}

/// All clients that may write, floods included.
fn everybody(writers: &[Writer]) -> Vec<Client> {
    use super::faults::{FIRST_FLOODER, LAST_FLOODER};
    let own = writers.iter().map(|writer| writer.client);
    own.chain(FIRST_FLOODER..=LAST_FLOODER)
        .map(|client| Client { client, tenant: tenant(client) })
        .collect()
}

impl Stage<'_> {
    /// Founds the cluster, makes faults until the time is over, lets it settle and reads it back.
    fn direct(&self, kinds: &[&'static Kind], outcome: &mut Outcome) -> Result<()> {
        let world = self.clients.world;
        world.start_all()?;
        if !world.wait_ready(FOUND_MAX) {
            bail!("the cluster was not ready within {} s", FOUND_MAX.as_secs());
        }
        if !world.bell.until(FOUND_MAX, || self.clients.alive_since(0, &[])) {
            bail!("not every node acknowledged a write within {} s", FOUND_MAX.as_secs());
        }
        eprintln!("ready after {:.1} s; faults begin", seconds(world.bell.now_ns()));
        let begun_ns = world.bell.now_ns();
        let hurt = self.hurt(kinds, begun_ns + nanos(world.settings.duration));
        self.readers_over.store(true, Ordering::Relaxed);
        self.over.store(true, Ordering::Relaxed);
        if let Err(error) = hurt {
            // What is there is read back all the same: the damage may be worse than the outage.
            eprintln!("{error:#}");
            outcome.failure = Some(format!("{error:#}"));
        }
        world.bell.wait(Duration::from_secs(1));
        if let Err(error) = self.settle() {
            outcome.failure.get_or_insert(format!("{error:#}"));
        }
        let from_ns = world.bell.now_ns();
        self.read_back()?;
        outcome.read_back_seconds = (world.bell.now_ns() - from_ns) / 1_000_000_000;
        outcome.failure.take().map_or(Ok(()), |failure| Err(anyhow!(failure)))
    }

    fn hurt(&self, kinds: &[&'static Kind], until_ns: u64) -> Result<()> {
        let world = self.clients.world;
        let mut chance = Chance::new(world.settings.seed);
        let mut number = 0;
        loop {
            let mut round = kinds.to_vec();
            chance.shuffle(&mut round);
            for kind in round {
                if world.bell.now_ns() >= until_ns {
                    return Ok(());
                }
                world.bell.wait(CALM);
                number += 1;
                self.one(number, kind, &mut chance)?;
            }
        }
    }

    /// One fault, from the scene to the line in the history.
    fn one(&self, number: u32, kind: &'static Kind, chance: &mut Chance) -> Result<()> {
        let world = self.clients.world;
        let (leader, follower) = world.leaders().unwrap_or_default();
        let victim = chance.index(world.nodes.len());
        let scene = Scene { clients: &self.clients, leader, follower, victim };
        let mut fault = (kind.make)(&scene, chance);
        let terms = fault.terms();
        self.lateness.take_ns();
        if chance.index(COMPACT_ONE_IN) == 0 || kind.costs_data {
            world.nodes.iter().for_each(World::compact);
            world.bell.wait(CALM);
        }
        let begun_ns = world.bell.now_ns();
        fault.inject(&scene).with_context(|| format!("{} could not be made", kind.name))?;
        world.bell.wait(terms.hold);
        let healed = fault.heal(&scene);
        let evidence = healed.with_context(|| format!("{} could not be ended", kind.name))?;
        let healed_ns = world.bell.now_ns();
        let most = if world.settings.alone { ALONE_MAX } else { RECOVER_MAX };
        let recovered = world.bell.until(most, || self.clients.alive_since(healed_ns, &[]));
        let closed_ns = world.bell.now_ns();
        let slack = Duration::from_nanos(20 * self.syncs.p99_ns + 10 * self.lateness.take_ns());
        let limit = (terms.limit + slack).mul_f64(world.settings.slack);
        let serving_ns = closed_ns - healed_ns;
        eprintln!(
            "{:7.1} s  {number:3} {:18} {:?}  {} x {}  accepts {:.2} s after its end{}",
            seconds(begun_ns),
            kind.name,
            terms.victims,
            evidence.bites,
            evidence.note,
            seconds(serving_ns),
            if recovered { "" } else { ": GIVEN UP" },
        );
        let victims = terms.victims.iter().map(|node| u16::try_from(*node));
        self.clients.history.write(&Record::Fault(Fault {
            number,
            kind: kind.name.to_owned(),
            victims: victims.collect::<Result<_, _>>()?,
            begun_ns,
            healed_ns,
            closed_ns,
            others_serve: terms.others_serve,
            limit_ns: nanos(limit),
            bites: evidence.bites,
            note: evidence.note,
        }))?;
        if !recovered && !world.settings.alone {
            self.intervene(number, kind)?;
        }
        if kind.costs_data && !world.settings.alone {
            self.mend(number, kind, fault.as_ref())
        } else {
            Ok(())
        }
    }

    /// Waits until what is damaged is gone, and every shard has as many replicas as before that lag
    /// little, for a while: what was lost has been made good, and new replicas vote. The next fault
    /// would else meet a second replica of the same shard.
    fn mend(&self, number: u32, kind: &Kind, fault: &dyn Made) -> Result<()> {
        let world = self.clients.world;
        let begun_ns = world.bell.now_ns();
        let mut whole_since = None;
        let most = MEND_MAX.mul_f64(world.settings.slack);
        let mended = world.bell.until(most, || {
            let told = world.nodes.iter().find_map(World::cluster);
            let is_found = !fault.has_damage();
            let is_whole = is_found
                && told.is_some_and(|cluster| {
                    cluster.shards.iter().all(|shard| {
                        let near = shard
                            .replicas
                            .iter()
                            .filter(|replica| replica.lag.is_some_and(|lag| lag <= LAG_MAX));
                        near.count() >= FACTOR
                    })
                });
            let now_ns = world.bell.now_ns();
            let since = *whole_since.get_or_insert(now_ns);
            if !is_whole {
                whole_since = None;
            }
            is_whole && now_ns - since >= nanos(MENDED_FOR)
        });
        let took_ns = world.bell.now_ns() - begun_ns;
        if !mended {
            bail!("after fault {number} ({}) what was lost was not made good", kind.name);
        }
        eprintln!("{:18}  {} made good in {:.1} s", "", kind.name, seconds(took_ns));
        Ok(())
    }

    /// What an operator would have to do where the cluster does not recover by itself, which is a
    /// broken promise already: every process is ended and started again. So that one weakness does
    /// not hide all others, the run goes on if that helps.
    fn intervene(&self, number: u32, kind: &Kind) -> Result<()> {
        let world = self.clients.world;
        eprintln!("restarting all nodes by force after fault {number} ({})", kind.name);
        world.nodes.iter().try_for_each(|node| world.kill(node))?;
        world.start_all()?;
        let since_ns = world.bell.now_ns();
        if world.bell.until(RECOVER_MAX, || self.clients.alive_since(since_ns, &[])) {
            return Ok(());
        }
        bail!("after fault {number} ({}) nothing brought writes back to every node", kind.name)
    }

    /// Waits until all replicas of each shard have applied the same; writes down what they hold.
    fn settle(&self) -> Result<()> {
        let world = self.clients.world;
        let mut told = None;
        let most = if world.settings.alone { ALONE_MAX } else { SETTLE_MAX };
        world.bell.until(most, || {
            told = world.nodes.iter().find_map(World::cluster);
            let shards = told.iter().flat_map(|cluster| &cluster.shards);
            told.is_some()
                && shards.into_iter().all(|shard| {
                    let first = shard.replicas.first().and_then(|replica| replica.applied);
                    first.is_some()
                        && shard.replicas.len() > 1
                        && shard.replicas.iter().all(|replica| replica.applied == first)
                })
        });
        let mut digests = None;
        // A replica that was sealed since its mark has forgotten, and is asked again.
        world.bell.until(most, || {
            digests = world.nodes.iter().find_map(World::cluster_with_digests);
            let shards = digests.iter().flat_map(|cluster| &cluster.shards);
            let replicas = shards.flat_map(|shard| &shard.replicas);
            digests.is_some() && replicas.into_iter().all(|replica| replica.digest.is_some())
        });
        let told = digests.or(told).context("no node tells how the cluster is")?;
        let mut replicas = Vec::new();
        for shard in &told.shards {
            for replica in &shard.replicas {
                let Some(applied) = replica.applied else { continue };
                replicas.push(Replica {
                    shard: shard.id,
                    node: replica.node.clone(),
                    applied,
                    spans: replica.spans,
                    digest: replica.digest.clone(),
                });
            }
        }
        let at_ns = world.bell.now_ns();
        let record = Record::Replicas(Replicas { node: 0, at_ns, settled: true, replicas });
        Ok(self.clients.history.write(&record)?)
    }

    /// Reads everything that was ever made, through every node.
    fn read_back(&self) -> Result<()> {
        let questions = self.clients.last_questions()?;
        let nodes = &self.clients.world.nodes;
        eprintln!("reading all back: {} questions to {} nodes", questions.len(), nodes.len());
        std::thread::scope(|threads| {
            let readers: Vec<_> = nodes
                .iter()
                .map(|node| threads.spawn(|| self.read_back_through(node, &questions)))
                .collect();
            for reader in readers {
                reader.join().map_err(|_| anyhow!("a last reading panicked"))??;
            }
            Ok(())
        })
    }

    fn read_back_through(&self, node: &Node, questions: &[Asked]) -> Result<()> {
        let (bell, settings) = (&self.clients.world.bell, &self.clients.world.settings);
        let mut connection = Connection::default();
        // One deadline for all that cannot be read: a broken cluster is not asked for hours.
        let until_ns = bell.now_ns() + nanos(READ_BACK_MAX.mul_f64(settings.slack));
        let mut patience = if settings.alone { CALM } else { SETTLE_MAX };
        for asked in questions {
            // What was not read is told by the checker: such a run does not count.
            if bell.now_ns() > until_ns {
                return Ok(());
            }
            let tenant = tenant(asked.requests().0);
            loop {
                let begun_ns = bell.now_ns();
                let ask = asked.clone();
                let answer =
                    self.clients.ask(&mut connection, node.index, tenant, ask, READ_MAX)?;
                let whole = answer.claim == Claim::Complete;
                self.clients.history.write(&Record::Answer(answer))?;
                if whole {
                    break;
                }
                if patience.is_zero() {
                    return Ok(());
                }
                bell.wait(Duration::from_millis(500));
                let spent = Duration::from_nanos(bell.now_ns() - begun_ns);
                patience = patience.saturating_sub(spent);
            }
        }
        Ok(())
    }

    fn watch_memory(&self) {
        let world = self.clients.world;
        while !world.bell.wait(Duration::from_millis(500)) {
            for node in &world.nodes {
                let bytes = node.resident_bytes().unwrap_or_default();
                self.resident_bytes_max.fetch_max(bytes, Ordering::Relaxed);
            }
        }
    }
}

/// Ends of processes that no fault explains.
fn unexpected_ends(world: &World, verdict: &Verdict) -> Result<Vec<String>> {
    let mut unexpected = Vec::new();
    for node in &world.nodes {
        for exit in node.exits()? {
            let index = u16::try_from(node.index)?;
            let explained = verdict.faults.iter().map(|verdict| &verdict.fault).any(|fault| {
                let hit = fault.victims.contains(&index) || fault.kind == "rolling-restart";
                let until_ns = match fault.kind.as_str() {
                    // The key-value store says at its next change that its background work met it.
                    "read-fails" => fault.closed_ns.saturating_add(NOTICED_WITHIN_NS),
                    _ => fault.closed_ns,
                };
                hit && (fault.begun_ns..=until_ns).contains(&exit.at_ns)
            });
            if !explained {
                unexpected.push(format!(
                    "{} ended at {:.1} s with code {:?}, signal {:?}",
                    node.name,
                    seconds(exit.at_ns),
                    exit.code,
                    exit.signal
                ));
            }
        }
    }
    let more = unexpected.len().saturating_sub(LINES_MAX);
    unexpected.truncate(LINES_MAX);
    if more > 0 {
        unexpected.push(format!("and {more} more"));
    }
    Ok(unexpected)
}

/// Most lines of one sort that are kept.
const LINES_MAX: usize = 12;

fn panics(world: &World) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for node in &world.nodes {
        let log = String::from_utf8_lossy(&fs::read(&node.log)?).into_owned();
        let lines = log.lines().filter(|line| line.contains("panicked at"));
        found.extend(lines.map(|line| format!("{}: {line}", node.name)));
    }
    found.truncate(LINES_MAX);
    Ok(found)
}

/// Writes what came of a run where whoever started it looks.
pub(crate) fn keep(outcome: &Outcome, settings: &Settings) -> Result<()> {
    let mut file = File::create(settings.folder.join("outcome.json"))?;
    file.write_all(&serde_json::to_vec(outcome)?)?;
    Ok(())
}

pub(crate) fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}
