//! What the batch costs: time to build and to read it, and its bytes, on each recording.
//!
//! One thread, the same spans again and again, the best of several rounds. *Build* takes spans from
//! wire bytes into the builder, by this crate's own walk; *encode* sorts and packs; *read* unpacks
//! every section and makes owned spans. Server threads do the first two for each span they take.
//!
//! Options: `--rounds N` (5), `--file FILE` (all recordings of `bench/data`), `--record [FILE]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use model::batch::{Batch, Builder, Encoder};
use model::store::RequestDigest;
use model::{BatchId, Tenant};

use super::{Arguments, Results};
use crate::recording::Recording;
use crate::replay::{PlanOptions, ReplayPlan};
use crate::{feed, outside};

const RECORDINGS: [&str; 3] =
    ["astronomy-oteltraces.zst", "hipster-20k.pb.zst", "trainticket-30k.pb.zst"];

/// Runs the measurement.
pub fn micro(arguments: &Arguments) -> anyhow::Result<Results> {
    let rounds: u32 = arguments.get("rounds", 5)?;
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data"));
    let all = || RECORDINGS.map(|name| data.join(name)).into();
    let files = arguments.text("file").map_or_else(all, |file| vec![PathBuf::from(file)]);
    arguments.refuse_unknown()?;
    let mut results = Results::default();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.split('.').next().unwrap_or_default().to_owned();
        for spans_per_batch in [500, 2000] {
            let recording = Recording::open(std::slice::from_ref(&file), None)?;
            let requests = requests(recording, spans_per_batch)?;
            let best = (0..rounds).map(|_| round(&requests)).collect::<anyhow::Result<Vec<_>>>()?;
            let best = best.into_iter().reduce(Round::best).context("no rounds")?;
            best.add_to(&mut results, &format!("{name}_{spans_per_batch}"));
        }
    }
    Ok(results)
}

/// The recording in requests of a batch's size.
fn requests(recording: Recording, spans_per_request: u32) -> anyhow::Result<Vec<Vec<u8>>> {
    let options = PlanOptions {
        passes: 1,
        fresh_ids: false,
        seed: 0,
        latest_end: None,
        spans_per_request,
        whole_traces: false,
    };
    let plan = ReplayPlan::new(recording, options)?;
    (0..plan.request_count()).map(|request| Ok(plan.build(request)?.0)).collect()
}

/// What one round over a recording took.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    spans: u64,
    bytes: u64,
    build: Duration,
    encode: Duration,
    read: Duration,
}

impl Round {
    fn best(self, other: Self) -> Self {
        Self {
            build: self.build.min(other.build),
            encode: self.encode.min(other.encode),
            read: self.read.min(other.read),
            ..self
        }
    }

    fn add_to(&self, results: &mut Results, name: &str) {
        let spans = self.spans as f64;
        let nanos = |time: Duration| time.as_secs_f64() * 1e9 / spans;
        results.add_rounded(format!("{name}_bytes_per_span"), self.bytes as f64 / spans);
        results.add_rounded(format!("{name}_build_nanoseconds_per_span"), nanos(self.build));
        results.add_rounded(format!("{name}_encode_nanoseconds_per_span"), nanos(self.encode));
        results.add_rounded(format!("{name}_read_nanoseconds_per_span"), nanos(self.read));
    }
}

fn round(requests: &[Vec<u8>]) -> anyhow::Result<Round> {
    let tenant = Tenant::new("default")?;
    let mut builder = Builder::new(tenant.clone());
    let mut encoder = Encoder::default();
    let mut round = Round::default();
    for request in requests {
        builder.reset(tenant.clone());
        let begun = outside::now();
        builder.begin_request(RequestDigest([1; 16]));
        feed::tell(request, &mut builder)?;
        let built = outside::now();
        let batch = encoder.encode(&builder, BatchId([1; 16]));
        let encoded = outside::now();
        round.spans += builder.span_count() as u64;
        round.bytes += batch.len() as u64;
        let spans = Batch::open(Bytes::from(batch))?.spans()?;
        let read = outside::now();
        anyhow::ensure!(spans.len() == builder.span_count(), "spans were lost");
        round.build += built.duration_since(begun);
        round.encode += encoded.duration_since(built);
        round.read += read.duration_since(encoded);
    }
    Ok(round)
}
