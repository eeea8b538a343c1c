//! The built UI is what its sources make, checked without Node: `ui/dist/SOURCE` lists a CRC-32 of
//! every file that goes into a build and of every file that came out of it.
//!
//! Whether these outputs are what the inputs make, byte for byte, only a build can say; that is
//! part of `make ui-e2e`. What a hand forgot or changed is seen here.

use std::collections::BTreeSet;

use crate::tree::Tree;

const LIST: &str = "ui/dist/SOURCE";
/// Files of `ui/` that a build reads, beside the folders.
const FILES: [&str; 4] = ["index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"];
const FOLDERS: [&str; 3] = ["src/", "public/", "dist/"];

/// What is listed otherwise than it is, and the other way round.
pub(crate) fn stale(tree: &Tree) -> Vec<String> {
    let Some(list) = tree.files.iter().find(|file| file.path == LIST) else {
        return vec![format!("{LIST} is missing: run `npm run build` in ui/")];
    };
    let listed: BTreeSet<String> = list.text.lines().map(str::to_owned).collect();
    let present: BTreeSet<String> = tree
        .files
        .iter()
        .filter_map(|file| Some((file.path.strip_prefix("ui/")?, &file.text)))
        .filter(|(path, _)| counts(path))
        .map(|(path, text)| format!("{:08x}  {path}", crc32(text.as_bytes())))
        .collect();
    let paths: BTreeSet<&str> =
        listed.symmetric_difference(&present).filter_map(|line| line.get(10..)).collect();
    paths
        .into_iter()
        .map(|path| format!("ui/{path}: ui/dist is stale, run `npm run build` in ui/"))
        .collect()
}

fn counts(path: &str) -> bool {
    let is_test = path.ends_with(".test.ts") || path.ends_with(".test.tsx");
    let is_testing = path.ends_with("/testing.ts");
    let is_input = FILES.contains(&path) || FOLDERS.iter().any(|each| path.starts_with(each));
    is_input && !is_test && !is_testing && path != "dist/SOURCE"
}

/// As in zip files: reflected, polynomial `0x04c1_1db7`.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let low = sum & 1;
            sum >>= 1;
            if low == 1 {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}

#[test]
fn the_sum_is_the_usual_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn tests_and_the_list_itself_do_not_count() {
    for path in ["src/main.tsx", "public/assets/icon.svg", "index.html", "dist/assets/app.js"] {
        assert!(counts(path), "{path}");
    }
    for path in ["src/model/a.test.ts", "src/model/testing.ts", "dist/SOURCE", "README.md"] {
        assert!(!counts(path), "{path}");
    }
}

#[test]
fn a_changed_file_is_named() {
    use crate::tree::File;

    let line = format!("{:08x}  src/a.ts\n", crc32(b"one"));
    let of = |text: &str| {
        Tree::sample(vec![File::sample(LIST, &line), File::sample("ui/src/a.ts", text)])
    };
    assert!(stale(&of("one")).is_empty());
    assert_eq!(stale(&of("two")).len(), 1);
}
