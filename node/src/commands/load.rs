//! `skua load`: a thin face of [`bench::replay`].

use std::io::IsTerminal;

use anyhow::bail;
use bench::{InputFormat, LoadOptions, LoadProgress, Progress};

use super::transfer::headers;
use crate::cli::{LoadArguments, LoadFormat};
use crate::output;

/// Of the progress of each second, every so many are shown where no person watches.
const UNWATCHED_STRIDE: u64 = 10;

pub(super) fn run(arguments: LoadArguments) -> anyhow::Result<()> {
    let options = LoadOptions {
        files: arguments.files,
        to: arguments.to,
        headers: headers(&arguments.headers.headers)?,
        format: arguments.format.map(input_format),
        rate: arguments.rate.map(|rate| rate as f64),
        repeat: arguments.repeat,
        fresh_ids: arguments.fresh_ids,
        shift_to_now: arguments.shift_to_now,
        connections: arguments.connections,
        spans_per_request: arguments.spans_per_request,
        ..LoadOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let is_watched = std::io::stderr().is_terminal();
    let mut progress = Shown { is_watched, updates: 0 };
    let report = runtime.block_on(bench::load(&options, &mut progress))?;
    let text = if arguments.json { serde_json::to_string(&report)? } else { report.to_string() };
    output::answer(&format!("{}\n", text.trim_end()))?;
    if !report.is_complete() {
        bail!("not every span was acknowledged");
    }
    Ok(())
}

pub(super) fn input_format(format: LoadFormat) -> InputFormat {
    match format {
        LoadFormat::OtlpPb => InputFormat::OtlpProtobuf,
        LoadFormat::OtlpJson => InputFormat::OtlpJson,
        LoadFormat::JaegerJson => InputFormat::JaegerJson,
    }
}

/// Shows progress beside the answer.
struct Shown {
    is_watched: bool,
    updates: u64,
}

impl Progress for Shown {
    fn update(&mut self, progress: &LoadProgress) {
        self.updates += 1;
        if self.is_watched || self.updates.is_multiple_of(UNWATCHED_STRIDE) {
            output::note(&progress.to_string());
        }
    }
}
