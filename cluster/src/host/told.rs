//! What a future tells on its way, as a stream: for questions of which each part is answered as
//! soon as it can be.
//!
//! The future runs while the stream is polled and is dropped with it; there is no task.

use std::future::{Future, ready};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc;

/// What the future that `begin` makes gives to its sender. It gives at most `room` items, so that
/// giving never waits.
pub(super) fn told<'a, T, F>(
    room: usize,
    begin: impl FnOnce(mpsc::Sender<T>) -> F,
) -> BoxStream<'a, T>
where
    T: Send + 'a,
    F: Future<Output = ()> + Send + 'a,
{
    let (sender, receiver) = mpsc::channel(room.max(1));
    let telling = stream::once(begin(sender)).filter_map(|()| ready(None));
    let heard = stream::unfold(receiver, |mut receiver| async {
        let item = receiver.recv().await?;
        Some((item, receiver))
    });
    stream::select(heard, telling).boxed()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_told_is_heard_before_the_end() {
        let mut stream = told(2, |sender| async move {
            let _ = sender.send(1).await;
            tokio::time::sleep(Duration::from_mins(1)).await;
            let _ = sender.send(2).await;
        });
        let began = tokio::time::Instant::now();
        assert_eq!(stream.next().await, Some(1));
        assert!(began.elapsed() < Duration::from_mins(1));
        assert_eq!(stream.next().await, Some(2));
        assert_eq!(stream.next().await, None);
    }
}
