//! Checks of what can be listed: services, operations, keys, values.

use std::collections::BTreeSet;

use super::run::{Run, Wrong, checked, complete, same};
use crate::query::{AttributeScope, Field, field};
use crate::store::Operation;
use crate::{Span, Text, TraceStore, effective};

pub(super) async fn services_and_operations_are_listed<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let written = run.written("services", 40).await?;
    let spans = written.spans();
    let scope = || run.options.scope(&written.tenant);
    let services = complete("services", run.store.services(scope()).await)?;
    let expected: BTreeSet<Text> = spans.iter().map(effective::span_service).collect();
    same("services", &services, &expected)?;
    for service in expected.into_iter().map(Some).chain([None, Some("nobody".into())]) {
        let found = run.store.operations(scope(), service.clone()).await;
        let found = complete("operations", found)?;
        let expected = operations_of(&spans, service.as_ref());
        same(format!("operations of {service:?}"), &found, &expected)?;
    }
    Ok(())
}

fn operations_of(spans: &[Span], service: Option<&Text>) -> BTreeSet<Operation> {
    spans
        .iter()
        .filter(|span| service.is_none_or(|service| effective::span_service(span) == *service))
        .map(|span| Operation { name: effective::span_operation(span), kind: span.kind })
        .collect()
}

pub(super) async fn keys_and_values_are_suggested<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let written = run.written("keys", 41).await?;
    let spans = written.spans();
    let scope = || run.options.scope(&written.tenant);
    let all_keys = keys_of(&spans);
    for prefix in ["", "http.", "nothing"] {
        let found = complete("keys", run.store.keys(scope(), prefix.into()).await)?;
        let starts = |(_, key): &&(_, Text)| key.as_bytes().starts_with(prefix.as_bytes());
        let expected: BTreeSet<_> = all_keys.iter().filter(starts).cloned().collect();
        same(format!("keys that start with {prefix:?}"), &found, &expected)?;
    }
    for (place, key) in all_keys {
        for prefix in ["", "2"] {
            let found = run.store.values(scope(), place, key.clone(), prefix.into()).await;
            let found = checked("values", found)?;
            let expected = values_of(&spans, place, &key, prefix);
            let what = format!("values of {key:?} in {place:?} that start with {prefix:?}");
            if found.completeness.sampled {
                same(what, &found.value.is_subset(&expected), &true)?;
            } else {
                same(what, &found.value, &expected)?;
            }
        }
    }
    Ok(())
}

fn keys_of(spans: &[Span]) -> BTreeSet<(AttributeScope, Text)> {
    let mut keys = BTreeSet::new();
    for span in spans {
        for place in AttributeScope::PLACES {
            field::any_attribute(place, span, &mut |attribute| {
                keys.insert((place, attribute.key.clone()));
                false
            });
        }
    }
    keys
}

fn values_of(spans: &[Span], place: AttributeScope, key: &Text, prefix: &str) -> BTreeSet<Text> {
    let mut values = BTreeSet::new();
    for span in spans {
        field::any_value(&Field::Attribute(place, key.clone()), span, &mut |value| {
            values.insert(value.string_form());
            false
        });
    }
    values.retain(|value| value.as_bytes().starts_with(prefix.as_bytes()));
    values
}
