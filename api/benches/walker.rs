//! How long the walker takes over recorded requests: each pass alone, and into a batch builder.
//!
//! `cargo bench --package skua-api --bench walker`. Times are wall times of one thread, the best
//! of several rounds over all messages of a recording, which suits comparing two builds on one
//! machine and nothing else.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads a clock and a recording")]
#![expect(clippy::expect_used, reason = "a benchmark without its recording ends here")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use api::otlp::walk::{Partitioning, Plan, check, tell};
use model::batch::Builder;
use model::sink::{EventHead, Interned, LinkHead, ResourceHead, ScopeHead, SpanHead};
use model::store::RequestDigest;
use model::value::ValueRef;
use model::{SpanVisitor, Tenant};

const RECORDING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/data/astronomy-oteltraces.zst");
const ROUNDS: usize = 9;

/// Looks at everything it is told and keeps a sum.
struct Onlooker(u64);

impl Onlooker {
    fn see(&mut self, what: &[u8]) {
        self.0 = self.0.wrapping_add(what.len() as u64 + u64::from(*what.first().unwrap_or(&0)));
    }
}

impl SpanVisitor for Onlooker {
    fn resource(&mut self, head: &ResourceHead<'_>) -> Interned {
        self.see(head.identity);
        Interned::New
    }

    fn scope(&mut self, head: &ScopeHead<'_>) -> Interned {
        self.see(head.name);
        Interned::New
    }

    fn end_group(&mut self) {}

    fn span(&mut self, head: &SpanHead<'_>) {
        self.see(head.name);
        self.see(head.parent);
        self.0 ^= head.start ^ head.end ^ u64::from(head.flags) ^ head.trace_id.low();
    }

    fn attribute(&mut self, key: &[u8], value: ValueRef<'_>) {
        self.see(key);
        match value {
            ValueRef::String(bytes) | ValueRef::Bytes(bytes) | ValueRef::Array(bytes) => {
                self.see(bytes);
            }
            ValueRef::Int(number) => self.0 ^= number.cast_unsigned(),
            other => self.0 ^= other.value_type() as u64,
        }
    }

    fn event(&mut self, head: &EventHead<'_>) {
        self.see(head.name);
        self.0 ^= head.time;
    }

    fn link(&mut self, head: &LinkHead<'_>) {
        self.see(head.span_id);
    }

    fn end_span(&mut self) {
        black_box(self.0);
    }
}

/// The recording's messages, each after four bytes of big-endian length.
fn messages() -> Vec<Vec<u8>> {
    let file = std::fs::File::open(RECORDING).expect("the recording is in bench/data");
    let plain = zstd::decode_all(file).expect("the recording is zstd");
    let mut rest = plain.as_slice();
    let mut messages = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (message, tail) = tail.split_at_checked(length).expect("a message ends in the file");
        messages.push(message.to_vec());
        rest = tail;
    }
    messages
}

fn main() {
    let messages = messages();
    let partitioning = Partitioning { of: |_| 0, count: 1 };
    let mut plan = Plan::default();
    let mut onlooker = Onlooker(0);
    let mut builder = Builder::new(Tenant::default());
    let mut best = [Duration::MAX; 3];
    let mut spans = 0;
    for _ in 0..ROUNDS {
        let mut times = [Duration::ZERO; 3];
        spans = 0;
        for message in &messages {
            // A request that was just received lies in the processor's cache.
            black_box(message.iter().fold(0_u64, |sum, byte| sum + u64::from(*byte)));
            let mut timed = |place: usize, work: &mut dyn FnMut()| {
                let begun = Instant::now();
                work();
                if let Some(time) = times.get_mut(place) {
                    *time += begun.elapsed();
                }
            };
            timed(0, &mut || check(message, &partitioning, &mut plan).expect("it is well-formed"));
            timed(1, &mut || tell(message, &plan, 0, &mut onlooker));
            builder.reset(Tenant::default());
            builder.begin_request(RequestDigest([0; 16]));
            timed(2, &mut || tell(message, &plan, 0, &mut builder));
            spans += plan.span_count();
        }
        for (best, time) in best.iter_mut().zip(times) {
            *best = time.min(*best);
        }
    }
    let nanoseconds = |time: Duration| time.as_nanos() as f64 / spans as f64;
    let [checked, told, built] = best.map(nanoseconds);
    println!("astronomy, {spans} spans, best of {ROUNDS} rounds, ns a span");
    println!("check                       {checked:6.0}");
    println!("tell, all attributes        {told:6.0}");
    println!("walker (check + tell)       {:6.0}", checked + told);
    println!("tell into a batch builder   {built:6.0}");
}
