#!/bin/sh
# confluent-kafka-go on another librdkafka, by its build tag `dynamic`. Environment: PREFIX (an installation), BOOTSTRAP, WORK, and GO_TESTS: `unit` or `all`.
set -u
version=v2.14.1
command -v go > /dev/null || { echo "SKIP no go"; exit 77; }
command -v pkg-config > /dev/null || { echo "SKIP no pkg-config"; exit 77; }
module=github.com/confluentinc/confluent-kafka-go/v2
mkdir -p "$WORK/go-$version"; cd "$WORK/go-$version" || exit 1
if [ ! -e go.sum ]; then
    [ -e go.mod ] || go mod init fetch > /dev/null 2>&1
    source=$(go mod download -json "$module@$version" 2> /dev/null | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
    [ -d "$source" ] || { rm -f go.mod; echo "SKIP the Go module $module cannot be fetched"; exit 77; }
    cp -r "$source/kafka" . && chmod -R u+w kafka && rm -rf kafka/librdkafka_vendor/*.a kafka/go_rdkafka_generr
    # The integration tests can start brokers in containers, by a library that brings half of Docker along. Brokers are given here: a stand-in is enough.
    mkdir -p compose
    printf 'module github.com/testcontainers/testcontainers-go/modules/compose\n\ngo 1.21\n' > compose/go.mod
    cat > compose/compose.go <<'GO'
// Package compose stands in for containers that nobody starts.
package compose

type ExecError struct{ Error error }

type LocalDockerCompose struct{}

func NewLocalDockerCompose(files []string, name string) *LocalDockerCompose { return &LocalDockerCompose{} }

func (c *LocalDockerCompose) Down() ExecError { return ExecError{} }

func (c *LocalDockerCompose) WithCommand(words []string) *LocalDockerCompose { return c }

func (c *LocalDockerCompose) Invoke() ExecError { return ExecError{} }
GO
    cat > go.mod <<GO
module $module

go 1.21

require (
	github.com/stretchr/testify v1.9.0
	github.com/testcontainers/testcontainers-go/modules/compose v0.33.0
)

replace github.com/testcontainers/testcontainers-go/modules/compose => ./compose
GO
    go mod tidy > tidy.log 2>&1 || { rm -f go.sum; echo "SKIP Go modules cannot be fetched: $(tail -1 tidy.log)"; exit 77; }
fi
if PKG_CONFIG_PATH="$PREFIX/lib/pkgconfig" go test -c -tags dynamic -o kafka.test ./kafka > build.log 2>&1
then echo "ok build"; else echo "not ok build: $(grep -m1 error build.log)"; exit 1; fi
cd kafka || exit 1
export LD_LIBRARY_PATH="$PREFIX/lib"
report() { # FILE: a line for each test that go names, and one for a run that did not end by itself
    # A suite is as good as its parts, which have lines of their own.
    sed -n '/--- FAIL: TestIntegration (/d;s/^ *--- PASS: \([^ ]*\) .*/ok \1/p;s/^ *--- FAIL: \([^ ]*\) .*/not ok \1: failed/p;s/^ *--- SKIP: \([^ ]*\) .*/skip \1/p' "$1"
    grep -qE '^(PASS|FAIL)$' "$1" || echo "not ok run: $(grep -m1 -E 'panic:|signal|fatal error' "$1")"
}
rm -f testconf.json
if [ "${GO_TESTS:-unit}" = unit ]; then
    timeout 600 ../kafka.test -test.v -test.timeout 580s > ../test.log 2>&1
else
    # With `-docker.exists` this file would not be read, and the brokers be looked for at upstream's ports.
    printf '{"Brokers": "%s", "TopicName": "go-%s", "GroupID": "go-group-%s"}' "$BOOTSTRAP" $$ $$ > testconf.json
    timeout 1800 ../kafka.test -test.v -test.timeout 1780s > ../test.log 2>&1
    rm -f testconf.json
fi
report ../test.log
