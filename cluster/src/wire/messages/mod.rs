//! The messages as they stand on the wire: structs whose fields have protobuf's numbers and types,
//! and how the model's values become them and come back.
//!
//! Private to [`super`]: nobody else sees a type that is shaped by its wire form. Rules:
//!
//! - every choice is a number of its own (`kind`), never the mere presence of a field: a choice
//!   that this version does not know is refused by name and not taken for an empty one;
//! - zero is no choice, for it is what a field reads as that was not sent;
//! - doubles travel as their bits, text as bytes: what goes in comes out, `NaN` and bad UTF-8 too.

#[macro_use]
pub(crate) mod number;
pub(crate) mod aggregate;
pub(crate) mod completeness;
pub(crate) mod frame;
pub(crate) mod peer;
pub(crate) mod predicate;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod scalar;
pub(crate) mod summary;
pub(crate) mod value_test;
pub(crate) mod vouch;
