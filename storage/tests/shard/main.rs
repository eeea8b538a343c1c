//! A shard from outside: what it applies, what it answers.
#![cfg(test)]

mod fixture;

mod apply;
mod search_equals_reference;
