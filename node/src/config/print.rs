//! A configuration as a file that would give it again, each value with where it came from.

use std::fmt::Write;
use std::net::IpAddr;

use super::resolve::Loaded;
use super::settings::SETTINGS;

/// Columns before the comments, so that they stand under each other.
const VALUE_COLUMNS: usize = 38;

/// Words that YAML takes for something else than a text, in one version or another.
const YAML_WORDS: &[&str] =
    &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan", ".inf", ".nan"];

/// Prints a configuration as YAML with comments.
pub fn to_yaml(loaded: &Loaded) -> String {
    let mut text =
        String::from("# What `skua serve` would run with here, and where each value came from.\n");
    for setting in SETTINGS.iter().filter(|setting| !setting.hidden) {
        let line = match (setting.show)(&loaded.config) {
            Some(value) => format!("{}: {}", setting.key, scalar(&value)),
            None => format!("# {}: (unset)", setting.key),
        };
        let origin = match loaded.origins.get(setting.key) {
            Some(origin) => origin.to_string(),
            None => "default".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line:VALUE_COLUMNS$}  # {origin}");
    }
    text
}

/// A value so that YAML reads it back as the same text: plain where that is safe, quoted elsewhere.
fn scalar(value: &str) -> String {
    let is_address = value.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4());
    let is_number = value.parse::<u64>().is_ok_and(|number| number.to_string() == value);
    if is_address || is_number || value == "true" || value == "false" || is_plain_word(value) {
        value.to_owned()
    } else {
        // YAML takes every JSON string.
        serde_json::Value::from(value).to_string()
    }
}

/// Whether YAML takes a text for a text: neither syntax, nor a figure, nor one of its words.
fn is_plain_word(value: &str) -> bool {
    let starts_well = value.starts_with(|c: char| c.is_ascii_alphanumeric() || "./".contains(c));
    let goes_on_well = value.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
    let is_figure = value.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && value.chars().all(|c| c.is_ascii_hexdigit() || "xo_.-".contains(c));
    starts_well
        && goes_on_well
        && !is_figure
        && !YAML_WORDS.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{FileLayer, Sources, resolve};

    #[test]
    fn scalars_read_back_as_the_same_text() {
        for value in [
            "",
            " ",
            "x",
            "./skua-data",
            "127.0.0.1",
            "::1",
            "0",
            "16686",
            "007",
            "0x10",
            "1e5",
            "1_000",
            "5s",
            "true",
            "True",
            "FALSE",
            "null",
            "~",
            "no",
            "a: b",
            "a #b",
            "'",
            "\"",
            "\\",
            "-",
            "- a",
            "info,storage=debug",
            "[a]",
            "{",
            "é",
            "\u{1}",
            "&a",
            "*a",
            "!x",
            "%x",
            "@x",
            "`x",
            ".",
            ".5",
            "1.",
            "+1",
            "-1",
            ".inf",
            "2026-11-20",
            "12:30",
            "<<",
        ] {
            let text = format!("node-name: {}\n", scalar(value));
            let layer = FileLayer::parse(Path::new("x"), &text).unwrap();
            let read = layer.values.get("node-name").map(|(text, _)| text.as_str());
            assert_eq!(read, Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_printed_gives_the_same_configuration() {
        let file = "node-name: \"0x10\"\nui-port: 0\ndrain-delay: 90s\nports-file: /a b/c\n";
        let file = Some(FileLayer::parse(Path::new("x"), file).unwrap());
        let first = resolve(&Sources { file, ..Sources::default() }).unwrap();
        let printed = FileLayer::parse(Path::new("x"), &to_yaml(&first)).unwrap();
        let second = resolve(&Sources { file: Some(printed), ..Sources::default() }).unwrap();
        assert_eq!(first.config, second.config);
    }
}
