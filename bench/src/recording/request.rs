//! Puts spans together into one request, each resource and each scope written once.

use std::collections::BTreeMap;

use super::Recording;
use crate::wire::{WireError, bytes_field_len, put_bytes_head};

/// A span that goes into a request, whatever makes its bytes.
pub(crate) trait RequestSpan {
    /// Its resource and scope in the recording.
    fn group(&self) -> (u32, u32);

    /// How many bytes [`put`](Self::put) appends.
    fn length(&self) -> usize;

    /// Appends its bytes.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError>;
}

/// The bytes of an `ExportTraceServiceRequest` with `spans`, grouped by resource and scope in order
/// of first appearance.
pub(crate) fn assemble<S: RequestSpan>(
    recording: &Recording,
    spans: impl IntoIterator<Item = S>,
) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    for group in grouped(spans) {
        let resource = recording.resource(group.resource);
        let scope_length = |(scope, spans): &(u32, Vec<S>)| -> usize {
            let spans = spans.iter().map(|span| bytes_field_len(span.length()));
            recording.scope(*scope).len() + spans.sum::<usize>()
        };
        let scopes = group.scopes.iter().map(|scope| bytes_field_len(scope_length(scope)));
        put_bytes_head(&mut out, 1, resource.len() + scopes.sum::<usize>());
        out.extend_from_slice(resource);
        for scope in &group.scopes {
            put_bytes_head(&mut out, 2, scope_length(scope));
            out.extend_from_slice(recording.scope(scope.0));
            for span in &scope.1 {
                put_bytes_head(&mut out, 2, span.length());
                span.put(&mut out)?;
            }
        }
    }
    Ok(out)
}

/// Spans of one resource, by scope.
struct ResourceGroup<S> {
    resource: u32,
    scopes: Vec<(u32, Vec<S>)>,
}

fn grouped<S: RequestSpan>(spans: impl IntoIterator<Item = S>) -> Vec<ResourceGroup<S>> {
    let mut groups: Vec<ResourceGroup<S>> = Vec::new();
    // A recording may have thousands of resources, and a request spans of all of them.
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    for span in spans {
        let (resource, scope) = span.group();
        let at = *places.entry(resource).or_insert_with(|| {
            groups.push(ResourceGroup { resource, scopes: Vec::new() });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(at) else { continue };
        match group.scopes.iter_mut().rev().find(|(known, _)| *known == scope) {
            Some((_, of_scope)) => of_scope.push(span),
            None => group.scopes.push((scope, vec![span])),
        }
    }
    groups
}
