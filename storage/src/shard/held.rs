//! Memory that a read keeps while it works, and lets go of before its answer is made.
//!
//! What an answer consists of is charged with [`Budget::hold`] and stays charged: whoever puts the
//! answers of shards together has all of them.

use model::budget::{Budget, Exhausted};

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    budget: &'a Budget,
    bytes: u64,
    /// The first refusal.
    refused: Option<Exhausted>,
}

impl<'a> Held<'a> {
    pub(super) fn new(budget: &'a Budget) -> Self {
        Self { budget, bytes: 0, refused: None }
    }

    /// Holds more, unless it was refused before.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.allowed()?;
        self.bytes = self.bytes.saturating_add(bytes);
        self.budget.hold(bytes).inspect_err(|refused| self.refused = Some(*refused))
    }

    /// Holds less.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.let_go(bytes);
    }

    /// Whether nothing was refused: for who grows where there is no way out.
    pub(super) fn allowed(&self) -> Result<(), Exhausted> {
        self.refused.map_or(Ok(()), Err)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.let_go(self.bytes);
    }
}
