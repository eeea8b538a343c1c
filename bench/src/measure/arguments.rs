//! Arguments of the measuring binaries: `--name value`, switches, and what follows `--`.
//!
//! A measurement asks for what it knows; what nobody asked for is an error at the end, so that a
//! misspelt option does not measure something else.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use anyhow::{Context, bail};

/// Arguments as given.
#[derive(Debug, Default)]
pub struct Arguments {
    given: BTreeMap<String, String>,
    server: Vec<String>,
    asked: RefCell<BTreeSet<String>>,
}

impl Arguments {
    /// Reads `--name value` and `--switch`; what follows `--` goes to the server.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Self::default();
        let mut arguments = arguments.into_iter().peekable();
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                parsed.server = arguments.collect();
                break;
            }
            let Some(name) = argument.strip_prefix("--") else {
                bail!("`{argument}` is not an option; options start with --");
            };
            let value = arguments.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            parsed.given.insert(name.to_owned(), value);
        }
        Ok(parsed)
    }

    /// The value of an option, or what it is without it.
    pub fn get<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &self,
        name: &str,
        default: T,
    ) -> anyhow::Result<T> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().with_context(|| format!("--{name} {text}"))
    }

    /// The text of an option that was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.given.get(name).map(String::as_str)
    }

    /// Whether a switch was given.
    pub fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// What goes to the server as it is.
    pub fn for_server(&self) -> &[String] {
        &self.server
    }

    /// The options that decide about the measurement, for the record: not where things lie.
    pub fn as_given(&self) -> BTreeMap<&str, &str> {
        let decides = |name: &str| !matches!(name, "skua" | "record" | "data-below");
        let given = self.given.iter().filter(|(name, _)| decides(name));
        given.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// An error if an option was given that was never asked for.
    pub fn refuse_unknown(&self) -> anyhow::Result<()> {
        let asked = self.asked.borrow();
        match self.given.keys().find(|name| !asked.contains(*name)) {
            Some(name) => bail!("--{name} is not known; known are: {}", join(&asked)),
            None => Ok(()),
        }
    }
}

fn join(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("--{name}")).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_switches_and_the_rest() {
        let given = ["--spans", "5", "--record", "--", "--log-filter", "warn"];
        let arguments = Arguments::parse(given.map(String::from)).unwrap();
        assert_eq!(arguments.get("spans", 1_u64).unwrap(), 5);
        assert_eq!(arguments.get("connections", 16_u32).unwrap(), 16);
        assert!(arguments.refuse_unknown().is_err());
        assert!(arguments.has("record"));
        assert!(arguments.refuse_unknown().is_ok());
        assert_eq!(arguments.for_server(), ["--log-filter", "warn"]);
    }
}
