//! Bytes by column, for `skua inspect --pages`.
//!
//! The columns of a section are compressed together, so what one of them takes is its share of the
//! section by its bytes before that, and exact only for the raw part.

use std::collections::BTreeMap;

use model::Text;
use model::batch::{Batch, ColumnBytes, Part, SectionId};

/// Columns that are shown; the JSON has all.
const SHOWN_MAX: usize = 20;

/// Stored bytes by column, over pages.
#[derive(Debug, Default)]
pub(super) struct Columns(BTreeMap<String, f64>);

impl Columns {
    /// Adds the columns of a page.
    pub(super) fn add(&mut self, page: &Batch) -> anyhow::Result<()> {
        let (stored, unpacked) = (page.section_lengths(), page.unpacked_lengths());
        let share = |section: SectionId| {
            let lengths = stored.get(section as usize).zip(unpacked.get(section as usize));
            lengths.map_or(0.0, |(stored, unpacked)| *stored as f64 / (*unpacked).max(1) as f64)
        };
        let (values, details) = (share(SectionId::Values), share(SectionId::Details));
        for column in page.index()?.columns_bytes() {
            let is_of_span = matches!(column.part, Part::Span | Part::SpanField);
            let share = if is_of_span { values } else { details };
            let bytes = column.packed as f64 * share + column.raw as f64;
            *self.0.entry(name(&column)).or_default() += bytes;
        }
        Ok(())
    }

    /// Adds those of another.
    pub(super) fn add_all(&mut self, other: &BTreeMap<String, u64>) {
        for (name, bytes) in other {
            *self.0.entry(name.clone()).or_default() += *bytes as f64;
        }
    }

    /// Whole bytes by the names of columns.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of lengths, and an estimate"
    )]
    pub(super) fn rounded(self) -> BTreeMap<String, u64> {
        self.0.into_iter().map(|(name, bytes)| (name, bytes.round() as u64)).collect()
    }

    /// The largest ones, for people.
    pub(super) fn render(&self, spans: u64) -> Vec<String> {
        let mut columns: Vec<(&String, f64)> =
            self.0.iter().map(|(name, bytes)| (name, *bytes)).collect();
        columns.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(right.0)));
        let per_span = |bytes: f64| bytes / spans.max(1) as f64;
        let shown = columns.iter().take(SHOWN_MAX);
        let mut lines: Vec<String> = shown
            .map(|(name, bytes)| format!("  {name:<40} {:>8.3} B/span", per_span(*bytes)))
            .collect();
        let rest: f64 = columns.iter().skip(SHOWN_MAX).map(|(_, bytes)| bytes).sum();
        if let Some(more) = columns.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            let what = format!("{more} other columns");
            lines.push(format!("  {what:<40} {:>8.3} B/span", per_span(rest)));
        }
        lines
    }
}

fn name(column: &ColumnBytes<'_>) -> String {
    let value_type = format!("{:?}", column.value_type).to_lowercase();
    let key = column.key.map_or_else(|| "rare fields".to_owned(), Text::to_string);
    match column.part {
        Part::Span => format!("{key} {value_type}"),
        Part::Event => format!("event {key} {value_type}"),
        Part::Link => format!("link {key} {value_type}"),
        Part::SpanField => format!("({key} of spans) {value_type}"),
        Part::EventField => format!("({key} of events) {value_type}"),
        Part::LinkField => format!("({key} of links) {value_type}"),
    }
}
