//! Consumer groups in the world: their members' lives, who owns what, and when a group must have come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::time::Instant;

use super::{Job, Phase, World};
use crate::client_host::{ClientHost, MemberApp, Stage};
use crate::group_files;
use crate::group_history::{End, Excuse, GroupEvent, GroupPartition, Owner};
use crate::group_plan::{GroupsPlan, MemberFault};
use crate::group_tap::{GroupTap, Heard};
use crate::history::Event;
use crate::network::{Link, Side};

/// What the world knows of its groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    members: Vec<Slot>,
    tap: GroupTap,
    /// Who believes to own each partition.
    owners: BTreeMap<GroupPartition, BTreeSet<Owner>>,
    /// When the broker last heard of a client that it is a member, and took it for one.
    heard: BTreeMap<usize, Instant>,
    /// Clients whose process stands still, with what comes for them meanwhile.
    frozen: BTreeMap<usize, Vec<Job>>,
    /// Clients whose process is no more.
    dead: BTreeSet<usize>,
    /// Faults of members, partitions taken, and records processed so far.
    pub(super) faults: u64,
    pub(super) taken: u64,
    pub(super) processed: u64,
    /// From when on nothing disturbs the groups any more.
    calm_since: Option<Instant>,
    settled: bool,
}

/// A member's place in the world: its processes come and go.
#[derive(Debug, Default)]
struct Slot {
    client: Option<usize>,
    lives: u32,
}

impl World {
    pub(super) fn groups_plan(&self) -> Option<GroupsPlan> {
        self.plan.groups.clone()
    }

    pub(super) fn start_groups(&mut self) {
        let Some(plan) = self.groups_plan() else { return };
        self.groups.members = plan.members.iter().map(|_| Slot::default()).collect();
        for member in 0..plan.members.len() {
            let after = self.random_millis(4000);
            self.after(after, Job::MemberStarts(member));
        }
        if !plan.faults.is_empty() {
            self.after(plan.fault_gap, Job::NextMemberFault);
        }
    }

    // ----- Lives.

    /// What comes for a client whose process is no more is lost; for one that stands still it waits. Gives back what is for the living.
    pub(super) fn for_the_living(&mut self, job: Job) -> Option<Job> {
        let client = match &job {
            Job::Arrive(under_way) if under_way.to == Side::Client => self.network.client(under_way.link),
            Job::Connected(client, ..)
            | Job::Connecting(client, _)
            | Job::Refused(client, _)
            | Job::ClientTimer(client, _)
            | Job::ClientGoesOn(client)
            | Job::MemberSubscribes(client) => Some(*client),
            _ => None,
        };
        let Some(client) = client else { return Some(job) };
        if self.groups.dead.contains(&client) {
            return None;
        }
        match self.groups.frozen.get_mut(&client) {
            Some(backlog) => {
                backlog.push(job);
                None
            }
            None => Some(job),
        }
    }

    pub(super) fn member_starts(&mut self, member: usize) {
        let Some(plan) = self.groups_plan() else { return };
        let slot = &mut self.groups.members[member];
        if slot.client.is_some() || self.phase > Phase::Quiet {
            return;
        }
        let owner = Owner { member, life: slot.lives };
        slot.lives += 1;
        let host =
            ClientHost::member(&self.plan, &plan, &plan.members[member], owner, &mut self.rng, self.settings.bug);
        match host {
            Ok(host) => {
                let client = self.clients.len();
                self.groups.members[member].client = Some(client);
                self.clients.push(host);
                self.tell(&Event::Note(format!("{owner} starts as client {client}")));
                self.clients[client].start(self.clock.now());
                self.settle_client(client);
            }
            Err(what) => self.wrong("the world begins", what),
        }
    }

    /// Who lives where, and under which name.
    fn member_clients(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.groups.members.iter().enumerate().filter_map(|(member, slot)| Some((member, slot.client?)))
    }

    /// A member's process ends, in order or not.
    pub(super) fn member_ends(&mut self, client: usize, crash: bool) {
        let Some((member, _)) = self.member_clients().find(|(_, of)| *of == client) else { return };
        self.groups.members[member].client = None;
        self.groups.dead.insert(client);
        self.groups.frozen.remove(&client);
        let host = &mut self.clients[client];
        let event = host.member_app().and_then(MemberApp::die);
        let links = host.kill();
        if let Some(event) = event {
            self.tell(&event);
        }
        let now = self.clock.instant();
        for link in links {
            if crash && self.rng.chance(300) {
                self.network.black_hole(link);
            } else {
                let told = self.network.close(now, link, Side::Client);
                self.under_way(told);
            }
        }
        if self.phase < Phase::Resting {
            let after = self.random_millis(if self.phase == Phase::Active { 10_000 } else { 1000 });
            self.after(after, Job::MemberStarts(member));
        }
    }

    pub(super) fn next_member_fault(&mut self) {
        let Some(plan) = self.groups_plan().filter(|_| self.phase == Phase::Active) else { return };
        let moves = |(_, client): &(usize, usize)| !self.groups.frozen.contains_key(client);
        let living: Vec<(usize, usize)> = self.member_clients().filter(moves).collect();
        if !living.is_empty() {
            let (member, client) = living[self.rng.index(living.len())];
            let fault = plan.faults[self.rng.index(plan.faults.len())];
            self.member_fault(&plan, fault, member, client);
        }
        let gap = u64::try_from(plan.fault_gap.as_millis()).unwrap_or(0);
        let after = self.random_millis(gap * 2);
        self.after(after, Job::NextMemberFault);
    }

    fn member_fault(&mut self, plan: &GroupsPlan, fault: MemberFault, member: usize, client: usize) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(0);
        self.groups.faults += 1;
        match fault {
            MemberFault::Leave | MemberFault::Resubscribe => {
                let for_good = fault == MemberFault::Leave;
                self.tell(&Event::Fault(format!("{fault:?} m{member}")));
                self.clients[client].leave(self.clock.now(), for_good);
                self.settle_client(client);
                if !for_good {
                    let after = self.random_millis(3000);
                    self.after(after, Job::MemberSubscribes(client));
                }
            }
            MemberFault::Crash => {
                self.tell(&Event::Fault(format!("Crash m{member}")));
                self.member_ends(client, true);
            }
            MemberFault::Freeze => {
                let pause = self.random_millis(millis(plan.session) * 2);
                self.tell(&Event::Fault(format!("Freeze m{member} for {pause:?}")));
                self.groups.frozen.entry(client).or_default();
                self.after(pause, Job::MemberThaws(client));
            }
            MemberFault::Stall => {
                let pause = self.random_millis(millis(plan.max_poll) * 2);
                self.tell(&Event::Fault(format!("Stall m{member} for {pause:?}")));
                let until = self.clock.instant() + pause;
                if let Some(app) = self.clients[client].member_app() {
                    app.stall(until);
                }
            }
        }
    }

    pub(super) fn member_thaws(&mut self, client: usize) {
        let Some(backlog) = self.groups.frozen.remove(&client) else { return };
        self.tell(&Event::Fault(format!("client {client} thaws")));
        for job in backlog {
            self.after(Duration::ZERO, job);
        }
        // the clock went on without it; which of its threads runs first, nobody knows: the application's may commit before the client's has
        // looked at the clock
        if self.rng.chance(500) {
            self.clients[client].handle_timeout(self.clock.now());
        }
        self.settle_client(client);
    }

    pub(super) fn member_subscribes(&mut self, client: usize) {
        if self.groups.dead.contains(&client) {
            return;
        }
        self.clients[client].subscribe_again(self.clock.now());
        self.settle_client(client);
    }

    // ----- What goes over the wire.

    pub(super) fn tap_request(&mut self, link: Link, frame: &bytes::Bytes) {
        if self.plan.groups.is_some() {
            let late = !self.network.is_open(link, Side::Client);
            for mut event in self.groups.tap.handle_request(self.clock.instant(), link, frame, late) {
                // where members have an epoch each, an older one says nothing
                if let GroupEvent::Late { group, stale, .. } = &mut event {
                    *stale &= !self.has_consumer_members(*group);
                }
                self.tell(&Event::Group(event));
            }
        }
    }

    pub(super) fn tap_response(&mut self, link: Link, frame: &bytes::Bytes) {
        if self.plan.groups.is_none() {
            return;
        }
        let Heard { events, member_since } = self.groups.tap.handle_response(self.clock.instant(), link, frame);
        if let Some((since, client)) = member_since.zip(self.network.client(link)) {
            self.groups.heard.insert(client, since);
        }
        for event in events {
            // with members of KIP-848 in it, a group has an epoch for each member instead of a generation
            if !matches!(&event, GroupEvent::Assigned { group, .. } if self.has_consumer_members(*group)) {
                self.tell(&Event::Group(event));
            }
        }
    }

    fn has_consumer_members(&self, group: usize) -> bool {
        let members = self.plan.groups.iter().flat_map(|plan| &plan.members);
        members.filter(|member| member.group == group).any(|member| member.protocol == "consumer")
    }

    pub(super) fn tap_forgets(&mut self) {
        self.groups.tap.forget();
    }

    pub(super) fn topic_is(
        &mut self,
        id: felice_protocol::primitives::Uuid,
        name: felice_protocol::primitives::ByteStr,
    ) {
        self.groups.tap.topics.insert(id, name);
    }

    /// What the files have of commits, once the broker is up.
    pub(super) fn find_commits(&mut self) {
        if self.plan.groups.is_none() {
            return;
        }
        match group_files::commits(&self.broker.disk, &self.broker.data_dir) {
            Ok(offsets) => self.tell(&Event::Group(GroupEvent::Found { offsets })),
            Err(what) => self.wrong("files are whole", what),
        }
    }

    // ----- Who owns what.

    /// Before somebody takes partitions: whoever owns them and may have been given up is excused, the new one included.
    pub(super) fn before_group_event(&mut self, event: &mut GroupEvent) {
        let GroupEvent::Took { group, owner, from, ghost } = event else { return };
        *ghost = self.silence(*owner).is_some();
        if *ghost {
            return;
        }
        let mut excused = BTreeSet::new();
        for partition in from.keys() {
            let others = self.groups.owners.get(&(*group, *partition)).cloned().unwrap_or_default();
            for other in others.into_iter().filter(|other| other != owner) {
                excused.extend(self.excuse(other, *partition).map(|excuse| (other, excuse)));
            }
        }
        let group = *group;
        for (owner, excuse) in excused {
            self.tell(&Event::Group(GroupEvent::Excused { group, owner, excuse }));
        }
    }

    fn excuse(&mut self, owner: Owner, partition: i32) -> Option<Excuse> {
        let client = self.groups.members.get(owner.member)?.client?;
        // The coordinator's clock runs since it asked: where answers get lost, the member may hear of it with no time left.
        let max_poll = self.plan.groups.as_ref()?.max_poll;
        let patience = if self.plan.faults.is_empty() { max_poll / 2 } else { Duration::ZERO };
        let now = self.clock.instant();
        let app = self.clients[client].member_app()?;
        if app.was_told_lost(partition) {
            return Some(Excuse::Told);
        }
        let asked = |since: Instant, patience| now.since(since) >= patience;
        if app.asked_to_revoke(|asked| asked == partition).is_some_and(|since| asked(since, patience))
            // who gives one back too late loses all
            || app.asked_to_revoke(|_| true).is_some_and(|since| asked(since, max_poll / 2))
        {
            return Some(Excuse::Slow);
        }
        self.silence(owner)
    }

    /// Whether the broker may have given a member up because it heard nothing of it.
    fn silence(&mut self, owner: Owner) -> Option<Excuse> {
        let client = self.groups.members.get(owner.member)?.client?;
        let plan = self.plan.groups.as_ref()?;
        let (session, max_poll, heartbeat) = (plan.session, plan.max_poll, plan.heartbeat);
        let plan_protocol = plan.members.get(owner.member)?.protocol;
        let now = self.clock.instant();
        let silent = now.since(*self.groups.heard.get(&client)?);
        // The coordinator may wait for it to give something up, whose answer never left its machine.
        let revoking = self.clients[client].member_app().and_then(|app| app.last_revoke());
        let overdue =
            revoking.is_some_and(|since| now.since(since) + heartbeat >= max_poll && now.since(since) < session);
        // With KIP-848 it may also have begun to wait a heartbeat or two before the last, and the member not to have come to that yet.
        let is_consumer = plan_protocol == "consumer";
        let known = if is_consumer { max_poll.saturating_sub(heartbeat * 2) } else { max_poll };
        let patience = if overdue { heartbeat * 2 } else { session.min(known) };
        (silent >= patience).then_some(Excuse::Silent)
    }

    pub(super) fn after_group_event(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Took { group, owner, from, .. } => {
                for partition in from.keys() {
                    self.groups.owners.entry((*group, *partition)).or_default().insert(*owner);
                }
                self.groups.taken += from.len() as u64;
                self.not_when_quiet(event);
            }
            GroupEvent::GaveUp { group, owner, partitions, end } => {
                for partition in partitions {
                    if let Some(owners) = self.groups.owners.get_mut(&(*group, *partition)) {
                        owners.remove(owner);
                    }
                }
                if *end != End::Closed && *end != End::Revoked || self.phase != Phase::Closing {
                    self.not_when_quiet(event);
                }
            }
            GroupEvent::Processed { group, record, .. } => {
                self.groups.processed += 1;
                let reader = self.plan.readers.len() + group;
                self.unread_markers.remove(&(reader, *record));
            }
            GroupEvent::Excused { .. }
            | GroupEvent::Assigned { .. }
            | GroupEvent::Committed { .. }
            | GroupEvent::Late { .. }
            | GroupEvent::Found { .. } => {}
        }
    }

    fn not_when_quiet(&mut self, event: &GroupEvent) {
        if matches!(self.phase, Phase::Resting | Phase::Quiet) {
            self.wrong("a group at rest stays at rest", event.to_string());
        }
    }

    // ----- Rest.

    /// The faults are over: who was frozen thaws, who was dead comes back or stays away.
    pub(super) fn calm_groups(&mut self) {
        let Some(plan) = self.groups_plan() else { return };
        for (_, client) in self.member_clients().collect::<Vec<_>>() {
            self.member_thaws(client);
            if let Some(app) = self.clients[client].member_app() {
                app.end_stall();
            }
            self.member_subscribes(client);
            self.after(Duration::ZERO, Job::ClientGoesOn(client));
        }
        for member in 0..self.groups.members.len() {
            let group = plan.members[member].group;
            let alone = self.member_clients().all(|(other, _)| plan.members[other].group != group);
            if self.groups.members[member].client.is_none() && (alone || self.rng.chance(500)) {
                self.member_starts(member);
            }
        }
        self.groups_must_settle();
    }

    /// From now on, or from the broker's start on, every group has two session timeouts to settle, or three (`GroupsPlan::time_to_settle`).
    pub(super) fn groups_must_settle(&mut self) {
        if self.phase == Phase::Recovering
            && self.broker.is_up()
            && self.groups.calm_since.is_none()
            && let Some(plan) = &self.plan.groups
        {
            let limit = plan.time_to_settle();
            self.groups.calm_since = Some(self.clock.instant());
            self.after(limit, Job::GroupsDeadline);
        }
    }

    pub(super) fn groups_deadline(&mut self) {
        match self.unsettled() {
            None => self.groups.settled = true,
            Some(what) => self.wrong("every group settles within two session timeouts", what),
        }
    }

    /// What is not as it should be in the end: every partition that somebody wants has one owner, who lives.
    fn unsettled(&mut self) -> Option<String> {
        let plan = self.groups_plan()?;
        let living: Vec<(usize, usize)> = self.member_clients().collect();
        let mut wanted = BTreeSet::new();
        for (member, client) in &living {
            let of = &plan.members[*member];
            let app = self.clients[*client].member_app()?;
            if app.stage() != Stage::Running {
                continue;
            }
            wanted.extend((0..self.plan.partitions).map(|partition| (of.group, partition)));
            for (topic, partitions) in (1..=of.more_topics).zip(&plan.more_topics) {
                wanted.extend((0..*partitions).map(|partition| (of.group, topic * 1000 + partition)));
            }
        }
        for key in &wanted {
            let owners = self.groups.owners.get(key).map(BTreeSet::len).unwrap_or(0);
            if owners != 1 {
                let who = self.groups.owners.get(key).cloned().unwrap_or_default();
                let who: Vec<String> = who.iter().map(ToString::to_string).collect();
                return Some(format!(
                    "partition {} of g{} has {owners} owners: {}; {}",
                    key.1,
                    key.0,
                    who.join(", "),
                    self.states(&living)
                ));
            }
        }
        let at_rest =
            living.iter().all(|(_, client)| self.clients[*client].member_app().is_none_or(|app| app.is_at_rest()));
        (!at_rest).then(|| format!("a proposal is not answered; {}", self.states(&living)))
    }

    fn states(&mut self, living: &[(usize, usize)]) -> String {
        let states: Vec<String> = living
            .iter()
            .map(|(member, client)| format!("m{member} {}", self.clients[*client].member_state()))
            .collect();
        states.join(", ")
    }

    pub(super) fn groups_have_settled(&self) -> bool {
        self.plan.groups.is_none() || self.groups.settled
    }

    /// Everybody closes; afterwards everything that was processed is committed.
    pub(super) fn close_groups(&mut self) {
        for (_, client) in self.member_clients().collect::<Vec<_>>() {
            self.clients[client].leave(self.clock.now(), true);
            self.settle_client(client);
        }
        self.after(crate::client_host::CLOSING_TIME + Duration::from_secs(1), Job::Deadline("closing"));
    }

    pub(super) fn members_left(&self) -> usize {
        self.member_clients().count()
    }
}
