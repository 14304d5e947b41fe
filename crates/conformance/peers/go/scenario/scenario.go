// Package scenario holds what the Go peers share: the records, what came of them, and the report. See ../../README.md.
package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Codecs in the order of the rounds.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// BaseTimestamp is that of the first record.
const BaseTimestamp = int64(1_700_000_000_000)

// Header of a record; a nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// Record as it went in or came out; nil key or value is null.
type Record struct {
	Key, Value []byte
	Headers    []Header
	Timestamp  int64
	Partition  int32
	Offset     int64
}

// Run holds one run's arguments and results.
type Run struct {
	Bootstrap []string
	Topic     string
	Count     int
	Sent      map[int32][]Record
	client    string
	done      []string
}

// Start reads the arguments BOOTSTRAP TOPIC_PREFIX COUNT.
func Start(client string) *Run {
	count, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	return &Run{strings.Split(os.Args[1], ","), os.Args[2], count, map[int32][]Record{}, client, []string{}}
}

// Check runs one check and ends the program if it fails.
func (r *Run) Check(name string, check func() error) {
	if err := check(); err != nil {
		r.report(map[string]any{"client": r.client, "ok": false, "checks": r.done, "failed": name, "error": err.Error()})
		os.Exit(1)
	}
	r.done = append(r.done, name)
}

// Finish reports success.
func (r *Run) Finish() {
	r.report(map[string]any{"client": r.client, "ok": true, "checks": r.done})
}

func (r *Run) report(fields map[string]any) {
	line, _ := json.Marshal(fields)
	fmt.Println(string(line))
}

// Record i of a codec round.
func (r *Run) Record(round, i int) Record {
	var record Record
	switch {
	case i%10 == 0:
	case i%10 == 1:
		record.Key = []byte{}
	default:
		record.Key = fmt.Appendf(nil, "key-%d", i%17)
	}
	switch {
	case i == r.Count-1:
		record.Value = bytes.Repeat([]byte("y"), 300_000)
	case i%11 == 0:
	case i%11 == 1:
		record.Value = []byte{}
	default:
		record.Value = fmt.Appendf(nil, "%s-%d-%s", Codecs[round], i, strings.Repeat("x", i%200))
	}
	switch i % 3 {
	case 1:
		record.Headers = []Header{{"trace", fmt.Appendf(nil, "t-%d", i)}}
	case 2:
		record.Headers = []Header{{"dup", []byte("1")}, {"dup", []byte("2")}, {"null", nil}, {"empty", []byte{}}}
	}
	record.Timestamp = BaseTimestamp + int64(round*r.Count+i)*10
	return record
}

// Acknowledged notes the records of a round in the order of their offsets and checks that those have no gaps.
func (r *Run) Acknowledged(records []Record) error {
	for _, record := range records {
		next := int64(len(r.Sent[record.Partition]))
		if record.Offset != next {
			return fmt.Errorf("partition %d: expected offset %d, got %d", record.Partition, next, record.Offset)
		}
		r.Sent[record.Partition] = append(r.Sent[record.Partition], record)
	}
	return nil
}

// Total number of records in the topic after all rounds.
func (r *Run) Total() int { return len(Codecs) * r.Count }

// Consumed compares the index-th record read from a partition with what was sent there.
func (r *Run) Consumed(index int, got Record) error {
	if index >= len(r.Sent[got.Partition]) {
		return fmt.Errorf("partition %d: more records than were sent", got.Partition)
	}
	want := r.Sent[got.Partition][index]
	at := fmt.Sprintf("%d@%d", got.Partition, got.Offset)
	switch {
	case want.Offset != got.Offset:
		return fmt.Errorf("%s: expected offset %d", at, want.Offset)
	case want.Timestamp != got.Timestamp:
		return fmt.Errorf("%s: timestamp %d became %d", at, want.Timestamp, got.Timestamp)
	case !same(want.Key, got.Key):
		return fmt.Errorf("%s: key %s became %s", at, text(want.Key), text(got.Key))
	case !same(want.Value, got.Value):
		return fmt.Errorf("%s: value %s became %s", at, text(want.Value), text(got.Value))
	case len(want.Headers) != len(got.Headers):
		return fmt.Errorf("%s: %d headers became %d", at, len(want.Headers), len(got.Headers))
	}
	for i, header := range want.Headers {
		if header.Key != got.Headers[i].Key || !same(header.Value, got.Headers[i].Value) {
			return fmt.Errorf("%s: header %s=%s became %s=%s", at, header.Key, text(header.Value), got.Headers[i].Key, text(got.Headers[i].Value))
		}
	}
	return nil
}

// Middle is a time between two records, near the middle.
func (r *Run) Middle() int64 { return BaseTimestamp + int64(r.Total()/2*10) - 5 }

// FirstAtOrAfter gives the first offset of a partition whose timestamp is at or after the time; -1 if there is none.
func (r *Run) FirstAtOrAfter(partition int32, timestamp int64) int64 {
	for _, record := range r.Sent[partition] {
		if record.Timestamp >= timestamp {
			return record.Offset
		}
	}
	return -1
}

// Same fails when two values differ.
func Same[T comparable](what string, want, got T) error {
	if want != got {
		return fmt.Errorf("%s: expected %v, got %v", what, want, got)
	}
	return nil
}

// Eventually waits up to 10 s for a condition.
func Eventually(what string, holds func() (bool, error)) error {
	var last error
	for range 100 {
		ok, err := holds()
		if ok {
			return nil
		}
		last = err
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("not within 10 s: %s (%v)", what, last)
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func text(b []byte) string {
	if b == nil {
		return "null"
	}
	if len(b) > 40 {
		return fmt.Sprintf("%q...%d", b[:40], len(b))
	}
	return fmt.Sprintf("%q", b)
}
