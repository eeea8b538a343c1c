//! Numbers distinct shared values by first appearance: by address first (cheap and usual), then
//! by content.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use model::value::ValueRef;
use model::{Attribute, Resource, Scope};

/// A value that can be hashed by content, so that finding an equal one does not compare all.
pub(super) trait ContentHash: Eq {
    /// Feeds what distinguishes the value; equal values feed the same.
    fn feed(&self, hasher: &mut DefaultHasher);
}

/// The distinct values so far.
#[derive(Debug)]
pub(super) struct Interner<T> {
    values: Vec<Arc<T>>,
    by_address: BTreeMap<*const T, usize>,
    by_content: BTreeMap<u64, Vec<usize>>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { values: Vec::new(), by_address: BTreeMap::new(), by_content: BTreeMap::new() }
    }
}

impl<T: ContentHash> Interner<T> {
    /// The number of the value equal to `value`. The caller keeps every reference that it asked
    /// about alive until it is done, so an address always means the same value.
    pub(super) fn index_of(&mut self, value: &Arc<T>) -> usize {
        let address = Arc::as_ptr(value);
        if let Some(index) = self.by_address.get(&address) {
            return *index;
        }
        let mut hasher = DefaultHasher::new();
        value.feed(&mut hasher);
        let candidates = self.by_content.entry(hasher.finish()).or_default();
        let equal = candidates
            .iter()
            .copied()
            .find(|index| self.values.get(*index).is_some_and(|known| **known == **value));
        let index = equal.unwrap_or_else(|| {
            self.values.push(Arc::clone(value));
            candidates.push(self.values.len() - 1);
            self.values.len() - 1
        });
        self.by_address.insert(address, index);
        index
    }

    /// The values, in the order of their numbers.
    pub(super) fn into_values(self) -> Vec<Arc<T>> {
        self.values
    }
}

impl ContentHash for Resource {
    fn feed(&self, hasher: &mut DefaultHasher) {
        self.schema_url.hash(hasher);
        feed_attributes(&self.attributes, hasher);
    }
}

impl ContentHash for Scope {
    fn feed(&self, hasher: &mut DefaultHasher) {
        self.name.hash(hasher);
        self.version.hash(hasher);
        feed_attributes(&self.attributes, hasher);
    }
}

/// Feeds keys and values of attributes.
pub(super) fn feed_attributes(attributes: &[Attribute], hasher: &mut impl Hasher) {
    hasher.write_usize(attributes.len());
    for attribute in attributes {
        attribute.key.hash(hasher);
        hasher.write_u8(attribute.value.value_type() as u8);
        match attribute.value.as_ref() {
            ValueRef::Missing | ValueRef::Empty => {}
            ValueRef::Bool(value) => value.hash(hasher),
            ValueRef::Int(value) => value.hash(hasher),
            ValueRef::Double(value) => value.to_bits().hash(hasher),
            ValueRef::String(bytes)
            | ValueRef::Bytes(bytes)
            | ValueRef::Array(bytes)
            | ValueRef::KeyValueList(bytes)
            | ValueRef::Opaque(bytes)
            | ValueRef::OpaquePair(bytes) => bytes.hash(hasher),
        }
    }
}
