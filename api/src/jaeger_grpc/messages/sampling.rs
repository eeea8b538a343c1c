//! `jaeger.api_v2.SamplingManager`.

use prost::Message;

/// `SamplingStrategyParameters`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SamplingStrategyParameters {
    /// Whose strategy.
    #[prost(string, tag = "1")]
    pub service_name: String,
}

/// `SamplingStrategyResponse`
#[derive(Clone, PartialEq, Message)]
pub struct SamplingStrategyResponse {
    /// 0 probabilistic, 1 rate limiting.
    #[prost(int32, tag = "1")]
    pub strategy_type: i32,
    /// For type 0.
    #[prost(message, optional, tag = "2")]
    pub probabilistic_sampling: Option<ProbabilisticSamplingStrategy>,
    /// For type 1.
    #[prost(message, optional, tag = "3")]
    pub rate_limiting_sampling: Option<RateLimitingSamplingStrategy>,
    /// Before both of them, per operation.
    #[prost(message, optional, tag = "4")]
    pub operation_sampling: Option<PerOperationSamplingStrategies>,
}

/// `ProbabilisticSamplingStrategy`
#[derive(Clone, Copy, PartialEq, Message)]
pub struct ProbabilisticSamplingStrategy {
    /// From 0 to 1.
    #[prost(double, tag = "1")]
    pub sampling_rate: f64,
}

/// `RateLimitingSamplingStrategy`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RateLimitingSamplingStrategy {
    /// Traces a second and client.
    #[prost(int32, tag = "1")]
    pub max_traces_per_second: i32,
}

/// `PerOperationSamplingStrategies`
#[derive(Clone, PartialEq, Message)]
pub struct PerOperationSamplingStrategies {
    /// For operations that are not listed.
    #[prost(double, tag = "1")]
    pub default_sampling_probability: f64,
    /// What every operation gets at least.
    #[prost(double, tag = "2")]
    pub default_lower_bound_traces_per_second: f64,
    /// The operations.
    #[prost(message, repeated, tag = "3")]
    pub per_operation_strategies: Vec<OperationSamplingStrategy>,
    /// What every operation gets at most.
    #[prost(double, tag = "4")]
    pub default_upper_bound_traces_per_second: f64,
}

/// `OperationSamplingStrategy`
#[derive(Clone, PartialEq, Message)]
pub struct OperationSamplingStrategy {
    /// The operation.
    #[prost(string, tag = "1")]
    pub operation: String,
    /// Its probability.
    #[prost(message, optional, tag = "2")]
    pub probabilistic_sampling: Option<ProbabilisticSamplingStrategy>,
}
