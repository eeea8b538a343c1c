//! One of each message, to the byte. What an older node sends reads as it did, and this version
//! says it in the same bytes.
//!
//! A file holds a message in hexadecimal, or the frames of an item with empty lines between them.
//! `UPDATE_GOLDENFILES=1` writes what is said now: a difference in what was there before breaks
//! clusters whose nodes are not all of one version.
#![expect(
    clippy::disallowed_methods,
    reason = "goldens are files of the repository, and an environment variable rewrites them"
)]

use std::fmt::{Debug, Write as _};
use std::path::PathBuf;

use bytes::Bytes;
use cluster::wire::{
    BarrierReply, BarrierRequest, ReadRequest, StatusReply, StatusRequest, VouchReply,
    VouchRequest, WireError, WriteReply, WriteRequest,
};

use crate::samples::{self, SHARD};

/// Compares with the file, or writes it; gives the bytes in the file back.
fn check(name: &str, said: &[Bytes], to_the_byte: bool) -> Vec<Bytes> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/wire/golden/{name}.hex"));
    let text = said.iter().map(to_hexadecimal).collect::<Vec<_>>().join("\n");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, text).unwrap();
        return said.to_vec();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if to_the_byte {
        assert_eq!(golden, text, "{name}: see UPDATE_GOLDENFILES in golden.rs");
    }
    golden.split("\n\n").map(from_hexadecimal).collect()
}

fn to_hexadecimal(bytes: &Bytes) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

fn from_hexadecimal(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// The message says what it said, and what was said means what it meant.
fn check_message<T: Debug>(
    name: &str,
    message: &T,
    encode: impl Fn(&T) -> Result<Bytes, WireError>,
    decode: impl Fn(Bytes) -> Result<T, WireError>,
) {
    let golden = check(name, &[encode(message).unwrap()], true);
    let read = decode(golden[0].clone()).unwrap();
    assert_eq!(format!("{read:?}"), format!("{message:?}"), "{name}");
}

#[test]
fn questions() {
    for (name, request) in samples::read_requests() {
        let name = format!("read_{name}");
        check_message(&name, &request, ReadRequest::encode, ReadRequest::decode);
    }
}

#[test]
fn frames() {
    for (name, item) in samples::read_items() {
        // Packed spans are as a version of the compressor makes them; they need only be read.
        let to_the_byte = !matches!(name, "hit_with_trace" | "trace");
        let frames = samples::frames(SHARD, std::slice::from_ref(&item));
        let golden = check(&format!("frames_{name}"), &frames, to_the_byte);
        assert_eq!(samples::items(SHARD, golden).unwrap(), [item], "{name}");
    }
}

#[test]
fn calls() {
    let request = samples::barrier_request();
    check_message("barrier_request", &request, BarrierRequest::encode, BarrierRequest::decode);
    let reply = samples::barrier_reply();
    check_message("barrier_reply", &reply, BarrierReply::encode, BarrierReply::decode);
    let request = samples::vouch_request();
    check_message("vouch_request", &request, VouchRequest::encode, VouchRequest::decode);
    let reply = samples::vouch_reply();
    check_message("vouch_reply", &reply, VouchReply::encode, VouchReply::decode);
    let request = samples::write_request();
    check_message("write_request", &request, WriteRequest::encode, WriteRequest::decode);
    let reply = samples::write_reply();
    check_message("write_reply", &reply, WriteReply::encode, WriteReply::decode);
    let request = samples::status_request();
    check_message("status_request", &request, StatusRequest::encode, StatusRequest::decode);
    let reply = samples::status_reply();
    check_message("status_reply", &reply, StatusReply::encode, StatusReply::decode);
}
