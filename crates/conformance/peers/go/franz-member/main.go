// franz-go as one member of a group: the programs of ../../README.md, "Members".
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"peers/member"
)

type program struct {
	*member.Member
	client *kgo.Client
	told   map[string]int64
}

func main() {
	p := &program{Member: member.Start(), told: map[string]int64{}}
	options := []kgo.Opt{
		kgo.SeedBrokers(p.Bootstrap...), kgo.ConsumerGroup(p.Group), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(p.Session), kgo.HeartbeatInterval(p.Session / 6),
		kgo.RebalanceTimeout(20 * time.Second), kgo.FetchMaxWait(200 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.MetadataMaxAge(2 * time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) { p.changed("assigned", assigned) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, revoked map[string][]int32) {
			if len(revoked) > 0 {
				p.commit()
			}
			p.changed("revoked", revoked)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { p.changed("lost", lost) }),
	}
	if strings.HasPrefix(p.Topic, "^") {
		options = append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics(p.Topic))
	} else {
		options = append(options, kgo.ConsumeTopics(strings.Split(p.Topic, ",")...))
	}
	if p.Instance != "" {
		options = append(options, kgo.InstanceID(p.Instance))
	}
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(),
		"cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	switch p.Assignor {
	case "consumer", "consumer:uniform":
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	case "consumer:range":
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	default:
		options = append(options, kgo.Balancers(balancers[p.Assignor]))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		p.Fail("new client", err)
	}
	p.client = client
	p.Client("franz-go")
	for {
		select {
		case command := <-p.Commands:
			switch command {
			case "offsets":
				p.offsets()
			case "leave":
				p.commit()
				client.CloseAllowingRebalance()
				p.Left()
				return
			}
		default:
			p.poll()
		}
	}
}

func (p *program) changed(event string, partitions map[string][]int32) {
	if len(partitions) == 0 {
		return
	}
	for topic, numbers := range partitions {
		for _, number := range numbers {
			delete(p.told, member.Name(topic, number))
		}
	}
	p.Owned(event, partitions)
}

func (p *program) poll() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	fetches := p.client.PollRecords(ctx, 100)
	defer p.client.AllowRebalance()
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			p.Fail("poll", failed.Err)
		}
	}
	fetches.EachPartition(func(partition kgo.FetchTopicPartition) {
		var values []string
		for i, record := range partition.Records {
			if first := partition.Records[0].Offset; record.Offset != first+int64(i) {
				p.Records(partition.Topic, partition.Partition, record.Offset, []string{string(record.Key) + ":" + string(record.Value)})
				continue
			}
			values = append(values, string(record.Key)+":"+string(record.Value))
		}
		if len(values) > 0 {
			p.Records(partition.Topic, partition.Partition, partition.Records[0].Offset, values)
		}
	})
	if !fetches.Empty() {
		p.Process()
		p.commit()
	}
}

func (p *program) commit() {
	err := p.client.CommitUncommittedOffsets(context.Background())
	for _, later := range []error{kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.StaleMemberEpoch} {
		if errors.Is(err, later) {
			// A rebalance goes on, or it was thought dead: it will hear.
			fmt.Fprintln(os.Stderr, "commit:", err)
			return
		}
	}
	if err != nil {
		p.Fail("commit", err)
	}
	committed := map[string]int64{}
	for topic, partitions := range p.client.CommittedOffsets() {
		for number, offset := range partitions {
			if name := member.Name(topic, number); p.told[name] != offset.Offset {
				committed[name] = offset.Offset
			}
		}
	}
	maps.Copy(p.told, committed)
	p.Committed(committed)
}

func (p *program) offsets() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	admin := kadm.NewClient(p.client)
	fetched, err := admin.FetchOffsets(ctx, p.Group)
	if err != nil {
		p.Fail("fetch offsets", err)
	}
	committed, end := map[string]int64{}, map[string]int64{}
	fetched.Each(func(offset kadm.OffsetResponse) {
		if offset.Err != nil {
			p.Fail("fetch offsets", offset.Err)
		}
		committed[member.Name(offset.Topic, offset.Partition)] = offset.At
	})
	ends, err := admin.ListEndOffsets(ctx, fetched.Offsets().TopicsSet().Topics()...)
	if err != nil {
		p.Fail("end offsets", err)
	}
	ends.Each(func(offset kadm.ListedOffset) { end[member.Name(offset.Topic, offset.Partition)] = offset.Offset })
	p.Offsets(committed, end)
}
