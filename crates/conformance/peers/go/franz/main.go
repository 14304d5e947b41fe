// franz-go as a judge of a broker: the scenario of ../../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"peers/scenario"
)

type peer struct {
	*scenario.Run
	client *kgo.Client
	admin  *kadm.Client
	ctx    context.Context
}

func main() {
	p := peer{Run: scenario.Start("franz-go")}
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Second)
	defer cancel()
	p.ctx = ctx
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Bootstrap...))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	p.client, p.admin = client, kadm.NewClient(client)

	p.Check("create", p.create)
	p.Check("create-again", func() error {
		response, err := p.admin.CreateTopic(ctx, 4, 1, nil, p.Topic)
		if err == nil {
			err = response.Err
		}
		if !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("expected TOPIC_ALREADY_EXISTS, got %v", err)
		}
		return nil
	})
	for round, codec := range scenario.Codecs {
		p.Check("produce-"+codec, func() error { return p.produce(round) })
	}
	p.Check("consume", p.consume)
	p.Check("offsets", p.offsets)
	p.Check("acks", p.acks)
	p.Check("wakeup", p.wakeup)
	p.Check("out-of-range", p.outOfRange)
	p.Check("cluster", p.cluster)
	p.Check("configs", p.configs)
	p.Check("partitions", func() error {
		responses, err := p.admin.UpdatePartitions(ctx, 6, p.Topic)
		if err != nil {
			return err
		}
		if err := responses.Error(); err != nil {
			return err
		}
		return scenario.Eventually("6 partitions", func() (bool, error) {
			topics, err := p.admin.ListTopics(ctx, p.Topic)
			return err == nil && len(topics[p.Topic].Partitions) == 6, err
		})
	})
	p.Check("delete-records", func() error {
		request := kadm.Offsets{}
		request.AddOffset(p.Topic, 0, 1, -1)
		responses, err := p.admin.DeleteRecords(ctx, request)
		if err != nil {
			return err
		}
		if err := responses.Error(); err != nil {
			return err
		}
		earliest, err := p.admin.ListStartOffsets(ctx, p.Topic)
		if err != nil {
			return err
		}
		found, _ := earliest.Lookup(p.Topic, 0)
		return scenario.Same("earliest", 1, found.Offset)
	})
	p.Check("delete", func() error {
		response, err := p.admin.DeleteTopic(ctx, p.Topic)
		if err == nil {
			err = response.Err
		}
		if err != nil {
			return err
		}
		return scenario.Eventually("topic gone", func() (bool, error) {
			topics, err := p.admin.ListTopics(ctx)
			return err == nil && !topics.Has(p.Topic), err
		})
	})
	p.Finish()
}

func (p *peer) create() error {
	response, err := p.admin.CreateTopic(p.ctx, 4, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, p.Topic)
	if err == nil {
		err = response.Err
	}
	if err != nil {
		return err
	}
	return scenario.Eventually("leaders", func() (bool, error) {
		topics, err := p.admin.ListTopics(p.ctx, p.Topic)
		if err != nil || len(topics[p.Topic].Partitions) != 4 || topics[p.Topic].ID == (kadm.TopicID{}) {
			return false, err
		}
		for _, partition := range topics[p.Topic].Partitions {
			if partition.Err != nil || partition.Leader < 0 || len(partition.ISR) != 1 {
				return false, partition.Err
			}
		}
		return true, nil
	})
}

func (p *peer) producer(codec string, options ...kgo.Opt) (*kgo.Client, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.Bootstrap...), kgo.DefaultProduceTopic(p.Topic), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.ProducerLinger(5 * time.Millisecond),
	}, options...)...)
}

func (p *peer) produce(round int) error {
	client, err := p.producer(scenario.Codecs[round])
	if err != nil {
		return err
	}
	defer client.Close()
	var lock sync.Mutex
	var sent []scenario.Record
	var failed error
	for i := range p.Count {
		record := p.Record(round, i)
		out := &kgo.Record{Key: record.Key, Value: record.Value, Timestamp: time.UnixMilli(record.Timestamp)}
		for _, header := range record.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
		}
		client.Produce(p.ctx, out, func(r *kgo.Record, err error) {
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failed = err
				return
			}
			record.Partition, record.Offset = r.Partition, r.Offset
			sent = append(sent, record)
		})
	}
	if err := client.Flush(p.ctx); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	slices.SortFunc(sent, func(a, b scenario.Record) int { return int(a.Offset - b.Offset) })
	return p.Acknowledged(sent)
}

func (p *peer) consumer(offset kgo.Offset, partitions []int32, options ...kgo.Opt) (*kgo.Client, error) {
	assigned := map[int32]kgo.Offset{}
	for _, partition := range partitions {
		assigned[partition] = offset
	}
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.Bootstrap...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: assigned}),
	}, options...)...)
}

func (p *peer) consume() error {
	client, err := p.consumer(kgo.NewOffset().AtStart(), []int32{0, 1, 2, 3})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	next := map[int32]int{}
	for seen := 0; seen < p.Total(); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("after %d of %d records: %w", seen, p.Total(), err)
		}
		for record := range fetches.RecordsAll() {
			got := scenario.Record{Key: record.Key, Value: record.Value, Timestamp: record.Timestamp.UnixMilli(), Partition: record.Partition, Offset: record.Offset}
			for _, header := range record.Headers {
				got.Headers = append(got.Headers, scenario.Header{Key: header.Key, Value: header.Value})
			}
			if err := p.Consumed(next[got.Partition], got); err != nil {
				return err
			}
			next[got.Partition]++
			seen++
		}
	}
	return nil
}

func (p *peer) offsets() error {
	earliest, err := p.admin.ListStartOffsets(p.ctx, p.Topic)
	if err != nil {
		return err
	}
	latest, err := p.admin.ListEndOffsets(p.ctx, p.Topic)
	if err != nil {
		return err
	}
	middle, err := p.admin.ListOffsetsAfterMilli(p.ctx, p.Middle(), p.Topic)
	if err != nil {
		return err
	}
	for partition := range int32(4) {
		at := func(offsets kadm.ListedOffsets) int64 {
			found, ok := offsets.Lookup(p.Topic, partition)
			if !ok || found.Err != nil {
				return -100
			}
			return found.Offset
		}
		end := int64(len(p.Sent[partition]))
		// kadm answers with the end where no record is at or after the time.
		byTime := p.FirstAtOrAfter(partition, p.Middle())
		if byTime == -1 {
			byTime = end
		}
		if err := errors.Join(
			scenario.Same("earliest", 0, at(earliest)), scenario.Same("latest", end, at(latest)), scenario.Same("offset by time", byTime, at(middle)),
		); err != nil {
			return fmt.Errorf("partition %d: %w", partition, err)
		}
	}
	return nil
}

func (p *peer) latest(partition int32) (int64, error) {
	listed, err := p.admin.ListEndOffsets(p.ctx, p.Topic)
	if err != nil {
		return 0, err
	}
	found, _ := listed.Lookup(p.Topic, partition)
	return found.Offset, found.Err
}

func (p *peer) acks() error {
	before, err := p.latest(3)
	if err != nil {
		return err
	}
	for _, acks := range []kgo.Acks{kgo.LeaderAck(), kgo.NoAck()} {
		client, err := p.producer("none", kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			return err
		}
		err = client.ProduceSync(p.ctx, &kgo.Record{Partition: 3, Value: []byte("acks")}).FirstErr()
		client.Close()
		if err != nil {
			return err
		}
	}
	return scenario.Eventually("records with acks=1 and acks=0", func() (bool, error) {
		now, err := p.latest(3)
		return now == before+2, err
	})
}

func (p *peer) wakeup() error {
	consumer, err := p.consumer(kgo.NewOffset().AtEnd(), []int32{2}, kgo.FetchMaxWait(10*time.Second))
	if err != nil {
		return err
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	if n := consumer.PollFetches(ctx).NumRecords(); n != 0 {
		return fmt.Errorf("%d records at the end", n)
	}
	producer, err := p.producer("none", kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.ProduceSync(p.ctx, &kgo.Record{Partition: 2, Value: []byte("wake up")}).FirstErr(); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(p.ctx, 3*time.Second)
	defer cancel()
	if n := consumer.PollFetches(ctx).NumRecords(); n != 1 {
		return fmt.Errorf("%d records within 3 s", n)
	}
	return nil
}

func (p *peer) outOfRange() error {
	consumer, err := p.consumer(kgo.NewOffset().At(1_000_000_000), []int32{1}, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err != nil {
		return err
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	for _, e := range consumer.PollFetches(ctx).Errors() {
		if errors.Is(e.Err, kerr.OffsetOutOfRange) {
			return nil
		}
		return e.Err
	}
	return errors.New("no error")
}

func (p *peer) cluster() error {
	metadata, err := p.admin.BrokerMetadata(p.ctx)
	if err != nil {
		return err
	}
	if metadata.Cluster == "" || metadata.Controller < 0 || len(metadata.Brokers) == 0 {
		return fmt.Errorf("cluster %q, controller %d, %d brokers", metadata.Cluster, metadata.Controller, len(metadata.Brokers))
	}
	_, err = p.admin.ApiVersions(p.ctx)
	return err
}

func (p *peer) retention() (kadm.Config, error) {
	configs, err := p.admin.DescribeTopicConfigs(p.ctx, p.Topic)
	if err != nil {
		return kadm.Config{}, err
	}
	resource, err := configs.On(p.Topic, nil)
	if err == nil {
		err = resource.Err
	}
	for _, config := range resource.Configs {
		if config.Key == "retention.ms" {
			return config, err
		}
	}
	return kadm.Config{}, fmt.Errorf("retention.ms is not described (%w)", err)
}

func (p *peer) configs() error {
	config, err := p.retention()
	if err != nil {
		return err
	}
	if err := scenario.Same("retention.ms", "-1", config.MaybeValue()); err != nil {
		return err
	}
	for _, alter := range []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("3600000000000")}, {Op: kadm.DeleteConfig, Name: "retention.ms"},
		{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("-1")},
	} {
		responses, err := p.admin.AlterTopicConfigs(p.ctx, []kadm.AlterConfig{alter}, p.Topic)
		if err != nil {
			return err
		}
		if response, err := responses.On(p.Topic, nil); err != nil || response.Err != nil {
			return errors.Join(err, response.Err)
		}
		want := "604800000"
		if alter.Value != nil {
			want = *alter.Value
		}
		if err := scenario.Eventually("retention.ms="+want, func() (bool, error) {
			config, err := p.retention()
			return config.MaybeValue() == want, err
		}); err != nil {
			return err
		}
	}
	return nil
}
