//! What OTLP's doors share: who takes spans, and who may send them.

use model::TraceStore;

use crate::ingest::Receiver;
use crate::tenant::Tenancy;

/// A receiver and who may use it. Cloning shares.
pub(super) struct Door<S: TraceStore> {
    pub(super) receiver: Receiver<S>,
    pub(super) tenancy: Tenancy,
}

impl<S: TraceStore> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), tenancy: self.tenancy.clone() }
    }
}
