//! Counts calls from service to service, trace by trace.

use std::collections::BTreeMap;

use model::aggregate::Counts;
use model::batch::{Class, Index, TraceRows};
use model::columns::cursor::{put_bytes, put_varint};
use model::tree::{Tree, TreeRow};
use model::{Text, TraceId};

use super::build::MINUTE_BITS;
use super::counted::Counted;
use super::encode::{Part, part, put_by_minute};
use super::minute_of;
use crate::block::limits::{ROLLUP_CELLS_MAX, ROLLUP_SERVICES_MAX, ROLLUP_TRACE_ROWS_MAX};
use crate::shard::outline::parent_link;

/// Bits of a service's number in a key.
const SERVICE_BITS: u32 = 16;

const _: () = assert!(ROLLUP_SERVICES_MAX <= 1 << SERVICE_BITS);
const _: () = assert!(MINUTE_BITS + 2 * SERVICE_BITS < 64);

/// The calls of a run, under construction.
#[derive(Debug)]
pub(super) struct CallsBuilder {
    services: Vec<Text>,
    numbers: BTreeMap<Text, u64>,
    has_overflowed: bool,
    /// Minute, caller, callee, error.
    calls: Counted,
    open: Option<OpenTrace>,
    left_out: Vec<TraceId>,
}

/// A trace that goes on on the next page.
#[derive(Debug)]
struct OpenTrace {
    id: TraceId,
    rows: Vec<CallRow>,
    /// It has more rows than are kept.
    is_left_out: bool,
}

#[derive(Debug, Clone, Copy)]
struct CallRow {
    tree: TreeRow,
    service: u64,
    is_error: bool,
}

impl Default for CallsBuilder {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            numbers: BTreeMap::new(),
            has_overflowed: false,
            calls: Counted::new(ROLLUP_CELLS_MAX),
            open: None,
            left_out: Vec::new(),
        }
    }
}

impl CallsBuilder {
    pub(super) fn add_page(&mut self, index: &Index, goes_on: Option<TraceId>) {
        let services: Option<Vec<u64>> =
            index.services.iter().map(|service| self.service(service)).collect();
        let Some(services) = services else { return };
        let mut rows = Vec::new();
        for trace in &index.traces {
            let open = self.open.take_if(|open| open.id == trace.id);
            let goes_on = goes_on == Some(trace.id);
            if open.is_none() && !goes_on {
                rows.clear();
                add_rows(index, trace, &services, &mut rows);
                self.finish_trace(trace.id, &rows);
                continue;
            }
            let new = OpenTrace { id: trace.id, rows: Vec::new(), is_left_out: false };
            let mut open = open.unwrap_or(new);
            open.is_left_out |= open.rows.len() + trace.count as usize > ROLLUP_TRACE_ROWS_MAX;
            if open.is_left_out {
                open.rows = Vec::new();
            } else {
                add_rows(index, trace, &services, &mut open.rows);
            }
            match (goes_on, open.is_left_out) {
                (true, _) => self.open = Some(open),
                (false, true) => self.left_out.push(trace.id),
                (false, false) => self.finish_trace(trace.id, &open.rows),
            }
        }
    }

    /// Counts the calls of a whole trace; its rows stand in the order of traces.
    fn finish_trace(&mut self, id: TraceId, rows: &[CallRow]) {
        let key = |row: &CallRow| (row.tree.start, row.tree.span_id);
        let is_ordered = |pair: &[CallRow]| match pair {
            [left, right] => key(left) < key(right),
            _ => true,
        };
        // Which of two spans with one start and id comes first is not told by columns alone.
        if !rows.windows(2).all(is_ordered) {
            self.left_out.push(id);
            return;
        }
        let tree_rows: Vec<TreeRow> = rows.iter().map(|row| row.tree).collect();
        let tree = Tree::new(&tree_rows);
        for (number, child) in (0..u32::MAX).zip(rows) {
            let parent = tree.parent(number).and_then(|parent| rows.get(parent as usize));
            if let Some(parent) = parent {
                let edge = (parent.service << SERVICE_BITS | child.service) << 1;
                let minute = minute_of(child.tree.start) << (2 * SERVICE_BITS + 1);
                self.calls.add(minute | edge | u64::from(child.is_error), 1);
            }
        }
    }

    fn service(&mut self, service: &Text) -> Option<u64> {
        if let Some(number) = self.numbers.get(service) {
            return Some(*number);
        }
        if self.has_overflowed || self.services.len() >= ROLLUP_SERVICES_MAX {
            self.has_overflowed = true;
            return None;
        }
        let number = self.services.len() as u64;
        let own = Text::copy_from(service.as_bytes());
        self.services.push(own.clone());
        self.numbers.insert(own, number);
        Some(number)
    }

    /// The part; nothing if there is too much to count.
    pub(super) fn encode(self, base: u64) -> Option<Part> {
        let calls = self.calls.finish().filter(|_| !self.has_overflowed)?;
        let mut cells: Vec<(u64, u64, u64, Counts)> = Vec::new();
        let service = |number: u64| number & ((1 << SERVICE_BITS) - 1);
        for (number, count) in calls {
            let spans = u64::from(count);
            let counts = Counts { spans, errors: if number & 1 != 0 { spans } else { 0 } };
            let edge = number >> 1;
            let (minute, parent) = (edge >> (2 * SERVICE_BITS), service(edge >> SERVICE_BITS));
            match cells.last_mut() {
                Some((own_minute, own_parent, own_child, own))
                    if (*own_minute, *own_parent, *own_child)
                        == (minute, parent, service(edge)) =>
                {
                    own.add(counts);
                }
                _ => cells.push((minute, parent, service(edge), counts)),
            }
        }
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.services.len() as u64);
        self.services.iter().for_each(|service| put_bytes(&mut bytes, service.as_bytes()));
        put_varint(&mut bytes, self.left_out.len() as u64);
        self.left_out.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        put_by_minute(
            &mut bytes,
            base,
            &cells,
            |cell| cell.0,
            |out, _, cell| {
                for number in [cell.1, cell.2, cell.3.spans, cell.3.errors] {
                    put_varint(out, number);
                }
            },
        );
        Some(Part { number: part::CALLS, bytes })
    }
}

fn add_rows(index: &Index, trace: &TraceRows, services: &[u64], out: &mut Vec<CallRow>) {
    let row = |row: usize| {
        let class: &Class = index.class(row)?;
        Some(CallRow {
            tree: TreeRow {
                span_id: *index.span_ids.get(row)?,
                parent: parent_link(index, row)?,
                start: *index.starts.get(row)?,
            },
            service: *services.get(class.resource as usize)?,
            is_error: class.is_error(),
        })
    };
    out.extend(trace.rows().filter_map(row));
}
