// sarama as one member of a group: the programs of ../../README.md, "Members".
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"peers/member"
)

type program struct {
	*member.Member
	client sarama.Client
	admin  sarama.ClusterAdmin
}

func main() {
	p := &program{Member: member.Start()}
	if os.Getenv("DEBUG") != "" {
		sarama.Logger = log.New(os.Stderr, "", log.Lmicroseconds)
	}
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = p.Session
	config.Consumer.Group.Heartbeat.Interval = p.Session / 6
	config.Consumer.Group.Rebalance.Timeout = 20 * time.Second
	config.Consumer.Group.InstanceId = p.Instance
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	config.Consumer.Return.Errors = true
	config.Metadata.RefreshFrequency = 2 * time.Second
	strategies := map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(),
		"sticky": sarama.NewBalanceStrategySticky(), "cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky(),
	}
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[p.Assignor]}
	client, err := sarama.NewClient(p.Bootstrap, config)
	if err != nil {
		p.Fail("new client", err)
	}
	p.client = client
	group, err := sarama.NewConsumerGroupFromClient(p.Group, client)
	if err != nil {
		p.Fail("new group", err)
	}
	if p.admin, err = sarama.NewClusterAdminFromClient(client); err != nil {
		p.Fail("admin", err)
	}
	p.Client("sarama")
	go func() {
		for err := range group.Errors() {
			log.Print(err)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, strings.Split(p.Topic, ","), p); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				p.Fail("consume", err)
			}
		}
	}()
	for command := range p.Commands {
		switch command {
		case "offsets":
			p.offsets()
		case "leave":
			cancel()
			<-done
			if err := group.Close(); err != nil {
				p.Fail("close", err)
			}
			p.Left()
			return
		}
	}
}

func (p *program) Setup(sarama.ConsumerGroupSession) error { return nil }

func (p *program) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// commits of one session one after the other: each takes all marks.
var commits sync.Mutex

func (p *program) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	mine := map[string][]int32{claim.Topic(): {claim.Partition()}}
	p.Owned("assigned", mine)
	// The next offset to read, and up to where the coordinator has it.
	next, committed := int64(-1), int64(-1)
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for open := true; open; {
		select {
		case message, ok := <-claim.Messages():
			if open = ok; !ok {
				break
			}
			next = p.take(session, claim, message)
			p.Process()
			committed = p.commit(session, claim, committed)
		case <-again.C:
			// What could not be committed before.
			if committed < next {
				committed = p.commit(session, claim, committed)
			}
		}
	}
	if committed < next {
		p.commit(session, claim, committed)
	}
	p.Owned("revoked", mine)
	return nil
}

// take tells of a message and of those that wait behind it, and marks them.
func (p *program) take(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim, message *sarama.ConsumerMessage) int64 {
	first, next, values := message.Offset, message.Offset, []string(nil)
	for taken := 0; ; {
		if message.Offset != next {
			p.Records(claim.Topic(), claim.Partition(), first, values)
			first, next, values = message.Offset, message.Offset, nil
		}
		values, next = append(values, string(message.Key)+":"+string(message.Value)), next+1
		session.MarkMessage(message, "")
		if taken++; taken == 100 {
			break
		}
		var more bool
		select {
		case message, more = <-claim.Messages():
		default:
		}
		if !more {
			break
		}
	}
	p.Records(claim.Topic(), claim.Partition(), first, values)
	return next
}

// commit commits all marks. It does not tell whether that succeeded, so the coordinator is asked.
func (p *program) commit(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim, before int64) int64 {
	commits.Lock()
	defer commits.Unlock()
	session.Commit()
	topic, partition := claim.Topic(), claim.Partition()
	fetched, err := p.admin.ListConsumerGroupOffsets(p.Group, map[string][]int32{topic: {partition}})
	if err != nil {
		log.Print(err)
		return before
	}
	block := fetched.GetBlock(topic, partition)
	if block == nil || block.Err != sarama.ErrNoError || block.Offset <= before {
		return before
	}
	p.Committed(map[string]int64{member.Name(topic, partition): block.Offset})
	return block.Offset
}

func (p *program) offsets() {
	topics := map[string][]int32{}
	committed, end := map[string]int64{}, map[string]int64{}
	for _, topic := range strings.Split(p.Topic, ",") {
		partitions, err := p.client.Partitions(topic)
		if err != nil {
			p.Fail("partitions", err)
		}
		topics[topic] = partitions
		for _, partition := range partitions {
			offset, err := p.client.GetOffset(topic, partition, sarama.OffsetNewest)
			if err != nil {
				p.Fail("end offset", err)
			}
			end[member.Name(topic, partition)] = offset
		}
	}
	fetched, err := p.admin.ListConsumerGroupOffsets(p.Group, topics)
	if err != nil {
		p.Fail("fetch offsets", err)
	}
	for topic, partitions := range fetched.Blocks {
		for partition, block := range partitions {
			if block.Err != sarama.ErrNoError {
				p.Fail("fetch offsets", block.Err)
			}
			committed[member.Name(topic, partition)] = block.Offset
		}
	}
	p.Offsets(committed, end)
}
