#!/bin/sh
# rust-rdkafka on another librdkafka, by its feature `dynamic-linking`. Environment: PREFIX (an installation), BOOTSTRAP (one node with id 0 and three partitions
# by default), SOURCE (the crate as the registry has it), WORK.
set -u
mkdir -p "$WORK/rust" && cd "$WORK/rust" || exit 1
if [ ! -d rdkafka ]; then
    cp -r "$SOURCE" rdkafka && chmod -R u+w rdkafka && printf '\n[workspace]\n' >> rdkafka/Cargo.toml
fi
cd rdkafka || exit 1
[ -d tests ] || { echo "SKIP the crate carries no tests"; exit 77; }
export PKG_CONFIG_PATH="$PREFIX/lib/pkgconfig" LD_LIBRARY_PATH="$PREFIX/lib" KAFKA_HOST="$BOOTSTRAP" CARGO_TARGET_DIR="$WORK/rust/target" KAFKA_VERSION=4.0.0 RUST_LOG=off
cargo test --lib --tests --no-run --features dynamic-linking > ../build.log 2>&1 && echo "ok build" || { echo "not ok build: $(grep -m1 '^error' ../build.log)"; exit 1; }
timeout 1500 cargo test --lib --tests --no-fail-fast --features dynamic-linking -- --test-threads 1 > ../test.log 2>&1
sed -n 's/^test \([^ ]*\) \.\.\. ok$/ok \1/p;s/^test \([^ ]*\) \.\.\. FAILED$/not ok \1: failed/p;s/^test \([^ ]*\) \.\.\. ignored.*/skip \1/p' ../test.log
grep -q '^test result' ../test.log || echo "not ok run: $(tail -1 ../test.log)"
grep -E 'signal: ' ../test.log | sed 's/^ */not ok crash: /'
