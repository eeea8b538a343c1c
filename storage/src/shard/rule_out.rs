//! Which pages a search need not read: predicates on spans, asked of zones.
//!
//! A predicate is made ready once for a run ([`RunZones`]), then asked of the run as a whole, and
//! if that does not rule it out, of page after page: may any row of it pass? It is asked of each
//! class of spans on the page, so that parts of a conjunction that no class passes together rule
//! the page out; a class is said to pass (or not) only if each of its rows on the page does.
//! Whether a page whose rows may pass can be left out all the same is a question of whole traces,
//! and not asked here.
//!
//! Invariant: a page that is ruled out has no row that passes `model`'s reference.

use std::sync::Arc;

use model::Text;
use model::budget::{Budget, Exhausted};
use model::query::{
    AttributeScope, Comparison, Field, FieldValue, JaegerTag, Literal, Number, SpanPredicate,
    ValueTest,
};
use model::span::StatusCode;
use model::string_form::string_form;
use model::value::ValueRef;

use super::blocks::BlockRun;
use super::handle::Shard;
use super::rows::{RowSet, Truth};
use crate::Error;
use crate::block::zones::{
    KeyOnPage, PageClass, PageZones, ZoneClass, Zones, key_hash, value_hash,
};
use crate::block::{BlockError, PageInfo};

/// The zones of a run, with the predicates that are asked of them.
#[derive(Debug)]
pub(super) struct RunZones<'a> {
    zones: Arc<Zones>,
    tests: Vec<Test<'a>>,
    /// By predicate: whether some row of the run may pass it.
    run_may: u64,
}

impl Shard {
    /// The zones of a run, ready for these predicates; nothing if the run has none, or if they
    /// could not rule out anything.
    pub(super) fn run_zones<'a>(
        &self,
        run: &BlockRun,
        predicates: &[&'a SpanPredicate],
        budget: &Budget,
    ) -> Result<Option<RunZones<'a>>, Error> {
        if predicates.iter().all(|predicate| matches!(predicate, SpanPredicate::True)) {
            return Ok(None);
        }
        let damaged = |error| self.damaged_block(&run.block, error);
        let zones = run.zones(&self.cache, self.cache_owner).map_err(damaged)?;
        let Some(zones) = zones else { return Ok(None) };
        budget.spend(zones.memory_bytes() as u64)?;
        let mut tests = Vec::with_capacity(predicates.len());
        for predicate in predicates {
            let mut test = Test::of(predicate, &zones);
            test.ask_for_values(run, &zones, budget).map_err(|error| match error {
                Asking::Block(error) => damaged(error),
                Asking::Exhausted(exhausted) => exhausted.into(),
            })?;
            tests.push(test);
        }
        let run_may = tests
            .iter()
            .enumerate()
            .fold(0, |bits, (leaf, test)| bits | u64::from(run_may_pass(&zones, test)) << leaf);
        Ok(Some(RunZones { zones, tests, run_may }))
    }
}

/// Why values could not be asked for.
enum Asking {
    Block(BlockError),
    Exhausted(Exhausted),
}

impl RunZones<'_> {
    /// By the number of a predicate: whether some row of the run may pass it. What no row passes no
    /// page's does.
    pub(super) fn run_may_pass(&self) -> u64 {
        self.run_may
    }

    /// The same of a page.
    pub(super) fn may_pass(&self, number: usize, page: &PageInfo) -> u64 {
        let Some(zones) = self.zones.page(number) else { return u64::MAX };
        let asked = OnPage { number, page, zones, class: None };
        let bits = self.tests.iter().enumerate();
        bits.fold(0, |bits, (leaf, test)| {
            // What the run denies need not be asked of a page.
            let is_asked = self.run_may >> leaf & 1 != 0;
            debug_assert!(is_asked || !asked.may_pass(test), "a run denied what its page does not");
            bits | u64::from(is_asked && asked.may_pass(test)) << leaf
        })
    }
}

/// A predicate on spans, ready to be asked of the pages of one run.
#[derive(Debug)]
enum Test<'a> {
    /// The same everywhere.
    Is(Truth),
    All(Vec<Test<'a>>),
    Any(Vec<Test<'a>>),
    Not(Box<Test<'a>>),
    /// By class.
    Class(Vec<Truth>),
    Duration(&'a ValueTest),
    Start(&'a ValueTest),
    Events,
    Links,
    RareFields,
    /// A key in one place.
    Key {
        number: Option<u32>,
        /// On spans themselves, of which it is known by class too.
        is_of_span: bool,
        values: Values,
    },
}

/// What values of a key pass.
#[derive(Debug)]
enum Values {
    /// Any, for all that zones know.
    Any,
    /// Those of these hashes.
    Hashes(Vec<u64>),
    /// Those that stand on no other pages than these, where their key is filtered.
    Pages(RowSet),
}

impl<'a> Test<'a> {
    fn of(predicate: &'a SpanPredicate, zones: &Zones) -> Self {
        let all = |parts: &'a [SpanPredicate]| parts.iter().map(|part| Self::of(part, zones));
        match predicate {
            SpanPredicate::True => Self::Is(Truth::Yes),
            SpanPredicate::All(parts) => Self::All(all(parts).collect()),
            SpanPredicate::Any(parts) => Self::Any(all(parts).collect()),
            SpanPredicate::Not(inner) => Self::Not(Box::new(Self::of(inner, zones))),
            SpanPredicate::Field(field, test) => Self::of_field(field, test, zones),
            SpanPredicate::JaegerTag { key, value } => Self::of_jaeger_tag(key, value, zones),
            // Filters know whole values alone.
            SpanPredicate::Mentions(_) => Self::Is(Truth::Maybe),
        }
    }

    fn of_field(field: &Field, test: &'a ValueTest, zones: &Zones) -> Self {
        let int = |number: i32| FieldValue::Value(ValueRef::Int(number.into()));
        match field {
            Field::Service => by_class(zones, |class| test.passes_text(&class.service)),
            Field::Operation => by_class(zones, |class| test.passes_text(&class.operation)),
            Field::Kind => by_class(zones, |class| test.passes(int(class.kind.0))),
            Field::Status => by_class(zones, |class| test.passes(int(class.status.0))),
            Field::StatusMessage | Field::TraceState => Self::RareFields,
            Field::Duration => Self::Duration(test),
            Field::Start => Self::Start(test),
            Field::EventName | Field::EventTimeSinceStart => Self::Events,
            Field::LinkTraceId | Field::LinkSpanId => Self::Links,
            Field::End
            | Field::TraceId
            | Field::SpanId
            | Field::ParentId
            | Field::ScopeName
            | Field::ScopeVersion => Self::Is(Truth::Maybe),
            Field::Attribute(scope, key) => {
                Self::of_attribute(*scope, key, forms_of(test).as_deref(), zones)
            }
        }
    }

    fn of_jaeger_tag(key: &Text, value: &Text, zones: &Zones) -> Self {
        let attribute = |scope, key: &Text, value: &Text| {
            Self::of_attribute(scope, key, Some(&[value.as_bytes().to_vec()]), zones)
        };
        match JaegerTag::new(key, value) {
            JaegerTag::Never => Self::Is(Truth::No),
            JaegerTag::Error(wanted) => {
                by_class(zones, |class| (class.status == StatusCode::ERROR) == wanted)
            }
            JaegerTag::Kind(kind) => by_class(zones, |class| class.kind == kind),
            JaegerTag::Status(wanted) => by_class(zones, |class| class.status == wanted),
            JaegerTag::ScopeName(_) | JaegerTag::ScopeVersion(_) => Self::Is(Truth::Maybe),
            JaegerTag::Resource { key, value } => attribute(AttributeScope::Resource, &key, &value),
            JaegerTag::Anywhere { key, value } => {
                let places = AttributeScope::PLACES.into_iter();
                Self::Any(places.map(|place| attribute(place, &key, &value)).collect())
            }
        }
    }

    fn of_attribute(
        scope: AttributeScope,
        key: &Text,
        forms: Option<&[Vec<u8>]>,
        zones: &Zones,
    ) -> Self {
        if scope == AttributeScope::SpanOrResource {
            let places = [AttributeScope::Span, AttributeScope::Resource];
            let place = |place| Self::of_attribute(place, key, forms, zones);
            return Self::Any(places.into_iter().map(place).collect());
        }
        let key_hash = key_hash(scope, key.as_bytes());
        let hash = |form: &Vec<u8>| value_hash(key_hash, form);
        let mut values =
            forms.map_or(Values::Any, |forms| Values::Hashes(forms.iter().map(hash).collect()));
        let number = zones.key(scope, key);
        if zones.key_anywhere(number) == KeyOnPage::Absent {
            return Self::Is(Truth::No);
        }
        if let (Some(number), Values::Hashes(hashes)) = (number, &mut values) {
            hashes.retain(|hash| zones.may_have_value(number, *hash));
            if hashes.is_empty() {
                return Self::Is(Truth::No);
            }
        }
        Self::Key { number, is_of_span: scope == AttributeScope::Span, values }
    }

    /// Finds out on which pages of the run values may stand, where filters lie in the file.
    fn ask_for_values(
        &mut self,
        run: &BlockRun,
        zones: &Zones,
        budget: &Budget,
    ) -> Result<(), Asking> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter_mut().try_for_each(|part| part.ask_for_values(run, zones, budget))
            }
            Self::Not(inner) => inner.ask_for_values(run, zones, budget),
            Self::Key { values, .. } => {
                let Values::Hashes(hashes) = values else { return Ok(()) };
                let mut pages: Option<RowSet> = None;
                for hash in hashes {
                    budget.spend(0).map_err(Asking::Exhausted)?;
                    let found = run.pages_with_value(zones, *hash).map_err(Asking::Block)?;
                    let Some(found) = found else { return Ok(()) };
                    pages.get_or_insert_with(|| RowSet::empty(run.page_count())).unite(&found);
                }
                if let Some(pages) = pages {
                    *values = Values::Pages(pages);
                }
                Ok(())
            }
            Self::Is(_)
            | Self::Class(_)
            | Self::Duration(_)
            | Self::Start(_)
            | Self::Events
            | Self::Links
            | Self::RareFields => Ok(()),
        }
    }
}

fn by_class<'a>(zones: &Zones, passes: impl Fn(&ZoneClass) -> bool) -> Test<'a> {
    Test::Class(zones.classes().iter().map(|class| passes(class).into()).collect())
}

/// The string forms of all values that pass, if these can be listed; perhaps of some others.
fn forms_of(test: &ValueTest) -> Option<Vec<Vec<u8>>> {
    let literal = match test {
        ValueTest::StringForm(text) => return Some(vec![text.as_bytes().to_vec()]),
        ValueTest::Compare(Comparison::Equal, literal) => literal,
        ValueTest::Exists | ValueTest::Compare(..) | ValueTest::Matches(_) => return None,
    };
    let equal_to = |value: ValueRef<'_>| test.passes(FieldValue::Value(value));
    let candidates = match literal {
        Literal::String(text) => return Some(vec![text.as_bytes().to_vec()]),
        Literal::Bool(truth) => return Some(vec![string_form(ValueRef::Bool(*truth))]),
        // An integer equals one double, and zero a negative one as well.
        Literal::Int(_) | Literal::Double(_) => {
            let double = Number::of_literal(literal).map_or(0.0, Number::to_f64);
            let int = whole(literal);
            [ValueRef::Int(int), ValueRef::Double(double), ValueRef::Double(-double)]
        }
    };
    Some(candidates.into_iter().filter(|value| equal_to(*value)).map(string_form).collect())
}

/// The integer that equals the number, if one does.
#[expect(clippy::cast_possible_truncation, reason = "whoever asks compares what comes out")]
fn whole(literal: &Literal) -> i64 {
    match literal {
        Literal::Int(number) => *number,
        Literal::Double(number) => *number as i64,
        Literal::String(_) | Literal::Bool(_) => 0,
    }
}

/// Whether some row of a run may pass a test: what all pages say together, and the run's classes.
fn run_may_pass(zones: &Zones, test: &Test<'_>) -> bool {
    let of_class = |class: usize| OfRun { zones, class: Some(class) }.truth(test);
    let unlisted = zones.classes().len();
    OfRun { zones, class: None }.truth(test) != Truth::No
        && ((0..unlisted).any(|class| of_class(class) != Truth::No)
            || zones.has_unlisted_classes() && of_class(unlisted) != Truth::No)
}

/// Rows that tests are asked of.
trait Rows: Copy {
    /// What is known of a test, which has no parts, on each of the rows.
    fn truth_of_one(self, test: &Test<'_>) -> Truth;

    /// What is known of the test on each of the rows.
    fn truth(self, test: &Test<'_>) -> Truth {
        match test {
            Test::All(parts) => {
                parts.iter().fold(Truth::Yes, |truth, part| truth.and(self.truth(part)))
            }
            Test::Any(parts) => {
                parts.iter().fold(Truth::No, |truth, part| truth.or(self.truth(part)))
            }
            Test::Not(inner) => self.truth(inner).not(),
            _ => self.truth_of_one(test),
        }
    }
}

fn maybe_if(may_be: bool) -> Truth {
    if may_be { Truth::Maybe } else { Truth::No }
}

/// The rows of a run.
#[derive(Clone, Copy)]
struct OfRun<'a> {
    zones: &'a Zones,
    /// Those of one class, by number, or all.
    class: Option<usize>,
}

impl Rows for OfRun<'_> {
    fn truth_of_one(self, test: &Test<'_>) -> Truth {
        match test {
            Test::Is(truth) => *truth,
            Test::Class(truths) => {
                let truth = self.class.and_then(|class| truths.get(class));
                truth.copied().unwrap_or(Truth::Maybe)
            }
            Test::Events => maybe_if(self.zones.has_events()),
            Test::Links => maybe_if(self.zones.has_links()),
            Test::RareFields => maybe_if(self.zones.has_rare_fields()),
            Test::Key { number, is_of_span, values } => maybe_if(
                match (self.zones.key_anywhere(*number), values) {
                    (KeyOnPage::Absent, _) => false,
                    (KeyOnPage::Filtered, Values::Pages(pages)) => !pages.is_empty(),
                    (KeyOnPage::Open | KeyOnPage::Filtered, _) => true,
                } && (!is_of_span || self.class_may_have(*number)),
            ),
            Test::Duration(_) | Test::Start(_) => Truth::Maybe,
            Test::All(_) | Test::Any(_) | Test::Not(_) => self.truth(test),
        }
    }
}

impl OfRun<'_> {
    fn class_may_have(self, key: Option<u32>) -> bool {
        let Some((class, key)) = self.class.zip(key) else { return true };
        self.zones.may_have_key(class, key)
    }
}

/// The rows of a page.
#[derive(Clone, Copy)]
struct OnPage<'a> {
    number: usize,
    page: &'a PageInfo,
    zones: PageZones<'a>,
    /// Those of one class, or all of the page.
    class: Option<PageClass>,
}

impl OnPage<'_> {
    fn may_pass(self, test: &Test<'_>) -> bool {
        // Often keys and values say enough, for all classes at once.
        let of_class = |class: &PageClass| Self { class: Some(*class), ..self }.truth(test);
        self.truth(test) != Truth::No
            && self.zones.classes().iter().any(|class| of_class(class) != Truth::No)
    }

    fn may_have_value(self, values: &Values) -> bool {
        match values {
            Values::Any => true,
            Values::Hashes(hashes) => hashes.iter().any(|hash| self.zones.may_have_value(*hash)),
            Values::Pages(pages) => pages.contains(self.number),
        }
    }

    /// Whether spans of the class that is asked of may have a key themselves.
    fn class_may_have(self, key: Option<u32>) -> bool {
        let Some((class, key)) = self.class.zip(key) else { return true };
        self.zones.class_may_have_key(class, key)
    }
}

impl Rows for OnPage<'_> {
    fn truth_of_one(self, test: &Test<'_>) -> Truth {
        match test {
            Test::Is(truth) => *truth,
            Test::Class(truths) => {
                let truth = self.class.and_then(|class| truths.get(class.class()));
                truth.copied().unwrap_or(Truth::Maybe)
            }
            Test::Duration(test) => self.class.map_or(Truth::Maybe, |class| {
                let (shortest, longest) = class.durations();
                passes_between(test, shortest.0, longest.0)
            }),
            Test::Start(test) => passes_between(test, self.page.start_min.0, self.page.start_max.0),
            Test::Events => maybe_if(self.zones.has_events()),
            Test::Links => maybe_if(self.zones.has_links()),
            Test::RareFields => maybe_if(self.zones.has_rare_fields()),
            Test::Key { number, is_of_span, values } => maybe_if(
                match self.zones.key(*number) {
                    KeyOnPage::Absent => false,
                    KeyOnPage::Open => true,
                    KeyOnPage::Filtered => self.may_have_value(values),
                } && (!is_of_span || self.class_may_have(*number)),
            ),
            Test::All(_) | Test::Any(_) | Test::Not(_) => self.truth(test),
        }
    }
}

/// What is known of a test on each number of nanoseconds from `least` to `most`.
fn passes_between(test: &ValueTest, least: u64, most: u64) -> Truth {
    let (at_least, at_most) = (FieldValue::Nanos(least), FieldValue::Nanos(most));
    match test {
        ValueTest::Exists => Truth::Yes,
        ValueTest::Matches(_) => Truth::No,
        ValueTest::StringForm(_) => Truth::Maybe,
        ValueTest::Compare(comparison @ (Comparison::Equal | Comparison::NotEqual), literal) => {
            let compares =
                |comparison, value| ValueTest::Compare(comparison, literal.clone()).passes(value);
            let is_between = compares(Comparison::LessOrEqual, at_least)
                && compares(Comparison::GreaterOrEqual, at_most);
            if least == most || !is_between {
                // Outside of the stretch all numbers are as unequal as its ends.
                compares(*comparison, at_least).into()
            } else {
                Truth::Maybe
            }
        }
        // Of all others the passing numbers lie to one side of the literal.
        ValueTest::Compare(..) => match (test.passes(at_least), test.passes(at_most)) {
            (true, true) => Truth::Yes,
            (false, false) => Truth::No,
            _ => Truth::Maybe,
        },
    }
}

#[cfg(test)]
mod tests {
    use model::query::Pattern;

    use super::*;

    const COMPARISONS: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];

    fn literals() -> Vec<Literal> {
        let doubles = [0.0, -0.0, 2.0, 2.5, 9.0, -1.0, 1e300, f64::NAN, f64::INFINITY];
        let ints = [-1, 0, 2, 3, 7, 8, i64::MAX].map(Literal::Int);
        let others = [Literal::String("2".into()), Literal::Bool(true)];
        doubles.map(Literal::Double).into_iter().chain(ints).chain(others).collect()
    }

    #[test]
    fn a_stretch_says_what_all_its_numbers_say() {
        let compares = COMPARISONS.into_iter().flat_map(|comparison| {
            literals().into_iter().map(move |literal| ValueTest::Compare(comparison, literal))
        });
        let pattern = Pattern::unanchored("2").unwrap();
        let others =
            [ValueTest::Exists, ValueTest::Matches(pattern), ValueTest::StringForm("2".into())];
        for test in compares.chain(others) {
            for least in 0..9 {
                for most in least..9 {
                    let passes = |nanos| test.passes(FieldValue::Nanos(nanos));
                    let passing = (least..=most).filter(|nanos| passes(*nanos)).count() as u64;
                    let truth = passes_between(&test, least, most);
                    let what = format!("{test:?} from {least} to {most}");
                    match truth {
                        Truth::No => assert_eq!(passing, 0, "{what}"),
                        Truth::Yes => assert_eq!(passing, most - least + 1, "{what}"),
                        Truth::Maybe => {
                            let is_form = matches!(test, ValueTest::StringForm(_));
                            assert!(is_form || least < most, "{what}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_value_that_equals_a_literal_has_a_listed_form() {
        let doubles = [0.0, -0.0, 2.0, 2.5, 9.0, 1e300, f64::NAN, f64::INFINITY, 9.3e18];
        let ints = [0, 2, -1, 9, i64::MAX, 1 << 60].map(ValueRef::Int);
        let values: Vec<ValueRef<'_>> = doubles
            .map(ValueRef::Double)
            .into_iter()
            .chain(ints)
            .chain([ValueRef::String(b"2"), ValueRef::Bool(true), ValueRef::Empty])
            .collect();
        for literal in literals() {
            let test = ValueTest::Compare(Comparison::Equal, literal);
            let forms = forms_of(&test).unwrap();
            for value in &values {
                if test.passes(FieldValue::Value(*value)) {
                    assert!(forms.contains(&string_form(*value)), "{test:?} {value:?}");
                }
            }
        }
        assert_eq!(forms_of(&ValueTest::Exists), None);
        let nan = ValueTest::Compare(Comparison::Equal, Literal::Double(f64::NAN));
        assert_eq!(forms_of(&nan), Some(Vec::new()));
    }
}
