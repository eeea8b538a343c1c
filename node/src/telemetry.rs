//! What the process says of itself: the log on standard error, the metrics on `/metrics`.
//!
//! Parts of the program log through `tracing` and count through `metrics`; neither knows where
//! that goes. The log filter names crates: `info,storage=debug`.

use std::fmt::Write;
use std::io::IsTerminal;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::build_info;
use crate::config::LogFormat;
use crate::process;

/// Upper bounds of histograms of seconds: from an append to the log to a query over everything.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Upper bounds of histograms of bytes: from a small request to the largest frame.
const BYTES: &[f64] = &[
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// Upper bounds of histograms of counts, such as the spans of a batch.
const COUNTS: &[f64] = &[1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0];

/// Whether a text is a log filter; the error says why not.
pub(crate) fn check_filter(text: &str) -> Result<(), String> {
    EnvFilter::builder().parse(text).map(|_| ()).map_err(|error| error.to_string())
}

/// Sends the log to standard error, from now to the end of the process.
pub(crate) fn start_log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(filter).context("the log filter cannot be used")?;
    let is_terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(is_terminal);
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let outcome = if is_json {
        log.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        log.try_init()
    };
    outcome.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// Counts from now to the end of the process; what comes back renders the counts.
pub(crate) fn start_metrics() -> anyhow::Result<Metrics> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)?
        .set_buckets(COUNTS)?
        .install_recorder()
        .context("the metrics cannot be started")?;
    Ok(Metrics { handle })
}

/// The metrics of the process.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Renders all metrics in the text form that Prometheus scrapes.
    pub(crate) fn render(&self) -> String {
        let mut text = self.handle.render();
        process::render(&mut text);
        render_build_info(&mut text);
        text
    }

    /// Empties what histograms have gathered into their buckets. Without a scrape they would grow
    /// for ever, so this is to be called every few seconds.
    pub(crate) fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

fn render_build_info(text: &mut String) {
    let commit = build_info::COMMIT.unwrap_or("unknown");
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "# HELP skua_build_info What this binary is.\n# TYPE skua_build_info gauge\n\
         skua_build_info{{version=\"{}\",commit=\"{commit}\"}} 1\n",
        build_info::VERSION
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        for fine in ["", "info", "warn,storage=debug", "off"] {
            assert_eq!(check_filter(fine), Ok(()), "{fine}");
        }
        for wrong in ["info,=", "storage=loud", "[["] {
            assert!(check_filter(wrong).is_err(), "{wrong}");
        }
    }
}
