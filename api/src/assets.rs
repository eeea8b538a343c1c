//! What the UI's port answers outside `/api`.
//!
//! The UI itself is not part of this version. Until it is, one static page says so and shows how
//! to send a first trace and where the query API is. There is no script in it and nothing of a
//! request.

use axum::Router;
use axum::extract::Request;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

/// The page on every path but `/api`, which belongs to the query APIs.
pub fn router(first_steps: &str) -> Router {
    let page: std::sync::Arc<str> = page(first_steps).into();
    Router::new().fallback(move |request: Request| {
        let page = std::sync::Arc::clone(&page);
        async move { answer(request.uri().path(), &page) }
    })
}

fn answer(path: &str, page: &str) -> Response {
    if path == "/api" || path.starts_with("/api/") {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    }
    Html(page.to_owned()).into_response()
}

fn page(first_steps: &str) -> String {
    let first_steps = escape(first_steps);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Skua</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;\
         padding:0 1rem}}pre{{background:#eee;color:#111;padding:.75rem;overflow:auto}}</style>\n\
         </head><body><h1>Skua</h1>\n\
         <p>This node runs. Its user interface is not part of this version yet; Jaeger's query \
         API is: <a href=\"/api/services\">/api/services</a>. The cluster: \
         <a href=\"/api/skua/v1/cluster\">/api/skua/v1/cluster</a>.</p>\n\
         <p>To send a first trace:</p>\n<pre>{first_steps}</pre>\n</body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_line_and_leaves_the_api_alone() {
        let page = page("skua load <file> && true");
        assert!(page.contains("skua load &lt;file&gt; &amp;&amp; true"));
        assert_eq!(answer("/search", &page).status(), StatusCode::OK);
        assert_eq!(answer("/apish", &page).status(), StatusCode::OK);
        assert_eq!(answer("/api/nothing", &page).status(), StatusCode::NOT_FOUND);
        assert_eq!(answer("/api", &page).status(), StatusCode::NOT_FOUND);
    }
}
