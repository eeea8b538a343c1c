//! The structure of a trace, straight from indexes into columns.
//!
//! A trace of a million spans is normal, and who opens it waits for this. So a row is small while
//! rows are sorted, what rows of a class share is found once a class, and no name is copied.
//! Invariant: equals [`trace::columns`] over the distinct spans. A trace with rows that may be
//! exact repeats (same start and span id) is answered from spans, since only they can tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::batch::{Index, TraceRows};
use model::budget::Budget;
use model::effective::operation_of_name;
use model::store::{Revision, TraceColumns};
use model::trace::{self, FLAG_ERROR, FLAG_EVENTS, FLAG_LINKS, FLAG_ORPHAN, kind_bits};
use model::tree::{ParentLink, Parents, TreeRow};
use model::{Duration, SpanId, Text, Timestamp, TraceId};

use super::handle::Shard;
use super::outline::parent_link;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

/// What is sorted: forty bytes, for a trace may have millions.
#[derive(Debug, Clone, Copy)]
struct Row {
    start: Timestamp,
    span_id: SpanId,
    duration: Duration,
    parent: ParentLink,
    /// Place in [`Gathered::kinds`].
    kind: u32,
}

/// What rows of a class share.
#[derive(Debug, Clone, Copy)]
struct RowKind {
    service: u32,
    operation: u32,
    flags: u8,
}

/// What was found of a piece, by its own numbers: its classes can be as many as its rows, and then
/// even a name should be looked up once.
#[derive(Debug)]
struct Known {
    kinds: Vec<Option<u32>>,
    services: Vec<Option<u32>>,
    operations: Vec<Option<u32>>,
}

impl Known {
    fn of(index: &Index) -> Self {
        Self {
            kinds: vec![None; index.classes.len()],
            services: vec![None; index.services.len()],
            operations: vec![None; index.strings.len()],
        }
    }
}

/// The rows of a trace from all its pieces.
#[derive(Debug, Default)]
struct Gathered {
    rows: Vec<Row>,
    kinds: Vec<RowKind>,
    services: Names,
    operations: Names,
}

impl Shard {
    /// The structure of a trace that lies in `parts`; nothing if they have no span of it.
    pub(super) fn structure(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        revision: Revision,
        budget: &Budget,
    ) -> Result<Option<TraceColumns>, Error> {
        let mut found = Gathered::default();
        for part in parts {
            let reader = PieceReader::new(self, Arc::clone(part), budget);
            let index = reader.index()?;
            let before = found.rows.len();
            found.add(reader.piece(), &index, id);
            budget.spend(((found.rows.len() - before) * size_of::<Row>()) as u64)?;
        }
        if found.rows.is_empty() {
            return Ok(None);
        }
        found.rows.sort_unstable_by_key(order_key);
        if found.rows.is_sorted_by(|left, right| order_key(left) < order_key(right)) {
            return Ok(Some(found.columns(revision)));
        }
        let spans = trace::distinct(self.trace_spans(parts, id, budget)?);
        Ok(Some(trace::columns(&spans, revision)))
    }
}

/// As the order of a trace: ids compare as their bytes do.
fn order_key(row: &Row) -> (u64, u64) {
    (row.start.0, u64::from_be_bytes(row.span_id.0))
}

impl Gathered {
    fn add(&mut self, piece: &Piece, index: &Index, id: TraceId) {
        let mut known = Known::of(index);
        for trace in index.traces.iter().filter(|trace| trace.id == id) {
            self.rows.reserve(trace.count as usize);
            let counted = TraceRows::rows(trace).filter(|row| piece.counts(index, *row));
            for row in counted {
                let found = self.row(index, row, &mut known);
                self.rows.extend(found);
            }
        }
    }

    /// Nothing if the index does not have the row.
    fn row(&mut self, index: &Index, row: usize, known: &mut Known) -> Option<Row> {
        let class = *index.row_classes.get(row)? as usize;
        let kind = match known.kinds.get(class)? {
            Some(kind) => *kind,
            None => self.kind(index, class, known)?,
        };
        let start = *index.starts.get(row)?;
        Some(Row {
            start,
            span_id: *index.span_ids.get(row)?,
            duration: index.ends.get(row)?.since(start),
            parent: parent_link(index, row)?,
            kind,
        })
    }

    fn kind(&mut self, index: &Index, class: usize, known: &mut Known) -> Option<u32> {
        let of = index.classes.get(class)?;
        let (resource, name) = (of.resource as usize, of.name as usize);
        let bit = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = kind_bits(of.kind)
            | bit(of.is_error(), FLAG_ERROR)
            | bit(of.event_count > 0, FLAG_EVENTS)
            | bit(of.link_count > 0, FLAG_LINKS);
        let service = index.services.get(resource)?;
        let service = *known
            .services
            .get_mut(resource)?
            .get_or_insert_with(|| self.services.number(service.clone()));
        let text = index.strings.get(name)?.as_bytes();
        let operation = *known
            .operations
            .get_mut(name)?
            .get_or_insert_with(|| self.operations.number(operation_of_name(text)));
        let number = u32::try_from(self.kinds.len()).ok()?;
        self.kinds.push(RowKind { service, operation, flags });
        *known.kinds.get_mut(class)? = Some(number);
        Some(number)
    }

    /// The columns; rows are in the order of a trace, none twice.
    fn columns(self, revision: Revision) -> TraceColumns {
        let Self { rows, kinds, services, operations } = self;
        let (parents, orphans) = parents_of(&rows);
        let mut columns = TraceColumns {
            span_ids: rows.iter().map(|row| row.span_id).collect(),
            parents,
            starts: rows.iter().map(|row| row.start).collect(),
            durations: rows.iter().map(|row| row.duration).collect(),
            revision,
            ..TraceColumns::default()
        };
        let kind_of = |row: &Row| kinds.get(row.kind as usize);
        let by_row = || rows.iter().filter_map(kind_of);
        (columns.service, columns.services) = services.renumbered(by_row().map(|it| it.service));
        (columns.operation, columns.operations) =
            operations.renumbered(by_row().map(|it| it.operation));
        columns.flags = by_row().map(|it| it.flags).collect();
        for orphan in orphans {
            if let Some(flags) = columns.flags.get_mut(orphan as usize) {
                *flags |= FLAG_ORPHAN;
            }
        }
        columns
    }
}

/// The parent of each row, its own number if it has none, and the orphans.
fn parents_of(rows: &[Row]) -> (Vec<u32>, Vec<u32>) {
    let tree_row =
        |row: &Row| TreeRow { span_id: row.span_id, parent: row.parent, start: row.start };
    let parents = Parents::new(&rows.iter().map(tree_row).collect::<Vec<_>>());
    let own_or = |row: u32| parents.parent(row).unwrap_or(row);
    let by_row = (0..u32::MAX).take(rows.len()).map(own_or).collect();
    (by_row, parents.into_orphans())
}

/// Names with numbers, in the order in which pieces brought them.
#[derive(Debug, Default)]
struct Names {
    names: Vec<Text>,
    numbers: BTreeMap<Text, u32>,
}

impl Names {
    fn number(&mut self, name: Text) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let names = &mut self.names;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        })
    }

    /// The numbers of rows and the names, both by first appearance in the rows: which piece came
    /// first must not be seen.
    fn renumbered(&self, rows: impl Iterator<Item = u32>) -> (Vec<u32>, Vec<Text>) {
        let mut numbers = vec![None; self.names.len()];
        let mut names = Vec::with_capacity(self.names.len());
        let renumber = |old: u32| {
            let place = numbers.get_mut(old as usize)?;
            if place.is_none() {
                *place = u32::try_from(names.len()).ok();
                names.extend(self.names.get(old as usize).cloned());
            }
            *place
        };
        let rows = rows.filter_map(renumber).collect();
        (rows, names)
    }
}
