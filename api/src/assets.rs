//! The UI's files: Skua's own in the binary, or from a directory another build of it or a stock
//! Jaeger UI.
//!
//! Skua's page is served on every path that the API does not have, so that an address can be
//! opened, reloaded and sent to someone. It names everything relative to a base, which is rewritten
//! for the depth of the path. A stock Jaeger UI gets what Jaeger's query service writes into its
//! page: the prefix, the version, what the store can do, and the operator's configuration
//! (`inject`).
//!
//! Files are compressed once, at the start, and revalidated by a tag of their content: a browser
//! asks again and is told that nothing changed, and a new binary is seen at once.

mod inject;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

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
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rust_embed::RustEmbed;
use twox_hash::XxHash3_64;

pub use inject::{UiConfig, UiConfigError};

/// What Skua's page may load and do; nothing comes from elsewhere and nothing stands inline. Sent
/// with the files too, because a worker takes its policy from its own response.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'self'; \
    form-action 'self'";

/// The line of `index.html` that says where relative addresses begin.
const BASE: &str = "<base href=\"./\"";

/// Before this line of `index.html` stands what a page will ask for.
const TITLE: &str = "<title>";

/// Longest id of a trace in hexadecimal.
const TRACE_ID_DIGITS_MAX: usize = 32;

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
struct Dist;

/// What is shown to browsers. Cloning shares.
#[derive(Clone, Default)]
pub struct UiFiles {
    /// The files of a stock Jaeger UI, or of another build of Skua's own, by their paths below its
    /// directory; what is in the binary if none.
    pub files: Option<Arc<BTreeMap<String, Vec<u8>>>>,
    /// What the operator wants of the UI.
    pub config: UiConfigHandle,
}

impl fmt::Debug for UiFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.as_ref().map(|files| files.len());
        formatter.debug_struct("UiFiles").field("files", &files).finish_non_exhaustive()
    }
}

/// A configuration of the UI, which may be replaced while pages are served. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct UiConfigHandle {
    current: Arc<RwLock<UiConfig>>,
}

impl UiConfigHandle {
    /// Replaces it for every page from now on.
    pub fn replace(&self, config: UiConfig) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn inject(&self, page: &str, base: &str) -> String {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        inject::inject(page, base, &current)
    }

    /// What Skua's own page finds it in: nothing unless it is JSON.
    fn meta(&self) -> String {
        inject::meta(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

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
    config: UiConfigHandle,
    /// The path before a stock Jaeger UI; none for Skua's own.
    stock: Option<String>,
}

/// Every path but those of the API, which belong to other routers. `base` is the path that was
/// taken off before.
pub fn router(files: &UiFiles, base: &str) -> Router {
    let ui = Arc::new(match &files.files {
        Some(files_of) if is_own(files_of) => Ui::own(files_of, files.config.clone()),
        Some(stock) => Ui::stock(stock, files.config.clone(), base),
        None => Ui::embedded(files.config.clone()),
    });
    Router::new().fallback(move |request: Request| {
        let ui = Arc::clone(&ui);
        async move { ui.answer(request.method(), request.uri().path(), request.headers()) }
    })
}

/// Whether these are files of Skua's own UI, by the line of its page that a stock UI does not have.
fn is_own(files: &BTreeMap<String, Vec<u8>>) -> bool {
    let page = files.get("index.html").map(|page| String::from_utf8_lossy(page));
    page.is_some_and(|page| page.contains(BASE))
}

impl Ui {
    fn embedded(config: UiConfigHandle) -> Self {
        let file = |name: &str| Dist::get(name).map(|file| file.data.into_owned());
        let page = file("index.html").map(|page| String::from_utf8_lossy(&page).into_owned());
        let assets = Dist::iter()
            .filter(|name| name.starts_with("assets/"))
            .filter_map(|name| {
                file(&name).map(|plain| (format!("/{name}"), Asset::of(&name, plain)))
            })
            .collect();
        Self { page: page.unwrap_or_default(), assets, config, stock: None }
    }

    /// Skua's own UI out of a directory: another build of it.
    fn own(files: &BTreeMap<String, Vec<u8>>, config: UiConfigHandle) -> Self {
        Self { stock: None, ..Self::stock(files, config, "") }
    }

    fn stock(files: &BTreeMap<String, Vec<u8>>, config: UiConfigHandle, base: &str) -> Self {
        let page = files.get("index.html").map(|page| String::from_utf8_lossy(page).into_owned());
        let assets = files.iter().filter(|(name, _)| *name != "index.html");
        let assets =
            assets.map(|(name, plain)| (format!("/{name}"), Asset::of(name, plain.clone())));
        Self {
            page: page.unwrap_or_default(),
            assets: assets.collect(),
            config,
            stock: Some(base.to_owned()),
        }
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if path == "/api" || path.starts_with("/api/") {
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        }
        if method != Method::GET && method != Method::HEAD {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        if let Some(asset) = self.assets.get(path) {
            let mut response = asset.answer(headers);
            if self.stock.is_none() {
                insert_policy(&mut response);
            }
            return response;
        }
        // What looks like a file and is none: a page in its place would be taken for it.
        if path.starts_with("/assets/") || path.starts_with("/static/") {
            return StatusCode::NOT_FOUND.into_response();
        }
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "same-origin"),
        ];
        if let Some(base) = &self.stock {
            // Its scripts stand inline: no policy that forbids them.
            return (headers, self.config.inject(&self.page, base)).into_response();
        }
        let page = self.page.replacen(BASE, &format!("<base href=\"{}\"", base_of(path)), 1);
        let (links, config) = (early_links(path), self.config.meta());
        let page = page.replacen(TITLE, &format!("{links}{config}{TITLE}"), 1);
        let mut response = (headers, page).into_response();
        insert_policy(&mut response);
        response
    }
}

fn insert_policy(response: &mut Response) {
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
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
        Some("js" | "mjs") => "text/javascript",
        Some("css") => "text/css",
        Some("html") => "text/html; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("woff") => "font/woff",
        _ => "application/octet-stream",
    }
}

/// What the page of a trace needs before anything else, so that the browser fetches it while it
/// reads the page: the trace, and the code that shows it. Nothing for other pages.
fn early_links(path: &str) -> String {
    let id = path.strip_prefix("/trace/").unwrap_or_default();
    let is_id = (1..=TRACE_ID_DIGITS_MAX).contains(&id.len())
        && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_id {
        return String::new();
    }
    // As the page asks for it, letter by letter and header by header, or it is fetched twice.
    let columns = format!("./api/skua/v1/traces/{id}/columns");
    format!(
        "<link rel=\"preload\" as=\"fetch\" crossorigin href=\"{columns}\">\n    \
         <link rel=\"modulepreload\" crossorigin href=\"./assets/trace-page.js\">\n    "
    )
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
        Ui::embedded(UiConfigHandle::default()).answer(&Method::GET, path, headers)
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
        let ui = Ui::embedded(UiConfigHandle::default());
        assert!(ui.page.contains(BASE), "the page has lost its base");
        assert!(ui.page.contains("./assets/app.js") && ui.assets.contains_key("/assets/app.js"));
        assert!(!POLICY.contains("unsafe"));
    }

    #[test]
    fn the_page_of_a_trace_names_what_it_will_ask_for() {
        let ui = Ui::embedded(UiConfigHandle::default());
        assert!(ui.page.contains(TITLE), "the page has lost its title");
        assert!(ui.assets.contains_key("/assets/trace-page.js"));
        let links = early_links("/trace/00Ab");
        assert!(links.contains("href=\"./api/skua/v1/traces/00Ab/columns\""), "{links}");
        for path in ["/", "/search", "/trace/", "/trace/1...2", "/trace/\"><b>", "/trace/1/2"] {
            assert_eq!(early_links(path), "");
        }
        assert_eq!(early_links(&format!("/trace/{}", "0".repeat(33))), "");
    }

    #[test]
    fn the_api_is_left_alone() {
        for path in ["/api", "/api/nothing"] {
            assert_eq!(get(path, &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        }
        assert_eq!(get("/apish", &HeaderMap::new()).status(), StatusCode::OK);
        assert_eq!(get("/assets/none.js", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        let ui = Ui::embedded(UiConfigHandle::default());
        let posted = ui.answer(&Method::POST, "/search", &HeaderMap::new());
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn assets_are_compressed_and_revalidated() {
        let mut headers = HeaderMap::new();
        let plain = get("/assets/app.js", &headers);
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(plain.headers()[CONTENT_SECURITY_POLICY], POLICY);
        headers.insert(ACCEPT_ENCODING, "br, gzip;q=0.8".parse().unwrap());
        let packed = get("/assets/app.js", &headers);
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        headers.insert(IF_NONE_MATCH, packed.headers()[ETAG].clone());
        assert_eq!(get("/assets/app.js", &headers).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn another_build_of_the_own_ui_is_served_as_the_one_in_the_binary() {
        let page = b"<base href=\"./\" /><title>Skua</title>".to_vec();
        let mut files = BTreeMap::from([
            ("index.html".to_owned(), page),
            ("assets/app.js".to_owned(), b"app()".to_vec()),
        ]);
        assert!(is_own(&files));
        let ui = Ui::own(&files, UiConfigHandle::default());
        let get = |path: &str| ui.answer(&Method::GET, path, &HeaderMap::new());
        for path in ["/trace/1", "/assets/app.js"] {
            assert_eq!(get(path).headers()[CONTENT_SECURITY_POLICY], POLICY);
        }
        assert_eq!(get("/assets/none.js").status(), StatusCode::NOT_FOUND);
        files.insert("index.html".to_owned(), b"<base href=\"/\">".to_vec());
        assert!(!is_own(&files));
    }

    #[test]
    fn a_stock_ui_is_served_as_jaeger_serves_it() {
        let files = BTreeMap::from([
            ("index.html".to_owned(), b"<base href=\"/\" id=\"jaeger-ui-root\">".to_vec()),
            ("static/js/main.js".to_owned(), b"main()".to_vec()),
        ]);
        let ui = Ui::stock(&files, UiConfigHandle::default(), "/jaeger");
        let get = |path: &str| ui.answer(&Method::GET, path, &HeaderMap::new());
        assert_eq!(get("/static/js/main.js").headers()[CONTENT_TYPE], "text/javascript");
        assert_eq!(get("/static/none.js").status(), StatusCode::NOT_FOUND);
        let page = get("/trace/1");
        assert_eq!(page.status(), StatusCode::OK);
        assert!(!page.headers().contains_key(CONTENT_SECURITY_POLICY));
        assert_eq!(get("/api/none").status(), StatusCode::NOT_FOUND);
    }
}
