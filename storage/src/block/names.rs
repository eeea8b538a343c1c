//! The names in a run: services with their operations, and keys of attributes.

use std::collections::{BTreeMap, BTreeSet};

use model::Text;
use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_bytes, put_varint, unzigzag, zigzag};
use model::query::AttributeScope;
use model::span::SpanKind;
use model::store::Operation;

use crate::shard::limits::CATALOG_OPERATIONS_MAX;

/// Keys that are listed; a run with more has them read from its pages.
const KEYS_MAX: usize = 10_000;

const UNKNOWN_SCOPE: ColumnError = ColumnError::new("not a scope of attributes");

/// Names of a run. Either list is absent if there is too much of it (ids in names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) services: Option<BTreeMap<Text, BTreeSet<Operation>>>,
    operation_count: usize,
    pub(crate) keys: Option<BTreeSet<(AttributeScope, Text)>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { services: Some(BTreeMap::new()), operation_count: 0, keys: Some(BTreeSet::new()) }
    }
}

impl Names {
    /// Adds an operation of a service. Copies, so that the names keep no page alive.
    pub(crate) fn add_operation(&mut self, service: &Text, operation: &Operation) {
        let Some(services) = &mut self.services else { return };
        if services.get(service).is_some_and(|operations| operations.contains(operation)) {
            return;
        }
        let name = Text::copy_from(operation.name.as_bytes());
        let operations = services.entry(Text::copy_from(service.as_bytes())).or_default();
        operations.insert(Operation { name, kind: operation.kind });
        self.operation_count += 1;
        if self.operation_count > CATALOG_OPERATIONS_MAX {
            self.services = None;
        }
    }

    /// Adds a key.
    pub(crate) fn add_key(&mut self, scope: AttributeScope, key: &Text) {
        let Some(keys) = &mut self.keys else { return };
        let entry = (scope, key.clone());
        if !keys.contains(&entry) {
            keys.insert((scope, Text::copy_from(key.as_bytes())));
            if keys.len() > KEYS_MAX {
                self.keys = None;
            }
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.services {
            None => put_varint(&mut out, 0),
            Some(services) => {
                put_varint(&mut out, services.len() as u64 + 1);
                for (service, operations) in services {
                    put_bytes(&mut out, service.as_bytes());
                    put_varint(&mut out, operations.len() as u64);
                    for operation in operations {
                        put_bytes(&mut out, operation.name.as_bytes());
                        put_varint(&mut out, zigzag(i64::from(operation.kind.0)));
                    }
                }
            }
        }
        match &self.keys {
            None => put_varint(&mut out, 0),
            Some(keys) => {
                put_varint(&mut out, keys.len() as u64 + 1);
                for (scope, key) in keys {
                    out.push(scope_number(*scope));
                    put_bytes(&mut out, key.as_bytes());
                }
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let mut cursor = Cursor::new(bytes);
        let mut names = Self::default();
        let service_count = cursor.count(bytes.len())?;
        if service_count == 0 {
            names.services = None;
        }
        for _ in 1..service_count {
            let service = Text::copy_from(cursor.bytes()?);
            let operation_count = cursor.count(bytes.len())?;
            let mut operations = BTreeSet::new();
            for _ in 0..operation_count {
                let name = Text::copy_from(cursor.bytes()?);
                let kind = i32::try_from(unzigzag(cursor.varint()?));
                let kind = SpanKind(kind.map_err(|_| ColumnError::new("not a kind of span"))?);
                operations.insert(Operation { name, kind });
            }
            names.operation_count += operations.len();
            if let Some(services) = &mut names.services {
                services.insert(service, operations);
            }
        }
        let key_count = cursor.count(bytes.len())?;
        if key_count == 0 {
            names.keys = None;
        }
        for _ in 1..key_count {
            let scope = scope_of(cursor.byte()?).ok_or(UNKNOWN_SCOPE)?;
            let key = Text::copy_from(cursor.bytes()?);
            if let Some(keys) = &mut names.keys {
                keys.insert((scope, key));
            }
        }
        Ok(names)
    }
}

/// On disk.
const SCOPES: [AttributeScope; 5] = [
    AttributeScope::Span,
    AttributeScope::Resource,
    AttributeScope::Scope,
    AttributeScope::Event,
    AttributeScope::Link,
];

pub(super) fn scope_number(scope: AttributeScope) -> u8 {
    let place = SCOPES.iter().position(|own| *own == scope);
    u8::try_from(place.unwrap_or_default()).unwrap_or_default()
}

pub(super) fn scope_of(number: u8) -> Option<AttributeScope> {
    SCOPES.get(usize::from(number)).copied()
}
