//! What a client is told: how to sample the traces of a service. And its form in JSON, which is
//! that of Protobuf's JSON with default values written out.

use crate::jaeger_http::json_text::{push_comma, push_double, push_int, push_name, push_string};

/// How to sample the traces of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// For the service as a whole.
    pub main: Main,
    /// For its operations; goes before `main`.
    pub operations: Option<OperationStrategies>,
}

/// How to sample a service as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Main {
    /// Each trace with this probability.
    Probabilistic(f64),
    /// At most this many traces a second and client.
    RateLimiting(i32),
    /// Said by the operations alone; of type probabilistic.
    Unsaid,
}

/// How to sample the operations of a service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OperationStrategies {
    /// The probability of operations that are not listed.
    pub default_probability: f64,
    /// Traces a second that every operation gets at least.
    pub lower_bound_traces_per_second: f64,
    /// Operations and their probabilities, in order.
    pub operations: Vec<(String, f64)>,
}

impl Main {
    /// The name of the type.
    fn type_name(self) -> &'static str {
        match self {
            Self::Probabilistic(_) | Self::Unsaid => "PROBABILISTIC",
            Self::RateLimiting(_) => "RATE_LIMITING",
        }
    }
}

impl Strategy {
    /// The strategy of one probability for everything.
    pub fn probabilistic(probability: f64) -> Self {
        Self { main: Main::Probabilistic(probability), operations: None }
    }

    /// The answer in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = b"{".to_vec();
        push_name(&mut out, "strategyType");
        push_string(&mut out, self.main.type_name().as_bytes());
        match self.main {
            Main::Probabilistic(rate) => push_probability(&mut out, rate),
            Main::RateLimiting(traces) => {
                push_name(&mut out, "rateLimitingSampling");
                out.extend_from_slice(b"{\"maxTracesPerSecond\":");
                push_int(&mut out, traces.into());
                out.push(b'}');
            }
            Main::Unsaid => {}
        }
        if let Some(operations) = &self.operations {
            push_name(&mut out, "operationSampling");
            push_operations(&mut out, operations);
        }
        out.push(b'}');
        out
    }
}

fn push_operations(out: &mut Vec<u8>, strategies: &OperationStrategies) {
    out.push(b'{');
    push_name(out, "defaultSamplingProbability");
    push_number(out, strategies.default_probability);
    push_name(out, "defaultLowerBoundTracesPerSecond");
    push_number(out, strategies.lower_bound_traces_per_second);
    push_name(out, "perOperationStrategies");
    out.push(b'[');
    for (operation, probability) in &strategies.operations {
        push_comma(out);
        out.push(b'{');
        push_name(out, "operation");
        push_string(out, operation.as_bytes());
        push_probability(out, *probability);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"defaultUpperBoundTracesPerSecond\":0}");
}

fn push_probability(out: &mut Vec<u8>, rate: f64) {
    push_name(out, "probabilisticSampling");
    out.extend_from_slice(b"{\"samplingRate\":");
    push_number(out, rate);
    out.push(b'}');
}

/// No probability is anything but finite; a parameter of a file cannot be, as JSON has none.
fn push_number(out: &mut Vec<u8>, number: f64) {
    if !push_double(out, number) {
        out.push(b'0');
    }
}
