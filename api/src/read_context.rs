//! What every query API shares: the store it asks, the clock it reads, and what one read may
//! cost.
//!
//! Invariant (TEN-1): the tenant of a read is the one that a middleware put into the request's
//! extensions. A request without one is a fault of the wiring and is refused; there is no
//! default here, because a silent default is how one tenant comes to see another's data.

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use model::budget::{Budget, CancelOnDrop};
use model::store::ReadScope;
use model::time::Clock;
use model::{Duration, Tenant, TraceStore};

use crate::limits::TRACE_BYTES_FACTOR;
pub use crate::read_room::ReadRoom;

/// What one read may cost, whatever its caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// How long a read may take. Jaeger's UI gives up after 10 s; a little more lets a person
    /// with another client see a partial answer instead of none.
    pub deadline: Duration,
    /// Decoded bytes that a read may look at.
    pub bytes_max: u64,
    /// Most spans of one trace in an answer that is written span by span.
    pub spans_max: usize,
    /// Most traces that one search may ask for.
    pub search_limit_max: u32,
    /// Most bytes of one answer: all of it is written before the first byte is sent, so that its
    /// length is known, and a reader who is slow has the rest of it wait in memory.
    pub response_bytes_max: usize,
    /// Largest clock skew that is corrected; zero corrects none and only warns, as Jaeger's
    /// default does.
    pub clock_skew_max: Duration,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(15),
            bytes_max: 4 << 30,
            spans_max: 100_000,
            search_limit_max: 10_000,
            response_bytes_max: 256 << 20,
            clock_skew_max: Duration(0),
        }
    }
}

/// What a query API is built from.
#[derive(Clone)]
pub struct ReadContext<S: TraceStore> {
    /// Who answers.
    pub store: S,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What one read may cost.
    pub limits: ReadLimits,
    /// What all of them may.
    pub room: ReadRoom,
}

impl<S: TraceStore> fmt::Debug for ReadContext<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReadContext")
            .field("clock", &self.clock)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// No middleware said whose data the request may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server did not determine the tenant of this request")]
pub struct MissingTenant;

impl<S: TraceStore> ReadContext<S> {
    /// A context with room of its own.
    pub fn new(store: S, clock: Arc<dyn Clock>, limits: ReadLimits) -> Self {
        Self { store, clock, limits, room: ReadRoom::default() }
    }

    /// Begins a read with a fresh budget. Dropping what is returned cancels the read.
    pub fn begin(&self, extensions: &Extensions, stale: bool) -> Result<Read, MissingTenant> {
        self.begin_within(extensions, stale, self.limits.bytes_max)
    }

    /// The same for one trace: what is larger than any answer need not be decoded.
    pub fn begin_trace(&self, extensions: &Extensions, stale: bool) -> Result<Read, MissingTenant> {
        let answer_bytes_max = self.limits.response_bytes_max as u64;
        let bytes_max = answer_bytes_max.saturating_mul(TRACE_BYTES_FACTOR);
        self.begin_within(extensions, stale, bytes_max.min(self.limits.bytes_max))
    }

    fn begin_within(
        &self,
        extensions: &Extensions,
        stale: bool,
        bytes_max: u64,
    ) -> Result<Read, MissingTenant> {
        let tenant = extensions.get::<Tenant>().cloned().ok_or(MissingTenant)?;
        let deadline = self.clock.monotonic().plus(self.limits.deadline);
        let budget = Budget::new(Arc::clone(&self.clock), deadline, bytes_max);
        let cancel = budget.cancel_on_drop();
        Ok(Read { scope: ReadScope { tenant, budget, stale }, _cancel: cancel })
    }
}

/// A read under way: held by whoever waits for the answer.
#[derive(Debug)]
pub struct Read {
    /// Who reads, and what it may cost.
    pub scope: ReadScope,
    _cancel: CancelOnDrop,
}
