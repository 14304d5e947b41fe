//! Requests of any kind, sent for whoever asks: to which broker, how often, until when.

use std::time::Duration;

use bytes::Bytes;
use felice_protocol::messages::{self, Request};
use felice_protocol::time::{Instant, Now};

use super::connections::{Key, Lane, Node};
use super::{ClientCore, Event, Token};
use crate::connection::EncodeRequest;
use crate::error::{Disposition, Error, ErrorKind};
use crate::metadata::BrokerId;

/// A call of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Who is to answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTarget {
    /// Any broker.
    Any,
    /// This broker.
    Broker(BrokerId),
    /// The broker that takes requests for the controller.
    Controller,
}

/// How to make a call.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// Who is to answer.
    pub target: CallTarget,
    /// When it has failed.
    pub timeout: Duration,
    /// Whether it may be sent again after its connection broke.
    pub retry: bool,
    /// Whether it fails as soon as every address has refused a connection, instead of when its time is up.
    pub fail_fast: bool,
}

pub(super) struct Call {
    pub(super) request: Box<dyn EncodeRequest>,
    pub(super) options: CallOptions,
    pub(super) deadline: Instant,
    pub(super) in_flight: bool,
    pub(super) attempts: u32,
    pub(super) error: Option<Error>,
}

impl<T> ClientCore<T> {
    /// Sends any request; its answer comes as [`Event::Call`].
    pub fn call(&mut self, now: Now, request: Box<dyn EncodeRequest>, options: CallOptions) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let deadline = now.instant() + options.timeout;
        self.calls.insert(id, Call { request, options, deadline, in_flight: false, attempts: 0, error: None });
        id
    }

    /// Calls to a certain broker wait for metadata: said before it is asked for, since what is due at once later in a round wakes nobody.
    pub(super) fn pump_needs(&mut self, now: Now) {
        if self.calls.values().any(|call| !call.in_flight && call.options.target != CallTarget::Any) {
            self.metadata.need_brokers(now);
        }
    }

    pub(super) fn pump_calls(&mut self, now: Now) {
        let waiting: Vec<CallId> = self.calls.iter().filter(|(_, call)| !call.in_flight).map(|(id, _)| *id).collect();
        for id in waiting {
            let Some(call) = self.calls.get(&id) else { continue };
            let target = call.options.target;
            let metadata = self.metadata.snapshot().clone();
            let node = match target {
                CallTarget::Any => None,
                CallTarget::Broker(broker) => Some(broker),
                CallTarget::Controller => metadata.controller,
            };
            let key = match node {
                None => self.any_broker(now),
                Some(broker) => {
                    let key = (Node::Broker(broker), Lane::General);
                    self.links.ready(now, key, &metadata).then_some(key)
                }
            };
            let Some(key) = key else { continue };
            let Some(call) = self.calls.get_mut(&id) else { continue };
            call.in_flight = true;
            call.attempts += 1;
            let timeout =
                (call.deadline - now.instant()).min(self.links.config.request_timeout.max(Duration::from_millis(1)));
            if let Err(error) =
                self.links.send(now, key, call.request.as_ref(), i16::MAX, Token::Call(id), true, timeout)
            {
                self.calls.remove(&id);
                self.events.push_back(Event::Call(id, Err(error)));
            }
        }
    }

    /// Gives up the calls whose time is over.
    pub(super) fn fail_late_calls(&mut self, now: Now) {
        let late: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| call.deadline <= now.instant()).map(|(id, _)| *id).collect();
        for id in late {
            let Some(call) = self.calls.remove(&id) else { continue };
            let last = call.error.or_else(|| self.connection_error().cloned());
            let words = last.as_ref().map_or_else(|| "no broker answered".to_owned(), |last| format!("last: {last}"));
            let message = format!("{} attempts in {} ms; {words}", call.attempts, call.options.timeout.as_millis());
            let mut error = Error::new(ErrorKind::Timeout, message);
            if let Some(last) = last {
                if let Some(hint) = last.hint() {
                    error = error.hinting(hint);
                }
                error = error.caused_by(last);
            }
            self.events.push_back(Event::Call(id, Err(error)));
        }
    }

    /// Calls that wait for a connection and need not wait longer: nobody will answer the wrong password tomorrow.
    pub(super) fn fail_calls_fast(&mut self, key: Key, error: &Error) {
        let hopeless = error.disposition() == Disposition::Fatal || error.kind() == ErrorKind::Tls;
        let boots = 0..self.links.config.bootstrap.len();
        let tried =
            |i: usize| self.links.links.get(&(Node::Bootstrap(i), Lane::General)).and_then(|link| link.error.as_ref());
        let none_left = self.metadata.snapshot().brokers.is_empty() && boots.clone().all(|i| tried(i).is_some());
        let all: Vec<String> = boots.filter_map(tried).map(ToString::to_string).collect();
        let bootstrap = matches!(key.0, Node::Bootstrap(_));
        let failed: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, call)| {
                !call.in_flight && ((hopeless && none_left) || (call.options.fail_fast && bootstrap && none_left))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in failed {
            self.calls.remove(&id);
            let told = if all.len() > 1 {
                let joined = Error::new(error.kind(), format!("no broker can be reached: {}", all.join("; ")))
                    .caused_by(error.clone());
                match error.hint() {
                    Some(hint) => joined.hinting(hint),
                    None => joined,
                }
            } else {
                error.clone()
            };
            self.events.push_back(Event::Call(id, Err(told)));
        }
    }
}

/// Reads the answer to a call.
///
/// # Errors
/// [`ErrorKind::Decode`] where the frame is not that answer.
pub fn decode_answer<R: Request>(answer: (i16, Bytes)) -> Result<R::Response, Error> {
    let (version, frame) = answer;
    Ok(messages::decode_response::<R>(version, frame)?.1)
}
