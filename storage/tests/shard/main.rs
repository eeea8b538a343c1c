//! A shard from outside: what it applies, what it answers.
#![cfg(test)]

mod fixture;
mod forgetful_kv;

mod apply;
mod archive;
mod bare_runs;
mod budgets;
mod crash_points;
mod golden;
mod heavy_spans;
mod loud_neighbour;
mod many_blocks;
mod many_values;
mod rollups;
mod ruled_out;
mod search_equals_reference;
mod snapshots;
mod trace_ids;
mod turns;
