//! Traces by id.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::budget::Budget;
use model::store::{Revision, Trace, TraceColumns};
use model::trace::{FLAG_ERROR, FLAG_EVENTS, FLAG_LINKS, FLAG_ORPHAN, kind_bits};
use model::{Tenant, Text, TraceId};

use super::handle::Shard;
use super::head::{HeadBatch, TenantHead};
use super::outline::{Outline, OutlineRow};
use crate::Error;

/// A tenant's batches at one moment. What is applied later is not in it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) head: Arc<TenantHead>,
    pub(super) batches: Vec<Arc<HeadBatch>>,
}

impl Snapshot {
    /// The batches of a trace, in the order of the log.
    pub(super) fn parts(&self, id: TraceId) -> Vec<Arc<HeadBatch>> {
        self.at(&self.head.parts(id, self.batches.len()))
    }

    /// The batches at these places.
    pub(super) fn at(&self, places: &[u32]) -> Vec<Arc<HeadBatch>> {
        let batch = |place: &u32| self.batches.get(*place as usize).cloned();
        places.iter().filter_map(batch).collect()
    }
}

impl Shard {
    /// The tenant's batches as they are now; nothing if it has none.
    pub(super) fn snapshot(&self, tenant: &Tenant) -> Option<Snapshot> {
        let head = self.tenant(tenant)?;
        let batches = head.batches();
        Some(Snapshot { head, batches })
    }

    /// The trace with all its distinct spans, cut off after `spans_max`; nothing if no span of it
    /// is known.
    pub fn trace(
        &self,
        tenant: &Tenant,
        id: TraceId,
        spans_max: usize,
        budget: &Budget,
    ) -> Result<Option<Trace>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(None) };
        self.assemble_trace(&snapshot.parts(id), id, spans_max, budget)
    }

    /// The structure of a trace in columns; nothing if no span of it is known. A trace without
    /// doubtful repeats is answered from indexes alone.
    pub fn trace_columns(
        &self,
        tenant: &Tenant,
        id: TraceId,
        budget: &Budget,
    ) -> Result<Option<TraceColumns>, Error> {
        let applied = self.applied().map_or(0, |index| index.0);
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(None) };
        let parts = snapshot.parts(id);
        let outline = self.outline(&parts, id, budget)?;
        let part_count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let revision = Revision { shard: self.id().0, applied, parts: part_count };
        Ok((!outline.rows.is_empty()).then(|| columns(&outline, revision)))
    }
}

fn columns(outline: &Outline, revision: Revision) -> TraceColumns {
    let tree = outline.tree();
    let mut columns = TraceColumns { revision, ..TraceColumns::default() };
    let mut services = Names::default();
    let mut operations = Names::default();
    for (number, row) in (0..u32::MAX).zip(&outline.rows) {
        columns.span_ids.push(row.span_id);
        columns.parents.push(tree.parent(number).unwrap_or(number));
        columns.starts.push(row.start);
        columns.durations.push(row.end.since(row.start));
        columns.service.push(services.number(&row.service));
        columns.operation.push(operations.number(&row.operation));
        columns.flags.push(flags(row, tree.is_orphan(number)));
    }
    columns.services = services.names;
    columns.operations = operations.names;
    columns
}

fn flags(row: &OutlineRow, is_orphan: bool) -> u8 {
    let bit = |set: bool, flag: u8| if set { flag } else { 0 };
    kind_bits(row.kind)
        | bit(row.is_error, FLAG_ERROR)
        | bit(row.has_events, FLAG_EVENTS)
        | bit(row.has_links, FLAG_LINKS)
        | bit(is_orphan, FLAG_ORPHAN)
}

/// Numbers names by first appearance.
#[derive(Default)]
struct Names {
    names: Vec<Text>,
    numbers: BTreeMap<Text, u32>,
}

impl Names {
    fn number(&mut self, name: &Text) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }
}
