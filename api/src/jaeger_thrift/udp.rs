//! Thrift over UDP, ports 6831 (compact) and 6832 (binary): each datagram is one `emitBatch`.
//!
//! Nobody answers a datagram, so nothing can be refused: what cannot be kept is dropped, and
//! counted by reason. A socket's loop reads whatever is there, translates each datagram behind
//! the previous one in one arena, and hands the arena over as one request as soon as a request
//! may be under way. An idle node thus stores every datagram at once; a busy one gathers
//! datagrams while earlier ones are being stored, which is what makes batches large.
//!
//! The queue is the arena: [`limits::UDP_PENDING_BYTES_MAX`] for each socket. The system spreads
//! senders over [`limits::UDP_SOCKETS_MAX`] sockets of the same port, each with its own loop.
//! Datagrams that the system drops before they are read are counted by the system alone.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;

use metrics::{Counter, counter};
use model::{Tenant, TraceStore};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::arena::{Arena, TranslateError};
use super::batch;
use super::binary::Binary;
use super::compact::Compact;
use super::door::Translate;
use super::limits;
use super::protocol::ThriftError;
use crate::error::ApiError;
use crate::ingest::{
    Accepted, Encoding, Format, Protocol, Receiver, Refused, WriteRequest, record,
};
use crate::limits::{ACCEPT_PAUSE, DRAIN_TIMEOUT, WRITE_DEADLINE};
use crate::task::Tasks;

/// What the datagrams of a port are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpProtocol {
    /// Thrift compact, port 6831.
    Compact,
    /// Thrift binary, port 6832.
    Binary,
}

impl UdpProtocol {
    fn labels(self) -> Protocol {
        let (name, transport) = match self {
            Self::Compact => ("jaeger_thrift_compact", "udp_thrift_compact"),
            Self::Binary => ("jaeger_thrift_binary", "udp_thrift_binary"),
        };
        Protocol { name, receiver: "jaeger", transport }
    }

    fn translate(self) -> Translate {
        match self {
            Self::Compact => |bytes, arena| batch::translate_message::<Compact<'_>>(bytes, arena),
            Self::Binary => |bytes, arena| batch::translate_message::<Binary<'_>>(bytes, arena),
        }
    }
}

/// A UDP port that is held and not read yet.
#[derive(Debug)]
pub struct UdpPort {
    protocol: UdpProtocol,
    address: SocketAddr,
    sockets: Vec<StdSocket>,
}

impl UdpPort {
    /// Takes a port; port 0 takes any that is free.
    pub fn bind(protocol: UdpProtocol, address: SocketAddr) -> io::Result<Self> {
        // Sockets that share a port do not notice each other. A first one that does not share
        // finds out whether somebody else has it.
        let address = StdSocket::bind(address)?.local_addr()?;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = processors.min(limits::UDP_SOCKETS_MAX);
        let sockets = (0..count).map(|_| shared_socket(address)).collect::<io::Result<_>>()?;
        Ok(Self { protocol, address, sockets })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads until `shutdown` is cancelled, then waits until what was read is stored.
    pub async fn serve<S: TraceStore>(
        self,
        receiver: Receiver<S>,
        tenant: Tenant,
        shutdown: CancellationToken,
    ) {
        let mut loops = Tasks::default();
        for socket in self.sockets {
            let socket = match UdpSocket::from_std(socket) {
                Ok(socket) => socket,
                Err(error) => {
                    tracing::error!(%error, address = %self.address, "cannot read a UDP socket");
                    continue;
                }
            };
            let reader = Reader {
                protocol: self.protocol,
                tenant: tenant.clone(),
                receiver: receiver.clone(),
                slots: Arc::new(Semaphore::new(limits::UDP_REQUESTS_MAX)),
                arena: Arena::default(),
                counters: Counters::new(self.protocol.labels().name),
                requests: Tasks::default(),
            };
            loops.spawn("UDP", reader.run(socket, shutdown.clone()));
        }
        loops.join().await;
    }
}

fn shared_socket(address: SocketAddr) -> io::Result<StdSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(SocketProtocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if let Err(error) = socket.set_recv_buffer_size(limits::UDP_RECEIVE_BUFFER_BYTES) {
        tracing::debug!(%error, "cannot enlarge the receive buffer of a UDP socket");
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What is counted about datagrams. The labels are fixed, so the counters are looked up once.
struct Counters {
    received: Counter,
    received_bytes: Counter,
    malformed: Counter,
    unsupported: Counter,
    queue_full: Counter,
}

impl Counters {
    fn new(protocol: &'static str) -> Self {
        let dropped = |reason: &'static str| {
            let labels = [("protocol", protocol), ("reason", reason)];
            counter!("skua_udp_dropped_total", &labels)
        };
        Self {
            received: counter!("skua_udp_datagrams_total", "protocol" => protocol),
            received_bytes: counter!("skua_udp_bytes_total", "protocol" => protocol),
            malformed: dropped("malformed"),
            unsupported: dropped("unsupported"),
            queue_full: dropped("queue_full"),
        }
    }
}

/// One socket's loop.
struct Reader<S: TraceStore> {
    protocol: UdpProtocol,
    tenant: Tenant,
    receiver: Receiver<S>,
    slots: Arc<Semaphore>,
    /// What was read and not handed over yet.
    arena: Arena,
    counters: Counters,
    /// What was handed over and is not stored yet.
    requests: Tasks,
}

impl<S: TraceStore> Reader<S> {
    async fn run(mut self, socket: UdpSocket, shutdown: CancellationToken) {
        let mut datagram = vec![0; limits::DATAGRAM_BYTES_MAX];
        loop {
            let has_spans = !self.arena.is_empty();
            tokio::select! {
                () = shutdown.cancelled() => break,
                permit = Arc::clone(&self.slots).acquire_owned(), if has_spans => {
                    let Ok(permit) = permit else { break };
                    self.hand_over(permit);
                }
                readable = socket.readable() => {
                    let drained = readable
                        .and_then(|()| self.drain(&mut datagram, |room| socket.try_recv(room)));
                    match drained {
                        // There may be more; others come first.
                        Ok(()) => tokio::task::yield_now().await,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => {
                            tracing::warn!(%error, "cannot read a UDP socket");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
        self.stop(socket, &mut datagram).await;
    }

    /// Reads what has arrived, as far as there is room, and waits until it is stored.
    async fn stop(mut self, socket: UdpSocket, datagram: &mut [u8]) {
        if let Ok(socket) = socket.into_std() {
            while self.arena.len() < limits::UDP_PENDING_BYTES_MAX
                && self.drain(datagram, |room| socket.recv(room)).is_ok()
            {}
        }
        let storing = async {
            if !self.arena.is_empty()
                && let Ok(permit) = Arc::clone(&self.slots).acquire_owned().await
            {
                self.hand_over(permit);
            }
            self.requests.join().await;
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, storing).await.is_err() {
            tracing::warn!("leaving UDP requests that are not stored yet");
        }
    }

    /// Reads what is there, up to a bound; an error ends it, also the one that says that nothing
    /// is there.
    fn drain(
        &mut self,
        datagram: &mut [u8],
        receive: impl Fn(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        for _ in 0..limits::UDP_DATAGRAMS_PER_TURN {
            let length = receive(datagram)?;
            self.take_in(datagram.get(..length).unwrap_or_default());
        }
        Ok(())
    }

    fn take_in(&mut self, datagram: &[u8]) {
        self.counters.received.increment(1);
        self.counters.received_bytes.increment(datagram.len() as u64);
        if self.arena.len() >= limits::UDP_PENDING_BYTES_MAX {
            self.counters.queue_full.increment(1);
            return;
        }
        let mark = self.arena.mark();
        match self.protocol.translate()(datagram, &mut self.arena) {
            Ok(()) => self.arena.finish(),
            Err(error) => {
                self.arena.roll_back(mark);
                tracing::debug!(%error, "dropped a datagram");
                let reason = match error {
                    TranslateError::Thrift(ThriftError::Method) => &self.counters.unsupported,
                    _ => &self.counters.malformed,
                };
                reason.increment(1);
            }
        }
    }

    fn hand_over(&mut self, permit: tokio::sync::OwnedSemaphorePermit) {
        let spans = self.arena.spans();
        let message = self.arena.take();
        let (receiver, tenant) = (self.receiver.clone(), self.tenant.clone());
        let labels = self.protocol.labels();
        self.requests.spawn("UDP request", async move {
            let (started, bytes) = (receiver.clock().monotonic(), message.len());
            let storing = store(&receiver, tenant, message);
            let stored = tokio::time::timeout(WRITE_DEADLINE, storing).await;
            let result = stored.unwrap_or_else(|_| Err(ApiError::Deadline.into()));
            let result = result.map_err(|refused| Refused { spans, ..refused });
            let protocol = labels.name;
            match &result {
                // Whoever sends such spans must not fill the log.
                Err(Refused { error: error @ ApiError::AllRejected(_), .. }) => {
                    tracing::debug!(protocol, spans, %error, "rejected spans that came over UDP");
                }
                Err(Refused { error, .. }) => {
                    tracing::warn!(protocol, spans, %error, "dropped spans that came over UDP");
                }
                Ok(_) => {}
            }
            record(labels, &result, bytes, receiver.clock().monotonic().since(started));
            drop(permit);
        });
    }
}

async fn store<S: TraceStore>(
    receiver: &Receiver<S>,
    tenant: Tenant,
    message: Vec<u8>,
) -> Result<Accepted, Refused> {
    let mut admitted = receiver.admission().enter()?;
    admitted.charge(message.len())?;
    let (body, encoding) = (message.into(), Encoding::Identity);
    let format = Format::Protobuf;
    receiver.receive(WriteRequest { tenant, body, encoding, format, admitted }).await
}

#[cfg(test)]
mod tests {
    use model::testing::{ManualClock, MemoryStore};

    use super::*;
    use crate::ingest::Admission;

    #[test]
    fn the_queue_is_bounded() {
        let clock = Arc::new(ManualClock::default());
        let mut reader = Reader {
            protocol: UdpProtocol::Binary,
            tenant: Tenant::default(),
            receiver: Receiver::new(MemoryStore::new(), clock, Admission::default()),
            slots: Arc::new(Semaphore::new(0)),
            arena: Arena::default(),
            counters: Counters::new("test"),
            requests: Tasks::default(),
        };
        // A message of a batch with a process of a long name and no span.
        let name = vec![b'n'; 60_000];
        let mut datagram = b"\x80\x01\x00\x04\x00\x00\x00\x09emitBatch\x00\x00\x00\x00".to_vec();
        datagram.extend(b"\x0c\x00\x01\x0c\x00\x01\x0b\x00\x01\x00\x00\xea\x60");
        datagram.extend(name);
        datagram.extend(b"\x00\x0f\x00\x02\x0c\x00\x00\x00\x00\x00\x00");
        for _ in 0..100 {
            reader.take_in(&datagram);
        }
        let bound = limits::UDP_PENDING_BYTES_MAX;
        assert!((bound..bound + datagram.len()).contains(&reader.arena.len()));
    }
}
