//! Bodies that are small on the wire and large when they are plain: whoever else is served by the
//! same thread does not wait for them.

use std::cell::Cell;

use api::ingest::{Encoding, Format, WriteRequest};
use api::tenant::Tenancy;
use api::zipkin;
use http::StatusCode;
use model::Tenant;

use crate::store::{backend, post};

/// How many spans some kilobytes hold here.
const SPANS: usize = 100_000;

/// More turns than a piece of work leaves that is done between two of them.
const TURNS_LEAST: u64 = 100;

/// How often another task of the same thread had its turn before `work` was done.
async fn turns_beside<T>(work: impl Future<Output = T>) -> (T, u64) {
    let turns = Cell::new(0);
    let turning = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        never = turning => never,
    };
    (done, turns.get())
}

/// A field of a length and these bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut writer = api::otlp::wire::Writer::default();
    writer.bytes_field(u32::from(number), bytes);
    writer.bytes
}

fn packed(body: &[u8]) -> Vec<u8> {
    let packed = zstd::encode_all(body, 3).unwrap();
    assert!(packed.len() <= api::limits::INLINE_DECOMPRESSION_BYTES_MAX, "{}", packed.len());
    packed
}

#[tokio::test]
async fn a_small_body_of_many_spans_holds_nobody_up() {
    let backend = backend();
    let ids = [field(1, &[7; 16]), field(2, &[7; 8])].concat();
    let spans = field(2, &field(2, &ids).repeat(SPANS));
    let request = WriteRequest {
        tenant: Tenant::default(),
        body: packed(&field(1, &spans)).into(),
        encoding: Encoding::Zstd,
        format: Format::Protobuf,
        admitted: backend.receiver.admission().enter().unwrap(),
    };
    let (accepted, turns) = turns_beside(backend.receiver.receive(request)).await;
    assert_eq!(accepted.unwrap().spans, SPANS as u64);
    assert!(turns > TURNS_LEAST, "{turns}");
}

#[tokio::test]
async fn nor_does_one_of_a_foreign_format() {
    let backend = backend();
    let router = zipkin::http::router(backend.receiver.clone(), Tenancy::Off);
    let ids = [field(1, &[7; 16]), field(3, &[7; 8])].concat();
    let body = packed(&field(1, &ids).repeat(SPANS));
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "zstd")];
    let posting = post(&router, "/api/v2/spans", &headers, body);
    let (answer, turns) = turns_beside(posting).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    assert!(turns > TURNS_LEAST, "{turns}");
}
