//! The effective services and operations of a tenant's head.

use std::collections::{BTreeMap, BTreeSet};

use model::batch::Index;
use model::effective::operation_of_name;
use model::store::Operation;
use model::{Text, span::SpanKind};

use super::limits::CATALOG_OPERATIONS_MAX;

/// Services and their operations. Contents depend on the applied batches alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    services: BTreeMap<Text, BTreeSet<Operation>>,
    operation_count: usize,
    /// There were too many operations; nothing is listed any more.
    overflowed: bool,
}

impl Catalog {
    /// Adds the names of a batch.
    pub(super) fn add(&mut self, index: &Index) {
        if self.overflowed {
            return;
        }
        for (service, name, kind) in names(index) {
            let known = self.services.get(service);
            let operation = Operation { name, kind };
            if known.is_some_and(|operations| operations.contains(&operation)) {
                continue;
            }
            // Copies: a name read from a batch shares the memory of the batch's dictionary.
            let service = Text::copy_from(service.as_bytes());
            let name = Text::copy_from(operation.name.as_bytes());
            self.services.entry(service).or_default().insert(Operation { name, kind });
            self.operation_count += 1;
        }
        if self.operation_count > CATALOG_OPERATIONS_MAX {
            *self = Self { overflowed: true, ..Self::default() };
        }
    }

    /// Services and operations; nothing if there are more than a catalog holds.
    pub(super) fn services(&self) -> Option<&BTreeMap<Text, BTreeSet<Operation>>> {
        (!self.overflowed).then_some(&self.services)
    }

    /// How many operations are listed.
    pub(super) fn operation_count(&self) -> usize {
        self.operation_count
    }
}

/// The names in a batch: effective service, effective operation and kind of each class.
pub(super) fn names(index: &Index) -> impl Iterator<Item = (&Text, Text, SpanKind)> {
    index.classes.iter().filter_map(|class| {
        let service = index.services.get(class.resource as usize)?;
        let name = index.strings.get(class.name as usize)?;
        Some((service, operation_of_name(name.as_bytes()), class.kind))
    })
}
