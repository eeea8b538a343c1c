//! Makes a further pass over a recording as different as another hour of the same system.
//!
//! Sending a recording twice with fresh ids flatters a store: every value of the second pass is in
//! a dictionary already, every duration was seen. So in passes beyond the first, what was variable
//! in the recording is drawn anew. Invariants:
//!
//! - *Length*: a changed value takes exactly the bytes of the recorded one, so a span is changed in
//!   place.
//! - *Shape*: hexadecimal stays hexadecimal, digits digits, letters letters; integers keep their
//!   number of bits; times keep the granularity of the clock that took them.
//! - *Equality*: within a pass, what was equal stays equal and what differed differs (up to
//!   chance), across keys too: a message id that producer and consumer both carry stays one id.
//! - *Repeatability*: a change is a pure function of the seed, the pass and what was recorded.
//!
//! `survey` finds what is variable, `values` and `text` draw it anew, `times` stretches
//! traces and moves them, and `check` proves that a copy costs a store what the original does.

mod check;
mod random;
mod survey;
mod text;
mod times;
mod values;

pub use check::{CopyCost, FLATTERY_MAX, copy_cost};
pub use random::Random;
pub use survey::Survey;
pub use times::TraceTimes;
pub use values::redraw_values;
