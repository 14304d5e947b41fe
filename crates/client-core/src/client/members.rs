//! Members of groups: their requests, what metadata they want, and their time.

use felice_protocol::time::Now;

use super::connections::{Key, Lane, Node};
use super::{ClientCore, Token};
use crate::config::ConsumerConfig;
use crate::consumer::assignor::Assignor;
use crate::consumer::group::request::GroupTarget;
use crate::consumer::group::{GroupMember, MemberKey, MetadataWish};
use crate::error::Error;
use crate::metadata::BrokerId;

impl<T> ClientCore<T> {
    /// Adds a member of a group, without a subscription; `custom` assignors are offered before those of the configuration. What it tells comes as
    /// [`super::Event::Group`].
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Config`] for an assignor that is not known.
    pub fn add_member(&mut self, config: ConsumerConfig, custom: Vec<Assignor>) -> Result<MemberKey, Error> {
        let seed = self.links.random.next_u64();
        let member = GroupMember::new(config, custom, self.metadata.snapshot().clone(), seed)?;
        let key = MemberKey(self.next_key);
        self.next_key += 1;
        self.members.insert(key, member);
        Ok(key)
    }

    /// A member, for commands.
    pub fn member(&mut self, key: MemberKey) -> Option<&mut GroupMember> {
        self.members.get_mut(&key)
    }

    /// Removes a member without leaving its group: whoever wants to leave does that first.
    pub fn remove_member(&mut self, key: MemberKey) {
        if let Some(mut member) = self.members.remove(&key) {
            member.give_up_wishes();
            // Nothing is wished for any more, so the time does not matter.
            self.grant_wishes(Now::default(), &mut member);
            self.links.close_lane(Lane::Coordinator(key));
        }
    }

    pub(super) fn pump_members(&mut self, now: Now) {
        if self.members.is_empty() {
            return;
        }
        // Apart from the rest while it asks for connections.
        let mut members = std::mem::take(&mut self.members);
        for (key, member) in &mut members {
            self.grant_wishes(now, member);
            while let Some(out) = member.poll_request(now, &mut |to| self.connection_for(now, *key, to).is_some()) {
                let Some(node) = self.connection_for(now, *key, &out.to) else { continue };
                let token = Token::Group(*key, out.id);
                if let Err(error) = self.links.send(now, node, &out.request, out.max_version, token, true, out.timeout)
                {
                    member.handle_failure(now, out.id, &error);
                }
            }
            self.grant_wishes(now, member);
        }
        self.members = members;
    }

    fn connection_for(&mut self, now: Now, member: MemberKey, to: &GroupTarget) -> Option<Key> {
        match to {
            GroupTarget::Any => self.any_broker(now),
            GroupTarget::Coordinator { broker, address, membership } => {
                let lane = if *membership { Lane::Coordinator(member) } else { Lane::General };
                let key = (Node::Broker(*broker), lane);
                self.links.ready_at(now, key, address.clone()).then_some(key)
            }
        }
    }

    fn grant_wishes(&mut self, now: Now, member: &mut GroupMember) {
        while let Some(wish) = member.poll_wish() {
            match wish {
                MetadataWish::Topic(topic) => self.metadata.want(now, &topic),
                MetadataWish::NotTopic(topic) => self.metadata.unwant(&topic),
                MetadataWish::All => self.metadata.want_all(now),
                MetadataWish::NotAll => self.metadata.unwant_all(),
                MetadataWish::Refresh => self.metadata.refresh(now),
            }
        }
    }

    pub(super) fn handle_member_timeouts(&mut self, now: Now) {
        for member in self.members.values_mut() {
            member.handle_timeout(now);
        }
    }

    /// One member has lost its connection to a broker, or all of them the one that they share.
    pub(super) fn tell_members_disconnected(
        &mut self,
        now: Now,
        one: Option<MemberKey>,
        broker: BrokerId,
        error: &Error,
    ) {
        for (_, member) in self.members.iter_mut().filter(|(key, _)| one.is_none_or(|one| one == **key)) {
            member.handle_disconnected(now, broker, error);
        }
    }

    pub(super) fn tell_members_hopeless(&mut self, now: Now, error: &Error) {
        for member in self.members.values_mut() {
            member.handle_hopeless(now, error);
        }
    }
}
