//! Who the client is, metadata, sockets, logs and callbacks.

use super::{Check, Names, Property, alias, choice, flags, int, patterns, pointer, text, yes_no};

const MAX: i32 = i32::MAX;

/// What a build may have, as bits of `builtin.features`.
const FEATURES: Names = &[
    (1, "gzip"),
    (2, "snappy"),
    (4, "ssl"),
    (8, "sasl"),
    (16, "regex"),
    (32, "lz4"),
    (64, "sasl_gssapi"),
    (128, "sasl_plain"),
    (256, "sasl_scram"),
    (512, "plugins"),
    (1024, "zstd"),
    (2048, "sasl_oauthbearer"),
    (4096, "http"),
    (8192, "oidc"),
];

/// All bits, as librdkafka's default has: what is not supported is left out where it is shown.
const BUILT_IN: i32 = 0xffff;

/// Why this build has not the feature of this name.
pub(crate) fn unsupported_feature(name: &str) -> Option<&'static str> {
    match name {
        "sasl_gssapi" => Some("cyrus-sasl/libsasl2 not available at build time"),
        "http" => Some("libcurl not available at build time"),
        "oidc" => Some("OAuth/OIDC depends on libcurl and OpenSSL which were not available at build time"),
        _ => None,
    }
}

/// The contexts of `debug`.
pub(crate) const DEBUG_CONTEXTS: Names = &[
    (0x1, "generic"),
    (0x2, "broker"),
    (0x4, "topic"),
    (0x8, "metadata"),
    (0x10, "feature"),
    (0x20, "queue"),
    (0x40, "msg"),
    (0x80, "protocol"),
    (0x100, "cgrp"),
    (0x200, "security"),
    (0x400, "fetch"),
    (0x800, "interceptor"),
    (0x1000, "plugin"),
    (0x2000, "consumer"),
    (0x4000, "admin"),
    (0x8000, "eos"),
    (0x1_0000, "mock"),
    (0x2_0000, "assignor"),
    (0x4_0000, "conf"),
    (0x8_0000, "telemetry"),
    (0xf_ffff, "all"),
];

/// Before security.
pub(super) const PROPERTIES: &[Property] = &[
    flags("builtin.features", BUILT_IN, FEATURES),
    text("client.id").or("rdkafka"),
    text("client.software.name").or("librdkafka").hidden(),
    text("client.software.version").hidden(),
    text("metadata.broker.list").high(),
    alias("bootstrap.servers", "metadata.broker.list").high(),
    int("message.max.bytes", 1000, 1_000_000_000, 1_000_000).medium(),
    int("message.copy.max.bytes", 0, 1_000_000_000, 65_535),
    int("receive.message.max.bytes", 1000, MAX, 100_000_000).medium(),
    int("max.in.flight.requests.per.connection", 1, 1_000_000, 1_000_000),
    alias("max.in.flight", "max.in.flight.requests.per.connection"),
    choice("metadata.recovery.strategy", 1, &[(0, "none"), (1, "rebootstrap")]),
    int("metadata.recovery.rebootstrap.trigger.ms", 0, MAX, 300_000),
    int("metadata.request.timeout.ms", 10, 900_000, 10).deprecated().hidden(),
    int("topic.metadata.refresh.interval.ms", -1, 3_600_000, 300_000),
    int("metadata.max.age.ms", 1, 86_400_000, 900_000),
    int("topic.metadata.refresh.fast.interval.ms", 1, 60_000, 100),
    int("topic.metadata.refresh.fast.cnt", 0, 1000, 10).deprecated(),
    yes_no("topic.metadata.refresh.sparse", true),
    int("topic.metadata.propagation.max.ms", 0, 3_600_000, 30_000),
    patterns("topic.blacklist"),
    flags("debug", 0, DEBUG_CONTEXTS).medium(),
    int("socket.timeout.ms", 10, 300_000, 60_000),
    int("socket.blocking.max.ms", 1, 60_000, 1000).deprecated(),
    int("socket.send.buffer.bytes", 0, 100_000_000, 0),
    int("socket.receive.buffer.bytes", 0, 100_000_000, 0),
    yes_no("socket.keepalive.enable", false),
    yes_no("socket.nagle.disable", true),
    int("socket.max.fails", 0, 1_000_000, 1),
    int("broker.address.ttl", 0, 86_400_000, 1000),
    choice("broker.address.family", 0, &[(0, "any"), (2, "v4"), (10, "v6")]),
    int("socket.connection.setup.timeout.ms", 1000, MAX, 30_000).medium(),
    int("connections.max.idle.ms", 0, MAX, 0).medium(),
    yes_no("enable.sparse.connections", true).hidden().medium(),
    int("reconnect.backoff.jitter.ms", 0, 3_600_000, 0).deprecated(),
    int("reconnect.backoff.ms", 0, 3_600_000, 100).medium(),
    int("reconnect.backoff.max.ms", 0, 3_600_000, 10_000).medium(),
    int("statistics.interval.ms", 0, 86_400_000, 0).high(),
    int("enabled_events", 0, MAX, 0),
    pointer("error_cb"),
    pointer("throttle_cb"),
    pointer("stats_cb"),
    pointer("log_cb"),
    int("log_level", 0, 7, 6),
    yes_no("log.queue", false),
    yes_no("log.thread.name", true),
    yes_no("enable.random.seed", true),
    yes_no("log.connection.close", true),
    pointer("background_event_cb"),
    pointer("socket_cb"),
    pointer("connect_cb"),
    pointer("closesocket_cb"),
    pointer("open_cb"),
    pointer("resolve_cb"),
    pointer("opaque"),
    pointer("default_topic_conf"),
    int("internal.termination.signal", 0, 128, 0),
    yes_no("api.version.request", true).deprecated().high(),
    int("api.version.request.timeout.ms", 1, 300_000, 10_000),
    int("api.version.fallback.ms", 0, 604_800_000, 0).deprecated().medium(),
    text("broker.version.fallback").or("0.10.0").checked(Check::BrokerVersion).deprecated().medium(),
    yes_no("allow.auto.create.topics", false),
];
