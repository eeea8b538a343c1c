//! Which words may appear in the code of which layer: where a library, a protocol or an owned span
//! has no business, its name does not appear either.

use crate::code::{line_of, lines_with};
use crate::tree::File;

/// A word and the places whose production code may say it.
struct Home {
    word: &'static str,
    may: &'static [&'static str],
    why: &'static str,
}

const LIBRARIES: &[Home] = &[
    Home {
        word: "rocksdb",
        may: &["storage/src/kv/rocks.rs"],
        why: "RocksDB is named in storage/src/kv/rocks.rs only",
    },
    Home { word: "openraft", may: &["cluster/src/"], why: "openraft's types do not leave cluster" },
    Home { word: "foca", may: &["cluster/src/"], why: "foca's types do not leave cluster" },
    Home {
        word: "opentelemetry_proto",
        may: &[],
        why: "the OTLP message types are for tests: outside them spans are walked, not decoded",
    },
    Home {
        word: "prost",
        may: &[
            "api/src/jaeger_grpc/",
            "api/src/jaeger_thrift/",
            "api/src/sampling/note.rs",
            "api/src/zipkin/",
            "cluster/src/meta/",
            "cluster/src/raft/",
            "cluster/src/transport/",
            "cluster/src/wire/",
        ],
        why: "prost's types stay in the Jaeger and Zipkin edges of api, and where cluster's nodes \
              speak to each other",
    },
    Home {
        word: "anyhow",
        may: &["node/src/", "bench/src/", "bench/benches/"],
        why: "libraries have errors that say what the caller can do; anyhow is for node and bench",
    },
    Home { word: "axum", may: &["api/src/"], why: "HTTP is spoken in api" },
    Home { word: "clap", may: &["node/src/"], why: "the command line is node's" },
];

/// Words that a whole crate must not know.
const UNKNOWN: &[(&str, &[&str], &str)] = &[
    (
        "model/src/",
        &["tokio", "serde", "Serialize", "Deserialize", "std::fs", "std::net", "std::process"],
        "model is values and functions: no runtime, no files, no sockets, no derived wire form",
    ),
    (
        "storage/src/",
        &["tokio", "tonic", "std::net", "NodeId", "Serialize", "Deserialize", "async", "await"],
        "storage knows shards, groups, indexes and bytes: no runtime, no socket, no node, no peer",
    ),
    (
        "cluster/src/",
        &["otlp", "Otlp", "jaeger", "Jaeger", "opentelemetry", "std::fs"],
        "cluster moves batch bytes and model types: it knows no client protocol and no file",
    ),
    (
        "api/src/",
        &["storage", "cluster", "std::fs"],
        "api is written against model::TraceStore: it knows neither storage nor cluster nor files",
    ),
];

/// Libraries are named only at home, and no crate names what it must not know.
pub(crate) fn libraries(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for home in LIBRARIES.iter().filter(|home| !file.is_under(home.may)) {
        for line in lines_with(&file.code.production, home.word) {
            findings.push(file.finding(line, home.why));
        }
    }
    for (_, words, why) in UNKNOWN.iter().filter(|(folder, _, _)| file.is_under(&[folder])) {
        for word in *words {
            // As a path or an import: a local variable may well be called `storage`.
            let is_crate = ["storage", "cluster"].contains(word);
            let path = if is_crate { format!("{word}::") } else { (*word).to_owned() };
            for line in lines_with(&file.code.production, &path) {
                if !(is_crate && is_own_module(file, line, word)) {
                    findings.push(file.finding(line, &format!("`{word}`: {why}")));
                }
            }
        }
    }
    findings
}

/// Is `word` on this line a module of the same crate (`crate::storage::`, `self::storage::`)?
fn is_own_module(file: &File, line: usize, word: &str) -> bool {
    let text = file.code.production.lines().nth(line - 1).unwrap_or_default();
    text.contains(&format!("crate::{word}")) || text.contains(&format!("self::{word}"))
}

/// What stands between a socket and a batch's columns.
const INGEST_PATH: &[&str] = &[
    "api/src/ingest/",
    "api/src/otlp/",
    "cluster/src/coordinator/route.rs",
    "cluster/src/coordinator/write.rs",
    "model/src/batch/builder.rs",
    "model/src/sink.rs",
    "storage/src/log/",
];

/// Of those folders, the files that write OTLP on reading, where whole spans are at hand.
const OUTWARD: &[&str] =
    &["api/src/otlp/encode.rs", "api/src/otlp/encode/", "api/src/otlp/response"];

/// From the socket to the columns no span is an owned message: not one of prost's or of
/// `opentelemetry_proto`'s, not the model's own `Span`, not another struct of that name. Decoding
/// into structs costs ten times the walk. (An enum may well have a variant `Span`.)
pub(crate) fn ingest_path(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.is_under(INGEST_PATH) || file.is_under(OUTWARD) {
        return Vec::new();
    }
    let code = file.code.production.replace("tracing::Span", "tracing::____");
    let messages = ["prost", "opentelemetry_proto", "ExportTraceServiceRequest", "ResourceSpans"];
    let spans = ["model::Span", "crate::Span", "span::Span", "struct Span", "type Span"];
    let mut found: Vec<(usize, &str)> = Vec::new();
    for word in messages.into_iter().chain(spans) {
        found.extend(lines_with(&code, word).into_iter().map(|line| (line, word)));
    }
    for (start, _) in code.match_indices("use ") {
        let import = &code[start..start + code[start..].find(';').unwrap_or(0)];
        if import.contains('{') && !lines_with(import, "Span").is_empty() {
            found.push((line_of(&code, start), "Span"));
        }
    }
    let why = "no owned span message on the ingest path";
    found.iter().map(|(line, word)| file.finding(*line, &format!("`{word}`: {why}"))).collect()
}

/// Where the product is judged from outside, and what of it must not be known there.
const JUDGES: &[&str] =
    &["chaos-tests/src/checker/", "chaos-tests/src/history/", "chaos-tests/src/process/"];

/// What judges the product uses no code of it, or both could share a mistake.
pub(crate) fn judges(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.is_under(JUDGES) {
        return Vec::new();
    }
    let why = "who judges the product uses no code of it";
    let mut findings = Vec::new();
    for word in ["api::", "bench::", "cluster::", "model::", "storage::"] {
        for line in lines_with(&file.code.all, word) {
            findings.push(file.finding(line, &format!("`{word}`: {why}")));
        }
    }
    findings
}

/// Folders of pure code: no clock, no runtime, no order that differs between two runs.
const PURE: &[&str] = &[
    "api/src/adjust/",
    "api/src/otlp/walk",
    "api/src/traceql/",
    "cluster/src/gossip/core/",
    "cluster/src/identity/",
    "cluster/src/meta/",
    "cluster/src/placement/",
    "cluster/src/plan/",
    "model/src/",
    "storage/src/block/",
    "storage/src/keys.rs",
    "storage/src/log/frame.rs",
];

/// Pure files know no runtime, no clock and no map whose order differs between two runs.
pub(crate) fn pure(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.is_under(PURE) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let words = [
        ("tokio", "a pure file knows no runtime"),
        ("Instant", "a pure file takes `now` as an argument"),
        ("SystemTime", "a pure file takes `now` as an argument"),
        ("RandomState", "a pure file hashes with a fixed seed"),
    ];
    for (word, why) in words {
        for line in lines_with(&file.code.production, word) {
            findings.push(file.finding(line, why));
        }
    }
    let code = &file.code.production;
    for (start, _) in code.match_indices("std::collections") {
        let import = &code[start..start + code[start..].find(';').unwrap_or(0)];
        for word in ["HashMap", "HashSet"] {
            if !lines_with(import, word).is_empty() {
                let why = format!("std's {word} has a random order: BTreeMap, or hashbrown seeded");
                findings.push(file.finding(line_of(code, start), &why));
            }
        }
    }
    findings
}

#[test]
fn libraries_out_of_place_are_caught() {
    for (path, wrong) in [
        ("storage/src/shard/head.rs", "use rocksdb::DB;"),
        ("node/src/app.rs", "fn f(raft: openraft::Raft) {}"),
        ("api/src/otlp/grpc.rs", "use opentelemetry_proto::tonic::trace::v1::TracesData;"),
        ("storage/src/error.rs", "use anyhow::Result;"),
        ("storage/src/log/writer.rs", "fn f(id: NodeId) {}"),
        ("storage/src/log/writer.rs", "async fn f() {}"),
        ("cluster/src/coordinator/mod.rs", "struct JaegerQuery; use model::Jaeger;"),
        ("api/src/server.rs", "use cluster::Coordinator;"),
        ("model/src/span.rs", "#[derive(serde::Serialize)] struct S;"),
    ] {
        assert!(!libraries(&File::sample(path, wrong)).is_empty(), "{path} passes with {wrong}");
    }
    for (path, fine) in [
        ("storage/src/kv/rocks.rs", "use rocksdb::DB;"),
        ("storage/src/kv/mod.rs", "//! Why not name rocksdb here.\nfn f() {}"),
        ("api/src/otlp/http.rs", "#[cfg(test)]\nmod tests { use prost::Message; }"),
        ("api/src/server.rs", "fn f(cluster: u8) { let storage = cluster; }"),
        ("api/tests/otlp.rs", "use opentelemetry_proto::tonic::trace::v1::Span;"),
    ] {
        let findings = libraries(&File::sample(path, fine));
        assert!(findings.is_empty(), "{findings:?}");
    }
}

#[test]
fn owned_spans_are_caught() {
    for wrong in [
        "use model::Span;",
        "use model::{Resource, Span};",
        "fn f(spans: Vec<crate::span::Span>) {}",
        "struct Span { name: String }",
        "use prost::Message;",
    ] {
        let file = File::sample("api/src/otlp/http.rs", wrong);
        assert!(!ingest_path(&file).is_empty(), "passes with {wrong}");
    }
    for fine in [
        "use model::{SpanId, SpanSink};",
        "let span = tracing::Span::current();",
        "enum Target { Span, Event }",
    ] {
        assert!(ingest_path(&File::sample("api/src/otlp/http.rs", fine)).is_empty(), "{fine}");
    }
    let test = "#[cfg(test)]\nmod tests {\n use model::Span;\n}";
    assert!(ingest_path(&File::sample("api/src/otlp/http.rs", test)).is_empty());
}

#[test]
fn judges_that_use_the_product_are_caught() {
    let wrong = "use model::TraceId;";
    assert!(!judges(&File::sample("chaos-tests/src/checker/judge.rs", wrong)).is_empty());
    assert!(judges(&File::sample("chaos-tests/src/sim/world.rs", wrong)).is_empty());
}

#[test]
fn impure_files_are_caught() {
    for wrong in [
        "fn f(now: Instant) {}",
        "use std::collections::HashMap;",
        "use std::collections::{BTreeMap, HashSet};",
        "use std::hash::RandomState;",
    ] {
        assert!(!pure(&File::sample("model/src/tree.rs", wrong)).is_empty(), "passes with {wrong}");
    }
    let fine = "use std::collections::BTreeMap; use hashbrown::HashMap;";
    assert!(pure(&File::sample("model/src/tree.rs", fine)).is_empty());
}
