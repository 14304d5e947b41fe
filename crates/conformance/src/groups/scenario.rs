//! A group's life: two members join, a third one, one leaves, one is killed, and comes back, while records arrive.
//!
//! | step | what must follow |
//! |---|---|
//! | records, then A and B join | all records read and committed |
//! | C joins | every partition has an owner, all own as many give or take one |
//! | B leaves | A and C share its partitions |
//! | C is killed while it reads | A owns all, or, if C is a static member, waits for it |
//! | C comes back | A and C share; a static C by itself: A hears of no rebalance |
//! | all leave | committed is the end, for every partition: the lag is 0 |
//!
//! After each step records arrive, and are read and committed to the last. What was read, by whom and how often, is judged by the
//! [`Ledger`] at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};

use super::event::Event;
use super::ledger::{Account, Ledger};
use super::member::{Line, Member, Program, Seat};
use crate::Failure;

/// Partitions of the topic.
pub const PARTITIONS: usize = 6;
/// Waves of records in a run.
const WAVES: usize = 6;
/// Within which a group must come to rest: a member's death is noticed after 4 s, and a Java machine may start slowly.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// After which the coordinator is asked what is committed. A commit may be kept whose answer was lost with the coordinator, and of which no
/// member can tell: whoever reads on from it has nothing to commit.
const COMMITS_WITHIN: Duration = Duration::from_secs(5);

/// Where a record went that a producer's broker acknowledged: partition, offset, and `key:value`.
pub type Written = (i32, i64, String);

/// One group of one run.
pub struct Run<'a> {
    /// The broker.
    pub bootstrap: &'a str,
    /// Names the group and its topic of six partitions, which exists and is empty.
    pub name: &'a str,
    /// Whose clients A, B and C are, and what they speak: a classic assignor (Java's: several, with `+` between), or `consumer`,
    /// `consumer:uniform`, `consumer:range`.
    pub members: [(Program, &'a str); 3],
    /// Whether all members are static.
    pub is_static: bool,
    /// Records in all.
    pub records: usize,
    /// Writes records with these numbers to the topic and waits for their acknowledgement.
    pub produce: &'a mut dyn FnMut(std::ops::Range<usize>) -> anyhow::Result<Vec<Written>>,
    /// Called when A and C share the topic and records are being read, once: to kill a broker, say. What is read again afterwards
    /// must not have been committed before.
    pub disturb: Option<&'a dyn Fn() -> anyhow::Result<()>>,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The clients as they named themselves.
    pub clients: Vec<String>,
    /// What the group went through.
    pub account: Account,
    /// Times to come to rest: after a join, a leave, a death, a return.
    pub settled: [Duration; 4],
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { records, again, assignments, revocations } = self.account;
        write!(
            f,
            "{}: {records} records, {again} again after a death, {assignments} assigned, ",
            self.clients.join(" + ")
        )?;
        let [join, leave, death, back] = self.settled.map(|d| d.as_secs_f64());
        write!(
            f,
            "{revocations} revoked; at rest after join {join:.1} s, leave {leave:.1} s, death {death:.1} s, return {back:.1} s"
        )
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.members)
    }
}

impl Run<'_> {
    /// Performs the scenario.
    ///
    /// # Errors
    /// [`Failure::Skip`] when the machine lacks a member's client; otherwise what did not hold.
    pub fn judge(self) -> Result<Verdict, Failure> {
        let (sender, lines) = mpsc::channel();
        let mut stage = Stage {
            ledger: Ledger::new(self.name, PARTITIONS),
            run: self,
            members: BTreeMap::new(),
            clients: Vec::new(),
            offsets: None,
            sender,
            lines,
            wave: 0,
        };
        match stage.play() {
            Ok(settled) => {
                let account = stage.ledger.judge().context(stage.run.name.to_owned())?;
                Ok(Verdict { clients: stage.clients, account, settled })
            }
            Err(Failure::Failed(error)) => {
                let said: Vec<_> = stage.members.iter().map(|(id, m)| format!("member {id}: {}", m.stderr())).collect();
                let (state, last) = (stage.ledger.state(), stage.ledger.last_told());
                let what = format!("{:?}\n{state}\n{last}\n{}", stage.run, said.join("\n"));
                Err(error.context(what).into())
            }
            Err(skip) => Err(skip),
        }
    }
}

/// Committed, and end.
type Offsets = (BTreeMap<String, i64>, BTreeMap<String, i64>);

struct Stage<'a> {
    run: Run<'a>,
    ledger: Ledger,
    members: BTreeMap<usize, Member>,
    clients: Vec<String>,
    /// What a member answered to `offsets`: committed and end.
    offsets: Option<Offsets>,
    sender: Sender<Line>,
    lines: Receiver<Line>,
    wave: usize,
}

/// Members by their numbers; C's return is a member of its own.
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const C_AGAIN: usize = 3;

impl Stage<'_> {
    fn play(&mut self) -> Result<[Duration; 4], Failure> {
        self.write()?;
        self.join(A)?;
        self.join(B)?;
        self.settle(&[A, B])?;
        self.write()?;
        self.drain()?;

        self.join(C)?;
        let joined = self.settle(&[A, B, C])?;
        self.write()?;
        self.drain()?;

        self.command(B, "leave")?;
        let left = self.settle(&[A, C])?;
        self.gone(B)?;
        self.write()?;
        if let Some(disturb) = self.run.disturb.take() {
            disturb()?;
        }
        self.drain()?;

        let (before, read) = (self.ledger.revocations_of(A), self.ledger.reads_of(C));
        self.write()?;
        // A member takes its time between reading and committing: here it is killed.
        self.wait("C reads", |stage| stage.ledger.reads_of(C) > read)?;
        let died = self.kill(C)?;
        // A static member takes its place again at once; in the consumer protocol only after the dead one's session.
        let waits =
            self.run.is_static && !self.run.members.iter().any(|(_, assignor)| assignor.starts_with("consumer"));
        let death = if waits { Duration::ZERO } else { self.settle(&[A])? };
        self.join(C_AGAIN)?;
        let back = self.settle(&[A, C_AGAIN])?;
        if waits && died.elapsed() < Duration::from_secs(3) {
            ensure_quiet(before, self.ledger.revocations_of(A))?;
        }
        self.write()?;
        self.drain()?;

        let ends = self.ledger.ends();
        match self.ask_for_offsets()? {
            (committed, end) if committed == ends && end == ends => {}
            other => return Err(anyhow!("written {ends:?}, but committed and end are {other:?}").into()),
        }
        for id in [A, C_AGAIN] {
            self.command(id, "leave")?;
            self.gone(id)?;
        }
        Ok([joined, left, death, back])
    }

    fn join(&mut self, id: usize) -> Result<(), Failure> {
        let place = if id == C_AGAIN { C } else { id };
        let instance = self.run.is_static.then(|| format!("{}-{place}", self.run.name));
        let (program, assignor) = self.run.members.get(place).context("a member's program")?;
        let seat = Seat {
            bootstrap: self.run.bootstrap,
            group: self.run.name,
            topic: self.run.name,
            assignor,
            instance: instance.as_deref(),
        };
        let member = program.join(id, &seat, self.sender.clone())?;
        self.members.insert(id, member);
        Ok(())
    }

    fn command(&mut self, id: usize, command: &str) -> anyhow::Result<()> {
        self.members.get_mut(&id).context("a member")?.command(command)
    }

    fn kill(&mut self, id: usize) -> anyhow::Result<Instant> {
        let mut member = self.members.remove(&id).context("a member")?;
        let at = member.kill()?;
        self.ledger.killed(id, at);
        Ok(Instant::now())
    }

    /// One wave of records.
    fn write(&mut self) -> anyhow::Result<()> {
        let (from, to) = (self.run.records * self.wave / WAVES, self.run.records * (self.wave + 1) / WAVES);
        for (partition, offset, value) in (self.run.produce)(from..to)? {
            self.ledger.wrote(&format!("{}-{partition}", self.run.name), offset, value)?;
        }
        self.wave += 1;
        Ok(())
    }

    fn settle(&mut self, members: &[usize]) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.wait(&format!("members {members:?} share the partitions"), |stage| {
            stage.ledger.is_balanced_over(members)
        })?;
        Ok(begun.elapsed())
    }

    /// Everything is read and committed. A is asked for what is committed where nobody tells of it.
    fn drain(&mut self) -> anyhow::Result<()> {
        self.wait("every record is read", |stage| stage.ledger.is_read())?;
        let deadline = Instant::now() + SETTLES_WITHIN;
        while !self.hear_until(Instant::now() + COMMITS_WITHIN, |stage| stage.ledger.is_committed())? {
            if Instant::now() > deadline {
                bail!("not within {} s: every record is committed", SETTLES_WITHIN.as_secs());
            }
            self.ask_for_offsets()?;
        }
        Ok(())
    }

    /// What the coordinator says is committed, and the ends.
    fn ask_for_offsets(&mut self) -> anyhow::Result<Offsets> {
        self.offsets = None;
        self.command(A, "offsets")?;
        self.wait("an answer to `offsets`", |stage| stage.offsets.is_some())?;
        self.offsets.take().context("an answer to `offsets`")
    }

    /// A member's program ends by itself.
    fn gone(&mut self, id: usize) -> anyhow::Result<()> {
        self.wait(&format!("member {id} ends"), |stage| !stage.members.contains_key(&id))
    }

    fn wait(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        if !self.hear_until(Instant::now() + SETTLES_WITHIN, holds)? {
            bail!("not within {} s: {what}", SETTLES_WITHIN.as_secs());
        }
        Ok(())
    }

    /// Hears what members tell until something holds; tells whether it does before a time.
    fn hear_until(&mut self, deadline: Instant, holds: impl Fn(&Self) -> bool) -> anyhow::Result<bool> {
        while !holds(self) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.hear(line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => bail!("all members are gone"),
            }
        }
        Ok(true)
    }

    fn hear(&mut self, (id, line): Line) -> anyhow::Result<()> {
        let told = match line {
            Ok(told) => told,
            // One that was killed says no more; what it last said may be cut off.
            Err(_) if !self.members.contains_key(&id) => return Ok(()),
            Err(error) => bail!("member {id}: {error}"),
        };
        match &told.event {
            Event::Client(name) if self.clients.contains(name) => {}
            Event::Client(name) => self.clients.push(name.clone()),
            Event::Offsets { committed, end } => self.offsets = Some((committed.clone(), end.clone())),
            Event::Failed(error) => bail!("member {id} failed: {error}"),
            Event::Left => {
                self.members.remove(&id);
            }
            _ => {}
        }
        self.ledger.told(id, told);
        Ok(())
    }
}

fn ensure_quiet(before: usize, after: usize) -> anyhow::Result<()> {
    ensure!(
        before == after,
        "a static member was back before its session ended, and A was rebalanced {} times",
        after - before
    );
    Ok(())
}
