//! The one script that every store passes.

use std::ops::ControlFlow;

use super::{Family, Kv, KvError, MemoryKv, RocksKv, WriteBatch, read_all};

const META: Family = Family::Meta;

fn put(kv: &dyn Kv, pairs: &[(&[u8], &[u8])]) {
    let mut batch = WriteBatch::default();
    for (key, value) in pairs {
        batch.put(META, key, value);
    }
    kv.write(batch).unwrap();
}

fn keys(kv: &dyn Kv, start: &[u8], end: &[u8], pairs_max: usize) -> Vec<Vec<u8>> {
    let pairs = kv.scan(META, start..end, pairs_max).unwrap();
    pairs.into_iter().map(|(key, _)| key).collect()
}

fn passes_the_script(kv: &dyn Kv) {
    assert_eq!(kv.get(META, b"absent").unwrap(), None);
    put(kv, &[(b"b", b"2"), (b"a", b"1"), (b"ab", b""), (b"\xff", b"last")]);
    assert_eq!(kv.get(META, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(kv.get(META, b"ab").unwrap(), Some(Vec::new()), "an empty value is a value");

    assert_eq!(keys(kv, b"", b"\xff", 10), [&b"a"[..], b"ab", b"b"]);
    assert_eq!(keys(kv, b"a", b"b", 10), [&b"a"[..], b"ab"], "the end is excluded");
    assert_eq!(keys(kv, b"a", b"\xff\xff", 2), [&b"a"[..], b"ab"]);
    assert!(keys(kv, b"b", b"b", 10).is_empty() && keys(kv, b"c", b"a", 10).is_empty());
    assert!(keys(kv, b"a", b"b", 0).is_empty() && kv.keys(META, b"a"..b"b", 0).unwrap().is_empty());
    assert_eq!(kv.keys(META, b"a"..b"\xff", 2).unwrap(), [&b"a"[..], b"ab"]);
    let mut values = Vec::new();
    let visited = kv.visit(META, b"a"..b"\xff\xff", &mut |_, value| {
        values.extend_from_slice(value);
        if value == b"2" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((visited, values), (Ok(()), b"12".to_vec()), "it ends where it is broken off");

    let mut batch = WriteBatch::default();
    batch.put(META, b"a", b"one");
    batch.delete(META, b"b");
    batch.put(META, b"c", b"3");
    batch.delete(META, b"c");
    batch.delete(META, b"never there");
    kv.write(batch).unwrap();
    assert_eq!(kv.get(META, b"a").unwrap(), Some(b"one".to_vec()));
    assert_eq!(keys(kv, b"", b"\xff\xff", 10), [&b"a"[..], b"ab", b"\xff"]);
    kv.write(WriteBatch::default()).unwrap();
    kv.flush().unwrap();
    kv.flush().unwrap();
    assert_eq!(kv.get(META, b"a").unwrap(), Some(b"one".to_vec()));
    assert_eq!(read_all(kv), Ok(()));
}

#[test]
fn memory_passes() {
    passes_the_script(&MemoryKv::new());
}

#[test]
fn rocks_passes_and_finds_what_was_flushed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    {
        let kv = RocksKv::open(&path, |_| {}).unwrap();
        passes_the_script(&kv);
        let second = RocksKv::open(&path, |_| {}).unwrap_err();
        assert!(matches!(second, KvError::Unusable { .. }), "{second:?}");
    }
    let kv = RocksKv::open(&path, |_| {}).unwrap();
    assert_eq!(keys(&kv, b"", b"\xff\xff", 10), [&b"a"[..], b"ab", b"\xff"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages a file behind the store's back")]
fn damage_in_the_middle_of_a_table_is_found_by_reading_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    {
        let kv = RocksKv::open(&path, |_| {}).unwrap();
        for number in 0..3_000_u32 {
            put(&kv, &[(&number.to_be_bytes(), &number.to_le_bytes())]);
        }
        kv.flush().unwrap();
        assert_eq!(read_all(&kv), Ok(()));
    }
    let files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let tables = files.filter(|file| file.extension().is_some_and(|it| it == "sst"));
    let table = tables.max_by_key(|file| std::fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&table).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 4;
    std::fs::write(&table, &bytes).unwrap();
    let found = RocksKv::open(&path, |_| {}).and_then(|kv| read_all(&kv));
    assert!(found.as_ref().is_err_and(KvError::is_corruption), "{found:?}");
}
