//! Tells the binary the commit it is built from, where there is a checkout and git to ask.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // One of them changes with every commit and checkout, whether or not git keeps a log; a missing
    // file would mean "always".
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]).unwrap_or_default();
    for name in ["logs/HEAD", "HEAD", "packed-refs", &branch] {
        let file = format!("../.git/{name}");
        if !name.is_empty() && Path::new(&file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    let is_commit = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit {
        println!("cargo::rustc-env=SKUA_BUILD_COMMIT={commit}");
    }
}

/// What git answers, if there is a git and it knows.
fn git(question: &[&str]) -> Option<String> {
    let output = Command::new("git").args(question).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
