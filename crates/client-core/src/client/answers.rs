//! Frames in: each answer goes to whom its request was sent for, and so does the news that none will come.

use bytes::Bytes;
use felice_protocol::messages::{
    self, ApiKey, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, ProduceResponse,
};
use felice_protocol::time::Now;

use super::connections::{ConnectionId, Key};
use super::{ClientCore, Event, Output, Token};
use crate::connection::{Received, Waiting};
use crate::consumer::group;
use crate::error::{Error, ErrorKind};
use crate::metadata::{Broker, ClusterMetadata, LeaderHint};
use crate::producer::sender::ProduceFailure;

impl<T> ClientCore<T> {
    /// A frame came, without its length.
    pub fn handle_frame(&mut self, now: Now, id: ConnectionId, frame: Bytes) {
        let Some(key) = self.links.by_id.get(&id).copied() else { return };
        let Some(link) = self.links.links.get_mut(&key) else { return };
        match link.connection.handle_frame(frame) {
            Ok(Received::Send(frame)) => self.links.outputs.push_back(Output::Send { id, frame, answered: true }),
            Ok(Received::Ready) => {
                link.setup_deadline = None;
                link.error = None;
                link.backoff.reset();
                self.begin_session(now, key);
            }
            Ok(Received::Answer(waiting, frame)) => {
                if let Err(error) = self.handle_answer(now, key, &waiting, frame) {
                    let error =
                        Error::new(ErrorKind::Decode, format!("the answer to {}: {}", waiting.api, error.message()));
                    self.handle_no_answer(now, waiting, &error);
                    self.close(now, id, error);
                }
                self.reauthenticate_if_drained(now, key);
            }
            Ok(Received::TooLate) => self.reauthenticate_if_drained(now, key),
            Err(error) => self.close(now, id, error),
        }
    }

    fn handle_answer(&mut self, now: Now, key: Key, waiting: &Waiting<Token>, frame: Bytes) -> Result<(), Error> {
        let version = waiting.version;
        let before = self.metadata.snapshot().clone();
        match waiting.token {
            Token::Metadata => {
                let (_, response) = messages::decode_response::<MetadataRequest>(version, frame)?;
                if self.metadata.handle_response(now, &response) {
                    self.announce_metadata(now);
                    self.follow_moved_brokers(now, &before);
                }
            }
            Token::InitProducerId(producer) => {
                let (_, response) = messages::decode_response::<InitProducerIdRequest>(version, frame)?;
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_init_producer_id(now, Ok(&response));
                    entry.sender.handle_timeout(now, entry.source.as_mut());
                }
            }
            Token::Produce(producer, id) => {
                let (_, response) = messages::decode_response::<ProduceRequest>(version, frame)?;
                let address = self.links.links.get(&key).map(|link| link.address.clone()).unwrap_or_default();
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_response(now, id, &response, &address);
                }
                self.learn_leaders(now, produced_hints(self.metadata.snapshot(), &response));
            }
            Token::ListOffsets(reader, id) => {
                let (_, response) = messages::decode_response::<ListOffsetsRequest>(version, frame)?;
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_list_offsets(now, id, Ok(&response));
                }
            }
            Token::EpochEnds(reader, id) => {
                let (_, response) = messages::decode_response::<OffsetForLeaderEpochRequest>(version, frame)?;
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_epoch_ends(now, id, Ok(&response));
                }
            }
            Token::Fetch(reader, id) => {
                let whole = frame.clone();
                let (_, response) = messages::decode_response::<FetchRequest>(version, frame)?;
                let Some(fetcher) = self.readers.get_mut(&reader) else { return Ok(()) };
                fetcher.handle_fetch(now, id, response, whole);
                let hints = fetcher.poll_leader_hints();
                self.learn_leaders(now, hints);
            }
            Token::Group(member, id) => {
                let response = group::request::decode(waiting.api, version, frame)?;
                if let Some(member) = self.members.get_mut(&member) {
                    member.handle_response(now, id, response);
                }
            }
            Token::Call(id) => {
                if waiting.api == ApiKey::METADATA {
                    let (_, response) = messages::decode_response::<MetadataRequest>(version, frame.clone())?;
                    if self.metadata.learn_brokers(now, &response) {
                        self.announce_metadata(now);
                        self.follow_moved_brokers(now, &before);
                    }
                }
                if self.calls.remove(&id).is_some() {
                    self.events.push_back(Event::Call(id, Ok((version, frame))));
                }
            }
        }
        Ok(())
    }

    pub(super) fn handle_no_answer(&mut self, now: Now, waiting: Waiting<Token>, error: &Error) {
        match waiting.token {
            Token::Metadata => self.metadata.handle_failure(now),
            Token::InitProducerId(producer) => {
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_init_producer_id(now, Err(error));
                }
            }
            Token::Produce(producer, id) => {
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_failure(now, id, &ProduceFailure { error: error.clone(), sent: true });
                }
            }
            Token::ListOffsets(reader, id) => {
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_list_offsets(now, id, Err(error));
                }
            }
            Token::EpochEnds(reader, id) => {
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_epoch_ends(now, id, Err(error));
                }
            }
            Token::Fetch(reader, id) => {
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_fetch_failure(now, id);
                }
            }
            Token::Group(member, id) => {
                if let Some(member) = self.members.get_mut(&member) {
                    member.handle_failure(now, id, error);
                }
            }
            Token::Call(id) => {
                let Some(call) = self.calls.get_mut(&id) else { return };
                call.in_flight = false;
                call.error = Some(error.clone());
                if !call.options.retry || error.kind() == ErrorKind::Unsupported {
                    self.calls.remove(&id);
                    self.events.push_back(Event::Call(id, Err(error.clone())));
                }
            }
        }
    }

    fn learn_leaders(&mut self, now: Now, hints: Vec<LeaderHint>) {
        let mut changed = false;
        for hint in hints {
            changed |= self.metadata.handle_leader_hint(hint);
        }
        if changed {
            self.announce_metadata(now);
        }
    }

    fn announce_metadata(&mut self, now: Now) {
        let metadata = self.metadata.snapshot().clone();
        for entry in self.producers.values_mut() {
            entry.sender.handle_metadata(&metadata);
            // What is for partitions that are no more is given up.
            entry.sender.handle_timeout(now, entry.source.as_mut());
        }
        for fetcher in self.readers.values_mut() {
            fetcher.handle_metadata(&metadata);
        }
        for member in self.members.values_mut() {
            member.handle_metadata(now, &metadata);
        }
        self.events.push_back(Event::Metadata(metadata));
    }
}

/// The leaders that a Produce response names for partitions that have moved.
fn produced_hints(metadata: &ClusterMetadata, response: &ProduceResponse) -> Vec<LeaderHint> {
    let mut hints = Vec::new();
    for topic in &response.responses {
        for p in topic.partition_responses.iter().filter(|p| p.current_leader.leader_id >= 0) {
            let leader = p.current_leader.leader_id;
            let name = if topic.name.is_empty() { metadata.names.get(&topic.topic_id) } else { Some(&topic.name) };
            let Some(name) = name else { continue };
            let endpoint = response.node_endpoints.iter().find(|e| e.node_id == leader);
            hints.push(LeaderHint {
                topic: name.clone(),
                index: p.index,
                leader,
                leader_epoch: p.current_leader.leader_epoch,
                at: endpoint.map(|e| Broker {
                    id: e.node_id,
                    host: e.host.clone(),
                    port: e.port,
                    rack: e.rack.clone(),
                }),
            });
        }
    }
    hints
}
