//! Does a re-drawn pass cost a store what the recorded one costs?
//!
//! Two batches of one size are packed: one of recorded spans, and one of the first third of them in
//! three passes. If the drawing is fair, both take as many bytes a span; exact copies under fresh
//! ids would take about two thirds. Equal sizes matter: recorded spans, too, cost the less the more
//! of them share dictionaries.

use std::iter;
use std::ops::Range;

use model::batch::{Builder, SPANS_MAX, encode};
use model::store::RequestDigest;
use model::{BatchId, Tenant};

use crate::feed;
use crate::replay::ReplayPlan;

/// How far the cost of three copies may lie from that of one, as a share of it.
pub const FLATTERY_MAX: f64 = 0.03;

/// What spans cost in a batch, in bytes a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CopyCost {
    /// Recorded spans.
    pub one_copy: f64,
    /// As many spans of three passes over a third of them.
    pub three_copies: f64,
}

impl CopyCost {
    /// How much less the copies cost, as a share of the original; below zero if they cost more.
    pub fn flattery(&self) -> f64 {
        1.0 - self.three_copies / self.one_copy
    }
}

/// Measures the first requests of a plan's first three passes, as many as fit a batch.
pub fn copy_cost(plan: &ReplayPlan) -> anyhow::Result<CopyCost> {
    anyhow::ensure!(plan.passes() >= 3, "a plan of three passes is wanted");
    let per_pass = plan.request_count() / u64::from(plan.passes());
    let fits = |request: &u64| plan.spans_before(request + 1) <= SPANS_MAX as u64;
    // The last request of a pass is left out: it may be a small one.
    let third = (0..per_pass.saturating_sub(1)).take_while(fits).count() as u64 / 3;
    anyhow::ensure!(third > 0, "fewer than three whole requests fit a batch");
    let three_passes = [0, per_pass, 2 * per_pass].map(|first| first..first + third);
    Ok(CopyCost {
        one_copy: bytes_a_span(plan, iter::once(0..3 * third))?,
        three_copies: bytes_a_span(plan, three_passes)?,
    })
}

fn bytes_a_span(
    plan: &ReplayPlan,
    runs: impl IntoIterator<Item = Range<u64>>,
) -> anyhow::Result<f64> {
    let mut builder = Builder::new(Tenant::new("default")?);
    builder.begin_request(RequestDigest([1; 16]));
    for request in runs.into_iter().flatten() {
        feed::tell(&plan.build(request)?.0, &mut builder)?;
    }
    let batch = encode(&builder, BatchId([1; 16]));
    Ok(batch.len() as f64 / builder.span_count() as f64)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::recording::Recording;
    use crate::replay::PlanOptions;

    #[test]
    fn copies_cost_what_the_original_costs() {
        for name in ["hipster-20k.pb.zst", "trainticket-30k.pb.zst", "astronomy-oteltraces.zst"] {
            let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
            let options = PlanOptions {
                passes: 3,
                fresh_ids: true,
                seed: 42,
                latest_end: None,
                spans_per_request: 500,
                whole_traces: false,
            };
            let plan = ReplayPlan::new(Recording::open(&[file], None).unwrap(), options).unwrap();
            let cost = copy_cost(&plan).unwrap();
            println!("{name} seed 42: {cost:?} flattery {:.3}", cost.flattery());
            assert!(cost.flattery().abs() <= FLATTERY_MAX, "{name} seed 42: {cost:?}");
        }
    }
}
