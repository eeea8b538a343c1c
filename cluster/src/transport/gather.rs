//! Gathers what the streams of one connection have to say at about the same time into one write.
//!
//! HTTP/2 writes each frame of some size by itself, and each write wakes the other side: entries of
//! several shards, their answers, and calls beside them cost a system call and a wake-up apiece. So
//! what is written stays here until the connection's task has had another turn, behind those that
//! were ready to run; what these add goes along. Nothing waits for a clock.
//!
//! Invariant: as long as something is held here, the connection's task is due to run, or waits for
//! the socket to take more. That a flush says so before it is done is safe because of it, and
//! because nothing above asks what has left.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits::{GATHER_TURNS_MAX, GATHERED_BYTES_MAX};

/// A connection that gathers what is written to it.
#[derive(Debug)]
pub(crate) struct Gather<S> {
    inner: S,
    held: Vec<u8>,
    /// Bytes of `held` that the connection has taken.
    taken: usize,
    /// Turns of the task since the first of these bytes came.
    turns: u32,
    /// Something came since the last flush, so the next turn may bring more.
    is_growing: bool,
}

impl<S> Gather<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, held: Vec::new(), taken: 0, turns: 0, is_growing: false }
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Hands all that is held to the connection.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Once begun, it does not stop for what comes later.
        self.turns = GATHER_TURNS_MAX;
        while let Some(rest) = self.held.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.taken += count,
            }
        }
        self.held.clear();
        (self.taken, self.turns, self.is_growing) = (0, 0, false);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        // The task reads first in its turn, until nothing is left; then it writes.
        if polled.is_pending() && !this.held.is_empty() {
            this.turns += 1;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let bytes = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if this.held.len() + bytes > GATHERED_BYTES_MAX {
            ready!(this.poll_drain(context))?;
        }
        if bytes > GATHERED_BYTES_MAX {
            return Pin::new(&mut this.inner).poll_write_vectored(context, slices);
        }
        for slice in slices {
            this.held.extend_from_slice(slice);
        }
        this.is_growing = true;
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_growing = std::mem::take(&mut this.is_growing);
        let is_due = this.turns >= GATHER_TURNS_MAX || this.turns > 0 && !is_growing;
        if this.held.is_empty() || is_due {
            ready!(this.poll_drain(context))?;
            return Pin::new(&mut this.inner).poll_flush(context);
        }
        context.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSlice;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// A connection whose task is run by hand, and the other side.
    struct Bench {
        near: Gather<DuplexStream>,
        far: DuplexStream,
        woken: Arc<Woken>,
    }

    impl Bench {
        fn new(socket_bytes: usize) -> Self {
            let (near, far) = tokio::io::duplex(socket_bytes);
            Self { near: Gather::new(near), far, woken: Arc::default() }
        }

        fn with<R>(
            &mut self,
            call: impl FnOnce(Pin<&mut Gather<DuplexStream>>, &mut Context<'_>) -> R,
        ) -> R {
            let waker = Waker::from(Arc::clone(&self.woken));
            call(Pin::new(&mut self.near), &mut Context::from_waker(&waker))
        }

        /// A turn begins: there is nothing to read.
        fn turn(&mut self) {
            let mut bytes = [0; 8];
            let mut buffer = ReadBuf::new(&mut bytes);
            assert!(self.with(|near, context| near.poll_read(context, &mut buffer)).is_pending());
            self.woken.0.store(false, Ordering::Relaxed);
        }

        /// Writes bytes whole, or not at all.
        fn write(&mut self, bytes: &[u8]) -> bool {
            let slices = [IoSlice::new(bytes)];
            match self.with(|near, context| near.poll_write_vectored(context, &slices)) {
                Poll::Ready(count) => count.unwrap() == bytes.len(),
                Poll::Pending => false,
            }
        }

        fn flush(&mut self) -> bool {
            self.with(AsyncWrite::poll_flush).map(Result::unwrap).is_ready()
        }

        /// Whether the task is to run again.
        fn is_woken(&self) -> bool {
            self.woken.0.load(Ordering::Relaxed)
        }

        /// Bytes that came to the other side since it was last asked.
        fn arrived(&mut self) -> usize {
            let mut bytes = vec![0; 2 * GATHERED_BYTES_MAX];
            self.far.read(&mut bytes).now_or_never().map_or(0, Result::unwrap)
        }
    }

    #[test]
    fn frames_of_one_turn_and_of_the_next_leave_together() {
        let mut bench = Bench::new(1 << 20);
        bench.turn();
        for _ in 0..3 {
            assert!(bench.write(b"frame") && bench.flush());
        }
        assert!(bench.flush() && bench.is_woken(), "it has another turn");
        assert_eq!(bench.arrived(), 0);
        bench.turn();
        assert!(bench.write(b"frame") && bench.flush());
        assert_eq!(bench.arrived(), 0, "perhaps there is more in this turn");
        assert!(bench.flush());
        assert_eq!(bench.arrived(), 20);
        // And from the beginning.
        bench.turn();
        assert!(bench.write(b"frame") && bench.flush());
        assert_eq!(bench.arrived(), 0);
    }

    #[test]
    fn what_keeps_growing_leaves_all_the_same() {
        let mut bench = Bench::new(1 << 20);
        let mut written = 0;
        for turn in 0..=GATHER_TURNS_MAX {
            assert_eq!(bench.arrived(), 0, "turn {turn}");
            assert!(bench.write(b"frame") && bench.flush());
            written += 5;
            assert_eq!(bench.is_woken(), turn < GATHER_TURNS_MAX);
            bench.turn();
        }
        assert_eq!(bench.arrived(), written);
    }

    #[test]
    fn what_is_held_is_bounded_and_a_full_socket_is_waited_for() {
        let mut bench = Bench::new(100);
        assert!(bench.write(&vec![1; GATHERED_BYTES_MAX]));
        assert!(!bench.write(b"one more") && !bench.flush());
        let mut left = GATHERED_BYTES_MAX;
        while left > 0 {
            let arrived = bench.arrived();
            assert!(arrived > 0, "neither more bytes nor another turn puts it off: {left}");
            left -= arrived;
            bench.flush();
        }
        assert!(bench.write(b"one more"));
        assert_eq!(bench.near.held, b"one more");
    }

    #[tokio::test]
    async fn large_writes_go_past_and_the_end_comes_last() {
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let mut near = Gather::new(near);
        let writer = async {
            near.write_all(b"begin").await.unwrap();
            near.write_all(&vec![7; 2 * GATHERED_BYTES_MAX]).await.unwrap();
            near.write_all(b"end").await.unwrap();
            poll_fn(|context| Pin::new(&mut near).poll_shutdown(context)).await.unwrap();
        };
        let mut got = Vec::new();
        let ((), count) = tokio::join!(writer, far.read_to_end(&mut got));
        assert_eq!(count.unwrap(), 2 * GATHERED_BYTES_MAX + 8);
        assert!(got.starts_with(b"begin\x07") && got.ends_with(b"\x07end"));
    }
}
