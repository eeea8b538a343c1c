//! The report of a run, as Markdown for people and as JSON for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use serde::Serialize;

use super::faults::KINDS;
use super::run::{Outcome, seconds};
use super::settings::Settings;
use super::tool;
use crate::checker::FaultVerdict;

/// A kind that is known to fail, and what came of it today.
#[derive(Debug, Serialize)]
pub(crate) struct Known {
    pub(crate) kind: String,
    pub(crate) why: String,
    /// `failed as expected`, `passed`, or `skipped: why`.
    pub(crate) result: String,
    pub(crate) detail: Vec<String>,
}

/// Everything that the report says.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    binary: String,
    machine: String,
    replay: String,
    good: bool,
    outcome: &'a Outcome,
    known: &'a [Known],
}

impl<'a> Report<'a> {
    pub(crate) fn new(settings: &Settings, outcome: &'a Outcome, known: &'a [Known]) -> Self {
        let binary = tool::words(&[&settings.binary.to_string_lossy(), "version"]);
        let machine = format!(
            "{} processors, {}",
            std::thread::available_parallelism().map_or(0, usize::from),
            tool::run("uname -sr").unwrap_or_default().trim()
        );
        Self {
            binary: binary.unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
            machine,
            replay: settings.replay(),
            good: outcome.is_good(),
            outcome,
            known,
        }
    }

    /// Writes `processes.md` and `processes.json`.
    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        fs::create_dir_all(&settings.report)?;
        fs::write(settings.report.join("processes.md"), self.markdown()?)?;
        let json = serde_json::to_vec_pretty(self)?;
        fs::write(settings.report.join("processes.json"), json)?;
        Ok(())
    }

    pub(crate) fn markdown(&self) -> Result<String> {
        let outcome = self.outcome;
        let counts = &outcome.verdict.counts;
        let faults = &outcome.verdict.faults;
        let mut text = String::new();
        let out = &mut text;
        writeln!(out, "# Real processes under faults\n")?;
        writeln!(out, "**{}**\n", if self.good { "No promise was broken." } else { "FAILED." })?;
        writeln!(out, "| | |\n|---|---|")?;
        let kinds = by_kind(faults);
        for (what, value) in [
            ("seed", outcome.seed.to_string()),
            ("binary", self.binary.clone()),
            ("machine", self.machine.clone()),
            ("faults", format!("{} of {} kinds", faults.len(), kinds.len())),
            (
                "run, reading back",
                format!("{} s, {} s", outcome.seconds, outcome.read_back_seconds),
            ),
            ("acknowledged spans", counts.acked_spans.to_string()),
            ("requests", format!("{}, {} acknowledged", counts.requests, counts.acked_requests)),
            (
                "attempts",
                format!(
                    "{} refused, {} of unknown fate, {} not sent",
                    counts.refused_attempts, counts.unknown_attempts, counts.unsent_attempts
                ),
            ),
            (
                "answers",
                format!(
                    "{} complete, {} partial, {} failed",
                    counts.complete_answers, counts.partial_answers, counts.failed_answers
                ),
            ),
            ("spans compared in the last readings", counts.final_spans.to_string()),
            (
                "write and sync of a disk",
                format!(
                    "p50 {:.2} ms, p99 {:.2} ms",
                    seconds(outcome.syncs.p50_ns) * 1e3,
                    seconds(outcome.syncs.p99_ns) * 1e3
                ),
            ),
            (
                "a thread is late by at most",
                format!("{:.0} ms", seconds(outcome.lateness_ns) * 1e3),
            ),
            ("memory of a node at most", format!("{} MiB", outcome.resident_bytes_max >> 20)),
        ] {
            writeln!(out, "| {what} | {value} |")?;
        }
        writeln!(out, "\nAgain: `{}`\n", self.replay)?;
        writeln!(out, "## Faults\n")?;
        writeln!(
            out,
            "*Outage*: from the beginning until the other nodes accept writes for all shards. \
             *Recovery*: from the end until every node does. The limit has the machine's own \
             slowness in it.\n"
        )?;
        writeln!(out, "| kind | times | bites | outage p50, max | recovery p50, max | limit |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for (kind, faults) in &kinds {
            let bites: u64 = faults.iter().map(|fault| fault.fault.bites).sum();
            let limit = faults.iter().map(|fault| fault.fault.limit_ns).max().unwrap_or_default();
            writeln!(
                out,
                "| {kind} | {} | {bites} | {} | {} | {:.1} s |",
                faults.len(),
                spread(faults.iter().filter_map(|fault| fault.outage_ns).collect()),
                spread(faults.iter().filter_map(|fault| fault.recovery_ns).collect()),
                seconds(limit)
            )?;
        }
        for (kind, why) in &outcome.skipped {
            writeln!(out, "| {kind} | skipped: {why} | | | | |")?;
        }
        writeln!(out, "\n## Broken promises\n")?;
        for (invariant, times) in &outcome.verdict.broken {
            writeln!(out, "- {invariant}: {times}")?;
        }
        for violation in &outcome.verdict.violations {
            let at = violation.at_ns.min(outcome.seconds * 1_000_000_000);
            writeln!(
                out,
                "  - {} at {:.3} s: {}",
                violation.invariant,
                seconds(at),
                violation.what
            )?;
        }
        let failure = outcome.failure.iter().map(|failure| format!("given up: {failure}"));
        let invalid = outcome.verdict.invalid.iter().map(|why| format!("does not count: {why}"));
        let ends = outcome.ends.iter().map(|end| format!("unexplained end: {end}"));
        let panics = outcome.panics.iter().map(|panic| format!("panic: {panic}"));
        for line in failure.chain(invalid.take(20)).chain(ends).chain(panics) {
            writeln!(out, "- {line}")?;
        }
        if self.good {
            writeln!(out, "None.")?;
        }
        writeln!(out, "\n## Known failures\n")?;
        if KINDS.iter().all(|kind| kind.known.is_none()) {
            writeln!(out, "No kind of fault is known to break a promise.")?;
            return Ok(text);
        }
        writeln!(out, "| kind | why | this time |\n|---|---|---|")?;
        for kind in KINDS {
            let Some(why) = kind.known else { continue };
            let result = self.known.iter().find(|known| known.kind == kind.name);
            let result = result.map_or("not run", |known| known.result.as_str());
            writeln!(out, "| {} | {why} | {result} |", kind.name)?;
        }
        for known in self.known {
            for detail in known.detail.iter().take(5) {
                writeln!(out, "\n- {}: {detail}", known.kind)?;
            }
        }
        Ok(text)
    }
}

fn by_kind(faults: &[FaultVerdict]) -> BTreeMap<&str, Vec<&FaultVerdict>> {
    let mut kinds: BTreeMap<&str, Vec<&FaultVerdict>> = BTreeMap::new();
    for fault in faults {
        kinds.entry(fault.fault.kind.as_str()).or_default().push(fault);
    }
    kinds
}

fn spread(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(middle), Some(last)) => format!("{:.2}, {:.2} s", seconds(*middle), seconds(*last)),
        _ => "-".to_owned(),
    }
}
