#!/usr/bin/env bash
# Builds RocksDB once, optimised, into a folder outside the clone, and prints that folder.
# `ROCKSDB_LIB_DIR=$(storage/rocksdb/archive.sh) ROCKSDB_STATIC=1 cargo build` then links it.
# The folder is named after what decides the archive's bytes, so that a new version never meets an old archive.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

version=$(awk '/^name = "librocksdb-sys"$/ { getline; gsub(/[^0-9.+]/, "", $3); print $3 }' Cargo.lock)
[ -n "$version" ] || { echo "archive.sh: librocksdb-sys is not in Cargo.lock" >&2; exit 1; }
compiler=$(${CXX:-c++} -dumpfullversion -dumpversion | head -n 1)
cache=${SKUA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/skua}
folder=$cache/rocksdb-$version-$(uname -m)-cxx$compiler

if [ ! -f "$folder/librocksdb.a" ]; then
  mkdir -p "$cache"
  # One builder at a time; whoever waited finds the archive made.
  exec 9>"$folder.lock"
  flock 9
  if [ ! -f "$folder/librocksdb.a" ]; then
    echo "building RocksDB $version once into $folder (about 15 minutes on 2 cores)" >&2
    target=$cache/rocksdb-build
    env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC CARGO_TARGET_DIR="$target" \
      cargo build --release --locked --package librocksdb-sys >&2
    archive=$(find "$target/release/build" -name librocksdb.a -path '*librocksdb-sys*' | head -n 1)
    [ -n "$archive" ] || { echo "archive.sh: the build left no librocksdb.a" >&2; exit 1; }
    mkdir -p "$folder.new"
    cp "$archive" "$folder.new/librocksdb.a"
    mv -T "$folder.new" "$folder"
    rm -rf "$target"
  fi
fi
echo "$folder"
