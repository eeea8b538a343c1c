//! What every receiver shares: admission, reading a body within bounds, and the way from a
//! checked request into the store.
//!
//! The steps of a write request, whatever its protocol: [`Admission::enter`] when its head is
//! known, [`body::read`] with every byte charged, then [`Receiver::receive`]: decompress, check,
//! append (all of it bounded CPU work), and wait until it is durable.

mod admission;
pub mod body;
pub mod framing;
mod metrics;
mod receiver;
pub(crate) mod unary;
mod walkers;

pub use admission::{Admission, Admitted, Overload, overload_retry};
pub use body::{BodyError, Encoding};
pub use metrics::{Protocol, record};
pub use receiver::{Accepted, Counters, Format, Receiver, Refused, WriteRequest};
