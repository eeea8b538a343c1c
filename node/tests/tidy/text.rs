//! What any file looks like: its first line, name, width and size, and words that must not be.
//!
//! Words that no file may hold are put together from parts here, or this file would be the first
//! finding.

use crate::tree::File;

/// Nothing that git keeps for ever is larger, short of an argument here.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Files that may be larger, each with its reason.
const LARGE_FILES: &[&str] = &[];

/// The widest line of Rust.
const COLUMNS_MAX: usize = 100;

/// A source file starts with what it is.
pub(crate) fn header(file: &File) -> Vec<String> {
    if file.is_rust() && !file.text.starts_with("//! ") {
        return vec![
            file.finding(1, "the file does not start with `//!`: what it is, why, its invariants"),
        ];
    }
    Vec::new()
}

/// A name says what is inside; these say that nobody knew.
pub(crate) fn names(file: &File) -> Vec<String> {
    let stem = file.name().split('.').next().unwrap_or_default();
    let vague = ["utils", "util", "helpers", "helper", "common", "manager", "misc", "processor"];
    let folders = file.folder().split('/');
    if file.is_rust() && (vague.contains(&stem) || folders.into_iter().any(|f| vague.contains(&f)))
    {
        return vec![file.finding(1, "name the file after what is inside")];
    }
    Vec::new()
}

/// Rust fits a hundred columns; rustfmt leaves comments and literals alone.
pub(crate) fn width(file: &File) -> Vec<String> {
    if !file.is_rust() || file.path.contains("/generated/") {
        return Vec::new();
    }
    let wide = |(index, line): (usize, &str)| {
        let columns = line.chars().count();
        (columns > COLUMNS_MAX).then(|| file.finding(index + 1, &format!("{columns} columns")))
    };
    file.text.lines().enumerate().filter_map(wide).collect()
}

/// Nothing is committed half done.
pub(crate) fn unfinished(file: &File) -> Vec<String> {
    if file.is_markdown() || file.name().starts_with("LICENSE") {
        return Vec::new();
    }
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK:")];
    let calls = [concat!("todo", "!("), concat!("unimple", "mented!(")];
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != ':');
        let marked = words.any(|word| {
            marks.iter().any(|mark| word.trim_end_matches(':') == mark.trim_end_matches(':'))
        });
        if marked || (file.is_rust() && calls.iter().any(|call| line.contains(call))) {
            findings.push(file.finding(
                index + 1,
                "unfinished: finish it, or file an issue and say what is absent",
            ));
        }
    }
    findings
}

/// No path of one machine, and no document or tool that a clone does not hold.
pub(crate) fn foreign(file: &File) -> Vec<String> {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/fa", "rm/")];
    let words = [
        concat!("design", ".md"),
        concat!("house", ".md"),
        concat!("shared/", "reference"),
        concat!("shared/", "data"),
        concat!("before", "-stop"),
        concat!("sub", "agent"),
        concat!("anthro", "pic"),
        concat!("clau", "de"),
    ];
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let lower = line.to_lowercase();
        let has_path = paths.iter().any(|path| starts_a_path(&lower, path));
        if has_path || words.iter().any(|word| lower.contains(word)) || cites_design(&lower) {
            findings
                .push(file.finding(index + 1, "speaks of something that a clone does not hold"));
        }
    }
    findings
}

/// Does `path` stand in the line as the start of a path, not as the middle of a longer one?
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-)}]".contains(c))
    })
}

/// The word and a number, "section" between them or not: a text that is not in the repository.
fn cites_design(line: &str) -> bool {
    line.match_indices("design ").any(|(start, word)| {
        let rest = line[start + word.len()..].trim_start_matches("section ");
        rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Large files stay in the history for ever.
pub(crate) fn size(file: &File) -> Vec<String> {
    if file.bytes > FILE_BYTES_MAX && !LARGE_FILES.contains(&file.path.as_str()) {
        return vec![
            file.finding(1, &format!("{} bytes, the limit is {FILE_BYTES_MAX}", file.bytes)),
        ];
    }
    Vec::new()
}

#[test]
fn bad_samples_are_caught() {
    assert!(!header(&File::sample("a/src/b.rs", "use x;")).is_empty());
    assert!(header(&File::sample("a/src/b.rs", "//! What it is.\n")).is_empty());
    assert!(!names(&File::sample("a/src/utils.rs", "")).is_empty());
    assert!(!names(&File::sample("a/src/common/ids.rs", "")).is_empty());
    assert!(names(&File::sample("a/src/ids.rs", "")).is_empty());
    assert!(!width(&File::sample("a/src/b.rs", &"x".repeat(101))).is_empty());
    assert!(width(&File::sample("a/src/b.rs", &"ü".repeat(100))).is_empty());
    for wrong in [concat!("// TO", "DO later"), concat!("fn f() { todo", "!() }")] {
        assert!(!unfinished(&File::sample("a/src/b.rs", wrong)).is_empty(), "passes with {wrong}");
    }
    assert!(unfinished(&File::sample("a/src/b.rs", "// Autodocs and fixes.")).is_empty());
    let mut large = File::sample("a/b.bin", "");
    large.bytes = FILE_BYTES_MAX + 1;
    assert!(!size(&large).is_empty());
}

#[test]
fn foreign_words_are_caught() {
    for wrong in [
        concat!("cd /wo", "rk/main"),
        concat!("see design", ".md"),
        concat!("as design", " 5.1 says"),
        concat!("as design", " section 4 says"),
    ] {
        assert!(!foreign(&File::sample("a/src/b.rs", wrong)).is_empty(), "passes with {wrong}");
    }
    for fine in ["net/work/x", "the design is 5 lines", "see docs/adr/0002"] {
        assert!(foreign(&File::sample("a/src/b.rs", fine)).is_empty(), "{fine}");
    }
}
