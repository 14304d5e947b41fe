//! An application in a consumer group: it takes partitions, looks up where to go on, processes record by record, commits as it was told to,
//! and gives partitions up when it is asked. This file: what it is told and what it answers; `work`: what it does with its partitions.

mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Waker;
use std::time::Duration;

use felice_client_core::client::{ClientCore, ReaderKey};
use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::fetcher::{FetchEvent, FetchId, Fetcher, Position};
use felice_client_core::consumer::group::{GroupEvent as Told, MemberKey, ProposalId, RequestId, Subscription};
use felice_protocol::compression::Decompressor;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::time::{Instant, Now};

use super::{Effect, Tag, core, properties};
use crate::broker_host::TOPIC;
use crate::group_history::{End, GroupEvent, Owner, group_name, more_topic, partition_number};
use crate::group_plan::{GroupsPlan, MemberPlan};
use crate::history::{Event, RecordId};
use crate::plan::Plan;
use crate::rng::Rng;

/// A commit or look-up is given up after this.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long closing may take.
pub(crate) const CLOSING_TIME: Duration = Duration::from_secs(5);

/// A partition that the application owns.
struct Owned {
    partition: TopicPartition,
    fetch: FetchId,
    /// Records that were read and not processed.
    queue: VecDeque<(i64, RecordId)>,
    /// Behind the last record that was processed.
    next: i64,
    /// What was last asked to be committed, and what was last said to be.
    asked: i64,
    committed: i64,
}

/// A proposal that the application works on.
enum Proposal {
    /// It looks up where to go on.
    Assign { id: ProposalId, partitions: Vec<TopicPartition>, request: Option<RequestId> },
    /// It commits what it did.
    Revoke { id: ProposalId, numbers: Vec<i32>, request: Option<RequestId>, since: Instant },
}

/// How far the application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Running,
    /// It gave up its subscription, and will take it again.
    Pausing,
    Closing,
    Closed,
}

enum Input {
    Group(Told),
    Fetch(FetchEvent),
}

impl Input {
    fn is_proposal(&self) -> bool {
        matches!(self, Self::Group(Told::Assign { .. } | Told::Revoke { .. }))
    }
}

pub(crate) struct MemberApp {
    plan: MemberPlan,
    owner: Owner,
    member: MemberKey,
    reader: ReaderKey,
    rebalance_time: Duration,
    inbox: VecDeque<Input>,
    owned: BTreeMap<i32, Owned>,
    by_fetch: BTreeMap<FetchId, i32>,
    proposal: Option<Proposal>,
    decompressor: Decompressor,
    stage: Stage,
    stalled_until: Option<Instant>,
    /// When it was last asked to give something up.
    last_revoke: Option<Instant>,
    /// Working on a record until then.
    busy_until: Instant,
    /// When the application goes on.
    next_step: Option<Instant>,
    next_commit: Option<Instant>,
    /// What is asked to be committed.
    commits: BTreeMap<RequestId, BTreeMap<i32, i64>>,
    since_commit: u64,
    turn: i32,
    rng: Rng,
}

fn number(partition: &TopicPartition) -> i32 {
    partition_number(&partition.topic, partition.partition).unwrap_or(-1)
}

impl MemberApp {
    pub(crate) fn new(
        world: &Plan,
        groups: &GroupsPlan,
        plan: &MemberPlan,
        owner: Owner,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<(ClientCore<Tag>, Self), String> {
        let mut settings = vec![
            ("group.id", group_name(plan.group)),
            ("group.protocol", plan.protocol.to_owned()),
            ("max.poll.interval.ms", groups.max_poll.as_millis().to_string()),
            ("enable.auto.commit", "false".to_owned()),
            ("fetch.max.wait.ms", "500".to_owned()),
            ("session.timeout.ms", groups.session.as_millis().to_string()),
        ];
        if plan.protocol == "classic" {
            settings.extend([
                ("partition.assignment.strategy", plan.assignors.to_owned()),
                ("heartbeat.interval.ms", groups.heartbeat.as_millis().to_string()),
            ]);
        } else {
            settings.extend(plan.remote_assignor.map(|assignor| ("group.remote.assignor", assignor.to_owned())));
        }
        if plan.is_static {
            settings.push(("group.instance.id", format!("instance-{}", owner.member)));
        }
        let properties = properties(world, &settings)?;
        let mut core = core(&properties, rng)?;
        let mut config = properties.consumer_config().map_err(|error| error.to_string())?;
        crate::bugs::plant_in_member(&mut config, bug);
        let mut fetch = properties.fetch_config().map_err(|error| error.to_string())?;
        crate::bugs::plant_in_reader(&mut fetch, bug);
        let reader = core.add_reader(Fetcher::new(fetch, Budget::new(64 * 1024, Waker::noop().clone())));
        let member = core.add_member(config, Vec::new()).map_err(|error| error.to_string())?;
        let app = Self {
            plan: plan.clone(),
            owner,
            member,
            reader,
            rebalance_time: groups.max_poll,
            inbox: VecDeque::new(),
            owned: BTreeMap::new(),
            by_fetch: BTreeMap::new(),
            proposal: None,
            decompressor: Decompressor::default(),
            stage: Stage::Running,
            stalled_until: None,
            last_revoke: None,
            busy_until: Instant(0),
            next_step: None,
            next_commit: None,
            commits: BTreeMap::new(),
            since_commit: 0,
            turn: 0,
            rng: rng.fork(),
        };
        Ok((core, app))
    }

    fn subscription(&self) -> Subscription {
        let topics: BTreeSet<String> =
            std::iter::once(TOPIC.to_owned()).chain((1..=self.plan.more_topics).map(more_topic)).collect();
        if self.plan.by_pattern {
            Subscription::Pattern(topics.into_iter().collect::<Vec<_>>().join("|"))
        } else {
            Subscription::Topics(topics.into_iter().map(Into::into).collect())
        }
    }

    pub(crate) fn start(&mut self, now: Now, core: &mut ClientCore<Tag>) {
        let subscription = self.subscription();
        if let Some(member) = core.member(self.member) {
            // the pattern is one of our own making
            let _ = member.subscribe(now, subscription);
        }
    }

    pub(crate) fn state(&self, core: &mut ClientCore<Tag>) -> String {
        core.member(self.member).map(|member| format!("{:?} is {}", self.stage, member.state())).unwrap_or_default()
    }

    // ----- What the world asks.

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether everything it was told is done.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.inbox.is_empty() && self.proposal.is_none()
    }

    /// Whether it has been told that this partition is lost, and does not know it yet.
    pub(crate) fn was_told_lost(&self, partition: i32) -> bool {
        self.inbox.iter().any(|input| match input {
            Input::Group(Told::Lost { partitions, .. }) => partitions.iter().any(|lost| number(lost) == partition),
            Input::Group(_) | Input::Fetch(_) => false,
        })
    }

    /// When it was last asked to give something up, whether the coordinator has heard of its answer or not.
    pub(crate) fn last_revoke(&self) -> Option<Instant> {
        self.last_revoke
    }

    /// Since when it has been asked for partitions of which `which` holds, without an answer.
    pub(crate) fn asked_to_revoke(&self, which: impl Fn(i32) -> bool) -> Option<Instant> {
        let worked_on = match &self.proposal {
            Some(Proposal::Revoke { numbers, since, .. }) if numbers.iter().any(|number| which(*number)) => {
                Some(*since)
            }
            Some(_) | None => None,
        };
        let queued = self.inbox.iter().find_map(|input| match input {
            Input::Group(Told::Revoke { partitions, deadline, .. })
                if partitions.iter().any(|asked| which(number(asked))) =>
            {
                Some(Instant(deadline.0.saturating_sub(u64::try_from(self.rebalance_time.as_nanos()).unwrap_or(0))))
            }
            Input::Group(_) | Input::Fetch(_) => None,
        });
        worked_on.or(queued)
    }

    // ----- What the world does.

    pub(crate) fn stall(&mut self, until: Instant) {
        self.stalled_until = Some(until);
    }

    pub(crate) fn end_stall(&mut self) {
        self.stalled_until = None;
        self.next_step = None;
    }

    /// Closes the consumer, or gives up the subscription for a while.
    pub(crate) fn leave(&mut self, now: Now, core: &mut ClientCore<Tag>, for_good: bool) {
        if self.stage == Stage::Closed || (self.stage == Stage::Closing && for_good) {
            return;
        }
        self.stage = if for_good { Stage::Closing } else { Stage::Pausing };
        if let Some(member) = core.member(self.member) {
            if for_good {
                member.leave(now, CLOSING_TIME);
            } else {
                member.unsubscribe(now);
            }
        }
    }

    /// Takes the subscription again.
    pub(crate) fn subscribe_again(&mut self, now: Now, core: &mut ClientCore<Tag>) {
        if self.stage == Stage::Pausing {
            self.stage = Stage::Running;
            self.start(now, core);
        }
    }

    /// The process dies: nothing is owned any more.
    pub(crate) fn die(&mut self) -> Option<Event> {
        let partitions: Vec<i32> = std::mem::take(&mut self.owned).into_keys().collect();
        self.stage = Stage::Closed;
        (!partitions.is_empty()).then(|| self.gave_up(partitions, End::Died))
    }

    // ----- What it is told.

    pub(crate) fn told(&mut self, now: Now, event: Told, effects: &mut Vec<Effect>) {
        let owner = self.owner;
        if let Told::Revoke { .. } = &event {
            self.last_revoke = Some(now.instant());
        }
        let proposal = match &event {
            Told::Assign { partitions, .. } => Some(("assign", partitions)),
            Told::Revoke { partitions, .. } => Some(("revoke", partitions)),
            Told::Lost { partitions, .. } => Some(("lost", partitions)),
            _ => None,
        };
        effects.extend(proposal.map(|(what, partitions)| {
            let partitions: Vec<i32> = partitions.iter().map(number).collect();
            Effect::Tell(Event::Note(format!("{owner} is told: {what} {partitions:?}")))
        }));
        self.inbox.push_back(Input::Group(event));
        self.wake(now, effects);
    }

    pub(crate) fn fetched(&mut self, now: Now, event: FetchEvent, effects: &mut Vec<Effect>) {
        self.inbox.push_back(Input::Fetch(event));
        self.wake(now, effects);
    }

    /// Goes on as soon as its thread is free.
    fn wake(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let soon = now.instant() + Duration::from_nanos(self.rng.between(1000, 200_000));
        let at = soon.max(self.busy_until).max(self.stalled_until.unwrap_or(soon));
        if self.next_step.is_none_or(|next| at < next) {
            self.next_step = Some(at);
            effects.push(Effect::ContinueAt(at));
        }
    }

    /// One step: something it was told, or a record.
    pub(crate) fn go_on(&mut self, now: Now, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Closed {
            return;
        }
        if let Some(until) = self.stalled_until.filter(|until| *until > now.instant()) {
            self.next_step = Some(until);
            effects.push(Effect::ContinueAt(until));
            return;
        }
        self.commit_when_due(now, core, effects);
        if self.next_step.is_some_and(|next| next > now.instant()) {
            return;
        }
        self.next_step = None;
        match self.next_input() {
            Some(Input::Group(event)) => self.take_in(now, core, event, effects),
            Some(Input::Fetch(event)) => self.read(core, event, effects),
            None => self.work(now, effects),
        }
        let has_work = self.owned.values().any(|owned| !owned.queue.is_empty());
        if let Some(member) = core.member(self.member) {
            member.handle_progress(now);
            member.pending(now, has_work);
        }
        let told = self.inbox.iter().any(|input| self.proposal.is_none() || !input.is_proposal());
        if told || self.ready().is_some() {
            self.wake(now, effects);
        }
    }

    /// The next thing that it was told. One proposal is worked on at a time; what was lost is heard of at once, and not taken any more.
    fn next_input(&mut self) -> Option<Input> {
        let busy = self.proposal.is_some();
        let index = self.inbox.iter().position(|input| !(busy && input.is_proposal()))?;
        let input = self.inbox.remove(index)?;
        if let Input::Group(Told::Lost { partitions: lost, .. }) = &input {
            for earlier in self.inbox.iter_mut().take(index) {
                if let Input::Group(Told::Assign { partitions, .. }) = earlier {
                    partitions.retain(|partition| !lost.contains(partition));
                }
            }
        }
        Some(input)
    }

    fn take_in(&mut self, now: Now, core: &mut ClientCore<Tag>, event: Told, effects: &mut Vec<Effect>) {
        match event {
            Told::Assign { id, partitions, .. } => {
                self.linger(now);
                let request = core
                    .member(self.member)
                    .filter(|_| !partitions.is_empty())
                    .map(|member| member.committed(now, partitions.clone(), true, REQUEST_TIME));
                self.proposal = Some(Proposal::Assign { id, partitions, request });
                if request.is_none() {
                    self.take(now, core, &BTreeMap::new(), effects);
                }
            }
            Told::Revoke { id, partitions, .. } => {
                self.linger(now);
                let numbers: Vec<i32> = partitions.iter().map(number).collect();
                let request = if self.plan.is_careful { self.commit(now, core, &numbers, true) } else { None };
                self.proposal = Some(Proposal::Revoke { id, numbers, request, since: now.instant() });
                if request.is_none() {
                    self.let_go(now, core, effects);
                }
            }
            Told::Lost { id, partitions, .. } => {
                let lost: Vec<i32> =
                    partitions.iter().map(number).filter(|number| self.owned.contains_key(number)).collect();
                self.drop_partitions(core, &lost);
                if let Some(Proposal::Assign { partitions: taking, .. }) = &mut self.proposal {
                    taking.retain(|partition| !partitions.contains(partition));
                }
                if !lost.is_empty() {
                    effects.push(Effect::Tell(self.gave_up(lost, End::Lost)));
                }
                self.accept(now, core, id);
            }
            Told::Offsets { request, result } => {
                let Some(Proposal::Assign { request: asked, partitions, .. }) = &mut self.proposal else {
                    return;
                };
                if *asked != Some(request) {
                    return;
                }
                let found: Result<BTreeMap<i32, Option<i64>>, String> = match result {
                    Ok(offsets) => offsets
                        .into_iter()
                        .map(|(partition, offset)| match offset {
                            Ok(offset) => Ok((number(&partition), offset.map(|offset| offset.offset))),
                            Err(code) => Err(format!("{partition}: {code}")),
                        })
                        .collect(),
                    Err(error) => Err(error.to_string()),
                };
                match found {
                    Ok(found) => self.take(now, core, &found, effects),
                    Err(what) => {
                        effects.push(Effect::Tell(Event::Note(format!("{}: no offsets: {what}", self.owner))));
                        self.busy_until = now.instant() + Duration::from_millis(100);
                        let partitions = partitions.clone();
                        *asked = core
                            .member(self.member)
                            .map(|member| member.committed(now, partitions, true, REQUEST_TIME));
                    }
                }
            }
            Told::Committed { request, result } => {
                let asked: BTreeMap<i32, i64> = self.commits.remove(&request).unwrap_or_default();
                for (partition, code) in result.as_ref().into_iter().flatten() {
                    let number = number(partition);
                    if let (Ok(_), Some(offset), Some(owned)) =
                        (code.ok(), asked.get(&number), self.owned.get_mut(&number))
                    {
                        owned.committed = owned.committed.max(*offset);
                    }
                }
                if let Err(error) = &result {
                    effects.push(Effect::Tell(Event::Note(format!("{}: commit failed: {error}", self.owner))));
                }
                if let Some(Proposal::Revoke { request: asked, .. }) = &self.proposal
                    && *asked == Some(request)
                {
                    self.let_go(now, core, effects);
                }
            }
            Told::Left => {
                if self.stage == Stage::Closing {
                    self.stage = Stage::Closed;
                    let rest: Vec<i32> = self.owned.keys().copied().collect();
                    self.drop_partitions(core, &rest);
                    if !rest.is_empty() {
                        effects.push(Effect::Tell(self.gave_up(rest, End::Closed)));
                    }
                    effects.push(Effect::Exit);
                }
            }
            Told::Failed(error) => {
                // After a crash the group keeps a static member's place until its session ends; and a broker that starts in the middle of
                // a rebalance knows a static member by the id that it had before. Whoever starts the process tries again.
                let again = [ErrorCode::UNRELEASED_INSTANCE_ID, ErrorCode::FENCED_INSTANCE_ID];
                if error.code().is_some_and(|code| again.contains(&code)) {
                    effects.push(Effect::Tell(Event::Note(format!("{} failed: {error}", self.owner))));
                    effects.push(Effect::Exit);
                } else {
                    effects.push(Effect::Wrong(format!("{} failed: {error}", self.owner)));
                }
            }
            other => effects.push(Effect::Tell(Event::Note(format!("{}: {other:?}", self.owner)))),
        }
    }

    /// The application's listener takes its time.
    fn linger(&mut self, now: Now) {
        let micros = self.rng.below(self.plan.answer_millis * 1000 + 1);
        self.busy_until = now.instant() + Duration::from_micros(micros);
    }

    fn accept(&mut self, now: Now, core: &mut ClientCore<Tag>, id: ProposalId) {
        if let Some(member) = core.member(self.member) {
            member.accept(now, id);
        }
    }

    /// Takes the partitions of the proposal that it works on, each from its committed offset or the start.
    fn take(
        &mut self,
        now: Now,
        core: &mut ClientCore<Tag>,
        offsets: &BTreeMap<i32, Option<i64>>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Proposal::Assign { id, partitions, .. }) = self.proposal.take() else { return };
        let mut from = BTreeMap::new();
        for partition in partitions {
            let number = number(&partition);
            if self.was_told_lost(number) {
                continue;
            }
            let offset = offsets.get(&number).copied().flatten().unwrap_or(0);
            let Some((fetcher, metadata)) = core.reader(self.reader) else { continue };
            let position = Position::Offset(offset);
            let fetch = fetcher.add_partition(&partition.topic, partition.partition, position, None, &metadata);
            self.by_fetch.insert(fetch, number);
            let owned =
                Owned { partition, fetch, queue: VecDeque::new(), next: offset, asked: offset, committed: offset };
            self.owned.insert(number, owned);
            from.insert(number, offset);
        }
        if !from.is_empty() {
            let (group, owner) = (self.plan.group, self.owner);
            effects.push(Effect::Tell(Event::Group(GroupEvent::Took { group, owner, from, ghost: false })));
        }
        self.accept(now, core, id);
    }

    /// Gives up the partitions of the proposal that it works on.
    fn let_go(&mut self, now: Now, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        let Some(Proposal::Revoke { id, numbers, .. }) = self.proposal.take() else { return };
        let numbers: Vec<i32> = numbers.into_iter().filter(|number| self.owned.contains_key(number)).collect();
        self.drop_partitions(core, &numbers);
        if !numbers.is_empty() {
            effects.push(Effect::Tell(self.gave_up(numbers, End::Revoked)));
        }
        self.accept(now, core, id);
    }

    fn gave_up(&self, partitions: Vec<i32>, end: End) -> Event {
        Event::Group(GroupEvent::GaveUp { group: self.plan.group, owner: self.owner, partitions, end })
    }

    fn drop_partitions(&mut self, core: &mut ClientCore<Tag>, numbers: &[i32]) {
        for number in numbers {
            let Some(owned) = self.owned.remove(number) else { continue };
            self.by_fetch.remove(&owned.fetch);
            if let Some((fetcher, _)) = core.reader(self.reader) {
                fetcher.remove_partition(owned.fetch);
            }
        }
    }
}
