//! Documents: one title each, links that lead somewhere, chapters and decisions in their shape, and
//! recorded data with its licence.

use crate::tree::{File, Tree};

/// A document has one title.
pub(crate) fn title(file: &File) -> Vec<String> {
    if !file.is_markdown() {
        return Vec::new();
    }
    let titles = prose(&file.text).lines().filter(|line| line.starts_with("# ")).count();
    if titles == 1 {
        Vec::new()
    } else {
        vec![file.finding(1, &format!("{titles} titles, not one"))]
    }
}

/// A relative link names a file or folder of the repository.
pub(crate) fn links(file: &File, tree: &Tree) -> Vec<String> {
    if !file.is_markdown() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in prose(&file.text).lines().enumerate() {
        for target in targets(line) {
            if !resolve(file.folder(), target).is_some_and(|path| tree.has(&path)) {
                findings.push(file.finding(index + 1, &format!("{target} leads nowhere")));
            }
        }
    }
    findings
}

/// Architecture chapters end with the same three sections; decisions have a number and a status.
pub(crate) fn shape(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    if file.is_markdown() && file.path.starts_with("docs/architecture/") {
        for section in ["## Invariants", "## What is absent on purpose", "## Where to look"] {
            if !file.text.lines().any(|line| line == section) {
                findings.push(file.finding(1, &format!("the chapter has no section `{section}`")));
            }
        }
    }
    if file.is_markdown() && file.path.starts_with("docs/adr/") && file.name() != "README.md" {
        let number = file.name().split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            findings.push(file.finding(1, "a decision is named NNNN-title.md"));
        }
        for line in ["Status: ", "## Context", "## Decision", "## Consequences"] {
            if !file.text.lines().any(|found| found.starts_with(line)) {
                findings.push(file.finding(1, &format!("the decision has no `{line}`")));
            }
        }
    }
    findings
}

/// A recorded file has a README that names it and a licence in its folder.
pub(crate) fn licence(file: &File, tree: &Tree) -> Vec<String> {
    let is_recorded = file.name().rsplit('.').next() == Some("zst");
    if !is_recorded {
        return Vec::new();
    }
    let beside = |name: &str| {
        tree.files
            .iter()
            .find(|other| other.folder() == file.folder() && other.name().starts_with(name))
    };
    let named = beside("README.md").is_some_and(|readme| readme.text.contains(file.name()));
    if named && beside("LICENSE").is_some() {
        return Vec::new();
    }
    vec![file.finding(1, "recorded data needs a README.md that names it and its LICENSE beside it")]
}

/// The document without code blocks and code spans, line for line.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        if !fence && !fenced {
            for (index, part) in line.split('`').enumerate() {
                out.push_str(if index % 2 == 0 { part } else { "_" });
            }
        }
        fenced ^= fence;
        out.push('\n');
    }
    out
}

/// The targets of the relative links of a line, without their anchors.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for part in line.split("](").skip(1) {
        let target = part.split([')', ' ', '#']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
            targets.push(target);
        }
    }
    targets
}

/// A link's path from the repository root; none where it leads out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn bad_documents_are_caught() {
    assert!(!title(&File::sample("a.md", "# One\n# Two\n")).is_empty());
    assert!(!title(&File::sample("a.md", "text\n")).is_empty());
    assert!(title(&File::sample("a.md", "# One\n```sh\n# a comment\n```\n")).is_empty());
    assert!(!shape(&File::sample("docs/architecture/02-x.md", "# X\n")).is_empty());
    assert!(!shape(&File::sample("docs/adr/1-x.md", "# X\n")).is_empty());
    let decision = "# X\nStatus: accepted\n## Context\n## Decision\n## Consequences\n";
    assert!(shape(&File::sample("docs/adr/0001-x.md", decision)).is_empty());
}

#[test]
fn links_are_resolved() {
    let tree = Tree::read();
    let bad = File::sample("docs/x.md", "[a](nowhere.md) [b](../../out.md)");
    assert_eq!(links(&bad, &tree).len(), 2);
    let good = "[a](../README.md#x) [b](https://example.org/x) [c](#y) [d](../model) `[e](f)`";
    assert!(links(&File::sample("docs/x.md", good), &tree).is_empty());
    let bare = File::sample("some/where/x.zst", "");
    assert!(!licence(&bare, &tree).is_empty());
}
