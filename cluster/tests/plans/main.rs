//! Scripts of what a cluster goes through, and what the planner makes of it.
//!
//! A script is a file of blocks: commands, a line of four dashes, and what they print, up to an
//! empty line. The cluster behind it is a [`world::World`]: the real state machine of the meta
//! group, and models of nodes and Raft groups that do what a plan's steps ask for. The world checks
//! what no step may do; the script shows what the planner wants.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p skua-cluster --test plans` writes what is printed now; then
//! read the difference. The scripts are named after the rules they show.
#![cfg(test)]

mod random;
mod render;
mod script;
mod world;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the scripts lie beside the test, which rewrites them"
)]
fn scripts_print_what_they_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plans");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {folder}");
    let mut different = Vec::new();
    for path in paths {
        let written = std::fs::read_to_string(&path).unwrap();
        let printed = script::run(&written);
        if printed == written {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
            std::fs::write(&path, printed).unwrap();
        } else {
            different.push(format!("{}:\n{printed}", path.display()));
        }
    }
    assert!(different.is_empty(), "these scripts print something else:\n{}", different.join("\n"));
}
