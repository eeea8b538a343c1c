//! The files of the repository, read once: all that git would take, nothing that `.gitignore`
//! names.
#![expect(clippy::disallowed_methods, reason = "tidy reads the files it checks")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code::{self, Code};

/// One file, with its path from the repository root, `/` between the parts.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// The content, where it is text.
    pub(crate) text: String,
    /// The Rust code without comments and literals; empty for other files.
    pub(crate) code: Code,
}

impl File {
    /// A sample for the rules' own tests.
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self::new(path.to_owned(), text.len() as u64, text.to_owned(), false)
    }

    fn new(path: String, bytes: u64, text: String, is_test: bool) -> Self {
        let code = if is_rust(&path) {
            Code::new(&text, is_test || is_test_path(&path))
        } else {
            Code::default()
        };
        Self { path, bytes, text, code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    pub(crate) fn is_markdown(&self) -> bool {
        has_extension(&self.path, "md")
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The path without its last part; empty at the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    pub(crate) fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// A finding in this file.
    pub(crate) fn finding(&self, line: usize, message: &str) -> String {
        format!("{}:{line}: {message}", self.path)
    }
}

/// The whole repository.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the repository that this test runs in: cargo runs it in the folder of its crate.
    pub(crate) fn read() -> Self {
        let root = std::env::current_dir().unwrap().parent().unwrap().to_path_buf();
        let ignored = ignored_names(&fs::read_to_string(root.join(".gitignore")).unwrap());
        let mut found = Vec::new();
        collect(&root, &ignored, &mut found);
        found.sort();

        let mut raw = Vec::new();
        for path in found {
            let content = fs::read(&path).unwrap();
            let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let bytes = content.len() as u64;
            raw.push((relative, bytes, String::from_utf8(content).unwrap_or_default()));
        }
        let only_for_tests: BTreeSet<String> = raw
            .iter()
            .filter(|(path, _, _)| is_rust(path))
            .flat_map(|(path, _, text)| code::test_modules(path, text))
            .collect();

        let mut files = Vec::new();
        for (path, bytes, text) in raw {
            let is_test = only_for_tests.contains(&path);
            files.push(File::new(path, bytes, text, is_test));
        }
        let mut paths = BTreeSet::new();
        for file in &files {
            paths.insert(file.path.clone());
            for (end, _) in file.path.match_indices('/') {
                paths.insert(file.path[..end].to_owned());
            }
        }
        Self { files, paths }
    }

    /// A tree of samples, for the rules' own tests.
    pub(crate) fn sample(files: Vec<File>) -> Self {
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Self { files, paths }
    }

    /// Is there such a file or folder?
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }
}

/// The names that `.gitignore` lists; it is kept to plain names and `*.ending` for this reader.
fn ignored_names(gitignore: &str) -> Vec<String> {
    let mut names: Vec<String> =
        gitignore.lines().map(|line| line.trim_matches('/').to_owned()).collect();
    names.retain(|name| !name.is_empty() && !name.starts_with('#'));
    names.push(".git".to_owned());
    names
}

fn collect(folder: &Path, ignored: &[String], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_ignored = ignored.iter().any(|ignored| match ignored.strip_prefix('*') {
            Some(ending) => name.ends_with(ending),
            None => name == *ignored,
        });
        let kind = entry.file_type().unwrap();
        if is_ignored || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), ignored, found);
        } else {
            found.push(entry.path());
        }
    }
}

fn is_rust(path: &str) -> bool {
    has_extension(path, "rs")
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Is every line of this file test code, by its place?
fn is_test_path(path: &str) -> bool {
    ["/tests/", "/benches/", "/fuzz/", "/testing/"].iter().any(|folder| path.contains(folder))
        || path.ends_with("/tests.rs")
        || path.starts_with("chaos-tests/")
}

#[test]
fn ignored_names_are_read() {
    assert_eq!(ignored_names("/target\n\n# note\n*.bk\nx/\n"), ["target", "*.bk", "x", ".git"]);
}
