//! `jaeger.api_v2.SamplingManager`, on ports 5779 and 14250.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::any;
use model::Answer;

use super::calls::{admission, ask, only_grpc, unary};
use super::messages::sampling::{
    OperationSamplingStrategy, PerOperationSamplingStrategies, ProbabilisticSamplingStrategy,
    RateLimitingSamplingStrategy, SamplingStrategyParameters, SamplingStrategyResponse,
};
use crate::ingest::Admission;
use crate::sampling::{Main, OperationStrategies, Sampling, Strategy};

/// The service's full name.
pub const SERVICE: &str = "jaeger.api_v2.SamplingManager";

/// The service's one method; the caller answers for every other path.
pub fn router(sampling: Sampling) -> Router {
    Router::new()
        .route("/jaeger.api_v2.SamplingManager/GetSamplingStrategy", any(get_strategy))
        .layer(from_fn(only_grpc))
        .with_state((sampling, admission()))
}

async fn get_strategy(
    State((sampling, admission)): State<(Sampling, Admission)>,
    request: Request,
) -> Response {
    let asked = ask::<SamplingStrategyParameters>(&admission, request).await;
    let respond = |service: &str| Answer::complete(response(&sampling.strategy(service)));
    unary(asked.map(|asked| respond(&asked.message.service_name)))
}

fn response(strategy: &Strategy) -> SamplingStrategyResponse {
    let mut response = SamplingStrategyResponse::default();
    match strategy.main {
        Main::Probabilistic(sampling_rate) => {
            response.probabilistic_sampling = Some(ProbabilisticSamplingStrategy { sampling_rate });
        }
        Main::RateLimiting(max_traces_per_second) => {
            response.strategy_type = 1;
            response.rate_limiting_sampling =
                Some(RateLimitingSamplingStrategy { max_traces_per_second });
        }
        Main::Unsaid => {}
    }
    response.operation_sampling = strategy.operations.as_ref().map(per_operation);
    response
}

fn per_operation(strategies: &OperationStrategies) -> PerOperationSamplingStrategies {
    let operation = |(operation, sampling_rate): &(String, f64)| OperationSamplingStrategy {
        operation: operation.clone(),
        probabilistic_sampling: Some(ProbabilisticSamplingStrategy {
            sampling_rate: *sampling_rate,
        }),
    };
    PerOperationSamplingStrategies {
        default_sampling_probability: strategies.default_probability,
        default_lower_bound_traces_per_second: strategies.lower_bound_traces_per_second,
        per_operation_strategies: strategies.operations.iter().map(operation).collect(),
        default_upper_bound_traces_per_second: 0.0,
    }
}
