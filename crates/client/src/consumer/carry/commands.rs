//! What the application wants of a consumer.

use std::time::Duration;

use felice_client_core::consumer::fetcher::Position;
use felice_client_core::consumer::group::Subscription;
use felice_client_core::consumer::session::{CloseReport, Ticket};
use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_client_core::error::Error;
use felice_protocol::time::Now;
use tokio::sync::oneshot;

use super::{Asked, CommittedOffsets, ConsumerDriver, Core, no_group, not_held, view};
use crate::client::Client;

impl ConsumerDriver {
    pub(in crate::consumer) fn subscribe(
        &mut self,
        core: &mut Core,
        now: Now,
        subscription: Option<Subscription>,
    ) -> Result<(), Error> {
        let member = self.member.and_then(|key| core.member(key)).ok_or_else(no_group)?;
        match subscription.clone() {
            Some(subscription) => member.subscribe(now, subscription)?,
            None => member.unsubscribe(now),
        }
        self.shared.set_subscription(subscription);
        Ok(())
    }

    pub(in crate::consumer) fn heard(&mut self, now: Now, ticket: Ticket) {
        self.notice_late_done();
        self.session.handle_heard(now, ticket, &view(&self.partitions));
    }

    fn notice_late_done(&mut self) {
        if self.shared.vitals.take_late() {
            self.session.handle_late_done();
        }
    }

    pub(in crate::consumer) fn commit(
        &mut self,
        named: Option<Vec<(TopicPartition, OffsetAndMetadata)>>,
        asked: oneshot::Sender<Result<(), Error>>,
    ) {
        let ticket = self.session.application_ticket();
        self.commits.insert(ticket, asked);
        self.notice_late_done();
        self.session.commit(ticket, named, &view(&self.partitions));
    }

    pub(in crate::consumer) fn committed(
        &mut self,
        core: &mut Core,
        now: Now,
        partitions: Vec<TopicPartition>,
        asked: oneshot::Sender<Result<CommittedOffsets, Error>>,
    ) {
        let (stable, timeout) = (self.limits.require_stable, self.limits.api_timeout);
        match self.member.and_then(|key| core.member(key)) {
            Some(member) => {
                let request = member.committed(now, partitions, stable, timeout);
                self.requests.insert(request, Asked::Application(asked));
            }
            None => {
                let _ = asked.send(Err(no_group()));
            }
        }
    }

    pub(in crate::consumer) fn seek(
        &mut self,
        core: &mut Core,
        now: Now,
        partition: &TopicPartition,
        to: Position,
        asked: oneshot::Sender<Result<i64, Error>>,
    ) {
        let sought = self.session.seek(partition, to);
        match self.partitions.get_mut(partition).filter(|_| sought) {
            Some(entry) => match to {
                Position::Offset(offset) => {
                    let _ = asked.send(Ok(offset));
                }
                _ => entry.seekers.push(asked),
            },
            None => {
                let _ = asked.send(Err(not_held(partition)));
            }
        }
        self.work(core, now);
        if let Some(entry) = self.partitions.get(partition) {
            entry.shared.moved();
        }
    }

    /// Pauses, resumes; or only fetches again what was taken and not handed out.
    pub(in crate::consumer) fn pause(&mut self, core: &mut Core, now: Now, partition: &TopicPartition, paused: bool) {
        self.session.pause(partition, paused);
        self.work(core, now);
        if paused && let Some(entry) = self.partitions.get(partition) {
            entry.shared.moved();
        }
    }

    pub(in crate::consumer) fn fetch_again(&mut self, core: &mut Core, partition: &TopicPartition) {
        let Some(entry) = self.partitions.get(partition) else { return };
        if let Some((fetcher, _)) = core.reader(self.reader)
            && let (Some(id), Some(position)) = (entry.fetch, entry.shared.position())
        {
            fetcher.seek(id, Position::Offset(position));
        }
        entry.shared.moved();
    }

    pub(in crate::consumer) fn close(
        &mut self,
        now: Now,
        within: Duration,
        closer: Option<oneshot::Sender<CloseReport>>,
    ) {
        self.close_by = now.instant() + within;
        self.closers.extend(closer);
        self.session.close(now, self.close_by);
    }

    /// Nobody reads the consumer any more.
    pub(in crate::consumer) fn detach(&mut self, now: Now, client: Client, within: Duration) {
        self.keep = Some(client);
        self.listener = None;
        let unheard = self.session.hearings();
        for ticket in unheard {
            self.heard(now, ticket);
        }
        self.close(now, within, None);
    }
}
