//! What a server takes over UDP: spans sent at a rate, those that were stored, those that the
//! server dropped and those that the kernel dropped before it.
//!
//! Options: `--skua BINARY` (wanted), `--rate N` spans a second (50,000), `--seconds N` (20),
//! `--spans-per-datagram N` (20), `--senders N` sockets (8), `--data-below DIR`,
//! `--record [FILE]`, and `-- FLAGS` for the server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::net::UdpSocket;

use super::http::HttpClient;
use super::server::Server;
use super::{Arguments, Results};
use crate::outside;
use crate::thrift::{Batch, ThriftSpan};

/// How often spans are sent; what is due is sent at once, so bursts are so long.
const TICK: Duration = Duration::from_millis(5);

/// How often the counts are looked at in the end, and how often they stand still before nothing
/// more is expected.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_UNCHANGED: u32 = 20;

/// Spans of one trace.
const SPANS_PER_TRACE: u64 = 10;

const OPERATIONS: [&str; 5] = ["GET /", "GET /cart", "POST /order", "SELECT items", "charge"];

const TAGS: [(&str, &str); 5] = [
    ("span.kind", "server"),
    ("http.method", "GET"),
    ("http.url", "http://shop.example/api/v1/items?page=2"),
    ("http.status_code", "200"),
    ("component", "net/http"),
];

const PROCESS_TAGS: [(&str, &str); 3] =
    [("hostname", "shop-5d9c7b6c4-x2x7k"), ("ip", "10.1.2.3"), ("jaeger.version", "Go-2.30.0")];

/// Runs the measurement.
pub fn udp(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let rate: u64 = arguments.get("rate", 50_000)?;
    let seconds: u64 = arguments.get("seconds", 20)?;
    let spans_per_datagram: u64 = arguments.get("spans-per-datagram", 20)?;
    let senders: usize = arguments.get("senders", 8)?;
    ensure!(rate > 0 && spans_per_datagram > 0 && senders > 0, "nothing would be sent");
    let server = Server::start(arguments).await?;
    let mut sockets = Vec::new();
    for _ in 0..senders {
        // Which of the server's sockets reads a datagram goes by its sender.
        let socket = UdpSocket::bind((server.host(), 0)).await?;
        socket.connect(server.jaeger_compact()).await?;
        sockets.push(socket);
    }
    let before = server.processor_time()?;
    let mut sent = Sent::default();
    let started = outside::now();
    let mut tick = tokio::time::interval(TICK);
    let total = rate * seconds;
    while sent.spans < total {
        tick.tick().await;
        let elapsed = outside::now().duration_since(started).as_micros();
        let elapsed_micros = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let due = total.min(elapsed_micros.saturating_mul(rate) / 1_000_000);
        while sent.spans + spans_per_datagram <= due || (due == total && sent.spans < total) {
            sent.send(&sockets, spans_per_datagram.min(total - sent.spans)).await?;
        }
    }
    let took = outside::now().duration_since(started).as_secs_f64();
    let counts = settled(&server, sent.spans).await?;
    let used = server.processor_time()?.since(before);

    let mut results = Results::default();
    results.add("spans_sent", sent.spans);
    results.add("datagrams_sent", sent.datagrams);
    results.add_rounded("bytes_per_span", sent.bytes as f64 / sent.spans as f64);
    results.add_rounded("seconds", took);
    results.add_rounded("spans_sent_per_second", (sent.spans as f64 / took).round());
    results.add("spans_stored", counts.stored);
    results.add_rounded("spans_stored_per_second", (counts.stored as f64 / took).round());
    results.add("datagrams_read", counts.read);
    results.add("datagrams_dropped_by_server", counts.dropped);
    results.add("datagrams_dropped_by_kernel", counts.dropped_by_kernel);
    let stored = counts.stored.max(1) as f64;
    results.add_rounded("cpu_microseconds_per_span", used.total_microseconds() as f64 / stored);
    results.add_rounded("cpu_user_microseconds_per_span", used.user_microseconds as f64 / stored);
    let cores = used.total_microseconds() as f64 / 1e6 / took;
    results.add_rounded("cores_busy", cores);
    let mebibytes = server.resident_peak_bytes()? as f64 / f64::from(1 << 20);
    results.add_rounded("resident_peak_mebibytes", mebibytes);
    server.stop().await?;
    Ok(results)
}

/// What was sent so far.
#[derive(Debug, Default)]
struct Sent {
    spans: u64,
    datagrams: u64,
    bytes: u64,
    batch: Batch,
}

impl Sent {
    /// Sends a datagram of new spans.
    async fn send(&mut self, sockets: &[UdpSocket], spans: u64) -> anyhow::Result<()> {
        let now_micros = outside::unix_nanos() / 1000;
        for number in self.spans..self.spans + spans {
            let (trace, place) = (number / SPANS_PER_TRACE, number % SPANS_PER_TRACE);
            let operation = OPERATIONS.get(index(place, OPERATIONS.len()));
            self.batch.push(&ThriftSpan {
                trace_id: mixed(trace + 1),
                span_id: mixed(number + 1) | 1,
                parent_id: if place == 0 { 0 } else { mixed(trace * SPANS_PER_TRACE + 1) | 1 },
                operation: operation.copied().unwrap_or_default(),
                start_micros: now_micros + place,
                duration_micros: 100 + mixed(number) % 50_000,
                tags: &TAGS,
            });
        }
        let datagram = self.batch.take("shop", &PROCESS_TAGS);
        let socket = sockets.get(index(self.datagrams, sockets.len())).context("no socket")?;
        socket.send(&datagram).await?;
        self.spans += spans;
        self.datagrams += 1;
        self.bytes += datagram.len() as u64;
        Ok(())
    }
}

/// Which of `count` things has its turn.
fn index(number: u64, count: usize) -> usize {
    usize::try_from(number).unwrap_or_default() % count.max(1)
}

/// A number that looks random (the finalizer of `SplitMix64`).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What became of what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    stored: u64,
    read: u64,
    dropped: u64,
    dropped_by_kernel: u64,
}

/// The counts when all is stored, or nothing moves any more.
async fn settled(server: &Server, spans: u64) -> anyhow::Result<Counts> {
    let mut metrics = HttpClient::connect(&server.metrics()).await?;
    let (mut last, mut unchanged) = (Counts::default(), 0);
    loop {
        let body = metrics.get("/metrics").await?.body;
        let text = String::from_utf8_lossy(&body);
        let count = |name: &str| sum_of(&text, name, "jaeger_thrift_compact");
        let counts = Counts {
            stored: sum_of(&text, "otelcol_receiver_accepted_spans", "udp_thrift_compact"),
            read: count("skua_udp_datagrams_total"),
            dropped: count("skua_udp_dropped_total"),
            dropped_by_kernel: dropped_by_kernel(server.jaeger_compact_port())?,
        };
        unchanged = if counts == last { unchanged + 1 } else { 0 };
        if counts.stored >= spans || unchanged >= LOOKS_UNCHANGED {
            return Ok(counts);
        }
        last = counts;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The sum of a metric's series that have a label of this value.
fn sum_of(text: &str, name: &str, label: &str) -> u64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(name)?.split_once("} "));
    let wanted = series
        .filter(|(labels, _)| labels.starts_with('{') && labels.contains(&format!("\"{label}\"")));
    wanted.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}

/// What the kernel dropped at the sockets of a port because nobody read it in time.
fn dropped_by_kernel(port: u16) -> anyhow::Result<u64> {
    let table = outside::read_text(Path::new("/proc/net/udp")).context("no /proc/net/udp")?;
    Ok(drops(&table, port))
}

fn drops(table: &str, port: u16) -> u64 {
    let local = format!(":{port:04X}");
    let rows = table.lines().map(str::split_ascii_whitespace);
    let rows = rows.filter(|row| row.clone().nth(1).is_some_and(|it| it.ends_with(&local)));
    rows.filter_map(|row| row.last()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let text = "a_total{protocol=\"x\"} 3\na_total{protocol=\"x\",reason=\"y\"} 4\n\
            a_total{protocol=\"xy\"} 5\na_totals{protocol=\"x\"} 6\n";
        assert_eq!(sum_of(text, "a_total", "x"), 7);
        let table = "  sl  local_address rem_address   st tx_queue rx_queue drops\n\
             4: 0100007F:1AAF 00000000:0000 07 0:0 00:0 0 0 0 164 2 0 17\n\
             5: 0100007F:1AAF 00000000:0000 07 0:0 00:0 0 0 0 165 2 0 2\n\
             6: 0100007F:1AB0 00000000:1AAF 07 0:0 00:0 0 0 0 166 2 0 9\n";
        assert_eq!(drops(table, 6831), 19);
    }
}
