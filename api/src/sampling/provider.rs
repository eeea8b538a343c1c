//! Who answers for a service: a file's strategies or adaptive sampling; handles to both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::Duration;

use super::adaptive::{AdaptiveOptions, Calculator, Probabilities};
use super::strategies::{Strategies, StrategiesError, Warning};
use super::strategy::Strategy;
use super::throughput::{Throughput, ThroughputCounter};

/// The probability of a service that nobody has said anything about, as Jaeger has it.
const DEFAULT_PROBABILITY: f64 = 0.001;

/// Where strategies come from. Cloning shares.
#[derive(Debug, Clone)]
pub enum Sampling {
    /// A file, or one probability for all.
    File(StrategiesHandle),
    /// The throughput of root spans.
    Adaptive(AdaptiveSampling),
}

impl Default for Sampling {
    fn default() -> Self {
        Self::File(StrategiesHandle::default())
    }
}

impl Sampling {
    /// How to sample a service.
    pub fn strategy(&self, service: &str) -> Strategy {
        match self {
            Self::File(strategies) => strategies.strategy(service),
            Self::Adaptive(adaptive) => adaptive.strategy(service),
        }
    }

    /// What counts root spans, if anyone wants to know.
    pub fn counter(&self) -> Option<ThroughputCounter> {
        match self {
            Self::File(_) => None,
            Self::Adaptive(adaptive) => Some(adaptive.counter.clone()),
        }
    }
}

/// The strategies of a file, which may be replaced while they are read. Cloning shares.
#[derive(Debug, Clone)]
pub struct StrategiesHandle {
    current: Arc<RwLock<Arc<Strategies>>>,
    default_probability: f64,
}

impl Default for StrategiesHandle {
    fn default() -> Self {
        Self::uniform(DEFAULT_PROBABILITY)
    }
}

impl StrategiesHandle {
    /// One probability for all services, until a file says more.
    pub fn uniform(default_probability: f64) -> Self {
        let current = Arc::new(Strategies::uniform(default_probability));
        Self { current: Arc::new(RwLock::new(current)), default_probability }
    }

    /// Takes a file's content. Content that cannot be read changes nothing; what it says about
    /// entries that could not be taken as they stand is for the log.
    pub fn replace(&self, bytes: &[u8]) -> Result<Vec<Warning>, StrategiesError> {
        let (strategies, warnings) = Strategies::parse(bytes, self.default_probability)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(strategies);
        Ok(warnings)
    }

    /// How to sample a service.
    pub fn strategy(&self, service: &str) -> Strategy {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        current.of(service).clone()
    }
}

/// Where the counts of this node go, and where the probabilities in force come from: the seam
/// at which nodes share what they count.
pub trait Exchange: fmt::Debug + Send + Sync {
    /// Takes what this node counted in an interval that has just ended. Does not wait.
    fn publish(&self, throughput: Throughput, interval: Duration);

    /// The probabilities in force.
    fn probabilities(&self) -> Arc<Probabilities>;
}

/// Adaptive sampling of a node. Cloning shares.
#[derive(Debug, Clone)]
pub struct AdaptiveSampling {
    options: AdaptiveOptions,
    counter: ThroughputCounter,
    exchange: Arc<dyn Exchange>,
}

impl AdaptiveSampling {
    /// Adaptive sampling over the counts of `exchange`.
    pub fn new(options: AdaptiveOptions, exchange: Arc<dyn Exchange>) -> Self {
        Self { options, counter: ThroughputCounter::default(), exchange }
    }

    /// Adaptive sampling over the counts of this node alone.
    pub fn local(options: AdaptiveOptions) -> Self {
        Self::new(options, Arc::new(LocalExchange::new(options)))
    }

    /// What it aims at.
    pub fn options(&self) -> &AdaptiveOptions {
        &self.options
    }

    /// What counts root spans.
    pub fn counter(&self) -> ThroughputCounter {
        self.counter.clone()
    }

    /// Hands over what was counted in an interval that has just ended.
    pub fn flush(&self, interval: Duration) {
        self.exchange.publish(self.counter.take(), interval);
    }

    /// How to sample a service.
    pub fn strategy(&self, service: &str) -> Strategy {
        self.exchange.probabilities().strategy(service, &self.options)
    }
}

/// Probabilities from the counts of one node.
#[derive(Debug)]
pub struct LocalExchange {
    calculator: Mutex<Calculator>,
    probabilities: RwLock<Arc<Probabilities>>,
}

impl LocalExchange {
    /// An exchange that has seen nothing.
    pub fn new(options: AdaptiveOptions) -> Self {
        let calculator = Mutex::new(Calculator::new(options));
        Self { calculator, probabilities: RwLock::default() }
    }
}

impl Exchange for LocalExchange {
    fn publish(&self, throughput: Throughput, interval: Duration) {
        let mut calculator = self.calculator.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(calculator.step(throughput, interval).clone());
        *self.probabilities.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn probabilities(&self) -> Arc<Probabilities> {
        Arc::clone(&self.probabilities.read().unwrap_or_else(PoisonError::into_inner))
    }
}
