// Package member holds what the Go programs share that are one member of a group: arguments, events out, commands in. See ../../README.md.
package member

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Member is one run's arguments.
type Member struct {
	Bootstrap []string
	Group     string
	Topic     string
	// Assignor of the classic protocol, or `consumer`, `consumer:uniform`, `consumer:range` of KIP-848.
	Assignor string
	// Instance id of a static member; empty for none.
	Instance string
	// Session timeout of the classic protocol.
	Session time.Duration
	process time.Duration
	// Commands that arrived on standard input.
	Commands chan string
	lock     sync.Mutex
}

// Start reads BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE ("-" for none) and begins to listen for commands. The program ends when its
// standard input does: nobody is left to hear it.
func Start() *Member {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "usage: BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE")
		os.Exit(2)
	}
	session, err := strconv.Atoi(os.Getenv("SESSION_MS"))
	if err != nil {
		session = 6000
	}
	process, _ := strconv.Atoi(os.Getenv("PROCESS_MS"))
	m := &Member{
		Bootstrap: strings.Split(os.Args[1], ","), Group: os.Args[2], Topic: os.Args[3], Assignor: os.Args[4],
		Instance: strings.TrimPrefix(os.Args[5], "-"), Session: time.Duration(session) * time.Millisecond, Commands: make(chan string, 16),
		process: time.Duration(process) * time.Millisecond,
	}
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			m.Commands <- lines.Text()
		}
		os.Exit(3)
	}()
	return m
}

func (m *Member) emit(event string, fields map[string]any) {
	m.lock.Lock()
	defer m.lock.Unlock()
	fields["event"], fields["at"] = event, time.Now().UnixMicro()
	line, _ := json.Marshal(fields)
	os.Stdout.Write(append(line, '\n'))
}

// Client names the client and its version: the first event.
func (m *Member) Client(name string) { m.emit("client", map[string]any{"name": name}) }

// Owned tells of partitions assigned, revoked or lost.
func (m *Member) Owned(event string, partitions map[string][]int32) {
	names := []string{}
	for topic, numbers := range partitions {
		for _, number := range numbers {
			names = append(names, Name(topic, number))
		}
	}
	slices.Sort(names)
	m.emit(event, map[string]any{"partitions": names})
}

// Records tells of records with offsets that follow each other, as `key:value`.
func (m *Member) Records(topic string, partition int32, offset int64, values []string) {
	if len(values) > 0 {
		m.emit("records", map[string]any{"partition": Name(topic, partition), "offset": offset, "values": values})
	}
}

// Process takes as long as the records that were told of are to take before they are committed.
func (m *Member) Process() { time.Sleep(m.process) }

// Committed tells of offsets that the coordinator has accepted.
func (m *Member) Committed(offsets map[string]int64) {
	if len(offsets) > 0 {
		m.emit("committed", map[string]any{"offsets": offsets})
	}
}

// Offsets tells what the coordinator keeps for the group, and where the partitions end.
func (m *Member) Offsets(committed, end map[string]int64) {
	m.emit("offsets", map[string]any{"committed": committed, "end": end})
}

// Left is the last event.
func (m *Member) Left() { m.emit("left", map[string]any{}) }

// Fail ends the program.
func (m *Member) Fail(what string, err error) {
	m.emit("failed", map[string]any{"error": fmt.Sprintf("%s: %v", what, err)})
	os.Exit(1)
}

// Name of a partition in events.
func Name(topic string, partition int32) string { return fmt.Sprintf("%s-%d", topic, partition) }
