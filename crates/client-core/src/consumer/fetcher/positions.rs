//! Where reading starts and ends: positions that are not offsets are looked up with ListOffsets.

use std::collections::BTreeSet;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, list_offsets};
use felice_protocol::time::Now;

use super::partition::Partition;
use super::{Asked, AskedPartition, FetchEvent, FetchOut, Fetcher};
use crate::error::Error;
use crate::metadata::BrokerId;

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// This offset.
    Offset(i64),
    /// The first record that is still there.
    Start,
    /// Behind the last record.
    End,
    /// This many records before the end.
    BeforeEnd(i64),
    /// This offset, or the first record that is still there where that comes later.
    NotBefore(i64),
    /// The first record at or after this time, in milliseconds since 1970; the end where there is none.
    Time(i64),
}

impl Position {
    /// The first record that is at most this old (KIP-1106).
    pub fn not_older(now: Now, age: std::time::Duration) -> Self {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Self::Time(now.wall_millis.saturating_sub(age).max(0))
    }

    fn timestamp(self) -> Option<i64> {
        match self {
            Self::Offset(_) => None,
            Self::Start | Self::NotBefore(_) => Some(-2),
            Self::End | Self::BeforeEnd(_) => Some(-1),
            Self::Time(millis) => Some(millis),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Start,
    End,
}

impl Fetcher {
    /// The next ListOffsets request, if a broker that is `ready` can have one.
    pub fn poll_list_offsets(
        &mut self,
        now: Now,
        ready: &mut dyn FnMut(BrokerId) -> bool,
    ) -> Option<FetchOut<ListOffsetsRequest>> {
        for want in [Want::Start, Want::End] {
            let wanted = |p: &Partition| {
                let seek = match want {
                    Want::Start => p.start,
                    Want::End => p.end,
                };
                seek.and_then(Position::timestamp).filter(|_| !p.asking && !p.is_blocked(now) && !p.over)
            };
            let brokers: BTreeSet<BrokerId> =
                self.partitions.values().filter(|p| wanted(p).is_some()).filter_map(|p| p.leader).collect();
            let Some(broker) = brokers.into_iter().find(|broker| ready(*broker)) else { continue };
            let mut topics: Vec<list_offsets::request::ListOffsetsTopic> = Vec::new();
            let mut asked = Vec::new();
            for (id, p) in &mut self.partitions {
                let Some(timestamp) = wanted(p).filter(|_| p.leader == Some(broker)) else { continue };
                p.asking = true;
                asked.push(AskedPartition::new(*id, p, 0));
                let partition = list_offsets::request::ListOffsetsPartition {
                    partition_index: p.index,
                    current_leader_epoch: p.leader_epoch,
                    timestamp,
                    ..Default::default()
                };
                match topics.iter_mut().find(|t| t.name == p.topic) {
                    Some(topic) => topic.partitions.push(partition),
                    None => topics.push(list_offsets::request::ListOffsetsTopic {
                        name: p.topic.clone(),
                        partitions: vec![partition],
                        ..Default::default()
                    }),
                }
            }
            let id = self.next_request;
            self.next_request += 1;
            self.listings.insert(id, (want, Asked { broker, partitions: asked }));
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: self.config.isolation_level.code(),
                topics,
                timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
                ..ListOffsetsRequest::default()
            };
            return Some(FetchOut { broker, request, id, max_version: i16::MAX });
        }
        None
    }

    /// The answer to a ListOffsets, or why there is none.
    pub fn handle_list_offsets(&mut self, now: Now, id: u64, response: Result<&ListOffsetsResponse, &Error>) {
        let Some((want, asked)) = self.listings.remove(&id) else { return };
        for AskedPartition { id, generation, .. } in asked.partitions {
            let Some(p) = self.partitions.get_mut(&id) else { continue };
            p.asking = false;
            if p.generation != generation {
                continue;
            }
            let answer = response.ok().and_then(|response| {
                let topic = response.topics.iter().find(|t| t.name == p.topic)?;
                topic.partitions.iter().find(|a| a.partition_index == p.index)
            });
            let Some(answer) = answer else {
                self.refresh |= response.is_err();
                p.pause_after_error(now);
                continue;
            };
            if let Err(code) = answer.error_code.ok() {
                p.pause_after_error(now);
                match recovery(code) {
                    Recovery::RefreshMetadata => self.refresh = true,
                    Recovery::Fail(code) => {
                        self.fail(id, Error::from_code(code, Some("the offset cannot be looked up")))
                    }
                    Recovery::Backoff => {}
                }
                continue;
            }
            p.backoff.reset();
            let seek = match want {
                Want::Start => p.start,
                Want::End => p.end,
            };
            let offset = match seek {
                // No record is that young: where the end is has to be asked on its own.
                Some(Position::Time(_)) if answer.offset < 0 => {
                    match want {
                        Want::Start => p.start = Some(Position::End),
                        Want::End => p.end = Some(Position::End),
                    }
                    continue;
                }
                // Records before that may be gone: where the start is has to be asked on its own.
                Some(Position::BeforeEnd(n)) if want == Want::Start => {
                    p.start = Some(Position::NotBefore(answer.offset.saturating_sub(n)));
                    continue;
                }
                Some(Position::BeforeEnd(n)) => answer.offset.saturating_sub(n).max(0),
                Some(Position::NotBefore(offset)) => answer.offset.max(offset),
                Some(_) | None => answer.offset,
            };
            match want {
                Want::Start => {
                    p.start = None;
                    p.forget_epochs();
                    p.position = Some(offset);
                }
                Want::End => {
                    p.end = None;
                    p.until = Some(offset);
                }
            }
            if let Some(offset) = p.resolved() {
                let cause = std::mem::take(&mut p.cause);
                self.events.push_back(FetchEvent::Positioned {
                    partition: id,
                    offset,
                    until: p.until,
                    cause,
                    generation,
                });
                self.check_over(id);
            }
        }
    }
}

/// What ListOffsets does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// Ask the same again after a pause.
    Backoff,
    /// Ask the same again once the metadata is new.
    RefreshMetadata,
    /// Read no further.
    Fail(ErrorCode),
}

fn recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::FENCED_LEADER_EPOCH | ErrorCode::UNKNOWN_LEADER_EPOCH => Recovery::RefreshMetadata,
        code if code.is_stale_metadata() => Recovery::RefreshMetadata,
        code if code.is_retriable() => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}
