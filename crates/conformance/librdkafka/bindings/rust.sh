#!/bin/sh
# rust-rdkafka on another librdkafka, by its feature `dynamic-linking`. Environment: PREFIX (an installation), BOOTSTRAP (one node with id 0 and three partitions
# by default), WORK.
set -u
version=0.39.0
mkdir -p "$WORK/rust" && cd "$WORK/rust" || exit 1
if [ ! -d rdkafka ]; then
    mkdir -p fetch/src && : > fetch/src/lib.rs
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nrdkafka = "=%s"\n[workspace]\n' $version > fetch/Cargo.toml
    (cd fetch && cargo fetch) > fetch.log 2>&1 || { echo "SKIP crate rdkafka cannot be fetched: $(tail -1 fetch.log)"; exit 77; }
    source=$(cd fetch && cargo metadata --format-version 1 2> /dev/null | tr ',' '\n' | sed -n 's/.*"manifest_path":"\(.*rdkafka-'$version'\)\/Cargo.toml".*/\1/p' | head -1)
    cp -r "$source" rdkafka && printf '\n[workspace]\n' >> rdkafka/Cargo.toml
fi
cd rdkafka || exit 1
[ -d tests ] || { echo "SKIP the crate carries no tests"; exit 77; }
export PKG_CONFIG_PATH="$PREFIX/lib/pkgconfig" LD_LIBRARY_PATH="$PREFIX/lib" KAFKA_HOST="$BOOTSTRAP" CARGO_TARGET_DIR="$WORK/rust/target" KAFKA_VERSION=4.0.0
cargo test --no-run --features dynamic-linking > ../build.log 2>&1 && echo "ok build" || { echo "not ok build: $(grep -m1 '^error' ../build.log)"; exit 1; }
timeout 1500 cargo test --no-fail-fast --features dynamic-linking -- --test-threads 1 > ../test.log 2>&1
sed -n 's/^test \([^ ]*\) \.\.\. ok$/ok \1/p;s/^test \([^ ]*\) \.\.\. FAILED$/not ok \1: failed/p;s/^test \([^ ]*\) \.\.\. ignored.*/skip \1/p' ../test.log
grep -q '^test result' ../test.log || echo "not ok run: $(tail -1 ../test.log)"
grep -E 'signal: ' ../test.log | sed 's/^ */not ok crash: /'
