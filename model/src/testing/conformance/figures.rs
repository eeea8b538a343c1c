//! Checks of figures against the reference.

use super::run::{Run, Wrong, complete, same};
use crate::TraceStore;
use crate::query::aggregate::{aggregate, dependencies, finish};
use crate::store::AggregateRequest;

pub(super) async fn made_up_figures_are_exact<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let mut written = run.written("figures", 30).await?;
    let spans = written.spans();
    for _ in 0..run.options.queries {
        let query = written.generator.aggregate_query(&spans);
        let scope = run.options.scope(&written.tenant);
        let request = AggregateRequest { scope, query: query.clone() };
        let found = complete("aggregate", run.store.aggregate(request).await)?;
        let expected = finish(&query, aggregate(&query, written.slices()));
        same(format!("the answer to {query:?}"), &found, &expected)?;
    }
    Ok(())
}

pub(super) async fn dependencies_are_exact<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let mut written = run.written("dependencies", 31).await?;
    let spans = written.spans();
    for _ in 0..5 {
        let window = written.generator.window(&spans);
        let scope = run.options.scope(&written.tenant);
        let found = complete("dependencies", run.store.dependencies(scope, window).await)?;
        let expected = dependencies(window, written.slices());
        same(format!("calls within {window:?}"), &found, &expected)?;
    }
    Ok(())
}
