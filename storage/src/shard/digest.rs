//! What a replica holds as a set, at a mark in the log (REP-2).
//!
//! A mark is an entry that changes nothing. Applying it freezes what there is; later, on a thread
//! that may take its time, the frozen contents become a number: the sum, modulo 2^128, of a hash of
//! every distinct span and its tenant. Two replicas that applied the same entries have the same sum
//! at the same mark, however they sealed and merged. (A sum, because equal spans that are wrongly
//! there twice must not cancel out as they would with exclusive or.)

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use model::batch::TraceRows;
use model::budget::Budget;
use model::canonical::fingerprint;
use model::{Span, Tenant, TraceId, trace};
use twox_hash::XxHash3_128;

use super::handle::Shard;
use super::read::{Snapshot, View};
use super::reader::PieceReader;
use crate::Error;
use crate::log::LogIndex;
use crate::mutant::{self, Mutant};

/// What there was at a mark.
#[derive(Debug)]
pub(super) struct Frozen {
    mark: LogIndex,
    views: Vec<(Tenant, View)>,
}

impl Shard {
    /// Keeps what there is now until its digest is asked for, another mark is applied, or a seal
    /// comes between: what is frozen keeps log and files from going.
    pub(super) fn freeze(&self, mark: LogIndex, tenants: Vec<Tenant>) {
        let view = |tenant: Tenant| Some((tenant.clone(), self.view(&tenant)?));
        let views = tenants.into_iter().filter_map(view).collect();
        *self.frozen() = Some(Frozen { mark, views });
    }

    pub(super) fn thaw(&self) {
        *self.frozen() = None;
    }

    /// The digest at a mark; nothing if that mark is not the last one, if it was asked for before,
    /// if the head was sealed since, or if something is damaged. Reads everything.
    pub fn digest_at(&self, mark: LogIndex, budget: &Budget) -> Result<Option<u128>, Error> {
        let frozen = self.frozen().take_if(|frozen| frozen.mark == mark);
        let Some(frozen) = frozen.filter(|_| !self.has_damage()) else { return Ok(None) };
        let mut sum = 0_u128;
        for (tenant, view) in frozen.views {
            sum = both(sum, self.digest_of(&tenant, view, budget)?);
        }
        Ok(Some(sum))
    }

    fn digest_of(&self, tenant: &Tenant, view: View, budget: &Budget) -> Result<u128, Error> {
        let snapshot = Snapshot::over(self, view);
        let mut sum = 0_u128;
        let mut add = |spans: Vec<Span>| {
            for span in trace::distinct(spans) {
                sum = both(sum, hash(tenant, &span));
            }
        };
        // Traces of which one page does not have all: their parts may be equal.
        let mut cut: BTreeSet<TraceId> = BTreeSet::new();
        for run in snapshot.blocks() {
            for (_, piece) in run.pieces() {
                let reader = PieceReader::new(self, piece.into(), budget);
                let index = reader.index()?;
                let is_cut = |trace: &&TraceRows| !snapshot.is_whole_on_page(trace.id);
                let cut_here = index.traces.iter().filter(is_cut).map(|trace| trace.id);
                let cut_here: BTreeSet<TraceId> = cut_here.collect();
                // The whole page in one go, trace after trace: its columns are walked from their
                // beginning.
                let mut of_trace: Vec<Span> = Vec::new();
                reader.each_span(&index, 0..index.row_classes.len(), &mut |_, span| {
                    if of_trace.last().is_some_and(|last| last.trace_id != span.trace_id) {
                        add(std::mem::take(&mut of_trace));
                    }
                    if !cut_here.contains(&span.trace_id) {
                        of_trace.push(span);
                    }
                })?;
                add(of_trace);
                cut.extend(cut_here);
            }
        }
        for piece in snapshot.batches() {
            let index = PieceReader::new(self, piece.clone(), budget).index()?;
            cut.extend(index.traces.iter().map(|trace| trace.id));
        }
        for id in cut {
            let found =
                self.assemble_trace(&snapshot.parts(id, budget)?, id, usize::MAX, budget)?;
            add(found.map(|trace| trace.spans).unwrap_or_default());
        }
        Ok(sum)
    }

    fn frozen(&self) -> MutexGuard<'_, Option<Frozen>> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn both(one: u128, other: u128) -> u128 {
    if mutant::is(Mutant::DigestXors) { one ^ other } else { one.wrapping_add(other) }
}

fn hash(tenant: &Tenant, span: &Span) -> u128 {
    let mut bytes = fingerprint(span).to_be_bytes().to_vec();
    bytes.extend_from_slice(tenant.as_str().as_bytes());
    XxHash3_128::oneshot(&bytes)
}
