//! Who is whose parent among the rows of a trace.
//!
//! Works on three facts of each row (its id, its parent as it came, its start), so that owned
//! spans and columns share it. Everything is a loop: a chain of a million spans is legal, and
//! recursion would end the process.
//!
//! Rules. A row's parent is the *first* row whose span id is the row's parent id (rows come in
//! the order of [`crate::store::Trace::spans`]). A row whose parent id no row has, or whose
//! parent id is no id at all, is an orphan. Parents that run in a circle are cut at the circle's
//! earliest row (by start, then row), which then has no parent and yet is no orphan; a span that
//! names itself as its parent is the smallest such circle. Roots in the sense of this module are
//! all rows without a parent row: real roots, orphans and cut circles.

use crate::pace::{self, Pace, STRETCH_ROWS, Unhurried, unstopped};
use crate::span::ParentId;
use crate::{Span, SpanId, Timestamp};

/// A parent as the tree needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentLink {
    /// The row claims to be a root ([`ParentId::is_root`]).
    Root,
    /// The row names a span.
    Span(SpanId),
    /// The row names a parent that no span can be.
    Odd,
}

impl From<&ParentId> for ParentLink {
    fn from(parent: &ParentId) -> Self {
        match parent.span_id() {
            Some(id) => Self::Span(id),
            None if parent.is_root() => Self::Root,
            None => Self::Odd,
        }
    }
}

/// What the tree needs to know of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeRow {
    /// The row's span id.
    pub span_id: SpanId,
    /// Its parent.
    pub parent: ParentLink,
    /// When it began.
    pub start: Timestamp,
}

impl From<&Span> for TreeRow {
    fn from(span: &Span) -> Self {
        Self { span_id: span.span_id, parent: (&span.parent).into(), start: span.start }
    }
}

/// No row: rows are counted in `u32`, and a trace with this many spans cannot be assembled.
const NONE: u32 = u32::MAX;

/// The parents of the rows of one trace, for those who ask nothing else of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parents {
    /// Parent row of each row, or [`NONE`].
    rows: Vec<u32>,
    /// Rows whose parent is not in the trace, ascending.
    orphans: Vec<u32>,
}

impl Parents {
    /// The parents of `rows`, given in the order of a trace. Rows from the `u32::MAX`th on are left
    /// out.
    pub fn new(rows: &[TreeRow]) -> Self {
        unstopped(Self::within(rows, &Unhurried))
    }

    /// The same, as long as the pace lets it go on.
    pub fn within<P: Pace>(rows: &[TreeRow], pace: &P) -> Result<Self, P::Stop> {
        let (mut parents, orphans) = find_parents(rows, pace)?;
        cut_circles(rows, &mut parents, pace)?;
        Ok(Self { rows: parents, orphans })
    }

    /// Rows that name a parent which is not in the trace, ascending.
    pub fn orphans(&self) -> &[u32] {
        &self.orphans
    }

    /// The row of the parent of `row`, if that lies in the trace.
    pub fn parent(&self, row: u32) -> Option<u32> {
        self.rows.get(row as usize).copied().filter(|parent| *parent != NONE)
    }

    /// The same, for keeping.
    pub fn into_orphans(self) -> Vec<u32> {
        self.orphans
    }
}

/// The parents and children of the rows of one trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Parent row of each row, or [`NONE`].
    parents: Vec<u32>,
    /// Rows whose parent is not in the trace, ascending.
    orphans: Vec<u32>,
    /// The children of all rows, those of row 0 first; within a parent in row order.
    children: Vec<u32>,
    /// Where in `children` each row's children begin, and the end.
    child_starts: Vec<u32>,
}

impl Tree {
    /// The tree over `rows`, given in the order of a trace. Rows from the `u32::MAX`th on are
    /// left out.
    pub fn new(rows: &[TreeRow]) -> Self {
        unstopped(Self::within(rows, &Unhurried))
    }

    /// The tree over the spans of a trace.
    pub fn of_spans(spans: &[Span]) -> Self {
        unstopped(Self::of_spans_within(spans, &Unhurried))
    }

    /// The same, as long as the pace lets it go on.
    pub fn of_spans_within<P: Pace>(spans: &[Span], pace: &P) -> Result<Self, P::Stop> {
        let rows = pace::collect(spans.iter().map(TreeRow::from), pace)?;
        Self::within(&rows, pace)
    }

    fn within<P: Pace>(rows: &[TreeRow], pace: &P) -> Result<Self, P::Stop> {
        let Parents { rows: parents, orphans } = Parents::within(rows, pace)?;
        let (children, child_starts) = find_children(&parents, pace)?;
        Ok(Self { parents, orphans, children, child_starts })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The row of the parent of `row`, if that lies in the trace.
    pub fn parent(&self, row: u32) -> Option<u32> {
        self.parents.get(row as usize).copied().filter(|parent| *parent != NONE)
    }

    /// The children of `row`, in row order.
    pub fn children(&self, row: u32) -> &[u32] {
        let bounds =
            self.child_starts.get(row as usize).zip(self.child_starts.get(row as usize + 1));
        bounds
            .and_then(|(start, end)| self.children.get(*start as usize..*end as usize))
            .unwrap_or_default()
    }

    /// Rows that name a parent which is not in the trace, ascending.
    pub fn orphans(&self) -> &[u32] {
        &self.orphans
    }

    /// Whether `row` names a parent which is not in the trace.
    pub fn is_orphan(&self, row: u32) -> bool {
        self.orphans.binary_search(&row).is_ok()
    }

    /// Rows without a parent row, ascending.
    pub fn roots(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.parents).filter(|(_, parent)| **parent == NONE).map(|(row, _)| row)
    }

    /// The ancestors of `row`, the parent first.
    pub fn ancestors(&self, row: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.parent(row), |ancestor| self.parent(*ancestor))
    }

    /// Every row once, each before its children, children in row order.
    pub fn depth_first(&self) -> impl Iterator<Item = u32> + '_ {
        let mut pending: Vec<u32> = self.roots().collect();
        pending.reverse();
        std::iter::from_fn(move || {
            let row = pending.pop()?;
            pending.extend(self.children(row).iter().rev());
            Some(row)
        })
    }
}

/// The parent of each row as it is named, and the orphans. Both who is there and who is named are
/// put in the order of ids and walked together: a search for each row would take longer, and a hash
/// table could be made slow by who chooses the ids.
fn find_parents<P: Pace>(rows: &[TreeRow], pace: &P) -> Result<(Vec<u32>, Vec<u32>), P::Stop> {
    // As numbers ids compare as their bytes do.
    let key = |id: SpanId| u64::from_be_bytes(id.0);
    let numbered = || rows.iter().zip(0..NONE);
    let there = numbered().map(|(row, number)| (key(row.span_id), number));
    let there = pace::sort_by_key(pace::collect(there, pace)?, |pair| *pair, pace)?;
    let mut orphans = Vec::new();
    let mut named = Vec::with_capacity(there.len());
    pace::for_each(numbered(), pace, |(row, number)| match row.parent {
        ParentLink::Root => {}
        // The smallest circle; not the child of another row that shares its id.
        ParentLink::Span(id) if id == row.span_id => {}
        ParentLink::Span(id) => named.push((key(id), number)),
        ParentLink::Odd => orphans.push(number),
    })?;
    let named = pace::sort_by_key(named, |pair| *pair, pace)?;
    let mut parents = vec![NONE; there.len()];
    let mut at = 0;
    pace::for_each(named, pace, |(id, number)| {
        while there.get(at).is_some_and(|(other, _)| *other < id) {
            at += 1;
        }
        // The first of those with this id: rows of one id stand in their own order.
        match (there.get(at), parents.get_mut(number as usize)) {
            (Some((other, parent)), Some(place)) if *other == id => *place = *parent,
            _ => orphans.push(number),
        }
    })?;
    Ok((parents, pace::sort_by_key(orphans, |row| *row, pace)?))
}

/// What the search for circles knows of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    No,
    /// Seen on the walk that started at this row.
    From(u32),
}

/// Walks up from every row until a row that was seen before. Met on the same walk, it lies on a
/// circle.
#[expect(clippy::indexing_slicing, reason = "parents are rows, and both lists have all rows")]
fn cut_circles<P: Pace>(rows: &[TreeRow], parents: &mut [u32], pace: &P) -> Result<(), P::Stop> {
    let mut visits = vec![Visit::No; parents.len()];
    // Steps of all walks: one walk can be as long as the trace.
    let mut steps = 0_usize;
    for (walk, _) in (0..).zip(rows.iter().take(parents.len())) {
        let mut row = walk;
        loop {
            if steps.is_multiple_of(STRETCH_ROWS) {
                pace.go_on()?;
            }
            steps += 1;
            if row == NONE || visits[row as usize] != Visit::No {
                break;
            }
            visits[row as usize] = Visit::From(walk);
            row = parents[row as usize];
        }
        if row != NONE && visits[row as usize] == Visit::From(walk) {
            // A walk that met its own trail: every row from here up is on the circle. The first
            // row of a walk that meets an older trail is never its own.
            let circle = std::iter::successors(Some(row), |at| {
                Some(parents[*at as usize]).filter(|next| *next != row)
            });
            let earliest = circle.min_by_key(|at| (rows[*at as usize].start, *at));
            if let Some(earliest) = earliest {
                parents[earliest as usize] = NONE;
            }
        }
    }
    Ok(())
}

/// The children of all rows, and where each row's begin.
#[expect(clippy::indexing_slicing, reason = "parents are rows, and starts have one entry more")]
fn find_children<P: Pace>(parents: &[u32], pace: &P) -> Result<(Vec<u32>, Vec<u32>), P::Stop> {
    let mut starts = vec![0_u32; parents.len() + 1];
    pace::for_each(parents.iter().filter(|parent| **parent != NONE), pace, |parent| {
        starts[*parent as usize + 1] += 1;
    })?;
    let mut total = 0;
    pace::for_each(&mut starts, pace, |start| {
        total += *start;
        *start = total;
    })?;
    let mut children = vec![0; total as usize];
    let mut free = starts.clone();
    let with_parent = (0..).zip(parents).filter(|(_, parent)| **parent != NONE);
    pace::for_each(with_parent, pace, |(row, parent)| {
        let place = &mut free[*parent as usize];
        children[*place as usize] = row;
        *place += 1;
    })?;
    Ok((children, starts))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "tests are small")]

    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> SpanId {
        SpanId(number.to_be_bytes())
    }

    fn rows(parents: &[(u64, u64)]) -> Vec<TreeRow> {
        parents
            .iter()
            .enumerate()
            .map(|(start, (own, parent))| TreeRow {
                span_id: id(*own),
                parent: (&ParentId::Id(id(*parent))).into(),
                start: Timestamp(start as u64),
            })
            .collect()
    }

    fn parents_of(tree: &Tree) -> Vec<Option<u32>> {
        (0..tree.len() as u32).map(|row| tree.parent(row)).collect()
    }

    #[test]
    fn children_follow_their_parents_and_orphans_are_roots() {
        let tree = Tree::new(&rows(&[(1, 0), (2, 1), (3, 9), (4, 2), (5, 1)]));
        assert_eq!(parents_of(&tree), [None, Some(0), None, Some(1), Some(0)]);
        assert_eq!(tree.orphans(), [2]);
        assert!(tree.is_orphan(2) && !tree.is_orphan(0));
        assert!(tree.depth_first().eq([0, 1, 3, 4, 2]));
        assert_eq!(tree.children(0), [1, 4]);
        assert_eq!(tree.ancestors(3).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(tree.children(99), [0; 0]);
    }

    #[test]
    fn the_first_row_with_an_id_is_the_parent() {
        let tree = Tree::new(&rows(&[(1, 0), (1, 0), (2, 1), (1, 1)]));
        assert_eq!(parents_of(&tree), [None, None, Some(0), None]);
        assert!(tree.orphans().is_empty());
    }

    #[test]
    fn circles_break_at_their_earliest_row() {
        let mut rows = rows(&[(1, 3), (2, 1), (3, 2), (4, 2), (5, 5)]);
        rows[1].start = Timestamp(0);
        rows[0].start = Timestamp(1);
        let tree = Tree::new(&rows);
        assert_eq!(parents_of(&tree), [Some(2), None, Some(1), Some(1), None]);
        assert!(tree.depth_first().eq([1, 2, 0, 3, 4]));
        assert!(tree.orphans().is_empty());
    }

    #[test]
    fn odd_parents_make_orphans() {
        let mut rows = rows(&[(1, 0), (2, 1)]);
        rows[1].parent = (&ParentId::Odd("abc".into())).into();
        assert_eq!(Tree::new(&rows).orphans(), [1]);
        assert_eq!(Tree::new(&[]).depth_first().count(), 0);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_rows_is_no_recursion() {
        let chain: Vec<_> = (1..=100_000).map(|own| (own, own - 1)).collect();
        let tree = Tree::new(&rows(&chain));
        assert_eq!(tree.depth_first().count(), 100_000);
        assert_eq!(tree.ancestors(99_999).count(), 99_999);
    }

    proptest! {
        #[test]
        fn every_row_is_visited_once_after_its_parent(
            pairs in proptest::collection::vec((1_u64..12, 0_u64..14), 0..40)
        ) {
            let tree = Tree::new(&rows(&pairs));
            let mut seen = vec![false; pairs.len()];
            for row in tree.depth_first() {
                prop_assert!(!seen[row as usize]);
                prop_assert!(tree.parent(row).is_none_or(|parent| seen[parent as usize]));
                seen[row as usize] = true;
            }
            prop_assert!(seen.into_iter().all(|visited| visited));
        }
    }
}
