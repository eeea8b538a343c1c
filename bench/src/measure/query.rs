//! How fast a server answers what was just sent to it: traces by id, services, searches.
//!
//! One connection asks one question after another. Every question is asked once unmeasured, so the
//! times are those of a warm server. A wrong status ends the measurement: a fast error is no
//! answer.
//!
//! With `--compact` the server seals and merges everything before the first question: answers of a
//! node at rest. Figures (a heatmap, the most frequent values of eight keys, calls between
//! services) are asked over all that was sent, in whole minutes.
//!
//! Options: `--skua BINARY` (wanted), `--file FILE` (the astronomy recording), `--spans N` (100,000
//! at least), `--lookups N` (1,000), `--searches N` (50 of each kind), `--compact`,
//! `--idle-seconds N` (between the last span and the first question), `--data-below DIR`,
//! `--record [FILE]`, and `-- FLAGS` for the server.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::http::HttpClient;
use super::ingest::{load_into, plan};
use super::server::Server;
use super::{Arguments, Results};
use crate::outside;
use crate::redraw::Random;
use crate::replay::{Histogram, ReplayPlan};

/// Which traces are looked up is drawn from this.
const SEED: u64 = 2;

/// Runs the measurement.
pub fn query(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let plan = plan(arguments, 100_000, 500)?;
    let lookups: u32 = arguments.get("lookups", 1000)?;
    let searches: u32 = arguments.get("searches", 50)?;
    let idle = Duration::from_secs(arguments.get("idle-seconds", 0)?);
    let compacts = arguments.has("compact");
    let server = Server::start(arguments).await?;
    let report = load_into(&server, &plan, 16, 1).run(&mut ()).await?;
    ensure!(report.is_complete(), "not everything was acknowledged: {report}");
    tokio::time::sleep(idle).await;

    let mut results = Results::default();
    results.add("spans", report.totals.spans_acked);
    let mut client = HttpClient::connect(&server.ui()).await?;
    if compacts {
        compact(&mut client).await?;
    }
    let ids = trace_ids(&plan, lookups)?;
    for (name, prefix) in [("jaeger", "/api/traces/"), ("skua", "/api/skua/v1/traces/")] {
        let paths: Vec<_> = ids.iter().map(|id| format!("{prefix}{id}")).collect();
        ask(&mut client, &format!("by_id_{name}"), &paths, &mut results).await?;
    }
    let services = services(&mut client).await?;
    figures(&mut client, &plan, searches, &mut results).await?;
    let repeat = |path: &str| vec![path.to_owned(); searches as usize];
    ask(&mut client, "services", &repeat("/api/services"), &mut results).await?;
    for (name, path) in searches_of(&services, &plan) {
        ask(&mut client, &name, &repeat(&path), &mut results).await?;
    }
    results.add_rounded(
        "resident_peak_mebibytes",
        server.resident_peak_bytes()? as f64 / f64::from(1 << 20),
    );
    server.stop().await?;
    Ok(results)
}

/// Keys whose most frequent values are asked for together.
const FACETS: [&str; 8] = [
    "service.name",
    "http.method",
    "http.status_code",
    "http.flavor",
    "rpc.service",
    "rpc.method",
    "net.peer.name",
    "telemetry.sdk.version",
];

/// Bins of the heatmap.
const BINS: u64 = 120;

const MINUTE_NANOSECONDS: u64 = 60_000_000_000;

/// Asks for figures over all that was sent.
pub(super) async fn figures(
    client: &mut HttpClient,
    plan: &ReplayPlan,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let (start, end) = window_nanos(plan);
    let step = (end - start).div_ceil(MINUTE_NANOSECONDS).div_ceil(BINS) * MINUTE_NANOSECONDS;
    let window = format!("\"window\":{{\"start\":{start},\"end\":{end}}}");
    let heatmap = format!("{{{window},\"kind\":\"heatmap\",\"step\":\"{step}ns\"}}");
    let mut questions = vec![heatmap];
    for key in FACETS {
        let what = format!("\"kind\":\"top_values\",\"key\":\"{key}\",\"limit\":10");
        questions.push(format!("{{{window},{what}}}"));
    }
    let mut times = Histogram::default();
    let mut spans = 0;
    for round in 0..=rounds.min(20) {
        let asked = outside::now();
        for question in &questions {
            let answer = client.post("/api/skua/v1/aggregate", question.clone()).await?;
            let said = String::from_utf8_lossy(&answer.body);
            ensure!(answer.status == 200, "{question}: {} {said}", answer.status);
            let answer: Value = serde_json::from_slice(&answer.body)?;
            let completeness = answer.get("completeness").and_then(Value::as_str);
            ensure!(completeness == Some("complete"), "{question}: {completeness:?}");
            spans = answer.get("spans").and_then(Value::as_u64).unwrap_or(0);
        }
        if round > 0 {
            times.add(outside::now().duration_since(asked));
        }
    }
    results.add("figures_spans", spans);
    results.add_rounded("heatmap_and_8_facets_p50_milliseconds", times.percentile_milliseconds(50));
    results.add_rounded("heatmap_and_8_facets_p99_milliseconds", times.percentile_milliseconds(99));
    let calls = dependencies_path(plan);
    ask(client, "dependencies", &vec![calls; rounds.min(20) as usize], results).await?;
    Ok(())
}

/// Lets the server seal and merge everything.
pub(super) async fn compact(client: &mut HttpClient) -> anyhow::Result<()> {
    const PATH: &str = "/api/skua/v1/admin/compact";
    let asked = client.post(PATH, String::new()).await?;
    ensure!(asked.status == 202, "POST {PATH} answers {}", asked.status);
    loop {
        let answer = client.get(PATH).await?;
        let status: Value = serde_json::from_slice(&answer.body)?;
        if status.get("is_running").and_then(Value::as_bool) == Some(false) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks for the calls between services over all that was sent.
pub(super) fn dependencies_path(plan: &ReplayPlan) -> String {
    let (start_micros, now_micros) = window_micros(plan);
    let lookback = (now_micros - start_micros) / 1000;
    format!("/api/dependencies?endTs={}&lookback={lookback}", now_micros / 1000)
}

/// The same as [`window_micros`], in whole minutes; the end is the last nanosecond.
pub(super) fn window_nanos(plan: &ReplayPlan) -> (u64, u64) {
    let (start_micros, now_micros) = window_micros(plan);
    let start = start_micros * 1000 / MINUTE_NANOSECONDS * MINUTE_NANOSECONDS;
    let minutes = (now_micros * 1000 - start).div_ceil(MINUTE_NANOSECONDS);
    (start, start + minutes * MINUTE_NANOSECONDS - 1)
}

/// From before the first span to now.
pub(super) fn window_micros(plan: &ReplayPlan) -> (u64, u64) {
    let now = outside::unix_nanos() / 1000;
    let window = plan.recording().last_end().saturating_sub(plan.recording().first_start()) / 1000;
    (now.saturating_sub(window.saturating_add(60_000_000) * u64::from(plan.passes())), now)
}

/// Ids of traces that were sent, over all passes, as hexadecimal.
pub(super) fn trace_ids(plan: &ReplayPlan, count: u32) -> anyhow::Result<Vec<String>> {
    trace_ids_of(plan, plan.passes(), count)
}

/// The same of the first passes alone.
pub(super) fn trace_ids_of(
    plan: &ReplayPlan,
    passes: u32,
    count: u32,
) -> anyhow::Result<Vec<String>> {
    let mut random = Random::new(SEED);
    let traces = plan.recording().traces().len() as u64;
    let mut draw = || {
        let pass = u32::try_from(random.below(u64::from(passes)))?;
        let id = plan.trace_id(pass, u32::try_from(random.below(traces))?);
        let mut hex = String::new();
        id.iter().try_for_each(|byte| write!(hex, "{byte:02x}"))?;
        Ok(hex)
    };
    (0..count).map(|_| draw()).collect()
}

pub(super) async fn services(client: &mut HttpClient) -> anyhow::Result<Vec<String>> {
    let answer = client.get("/api/services").await?;
    let answer: Value = serde_json::from_slice(&answer.body).context("no list of services")?;
    let names = answer.get("data").and_then(Value::as_array).map(Vec::as_slice);
    let names = names.unwrap_or_default().iter().filter_map(Value::as_str).map(String::from);
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    ensure!(!names.is_empty(), "the server knows no service");
    Ok(names)
}

/// Searches over everything that was sent: names and paths.
pub(super) fn searches_of(services: &[String], plan: &ReplayPlan) -> Vec<(String, String)> {
    let (start, now) = window_micros(plan);
    let search = |rest: &str| format!("/api/traces?start={start}&end={now}&limit=20{rest}");
    let mut searches = Vec::new();
    for service in services {
        let encoded = service.bytes().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
            text
        });
        searches
            .push((format!("search_service_{service}"), search(&format!("&service={encoded}"))));
    }
    // Over all services, which Skua allows.
    for (name, rest) in [
        ("search_absent_value", "&tags=%7B%22no.such.key%22%3A%22nowhere%22%7D"),
        ("search_error", "&tags=%7B%22error%22%3A%22true%22%7D"),
        ("search_absent_operation", "&operation=no-such-operation"),
        ("search_longer_than_1s", "&minDuration=1s"),
    ] {
        searches.push((name.to_owned(), search(rest)));
    }
    searches
}

/// Asks every question twice and keeps the times of the second round; returns the median, in
/// milliseconds.
pub(super) async fn ask(
    client: &mut HttpClient,
    name: &str,
    paths: &[String],
    results: &mut Results,
) -> anyhow::Result<f64> {
    let mut times = Histogram::default();
    let mut bytes = 0;
    for measured in [false, true] {
        for path in paths {
            let asked = outside::now();
            let answer = client.get(path).await?;
            ensure!(answer.status == 200, "GET {path} answers {}", answer.status);
            if measured {
                times.add(outside::now().duration_since(asked));
                bytes += answer.body.len() as u64;
            }
        }
    }
    results.add_rounded(format!("{name}_p50_milliseconds"), times.percentile_milliseconds(50));
    results.add_rounded(format!("{name}_p99_milliseconds"), times.percentile_milliseconds(99));
    results.add(format!("{name}_bytes_mean"), bytes / times.count().max(1));
    Ok(times.percentile_milliseconds(50))
}
