//! Producing: the producing half of a handle.
//!
//! - this file: the handle's producers, what is on its way, flushing, giving up
//! - `record`: what a program hands over
//! - [`exports`]: the C functions
//! - `intercept`: interceptors
//! - `report`: delivery reports, called back or as events

pub mod exports;
mod intercept;
mod record;
mod report;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use felice::{Client, Error, ErrorCode, Producer, Properties};

use self::intercept::Interception;
pub(crate) use self::report::{Delivered, Reports, report};
use crate::conf::{Conf, TopicConf};
use crate::event::kind;
use crate::fatal::{Fatal, Guarantee};
use crate::fork::Process;
use crate::handle::Kafka;
use crate::log::Logger;
use crate::op::{Op, is_yielding, serve_all};
use crate::partitioner::{Choice, Named, Program};
use crate::queue::Queue;
use crate::stats::Produced;
use crate::topic::Topics;
use crate::wait::{Deadline, Signal, block_on};

/// Records that the program has handed over and not heard of, or that are not done where it does not want to hear.
#[derive(Debug, Default)]
struct Deliveries {
    records: AtomicUsize,
    /// Set when some are done.
    signal: Signal,
}

impl Deliveries {
    fn forget(&self, count: usize) {
        self.records.fetch_sub(count, Ordering::SeqCst);
        self.signal.set();
    }
}

/// Of which records the program hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reported {
    None,
    Failed,
    All,
}

/// The settings of topics that a producer of our client has for all of its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    properties: Vec<(&'static str, String)>,
    choice: Option<Choice>,
}

/// The producing half of a handle.
#[derive(Debug)]
pub(crate) struct ProducerSide {
    client: Client,
    /// For topics without settings of their own.
    producer: Producer,
    /// All of them: one for each set of settings that topics have.
    producers: Mutex<Vec<(Settings, Producer)>>,
    /// Held while one more is made. That waits for the driver, which looks at the list meanwhile.
    making: Mutex<()>,
    main: Arc<Queue>,
    deliveries: Arc<Deliveries>,
    max_messages: usize,
    /// `message.max.bytes`.
    max_bytes: usize,
    unknown_topic_after: Duration,
    reported: Reported,
    reports_events: bool,
    fatal: Arc<Fatal>,
    interception: Arc<Interception>,
    process: Process,
    /// Where the handle's topics are, for partitioners.
    topics: Arc<OnceLock<Weak<Topics>>>,
    /// Counted where statistics are wanted.
    produced: Option<Arc<Produced>>,
    guarantee: Guarantee,
}

impl ProducerSide {
    /// What statistics count; `None` where none are wanted.
    pub(crate) fn counted(&self) -> Option<&Produced> {
        self.produced.as_deref()
    }

    /// Records that are in the log, and their bytes; nothing where no statistics are wanted.
    pub(crate) fn produced(&self, topic: &str, partition: i32) -> (u64, u64) {
        self.produced.as_ref().map_or((0, 0), |produced| produced.of(topic, partition))
    }

    pub(crate) fn new(
        client: &Client,
        properties: &Properties,
        conf: &Conf,
        main: &Arc<Queue>,
        fatal: &Arc<Fatal>,
        log: &Arc<Logger>,
    ) -> Result<Self, Error> {
        let config = properties.producer_config()?;
        let reports_events = conf.enabled_events & kind::DR != 0;
        let calls_back = conf.callbacks.dr_msg_cb.is_some() || conf.callbacks.dr_cb.is_some();
        let reported = match (calls_back || reports_events, conf.flag("delivery.report.only.error")) {
            (false, _) => Reported::None,
            (true, true) => Reported::Failed,
            (true, false) => Reported::All,
        };
        let making = Making {
            interception: Arc::new(Interception::new(conf, log)),
            main: main.clone(),
            deliveries: Arc::default(),
            reported,
            topics: Arc::default(),
            unknown_topic_after: Duration::from_millis(
                u64::try_from(conf.int("topic.metadata.propagation.max.ms")).unwrap_or(0),
            ),
            produced: (conf.int("statistics.interval.ms") > 0).then(Arc::default),
            guarantee: Guarantee::of(conf),
        };
        let settings = Settings::of(conf, &conf.topic);
        let producer = making.make(client, &settings)?;
        Ok(Self {
            client: client.clone(),
            producers: Mutex::new(vec![(settings, producer.clone())]),
            making: Mutex::default(),
            producer,
            main: making.main,
            deliveries: making.deliveries,
            max_messages: if config.max_messages == 0 { usize::MAX } else { config.max_messages },
            max_bytes: usize::try_from(conf.int("message.max.bytes")).unwrap_or(usize::MAX),
            unknown_topic_after: making.unknown_topic_after,
            reported,
            reports_events,
            fatal: fatal.clone(),
            interception: making.interception,
            process: Process::this(),
            topics: making.topics,
            produced: making.produced,
            guarantee: making.guarantee,
        })
    }

    /// Programs are called with this from now on; with NULL no more.
    pub(crate) fn attach(&self, rk: *mut Kafka) {
        self.interception.attach(rk);
    }

    /// Where the handle's topics are to be made known.
    pub(crate) fn topics(&self) -> &OnceLock<Weak<Topics>> {
        &self.topics
    }

    /// For topics without settings of their own.
    pub(crate) fn producer(&self) -> &Producer {
        &self.producer
    }

    /// For a topic with settings of its own.
    pub(crate) fn producer_for(&self, conf: &Conf, topic: &TopicConf) -> Result<Producer, String> {
        let settings = Settings::of(conf, topic);
        let one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, producer)) = self.producers().iter().find(|(its, _)| *its == settings) {
            return Ok(producer.clone());
        }
        let making = Making {
            interception: self.interception.clone(),
            main: self.main.clone(),
            deliveries: self.deliveries.clone(),
            reported: self.reported,
            topics: self.topics.clone(),
            unknown_topic_after: self.unknown_topic_after,
            produced: self.produced.clone(),
            guarantee: self.guarantee,
        };
        let producer = making.make(&self.client, &settings).map_err(|error| error.to_string())?;
        self.producers().push((settings, producer.clone()));
        drop(one_at_a_time);
        Ok(producer)
    }

    fn producers(&self) -> MutexGuard<'_, Vec<(Settings, Producer)>> {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of the handle's producers, that for topics without settings of their own first.
    pub(crate) fn all(&self) -> Vec<Producer> {
        self.producers().iter().map(|(_, producer)| producer.clone()).collect()
    }

    /// Records that are not done.
    pub(crate) fn in_queue(&self) -> usize {
        self.deliveries.records.load(Ordering::SeqCst)
    }

    /// Serves until nothing is in the queue; `false` where the time was up before.
    pub(crate) fn flush(&self, kafka: &Kafka, deadline: Deadline) -> bool {
        // While these futures are there, nothing lingers; they are not waited for.
        let producers = self.all();
        let mut flushing: Vec<_> = producers.iter().map(|producer| Box::pin(producer.flush())).collect();
        for flushing in &mut flushing {
            let _ = flushing.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        }
        loop {
            let seen = self.deliveries.signal.count();
            if !self.reports_events {
                serve_all(kafka, &kafka.main, Deadline::after(0));
                if is_yielding() {
                    return self.in_queue() == 0;
                }
            }
            if self.in_queue() == 0 {
                return true;
            }
            let in_time = if self.reports_events {
                self.deliveries.signal.wait(seen, deadline)
            } else if self.reported == Reported::All {
                kafka.main.wait(deadline)
            } else {
                // That something is done is no reason for the queue to wake anybody here.
                self.deliveries.signal.wait(seen, deadline.at_most(10)) || deadline.left().is_some()
            };
            if !in_time {
                return false;
            }
        }
    }

    /// Gives records up, those that wait and those in flight; waits until it is done.
    pub(crate) fn purge(&self, waiting: bool, in_flight: bool) {
        for producer in self.all() {
            block_on(producer.purge(waiting, in_flight));
        }
    }

    /// As [`Self::purge`], without waiting.
    pub(crate) fn start_purge(&self, waiting: bool, in_flight: bool) {
        for producer in self.all() {
            producer.start_purge(waiting, in_flight);
        }
    }

    /// The handle goes, and with it what was not sent.
    pub(crate) fn end(&self) {
        self.start_purge(true, true);
    }
}

/// How often librdkafka looks for records to unknown topics whose time is over: programs that purge sooner count on hearing of that.
const SCAN: Duration = Duration::from_secs(1);

/// What the producers of one handle have in common.
struct Making {
    interception: Arc<Interception>,
    main: Arc<Queue>,
    deliveries: Arc<Deliveries>,
    reported: Reported,
    topics: Arc<OnceLock<Weak<Topics>>>,
    unknown_topic_after: Duration,
    produced: Option<Arc<Produced>>,
    guarantee: Guarantee,
}

impl Making {
    fn make(&self, client: &Client, settings: &Settings) -> Result<Producer, Error> {
        let (told, queue, reported) = (self.deliveries.clone(), self.main.clone(), self.reported);
        let (interception, topics) = (self.interception.clone(), self.topics.clone());
        let (produced, guarantee) = (self.produced.clone(), self.guarantee);
        let unanswered = settings.properties.iter().any(|(name, value)| *name == "acks" && value == "0");
        let mut builder = client
            .producer()
            .give_up_unknown_topic_after(self.unknown_topic_after)
            .keep_unknown_topic_for(SCAN)
            .on_batch(move |batch| {
                if let Some(produced) = &produced {
                    produced.count(&batch);
                }
                let topics = || topics.get().and_then(Weak::upgrade);
                if batch.result().is_err_and(|error| error.code() == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED))
                    && let Some(topic) = topics().and_then(|topics| topics.get(batch.topic()))
                {
                    topic.refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
                }
                if let Some((code, words)) = guarantee.broken_by(&batch)
                    && let Some(kafka) = topics().and_then(|topics| topics.handle().upgrade())
                {
                    kafka.set_fatal(code, &words);
                }
                let delivered = Delivered::new(batch, unanswered);
                if interception.sees_acknowledgements()
                    && let Some(topics) = topics()
                {
                    delivered.acknowledge(&interception, &topics);
                }
                if reported == Reported::All || reported == Reported::Failed && delivered.has_failed() {
                    queue.push(Op::Deliveries(Box::new(delivered)));
                } else {
                    told.forget(delivered.left());
                }
            });
        if self.interception.overrules() {
            let interception = self.interception.clone();
            builder = builder.overrule(move |broker, first, code| interception.overrule(broker, first, code));
        }
        for (name, value) in &settings.properties {
            builder = builder.set(name, value);
        }
        if let Some(choice) = settings.choice {
            builder = builder.choose_partition(choice.choose(&self.topics));
        }
        block_on(builder.build())
    }
}

impl Settings {
    fn of(conf: &Conf, topic: &TopicConf) -> Self {
        let sticks = conf.int("sticky.partitioning.linger.ms") > 0;
        let choice = match topic.partitioner_cb {
            Some(callback) => Some(Choice::Program(Program { callback, opaque: topic.opaque, sticks })),
            None => {
                let named = topic.text("partitioner").and_then(Named::find);
                named.filter(|named| !sticks || *named == Named::Random).map(Choice::Named)
            }
        };
        Self { properties: topic.properties(conf), choice }
    }
}
