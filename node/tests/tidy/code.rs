//! Rust source without comments and literals, and which part of it is production code.
//!
//! A rule that looks for a word must not trip over the word in a comment, a string or a test. This
//! is a lexer of a few lines, not a parser: it knows comments, literals and matching braces.

use std::iter::Peekable;
use std::str::Chars;

/// The code of one file, line by line as long as the source, so that line numbers hold.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// All of it, comments and the contents of literals blanked.
    pub(crate) all: String,
    /// The same without what only tests compile.
    pub(crate) production: String,
    /// What only tests compile.
    pub(crate) test: String,
}

impl Code {
    pub(crate) fn new(text: &str, is_test: bool) -> Self {
        let all = blank(text);
        if is_test || all.contains("#![cfg(test)]") {
            return Self { test: all.clone(), production: String::new(), all };
        }
        let mut production = all.clone();
        let mut test = keep_lines(&all);
        for (start, end) in test_items(&all) {
            let item = all[start..end].to_owned();
            production.replace_range(start..end, &keep_lines(&item));
            test.replace_range(start..end, &item);
        }
        Self { all, production, test }
    }
}

/// The lines (from 1) on which `path` stands as a whole: `std::fs` is in `std::fs::read`, not in
/// `std::fsx`.
pub(crate) fn lines_with(code: &str, path: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (start, _) in code.match_indices(path) {
        let before = code[..start].chars().next_back();
        let after = code[start + path.len()..].chars().next();
        let open_end = path.ends_with(|last: char| !is_word(last));
        if !before.is_some_and(is_word) && (open_end || !after.is_some_and(is_word)) {
            lines.push(line_of(code, start));
        }
    }
    lines
}

/// The line (from 1) of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The files that `path` declares as modules for tests alone.
pub(crate) fn test_modules(path: &str, text: &str) -> Vec<String> {
    let code = blank(text);
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.trim_end_matches(".rs");
    let home = match stem {
        "lib" | "main" | "mod" => folder.to_owned(),
        _ => format!("{folder}/{stem}"),
    };
    let mut files = Vec::new();
    for (start, end) in test_items(&code) {
        let item = code[start..end].trim_end();
        if let Some(module) = item.strip_suffix(';').and_then(|item| item.split("mod ").nth(1)) {
            files.push(format!("{home}/{}.rs", module.trim()));
            files.push(format!("{home}/{}/mod.rs", module.trim()));
        }
    }
    files
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn keep_lines(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// The items under a `cfg` that names `test` or the feature `testing`, attribute included.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items: Vec<(usize, usize)> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let Some(length) = code[start..].find(']') else { continue };
        let condition = &code[start..start + length];
        let for_tests = !lines_with(condition, "test").is_empty() && !condition.contains("not(");
        let nested = items.last().is_some_and(|(_, end)| start < *end);
        if for_tests && !nested {
            items.push((start, item_end(code, start + length + 1)));
        }
    }
    items
}

/// Where the item that starts at `start` ends: at its first `;` or the end of its first block.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[start..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return start + offset + 1;
                }
            }
            ';' if depth == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// Replaces comments and the contents of literals by spaces, byte for byte, and keeps line ends.
fn blank(text: &str) -> String {
    let mut lexer = Lexer { rest: text.chars().peekable(), out: String::with_capacity(text.len()) };
    let mut previous = ' ';
    while let Some(c) = lexer.rest.peek().copied() {
        match c {
            '/' => lexer.slash(),
            '"' => lexer.string(),
            '\'' => lexer.quote(),
            'r' if !is_word(previous) || previous == 'b' => lexer.raw_string(),
            _ => lexer.keep(),
        }
        previous = c;
    }
    lexer.out
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Lexer<'_> {
    fn keep(&mut self) {
        self.out.extend(self.rest.next());
    }

    fn hide(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        match c {
            '\n' => self.out.push('\n'),
            _ => self.out.extend(std::iter::repeat_n(' ', c.len_utf8())),
        }
        Some(c)
    }

    fn starts_with(&self, start: &str) -> bool {
        let mut rest = self.rest.clone();
        start.chars().all(|c| rest.next() == Some(c))
    }

    fn slash(&mut self) {
        if self.starts_with("//") {
            while self.rest.peek().is_some_and(|c| *c != '\n') {
                self.hide();
            }
        } else if self.starts_with("/*") {
            let mut depth = 0_usize;
            loop {
                let step = match () {
                    () if self.starts_with("/*") => 1,
                    () if self.starts_with("*/") => -1,
                    () => 0,
                };
                if step != 0 {
                    self.hide();
                    depth = depth.saturating_add_signed(step);
                }
                if self.hide().is_none() || depth == 0 {
                    break;
                }
            }
        } else {
            self.keep();
        }
    }

    fn string(&mut self) {
        self.keep();
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '"' => return self.keep(),
                '\\' => {
                    self.hide();
                    self.hide();
                }
                _ => {
                    self.hide();
                }
            }
        }
    }

    /// `r"..."` and `r#"..."#`; a plain word that starts with `r` passes as it is.
    fn raw_string(&mut self) {
        let hashes = self.rest.clone().skip(1).take_while(|c| *c == '#').count();
        if self.rest.clone().nth(hashes + 1) != Some('"') {
            return self.keep();
        }
        for _ in 0..hashes + 2 {
            self.keep();
        }
        let end = format!("\"{}", "#".repeat(hashes));
        while !self.starts_with(&end) {
            if self.hide().is_none() {
                return;
            }
        }
        for _ in 0..=hashes {
            self.keep();
        }
    }

    /// A character literal, or the mark of a lifetime, which passes as it is.
    fn quote(&mut self) {
        let mut ahead = self.rest.clone().skip(1);
        let first = ahead.next();
        let is_literal = first == Some('\\') || (first != Some('\'') && ahead.next() == Some('\''));
        self.keep();
        if !is_literal {
            return;
        }
        if first == Some('\\') {
            self.hide();
        }
        self.hide();
        while self.rest.peek().is_some_and(|c| *c != '\'') {
            self.hide();
        }
        self.keep();
    }
}

#[test]
fn comments_and_literals_are_blanked() {
    let code = blank("a /* b /* c */ d */ e // f\n\"g\\\"h\" i r#\"j\"k\"# 'l' '\\'' 'm: &'n str");
    for hidden in ["b", "c", "d", "f", "g", "h", "j", "k", "l"] {
        assert!(lines_with(&code, hidden).is_empty(), "{hidden} is visible in {code}");
    }
    for kept in ["a", "e", "i", "m", "n", "str"] {
        assert!(!lines_with(&code, kept).is_empty(), "{kept} is hidden in {code}");
    }
    assert_eq!(blank("/// ü\nx").len(), "/// ü\nx".len());
}

#[test]
fn test_items_are_told_apart() {
    let code = Code::new("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n", false);
    assert!(code.production.contains("fn a") && code.production.contains("fn c"));
    assert!(!code.production.contains("fn b") && code.test.contains("fn b"));
    assert_eq!(lines_with(&code.production, "c"), [6]);
    let testing = "#[cfg(any(test, feature = \"testing\"))]\npub mod fault;\nfn a() {}";
    assert!(!Code::new(testing, false).production.contains("fault"));
    assert!(Code::new("#[cfg(not(test))]\nfn a() {}", false).production.contains("fn a"));
    assert!(Code::new("//! x\n#![cfg(test)]\nfn a() {}", false).production.is_empty());
}

#[test]
fn modules_for_tests_are_found() {
    let declared = test_modules("a/src/b.rs", "#[cfg(test)]\nmod golden;\nmod other;");
    assert_eq!(declared, ["a/src/b/golden.rs", "a/src/b/golden/mod.rs"]);
    let declared = test_modules("a/src/lib.rs", "#[cfg(any(test, feature = \"x\"))]\npub mod c;");
    assert_eq!(declared, ["a/src/c.rs", "a/src/c/mod.rs"]);
}
