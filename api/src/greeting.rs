//! The first bytes of a connection, which tell HTTP/1 from HTTP/2.
//!
//! The library that serves both waits for these bytes without a timer, so they are read here and
//! handed on with the stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::limits;

/// What every connection of HTTP/2 begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read, and that gives them again.
#[derive(Debug)]
pub(crate) struct Greeted<S> {
    stream: S,
    /// Read, and not given again yet.
    greeting: Vec<u8>,
}

/// Reads until it is known which protocol is spoken: to the end of HTTP/2's preface, or to the
/// first byte that differs from it. Nothing if the client leaves before, or takes too long.
pub(crate) async fn greeted<S: AsyncRead + Unpin>(mut stream: S) -> Option<Greeted<S>> {
    let mut greeting = Vec::with_capacity(PREFACE.len());
    let first = timeout(limits::FIRST_BYTE_TIMEOUT, more(&mut stream, &mut greeting));
    first.await.ok()?.ok()?;
    let rest = async {
        while greeting.len() < PREFACE.len() && PREFACE.starts_with(&greeting) {
            more(&mut stream, &mut greeting).await?;
        }
        Ok::<_, io::Error>(())
    };
    timeout(limits::HEADER_TIMEOUT, rest).await.ok()?.ok()?;
    Some(Greeted { stream, greeting })
}

/// Reads at least one byte, and none beyond where the preface ends.
async fn more(stream: &mut (impl AsyncRead + Unpin), greeting: &mut Vec<u8>) -> io::Result<()> {
    let left = PREFACE.len() - greeting.len();
    match stream.take(left as u64).read_buf(greeting).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let given = self.greeting.len().min(buffer.remaining());
        buffer.put_slice(self.greeting.get(..given).unwrap_or_default());
        self.greeting.drain(..given);
        if self.greeting.is_empty() {
            self.greeting = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn what_was_read_is_given_again() {
        let long = [PREFACE, &b"and more"[..]].concat();
        for begin in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"P", b"POST / HTTP/1.1\r\n", &long] {
            let (mut client, server) = duplex(64);
            let sending = async {
                for byte in begin {
                    client.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
                // Half of a word is enough only if no more comes.
                if begin.len() == 1 {
                    client.write_all(b"UT").await.unwrap();
                }
                drop(client);
            };
            let reading = async {
                let mut whole = Vec::new();
                greeted(server).await.unwrap().read_to_end(&mut whole).await.unwrap();
                whole
            };
            let whole = tokio::join!(sending, reading).1;
            assert!(whole.starts_with(begin), "{begin:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_says_what_it_speaks_is_not_kept() {
        let half = &PREFACE[..16];
        for (begin, every, kept_max) in [
            (&b""[..], Duration::ZERO, limits::FIRST_BYTE_TIMEOUT),
            (half, Duration::ZERO, limits::HEADER_TIMEOUT),
            // It does not help to send the rest slowly.
            (half, Duration::from_secs(4), limits::HEADER_TIMEOUT + Duration::from_secs(4)),
        ] {
            let (mut client, server) = duplex(64);
            let started = Instant::now();
            let sending = async {
                for byte in begin {
                    tokio::time::sleep(every).await;
                    // It may be hung up on meanwhile.
                    let _ = client.write_all(&[*byte]).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = sending => {}
                greeted = greeted(server) => assert!(greeted.is_none()),
            }
            assert!(started.elapsed() <= kept_max + Duration::from_millis(10), "{every:?}");
        }
    }
}
