//! Real nodes under real faults: processes, networks, disks, names and clocks of one machine.
//!
//! A run founds a cluster of three to five nodes, each in a network of its own and on a disk of its
//! own; lets clients write and read; hurts it in ways drawn from a seed; and hands what the clients
//! wrote down to the [checker](crate::checker).
//!
//! ```text
//!   outside   starts itself again in namespaces of its own, once for the run, once for each kind
//!             of fault that is known to fail; writes the report
//!   inside    world, clients, faults, last reading, verdict
//!   holder    starts itself again in the network of a node whose packets are to wait
//! ```
//!
//! The namespaces are why nothing is left behind: when the first process in them ends, however it
//! ends, the kernel ends the others, unmounts the disks and takes the networks away.
//!
//! Reading order: `settings`, `run`, `world`, `node`, `workload`, `faults`, `report`.
//!
//! What is absent on purpose: sleeping for luck (everything waits for something, for at most so
//! long), and any crate of the product.
#![expect(clippy::disallowed_methods, reason = "it drives a machine: files, clocks, the system")]
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program that says what it does")]

mod bell;
mod calibrate;
mod chance;
mod control;
mod dns;
mod faults;
mod holder;
mod http;
mod jaeger;
mod node;
mod otlp;
mod report;
mod run;
mod settings;
mod tool;
mod workload;
mod world;

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::checker::judge;
use faults::KINDS;
use report::{Known, Report};
use run::{HISTORY, Outcome};
use settings::Settings;

/// The program: 0 if every promise was kept, 1 if not, 2 for bad usage.
pub fn main(arguments: &[String]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{}", settings::USAGE);
        return ExitCode::SUCCESS;
    }
    let settings = match Settings::parse(arguments) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(2);
        }
    };
    let result = if let Some(waits) = settings.hold {
        holder::hold(waits).map(|()| true)
    } else if settings.list {
        list();
        Ok(true)
    } else if let Some(history) = &settings.judge {
        judge_again(history)
    } else if settings.inside {
        inside(&settings)
    } else {
        outside(&settings)
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for kind in KINDS {
        let known = kind.known.map_or_else(String::new, |why| format!("known to fail: {why}"));
        let skipped = kind.skipped().map_or_else(String::new, |why| format!("skipped: {why}"));
        let by_name = if kind.by_name { "where it is named only; " } else { "" };
        println!("{:18} {by_name}{skipped}{known}", kind.name);
    }
}

fn judge_again(history: &Path) -> Result<bool> {
    let verdict = judge(|| Ok(BufReader::new(fs::File::open(history)?)))?;
    println!("{}", serde_json::to_string_pretty(&verdict)?);
    Ok(verdict.is_good())
}

fn inside(settings: &Settings) -> Result<bool> {
    let folder = settings.folder.clone();
    std::thread::spawn(move || end_with_parent(&folder));
    let outcome = run::run(settings)?;
    run::keep(&outcome, settings)?;
    Ok(true)
}

/// Whoever started us holds the other end of our input. When that is gone, however it went, this
/// process ends, and all others of the namespaces with it.
#[expect(clippy::exit, reason = "the only way to end the first process of the namespaces at once")]
fn end_with_parent(folder: &Path) {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    let _ = fs::remove_dir_all(folder);
    std::process::exit(1)
}

/// What a run cannot do without, and a command that tells whether it is there. Some containers of
/// root's refuse it.
const TRIALS: [(&str, &str); 3] = [
    ("namespaces", "unshare --net --mount --pid --fork --mount-proc true"),
    ("rules of bridges", "unshare --net nft add table bridge trial"),
    ("a loop device", "losetup --find"),
];

fn outside(settings: &Settings) -> Result<bool> {
    if !tool::run("id -u")?.trim().eq("0") {
        println!("NOT RUN: networks and disks of its own need root");
        return Ok(true);
    }
    for program in ["unshare", "nsenter", "ip", "nft", "tc", "mkfs.ext4", "mount", "fsfreeze"] {
        if !tool::exists(program) {
            println!("NOT RUN: there is no `{program}` (packages nftables, iproute2, util-linux)");
            return Ok(true);
        }
    }
    for (what, trial) in TRIALS {
        if let Err(error) = tool::run(trial) {
            println!("NOT RUN: {what} cannot be had here: {error:#}");
            return Ok(true);
        }
    }
    println!("seed {}; again: {}", settings.seed, settings.replay());
    let main = again(settings, &settings.folder)?;
    let mut known = Vec::new();
    let mut kinds: Vec<_> = KINDS.iter().filter(|kind| kind.known.is_some()).collect();
    chance::Chance::part(settings.seed, 1 << 40).shuffle(&mut kinds);
    for kind in kinds.into_iter().take(settings.known) {
        println!("known failure: {}", kind.name);
        known.push(known_failure(settings, kind)?);
    }
    let report = Report::new(settings, &main, &known);
    report.write(settings)?;
    println!("{}", report.markdown()?);
    println!("report: {}", settings.report.display());
    if let Some(mutant) = &settings.mutant {
        let caught = !main.verdict.broken.is_empty();
        println!("mutant {mutant}: {}", if caught { "caught" } else { "NOT CAUGHT" });
        return Ok(caught);
    }
    if !main.is_good() {
        println!("FAILED. Again: {}", settings.replay());
    }
    let surprises = known.iter().filter(|known| known.result == PASSED).count();
    if surprises > 0 {
        println!("{surprises} kinds that are known to fail passed: take them off the list");
    }
    Ok(main.is_good())
}

/// What a known failure that is none any more is called.
const PASSED: &str = "passed: it can come off the list";

/// Runs one kind that is known to fail, in a cluster of its own.
fn known_failure(settings: &Settings, kind: &faults::Kind) -> Result<Known> {
    let folder = settings.folder.with_extension(kind.name);
    let alone = Settings {
        only: vec![kind.name.to_owned()],
        duration: std::time::Duration::from_secs(1),
        spans_min: 0,
        alone: true,
        ..settings.clone()
    };
    let outcome = again(&alone, &folder)?;
    let result = match outcome.skipped.get(kind.name) {
        Some(why) => format!("skipped: {why}"),
        None if outcome.is_good() => PASSED.to_owned(),
        None => "failed as expected".to_owned(),
    };
    let detail = outcome.failure.iter().cloned();
    let violations = outcome.verdict.violations.iter();
    let detail = detail.chain(violations.map(|broken| broken.what.clone())).collect();
    let why = kind.known.unwrap_or_default().to_owned();
    Ok(Known { kind: kind.name.to_owned(), why, result, detail })
}

/// Starts this program again in namespaces of its own, with a folder, and reads what came of it.
fn again(settings: &Settings, folder: &Path) -> Result<Outcome> {
    fs::create_dir_all(folder)?;
    let program = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(program)
        .args(["--inside", "--folder"])
        .arg(folder)
        .arg("--binary")
        .arg(&settings.binary)
        .args(["--seed", &settings.seed.to_string()])
        .args(["--duration", &settings.duration.as_secs().to_string()])
        .args(["--nodes", &settings.nodes.to_string(), "--rate", &settings.rate.to_string()])
        .args(["--slack", &settings.slack.to_string()])
        .args(["--spans-min", &settings.spans_min.to_string()]);
    if settings.none_skipped {
        command.arg("--none-skipped");
    }
    if settings.alone {
        command.arg("--alone");
    }
    if !settings.only.is_empty() {
        command.args(["--only", &settings.only.join(",")]);
    }
    if let Some(mutant) = &settings.mutant {
        command.args(["--mutant", mutant]);
    }
    for flag in &settings.flags {
        command.args(["--flag", flag]);
    }
    let mut child = command.stdin(Stdio::piped()).spawn().context("unshare cannot be run")?;
    let life_line = child.stdin.take();
    let status = child.wait()?;
    drop(life_line);
    let outcome = read_outcome(folder);
    let is_good = outcome.as_ref().is_ok_and(Outcome::is_good);
    if !is_good {
        keep_evidence(settings, folder);
    }
    let _ = fs::remove_dir_all(folder);
    if !status.success() && outcome.is_err() {
        bail!("the run ended with {status}; what it left is in {}", settings.report.display());
    }
    outcome
}

fn read_outcome(folder: &Path) -> Result<Outcome> {
    let bytes = fs::read(folder.join("outcome.json")).context("the run has no outcome")?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Copies history, logs and disks of a run that failed to the report. What cannot be copied is not
/// worth hiding the failure for.
fn keep_evidence(settings: &Settings, folder: &Path) {
    let name = folder
        .extension()
        .map_or_else(|| "failed".to_owned(), |kind| format!("failed-{}", kind.to_string_lossy()));
    let to = settings.report.join(name);
    let _ = fs::create_dir_all(&to);
    let _ = fs::copy(folder.join(HISTORY), to.join(HISTORY));
    for node in 0..settings.nodes {
        let from = folder.join(format!("node-{node}"));
        let _ = fs::copy(from.join("log"), to.join(format!("node-{node}.log")));
        let (image, kept) = (from.join("disk.image"), to.join(format!("node-{node}.image")));
        let _ = tool::run(&format!("cp --sparse=always {} {}", image.display(), kept.display()));
    }
}
