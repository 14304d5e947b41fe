import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarFile;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Writes golden bytes: every message class of Apache Kafka, every version, several deterministic cases, serialised by Kafka's own code.
 * Arguments: the folder of the jars, the folder to write to. Run by `cargo xtask oracle`.
 *
 * The cases of a version, told apart by how a field gets its value:
 *   defaults  the object as its constructor leaves it
 *   filled    every field set, arrays of two elements, tagged fields present
 *   empties   null where null may be, else empty, zero or the smallest number
 *   extremes  the largest numbers, strings that are not ASCII, arrays of one element, unknown tagged fields at the end of every struct
 *   mixedN    each field chooses for itself, from a seed; arrays of 0, 1 or 3 elements; one string too long for a one-byte length
 */
public class MessageOracle {
    static final String[] JARS = {
        "kafka-clients", "kafka-group-coordinator", "kafka-transaction-coordinator", "kafka-share-coordinator", "kafka-metadata", "kafka-raft",
        "kafka-storage",
    };
    static final String[] CASES = {"defaults", "filled", "empties", "extremes", "mixed1", "mixed2", "mixed3", "mixed4"};

    enum Mode { FILLED, EMPTIES, EXTREMES, MIXED }

    public static void main(String[] arguments) throws Exception {
        Path jars = Path.of(arguments[0]);
        Path out = Path.of(arguments[1]);
        Files.createDirectories(out);
        for (File old : out.toFile().listFiles((folder, name) -> name.endsWith(".txt"))) {
            old.delete();
        }
        int messages = 0;
        int lines = 0;
        for (String jar : JARS) {
            for (Class<? extends Message> type : messageClasses(jars.resolve(jar + "-4.3.1.jar"))) {
                StringBuilder text = new StringBuilder();
                int count = writeCases(type, text);
                Path file = out.resolve(schemaName(type) + ".txt");
                if (Files.exists(file)) {
                    throw new IllegalStateException("two messages are called " + schemaName(type));
                }
                Files.writeString(file, text);
                messages++;
                lines += count;
            }
        }
        Files.writeString(out.resolve("headers.txt"), headers());
        System.out.println(messages + " messages, " + lines + " cases");
    }

    /** The top-level generated classes: those with SCHEMAS that nest in no other. */
    static List<Class<? extends Message>> messageClasses(Path jar) throws Exception {
        TreeSet<String> names = new TreeSet<>();
        try (JarFile file = new JarFile(jar.toFile())) {
            file.stream().map(entry -> entry.getName())
                .filter(name -> name.endsWith(".class") && !name.contains("$"))
                .filter(name -> List.of("/message/", "/generated/", "/metadata/", "/raft/").stream().anyMatch(name::contains))
                .forEach(name -> names.add(name.substring(0, name.length() - 6).replace('/', '.')));
        }
        List<Class<? extends Message>> types = new ArrayList<>();
        for (String name : names) {
            Class<?> type;
            try {
                type = Class.forName(name, false, MessageOracle.class.getClassLoader());
            } catch (LinkageError e) {
                continue;
            }
            if (Message.class.isAssignableFrom(type) && !Modifier.isAbstract(type.getModifiers()) && hasSchemas(type)) {
                types.add(type.asSubclass(Message.class));
            }
        }
        return types;
    }

    static boolean hasSchemas(Class<?> type) {
        try {
            type.getField("SCHEMAS");
            return true;
        } catch (NoSuchFieldException e) {
            return false;
        }
    }

    /** Kafka's generator appends "Data" to the schema's name for requests, responses and headers only. */
    static String schemaName(Class<?> type) {
        return type.getSimpleName().replaceFirst("(Request|Response|RequestHeader|ResponseHeader)Data$", "$1");
    }

    static int writeCases(Class<? extends Message> type, StringBuilder text) throws Exception {
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        short lowest = type.getField("LOWEST_SUPPORTED_VERSION").getShort(null);
        short highest = type.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
        int lines = 0;
        for (short version = lowest; version <= highest; version++) {
            TreeSet<String> seen = new TreeSet<>();
            for (String name : CASES) {
                Message message = new MessageOracle(type, version, name).message(type, schemas[version], name);
                String hex = hex(message, version);
                checkThatJavaReadsItBack(type, version, name, hex, message);
                if (seen.add(hex)) {
                    text.append(version).append(' ').append(name).append(' ').append(hex).append('\n');
                    lines++;
                }
            }
        }
        return lines;
    }

    static String hex(Message message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes.length == 0 ? "-" : HexFormat.of().formatHex(bytes);
    }

    /** Guards against a value that Java writes but cannot read: such a line would judge nobody. */
    static void checkThatJavaReadsItBack(Class<? extends Message> type, short version, String name, String hex, Message message) throws Exception {
        byte[] bytes = hex.equals("-") ? new byte[0] : HexFormat.of().parseHex(hex);
        Message read = type.getDeclaredConstructor().newInstance();
        ByteBufferAccessor accessor = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
        read.read(accessor, version);
        if (accessor.remaining() != 0 || !hex(read, version).equals(hex)) {
            throw new IllegalStateException(type + " version " + version + " case " + name + " does not come back: " + message);
        }
    }

    final short version;
    final Random random;
    Mode mode;
    int counter;
    boolean longStringUsed;

    MessageOracle(Class<?> type, short version, String name) {
        this.version = version;
        this.random = new Random((schemaName(type) + " " + version + " " + name).hashCode());
    }

    Message message(Class<? extends Message> type, Schema schema, String name) throws Exception {
        if (name.equals("defaults")) {
            return type.getDeclaredConstructor().newInstance();
        }
        mode = name.startsWith("mixed") ? Mode.MIXED : Mode.valueOf(name.toUpperCase());
        return (Message) struct(type, schema, 0);
    }

    Object struct(Class<?> type, Schema schema, int depth) throws Exception {
        Object struct = type.getDeclaredConstructor().newInstance();
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (Map.Entry<Integer, Field> entry : new TreeMap<>(tagged.fields()).entrySet()) {
                    boolean leave = mode == Mode.EMPTIES || mode == Mode.MIXED && random.nextBoolean();
                    if (!leave || nullable(entry.getValue().type) && mode == Mode.EMPTIES) {
                        set(struct, entry.getValue(), depth);
                    }
                }
                if (mode == Mode.EXTREMES || mode == Mode.MIXED && random.nextInt(4) == 0) {
                    addUnknownTaggedFields((Message) struct);
                }
            } else {
                set(struct, field.def, depth);
            }
        }
        return struct;
    }

    void addUnknownTaggedFields(Message struct) {
        List<RawTaggedField> unknown = struct.unknownTaggedFields();
        unknown.add(new RawTaggedField(1000, new byte[0]));
        unknown.add(new RawTaggedField(70000, "unknown".getBytes(StandardCharsets.UTF_8)));
    }

    void set(Object struct, Field field, int depth) throws Exception {
        Method setter = setter(struct.getClass(), field.name);
        Class<?> type = setter.getParameterTypes()[0];
        setter.invoke(struct, value(type, setter.getGenericParameterTypes()[0], field.type, depth));
    }

    static Method setter(Class<?> type, String name) {
        String wanted = "set" + name.replace("_", "");
        for (Method method : type.getMethods()) {
            if (method.getName().equalsIgnoreCase(wanted) && method.getParameterCount() == 1) {
                return method;
            }
        }
        throw new IllegalStateException(type + " has no setter for " + name);
    }

    static boolean nullable(Type type) {
        return type.isNullable();
    }

    Object value(Class<?> type, java.lang.reflect.Type generic, Type schemaType, int depth) throws Exception {
        boolean minimal = mode == Mode.EMPTIES;
        if (nullable(schemaType) && (minimal || mode == Mode.MIXED && random.nextInt(3) == 0)) {
            return null;
        }
        if (type == boolean.class) return mode == Mode.MIXED ? random.nextBoolean() : !minimal;
        if (type == byte.class) return (byte) number(Byte.MIN_VALUE, Byte.MAX_VALUE);
        if (type == short.class) return (short) number(Short.MIN_VALUE, Short.MAX_VALUE);
        if (type == int.class && schemaType == Type.UINT16) return (int) number(0, 65535);
        if (type == int.class) return (int) number(Integer.MIN_VALUE, Integer.MAX_VALUE);
        if (type == long.class && schemaType == Type.UNSIGNED_INT32) return number(0, 4294967295L);
        if (type == long.class) return number(Long.MIN_VALUE, Long.MAX_VALUE);
        if (type == double.class) return minimal ? Double.NEGATIVE_INFINITY : mode == Mode.EXTREMES ? Double.MIN_VALUE : 1.5 + counter++;
        if (type == Uuid.class) return minimal ? Uuid.ZERO_UUID : new Uuid(number(Long.MIN_VALUE, Long.MAX_VALUE), ++counter);
        if (type == String.class) return string();
        if (type == byte[].class) return bytes();
        if (type == ByteBuffer.class) return ByteBuffer.wrap(bytes());
        if (type.getSimpleName().equals("BaseRecords")) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        if (Collection.class.isAssignableFrom(type)) return collection(type, generic, schemaType, depth);
        if (Message.class.isAssignableFrom(type)) return struct(type, (Schema) schemaType, depth + 1);
        throw new IllegalStateException("no value for " + type);
    }

    /** Numbers differ from field to field, so that two fields swapped do not look alike. */
    long number(long min, long max) {
        counter++;
        return switch (mode) {
            case EMPTIES -> counter % 3 == 0 ? -1 < min ? min : -1 : counter % 3 == 1 ? min : 0;
            case EXTREMES -> max;
            case FILLED -> counter % 126 + 1;
            case MIXED -> switch (random.nextInt(4)) {
                case 0 -> min;
                case 1 -> max;
                case 2 -> 0;
                default -> counter % 126 + 1;
            };
        };
    }

    String string() {
        counter++;
        return switch (mode) {
            case EMPTIES -> "";
            case EXTREMES -> "žluťoučký 馬 🦀 " + counter;
            case FILLED -> "s" + counter;
            case MIXED -> {
                if (!longStringUsed && random.nextInt(3) == 0) {
                    longStringUsed = true;
                    yield "long".repeat(50);
                }
                yield random.nextInt(4) == 0 ? "" : "m" + counter;
            }
        };
    }

    byte[] bytes() {
        counter++;
        return switch (mode) {
            case EMPTIES -> new byte[0];
            case EXTREMES -> new byte[] {0, -1, 127, -128, (byte) counter};
            default -> ("b" + counter).getBytes(StandardCharsets.UTF_8);
        };
    }

    @SuppressWarnings("unchecked")
    Object collection(Class<?> type, java.lang.reflect.Type generic, Type schemaType, int depth) throws Exception {
        int size = switch (mode) {
            case EMPTIES -> 0;
            case EXTREMES -> 1;
            case FILLED -> depth < 2 ? 2 : 1;
            case MIXED -> depth < 2 ? new int[] {0, 1, 1, 3, 3}[random.nextInt(5)] : random.nextInt(2);
        };
        Type elementSchema = schemaType.arrayElementType().orElseThrow();
        Collection<Object> collection;
        java.lang.reflect.Type elementType;
        if (type == List.class) {
            collection = new ArrayList<>();
            elementType = ((ParameterizedType) generic).getActualTypeArguments()[0];
        } else {
            collection = (Collection<Object>) type.getDeclaredConstructor().newInstance();
            elementType = ((ParameterizedType) type.getGenericSuperclass()).getActualTypeArguments()[0];
        }
        Class<?> elementClass = (Class<?>) (elementType instanceof ParameterizedType p ? p.getRawType() : elementType);
        for (int i = 0; i < size; i++) {
            collection.add(value(unboxed(elementClass), elementType, elementSchema, depth + 1));
        }
        return collection;
    }

    static Class<?> unboxed(Class<?> type) {
        if (type == Byte.class) return byte.class;
        if (type == Short.class) return short.class;
        if (type == Integer.class) return int.class;
        if (type == Long.class) return long.class;
        if (type == Double.class) return double.class;
        if (type == Boolean.class) return boolean.class;
        return type;
    }

    /** One line an API key and version: `key name version request_header_version response_header_version`. */
    static String headers() throws IOException {
        StringBuilder text = new StringBuilder();
        for (ApiMessageType api : ApiMessageType.values()) {
            for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(true); version++) {
                text.append(api.apiKey()).append(' ').append(api.name).append(' ').append(version).append(' ')
                    .append(api.requestHeaderVersion(version)).append(' ').append(api.responseHeaderVersion(version)).append('\n');
            }
        }
        return text.toString();
    }
}
