//! The web UI, as the binary carries it: the built files of `ui/dist`, and one page for every
//! path that is not the API's.
//!
//! The files have stable names, so browsers revalidate them by their entity tag. Every page is
//! `index.html`; its `<base>` leads back to the root, however many levels the path has and
//! whatever prefix a proxy cut off. The policy allows nothing that does not come from here: text
//! of spans can be shown, never run.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use rust_embed::RustEmbed;
use twox_hash::XxHash3_64;

/// What a page may load and do; nothing comes from elsewhere and nothing stands inline. Sent with
/// the files too, because a worker takes its policy from its own response.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'self'; \
    form-action 'self'";

/// The line of `index.html` that says where relative addresses begin.
const BASE: &str = "<base href=\"./\"";

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
struct Dist;

/// A file of the UI, ready to be sent.
struct Asset {
    plain: Bytes,
    compressed: Bytes,
    tag: String,
    content_type: &'static str,
}

struct Ui {
    page: String,
    assets: BTreeMap<String, Asset>,
}

/// Every path but those of the API, which belong to other routers.
pub fn router() -> Router {
    let ui = Arc::new(Ui::embedded());
    Router::new().fallback(move |request: Request| {
        let ui = Arc::clone(&ui);
        async move { ui.answer(request.method(), request.uri().path(), request.headers()) }
    })
}

impl Ui {
    fn embedded() -> Self {
        let file = |name: &str| Dist::get(name).map(|file| file.data.into_owned());
        let page = file("index.html").map(|page| String::from_utf8_lossy(&page).into_owned());
        let assets = Dist::iter()
            .filter(|name| name.starts_with("assets/"))
            .filter_map(|name| {
                file(&name).map(|plain| (format!("/{name}"), Asset::of(&name, plain)))
            })
            .collect();
        Self { page: page.unwrap_or_default(), assets }
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if path == "/api" || path.starts_with("/api/") {
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        }
        if method != Method::GET && method != Method::HEAD {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        if path.starts_with("/assets/") {
            return self.assets.get(path).map_or_else(
                || StatusCode::NOT_FOUND.into_response(),
                |asset| asset.answer(headers),
            );
        }
        let page = self.page.replacen(BASE, &format!("<base href=\"{}\"", base_of(path)), 1);
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-cache"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "same-origin"),
        ];
        (headers, page).into_response()
    }
}

impl Asset {
    fn of(name: &str, plain: Vec<u8>) -> Self {
        let tag = format!("\"{:016x}\"", XxHash3_64::oneshot(&plain));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail; an empty result is never sent.
        let compressed = encoder.write_all(&plain).and_then(|()| encoder.finish());
        Self {
            compressed: compressed.unwrap_or_default().into(),
            plain: plain.into(),
            tag,
            content_type: content_type(name),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let common = [
            (ETAG, self.tag.as_str()),
            (CACHE_CONTROL, "no-cache"),
            (VARY, "accept-encoding"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CONTENT_TYPE, self.content_type),
            (CONTENT_SECURITY_POLICY, POLICY),
        ];
        if mentions(headers, &IF_NONE_MATCH, &self.tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let is_smaller = !self.compressed.is_empty() && self.compressed.len() < self.plain.len();
        if is_smaller && mentions(headers, &ACCEPT_ENCODING, "gzip") {
            return (common, [(CONTENT_ENCODING, "gzip")], self.compressed.clone()).into_response();
        }
        (common, self.plain.clone()).into_response()
    }
}

/// Whether one of the comma-separated values of a header is `wanted`, parameters left out.
fn mentions(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut items = values.flat_map(|value| value.split(','));
    items.any(|item| item.split(';').next().is_some_and(|item| item.trim() == wanted))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// The way from a page back to the root.
fn base_of(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        levels => "../".repeat(levels - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, headers: &HeaderMap) -> Response {
        Ui::embedded().answer(&Method::GET, path, headers)
    }

    #[test]
    fn every_path_is_the_page_and_leads_back_to_the_root() {
        for (path, base) in
            [("/", "./"), ("/search", "./"), ("/trace/abc", "../"), ("/a/b/c", "../../")]
        {
            assert_eq!(base_of(path), base);
            let response = get(path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
        }
        let ui = Ui::embedded();
        assert!(ui.page.contains(BASE), "the page has lost its base");
        assert!(ui.page.contains("./assets/app.js") && ui.assets.contains_key("/assets/app.js"));
        assert!(!POLICY.contains("unsafe"));
    }

    #[test]
    fn the_api_is_left_alone() {
        for path in ["/api", "/api/nothing"] {
            assert_eq!(get(path, &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        }
        assert_eq!(get("/apish", &HeaderMap::new()).status(), StatusCode::OK);
        assert_eq!(get("/assets/none.js", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        let posted = Ui::embedded().answer(&Method::POST, "/search", &HeaderMap::new());
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn assets_are_compressed_and_revalidated() {
        let mut headers = HeaderMap::new();
        let plain = get("/assets/app.js", &headers);
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        headers.insert(ACCEPT_ENCODING, "br, gzip;q=0.8".parse().unwrap());
        let packed = get("/assets/app.js", &headers);
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        headers.insert(IF_NONE_MATCH, packed.headers()[ETAG].clone());
        assert_eq!(get("/assets/app.js", &headers).status(), StatusCode::NOT_MODIFIED);
    }
}
