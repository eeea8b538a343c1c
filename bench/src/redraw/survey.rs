//! What of a recording is variable: the keys with many different values, and which words of those
//! values recur.
//!
//! A key is *variable* if it has more different values than a quarter of its occurrences; then all
//! its values are drawn anew. A key with a *long tail* (paths, of which some carry an id) has many
//! values that each make up less than a hundredth of it; then those are.
//!
//! Of a text that is drawn anew, a token that stands in many different values of the key belongs
//! to the template and stays: a word in two values already (words recur, random ids do not), a
//! number only where it stands in one of twenty, as ports and versions do; a count or an amount
//! recurs by chance.

use std::collections::{HashMap, HashSet};

use twox_hash::XxHash3_64;

use super::text::{token_hash, tokens};
use crate::limits::TOKENS_PER_KEY_MAX;
use crate::recording::Recording;
use crate::wire::{WireError, fields};

/// Which values a pass draws anew.
#[derive(Debug, Default)]
pub struct Survey {
    /// Keys with values that are drawn anew; iterated only to fill it.
    keys: HashMap<u64, Template>,
}

/// What stays of a key's values.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Tokens that stay, by hash.
    pub(super) tokens: HashSet<u64>,
    /// Values that stay whole, by hash.
    common: HashSet<u64>,
}

impl Template {
    /// Whether a value (an `AnyValue` on the wire) stays whole.
    pub(super) fn keeps(&self, value: &[u8]) -> bool {
        self.common.contains(&value_hash(value))
    }
}

/// A value is rare if it makes up less than this part of its key's occurrences.
const RARE_PART: u64 = 100;

/// Fewer rare values than this are the unusual cases of an enumeration, not a long tail.
const LONG_TAIL_MIN: usize = 32;

/// Where an attribute stands; a key may be variable in one place and constant in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    Span = 1,
    Event = 2,
    Link = 3,
}

impl Home {
    /// The homes' fields of a span and the attributes' field in them; a span's own are apart.
    pub(super) const NESTED: [(u32, u32, Self); 2] = [(11, 3, Self::Event), (13, 4, Self::Link)];
}

#[derive(Default)]
struct KeyCount {
    occurrences: u64,
    values: HashMap<u64, u64>,
}

impl KeyCount {
    /// The values that stay, or nothing if all do.
    fn common_values(&self) -> Option<HashSet<u64>> {
        if self.values.len() as u64 * 4 > self.occurrences {
            return Some(HashSet::new());
        }
        let is_common = |count: &u64| count * RARE_PART >= self.occurrences;
        let common = self.values.iter().filter(|(_, count)| is_common(count));
        let common: HashSet<u64> = common.map(|(value, _)| *value).collect();
        (self.values.len() - common.len() >= LONG_TAIL_MIN).then_some(common)
    }
}

impl Survey {
    /// Surveys a whole recording, in two rounds: keys, then the tokens of the variable ones.
    pub fn of(recording: &Recording) -> Result<Self, WireError> {
        let mut counts: HashMap<u64, KeyCount> = HashMap::new();
        for span in recording.spans() {
            for_each_attribute(recording.span_bytes(span), &mut |home, key, value| {
                let count = counts.entry(key_hash(home, key)).or_default();
                count.occurrences += 1;
                *count.values.entry(value_hash(value)).or_default() += 1;
            })?;
        }
        let mut keys: HashMap<u64, Template> = HashMap::new();
        for (key, count) in &counts {
            if let Some(common) = count.common_values() {
                keys.insert(*key, Template { tokens: HashSet::new(), common });
            }
        }
        let mut tokens: HashMap<u64, HashMap<u64, TokenCount>> = HashMap::new();
        for span in recording.spans() {
            for_each_attribute(recording.span_bytes(span), &mut |home, key, value| {
                let key = key_hash(home, key);
                let Some(count) = counts.get_mut(&key) else { return };
                // Each different value counts once.
                if keys.contains_key(&key) && count.values.remove(&value_hash(value)).is_some() {
                    count_tokens(tokens.entry(key).or_default(), value);
                }
            })?;
        }
        for (key, template) in &mut keys {
            template.tokens = recurring(&tokens.remove(key).unwrap_or_default());
        }
        Ok(Self { keys })
    }

    /// The template of a key, if values of it are to be drawn anew.
    pub(super) fn template(&self, home: Home, key: &[u8]) -> Option<&Template> {
        self.keys.get(&key_hash(home, key))
    }
}

#[derive(Clone, Copy, Default)]
struct TokenCount {
    values: u64,
    has_digit: bool,
}

fn count_tokens(counts: &mut HashMap<u64, TokenCount>, value: &[u8]) {
    let mut seen = HashSet::new();
    for token in tokens(value) {
        let hash = token_hash(token);
        let known = counts.contains_key(&hash) || counts.len() < TOKENS_PER_KEY_MAX;
        if known && seen.insert(hash) {
            let count = counts.entry(hash).or_default();
            count.values += 1;
            count.has_digit = token.iter().any(u8::is_ascii_digit);
        }
    }
    // The number of values stands under a hash that no token is likely to have.
    counts.entry(0).or_default().values += 1;
}

fn recurring(counts: &HashMap<u64, TokenCount>) -> HashSet<u64> {
    let values = counts.get(&0).map_or(0, |count| count.values);
    let recurs = |count: &TokenCount| {
        if count.has_digit { count.values * 20 > values.max(40) } else { count.values >= 2 }
    };
    counts.iter().filter(|(_, count)| recurs(count)).map(|(hash, _)| *hash).collect()
}

fn value_hash(value: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(0, value)
}

fn key_hash(home: Home, key: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(home as u64, key)
}

/// Is told where an attribute stands, its key, and its value as wire bytes.
type Teller<'a> = dyn FnMut(Home, &[u8], &[u8]) + 'a;

/// Tells of each attribute of a span, its events and its links.
fn for_each_attribute(span: &[u8], tell: &mut Teller<'_>) -> Result<(), WireError> {
    for field in fields(span) {
        let (field, value) = field?;
        if field.is_bytes(9) {
            tell_attribute(Home::Span, value, tell)?;
        }
        for (holder, attributes, home) in Home::NESTED {
            if field.is_bytes(holder) {
                for nested in fields(value) {
                    let (nested, value) = nested?;
                    if nested.is_bytes(attributes) {
                        tell_attribute(home, value, tell)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn tell_attribute(home: Home, attribute: &[u8], tell: &mut Teller<'_>) -> Result<(), WireError> {
    let (mut key, mut value) = (&[][..], &[][..]);
    for field in fields(attribute) {
        match field? {
            (field, bytes) if field.is_bytes(1) => key = bytes,
            (field, bytes) if field.is_bytes(2) => value = bytes,
            _ => {}
        }
    }
    tell(home, key, value);
    Ok(())
}
