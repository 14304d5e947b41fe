// Apache Kafka's Java client as the other end of an exchange with a client under judgement.
//   java -cp 'LIBS/*' Exchange.java write BOOTSTRAP TOPIC COUNT   writes COUNT records in every codec and prints each as acknowledged
//   java -cp 'LIBS/*' Exchange.java read BOOTSTRAP TOPIC          prints every record from the beginning to the end
// A record is a line: partition offset timestamp key value header=value..., bytes as `x` and hexadecimal digits, null as `~`.

import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Exchange {
  static final PrintStream OUT = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false, StandardCharsets.UTF_8);

  public static void main(String[] args) throws Exception {
    if (args[0].equals("write")) write(args[1], args[2], Integer.parseInt(args[3]));
    else read(args[1], args[2]);
    OUT.flush();
    System.exit(OUT.checkError() ? 1 : 0);
  }

  static void write(String bootstrap, String topic, int count) throws Exception {
    int round = 0;
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      Properties properties = new Properties();
      properties.put("bootstrap.servers", bootstrap);
      properties.put("compression.type", codec);
      properties.put("linger.ms", "5");
      try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (int i = 0; i < count; i++) {
          byte[] key = i % 10 == 0 ? null : i % 10 == 1 ? new byte[0] : bytes("key-" + i % 17);
          byte[] value = i % 11 == 0 ? null : i % 11 == 1 ? new byte[0] : bytes(codec + "-" + i + "-" + "x".repeat(i % 200));
          if (i == count - 1) value = bytes("y".repeat(300_000));
          var record = new ProducerRecord<>(topic, null, 1_700_000_000_000L + (round * (long) count + i) * 10, key, value);
          if (i % 3 == 1) record.headers().add("trace", bytes("t-" + i));
          if (i % 3 == 2) {
            record.headers().add("dup", bytes("1")).add("dup", bytes("2")).add("null", (byte[]) null).add("empty", new byte[0]);
          }
          records.add(record);
          futures.add(producer.send(record));
        }
        for (int i = 0; i < count; i++) {
          RecordMetadata at = futures.get(i).get(30, TimeUnit.SECONDS);
          var record = records.get(i);
          line(at.partition(), at.offset(), record.timestamp(), record.key(), record.value(), record.headers());
        }
      }
      round++;
    }
  }

  static void read(String bootstrap, String topic) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("auto.offset.reset", "none");
    properties.put("enable.auto.commit", "false");
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
      if (partitions.isEmpty()) throw new AssertionError("the broker knows no topic " + topic);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      long deadline = System.nanoTime() + 120_000_000_000L;
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        if (System.nanoTime() > deadline) throw new AssertionError("not read to the end within 120 s");
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500))) {
          line(r.partition(), r.offset(), r.timestamp(), r.key(), r.value(), r.headers());
        }
      }
    }
  }

  static void line(int partition, long offset, long timestamp, byte[] key, byte[] value, Headers headers) {
    StringBuilder line = new StringBuilder();
    line.append(partition).append(' ').append(offset).append(' ').append(timestamp).append(' ').append(text(key)).append(' ').append(text(value));
    for (Header header : headers) line.append(' ').append(header.key()).append('=').append(text(header.value()));
    OUT.println(line);
  }

  static String text(byte[] bytes) {
    return bytes == null ? "~" : "x" + HexFormat.of().formatHex(bytes);
  }

  static byte[] bytes(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }
}
