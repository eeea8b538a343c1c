//! Connections: accepted within bounds, served, seen off.
//!
//! A connection holds a descriptor of the process, and so do the log, the blocks and the peers:
//! clients who took them all would end the node at the next file that it opens. So all doors
//! together have a budget of connections, beside the bound of each.

use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::greeting::greeted;
use crate::limits;
use crate::seldom::Seldom;
use crate::task::Tasks;

/// Room for connections, and who may say that there is none. Cloning shares the room of all doors.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    of_all: Arc<Semaphore>,
    of_one_door: usize,
    warnings: Arc<Warnings>,
}

#[derive(Debug)]
struct Warnings {
    full: Seldom,
    refused: Seldom,
}

impl Room {
    /// Room for so many connections of all doors together. No door takes more than half of it.
    pub(crate) fn new(connections_max: usize) -> Self {
        Self::of(connections_max, limits::CONNECTIONS_MAX.min(connections_max.div_ceil(2)))
    }

    /// The room of a door that watches the node: whatever others hold, it has its own.
    pub(crate) fn apart() -> Self {
        Self::of(limits::WATCHERS_MAX, limits::WATCHERS_MAX)
    }

    fn of(connections_max: usize, of_one_door: usize) -> Self {
        let [full, refused] = [(); 2].map(|()| Seldom::every(limits::CONNECTION_WARNING_INTERVAL));
        let of_all = Arc::new(Semaphore::new(connections_max));
        Self { of_all, of_one_door, warnings: Arc::new(Warnings { full, refused }) }
    }
}

/// The room of one door.
struct Doorway {
    door: &'static str,
    room: Room,
    of_this: Arc<Semaphore>,
}

/// A connection's place, in its door and among all. Counted while it is held.
struct Place {
    door: &'static str,
    _places: [OwnedSemaphorePermit; 2],
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("skua_connections", "door" => self.door).decrement(1);
    }
}

impl Doorway {
    /// A place for one more connection, when there is one.
    async fn place(&self) -> Place {
        let all = [&self.of_this, &self.room.of_all];
        if all.iter().any(|places| places.available_permits() == 0) {
            let door = self.door;
            metrics::counter!("skua_connections_delayed_total", "door" => door).increment(1);
            if let Some(unsaid) = self.room.warnings.full.is_due() {
                tracing::warn!(door, unsaid, "no room for further connections: they wait");
            }
        }
        // Nobody closes a semaphore here. In this order a door that is full takes no place of
        // others while it waits.
        let this = Arc::clone(&self.of_this).acquire_owned().await;
        let of_all = Arc::clone(&self.room.of_all).acquire_owned().await;
        let (Ok(this), Ok(of_all)) = (this, of_all) else { std::future::pending().await };
        metrics::gauge!("skua_connections", "door" => self.door).increment(1);
        Place { door: self.door, _places: [this, of_all] }
    }
}

/// Accepts connections until told to stop, then waits for those at work.
pub(crate) async fn accept(
    door: &'static str,
    room: Room,
    listener: Arc<TcpListener>,
    router: Router,
    shutdown: CancellationToken,
) {
    let of_this = Arc::new(Semaphore::new(room.of_one_door));
    let doorway = Doorway { door, room, of_this };
    let server = server();
    let mut connections = Tasks::default();
    loop {
        // A door without clients holds no place. One connection of each door may wait for one.
        let accepted = async {
            match listener.accept().await {
                Ok((stream, _peer)) => Ok((stream, doorway.place().await)),
                Err(error) => Err(error),
            }
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                metrics::counter!("skua_accept_failures_total", "door" => door).increment(1);
                if let Some(unsaid) = doorway.room.warnings.refused.is_due() {
                    tracing::warn!(%error, door, unsaid, "cannot accept a connection");
                }
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = connection(server.clone(), stream, router.clone(), shutdown.clone());
        // Invariant: a place is held by each connection for its whole life.
        connections.spawn("connection", async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits::DRAIN_TIMEOUT, connections.join()).await.is_err() {
        tracing::warn!(connections = connections.len(), "closing connections with work left");
    }
}

type Server = auto::Builder<TokioExecutor>;

fn server() -> Server {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIMEOUT)
        .max_buf_size(limits::HEADER_BYTES_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS_MAX)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(limits::KEEP_ALIVE_INTERVAL);
    server
}

/// Serves one connection to its end; when told to stop, to the end of its requests at work.
async fn connection(
    server: Server,
    stream: TcpStream,
    router: Router,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let stream = tokio::select! {
        () = shutdown.cancelled() => None,
        stream = greeted(stream) => stream,
    };
    let Some(stream) = stream else { return };
    let service = TowerToHyperService::new(router);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Door {
        address: std::net::SocketAddr,
        _doors: Tasks,
    }

    async fn open(door: &'static str, room: Room) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(async || "here");
        let mut doors = Tasks::default();
        doors.spawn(door, accept(door, room, listener.into(), router, CancellationToken::new()));
        Door { address, _doors: doors }
    }

    impl Door {
        async fn ask(&self) -> io::Result<TcpStream> {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: skua\r\n\r\n").await?;
            Ok(stream)
        }
    }

    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut begin = [0; 12];
        let read = stream.read_exact(&mut begin);
        let read = timeout(Duration::from_millis(200), read).await;
        read.is_ok_and(|read| read.is_ok()) && begin.starts_with(b"HTTP/1.1 200")
    }

    #[tokio::test]
    async fn doors_share_their_room_and_those_that_watch_have_their_own() {
        let room = Room::of(3, 2);
        let (one, other) = (open("one", room.clone()).await, open("other", room).await);
        let watching = open("watching", Room::apart()).await;
        let mut held = Vec::new();
        for door in [&one, &one, &other] {
            let mut stream = door.ask().await.unwrap();
            assert!(is_answered(&mut stream).await);
            held.push(stream);
        }
        let mut late = other.ask().await.unwrap();
        assert!(!is_answered(&mut late).await, "there is no room");
        assert!(is_answered(&mut watching.ask().await.unwrap()).await);
        // Whoever leaves makes room, at whatever door.
        held.swap_remove(0);
        assert!(is_answered(&mut late).await);
    }

    #[tokio::test]
    async fn a_full_door_leaves_room_to_others() {
        let room = Room::of(3, 1);
        let (full, other) = (open("full", room.clone()).await, open("other", room).await);
        let mut first = full.ask().await.unwrap();
        assert!(is_answered(&mut first).await);
        let mut waiting = Vec::new();
        for _ in 0..3 {
            waiting.push(full.ask().await.unwrap());
        }
        assert!(!is_answered(&mut waiting[0]).await);
        assert!(is_answered(&mut other.ask().await.unwrap()).await);
    }
}
