//! How a server grows with what it holds: one load, measured where it has a million spans, three,
//! ten, thirty, a hundred.
//!
//! At each of these points the process is killed and started again, everything is sealed and
//! merged, the process is ended and started again, and then it is asked: traces by id, searches,
//! figures. What a point finds is one result; together they are curves.
//!
//! The data and how far it came are kept in a directory. A measurement that was ended goes on from
//! there: what it sends twice are exact repeats, which a store counts once.
//!
//! Options: `--skua BINARY` and `--directory DIR` (wanted), `--spans N` (10,000,000), `--lookups N`
//! (1,000), `--searches N` (20 of each kind), `--rate N` (spans a second; as fast as they are taken
//! without it), `--record [FILE]`, and `-- FLAGS` for the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::http::HttpClient;
use super::ingest::{load_into, plan_ending};
use super::query::{ask, compact, figures, trace_ids_of, window_micros};
use super::results::OnFound;
use super::server::Server;
use super::{Arguments, Results};
use crate::outside;
use crate::replay::ReplayPlan;

/// Spans at which is measured.
const POINTS: [u64; 5] = [1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000];

/// Marked spans between two points: so many hits has the search for them.
const MARKED: u64 = 14;

/// Requests between two notes of how far the load came: some seconds.
const REQUESTS_A_STEP: u64 = 4_000;

/// Runs the measurement.
pub fn large(arguments: &Arguments, found: OnFound<'_>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments, found))
}

/// How far a measurement came.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// What it was begun for; other loads send other things.
    spans: u64,
    /// When the spans end that are sent last.
    latest_end: u64,
    /// Requests before this one were acknowledged.
    next_request: u64,
    /// What the way to the next point took so far.
    way: Way,
    /// What the points behind found.
    points: Vec<Map<String, Value>>,
}

/// What sending and sealing took between two points.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Way {
    spans: u64,
    seconds: f64,
    microseconds: u64,
    written_bytes: u64,
    log_written_bytes: u64,
    resident_peak_bytes: u64,
    /// It went on after an end: what the time between took is not in it.
    was_ended: bool,
}

async fn run(arguments: &Arguments, found: OnFound<'_>) -> anyhow::Result<()> {
    let directory = PathBuf::from(arguments.text("directory").context("--directory is wanted")?);
    let spans: u64 = arguments.get("spans", 10_000_000)?;
    let asked = Asked {
        lookups: arguments.get("lookups", 1000)?,
        searches: arguments.get("searches", 20)?,
    };
    let rate = if arguments.has("rate") { Some(arguments.get("rate", 0.0)?) } else { None };
    ensure!(rate.is_none_or(|rate: f64| rate > 0.0), "--rate has to be above zero");
    let file = directory.join("progress.json");
    outside::make_directory(&directory)?;
    let mut progress = read_progress(&file, spans)?;
    let plan = plan_ending(spans, progress.latest_end)?;
    progress.way.was_ended = progress.next_request > 0 && progress.way.spans > 0;
    for point in points(spans) {
        let done = progress.points.iter().filter_map(|it| it.get("point").and_then(Value::as_u64));
        if done.max().is_some_and(|done| done >= point) {
            continue;
        }
        let server = Server::start_on(arguments, &directory).await?;
        let server = fill(server, &plan, (point, rate), &mut progress, &file).await?;
        let place = Place { arguments, directory: &directory, plan: &plan, point };
        let results = measure(server, place, &progress, asked).await?;
        progress.points.push(results.to_map());
        progress.way = Way::default();
        write_progress(&file, &progress)?;
        found(results)?;
    }
    found(curves(&progress.points))
}

/// How often is asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    lookups: u32,
    searches: u32,
}

/// What is measured, and where.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    arguments: &'a Arguments,
    directory: &'a Path,
    plan: &'a Arc<ReplayPlan>,
    point: u64,
}

impl Place<'_> {
    async fn start(self) -> anyhow::Result<Server> {
        Server::start_on(self.arguments, self.directory).await
    }
}

/// The points up to so many spans, these included.
fn points(spans: u64) -> impl Iterator<Item = u64> {
    POINTS.into_iter().filter(move |point| *point < spans).chain([spans])
}

fn read_progress(file: &Path, spans: u64) -> anyhow::Result<Progress> {
    if !outside::exists(file) {
        let latest_end = outside::unix_nanos();
        let (way, points) = (Way::default(), Vec::new());
        return Ok(Progress { spans, latest_end, next_request: 0, way, points });
    }
    let progress: Progress = serde_json::from_str(&outside::read_text(file)?)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let begun_for = progress.spans;
    ensure!(
        begun_for == spans,
        "{} has a measurement of {begun_for} spans: go on with that, or remove it",
        file.display()
    );
    Ok(progress)
}

fn write_progress(file: &Path, progress: &Progress) -> anyhow::Result<()> {
    outside::replace_file(file, &serde_json::to_vec_pretty(progress)?)
}

/// Sends until the server has so many spans, at so many a second.
async fn fill(
    server: Server,
    plan: &Arc<ReplayPlan>,
    (point, rate): (u64, Option<f64>),
    progress: &mut Progress,
    file: &Path,
) -> anyhow::Result<Server> {
    let first = (0..plan.request_count()).find(|request| plan.spans_before(*request) >= point);
    let end = first.unwrap_or(plan.request_count());
    let begins = progress.next_request;
    while progress.next_request < end {
        let next = end.min(progress.next_request + REQUESTS_A_STEP);
        let (used, written) = (server.processor_time()?, server.written_bytes());
        let logged = server.log_written_bytes().await?;
        // Evenly over the way, so that no block has many of them.
        for number in 0..MARKED {
            let at = begins + (end - begins) * (2 * number + 1) / (2 * MARKED);
            if (progress.next_request..next).contains(&at) {
                // A connection of its own: a server closes those that wait for a step to end.
                let mut marker = HttpClient::connect(&server.otlp_http()).await?;
                mark(&mut marker, progress.latest_end, point, number).await?;
            }
        }
        let mut load = load_into(&server, plan, 16, 1);
        load.options.rate = rate;
        let report = load.run_requests(progress.next_request..next, &mut ()).await?;
        ensure!(report.is_complete(), "not everything was acknowledged: {report}");
        let way = &mut progress.way;
        way.spans += report.totals.spans_acked;
        way.seconds += report.totals.seconds;
        way.microseconds += server.processor_time()?.since(used).total_microseconds();
        way.written_bytes += server.written_bytes().saturating_sub(written);
        way.log_written_bytes += server.log_written_bytes().await?.saturating_sub(logged);
        way.resident_peak_bytes = way.resident_peak_bytes.max(server.resident_peak_bytes()?);
        progress.next_request = next;
        write_progress(file, progress)?;
    }
    Ok(server)
}

/// Sends one of the spans that the search for few hits finds: the same ones when sent again.
async fn mark(
    client: &mut HttpClient,
    latest_end: u64,
    point: u64,
    number: u64,
) -> anyhow::Result<()> {
    // Among the last spans of the load: within the window of every search.
    let start = latest_end.saturating_sub(1_000_000_000 * (number + 1));
    let id = point * 100 + number + 1;
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", "bench-marked")]},
        "scopeSpans": [{"spans": [{
            "traceId": format!("{id:032x}"),
            "spanId": format!("{id:016x}"),
            "name": "marked",
            "kind": 1,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + 1_000_000).to_string(),
            "attributes": [attribute("bench.mark", &mark_of(point))],
        }]}],
    }]});
    let answer = client.post("/v1/traces", request.to_string()).await?;
    ensure!(answer.status == 200, "POST /v1/traces answers {}", answer.status);
    Ok(())
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn mark_of(point: u64) -> String {
    format!("at-{point}")
}

/// Measures a server that has so many spans.
async fn measure(
    server: Server,
    place: Place<'_>,
    progress: &Progress,
    asked: Asked,
) -> anyhow::Result<Results> {
    let mut results = Results::default();
    let spans = place.plan.spans_before(progress.next_request);
    results.add("point", place.point);
    results.add("spans", spans);
    results.add("way_was_ended", progress.way.was_ended);
    results.add_rounded("spans_per_second", progress.way.spans as f64 / progress.way.seconds);
    let resident = mebibytes(progress.way.resident_peak_bytes);
    results.add_rounded("resident_peak_taking_mebibytes", resident);
    let way = progress.way;
    let amplification = way.written_bytes as f64 / way.log_written_bytes.max(1) as f64;
    results.add_rounded("write_amplification_before_all_is_merged", amplification);

    // As it is after a crash: what is not in blocks yet is applied again.
    server.stop().await?;
    let server = place.start().await?;
    results.add_rounded("ready_after_kill_milliseconds", milliseconds(&server));
    let way = seal(&server, progress.way, &mut results).await?;
    add_bytes(&server, spans, way, &mut results);
    server.end().await?;

    let server = place.start().await?;
    results.add_rounded("ready_milliseconds", milliseconds(&server));
    results.add_rounded("resident_at_start_mebibytes", mebibytes(server.resident_bytes()?));
    ask_all(&server, place, progress, asked, &mut results).await?;
    let peak = mebibytes(server.resident_peak_bytes()?);
    results.add_rounded("resident_peak_asked_mebibytes", peak);
    server.end().await?;
    Ok(results)
}

/// Lets everything be sealed and merged, and adds what that took to the way.
async fn seal(server: &Server, mut way: Way, results: &mut Results) -> anyhow::Result<Way> {
    let (used, written) = (server.processor_time()?, server.written_bytes());
    let began = outside::now();
    compact(&mut HttpClient::connect(&server.ui()).await?).await?;
    results.add_rounded("compact_seconds", outside::now().duration_since(began).as_secs_f64());
    way.resident_peak_bytes = way.resident_peak_bytes.max(server.resident_peak_bytes()?);
    results.add_rounded("resident_peak_mebibytes", mebibytes(way.resident_peak_bytes));
    way.microseconds += server.processor_time()?.since(used).total_microseconds();
    way.written_bytes += server.written_bytes().saturating_sub(written);
    Ok(way)
}

fn add_bytes(server: &Server, spans: u64, way: Way, results: &mut Results) {
    let per_span = |amount: u64, spans: u64| amount as f64 / spans.max(1) as f64;
    results.add_rounded("cpu_microseconds_per_span", per_span(way.microseconds, way.spans));
    results.add_rounded("written_bytes_per_span", per_span(way.written_bytes, way.spans));
    let amplification = per_span(way.written_bytes, way.log_written_bytes);
    results.add_rounded("write_amplification", amplification);
    let blocks = server.files_below("blocks");
    results.add("blocks", blocks.files);
    results.add_rounded("block_bytes_per_span", per_span(blocks.held, spans));
    results.add_rounded("log_mebibytes", mebibytes(server.bytes_below("log")));
}

/// Asks what people ask, over everything that is there.
async fn ask_all(
    server: &Server,
    Place { plan, point, .. }: Place<'_>,
    progress: &Progress,
    Asked { lookups, searches }: Asked,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut client = HttpClient::connect(&server.ui()).await?;
    let sent = plan.spans_before(progress.next_request);
    let passes = u32::try_from(sent / plan.recording().spans().len() as u64)?;
    if passes > 0 {
        let ids = trace_ids_of(plan, passes, lookups)?;
        let paths: Vec<_> = ids.iter().map(|id| format!("/api/traces/{id}")).collect();
        ask(&mut client, "by_id", &paths, results).await?;
    }
    let (start, now) = window_micros(plan);
    let repeat = |rest: &str| {
        vec![format!("/api/traces?start={start}&end={now}&limit=20{rest}"); searches as usize]
    };
    let tags = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(key, value)| format!("%22{key}%22%3A%22{value}%22"));
        format!("&tags=%7B{}%7D", pairs.collect::<Vec<_>>().join("%2C"))
    };
    ask(&mut client, "search_newest", &repeat("&service=frontend"), results).await?;
    let marked = tags(&[("bench.mark", &mark_of(point))]);
    ask(&mut client, "search_14_hits", &repeat(&marked), results).await?;
    // Both are everywhere, and no span has both.
    let empty = tags(&[("rpc.system", "grpc"), ("http.method", "POST")]);
    let empty = ask(&mut client, "search_common_empty", &repeat(&empty), results).await?;
    let nowhere = tags(&[("http.method", "NOWHERE")]);
    let nowhere = ask(&mut client, "search_value_nowhere", &repeat(&nowhere), results).await?;
    let blocks = server.files_below("blocks").files.max(1) as f64;
    for (name, milliseconds) in [("common_empty", empty), ("value_nowhere", nowhere)] {
        let name = format!("search_{name}_microseconds_per_block");
        results.add_rounded(name, milliseconds * 1000.0 / blocks);
    }
    figures(&mut client, plan, searches, results).await
}

fn milliseconds(server: &Server) -> f64 {
    server.ready_after.as_secs_f64() * 1000.0
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What all points found, side by side.
fn curves(points: &[Map<String, Value>]) -> Results {
    let mut results = Results::default();
    let names = points.last().into_iter().flat_map(Map::keys);
    for name in names {
        let values = points.iter().map(|point| point.get(name).cloned().unwrap_or_default());
        results.add(name.clone(), values.collect::<Vec<Value>>());
    }
    results
}
