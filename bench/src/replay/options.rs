//! What a load is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use super::plan::PlanOptions;
use crate::limits::{CONNECTIONS_MAX, IN_FLIGHT_MAX};
use crate::outside;
use crate::recording::InputFormat;
use crate::transfer::Header;

/// The options of `skua load`.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Files of recorded traces, replayed one after another.
    pub files: Vec<PathBuf>,
    /// Where to send: `HOST:PORT` or `http://HOST:PORT` of an OTLP/gRPC receiver.
    pub to: String,
    /// Sent with every request, such as a tenant.
    pub headers: Vec<Header>,
    /// What the files hold; recognised if not given.
    pub format: Option<InputFormat>,
    /// Spans a second; as fast as the server acknowledges if not given.
    pub rate: Option<f64>,
    /// How many times the recording is sent.
    pub repeat: u32,
    /// Gives traces and spans new ids, and makes every pass after the first a different one (ids,
    /// variable values, durations, gaps; passes follow each other in time). Without it, a repeat
    /// sends the same spans again.
    pub fresh_ids: bool,
    /// Moves all times so that the latest end is now.
    pub shift_to_now: bool,
    /// Connections.
    pub connections: u32,
    /// Requests on their way at once on each connection.
    pub in_flight: u32,
    /// Spans a request; zero sends the messages as they were recorded. A request never exceeds
    /// what gRPC servers take by default, unless one span does.
    pub spans_per_request: u32,
    /// What fresh ids and values are drawn from; the clock if not given.
    pub seed: Option<u64>,
    /// How long a request is tried again before the load gives up.
    pub retry_for: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            to: String::from("127.0.0.1:4317"),
            headers: Vec::new(),
            format: None,
            rate: None,
            repeat: 1,
            fresh_ids: false,
            shift_to_now: false,
            connections: 4,
            in_flight: 2,
            spans_per_request: 500,
            seed: None,
            retry_for: Duration::from_secs(30),
        }
    }
}

impl LoadOptions {
    /// Refuses what cannot be meant.
    pub fn validate(&self) -> anyhow::Result<()> {
        ensure!(self.repeat > 0, "a load repeats at least once");
        ensure!(
            (1..=CONNECTIONS_MAX).contains(&self.connections),
            "connections are between 1 and {CONNECTIONS_MAX}"
        );
        ensure!(
            (1..=IN_FLIGHT_MAX).contains(&self.in_flight),
            "requests in flight on a connection are between 1 and {IN_FLIGHT_MAX}"
        );
        let sensible = |rate: f64| rate.is_finite() && rate > 0.0;
        ensure!(self.rate.is_none_or(sensible), "a rate is a positive number of spans a second");
        Ok(())
    }

    /// The part that says what is sent. Asks the clock for what was not given.
    pub(super) fn plan_options(&self) -> PlanOptions {
        PlanOptions {
            passes: self.repeat,
            fresh_ids: self.fresh_ids,
            seed: self.seed.unwrap_or_else(outside::unix_nanos),
            latest_end: self.shift_to_now.then(outside::unix_nanos),
            spans_per_request: self.spans_per_request,
            whole_traces: false,
        }
    }
}
