#!/bin/sh
# confluent-kafka for Python on another librdkafka: its source distribution built over an installation, and its wheel with the library inside replaced.
# Environment: PREFIX (an installation), LIBRARY (the library's file), ROOT (this repository), BOOTSTRAP, WORK, and UPSTREAM: a checkout of its repository, whose
# tests no package carries; without it only our own peer runs.
set -u
version=2.16.1
command -v python3 > /dev/null || { echo "SKIP no python3"; exit 77; }
tools="requests urllib3 certifi httpx attrs cachetools authlib avro fastavro orjson typing_extensions pytest pytest-timeout pytest-asyncio trivup protobuf jsonschema googleapis-common-protos"
environment() { # NAME: a virtual environment with the tools
    [ "$(cat "$WORK/$1/.complete" 2> /dev/null)" = "$tools" ] && return 0
    rm -rf "${WORK:?}/$1" && python3 -m venv "$WORK/$1" && "$WORK/$1/bin/pip" install -q $tools > "$WORK/pip.log" 2>&1 && echo "$tools" > "$WORK/$1/.complete"
}
environment python-source && environment python-wheel || { echo "SKIP no virtual environment: $(tail -1 "$WORK/pip.log")"; exit 77; }
tests() { # NAME: what is run in that environment
    python=$WORK/$1/bin/python
    if [ "$("$python" -c 'import confluent_kafka as c; print(c.libversion()[0])' 2>&1)" = 2.16.0 ]
    then echo "ok $1-import"; else echo "not ok $1-import: $("$python" -c 'import confluent_kafka' 2>&1 | tail -1)"; return; fi
    report=$(timeout 180 "$python" "$ROOT/crates/conformance/peers/python/peer.py" "$BOOTSTRAP" "python-$1-$$" 500 2> "$WORK/$1.err" | tail -1)
    case $report in *'"ok": true'*) echo "ok $1-peer" ;; *) echo "not ok $1-peer: $report $(tail -1 "$WORK/$1.err")" ;; esac
    [ -d "${UPSTREAM:-}/tests" ] || { echo "skip $1-unit: UPSTREAM names no checkout of confluent-kafka-python"; return; }
    rm -rf "$WORK/tests" && mkdir "$WORK/tests" && cp -r "$UPSTREAM/tests" "$WORK/tests/"
    printf '[pytest]\nasyncio_mode = auto\n' > "$WORK/tests/pytest.ini"
    # One file is about upstream's own build tools, three are about share consumers, which ours does not have. Two tests are newer than the binding: on the
    # original library they never end either.
    upstream "$1-unit" $(cd "$WORK/tests" && ls tests/test_*.py | grep -vE 'test_unasync|Share') \
        --deselect tests/test_Wakeable.py::test_consumer_wakeable_consume_interruptibility_and_messages \
        --deselect 'tests/test_Wakeable.py::test_can_be_interrupted[consumer-consume]'
    # One starts a broker of its own by a script that downloads it.
    upstream "$1-integration" tests/integration/producer tests/integration/consumer tests/integration/admin --ignore tests/integration/admin/test_describe_operations.py
}
upstream() { # NAME ARGUMENTS: runs pytest; a line for each test
    name=$1; shift
    (cd "$WORK/tests" && BROKERS=$BOOTSTRAP timeout 1200 "$python" -m pytest -v --timeout 120 -p no:cacheprovider "$@" > "$WORK/$name.log" 2>&1)
    sed -n "s/^tests\/\(.*\) PASSED  *\[.*/ok $name:\1/p;s/^tests\/\(.*\) FAILED  *\[.*/not ok $name:\1: failed/p;s/^tests\/\(.*\) ERROR  *\[.*/not ok $name:\1: error/p" "$WORK/$name.log"
    grep -qE ' (passed|failed).* in [0-9.]+s' "$WORK/$name.log" || echo "not ok $name: did not end: $(tail -1 "$WORK/$name.log")"
}
export LD_LIBRARY_PATH="$PREFIX/lib"
C_INCLUDE_PATH=$PREFIX/include LIBRARY_PATH=$PREFIX/lib "$WORK/python-source/bin/pip" install -q --force-reinstall --no-deps --no-cache-dir \
    --no-binary confluent-kafka "confluent-kafka==$version" > "$WORK/pip.log" 2>&1 || { echo "not ok python-source-build: $(grep -m1 -iE 'error' "$WORK/pip.log")"; exit 1; }
echo "ok python-source-build"
tests python-source
unset LD_LIBRARY_PATH
"$WORK/python-wheel/bin/pip" install -q --no-deps --only-binary :all: "confluent-kafka==$version" > "$WORK/pip.log" 2>&1 || { echo "SKIP no wheel: $(tail -1 "$WORK/pip.log")"; exit 77; }
(cd "$ROOT" && cargo xtask capi-install --library "$LIBRARY" --into-wheel "$WORK/python-wheel") > "$WORK/install.log" 2>&1 || { echo "not ok python-wheel-install: $(tail -1 "$WORK/install.log")"; exit 1; }
tests python-wheel
(cd "$ROOT" && cargo xtask capi-install --out-of-wheel "$WORK/python-wheel") > "$WORK/install.log" 2>&1 && echo "ok python-wheel-back" || echo "not ok python-wheel-back: $(tail -1 "$WORK/install.log")"
