//! Adaptive sampling: probabilities that bring every operation to about the same number of
//! sampled traces a second, whatever its traffic, computed as Jaeger computes them.
//!
//! Pure: counts go in, probabilities come out. Each step takes the root spans that were sampled
//! since the last one. An operation that is sampled too often gets its probability lowered in
//! proportion at once; one sampled too rarely gets it raised by at most half a step, because a
//! burst after a quiet minute must not flood the store; one not seen at all gets it doubled.

use std::collections::{BTreeMap, VecDeque};

use model::Duration;

use super::strategy::{Main, OperationStrategies, Strategy};
use super::throughput::Throughput;

/// What the calculation aims at. The defaults are Jaeger's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveOptions {
    /// Sampled traces a second that every operation is to have.
    pub target_samples_per_second: f64,
    /// How far off the target, as a share of it, an operation may be without a change.
    pub delta_tolerance: f64,
    /// How often probabilities are computed.
    pub calculation_interval: Duration,
    /// How many intervals are remembered.
    pub aggregation_buckets: usize,
    /// How many of them the traffic of an operation is averaged over, newer ones weighing more.
    pub calculation_buckets: usize,
    /// The probability of an operation that was never seen.
    pub initial_sampling_probability: f64,
    /// The lowest probability there is.
    pub min_sampling_probability: f64,
    /// Traces a second that clients sample of every operation, whatever its probability.
    pub min_samples_per_second: f64,
}

impl Default for AdaptiveOptions {
    fn default() -> Self {
        Self {
            target_samples_per_second: 1.0,
            delta_tolerance: 0.3,
            calculation_interval: Duration::from_secs(60),
            aggregation_buckets: 10,
            calculation_buckets: 1,
            initial_sampling_probability: 0.001,
            min_sampling_probability: 1e-5,
            min_samples_per_second: 1.0 / 60.0,
        }
    }
}

/// The largest rise of a probability in one step, as a share of it.
const INCREASE_MAX: f64 = 0.5;
/// Probabilities and rates closer than this are equal.
const EPSILON: f64 = 1e-10;

/// The probabilities in force: by service, then by operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Probabilities {
    /// The probabilities.
    pub services: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Probabilities {
    /// What the clients of a service are told.
    pub fn strategy(&self, service: &str, options: &AdaptiveOptions) -> Strategy {
        let operations = self.services.get(service).into_iter().flatten();
        Strategy {
            main: Main::Unsaid,
            operations: Some(OperationStrategies {
                default_probability: options.initial_sampling_probability,
                lower_bound_traces_per_second: options.min_samples_per_second,
                operations: operations.map(|(name, it)| (name.clone(), *it)).collect(),
            }),
        }
    }
}

/// Computes probabilities, step by step.
#[derive(Debug)]
pub struct Calculator {
    options: AdaptiveOptions,
    probabilities: Probabilities,
    /// The remembered intervals, newest first.
    buckets: VecDeque<Bucket>,
    /// What was thought of each operation in the last step.
    previous: Verdicts,
}

#[derive(Debug)]
struct Bucket {
    throughput: Throughput,
    seconds: f64,
}

/// Whether an operation follows the probabilities, and which it had, by service and operation.
type Verdicts = BTreeMap<String, BTreeMap<String, Verdict>>;

#[derive(Debug, Clone, Copy)]
struct Verdict {
    probability: f64,
    follows: bool,
}

impl Calculator {
    /// A calculator that has seen nothing.
    pub fn new(options: AdaptiveOptions) -> Self {
        let (probabilities, previous) = (Probabilities::default(), Verdicts::default());
        Self { options, probabilities, buckets: VecDeque::new(), previous }
    }

    /// The probabilities of the last step.
    pub fn probabilities(&self) -> &Probabilities {
        &self.probabilities
    }

    /// Goes on from these probabilities instead of its own.
    pub fn begin_from(&mut self, probabilities: Probabilities) {
        self.probabilities = probabilities;
    }

    /// Adds probabilities of operations that this calculator remembers nothing of.
    pub fn keep(&mut self, probabilities: Probabilities) {
        for (service, operations) in probabilities.services {
            let own = self.probabilities.services.entry(service).or_default();
            for (operation, probability) in operations {
                own.entry(operation).or_insert(probability);
            }
        }
    }

    /// Takes what was sampled in an interval and computes the probabilities anew.
    pub fn step(&mut self, throughput: Throughput, interval: Duration) -> &Probabilities {
        let seconds = interval.0 as f64 / 1e9;
        self.buckets.push_front(Bucket { throughput, seconds: seconds.max(1e-3) });
        self.buckets.truncate(self.options.aggregation_buckets.max(1));
        let (mut next, mut verdicts) = (Probabilities::default(), Verdicts::default());
        for (service, operations) in self.rates() {
            for (operation, rates) in operations {
                let rate = weighted(&rates);
                let (probability, verdict) = self.calculate(&service, &operation, rate);
                let services = next.services.entry(service.clone()).or_default();
                services.insert(operation.clone(), probability);
                verdicts.entry(service.clone()).or_default().insert(operation, verdict);
            }
        }
        self.previous = verdicts;
        self.probabilities = next;
        &self.probabilities
    }

    /// The newest rates of each operation that any remembered interval has seen, newest first.
    fn rates(&self) -> BTreeMap<String, BTreeMap<String, Vec<f64>>> {
        let mut rates: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
        for bucket in &self.buckets {
            for (service, operations) in &bucket.throughput.services {
                let rates = rates.entry(service.clone()).or_default();
                for (operation, counts) in operations {
                    let rates = rates.entry(operation.clone()).or_default();
                    if rates.len() < self.options.calculation_buckets.max(1) {
                        rates.push(counts.count as f64 / bucket.seconds);
                    }
                }
            }
        }
        rates
    }

    fn calculate(&self, service: &str, operation: &str, rate: f64) -> (f64, Verdict) {
        let options = &self.options;
        let known = self.probabilities.services.get(service).and_then(|it| it.get(operation));
        let old = known.copied().unwrap_or(options.initial_sampling_probability);
        let follows = self.follows(old, service, operation);
        let verdict = Verdict { probability: old, follows };
        let target = options.target_samples_per_second;
        let is_near = ((rate - target) / target).abs() < options.delta_tolerance;
        if is_near || !follows {
            return (old, verdict);
        }
        let new = if equal(rate, 0.0) { old * 2.0 } else { adjusted(old, rate, target) };
        (new.max(options.min_sampling_probability).min(1.0), verdict)
    }

    /// Whether the clients of an operation use the probabilities: their root spans name one of
    /// them. An operation that was not seen in this interval is judged as in the last.
    fn follows(&self, probability: f64, service: &str, operation: &str) -> bool {
        if equal(probability, self.options.initial_sampling_probability) {
            return true;
        }
        let newest = self.buckets.front().map(|bucket| &bucket.throughput.services);
        let counts = newest.and_then(|services| services.get(service)?.get(operation));
        if let Some(counts) = counts {
            return counts.probabilities.contains(&millionths(probability));
        }
        let previous = self.previous.get(service).and_then(|it| it.get(operation));
        previous.is_some_and(|previous| {
            let initial = self.options.initial_sampling_probability;
            previous.follows && !equal(previous.probability, initial)
        })
    }
}

/// The probability that would have met the target, not raised too far at once.
fn adjusted(old: f64, rate: f64, target: f64) -> f64 {
    let factor = target / rate;
    if factor - 1.0 > INCREASE_MAX { old * (1.0 + INCREASE_MAX) } else { old * factor }
}

/// A mean of rates, newest first; each weighs more than the one after it, by the fourth power.
fn weighted(rates: &[f64]) -> f64 {
    let weights = (1..=rates.len()).rev().map(|place| (place as f64).powi(4));
    let total: f64 = weights.clone().sum();
    let sum: f64 = rates.iter().zip(weights).map(|(rate, weight)| rate * weight).sum();
    if rates.is_empty() { 0.0 } else { sum / total }
}

fn equal(left: f64, right: f64) -> bool {
    (left - right).abs() < EPSILON
}

/// A probability as it is compared with what clients say of themselves: to six places.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and only equality counts"
)]
pub fn millionths(probability: f64) -> u32 {
    (probability * 1e6).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::OperationThroughput;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seen(count: u64, probabilities: &[f64]) -> Throughput {
        let probabilities = probabilities.iter().map(|it| millionths(*it)).collect();
        let counts = OperationThroughput { count, probabilities };
        let operations = BTreeMap::from([("op".to_owned(), counts)]);
        Throughput { services: BTreeMap::from([("svc".to_owned(), operations)]) }
    }

    fn probability(calculator: &Calculator) -> f64 {
        calculator.probabilities().services["svc"]["op"]
    }

    fn is(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    #[test]
    fn too_many_are_cut_at_once_and_too_few_raised_by_half() {
        let mut calculator = Calculator::new(AdaptiveOptions::default());
        // Ten a second at the initial probability: a tenth of it.
        calculator.step(seen(600, &[0.001]), MINUTE);
        assert!(is(probability(&calculator), 0.0001));
        // A hundredth of the target: raised, but by half only.
        calculator.step(seen(1, &[0.0001]), MINUTE);
        assert!(is(probability(&calculator), 0.00015));
        // Within the tolerance: kept.
        calculator.step(seen(70, &[0.00015]), MINUTE);
        assert!(is(probability(&calculator), 0.00015));
    }

    #[test]
    fn an_operation_that_is_only_noted_is_doubled_and_never_leaves_the_bounds() {
        let mut calculator = Calculator::new(AdaptiveOptions::default());
        calculator.step(seen(0, &[0.001]), MINUTE);
        assert!(is(probability(&calculator), 0.002));
        for _ in 0..20 {
            let now = probability(&calculator);
            calculator.step(seen(0, &[now]), MINUTE);
        }
        assert!(is(probability(&calculator), 1.0));
        for _ in 0..20 {
            let now = probability(&calculator);
            calculator.step(seen(60_000_000, &[now]), MINUTE);
        }
        assert!(is(probability(&calculator), 1e-5));
    }

    #[test]
    fn clients_that_do_not_follow_change_nothing() {
        let mut calculator = Calculator::new(AdaptiveOptions::default());
        calculator.step(seen(600, &[0.001]), MINUTE);
        calculator.step(seen(600, &[0.7]), MINUTE);
        assert!(is(probability(&calculator), 0.0001), "they use a probability of their own");
    }

    #[test]
    fn an_operation_that_falls_silent_is_forgotten_with_its_intervals() {
        let options = AdaptiveOptions { aggregation_buckets: 3, ..AdaptiveOptions::default() };
        let mut calculator = Calculator::new(options);
        calculator.step(seen(600, &[0.001]), MINUTE);
        for _ in 0..2 {
            calculator.step(Throughput::default(), MINUTE);
            assert!(calculator.probabilities().services.contains_key("svc"));
        }
        calculator.step(Throughput::default(), MINUTE);
        assert!(calculator.probabilities().services.is_empty());
    }

    #[test]
    fn newer_intervals_weigh_more() {
        assert!(is(weighted(&[]), 0.0));
        assert!(is(weighted(&[3.0]), 3.0));
        assert!(is(weighted(&[17.0, 0.0]), 16.0));
    }

    #[test]
    fn steady_traffic_settles_at_the_target() {
        for traffic_per_second in [0.5, 3.0, 50.0, 20_000.0] {
            let mut calculator = Calculator::new(AdaptiveOptions::default());
            let mut probability_now = 0.001;
            for _ in 0..60 {
                let sampled = (traffic_per_second * probability_now * 60.0_f64).round();
                calculator.step(seen(whole(sampled), &[probability_now]), MINUTE);
                probability_now = probability(&calculator);
            }
            let per_second = traffic_per_second * probability_now;
            let wanted = traffic_per_second.min(1.0);
            assert!((per_second - wanted).abs() <= 0.31 * wanted, "{traffic_per_second}");
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    fn whole(number: f64) -> u64 {
        number as u64
    }
}
