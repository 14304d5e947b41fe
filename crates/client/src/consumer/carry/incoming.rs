//! What comes from below: records and positions from the fetcher, proposals and answers from the group member.

use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::RebalanceProtocol;
use felice_client_core::consumer::event::ConsumerEvent;
use felice_client_core::consumer::fetcher::{FetchEvent, Fetched, PositionCause};
use felice_client_core::consumer::group::GroupEvent;
use felice_client_core::error::Error;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::time::Now;

use super::{Asked, CommittedOffsets, ConsumerDriver, Core, view};

impl ConsumerDriver {
    pub(crate) fn handle_fetch(&mut self, core: &mut Core, event: FetchEvent) {
        match event {
            FetchEvent::Data(fetched) => self.push(core, fetched),
            FetchEvent::Positioned { partition, offset, cause, generation, .. } => {
                let Some(name) = self.by_fetch.get(&partition).cloned() else { return };
                let current = core.reader(self.reader).and_then(|(fetcher, _)| fetcher.generation(partition));
                let Some(entry) = self.partitions.get_mut(&name).filter(|_| current == Some(generation)) else {
                    return;
                };
                match cause {
                    PositionCause::OutOfRange(was) if offset >= was => entry.shared.skip(was, offset),
                    PositionCause::OutOfRange(_) | PositionCause::Recreated | PositionCause::Asked => {
                        entry.shared.positioned(offset);
                    }
                }
                for seeker in entry.seekers.drain(..) {
                    let _ = seeker.send(Ok(offset));
                }
                self.session.handle_positioned(&name, offset, cause);
            }
            FetchEvent::EndOfPartition { partition, offset } => {
                if let Some(partition) = self.by_fetch.get(&partition).cloned() {
                    self.shared.vitals.events.tell(&ConsumerEvent::EndOfPartition { partition, offset });
                }
            }
            FetchEvent::Failed { partition, error } => {
                let Some(name) = self.by_fetch.get(&partition).cloned() else { return };
                if let Some(entry) = self.partitions.get_mut(&name) {
                    for seeker in entry.seekers.drain(..) {
                        let _ = seeker.send(Err(error.clone()));
                    }
                }
                self.session.handle_failed(&name, error);
            }
            FetchEvent::Ended { .. } => {}
        }
    }

    fn push(&mut self, core: &mut Core, mut fetched: Fetched) {
        let Some(entry) = self.by_fetch.get(&fetched.partition).and_then(|name| self.partitions.get(name)) else {
            return;
        };
        let Some((fetcher, _)) = core.reader(self.reader) else { return };
        if fetcher.generation(fetched.partition) != Some(fetched.generation) {
            return;
        }
        let split = self.shared.is_split();
        let limit = if split { self.limits.of_partition(self.partitions.len()) } else { usize::MAX };
        if split && entry.shared.is_behind() {
            // One that lags must not hold the whole answer in memory, which is others' too.
            let copy = bytes::Bytes::copy_from_slice(&fetched.records);
            fetched.charge = self.budget.charge(copy.clone());
            fetched.records = copy;
        }
        let id = fetched.partition;
        let pushed = entry.shared.push(fetched, limit);
        if pushed.list && !split {
            self.shared.list(&entry.shared);
        }
        if pushed.throttle {
            fetcher.throttle(id, true);
        }
    }

    pub(crate) fn unthrottle(&mut self, core: &mut Core, partition: &TopicPartition) {
        if let Some(id) = self.fetch_id(partition)
            && let Some((fetcher, _)) = core.reader(self.reader)
        {
            fetcher.throttle(id, false);
        }
    }

    pub(crate) fn handle_group(&mut self, core: &mut Core, now: Now, event: GroupEvent) {
        match event {
            GroupEvent::Assign { id, partitions, deadline, .. } => {
                self.session.handle_assign(now, id, partitions, deadline);
            }
            GroupEvent::Revoke { id, partitions, deadline, .. } => {
                self.session.handle_revoke(now, id, partitions, deadline);
            }
            GroupEvent::Lost { id, partitions, error } => {
                // First of all, nothing more is handed out: what the session finds open then is all that can be done too late.
                for partition in &partitions {
                    self.end(core, partition);
                }
                self.session.handle_lost(now, id, partitions, error, &view(&self.partitions));
            }
            GroupEvent::Committed { request, result } => {
                if let Some(Asked::Session(ticket)) = self.requests.remove(&request) {
                    self.session.handle_committed(ticket, result, &view(&self.partitions));
                }
            }
            GroupEvent::Offsets { request, result } => {
                let named = |(partition, answer): (TopicPartition, Result<_, ErrorCode>)| {
                    let answer = answer.map_err(|code| {
                        Error::from_code(code, Some("the committed offset cannot be told"))
                            .on_partition(&partition.topic, partition.partition)
                    });
                    (partition, answer)
                };
                let result = result.map(|found| found.into_iter().map(named).collect::<CommittedOffsets>());
                match self.requests.remove(&request) {
                    Some(Asked::Session(ticket)) => self.session.handle_committed_offsets(now, ticket, result),
                    Some(Asked::Application(asked)) => {
                        // Whoever asked may have gone.
                        let _ = asked.send(result);
                    }
                    None => {}
                }
            }
            GroupEvent::Joined(metadata) => {
                let protocol = self.member.and_then(|key| core.member(key)).and_then(|member| {
                    member.rebalance_protocol().map(|protocol| match protocol {
                        RebalanceProtocol::Eager => "EAGER",
                        RebalanceProtocol::Cooperative => "COOPERATIVE",
                    })
                });
                let event = ConsumerEvent::Joined {
                    member_id: metadata.member_id.to_string(),
                    generation: metadata.generation_or_epoch,
                };
                self.shared.set_metadata(metadata, protocol);
                self.shared.vitals.events.tell(&event);
            }
            GroupEvent::Stalled { since, left, .. } => {
                self.shared.vitals.events.tell(&ConsumerEvent::Silent { age: now.instant() - since, left });
            }
            GroupEvent::Delayed { state, since, error } => {
                let event = ConsumerEvent::Delayed { doing: state.to_string(), age: now.instant() - since, error };
                self.shared.vitals.events.tell(&event);
            }
            // The session hears of the commit when it is done.
            GroupEvent::CommitDeferred { .. } | GroupEvent::Acknowledging => {}
            GroupEvent::Failed(error) => {
                self.shared.vitals.events.tell(&ConsumerEvent::Failed(error.clone()));
                if self.session.is_closing() {
                    self.session.handle_left(Err(error));
                } else {
                    self.shared.fail_for_good(error);
                }
            }
            GroupEvent::Left => {
                self.shared.vitals.events.tell(&ConsumerEvent::Left);
                self.session.handle_left(Ok(()));
            }
        }
    }
}
