//! Jaeger's query APIs from outside: requests go in, answers are compared.
//!
//! `golden` holds whole answers, kept as scripts in `tests/scripts/jaeger`; `astronomy` runs
//! recorded traces through the repairs and the writers, `hostile` does so with generated ones.
#![cfg(test)]

mod astronomy;
mod calls;
mod conformance;
mod fixture;
mod golden;
mod grpc_query;
mod hostile;
mod sampling;
mod skua_reads;
