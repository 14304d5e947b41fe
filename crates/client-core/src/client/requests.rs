//! Requests out: what metadata, calls, producers and readers want becomes frames on connections that are ready.

use std::time::Duration;

use felice_protocol::time::Now;

use super::connections::{Lane, Node};
use super::{ClientCore, Output, ProducerKey, Token};
use crate::producer::sender::ProduceFailure;

impl<T> ClientCore<T> {
    /// What the driver does next.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if self.links.outputs.is_empty() {
            self.pump(now);
        }
        self.links.outputs.pop_front()
    }

    /// Turns what everything wants into requests.
    fn pump(&mut self, now: Now) {
        self.pump_members(now);
        self.pump_needs(now);
        self.pump_metadata(now);
        self.pump_calls(now);
        self.pump_producers(now);
        self.pump_readers(now);
        self.settle_tokens(now);
    }

    fn pump_metadata(&mut self, now: Now) {
        if self.metadata.poll_timeout().is_none_or(|at| at > now.instant()) {
            return;
        }
        let Some(key) = self.any_broker(now) else { return };
        let Some(request) = self.metadata.poll_request(now) else { return };
        let timeout = self.links.config.request_timeout;
        if self.links.send(now, key, &request, 13, Token::Metadata, true, timeout).is_err() {
            self.metadata.handle_failure(now);
        }
    }

    fn pump_producers(&mut self, now: Now) {
        let metadata = self.metadata.snapshot().clone();
        let mut refresh = false;
        let keys: Vec<ProducerKey> = self.producers.keys().copied().collect();
        for key in keys {
            let wants_id = self
                .producers
                .get(&key)
                .is_some_and(|entry| entry.sender.active() > 0 && entry.sender.wants_producer_id(now));
            if wants_id && let Some(node) = self.any_broker(now) {
                let Some(entry) = self.producers.get_mut(&key) else { continue };
                if let Some(request) = entry.sender.poll_init_producer_id(now) {
                    let timeout = self.links.config.request_timeout;
                    if let Err(error) =
                        self.links.send(now, node, &request, i16::MAX, Token::InitProducerId(key), true, timeout)
                    {
                        entry.sender.handle_init_producer_id(now, Err(&error));
                    }
                }
            }
            let Some(entry) = self.producers.get_mut(&key) else { continue };
            let links = &mut self.links;
            while let Some(out) = entry.sender.poll_request(now, entry.source.as_mut(), &mut |broker| {
                links.ready(now, (Node::Broker(broker), Lane::Produce), &metadata)
            }) {
                let node = (Node::Broker(out.broker), Lane::Produce);
                let token = Token::Produce(key, out.id);
                let sent =
                    links.send(now, node, &out.request, out.max_version, token, out.answered, entry.request_timeout);
                if let Err(error) = sent {
                    entry.sender.handle_failure(now, out.id, &ProduceFailure { error, sent: false });
                }
            }
            refresh |= entry.sender.poll_refresh();
        }
        if refresh {
            self.metadata.refresh(now);
        }
    }

    fn pump_readers(&mut self, now: Now) {
        let metadata = self.metadata.snapshot().clone();
        let timeout = self.links.config.request_timeout;
        let links = &mut self.links;
        let mut refresh = false;
        for (key, fetcher) in &mut self.readers {
            while let Some(out) = fetcher.poll_list_offsets(now, &mut |broker| {
                links.ready(now, (Node::Broker(broker), Lane::General), &metadata)
            }) {
                let node = (Node::Broker(out.broker), Lane::General);
                let token = Token::ListOffsets(*key, out.id);
                if let Err(error) = links.send(now, node, &out.request, out.max_version, token, true, timeout) {
                    fetcher.handle_list_offsets(now, out.id, Err(&error));
                }
            }
            while let Some(out) = fetcher
                .poll_epoch_ends(now, &mut |broker| links.ready(now, (Node::Broker(broker), Lane::General), &metadata))
            {
                let node = (Node::Broker(out.broker), Lane::General);
                let token = Token::EpochEnds(*key, out.id);
                if let Err(error) = links.send(now, node, &out.request, out.max_version, token, true, timeout) {
                    fetcher.handle_epoch_ends(now, out.id, Err(&error));
                }
            }
            while let Some(out) = fetcher
                .poll_fetch(now, &mut |broker| links.ready(now, (Node::Broker(broker), Lane::Fetch(*key)), &metadata))
            {
                let node = (Node::Broker(out.broker), Lane::Fetch(*key));
                let wait = Duration::from_millis(u64::try_from(out.request.max_wait_ms).unwrap_or_default());
                let token = Token::Fetch(*key, out.id);
                if links.send(now, node, &out.request, out.max_version, token, true, timeout + wait).is_err() {
                    fetcher.handle_fetch_failure(now, out.id);
                }
            }
            refresh |= fetcher.poll_refresh();
        }
        if refresh {
            self.metadata.refresh(now);
        }
    }
}
