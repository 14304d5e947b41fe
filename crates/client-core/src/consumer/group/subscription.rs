//! What the application subscribes to, and which topics that is.

use std::collections::BTreeSet;

use felice_protocol::primitives::ByteStr;
use regex::Regex;

use super::event::Subscription;
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
    pub(super) fn new(subscription: Subscription) -> Result<Self, Error> {
        let regex = match &subscription {
            Subscription::Topics(_) => None,
            Subscription::Pattern(pattern) => Some(TopicPattern::new(pattern)?),
        };
        let topics = match &subscription {
            Subscription::Topics(topics) => topics.clone(),
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
    pub(super) fn match_topics(&mut self, metadata: &ClusterMetadata, exclude_internal: bool) -> bool {
        let Some(regex) = &self.regex else { return false };
        let matching: BTreeSet<ByteStr> = metadata
            .topics
            .values()
            .filter(|topic| !(exclude_internal && topic.is_internal) && regex.matches(&topic.name))
            .map(|topic| topic.name.clone())
            .collect();
        let changed = matching != self.topics;
        self.topics = matching;
        self.matched |= metadata.complete;
        changed
    }
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
        Regex::new(&format!("^(?:{pattern})$")).map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the subscription's pattern is not understood: {error}"))
                .hinting("patterns are regular expressions in RE2's syntax, without look-around and back-references")
        })
    }

    /// Whether a topic has such a name.
    pub fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}
