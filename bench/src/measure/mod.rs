//! Measures a whole server: its processor time, memory and disk under load, and its answers' times.
//!
//! A measurement starts a `skua` binary with an empty data directory on a loopback address of its
//! own, drives it through its public ports, and reads what the kernel says of the process. Only the
//! server's processor time counts; the load generator shares the machine, so the rate of spans is
//! the lower the more cores it takes. Results are printed; they are kept in `bench/results` only
//! when asked for (`--record`).

mod arguments;
mod cluster;
mod giant;
mod http;
mod ingest;
mod large;
mod machine;
mod micro;
mod nodes;
mod process;
mod query;
mod rejoin;
mod results;
mod server;
mod start;
mod tenants;
mod udp;

pub use arguments::Arguments;
pub use cluster::cluster;
pub use giant::giant;
pub use ingest::ingest;
pub use large::large;
pub use micro::micro;
pub use query::query;
pub use rejoin::rejoin;
pub use results::{OnFound, Results, run, run_steps};
pub use start::start;
pub use tenants::tenants;
pub use udp::udp;
