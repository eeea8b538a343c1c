//! A client of HTTP/1.1 as small as can be: one connection, kept while it lasts, and a deadline for
//! the whole of each request.
//!
//! What it tells apart is what a client of a store has to know: was the request never sent, or is
//! its fate unknown? It takes nothing from a library that the product uses, retries nothing and
//! hides nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest line of a head, and the most that a body may have.
const LINE_BYTES_MAX: u64 = 64 << 10;
const BODY_BYTES_MAX: u64 = 512 << 20;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was sent.
    NotSent,
    /// It was sent, wholly or in part, and its fate is unknown.
    Lost,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) most: Duration,
}

/// A question without a body.
pub(crate) fn get<'a>(path: &'a str, tenant: &'a str, most: Duration) -> Request<'a> {
    Request { method: "GET", path, tenant, content_type: "", body: &[], most }
}

/// One connection to whoever it was last asked to speak to.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    open: Option<(SocketAddr, BufReader<TcpStream>)>,
}

impl Connection {
    /// Sends a request and waits for its answer.
    pub(crate) fn send(
        &mut self,
        to: SocketAddr,
        request: &Request<'_>,
    ) -> Result<Response, Failure> {
        let deadline = Instant::now() + request.most;
        let mut stream = match self.open.take().filter(|(address, _)| *address == to) {
            Some((_, stream)) => stream,
            None => connect(to, request.most).map_err(|_| Failure::NotSent)?,
        };
        let response = exchange(&mut stream, to, request, deadline).map_err(|_| Failure::Lost)?;
        if response.header("connection") != Some("close") {
            self.open = Some((to, stream));
        }
        Ok(response)
    }
}

fn connect(to: SocketAddr, most: Duration) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&to, most.min(CONNECT_MAX))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::with_capacity(64 << 10, stream))
}

fn exchange(
    stream: &mut BufReader<TcpStream>,
    to: SocketAddr,
    request: &Request<'_>,
    deadline: Instant,
) -> io::Result<Response> {
    let Request { method, path, tenant, content_type, body, .. } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nx-tenant: {tenant}\r\n");
    if !content_type.is_empty() {
        let length = body.len();
        head.extend(["content-type: ", content_type, "\r\n"]);
        head.extend(["content-length: ", &length.to_string(), "\r\n"]);
    }
    head.push_str("\r\n");
    let mut message = head.into_bytes();
    message.extend_from_slice(body);
    stream.get_ref().set_write_timeout(Some(left(deadline)?))?;
    stream.get_mut().write_all(&message)?;

    let status_line = line(stream, deadline)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("not HTTP"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream, deadline)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let mut response = Response { status, headers, body: Vec::new() };
    if response.header("transfer-encoding").is_some() {
        loop {
            let size = line(stream, deadline)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            take(stream, size, deadline, &mut response.body)?;
            line(stream, deadline)?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        take(stream, length.unwrap_or_default(), deadline, &mut response.body)?;
    }
    Ok(response)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn line(stream: &mut BufReader<TcpStream>, deadline: Instant) -> io::Result<String> {
    stream.get_ref().set_read_timeout(Some(left(deadline)?))?;
    let mut line = String::new();
    let read = stream.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    if read == 0 || !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn take(
    stream: &mut BufReader<TcpStream>,
    length: u64,
    deadline: Instant,
    into: &mut Vec<u8>,
) -> io::Result<()> {
    if length > BODY_BYTES_MAX {
        return Err(io::Error::other("a body without bounds"));
    }
    let mut rest = length;
    while rest > 0 {
        stream.get_ref().set_read_timeout(Some(left(deadline)?))?;
        let bytes = stream.fill_buf()?;
        let size = bytes.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        if size == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.extend(bytes.iter().take(size));
        stream.consume(size);
        rest -= u64::try_from(size).unwrap_or(rest);
    }
    Ok(())
}
