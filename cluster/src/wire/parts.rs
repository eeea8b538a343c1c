//! A long thing sent in parts: closes a part before it gets too large and says whether more come.

use super::WireError;
use super::limits::PART_BYTES_CLOSE;

/// Takes a part and whether another one follows.
pub(crate) type SendPart<'a, P> = dyn FnMut(P, bool) -> Result<(), WireError> + 'a;

/// The part that is being filled.
pub(crate) struct Parts<'a, P> {
    part: P,
    bytes: usize,
    send: &'a mut SendPart<'a, P>,
}

impl<'a, P: Default> Parts<'a, P> {
    pub(crate) fn new(send: &'a mut SendPart<'a, P>) -> Self {
        Self { part: P::default(), bytes: 0, send }
    }

    /// The part that has room for something of at most `bytes` bytes. Something larger than any
    /// part gets one for itself.
    pub(crate) fn room(&mut self, bytes: usize) -> Result<&mut P, WireError> {
        if self.bytes > 0 && self.bytes + bytes > PART_BYTES_CLOSE {
            (self.send)(std::mem::take(&mut self.part), true)?;
            self.bytes = 0;
        }
        self.bytes += bytes;
        Ok(&mut self.part)
    }

    /// Sends the last part, even if there is nothing in it.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        (self.send)(self.part, false)
    }
}
