//! Out of a store, into a file.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use super::options::{JaegerAddress, Search};
use super::output::{Output, Rendering};
use super::report::{Running, Ticker, TransferReport};
use super::source::parse_id;
use super::walk::{Taker, Walk};
use crate::outside;
use crate::wire::fields;

/// What is exported, and where to.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Where the store answers.
    pub from: JaegerAddress,
    /// Which traces; not looked at if ids are given.
    pub search: Search,
    /// These traces only, as hexadecimal digits.
    pub trace_ids: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// Its form.
    pub format: ExportFormat,
}

/// What a file holds. Who calls brings the renderings along: this crate knows OTLP's bytes only.
#[derive(Clone, Copy)]
pub enum ExportFormat {
    /// OTLP protobuf, each message behind its length as a varint.
    OtlpProtobuf,
    /// OTLP/JSON, a message a line.
    OtlpJson(Rendering),
    /// What Jaeger's UI opens. Of a trace in several messages, all are rendered together.
    JaegerJson(Rendering),
}

impl fmt::Debug for ExportFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OtlpProtobuf => "OtlpProtobuf",
            Self::OtlpJson(_) => "OtlpJson",
            Self::JaegerJson(_) => "JaegerJson",
        })
    }
}

/// Exports, and tells how it went. An error means that nothing was begun; what ends an export in
/// the middle is in the report, and the file keeps the name of one that is not whole.
pub async fn export(
    options: &ExportOptions,
    ticker: &mut dyn Ticker,
) -> anyhow::Result<TransferReport> {
    let ids = options.trace_ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk::connect(&options.from).await?;
    let mut exporter = Exporter { output: Output::create(&options.file, options.format)? };
    let mut running = Running::new(ticker);
    let outcome = if ids.is_empty() {
        let until = options.search.until.unwrap_or_else(outside::unix_nanos);
        walk.run(&options.search, until, &mut exporter, &mut running).await
    } else {
        let outcome = walk.by_ids(&ids, &mut exporter, &mut running).await;
        let missing = (ids.len() as u64).saturating_sub(running.report.traces);
        if missing > 0 {
            running.report.problem(format!("{missing} of {} traces are not known", ids.len()));
        }
        outcome
    };
    if let Err(error) = outcome.and_then(|()| exporter.output.end()) {
        running.report.stopped = Some(format!("{error:#}"));
    }
    Ok(running.end())
}

/// Takes messages and writes them.
struct Exporter {
    output: Output,
}

impl Taker for Exporter {
    fn begin_at(&self, _service: &str) -> Option<u64> {
        None
    }

    async fn message(&mut self, message: &Bytes, running: &mut Running<'_>) -> anyhow::Result<()> {
        self.output.message(message)?;
        let spans = span_count(message);
        running.report.spans += spans;
        running.report.spans_done += spans;
        Ok(())
    }

    fn end_trace(&mut self, is_whole: bool, running: &mut Running<'_>) -> anyhow::Result<()> {
        if let Some(problem) = self.output.end_trace(is_whole)? {
            running.report.problem(problem);
        }
        Ok(())
    }

    async fn settle(
        &mut self,
        _service: &str,
        _before: u64,
        _is_end: bool,
        _running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The spans of a message.
fn span_count(message: &[u8]) -> u64 {
    let nested = |bytes, number: u32| {
        fields(bytes).flatten().filter(move |(field, _)| field.is_bytes(number))
    };
    let scopes = nested(message, 1).flat_map(|(_, resource)| nested(resource, 2));
    scopes.map(|(_, scope)| nested(scope, 2).count() as u64).sum()
}
