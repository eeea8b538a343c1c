//! JSON under construction, in pieces of about [`PIECE_BYTES`].
//!
//! The answer for a large trace has hundreds of megabytes. In one buffer it would be copied each
//! time the buffer grows, and stand in memory until its last byte is sent; a piece is never copied
//! and goes when it is sent. All pieces are there before the first byte is: how long the answer is,
//! and whether it may be so long, is known by then.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use model::pace::Pace;

use super::json_text::Indenter;

/// Bytes of a piece: few pieces, each of which is written to a socket in about a millisecond.
const PIECE_BYTES: usize = 256 << 10;

/// Room for what is written before it is seen that a piece is full: most spans are smaller.
const SLACK_BYTES: usize = 16 << 10;

/// Spans that are written between two looks at the pace: about a millisecond.
const STRETCH_SPANS: usize = 256;

/// What was written so far.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    full: Vec<Bytes>,
    full_bytes: usize,
    open: Vec<u8>,
}

impl Pieces {
    /// Bytes in all.
    pub(crate) fn len(&self) -> usize {
        self.full_bytes + self.open.len()
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
        self.cut_open();
    }

    /// Appends all of another.
    pub(crate) fn append(&mut self, other: Self) {
        if other.full.is_empty() {
            self.push(&other.open);
            return;
        }
        let open = std::mem::replace(&mut self.open, other.open);
        self.push_full(open);
        self.full.extend(other.full);
        self.full_bytes += other.full_bytes;
    }

    /// Lets `write` append to what is open. It is handed [`Cuts`], which it has to ask after each
    /// span.
    pub(crate) fn write<'a, P: Pace>(
        &'a mut self,
        pace: &'a P,
        write: impl FnOnce(&mut Vec<u8>, &mut Cuts<'a, P>) -> Result<(), P::Stop>,
    ) -> Result<(), P::Stop> {
        let mut open = std::mem::take(&mut self.open);
        let mut cuts = Cuts { pieces: self, pace, spans: 0 };
        write(&mut open, &mut cuts)?;
        cuts.pieces.open = open;
        Ok(())
    }

    /// The answer that has this body.
    pub(crate) fn into_response(mut self, indents: bool) -> Response {
        let bytes = self.len();
        let open = std::mem::take(&mut self.open);
        let has_one = self.full.is_empty() && open.len() <= PIECE_BYTES;
        if has_one {
            let body = if indents { super::json_text::indent(&open) } else { open };
            return Response::new(Body::from(body));
        }
        self.push_full(open);
        if indents {
            // While it is sent: the lengths of lines are not known before.
            let mut indenter = Indenter::default();
            let pieces = self.full.into_iter().map(move |piece| {
                let mut out = Vec::with_capacity(piece.len() * 2);
                indenter.push(&piece, &mut out);
                Ok::<_, Infallible>(Bytes::from(out))
            });
            return Response::new(Body::from_stream(stream::iter(pieces)));
        }
        let pieces = self.full.into_iter().map(Ok::<_, Infallible>);
        let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        response
    }

    fn cut_open(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        self.cut(&mut open);
        self.open = open;
    }

    /// Moves what is open to the full pieces if it is as long as one, but for its last byte, by
    /// which writers tell whether a comma is needed.
    fn cut(&mut self, open: &mut Vec<u8>) {
        if open.len() <= PIECE_BYTES {
            return;
        }
        let last = open.pop();
        let mut next = Vec::with_capacity(PIECE_BYTES + SLACK_BYTES);
        next.extend(last);
        self.push_full(std::mem::replace(open, next));
    }

    fn push_full(&mut self, piece: Vec<u8>) {
        if !piece.is_empty() {
            self.full_bytes += piece.len();
            self.full.push(Bytes::from(piece));
        }
    }
}

/// What is asked after each span.
pub(crate) struct Cuts<'a, P> {
    pieces: &'a mut Pieces,
    pace: &'a P,
    spans: usize,
}

impl<P: Pace> Cuts<'_, P> {
    /// A span was written: a full piece is put aside, and now and then the pace is asked.
    pub(crate) fn after_span(&mut self, open: &mut Vec<u8>) -> Result<(), P::Stop> {
        self.pieces.cut(open);
        self.spans += 1;
        if self.spans.is_multiple_of(STRETCH_SPANS) {
            self.pace.go_on()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use model::pace::{Unhurried, unstopped};

    use super::super::json_text::{indent, push_comma, push_uint};
    use super::*;

    /// A list of numbers, written number by number.
    fn list(numbers: u64) -> Pieces {
        let mut pieces = Pieces::default();
        unstopped(pieces.write(&Unhurried, |out, cuts| {
            out.push(b'[');
            for number in 0..numbers {
                push_comma(out);
                push_uint(out, number);
                cuts.after_span(out)?;
            }
            out.push(b']');
            Ok(())
        }));
        pieces
    }

    async fn sent(response: Response) -> Vec<u8> {
        to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn pieces_are_one_text() {
        for numbers in [0, 1, 10, 200_000] {
            let expected = serde_json::to_vec(&(0..numbers).collect::<Vec<_>>()).unwrap();
            assert_eq!(list(numbers).len(), expected.len());
            let mut twice = Pieces::default();
            twice.append(list(numbers));
            twice.push(b",");
            twice.append(list(numbers));
            let joined = [expected.as_slice(), b",", &expected].concat();
            assert_eq!(twice.len(), joined.len());
            assert_eq!(sent(twice.into_response(false)).await, joined);
            let response = list(numbers).into_response(false);
            if let Some(length) = response.headers().get(header::CONTENT_LENGTH) {
                assert_eq!(length.to_str().unwrap(), expected.len().to_string());
            }
            assert_eq!(sent(response).await, expected);
            assert_eq!(sent(list(numbers).into_response(true)).await, indent(&expected));
        }
    }

    #[test]
    fn no_piece_is_large_and_none_is_empty() {
        let mut pieces = list(200_000);
        pieces.append(Pieces::default());
        pieces.append(list(100_000));
        let full = pieces.full.iter().map(Bytes::len);
        assert!(full.clone().all(|bytes| 0 < bytes && bytes <= PIECE_BYTES + SLACK_BYTES));
        assert!(full.len() >= pieces.len() / (PIECE_BYTES + SLACK_BYTES));
    }
}
