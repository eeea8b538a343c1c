//! The strategies file: JSON in Jaeger's format, read as Jaeger reads it.
//!
//! Pure. A file that is not well-formed is refused whole; an entry that makes no sense is
//! replaced as Jaeger replaces it, and reported.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::limits::{STRATEGIES_BYTES_MAX, WARNINGS_MAX};
use super::strategy::{Main, OperationStrategies, Strategy};

/// The strategies of all services.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategies {
    default: Strategy,
    services: BTreeMap<String, Strategy>,
}

/// Why bytes are not a strategies file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StrategiesError {
    /// It is too large.
    #[error("a strategies file has at most {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// It is not JSON of this form.
    #[error("failed to unmarshal sampling strategies: {0}")]
    Malformed(serde_json::Error),
}

/// An entry that was not taken as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A type that does not exist; the default probability is used.
    #[error("unknown sampling type {type_:?} for {of:?}: the default probability is used")]
    UnknownType {
        /// The type.
        type_: String,
        /// The service or operation.
        of: String,
    },
    /// An operation that is to be limited by rate; it is left out.
    #[error("operation {operation:?} cannot be of type \"ratelimiting\"; it is ignored")]
    RateLimitedOperation {
        /// The operation.
        operation: String,
    },
}

#[derive(Deserialize, Default)]
struct File {
    default_strategy: Option<ServiceEntry>,
    service_strategies: Option<Vec<Option<ServiceEntry>>>,
}

#[derive(Deserialize)]
struct ServiceEntry {
    service: Option<String>,
    #[serde(rename = "type")]
    type_: Option<String>,
    param: Option<f64>,
    operation_strategies: Option<Vec<Option<OperationEntry>>>,
}

#[derive(Deserialize)]
struct OperationEntry {
    operation: Option<String>,
    #[serde(rename = "type")]
    type_: Option<String>,
    param: Option<f64>,
}

impl Strategies {
    /// One probability for all services.
    pub fn uniform(probability: f64) -> Self {
        Self { default: Strategy::probabilistic(probability), services: BTreeMap::new() }
    }

    /// Reads a file. `default_probability` is for whatever it does not say.
    pub fn parse(
        bytes: &[u8],
        default_probability: f64,
    ) -> Result<(Self, Vec<Warning>), StrategiesError> {
        if bytes.len() > STRATEGIES_BYTES_MAX {
            return Err(StrategiesError::TooLarge { bytes_max: STRATEGIES_BYTES_MAX });
        }
        let file: Option<File> =
            serde_json::from_slice(bytes).map_err(StrategiesError::Malformed)?;
        let file = file.unwrap_or_default();
        let mut reader = Reader { default_probability, warnings: Vec::new() };
        let mut strategies = Self::uniform(default_probability);
        if let Some(entry) = &file.default_strategy {
            strategies.default = reader.service(entry);
        }
        for entry in file.service_strategies.into_iter().flatten().flatten() {
            let mut strategy = reader.service(&entry);
            if let Some(shared) = &strategies.default.operations {
                merge(&mut strategy, shared);
            }
            strategies.services.insert(entry.service.unwrap_or_default(), strategy);
        }
        Ok((strategies, reader.warnings))
    }

    /// The strategy of a service; the default one if the file does not name it.
    pub fn of(&self, service: &str) -> &Strategy {
        self.services.get(service).unwrap_or(&self.default)
    }
}

/// Adds the default strategy's operations to a service's own, which come first and win. A
/// service that is sampled by probability keeps its own for operations that are not listed.
fn merge(strategy: &mut Strategy, shared: &OperationStrategies) {
    let Some(own) = &mut strategy.operations else {
        let mut operations = shared.clone();
        if let Main::Probabilistic(probability) = strategy.main {
            operations.default_probability = probability;
        }
        strategy.operations = Some(operations);
        return;
    };
    let own_count = own.operations.len();
    for (operation, probability) in &shared.operations {
        let is_own = |(name, _): &(String, f64)| name == operation;
        if !own.operations.iter().take(own_count).any(is_own) {
            own.operations.push((operation.clone(), *probability));
        }
    }
}

struct Reader {
    default_probability: f64,
    warnings: Vec<Warning>,
}

impl Reader {
    fn service(&mut self, entry: &ServiceEntry) -> Strategy {
        let of = entry.service.as_deref().unwrap_or("default");
        let main = self.main(entry.type_.as_deref(), entry.param, of);
        let entries = entry.operation_strategies.as_deref().unwrap_or_default();
        if entries.is_empty() {
            return Strategy { main, operations: None };
        }
        let default_probability = match main {
            Main::Probabilistic(probability) => probability,
            Main::RateLimiting(_) | Main::Unsaid => self.default_probability,
        };
        let mut operations =
            OperationStrategies { default_probability, ..OperationStrategies::default() };
        for entry in entries.iter().flatten() {
            let operation = entry.operation.clone().unwrap_or_default();
            match self.main(entry.type_.as_deref(), entry.param, &operation) {
                Main::Probabilistic(probability) => {
                    operations.operations.push((operation, probability));
                }
                Main::RateLimiting(_) | Main::Unsaid => {
                    self.warn(Warning::RateLimitedOperation { operation });
                }
            }
        }
        Strategy { main, operations: Some(operations) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "Jaeger's rule: the whole part, bounded")]
    fn main(&mut self, type_: Option<&str>, param: Option<f64>, of: &str) -> Main {
        let param = param.unwrap_or_default();
        match type_.unwrap_or_default() {
            "probabilistic" => Main::Probabilistic(param),
            "ratelimiting" => Main::RateLimiting(param as i32),
            other => {
                self.warn(Warning::UnknownType { type_: other.to_owned(), of: of.to_owned() });
                Main::Probabilistic(self.default_probability)
            }
        }
    }

    fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
    }
}
