//! Properties of topics.

use super::{Check, Property, alias, choice, int, pointer, text, yes_no};

const MAX: i32 = i32::MAX;

/// Of topics.
pub(super) const PROPERTIES: &[Property] = &[
    int("request.required.acks", -1, 1000, -1).named(&[(-1, "all")]).producer().high(),
    alias("acks", "request.required.acks").producer().high(),
    int("request.timeout.ms", 1, 900_000, 30_000).producer().medium(),
    int("message.timeout.ms", 0, MAX, 300_000).producer().high(),
    alias("delivery.timeout.ms", "message.timeout.ms").producer().high(),
    choice("queuing.strategy", 0, &[(0, "fifo"), (1, "lifo")]).producer().deprecated().experimental(),
    yes_no("produce.offset.report", false).producer().deprecated(),
    text("partitioner").or("consistent_random").checked(Check::Partitioner).producer().high(),
    pointer("partitioner_cb").producer(),
    pointer("msg_order_cmp").producer().deprecated().experimental(),
    pointer("opaque"),
    choice("compression.codec", 5, &[(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd"), (5, "inherit")])
        .producer()
        .high(),
    alias("compression.type", "compression.codec").producer().high(),
    int("compression.level", -1, 12, -1).producer().medium(),
    yes_no("auto.commit.enable", true).consumer().deprecated(),
    alias("enable.auto.commit", "auto.commit.enable").consumer(),
    int("auto.commit.interval.ms", 10, 86_400_000, 60_000).consumer().high(),
    choice(
        "auto.offset.reset",
        -1,
        &[
            (-2, "smallest"),
            (-2, "earliest"),
            (-2, "beginning"),
            (-1, "largest"),
            (-1, "latest"),
            (-1, "end"),
            (-1001, "error"),
        ],
    )
    .consumer()
    .high(),
    text("offset.store.path").or(".").consumer().deprecated(),
    int("offset.store.sync.interval.ms", -1, 86_400_000, -1).consumer().deprecated(),
    choice("offset.store.method", 2, &[(1, "file"), (2, "broker")]).consumer().deprecated(),
    int("consume.callback.max.messages", 0, 1_000_000, 0).consumer(),
];
