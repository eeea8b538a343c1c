//! What a load tells while it runs and when it is over.

use std::fmt;

use serde::Serialize;

/// Is told how a load goes, at most once a second.
pub trait Progress: Send {
    /// Shows it.
    fn update(&mut self, progress: &LoadProgress);
}

/// Shows nothing.
impl Progress for () {
    fn update(&mut self, _: &LoadProgress) {}
}

/// How a load goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoadProgress {
    /// Since the first request.
    pub seconds: f64,
    /// Spans of the whole load.
    pub spans_total: u64,
    /// Spans whose requests were acknowledged; rejected ones are not among them.
    pub spans_acked: u64,
    /// Spans rejected in requests that were otherwise acknowledged (`partial_success`).
    pub spans_rejected: u64,
    /// Spans of requests refused for good.
    pub spans_refused: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Acknowledged spans a second, over the whole load so far.
    pub spans_per_second: f64,
}

/// How a load went.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LoadReport {
    /// The counts at the end.
    #[serde(flatten)]
    pub totals: LoadProgress,
    /// Requests acknowledged.
    pub requests_acked: u64,
    /// Requests refused for good.
    pub requests_refused: u64,
    /// Bytes of the acknowledged requests.
    pub bytes_acked: u64,
    /// From a request's first attempt to its acknowledgement: half of them were faster.
    pub ack_p50_milliseconds: f64,
    /// One in a hundred was slower.
    pub ack_p99_milliseconds: f64,
    /// The slowest.
    pub ack_max_milliseconds: f64,
    /// What the server said when it first refused a request for good.
    pub first_refusal: Option<String>,
    /// Why the load ended before everything was sent, if it did. What was on its way then may have
    /// been stored or not.
    pub stopped: Option<String>,
}

impl LoadReport {
    /// Whether every span was acknowledged.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.totals.spans_acked == self.totals.spans_total
    }
}

impl fmt::Display for LoadProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:.0} s: {} of {} spans acknowledged, {:.0} spans/s, {} refused, {} rejected, \
             {} retries",
            self.seconds,
            self.spans_acked,
            self.spans_total,
            self.spans_per_second,
            self.spans_refused,
            self.spans_rejected,
            self.retries,
        )
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(
            formatter,
            "{} of {} spans acknowledged in {:.2} s: {:.0} spans/s, {} requests, {} bytes",
            totals.spans_acked,
            totals.spans_total,
            totals.seconds,
            totals.spans_per_second,
            self.requests_acked,
            self.bytes_acked,
        )?;
        write!(
            formatter,
            "{} refused, {} rejected, {} retries; ack p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            totals.spans_refused,
            totals.spans_rejected,
            totals.retries,
            self.ack_p50_milliseconds,
            self.ack_p99_milliseconds,
            self.ack_max_milliseconds,
        )?;
        if let Some(refusal) = &self.first_refusal {
            write!(formatter, "\nfirst refusal: {refusal}")?;
        }
        if let Some(reason) = &self.stopped {
            write!(formatter, "\nstopped: {reason}")?;
        }
        Ok(())
    }
}
