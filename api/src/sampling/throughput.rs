//! How often operations begin traces: counts of root spans, gathered where spans come in.
//!
//! Jaeger's clients tag a root span with the sampler that let it through (`sampler.type`,
//! `sampler.param`). A probabilistic one counts; of another one only the operation is noted, so
//! that it gets a probability of its own. Spans without these tags come from clients that do
//! not ask for strategies, and do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use model::SpanVisitor;
use model::effective::SERVICE_NAME_KEY;
use model::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead};
use model::value::ValueRef;

use super::adaptive::millionths;
use super::limits::{NAME_BYTES_MAX, THROUGHPUT_OPERATIONS_MAX, THROUGHPUT_PROBABILITIES_MAX};

const SAMPLER_TYPE_KEY: &[u8] = b"sampler.type";
const SAMPLER_PARAM_KEY: &[u8] = b"sampler.param";

/// Counts by service and operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Throughput {
    /// The counts.
    pub services: BTreeMap<String, BTreeMap<String, OperationThroughput>>,
}

/// Counts of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationThroughput {
    /// Root spans that a probabilistic sampler let through.
    pub count: u64,
    /// The samplers' parameters, in millionths.
    pub probabilities: BTreeSet<u32>,
}

impl Throughput {
    /// Adds the counts of a disjoint set of root spans.
    pub fn merge(&mut self, other: Self) {
        for (service, operations) in other.services {
            let own = self.services.entry(service).or_default();
            for (operation, counts) in operations {
                let own = own.entry(operation).or_default();
                own.count += counts.count;
                own.probabilities.extend(counts.probabilities);
            }
        }
    }
}

/// Counts root spans as they come in. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct ThroughputCounter {
    counted: Arc<Mutex<Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    throughput: Throughput,
    operations: usize,
}

impl ThroughputCounter {
    /// What was counted since the last call.
    pub fn take(&self) -> Throughput {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.operations = 0;
        std::mem::take(&mut counted.throughput)
    }

    /// Adds what a visitor saw.
    pub(crate) fn add(&self, roots: Roots) {
        if roots.seen.is_empty() {
            return;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for root in roots.seen {
            counted.add(root);
        }
    }
}

impl Counted {
    fn add(&mut self, root: Root) {
        let has_room = self.operations < THROUGHPUT_OPERATIONS_MAX;
        let operations = match self.throughput.services.get_mut(&root.service) {
            Some(operations) => operations,
            None if has_room => self.throughput.services.entry(root.service).or_default(),
            None => return,
        };
        if !operations.contains_key(&root.operation) {
            if !has_room {
                return;
            }
            self.operations += 1;
        }
        let counts = operations.entry(root.operation).or_default();
        counts.count += u64::from(root.is_probabilistic);
        if counts.probabilities.len() < THROUGHPUT_PROBABILITIES_MAX {
            counts.probabilities.insert(root.probability);
        }
    }
}

/// A root span that names its sampler.
#[derive(Debug)]
struct Root {
    service: String,
    operation: String,
    is_probabilistic: bool,
    probability: u32,
}

/// Notes the root spans among those that it is told of.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    seen: Vec<Root>,
    service: String,
    place: Place,
    operation: String,
    sampler: Option<bool>,
    param: Option<f64>,
}

/// What attributes belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Something that does not matter.
    #[default]
    Elsewhere,
    Resource,
    /// A root span.
    Root,
}

impl SpanVisitor for Roots {
    fn resource(&mut self, _: &ResourceHead<'_>) -> Interned {
        self.place = Place::Resource;
        self.service.clear();
        Interned::New
    }

    fn scope(&mut self, _: &ScopeHead<'_>) -> Interned {
        self.place = Place::Elsewhere;
        Interned::Known
    }

    fn end_group(&mut self) {
        self.place = Place::Elsewhere;
    }

    fn span(&mut self, span: &SpanHead<'_>) {
        let is_root = span.parent.iter().all(|byte| *byte == 0);
        let has_names =
            !span.name.is_empty() && span.name.len() <= NAME_BYTES_MAX && !self.service.is_empty();
        self.place = if is_root && has_names { Place::Root } else { Place::Elsewhere };
        if self.place == Place::Root {
            self.operation = String::from_utf8_lossy(span.name).into_owned();
            self.sampler = None;
            self.param = None;
        }
    }

    fn attribute(&mut self, key: &[u8], value: ValueRef<'_>) {
        match (self.place, key, value) {
            (Place::Resource, key, ValueRef::String(name))
                if key == SERVICE_NAME_KEY.as_bytes() && name.len() <= NAME_BYTES_MAX =>
            {
                self.service = String::from_utf8_lossy(name).into_owned();
            }
            (Place::Root, SAMPLER_TYPE_KEY, ValueRef::String(name)) => {
                self.sampler = match name {
                    b"probabilistic" => Some(true),
                    b"lowerbound" | b"ratelimiting" | b"const" => Some(false),
                    _ => None,
                };
            }
            (Place::Root, SAMPLER_PARAM_KEY, value) => self.param = number(value),
            _ => {}
        }
    }

    fn event(&mut self, _: &EventHead<'_>) {
        self.end_of_attributes();
    }

    fn link(&mut self, _: &LinkHead<'_>) {
        self.end_of_attributes();
    }

    fn end_span(&mut self) {
        self.end_of_attributes();
    }
}

impl Roots {
    /// Notes the span if it is a root that names its sampler.
    fn end_of_attributes(&mut self) {
        let is_root = std::mem::take(&mut self.place) == Place::Root;
        if let (true, Some(is_probabilistic), Some(param)) = (is_root, self.sampler, self.param) {
            self.seen.push(Root {
                service: self.service.clone(),
                operation: std::mem::take(&mut self.operation),
                is_probabilistic,
                probability: millionths(param),
            });
        }
    }
}

/// Clients write the parameter as a number or as text.
fn number(value: ValueRef<'_>) -> Option<f64> {
    let number = match value {
        ValueRef::Double(number) => number,
        ValueRef::Int(number) => number as f64,
        ValueRef::Bool(truth) => f64::from(u8::from(truth)),
        ValueRef::String(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}
