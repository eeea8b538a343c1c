//! Strategies over HTTP: any path of port 5778, and `/api/sampling` of port 14268.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, StatusCode, header};

use super::provider::Sampling;
use crate::jaeger_http::query_string::QueryString;
use crate::jaeger_thrift::http::text;

/// Port 5778: clients ask on `/`, `/sampling` or `/api/sampling`, so every path answers.
pub fn router(sampling: Sampling) -> Router {
    Router::new().fallback(strategy).with_state(sampling)
}

/// The path on the collector's port.
pub fn collector_router(sampling: Sampling) -> Router {
    Router::new().route("/api/sampling", any(strategy)).with_state(sampling)
}

async fn strategy(State(sampling): State<Sampling>, request: Request) -> Response {
    let query = QueryString::parse(request.uri().query());
    let mut services = query.get_all("service");
    let (Some(service), None) = (services.next(), services.next()) else {
        return text(StatusCode::BAD_REQUEST, "'service' parameter must be provided once");
    };
    let mut response = Response::new(sampling.strategy(service).to_json().into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
