//! The table of properties: every name that is understood, its type, range, meaning, and its default in Felice, in the Java client and in
//! librdkafka. Documentation, command line and C configuration are made from it.

/// The type and range of a property.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// Texts with commas between.
    List,
    /// `true` or `false`.
    Bool,
    /// A number within these, both included.
    Int(i64, i64),
    /// One of these; one that ends in a colon goes on after it.
    Enum(&'static [&'static str]),
    /// Text that is never shown.
    Secret,
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Other names for it, of the Java client or of librdkafka.
    pub aliases: &'static [&'static str],
    /// Type and range.
    pub kind: Kind,
    /// Felice's default; empty for none.
    pub felice: &'static str,
    /// The Java client's default; empty for none.
    pub java: &'static str,
    /// librdkafka's default; empty for none.
    pub librdkafka: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const MAX: i64 = i32::MAX as i64;

const fn property(
    name: &'static str,
    aliases: &'static [&'static str],
    kind: Kind,
    [felice, java, librdkafka]: [&'static str; 3],
    meaning: &'static str,
) -> Property {
    Property { name, aliases, kind, felice, java, librdkafka, meaning }
}

use Kind::{Bool, Enum, Int, List, Secret, Text};

/// Every property.
pub const PROPERTIES: &[Property] = &[
    property(
        "bootstrap.servers",
        &["metadata.broker.list"],
        List,
        ["", "", ""],
        "HOST:PORT of one or more brokers to start from",
    ),
    property(
        "client.id",
        &[],
        Text,
        ["felice", "", "rdkafka"],
        "name of this client in the broker's logs, metrics and quotas",
    ),
    property("client.rack", &[], Text, ["", "", ""], "rack of this client, to read from replicas near it"),
    property(
        "metadata.max.age.ms",
        &["topic.metadata.refresh.interval.ms"],
        Int(-1, 3_600_000),
        ["300000", "300000", "300000"],
        "metadata older than this is refreshed",
    ),
    property(
        "metadata.recovery.strategy",
        &[],
        Enum(&["none", "rebootstrap"]),
        ["rebootstrap", "rebootstrap", "rebootstrap"],
        "what to do when no known broker can be reached",
    ),
    property(
        "allow.auto.create.topics",
        &[],
        Bool,
        ["true", "true", "false"],
        "whether asking for an unknown topic may create it, where the broker allows",
    ),
    property(
        "request.timeout.ms",
        &["socket.timeout.ms"],
        Int(10, 900_000),
        ["30000", "30000", "60000"],
        "an unanswered request closes its connection after this time",
    ),
    property(
        "reconnect.backoff.ms",
        &[],
        Int(0, 3_600_000),
        ["50", "50", "100"],
        "first pause before a broker is connected to again",
    ),
    property(
        "reconnect.backoff.max.ms",
        &[],
        Int(0, 3_600_000),
        ["1000", "1000", "10000"],
        "longest pause before a broker is connected to again",
    ),
    property(
        "retry.backoff.ms",
        &[],
        Int(0, 300_000),
        ["100", "100", "100"],
        "first pause before a request is sent again",
    ),
    property(
        "retry.backoff.max.ms",
        &[],
        Int(0, 300_000),
        ["1000", "1000", "1000"],
        "longest pause before a request is sent again",
    ),
    property(
        "socket.connection.setup.timeout.ms",
        &[],
        Int(100, MAX),
        ["10000", "10000", "30000"],
        "time to connect, agree on TLS and authenticate",
    ),
    property(
        "connections.max.idle.ms",
        &[],
        Int(0, MAX),
        ["540000", "540000", "0"],
        "an unused connection is closed after this time; 0 for never",
    ),
    property(
        "socket.keepalive.enable",
        &[],
        Bool,
        ["true", "true", "false"],
        "whether the system probes quiet connections",
    ),
    property("socket.nagle.disable", &[], Bool, ["true", "true", "true"], "whether small writes leave at once"),
    property(
        "send.buffer.bytes",
        &["socket.send.buffer.bytes"],
        Int(-1, 100_000_000),
        ["0", "131072", "0"],
        "size of the socket's send buffer; 0 or -1 leaves it to the system",
    ),
    property(
        "receive.buffer.bytes",
        &["socket.receive.buffer.bytes"],
        Int(-1, 100_000_000),
        ["0", "65536", "0"],
        "size of the socket's receive buffer; 0 or -1 leaves it to the system",
    ),
    property(
        "receive.message.max.bytes",
        &[],
        Int(1000, MAX),
        ["268435456", "2147483647", "100000000"],
        "a longer response closes the connection",
    ),
    property(
        "security.protocol",
        &[],
        Enum(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        ["plaintext", "plaintext", "plaintext"],
        "whether connections use TLS and SASL",
    ),
    property(
        "sasl.mechanism",
        &["sasl.mechanisms"],
        Enum(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"]),
        ["", "GSSAPI", "GSSAPI"],
        "how to authenticate",
    ),
    property("sasl.username", &[], Text, ["", "", ""], "user for PLAIN and SCRAM"),
    property("sasl.password", &[], Secret, ["", "", ""], "password for PLAIN and SCRAM"),
    property(
        "sasl.jaas.config",
        &[],
        Secret,
        ["", "", ""],
        "user and password in the Java client's form: …LoginModule required username=\"…\" password=\"…\";",
    ),
    property(
        "ssl.ca.location",
        &["ssl.truststore.location"],
        Text,
        ["", "", ""],
        "file of the authorities to trust, PEM; without it those of the web",
    ),
    property("ssl.ca.pem", &["ssl.truststore.certificates"], Text, ["", "", ""], "the authorities to trust, PEM"),
    property("ssl.truststore.type", &[], Enum(&["PEM"]), ["PEM", "", ""], "only PEM is read"),
    property(
        "ssl.certificate.location",
        &["ssl.keystore.location"],
        Text,
        ["", "", ""],
        "file of this client's certificate chain, PEM",
    ),
    property(
        "ssl.certificate.pem",
        &["ssl.keystore.certificate.chain"],
        Text,
        ["", "", ""],
        "this client's certificate chain, PEM",
    ),
    property("ssl.key.location", &[], Text, ["", "", ""], "file of this client's private key, PEM"),
    property("ssl.key.pem", &["ssl.keystore.key"], Secret, ["", "", ""], "this client's private key, PEM"),
    property(
        "ssl.endpoint.identification.algorithm",
        &[],
        Enum(&["https", "none", ""]),
        ["https", "https", "https"],
        "whether the certificate must carry the broker's name",
    ),
    property(
        "enable.ssl.certificate.verification",
        &[],
        Bool,
        ["true", "true", "true"],
        "whether the broker's certificate is checked at all",
    ),
    // Producer.
    property(
        "acks",
        &["request.required.acks"],
        Enum(&["all", "-1", "0", "1"]),
        ["all", "all", "-1"],
        "which replicas must have a record before it counts as written",
    ),
    property(
        "enable.idempotence",
        &[],
        Bool,
        ["true", "true", "false"],
        "whether the broker refuses what it already has, so that a retry writes nothing twice",
    ),
    property(
        "linger.ms",
        &["queue.buffering.max.ms"],
        Int(0, 900_000),
        ["5", "5", "5"],
        "how long a batch waits for more records",
    ),
    property(
        "batch.size",
        &[],
        Int(1, MAX),
        ["1000000", "16384", "1000000"],
        "largest batch of records, in bytes before compression",
    ),
    property(
        "batch.num.messages",
        &[],
        Int(1, 1_000_000),
        ["1000000", "1000000", "10000"],
        "most records in one batch",
    ),
    property(
        "max.request.size",
        &["message.max.bytes"],
        Int(1000, 1_000_000_000),
        ["1048576", "1048576", "1000000"],
        "largest record that is accepted",
    ),
    property(
        "compression.type",
        &["compression.codec"],
        Enum(&["none", "gzip", "snappy", "lz4", "zstd"]),
        ["none", "none", "none"],
        "how batches are compressed",
    ),
    property(
        "compression.level",
        &["compression.gzip.level", "compression.lz4.level", "compression.zstd.level"],
        Int(-131_072, 22),
        ["", "", "-1"],
        "how hard to compress; the codec's own default where unset",
    ),
    property(
        "max.in.flight.requests.per.connection",
        &["max.in.flight"],
        Int(1, 1_000_000),
        ["5", "5", "1000000"],
        "unanswered requests to one broker; at most 5 where idempotent",
    ),
    property(
        "delivery.timeout.ms",
        &["message.timeout.ms"],
        Int(0, MAX),
        ["120000", "120000", "300000"],
        "a record that is not acknowledged after this time has failed",
    ),
    property(
        "request.timeout.produce.ms",
        &[],
        Int(1, 900_000),
        ["30000", "30000", "30000"],
        "how long the broker may wait for its replicas",
    ),
    property(
        "retries",
        &["message.send.max.retries"],
        Int(0, MAX),
        ["2147483647", "2147483647", "2147483647"],
        "how often a batch is sent again",
    ),
    property(
        "buffer.memory",
        &[],
        Int(1, i64::MAX),
        ["33554432", "33554432", "1073741824"],
        "most bytes of records that wait for their acknowledgement",
    ),
    property(
        "queue.buffering.max.kbytes",
        &[],
        Int(1, MAX),
        ["", "", "1048576"],
        "buffer.memory in units of 1024 bytes",
    ),
    property(
        "queue.buffering.max.messages",
        &[],
        Int(0, MAX),
        ["0", "0", "100000"],
        "most records that wait for their acknowledgement; 0 for no limit",
    ),
    property(
        "max.block.ms",
        &[],
        Int(0, i64::MAX),
        ["60000", "60000", "60000"],
        "how long a call waits for room in the buffer",
    ),
    property(
        "partitioner",
        &[],
        Enum(&["murmur2_random", "murmur2", "consistent_random", "consistent", "random", "fnv1a_random", "fnv1a"]),
        ["murmur2_random", "murmur2_random", "consistent_random"],
        "which partition a record goes to",
    ),
    property("transactional.id", &[], Text, ["", "", ""], "name under which a producer's transactions survive it"),
    property(
        "transaction.timeout.ms",
        &[],
        Int(1000, MAX),
        ["60000", "60000", "60000"],
        "the broker aborts a transaction that is older",
    ),
    // Consumer and reader.
    property("group.id", &[], Text, ["", "", ""], "the consumer group"),
    property("group.instance.id", &[], Text, ["", "", ""], "name of this member that survives restarts"),
    property(
        "group.protocol",
        &[],
        Enum(&["auto", "classic", "consumer"]),
        ["auto", "classic", "classic"],
        "which rebalance protocol to use; auto takes the consumer protocol (KIP-848) where the coordinator has it",
    ),
    property(
        "group.remote.assignor",
        &[],
        Text,
        ["", "", ""],
        "which of the coordinator's assignors divides the partitions (KIP-848): uniform, range",
    ),
    property(
        "session.timeout.ms",
        &[],
        Int(1, 3_600_000),
        ["45000", "45000", "45000"],
        "a member that is silent for longer loses its partitions",
    ),
    property(
        "heartbeat.interval.ms",
        &[],
        Int(1, 3_600_000),
        ["3000", "3000", "3000"],
        "how often a member says that it lives",
    ),
    property(
        "max.poll.interval.ms",
        &[],
        Int(1, 86_400_000),
        ["300000", "300000", "300000"],
        "a consumer that asks for nothing for longer leaves the group",
    ),
    property(
        "enable.auto.commit",
        &[],
        Bool,
        ["true", "true", "true"],
        "whether offsets are committed in the background",
    ),
    property("auto.commit.interval.ms", &[], Int(0, 86_400_000), ["5000", "5000", "5000"], "how often"),
    property(
        "enable.auto.offset.store",
        &[],
        Bool,
        ["true", "", "true"],
        "whether a record that was handed out counts as done",
    ),
    property(
        "enable.partition.eof",
        &[],
        Bool,
        ["false", "", "false"],
        "whether reaching the end of a partition is reported",
    ),
    property(
        "partition.assignment.strategy",
        &[],
        List,
        ["range,cooperative-sticky", "range,cooperative-sticky", "range,roundrobin"],
        "how the classic protocol divides partitions",
    ),
    property(
        "auto.offset.reset",
        &[],
        Enum(&["earliest", "smallest", "beginning", "latest", "largest", "end", "error", "none", "by_duration:"]),
        ["error", "latest", "largest"],
        "where to start without a valid position; by_duration: as in by_duration:PT2H (KIP-1106)",
    ),
    property(
        "exclude.internal.topics",
        &[],
        Bool,
        ["true", "true", "true"],
        "whether subscriptions by pattern leave Kafka's own topics out",
    ),
    property(
        "internal.leave.group.on.close",
        &[],
        Bool,
        ["true", "true", "true"],
        "whether closing leaves the group at once; a static member stays until its session ends",
    ),
    property("fetch.min.bytes", &[], Int(1, 100_000_000), ["1", "1", "1"], "the broker answers once it has this much"),
    property("fetch.max.bytes", &[], Int(0, MAX), ["16777216", "52428800", "52428800"], "most bytes in one answer"),
    property(
        "fetch.max.wait.ms",
        &["fetch.wait.max.ms"],
        Int(0, 300_000),
        ["500", "500", "500"],
        "the broker answers after this time at the latest",
    ),
    property(
        "max.partition.fetch.bytes",
        &["fetch.message.max.bytes"],
        Int(1, 1_000_000_000),
        ["1048576", "1048576", "1048576"],
        "most bytes of one partition in one answer",
    ),
    property(
        "fetch.buffer.bytes",
        &[],
        Int(1024, i64::MAX),
        ["67108864", "", ""],
        "most bytes of fetched records that wait to be read",
    ),
    property(
        "queued.max.messages.kbytes",
        &[],
        Int(1, 2_097_151),
        ["", "", "65536"],
        "fetch.buffer.bytes in units of 1024 bytes",
    ),
    property(
        "queued.min.messages",
        &[],
        Int(1, 10_000_000),
        ["100000", "", "100000"],
        "accepted; reading ahead is bounded by bytes",
    ),
    property(
        "isolation.level",
        &[],
        Enum(&["read_uncommitted", "read_committed"]),
        ["read_committed", "read_uncommitted", "read_committed"],
        "whether records of open and aborted transactions are read",
    ),
    property("check.crcs", &[], Bool, ["true", "true", "false"], "whether the checksum of every batch is verified"),
    property("max.poll.records", &[], Int(1, MAX), ["500", "500", ""], "most records a poll gives"),
    property(
        "default.api.timeout.ms",
        &[],
        Int(0, MAX),
        ["60000", "60000", "60000"],
        "how long an administrative call may take",
    ),
];
