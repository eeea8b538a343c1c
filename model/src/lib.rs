//! The vocabulary of Skua: what a span is, what a batch of spans looks like, what may be asked
//! of a store of traces, and what an answer means.
//!
//! Everything here is a pure value or a pure function. The crate knows no socket, no runtime,
//! no file and no protocol; the two traits at its end ([`TraceStore`], [`ClusterAdmin`]) declare
//! futures without needing a runtime. Receivers and query APIs (`api`) and the coordinator
//! (`cluster`) meet in these types and never in each other's.
//!
//! Reading order: [`span`] (the data), [`sink`] (how it comes in), [`batch`] (how it is kept),
//! [`query`] (what is asked), [`store`] (who answers).

pub mod admin;
pub mod aggregate;
pub mod batch;
pub mod budget;
pub mod canonical;
pub mod columns;
pub mod effective;
pub mod hash_seed;
pub mod id;
pub mod names;
pub mod nested;
pub mod pace;
pub mod query;
pub mod sink;
pub mod span;
pub mod store;
pub mod string_form;
pub mod summary;
pub mod tell;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod time;
pub mod trace;
pub mod tree;
pub mod value;

pub use admin::ClusterAdmin;
pub use id::{BatchId, NodeId, ShardId, SpanId, Tenant, TraceId};
pub use sink::{SpanSink, SpanVisitor};
pub use span::{Resource, Scope, Span};
pub use store::{Answer, Completeness, StoreError, TraceStore};
pub use text::Text;
pub use time::{Clock, Duration, TimeRange, Timestamp};
pub use value::{Attribute, AttributeValue};
