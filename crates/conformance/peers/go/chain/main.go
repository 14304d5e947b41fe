// Chained groups with franz-go: records go through three stages of consuming and producing, each a group of six members that come and go.
// See ../../README.md, "Chained groups". Run: chain BOOTSTRAP PREFIX COUNT BALANCER
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	stages     = 3
	members    = 6
	partitions = 7
	within     = 8 * time.Minute
)

var (
	bootstrap []string
	prefix    string
	count     int
	balancer  []kgo.Opt
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: BOOTSTRAP PREFIX COUNT BALANCER")
		os.Exit(2)
	}
	bootstrap, prefix = strings.Split(os.Args[1], ","), os.Args[2]
	count, _ = strconv.Atoi(os.Args[3])
	balancer = map[string][]kgo.Opt{
		"range":              {kgo.Balancers(kgo.RangeBalancer())},
		"roundrobin":         {kgo.Balancers(kgo.RoundRobinBalancer())},
		"sticky":             {kgo.Balancers(kgo.StickyBalancer())},
		"cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"consumer:uniform":   {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
		"consumer:range":     {kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()},
	}[os.Args[4]]
	report := map[string]any{"client": "franz-go", "balancer": os.Args[4]}
	if balancer == nil {
		report["error"] = "no such balancer"
	} else if err := run(report); err != nil {
		report["error"] = err.Error()
	}
	line, _ := json.Marshal(report)
	fmt.Println(string(line))
	if report["error"] != nil {
		os.Exit(1)
	}
}

func topic(stage int) string { return fmt.Sprintf("%s-%d", prefix, stage) }

func run(report map[string]any) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), within, errors.New("not done in time"))
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for stage := range stages + 1 {
		response, err := admin.CreateTopic(ctx, partitions, 1, nil, topic(stage))
		if err == nil {
			err = response.Err
		}
		if err != nil {
			return fmt.Errorf("create %s: %w", topic(stage), err)
		}
	}
	begun := time.Now()
	chain := make([]*stage, stages)
	failed := make(chan error, 64)
	var all sync.WaitGroup
	all.Go(func() {
		if err := source(ctx); err != nil {
			failed <- err
		}
	})
	for i := range chain {
		s := &stage{number: i, seen: make([]atomic.Int32, count), last: map[int32]int64{}}
		chain[i] = s
		for seat := range members {
			all.Go(func() {
				if err := s.seat(ctx, seat); err != nil {
					failed <- fmt.Errorf("stage %d: %w", i, err)
					cancel()
				}
			})
		}
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	lives := int32(0)
	for _, s := range chain {
		if err := s.exact(); err != nil {
			return fmt.Errorf("stage %d: %w", s.number, err)
		}
		lives += s.lives.Load()
		committed, err := admin.FetchOffsets(ctx, s.group())
		if err == nil {
			err = committed.Error()
		}
		ends, endErr := admin.ListEndOffsets(ctx, topic(s.number))
		if err := errors.Join(err, endErr); err != nil {
			return fmt.Errorf("offsets of stage %d: %w", s.number, err)
		}
		for partition := range int32(partitions) {
			at, _ := committed.Lookup(topic(s.number), partition)
			if end, _ := ends.Lookup(topic(s.number), partition); at.At != end.Offset {
				return fmt.Errorf("stage %d: partition %d is committed up to %d of %d", s.number, partition, at.At, end.Offset)
			}
		}
	}
	ends, err := admin.ListEndOffsets(ctx, topic(stages))
	if err != nil {
		return err
	}
	end := int64(0)
	ends.Each(func(offset kadm.ListedOffset) { end += offset.Offset })
	if end != int64(count) {
		return fmt.Errorf("%d records at the end of the chain, expected %d", end, count)
	}
	report["records"], report["members"], report["seconds"] = count, lives, time.Since(begun).Seconds()
	return nil
}

// source writes the keys 0 to count-1, each once.
func source(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...), kgo.DefaultProduceTopic(topic(0)), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	for key := range count {
		client.Produce(ctx, kgo.KeySliceRecord([]byte(strconv.Itoa(key)), []byte("value")), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return fmt.Errorf("source: %w", *err)
	}
	return nil
}

// stage is one group: what it takes from one topic it writes to the next.
type stage struct {
	number int
	// How often each key was taken.
	seen  []atomic.Int32
	total atomic.Int64
	// How many members there were in all.
	lives atomic.Int32
	lock  sync.Mutex
	// The last offset taken of a partition.
	last map[int32]int64
}

func (s *stage) group() string { return fmt.Sprintf("%s-stage-%d", prefix, s.number) }

// seat is taken by one member after the other: each leaves when it has had its share, the last when all is done.
func (s *stage) seat(ctx context.Context, seat int) error {
	for life := 0; ; life++ {
		// The first three stay; the others come and go, each a little later than the one before.
		share := int64(count)
		if seat >= members/2 {
			share = int64(count)/80 + int64(seat*count/400) + 1
		}
		done, err := s.live(ctx, share)
		if err != nil || done {
			return err
		}
	}
}

// live is one member's life: true when the stage is done.
func (s *stage) live(ctx context.Context, share int64) (bool, error) {
	s.lives.Add(1)
	var client *kgo.Client
	var failed atomic.Pointer[error]
	fail := func(err error) { failed.CompareAndSwap(nil, &err) }
	commit := func(ctx context.Context) {
		// First what was taken is in the next topic, then it is committed: no record is lost. And no member dies: none comes twice.
		err := client.Flush(ctx)
		if err == nil {
			err = client.CommitUncommittedOffsets(ctx)
		}
		if err != nil {
			fail(fmt.Errorf("commit: %w", err))
		}
	}
	ready := make(chan struct{})
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(bootstrap...), kgo.ConsumerGroup(s.group()), kgo.ConsumeTopics(topic(s.number)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(20 * time.Second), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.DefaultProduceTopic(topic(s.number + 1)), kgo.ProducerLinger(0),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, _ map[string][]int32) { <-ready; commit(ctx) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			if len(lost) > 0 {
				fail(fmt.Errorf("lost %v", lost))
			}
		}),
	}, balancer...)...)
	if err != nil {
		return false, err
	}
	close(ready)
	defer client.CloseAllowingRebalance()
	for taken := int64(0); taken < share; {
		poll, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := client.PollRecords(poll, 1000)
		cancel()
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("%w, after %d of %d records", context.Cause(ctx), s.total.Load(), count)
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				return false, fmt.Errorf("poll: %w", e.Err)
			}
		}
		var wrong error
		fetches.EachRecord(func(record *kgo.Record) {
			if err := s.take(record); err != nil && wrong == nil {
				wrong = err
			}
			client.Produce(ctx, &kgo.Record{Key: record.Key, Value: record.Value}, func(_ *kgo.Record, err error) {
				if err != nil {
					fail(fmt.Errorf("produce: %w", err))
				}
			})
			taken++
		})
		if wrong != nil {
			return false, wrong
		}
		if !fetches.Empty() {
			commit(ctx)
		}
		client.AllowRebalance()
		if err := failed.Load(); err != nil {
			return false, *err
		}
		if s.total.Load() >= int64(count) {
			return true, s.settle(ctx)
		}
	}
	commit(ctx)
	if err := failed.Load(); err != nil {
		return false, *err
	}
	return false, nil
}

// settle gives a record that comes once too often the time to come.
func (s *stage) settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(500 * time.Millisecond):
		return nil
	}
}

func (s *stage) take(record *kgo.Record) error {
	key, err := strconv.Atoi(string(record.Key))
	if err != nil || key < 0 || key >= count {
		return fmt.Errorf("key %q", record.Key)
	}
	if times := s.seen[key].Add(1); times > 1 {
		return fmt.Errorf("key %d comes for the %d. time, at %d@%d", key, times, record.Partition, record.Offset)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if last, ok := s.last[record.Partition]; ok && record.Offset != last+1 || !ok && record.Offset != 0 {
		return fmt.Errorf("partition %d: offset %d after %d", record.Partition, record.Offset, last)
	}
	s.last[record.Partition] = record.Offset
	s.total.Add(1)
	return nil
}

// exact holds when every key was taken once.
func (s *stage) exact() error {
	for key := range s.seen {
		if times := s.seen[key].Load(); times != 1 {
			return fmt.Errorf("key %d was taken %d times", key, times)
		}
	}
	return nil
}
