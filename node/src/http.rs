//! Just enough of an HTTP client for commands that ask a node: one call, plain, bounded in time
//! and size.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// How long an answer may take: a node that cannot say how it is within this is not well.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Most bytes of an answer: the state of a cluster of thousands of shards.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A server, and what it is told with every question.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    base: &'a str,
    headers: HeaderMap,
}

impl<'a> Server<'a> {
    /// The one at `base`.
    pub(crate) fn at(base: &'a str) -> Self {
        Self { base, headers: HeaderMap::new() }
    }

    /// The one at `base`, which is told these headers, each `NAME: VALUE`.
    pub(crate) fn with(base: &'a str, headers: &[String]) -> anyhow::Result<Self> {
        let headers = headers.iter().map(|text| header(text)).collect::<anyhow::Result<_>>()?;
        Ok(Self { base, headers })
    }

    /// Asks for `path`, and returns status and body.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        self.get_within(path, ANSWER_TIME_MAX)
    }

    /// The same, with time for an answer that takes long.
    pub(crate) fn get_within(
        &self,
        path: &str,
        time_max: Duration,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        self.call(Method::GET, path, None, time_max)
    }

    /// Posts JSON to `path`, and returns status and body.
    pub(crate) fn post_json(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        self.call(Method::POST, path, Some(body.to_string()), ANSWER_TIME_MAX)
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
        time_max: Duration,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let url = format!("{}{path}", self.base.trim_end_matches('/'));
        let uri = plain(&url)?;
        let headers = self.headers.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(async {
            let asked = ask(method, uri, headers, json, ANSWER_BYTES_MAX);
            tokio::time::timeout(time_max, asked).await
        });
        answer
            .map_err(|_| no_answer(time_max))
            .flatten()
            .with_context(|| format!("cannot ask {url}"))
    }
}

/// A header as people write it.
fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, value) =
        text.split_once(':').with_context(|| format!("`{text}` is not written NAME: VALUE"))?;
    let name: HeaderName =
        name.trim().parse().with_context(|| format!("`{name}` is no name of a header"))?;
    let value = value.trim().parse();
    let value = value.with_context(|| format!("the value of `{name}` cannot be sent"))?;
    Ok((name, value))
}

/// What a server answers at `url`, within `time_max` and `bytes_max`.
pub(crate) async fn fetch(
    url: &str,
    bytes_max: usize,
    time_max: Duration,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let asked = ask(Method::GET, plain(url)?, HeaderMap::new(), None, bytes_max);
    let answer = tokio::time::timeout(time_max, asked).await;
    answer.map_err(|_| no_answer(time_max)).flatten()
}

/// A URL without TLS.
fn plain(url: &str) -> anyhow::Result<Uri> {
    let uri: Uri = url.parse().with_context(|| format!("`{url}` is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        bail!("`{url}` is not a URL that begins with http://");
    }
    Ok(uri)
}

fn no_answer(time_max: Duration) -> anyhow::Error {
    anyhow::anyhow!("no answer within {time_max:?}")
}

async fn ask(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    json: Option<String>,
    bytes_max: usize,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::builder().method(method).uri(uri);
    let mut request = request.header("accept", "application/json");
    if json.is_some() {
        request = request.header("content-type", "application/json");
    }
    let mut request = request.body(Full::from(json.unwrap_or_default()))?;
    request.headers_mut().extend(headers);
    let response = client.request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), bytes_max);
    let bytes = body.collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    Ok((status, bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_names_and_values() {
        let (name, value) = header("X-Tenant:  shop ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-tenant", "shop"));
        for wrong in ["shop", ": shop", "x tenant: shop", "x-tenant: a\nb"] {
            assert!(header(wrong).is_err(), "{wrong:?}");
        }
    }
}
