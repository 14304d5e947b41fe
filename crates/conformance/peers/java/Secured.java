// Apache Kafka's own client on secured listeners: each way in of ../README.md ("Ways in"), one after the other.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Secured {
    static final int RECORDS = 20;

    static Properties configuration(Map<String, String> way) {
        var properties = new Properties();
        properties.put("bootstrap.servers", way.get("bootstrap"));
        properties.put("security.protocol", way.get("protocol"));
        properties.put("ssl.truststore.type", "PEM");
        properties.put("ssl.truststore.location", way.get("ca"));
        var mechanism = way.get("mechanism");
        if (mechanism != null) {
            var security = "org.apache.kafka.common.security.";
            properties.put("sasl.mechanism", mechanism);
            properties.put("sasl.jaas.config", switch (mechanism) {
                case "PLAIN" -> security + "plain.PlainLoginModule required username=\"" + way.get("user") + "\" password=\"" + way.get("password") + "\";";
                case "OAUTHBEARER" -> security + "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"" + way.get("user")
                    + "\" unsecuredLoginLifetimeSeconds=\"" + way.get("life") + "\" unsecuredLoginExtension_traceId=\"7\";";
                default -> security + "scram.ScramLoginModule required username=\"" + way.get("user") + "\" password=\"" + way.get("password") + "\";";
            });
            // Tokens of a few seconds are to be renewed within them.
            properties.put("sasl.login.refresh.min.period.seconds", "1");
            properties.put("sasl.login.refresh.buffer.seconds", "0");
        }
        if (way.containsKey("keystore")) {
            properties.put("ssl.keystore.type", "PEM");
            properties.put("ssl.keystore.location", way.get("keystore"));
        }
        properties.put("max.block.ms", way.containsKey("expect") ? "5000" : "30000");
        return properties;
    }

    static void goIn(Map<String, String> way) throws Exception {
        var topic = way.get("topic");
        var end = System.currentTimeMillis() + (long) (1000 * Double.parseDouble(way.getOrDefault("seconds", "0")));
        int sent = 0;
        try (var producer = new KafkaProducer<>(configuration(way), new StringSerializer(), new StringSerializer())) {
            List<Future<?>> pending = new ArrayList<>();
            while (sent < RECORDS || System.currentTimeMillis() < end) {
                pending.add(producer.send(new ProducerRecord<>(topic, "" + sent++)));
                if (sent > RECORDS) {
                    pending.get(pending.size() - 1).get();
                    Thread.sleep(200);
                }
            }
            for (var delivery : pending) {
                delivery.get();
            }
        } catch (Exception error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            if ("refused".equals(way.get("expect")) && cause instanceof AuthenticationException) {
                return;
            }
            throw error;
        }
        if ("refused".equals(way.get("expect"))) {
            throw new AssertionError("it was let in");
        }
        var properties = configuration(way);
        properties.put("group.id", UUID.randomUUID().toString());
        properties.put("auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            int got = 0;
            var deadline = System.currentTimeMillis() + 30_000;
            while (got < sent && System.currentTimeMillis() < deadline) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    if (!record.value().equals("" + got++)) {
                        throw new AssertionError("record " + record);
                    }
                }
            }
            if (got != sent) {
                throw new AssertionError(got + " of " + sent + " came back");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in));
        Map<String, String> way = new HashMap<>();
        while (true) {
            var line = input.readLine();
            if (line != null && !line.isBlank()) {
                var at = line.indexOf('=');
                way.put(line.substring(0, at).strip(), line.substring(at + 1).strip());
                continue;
            }
            if (!way.isEmpty()) {
                try {
                    goIn(way);
                    System.out.println("ok " + way.get("name"));
                } catch (Exception | AssertionError error) {
                    System.out.println("failed " + way.get("name") + " " + error);
                }
                way = new HashMap<>();
            }
            if (line == null) {
                return;
            }
        }
    }
}
