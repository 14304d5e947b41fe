// Kafka's own group tool as a judge: performs a script of its commands in one Java machine and prints what they say, free of what
// differs from run to run. See ../README.md, "The group tool".
// Run: java -cp 'LIBS/*' GroupTool.java BOOTSTRAP DIRECTORY < SCRIPT

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

public class GroupTool {
  static final PrintStream OUT = System.out;
  /** Timestamp of a partition's record 0; each next one is a minute later. */
  static final long BASE_TIMESTAMP = 1_700_000_000_000L;

  final String bootstrap;
  final Path dir;
  final Admin admin;
  final Map<String, Member> members = new HashMap<>();

  static class Exited extends RuntimeException {
    final int status;

    Exited(int status) {
      this.status = status;
    }
  }

  /** A consumer that polls on a thread of its own until it is told to leave. */
  class Member extends Thread {
    final KafkaConsumer<byte[], byte[]> consumer;
    volatile boolean leaving;
    volatile int assigned = -1;
    volatile Throwable failure;

    Member(String name, String protocol, String group, List<String> topics) {
      Properties properties = properties();
      properties.put("client.id", name);
      properties.put("group.id", group);
      if (name.startsWith("static")) properties.put("group.instance.id", "instance-" + name);
      if (protocol.equals("consumer")) {
        properties.put("group.protocol", "consumer");
      } else {
        properties.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + protocol);
        properties.put("session.timeout.ms", "10000");
        properties.put("heartbeat.interval.ms", "300");
      }
      properties.put("enable.auto.commit", "false");
      properties.put("auto.offset.reset", "earliest");
      consumer = new KafkaConsumer<>(properties);
      consumer.subscribe(topics);
      setDaemon(true);
      start();
    }

    @Override
    public void run() {
      try {
        while (!leaving) {
          consumer.poll(Duration.ofMillis(50));
          assigned = consumer.assignment().size();
        }
        consumer.close();
      } catch (Throwable e) {
        failure = e;
      }
    }
  }

  GroupTool(String bootstrap, Path dir) {
    this.bootstrap = bootstrap;
    this.dir = dir;
    admin = Admin.create(properties());
  }

  Properties properties() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("default.api.timeout.ms", "20000");
    properties.put("request.timeout.ms", "15000");
    properties.put("key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
    properties.put("value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
    properties.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
    properties.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
    return properties;
  }

  public static void main(String[] args) throws Exception {
    Exit.setExitProcedure((status, message) -> {
      throw new Exited(status);
    });
    GroupTool tool = new GroupTool(args[0], Path.of(args[1]));
    var script = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = script.readLine()) != null; ) {
      if (line.isBlank() || line.startsWith("#")) continue;
      OUT.println("> " + line);
      OUT.flush();
      try {
        tool.perform(List.of(line.split(" ")));
      } catch (Throwable e) {
        e.printStackTrace();
        OUT.println("FAILED " + e);
        OUT.flush();
        Runtime.getRuntime().halt(1);
      }
    }
    OUT.flush();
    Runtime.getRuntime().halt(0);
  }

  void perform(List<String> words) throws Exception {
    List<String> rest = words.subList(1, words.size());
    switch (words.get(0)) {
      case "topic" -> {
        // The records are old: without this they would be gone soon.
        NewTopic topic = new NewTopic(rest.get(0), Integer.parseInt(rest.get(1)), (short) 1).configs(Map.of("retention.ms", "-1"));
        admin.createTopics(List.of(topic)).all().get(20, TimeUnit.SECONDS);
        produce(rest.get(0), Integer.parseInt(rest.get(1)), Integer.parseInt(rest.get(2)));
      }
      case "delete-topic" -> admin.deleteTopics(rest).all().get(20, TimeUnit.SECONDS);
      case "commit" -> commit(rest.get(0), rest.subList(1, rest.size()));
      case "committed" -> committed(rest.get(0));
      case "join" -> members.put(rest.get(0), new Member(rest.get(0), rest.get(1), rest.get(2), List.of(rest.get(3).split(","))));
      case "await" -> await(rest);
      case "leave" -> {
        for (String name : rest) {
          Member member = members.remove(name);
          member.leaving = true;
          member.join(30_000);
          if (member.failure != null) throw new IllegalStateException(name, member.failure);
        }
      }
      case "write" -> Files.writeString(dir.resolve(rest.get(0)), String.join("\n", rest.subList(1, rest.size())) + "\n");
      case "tool" -> tool(rest, null);
      // As `tool`, and keeps what it says in a file, for --from-file.
      case "tool-to" -> tool(rest.subList(1, rest.size()), rest.get(0));
      // As `tool`, until it says what follows the last `==`: a group's state may lag a little.
      case "tool-until" -> {
        int at = rest.lastIndexOf("==");
        String wanted = String.join(" ", rest.subList(at + 1, rest.size()));
        String said = "";
        for (int i = 0; i < 100; i++) {
          said = said(rest.subList(0, at));
          if (said.contains(wanted)) break;
          Thread.sleep(100);
        }
        OUT.print(said);
      }
      default -> throw new IllegalArgumentException(words.get(0));
    }
  }

  void produce(String topic, int partitions, int count) throws Exception {
    Properties properties = properties();
    try (var producer = new KafkaProducer<byte[], byte[]>(properties)) {
      for (int p = 0; p < partitions; p++)
        for (int i = 0; i < count; i++)
          producer.send(new ProducerRecord<>(topic, p, BASE_TIMESTAMP + i * 60_000L, null, ("v" + i).getBytes())).get(20, TimeUnit.SECONDS);
    }
  }

  /** `topic:partition=offset` each, as a stand-alone commit. */
  void commit(String group, List<String> offsets) throws Exception {
    Map<TopicPartition, OffsetAndMetadata> all = new HashMap<>();
    for (String offset : offsets) {
      String[] parts = offset.split("[:=]");
      all.put(new TopicPartition(parts[0], Integer.parseInt(parts[1])), new OffsetAndMetadata(Long.parseLong(parts[2]), "note"));
    }
    try {
      admin.alterConsumerGroupOffsets(group, all).all().get(20, TimeUnit.SECONDS);
    } catch (java.util.concurrent.ExecutionException e) {
      OUT.println("refused: " + e.getCause().getClass().getSimpleName());
    }
  }

  void committed(String group) throws Exception {
    var offsets = new TreeMap<String, Long>();
    admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(20, TimeUnit.SECONDS).forEach((p, o) -> offsets.put(p.toString(), o.offset()));
    OUT.println(offsets);
  }

  /** `NAME=COUNT` each: until all of them have so many partitions at the same time, for half a second. */
  void await(List<String> wanted) throws Exception {
    int held = 0;
    for (int i = 0; i < 600; i++) {
      boolean all = true;
      for (String want : wanted) {
        String[] parts = want.split("=");
        Member member = members.get(parts[0]);
        if (member.failure != null) throw new IllegalStateException(parts[0], member.failure);
        all &= member.assigned == Integer.parseInt(parts[1]);
      }
      held = all ? held + 1 : 0;
      if (held == 10) return;
      Thread.sleep(50);
    }
    throw new IllegalStateException(members.entrySet().stream().map(m -> m.getKey() + " has " + m.getValue().assigned).collect(Collectors.joining(", ")));
  }

  void tool(List<String> options, String file) throws Exception {
    String said = said(options);
    if (file != null) Files.writeString(dir.resolve(file), said.lines().filter(l -> l.contains(",")).collect(Collectors.joining("\n")) + "\n");
    OUT.print(said);
  }

  String said(List<String> options) {
    List<String> arguments = new ArrayList<>(List.of("--bootstrap-server", bootstrap, "--timeout", "15000"));
    for (String option : options) arguments.add(option.replace("DIR/", dir + "/").replace("%20", " "));
    var bytes = new ByteArrayOutputStream();
    var stream = new PrintStream(bytes, true);
    PrintStream out = System.out, err = System.err;
    System.setOut(stream);
    System.setErr(stream);
    int status = 0;
    try {
      ConsumerGroupCommand.main(arguments.toArray(new String[0]));
    } catch (Exited e) {
      status = e.status;
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
    List<String> lines = bytes.toString(StandardCharsets.UTF_8).lines().map(GroupTool::plain)
        .filter(l -> !l.isEmpty() && !l.startsWith("at ") && !l.startsWith("...")).collect(Collectors.toCollection(ArrayList::new));
    // How to use it, which it says where it refuses, fills pages.
    if (status != 0) lines.removeIf(line -> !line.startsWith("Cannot") && !line.startsWith("Error"));
    Collections.sort(lines);
    if (status != 0) lines.add("exit " + status);
    return lines.stream().map(l -> l + "\n").collect(Collectors.joining());
  }

  /** A line without what differs from run to run: ids, ports, nodes, times, the width of columns. */
  static String plain(String line) {
    line = line.replaceAll("(?<=\\s)[A-Za-z0-9_-]{22}(?=\\s)", "UUID");
    line = line.replaceAll("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID");
    line = line.replaceAll("127\\.0\\.0\\.1:\\d+\\s+\\(\\d+\\)", "BROKER");
    // What the client logs.
    line = line.replaceAll("^\\d\\d:\\d\\d:\\d\\d.*", "");
    return line.replaceAll("\\s+", " ").strip();
  }
}
