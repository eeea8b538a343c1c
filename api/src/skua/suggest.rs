//! `suggest/...`: names to choose from while a query is typed.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use model::query::AttributeScope;
use model::store::{Answer, SUGGESTIONS_MAX};
use model::{Text, TraceStore};

use super::parameters::{flag, query_of};
use super::problem::Problem;
use super::query_json::SCOPES;
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::json_text::{push_comma, push_name, push_string};
use crate::jaeger_http::query_string::QueryString;
use crate::read_context::{Read, ReadContext};

/// `suggest/services?prefix=`
pub(super) async fn services<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Result<Response, Problem> {
    let (query, read) = begin(&context, &request)?;
    let prefix = query.get("prefix").as_bytes();
    let found = context.store.services(read.scope.clone()).await?;
    let items = found.map(|names| {
        names.into_iter().filter(|name| name.as_bytes().starts_with(prefix)).collect()
    });
    respond(&query, items, |out, name: &Text| push_string(out, name.as_bytes()))
}

/// `suggest/operations?service=&prefix=`
pub(super) async fn operations<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Result<Response, Problem> {
    let (query, read) = begin(&context, &request)?;
    let prefix = query.get("prefix").as_bytes();
    let service = Some(query.get("service")).filter(|name| !name.is_empty()).map(Text::from);
    let found = context.store.operations(read.scope.clone(), service).await?;
    let items = found.map(|operations| {
        let fits =
            |operation: &model::store::Operation| operation.name.as_bytes().starts_with(prefix);
        operations.into_iter().filter(fits).collect()
    });
    respond(&query, items, |out, operation: &model::store::Operation| {
        out.extend_from_slice(b"{\"name\":");
        push_string(out, operation.name.as_bytes());
        push_name(out, "kind");
        push_string(out, operation.kind.name().as_bytes());
        out.push(b'}');
    })
}

/// `suggest/keys?prefix=`
pub(super) async fn keys<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Result<Response, Problem> {
    let (query, read) = begin(&context, &request)?;
    let prefix = Text::from(query.get("prefix"));
    let found = context.store.keys(read.scope.clone(), prefix).await?;
    let items = found.map(|keys| keys.into_iter().collect());
    respond(&query, items, |out, (scope, key): &(AttributeScope, Text)| {
        out.extend_from_slice(b"{\"scope\":");
        push_string(out, scope_name(*scope).as_bytes());
        push_name(out, "key");
        push_string(out, key.as_bytes());
        out.push(b'}');
    })
}

/// `suggest/values?key=&scope=&prefix=`
pub(super) async fn values<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Result<Response, Problem> {
    let (query, read) = begin(&context, &request)?;
    let (key, prefix) = (Text::from(query.get("key")), Text::from(query.get("prefix")));
    if key.is_empty() {
        return Err(Problem::parameter("key: missing"));
    }
    let scope = scope_of(query.get("scope"))?;
    let found = context.store.values(read.scope.clone(), scope, key, prefix).await?;
    let items = found.map(|values| values.into_iter().collect());
    respond(&query, items, |out, value: &Text| push_string(out, value.as_bytes()))
}

fn begin<S: TraceStore>(
    context: &ReadContext<S>,
    request: &Request,
) -> Result<(QueryString, Read), Problem> {
    let query = query_of(request.uri());
    let read = context.begin(request.extensions(), flag(&query, "stale")?)?;
    Ok((query, read))
}

fn scope_of(name: &str) -> Result<AttributeScope, Problem> {
    let name = if name.is_empty() { "span_or_resource" } else { name };
    let found = SCOPES.iter().find(|(known, _)| *known == name);
    found.map(|(_, scope)| *scope).ok_or_else(|| {
        let all: Vec<&str> = SCOPES.iter().map(|(name, _)| *name).collect();
        Problem::parameter(format!("scope: unknown; one of {}", all.join(", ")))
    })
}

fn scope_name(scope: AttributeScope) -> &'static str {
    SCOPES.iter().find(|(_, known)| *known == scope).map_or("", |(name, _)| *name)
}

/// `limit`: 1 to [`SUGGESTIONS_MAX`], which is the default.
fn limit(query: &QueryString) -> Result<usize, Problem> {
    match query.get("limit") {
        "" => Ok(SUGGESTIONS_MAX),
        text => {
            let limit = text.parse().ok().filter(|limit| (1..=SUGGESTIONS_MAX).contains(limit));
            let wrong = || format!("limit: not a whole number from 1 to {SUGGESTIONS_MAX}");
            limit.ok_or_else(|| Problem::parameter(wrong()))
        }
    }
}

fn respond<T>(
    query: &QueryString,
    answer: Answer<Vec<T>>,
    push: fn(&mut Vec<u8>, &T),
) -> Result<Response, Problem> {
    let limit = limit(query)?;
    let is_sampled = answer.completeness.sampled;
    let completeness = Gaps::from(answer.completeness).header();
    let mut out = b"{\"items\":[".to_vec();
    for item in answer.value.iter().take(limit) {
        push_comma(&mut out);
        push(&mut out, item);
    }
    out.push(b']');
    for (name, truth) in [("more", answer.value.len() > limit), ("sampled", is_sampled)] {
        push_name(&mut out, name);
        out.extend_from_slice(truth.to_string().as_bytes());
    }
    push_name(&mut out, "completeness");
    push_string(&mut out, completeness.as_bytes());
    out.extend_from_slice(b"}\n");
    let mut response = out.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::try_from(completeness) {
        headers.insert(COMPLETENESS_HEADER, value);
    }
    Ok(response)
}
