//! Tidy: what must never be, as far as a machine can see it, checked by ordinary tests.
//!
//! Most of these rules are about absence (no runtime in storage, no owned span on the ingest path,
//! no second place that reads the clock), and absence is what a review forgets to look for. Each
//! rule is a pure function from a file to its findings; the tests below run the rules over the
//! whole tree, and the tests beside each rule show that a bad sample is caught and a good one not.
//!
//! Not here: what rustfmt, clippy and rustdoc already check. When a rule is in the way of something
//! better, change the rule in the commit that needs it and say why.
#![cfg(test)]

#[path = "tidy/capabilities.rs"]
mod capabilities;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/ui.rs"]
mod ui;

use tree::{File, Tree};

/// Runs one rule over every file and fails with all that it found.
fn check(rule: impl Fn(&File) -> Vec<String>) {
    let tree = Tree::read();
    let findings: Vec<String> = tree.files.iter().flat_map(rule).collect();
    report(&findings);
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn the_tree_is_the_repository() {
    let tree = Tree::read();
    for path in ["Cargo.toml", "README.md", "model/src/lib.rs", "node/tests/tidy.rs"] {
        assert!(tree.has(path), "{path} is not in the tree that tidy reads");
    }
}

#[test]
fn crates_depend_only_downwards() {
    check(dependencies::direction);
}

#[test]
fn crates_inherit_the_workspace() {
    check(dependencies::inheritance);
}

#[test]
fn libraries_stay_in_their_crates() {
    check(layers::libraries);
}

#[test]
fn no_owned_span_on_the_ingest_path() {
    check(layers::ingest_path);
}

#[test]
fn judges_use_no_code_of_what_they_judge() {
    check(layers::judges);
}

#[test]
fn pure_files_are_pure() {
    check(layers::pure);
}

#[test]
fn capabilities_have_one_home() {
    check(capabilities::homes);
}

#[test]
fn lints_are_lifted_with_a_reason_and_in_the_known_places() {
    check(capabilities::lifted_lints);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    check(capabilities::patience);
}

#[test]
fn sources_start_with_what_they_are() {
    check(text::header);
}

#[test]
fn names_say_what_is_inside() {
    check(text::names);
}

#[test]
fn lines_fit() {
    check(text::width);
}

#[test]
fn nothing_is_left_unfinished() {
    check(text::unfinished);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    check(text::foreign);
}

#[test]
fn files_are_small() {
    check(text::size);
}

#[test]
fn documents_have_one_title() {
    check(documents::title);
}

#[test]
fn links_lead_somewhere() {
    let tree = Tree::read();
    let findings: Vec<String> =
        tree.files.iter().flat_map(|file| documents::links(file, &tree)).collect();
    report(&findings);
}

#[test]
fn chapters_and_decisions_have_their_shape() {
    check(documents::shape);
}

#[test]
fn recorded_data_has_its_licence_beside_it() {
    let tree = Tree::read();
    let findings: Vec<String> =
        tree.files.iter().flat_map(|file| documents::licence(file, &tree)).collect();
    report(&findings);
}

#[test]
fn the_built_ui_is_what_its_sources_make() {
    report(&ui::stale(&Tree::read()));
}
