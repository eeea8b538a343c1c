//! What the product itself says while a seed is replayed: its log, with simulated time.
//!
//! Only a replay listens: a thousand seeds would say too much. Listening changes nothing of a run.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Lines that are kept.
const LINES_MAX: usize = 100_000;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Listens on this thread from now on.
#[derive(Debug)]
pub struct Journal {
    least: Level,
}

impl Journal {
    /// Listens to what is at least so important.
    pub fn listen(least: Level) -> tracing::subscriber::DefaultGuard {
        LINES.set(Some(Vec::new()));
        tracing::subscriber::set_default(Self { least })
    }

    /// What was said since.
    pub fn taken() -> Vec<String> {
        LINES.take().unwrap_or_default()
    }

    /// Adds a line of the simulation's own.
    pub(super) fn note(line: &str) {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines.as_mut().filter(|lines| lines.len() < LINES_MAX) {
                lines.push(line.to_owned());
            }
        });
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        *metadata.level() <= self.least
            && (target.starts_with("cluster")
                || target.starts_with("storage")
                || (self.least >= tracing::Level::TRACE && target.starts_with("openraft")))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let metadata = event.metadata();
        Self::note(&format!("            {} {}{}", metadata.level(), metadata.target(), text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
