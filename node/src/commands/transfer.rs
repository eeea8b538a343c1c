//! `skua import` and `skua export`: thin faces of [`bench::transfer`], which brings the wire, and
//! of [`api::written`], which brings the forms of files.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, bail};
use bench::transfer::{
    self, ExportFormat, ExportOptions, Header, ImportOptions, JaegerAddress, Origin, Protocol,
    Search, Ticker, TransferReport,
};
use cluster::clock::SystemClock;
use model::Clock as _;

use super::load::input_format;
use crate::cli::{ExportArguments, ImportArguments, LoadFormat, SearchArguments};
use crate::config::units::parse_duration;
use crate::output;

/// How far an import goes back unless told otherwise: longer than a Jaeger usually keeps traces,
/// and little enough for stores that name an index after each day.
const IMPORT_SINCE: Duration = Duration::from_hours(30 * 24);

/// Of the progress of each second, every so many are shown where no person watches.
const UNWATCHED_STRIDE: u64 = 10;

pub(super) fn import(arguments: ImportArguments) -> anyhow::Result<()> {
    let asked = match (arguments.from, arguments.from_storage) {
        (Some(address), _) => Some((address, Protocol::Query)),
        (None, Some(address)) => Some((address, Protocol::Storage)),
        (None, None) => None,
    };
    let origin = match asked {
        Some((address, protocol)) => Origin::Jaeger {
            address: JaegerAddress {
                address,
                protocol,
                headers: headers(&arguments.from_headers)?,
            },
            search: search(arguments.search, Some(IMPORT_SINCE))?,
        },
        None => {
            Origin::Files { files: arguments.files, format: arguments.format.map(input_format) }
        }
    };
    let options = ImportOptions {
        origin,
        to: arguments.to,
        headers: headers(&arguments.to_headers)?,
        position: arguments.position,
    };
    run(arguments.json, async |shown| transfer::import(&options, shown).await)
}

pub(super) fn export(arguments: ExportArguments) -> anyhow::Result<()> {
    let (address, protocol) = match arguments.from {
        Some(address) => (address, Protocol::Query),
        None => (arguments.from_storage, Protocol::Storage),
    };
    let options = ExportOptions {
        from: JaegerAddress { address, protocol, headers: headers(&arguments.from_headers)? },
        search: search(arguments.search, None)?,
        trace_ids: arguments.trace_ids,
        file: arguments.file,
        format: match arguments.format {
            LoadFormat::OtlpPb => ExportFormat::OtlpProtobuf,
            LoadFormat::OtlpJson => {
                ExportFormat::OtlpJson(|message| Ok(api::written::otlp_json(message)?))
            }
            LoadFormat::JaegerJson => {
                ExportFormat::JaegerJson(|message| Ok(api::written::jaeger_json(message)?))
            }
        },
    };
    run(arguments.json, async |shown| transfer::export(&options, shown).await)
}

/// Runs a transfer, shows how it goes and tells how it went.
fn run(
    as_json: bool,
    transfer: impl AsyncFnOnce(&mut Shown) -> anyhow::Result<TransferReport>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut shown = Shown { is_watched: std::io::stderr().is_terminal(), updates: 0 };
    let report = runtime.block_on(transfer(&mut shown))?;
    let text = if as_json { serde_json::to_string(&report)? } else { report.to_string() };
    output::answer(&format!("{text}\n"))?;
    if !report.is_complete() {
        bail!("not everything was moved");
    }
    Ok(())
}

/// Headers as people write them.
pub(super) fn headers(texts: &[String]) -> anyhow::Result<Vec<Header>> {
    texts.iter().map(|text| text.parse()).collect()
}

fn search(arguments: SearchArguments, since: Option<Duration>) -> anyhow::Result<Search> {
    let now = Duration::from_nanos(SystemClock::default().wall().0);
    let moment = |text: Option<String>| text.map(|text| moment(&text, now)).transpose();
    let ago = |age: Duration| nanos(now.saturating_sub(age));
    Ok(Search {
        since: moment(arguments.since)?.unwrap_or_else(|| since.map_or(0, ago)),
        until: moment(arguments.until)?,
        services: arguments.services,
    })
}

/// A time, or an age before `now`, in nanoseconds since 1970.
fn moment(text: &str, now: Duration) -> anyhow::Result<u64> {
    if let Ok(age) = parse_duration(text) {
        return Ok(nanos(now.saturating_sub(age)));
    }
    let time = api::jaeger_http::parse_time(text)
        .with_context(|| format!("`{text}` is neither a time nor an age such as 12h"))?;
    u64::try_from(time).with_context(|| format!("`{text}` is not between 1970 and 2554"))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Shows progress beside the answer.
struct Shown {
    is_watched: bool,
    updates: u64,
}

impl Ticker for Shown {
    fn tick(&mut self, report: &TransferReport) {
        self.updates += 1;
        if self.is_watched || self.updates.is_multiple_of(UNWATCHED_STRIDE) {
            output::note(&report.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_ages() {
        let now = Duration::from_secs(1_000_000);
        assert_eq!(moment("1970-01-01T00:00:01.5Z", now).unwrap(), 1_500_000_000);
        assert_eq!(moment("1h", now).unwrap(), 996_400_000_000_000);
        assert_eq!(moment("9999d", now).unwrap(), 0);
        for wrong in ["yesterday", "1960-01-01T00:00:00Z", "12"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }
}
