//! Just enough of an HTTP client for commands that ask a node: one call, plain, bounded in time
//! and size.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// How long an answer may take: a node that cannot say how it is within this is not well.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Most bytes of an answer: the state of a cluster of thousands of shards.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Asks for `path` of the server at `base`, and returns status and body.
pub(crate) fn get(base: &str, path: &str) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    call(Method::GET, base, path, None)
}

/// Posts JSON to `path` of the server at `base`, and returns status and body.
pub(crate) fn post_json(
    base: &str,
    path: &str,
    body: &serde_json::Value,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    call(Method::POST, base, path, Some(body.to_string()))
}

/// What a server answers at `url`, within `time_max` and `bytes_max`.
pub(crate) async fn fetch(
    url: &str,
    bytes_max: usize,
    time_max: Duration,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let asked = ask(Method::GET, plain(url)?, None, bytes_max);
    let answer = tokio::time::timeout(time_max, asked).await;
    answer.map_err(|_| no_answer(time_max)).flatten()
}

fn call(
    method: Method,
    base: &str,
    path: &str,
    json: Option<String>,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let uri = plain(&url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        let asked = ask(method, uri, json, ANSWER_BYTES_MAX);
        tokio::time::timeout(ANSWER_TIME_MAX, asked).await
    });
    answer
        .map_err(|_| no_answer(ANSWER_TIME_MAX))
        .flatten()
        .with_context(|| format!("cannot ask {url}"))
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
    json: Option<String>,
    bytes_max: usize,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::builder().method(method).uri(uri);
    let mut request = request.header("accept", "application/json");
    if json.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Full::from(json.unwrap_or_default()))?;
    let response = client.request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), bytes_max);
    let bytes = body.collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    Ok((status, bytes.to_vec()))
}
