//! What a search asks, in each of the packages.

use std::fmt::Debug;

use model::{TimeRange, Timestamp as Moment};
use prost::Message;

use super::standard::{Duration, Timestamp};
use crate::jaeger_http::search_params::LIMIT_DEFAULT;

/// `FindTracesRequest`, `FindTraceIDsRequest`, `FindTraceSummariesRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FindTracesRequest<Q: Message + Default + Debug> {
    /// What is asked.
    #[prost(message, optional, tag = "1")]
    pub query: Option<Q>,
}

/// Declares a `TraceQueryParameters`: what all have, and between the braces what only this one has.
macro_rules! trace_query_parameters {
    ($(#[$what:meta])* { $($own:tt)* }) => {
        $(#[$what])*
        #[derive(Clone, PartialEq, Eq, Message)]
        pub struct TraceQueryParameters {
            /// Empty for all services.
            #[prost(string, tag = "1")]
            pub service_name: String,
            /// Empty for all operations.
            #[prost(string, tag = "2")]
            pub operation_name: String,
            /// Earliest start of a span.
            #[prost(message, optional, tag = "4")]
            pub start_time_min: Option<$crate::jaeger_grpc::messages::standard::Timestamp>,
            /// Latest start of a span.
            #[prost(message, optional, tag = "5")]
            pub start_time_max: Option<$crate::jaeger_grpc::messages::standard::Timestamp>,
            /// Shortest span.
            #[prost(message, optional, tag = "6")]
            pub duration_min: Option<$crate::jaeger_grpc::messages::standard::Duration>,
            /// Longest span.
            #[prost(message, optional, tag = "7")]
            pub duration_max: Option<$crate::jaeger_grpc::messages::standard::Duration>,
            /// How many traces.
            #[prost(int32, tag = "8")]
            pub search_depth: i32,
            $($own)*
        }

        impl TraceQueryParameters {
            /// The search without what only this message has.
            pub(crate) fn to_search(&self) -> $crate::jaeger_http::search_params::SearchParams {
                use $crate::jaeger_grpc::messages::parameters::{limit, nanos, window};
                $crate::jaeger_http::search_params::SearchParams {
                    service: self.service_name.clone(),
                    operation: self.operation_name.clone(),
                    window: window(self.start_time_min, self.start_time_max),
                    tags: std::collections::BTreeMap::new(),
                    limit: limit(self.search_depth),
                    duration_nanos_min: nanos(self.duration_min),
                    duration_nanos_max: nanos(self.duration_max),
                    raw: false,
                    trace_ids: Vec::new(),
                }
            }
        }
    };
}

pub(super) use trace_query_parameters;

/// A bound that is not said does not bind.
pub(super) fn window(min: Option<Timestamp>, max: Option<Timestamp>) -> TimeRange {
    TimeRange {
        start: min.map_or(Moment(0), Timestamp::moment),
        end: max.map_or(Moment::MAX, Timestamp::moment),
    }
}

pub(super) fn nanos(duration: Option<Duration>) -> i64 {
    duration.map_or(0, Duration::nanos_total)
}

pub(super) fn limit(depth: i32) -> u32 {
    u32::try_from(depth).ok().filter(|depth| *depth > 0).unwrap_or(LIMIT_DEFAULT)
}
