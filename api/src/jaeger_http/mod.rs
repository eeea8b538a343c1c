//! Jaeger's query APIs over HTTP: the old `/api/*` and `/api/v3/*`.
//!
//! A drop-in: paths, parameters, units, defaults, JSON and error texts are Jaeger's, those of
//! the old endpoints that Jaeger itself has since removed included, because Grafana, Kiali and
//! scripts still call them. One deviation: a search without a service searches all of them.
//! One addition: every answer says in the header `skua-completeness` whether it lacks something
//! (QRY-2), and the old API says so among its `errors` too.
//!
//! A request goes through these files:
//!
//! ```text
//! query_string, go_parse, go_time, trace_id -> search_params -> model::TraceStore
//!   -> adjust -> translate -> json (old)  -> answer | error
//!             -> otlp_json        (v3)
//! ```
//!
//! Everything but the handlers is pure. There is no state between requests.

pub(crate) mod answer;
mod catalog;
mod collect;
mod deep_dependencies;
mod dependencies;
mod error;
pub(crate) mod go_parse;
pub(crate) mod go_time;
mod json;
pub(crate) mod json_text;
mod limits;
mod metrics;
mod otlp_json;
mod pieces;
mod posted;
pub(crate) mod query_string;
mod red_series;
mod render;
mod router;
mod search;
pub(crate) mod search_params;
mod string_map;
mod summaries;
pub(crate) mod trace_id;
mod traces;
pub(crate) mod transform;
mod translate;
mod v3;

pub use answer::COMPLETENESS_HEADER;
pub use go_parse::GoParseError;
pub use go_time::parse_time;
pub use json::push_trace;
pub(crate) use otlp_json::push_exact_resource_spans;
pub use otlp_json::push_resource_spans;
pub use router::router;
pub use translate::{JaegerSpan, JaegerTrace, Log, Process, Reference, Tag, TagValue, translate};
pub(crate) use translate::{Translator, kind_or_internal};
