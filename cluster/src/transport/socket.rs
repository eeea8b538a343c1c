//! The connection under HTTP/2: plain TCP, or sealed by the cluster's key.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::KeyRing;
use super::limits::{
    ADDRESSES_TRIED_MAX, CONNECT_DEADLINE, CONNECT_ONE_DEADLINE, UNCONFIRMED_DEADLINE,
};
use super::noise::{NoiseError, NoiseStream};

/// A connection to a node.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Sealed(Box<NoiseStream<TcpStream>>),
}

/// Why there is no connection to an address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the name cannot be resolved: {0}")]
    Name(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("{0}")]
    Tcp(#[source] io::Error),
    #[error("{0}")]
    Noise(#[source] NoiseError),
    #[error("HTTP/2: {0}")]
    Http(#[source] hyper::Error),
    #[error("no connection within {} s", CONNECT_DEADLINE.as_secs())]
    Deadline,
}

/// Sends without delay, and gives up on a network that does not carry.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNCONFIRMED_DEADLINE))?;
    Ok(())
}

impl Socket {
    /// Resolves an address and connects to the first of its answers that takes the call.
    pub(crate) async fn connect(
        address: &str,
        keys: Option<&KeyRing>,
    ) -> Result<Self, ConnectError> {
        let answers = lookup_host(address).await.map_err(ConnectError::Name)?;
        let mut last = ConnectError::NoAddress;
        for answer in answers.take(ADDRESSES_TRIED_MAX) {
            let connected = timeout(CONNECT_ONE_DEADLINE, TcpStream::connect(answer)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Self::seal(stream, keys).await,
                Err(error) => last = ConnectError::Tcp(error),
            }
        }
        Err(last)
    }

    async fn seal(stream: TcpStream, keys: Option<&KeyRing>) -> Result<Self, ConnectError> {
        prepare(&stream).map_err(ConnectError::Tcp)?;
        let Some(keys) = keys else { return Ok(Self::Plain(stream)) };
        match NoiseStream::connect(stream, keys).await {
            Ok(sealed) => Ok(Self::Sealed(Box::new(sealed))),
            Err(error) => {
                let reason = error.label();
                let labels = [("side", "client"), ("reason", reason)];
                metrics::counter!("skua_rpc_handshake_failures_total", &labels).increment(1);
                Err(ConnectError::Noise(error))
            }
        }
    }

    /// Takes a connection that came in.
    pub(crate) async fn accept(
        stream: TcpStream,
        keys: Option<&KeyRing>,
    ) -> Result<Self, NoiseError> {
        prepare(&stream).map_err(NoiseError::Io)?;
        let Some(keys) = keys else { return Ok(Self::Plain(stream)) };
        let sealed = NoiseStream::accept(stream, keys).await.inspect_err(|error| {
            let labels = [("side", "server"), ("reason", error.label())];
            metrics::counter!("skua_rpc_handshake_failures_total", &labels).increment(1);
        })?;
        Ok(Self::Sealed(Box::new(sealed)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Sealed(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Sealed(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Sealed(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Sealed(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Sealed(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
