//! One HTTP/1.1 connection that is kept, for measuring answers without their connections.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::limits::{ANSWER_BYTES_MAX, REQUEST_DEADLINE};

/// A connection.
#[derive(Debug)]
pub(super) struct HttpClient {
    host: String,
    /// Sent with every request.
    headers: HeaderMap,
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; ends with this value.
    _driver: JoinSet<()>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl HttpClient {
    /// Connects to `HOST:PORT`.
    pub(super) async fn connect(host: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).await;
        let stream = stream.with_context(|| format!("cannot reach {host}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // How the connection ends is told to whoever waits for an answer.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { host: host.to_owned(), headers: HeaderMap::new(), sender, _driver: driver })
    }

    /// Sends a header with every request from now on.
    pub(super) fn with_header(mut self, name: &'static str, value: &str) -> anyhow::Result<Self> {
        self.headers.insert(name, HeaderValue::from_str(value)?);
        Ok(self)
    }

    /// Asks for a path and reads the whole answer.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<HttpAnswer> {
        let request = Request::get(path).header(header::HOST, &self.host);
        self.send(path, request.body(Full::default())?).await
    }

    /// Posts JSON to a path and reads the whole answer.
    pub(super) async fn post(&mut self, path: &str, json: String) -> anyhow::Result<HttpAnswer> {
        let request = Request::post(path).header(header::HOST, &self.host);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(path, request.body(Full::from(json))?).await
    }

    /// Posts a protobuf message to a path and reads the whole answer.
    pub(super) async fn post_protobuf(
        &mut self,
        path: &str,
        message: Bytes,
    ) -> anyhow::Result<HttpAnswer> {
        let request = Request::post(path).header(header::HOST, &self.host);
        let request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
        self.send(path, request.body(Full::from(message))?).await
    }

    async fn send(
        &mut self,
        path: &str,
        mut request: Request<Full<Bytes>>,
    ) -> anyhow::Result<HttpAnswer> {
        request.headers_mut().extend(self.headers.clone());
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status().as_u16();
            match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
                Ok(body) => Ok(HttpAnswer { status, body: body.to_bytes() }),
                Err(error) => bail!("the answer to {path} broke off: {error}"),
            }
        };
        tokio::time::timeout(REQUEST_DEADLINE, exchange).await.context("no answer in time")?
    }
}
