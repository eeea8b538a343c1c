//! How many reads may be under way, and how much memory what they take in and give out may hold.
//!
//! A read's question is charged as it comes in. Its answer is charged when its length is known,
//! and given back piece by piece as the client takes it. A client that takes none of it for a
//! while is given up: what it does not read would wait in memory for ever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{ApiError, retry_after_seconds};
use crate::ingest::{Admission, Admitted, Overload, body};
use crate::jaeger_thrift::http::text;
use crate::limits;
use crate::task::Tasks;

/// Room for reads. Cloning shares.
#[derive(Debug, Clone)]
pub struct ReadRoom {
    reads: Arc<Semaphore>,
    questions: Admission,
    answers: Arc<Semaphore>,
    /// Uploads become spans, many times their size, one after another.
    transforming: Arc<Semaphore>,
}

impl Default for ReadRoom {
    fn default() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(limits::READS_MAX)),
            questions: Admission::new(limits::READ_BODIES_MAX, limits::READ_BODY_BYTES_MAX),
            answers: Arc::new(Semaphore::new(limits::ANSWER_BYTES_MAX)),
            transforming: Arc::new(Semaphore::new(1)),
        }
    }
}

/// The body of a read, and its room.
#[derive(Debug)]
pub(crate) struct Question {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    _room: Admitted,
}

impl ReadRoom {
    /// Reads a question of at most `bytes_max` bytes within `deadline`.
    pub(crate) async fn question(
        &self,
        body: Body,
        bytes_max: usize,
        deadline: Duration,
    ) -> Result<Question, ApiError> {
        let reading = async {
            let mut room = self.questions.enter()?;
            let bytes = body::read(body, bytes_max, |_| None, &mut room).await?;
            Ok::<_, ApiError>(Question { bytes, _room: room })
        };
        let read = timeout(deadline, reading).await.unwrap_or(Err(ApiError::Deadline));
        if read.as_ref().is_err_and(|error| error.answer().status == StatusCode::TOO_MANY_REQUESTS)
        {
            count_refusal("questions");
        }
        read
    }

    /// Waits for the turn to make spans of an upload. Whoever has it keeps it until that is done.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let turn = Arc::clone(&self.transforming).acquire_owned();
        match timeout(limits::READ_WAIT, turn).await {
            Ok(turn) => turn.map_err(|_| ApiError::Internal),
            Err(_) => Err(refused("transform")),
        }
    }

    /// Waits for a place for a read.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let entering = Arc::clone(&self.reads).acquire_owned();
        match timeout(limits::READ_WAIT, entering).await {
            Ok(entered) => entered.map_err(|_| ApiError::Internal),
            Err(_) => Err(refused("reads")),
        }
    }

    /// Room for an answer of so many bytes, or the refusal.
    fn answer(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        // What is larger than all the room waits until it has all of it.
        let permits = bytes.min(limits::ANSWER_BYTES_MAX);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.answers).try_acquire_many_owned(permits);
        room.map_err(|_| refused("answers"))
    }
}

/// There is no room; counted.
fn refused(what: &'static str) -> ApiError {
    count_refusal(what);
    let overload = if what == "answers" { Overload::Bytes } else { Overload::Requests };
    overload.into()
}

fn count_refusal(reason: &'static str) {
    metrics::counter!("skua_query_refusals_total", "reason" => reason).increment(1);
}

/// Axum middleware in front of reads over HTTP. A read without a body has its place until its
/// answer begins; every one has room for its answer until the client has it.
pub(crate) async fn admit(State(room): State<ReadRoom>, request: Request, next: Next) -> Response {
    let answered = async {
        // A body may come slowly: what has one takes its room as it comes.
        let has_place = request.method() == Method::GET;
        let place = if has_place { Some(room.enter().await?) } else { None };
        let response = next.run(request).await;
        drop(place);
        held(&room, response)
    };
    answered.await.unwrap_or_else(|error| refusal(&error))
}

fn refusal(error: &ApiError) -> Response {
    let answer = error.answer();
    let mut response = text(answer.status, &error.to_string());
    if let Some(delay) = answer.retry_after {
        let seconds = HeaderValue::from(retry_after_seconds(delay));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// The response with its bytes charged, if it is large and all of it waits in memory.
fn held(room: &ReadRoom, response: Response) -> Result<Response, ApiError> {
    let bytes = length(&response);
    if bytes < limits::SMALL_ANSWER_BYTES {
        return Ok(response);
    }
    let charge = room.answer(bytes)?;
    Ok(response.map(|body| Body::new(Held::new(body, charge))))
}

/// How many bytes of an answer are known to come; streams that are made as they are sent say
/// nothing.
fn length(response: &Response) -> usize {
    let told = response.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse().ok());
    let lower = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
    told.unwrap_or(lower)
}

/// An answer that waits to be sent. Dropped whole when it is not taken for too long.
struct Held {
    waiting: Arc<Mutex<Option<Waiting>>>,
    size: SizeHint,
    /// Gives the answer up.
    _watch: Tasks,
}

struct Waiting {
    body: Body,
    /// Of a frame that is larger than a piece: what was not handed out yet.
    rest: Bytes,
    charge: OwnedSemaphorePermit,
    /// Something was handed out since the last look.
    has_moved: bool,
}

impl Held {
    fn new(body: Body, charge: OwnedSemaphorePermit) -> Self {
        let size = body.size_hint();
        let waiting = Waiting { body, rest: Bytes::new(), charge, has_moved: true };
        let waiting = Arc::new(Mutex::new(Some(waiting)));
        let mut watch = Tasks::default();
        watch.spawn("slow reader", give_up(Arc::clone(&waiting)));
        Self { waiting, size, _watch: watch }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Now, and not when the watch notices that it has ended.
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Ends an answer of which nothing is taken between two looks.
async fn give_up(waiting: Arc<Mutex<Option<Waiting>>>) {
    loop {
        tokio::time::sleep(limits::SLOW_READER_TIMEOUT).await;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.as_mut() {
            Some(answer) if answer.has_moved => answer.has_moved = false,
            Some(_) => {
                *waiting = None;
                metrics::counter!("skua_query_readers_given_up_total").increment(1);
                return;
            }
            None => return,
        }
    }
}

impl Waiting {
    /// The next piece. A large frame is copied in pieces, so that its memory goes when it is
    /// given up, whoever still holds the piece that was handed out last.
    fn piece(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let piece = self.rest.split_to(self.rest.len().min(limits::ANSWER_PIECE_BYTES));
        let charged = piece.len().min(self.charge.num_permits());
        drop(self.charge.split(charged));
        self.has_moved = true;
        if self.rest.is_empty() { Some(piece) } else { Some(Bytes::copy_from_slice(&piece)) }
    }
}

/// What a connection is told of an answer that was given up: it ends in the middle.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the answer was not taken for too long")]
    Slow,
    #[error(transparent)]
    Inner(axum::Error),
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answer) = waiting.as_mut() else { return Poll::Ready(Some(Err(Ended::Slow))) };
        loop {
            if let Some(piece) = answer.piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let polled = std::task::ready!(Pin::new(&mut answer.body).poll_frame(context));
            match polled.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if data.is_empty() => {}
                Some(Ok(Ok(data))) => answer.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(Ended::Inner(error)))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn answer(bytes: usize) -> Response {
        Response::new(Body::from(vec![7; bytes]))
    }

    fn free(room: &ReadRoom) -> usize {
        room.answers.available_permits()
    }

    #[tokio::test]
    async fn an_answer_holds_room_until_it_is_taken() {
        let room = ReadRoom::default();
        let all = free(&room);
        let small = held(&room, answer(limits::SMALL_ANSWER_BYTES - 1)).unwrap();
        assert_eq!(free(&room), all);
        drop(small);
        let bytes = 3 * limits::ANSWER_PIECE_BYTES + 5;
        let mut large = held(&room, answer(bytes)).unwrap().into_body();
        assert_eq!(large.size_hint().exact(), Some(bytes as u64));
        assert_eq!(free(&room), all - bytes);
        let first = large.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(free(&room), all - bytes + first.len());
        let rest = large.collect().await.unwrap().to_bytes();
        assert_eq!([first, rest].concat(), vec![7; bytes]);
        assert_eq!(free(&room), all);
    }

    #[tokio::test]
    async fn what_has_no_room_is_refused_and_told_when_to_ask_again() {
        let room = ReadRoom::default();
        let most = held(&room, answer(limits::ANSWER_BYTES_MAX)).unwrap();
        let refused = refusal(&held(&room, answer(limits::SMALL_ANSWER_BYTES)).unwrap_err());
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        drop(most);
        assert!(held(&room, answer(limits::SMALL_ANSWER_BYTES)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let room = ReadRoom::default();
        let all = free(&room);
        let bytes = 10 * limits::ANSWER_PIECE_BYTES;
        let mut slow = held(&room, answer(bytes)).unwrap().into_body();
        let mut idle = held(&room, answer(bytes)).unwrap().into_body();
        idle.frame().await.unwrap().unwrap();
        for _ in 0..10 {
            tokio::time::sleep(limits::SLOW_READER_TIMEOUT * 9 / 10).await;
            slow.frame().await.unwrap().unwrap();
        }
        assert!(slow.frame().await.is_none());
        assert_eq!(free(&room), all, "the room of whoever is idle is free again");
        assert!(idle.frame().await.unwrap().is_err(), "it is told so");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_does_not_come_is_not_waited_for() {
        let room = ReadRoom::default();
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let asked = room.question(Body::from_stream(never), 1, limits::READ_BODY_DEADLINE).await;
        assert!(matches!(asked, Err(ApiError::Deadline)));
        let asked = room.question(Body::from("ab"), 1, limits::READ_BODY_DEADLINE).await;
        assert_eq!(asked.unwrap_err().answer().status, 413);
        let asked = room.question(Body::from("a"), 1, limits::READ_BODY_DEADLINE).await;
        assert_eq!(&asked.unwrap().bytes[..], b"a");
    }
}
