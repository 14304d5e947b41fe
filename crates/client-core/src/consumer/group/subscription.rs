//! What the application subscribes to, and which topics that is.

use std::collections::BTreeSet;

use felice_protocol::primitives::ByteStr;
use regex::Regex;

use super::event::Subscription;
use crate::config::ConsumerConfig;
use crate::error::{Error, ErrorKind};
use crate::metadata::ClusterMetadata;

/// A subscription and, for a pattern, the topics that match now.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) subscription: Subscription,
    regex: Option<TopicPattern>,
    /// For a pattern: all topics were looked through.
    matched: bool,
    pub(super) topics: BTreeSet<ByteStr>,
}

impl Wanted {
    pub(super) fn new(subscription: Subscription, config: &ConsumerConfig) -> Result<Self, Error> {
        let regex = match &subscription {
            Subscription::Topics(_) => None,
            Subscription::Pattern(pattern) => Some(TopicPattern::new(pattern)?),
        };
        let topics = match &subscription {
            Subscription::Topics(topics) => topics.iter().filter(|name| !is_hidden(name, config)).cloned().collect(),
            Subscription::Pattern(_) => BTreeSet::new(),
        };
        Ok(Self { subscription, regex, matched: false, topics })
    }

    pub(super) fn is_pattern(&self) -> bool {
        self.regex.is_some()
    }

    /// Whether it is known which topics these are.
    pub(super) fn is_resolved(&self) -> bool {
        self.regex.is_none() || self.matched
    }

    /// The topics that match a pattern; true where they are others than before.
    pub(super) fn match_topics(&mut self, metadata: &ClusterMetadata, config: &ConsumerConfig) -> bool {
        let Some(regex) = &self.regex else { return false };
        let matching: BTreeSet<ByteStr> = metadata
            .topics
            .values()
            .filter(|topic| !(config.exclude_internal_topics && topic.is_internal) && regex.matches(&topic.name))
            .filter(|topic| !is_hidden(&topic.name, config))
            .map(|topic| topic.name.clone())
            .collect();
        let changed = matching != self.topics;
        self.topics = matching;
        self.matched |= metadata.complete;
        changed
    }
}

/// Whether nobody here may subscribe to this topic (`topic.blacklist`).
fn is_hidden(topic: &str, config: &ConsumerConfig) -> bool {
    config.topic_blacklist.as_ref().is_some_and(|hidden| hidden.matches(topic))
}

/// A pattern of topics' names.
#[derive(Clone, Debug)]
pub struct TopicPattern(Regex);

impl TopicPattern {
    /// It has to match a topic's whole name, as with Java and with the coordinator's own matching.
    ///
    /// # Errors
    /// Where it is no pattern.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Self::compile(&format!("^(?:{pattern})$"), "the subscription's pattern")
    }

    /// A list with commas between, of which one has to be found anywhere in a topic's name: librdkafka's `topic.blacklist`. `None` where it is empty.
    ///
    /// # Errors
    /// Where one is no pattern.
    pub fn any_of(list: &str) -> Result<Option<Self>, Error> {
        let patterns: Vec<&str> = list.split(',').filter(|pattern| !pattern.is_empty()).collect();
        if patterns.is_empty() {
            return Ok(None);
        }
        Self::compile(&format!("(?:{})", patterns.join(")|(?:")), "topic.blacklist").map(Some)
    }

    fn compile(pattern: &str, what: &str) -> Result<Self, Error> {
        Regex::new(pattern).map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, format!("{what} is not understood: {error}"))
                .hinting("patterns are regular expressions in RE2's syntax, without look-around and back-references")
        })
    }

    /// Whether a topic has such a name.
    pub fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}
