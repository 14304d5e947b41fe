//! A request under way: who is asked, for how long, and what is told where no answer came.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use felice::protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, Request};
use felice::raw::CallTarget;
use felice::{Client, Error, ErrorCode, ErrorKind, TopicPartition};
use tokio::sync::watch;

use crate::admin::describe::Node;
use crate::admin::options::{AdminOptions, Settings};
use crate::admin::result::{Kind, Opaque};
use crate::admin::{AdminResult, Items};
use crate::boundary::guard;
use crate::brokers::Brokers;
use crate::handle::Kafka;
use crate::op::Op;
use crate::queue::QueueRef;
use crate::types::RespErr;

/// How long to wait before a coordinator is looked for again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a leader is believed to be one.
const FORGET_LEADER: Duration = Duration::from_secs(60);
/// How many leaders are remembered.
const MAX_LEADERS: usize = 10_000;

/// Why a request failed as a whole, or a part of it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: RespErr,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: RespErr, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// An argument is not as it should be.
    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::new(RespErr::INVALID_ARG, text)
    }
}

/// What a request does, once its arguments are found good.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Items, Failure>> + Send>>;

/// What a handle's requests have in common.
#[derive(Debug)]
pub(crate) struct Requests {
    /// Tells those under way that the handle ends.
    ending: watch::Sender<bool>,
    leaders: Arc<KnownLeaders>,
}

impl Default for Requests {
    fn default() -> Self {
        Self { ending: watch::Sender::new(false), leaders: Arc::default() }
    }
}

impl Requests {
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }
}

/// Leaders that an earlier request has found: as in librdkafka, a partition is asked for where it was last, and looked up again after an error.
#[derive(Debug, Default)]
pub(crate) struct KnownLeaders(Mutex<BTreeMap<TopicPartition, (i32, Instant)>>);

impl KnownLeaders {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, (i32, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leader, unless it was found too long ago.
    pub(crate) fn get(&self, partition: &TopicPartition) -> Option<i32> {
        self.lock().get(partition).filter(|(_, found)| found.elapsed() < FORGET_LEADER).map(|(leader, _)| *leader)
    }

    pub(crate) fn put(&self, partition: &TopicPartition, leader: i32) {
        let mut known = self.lock();
        if known.len() >= MAX_LEADERS {
            known.clear();
        }
        known.insert(partition.clone(), (leader, Instant::now()));
    }

    pub(crate) fn forget(&self, partition: &TopicPartition) {
        self.lock().remove(partition);
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The controller, unless the options name a broker.
    Controller,
    /// A broker.
    Broker(i32),
    /// Any, to learn which brokers there are.
    Brokers,
    /// Any, to learn who coordinates a group; then that one.
    Coordinator,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    kind: &'static Kind,
    client: Client,
    brokers: Arc<Brokers>,
    pub(crate) settings: Settings,
    deadline: Instant,
    pub(crate) leaders: Arc<KnownLeaders>,
    /// Whom it waits for.
    target: Arc<Mutex<Target>>,
}

impl Run {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The time was up: what was waited for.
    pub(crate) fn timed_out(&self) -> Failure {
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let controller = self.brokers.cluster().controller;
        let waiting_for = match target {
            Target::Controller if controller.is_none_or(|id| !self.brokers.is_up(id)) => "waiting for controller",
            Target::Broker(id) if !self.brokers.is_up(id) => "waiting for broker",
            Target::Brokers => "waiting for a valid list of brokers to be available",
            Target::Controller | Target::Broker(_) | Target::Coordinator => "waiting for response from broker",
        };
        let code = RespErr::TIMED_OUT;
        Failure::new(code, format!("Failed while {waiting_for}: {}", code.text()))
    }

    fn failure(&self, error: &Error) -> Failure {
        match error.kind() {
            // A connection that never stood is no answer within the time, whichever of them was told last.
            ErrorKind::Timeout | ErrorKind::Connect => self.timed_out(),
            ErrorKind::Unsupported => {
                Failure::new(RespErr::UNSUPPORTED_FEATURE, format!("{} not supported by broker", self.kind.operation))
            }
            _ => {
                let code = RespErr::of(error);
                Failure::new(code, format!("{} worker request failed: {}", self.kind.operation, code.text()))
            }
        }
    }

    /// Sends a request, and waits for its answer as long as there is time.
    pub(crate) async fn ask<R>(&self, target: Target, request: R) -> Result<R::Response, Failure>
    where
        R: Request + Clone + Send + 'static,
    {
        self.ask_by_version(target, i16::MAX, move |_| request.clone()).await
    }

    /// As [`Self::ask`], in `max_version` or a lower one.
    pub(crate) async fn ask_by_version<R, F>(
        &self,
        target: Target,
        max_version: i16,
        build: F,
    ) -> Result<R::Response, Failure>
    where
        R: Request + Send + 'static,
        F: Fn(i16) -> R + Send + 'static,
    {
        let target = match (target, self.settings.broker) {
            (Target::Controller, Some(broker)) => Target::Broker(broker),
            (target, _) => target,
        };
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
        let to = match target {
            Target::Controller => CallTarget::Controller,
            Target::Broker(id) => CallTarget::Broker(id),
            Target::Brokers | Target::Coordinator => CallTarget::Any,
        };
        let answer = felice::raw::call(&self.client, to, self.left(), max_version, build).await;
        answer.map_err(|error| self.failure(&error))
    }

    /// The broker that coordinates a group; `None` where it is not known yet.
    async fn coordinator(&self, group: &str) -> Result<Option<i32>, Failure> {
        let key = group.to_owned();
        let build = move |version| match version {
            ..4 => FindCoordinatorRequest { key: key.as_str().into(), ..Default::default() },
            4.. => FindCoordinatorRequest { coordinator_keys: vec![key.as_str().into()], ..Default::default() },
        };
        let answer: FindCoordinatorResponse =
            self.ask_by_version::<FindCoordinatorRequest, _>(Target::Coordinator, i16::MAX, build).await?;
        let (code, node) = match answer.coordinators.first() {
            Some(found) => (found.error_code, found.node_id),
            None => (answer.error_code, answer.node_id),
        };
        match code {
            ErrorCode::NONE => Ok(Some(node)),
            code if is_elsewhere(code) => Ok(None),
            code => {
                let code = RespErr(code.0.into());
                let operation = self.kind.operation;
                Err(Failure::new(code, format!("{operation} worker coordinator request failed: {}", code.text())))
            }
        }
    }

    /// Asks the coordinator of a group, wherever it goes, as long as there is time. `code` names the answer's error that decides about that.
    /// With the answer comes who gave it.
    pub(crate) async fn ask_coordinator<R, F>(
        &self,
        group: &str,
        max_version: i16,
        build: F,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<(i32, R::Response), Failure>
    where
        R: Request + Send + 'static,
        F: Fn(i16) -> R + Clone + Send + 'static,
    {
        loop {
            if let Some(node) = self.coordinator(group).await? {
                let target = CallTarget::Broker(node);
                let answer = felice::raw::call::<R, F>(&self.client, target, self.left(), max_version, build.clone());
                let answer = answer.await.map_err(|error| self.failure(&error))?;
                if !is_elsewhere(code(&answer)) {
                    return Ok((node, answer));
                }
            }
            if self.left() <= PAUSE {
                return Err(self.timed_out());
            }
            felice::raw::sleep(PAUSE).await;
        }
    }

    /// Waits a little before something is asked for again; `false` where there is no time for that.
    pub(crate) async fn pause(&self) -> bool {
        let waits = self.left() > PAUSE;
        if waits {
            felice::raw::sleep(PAUSE).await;
        }
        waits
    }

    /// A broker as it is known now.
    pub(crate) fn node(&self, id: i32) -> Node {
        let cluster = self.brokers.cluster();
        let broker = cluster.brokers.get(&id);
        Node::at(id, broker.map(|broker| broker.host.as_str()), broker.map_or(0, |broker| broker.port))
    }

    pub(crate) fn kind(&self) -> &'static Kind {
        self.kind
    }
}

/// Whether a coordinator's answer says: not this broker, or not yet.
fn is_elsewhere(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
    )
}

/// Starts a request: its result comes to the queue, at once where the arguments are no good.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, and `options` from `rd_kafka_AdminOptions_new` or is NULL.
pub(crate) unsafe fn launch(
    rk: *mut Kafka,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
    kind: &'static Kind,
    prepare: impl FnOnce(Run) -> Result<Work, Failure>,
) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        let (Some(kafka), Some(rkqu)) = (unsafe { (rk.as_ref(), rkqu.as_ref()) }) else { return };
        // SAFETY: and for the options.
        let (settings, opaque) = unsafe { AdminOptions::read(options, kafka) };
        let opaque = Opaque(opaque);
        let run = Run {
            kind,
            client: kafka.client.clone(),
            brokers: kafka.brokers.clone(),
            deadline: Instant::now() + settings.timeout(),
            settings,
            leaders: kafka.requests.leaders.clone(),
            target: Arc::new(Mutex::new(Target::Controller)),
        };
        let queue = rkqu.queue.clone();
        let forked = || Failure::new(RespErr::STATE, "The handle belongs to the process that this is a fork of");
        let prepared = if kafka.is_forked() { Err(forked()) } else { prepare(run) };
        let work = match prepared {
            Ok(work) => work,
            Err(failure) => return queue.push(Op::Admin(Box::new(AdminResult::new(kind, opaque, Err(failure))))),
        };
        let mut ending = kafka.requests.ending.subscribe();
        felice::raw::spawn(&kafka.client, async move {
            let outcome = tokio::select! {
                outcome = work => outcome,
                // An error says that nobody is left to tell.
                _ = ending.wait_for(|told| *told) => Err(Failure::new(RespErr::DESTROY, "Handle is terminating: Success")),
            };
            queue.push(Op::Admin(Box::new(AdminResult::new(kind, opaque, outcome))));
        });
    });
}
