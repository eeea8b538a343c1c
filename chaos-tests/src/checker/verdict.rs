//! What the checker says of a history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::faults::FaultVerdict;
use super::invariant::{Invariant, Violation};

/// Most violations of one promise that are told in words; the others are counted.
const TOLD_MAX: u64 = 20;

/// What was in the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that clients made.
    pub requests: u64,
    /// Of those, acknowledged.
    pub acked_requests: u64,
    /// Spans in them.
    pub acked_spans: u64,
    /// Attempts that were refused.
    pub refused_attempts: u64,
    /// Attempts whose outcome is unknown.
    pub unknown_attempts: u64,
    /// Attempts that found nobody.
    pub unsent_attempts: u64,
    /// Answers that call themselves complete.
    pub complete_answers: u64,
    /// Answers that say what they lack.
    pub partial_answers: u64,
    /// Questions without an answer.
    pub failed_answers: u64,
    /// Spans in answers.
    pub seen_spans: u64,
    /// Spans that were compared in the last readings, all nodes together.
    pub final_spans: u64,
}

/// The judgement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was in the history.
    pub counts: Counts,
    /// How often each promise was broken: in spans, where it is about spans.
    pub broken: BTreeMap<Invariant, u64>,
    /// The first breaches of each promise.
    pub violations: Vec<Violation>,
    /// The faults and how long they were felt.
    pub faults: Vec<FaultVerdict>,
    /// Why this history proves less than it should; a run that has any does not count.
    pub invalid: Vec<String>,
    #[serde(skip)]
    told: BTreeMap<Invariant, u64>,
}

impl Verdict {
    /// Nothing was broken, and the history is whole.
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.invalid.is_empty()
    }

    /// How often a promise was broken.
    pub fn count(&self, invariant: Invariant) -> u64 {
        self.broken.get(&invariant).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, times: u64, violation: Violation) {
        *self.broken.entry(violation.invariant).or_default() += times.max(1);
        let told = self.told.entry(violation.invariant).or_default();
        if *told < TOLD_MAX {
            *told += 1;
            self.violations.push(violation);
        }
    }
}
