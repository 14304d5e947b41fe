import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.*;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

/**
 * Random groups of the consumer protocol, and how Apache Kafka's coordinator divides their partitions.
 *
 * java -cp "LIBS/*" ServerAssignorOracle.java ../assignors/kafka.txt (cargo xtask oracle)
 *
 * A group is a line "case N", a line "t NUMBER PARTITIONS" for each topic and a line "m ID INSTANCE TOPICS CURRENT" for each member.
 * Partitions are written "0:0,1;1:3", nothing is "-". Then come "range ID=PARTITIONS …" and "uniform SIZES MOVES". A move is a partition
 * that does not stay with its owner although that still subscribes to it. The id of the topic N has N + 1 in its low half.
 */
public class ServerAssignorOracle {
    static PrintStream out;
    static final Random RANDOM = new Random(848);

    static class Member {
        String id;
        String instance;
        TreeSet<Integer> topics = new TreeSet<>();
        TreeMap<Integer, TreeSet<Integer>> current = new TreeMap<>();
    }

    static List<Integer> partitions;
    static List<Member> members;

    public static void main(String[] args) throws Exception {
        out = new PrintStream(args[0], StandardCharsets.UTF_8);
        for (int number = 0; number < 300; number++) {
            invent(number);
            write(number);
        }
        out.close();
    }

    static void invent(int number) {
        boolean equal = number % 3 == 0, large = number % 20 == 19;
        partitions = new ArrayList<>();
        int topicCount = 1 + RANDOM.nextInt(large ? 12 : 5), most = 1 + RANDOM.nextInt(large ? 30 : 9);
        for (int t = 0; t < topicCount; t++) partitions.add(1 + RANDOM.nextInt(most));
        members = new ArrayList<>();
        int memberCount = 1 + RANDOM.nextInt(large ? 20 : 7), wanted = 1 + RANDOM.nextInt(topicCount);
        List<Integer> all = new ArrayList<>(IntStream.range(0, topicCount).boxed().toList());
        for (int m = 0; m < memberCount; m++) {
            Member member = new Member();
            member.id = "m" + m;
            if (number % 7 == 3 && RANDOM.nextInt(2) == 0) member.instance = "i" + (memberCount - m);
            Collections.shuffle(all, RANDOM);
            member.topics.addAll(equal ? all : all.subList(0, RANDOM.nextInt(4) == 0 ? RANDOM.nextInt(all.size() + 1) : wanted));
            members.add(member);
        }
        switch (RANDOM.nextInt(3)) {
            case 0 -> { }
            case 1 -> ownAtRandom();
            default -> ownFromBefore(equal);
        }
    }

    /** Each partition is owned by a random member, which may no longer subscribe to it, or by nobody. */
    static void ownAtRandom() {
        for (int t = 0; t < partitions.size(); t++) {
            for (int p = 0; p < partitions.get(t); p++) {
                if (RANDOM.nextInt(6) == 0) continue;
                // The square makes some members own much more than others.
                double at = RANDOM.nextDouble();
                members.get((int) (at * at * members.size())).current.computeIfAbsent(t, x -> new TreeSet<>()).add(p);
            }
        }
    }

    /** The group has been balanced before; since then members came and went, changed their topics, and topics grew. */
    static void ownFromBefore(boolean equal) {
        Map<String, TreeMap<Integer, TreeSet<Integer>>> before = assign(new UniformAssignor());
        for (Member member : members) member.current = before.get(member.id);
        int left = RANDOM.nextInt(3);
        for (int i = 0; i < left && members.size() > 1; i++) members.remove(RANDOM.nextInt(members.size()));
        int came = RANDOM.nextInt(3);
        for (int i = 0; i < came; i++) {
            Member member = new Member();
            member.id = "n" + i;
            member.topics.addAll(members.get(RANDOM.nextInt(members.size())).topics);
            members.add(member);
        }
        if (!equal && RANDOM.nextBoolean()) members.get(RANDOM.nextInt(members.size())).topics.pollFirst();
        if (RANDOM.nextInt(3) == 0) partitions.set(0, partitions.get(0) + 1 + RANDOM.nextInt(4));
    }

    static Uuid id(int topic) {
        return new Uuid(0, topic + 1);
    }

    static Map<String, TreeMap<Integer, TreeSet<Integer>>> assign(PartitionAssignor assignor) {
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new HashMap<>();
        Map<Uuid, Map<Integer, String>> inverted = new HashMap<>();
        for (Member member : members) {
            Map<Uuid, Set<Integer>> current = new HashMap<>();
            member.current.forEach((topic, of) -> {
                current.put(id(topic), of);
                for (int partition : of) inverted.computeIfAbsent(id(topic), x -> new HashMap<>()).put(partition, member.id);
            });
            Set<Uuid> topics = member.topics.stream().map(ServerAssignorOracle::id).collect(Collectors.toCollection(LinkedHashSet::new));
            specs.put(member.id, new MemberSubscriptionAndAssignmentImpl(Optional.empty(), Optional.ofNullable(member.instance), topics, new Assignment(current)));
        }
        boolean same = members.stream().allMatch(member -> member.topics.equals(members.get(0).topics));
        SubscriptionType type = same ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        GroupAssignment given = assignor.assign(new GroupSpecImpl(specs, type, inverted), new SubscribedTopicDescriber() {
            @Override public int numPartitions(Uuid topic) {
                return partitions.get((int) topic.getLeastSignificantBits() - 1);
            }
            @Override public Set<String> racksForPartition(Uuid topic, int partition) {
                return Set.of();
            }
        });
        Map<String, TreeMap<Integer, TreeSet<Integer>>> result = new TreeMap<>();
        for (Member member : members) {
            TreeMap<Integer, TreeSet<Integer>> of = new TreeMap<>();
            MemberAssignment own = given.members().get(member.id);
            if (own != null) own.partitions().forEach((topic, numbers) -> {
                if (!numbers.isEmpty()) of.put((int) topic.getLeastSignificantBits() - 1, new TreeSet<>(numbers));
            });
            result.put(member.id, of);
        }
        return result;
    }

    static void write(int number) {
        out.println("case " + number);
        for (int t = 0; t < partitions.size(); t++) out.println("t " + t + " " + partitions.get(t));
        for (Member m : members) {
            String topics = m.topics.stream().map(String::valueOf).collect(Collectors.joining(","));
            out.println("m " + m.id + " " + or(m.instance) + " " + or(topics) + " " + text(m.current));
        }
        StringBuilder range = new StringBuilder("range");
        assign(new RangeAssignor()).forEach((id, of) -> range.append(" ").append(id).append("=").append(text(of)));
        out.println(range);
        Map<String, TreeMap<Integer, TreeSet<Integer>>> uniform = assign(new UniformAssignor());
        String sizes = uniform.values().stream().map(of -> of.values().stream().mapToInt(Set::size).sum()).sorted().map(String::valueOf).collect(Collectors.joining(","));
        int moves = 0;
        for (Member member : members) {
            for (Map.Entry<Integer, TreeSet<Integer>> of : member.current.entrySet()) {
                if (!member.topics.contains(of.getKey())) continue;
                for (int partition : of.getValue()) {
                    if (!uniform.get(member.id).getOrDefault(of.getKey(), new TreeSet<>()).contains(partition)) moves++;
                }
            }
        }
        out.println("uniform " + sizes + " " + moves);
    }

    static String text(TreeMap<Integer, TreeSet<Integer>> of) {
        return or(of.entrySet().stream().map(e -> e.getKey() + ":" + e.getValue().stream().map(String::valueOf).collect(Collectors.joining(","))).collect(Collectors.joining(";")));
    }

    static String or(String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }
}
