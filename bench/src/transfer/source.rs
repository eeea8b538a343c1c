//! A Jaeger that is asked over gRPC.
//!
//! Every answer is bounded: a message by what it may hold, a call by time. An answer that its
//! store calls partial (Skua says so in the trailers) is passed on as such.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::options::{JaegerAddress, Protocol};
use super::questions::{self, whole_id};
use super::windows::Window;
use crate::limits::{ANSWER_MESSAGE_BYTES_MAX, BACKOFF_MAX, BACKOFF_MIN, READ_DEADLINE, RETRY_FOR};
use crate::outside;
use crate::replay::RawCodec;

/// Where Skua says that an answer lacks something.
const COMPLETENESS: &str = "skua-completeness";

/// A connection to a Jaeger. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    grpc: tonic::client::Grpc<Channel>,
    asked: JaegerAddress,
}

/// What a search found.
pub(super) enum Found {
    /// Ids, whose traces are asked for next.
    Ids(Vec<[u8; 16]>),
    /// The traces themselves, one after another.
    Traces(Box<TraceStream>),
}

impl Source {
    /// Connects.
    pub(super) async fn connect(asked: &JaegerAddress) -> anyhow::Result<Self> {
        let to = &asked.address;
        let address = match to.split_once("://") {
            None => format!("http://{to}"),
            Some(("http", _)) => to.clone(),
            Some((scheme, _)) => bail!("cannot ask over {scheme}: only http is spoken"),
        };
        let endpoint =
            Endpoint::from_shared(address).with_context(|| format!("bad address {to}"))?;
        let endpoint = endpoint.connect_timeout(READ_DEADLINE).tcp_nodelay(true);
        let channel = endpoint.connect().await.with_context(|| format!("cannot reach {to}"))?;
        let grpc =
            tonic::client::Grpc::new(channel).max_decoding_message_size(ANSWER_MESSAGE_BYTES_MAX);
        Ok(Self { grpc, asked: asked.clone() })
    }

    /// The services to walk: those that were asked for, else one that stands for all where the
    /// store can search so, else all that it names.
    pub(super) async fn services(&mut self, wanted: &[String]) -> anyhow::Result<Vec<String>> {
        if !wanted.is_empty() {
            return Ok(wanted.to_vec());
        }
        if self.asked.protocol == Protocol::Storage {
            let answer = self.unary(questions::GET_CAPABILITIES, questions::NOTHING).await;
            match answer {
                Ok(answer) if questions::searches_without_service(&answer)? => {
                    return Ok(vec![String::new()]);
                }
                Ok(_) => {}
                Err(status) if status.code() == Code::Unimplemented => {}
                Err(status) => return Err(said(&status)).context("cannot ask what it can do"),
            }
        }
        let answer = self.unary(self.asked.protocol.services(), questions::NOTHING).await;
        let answer = answer.map_err(|status| said(&status)).context("cannot ask for services")?;
        Ok(questions::names(&answer)?)
    }

    /// The traces of a service with a span in a window.
    pub(super) async fn find(&mut self, service: &str, window: Window) -> anyhow::Result<Found> {
        let request = questions::find(self.asked.protocol, service, window);
        let found = match self.asked.protocol {
            Protocol::Query => self
                .stream(questions::FIND_TRACES, &request)
                .await
                .map(|found| Found::Traces(Box::new(found))),
            Protocol::Storage => match self.unary(questions::FIND_TRACE_IDS, &request).await {
                Ok(answer) => Ok(Found::Ids(questions::found_ids(&answer)?)),
                Err(status) => Err(status),
            },
        };
        found.map_err(|status| said(&status)).context("cannot search")
    }

    /// Traces by id. Those that are not known are passed over.
    pub(super) async fn traces(&mut self, ids: &[[u8; 16]]) -> anyhow::Result<TraceStream> {
        let path = self.asked.protocol.traces();
        let request = questions::by_ids(self.asked.protocol, ids);
        let stream = self.stream(path, &request).await;
        stream.map_err(|status| said(&status)).context("cannot ask for traces")
    }

    /// How many traces one call of [`traces`](Self::traces) takes.
    pub(super) fn ids_max(&self) -> usize {
        match self.asked.protocol {
            Protocol::Query => 1,
            Protocol::Storage => 100,
        }
    }

    /// A call with one answer, tried again while that may help.
    async fn unary(&mut self, path: &'static str, message: &[u8]) -> Result<Bytes, Status> {
        let mut patience = Patience::default();
        loop {
            let request = self.request(message);
            let ready = self.grpc.ready().await;
            let answer = match ready {
                Err(error) => Err(Status::unavailable(error.to_string())),
                Ok(()) => self
                    .grpc
                    .unary(request, PathAndQuery::from_static(path), RawCodec)
                    .await
                    .map(tonic::Response::into_inner),
            };
            match answer {
                Err(status) if patience.has_more(&status).await => {}
                answer => return answer,
            }
        }
    }

    /// A call with many answers, tried again until the first of them is there.
    async fn stream(&mut self, path: &'static str, message: &[u8]) -> Result<TraceStream, Status> {
        let mut patience = Patience::default();
        loop {
            let request = self.request(message);
            let opened = async {
                let ready = self.grpc.ready().await;
                ready.map_err(|error| Status::unavailable(error.to_string()))?;
                let path = PathAndQuery::from_static(path);
                let answer = self.grpc.server_streaming(request, path, RawCodec).await?;
                let mut messages: Streaming<Bytes> = answer.into_inner();
                let first = messages.message().await?;
                Ok(TraceStream { first, messages })
            };
            match opened.await {
                Err(status) if patience.has_more(&status).await => {}
                opened => return opened,
            }
        }
    }

    fn request(&self, message: &[u8]) -> Request<Bytes> {
        let mut request = Request::new(Bytes::copy_from_slice(message));
        request.set_timeout(READ_DEADLINE);
        for header in &self.asked.headers {
            request.metadata_mut().insert(header.name.clone(), header.value.clone());
        }
        request
    }
}

/// How long a call is tried again.
#[derive(Debug)]
struct Patience {
    ends: std::time::Instant,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { ends: outside::now() + RETRY_FOR, pause: BACKOFF_MIN }
    }
}

impl Patience {
    /// Waits a little if the call may be tried again.
    async fn has_more(&mut self, status: &Status) -> bool {
        let is_passing = matches!(
            status.code(),
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled
        );
        if !is_passing || outside::now() + self.pause > self.ends {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(BACKOFF_MAX);
        true
    }
}

/// Traces one after another, each in one message or several that follow each other.
#[derive(Debug)]
pub(super) struct TraceStream {
    first: Option<Bytes>,
    messages: Streaming<Bytes>,
}

impl TraceStream {
    /// The next message and the trace it is of. Messages without a span are passed over.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<([u8; 16], Bytes)>> {
        loop {
            let message = match self.first.take() {
                Some(message) => message,
                None => match self.messages.message().await {
                    Ok(Some(message)) => message,
                    Ok(None) => return Ok(None),
                    Err(status) if status.code() == Code::NotFound => return Ok(None),
                    Err(status) => return Err(said(&status)).context("the answer broke off"),
                },
            };
            if let Some(id) = questions::trace_of(&message)? {
                return Ok(Some((id, message)));
            }
        }
    }

    /// What the store says the whole answer lacked, once it has ended.
    pub(super) async fn gaps(&mut self) -> Option<String> {
        let trailers = self.messages.trailers().await.ok().flatten()?;
        let said = trailers.get(COMPLETENESS)?.to_str().ok()?;
        said.starts_with("partial").then(|| said.to_owned())
    }
}

/// A trace id as people write it: up to 32 hexadecimal digits.
pub(super) fn parse_id(text: &str) -> anyhow::Result<[u8; 16]> {
    ensure!(
        (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "`{text}` is no trace id"
    );
    let number = u128::from_str_radix(text, 16)?;
    Ok(whole_id(&number.to_be_bytes()))
}

fn said(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{:?}: {}", status.code(), status.message())
}
