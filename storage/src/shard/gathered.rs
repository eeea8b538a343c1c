//! The distinct rows of a trace from all its pieces, straight from indexes.
//!
//! A trace of a million spans is normal, and whatever is asked of all its rows waits for this. So a
//! row is small while rows are sorted, what rows of a class share is found once a class, no name is
//! copied, and the budget is asked every few thousand rows. To let a trace go costs nothing: there
//! is nothing in a row that has to be freed.

use std::sync::Arc;

use model::batch::{Class, Index, TraceRows};
use model::budget::Budget;
use model::effective::operation_of_name;
use model::names::Names;
use model::pace;
use model::span::{SpanKind, StatusCode};
use model::tree::{ParentLink, Parents, TreeRow};
use model::{SpanId, Timestamp, TraceId};

use super::handle::Shard;
use super::outline::parent_link;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

/// A row: forty bytes, for a trace may have millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) start: Timestamp,
    pub(super) span_id: SpanId,
    pub(super) end: Timestamp,
    pub(super) parent: ParentLink,
    /// Place in [`Gathered::kinds`].
    pub(super) kind: u32,
}

/// What rows of a class share.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowKind {
    /// Place in [`Gathered::services`].
    pub(super) service: u32,
    /// Place in [`Gathered::operations`].
    pub(super) operation: u32,
    pub(super) kind: SpanKind,
    pub(super) status: StatusCode,
    pub(super) is_error: bool,
    pub(super) has_events: bool,
    pub(super) has_links: bool,
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
pub(super) struct Gathered {
    /// In the order of a trace, each distinct span once.
    pub(super) rows: Vec<Row>,
    pub(super) kinds: Vec<RowKind>,
    pub(super) services: Names,
    pub(super) operations: Names,
}

impl Shard {
    /// The distinct rows of a trace that lies in `parts`.
    pub(super) fn gather(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Gathered, Error> {
        let mut found = Gathered::default();
        for part in parts {
            let reader = PieceReader::new(self, Arc::clone(part), budget);
            let index = reader.index()?;
            let before = found.rows.len();
            found.add(reader.piece(), &index, id);
            budget.spend(((found.rows.len() - before) * size_of::<Row>()) as u64)?;
        }
        found.rows = pace::sort_by_key(found.rows, order_key, budget)?;
        let mut has_twins = false;
        pace::for_each(found.rows.windows(2), budget, |pair| {
            has_twins |= matches!(pair, [left, right] if order_key(left) == order_key(right));
        })?;
        if has_twins {
            let keys = self.row_keys(parts, id, budget)?;
            let keys = self.distinct_rows(parts, keys, budget)?;
            let row_bytes = size_of::<(usize, Row)>() + size_of::<Row>();
            budget.spend((keys.len() * row_bytes) as u64)?;
            let mut distinct = Gathered::default();
            let mut placed = Vec::with_capacity(keys.len());
            self.visit_rows(parts, &keys, budget, &mut |index, rows| {
                let mut known = Known::of(index);
                for (place, row) in rows {
                    placed.extend(distinct.row(index, row, &mut known).map(|row| (place, row)));
                }
            })?;
            let placed = pace::sort_by_key(placed, |(place, _)| *place, budget)?;
            distinct.rows = pace::collect(placed.into_iter().map(|(_, row)| row), budget)?;
            return Ok(distinct);
        }
        Ok(found)
    }
}

/// As the order of a trace: ids compare as their bytes do.
fn order_key(row: &Row) -> (u64, u64) {
    (row.start.0, u64::from_be_bytes(row.span_id.0))
}

impl Gathered {
    /// What is said of a row's class.
    pub(super) fn kind_of(&self, row: &Row) -> Option<&RowKind> {
        self.kinds.get(row.kind as usize)
    }

    /// The parents of the rows.
    pub(super) fn parents(&self, budget: &Budget) -> Result<Parents, Error> {
        let tree_row =
            |row: &Row| TreeRow { span_id: row.span_id, parent: row.parent, start: row.start };
        let rows = pace::collect(self.rows.iter().map(tree_row), budget)?;
        Ok(Parents::within(&rows, budget)?)
    }

    fn add(&mut self, piece: &Piece, index: &Index, id: TraceId) {
        let mut known = Known::of(index);
        for trace in index.traces.iter().filter(|trace| trace.id == id) {
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
        Some(Row {
            start: *index.starts.get(row)?,
            span_id: *index.span_ids.get(row)?,
            end: *index.ends.get(row)?,
            parent: parent_link(index, row)?,
            kind,
        })
    }

    fn kind(&mut self, index: &Index, class: usize, known: &mut Known) -> Option<u32> {
        let of: &Class = index.classes.get(class)?;
        let (resource, name) = (of.resource as usize, of.name as usize);
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
        self.kinds.push(RowKind {
            service,
            operation,
            kind: of.kind,
            status: of.status.unwrap_or(StatusCode::UNSET),
            is_error: of.is_error(),
            has_events: of.event_count > 0,
            has_links: of.link_count > 0,
        });
        *known.kinds.get_mut(class)? = Some(number);
        Some(number)
    }
}
