//! Who answers for a service: a file's strategies or adaptive sampling; handles to both.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::admin::SamplingStatus;
use model::{Duration, NodeId};

use super::adaptive::{AdaptiveOptions, Probabilities};
use super::limits::GATHER_DELAY;
use super::note::Note;
use super::strategies::{Strategies, StrategiesError, Warning};
use super::strategy::Strategy;
use super::throughput::ThroughputCounter;
use super::together::Together;

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
    current: Arc<RwLock<Arc<InForce>>>,
    default_probability: f64,
}

#[derive(Debug)]
struct InForce {
    strategies: Strategies,
    /// Which content they are of; none if nobody has said anything.
    status: Option<SamplingStatus>,
}

impl Default for StrategiesHandle {
    fn default() -> Self {
        Self::uniform(DEFAULT_PROBABILITY)
    }
}

impl StrategiesHandle {
    /// One probability for all services, until a file says more.
    pub fn uniform(default_probability: f64) -> Self {
        let strategies = Strategies::uniform(default_probability);
        let current = Arc::new(InForce { strategies, status: None });
        Self { current: Arc::new(RwLock::new(current)), default_probability }
    }

    /// Whether content could be taken, and what it says about entries that could not be as they
    /// stand. Changes nothing.
    pub fn check(&self, bytes: &[u8]) -> Result<Vec<Warning>, StrategiesError> {
        Strategies::parse(bytes, self.default_probability).map(|(_, warnings)| warnings)
    }

    /// Takes a file's content. Content that cannot be read changes nothing; what it says about
    /// entries that could not be taken as they stand is for the log.
    pub fn replace(&self, bytes: &[u8]) -> Result<Vec<Warning>, StrategiesError> {
        let (strategies, warnings) = Strategies::parse(bytes, self.default_probability)?;
        let status = Some(SamplingStatus::of(bytes, 0));
        let next = Arc::new(InForce { strategies, status });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(warnings)
    }

    /// Which content is in force, if any was taken.
    pub fn status(&self) -> Option<SamplingStatus> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).status
    }

    /// How to sample a service.
    pub fn strategy(&self, service: &str) -> Strategy {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        current.strategies.of(service).clone()
    }
}

/// The other nodes of a cluster, as far as sampling needs them.
pub trait Peers: fmt::Debug + Send + Sync {
    /// This node.
    fn own(&self) -> NodeId;

    /// Keeps what this node says for the others, in the place of what it said before.
    fn say(&self, note: Bytes);

    /// Asks every other node what it says; nothing of one that does not answer, and no word of one
    /// that does not belong to the cluster. Takes some seconds at most.
    fn ask(&self) -> BoxFuture<'static, BTreeMap<NodeId, Option<Bytes>>>;
}

/// Adaptive sampling of a node. Cloning shares.
#[derive(Debug, Clone)]
pub struct AdaptiveSampling {
    options: AdaptiveOptions,
    counter: ThroughputCounter,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    together: Mutex<Together>,
    probabilities: RwLock<Arc<Probabilities>>,
    /// Set once, if the node is one of several.
    peers: OnceLock<Arc<dyn Peers>>,
}

impl AdaptiveSampling {
    /// Adaptive sampling over the counts of this node, until it is told of others.
    pub fn new(options: AdaptiveOptions) -> Self {
        let inner = Inner {
            together: Mutex::new(Together::new(options)),
            probabilities: RwLock::default(),
            peers: OnceLock::new(),
        };
        Self { options, counter: ThroughputCounter::default(), inner: Arc::new(inner) }
    }

    /// From now on the counts of all nodes count; the first ones that are named stay.
    pub fn share(&self, peers: Arc<dyn Peers>) {
        self.inner.peers.get_or_init(|| peers);
    }

    /// What it aims at.
    pub fn options(&self) -> &AdaptiveOptions {
        &self.options
    }

    /// What counts root spans.
    pub fn counter(&self) -> ThroughputCounter {
        self.counter.clone()
    }

    /// Ends a window; its number is the same on all nodes. Returns how long to wait before
    /// [`Self::step`], until the others have ended it too.
    pub fn close(&self, window: u64) -> Duration {
        self.together().close(window, self.counter.take());
        match self.inner.peers.get() {
            Some(peers) => {
                self.say(peers.as_ref());
                GATHER_DELAY
            }
            None => Duration(0),
        }
    }

    /// Computes the probabilities after a window, from the counts of all.
    pub async fn step(&self, window: u64) {
        let Some(peers) = self.inner.peers.get() else {
            let next = self.together().step(NodeId::default(), window, BTreeMap::new()).clone();
            return self.put_in_force(next);
        };
        let answers = peers.ask().await.into_iter();
        let notes = answers.map(|(node, said)| (node, said.and_then(|said| Note::decode(&said))));
        let notes = notes.collect();
        let next = self.together().step(peers.own(), window, notes).clone();
        self.put_in_force(next);
        self.say(peers.as_ref());
    }

    /// How to sample a service.
    pub fn strategy(&self, service: &str) -> Strategy {
        let current = self.inner.probabilities.read().unwrap_or_else(PoisonError::into_inner);
        let current = Arc::clone(&current);
        current.strategy(service, &self.options)
    }

    fn say(&self, peers: &dyn Peers) {
        let note = self.together().own().encode();
        peers.say(note.into());
    }

    fn put_in_force(&self, next: Probabilities) {
        let mut current = self.inner.probabilities.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(next);
    }

    fn together(&self) -> MutexGuard<'_, Together> {
        self.inner.together.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
