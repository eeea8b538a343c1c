//! What a measurement found, printed as a table and as one line of JSON, and kept when asked.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::Arguments;
use super::machine;
use crate::outside;

/// Names and values, in the order they were found.
#[derive(Debug, Default)]
pub struct Results(Vec<(String, Value)>);

impl Results {
    /// Adds a value; units stand last in names.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a value rounded to three decimals.
    pub fn add_rounded(&mut self, name: impl Into<String>, value: f64) {
        self.add(name, (value * 1000.0).round() / 1000.0);
    }

    /// The values by their names.
    pub(super) fn to_map(&self) -> Map<String, Value> {
        self.0.iter().cloned().collect()
    }

    fn table(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let lines = self.0.iter().map(|(name, value)| format!("{name:<width$}  {value}\n"));
        lines.collect()
    }

    fn line(&self, name: &str, arguments: &Arguments) -> Value {
        let results = self.to_map();
        json!({
            "measurement": name,
            "machine": machine::describe(),
            "options": arguments.as_given(),
            "server_flags": arguments.for_server(),
            "results": results,
        })
    }
}

/// Runs a measurement with the arguments of this process and prints what it found. With
/// `--record`, the line also goes to `bench/results/NAME.jsonl` (or the file that is named).
pub fn run(name: &str, measurement: fn(&Arguments) -> anyhow::Result<Results>) -> ExitCode {
    run_steps(name, |arguments, found| found(measurement(arguments)?))
}

/// Is told what a step of a measurement found.
pub type OnFound<'a> = &'a mut dyn FnMut(Results) -> anyhow::Result<()>;

/// The same for a measurement that tells step by step what it found.
pub fn run_steps(
    name: &str,
    measurement: impl Fn(&Arguments, OnFound<'_>) -> anyhow::Result<()>,
) -> ExitCode {
    match measure(name, measurement) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(
    name: &str,
    measurement: impl Fn(&Arguments, OnFound<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let record = arguments.text("record").map(|file| match file {
        "" => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"))
            .join(format!("{name}.jsonl")),
        file => PathBuf::from(file),
    });
    measurement(&arguments, &mut |results| {
        let line = results.line(name, &arguments);
        let mut out = std::io::stdout().lock();
        write!(out, "{}", results.table())?;
        writeln!(out, "{line}")?;
        match &record {
            Some(file) => outside::append_line(file, &line.to_string()),
            None => Ok(()),
        }
    })
}
