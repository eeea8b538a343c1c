//! A connection that only nodes with the cluster's key can make or read.
//!
//! Under HTTP/2 lies a handshake of the Noise framework (`NNpsk0`: both sides prove that they know
//! the key, and every connection has secrets of its own, so that a key that leaks later opens
//! nothing recorded before) and then records: two bytes of length and that many sealed bytes.
//!
//! ```text
//! client -> server   4 bytes magic and version, 48 bytes first message
//! server -> client   48 bytes second message
//! both ways          u16 length (big-endian, 17 to RECORD_SEALED_MAX), sealed bytes
//! ```
//!
//! Invariants:
//! - the client speaks no HTTP before the server has proved that it knows the key; what a server
//!   reads was sealed by somebody who knows it, in this very connection;
//! - a record that was changed, repeated, left out or moved ends the connection;
//! - buffers have a fixed size, whatever the other side sends.
//!
//! What is absent on purpose: which node it is. That travels in the headers of every call, where a
//! node with the key is believed.
#![expect(clippy::indexing_slicing, reason = "offsets stay within buffers sized in this file")]

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use snow::{Builder, HandshakeState, TransportState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::key::{ClusterKey, KeyRing, Purpose};
use super::limits::HANDSHAKE_DEADLINE;

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// What comes first, so that a peer that speaks something else is recognised by that.
const MAGIC: [u8; 4] = *b"SKN\x01";

/// An ephemeral key and an authentication tag.
const HANDSHAKE_MESSAGE_BYTES: usize = 48;

const LENGTH_BYTES: usize = 2;
const TAG_BYTES: usize = 16;

/// Bytes sealed together: what HTTP/2 puts in one frame.
const RECORD_PLAIN_MAX: usize = 16 << 10;
const RECORD_SEALED_MAX: usize = RECORD_PLAIN_MAX + TAG_BYTES;

/// Bytes read ahead: a record and most of the next.
const RAW_BYTES: usize = 2 * (LENGTH_BYTES + RECORD_SEALED_MAX);

/// Sealed bytes that may wait for the network before the writer does.
const OUT_BYTES_MAX: usize = 4 * (LENGTH_BYTES + RECORD_SEALED_MAX);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// The network failed, or the other side hung up in the middle.
    #[error("the connection broke in the handshake")]
    Io(#[source] io::Error),
    /// What came first was not this handshake: a client without a key, or something else.
    #[error("the other side does not speak this handshake: has it a cluster key?")]
    NotNoise,
    /// The other side hung up without a word, as a server with another key does.
    #[error("the other side hung up in the handshake: has it the same cluster key?")]
    HungUp,
    /// The other side has another key.
    #[error("the other side has another cluster key")]
    WrongKey,
    /// Too slow.
    #[error("the handshake took too long")]
    Deadline,
    /// The library failed; a bug.
    #[error("the handshake could not be set up")]
    Setup,
}

impl NoiseError {
    /// A word for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::NotNoise => "not_noise",
            Self::HungUp => "hung_up",
            Self::WrongKey => "wrong_key",
            Self::Deadline => "deadline",
            Self::Setup => "setup",
        }
    }
}

/// A stream of bytes, sealed over `S`.
pub struct NoiseStream<S> {
    inner: S,
    state: TransportState,
    raw: Box<[u8]>,
    raw_start: usize,
    raw_end: usize,
    plain: Box<[u8]>,
    plain_start: usize,
    plain_end: usize,
    gathered: Vec<u8>,
    out: Vec<u8>,
    out_start: usize,
    is_broken: bool,
}

impl<S> fmt::Debug for NoiseStream<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NoiseStream").finish_non_exhaustive()
    }
}

fn builder(secret: &[u8; 32]) -> Result<Builder<'_>, NoiseError> {
    let pattern = PATTERN.parse().map_err(|_| NoiseError::Setup)?;
    let builder = Builder::new(pattern).psk(0, secret).map_err(|_| NoiseError::Setup)?;
    builder.prologue(&MAGIC).map_err(|_| NoiseError::Setup)
}

fn initiator(key: &ClusterKey) -> Result<HandshakeState, NoiseError> {
    let secret = key.derive(Purpose::Connection);
    builder(&secret)?.build_initiator().map_err(|_| NoiseError::Setup)
}

fn responder(key: &ClusterKey) -> Result<HandshakeState, NoiseError> {
    let secret = key.derive(Purpose::Connection);
    builder(&secret)?.build_responder().map_err(|_| NoiseError::Setup)
}

impl<S: AsyncRead + AsyncWrite + Unpin> NoiseStream<S> {
    /// The side that connected: proves the first key of the ring.
    pub async fn connect(inner: S, keys: &KeyRing) -> Result<Self, NoiseError> {
        let handshake = Self::begin(inner, keys);
        tokio::time::timeout(HANDSHAKE_DEADLINE, handshake)
            .await
            .unwrap_or(Err(NoiseError::Deadline))
    }

    /// The side that listens: accepts every key of the ring.
    pub async fn accept(inner: S, keys: &KeyRing) -> Result<Self, NoiseError> {
        let handshake = Self::answer(inner, keys);
        tokio::time::timeout(HANDSHAKE_DEADLINE, handshake)
            .await
            .unwrap_or(Err(NoiseError::Deadline))
    }

    async fn begin(mut inner: S, keys: &KeyRing) -> Result<Self, NoiseError> {
        let mut state = initiator(keys.first())?;
        let mut hello = [0; MAGIC.len() + HANDSHAKE_MESSAGE_BYTES];
        let (magic, message) = hello.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        state.write_message(&[], message).map_err(|_| NoiseError::Setup)?;
        inner.write_all(&hello).await.map_err(NoiseError::Io)?;
        inner.flush().await.map_err(NoiseError::Io)?;
        let mut answer = [0; HANDSHAKE_MESSAGE_BYTES];
        inner.read_exact(&mut answer).await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => NoiseError::HungUp,
            _ => NoiseError::Io(error),
        })?;
        state.read_message(&answer, &mut []).map_err(|_| NoiseError::WrongKey)?;
        Self::new(inner, state)
    }

    async fn answer(mut inner: S, keys: &KeyRing) -> Result<Self, NoiseError> {
        let mut magic = [0; MAGIC.len()];
        inner.read_exact(&mut magic).await.map_err(NoiseError::Io)?;
        if magic != MAGIC {
            return Err(NoiseError::NotNoise);
        }
        let mut message = [0; HANDSHAKE_MESSAGE_BYTES];
        inner.read_exact(&mut message).await.map_err(NoiseError::Io)?;
        for key in keys.keys() {
            let mut state = responder(key)?;
            if state.read_message(&message, &mut []).is_err() {
                continue;
            }
            let mut answer = [0; HANDSHAKE_MESSAGE_BYTES];
            state.write_message(&[], &mut answer).map_err(|_| NoiseError::Setup)?;
            inner.write_all(&answer).await.map_err(NoiseError::Io)?;
            inner.flush().await.map_err(NoiseError::Io)?;
            return Self::new(inner, state);
        }
        Err(NoiseError::WrongKey)
    }

    fn new(inner: S, state: HandshakeState) -> Result<Self, NoiseError> {
        let state = state.into_transport_mode().map_err(|_| NoiseError::Setup)?;
        Ok(Self {
            inner,
            state,
            raw: vec![0; RAW_BYTES].into_boxed_slice(),
            raw_start: 0,
            raw_end: 0,
            plain: vec![0; RECORD_PLAIN_MAX].into_boxed_slice(),
            plain_start: 0,
            plain_end: 0,
            gathered: Vec::new(),
            out: Vec::new(),
            out_start: 0,
            is_broken: false,
        })
    }

    /// Opens the next record if it has been read whole.
    fn open_record(&mut self) -> io::Result<bool> {
        let raw = &self.raw[self.raw_start..self.raw_end];
        let Some((length, rest)) = raw.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(false);
        };
        let sealed_bytes = usize::from(u16::from_be_bytes(*length));
        if sealed_bytes <= TAG_BYTES || sealed_bytes > RECORD_SEALED_MAX {
            return Err(self.broken("a record of an impossible length"));
        }
        let Some(sealed) = rest.get(..sealed_bytes) else { return Ok(false) };
        match self.state.read_message(sealed, &mut self.plain) {
            Ok(plain_bytes) => {
                self.raw_start += LENGTH_BYTES + sealed_bytes;
                (self.plain_start, self.plain_end) = (0, plain_bytes);
                Ok(true)
            }
            Err(_) => Err(self.broken("a record that was not sealed by the other side")),
        }
    }

    fn broken(&mut self, reason: &'static str) -> io::Error {
        self.is_broken = true;
        metrics::counter!("skua_rpc_bad_records_total").increment(1);
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }

    /// Reads more sealed bytes. Ready with zero at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.raw_start > 0 {
            self.raw.copy_within(self.raw_start..self.raw_end, 0);
            self.raw_end -= self.raw_start;
            self.raw_start = 0;
        }
        let mut buffer = ReadBuf::new(&mut self.raw[self.raw_end..]);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer))?;
        let read = buffer.filled().len();
        self.raw_end += read;
        Poll::Ready(Ok(read))
    }

    /// Seals bytes as one record behind those that wait.
    fn seal_record(&mut self, plain: &[u8]) -> io::Result<()> {
        let start = self.out.len();
        let sealed_bytes = plain.len() + TAG_BYTES;
        let length = u16::try_from(sealed_bytes).map_err(io::Error::other)?;
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.resize(start + LENGTH_BYTES + sealed_bytes, 0);
        let room = &mut self.out[start + LENGTH_BYTES..];
        let sealed = self.state.write_message(plain, room);
        if sealed.is_err() {
            return Err(self.broken("a record could not be sealed"));
        }
        Ok(())
    }

    /// Writes what waits.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out_start < self.out.len() {
            let rest = &self.out[self.out_start..];
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out_start += written;
        }
        self.out.clear();
        self.out_start = 0;
        Poll::Ready(Ok(()))
    }

    /// Ready once another record may be sealed.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.out.len() + LENGTH_BYTES + RECORD_SEALED_MAX > OUT_BYTES_MAX {
            ready!(self.poll_drain(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the network what it takes now; the rest is written at the next flush.
    fn nudge(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.poll_drain(context) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for NoiseStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.is_broken {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let plain = &this.plain[this.plain_start..this.plain_end];
            if !plain.is_empty() {
                let count = plain.len().min(buffer.remaining());
                buffer.put_slice(&plain[..count]);
                this.plain_start += count;
                return Poll::Ready(Ok(()));
            }
            if this.open_record()? {
                continue;
            }
            if ready!(this.poll_fill(context))? == 0 {
                let is_between_records = this.raw_start == this.raw_end;
                let end = if is_between_records {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
                return Poll::Ready(end);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for NoiseStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_room(context))?;
        let count = bytes.len().min(RECORD_PLAIN_MAX);
        if count > 0 {
            this.seal_record(&bytes[..count])?;
            this.nudge(context)?;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_room(context))?;
        let mut gathered = std::mem::take(&mut this.gathered);
        gathered.clear();
        for slice in slices {
            let room = RECORD_PLAIN_MAX - gathered.len();
            gathered.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let sealed = if gathered.is_empty() { Ok(()) } else { this.seal_record(&gathered) };
        let count = gathered.len();
        this.gathered = gathered;
        sealed?;
        this.nudge(context)?;
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
