//! Wires every crate into the `skua` binary: the command line, the configuration, the order of
//! starting and stopping, the log and the metrics.
//!
//! What is absent on purpose: business logic. What a trace is, how it is kept and how it is shown
//! is the other crates' matter; here is only who is plugged into whom ([`app`]). This is the one
//! product crate where errors become text (`anyhow`), because nobody above it acts on them.

pub mod app;
mod banner;
pub mod build_info;
pub mod cli;
mod clustered;
pub mod commands;
pub mod config;
mod data_directory;
mod descriptors;
mod figures;
mod files;
mod give_way;
mod http;
mod kafka;
mod lost_self;
pub mod output;
mod process;
mod sampling_peers;
mod shutdown;
mod store;
mod strategies;
mod telemetry;
mod ui_files;
