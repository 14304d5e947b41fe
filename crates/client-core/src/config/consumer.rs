//! What a consumer and its group member need to know.

use std::time::Duration;

use super::settings::OffsetReset;
use super::{Defaults, Properties};
use crate::bugs::Bugs;
use crate::consumer::group::TopicPattern;
use crate::error::{Error, ErrorKind};

/// Which rebalance protocol a member speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// KIP-848 where the coordinator has it, classic otherwise.
    #[default]
    Auto,
    /// The members elect a leader, which divides the partitions.
    Classic,
    /// KIP-848: the coordinator divides them.
    Consumer,
}

/// What a consumer needs to know. Kafka's property names in snake case.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `group.id`.
    pub group_id: String,
    /// `group.instance.id`: makes this a static member.
    pub group_instance_id: Option<String>,
    /// `group.protocol`.
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`, for KIP-848; the coordinator's first where there is none.
    pub group_remote_assignor: Option<String>,
    /// `partition.assignment.strategy`, for the classic protocol: names of assignors.
    pub partition_assignment_strategy: Vec<String>,
    /// `session.timeout.ms`: after this time without contact the partitions belong to others.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`, for the classic protocol; with KIP-848 the coordinator says.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: how long the application may leave its work; also how long a rebalance waits for it.
    pub max_poll_interval: Duration,
    /// `enable.auto.commit`.
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms`.
    pub auto_commit_interval: Duration,
    /// `enable.auto.offset.store`: whether a record that was handed out counts as done.
    pub enable_auto_offset_store: bool,
    /// `auto.offset.reset`.
    pub offset_reset: OffsetReset,
    /// A commit that meets a rebalance is told so, as librdkafka does, instead of being made again after it.
    pub rebalance_fails_commits: bool,
    /// A cooperative rebalance that changes nothing is told all the same, as librdkafka does.
    pub tells_every_rebalance: bool,
    /// `client.rack`.
    pub client_rack: Option<String>,
    /// `exclude.internal.topics`: whether patterns leave Kafka's own topics out.
    pub exclude_internal_topics: bool,
    /// `topic.blacklist`: topics that no subscription takes, except where the coordinator matches the pattern (KIP-848).
    pub topic_blacklist: Option<TopicPattern>,
    /// `internal.leave.group.on.close`: whether closing leaves the group; without, the partitions wait for the session to end.
    pub leave_group_on_close: bool,
    /// First pause between attempts.
    pub retry_backoff: Duration,
    /// Longest pause between attempts.
    pub retry_backoff_max: Duration,
    /// How long a request may stay unanswered.
    pub request_timeout: Duration,
    /// How long a call may take.
    pub api_timeout: Duration,
    /// What the simulator planted.
    #[doc(hidden)]
    pub bugs: Bugs,
}

/// The longest name that the protocol's strings carry.
const MAX_NAME_BYTES: usize = i16::MAX as usize;

impl Properties {
    /// What a consumer with a group reads.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a `group.id` that is empty or too long, and for settings that cannot go together.
    pub fn consumer_config(&self) -> Result<ConsumerConfig, Error> {
        let group_id = self.text("group.id");
        if group_id.trim().is_empty() {
            return Err(Error::new(ErrorKind::Config, "group.id is empty")
                .hinting("set group.id to the name that all members of the group share"));
        }
        let group_instance_id = self.some_text("group.instance.id");
        for (name, text) in [("group.id", Some(&group_id)), ("group.instance.id", group_instance_id.as_ref())] {
            if let Some(text) = text.filter(|text| text.len() > MAX_NAME_BYTES) {
                let message = format!("{name} has {} bytes; Kafka's protocol carries {MAX_NAME_BYTES}", text.len());
                return Err(Error::new(ErrorKind::Config, message).hinting("choose a shorter name"));
            }
        }
        let group_protocol = match self.text("group.protocol").to_ascii_lowercase().as_str() {
            "classic" => GroupProtocol::Classic,
            "consumer" => GroupProtocol::Consumer,
            _ => GroupProtocol::Auto,
        };
        let strategy: Vec<String> = self
            .text("partition.assignment.strategy")
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        let (session_timeout, mut heartbeat_interval) =
            (self.duration("session.timeout.ms"), self.duration("heartbeat.interval.ms"));
        if self.defaults == Defaults::Librdkafka && heartbeat_interval >= session_timeout {
            // librdkafka takes any two; a member that means to stay cannot.
            heartbeat_interval = session_timeout / 3;
        }
        if group_protocol != GroupProtocol::Consumer && heartbeat_interval >= session_timeout {
            let message = format!(
                "heartbeat.interval.ms ({}) is not below session.timeout.ms ({})",
                heartbeat_interval.as_millis(),
                session_timeout.as_millis()
            );
            return Err(Error::new(ErrorKind::Config, message)
                .hinting("set heartbeat.interval.ms to a third of session.timeout.ms"));
        }
        Ok(ConsumerConfig {
            group_id,
            group_instance_id,
            group_protocol,
            group_remote_assignor: self.some_text("group.remote.assignor"),
            partition_assignment_strategy: strategy,
            session_timeout,
            heartbeat_interval,
            max_poll_interval: self.duration("max.poll.interval.ms"),
            enable_auto_commit: self.flag("enable.auto.commit"),
            auto_commit_interval: self.duration("auto.commit.interval.ms"),
            // Java has no such property: what it polls counts at the next poll.
            enable_auto_offset_store: self.flag("enable.auto.offset.store") || self.defaults == Defaults::Java,
            offset_reset: self.offset_reset()?,
            rebalance_fails_commits: self.defaults == Defaults::Librdkafka,
            tells_every_rebalance: self.defaults == Defaults::Librdkafka,
            client_rack: self.some_text("client.rack"),
            exclude_internal_topics: self.flag("exclude.internal.topics"),
            topic_blacklist: TopicPattern::any_of(&self.text("topic.blacklist"))?,
            leave_group_on_close: self.flag("internal.leave.group.on.close"),
            retry_backoff: self.duration("retry.backoff.ms"),
            retry_backoff_max: self.duration("retry.backoff.max.ms"),
            request_timeout: self.duration("request.timeout.ms"),
            api_timeout: self.duration("default.api.timeout.ms"),
            bugs: Bugs::default(),
        })
    }

    /// `auto.offset.reset`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a duration that is none.
    pub(super) fn offset_reset(&self) -> Result<OffsetReset, Error> {
        Ok(match self.value("auto.offset.reset").unwrap_or_default() {
            "earliest" | "smallest" | "beginning" => OffsetReset::Earliest,
            "latest" | "largest" | "end" => OffsetReset::Latest,
            "" | "error" | "none" => OffsetReset::Fail,
            other => match other.strip_prefix("by_duration:").and_then(iso_duration) {
                Some(age) => OffsetReset::ByDuration(age),
                None => {
                    let message = format!("auto.offset.reset: \"{other}\" is not understood");
                    return Err(Error::new(ErrorKind::Config, message).hinting(
                        "use earliest, latest, none, or by_duration: with an ISO 8601 duration such as PT2H",
                    ));
                }
            },
        })
    }
}

/// A duration as ISO 8601 and Java write it: `P2DT3H4M5.5S`, each part optional.
fn iso_duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let body = text.strip_prefix('P')?;
    let (days, time) = match body.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (body, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    for (mut rest, units) in [(days, &[('D', 86_400.0)][..]), (time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)][..])] {
        for (unit, length) in units {
            if let Some((number, behind)) = rest.split_once(*unit) {
                seconds += number.parse::<f64>().ok().filter(|n| *n >= 0.0)? * length;
                rest = behind;
            }
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(values: &[(&str, &str)]) -> Result<ConsumerConfig, Error> {
        let mut p = Properties::default();
        for (name, value) in values {
            p.set(name, value)?;
        }
        p.consumer_config()
    }

    #[test]
    fn a_group_id_that_is_empty_or_too_long_is_refused_with_a_hint() {
        assert!(config(&[]).unwrap_err().hint().is_some());
        assert!(config(&[("group.id", " ")]).is_err());
        let long = "g".repeat(40_000);
        assert!(config(&[("group.id", &long)]).unwrap_err().to_string().contains("40000"));
        assert_eq!(config(&[("group.id", "g")]).unwrap().group_protocol, GroupProtocol::Auto);
    }

    #[test]
    fn a_reset_by_duration_is_read_as_java_writes_it() {
        let reset = |value: &str| config(&[("group.id", "g"), ("auto.offset.reset", value)]).map(|c| c.offset_reset);
        assert_eq!(reset("by_duration:PT1H30M").unwrap(), OffsetReset::ByDuration(Duration::from_secs(5_400)));
        assert_eq!(reset("by_duration:P2D").unwrap(), OffsetReset::ByDuration(Duration::from_secs(172_800)));
        assert_eq!(reset("by_duration:PT0.5S").unwrap(), OffsetReset::ByDuration(Duration::from_millis(500)));
        for wrong in ["by_duration:", "by_duration:P", "by_duration:PT", "by_duration:1h", "by_duration:PT-1S", "soon"]
        {
            assert!(reset(wrong).is_err(), "{wrong}");
        }
        assert_eq!(reset("none").unwrap(), OffsetReset::Fail);
    }

    #[test]
    fn heartbeats_fit_into_the_session() {
        let wrong = config(&[
            ("group.id", "g"),
            ("group.protocol", "classic"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "6000"),
        ]);
        assert!(wrong.unwrap_err().hint().unwrap().contains("third"));
    }
}
