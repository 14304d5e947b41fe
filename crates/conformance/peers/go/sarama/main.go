// sarama as a judge of a broker: the scenario of ../../README.md.
package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"peers/scenario"
)

type peer struct {
	*scenario.Run
	client sarama.Client
	admin  sarama.ClusterAdmin
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V4_0_0_0
	config.Producer.Return.Successes = true
	config.Consumer.Return.Errors = true
	return config
}

func main() {
	p := peer{Run: scenario.Start("sarama")}
	p.Check("connect", func() (err error) {
		if p.client, err = sarama.NewClient(p.Bootstrap, config()); err != nil {
			return err
		}
		p.admin, err = sarama.NewClusterAdminFromClient(p.client)
		return err
	})
	p.Check("create", p.create)
	p.Check("create-again", func() error {
		err := p.admin.CreateTopic(p.Topic, &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: 1}, false)
		if !errors.Is(err, sarama.ErrTopicAlreadyExists) {
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
	p.Check("out-of-range", func() error {
		consumer, err := sarama.NewConsumerFromClient(p.client)
		if err != nil {
			return err
		}
		_, err = consumer.ConsumePartition(p.Topic, 1, 1_000_000_000)
		if !errors.Is(err, sarama.ErrOffsetOutOfRange) {
			return fmt.Errorf("expected OFFSET_OUT_OF_RANGE, got %v", err)
		}
		return nil
	})
	p.Check("cluster", func() error {
		brokers, controller, err := p.admin.DescribeCluster()
		if err == nil && (len(brokers) == 0 || controller < 0) {
			err = fmt.Errorf("%d brokers, controller %d", len(brokers), controller)
		}
		return err
	})
	p.Check("configs", p.configs)
	p.Check("partitions", func() error {
		if err := p.admin.CreatePartitions(p.Topic, 6, nil, false); err != nil {
			return err
		}
		return scenario.Eventually("6 partitions", func() (bool, error) {
			if err := p.client.RefreshMetadata(p.Topic); err != nil {
				return false, err
			}
			partitions, err := p.client.Partitions(p.Topic)
			return len(partitions) == 6, err
		})
	})
	p.Check("delete-records", func() error {
		if err := p.admin.DeleteRecords(p.Topic, map[int32]int64{0: 1}); err != nil {
			return err
		}
		earliest, err := p.client.GetOffset(p.Topic, 0, sarama.OffsetOldest)
		return errors.Join(err, scenario.Same("earliest", 1, earliest))
	})
	p.Check("delete", func() error {
		if err := p.admin.DeleteTopic(p.Topic); err != nil {
			return err
		}
		return scenario.Eventually("topic gone", func() (bool, error) {
			topics, err := p.admin.ListTopics()
			_, there := topics[p.Topic]
			return err == nil && !there, err
		})
	})
	p.Finish()
}

func (p *peer) create() error {
	forever := "-1"
	err := p.admin.CreateTopic(p.Topic, &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &forever}}, false)
	if err != nil {
		return err
	}
	return scenario.Eventually("leaders", func() (bool, error) {
		described, err := p.admin.DescribeTopics([]string{p.Topic})
		if err != nil || len(described) != 1 || len(described[0].Partitions) != 4 {
			return false, err
		}
		for _, partition := range described[0].Partitions {
			if partition.Err != sarama.ErrNoError || partition.Leader < 0 || len(partition.Isr) != 1 {
				return false, partition.Err
			}
		}
		return true, p.client.RefreshMetadata(p.Topic)
	})
}

// bytesOrNull keeps null apart from empty: a nil slice must become a nil interface.
func bytesOrNull(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

func (p *peer) produce(round int) error {
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	config := config()
	config.Producer.Compression = codecs[round]
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	producer, err := sarama.NewSyncProducer(p.Bootstrap, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	records := make([]scenario.Record, p.Count)
	messages := make([]*sarama.ProducerMessage, p.Count)
	for i := range p.Count {
		records[i] = p.Record(round, i)
		messages[i] = &sarama.ProducerMessage{
			Topic: p.Topic, Key: bytesOrNull(records[i].Key), Value: bytesOrNull(records[i].Value), Timestamp: time.UnixMilli(records[i].Timestamp),
		}
		for _, header := range records[i].Headers {
			messages[i].Headers = append(messages[i].Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
	}
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	for i, message := range messages {
		records[i].Partition, records[i].Offset = message.Partition, message.Offset
	}
	return p.Acknowledged(records)
}

func (p *peer) consume() error {
	consumer, err := sarama.NewConsumerFromClient(p.client)
	if err != nil {
		return err
	}
	deadline := time.After(time.Minute)
	for partition := range int32(4) {
		if len(p.Sent[partition]) == 0 {
			continue
		}
		records, err := consumer.ConsumePartition(p.Topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		for index := range p.Sent[partition] {
			select {
			case message := <-records.Messages():
				got := scenario.Record{Key: message.Key, Value: message.Value, Timestamp: message.Timestamp.UnixMilli(), Partition: message.Partition, Offset: message.Offset}
				for _, header := range message.Headers {
					got.Headers = append(got.Headers, scenario.Header{Key: string(header.Key), Value: header.Value})
				}
				if err := p.Consumed(index, got); err != nil {
					return err
				}
			case err := <-records.Errors():
				return err
			case <-deadline:
				return fmt.Errorf("after 60 s only %d of %d records of partition %d", index, len(p.Sent[partition]), partition)
			}
		}
		if err := records.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) offsets() error {
	for partition := range int32(4) {
		for what, expected := range map[int64]int64{
			sarama.OffsetOldest: 0, sarama.OffsetNewest: int64(len(p.Sent[partition])), p.Middle(): p.FirstAtOrAfter(partition, p.Middle()),
			scenario.BaseTimestamp * 2: -1,
		} {
			offset, err := p.client.GetOffset(p.Topic, partition, what)
			if err := errors.Join(err, scenario.Same(fmt.Sprintf("partition %d, offset for %d", partition, what), expected, offset)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *peer) send(partition int32, acks sarama.RequiredAcks) error {
	config := config()
	config.Producer.RequiredAcks = acks
	config.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(p.Bootstrap, config)
	if err != nil {
		return err
	}
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: p.Topic, Partition: partition, Value: sarama.StringEncoder("acks")})
	return errors.Join(err, producer.Close())
}

func (p *peer) acks() error {
	before, err := p.client.GetOffset(p.Topic, 3, sarama.OffsetNewest)
	if err := errors.Join(err, p.send(3, sarama.WaitForLocal), p.send(3, sarama.NoResponse)); err != nil {
		return err
	}
	return scenario.Eventually("records with acks=1 and acks=0", func() (bool, error) {
		now, err := p.client.GetOffset(p.Topic, 3, sarama.OffsetNewest)
		return now == before+2, err
	})
}

func (p *peer) wakeup() error {
	config := config()
	config.Consumer.MaxWaitTime = 10 * time.Second
	consumer, err := sarama.NewConsumer(p.Bootstrap, config)
	if err != nil {
		return err
	}
	defer consumer.Close()
	records, err := consumer.ConsumePartition(p.Topic, 2, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	defer records.AsyncClose()
	select {
	case <-records.Messages():
		return errors.New("a record at the end")
	case <-time.After(time.Second):
	}
	if err := p.send(2, sarama.WaitForAll); err != nil {
		return err
	}
	select {
	case <-records.Messages():
		return nil
	case err := <-records.Errors():
		return err
	case <-time.After(3 * time.Second):
		return errors.New("no record within 3 s")
	}
}

func (p *peer) configs() error {
	retention := func() (sarama.ConfigEntry, error) {
		entries, err := p.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: p.Topic})
		for _, entry := range entries {
			if entry.Name == "retention.ms" {
				return entry, err
			}
		}
		return sarama.ConfigEntry{}, fmt.Errorf("retention.ms is not described (%w)", err)
	}
	entry, err := retention()
	if err := errors.Join(err, scenario.Same("retention.ms", "-1", entry.Value)); err != nil {
		return err
	}
	value := "3600000000000"
	for _, alter := range []struct {
		entry sarama.IncrementalAlterConfigsEntry
		want  string
	}{
		{sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}, value},
		{sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete}, "604800000"},
	} {
		err := p.admin.IncrementalAlterConfig(sarama.TopicResource, p.Topic, map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": alter.entry}, false)
		if err != nil {
			return err
		}
		if err := scenario.Eventually("retention.ms="+alter.want, func() (bool, error) {
			entry, err := retention()
			return entry.Value == alter.want, err
		}); err != nil {
			return err
		}
		if alter.want != value {
			// The records of this scenario are years old: they must outlive the default.
			if err := p.admin.IncrementalAlterConfig(sarama.TopicResource, p.Topic, map[string]sarama.IncrementalAlterConfigsEntry{
				"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
			}, false); err != nil {
				return err
			}
		}
	}
	return nil
}
