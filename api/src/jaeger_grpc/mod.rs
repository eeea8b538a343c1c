//! Jaeger's gRPC doors: the collector of api_v2 (port 14250), the query services of api_v2 and
//! api_v3 (16685), the sampling manager (5779 and 14250), and remote storage v2 (17271), which
//! lets a real Jaeger keep its traces here.
//!
//! Calls are unary or answered with a stream, so the framing is spoken here directly
//! ([`crate::ingest::framing`], `calls`), on the same HTTP/2 server as everything else.
//! Requests and small answers are messages by prost, written out by hand from the field numbers
//! ([`messages`]); spans are written straight from the model and never become such messages.
//!
//! Reading order: [`batch`] and [`collector`] (writes); `calls`, [`messages`], `question`
//! (what is asked), `found` and `spans` (how traces are answered), `queries` (what the services
//! answer alike), then the services: [`query_v2`], [`query_v3`], [`sampling`], [`remote_storage`],
//! [`health`], [`reflection`]; [`ports`] says which
//! is where.

pub mod batch;

pub mod collector;

mod calls;
mod found;
pub mod health;
mod limits;
pub mod messages;
pub mod ports;
mod queries;
pub mod query_v2;
pub mod query_v3;
mod question;
pub mod reflection;
pub mod remote_storage;
pub mod sampling;
mod spans;
