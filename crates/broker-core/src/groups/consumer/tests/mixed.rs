//! Members of both protocols come and go in one group, which changes its protocol under them as often as it must: no partition ever has two
//! owners, and when they behave again everything is settled and assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::JoinGroupResponse;

use super::super::decode_subscription;
use super::migration::{Coordinator, Owned, assigned};
use super::{beating, given, joining, owning, topic_id};
use crate::random::Random;

/// Where a classic member is in its round.
#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Outside,
    Joining(u64),
    Syncing(u64),
    In,
}

/// A member as a client plays it: of the consumer protocol, or a cooperative one of the classic protocol.
#[derive(Debug, Default)]
struct Client {
    is_classic: bool,
    id: String,
    epoch: i32,
    phase: Phase,
    owned: BTreeSet<i32>,
}

impl Client {
    /// It is out, and begins again with nothing.
    fn lost(&mut self) {
        if self.is_classic {
            self.id.clear();
        }
        self.epoch = 0;
        self.phase = Phase::Outside;
        self.owned.clear();
    }

    fn claims(&self) -> Owned {
        if self.owned.is_empty() {
            return Owned::new();
        }
        Owned::from([("a".to_owned(), self.owned.iter().copied().collect())])
    }
}

struct World {
    coordinator: Coordinator,
    clients: BTreeMap<usize, Client>,
    random: Random,
}

impl World {
    fn new(seed: u64) -> Self {
        let coordinator = Coordinator::new(&[("a", 7)], &[]);
        Self { coordinator, clients: BTreeMap::new(), random: Random::new(seed) }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.next_u64() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn tick(&mut self, number: usize) {
        let Some(mut client) = self.clients.remove(&number) else { return };
        if client.is_classic {
            self.tick_classic(&mut client);
        } else {
            self.tick_consumer(&mut client);
        }
        self.clients.insert(number, client);
    }

    fn tick_consumer(&mut self, client: &mut Client) {
        let partitions: Vec<i32> = client.owned.iter().copied().collect();
        let request = match client.epoch {
            0 => joining(&client.id, &["a"]),
            epoch if partitions.is_empty() => owning(&client.id, epoch, &[]),
            epoch => owning(&client.id, epoch, &[(1, &partitions)]),
        };
        let response = self.coordinator.beat(request);
        if response.error_code != ErrorCode::NONE {
            let expected =
                [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::GROUP_ID_NOT_FOUND];
            assert!(expected.contains(&response.error_code), "{response:?}");
            return client.lost();
        }
        client.epoch = response.member_epoch;
        if let Some(mut partitions) = given(&response) {
            client.owned = partitions.remove(&topic_id(1)).unwrap_or_default();
        }
    }

    fn tick_classic(&mut self, client: &mut Client) {
        match client.phase {
            Phase::Outside => {
                let waiter = self.coordinator.send_join(&client.id, &["a"], &client.claims());
                client.phase = Phase::Joining(waiter);
            }
            Phase::Joining(waiter) => {
                let Some(joined) = self.coordinator.joined(waiter) else { return };
                match joined.error_code {
                    ErrorCode::NONE => {
                        client.epoch = joined.generation_id;
                        let assignments =
                            if joined.leader == client.id.as_str() { assign(&joined) } else { Vec::new() };
                        let waiter = self.coordinator.send_sync(&client.id, client.epoch, &assignments);
                        client.phase = Phase::Syncing(waiter);
                    }
                    ErrorCode::MEMBER_ID_REQUIRED => {
                        client.id = joined.member_id.as_str().to_owned();
                        client.phase = Phase::Outside;
                    }
                    ErrorCode::REBALANCE_IN_PROGRESS => client.phase = Phase::Outside,
                    ErrorCode::UNKNOWN_MEMBER_ID => client.lost(),
                    other => panic!("{other:?}"),
                }
            }
            Phase::Syncing(waiter) => {
                let Some(synced) = self.coordinator.synced(waiter) else { return };
                match synced.error_code {
                    ErrorCode::NONE => {
                        let assigned: BTreeSet<i32> =
                            assigned(&synced.assignment).remove("a").unwrap_or_default().into_iter().collect();
                        let gives_back = !client.owned.is_subset(&assigned);
                        client.owned = assigned;
                        client.phase = if gives_back { Phase::Outside } else { Phase::In };
                    }
                    ErrorCode::REBALANCE_IN_PROGRESS => client.phase = Phase::Outside,
                    ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => client.lost(),
                    other => panic!("{other:?}"),
                }
            }
            Phase::In => match self.coordinator.heartbeat(&client.id, client.epoch) {
                ErrorCode::NONE => {}
                ErrorCode::REBALANCE_IN_PROGRESS => client.phase = Phase::Outside,
                ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => client.lost(),
                other => panic!("{other:?}"),
            },
        }
    }

    fn step(&mut self, number: usize) {
        let numbers: Vec<usize> = self.clients.keys().copied().collect();
        let chosen = if numbers.is_empty() { None } else { Some(numbers[self.below(numbers.len())]) };
        match (self.below(24), chosen) {
            (0, _) if numbers.len() < 5 => {
                let client = Client { id: format!("m{number}"), ..Client::default() };
                self.clients.insert(number, client);
            }
            (1, _) if numbers.len() < 5 => {
                self.clients.insert(number, Client { is_classic: true, ..Client::default() });
            }
            (2, Some(chosen)) => {
                let client = self.clients.remove(&chosen).unwrap();
                if !client.is_classic {
                    self.coordinator.beat(beating(&client.id, -1));
                } else if !client.id.is_empty() {
                    self.coordinator.leave(&client.id);
                }
            }
            // It crashes: nobody hears of it again.
            (3, Some(chosen)) if self.below(2) == 0 => {
                self.clients.remove(&chosen);
            }
            (4, _) => {
                self.coordinator.advance(Duration::from_secs(20));
                // Everyone is heard at least once.
                for number in numbers {
                    self.tick(number);
                    self.tick(number);
                }
            }
            (_, Some(chosen)) => self.tick(chosen),
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        let mut owners = BTreeMap::new();
        for client in self.clients.values() {
            for partition in &client.owned {
                let other = owners.insert(*partition, &client.id);
                assert!(other.is_none(), "{partition} is {}'s and {other:?}'s", client.id);
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..40 {
            self.coordinator.advance(Duration::from_secs(3));
            for number in self.clients.keys().copied().collect::<Vec<_>>() {
                self.tick(number);
                self.check();
            }
        }
        self.coordinator.check();
        if self.clients.is_empty() {
            return;
        }
        let owned: BTreeSet<i32> = self.clients.values().flat_map(|client| client.owned.iter().copied()).collect();
        assert_eq!(owned, (0..7).collect(), "{:?}", self.clients);
        assert_eq!(self.coordinator.is_consumer(), self.clients.values().any(|client| !client.is_classic));
    }
}

/// What a cooperative leader assigns: round robin, but nothing that another still has.
fn assign(joined: &JoinGroupResponse) -> Vec<(String, Owned)> {
    let mut owners = BTreeMap::new();
    for member in &joined.members {
        for topic in decode_subscription(&member.metadata).unwrap().owned_partitions {
            owners.extend(topic.partitions.iter().map(|partition| (*partition, member.member_id.clone())));
        }
    }
    let mut assignments: Vec<(String, Owned)> =
        joined.members.iter().map(|member| (member.member_id.as_str().to_owned(), Owned::new())).collect();
    for partition in 0..7_i32 {
        let to = usize::try_from(partition).unwrap() % assignments.len();
        let (id, owned) = &mut assignments[to];
        if owners.get(&partition).is_none_or(|owner| owner == id.as_str()) {
            owned.entry("a".to_owned()).or_default().push(partition);
        }
    }
    assignments
}

#[test]
fn members_of_both_protocols_share_a_group_in_any_order_of_events() {
    for seed in 0..150 {
        let mut world = World::new(seed);
        for number in 0..150 {
            world.step(number);
        }
        world.coordinator.check();
        world.settle();
    }
}
