//! Fetch sessions (KIP-227): what a client polls is remembered, so that it sends changes only and is answered with changes only.
//! Java: `FetchSession.scala`.

use std::collections::BTreeMap;
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::FetchRequest;
use felice_protocol::messages::fetch::request::FetchPartition;
use felice_protocol::messages::fetch::response::PartitionData;
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Instant;

use crate::random::Random;

const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;
/// A session that was not used for this long gives way to a new one where all slots are taken.
const EVICTION: Duration = Duration::from_secs(120);

/// A partition that is polled. It keeps the name and id under which the client asked.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) topic: ByteStr,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: usize,
}

impl Wanted {
    fn new(topic: &ByteStr, topic_id: Uuid, partition: &FetchPartition) -> Self {
        Self {
            // The name is kept for longer than the request's memory should be.
            topic: (**topic).into(),
            topic_id,
            partition: partition.partition,
            fetch_offset: partition.fetch_offset,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
            max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
        }
    }

    fn is(&self, topic: &str, topic_id: Uuid, partition: i32) -> bool {
        self.partition == partition && self.topic_id == topic_id && &*self.topic == topic
    }
}

/// How the answer is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionMode {
    /// All that was asked, nothing remembered.
    Sessionless,
    /// All that was asked, and a session from now on.
    New(i32),
    /// What changed since the last answer.
    Incremental(i32),
}

#[derive(Debug)]
struct FetchSession {
    next_epoch: i32,
    uses_topic_ids: bool,
    partitions: Vec<SessionPartition>,
    last_used: Instant,
}

#[derive(Debug)]
struct SessionPartition {
    wanted: Wanted,
    /// High watermark and log start offset as the client last heard of them.
    told: Option<(i64, i64)>,
}

/// The cache of sessions.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: BTreeMap<i32, FetchSession>,
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, sessions: BTreeMap::new() }
    }

    /// Finds out what a request polls.
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        random: &mut Random,
        version: i16,
        request: &FetchRequest,
    ) -> Result<(SessionMode, Vec<Wanted>), ErrorCode> {
        if version < 7 || request.session_epoch == FINAL_EPOCH || request.session_epoch == INITIAL_EPOCH {
            if request.session_id != 0 {
                self.sessions.remove(&request.session_id);
            }
            let wanted: Vec<Wanted> = asked(request).collect();
            let wants_session = version >= 7 && request.session_epoch == INITIAL_EPOCH && !wanted.is_empty();
            let mode =
                if wants_session { self.create(now, random, version, &wanted) } else { SessionMode::Sessionless };
            return Ok((mode, wanted));
        }
        let session = self.sessions.get_mut(&request.session_id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.next_epoch != request.session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.uses_topic_ids != (version >= 13) {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.next_epoch = if session.next_epoch == i32::MAX { 1 } else { session.next_epoch + 1 };
        session.last_used = now;
        for forgotten in &request.forgotten_topics_data {
            let goes = |wanted: &Wanted| {
                forgotten.partitions.iter().any(|index| wanted.is(&forgotten.topic, forgotten.topic_id, *index))
            };
            session.partitions.retain(|partition| !goes(&partition.wanted));
        }
        for new in asked(request) {
            let known =
                session.partitions.iter_mut().find(|known| known.wanted.is(&new.topic, new.topic_id, new.partition));
            match known {
                Some(known) => known.wanted = new,
                None => session.partitions.push(SessionPartition { wanted: new, told: None }),
            }
        }
        let wanted = session.partitions.iter().map(|partition| partition.wanted.clone()).collect();
        Ok((SessionMode::Incremental(request.session_id), wanted))
    }

    fn create(&mut self, now: Instant, random: &mut Random, version: i16, wanted: &[Wanted]) -> SessionMode {
        if self.sessions.len() >= self.slots {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
            match oldest.map(|(id, session)| (*id, session.last_used)) {
                Some((id, last_used)) if now.since(last_used) > EVICTION => self.sessions.remove(&id),
                _ => return SessionMode::Sessionless,
            };
        }
        let id = loop {
            let id = random.positive_i32();
            if !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let remember = |wanted: &Wanted| SessionPartition { wanted: wanted.clone(), told: None };
        let session = FetchSession {
            next_epoch: 1,
            uses_topic_ids: version >= 13,
            partitions: wanted.iter().map(remember).collect(),
            last_used: now,
        };
        self.sessions.insert(id, session);
        SessionMode::New(id)
    }

    /// Notes what the client is told, and drops from an incremental answer what it knows. Partitions that gave data go to the end of the
    /// line, so that a full answer does not starve those behind.
    pub(crate) fn note(&mut self, mode: SessionMode, answers: &mut Vec<(Wanted, PartitionData)>) -> i32 {
        let (id, incremental) = match mode {
            SessionMode::Sessionless => return 0,
            SessionMode::New(id) => (id, false),
            SessionMode::Incremental(id) => (id, true),
        };
        // Only a client that uses one session over two connections has changed it meanwhile.
        let Some(session) = self.sessions.get_mut(&id) else { return id };
        let (mut served, mut unserved) = (Vec::new(), Vec::new());
        let mut known = std::mem::take(&mut session.partitions).into_iter();
        answers.retain(|(wanted, answer)| {
            let Some(mut partition) = known.next() else { return true };
            if !partition.wanted.is(&wanted.topic, wanted.topic_id, wanted.partition) {
                unserved.push(partition);
                return true;
            }
            let has_data = answer.records.as_ref().is_some_and(|records| !records.is_empty());
            let tells = Some((answer.high_watermark, answer.log_start_offset));
            // An error is told again and again until it is gone.
            let has_error = !answer.error_code.is_ok();
            let has_news = has_data || has_error || partition.told != tells || answer.diverging_epoch.epoch >= 0;
            partition.told = tells.filter(|_| !has_error);
            if has_data { &mut served } else { &mut unserved }.push(partition);
            has_news || !incremental
        });
        unserved.extend(known);
        unserved.append(&mut served);
        session.partitions = unserved;
        id
    }
}

fn asked(request: &FetchRequest) -> impl Iterator<Item = Wanted> {
    request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| Wanted::new(&topic.topic, topic.topic_id, partition)))
}
