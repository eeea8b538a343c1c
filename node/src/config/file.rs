//! The configuration file: one flat YAML mapping from keys to plain values.
//!
//! Values are kept as text, whatever YAML took them for, because the table of settings reads texts
//! from every source alike. A list becomes its items joined by commas, as a flag would have it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::Problem;
use crate::files;

/// Most bytes of a configuration file: far beyond every setting with a comment on each.
const FILE_BYTES_MAX: usize = 1 << 20;

/// What a configuration file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLayer {
    /// Its path as given.
    pub path: PathBuf,
    /// Per key the value and the line (from 1) on which it stands.
    pub values: BTreeMap<String, (String, u64)>,
}

impl FileLayer {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let unreadable = |reason: String| Problem::Unreadable { path: path.to_path_buf(), reason };
        let bytes = files::read_at_most(path, FILE_BYTES_MAX)
            .map_err(|error| unreadable(error.root_cause().to_string()))?;
        let text =
            String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))?;
        Self::parse(path, &text)
    }

    /// Reads a file's text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        type Document = Option<BTreeMap<String, Spanned<Plain>>>;
        let document: Document = serde_saphyr::from_str(text).map_err(|error| {
            let reason = error.without_snippet().to_string();
            Problem::Malformed { path: path.to_path_buf(), reason }
        })?;
        let values = document
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, (value.value.0, value.referenced.line())))
            .collect();
        Ok(Self { path: path.to_path_buf(), values })
    }
}

/// A plain value, as text.
struct Plain(String);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a plain value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
        Ok(Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
        Ok(Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
        Ok(Plain(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let mut texts = Vec::new();
        while let Some(Plain(text)) = items.next_element()? {
            texts.push(text);
        }
        Ok(Plain(texts.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> Option<(String, u64)> {
        FileLayer::parse(Path::new("skua.yaml"), text).unwrap().values.remove(key)
    }

    #[test]
    fn plain_values_become_text_with_their_line() {
        let text = "# comment\nui-port: 0\nephemeral: true\n\nnode-name: \"007\"\nseeds: [a, b]\n";
        assert_eq!(value(text, "ui-port"), Some(("0".to_owned(), 2)));
        assert_eq!(value(text, "ephemeral"), Some(("true".to_owned(), 3)));
        assert_eq!(value(text, "node-name"), Some(("007".to_owned(), 5)));
        assert_eq!(value(text, "seeds"), Some(("a,b".to_owned(), 6)));
        assert_eq!(value("listen-address: 127.0.0.1", "listen-address").unwrap().0, "127.0.0.1");
        assert_eq!(value("drain-delay: 5s", "drain-delay").unwrap().0, "5s");
        assert_eq!(value("ports-file:", "ports-file").unwrap().0, "");
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "# only a comment\n", "---\n"] {
            let layer = FileLayer::parse(Path::new("skua.yaml"), text).unwrap();
            assert!(layer.values.is_empty(), "{text}");
        }
    }

    #[test]
    fn anything_but_a_flat_mapping_is_refused() {
        for text in ["- a\n- b\n", "just words", "a: {b: c}", "a: 1\na: 2", "a: [", "a: &x [*x]"] {
            assert!(FileLayer::parse(Path::new("skua.yaml"), text).is_err(), "{text}");
        }
    }
}
