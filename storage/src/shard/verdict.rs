//! What is known of a predicate on a whole trace before its spans are looked at.
//!
//! The predicates on spans inside it are numbered; batches say of each whether some row of the
//! trace may pass or does ([`Evidence`]), figures of the whole trace may be known as well. From
//! these follows No, Maybe or Yes.

use model::query::{Number, NumberTest, SpanPredicate, Statistic, TracePredicate};

use super::limits::PREFILTER_LEAVES_MAX;
use super::rows::Truth;

/// What batches say of one trace, by the number of a predicate on spans.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Evidence {
    /// Some row may pass.
    pub(super) may: u64,
    /// Some row passes.
    pub(super) must: u64,
}

/// Figures of a whole trace, as far as they are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    /// From the earliest start to the latest end.
    pub(super) duration: u64,
    /// Distinct spans and failed ones among them, if no repeats are hidden in the counts.
    pub(super) counts: Option<(u64, u64)>,
}

/// The predicates on spans of a trace predicate, numbered in the order in which [`judge`] meets
/// them. Those beyond the bound are left out, and left open when judging.
pub(super) fn leaves(predicate: &TracePredicate) -> Vec<&SpanPredicate> {
    let mut found = Vec::new();
    collect(predicate, &mut found);
    found.truncate(PREFILTER_LEAVES_MAX);
    found
}

fn collect<'a>(predicate: &'a TracePredicate, found: &mut Vec<&'a SpanPredicate>) {
    match predicate {
        TracePredicate::All(parts) | TracePredicate::Any(parts) => {
            for part in parts {
                collect(part, found);
            }
        }
        TracePredicate::Not(inner) => collect(inner, found),
        TracePredicate::HasSpan(of) | TracePredicate::Aggregate { of, .. } => found.push(of),
        TracePredicate::Structure { left, right, .. } => found.extend([left, right]),
        TracePredicate::True
        | TracePredicate::Duration(_)
        | TracePredicate::SpanCount(_)
        | TracePredicate::ErrorCount(_)
        | TracePredicate::RootService(_)
        | TracePredicate::RootOperation(_) => {}
    }
}

/// What is known of the predicate on a trace.
pub(super) fn judge(
    predicate: &TracePredicate,
    evidence: Evidence,
    figures: Option<Figures>,
) -> Truth {
    Judge { evidence, figures, next_leaf: 0 }.judge(predicate)
}

struct Judge {
    evidence: Evidence,
    figures: Option<Figures>,
    next_leaf: usize,
}

impl Judge {
    fn judge(&mut self, predicate: &TracePredicate) -> Truth {
        match predicate {
            TracePredicate::True => Truth::Yes,
            // Every part is judged, whatever the others say: each takes its leaves' numbers.
            TracePredicate::All(parts) => {
                parts.iter().fold(Truth::Yes, |truth, part| truth.and(self.judge(part)))
            }
            TracePredicate::Any(parts) => {
                parts.iter().fold(Truth::No, |truth, part| truth.or(self.judge(part)))
            }
            TracePredicate::Not(inner) => self.judge(inner).not(),
            TracePredicate::HasSpan(_) => self.leaf(),
            TracePredicate::Duration(test) => {
                self.figures.map_or(Truth::Maybe, |figures| test.passes(figures.duration).into())
            }
            TracePredicate::SpanCount(test) => self.count(*test, |(spans, _)| spans),
            TracePredicate::ErrorCount(test) => self.count(*test, |(_, errors)| errors),
            TracePredicate::RootService(_) | TracePredicate::RootOperation(_) => Truth::Maybe,
            TracePredicate::Structure { .. } => {
                let both = self.leaf().and(self.leaf());
                both.and(Truth::Maybe)
            }
            TracePredicate::Aggregate { statistic, test, .. } => {
                match (self.leaf(), statistic) {
                    // Over no spans at all: a count of zero, and no other figure.
                    (Truth::No, Statistic::Count) => test.passes(Number::Int(0)).into(),
                    (Truth::No, _) => Truth::No,
                    (Truth::Maybe | Truth::Yes, _) => Truth::Maybe,
                }
            }
        }
    }

    fn count(&self, test: NumberTest, figure: impl Fn((u64, u64)) -> u64) -> Truth {
        let counts = self.figures.and_then(|figures| figures.counts);
        counts.map_or(Truth::Maybe, |counts| test.passes(figure(counts)).into())
    }

    fn leaf(&mut self) -> Truth {
        let leaf = self.next_leaf;
        self.next_leaf += 1;
        let has = |bits: u64| bits >> leaf & 1 != 0;
        if leaf >= PREFILTER_LEAVES_MAX {
            Truth::Maybe
        } else if has(self.evidence.must) {
            Truth::Yes
        } else if has(self.evidence.may) {
            Truth::Maybe
        } else {
            Truth::No
        }
    }
}

#[cfg(test)]
mod tests {
    use model::query::{Comparison, Relation};

    use super::*;

    fn has_span() -> TracePredicate {
        TracePredicate::HasSpan(SpanPredicate::True)
    }

    #[test]
    fn leaves_keep_their_numbers_whatever_is_decided_before() {
        let structure = TracePredicate::Structure {
            left: SpanPredicate::True,
            relation: Relation::Child,
            right: SpanPredicate::True,
        };
        let predicate = TracePredicate::All(vec![has_span(), structure, has_span()]);
        assert_eq!(leaves(&predicate).len(), 4);
        let judge = |may, must| judge(&predicate, Evidence { may, must }, None);
        assert_eq!(judge(0b1110, 0b1110), Truth::No);
        assert_eq!(judge(0b1111, 0b1111), Truth::Maybe, "a relation takes the spans");
        assert_eq!(judge(0b1101, 0b1101), Truth::No);
        assert_eq!(judge(0b0111, 0b0111), Truth::No);
    }

    #[test]
    fn no_spans_still_have_a_count() {
        let count = |number| TracePredicate::Aggregate {
            of: SpanPredicate::True,
            statistic: Statistic::Count,
            test: NumberTest { comparison: Comparison::Less, number },
        };
        let judge = |predicate| super::judge(&predicate, Evidence::default(), None);
        assert_eq!(judge(count(1.0)), Truth::Yes);
        assert_eq!(judge(TracePredicate::Not(Box::new(count(1.0)))), Truth::No);
        assert_eq!(judge(count(0.0)), Truth::No);
    }

    #[test]
    fn predicates_beyond_the_bound_are_left_open() {
        let many = TracePredicate::All(vec![has_span(); PREFILTER_LEAVES_MAX + 1]);
        assert_eq!(leaves(&many).len(), PREFILTER_LEAVES_MAX);
        let all = Evidence { may: u64::MAX, must: u64::MAX };
        assert_eq!(judge(&many, all, None), Truth::Maybe);
    }
}
