//! Traces that lie apart: with parts in several blocks.
//!
//! Rollups count what is in one block. Of a trace whose parts lie in several, the parts together
//! may say what the whole does not: it would count once for each, a repeated span several times,
//! and a call between two parts not at all. So figures take away what the parts say and add what
//! the whole says. What that takes is kept as long as the blocks stay what they are, and what is
//! kept of traces that a change of blocks did not touch is used again. One question finds it out
//! for all that ask at the same time, and what it has found when its time is over is kept as well.
//!
//! Why it is not written into blocks: what the whole is depends on which blocks there are. One goes
//! with its bucket or is found damaged, and what another had written of the two would be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use model::aggregate::Counts;
use model::budget::{Budget, Exhausted};
use model::pace;
use model::{Tenant, Text, Timestamp, TraceId};

use super::asked::Numbered;
use super::handle::Shard;
use super::held::Held;
use super::limits::{APART_NAMES_MAX, APART_ROWS_MAX, APART_TENANTS_MAX, APART_TRACE_PAGES_MAX};
use super::outline::{Call, NumberedEdges, Outline};
use super::piece::{Piece, Place};
use super::read::Snapshot;
use crate::Error;
use crate::block::SortedIds;
use crate::block::zones::ZoneClass;

/// A trace with parts in several blocks.
#[derive(Debug)]
pub(super) struct ApartTrace {
    pub(super) id: TraceId,
    /// The pieces that its parts may lie on.
    pieces: Vec<u64>,
    pub(super) parts: Vec<ApartPart>,
    /// A span lies, or may lie, in more than one part.
    pub(super) has_repeats: bool,
    /// The calls in the whole.
    pub(super) calls: Vec<Call>,
    /// It has so many rows that nothing is kept of them: whoever counts it reads it.
    pub(super) is_long: bool,
}

/// Its rows in one block.
#[derive(Debug)]
pub(super) struct ApartPart {
    /// The number of the block.
    pub(super) block: u64,
    /// Start and number of the class.
    pub(super) rows: Vec<(Timestamp, u32)>,
    /// The calls that this part alone tells of.
    pub(super) calls: Vec<Call>,
}

/// What is known of a tenant's traces that lie apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Apart {
    /// The blocks, and the version of the splits.
    key: (Vec<u64>, u64),
    pub(super) classes: Numbered<ZoneClass>,
    pub(super) services: Numbered<Text>,
    pub(super) traces: BTreeMap<TraceId, Arc<ApartTrace>>,
}

impl ApartTrace {
    /// Rows that are kept of it.
    fn row_count(&self) -> usize {
        self.parts.iter().map(|part| part.rows.len()).sum()
    }
}

impl Apart {
    /// Adds what was known before, as far as it may still be asked for and has room.
    fn add_rest_of(&mut self, old: &Self, may_lie_apart: impl Fn(TraceId) -> bool) {
        let rows: usize = self.traces.values().map(|trace| trace.row_count()).sum();
        let mut rows_left = APART_ROWS_MAX.saturating_sub(rows);
        for (id, trace) in &old.traces {
            if self.traces.contains_key(id) || !may_lie_apart(*id) {
                continue;
            }
            let Some(left) = rows_left.checked_sub(trace.row_count()) else { break };
            rows_left = left;
            self.traces.insert(*id, Arc::clone(trace));
        }
    }
}

/// Names what is known before all of it is: no snapshot has it.
const UNFINISHED: u64 = u64::MAX;

/// The same of the tenants that asked last.
#[derive(Debug, Default)]
pub(super) struct ApartCache {
    known: Mutex<Vec<(Tenant, Arc<Apart>)>>,
    /// The tenants of which somebody is finding it out.
    sought: Mutex<BTreeSet<Tenant>>,
    is_found: Condvar,
}

/// How long to wait for whoever is finding it out before looking whether the own caller has left.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(5);

/// One question at a time finds it out for a tenant, and ends that as it is dropped.
struct Seeking<'a> {
    cache: &'a ApartCache,
    tenant: &'a Tenant,
}

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        let mut sought = self.cache.sought.lock().unwrap_or_else(PoisonError::into_inner);
        sought.remove(self.tenant);
        self.cache.is_found.notify_all();
    }
}

impl ApartCache {
    /// Waits until nobody else is finding it out.
    fn seek<'a>(&'a self, tenant: &'a Tenant, budget: &Budget) -> Result<Seeking<'a>, Exhausted> {
        let mut sought = self.sought.lock().unwrap_or_else(PoisonError::into_inner);
        while sought.contains(tenant) {
            budget.spend(0)?;
            let waited = self.is_found.wait_timeout(sought, LOOK_EVERY);
            (sought, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        sought.insert(tenant.clone());
        Ok(Seeking { cache: self, tenant })
    }

    fn get(&self, tenant: &Tenant) -> Option<Arc<Apart>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(own, _)| own == tenant).map(|(_, apart)| Arc::clone(apart))
    }

    fn put(&self, tenant: &Tenant, apart: &Arc<Apart>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(own, _)| own != tenant);
        if known.len() >= APART_TENANTS_MAX {
            known.remove(0);
        }
        known.push((tenant.clone(), Arc::clone(apart)));
    }
}

impl Shard {
    /// The traces with parts in several blocks of the snapshot; nothing if there are too many to
    /// be kept.
    pub(super) fn apart(
        &self,
        tenant: &Tenant,
        snapshot: &Snapshot<'_>,
        budget: &Budget,
    ) -> Result<Option<Arc<Apart>>, Error> {
        let blocks = snapshot.blocks().iter().map(|run| run.block.number()).collect();
        let key = (blocks, snapshot.splits_version());
        let is_it = |known: &Arc<Apart>| known.key == key;
        if let Some(known) = self.apart.get(tenant).filter(is_it) {
            return Ok(Some(known));
        }
        let _seeking = self.apart.seek(tenant, budget)?;
        // Somebody else may have found it out meanwhile.
        let old = self.apart.get(tenant).unwrap_or_default();
        if is_it(&old) {
            return Ok(Some(old));
        }
        let names = old.classes.things().len() + old.services.things().len();
        let old = if names > APART_NAMES_MAX { Arc::default() } else { old };
        let mut apart = Apart {
            key,
            classes: old.classes.clone(),
            services: old.services.clone(),
            traces: BTreeMap::new(),
        };
        let is_whole = self.find_apart(&mut apart, &old, snapshot, &budget.unmetered());
        if !matches!(is_whole, Ok(true)) {
            // What was found is of use to the next question, which then gets further.
            apart.add_rest_of(&old, |id| snapshot.splits().contains_key(&id));
            apart.key = (Vec::new(), UNFINISHED);
        }
        let apart = Arc::new(apart);
        self.apart.put(tenant, &apart);
        Ok(is_whole?.then_some(apart))
    }

    /// Finds the traces that lie apart; false if there are too many.
    fn find_apart(
        &self,
        apart: &mut Apart,
        old: &Apart,
        snapshot: &Snapshot<'_>,
        budget: &Budget,
    ) -> Result<bool, Error> {
        let mut rows_left = APART_ROWS_MAX;
        let mut held = Held::new(budget);
        let Some(split) = split_pieces(snapshot, budget, &mut held)? else { return Ok(false) };
        for (id, pieces) in split {
            let numbers: Vec<u64> = pieces.iter().map(|piece| piece.number).collect();
            let known = old.traces.get(&id).filter(|known| known.pieces == numbers);
            let trace = match known {
                Some(known) => Arc::clone(known),
                None => Arc::new(self.apart_trace(apart, id, &pieces, budget)?),
            };
            let Some(left) = rows_left.checked_sub(trace.row_count()) else { return Ok(false) };
            rows_left = left;
            if trace.parts.len() > 1 {
                apart.traces.insert(id, trace);
            }
        }
        Ok(true)
    }

    fn apart_trace(
        &self,
        apart: &mut Apart,
        id: TraceId,
        pieces: &[Arc<Piece>],
        budget: &Budget,
    ) -> Result<ApartTrace, Error> {
        let is_long =
            self.trace_rows(pieces, id, budget)? > APART_TRACE_PAGES_MAX * self.page_rows();
        let mut parts = Vec::new();
        for of_block in pieces.chunk_by(|left, right| block_of(left) == block_of(right)) {
            if is_long {
                let block = of_block.first().map_or(u64::MAX, |piece| block_of(piece));
                parts.push(ApartPart { block, rows: Vec::new(), calls: Vec::new() });
                continue;
            }
            let outline = self.outline(of_block, id, budget)?;
            let Some(block) = of_block.first().map(|piece| block_of(piece)) else { continue };
            if outline.found.rows.is_empty() {
                continue;
            }
            let numbers: Vec<u32> = zone_classes(&outline)
                .map(|class| apart.classes.number(&class, || own_class(&class)))
                .collect();
            let number = |kind: u32| numbers.get(kind as usize).copied().unwrap_or(u32::MAX);
            let rows = outline.found.rows.iter();
            let rows = rows.map(|row| (row.start, number(row.kind))).collect();
            let calls = calls_of(&outline, &mut apart.services, budget)?;
            parts.push(ApartPart { block, rows, calls });
        }
        let numbers = pieces.iter().map(|piece| piece.number).collect();
        if is_long {
            let (has_repeats, calls) = (true, Vec::new());
            return Ok(ApartTrace { id, pieces: numbers, has_repeats, calls, is_long, parts });
        }
        let whole = self.outline(pieces, id, budget)?;
        let of_parts: usize = parts.iter().map(|part| part.rows.len()).sum();
        Ok(ApartTrace {
            id,
            pieces: numbers,
            is_long,
            has_repeats: whole.found.rows.len() < of_parts,
            calls: calls_of(&whole, &mut apart.services, budget)?,
            parts,
        })
    }
}

/// A trace, and the pieces that its parts may lie on.
type SplitPieces = (TraceId, Vec<Arc<Piece>>);

/// The traces that may have parts in several blocks, in the order of their pages, so that each
/// page is unpacked about once. Nothing if there are so many that nothing is kept of them.
fn split_pieces(
    snapshot: &Snapshot<'_>,
    budget: &Budget,
    held: &mut Held<'_>,
) -> Result<Option<Vec<SplitPieces>>, Error> {
    let mut starts: Vec<(TraceId, usize, u32)> = Vec::new();
    // Each table is asked once, for all of them: one after the other they would be slower to find
    // than to count.
    held.grow((snapshot.splits().len() * 2 * size_of::<TraceId>()) as u64)?;
    let ids = SortedIds::new(snapshot.splits().keys().copied());
    for number in 0..snapshot.blocks().len() {
        let before = starts.len();
        snapshot.starts(&ids, number, budget, &mut |id, page| starts.push((id, number, page)))?;
        held.grow(((starts.len() - before) * size_of::<(TraceId, usize, u32)>()) as u64)?;
    }
    drop(ids);
    let starts = pace::sort_by_key(starts, |start| *start, budget)?;
    let mut found = Vec::new();
    let mut spans = 0;
    for of_trace in starts.chunk_by(|(left, ..), (right, ..)| left == right) {
        budget.spend(0)?;
        let is_apart =
            of_trace.first().map(|start| start.1) != of_trace.last().map(|start| start.1);
        let Some((id, ..)) = of_trace.first().copied().filter(|_| is_apart) else { continue };
        spans +=
            snapshot.splits().get(&id).map_or(0, |split| split.spans.min(APART_ROWS_MAX as u64));
        // By what the splits say, in which a span may count twice.
        if spans > 4 * APART_ROWS_MAX as u64 {
            return Ok(None);
        }
        let mut pieces = Vec::new();
        for of_run in of_trace.chunk_by(|(_, left, _), (_, right, _)| left == right) {
            let Some(run) = of_run.first().and_then(|start| snapshot.blocks().get(start.1)) else {
                continue;
            };
            let mut pages: Vec<u32> = of_run.iter().map(|(.., page)| *page).collect();
            run.pieces_from(&mut pages, &mut pieces);
        }
        let pieces_bytes = pieces.len() * (size_of::<Arc<Piece>>() + size_of::<Piece>());
        held.grow((size_of::<SplitPieces>() + pieces_bytes) as u64)?;
        found.push((id, pieces));
        // Each has a row in two blocks at least.
        if found.len() > APART_ROWS_MAX / 2 {
            return Ok(None);
        }
    }
    found.sort_unstable_by_key(|(id, pieces)| (pieces.first().map(|piece| piece.number), *id));
    Ok(Some(found))
}

/// The block of a page.
pub(super) fn block_of(piece: &Piece) -> u64 {
    match &piece.place {
        Place::Page { block, .. } => block.number(),
        Place::Log { .. } => u64::MAX,
    }
}

/// Copied, so that no page is kept alive.
fn own_class(class: &ZoneClass) -> ZoneClass {
    ZoneClass {
        service: Text::copy_from(class.service.as_bytes()),
        operation: Text::copy_from(class.operation.as_bytes()),
        ..class.clone()
    }
}

/// The classes of an outline, by the numbers of its kinds.
fn zone_classes(outline: &Outline) -> impl Iterator<Item = ZoneClass> {
    let name =
        |names: &[Text], number: u32| names.get(number as usize).cloned().unwrap_or_default();
    outline.found.kinds.iter().map(move |kind| ZoneClass {
        service: name(outline.services(), kind.service),
        operation: name(outline.found.operations.as_slice(), kind.operation),
        kind: kind.kind,
        status: kind.status,
    })
}

/// The calls between the spans of a trace, by child, with the numbers of these services.
fn calls_of(
    outline: &Outline,
    services: &mut Numbered<Text>,
    budget: &Budget,
) -> Result<Vec<Call>, Error> {
    let own = |name: &Text| Text::copy_from(name.as_bytes());
    let names = outline.services().iter();
    let numbers: Vec<u32> = names.map(|name| services.number(name, || own(name))).collect();
    let number = |service: u32| numbers.get(service as usize).copied().unwrap_or(u32::MAX);
    let mut calls = Vec::new();
    outline.calls(budget, |call| {
        calls.push(Call { parent: number(call.parent), child: number(call.child), ..call });
    })?;
    Ok(calls)
}

/// What an edge takes besides its names.
const EDGE_BYTES: u64 = 160;

/// Calls by the services between which they are.
#[derive(Debug, Default)]
pub(super) struct Edges {
    pub(super) counts: BTreeMap<(Text, Text), Counts>,
    /// Bytes that no budget was charged for yet.
    uncharged: u64,
}

impl Edges {
    pub(super) fn add(&mut self, parent: &Text, child: &Text, counts: Counts) {
        let edge = (parent.clone(), child.clone());
        if let Some(own) = self.counts.get_mut(&edge) {
            own.add(counts);
            return;
        }
        self.uncharged += EDGE_BYTES + (parent.len() + child.len()) as u64;
        // Copies, so that no page is kept alive.
        let own = |name: &Text| Text::copy_from(name.as_bytes());
        self.counts.insert((own(parent), own(child)), counts);
    }

    /// Charges what was added.
    pub(super) fn charge(&mut self, budget: &Budget) -> Result<(), Error> {
        let bytes = std::mem::take(&mut self.uncharged);
        if bytes > 0 {
            budget.hold(bytes)?;
        }
        Ok(())
    }

    /// Adds those of the calls that start when it counts.
    pub(super) fn add_calls(
        &mut self,
        calls: &[Call],
        services: &[Text],
        counts_at: impl Fn(Timestamp) -> bool,
    ) {
        let mut edges = NumberedEdges::default();
        calls.iter().filter(|call| counts_at(call.start)).for_each(|call| edges.add(call));
        self.add_numbered(&edges, services);
    }

    /// Adds those of a trace whose callee starts when it counts.
    pub(super) fn add_outline(
        &mut self,
        outline: &Outline,
        counts_at: impl Fn(Timestamp) -> bool,
        budget: &Budget,
    ) -> Result<(), Error> {
        let mut edges = NumberedEdges::default();
        outline.calls(budget, |call| {
            if counts_at(call.start) {
                edges.add(&call);
            }
        })?;
        self.add_numbered(&edges, outline.services());
        self.charge(budget)
    }

    fn add_numbered(&mut self, edges: &NumberedEdges, services: &[Text]) {
        for ((parent, child), counts) in &edges.0 {
            let parent = services.get(*parent as usize);
            if let (Some(parent), Some(child)) = (parent, services.get(*child as usize)) {
                self.add(parent, child, *counts);
            }
        }
    }

    /// Takes away calls that were added.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (edge, counts) in &other.counts {
            if let Some(own) = self.counts.get_mut(edge) {
                own.subtract(*counts);
            }
        }
        self.counts.retain(|_, counts| counts.spans > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ids: std::ops::Range<u64>, rows: usize) -> Apart {
        let trace = |number: u64| {
            let id = TraceId(u128::from(number).to_be_bytes());
            let rows = vec![(Timestamp(0), 0); rows];
            let parts = vec![ApartPart { block: 1, rows, calls: Vec::new() }];
            let (pieces, calls) = (Vec::new(), Vec::new());
            let trace = ApartTrace { id, pieces, parts, has_repeats: false, calls, is_long: false };
            (id, Arc::new(trace))
        };
        Apart { traces: ids.map(trace).collect(), ..Apart::default() }
    }

    #[test]
    fn what_was_known_stays_as_long_as_it_is_asked_for_and_has_room() {
        let even = |id: TraceId| u128::from_be_bytes(id.0).is_multiple_of(2);
        let mut apart = known(0..10, 3);
        apart.add_rest_of(&known(5..20, 3), even);
        assert_eq!(apart.traces.len(), 10 + 5);
        let half = APART_ROWS_MAX / 2;
        let mut apart = known(0..1, half);
        apart.add_rest_of(&known(1..5, half), |_| true);
        assert_eq!(apart.traces.len(), 2, "no more rows than may be kept");
    }
}
