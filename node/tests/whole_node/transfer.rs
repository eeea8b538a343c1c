//! Traces moved in and out by the commands that do it, between whole nodes: nothing is lost that
//! the form in between can carry.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use model::TraceId;
use serde_json::Value;

use crate::originals::{Alone, one_by_one};
use crate::server::Server;

/// 20,256 spans in 446 traces.
const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/data/hipster-20k.pb.zst");
const SPANS: u64 = 20_256;

/// Runs a command of the binary that must succeed; its report.
fn skua(directory: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skua"));
    let Output { status, stdout, stderr } =
        command.args(arguments).arg("--json").current_dir(directory).env_clear().output().unwrap();
    let err = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{arguments:?}: {err} {}", String::from_utf8_lossy(&stdout));
    serde_json::from_slice(&stdout).unwrap()
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The spans of a file of OTLP, each alone with its resource and scope.
fn spans_in(file: &Path) -> BTreeSet<(TraceId, Alone)> {
    let messages = bench::recording::read_messages(file, None).unwrap();
    messages.iter().flat_map(|message| one_by_one(message)).collect()
}

/// The traces of a file of Jaeger's JSON, in the order of their ids and of their spans.
fn jaeger_traces(file: &Path) -> Vec<Value> {
    let text = String::from_utf8(read(file)).unwrap();
    let mut traces = Vec::new();
    for document in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        traces.extend(document.unwrap()["data"].as_array().unwrap().iter().cloned());
    }
    traces.sort_by_key(|trace| trace["traceID"].as_str().unwrap().to_owned());
    traces
}

#[expect(clippy::disallowed_methods, reason = "an exported file is not Skua's data")]
fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap()
}

#[test]
fn every_form_carries_traces_from_node_to_node() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    let import = |server: &Server, file: &str| {
        let to = at(server.ports.otlp_grpc);
        skua(directory.path(), &["import", file, "--to", &to])
    };
    let export = |server: &Server, file: &str, format: &str| {
        let from = at(server.ports.remote_storage);
        let arguments = ["export", file, "--from-storage", &from, "--format", format];
        let report = skua(directory.path(), &arguments);
        assert_eq!(report["spans_done"], SPANS, "{report}");
    };
    let first_home = tempfile::tempdir().unwrap();
    let first = Server::start(first_home.path(), &[]);
    assert_eq!(import(&first, RECORDING)["spans_done"], SPANS);
    let expected = spans_in(Path::new(RECORDING));
    export(&first, "first.pb.zst", "otlp-pb");
    assert!(spans_in(&path("first.pb.zst")) == expected);
    export(&first, "first.jsonl.gz", "otlp-json");
    export(&first, "first.json", "jaeger-json");

    let home = tempfile::tempdir().unwrap();
    let second = Server::start(home.path(), &[]);
    assert_eq!(import(&second, "first.jsonl.gz")["spans_done"], SPANS);
    // From one node to the other as from a Jaeger, over what is there already.
    let (from, to) = (at(first.ports.query_grpc), at(second.ports.otlp_grpc));
    let arguments = ["import", "--from", &from, "--to", &to, "--since", "2022-08-22T00:00:00Z"];
    let report =
        skua(directory.path(), &[&arguments[..], &["--until", "2022-08-24T00:00:00Z"]].concat());
    assert_eq!(
        (report["traces"].as_u64(), report["spans_done"].as_u64()),
        (Some(446), Some(SPANS))
    );
    export(&second, "second.pb", "otlp-pb");
    assert!(spans_in(&path("second.pb")) == expected);

    // And as from a remote storage.
    let home = tempfile::tempdir().unwrap();
    let fourth = Server::start(home.path(), &[]);
    let (from, to) = (at(first.ports.remote_storage), at(fourth.ports.otlp_grpc));
    let arguments =
        ["import", "--from-storage", &from, "--to", &to, "--since", "2022-08-22T00:00:00Z"];
    let report =
        skua(directory.path(), &[&arguments[..], &["--until", "2022-08-24T00:00:00Z"]].concat());
    assert_eq!(report["spans_done"], SPANS, "{report}");
    export(&fourth, "fourth.pb", "otlp-pb");
    assert!(spans_in(&path("fourth.pb")) == expected);

    // What Jaeger's JSON carries is the same after another round, whatever it does not carry.
    let home = tempfile::tempdir().unwrap();
    let third = Server::start(home.path(), &[]);
    assert_eq!(import(&third, "first.json")["spans_done"], SPANS);
    export(&third, "third.json", "jaeger-json");
    let (before, after) = (jaeger_traces(&path("first.json")), jaeger_traces(&path("third.json")));
    assert_eq!(before.len(), 446);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
}

#[test]
fn an_import_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path(), &[]);
    let to = at(server.ports.otlp_grpc);
    let arguments = ["import", RECORDING, "--to", &to, "--position", "position.json"];
    let first = skua(directory.path(), &arguments);
    assert_eq!(
        (first["messages"].as_u64(), first["messages_skipped"].as_u64()),
        (Some(40), Some(0))
    );
    let second = skua(directory.path(), &arguments);
    let done = (second["messages"].as_u64(), second["messages_skipped"].as_u64());
    assert_eq!(done, (Some(0), Some(40)));
    // One trace, by its id.
    let from = at(server.ports.remote_storage);
    let (id, _) =
        one_by_one(&bench::recording::read_messages(Path::new(RECORDING), None).unwrap()[0])
            .swap_remove(0);
    let id = id.to_string();
    let arguments = ["export", "one.json", "--from-storage", &from, "--trace", &id];
    let one = skua(directory.path(), &[&arguments[..], &["--format", "jaeger-json"]].concat());
    assert_eq!(one["traces"], 1);
    let traces = jaeger_traces(&directory.path().join("one.json"));
    assert_eq!(
        traces[0]["traceID"].as_str().unwrap().trim_start_matches('0'),
        id.trim_start_matches('0')
    );
}
