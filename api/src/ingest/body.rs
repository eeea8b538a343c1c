//! Request bodies within bounds: as they come in, and as they grow under decompression.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::StatusCode;
use http_body_util::BodyExt;
use tonic::Code;

use super::admission::{Admitted, Overload};
use crate::error::Answer;
use crate::limits;

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is larger than a body may be.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It is larger than a body may be once decompressed.
    #[error("the decompressed body is larger than {bytes_max} bytes")]
    DecompressedTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// There is no room for it.
    #[error(transparent)]
    Overload(#[from] Overload),
    /// It is not what its encoding says.
    #[error("the body is not well-formed {encoding}")]
    Corrupt {
        /// The encoding.
        encoding: &'static str,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// It is compressed in a way that is not understood.
    #[error("unsupported content encoding; use identity, gzip, deflate, zlib or zstd")]
    Encoding,
    /// The client stopped sending.
    #[error("the body ended early")]
    Broken,
    /// The frame around a gRPC message says something else than its content.
    #[error("the gRPC frame does not match its message")]
    Frame,
}

impl BodyError {
    /// How the refusal looks from outside.
    pub fn answer(&self) -> Answer {
        let (code, status) = match self {
            Self::TooLarge { .. } | Self::DecompressedTooLarge { .. } => {
                (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE)
            }
            Self::Overload(_) => (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
            Self::Encoding => (Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Corrupt { .. } | Self::Broken | Self::Frame => {
                (Code::InvalidArgument, StatusCode::BAD_REQUEST)
            }
        };
        let retry_after = match self {
            Self::Overload(overload) => Some(overload.retry_after()),
            _ => None,
        };
        Answer { code, status, retry_after }
    }
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// `gzip`
    Gzip,
    /// `deflate`, which over HTTP means zlib, and is called so by some.
    Deflate,
    /// `zstd`
    Zstd,
}

impl Encoding {
    /// The encoding of this name, as `Content-Encoding` and `grpc-encoding` write it.
    pub fn from_name(name: &[u8]) -> Result<Self, BodyError> {
        let all = [Self::Identity, Self::Gzip, Self::Deflate, Self::Zstd];
        let name = match name.trim_ascii() {
            name if name.eq_ignore_ascii_case(b"x-gzip") => &b"gzip"[..],
            // The collector's name.
            name if name.eq_ignore_ascii_case(b"zlib") => b"deflate",
            name => name,
        };
        let found = all.into_iter().find(|it| it.name().as_bytes().eq_ignore_ascii_case(name));
        match found {
            Some(encoding) => Ok(encoding),
            None if name.is_empty() => Ok(Self::Identity),
            None => Err(BodyError::Encoding),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// Reads a body of at most `bytes_max` bytes, with or without a declared length. `length_of`
/// may tell the whole length from the first bytes, which saves growing the buffer.
///
/// A body that came in one piece is not copied.
pub async fn read<B>(
    mut body: B,
    bytes_max: usize,
    length_of: impl Fn(&[u8]) -> Option<usize>,
    admitted: &mut Admitted,
) -> Result<Bytes, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let length = first.len().max(rest.len());
        if data.len().saturating_add(length).max(declared) > bytes_max {
            return Err(BodyError::TooLarge { bytes_max });
        }
        admitted.charge(data.len())?;
        if length == 0 {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let expected = length_of(&first).unwrap_or(declared).min(bytes_max);
            rest.reserve(expected.max(length + data.len()));
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Decompresses a body. Memory grows in steps, each charged before it is filled, so that a small
/// body which unfolds into a large one stops at the first bound it meets.
pub fn decompress(
    encoding: Encoding,
    body: &[u8],
    bytes_max: usize,
    admitted: &mut Admitted,
) -> Result<Vec<u8>, BodyError> {
    match encoding {
        Encoding::Identity => drain(io::Cursor::new(body), encoding, bytes_max, admitted),
        Encoding::Gzip => drain(MultiGzDecoder::new(body), encoding, bytes_max, admitted),
        Encoding::Deflate => drain(ZlibDecoder::new(body), encoding, bytes_max, admitted),
        Encoding::Zstd => {
            let corrupt = |source| BodyError::Corrupt { encoding: encoding.name(), source };
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(corrupt)?;
            decoder.window_log_max(limits::ZSTD_WINDOW_LOG_MAX).map_err(corrupt)?;
            drain(decoder, encoding, bytes_max, admitted)
        }
    }
}

/// A body that is small when it is plain, plain, or nothing if it is not. Where that is a short
/// time's work it is done here; what a short body unfolds to nobody knows before.
pub fn plain_if_small(
    encoding: Encoding,
    body: &Bytes,
    admitted: &mut Admitted,
) -> Result<Option<Bytes>, BodyError> {
    let bytes_max = limits::INLINE_WALK_BYTES_MAX;
    if encoding == Encoding::Identity {
        return Ok((body.len() <= bytes_max).then(|| body.clone()));
    }
    if body.len() > limits::INLINE_DECOMPRESSION_BYTES_MAX {
        return Ok(None);
    }
    match decompress(encoding, body, bytes_max, admitted) {
        Ok(plain) => Ok(Some(plain.into())),
        Err(BodyError::DecompressedTooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn drain(
    mut reader: impl Read,
    encoding: Encoding,
    bytes_max: usize,
    admitted: &mut Admitted,
) -> Result<Vec<u8>, BodyError> {
    let step = limits::DECOMPRESSION_STEP_BYTES;
    let mut bytes = Vec::new();
    loop {
        admitted.charge(step)?;
        let read = reader.by_ref().take(step as u64).read_to_end(&mut bytes);
        let read =
            read.map_err(|source| BodyError::Corrupt { encoding: encoding.name(), source })?;
        if bytes.len() > bytes_max {
            return Err(BodyError::DecompressedTooLarge { bytes_max });
        }
        if read < step {
            return Ok(bytes);
        }
    }
}
