//! A load against a receiver that refuses: what is sent again, what is counted, when it ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{LoadOptions, load};
use crate::recording::Recording;

/// What the receiver answers to one request.
#[derive(Clone, Copy)]
enum Answer {
    Accept,
    Reject(u8),
    Refuse(&'static str),
}

/// Answers in turn, then accepts everything.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Answer>>,
    accepted: Mutex<Recording>,
}

impl Receiver {
    /// Listens until the answer's set is dropped; the answer also says where.
    async fn start(self: &Arc<Self>) -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let receiver = Arc::clone(self);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = Arc::clone(&receiver);
                let service = service_fn(move |request| Arc::clone(&receiver).answer(request));
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        (address, tasks)
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
        let (message, status) = match answer {
            Answer::Accept => (vec![0; 5], "0"),
            Answer::Reject(spans) => (vec![0, 0, 0, 0, 4, 0x0a, 2, 8, spans], "0"),
            Answer::Refuse(status) => (Vec::new(), status),
        };
        if status == "0" {
            self.accepted.lock().unwrap().add(&body[5..]).unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        let body = Full::new(Bytes::from(message));
        let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
        let response = Response::builder().header("content-type", "application/grpc");
        Ok(response.body(body).unwrap())
    }
}

fn options(to: String) -> LoadOptions {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data");
    LoadOptions { files: vec![data.join("hipster-20k.pb.zst")], to, ..LoadOptions::default() }
}

#[tokio::test]
async fn refusals_are_retried_and_counted() {
    let receiver = Arc::new(Receiver::default());
    receiver.answers.lock().unwrap().extend([
        Answer::Refuse("14"),
        Answer::Reject(7),
        Answer::Refuse("3"),
        Answer::Refuse("14"),
    ]);
    let (to, _server) = receiver.start().await;
    let report = load(&options(to), &mut ()).await.unwrap();
    let recorded = report.totals.spans_total;
    assert_eq!(recorded, 20_256);
    assert_eq!(report.totals.retries, 2, "{report}");
    assert_eq!(report.totals.spans_rejected, 7, "{report}");
    assert_eq!(report.requests_refused, 1, "{report}");
    let totals = &report.totals;
    assert_eq!(totals.spans_acked + totals.spans_rejected + totals.spans_refused, recorded);
    let accepted = receiver.accepted.lock().unwrap().spans().len() as u64;
    assert_eq!(accepted, totals.spans_acked + totals.spans_rejected);
    assert!(report.stopped.is_none() && !report.is_complete());
    assert!(report.first_refusal.unwrap().contains("InvalidArgument"));
}

#[tokio::test]
async fn a_load_gives_up_where_nothing_is_taken() {
    let receiver = Arc::new(Receiver::default());
    receiver.answers.lock().unwrap().extend([Answer::Refuse("14"); 100]);
    let (to, _server) = receiver.start().await;
    let options = LoadOptions { retry_for: Duration::ZERO, connections: 2, ..options(to) };
    let report = load(&options, &mut ()).await.unwrap();
    assert_eq!(report.totals.spans_acked, 0);
    assert!(report.stopped.unwrap().contains("Unavailable"));
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    assert!(load(&options(address), &mut ()).await.is_err());
    let options = LoadOptions { rate: Some(-1.0), ..LoadOptions::default() };
    assert!(load(&options, &mut ()).await.is_err());
}
