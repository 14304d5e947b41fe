import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.*;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Random groups, and how Apache Kafka's assignors divide their partitions.
 *
 * java -cp "LIBS/*" AssignorOracle.java ../assignors/kafka.txt (cargo xtask oracle)
 *
 * A group is a line "case N", a line "t NAME PARTITIONS RACKS" for each topic ("-", or the racks of each partition, "a,b|b|…"), and a line
 * "m ID INSTANCE RACK TOPICS GENERATION OWNED" for each member. Partitions are written "t0:0,1;t1:3", nothing is "-". Then come
 * "range ID=PARTITIONS …", "roundrobin ID=PARTITIONS …", "sticky SIZES MOVES", "cooperative SIZES MOVES" (the sizes once it has settled, the
 * moves of the first round), and for some "bytes KIND ID HEX". A move is a partition that does not stay with its owner: the one
 * subscriber that claims it in the newest generation in which it is claimed.
 */
public class AssignorOracle {
    static PrintStream out;
    static final Random RANDOM = new Random(20);

    static class Member {
        String id;
        String instance;
        String rack;
        List<String> topics = new ArrayList<>();
        int generation = -1;
        List<TopicPartition> owned = new ArrayList<>();
    }

    static TreeMap<String, List<List<String>>> topics;
    static List<Member> members;
    static Cluster cluster;

    public static void main(String[] args) throws Exception {
        out = new PrintStream(args[0], StandardCharsets.UTF_8);
        for (int number = 0; number < 360; number++) {
            invent(number);
            write(number);
        }
        out.close();
    }

    static void invent(int number) {
        boolean equal = number % 3 == 0, racks = number % 4 == 1, large = number % 20 == 19;
        topics = new TreeMap<>();
        int topicCount = 1 + RANDOM.nextInt(large ? 12 : 5), most = 1 + RANDOM.nextInt(large ? 30 : 9);
        int rackCount = 2 + RANDOM.nextInt(3), replicas = 1 + RANDOM.nextInt(2);
        for (int t = 0; t < topicCount; t++) {
            int partitions = RANDOM.nextInt(3) == 0 ? most : 1 + RANDOM.nextInt(most);
            List<List<String>> of = new ArrayList<>();
            for (int p = 0; p < partitions; p++) {
                TreeSet<String> in = new TreeSet<>();
                for (int r = 0; racks && r < replicas; r++) in.add("r" + RANDOM.nextInt(rackCount));
                of.add(new ArrayList<>(in));
            }
            topics.put("t" + t, of);
        }
        cluster();
        members = new ArrayList<>();
        int memberCount = 1 + RANDOM.nextInt(large ? 20 : 7), wanted = 1 + RANDOM.nextInt(topicCount);
        List<String> all = new ArrayList<>(topics.keySet());
        if (RANDOM.nextInt(5) == 0) all.add("missing");
        for (int m = 0; m < memberCount; m++) {
            Member member = new Member();
            member.id = "m" + m;
            if (number % 7 == 3 && RANDOM.nextInt(2) == 0) member.instance = "i" + (memberCount - m);
            if (racks && RANDOM.nextInt(5) > 0) member.rack = "r" + RANDOM.nextInt(rackCount + 1);
            Collections.shuffle(all, RANDOM);
            member.topics.addAll(equal ? all : all.subList(0, RANDOM.nextInt(4) == 0 ? RANDOM.nextInt(all.size()) : Math.min(wanted, all.size())));
            members.add(member);
        }
        switch (RANDOM.nextInt(4)) {
            case 0 -> { }
            case 1 -> claimAtRandom(0);
            case 2 -> claimAtRandom(3);
            default -> claimFromBefore(equal);
        }
        // Kafka's sticky assignors overlook that the first member subscribes to nothing, and give it what it did not ask for.
        if (members.get(0).topics.isEmpty()) members.get(0).topics.add(topics.firstKey());
    }

    static void cluster() {
        List<PartitionInfo> infos = new ArrayList<>();
        for (Map.Entry<String, List<List<String>>> topic : topics.entrySet()) {
            for (int p = 0; p < topic.getValue().size(); p++) {
                List<String> racks = topic.getValue().get(p);
                Node[] nodes = IntStream.range(0, racks.size()).mapToObj(i -> new Node(i, "h", 9, racks.get(i))).toArray(Node[]::new);
                infos.add(new PartitionInfo(topic.getKey(), p, null, nodes, nodes));
            }
        }
        cluster = new Cluster("c", List.of(), infos, Set.of(), Set.of());
    }

    /** Each partition is claimed by a random subscriber, of equal generations or not; some twice, some by nobody. */
    static void claimAtRandom(int spread) {
        for (Member member : members) member.generation = 5 + (spread == 0 ? 0 : RANDOM.nextInt(spread));
        for (TopicPartition partition : partitions()) {
            List<Member> subscribers = members.stream().filter(m -> m.topics.contains(partition.topic())).toList();
            int claims = subscribers.isEmpty() || RANDOM.nextInt(6) == 0 ? 0 : spread > 0 && RANDOM.nextInt(5) == 0 ? 2 : 1;
            for (int i = 0; i < claims; i++) {
                // The square makes some members own much more than others.
                double at = RANDOM.nextDouble();
                Member member = subscribers.get((int) (at * at * subscribers.size()));
                if (!member.owned.contains(partition)) member.owned.add(partition);
            }
        }
    }

    /** The group has been balanced before; since then members came and went, changed their topics, and topics grew. */
    static void claimFromBefore(boolean equal) {
        Map<String, Assignment> before = new StickyAssignor().assign(cluster, new GroupSubscription(subscriptions(false))).groupAssignment();
        for (Member member : members) {
            member.generation = 5;
            member.owned.addAll(sorted(before.get(member.id).partitions()));
        }
        int left = RANDOM.nextInt(3);
        for (int i = 0; i < left && members.size() > 1; i++) members.remove(RANDOM.nextInt(members.size()));
        int came = RANDOM.nextInt(3);
        for (int i = 0; i < came; i++) {
            Member member = new Member();
            member.id = "n" + i;
            member.topics.addAll(members.get(RANDOM.nextInt(members.size())).topics);
            members.add(member);
        }
        if (!equal && RANDOM.nextBoolean()) {
            Member member = members.get(RANDOM.nextInt(members.size()));
            if (!member.topics.isEmpty()) member.topics.remove(RANDOM.nextInt(member.topics.size()));
            Set<String> topics = new HashSet<>(member.topics);
            member.owned.removeIf(partition -> !topics.contains(partition.topic()));
        }
        if (RANDOM.nextInt(3) == 0) {
            List<List<String>> grown = topics.firstEntry().getValue();
            for (int i = RANDOM.nextInt(4); i >= 0; i--) grown.add(grown.get(0));
            cluster();
        }
    }

    static List<TopicPartition> partitions() {
        List<TopicPartition> partitions = new ArrayList<>();
        topics.forEach((topic, of) -> IntStream.range(0, of.size()).forEach(p -> partitions.add(new TopicPartition(topic, p))));
        return partitions;
    }

    @SuppressWarnings("removal")
    static Subscription subscription(Member member, boolean cooperative) {
        ByteBuffer userData;
        if (cooperative) {
            CooperativeStickyAssignor assignor = new CooperativeStickyAssignor();
            assignor.onAssignment(new Assignment(member.owned), new ConsumerGroupMetadata("g", member.generation, member.id, Optional.empty()));
            userData = assignor.subscriptionUserData(new HashSet<>(member.topics));
        } else {
            StickyAssignor assignor = new StickyAssignor();
            if (member.generation >= 0) {
                assignor.onAssignment(new Assignment(member.owned), new ConsumerGroupMetadata("g", member.generation, member.id, Optional.empty()));
            }
            userData = assignor.subscriptionUserData(new HashSet<>(member.topics));
        }
        Subscription subscription = new Subscription(member.topics, userData, cooperative ? member.owned : List.of(), member.generation, Optional.ofNullable(member.rack));
        subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
        return subscription;
    }

    static Map<String, Subscription> subscriptions(boolean cooperative) {
        Map<String, Subscription> subscriptions = new LinkedHashMap<>();
        for (Member member : members) subscriptions.put(member.id, subscription(member, cooperative));
        return subscriptions;
    }

    static Map<String, Assignment> assign(ConsumerPartitionAssignor assignor, boolean cooperative) {
        return assignor.assign(cluster, new GroupSubscription(subscriptions(cooperative))).groupAssignment();
    }

    static void write(int number) {
        out.println("case " + number);
        topics.forEach((name, racks) -> {
            boolean known = racks.stream().anyMatch(of -> !of.isEmpty());
            String in = racks.stream().map(of -> String.join(",", of)).collect(Collectors.joining("|"));
            out.println("t " + name + " " + racks.size() + " " + (known ? in : "-"));
        });
        for (Member m : members) {
            out.println("m " + m.id + " " + or(m.instance) + " " + or(m.rack) + " " + or(String.join(",", m.topics)) + " " + m.generation + " " + text(m.owned));
        }
        out.println("range" + text(assign(new RangeAssignor(), false)));
        out.println("roundrobin" + text(assign(new RoundRobinAssignor(), false)));
        if (number % 12 == 5) bytes();
        Map<TopicPartition, String> owners = owners();
        Map<String, Assignment> sticky = assign(new StickyAssignor(), false);
        out.println("sticky " + sizes(sticky) + " " + moves(owners, sticky));
        int moves = -1;
        for (int round = 0; round < 20; round++) {
            Map<String, Assignment> given = assign(new CooperativeStickyAssignor(), true);
            if (moves < 0) moves = moves(owners, given);
            boolean settled = true;
            for (Member member : members) {
                List<TopicPartition> next = sorted(given.get(member.id).partitions());
                settled &= next.equals(sorted(member.owned)) && member.generation == 10 + round - 1;
                member.owned = next;
                member.generation = 10 + round;
            }
            if (settled) {
                out.println("cooperative " + sizes(given) + " " + moves);
                return;
            }
        }
        out.println("cooperative - " + moves);
    }

    static void bytes() {
        for (Member member : members) {
            Subscription eager = subscription(member, false), cooperative = subscription(member, true);
            for (short version = 0; version <= 3; version++) {
                bytes("subscription" + version, member, ConsumerProtocol.serializeSubscription(cooperative, version));
            }
            if (eager.userData() != null) bytes("sticky", member, eager.userData());
            bytes("assignment", member, ConsumerProtocol.serializeAssignment(new Assignment(member.owned, cooperative.userData())));
        }
    }

    static void bytes(String kind, Member member, ByteBuffer bytes) {
        byte[] array = new byte[bytes.remaining()];
        bytes.duplicate().get(array);
        out.println("bytes " + kind + " " + member.id + " " + HexFormat.of().formatHex(array));
    }

    static Map<TopicPartition, String> owners() {
        Map<TopicPartition, String> owners = new HashMap<>();
        for (TopicPartition partition : partitions()) {
            List<Member> claims = members.stream().filter(m -> m.owned.contains(partition)).toList();
            int newest = claims.stream().mapToInt(m -> m.generation).max().orElse(-1);
            List<Member> newestClaims = claims.stream().filter(m -> m.generation == newest).toList();
            if (newestClaims.size() == 1 && newestClaims.get(0).topics.contains(partition.topic())) {
                owners.put(partition, newestClaims.get(0).id);
            }
        }
        return owners;
    }

    static int moves(Map<TopicPartition, String> owners, Map<String, Assignment> given) {
        int[] moves = {0};
        owners.forEach((partition, owner) -> moves[0] += given.get(owner).partitions().contains(partition) ? 0 : 1);
        return moves[0];
    }

    static String sizes(Map<String, Assignment> given) {
        return given.values().stream().map(a -> a.partitions().size()).sorted().map(String::valueOf).collect(Collectors.joining(","));
    }

    static List<TopicPartition> sorted(List<TopicPartition> partitions) {
        return partitions.stream().sorted(Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition)).collect(Collectors.toCollection(ArrayList::new));
    }

    static String text(Map<String, Assignment> given) {
        return new TreeMap<>(given).entrySet().stream().map(e -> " " + e.getKey() + "=" + text(e.getValue().partitions())).collect(Collectors.joining());
    }

    static String text(List<TopicPartition> partitions) {
        TreeMap<String, TreeSet<Integer>> byTopic = new TreeMap<>();
        for (TopicPartition p : partitions) byTopic.computeIfAbsent(p.topic(), t -> new TreeSet<>()).add(p.partition());
        return or(byTopic.entrySet().stream().map(e -> e.getKey() + ":" + e.getValue().stream().map(String::valueOf).collect(Collectors.joining(","))).collect(Collectors.joining(";")));
    }

    static String or(String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }
}
