//! Members that join, beat, lose answers, leave, fall silent and change their minds in any order: no partition ever has two owners, and when
//! they behave again everything is settled and assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::ConsumerGroupHeartbeatRequest;
use felice_protocol::messages::consumer_group_heartbeat::request::TopicPartitions;
use felice_protocol::primitives::Uuid;

use super::super::ConsumerGroupState;
use super::super::assignment::pairs;
use super::{Bench, beating, given, joining, topic_id};
use crate::random::Random;

/// A member as a client plays it.
#[derive(Debug, Default)]
struct Client {
    instance: Option<String>,
    joined: bool,
    epoch: i32,
    topics: Vec<&'static str>,
    /// What it works on: given by an answer, and given up only by saying so.
    owned: BTreeSet<(Uuid, i32)>,
    /// Its last answer was lost: it says everything again.
    full: bool,
}

struct World {
    bench: Bench,
    clients: BTreeMap<String, Client>,
    random: Random,
}

const TOPICS: [&str; 3] = ["a", "b", "c"];

impl World {
    fn new(seed: u64) -> Self {
        let bench = Bench::new(&[("a", 5), ("b", 1), ("c", 8)]);
        Self { bench, clients: BTreeMap::new(), random: Random::new(seed) }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn some_topics(&mut self) -> Vec<&'static str> {
        let mask = self.below(7) + 1;
        TOPICS.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0).map(|(_, name)| *name).collect()
    }

    fn request(&self, id: &str) -> ConsumerGroupHeartbeatRequest {
        let client = &self.clients[id];
        let mut request = beating(id, client.epoch);
        if !client.joined {
            request = joining(id, &client.topics);
        } else {
            let mut owned: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
            for (topic, partition) in &client.owned {
                owned.entry(*topic).or_default().push(*partition);
            }
            let owned = owned.into_iter().map(|(topic_id, partitions)| TopicPartitions {
                topic_id,
                partitions,
                ..Default::default()
            });
            request.topic_partitions = Some(owned.collect());
            request.subscribed_topic_names = Some(client.topics.iter().map(|name| (*name).into()).collect());
            if client.full {
                request.rebalance_timeout_ms = 60_000;
            }
        }
        request.instance_id = client.instance.as_deref().map(Into::into);
        request
    }

    fn beat(&mut self, id: &str, lose: bool) {
        let request = self.request(id);
        let answer = self.bench.beat(&request);
        let Some(client) = self.clients.get_mut(id) else { return };
        if lose {
            client.full = true;
            return;
        }
        match answer {
            Ok(response) => {
                client.joined = true;
                client.full = false;
                client.epoch = response.member_epoch;
                if let Some(assigned) = given(&response) {
                    client.owned = pairs(&assigned).collect();
                }
            }
            Err(error) => {
                assert!(
                    [
                        ErrorCode::UNKNOWN_MEMBER_ID,
                        ErrorCode::FENCED_MEMBER_EPOCH,
                        ErrorCode::FENCED_INSTANCE_ID,
                        ErrorCode::UNRELEASED_INSTANCE_ID
                    ]
                    .contains(&error.code),
                    "{error:?}"
                );
                client.joined = false;
                client.epoch = 0;
                client.owned.clear();
                if matches!(error.code, ErrorCode::FENCED_INSTANCE_ID | ErrorCode::UNRELEASED_INSTANCE_ID) {
                    self.clients.remove(id);
                }
            }
        }
    }

    fn step(&mut self, number: usize) {
        let ids: Vec<String> = self.clients.keys().cloned().collect();
        let chosen =
            (!ids.is_empty()).then(|| ids[usize::try_from(self.random.next_u64()).unwrap() % ids.len()].clone());
        match (self.below(20), chosen) {
            (0..3, _) if ids.len() < 6 => {
                let topics = self.some_topics();
                let instance = (self.below(3) == 0).then(|| format!("i{}", self.below(3)));
                let id = format!("m{number}");
                self.clients.insert(id.clone(), Client { topics, instance, ..Client::default() });
                self.beat(&id, false);
            }
            (3, Some(id)) => {
                let _ = self.bench.beat(&ConsumerGroupHeartbeatRequest { member_epoch: -1, ..self.request(&id) });
                self.clients.remove(&id);
            }
            (4, Some(id)) if self.clients[&id].instance.is_some() => {
                let _ = self.bench.beat(&ConsumerGroupHeartbeatRequest { member_epoch: -2, ..self.request(&id) });
                self.clients.remove(&id);
            }
            // It crashes: nobody hears of it again.
            (5, Some(id)) => {
                self.clients.remove(&id);
            }
            (6, Some(id)) => {
                let topics = self.some_topics();
                if let Some(client) = self.clients.get_mut(&id) {
                    client.topics = topics;
                }
            }
            (7, _) => {
                let topic = usize::try_from(self.below(3)).unwrap();
                if self.below(4) == 0 {
                    let id = u8::try_from(10 + number % 200).unwrap();
                    self.bench.topics[topic].1 = topic_id(id);
                } else {
                    self.bench.topics[topic].2 += 1;
                }
                self.bench.group.handle_topics_changed();
            }
            // Shorter than a session, and everyone who is there is heard in between.
            (8, _) => {
                self.bench.advance(Duration::from_secs(20));
                for id in ids {
                    self.beat(&id, false);
                }
            }
            (9..12, Some(id)) => self.beat(&id, true),
            (_, Some(id)) => self.beat(&id, false),
            _ => {}
        }
    }

    fn check(&self) {
        self.bench.check_owners();
        let mut owned = BTreeMap::new();
        for (id, client) in &self.clients {
            for pair in &client.owned {
                let other = owned.insert(*pair, id);
                assert!(other.is_none(), "{pair:?} is worked on by {id} and {other:?}");
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..12 {
            self.bench.advance(Duration::from_secs(5));
            for id in self.clients.keys().cloned().collect::<Vec<_>>() {
                self.beat(&id, false);
                self.check();
            }
        }
        let state = self.bench.group.state();
        if self.clients.is_empty() {
            assert_eq!(state, ConsumerGroupState::Empty);
            return;
        }
        assert_eq!(state, ConsumerGroupState::Stable);
        let wanted: BTreeSet<&str> = self.clients.values().flat_map(|client| client.topics.iter().copied()).collect();
        let all: BTreeSet<(Uuid, i32)> = self
            .bench
            .topics
            .iter()
            .filter(|(name, ..)| wanted.contains(name.as_str()))
            .flat_map(|(_, id, count)| (0..*count).map(|partition| (*id, partition)))
            .collect();
        let owned: BTreeSet<(Uuid, i32)> = self.clients.values().flat_map(|client| client.owned.clone()).collect();
        assert_eq!(owned, all);
    }
}

#[test]
fn any_order_of_events_leaves_one_owner_and_then_settles() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        for number in 0..80 {
            world.step(number);
            world.check();
        }
        world.bench.check();
        world.settle();
        world.bench.check();
    }
}
