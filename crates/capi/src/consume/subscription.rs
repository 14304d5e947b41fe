//! Subscriptions, and what programs may ask about their membership.

use std::collections::BTreeSet;
use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use felice::protocol::primitives::ByteStr;
use felice::raw::{ClusterMetadata, RebalanceProtocol, TopicPattern};
use felice::{ErrorCode, Subscription, TopicPartition};

use super::work::Work;
use super::{ConsumerSide, Failure, Stage, grouped};
use crate::boundary::guard;
use crate::errors::text_of;
use crate::handle::Kafka;
use crate::list::{List, read};
use crate::types::{PARTITION_UA, RespErr, TopicPartitionList};

impl ConsumerSide {
    fn subscribe(&self, topics: Vec<String>) -> RespErr {
        let is_twice = topics.iter().collect::<BTreeSet<_>>().len() != topics.len();
        if topics.is_empty() || is_twice || topics.iter().any(String::is_empty) {
            return RespErr::INVALID_ARG;
        }
        let Some(wanted) = wanted(&topics, self.is_consumer_protocol()) else { return RespErr::INVALID_ARG };
        let mut state = self.state();
        if state.stage != Stage::Open {
            return RespErr::DESTROY;
        }
        // Coordinators that match themselves do not tell what matched nothing.
        let patterns = if self.is_consumer_protocol() { Vec::new() } else { patterns(&topics) };
        state.subscription = topics;
        let (told, answer) = std::sync::mpsc::channel();
        self.command(move |work| {
            let now = work.core.now();
            work.carry.unknown.clear();
            work.carry.unmatched.clear();
            work.carry.patterns = patterns;
            let result = match work.core.member() {
                Some(member) => member.subscribe(now, wanted).map_err(|error| RespErr::of(&error)),
                None => Err(RespErr::UNKNOWN_GROUP),
            };
            let metadata = work.core.metadata();
            work.check_subscribed(&metadata, false);
            // Whoever asked waits for it.
            let _ = told.send(result.err().unwrap_or(RespErr::NO_ERROR));
        });
        drop(state);
        super::wait(&answer, crate::wait::Deadline::NEVER).unwrap_or_else(|err| err)
    }

    fn unsubscribe(&self) -> RespErr {
        let mut state = self.state();
        state.subscription.clear();
        self.command(|work| {
            let now = work.core.now();
            work.carry.unknown.clear();
            work.carry.unmatched.clear();
            work.carry.patterns.clear();
            if let Some(member) = work.core.member() {
                member.unsubscribe_instance(now);
            }
        });
        RespErr::NO_ERROR
    }

    fn is_consumer_protocol(&self) -> bool {
        self.settings.group.as_ref().is_some_and(|group| group.group_protocol == felice::GroupProtocol::Consumer)
    }
}

/// The patterns among these, each with what it finds.
fn patterns(topics: &[String]) -> Vec<(ByteStr, TopicPattern)> {
    let patterns = topics.iter().filter(|topic| topic.starts_with('^'));
    patterns.filter_map(|topic| Some((topic.as_str().into(), TopicPattern::new(&anywhere(topic)).ok()?))).collect()
}

/// A pattern that may end before the name does.
fn anywhere(pattern: &str) -> String {
    format!("(?:{pattern}).*")
}

/// What the member subscribes to; `None` for a pattern that is none. A name that begins with `^` is a pattern, to be found anywhere in a topic's name
/// in the classic protocol, and to match all of it where the coordinator matches (KIP-848).
fn wanted(topics: &[String], whole: bool) -> Option<Subscription> {
    if !topics.iter().any(|topic| topic.starts_with('^')) {
        return Some(Subscription::Topics(topics.iter().map(|topic| ByteStr::from(topic.as_str())).collect()));
    }
    let one = |topic: &String| match topic.strip_prefix('^') {
        None => Some(escape(topic)),
        Some(_) if whole => Some(topic.clone()),
        Some(_) => Some(anywhere(topic)),
    };
    let all: Option<Vec<String>> = topics.iter().map(one).collect();
    Some(Subscription::Pattern(all?.join("|")))
}

/// A topic's name as a pattern: of what names may have, only the dot means something.
fn escape(topic: &str) -> String {
    topic.replace('.', "\\.")
}

/// How long a pattern has matched nothing before the program is told.
const UNMATCHED_FOR: Duration = Duration::from_millis(250);

impl Work<'_, '_> {
    /// Tells, once each, of topics that are subscribed to by name and are not there, and of patterns that nothing matches, where the metadata is new and
    /// `complete`.
    pub(super) fn check_subscribed(&mut self, metadata: &Arc<ClusterMetadata>, complete: bool) {
        if self.speaks_kip_848() {
            // The coordinator knows them.
            return;
        }
        let topics = self.side.state().subscription.clone();
        let by_pattern = !self.carry.patterns.is_empty();
        for topic in topics.iter().filter(|topic| !topic.starts_with('^')) {
            let topic = ByteStr::from(topic.as_str());
            // Beside a pattern it is looked for among all topics.
            let missing = (by_pattern && complete).then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            let code = metadata.errors.get(&topic).copied().or(missing);
            self.tell_unavailable(topic.clone(), code.filter(|_| !metadata.topics.contains_key(&topic)));
        }
        if complete {
            let matched = |pattern: &TopicPattern| metadata.topics.keys().any(|topic| pattern.matches(topic));
            let missing = |found: bool| (!found).then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            let patterns = self.carry.patterns.iter().map(|(name, pattern)| (name.clone(), missing(matched(pattern))));
            for (name, code) in patterns.collect::<Vec<_>>() {
                // A topic may be made just while the first answer is on its way: what a later one says counts.
                let now = self.core.now().instant();
                match code {
                    Some(_) if now < *self.carry.unmatched.entry(name.clone()).or_insert(now + UNMATCHED_FOR) => {
                        self.core.refresh_metadata();
                    }
                    Some(_) => self.tell_unavailable(name, code),
                    None => {
                        self.carry.unmatched.remove(&name);
                        self.tell_unavailable(name, code);
                    }
                }
            }
        }
    }

    /// Tells of a topic that has another error than before.
    fn tell_unavailable(&mut self, topic: ByteStr, code: Option<ErrorCode>) {
        let Some(code) = code else {
            self.carry.unknown.remove(&topic);
            return;
        };
        if self.carry.unknown.insert(topic.clone(), code) == Some(code) {
            return;
        }
        let err = RespErr(code.0.into());
        let why = text_of(err).map_or_else(Default::default, |text| text.to_string_lossy());
        let failure = Failure::new(err, &format!("Subscribed topic not available: {topic}: {why}"))
            .on_topic(self.side.topics.get(&topic));
        self.tell(failure);
    }
}

/// Subscribes to topics and, where a name begins with `^`, to all that a pattern matches. What was subscribed to before is forgotten.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `topics` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_subscribe(rk: *mut Kafka, topics: *const TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        match unsafe { (grouped(rk), read(topics)) } {
            (Ok(side), Some(list)) => {
                side.subscribe(list.iter().map(|named| named.partition.topic.as_str().to_owned()).collect())
            }
            (Err(err), _) => err,
            (Ok(_), None) => RespErr::INVALID_ARG,
        }
    })
}

/// Subscribes to nothing: the partitions are given up and the group is left.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_unsubscribe(rk: *mut Kafka) -> RespErr {
    // SAFETY: the caller vouches for `rk`.
    guard(RespErr::FAIL, || unsafe { grouped(rk) }.map_or_else(|err| err, |side| side.unsubscribe()))
}

/// What is subscribed to, as a list for the program to destroy.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `topics` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_subscription(rk: *mut Kafka, topics: *mut *mut TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let side = match unsafe { grouped(rk) } {
            Ok(side) => side,
            Err(err) => return err,
        };
        let names: Vec<TopicPartition> =
            side.state().subscription.iter().map(|topic| TopicPartition::new(topic.as_str(), PARTITION_UA)).collect();
        // SAFETY: the caller vouches for the place.
        unsafe { topics.write(List::of(&names).give_away()) };
        RespErr::NO_ERROR
    })
}

/// How the group rebalances: `EAGER`, `COOPERATIVE`, or `NONE` as long as that is not known; NULL without a group.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_rebalance_protocol(rk: *mut Kafka) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for `rk`.
        let Ok(side) = (unsafe { grouped(rk) }) else { return std::ptr::null() };
        match side.state().protocol {
            None => c"NONE",
            Some(RebalanceProtocol::Eager) => c"EAGER",
            Some(RebalanceProtocol::Cooperative) => c"COOPERATIVE",
        }
        .as_ptr()
    })
}

/// The member's id, to be freed by the program; NULL without a group.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_memberid(rk: *const Kafka) -> *mut c_char {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let Ok(side) = (unsafe { grouped(rk.cast_mut()) }) else { return std::ptr::null_mut() };
        let id = std::ffi::CString::new(side.state().member.member_id.as_str()).unwrap_or_default();
        // SAFETY: the text ends in a NUL byte.
        unsafe { libc::strdup(id.as_ptr()) }
    })
}

/// Whether `rd_kafka_consumer_poll` has been closed for good.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_closed(rk: *mut Kafka) -> c_int {
    // SAFETY: the caller vouches for `rk`.
    guard(0, || unsafe { grouped(rk) }.map_or(0, |side| c_int::from(side.state().stage == Stage::Closed)))
}
