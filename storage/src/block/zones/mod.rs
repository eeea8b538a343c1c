//! Zones: what rules out pages of a run before they are read.
//!
//! Of each page: the *classes* of its spans (service, operation, kind, status) with the shortest
//! and the longest duration of each; the keys of attributes that stand on it, by the place where
//! they stand; and a filter over the values under those keys. Of the whole run: which keys spans of
//! each class have.
//!
//! Invariant: zones only ever deny. What they do not deny may still not be there: classes and keys
//! beyond a bound are not listed, durations are rounded outwards, filters let absent values
//! through. A key with too many values for the filter is *open*: no value of it is denied.

mod build;
mod class_keys;
mod durations;
mod encode;
mod filter;

use model::query::AttributeScope;
use model::span::{SpanKind, StatusCode};
use model::{Duration, Text};

pub(crate) use build::ZonesBuilder;
pub(crate) use filter::{key_hash, value_hash};

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
    filters: Vec<u8>,
    /// By class: its keys among those below; nothing of a class whose keys are not told.
    class_keys: Vec<Option<Stretch>>,
    /// Keys by number, of all classes, class by class.
    class_key_numbers: Vec<u32>,
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
    class: u32,
    shortest: u8,
    longest: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PageKey {
    key: u32,
    is_open: bool,
}

/// What a page says of a key.
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
        self.class as usize
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
        let number = self.key(scope, key);
        let pages = self.pages.iter().map(|page| PageZones { zones: self, page });
        pages.into_iter().all(|page| page.key(number) == KeyOnPage::Absent)
    }

    /// Whether spans of some page have classes that are not listed.
    pub(crate) fn has_unlisted_classes(&self) -> bool {
        self.page_classes.iter().any(|class| class.class as usize >= self.classes.len())
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
        match keys.binary_search_by_key(&number, |key| key.key).ok().and_then(|at| keys.get(at)) {
            None => KeyOnPage::Absent,
            Some(key) if key.is_open => KeyOnPage::Open,
            Some(_) => KeyOnPage::Filtered,
        }
    }

    /// Whether a value, by its hash, may stand on the page under a key that is filtered.
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
