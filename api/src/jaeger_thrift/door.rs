//! What the doors for foreign formats share: from a request's bytes through the arena into the
//! receiver.
//!
//! Translating is bounded CPU work like the walk that follows: small bodies are translated where
//! they were received, large ones on the blocking pool, as many at a time as there are
//! processors.

use std::sync::Arc;

use bytes::Bytes;
use model::{Tenant, TraceStore};
use tokio::sync::Semaphore;

use super::arena::{Arena, TranslateError};
use crate::error::ApiError;
use crate::ingest::{
    Accepted, Admitted, BodyError, Encoding, Format, Receiver, Refused, WriteRequest, body,
};
use crate::tenant::Tenancy;
use crate::{limits, task};

/// Translates a whole body into an arena.
pub(crate) type Translate = fn(&[u8], &mut Arena) -> Result<(), TranslateError>;

/// A receiver and who may use it. Cloning shares.
pub(crate) struct Door<S: TraceStore> {
    pub(crate) receiver: Receiver<S>,
    pub(crate) tenancy: Tenancy,
    translators: Arc<Semaphore>,
}

impl<S: TraceStore> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            tenancy: self.tenancy.clone(),
            translators: Arc::clone(&self.translators),
        }
    }
}

/// A body whose tenant and encoding are known.
pub(crate) struct Foreign {
    pub(crate) tenant: Tenant,
    pub(crate) body: Bytes,
    pub(crate) encoding: Encoding,
    pub(crate) admitted: Admitted,
}

/// Why a body in a foreign format was not taken.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be read to its end.
    Unread(BodyError),
    /// A header of it is not understood; in the words of the answer.
    Header(String),
    /// It is not what it should be.
    Malformed(ApiError),
    /// It was understood and refused.
    Refused(Refused),
}

impl Failure {
    /// Why, whatever it was.
    pub(crate) fn into_refused(self) -> Refused {
        match self {
            Self::Unread(error) => error.into(),
            Self::Header(what) => ApiError::Parameter { what }.into(),
            Self::Malformed(error) => error.into(),
            Self::Refused(refused) => refused,
        }
    }
}

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Refused(error.into().into())
    }
}

impl<S: TraceStore> Door<S> {
    pub(crate) fn new(receiver: Receiver<S>, tenancy: Tenancy) -> Self {
        let translators = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { receiver, tenancy, translators: Arc::new(Semaphore::new(translators)) }
    }

    /// Translates a body and answers when its spans are durable.
    pub(crate) async fn take(
        &self,
        mut foreign: Foreign,
        translate: Translate,
    ) -> Result<Accepted, Failure> {
        let Foreign { encoding, body, admitted, .. } = &mut foreign;
        let plain = body::plain_if_small(*encoding, body, admitted).map_err(undecoded)?;
        let request = if let Some(plain) = plain {
            let encoding = Encoding::Identity;
            translated(Foreign { body: plain, encoding, ..foreign }, translate)
        } else {
            let _translator = self.translators.acquire().await.map_err(|_| ApiError::Internal)?;
            let work = task::blocking("translate", move || translated(foreign, translate));
            work.await.map_err(|task::Panicked| ApiError::Internal)?
        }?;
        self.receiver.receive(request).await.map_err(Failure::Refused)
    }
}

/// A body is not what its encoding says, or there is no room for it.
fn undecoded(error: BodyError) -> Failure {
    match error {
        BodyError::Overload(overload) => overload.into(),
        error => Failure::Malformed(error.into()),
    }
}

/// All the work on a body in a foreign format; it is gone when this returns.
fn translated(foreign: Foreign, translate: Translate) -> Result<WriteRequest, Failure> {
    let Foreign { tenant, body, encoding, mut admitted } = foreign;
    let plain = match encoding {
        Encoding::Identity => body,
        compressed => {
            let bytes_max = limits::DECOMPRESSED_BYTES_MAX;
            let plain = body::decompress(compressed, &body, bytes_max, &mut admitted);
            plain.map_err(undecoded)?.into()
        }
    };
    // The arena is about as large as what it is made of. Where it is larger it is charged
    // before it is walked; its own bound is a request's.
    admitted.charge(plain.len())?;
    let mut arena = Arena::for_body(plain.len());
    translate(&plain, &mut arena).map_err(|error| Failure::Malformed(error.into()))?;
    let message = arena.take();
    admitted.charge(message.len().saturating_sub(plain.len()))?;
    let (body, encoding) = (Bytes::from(message), Encoding::Identity);
    Ok(WriteRequest { tenant, body, encoding, format: Format::Protobuf, admitted })
}
