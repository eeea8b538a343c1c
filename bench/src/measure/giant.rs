//! One trace of a million spans among small ones: how long it takes to show, what figures over all
//! take beside it, and how soon a node stops working for a caller that has left.
//!
//! The last is measured from outside: a connection asks, waits until the node is busy, and is
//! closed; what the node's threads still take of the processor after that, less what they take at
//! rest, is the time in which nobody was left to answer.
//!
//! Options: `--skua BINARY` (wanted), `--file FILE` (the astronomy recording), `--spans N` (small
//! traces, 100,000 at least), `--giant-spans N` (1,000,000), `--searches N` (5 of each kind),
//! `--leaves N` (10 of each kind), `--compact`, `--data-below DIR`, `--record [FILE]`, and
//! `-- FLAGS` for the server.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::HttpClient;
use super::ingest::{ASTRONOMY, load_into, plan};
use super::query::{ask, compact, figures, searches_of, services, trace_ids};
use super::server::Server;
use super::{Arguments, Results};
use crate::outside;
use crate::recording::Recording;
use crate::replay::Histogram;
use crate::synthetic::{Profile, Synthesis, SynthesisOptions};

/// What the giant trace is drawn from.
const SEED: u64 = 3;

/// Spans of a request of the giant trace.
const SPANS_PER_REQUEST: u32 = 5_000;

/// How long a question is at work before its caller leaves.
const LEAVES_AFTER: Duration = Duration::from_millis(60);

/// For how long the node is watched after that.
const WATCHED_FOR: Duration = Duration::from_millis(400);

/// Runs the measurement.
pub fn giant(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let plan = plan(arguments, 100_000, 500)?;
    let file = PathBuf::from(arguments.text("file").unwrap_or(ASTRONOMY));
    let giant_spans: u32 = arguments.get("giant-spans", 1_000_000)?;
    let searches: u32 = arguments.get("searches", 5)?;
    let leaves: u32 = arguments.get("leaves", 10)?;
    let compacts = arguments.has("compact");
    let server = Server::start(arguments).await?;
    let mut results = Results::default();

    let id = send_giant(&server, file, giant_spans).await?;
    let report = load_into(&server, &plan, 16, 1).run(&mut ()).await?;
    ensure!(report.is_complete(), "not everything was acknowledged: {report}");
    results.add("spans", report.totals.spans_acked + u64::from(giant_spans));
    let mut client = HttpClient::connect(&server.ui()).await?;
    if compacts {
        compact(&mut client).await?;
    }
    let columns = format!("/api/skua/v1/traces/{id}/columns");
    ask(&mut client, "giant_columns", &vec![columns.clone(); 3], &mut results).await?;
    finds(&mut client, &id, searches, &mut results).await?;
    figures(&mut client, &plan, searches, &mut results).await?;
    let services = services(&mut client).await?;
    for (name, path) in searches_of(&services, &plan) {
        ask(&mut client, &name, &vec![path; searches as usize], &mut results).await?;
    }
    let small = trace_ids(&plan, 200)?;
    let small: Vec<_> = small.iter().map(|id| format!("/api/traces/{id}")).collect();
    ask(&mut client, "by_id_small", &small, &mut results).await?;

    let (start, end) = super::query::window_nanos(&plan);
    let window = format!("\"window\":{{\"start\":{start},\"end\":{end}}}");
    let some = "\"where\":{\"attribute\":\"http.url\",\"op\":\"~\",\"value\":\".*nowhere.*\"}";
    for (name, question) in [
        ("columns", get(&columns)),
        ("jaeger", get(&format!("/api/traces/{id}"))),
        ("otlp", get(&format!("/api/v3/traces/{id}"))),
        ("dependencies", get(&super::query::dependencies_path(&plan))),
        ("search", get(&search(start, end))),
        ("values", post(&format!("{{{window},\"kind\":\"top_values\",\"key\":\"http.url\"}}"))),
        ("totals", post(&format!("{{{window},{some},\"kind\":\"totals\"}}"))),
    ] {
        leave(&server, name, &question, leaves, &mut results).await?;
    }
    let mebibytes = server.resident_peak_bytes()? as f64 / f64::from(1 << 20);
    results.add_rounded("resident_peak_mebibytes", mebibytes);
    server.stop().await?;
    Ok(results)
}

/// What is found in the giant trace: words that are somewhere, words that are nowhere, and an
/// attribute.
async fn finds(
    client: &mut HttpClient,
    id: &str,
    asks: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let path = format!("/api/skua/v1/traces/{id}/find");
    for (name, predicate) in [
        ("words", r#"{"mentions":"post"}"#),
        ("nowhere", r#"{"mentions":"qwertzuiop"}"#),
        ("attribute", r#"{"attribute":"http.status_code","scope":"span","op":">=","value":500}"#),
        ("names", r#"{"field":"service","op":"=","value":"frontend"}"#),
    ] {
        let mut times = Histogram::default();
        let mut found = 0;
        for measured in [false, true] {
            for _ in 0..asks {
                let asked = outside::now();
                let answer = client.post(&path, format!("{{\"where\":{predicate}}}")).await?;
                ensure!(answer.status == 200, "POST {path} answers {}", answer.status);
                if measured {
                    times.add(outside::now().duration_since(asked));
                }
                let answer: serde_json::Value = serde_json::from_slice(&answer.body)?;
                found = answer.get("found").and_then(serde_json::Value::as_u64).unwrap_or_default();
            }
        }
        let middle = times.percentile_milliseconds(50);
        results.add_rounded(format!("find_{name}_p50_milliseconds"), middle);
        results.add(format!("find_{name}_found"), found);
    }
    Ok(())
}

/// Sends the trace, and says its id.
async fn send_giant(server: &Server, file: PathBuf, spans: u32) -> anyhow::Result<String> {
    let recording = Recording::open(&[file], None)?;
    let profile = Profile::fit(&recording)?;
    let options = SynthesisOptions {
        seed: SEED,
        spans: u64::from(spans),
        spans_per_trace: Some(spans),
        spans_per_message: SPANS_PER_REQUEST,
        first_start: outside::unix_nanos().saturating_sub(60_000_000_000),
    };
    let mut synthesis = Synthesis::new(&profile, options);
    while let Some(message) = synthesis.next_message()? {
        // The first message takes so long to make that a connection would be closed meanwhile.
        let mut client = HttpClient::connect(&server.otlp_http()).await?;
        let answer = client.post_protobuf("/v1/traces", Bytes::from(message)).await?;
        ensure!(answer.status == 200, "POST /v1/traces answers {}", answer.status);
    }
    let mut id = String::new();
    for byte in synthesis.trace_id() {
        write!(id, "{byte:02x}")?;
    }
    Ok(id)
}

/// A value that is nowhere, in any attribute.
fn search(start: u64, end: u64) -> String {
    const TAGS: &str = "%7B%22http.url%22%3A%22nowhere%22%7D";
    let (start, end) = (start / 1000, end / 1000);
    format!("/api/traces?start={start}&end={end}&limit=20&tags={TAGS}")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: skua\r\n\r\n")
}

fn post(json: &str) -> String {
    let head = "Host: skua\r\nContent-Type: application/json";
    let length = json.len();
    let path = "/api/skua/v1/aggregate";
    format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{json}")
}

/// Asks and leaves before the answer has begun; says what the node works on after that.
async fn leave(
    server: &Server,
    name: &str,
    question: &str,
    leaves: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut after = Vec::new();
    let mut unanswered = 0;
    for _ in 0..leaves {
        let idle_before = server.thread_time()?;
        tokio::time::sleep(WATCHED_FOR).await;
        let at_rest = server.thread_time()?.saturating_sub(idle_before);
        let mut connection = TcpStream::connect(server.ui()).await?;
        connection.write_all(question.as_bytes()).await?;
        let mut first = [0; 1];
        let answered = tokio::time::timeout(LEAVES_AFTER, connection.read(&mut first)).await;
        // Whoever has an answer so soon does not leave before it.
        unanswered += u32::from(answered.is_err());
        let left = server.thread_time()?;
        drop(connection);
        tokio::time::sleep(WATCHED_FOR).await;
        let used = server.thread_time()?.saturating_sub(left);
        if answered.is_err() {
            after.push(used.saturating_sub(at_rest));
        }
    }
    results.add(format!("leave_{name}_unanswered"), unanswered);
    after.sort_unstable();
    let middle = after.get(after.len() / 2).copied().unwrap_or_default();
    let most = after.last().copied().unwrap_or_default();
    for (what, time) in [("p50", middle), ("most", most)] {
        let milliseconds = time.as_secs_f64() * 1000.0;
        results.add_rounded(format!("leave_{name}_{what}_cpu_milliseconds"), milliseconds);
    }
    Ok(())
}
