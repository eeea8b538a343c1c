//! What every [`TraceStore`] must do, as checks that run on any of them.
//!
//! The suite writes spans made from a seed, asks, and compares with the reference evaluator over
//! the same spans. Reads follow writes at once: QRY-3 promises that an acknowledged span is in
//! the next answer. Each check has tenants of its own, so that one store serves the whole suite,
//! and several seeds after another.
//!
//! A store that cannot do something yet answers [`crate::StoreError::Unsupported`]; calls that the
//! caller of the suite allows to do so are skipped and reported, all others fail. A failure
//! names the check and the seed.

mod catalog;
mod figures;
mod limits;
mod run;
mod searching;
mod writing;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use self::run::{Run, Wrong};
use super::ManualClock;
use crate::budget::Budget;
use crate::store::ReadScope;
use crate::time::Monotonic;
use crate::{Clock, Duration, Tenant, Timestamp, TraceStore};

/// How the suite runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the spans and queries are made from.
    pub seed: u64,
    /// The clock of the reads' budgets; later than its own zero.
    pub clock: Arc<dyn Clock>,
    /// How long a read may take by that clock.
    pub read_deadline: Duration,
    /// How many traces the searches run over.
    pub traces: usize,
    /// How many queries of each kind are made up.
    pub queries: usize,
    /// Calls that may answer "unsupported", by the name of the method.
    pub unsupported: BTreeSet<&'static str>,
}

impl Options {
    /// A small run with a clock that stands still.
    pub fn new(seed: u64) -> Self {
        let clock = ManualClock::new(Timestamp(1_700_000_000_000_000_000));
        clock.advance(Duration::from_secs(1));
        Self {
            seed,
            clock: Arc::new(clock),
            read_deadline: Duration::from_secs(60),
            traces: 40,
            queries: 100,
            unsupported: BTreeSet::new(),
        }
    }

    /// The scope of a read that may cost what it needs.
    pub fn scope(&self, tenant: &Tenant) -> ReadScope {
        let deadline = self.clock.monotonic().plus(self.read_deadline);
        self.scope_within(tenant, deadline, u64::MAX)
    }

    /// The scope of a read with these limits.
    fn scope_within(&self, tenant: &Tenant, deadline: Monotonic, bytes_max: u64) -> ReadScope {
        let budget = Budget::new(Arc::clone(&self.clock), deadline, bytes_max);
        ReadScope { tenant: tenant.clone(), budget, stale: false }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Checks that passed.
    pub passed: Vec<&'static str>,
    /// Checks that met a call which is allowed to be unsupported, with that call.
    pub skipped: Vec<(&'static str, &'static str)>,
}

/// A check that failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("conformance check `{check}` failed with seed {seed}: {reason}")]
pub struct Failure {
    /// Which check.
    pub check: &'static str,
    /// Of which seed.
    pub seed: u64,
    /// What was wrong.
    pub reason: String,
}

/// As people read it: failures are mostly seen through `unwrap`.
impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

macro_rules! run_checks {
    ($run:expr, $report:expr, $($module:ident :: $check:ident),* $(,)?) => {
        $(
            let outcome = Box::pin($module::$check($run)).await;
            note(stringify!($check), outcome, $run.options, $report)?;
        )*
    };
}

/// Runs every check on `store`; stops at the first that fails.
pub async fn run<S: TraceStore>(store: &S, options: &Options) -> Result<Report, Failure> {
    let run = &Run::new(store, options);
    let mut report = Report::default();
    run_checks!(
        run,
        &mut report,
        writing::acknowledged_spans_come_back,
        writing::many_requests_make_whole_traces,
        writing::exact_repeats_count_once,
        writing::different_spans_under_one_id_are_kept,
        writing::tenants_are_apart,
        writing::empty_requests_are_acknowledged,
        writing::open_requests_do_not_mix,
        writing::large_values_and_large_requests_come_back,
        writing::unknown_traces_are_not_found,
        writing::long_traces_are_cut_off_and_say_so,
        writing::columns_show_the_same_trace,
        writing::spans_are_found_by_row,
        writing::archived_traces_are_found,
        writing::purged_tenants_are_empty,
        searching::pages_follow_the_exact_order,
        searching::every_predicate_means_what_it_says,
        searching::made_up_queries_are_answered_exactly,
        searching::windows_include_both_ends,
        searching::hits_carry_whole_traces,
        figures::made_up_figures_are_exact,
        figures::dependencies_are_exact,
        catalog::services_and_operations_are_listed,
        catalog::keys_and_values_are_suggested,
        limits::spent_budgets_end_reads,
        limits::one_budget_serves_several_reads,
        limits::cancelled_reads_end,
        limits::streams_may_be_dropped,
    );
    Ok(report)
}

/// Enters the outcome of a check into the report.
fn note(
    check: &'static str,
    outcome: Result<(), Wrong>,
    options: &Options,
    report: &mut Report,
) -> Result<(), Failure> {
    match outcome {
        Ok(()) => report.passed.push(check),
        Err(Wrong::Unsupported(call)) if options.unsupported.contains(call) => {
            report.skipped.push((check, call));
        }
        Err(wrong) => {
            return Err(Failure { check, seed: options.seed, reason: wrong.to_string() });
        }
    }
    Ok(())
}
