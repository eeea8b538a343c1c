//! Who may depend on whom, read from each crate's `Cargo.toml`.

use crate::tree::File;

/// One crate's row of the table.
struct Row {
    folder: &'static str,
    /// Crates of this workspace it may use; its tests may use `bench` too, for the recorded traces.
    own: &'static [&'static str],
    /// Which of [`HEAVY`] it may use outside tests.
    heavy: &'static [&'static str],
}

/// The table of `docs/architecture/01-overview.md`.
const TABLE: &[Row] = &[
    Row { folder: "model", own: &[], heavy: &[] },
    Row { folder: "storage", own: &["model"], heavy: &["rocksdb"] },
    Row {
        folder: "cluster",
        own: &["model", "storage"],
        heavy: &[
            "foca",
            "hyper",
            "hyper-util",
            "openraft",
            "prost",
            "serde",
            "tokio",
            "tokio-stream",
            "tokio-util",
            "tonic",
        ],
    },
    Row { folder: "cluster/base2histogram", own: &[], heavy: &[] },
    Row {
        folder: "api",
        own: &["model"],
        heavy: &[
            "axum",
            "hyper",
            "hyper-util",
            "prost",
            "rdkafka",
            "serde",
            "serde_json",
            "tokio",
            "tokio-stream",
            "tokio-util",
            "tonic",
            "tower",
            "tower-http",
        ],
    },
    Row {
        folder: "bench",
        own: &["model"],
        heavy: &[
            "anyhow",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "tokio",
            "tokio-stream",
            "tokio-util",
            "tonic",
            "tower",
        ],
    },
    Row {
        folder: "node",
        own: &["model", "storage", "cluster", "api", "bench"],
        heavy: &[
            "anyhow",
            "clap",
            "clap_complete",
            "hyper",
            "hyper-util",
            "mimalloc",
            "serde",
            "serde_json",
            "serde-saphyr",
            "tokio",
            "tokio-util",
            "tracing-subscriber",
            "metrics-exporter-prometheus",
        ],
    },
    Row {
        folder: "chaos-tests",
        own: &["model", "storage", "cluster", "api", "node", "bench"],
        heavy: &[
            "anyhow",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "tokio",
            "tokio-util",
            "tonic",
        ],
    },
];

/// Libraries that decide what a crate is: a runtime, a protocol, an engine, a view of the world.
const HEAVY: &[&str] = &[
    "anyhow",
    "axum",
    "clap",
    "clap_complete",
    "foca",
    "hyper",
    "hyper-util",
    "metrics-exporter-prometheus",
    "mimalloc",
    "openraft",
    "openraft-multi",
    "opentelemetry",
    "opentelemetry-proto",
    "opentelemetry_sdk",
    "prost",
    "rdkafka",
    "reqwest",
    "rocksdb",
    "rskafka",
    "rustls",
    "serde",
    "serde-saphyr",
    "serde_json",
    "tokio",
    "tokio-rustls",
    "tokio-stream",
    "tokio-util",
    "tonic",
    "tower",
    "tower-http",
    "tracing-subscriber",
];

/// The whole list for `model`: the vocabulary must stay cheap to build and free of the world.
const MODEL: &[&str] = &[
    "arbitrary",
    "bytes",
    "crc32fast",
    "futures-core",
    "hashbrown",
    "proptest",
    "regex",
    "thiserror",
    "twox-hash",
    "zstd",
];

/// A crate in the place of another one's, which `[patch.crates-io]` names.
const STAND_IN: &str = "cluster/base2histogram/Cargo.toml";

/// Crates of the workspace use each other, and heavy libraries, only as the table says.
pub(crate) fn direction(file: &File) -> Vec<String> {
    let Some(folder) = crate_folder(file) else { return Vec::new() };
    let Some(row) = TABLE.iter().find(|row| row.folder == folder) else {
        return vec![file.finding(1, "this crate is not in tidy's table of dependencies")];
    };
    let mut findings = Vec::new();
    for dependency in dependencies(&file.text) {
        let Dependency { name, for_tests, line } = dependency;
        let own =
            TABLE.iter().any(|row| row.folder == name || name == format!("skua-{}", row.folder));
        let plain = name.trim_start_matches("skua-");
        let allowed = if own {
            row.own.contains(&plain) || (for_tests && (plain == "bench" || plain == folder))
        } else if for_tests {
            true
        } else if folder == "model" {
            MODEL.contains(&name.as_str())
        } else {
            row.heavy.contains(&name.as_str()) || !HEAVY.contains(&name.as_str())
        };
        if !allowed {
            findings.push(file.finding(line, &format!("{folder} may not depend on {name}")));
        }
    }
    findings
}

/// Every crate takes its lints, edition, version and licence from the workspace.
pub(crate) fn inheritance(file: &File) -> Vec<String> {
    if crate_folder(file).is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !file.text.contains("[lints]\nworkspace = true") {
        findings.push(file.finding(1, "the crate does not inherit [lints] from the workspace"));
    }
    for field in ["edition", "version", "rust-version", "license", "publish"] {
        // It has the version of what it stands for.
        if field == "version" && file.path == STAND_IN {
            continue;
        }
        if !file.text.contains(&format!("\n{field}.workspace = true")) {
            findings.push(file.finding(1, &format!("{field} is not the workspace's")));
        }
    }
    findings
}

/// The folder of the crate whose manifest this is.
fn crate_folder(file: &File) -> Option<&str> {
    let is_manifest = file.name() == "Cargo.toml" && file.text.contains("[package]");
    (is_manifest && !file.path.contains("/fuzz/")).then(|| file.folder())
}

struct Dependency {
    name: String,
    for_tests: bool,
    line: usize,
}

/// The dependencies of a manifest: the keys of every `[*dependencies]` table.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = "";
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            // `[dependencies.name]` is a table of its own.
            if let Some((kind, name)) = section.split_once("dependencies.") {
                let for_tests = kind.ends_with("dev-");
                found.push(Dependency { name: name.to_owned(), for_tests, line: index + 1 });
            }
        } else if section.ends_with("dependencies") && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            let for_tests = section.ends_with("dev-dependencies");
            found.push(Dependency { name: name.to_owned(), for_tests, line: index + 1 });
        }
    }
    found
}

#[test]
fn wrong_directions_are_caught() {
    let package = "[package]\nname = \"x\"\n";
    for (path, wrong) in [
        ("model/Cargo.toml", "[dependencies]\nserde.workspace = true\n"),
        ("model/Cargo.toml", "[dependencies]\ntracing.workspace = true\n"),
        ("storage/Cargo.toml", "[dependencies]\ntokio = { workspace = true }\n"),
        ("storage/Cargo.toml", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n"),
        ("storage/Cargo.toml", "[dependencies.prost]\nworkspace = true\n"),
        ("api/Cargo.toml", "[dependencies]\nstorage.workspace = true\n"),
        ("api/Cargo.toml", "[dependencies]\ncluster.workspace = true\n"),
        ("api/Cargo.toml", "[dependencies]\nopentelemetry-proto.workspace = true\n"),
        ("api/Cargo.toml", "[dev-dependencies]\ncluster.workspace = true\n"),
        ("cluster/Cargo.toml", "[dependencies]\nrocksdb.workspace = true\n"),
        ("node/Cargo.toml", "[build-dependencies]\ntonic = \"0.14\"\n"),
        ("extra/Cargo.toml", ""),
    ] {
        let file = File::sample(path, &format!("{package}{wrong}"));
        assert!(!direction(&file).is_empty(), "{path} passes with {wrong}");
    }
    let fine = "[dependencies]\nmodel.workspace = true\nrocksdb.workspace = true\nbytes = \"1\"\n";
    assert!(direction(&File::sample("storage/Cargo.toml", &format!("{package}{fine}"))).is_empty());
    let tests = "[dev-dependencies]\nopentelemetry-proto.workspace = true\n";
    assert!(direction(&File::sample("api/Cargo.toml", &format!("{package}{tests}"))).is_empty());
    assert!(!inheritance(&File::sample("api/Cargo.toml", package)).is_empty());
}
