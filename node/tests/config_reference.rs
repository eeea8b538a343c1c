//! `docs/operations/configuration.md` says what the table of settings says.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p skua-node --test config_reference` writes it anew; review
//! the difference as code.
#![cfg(test)]

use std::path::Path;

#[test]
#[expect(clippy::disallowed_methods, reason = "the golden file is not Skua's data")]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations/configuration.md");
    let expected = node::config::reference();
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/operations/configuration.md is out of date: run this test with UPDATE_GOLDENFILES=1"
    );
}
