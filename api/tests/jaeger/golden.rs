//! Requests and their answers, kept as scripts.
//!
//! A script is a list of blocks with empty lines between them. A block is: comments (`# `),
//! perhaps a directive (`! `), a request (`GET /path`), perhaps its body (`| `), and the answer
//! as it was when the script was written: status, headers that matter, body. JSON is indented
//! for people; of everything else each line end is shown.
//!
//! `UPDATE_GOLDENFILES=1` writes what is answered now; then read the difference.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "scripts are files of the repository, and an environment variable rewrites them"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use model::testing::MemoryStore;
use model::{ShardId, Tenant};
use tower::ServiceExt as _;

use crate::fixture::server;

#[tokio::test]
async fn catalog() {
    check("catalog").await;
}

#[tokio::test]
async fn trace_by_id() {
    check("trace_by_id").await;
}

#[tokio::test]
async fn search() {
    check("search").await;
}

#[tokio::test]
async fn api_v3() {
    check("api_v3").await;
}

#[tokio::test]
async fn bad_requests() {
    check("bad_requests").await;
}

#[tokio::test]
async fn partial_answers() {
    check("partial_answers").await;
}

#[tokio::test]
async fn transform() {
    check("transform").await;
}

#[tokio::test]
async fn archive_dependencies_metrics() {
    check("archive_dependencies_metrics").await;
}

/// Every call that Grafana's data source for Jaeger makes, as it makes it.
#[tokio::test]
async fn grafana() {
    check("grafana").await;
}

async fn check(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts/jaeger")
        .join(format!("{name}.script"));
    let script = std::fs::read_to_string(&path).unwrap();
    let (store, router) = server().await;
    let mut conversation = Conversation { store, router, tenant: Some(Tenant::default()) };
    let mut answered = String::new();
    for block in script.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        if !answered.is_empty() {
            answered.push('\n');
        }
        conversation.replay(block, &mut answered).await;
    }
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, answered).unwrap();
    } else {
        assert_eq!(answered, script, "{name}: see UPDATE_GOLDENFILES in golden.rs");
    }
}

struct Conversation {
    store: MemoryStore,
    router: Router,
    tenant: Option<Tenant>,
}

impl Conversation {
    /// Copies the block as far as it asks, and appends the answer.
    async fn replay(&mut self, block: &str, out: &mut String) {
        let mut asked = None;
        let mut body = String::new();
        for line in block.lines() {
            if let Some(directive) = line.strip_prefix("! ") {
                self.direct(directive);
            } else if let Some(text) = line.strip_prefix("| ") {
                body.push_str(text);
            } else if asked.is_none() && !line.starts_with('#') {
                asked = Some(line);
            } else if asked.is_some() {
                break;
            }
            let _ = writeln!(out, "{line}");
        }
        let Some((method, target)) = asked.and_then(|line| line.split_once(' ')) else { return };
        let mut request =
            Request::builder().method(method).uri(target).body(Body::from(body)).unwrap();
        request.extensions_mut().extend(
            self.tenant
                .clone()
                .map(|tenant| {
                    let mut extensions = http::Extensions::new();
                    extensions.insert(tenant);
                    extensions
                })
                .unwrap_or_default(),
        );
        let response = self.router.clone().oneshot(request).await.unwrap();
        write_response(response, out).await;
    }

    fn direct(&mut self, directive: &str) {
        match directive.split_once(' ').unwrap_or((directive, "")) {
            ("missing", shards) => {
                let shards = shards.split(',').filter_map(|shard| shard.parse().ok());
                self.store.set_missing(shards.map(ShardId).collect::<BTreeSet<_>>());
            }
            ("tenant", "") => self.tenant = None,
            ("tenant", name) => self.tenant = Some(Tenant::new(name).unwrap()),
            other => panic!("no such directive: {other:?}"),
        }
    }
}

async fn write_response(response: Response<Body>, out: &mut String) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let _ = writeln!(out, "{}", parts.status.as_u16());
    for name in [
        header::CONTENT_TYPE,
        header::X_CONTENT_TYPE_OPTIONS,
        header::ALLOW,
        header::RETRY_AFTER,
        api::jaeger_http::COMPLETENESS_HEADER,
    ] {
        if let Some(value) = parts.headers.get(&name) {
            let _ = writeln!(out, "{name}: {}", value.to_str().unwrap());
        }
    }
    let text = std::str::from_utf8(&body).unwrap();
    if parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        let _: serde::de::IgnoredAny = serde_json::from_str(text).unwrap();
        let _ =
            writeln!(out, "{}", if text.contains('\n') { text.to_owned() } else { indent(text) });
    } else {
        let _ = writeln!(out, "{}", text.replace('\n', "\\n"));
    }
}

/// One element a line, but short lists and objects in one.
fn indent(json: &str) -> String {
    const WIDTH: usize = 96;
    let mut out = String::new();
    let mut depth = 0;
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let end = closing(rest).filter(|_| matches!(first, '{' | '['));
        let width = end.map(|end| depth * 2 + end + 1);
        if let Some(end) = end.filter(|_| width.is_some_and(|width| width <= WIDTH)) {
            let (whole, behind) = rest.split_at(end + 1);
            out.push_str(whole);
            rest = behind;
            continue;
        }
        let taken = match first {
            '{' | '[' => {
                depth += 1;
                out.push(first);
                line(&mut out, depth);
                1
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(first);
                1
            }
            ',' => {
                out.push(first);
                line(&mut out, depth);
                1
            }
            '"' => {
                let end = string_end(rest);
                out.push_str(&rest[..end]);
                end
            }
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// Where the list or object at the start ends.
fn closing(json: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at < json.len() {
        match json.as_bytes()[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at),
            b'}' | b']' => depth -= 1,
            b'"' if depth > 0 => at += string_end(&json[at..]) - 1,
            _ if depth == 0 => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Behind the closing quote of the string at the start.
fn string_end(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        if byte == b'"' && !escaped {
            return at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    json.len()
}
