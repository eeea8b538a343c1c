//! Runs seeds of simulated clusters and reports what they came to.
//!
//! `chaos-sim --seeds 100 --first 1` runs the seeds 1 to 100; `chaos-sim --seed 17` runs one, and
//! prints what happened in it. The exit code says whether anything happened that must not.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chaos_tests::sim::journal::Journal;
use chaos_tests::sim::report::Report;
use chaos_tests::sim::{Options, Outcome, run};
use cluster::clock::SystemClock;
use model::time::Clock as _;
use storage::env::{Env as _, OsEnv};

/// Seeds that fail are printed with the end of their record up to so many.
const PRINTED_MAX: usize = 5;

/// Lines of the record that are printed for a seed that failed.
const LINES: usize = 40;

struct Arguments {
    seeds: u64,
    first: u64,
    seed: Option<u64>,
    threads: usize,
    seconds_max: Option<f64>,
    markdown: Option<String>,
    json: Option<String>,
    options: Options,
    level: tracing::Level,
    mutant: Option<String>,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        seeds: 100,
        first: 1,
        seed: None,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        seconds_max: None,
        markdown: None,
        json: None,
        options: Options::default(),
        level: tracing::Level::WARN,
        mutant: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{value} is no number"));
        match name.as_str() {
            "--seeds" => found.seeds = number()?,
            "--first" => found.first = number()?,
            "--seed" => found.seed = Some(number()?),
            "--threads" => found.threads = usize::try_from(number()?).unwrap_or(1).max(1),
            "--seconds" => found.seconds_max = Some(number()? as f64),
            "--millis" => found.options.millis = number()?,
            "--lost-disk-one-in" => found.options.weather.lost_disk_one_in = number()?,
            "--nodes" => found.options.shape.nodes = usize::try_from(number()?).unwrap_or(3),
            "--shards" => found.options.shape.shards = u32::try_from(number()?).unwrap_or(2),
            "--log" => {
                found.level = value.parse().map_err(|_| format!("{value} is no level"))?;
            }
            "--mutant" => found.mutant = Some(value),
            "--markdown" => found.markdown = Some(value),
            "--json" => found.json = Some(value),
            other => return Err(format!("{other} is not known")),
        }
    }
    Ok(found)
}

fn say(text: &str) {
    // Nobody reads it: nothing to do about that.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn tell_failure(outcome: &Outcome, lines: usize) {
    let Outcome { seed, violation, .. } = outcome;
    let Some(violation) = violation else { return };
    let skipped = outcome.lines.len().saturating_sub(lines);
    for line in outcome.lines.iter().skip(skipped) {
        say(line);
    }
    say(&format!("seed {seed} FAILED: {violation}"));
    say(&format!("replay: make chaos-sim SEED={seed}"));
}

fn run_all(arguments: &Arguments, clock: &SystemClock) -> Report {
    let next = AtomicU64::new(0);
    let report = Mutex::new(Report::default());
    let lock = || report.lock().unwrap_or_else(PoisonError::into_inner);
    let began = clock.monotonic();
    let seconds = || clock.monotonic().since(began).0 as f64 / 1e9;
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = arguments.seconds_max.is_some_and(|most| seconds() >= most);
                    if number >= arguments.seeds || is_over {
                        return;
                    }
                    let outcome = run(arguments.first + number, &arguments.options);
                    let mut report = lock();
                    report.add(&outcome);
                    report.seconds = seconds();
                    if report.failed.len() <= PRINTED_MAX {
                        tell_failure(&outcome, LINES);
                    }
                    if report.seeds.is_multiple_of(50) {
                        say(&report.line());
                    }
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the product one defect after another and looks for a seed that finds it.
#[cfg(feature = "mutants")]
fn run_mutants(arguments: &Arguments) -> ExitCode {
    use chaos_tests::sim::mutants::{SEEDS_MAX, conditions};
    use storage::mutant::{Mutant, choose};

    let (mut found, mut looked_for) = (0, 0);
    for mutant in Mutant::ALL {
        let name = mutant.name();
        if arguments.mutant.as_ref().is_some_and(|wanted| *wanted != name && wanted != "all") {
            continue;
        }
        let Some(options) = conditions(*mutant) else {
            say(&format!("{name:<26} not looked for: it can do no harm that shows yet"));
            continue;
        };
        looked_for += 1;
        choose(Some(*mutant));
        let next = AtomicU64::new(0);
        let first = Mutex::new(None::<(u64, String)>);
        let lock = || first.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::scope(|scope| {
            for _ in 0..arguments.threads {
                scope.spawn(|| {
                    while lock().is_none() {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= SEEDS_MAX {
                            return;
                        }
                        let outcome = run(arguments.first + number, &options);
                        if let Some(violation) = outcome.violation {
                            lock().get_or_insert((outcome.seed, violation));
                        }
                    }
                });
            }
        });
        choose(None);
        match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((seed, violation)) => {
                found += 1;
                let violation: String = violation.chars().take(110).collect();
                say(&format!("{name:<26} found by seed {seed}: {violation}"));
            }
            None => say(&format!("{name:<26} NOT FOUND by {SEEDS_MAX} seeds")),
        }
    }
    say(&format!("{found} of {looked_for} defects found"));
    if found == looked_for { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "mutants"))]
fn run_mutants(_: &Arguments) -> ExitCode {
    say("chaos-sim: this build has no defects to choose from: --features mutants");
    ExitCode::from(2)
}

fn write(path: &str, text: &str) -> Result<(), storage::env::EnvError> {
    let (env, path) = (OsEnv::new(), Path::new(path));
    // What was there is an earlier report, if anything.
    let _ = env.remove(path);
    let mut file = env.create(path)?;
    file.append(text.as_bytes())?;
    file.sync()
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            say(&format!("chaos-sim: {error}"));
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = arguments.seed {
        let listening = Journal::listen(arguments.level);
        let outcome = run(seed, &arguments.options);
        drop(listening);
        Journal::taken().iter().for_each(|line| say(line));
        outcome
            .counters
            .rows()
            .iter()
            .for_each(|(name, value)| say(&format!("{value:>10} {name}")));
        say(&format!("history {:016x}", outcome.history));
        tell_failure(&outcome, 0);
        return if outcome.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    if arguments.mutant.is_some() {
        return run_mutants(&arguments);
    }
    let report = run_all(&arguments, &SystemClock::default());
    say(&report.markdown());
    let written = [(&arguments.markdown, report.markdown()), (&arguments.json, report.json())];
    for (path, text) in written {
        if let Some(path) = path
            && let Err(error) = write(path, &text)
        {
            say(&format!("chaos-sim: {path}: {error}"));
            return ExitCode::from(2);
        }
    }
    if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
