//! The one place that writes to standard output and standard error.
//!
//! What a command answers goes to standard output, everything else (problems, progress, the log)
//! to standard error. A reader that went away, such as `skua status | head`, is no failure.

use std::io::{self, Write};

/// Writes an answer as it is.
pub fn answer(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes an error with everything that caused it, one cause a line.
pub fn error(error: &anyhow::Error) {
    let mut err = io::stderr().lock();
    for (depth, cause) in error.chain().enumerate() {
        let prefix = if depth == 0 { "skua: " } else { "  because: " };
        // A problem of several lines stays under its first.
        let cause = cause.to_string().replace('\n', "\n      ");
        // There is nobody left to tell if this fails.
        let _ = writeln!(err, "{prefix}{cause}");
    }
}

/// Writes a line for people beside the answer.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
