//! Into a store: from files, or from a running Jaeger.

use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;

use super::framing::MessageReader;
use super::options::{Header, JaegerAddress, Search};
use super::position::Position;
use super::report::{Running, Ticker, TransferReport};
use super::sender::Sender;
use super::walk::{Taker, Walk};
use crate::outside;
use crate::recording::InputFormat;

/// What is imported, and where to.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Where from.
    pub origin: Origin,
    /// An OTLP/gRPC receiver: `HOST:PORT` or `http://HOST:PORT`.
    pub to: String,
    /// Sent with every request to it.
    pub headers: Vec<Header>,
    /// Where to keep how far the import has come; a file that is there is continued from.
    pub position: Option<PathBuf>,
}

/// Where traces come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Files, one after another.
    Files {
        /// Which.
        files: Vec<PathBuf>,
        /// What they hold; recognised if not given.
        format: Option<InputFormat>,
    },
    /// A running Jaeger.
    Jaeger {
        /// Where it answers.
        address: JaegerAddress,
        /// Which of its traces.
        search: Search,
    },
}

/// Imports, and tells how it went. An error means that nothing was begun; what ends an import in
/// the middle is in the report.
pub async fn import(
    options: &ImportOptions,
    ticker: &mut dyn Ticker,
) -> anyhow::Result<TransferReport> {
    let source = match &options.origin {
        Origin::Files { .. } => "files".to_owned(),
        Origin::Jaeger { address, .. } => format!("{} ({:?})", address.address, address.protocol),
    };
    let position = Position::open(options.position.clone(), &source)?;
    let sender = Sender::connect(&options.to, &options.headers).await?;
    let mut importer = Importer { sender, position };
    let mut running = Running::new(ticker);
    let outcome = match &options.origin {
        Origin::Files { files, format } => importer.files(files, *format, &mut running).await,
        Origin::Jaeger { address, search } => {
            let mut walk = Walk::connect(address).await?;
            let until = search.until.unwrap_or_else(outside::unix_nanos);
            let until = importer.position.until(until);
            walk.run(search, until, &mut importer, &mut running).await
        }
    };
    if let Err(error) = outcome.and_then(|()| importer.position.write()) {
        running.report.stopped = Some(format!("{error:#}"));
    }
    Ok(running.end())
}

/// Takes messages, sends them, and keeps the position.
struct Importer {
    sender: Sender,
    position: Position,
}

impl Importer {
    async fn files(
        &mut self,
        files: &[PathBuf],
        format: Option<InputFormat>,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        for file in files {
            let name = file.display().to_string();
            let done = self.file(&name, MessageReader::open(file, format)?, running).await;
            done.with_context(|| format!("in {name}"))?;
        }
        Ok(())
    }

    async fn file(
        &mut self,
        name: &str,
        mut reader: MessageReader,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        let before = self.position.of(name).unwrap_or_default();
        let mut done = reader.skip(before)?;
        running.report.messages_skipped += done;
        if done < before {
            let what = format!("{name} has only {done} of the {before} messages that were done");
            running.report.problem(what);
        }
        while let Some(message) = reader.read().with_context(|| format!("message {done}"))? {
            self.add(&message, running).with_context(|| format!("message {done}"))?;
            running.report.messages += 1;
            done += 1;
            if self.sender.is_full() {
                self.sender.flush(&mut running.report).await?;
                self.position.advance(name, done)?;
            }
            running.tick();
        }
        self.sender.flush(&mut running.report).await?;
        self.position.advance(name, done)
    }

    fn add(&mut self, message: &[u8], running: &mut Running<'_>) -> anyhow::Result<()> {
        running.report.spans += self.sender.add(message)?;
        Ok(())
    }
}

impl Taker for Importer {
    fn begin_at(&self, service: &str) -> Option<u64> {
        self.position.of(service)
    }

    async fn message(&mut self, message: &Bytes, running: &mut Running<'_>) -> anyhow::Result<()> {
        self.add(message, running)?;
        if self.sender.is_full() {
            self.sender.flush(&mut running.report).await?;
        }
        Ok(())
    }

    fn end_trace(&mut self, _is_whole: bool, _running: &mut Running<'_>) -> anyhow::Result<()> {
        // What was sent of a trace that comes again is a repeat, and dropped as one.
        Ok(())
    }

    async fn settle(
        &mut self,
        service: &str,
        before: u64,
        is_end: bool,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        // Windows may be small; requests should not be.
        if is_end || self.sender.is_half_full() {
            self.sender.flush(&mut running.report).await?;
            self.position.advance(service, before)?;
        }
        Ok(())
    }
}
