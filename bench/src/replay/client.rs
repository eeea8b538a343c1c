//! Sends requests that are bytes already, and tells refusals that may be tried again from those
//! that may not, by OTLP's rules.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::limits::REQUEST_DEADLINE;
use crate::wire::{fields, read_varint};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const RETRY_INFO: &[u8] = b"google.rpc.RetryInfo";

/// One connection to an OTLP/gRPC receiver. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    grpc: tonic::client::Grpc<Channel>,
    /// Sent with every call.
    headers: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
}

/// Why a request was not acknowledged.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Whether the same request may be sent again.
    pub(crate) retryable: bool,
    /// When, if the server said.
    pub(crate) retry_after: Option<Duration>,
    /// For people.
    pub(crate) message: String,
}

impl Client {
    /// Connects to `HOST:PORT` or `http://HOST:PORT`.
    pub(crate) async fn connect(to: &str) -> anyhow::Result<Self> {
        let address = match to.split_once("://") {
            None => format!("http://{to}"),
            Some(("http", _)) => to.to_owned(),
            Some((scheme, _)) => bail!("cannot send over {scheme}: only http is spoken"),
        };
        let endpoint =
            Endpoint::from_shared(address).with_context(|| format!("bad address {to}"))?;
        let endpoint = endpoint.connect_timeout(REQUEST_DEADLINE).tcp_nodelay(true);
        let channel = endpoint.connect().await.with_context(|| format!("cannot reach {to}"))?;
        Ok(Self { grpc: tonic::client::Grpc::new(channel), headers: Vec::new() })
    }

    /// Sends these with every call from now on.
    pub(crate) fn with_headers(
        mut self,
        headers: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
    ) -> Self {
        self.headers = headers;
        self
    }

    /// Sends one request. The answer is how many of its spans the server rejected for good.
    pub(crate) async fn export(&mut self, body: Bytes) -> Result<u64, Refusal> {
        self.grpc.ready().await.map_err(|error| Refusal {
            retryable: true,
            retry_after: None,
            message: format!("connection lost: {error}"),
        })?;
        let mut request = Request::new(body);
        request.set_timeout(REQUEST_DEADLINE);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        let path = PathAndQuery::from_static(EXPORT);
        let call = self.grpc.unary(request, path, RawCodec);
        match tokio::time::timeout(REQUEST_DEADLINE, call).await {
            Ok(Ok(response)) => Ok(rejected_spans(&response.into_inner())),
            Ok(Err(status)) => Err(refusal(&status)),
            Err(_) => Err(refusal(&Status::deadline_exceeded("no answer in time"))),
        }
    }
}

/// OTLP lets a client repeat after these codes; after RESOURCE_EXHAUSTED only where the server says
/// when.
fn refusal(status: &Status) -> Refusal {
    let retry_after = retry_delay(status.details());
    let retryable = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_after.is_some(),
        // What a client makes of a connection that broke under the call.
        Code::Unknown | Code::Internal => std::error::Error::source(status).is_some(),
        _ => false,
    };
    let message = format!("{:?}: {}", status.code(), status.message());
    Refusal { retryable, retry_after, message }
}

/// The count in the `partial_success` of an `ExportTraceServiceResponse`.
fn rejected_spans(response: &[u8]) -> u64 {
    let partial_success = bytes_fields(response, 1).last().unwrap_or_default();
    integer_field(partial_success, 1)
}

/// The delay in the `RetryInfo` among the details of a `google.rpc.Status`.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let info = bytes_fields(details, 3).find(|any| {
        bytes_fields(any, 1).last().is_some_and(|type_url| type_url.ends_with(RETRY_INFO))
    })?;
    let delay = bytes_fields(bytes_fields(info, 2).last()?, 1).last()?;
    let nanos = u32::try_from(integer_field(delay, 2)).unwrap_or_default();
    Some(Duration::new(integer_field(delay, 1), nanos.min(999_999_999)))
}

/// The values of a field of bytes; none of a message that is not well-formed.
fn bytes_fields(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let wanted = fields(message).flatten().filter(move |(field, _)| field.is_bytes(number));
    wanted.map(|(_, value)| value)
}

fn integer_field(message: &[u8], number: u32) -> u64 {
    let last = fields(message).flatten().filter(|(field, _)| field.number == number).last();
    last.map_or(0, |(_, value)| read_varint(value, &mut 0).unwrap_or_default())
}

/// Messages are bytes; nothing is encoded or decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{put_bytes, put_integer};

    #[test]
    fn retry_hints_and_rejections_are_read() {
        let mut delay = Vec::new();
        put_integer(&mut delay, 1, 2);
        put_integer(&mut delay, 2, 500_000_000);
        let mut info = Vec::new();
        put_bytes(&mut info, 1, &delay);
        let mut any = Vec::new();
        put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        put_bytes(&mut any, 2, &info);
        let mut details = Vec::new();
        put_integer(&mut details, 1, 14);
        put_bytes(&mut details, 3, &any);
        assert_eq!(retry_delay(&details), Some(Duration::from_millis(2500)));
        assert_eq!(retry_delay(b"junk"), None);

        let mut partial = Vec::new();
        put_integer(&mut partial, 1, 7);
        let mut response = Vec::new();
        put_bytes(&mut response, 1, &partial);
        assert_eq!(rejected_spans(&response), 7);
        assert_eq!(rejected_spans(&[]), 0);
    }

    #[test]
    fn codes_are_classified() {
        assert!(refusal(&Status::unavailable("")).retryable);
        assert!(!refusal(&Status::resource_exhausted("")).retryable);
        assert!(!refusal(&Status::invalid_argument("")).retryable);
    }
}
