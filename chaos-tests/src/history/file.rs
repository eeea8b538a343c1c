//! Histories as files: written by many threads, read line by line.

use std::io::{self, BufRead, Write};
use std::sync::Mutex;

use super::record::Record;

/// Where the threads of a run append what happened.
#[derive(Debug)]
pub struct HistoryWriter<W: Write> {
    out: Mutex<W>,
}

impl<W: Write> HistoryWriter<W> {
    /// A history that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }

    /// Appends a line.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record).map_err(io::Error::other)?;
        line.push(b'\n');
        self.locked()?.write_all(&line)
    }

    /// Hands over what is buffered.
    pub fn flush(&self) -> io::Result<()> {
        self.locked()?.flush()
    }

    fn locked(&self) -> io::Result<std::sync::MutexGuard<'_, W>> {
        self.out.lock().map_err(|_| io::Error::other("a writer of the history panicked"))
    }
}

/// The records of a history, one at a time. A last line without an end is left out: the run was
/// ended while it wrote.
#[derive(Debug)]
pub struct HistoryReader<R: BufRead> {
    from: R,
    line: Vec<u8>,
}

impl<R: BufRead> HistoryReader<R> {
    /// Reads a history.
    pub fn new(from: R) -> Self {
        Self { from, line: Vec::new() }
    }
}

impl<R: BufRead> Iterator for HistoryReader<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line.clear();
        match self.from.read_until(b'\n', &mut self.line) {
            Ok(0) => None,
            Ok(_) if self.line.last() != Some(&b'\n') => None,
            Ok(_) => Some(serde_json::from_slice(&self.line).map_err(io::Error::other)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Attempt, Outcome};
    use super::*;

    #[test]
    fn lines_come_back_and_half_a_line_does_not() {
        let mut bytes = Vec::new();
        let attempt = Record::Attempt(Attempt {
            client: 1,
            number: 2,
            node: 0,
            begun_ns: 3,
            ended_ns: u64::MAX,
            outcome: Outcome::Acked,
            status: 200,
            hint: false,
            rejected: 0,
        });
        {
            let history = HistoryWriter::new(&mut bytes);
            history.write(&attempt).unwrap();
            history.write(&Record::Note("half".to_owned())).unwrap();
        }
        bytes.truncate(bytes.len() - 3);
        let read: Vec<_> = HistoryReader::new(bytes.as_slice()).map(Result::unwrap).collect();
        assert_eq!(read, [attempt]);
    }
}
