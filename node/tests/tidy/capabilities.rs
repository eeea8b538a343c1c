//! What the process can do to the world (files, clocks, tasks, the environment) has one home each,
//! and the lints that guard it are lifted only there.

use crate::code::{line_of, lines_with};
use crate::tree::File;

struct Capability {
    words: &'static [&'static str],
    homes: &'static [&'static str],
    why: &'static str,
}

const CAPABILITIES: &[Capability] = &[
    Capability {
        words: &["std::fs", "tokio::fs", "fs::File", "fs::OpenOptions"],
        homes: &["storage/src/env/os.rs", "node/src/", "bench/"],
        why: "files are reached through storage::env: what goes around it, no crash test can fail",
    },
    Capability {
        words: &["Instant::now", "SystemTime::now"],
        homes: &["cluster/src/clock.rs", "bench/"],
        why: "time comes from the clock handed down",
    },
    Capability {
        words: &["tokio::spawn", "task::spawn", "task::spawn_local"],
        homes: &["cluster/src/task.rs", "api/src/task.rs", "bench/"],
        why: "tasks are spawned through task.rs: named, owned, cancelled, panics surfaced",
    },
    Capability {
        words: &["env::var", "env::var_os", "env::vars", "env::set_var", "env::remove_var"],
        // Builds with deliberate defects are none that anybody runs.
        homes: &["node/src/", "bench/", "storage/src/mutant.rs"],
        why: "the environment is read in node and handed down as a typed value",
    },
    Capability {
        words: &["unbounded_channel", "mpsc::unbounded"],
        homes: &[],
        why: "every queue has a bound with a name in limits.rs",
    },
];

/// Files, clocks, tasks and the environment are touched in their homes only, tests aside.
pub(crate) fn homes(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    // tokio's own clock stands still when a test pauses it; written in full it is welcome.
    let code = file.code.production.replace("tokio::time::Instant::now", "tokio::time::_");
    for capability in CAPABILITIES.iter().filter(|capability| !file.is_under(capability.homes)) {
        for word in capability.words {
            for line in lines_with(&code, word) {
                findings.push(file.finding(line, &format!("`{word}`: {}", capability.why)));
            }
        }
        if capability.words.contains(&"std::fs") && imports_fs(&code) {
            findings.push(file.finding(1, capability.why));
        }
    }
    findings
}

/// Does the code say `use std::{..., fs, ...}`?
fn imports_fs(code: &str) -> bool {
    code.match_indices("std::{").any(|(start, _)| {
        let group = &code[start..start + code[start..].find(';').unwrap_or(0)];
        !lines_with(group, "fs").is_empty()
    })
}

/// Places whose production code may lift the bans of `clippy.toml`.
const MAY_LIFT_BANS: &[&str] = &[
    "api/src/task.rs",
    "bench/",
    "cluster/src/clock.rs",
    "cluster/src/task.rs",
    "node/src/",
    "storage/src/env/os.rs",
    "storage/src/mutant.rs",
];

/// Lints are expected, with a reason, never allowed; the bans of `clippy.toml` hold outside their
/// homes.
pub(crate) fn lifted_lints(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for opening in ["#[allow(", "#![allow("] {
        for (start, _) in file.code.all.match_indices(opening) {
            let line = line_of(&file.code.all, start);
            findings.push(
                file.finding(
                    line,
                    "say #[expect(lint, reason = \"...\")]: it tells when it is moot",
                ),
            );
        }
    }
    for opening in ["#[expect(", "#![expect("] {
        for (start, _) in file.code.all.match_indices(opening) {
            let rest = &file.code.all[start..];
            let attribute = &rest[..rest.find(")]").unwrap_or(rest.len())];
            if !attribute.contains("reason") {
                findings.push(
                    file.finding(line_of(&file.code.all, start), "an #[expect] without a reason"),
                );
            }
        }
    }
    if !file.is_under(MAY_LIFT_BANS) {
        for line in lines_with(&file.code.production, "clippy::disallowed_methods") {
            findings.push(
                file.finding(line, "this is not a file that may lift the bans of clippy.toml"),
            );
        }
    }
    findings
}

/// Nothing sleeps a thread; tests wait on conditions, or on tokio's paused clock; none is ignored.
pub(crate) fn patience(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for line in lines_with(&file.code.all, "thread::sleep") {
        findings.push(file.finding(line, "wait on the condition instead of sleeping"));
    }
    // A simulation runs on a clock that its one runtime has paused.
    let is_paused = file.is_under(&["chaos-tests/src/sim/"])
        || file.code.all.contains("start_paused")
        || file.code.all.contains("time::pause(");
    if !is_paused {
        for line in lines_with(&file.code.test, "time::sleep") {
            findings.push(file.finding(line, "a test waits on a condition or on the paused clock"));
        }
    }
    for (start, _) in file.code.all.match_indices("#[ignore") {
        findings.push(
            file.finding(line_of(&file.code.all, start), "a test that is ignored tests nothing"),
        );
    }
    findings
}

#[test]
fn capabilities_away_from_home_are_caught() {
    for (path, wrong) in [
        ("storage/src/manifest.rs", "fn f() { std::fs::read(\"x\"); }"),
        ("storage/src/manifest.rs", "use std::{fs, io};"),
        ("api/src/server.rs", "fn f() { let start = Instant::now(); }"),
        ("api/src/server.rs", "fn f() { let start = std::time::SystemTime::now(); }"),
        ("cluster/src/reconcile.rs", "fn f() { tokio::spawn(g()); }"),
        ("storage/src/config.rs", "fn f() { std::env::var(\"X\"); }"),
        ("cluster/src/task.rs", "fn f() { unbounded_channel(); }"),
    ] {
        assert!(!homes(&File::sample(path, wrong)).is_empty(), "{path} passes with {wrong}");
    }
    for (path, fine) in [
        ("storage/src/env/os.rs", "use std::fs;"),
        ("storage/src/manifest.rs", "#[cfg(test)]\nmod tests { fn f() { std::fs::read(\"x\"); } }"),
        ("api/src/server.rs", "fn f() { tokio::time::Instant::now(); }"),
        ("api/src/server.rs", "// tokio::spawn would lose it\nuse std::{io, fmt};"),
        ("api/tests/http.rs", "fn f() { tokio::spawn(g()); }"),
    ] {
        let findings = homes(&File::sample(path, fine));
        assert!(findings.is_empty(), "{findings:?}");
    }
}

#[test]
fn lints_lifted_wrongly_are_caught() {
    for wrong in [
        "#[allow(dead_code)]\nfn f() {}",
        "#![allow(dead_code)]",
        "#[expect(dead_code)]\nfn f() {}",
        "#[expect(clippy::disallowed_methods, reason = \"x\")]\nfn f() {}",
    ] {
        let file = File::sample("api/src/server.rs", wrong);
        assert!(!lifted_lints(&file).is_empty(), "passes with {wrong}");
    }
    let fine = "#[expect(clippy::disallowed_methods, reason = \"x\")]\nfn f() {}";
    assert!(lifted_lints(&File::sample("cluster/src/clock.rs", fine)).is_empty());
}

#[test]
fn sleepers_are_caught() {
    for (path, wrong) in [
        ("api/src/server.rs", "fn f() { std::thread::sleep(d); }"),
        ("api/tests/http.rs", "async fn f() { tokio::time::sleep(d).await; }"),
        ("api/tests/http.rs", "#[test]\n#[ignore]\nfn f() {}"),
    ] {
        assert!(!patience(&File::sample(path, wrong)).is_empty(), "{path} passes with {wrong}");
    }
    let paused =
        "#[tokio::test(start_paused = true)]\nasync fn f() { tokio::time::sleep(d).await; }";
    assert!(patience(&File::sample("api/tests/http.rs", paused)).is_empty());
    assert!(
        patience(&File::sample("api/src/a.rs", "fn f() { tokio::time::sleep(d); }")).is_empty()
    );
}
