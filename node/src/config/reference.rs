//! `docs/operations/configuration.md`, made from the table of settings.

use std::fmt::Write;

use super::settings::{SETTINGS, Setting};

/// Columns of the document.
const COLUMNS: usize = 100;

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from node/src/config/settings.rs by node/tests/config_reference.rs; to make it anew, run
that test with UPDATE_GOLDENFILES=1. -->

`skua` alone starts a node with the defaults below. A setting can be given in three more places; the
later one wins: a YAML file (`--config FILE` or `SKUA_CONFIG`), the environment, the command line.
In the file, the keys stand at the top level:

```yaml
data-dir: /var/lib/skua
ui-port: 16686
```

A key that does not exist is an error that names the nearest one. `skua config validate` checks a
configuration without starting a node, and `skua config print` shows every value with the place it
came from. Both take the flags of `skua serve`. A configuration that cannot be used ends `skua` with
exit code 2; any other failure with 1.

Durations are written as `5s` or `1h30m` (ms, s, m, h, d), switches as `true` or `false`; on the
command line the name of a switch alone turns it on.

";

/// The reference of all settings, as Markdown.
pub fn reference() -> String {
    let visible = || SETTINGS.iter().filter(|setting| !setting.hidden);
    let mut text = String::from(INTRODUCTION);
    text.push_str("| key | flag | variable | default |\n|---|---|---|---|\n");
    for setting in visible() {
        let key = setting.key;
        let (flag, variable, default) = (flag(setting), setting.variable(), default(setting));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| [`{key}`](#{key}) | `{flag}` | `{variable}` | {default} |");
    }
    for setting in visible() {
        let _ = write!(text, "\n## {}\n\n{}\n", setting.key, wrap(setting.help, COLUMNS));
    }
    text
}

fn flag(setting: &Setting) -> String {
    if setting.is_switch() {
        format!("--{}", setting.key)
    } else {
        format!("--{} {}", setting.key, setting.value_name)
    }
}

fn default(setting: &Setting) -> String {
    match (setting.default, setting.default_note) {
        (Some(default), "") => format!("`{default}`"),
        (Some(default), note) => format!("`{default}`; {note}"),
        (None, "") => "none".to_owned(),
        (None, note) => note.to_owned(),
    }
}

/// Breaks a text into lines of at most so many columns, between words.
pub(crate) fn wrap(text: &str, columns: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}
