import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;

/**
 * Record batches as Apache Kafka makes and reads them.
 *
 * java -cp "LIBS/*" BatchOracle.java write    > ../batches/kafka.txt
 * java -cp "LIBS/*" BatchOracle.java describe < batches
 *
 * A batch is a line "batch NAME HEX", followed by what Kafka reads in it: a line "info", and a line "record" for each record.
 */
public class BatchOracle {
    static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) {
            write();
        } else {
            BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                String[] words = line.split(" ");
                if (words[0].equals("batch")) describe(words[1], ByteBuffer.wrap(HexFormat.of().parseHex(words[2])));
            }
        }
        OUT.flush();
    }

    static void write() {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Compression compression = Compression.of(codec).build();
            for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
                String name = codec + "-" + type.name;
                mixed(name + "-plain", compression, type, -1, (short) -1, -1, false);
                mixed(name + "-idempotent", compression, type, 4711, (short) 3, 2147483640, false);
                mixed(name + "-transactional", compression, type, 1L << 40, (short) 32767, 0, true);
            }
            MemoryRecordsBuilder large = builder(compression, TimestampType.CREATE_TIME, 5, -1, (short) -1, -1, false);
            if (!codec.equals("none")) {
                for (int i = 0; i < 5; i++) large.append(1_700_000_000_000L + i, null, repeat('a' + i, 60_000));
                describe(codec + "-large", large.build().buffer());
            }
            MemoryRecordsBuilder one = builder(compression, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false);
            one.append(0L, null, (byte[]) null);
            describe(codec + "-one", one.build().buffer());
        }
        for (ControlRecordType type : List.of(ControlRecordType.COMMIT, ControlRecordType.ABORT)) {
            MemoryRecords marker = MemoryRecords.withEndTransactionMarker(
                77, 1_700_000_000_123L, 9, 4711, (short) 3, new EndTransactionMarker(type, 12));
            describe("marker-" + type.name().toLowerCase(), marker.buffer());
        }
    }

    static MemoryRecordsBuilder builder(Compression compression, TimestampType type, long base, long id, short epoch, int sequence,
                                        boolean transactional) {
        return MemoryRecords.builder(ByteBuffer.allocate(1 << 20), (byte) 2, compression, type, base, 1_700_000_999_999L, id, epoch,
            sequence, transactional, 42);
    }

    static void mixed(String name, Compression compression, TimestampType type, long id, short epoch, int sequence,
                      boolean transactional) {
        MemoryRecordsBuilder b = builder(compression, type, 1_000_000_000_000L, id, epoch, sequence, transactional);
        long t = 1_700_000_000_000L;
        b.append(t, bytes("key"), bytes("value"));
        b.append(t + 1, null, bytes("null key"));
        b.append(t - 5_000, bytes("an earlier time, null value"), null);
        b.append(t + 86_400_000L * 400, new byte[0], new byte[0]);
        b.append(0, repeat('k', 63), repeat('v', 64));
        b.append(t, repeat('k', 64), repeat('v', 2_000));
        b.append(t, (byte[]) null, null, new Header[] {
            new RecordHeader("trace", bytes("1")), new RecordHeader("trace", bytes("2")), new RecordHeader("none", (byte[]) null),
            new RecordHeader("", new byte[0]), new RecordHeader("gr\u00fc\u00df", repeat('h', 300)),
        });
        for (int i = 0; i < 24; i++) b.append(t + i * i, bytes("k" + i), bytes("{\"n\":" + i * 7919 + "}"));
        describe(name, b.build().buffer());
    }

    static void describe(String name, ByteBuffer buffer) {
        byte[] all = new byte[buffer.remaining()];
        buffer.duplicate().get(all);
        OUT.println("batch " + name + " " + HexFormat.of().formatHex(all));
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(buffer).batches()) {
            batch.ensureValid();
            OUT.printf("info %d %d %d %s %s %d %d %d %d %b %b %d %d%n", batch.baseOffset(), batch.lastOffset(),
                batch.partitionLeaderEpoch(), batch.compressionType().name, batch.timestampType().name, batch.producerId(),
                batch.producerEpoch(), batch.baseSequence(), batch.lastSequence(), batch.isTransactional(), batch.isControlBatch(),
                batch.maxTimestamp(), batch.countOrNull());
            for (Record record : batch) {
                record.ensureValid();
                List<String> headers = new ArrayList<>();
                for (Header header : record.headers()) headers.add(text(bytes(header.key())) + "=" + text(header.value()));
                OUT.println("record " + record.offset() + " " + record.timestamp() + " " + text(array(record.key())) + " "
                    + text(array(record.value())) + " " + (headers.isEmpty() ? "-" : String.join(",", headers)));
            }
        }
    }

    static byte[] array(ByteBuffer buffer) {
        if (buffer == null) return null;
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    static String text(byte[] bytes) {
        if (bytes == null) return "null";
        if (bytes.length <= 64) return "h:" + HexFormat.of().formatHex(bytes);
        CRC32 crc = new CRC32();
        crc.update(bytes);
        return "crc:" + bytes.length + ":" + Long.toHexString(crc.getValue());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] repeat(int what, int count) {
        byte[] bytes = new byte[count];
        java.util.Arrays.fill(bytes, (byte) what);
        return bytes;
    }
}
