//! The recorded traces, message by message.

use std::io::Read;

const HIPSTER: &[u8] = include_bytes!("../../../bench/data/hipster-20k.pb.zst");
const ASTRONOMY: &[u8] = include_bytes!("../../../bench/data/astronomy-oteltraces.zst");

/// Forty requests of at most 512 spans: 20,256 in all.
pub(crate) fn hipster() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let bytes = decompress(HIPSTER);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let mut length = 0;
        for place in 0.. {
            let byte = rest[0];
            rest = &rest[1..];
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                break;
            }
        }
        let (message, after) = rest.split_at(length);
        messages.push(message.to_vec());
        rest = after;
    }
    messages
}

/// 465 messages: 64,151 spans.
pub(crate) fn astronomy() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let bytes = decompress(ASTRONOMY);
    let mut rest = bytes.as_slice();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(message.to_vec());
        rest = after;
    }
    messages
}

fn decompress(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    zstd::Decoder::new(bytes).unwrap().read_to_end(&mut plain).unwrap();
    plain
}
