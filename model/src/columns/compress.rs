//! zstd at one level, with reused contexts and bounded output.

use std::cell::RefCell;

use zstd::bulk::Decompressor;

use super::ColumnError;

/// Level 3: higher levels gain under 2 % here for two to four times the time (measured on
/// recorded traces, docs/adr/0004).
pub const LEVEL: i32 = 3;

/// Compresses sections one after another with one context.
pub struct Compressor {
    context: zstd::bulk::Compressor<'static>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Compressor")
    }
}

impl Default for Compressor {
    fn default() -> Self {
        let mut context = zstd::bulk::Compressor::default();
        // Setting these parameters fails only for levels and flags zstd does not know.
        let _ = context.set_compression_level(LEVEL);
        // The section table has lengths and checksums already.
        let _ = context.include_checksum(false);
        let _ = context.include_contentsize(false);
        Self { context }
    }
}

impl Compressor {
    /// Appends `bytes`, compressed if that is shorter, and returns whether it was.
    pub fn append(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let start = out.len();
        let room = zstd::zstd_safe::compress_bound(bytes.len());
        out.resize(start + room, 0);
        let target = out.get_mut(start..).unwrap_or_default();
        match self.context.compress_to_buffer(bytes, target) {
            Ok(length) if length < bytes.len() => {
                out.truncate(start + length);
                true
            }
            _ => {
                out.truncate(start);
                out.extend_from_slice(bytes);
                false
            }
        }
    }
}

thread_local! {
    /// One context a thread: to make one takes longer than to unpack a small section.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decompresses to exactly `length` bytes. The caller has bounded `length`.
pub fn decompress(bytes: &[u8], length: usize) -> Result<Vec<u8>, ColumnError> {
    let plain = DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut context = kept.take().map_or_else(Decompressor::new, Ok)?;
        let plain = context.decompress(bytes, length);
        *kept = Some(context);
        plain
    });
    let plain = plain.map_err(|_| ColumnError::new("a compressed section does not decompress"))?;
    if plain.len() == length {
        Ok(plain)
    } else {
        Err(ColumnError::new("a compressed section has another length"))
    }
}
