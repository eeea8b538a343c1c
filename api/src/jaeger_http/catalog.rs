//! The old API's services and operations.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use model::store::{Answer, Operation};
use model::{Text, TraceStore};

use super::answer::envelope;
use super::error::{Old, ParameterError, QueryError};
use super::json_text::{push_comma, push_string};
use super::query_string::unescape;
use super::router::Asked;
use crate::read_context::{Read, ReadContext};

/// `GET /api/services`
pub(super) async fn services<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    let read = asked.begin(&context)?;
    let answer = context.store.services(read.scope.clone()).await?;
    let data = texts(answer.value.iter());
    let total = answer.value.len();
    Ok(envelope(&asked.query, &[&data], total, Vec::new(), &answer.completeness.into()))
}

/// `GET /api/services/{service}/operations`
///
/// Names only, each once. Jaeger answers `null` instead of an empty list.
pub(super) async fn operations_of_service<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(service): Path<String>,
    asked: Asked,
) -> Result<Response, Old> {
    let read = asked.begin(&context)?;
    let mut answer = of_service(&context, &read, &service, "").await?;
    if answer.value.is_empty()
        && let Some(again) = unescape(&service).filter(|again| *again != service)
    {
        // Jaeger unescapes the name a second time, so some clients escape it twice.
        let second = of_service(&context, &read, &again, "").await?;
        answer.value = second.value;
        answer.completeness.merge(second.completeness);
    }
    let names: BTreeSet<&Text> = answer.value.iter().map(|operation| &operation.name).collect();
    let data = if names.is_empty() { b"null".to_vec() } else { texts(names.iter().copied()) };
    Ok(envelope(&asked.query, &[&data], names.len(), Vec::new(), &answer.completeness.into()))
}

/// `GET /api/operations`
pub(super) async fn operations<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    let service = asked.query.get("service");
    if service.is_empty() {
        return Err(ParameterError::ServiceRequired.into());
    }
    let read = asked.begin(&context)?;
    let answer = of_service(&context, &read, service, asked.query.get("spanKind")).await?;
    let mut data = b"[".to_vec();
    for operation in &answer.value {
        push_operation(&mut data, operation, operation.kind.name());
    }
    data.push(b']');
    let total = answer.value.len();
    Ok(envelope(&asked.query, &[&data], total, Vec::new(), &answer.completeness.into()))
}

/// The operations of a service; of one kind, if a kind is named. A kind that does not exist has
/// no operations.
pub(super) async fn of_service<S: TraceStore>(
    context: &ReadContext<S>,
    read: &Read,
    service: &str,
    kind: &str,
) -> Result<Answer<BTreeSet<Operation>>, QueryError> {
    let service = (!service.is_empty()).then(|| Text::from(service));
    let mut answer = context.store.operations(read.scope.clone(), service).await?;
    if !kind.is_empty() {
        answer.value.retain(|operation| operation.kind.name() == kind);
    }
    Ok(answer)
}

/// Appends `{"name":...,"spanKind":...}`.
pub(super) fn push_operation(out: &mut Vec<u8>, operation: &Operation, kind: &str) {
    push_comma(out);
    out.extend_from_slice(b"{\"name\":");
    push_string(out, operation.name.as_bytes());
    out.extend_from_slice(b",\"spanKind\":");
    push_string(out, kind.as_bytes());
    out.push(b'}');
}

/// A list of strings.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a Text>) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for text in texts {
        push_comma(&mut out);
        push_string(&mut out, text.as_bytes());
    }
    out.push(b']');
    out
}
