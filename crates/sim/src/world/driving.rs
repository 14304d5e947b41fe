//! The broker's process and the connections to it: what a driver and an operating system do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_broker_core::SyncTicket;
use felice_client_core::client::ConnectionId;
use felice_log::Flush;
use felice_protocol::messages::{self, CreateTopicsRequest, create_topics};
use felice_protocol::time::Instant;

use super::{Job, World};
use crate::broker_host::{Effect, Input, TOPIC};
use crate::group_history::more_topic;
use crate::history::{Contents, Event, Outage};
use crate::log_files;
use crate::network::{Arrival, Link, Side, UnderWay};

impl World {
    /// What the partitions' files have now.
    pub(super) fn contents(&self) -> Result<Contents, String> {
        log_files::contents(&self.broker.disk, &self.broker.data_dir, TOPIC, self.plan.partitions)
    }

    /// Starts the broker for the first time and makes the topic.
    pub(super) fn create_topic(&mut self) -> Result<(), String> {
        let took = self.broker.start(self.now())?;
        let mut topics = vec![(TOPIC.to_owned(), self.plan.partitions)];
        if let Some(groups) = &self.plan.groups {
            topics.extend((1..).zip(&groups.more_topics).map(|(number, count)| (more_topic(number), *count)));
        }
        let config = |name: &'static str, value: String| create_topics::request::CreatableTopicConfig {
            name: name.into(),
            value: Some(value.into()),
            ..Default::default()
        };
        let topic = |(name, partitions): (String, i32)| create_topics::request::CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: vec![
                config("internal.segment.bytes", self.plan.segment_bytes.to_string()),
                config("index.interval.bytes", self.plan.index_interval_bytes.to_string()),
            ],
            ..Default::default()
        };
        let mut topics: Vec<_> = topics.into_iter().map(topic).collect();
        // left to the broker, it has segments of a megabyte at least, and hardly anything is ever compacted
        if let Some(segment_bytes) = self.plan.groups.as_ref().and_then(|groups| groups.offsets_segment_bytes) {
            topics.push(create_topics::request::CreatableTopic {
                name: "__consumer_offsets".into(),
                num_partitions: 2,
                replication_factor: 1,
                configs: vec![
                    config("internal.segment.bytes", segment_bytes.to_string()),
                    config("cleanup.policy", "compact".to_owned()),
                    config("min.cleanable.dirty.ratio", "0.1".to_owned()),
                ],
                ..Default::default()
            });
        }
        let request = CreateTopicsRequest { topics, timeout_ms: 1000, ..Default::default() };
        let frame = messages::encode_request(1, Some("sim"), 7, &request).map_err(|error| error.to_string())?;
        let answer = self.broker.ask(self.now(), frame.into_bytes().slice(4..))?;
        let (_, response) =
            messages::decode_response::<CreateTopicsRequest>(7, answer).map_err(|error| error.to_string())?;
        for topic in response.topics {
            topic.error_code.ok().map_err(|code| format!("no topic: {code} {:?}", topic.error_message))?;
            self.topic_is(topic.topic_id, topic.name);
        }
        self.clock.advance(self.clock.instant() + took);
        self.watch_broker_timer();
        Ok(())
    }

    // ----- Connections.

    pub(super) fn connecting(&mut self, client: usize, id: ConnectionId) {
        if self.network.is_blackout() || (!self.broker.is_up() && self.outage == Outage::Machine) {
            // nobody answers; the client's own deadline ends this
            return;
        }
        let latency = self.network.latency();
        if self.broker.is_up() {
            let link = self.network.open(client);
            self.trace(format_args!("client {client} connects: link {}", link.0));
            self.put(Input::Connect(link));
            self.after(latency, Job::Connected(client, id, link));
        } else {
            self.after(latency, Job::Refused(client, id));
        }
    }

    pub(super) fn connected(&mut self, client: usize, id: ConnectionId, link: Link) {
        if self.network.is_blackout() || !self.network.is_open(link, Side::Client) {
            return;
        }
        if self.clients[client].handle_connected(self.clock.now(), id, link) {
            self.settle_client(client);
        } else {
            self.close_from_client(link);
        }
    }

    pub(super) fn send_from_client(&mut self, link: Link, frame: Bytes) {
        self.trace(format_args!("link {} -> broker: {} bytes, {}", link.0, frame.len(), describe(&frame)));
        let under_way = self.network.send(self.clock.instant(), link, Side::Client, frame);
        self.under_way(under_way);
    }

    pub(super) fn close_from_client(&mut self, link: Link) {
        self.trace(format_args!("link {} closed by its client", link.0));
        let under_way = self.network.close(self.clock.instant(), link, Side::Client);
        self.under_way(under_way);
    }

    pub(super) fn under_way(&mut self, under_way: impl IntoIterator<Item = UnderWay>) {
        for under_way in under_way {
            self.at(under_way.at, Job::Arrive(under_way));
        }
    }

    pub(super) fn arrive(&mut self, under_way: &UnderWay) {
        let client = self.network.client(under_way.link);
        if !self.network.arrives(under_way) {
            return;
        }
        let link = under_way.link;
        match (under_way.to, &under_way.arrival, client) {
            // Its client has long joined over another connection. Nothing in it says so: it would be taken for a join of now by a member that
            // owns nothing, by Apache Kafka too, and no protocol promises anything then.
            (Side::Broker, Arrival::Frame(frame), _) if is_join(frame) && !self.network.is_open(link, Side::Client) => {
                self.trace(format_args!("link {}: a JoinGroup that its client has given up is left out", link.0));
            }
            (Side::Broker, Arrival::Frame(frame), _) => self.put(Input::Frame(link, frame.clone())),
            (Side::Broker, Arrival::Closed, _) => self.put(Input::Disconnect(link)),
            (Side::Client, Arrival::Frame(frame), Some(client)) => {
                self.clients[client].handle_frame(self.clock.now(), link, frame.clone());
                self.settle_client(client);
            }
            (Side::Client, Arrival::Closed, Some(client)) => {
                self.trace(format_args!("link {} is gone for its client", link.0));
                self.clients[client].handle_disconnected(self.clock.now(), link);
                self.settle_client(client);
            }
            (Side::Client, _, None) => {}
        }
    }

    // ----- The broker's thread.

    pub(super) fn put(&mut self, input: Input) {
        self.broker.put(input);
        self.run_broker();
    }

    fn run_broker(&mut self) {
        if !self.broker_runs && self.broker.has_work() {
            self.broker_runs = true;
            let incarnation = self.broker.incarnation;
            self.at(self.broker.busy_until, Job::BrokerWorks(incarnation));
        }
    }

    pub(super) fn broker_works(&mut self, incarnation: u64) {
        if incarnation != self.broker.incarnation {
            return;
        }
        self.broker_runs = false;
        let worked = self.broker.work(self.clock.now());
        for (link, frame) in self.broker.take_begun() {
            self.tap_request(link, &frame);
        }
        let Some(effects) = worked else {
            if self.broker.disk.is_stopped() {
                let outage = self.broker.dying.unwrap_or(Outage::Process);
                self.trace(format_args!("the broker dies in the middle of a call"));
                self.broker_dies(outage);
            }
            return;
        };
        let at = self.broker.busy_until;
        for effect in effects {
            self.broker_effect(at, effect);
        }
        self.watch_broker_timer();
        self.run_broker();
    }

    fn broker_effect(&mut self, at: Instant, effect: Effect) {
        match effect {
            Effect::Send(link, frame) => {
                self.trace(format_args!("link {} <- broker: {} bytes", link.0, frame.len()));
                self.tap_response(link, &frame);
                let under_way = self.network.send(at, link, Side::Broker, frame);
                self.under_way(under_way);
            }
            Effect::Close(link) => {
                let under_way = self.network.close(at, link, Side::Broker);
                self.under_way(under_way);
            }
            Effect::Sync(ticket, flushes) => {
                let incarnation = self.broker.incarnation;
                // a sync covers what was written before it began, and perhaps more: both happen
                let early = self.rng.chance(500);
                let delay = if early { Duration::ZERO } else { self.random_millis(3) };
                self.at(at + delay, Job::SyncStarts(incarnation, ticket, flushes));
            }
            Effect::Log(message) => {
                let event = Event::Note(format!("broker: {message}"));
                self.tell(&event);
            }
        }
    }

    pub(super) fn watch_broker_timer(&mut self) {
        let wanted = self.broker.poll_timeout().map(|at| at.max(self.clock.instant()));
        if wanted != self.broker_timer {
            self.broker_timer = wanted;
            if let Some(at) = wanted {
                self.at(at, Job::BrokerTimer(self.broker.incarnation, at));
            }
        }
    }

    pub(super) fn broker_timer(&mut self, incarnation: u64, at: Instant) {
        if incarnation == self.broker.incarnation && self.broker_timer == Some(at) {
            // stays set: the same time is not asked for twice, until the core has had it
            self.put(Input::Timeout);
        }
    }

    pub(super) fn sync(&mut self, incarnation: u64, ticket: SyncTicket, flushes: &[Arc<Flush>]) {
        if incarnation != self.broker.incarnation {
            return;
        }
        let busy = self.broker.disk.take_busy_nanos();
        let result = flushes.iter().try_for_each(|flush| flush.run()).map_err(|error| error.kind());
        let took = Duration::from_nanos(self.broker.disk.take_busy_nanos().saturating_sub(busy));
        if self.broker.disk.is_stopped() {
            let outage = self.broker.dying.unwrap_or(Outage::Process);
            self.trace(format_args!("the broker dies in a sync"));
            self.broker_dies(outage);
            return;
        }
        let delay = took + self.random_millis(2);
        self.after(delay, Job::SyncEnds(incarnation, ticket, result));
    }

    pub(super) fn sync_ends(&mut self, incarnation: u64, ticket: SyncTicket, result: Result<(), std::io::ErrorKind>) {
        if incarnation == self.broker.incarnation {
            self.put(Input::Synced(ticket, result));
        }
    }
}

/// The API and version in front of a request, for the trace.
fn is_join(frame: &Bytes) -> bool {
    frame.starts_with(&messages::ApiKey::JOIN_GROUP.0.to_be_bytes())
}

fn describe(frame: &Bytes) -> String {
    match frame.as_ref() {
        [a, b, c, d, ..] => {
            let key = messages::ApiKey(i16::from_be_bytes([*a, *b]));
            format!("{key} v{}", i16::from_be_bytes([*c, *d]))
        }
        _ => "?".to_owned(),
    }
}
