//! Tells the binary the commit it is built from, where there is a checkout and git to ask.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The log of HEAD changes with every commit and checkout; a missing file would mean "always".
    let log_of_head = "../.git/logs/HEAD";
    if Path::new(log_of_head).exists() {
        println!("cargo::rerun-if-changed={log_of_head}");
    }
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let Ok(output) = output else { return };
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let is_commit = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if output.status.success() && is_commit {
        println!("cargo::rustc-env=SKUA_BUILD_COMMIT={commit}");
    }
}
