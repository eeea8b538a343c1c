//! Goes through all traces of a Jaeger, service by service and window by window, and hands each
//! over once.
//!
//! An answer that breaks off is asked for again; what was handed over of it is handed over again
//! then, so whoever takes traces must not mind that.

use anyhow::Context;
use bytes::Bytes;

use super::options::{JaegerAddress, Protocol, Search};
use super::report::Running;
use super::seen::Seen;
use super::source::{Found, Source, TraceStream};
use super::windows::{Verdict, Window, WindowWalk};
use crate::limits::{BACKOFF_MAX, SEARCH_IDS, SEARCH_MAX, SEARCH_TRACES};

/// How often one window is asked for before the walk ends.
const ATTEMPTS_MAX: u32 = 5;

/// Takes traces.
pub(super) trait Taker {
    /// Where to begin with a service, if not at the beginning.
    fn begin_at(&self, service: &str) -> Option<u64>;

    /// A message of a trace; all of one trace's follow each other.
    async fn message(&mut self, message: &Bytes, running: &mut Running<'_>) -> anyhow::Result<()>;

    /// The trace is whole, or was broken off and comes again.
    fn end_trace(&mut self, is_whole: bool, running: &mut Running<'_>) -> anyhow::Result<()>;

    /// All of a service before a time was handed over; all of it, if `is_end`.
    async fn settle(
        &mut self,
        service: &str,
        before: u64,
        is_end: bool,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()>;
}

/// A walk over the traces of a Jaeger.
#[derive(Debug)]
pub(super) struct Walk {
    source: Source,
    protocol: Protocol,
    seen: Seen,
}

impl Walk {
    /// Connects.
    pub(super) async fn connect(address: &JaegerAddress) -> anyhow::Result<Self> {
        let source = Source::connect(address).await?;
        Ok(Self { source, protocol: address.protocol, seen: Seen::default() })
    }

    /// Hands over all traces of a search.
    pub(super) async fn run(
        &mut self,
        search: &Search,
        until: u64,
        taker: &mut impl Taker,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        let limit = match self.protocol {
            Protocol::Query => SEARCH_TRACES,
            Protocol::Storage => SEARCH_IDS,
        };
        for service in self.source.services(&search.services).await? {
            let since = taker.begin_at(&service).unwrap_or(search.since).max(search.since);
            let mut windows = WindowWalk::new(since, until, limit, SEARCH_MAX);
            while let Some(window) = windows.window() {
                let traces = self.window(&service, window, taker, running).await?;
                running.tick();
                match windows.answered(traces) {
                    Verdict::Again => continue,
                    Verdict::Whole => {}
                    Verdict::Overfull => running.report.problem(format!(
                        "more than {traces} traces of `{service}` within {} ns from {}",
                        window.to - window.from + 1,
                        window.from,
                    )),
                }
                taker.settle(&service, windows.position(), false, running).await?;
            }
            taker.settle(&service, windows.position(), true, running).await?;
        }
        Ok(())
    }

    /// Hands over traces by id.
    pub(super) async fn by_ids(
        &mut self,
        ids: &[[u8; 16]],
        taker: &mut impl Taker,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        for ids in ids.chunks(self.source.ids_max()) {
            let stream = self.source.traces(ids).await?;
            self.take(stream, None, taker, running).await?;
            running.tick();
        }
        Ok(())
    }

    /// The traces of one window; how many the search returned.
    async fn window(
        &mut self,
        service: &str,
        window: Window,
        taker: &mut impl Taker,
        running: &mut Running<'_>,
    ) -> anyhow::Result<u64> {
        for attempt in 1.. {
            match self.window_once(service, window, taker, running).await {
                Err(_) if attempt < ATTEMPTS_MAX => {
                    running.report.retries += 1;
                    taker.end_trace(false, running)?;
                    tokio::time::sleep(BACKOFF_MAX / ATTEMPTS_MAX * attempt).await;
                }
                outcome => {
                    return outcome.with_context(|| {
                        format!("`{service}` from {} to {}", window.from, window.to)
                    });
                }
            }
        }
        Ok(0)
    }

    async fn window_once(
        &mut self,
        service: &str,
        window: Window,
        taker: &mut impl Taker,
        running: &mut Running<'_>,
    ) -> anyhow::Result<u64> {
        running.report.searches += 1;
        match self.source.find(service, window).await? {
            Found::Traces(stream) => self.take(*stream, Some(window), taker, running).await,
            Found::Ids(ids) => {
                let fresh: Vec<_> =
                    ids.iter().filter(|id| !self.seen.contains(id)).copied().collect();
                for some in fresh.chunks(self.source.ids_max()) {
                    let stream = self.source.traces(some).await?;
                    self.take(stream, None, taker, running).await?;
                    running.tick();
                }
                Ok(ids.len() as u64)
            }
        }
    }

    /// Hands over the traces of a stream that were not seen yet; how many it held. Of a search,
    /// the window is given: a store that cut its answer off at the window's limit says so, and
    /// that is what narrower windows are for.
    async fn take(
        &mut self,
        mut stream: TraceStream,
        window: Option<Window>,
        taker: &mut impl Taker,
        running: &mut Running<'_>,
    ) -> anyhow::Result<u64> {
        let mut current: Option<([u8; 16], bool)> = None;
        let mut traces = 0;
        while let Some((id, message)) = stream.next().await? {
            let known = current.filter(|(current, _)| *current == id);
            let is_fresh = if let Some((_, is_fresh)) = known {
                is_fresh
            } else {
                self.end(current, taker, running)?;
                traces += 1;
                !self.seen.contains(&id)
            };
            current = Some((id, is_fresh));
            if is_fresh {
                taker.message(&message, running).await?;
                running.report.messages += 1;
            }
            running.tick();
        }
        self.end(current, taker, running)?;
        if let Some(gaps) = stream.gaps().await
            && window.is_none_or(|window| traces < u64::from(window.limit))
        {
            running.report.problem(format!("an answer was {gaps}"));
        }
        Ok(traces)
    }

    fn end(
        &mut self,
        trace: Option<([u8; 16], bool)>,
        taker: &mut impl Taker,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        if let Some((id, true)) = trace {
            self.seen.add(id);
            running.report.traces += 1;
            taker.end_trace(true, running)?;
        }
        Ok(())
    }
}
