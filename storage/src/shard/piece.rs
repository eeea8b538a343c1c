//! A piece: rows of one tenant that are read together; a batch of the head, or a page of a block.
//!
//! Everything that answers questions works on pieces and does not know where they lie.

use std::sync::Arc;

use model::batch::{Header, Index};
use model::{TimeRange, Timestamp};

use super::blocks::Block;
use super::rows::RowSet;
use crate::block::PageInfo;
use crate::log::LogIndex;

/// Rows that are read together: where they lie, and what is known of them without reading.
#[derive(Debug)]
pub(super) struct Piece {
    /// Names it in the cache: no other piece of the shard ever has this number.
    pub(super) number: u64,
    /// Where it lies.
    pub(super) place: Place,
    /// Its length in bytes.
    pub(super) length: u32,
    /// The earliest start of a span.
    pub(super) start_min: Timestamp,
    /// The latest start of a span.
    pub(super) start_max: Timestamp,
    /// The requests in it whose rows came before, ascending. Sealing leaves such rows out.
    pub(super) repeats: Box<[u32]>,
}

/// Where a piece lies.
#[derive(Debug)]
pub(super) enum Place {
    /// In the log: a committed batch that is in no block yet.
    Log {
        /// The entry that holds it.
        index: LogIndex,
        /// Where it begins in the entry.
        offset: u32,
        /// The stamp of its entry; an hour of these is a bucket.
        stamp: Timestamp,
        /// What its header says.
        header: Box<Header>,
    },
    /// On a page of a block.
    Page {
        /// The block.
        block: Arc<Block>,
        /// Where in it.
        page: PageInfo,
    },
}

/// Set in the numbers of pages: batches count from zero.
const PAGE_NUMBERS: u64 = 1 << 63;
/// Pages of a block that can be told apart: tenants times pages of a run, and then some.
const PAGE_NUMBER_BITS: u32 = 25;

impl Piece {
    /// The page of a block, by its number within the block.
    pub(super) fn of_page(block: &Arc<Block>, number: u32, page: &PageInfo) -> Self {
        Self {
            number: Self::page_number(block, number),
            place: Place::Page { block: Arc::clone(block), page: *page },
            length: page.length,
            start_min: page.start_min,
            start_max: page.start_max,
            repeats: Box::default(),
        }
    }

    /// The number of a page among all pieces of the shard.
    pub(super) fn page_number(block: &Block, number: u32) -> u64 {
        PAGE_NUMBERS | block.number() << PAGE_NUMBER_BITS | u64::from(number)
    }

    /// Whether a span that starts within `window` may be in it.
    pub(super) fn overlaps(&self, window: TimeRange) -> bool {
        TimeRange { start: self.start_min, end: self.start_max }.overlaps(&window)
    }

    /// Whether a row counts: whether it is of no repeated request.
    pub(super) fn counts(&self, index: &Index, row: usize) -> bool {
        let request = index.row_requests.get(row);
        self.repeats.is_empty()
            || request.is_none_or(|request| self.repeats.binary_search(request).is_err())
    }

    /// The rows that count.
    pub(super) fn counted_rows(&self, index: &Index) -> RowSet {
        let row_count = index.row_classes.len();
        if self.repeats.is_empty() {
            return RowSet::full(row_count);
        }
        RowSet::from_test(row_count, |row| self.counts(index, row))
    }

    /// The rows that count and start within `window`.
    pub(super) fn counted_rows_within(&self, index: &Index, window: TimeRange) -> RowSet {
        let mut rows = self.counted_rows(index);
        if !window.contains(self.start_min) || !window.contains(self.start_max) {
            rows.intersect(&RowSet::from_test(index.starts.len(), |row| {
                index.starts.get(row).is_some_and(|start| window.contains(*start))
            }));
        }
        rows
    }

    /// The stamp, if it lies in the log.
    pub(super) fn log_stamp(&self) -> Option<Timestamp> {
        match &self.place {
            Place::Log { stamp, .. } => Some(*stamp),
            Place::Page { .. } => None,
        }
    }
}
