//! How a transfer goes, and how it went.

use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::outside;

/// Most problems that are kept word by word.
const PROBLEMS_MAX: usize = 20;

/// How a transfer went, or goes.
#[derive(Debug, Clone, Default, Serialize, PartialEq)]
pub struct TransferReport {
    /// Since it began.
    pub seconds: f64,
    /// Traces read from a Jaeger; files are not read by trace.
    pub traces: u64,
    /// Messages read.
    pub messages: u64,
    /// Messages of a file that an earlier run has done.
    pub messages_skipped: u64,
    /// Spans read.
    pub spans: u64,
    /// Spans acknowledged by the receiver, or written to the file.
    pub spans_done: u64,
    /// Spans that the receiver rejected for good.
    pub spans_rejected: u64,
    /// Spans of requests that the receiver refused for good.
    pub spans_refused: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Searches of a Jaeger.
    pub searches: u64,
    /// How many problems there were; each of them means that something is missing.
    pub problems_count: u64,
    /// The first of them.
    pub problems: Vec<String>,
    /// Why it ended early, if it did.
    pub stopped: Option<String>,
}

impl TransferReport {
    /// Whether everything was moved.
    pub fn is_complete(&self) -> bool {
        let nothing_lost = self.spans_rejected + self.spans_refused == 0;
        self.stopped.is_none() && self.problems_count == 0 && nothing_lost
    }

    /// Notes that something is missing.
    pub(super) fn problem(&mut self, what: String) {
        self.problems_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what);
        }
    }
}

impl fmt::Display for TransferReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.spans_done as f64 / self.seconds.max(1e-3);
        write!(
            formatter,
            "{:.1} s: {} of {} spans moved in {} messages, {rate:.0} spans/s",
            self.seconds, self.spans_done, self.spans, self.messages,
        )?;
        if self.searches > 0 {
            write!(formatter, "; {} traces in {} searches", self.traces, self.searches)?;
        }
        if self.messages_skipped > 0 {
            write!(formatter, "; {} messages were done before", self.messages_skipped)?;
        }
        if self.spans_rejected + self.spans_refused + self.retries > 0 {
            write!(
                formatter,
                "; {} rejected, {} refused, {} retries",
                self.spans_rejected, self.spans_refused, self.retries,
            )?;
        }
        for problem in &self.problems {
            write!(formatter, "\nmissing: {problem}")?;
        }
        let more = self.problems_count.saturating_sub(self.problems.len() as u64);
        if more > 0 {
            write!(formatter, "\nand {more} more such problems")?;
        }
        if let Some(reason) = &self.stopped {
            write!(formatter, "\nstopped: {reason}")?;
        }
        Ok(())
    }
}

/// Is told how a transfer goes, about once a second.
pub trait Ticker: Send {
    /// Shows it.
    fn tick(&mut self, report: &TransferReport);
}

/// Shows nothing.
impl Ticker for () {
    fn tick(&mut self, _: &TransferReport) {}
}

/// A report that is being made.
pub(super) struct Running<'a> {
    pub(super) report: TransferReport,
    began: Instant,
    shown: Instant,
    ticker: &'a mut dyn Ticker,
}

impl<'a> Running<'a> {
    /// A report of nothing yet.
    pub(super) fn new(ticker: &'a mut dyn Ticker) -> Self {
        let now = outside::now();
        Self { report: TransferReport::default(), began: now, shown: now, ticker }
    }

    /// Shows it if it is time.
    pub(super) fn tick(&mut self) {
        let now = outside::now();
        if now.duration_since(self.shown).as_secs() >= 1 {
            self.shown = now;
            self.report.seconds = now.duration_since(self.began).as_secs_f64();
            self.ticker.tick(&self.report);
        }
    }

    /// The report at the end.
    pub(super) fn end(mut self) -> TransferReport {
        self.report.seconds = outside::now().duration_since(self.began).as_secs_f64();
        self.report
    }
}
