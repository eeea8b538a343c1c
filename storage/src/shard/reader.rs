//! Reads one piece: from the cache, from the log, or from a block.
//!
//! Every access is charged to the budget, cached or not, so that what a read may do does not
//! depend on what others did before.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use model::Span;
use model::TraceId;
use model::batch::{Batch, BatchError, Details, Index, Values, each_span};
use model::budget::Budget;

use super::cache::{CachedPart, Decoded, Key};
use super::handle::Shard;
use super::limits::{SPAN_BYTES_ESTIMATE, STRETCH_SPANS};
use super::piece::{Piece, Place};
use crate::Error;

/// One piece, read as far as it is asked for.
#[derive(Debug)]
pub(super) struct PieceReader<'a> {
    shard: &'a Shard,
    piece: Arc<Piece>,
    budget: &'a Budget,
    opened: OnceCell<Batch>,
}

impl<'a> PieceReader<'a> {
    pub(super) fn new(shard: &'a Shard, piece: Arc<Piece>, budget: &'a Budget) -> Self {
        Self { shard, piece, budget, opened: OnceCell::new() }
    }

    pub(super) fn piece(&self) -> &Piece {
        &self.piece
    }

    /// The index.
    pub(super) fn index(&self) -> Result<Arc<Index>, Error> {
        if let Some(index) = self.cached_index()? {
            return Ok(index);
        }
        let (index, bytes) = self.read_index()?;
        self.put(CachedPart::Index, Decoded::Index(Arc::clone(&index)), bytes);
        Ok(index)
    }

    /// The same for one who does not come back: the cache keeps what others ask for.
    pub(super) fn index_once(&self) -> Result<Arc<Index>, Error> {
        match self.cached_index()? {
            Some(index) => Ok(index),
            None => self.read_index().map(|(index, _)| index),
        }
    }

    fn cached_index(&self) -> Result<Option<Arc<Index>>, Error> {
        let cached = self.shard.cache.get(self.key(CachedPart::Index));
        let Some((Decoded::Index(index), bytes)) = cached else { return Ok(None) };
        self.budget.spend(bytes as u64)?;
        Ok(Some(index))
    }

    fn read_index(&self) -> Result<(Arc<Index>, usize), Error> {
        let index = self.open()?.index().map_err(|error| self.damaged(error))?;
        let bytes = index.bytes();
        self.budget.spend(bytes as u64)?;
        Ok((Arc::new(index), bytes))
    }

    /// The columns of span attributes.
    pub(super) fn values(&self, index: &Index) -> Result<Arc<Values>, Error> {
        let cached = self.shard.cache.get(self.key(CachedPart::Values));
        if let Some((Decoded::Values(values), bytes)) = cached {
            self.budget.spend(bytes as u64)?;
            return Ok(values);
        }
        let bytes = self.unpacked_bytes(index, true)?;
        self.budget.spend(bytes as u64)?;
        let values = self.open()?.values(index).map_err(|error| self.damaged(error))?;
        let values = Arc::new(values);
        self.put(CachedPart::Values, Decoded::Values(Arc::clone(&values)), bytes);
        Ok(values)
    }

    /// Events and links.
    pub(super) fn details(&self, index: &Index) -> Result<Arc<Details>, Error> {
        let cached = self.shard.cache.get(self.key(CachedPart::Details));
        if let Some((Decoded::Details(details), bytes)) = cached {
            self.budget.spend(bytes as u64)?;
            return Ok(details);
        }
        let has_details =
            index.classes.iter().any(|class| class.event_count > 0 || class.link_count > 0);
        let bytes = if has_details { self.unpacked_bytes(index, false)? } else { 0 };
        self.budget.spend(bytes as u64)?;
        let details = self.open()?.details(index).map_err(|error| self.damaged(error))?;
        let details = Arc::new(details);
        self.put(CachedPart::Details, Decoded::Details(Arc::clone(&details)), bytes);
        Ok(details)
    }

    /// Appends the spans of a trace that are no repeats.
    pub(super) fn trace_spans(&self, id: TraceId, out: &mut Vec<Span>) -> Result<(), Error> {
        let index = self.index()?;
        for trace in index.traces.iter().filter(|trace| trace.id == id) {
            self.spans(&index, trace.rows(), out)?;
        }
        Ok(())
    }

    /// Appends the spans of a stretch of rows that are no repeats.
    pub(super) fn spans(
        &self,
        index: &Index,
        rows: std::ops::Range<usize>,
        out: &mut Vec<Span>,
    ) -> Result<(), Error> {
        self.each_span(index, rows, &mut |_, span| out.push(span))
    }

    /// Tells the spans of a stretch of rows that are no repeats, with their rows.
    pub(super) fn each_span(
        &self,
        index: &Index,
        rows: std::ops::Range<usize>,
        tell: &mut dyn FnMut(usize, Span),
    ) -> Result<(), Error> {
        self.budget.spend(rows.len() as u64 * SPAN_BYTES_ESTIMATE)?;
        let values = self.values(index)?;
        let details = self.details(index)?;
        let mut stopped = Ok(());
        let mut row = rows.start;
        let read = each_span(index, &values, &details, rows, &mut |span| {
            if self.piece.counts(index, row) {
                tell(row, span);
            }
            row += 1;
            if row.is_multiple_of(STRETCH_SPANS) {
                stopped = self.budget.spend(0);
            }
            if stopped.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        read.map_err(|error| self.damaged(error))?;
        Ok(stopped?)
    }

    /// The error of a damaged batch or page.
    pub(super) fn damaged(&self, source: BatchError) -> Error {
        match &self.piece.place {
            Place::Log { index, offset, .. } => {
                let (index, offset) = (*index, *offset);
                Error::Batch { group: self.shard.group(), index, offset, source }
            }
            Place::Page { block, page } => {
                self.shard.damaged_block(block, block.damaged_page(page, source))
            }
        }
    }

    fn open(&self) -> Result<&Batch, Error> {
        if let Some(batch) = self.opened.get() {
            return Ok(batch);
        }
        let batch = self.read()?;
        Ok(self.opened.get_or_init(|| batch))
    }

    /// The batch as it is stored.
    pub(super) fn read(&self) -> Result<Batch, Error> {
        let (index, offset, header) = match &self.piece.place {
            Place::Page { block, page } => {
                return block.page(page).map_err(|error| self.shard.damaged_block(block, error));
            }
            Place::Log { index, offset, header, .. } => (*index, *offset, header),
        };
        let entry = self.shard.entry(index)?;
        let start = offset as usize;
        let bytes = entry.get(start..start.saturating_add(self.piece.length as usize));
        // A copy, because what is unpacked shares memory: it must not keep a whole entry alive.
        let bytes = bytes.map(Bytes::copy_from_slice);
        let bytes = bytes.ok_or_else(|| self.damaged(BatchError::NotABatch))?;
        let batch = Batch::open(bytes).map_err(|error| self.damaged(error))?;
        if batch.header() == header.as_ref() {
            Ok(batch)
        } else {
            Err(self.damaged(BatchError::Header))
        }
    }

    fn key(&self, part: CachedPart) -> Key {
        Key { owner: self.shard.cache_owner, batch: self.piece.number, part }
    }

    fn put(&self, part: CachedPart, decoded: Decoded, bytes: usize) {
        self.shard.cache.put(self.key(part), decoded, bytes);
    }

    /// About how many bytes the values, or else the details, take with all their columns unpacked.
    fn unpacked_bytes(&self, index: &Index, of_spans: bool) -> Result<usize, Error> {
        let [.., values, values_raw, details, details_raw] = self.open()?.unpacked_lengths();
        let sections = if of_spans {
            values.saturating_add(values_raw)
        } else {
            let class = |row: &u32| index.classes.get(*row as usize);
            let rows = index.row_classes.iter().filter_map(class);
            let counts = rows.map(|class| (class.event_count + class.link_count) as usize);
            let events: usize = counts.sum();
            details.saturating_add(details_raw) + events * EVENT_BYTES
        };
        Ok(sections.saturating_add(index.columns_unpacked_bytes(of_spans)))
    }
}

/// An event or link besides its attributes: its class and its time, or its ids' place.
const EVENT_BYTES: usize = size_of::<(u32, u64)>();
