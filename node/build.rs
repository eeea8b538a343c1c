//! Tells the binary the commit it is built from, where there is a checkout and git to ask.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // One of them changes with every commit and checkout, whether or not git keeps a log; a missing
    // file would mean "always".
    let head = std::fs::read_to_string("../.git/HEAD").unwrap_or_default();
    let branch = head.trim().strip_prefix("ref: ").unwrap_or("HEAD");
    for name in ["logs/HEAD", "HEAD", "packed-refs", branch] {
        let file = format!("../.git/{name}");
        if Path::new(&file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let Ok(output) = output else { return };
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let is_commit = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if output.status.success() && is_commit {
        println!("cargo::rustc-env=SKUA_BUILD_COMMIT={commit}");
    }
}
