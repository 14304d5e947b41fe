// Apache Kafka's Java client as a judge of a broker: the scenario of ../README.md.
// Run: java -cp 'LIBS/*' Peer.java BOOTSTRAP TOPIC_PREFIX COUNT

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Peer {
  static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
  static final long BASE_TIMESTAMP = 1_700_000_000_000L;

  final String bootstrap;
  final String topic;
  final int count;
  final List<String> done = new ArrayList<>();
  final Map<TopicPartition, List<Sent>> sent = new HashMap<>();
  String current = "start";

  record Sent(long offset, ProducerRecord<byte[], byte[]> record) {}

  interface Check {
    void run() throws Exception;
  }

  Peer(String bootstrap, String topic, int count) {
    this.bootstrap = bootstrap;
    this.topic = topic;
    this.count = count;
  }

  public static void main(String[] args) {
    Peer peer = new Peer(args[0], args[1], Integer.parseInt(args[2]));
    String client = "java " + org.apache.kafka.common.utils.AppInfoParser.getVersion();
    String checks;
    try {
      peer.scenario();
      checks = peer.done.stream().map(Peer::quote).collect(Collectors.joining(","));
      System.out.printf("{\"client\":%s,\"ok\":true,\"checks\":[%s]}%n", quote(client), checks);
      System.exit(0);
    } catch (Throwable error) {
      error.printStackTrace();
      checks = peer.done.stream().map(Peer::quote).collect(Collectors.joining(","));
      System.out.printf("{\"client\":%s,\"ok\":false,\"checks\":[%s],\"failed\":%s,\"error\":%s}%n",
          quote(client), checks, quote(peer.current), quote(error.toString()));
      System.exit(1);
    }
  }

  void scenario() throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("default.api.timeout.ms", "20000");
    properties.put("request.timeout.ms", "10000");
    try (Admin admin = Admin.create(properties)) {
      check("create", () -> create(admin));
      check("create-again", () -> {
        try {
          get(admin.createTopics(List.of(new NewTopic(topic, 4, (short) 1))).all());
          throw new AssertionError("a second creation was accepted");
        } catch (ExecutionException e) {
          if (!(e.getCause() instanceof TopicExistsException)) throw e;
        }
      });
      for (int round = 0; round < CODECS.length; round++) {
        int r = round;
        check("produce-" + CODECS[r], () -> produce(r));
      }
      check("consume", this::consume);
      check("offsets", () -> offsets(admin));
      check("acks", () -> acks(admin));
      check("wakeup", () -> wakeup(admin));
      check("out-of-range", this::outOfRange);
      check("cluster", () -> {
        var cluster = admin.describeCluster();
        require(!get(cluster.nodes()).isEmpty(), "no nodes");
        require(get(cluster.controller()) != null, "no controller");
        require(get(cluster.clusterId()) != null, "no cluster id");
      });
      check("configs", () -> configs(admin));
      check("partitions", () -> {
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(6))).all());
        awaitTrue("6 partitions", () -> describe(admin).partitions().size() == 6);
      });
      check("delete-records", () -> {
        TopicPartition partition = new TopicPartition(topic, 0);
        var result = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(1)));
        same("low watermark", 1L, get(result.lowWatermarks().get(partition)).lowWatermark());
        same("earliest", 1L, offset(admin, partition, OffsetSpec.earliest()).offset());
      });
      check("delete", () -> {
        get(admin.deleteTopics(List.of(topic)).all());
        awaitTrue("topic gone", () -> !get(admin.listTopics().names()).contains(topic));
      });
    }
  }

  void create(Admin admin) throws Exception {
    NewTopic request = new NewTopic(topic, 4, (short) 1).configs(Map.of("retention.ms", "-1"));
    var result = admin.createTopics(List.of(request));
    get(result.all());
    same("partitions answered", 4, get(result.numPartitions(topic)));
    require(get(result.topicId(topic)) != null, "no topic id");
    awaitTrue("leaders", () -> {
      TopicDescription description = describe(admin);
      return description.partitions().size() == 4
          && description.partitions().stream().allMatch(p -> p.leader() != null && p.isr().size() == 1);
    });
    require(get(admin.listTopics().names()).contains(topic), "not listed");
  }

  ProducerRecord<byte[], byte[]> record(int round, int i) {
    byte[] key = i % 10 == 0 ? null : i % 10 == 1 ? new byte[0] : bytes("key-" + i % 17);
    byte[] value = i % 11 == 0 ? null : i % 11 == 1 ? new byte[0] : bytes(CODECS[round] + "-" + i + "-" + "x".repeat(i % 200));
    if (i == count - 1) value = bytes("y".repeat(300_000));
    List<Header> headers = new ArrayList<>();
    if (i % 3 == 1) headers.add(new RecordHeader("trace", bytes("t-" + i)));
    if (i % 3 == 2) {
      headers.add(new RecordHeader("dup", bytes("1")));
      headers.add(new RecordHeader("dup", bytes("2")));
      headers.add(new RecordHeader("null", (byte[]) null));
      headers.add(new RecordHeader("empty", new byte[0]));
    }
    return new ProducerRecord<>(topic, null, BASE_TIMESTAMP + ((long) round * count + i) * 10, key, value, headers);
  }

  KafkaProducer<byte[], byte[]> producer(String codec, String acks) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("compression.type", codec);
    properties.put("acks", acks);
    properties.put("enable.idempotence", String.valueOf(acks.equals("all")));
    properties.put("linger.ms", "5");
    properties.put("delivery.timeout.ms", "30000");
    properties.put("request.timeout.ms", "10000");
    properties.put("max.block.ms", "20000");
    return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  void produce(int round) throws Exception {
    try (var producer = producer(CODECS[round], "all")) {
      List<Future<RecordMetadata>> futures = new ArrayList<>();
      List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        ProducerRecord<byte[], byte[]> record = record(round, i);
        records.add(record);
        futures.add(producer.send(record));
      }
      for (int i = 0; i < count; i++) {
        RecordMetadata metadata = futures.get(i).get(30, TimeUnit.SECONDS);
        same("timestamp acknowledged", records.get(i).timestamp(), metadata.timestamp());
        TopicPartition partition = new TopicPartition(topic, metadata.partition());
        sent.computeIfAbsent(partition, p -> new ArrayList<>()).add(new Sent(metadata.offset(), records.get(i)));
      }
    }
    for (var entry : sent.entrySet()) {
      long expected = 0;
      for (Sent s : entry.getValue()) same("offset in " + entry.getKey(), expected++, s.offset);
    }
  }

  KafkaConsumer<byte[], byte[]> consumer(String maxWait) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("auto.offset.reset", "none");
    properties.put("enable.auto.commit", "false");
    properties.put("fetch.max.wait.ms", maxWait);
    properties.put("default.api.timeout.ms", "20000");
    return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  List<TopicPartition> partitions() {
    return IntStream.range(0, 4).mapToObj(p -> new TopicPartition(topic, p)).collect(Collectors.toList());
  }

  void consume() {
    int total = CODECS.length * count;
    try (var consumer = consumer("500")) {
      consumer.assign(partitions());
      consumer.seekToBeginning(partitions());
      long deadline = System.nanoTime() + 60_000_000_000L;
      int seen = 0;
      Map<TopicPartition, Integer> next = new HashMap<>();
      while (seen < total) {
        require(System.nanoTime() < deadline, "after 60 s only " + seen + " of " + total + " records");
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
          TopicPartition partition = new TopicPartition(record.topic(), record.partition());
          int index = next.merge(partition, 1, Integer::sum) - 1;
          List<Sent> expected = sent.getOrDefault(partition, List.of());
          require(index < expected.size(), "more records in " + partition + " than were sent");
          compare(expected.get(index), record);
          seen++;
        }
      }
    }
  }

  void compare(Sent expected, ConsumerRecord<byte[], byte[]> record) {
    String at = record.topic() + "-" + record.partition() + "@" + record.offset();
    same(at + " offset", expected.offset, record.offset());
    same(at + " timestamp", expected.record.timestamp(), record.timestamp());
    require(Arrays.equals(expected.record.key(), record.key()), at + " key: " + text(expected.record.key()) + " became " + text(record.key()));
    require(Arrays.equals(expected.record.value(), record.value()), at + " value: " + text(expected.record.value()) + " became " + text(record.value()));
    Header[] a = expected.record.headers().toArray();
    Header[] b = record.headers().toArray();
    same(at + " header count", a.length, b.length);
    for (int i = 0; i < a.length; i++) {
      same(at + " header key", a[i].key(), b[i].key());
      require(Arrays.equals(a[i].value(), b[i].value()), at + " header " + a[i].key() + ": " + text(a[i].value()) + " became " + text(b[i].value()));
    }
  }

  void offsets(Admin admin) throws Exception {
    long middle = BASE_TIMESTAMP + (long) CODECS.length * count / 2 * 10 - 5;
    for (TopicPartition partition : partitions()) {
      List<Sent> records = sent.getOrDefault(partition, List.of());
      same(partition + " earliest", 0L, offset(admin, partition, OffsetSpec.earliest()).offset());
      same(partition + " latest", (long) records.size(), offset(admin, partition, OffsetSpec.latest()).offset());
      if (records.isEmpty()) continue;
      Sent first = records.stream().filter(s -> s.record.timestamp() >= middle).findFirst().orElse(null);
      ListOffsetsResultInfo found = offset(admin, partition, OffsetSpec.forTimestamp(middle));
      same(partition + " offset by time", first == null ? -1L : first.offset, found.offset());
      same(partition + " timestamp by time", first == null ? -1L : first.record.timestamp(), found.timestamp());
      same(partition + " after the last", -1L, offset(admin, partition, OffsetSpec.forTimestamp(BASE_TIMESTAMP * 2)).offset());
      Sent newest = Collections.max(records, (x, y) -> Long.compare(x.record.timestamp(), y.record.timestamp()));
      same(partition + " of the largest timestamp", newest.offset, offset(admin, partition, OffsetSpec.maxTimestamp()).offset());
    }
  }

  void acks(Admin admin) throws Exception {
    TopicPartition partition = new TopicPartition(topic, 3);
    long before = offset(admin, partition, OffsetSpec.latest()).offset();
    try (var producer = producer("none", "1")) {
      RecordMetadata metadata = producer.send(new ProducerRecord<>(topic, 3, null, bytes("acks"))).get(20, TimeUnit.SECONDS);
      same("offset with acks=1", before, metadata.offset());
    }
    try (var producer = producer("lz4", "0")) {
      for (int i = 0; i < 3; i++) producer.send(new ProducerRecord<>(topic, 3, null, bytes("no acks"))).get(20, TimeUnit.SECONDS);
    }
    awaitTrue("records without acks", () -> offset(admin, partition, OffsetSpec.latest()).offset() == before + 4);
  }

  void wakeup(Admin admin) throws Exception {
    TopicPartition partition = new TopicPartition(topic, 2);
    try (var consumer = consumer("10000"); var producer = producer("none", "all")) {
      consumer.assign(List.of(partition));
      consumer.seekToEnd(List.of(partition));
      consumer.position(partition);
      require(consumer.poll(Duration.ofMillis(1000)).isEmpty(), "a record at the end");
      producer.send(new ProducerRecord<>(topic, 2, null, bytes("wake up"))).get(20, TimeUnit.SECONDS);
      long start = System.nanoTime();
      while (consumer.poll(Duration.ofMillis(100)).isEmpty()) {
        require(System.nanoTime() - start < 3_000_000_000L, "no record within 3 s");
      }
    }
  }

  void outOfRange() {
    TopicPartition partition = new TopicPartition(topic, 1);
    try (var consumer = consumer("500")) {
      consumer.assign(List.of(partition));
      consumer.seek(partition, 1_000_000_000L);
      for (int i = 0; i < 40; i++) consumer.poll(Duration.ofMillis(250));
      throw new AssertionError("no error within 10 s");
    } catch (OffsetOutOfRangeException expected) {
      // What Kafka answers.
    }
  }

  void configs(Admin admin) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    ConfigEntry entry = config(admin, resource).get("retention.ms");
    require(entry != null, "retention.ms is not described");
    same("retention.ms", "-1", entry.value());
    same("source", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, entry.source());
    require(config(admin, resource).get("cleanup.policy").isDefault(), "cleanup.policy is not a default");
    AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "3600000000000"), AlterConfigOp.OpType.SET);
    get(admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all());
    awaitTrue("retention.ms set", () -> "3600000000000".equals(config(admin, resource).get("retention.ms").value()));
    AlterConfigOp delete = new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE);
    get(admin.incrementalAlterConfigs(Map.of(resource, List.of(delete))).all());
    awaitTrue("retention.ms back to its default", () -> config(admin, resource).get("retention.ms").isDefault());
    get(admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all());
  }

  static Config config(Admin admin, ConfigResource resource) throws Exception {
    return get(admin.describeConfigs(List.of(resource)).all()).get(resource);
  }

  TopicDescription describe(Admin admin) throws Exception {
    return get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
  }

  static ListOffsetsResultInfo offset(Admin admin, TopicPartition partition, OffsetSpec spec) throws Exception {
    return get(admin.listOffsets(Map.of(partition, spec)).partitionResult(partition));
  }

  void check(String name, Check check) throws Exception {
    current = name;
    check.run();
    done.add(name);
  }

  interface Condition {
    boolean holds() throws Exception;
  }

  static void awaitTrue(String what, Condition condition) throws Exception {
    Exception last = null;
    for (int i = 0; i < 100; i++) {
      try {
        if (condition.holds()) return;
      } catch (ExecutionException e) {
        last = e;
      }
      Thread.sleep(100);
    }
    throw new AssertionError("not within 10 s: " + what, last);
  }

  static <T> T get(KafkaFuture<T> future) throws Exception {
    return future.get(30, TimeUnit.SECONDS);
  }

  static byte[] bytes(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] b) {
    if (b == null) return "null";
    String s = new String(b, StandardCharsets.UTF_8);
    return "'" + (s.length() > 40 ? s.substring(0, 40) + "..." + s.length() : s) + "'";
  }

  static void same(String what, Object expected, Object actual) {
    require(Objects.equals(expected, actual), what + ": expected " + expected + ", got " + actual);
  }

  static void require(boolean holds, String what) {
    if (!holds) throw new AssertionError(what);
  }

  static String quote(String s) {
    return "\"" + s.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ").replace("\t", " ") + "\"";
  }
}
