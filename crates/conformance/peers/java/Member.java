// Apache Kafka's Java client as one member of a group: the programs of ../README.md, "Members".
// Run: java -cp 'LIBS/*' Member.java BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;

public class Member implements ConsumerRebalanceListener {
  static final PrintStream OUT = System.out;

  final ConcurrentLinkedQueue<String> commands = new ConcurrentLinkedQueue<>();
  final long processMs = Long.parseLong(System.getenv().getOrDefault("PROCESS_MS", "0"));
  final String topic;
  final KafkaConsumer<String, String> consumer;
  /** Processed and not yet committed: the next offset. */
  final Map<TopicPartition, OffsetAndMetadata> processed = new HashMap<>();

  public static void main(String[] args) {
    System.setOut(System.err);
    try {
      new Member(args).run();
      System.exit(0);
    } catch (Throwable error) {
      error.printStackTrace();
      emit("failed", "\"error\":" + quote(error.toString()));
      System.exit(1);
    }
  }

  Member(String[] args) {
    topic = args[2];
    String assignor = args[3];
    String session = System.getenv().getOrDefault("SESSION_MS", "6000");
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("group.id", args[1]);
    if (!args[4].equals("-")) properties.put("group.instance.id", args[4]);
    if (assignor.startsWith("consumer")) {
      properties.put("group.protocol", "consumer");
      if (assignor.contains(":")) properties.put("group.remote.assignor", assignor.substring(assignor.indexOf(':') + 1));
    } else {
      String classes = java.util.Arrays.stream(assignor.split("\\+")).map(name -> "org.apache.kafka.clients.consumer." + switch (name) {
        case "range" -> "RangeAssignor";
        case "roundrobin" -> "RoundRobinAssignor";
        case "sticky" -> "StickyAssignor";
        case "cooperative-sticky" -> "CooperativeStickyAssignor";
        default -> throw new IllegalArgumentException(name);
      }).collect(Collectors.joining(","));
      properties.put("partition.assignment.strategy", classes);
      properties.put("session.timeout.ms", session);
      properties.put("heartbeat.interval.ms", String.valueOf(Integer.parseInt(session) / 6));
    }
    properties.put("max.poll.interval.ms", "20000");
    properties.put("max.poll.records", "100");
    properties.put("fetch.max.wait.ms", "200");
    properties.put("metadata.max.age.ms", "2000");
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    properties.put("default.api.timeout.ms", "20000");
    properties.put("request.timeout.ms", "15000");
    properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    consumer = new KafkaConsumer<>(properties);
  }

  void run() throws InterruptedException {
    emit("client", "\"name\":" + quote("java " + org.apache.kafka.common.utils.AppInfoParser.getVersion()));
    Thread reader = new Thread(() -> {
      try (var in = new BufferedReader(new InputStreamReader(System.in))) {
        for (String line; (line = in.readLine()) != null; ) commands.add(line);
      } catch (java.io.IOException ignored) {
        // The end, however it came.
      }
      Runtime.getRuntime().halt(3);
    });
    reader.setDaemon(true);
    reader.start();
    if (topic.startsWith("^")) consumer.subscribe(Pattern.compile(topic), this);
    else consumer.subscribe(List.of(topic.split(",")), this);
    while (true) {
      String command = commands.poll();
      if ("leave".equals(command)) {
        commit();
        consumer.close();
        emit("left", "");
        return;
      }
      if ("offsets".equals(command)) offsets();
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
      for (TopicPartition partition : records.partitions()) {
        List<String> values = new ArrayList<>();
        long first = -1;
        for (ConsumerRecord<String, String> record : records.records(partition)) {
          if (first >= 0 && record.offset() != first + values.size()) {
            told(partition, first, values);
            values.clear();
          }
          if (values.isEmpty()) first = record.offset();
          values.add(quote(record.key() + ":" + record.value()));
        }
        told(partition, first, values);
        processed.put(partition, new OffsetAndMetadata(records.nextOffsets().get(partition).offset()));
      }
      if (!records.isEmpty()) Thread.sleep(processMs);
      commit();
    }
  }

  static void told(TopicPartition partition, long first, List<String> values) {
    if (values.isEmpty()) return;
    emit("records", "\"partition\":" + quote(partition.toString()) + ",\"offset\":" + first + ",\"values\":[" + String.join(",", values) + "]");
  }

  void commit() {
    if (processed.isEmpty()) return;
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(processed);
    try {
      consumer.commitSync(offsets);
    } catch (CommitFailedException | RebalanceInProgressException | TimeoutException e) {
      // A rebalance goes on: it is committed in the listener, or with the next records. Or it was thought dead, and will hear.
      System.err.println("commit: " + e);
      return;
    }
    processed.clear();
    emit("committed", "\"offsets\":" + map(offsets.entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().offset()))));
  }

  void offsets() {
    var partitions = topic.startsWith("^") ? consumer.assignment() : List.of(topic.split(",")).stream().flatMap(t -> consumer.partitionsFor(t).stream())
        .map((PartitionInfo p) -> new TopicPartition(p.topic(), p.partition())).collect(Collectors.toSet());
    Map<TopicPartition, Long> committed = new HashMap<>();
    consumer.committed(partitions).forEach((partition, offset) -> committed.put(partition, offset == null ? -1 : offset.offset()));
    emit("offsets", "\"committed\":" + map(committed) + ",\"end\":" + map(consumer.endOffsets(partitions)));
  }

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    owned("assigned", partitions);
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
    commit();
    partitions.forEach(processed::remove);
    owned("revoked", partitions);
  }

  @Override
  public void onPartitionsLost(Collection<TopicPartition> partitions) {
    partitions.forEach(processed::remove);
    owned("lost", partitions);
  }

  static void owned(String event, Collection<TopicPartition> partitions) {
    if (partitions.isEmpty()) return;
    emit(event, "\"partitions\":[" + partitions.stream().map(p -> quote(p.toString())).sorted().collect(Collectors.joining(",")) + "]");
  }

  static String map(Map<TopicPartition, Long> offsets) {
    return "{" + offsets.entrySet().stream().map(e -> quote(e.getKey().toString()) + ":" + e.getValue()).collect(Collectors.joining(",")) + "}";
  }

  static synchronized void emit(String event, String fields) {
    long at = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
    byte[] line = ("{\"event\":\"" + event + "\",\"at\":" + at + (fields.isEmpty() ? "" : ",") + fields + "}\n").getBytes(StandardCharsets.UTF_8);
    OUT.write(line, 0, line.length);
    OUT.flush();
  }

  static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }
}
