//! What a seed decides before the first event: the shape of the world, its load, and which faults it knows.

use std::time::Duration;

use crate::faults::FaultKind;
use crate::group_plan::GroupsPlan;
use crate::network::Weather;
use crate::rng::Rng;

/// How much of the world's evil is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A small load and no faults: whether the cores work at all.
    Lite,
    /// Each seed switches a random part of the faults off, so that those left meet more often.
    #[default]
    Swarm,
    /// Every fault on.
    Full,
}

/// What makes a run: the same settings give the same history.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Everything random comes from here.
    pub seed: u64,
    /// How much evil.
    pub mode: Mode,
    /// Whether there are consumer groups.
    pub groups: bool,
    /// A bug to plant, by name.
    pub bug: Option<&'static str>,
    /// Whether the history's text is kept.
    pub keep_text: bool,
    /// Whether it is printed while it grows.
    pub trace: bool,
}

/// A producer's settings.
#[derive(Clone, Debug)]
pub struct ProducerPlan {
    /// Kafka's `acks`.
    pub acks: &'static str,
    /// `enable.idempotence`.
    pub idempotent: bool,
    /// `linger.ms`.
    pub linger_millis: u64,
    /// `batch.size`.
    pub batch_size: u64,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u64,
    /// `delivery.timeout.ms`.
    pub delivery_timeout_millis: u64,
    /// `compression.type`.
    pub compression: &'static str,
    /// The longest pause between two bursts of records, in milliseconds.
    pub pause_millis: u64,
    /// The most records in a burst.
    pub burst: u64,
    /// The largest value.
    pub value_size: u64,
}

/// A reader's settings.
#[derive(Clone, Debug)]
pub struct ReaderPlan {
    /// `fetch.min.bytes`.
    pub min_bytes: u64,
    /// `fetch.max.wait.ms`.
    pub max_wait_millis: u64,
    /// `max.partition.fetch.bytes`.
    pub max_partition_bytes: u64,
    /// `auto.offset.reset` is `earliest` for all; whether this reader counts its start back from the end.
    pub starts_from_end: bool,
    /// How often it is sent elsewhere, in a thousand steps of a second.
    pub seek_per_mille: u64,
}

/// A world's shape.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Partitions of the one topic.
    pub partitions: i32,
    /// `felice.flush` is `batch` rather than `none`.
    pub flush_batch: bool,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
    /// `request.timeout.ms` of all clients.
    pub request_timeout_millis: u64,
    /// `socket.max.fails` of all clients: above 1, late answers come on connections that are still in use.
    pub max_late_requests: u64,
    /// Producers, each a client of its own.
    pub producers: Vec<ProducerPlan>,
    /// Readers, each a client of its own.
    pub readers: Vec<ReaderPlan>,
    /// Consumer groups, where this world has some.
    pub groups: Option<GroupsPlan>,
    /// The network.
    pub weather: Weather,
    /// The faults that this world knows.
    pub faults: Vec<FaultKind>,
    /// The longest time between two faults.
    pub fault_gap_millis: u64,
    /// How long there is load and evil.
    pub active: Duration,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(settings: &Settings) -> Self {
        let mut rng = Rng::new(settings.seed ^ 0x0070_6c61_6e00);
        let lite = settings.mode == Mode::Lite;
        let producers = if lite { 1 } else { rng.between(1, 3) };
        let readers = if lite { 1 } else { rng.between(1, 2) };
        let faults = match settings.mode {
            Mode::Lite => Vec::new(),
            Mode::Full => FaultKind::ALL.to_vec(),
            Mode::Swarm => FaultKind::ALL.into_iter().filter(|_| rng.chance(500)).collect(),
        };
        let segment_bytes = rng.pick([5000, 20_000, 64 * 1024, 1 << 20]);
        let plan = Self {
            partitions: i32::try_from(rng.between(1, 4)).unwrap_or(1),
            flush_batch: rng.chance(500),
            segment_bytes,
            index_interval_bytes: rng.pick([64, 256, 1024, 4096]),
            request_timeout_millis: rng.pick([1000, 3000, 10_000]),
            max_late_requests: Rng::new(settings.seed ^ 0x6c61_7465).pick([1, 1, 1, 4]),
            producers: (0..producers)
                .map(|number| ProducerPlan::new(&mut rng, lite || number == 0, segment_bytes))
                .collect(),
            readers: (0..readers).map(|_| ReaderPlan::new(&mut rng, lite)).collect(),
            weather: Weather::draw(&mut rng),
            faults,
            fault_gap_millis: rng.pick([300, 1000, 3000, 8000]),
            active: Duration::from_secs(if lite { 5 } else { rng.between(10, 40) }),
            groups: None,
        };
        if settings.groups { plan.with_groups(&mut rng, settings.mode) } else { plan }
    }

    /// A world for groups: a smaller load, whose every record is known, on a broker that keeps what it promises.
    fn with_groups(mut self, rng: &mut Rng, mode: Mode) -> Self {
        let lite = mode == Mode::Lite;
        self.partitions = i32::try_from(rng.between(1, 8)).unwrap_or(1);
        // what is committed, and then lost with the machine, cannot be held against anybody
        self.flush_batch |= self.faults.contains(&FaultKind::MachineCrash);
        self.request_timeout_millis = rng.pick([1000, 3000]);
        // Four joins that nobody answers take longer than a group may to settle.
        self.max_late_requests = 1;
        self.producers.truncate(1);
        for producer in &mut self.producers {
            producer.pause_millis = rng.pick([200, 1000]);
            producer.burst = rng.pick([1, 3, 10]);
        }
        self.readers.truncate(usize::from(rng.chance(300)));
        self.fault_gap_millis = rng.pick([1000, 3000, 8000, 20_000]);
        self.active = Duration::from_secs(if lite { 10 } else { rng.between(15, 50) });
        self.groups = Some(GroupsPlan::new(rng, mode));
        self
    }
}

impl ProducerPlan {
    fn new(rng: &mut Rng, idempotent: bool, segment_bytes: u64) -> Self {
        let kind = if idempotent { 0 } else { rng.below(10) };
        let (acks, idempotent) = match kind {
            8 => ("1", false),
            9 => ("0", false),
            _ => ("all", true),
        };
        Self {
            acks,
            idempotent,
            linger_millis: rng.pick([0, 0, 1, 5, 50]),
            // a batch that is larger than a segment is refused
            batch_size: rng.pick([300, 1000, 4000, 16_384]).min(segment_bytes * 4 / 5),
            max_in_flight: rng.pick([1, 2, 5, 5, 5]),
            delivery_timeout_millis: rng.pick([15_000, 30_000, 120_000]),
            compression: rng.pick(["none", "none", "lz4", "zstd", "snappy", "gzip"]),
            pause_millis: rng.pick([50, 200, 500, 1000]),
            burst: rng.pick([1, 3, 10, 20]),
            value_size: rng.pick([16, 60, 200, 1000]),
        }
    }
}

impl ReaderPlan {
    fn new(rng: &mut Rng, lite: bool) -> Self {
        let min_bytes = rng.pick([1, 1, 1, 500]);
        Self {
            min_bytes,
            // the last marker of a partition may be less than what a reader asks for
            max_wait_millis: if min_bytes > 1 { 500 } else { rng.pick([100, 500, 20_000, 20_000]) },
            max_partition_bytes: rng.pick([200, 2000, 1 << 20]).max(min_bytes * 2),
            starts_from_end: !lite && rng.chance(200),
            seek_per_mille: if lite { 0 } else { rng.pick([0, 100, 500]) },
        }
    }
}

impl Weather {
    /// A climate: from a machine's own loopback to another continent.
    pub fn draw(rng: &mut Rng) -> Self {
        let latency_min_micros = rng.pick([20, 100, 1000, 20_000]);
        Self {
            latency_min_micros,
            latency_max_micros: latency_min_micros * rng.pick([2, 5, 20]),
            late_per_mille: rng.pick([0, 5, 50]),
            bytes_per_second: rng.pick([100_000, 1_000_000, 100_000_000, 1_000_000_000]),
        }
    }
}
