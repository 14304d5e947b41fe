// A crowd with franz-go: many members in one group, or many partitions, come to rest, and do so again when every tenth has left.
// Run: crowd BOOTSTRAP PREFIX MEMBERS PARTITIONS BALANCER
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const within = 4 * time.Minute

// owners knows who has which partition.
type owners struct {
	lock       sync.Mutex
	of         map[int32]int
	partitions int
	wrong      error
}

func (o *owners) assigned(member int, partitions []int32) {
	o.lock.Lock()
	defer o.lock.Unlock()
	for _, partition := range partitions {
		if other, ok := o.of[partition]; ok && o.wrong == nil {
			o.wrong = fmt.Errorf("partition %d is assigned to %d while %d has it", partition, member, other)
		}
		o.of[partition] = member
	}
}

func (o *owners) released(member int, partitions []int32) {
	o.lock.Lock()
	defer o.lock.Unlock()
	for _, partition := range partitions {
		if o.of[partition] == member {
			delete(o.of, partition)
		}
	}
}

// settled holds when every partition has an owner and all of so many members have as many, give or take one.
func (o *owners) settled(members int) (bool, error) {
	o.lock.Lock()
	defer o.lock.Unlock()
	counts := map[int]int{}
	for _, member := range o.of {
		counts[member]++
	}
	least, most := o.partitions, 0
	for _, count := range counts {
		least, most = min(least, count), max(most, count)
	}
	working := min(members, o.partitions)
	return len(o.of) == o.partitions && len(counts) == working && most-least <= 1, o.wrong
}

func (o *owners) state() string {
	o.lock.Lock()
	defer o.lock.Unlock()
	members := map[int]bool{}
	for _, member := range o.of {
		members[member] = true
	}
	return fmt.Sprintf("%d of %d partitions with %d members", len(o.of), o.partitions, len(members))
}

func main() {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "usage: BOOTSTRAP PREFIX MEMBERS PARTITIONS BALANCER")
		os.Exit(2)
	}
	report := map[string]any{"client": "franz-go"}
	if err := run(report); err != nil {
		report["error"] = err.Error()
	}
	line, _ := json.Marshal(report)
	fmt.Println(string(line))
	if report["error"] != nil {
		os.Exit(1)
	}
}

func run(report map[string]any) error {
	bootstrap, topic := strings.Split(os.Args[1], ","), os.Args[2]
	count, _ := strconv.Atoi(os.Args[3])
	partitions, _ := strconv.Atoi(os.Args[4])
	balancer := map[string][]kgo.Opt{
		"range":              {kgo.Balancers(kgo.RangeBalancer())},
		"cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"consumer:uniform":   {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
	}[os.Args[5]]
	if balancer == nil || count == 0 || partitions == 0 {
		return fmt.Errorf("%q is no crowd", os.Args[3:])
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	one, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...))
	if err != nil {
		return err
	}
	defer one.Close()
	admin := kadm.NewClient(one)
	response, err := admin.CreateTopic(ctx, int32(min(partitions, 500)), 1, nil, topic)
	if err == nil {
		err = response.Err
	}
	// Little by little: a broker has files to make for each.
	for made := 1000; err == nil && made <= partitions; made += 500 {
		var more kadm.CreatePartitionsResponses
		if more, err = admin.UpdatePartitions(ctx, made, topic); err == nil {
			err = more.Error()
		}
	}
	if err != nil {
		return err
	}
	begun := time.Now()
	owned := &owners{of: map[int32]int{}, partitions: partitions}
	clients := make([]*kgo.Client, count)
	for i := range clients {
		clients[i], err = kgo.NewClient(append([]kgo.Opt{
			kgo.SeedBrokers(bootstrap...), kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.SessionTimeout(45 * time.Second), kgo.HeartbeatInterval(3 * time.Second), kgo.RebalanceTimeout(60 * time.Second),
			kgo.FetchMaxWait(5 * time.Second),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { owned.assigned(i, p[topic]) }),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { owned.released(i, p[topic]) }),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { owned.released(i, p[topic]) }),
		}, balancer...)...)
		if err != nil {
			return err
		}
		go func(client *kgo.Client) {
			for !client.PollFetches(ctx).IsClientClosed() && ctx.Err() == nil {
			}
		}(clients[i])
	}
	if err := rest(ctx, owned, count); err != nil {
		return fmt.Errorf("after the joins: %w", err)
	}
	joined := time.Since(begun)
	begun = time.Now()
	stay := count - count/10
	var leaving sync.WaitGroup
	for _, client := range clients[stay:] {
		leaving.Go(client.Close)
	}
	leaving.Wait()
	if err := rest(ctx, owned, stay); err != nil {
		return fmt.Errorf("after every tenth left: %w", err)
	}
	report["members"], report["partitions"] = count, partitions
	report["seconds"], report["left_seconds"] = joined.Seconds(), time.Since(begun).Seconds()
	return nil
}

// rest waits until the group has been settled for half a second.
func rest(ctx context.Context, owned *owners, members int) error {
	for held := 0; held < 5; {
		settled, err := owned.settled(members)
		if err != nil {
			return err
		}
		if held++; !settled {
			held = 0
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not at rest in time: %s", owned.state())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}
