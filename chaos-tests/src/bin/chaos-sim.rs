//! Runs seeds of simulated clusters and reports what they came to.
//!
//! `chaos-sim --seeds 100 --first 1` runs the seeds 1 to 100; `chaos-sim --seed 17` runs one, and
//! prints what happened in it. The exit code says whether anything happened that must not. With
//! defects built in, `--mutant all` looks for each, `--mutant NAME --seed 3` runs what looks for
//! one with one seed, and `--plan-of NAME --seed 3` the same without the defect.

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
    /// The defect whose plan is run by a product that is sound.
    plan_of: Option<String>,
    /// The command that runs tests of the workspace.
    tests: Option<String>,
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
        plan_of: None,
        tests: None,
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
            "--cut-log-one-in" => found.options.weather.cut_log_one_in = number()?,
            "--lost-disk-one-in" => found.options.weather.lost_disk_one_in = number()?,
            "--nodes" => found.options.shape.nodes = usize::try_from(number()?).unwrap_or(3),
            "--shards" => found.options.shape.shards = u32::try_from(number()?).unwrap_or(2),
            "--log" => {
                found.level = value.parse().map_err(|_| format!("{value} is no level"))?;
            }
            "--mutant" => found.mutant = Some(value),
            "--plan-of" => found.plan_of = Some(value),
            "--tests" => found.tests = Some(value),
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

/// Gives the product one defect after another and looks for what finds it.
#[cfg(feature = "mutants")]
fn run_mutants(arguments: &Arguments) -> ExitCode {
    use std::fmt::Write as _;

    use chaos_tests::sim::mutants::{Hunt, SEEDS_MAX, hunt};
    use storage::mutant::Mutant;

    let wanted = arguments.mutant.as_deref().unwrap_or("all");
    let (mut found, mut by_simulator, mut looked_for) = (0, 0, 0);
    let mut table = String::from("| defect | what it is found by | how |\n|---|---|---|\n");
    for mutant in Mutant::ALL.iter().filter(|it| wanted == "all" || it.name() == wanted) {
        let name = mutant.name();
        let hunt = hunt(*mutant);
        let (by, how) = match hunt {
            Hunt::Test(test, why) if arguments.tests.is_none() => {
                say(&format!("{name:<26} not looked for: needs --tests, for {test} ({why})"));
                continue;
            }
            Hunt::Test(test, why) => {
                let tests = arguments.tests.as_deref().unwrap_or_default();
                let fails = test_fails(tests, test, &name);
                (fails.then(|| format!("the test `{test}`")), format!("not by a seed: {why}"))
            }
            Hunt::Weather(_) | Hunt::Plan(..) => {
                let seen = find_seed(arguments, *mutant, &hunt);
                by_simulator += usize::from(seen.is_some());
                let (by, how) = seen.unzip();
                (by.map(|seed| format!("seed {seed}")), how.unwrap_or_default())
            }
        };
        looked_for += 1;
        found += usize::from(by.is_some());
        let by = by.unwrap_or_else(|| format!("NOTHING ({SEEDS_MAX} seeds)"));
        let how: String = how.chars().take(110).collect::<String>().replace('|', "/");
        say(&format!("{name:<26} found by {by}: {how}"));
        // Writing into a string does not fail.
        let _ = writeln!(table, "| {name} | {by} | {how} |");
    }
    let score = format!(
        "{found} of {looked_for} deliberate defects found, {by_simulator} of them by the simulator"
    );
    say(&score);
    if let Some(path) = &arguments.markdown {
        let text = format!("# Deliberate defects\n\n{score}\n\n{table}");
        if let Err(error) = write(path, &text) {
            say(&format!("chaos-sim: {path}: {error}"));
            return ExitCode::from(2);
        }
    }
    if found == looked_for { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed of what looks for a defect, with it or without; nothing if no seed looks for it.
#[cfg(feature = "mutants")]
fn run_hunt(seed: u64, name: &str, with_defect: bool) -> Option<Outcome> {
    use storage::mutant::{Mutant, choose};

    let mutant = Mutant::by_name(name)?;
    choose(with_defect.then_some(mutant));
    chaos_tests::sim::mutants::hunt(mutant).run(seed)
}

#[cfg(not(feature = "mutants"))]
fn run_hunt(_: u64, _: &str, _: bool) -> Option<Outcome> {
    None
}

/// What one seed is asked for.
fn run_one(arguments: &Arguments, seed: u64) -> Option<Outcome> {
    match (&arguments.mutant, &arguments.plan_of) {
        (Some(name), _) => run_hunt(seed, name, true),
        (None, Some(name)) => run_hunt(seed, name, false),
        (None, None) => Some(run(seed, &arguments.options)),
    }
}

/// The first seed, of some, that finds a defect, and what it says.
#[cfg(feature = "mutants")]
fn find_seed(
    arguments: &Arguments,
    mutant: storage::mutant::Mutant,
    hunt: &chaos_tests::sim::mutants::Hunt,
) -> Option<(u64, String)> {
    use chaos_tests::sim::mutants::SEEDS_MAX;
    use storage::mutant::choose;

    choose(Some(mutant));
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
                    let Some(outcome) = hunt.run(arguments.first + number) else { return };
                    if let Some(violation) = outcome.violation {
                        lock().get_or_insert((outcome.seed, violation));
                    }
                }
            });
        }
    });
    choose(None);
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    // It is the defect that was found if the same seed passes without it.
    let passes = |seed: u64| hunt.run(seed).is_some_and(|sound| sound.violation.is_none());
    first.filter(|(seed, violation)| {
        let is_sound = passes(*seed);
        if !is_sound {
            say(&format!("seed {seed} fails without the defect too: {violation}"));
        }
        is_sound
    })
}

/// Whether a test of the workspace, which passes otherwise, fails with a defect. Tests run in
/// processes of their own, which learn of the defect from their environment.
#[cfg(feature = "mutants")]
fn test_fails(command: &str, test: &str, mutant: &str) -> bool {
    /// What nextest returns when a test failed; not when there is none, or nothing was built.
    const A_TEST_FAILED: i32 = 100;
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else { return false };
    let mut command = std::process::Command::new(program);
    command.args(words).arg("-E").arg(format!("test(={test})"));
    command.env(storage::mutant::VARIABLE, mutant);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.code() == Some(A_TEST_FAILED))
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
        let outcome = run_one(&arguments, seed);
        drop(listening);
        let Some(outcome) = outcome else {
            say("chaos-sim: no seed looks for this defect, or this build has none");
            return ExitCode::from(2);
        };
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
