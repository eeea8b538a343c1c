//! Zones: what rules out pages of a run before they are read.
//!
//! Of each page: the *classes* of its spans (service, operation, kind, status) with the shortest
//! and the longest duration of each; the keys of attributes that stand on it, by the place where
//! they stand; and a filter over the values under those keys, which is read where it lies. Of the
//! whole run: which keys spans of each class have, and which values stand under keys of few.
//!
//! Invariant: zones only ever deny. What they do not deny may still not be there: classes and keys
//! beyond a bound are not listed, durations are rounded outwards, filters let absent values
//! through. A key with too many values for the filter is *open*: no value of it is denied.

mod build;
mod class_keys;
mod durations;
mod encode;
mod filter;
mod key_values;
mod values;

use model::query::AttributeScope;
use model::span::{SpanKind, StatusCode};
use model::{Duration, Text};

use super::BlockError;
use super::limits::{ZONE_CLASSES_MAX, ZONE_KEYS_MAX};
use super::raw_section::RawSection;

pub(crate) use build::ZonesBuilder;
pub(crate) use filter::{key_hash, value_hash};
pub(crate) use values::{ValueFilter, ValueFilterWriter};

/// What many spans of a run share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ZoneClass {
    /// The effective service.
    pub(crate) service: Text,
    /// The effective operation.
    pub(crate) operation: Text,
    pub(crate) kind: SpanKind,
    /// The status code; unset where there is no status.
    pub(crate) status: StatusCode,
}

/// The zones of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Zones {
    classes: Vec<ZoneClass>,
    /// By number.
    keys: Vec<(AttributeScope, Text)>,
    pages: Vec<Page>,
    /// Of all pages, page by page; so below.
    page_classes: Vec<PageClass>,
    page_keys: Vec<PageKey>,
    /// Of blocks that were written before filters lay in a section of their own.
    filters: Vec<u8>,
    value_filter: Option<ValueFilter>,
    /// Flags that some page has.
    any_flags: u8,
    /// By key: whether it is open on some page.
    is_open_somewhere: Vec<bool>,
    /// By class: its keys among those below; nothing of a class whose keys are not told.
    class_keys: Vec<Option<Stretch>>,
    /// Keys by number, of all classes, class by class.
    class_key_numbers: Vec<u32>,
    /// By key: its values among those below; nothing of a key whose values are not told.
    key_values: Vec<Option<Stretch>>,
    /// Upper halves of hashes, of all keys, key by key.
    values: Vec<u32>,
}

/// A stretch of one of the lists that all pages share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    flags: u8,
    classes: Stretch,
    keys: Stretch,
    filter: Stretch,
    probes: u8,
}

/// Spans of the page have events.
const HAS_EVENTS: u8 = 1;
/// Spans of the page have links.
const HAS_LINKS: u8 = 2;
/// Spans of the page have fields that most spans leave at their default.
const HAS_RARE_FIELDS: u8 = 4;
/// Attributes of the page have keys that are not listed.
const HAS_UNLISTED_KEYS: u8 = 8;

/// A class on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageClass {
    /// Its number; the number of classes for all those together that are not listed.
    class: u16,
    shortest: u8,
    longest: u8,
}

/// A key on a page: its number times 2, plus 1 if it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PageKey(u16);

const _: () = assert!(ZONE_CLASSES_MAX < u16::MAX as usize);
const _: () = assert!(2 * ZONE_KEYS_MAX <= u16::MAX as usize);

impl PageKey {
    /// Nothing for a number beyond those that are listed.
    fn new(key: u32, is_open: bool) -> Option<Self> {
        let number = u16::try_from(key.checked_mul(2)?).ok()?;
        Some(Self(number | u16::from(is_open)))
    }

    fn key(self) -> u32 {
        u32::from(self.0 >> 1)
    }

    fn is_open(self) -> bool {
        self.0 & 1 != 0
    }
}

/// What a page, or all pages of a run, say of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOnPage {
    /// It does not stand there.
    Absent,
    /// It stands there, and its values are in the filter.
    Filtered,
    /// It may stand there with any value.
    Open,
}

impl PageClass {
    /// The class, as a place among [`Zones::classes`]; beyond them if it is not known.
    pub(crate) fn class(self) -> usize {
        self.class.into()
    }

    /// Bounds of the durations of its spans.
    pub(crate) fn durations(self) -> (Duration, Duration) {
        (durations::range(self.shortest).0, durations::range(self.longest).1)
    }
}

/// The zones of one page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageZones<'a> {
    zones: &'a Zones,
    page: &'a Page,
}

impl Zones {
    /// The classes that are listed.
    pub(crate) fn classes(&self) -> &[ZoneClass] {
        &self.classes
    }

    /// The number of a key in a place, if it is listed.
    pub(crate) fn key(&self, scope: AttributeScope, key: &Text) -> Option<u32> {
        let is_it =
            |(own_scope, own_key): &(AttributeScope, Text)| *own_scope == scope && own_key == key;
        self.keys.iter().position(is_it).and_then(|number| u32::try_from(number).ok())
    }

    /// Whether no attribute in a place has this key, on any page.
    pub(crate) fn lacks_key(&self, scope: AttributeScope, key: &Text) -> bool {
        self.key_anywhere(self.key(scope, key)) == KeyOnPage::Absent
    }

    /// Whether a key stands on some page; `number` is what [`Self::key`] said.
    pub(crate) fn key_anywhere(&self, number: Option<u32>) -> KeyOnPage {
        let Some(number) = number else {
            let may_be = self.any_flags & HAS_UNLISTED_KEYS != 0;
            return if may_be { KeyOnPage::Open } else { KeyOnPage::Absent };
        };
        // Those that are listed stand on some page.
        let is_open = self.is_open_somewhere.get(number as usize).copied().unwrap_or(true);
        if is_open { KeyOnPage::Open } else { KeyOnPage::Filtered }
    }

    /// Whether spans of some page have events; so below.
    pub(crate) fn has_events(&self) -> bool {
        self.any_flags & HAS_EVENTS != 0
    }

    pub(crate) fn has_links(&self) -> bool {
        self.any_flags & HAS_LINKS != 0
    }

    pub(crate) fn has_rare_fields(&self) -> bool {
        self.any_flags & HAS_RARE_FIELDS != 0
    }

    /// Where the filters of all pages lie, if they lie in a section of their own.
    pub(crate) fn value_filter(&self) -> Option<ValueFilter> {
        self.value_filter
    }

    /// Takes what the head of that section says.
    pub(super) fn read_value_filter(&mut self, section: RawSection<'_>) -> Result<(), BlockError> {
        let filter = ValueFilter::read(section)?;
        if filter.page_count() != self.pages.len() {
            return Err(section.malformed(encode::MALFORMED));
        }
        self.value_filter = Some(filter);
        Ok(())
    }

    /// Adds up what all pages say.
    fn sum_up(&mut self) {
        self.any_flags = self.pages.iter().fold(0, |flags, page| flags | page.flags);
        self.is_open_somewhere = vec![false; self.keys.len()];
        for key in self.page_keys.iter().filter(|key| key.is_open()) {
            if let Some(is_open) = self.is_open_somewhere.get_mut(key.key() as usize) {
                *is_open = true;
            }
        }
    }

    /// Whether spans of some page have classes that are not listed.
    pub(crate) fn has_unlisted_classes(&self) -> bool {
        self.page_classes.iter().any(|class| class.class() >= self.classes.len())
    }

    /// Of a page of the run; nothing is known of pages that are not there.
    pub(crate) fn page(&self, page: usize) -> Option<PageZones<'_>> {
        Some(PageZones { zones: self, page: self.pages.get(page)? })
    }

    /// Bytes of memory, roughly.
    pub(crate) fn memory_bytes(&self) -> usize {
        let class = |class: &ZoneClass| {
            size_of::<ZoneClass>() + class.service.len() + class.operation.len()
        };
        self.classes.iter().map(class).sum::<usize>()
            + self.keys.iter().map(|(_, key)| 64 + key.len()).sum::<usize>()
            + size_of_val(self.pages.as_slice())
            + size_of_val(self.page_classes.as_slice())
            + size_of_val(self.page_keys.as_slice())
            + self.filters.len()
            + size_of_val(self.class_keys.as_slice())
            + size_of_val(self.class_key_numbers.as_slice())
            + size_of_val(self.key_values.as_slice())
            + size_of_val(self.values.as_slice())
            + size_of_val(self.is_open_somewhere.as_slice())
    }
}

impl<'a> PageZones<'a> {
    /// The classes of its spans.
    pub(crate) fn classes(self) -> &'a [PageClass] {
        slice(&self.zones.page_classes, self.page.classes)
    }

    /// Whether a key stands on the page; `number` is what [`Zones::key`] said.
    pub(crate) fn key(self, number: Option<u32>) -> KeyOnPage {
        let Some(number) = number else {
            let may_be = self.page.flags & HAS_UNLISTED_KEYS != 0;
            return if may_be { KeyOnPage::Open } else { KeyOnPage::Absent };
        };
        let keys = slice(&self.zones.page_keys, self.page.keys);
        let found = keys.binary_search_by_key(&number, |key| key.key());
        match found.ok().and_then(|at| keys.get(at)) {
            None => KeyOnPage::Absent,
            Some(key) if key.is_open() => KeyOnPage::Open,
            Some(_) => KeyOnPage::Filtered,
        }
    }

    /// Whether a value, by its hash, may stand on the page under a key that is filtered, as far as
    /// a filter in memory knows.
    pub(crate) fn may_have_value(self, hash: u64) -> bool {
        let filter = slice(&self.zones.filters, self.page.filter);
        filter::may_contain(filter, self.page.probes, hash)
    }

    /// Whether spans of a class may have a key on themselves, wherever they stand in the run.
    pub(crate) fn class_may_have_key(self, class: PageClass, key: u32) -> bool {
        self.zones.may_have_key(class.class(), key)
    }

    pub(crate) fn has_events(self) -> bool {
        self.page.flags & HAS_EVENTS != 0
    }

    pub(crate) fn has_links(self) -> bool {
        self.page.flags & HAS_LINKS != 0
    }

    pub(crate) fn has_rare_fields(self) -> bool {
        self.page.flags & HAS_RARE_FIELDS != 0
    }
}

fn slice<T>(list: &[T], stretch: Stretch) -> &[T] {
    list.get(stretch.start as usize..stretch.end as usize).unwrap_or_default()
}
