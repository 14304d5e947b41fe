//! The judge of a group: what was written, what its members told, and whether the two agree.
//!
//! - A partition has one owner at a time; but one that is told too late that it was thought dead may have it a little longer, and commits
//!   nothing in that time.
//! - A new owner begins exactly at the committed offset. Only where the last owner was killed, or was thought dead, may it begin between
//!   the last commit that was heard of and the last record that was told.
//! - An owner reads on without a gap, and reads what was written.
//! - Committed offsets only grow, and never pass what was read.
//!
//! A commit whose answer was lost may be kept; what the coordinator itself says is committed counts as heard of.
//!
//! From these follows: every record at least once, and again only what had not been committed before a death.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};

use super::event::{Event, Told};

/// All that is known of one group and its topic.
#[derive(Debug, Default)]
pub struct Ledger {
    /// `key:value` by partition and offset.
    written: BTreeMap<String, Vec<String>>,
    /// By time within a member; over all of them in the order of arrival.
    told: Vec<(usize, Told)>,
    /// When a member was killed.
    killed: BTreeMap<usize, i64>,
    /// What each member owns at present, as far as it was heard.
    owned: BTreeMap<usize, BTreeSet<String>>,
    /// Next offset to read, by partition, over all members.
    read: BTreeMap<String, i64>,
    /// Last commit heard of.
    committed: BTreeMap<String, i64>,
}

/// What a group went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records written.
    pub records: usize,
    /// Records read once more, after a death.
    pub again: usize,
    /// How often a partition came to an owner.
    pub assignments: usize,
    /// How often one was given back.
    pub revocations: usize,
}

impl Ledger {
    /// A topic of so many partitions without records.
    pub fn new(topic: &str, partitions: usize) -> Self {
        let written = (0..partitions).map(|p| (format!("{topic}-{p}"), Vec::new())).collect();
        Self { written, ..Self::default() }
    }

    /// Notes a record that the broker acknowledged.
    ///
    /// # Errors
    /// When its offset is not the partition's next.
    pub fn wrote(&mut self, partition: &str, offset: i64, value: String) -> anyhow::Result<()> {
        let Some(values) = self.written.get_mut(partition) else { bail!("{partition} is not of the topic") };
        ensure!(
            i64::try_from(values.len())? == offset,
            "{partition}: acknowledged offset {offset} after {}",
            values.len()
        );
        values.push(value);
        Ok(())
    }

    /// Notes what a member told.
    pub fn told(&mut self, member: usize, told: Told) {
        // What a member told before it was killed may arrive later.
        let mut of_the_dead = BTreeSet::new();
        let owned = match self.killed.contains_key(&member) {
            false => self.owned.entry(member).or_default(),
            true => &mut of_the_dead,
        };
        match &told.event {
            Event::Assigned(partitions) => owned.extend(partitions.iter().cloned()),
            Event::Revoked(partitions) | Event::Lost(partitions) => owned.retain(|p| !partitions.contains(p)),
            Event::Left => owned.clear(),
            Event::Records { partition, offset, values } => {
                let next = offset + i64::try_from(values.len()).unwrap_or(0);
                let read = self.read.entry(partition.clone()).or_default();
                *read = next.max(*read);
            }
            Event::Committed(offsets) | Event::Offsets { committed: offsets, .. } => {
                for (partition, offset) in offsets {
                    let committed = self.committed.entry(partition.clone()).or_default();
                    *committed = (*offset).max(*committed);
                }
            }
            Event::Client(_) | Event::Failed(_) => {}
        }
        self.told.push((member, told));
    }

    /// Notes that a member was killed.
    pub fn killed(&mut self, member: usize, at: i64) {
        self.killed.insert(member, at);
        self.owned.remove(&member);
    }

    /// Whether every partition is owned by one of these members, and all of them own as many, give or take one.
    pub fn is_balanced_over(&self, members: &[usize]) -> bool {
        let counts: Vec<_> = members.iter().map(|m| self.owned.get(m).map_or(0, BTreeSet::len)).collect();
        let all: BTreeSet<_> = members.iter().filter_map(|m| self.owned.get(m)).flatten().collect();
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        counts.iter().sum::<usize>() == self.written.len() && all.len() == self.written.len() && most - least <= 1
    }

    /// Whether every record was read.
    pub fn is_read(&self) -> bool {
        self.has_reached_the_ends(&self.read)
    }

    /// Whether every record's offset was committed, as a member or the coordinator told.
    pub fn is_committed(&self) -> bool {
        self.has_reached_the_ends(&self.committed)
    }

    fn has_reached_the_ends(&self, known: &BTreeMap<String, i64>) -> bool {
        self.ends().iter().all(|(p, end)| known.get(p).copied().unwrap_or(0) >= *end)
    }

    /// Where the partitions end.
    pub fn ends(&self) -> BTreeMap<String, i64> {
        self.written.iter().map(|(p, values)| (p.clone(), i64::try_from(values.len()).unwrap_or(i64::MAX))).collect()
    }

    /// How many times a member gave partitions back or lost them.
    pub fn revocations_of(&self, member: usize) -> usize {
        let gone = |told: &Told| matches!(&told.event, Event::Revoked(_) | Event::Lost(_));
        self.told.iter().filter(|(m, told)| *m == member && gone(told)).count()
    }

    /// How many times a member told of records.
    pub fn reads_of(&self, member: usize) -> usize {
        self.told.iter().filter(|(m, told)| *m == member && matches!(told.event, Event::Records { .. })).count()
    }

    /// What is known, for a message about a wait that was in vain.
    pub fn state(&self) -> String {
        format!(
            "owned {:?}\nread {:?}\ncommitted {:?}\nwritten {:?}",
            self.owned,
            self.read,
            self.committed,
            self.ends()
        )
    }

    /// The verdict, once all members are gone.
    ///
    /// # Errors
    /// The first rule that was broken, with the member and the place.
    pub fn judge(mut self) -> anyhow::Result<Account> {
        let mut audit = Audit { written: std::mem::take(&mut self.written), ..Audit::default() };
        audit.doomed = self.doomed();
        let mut steps: Vec<_> = self.told.iter().map(|(member, told)| (told.at, *member, Some(&told.event))).collect();
        steps.extend(self.killed.iter().map(|(member, at)| (*at, *member, None)));
        // Stable: what one member told within a microsecond stays in its order.
        steps.sort_by_key(|(at, ..)| *at);
        for (at, member, event) in steps {
            let result = match event {
                Some(event) => audit.heard(at, member, event),
                None => {
                    audit.died(member);
                    Ok(())
                }
            };
            if let Err(error) = result {
                bail!("at {at} µs, member {member}: {error:#}\n{}", self.around(at));
            }
        }
        audit.close()
    }

    /// Which assignments end with a loss: the member, the partition, and when it was assigned.
    fn doomed(&self) -> BTreeSet<(usize, String, i64)> {
        let (mut since, mut doomed) = (BTreeMap::new(), BTreeSet::new());
        for (member, told) in &self.told {
            match &told.event {
                Event::Assigned(partitions) => since.extend(partitions.iter().map(|p| ((*member, p.clone()), told.at))),
                Event::Lost(partitions) => {
                    for partition in partitions {
                        if let Some(at) = since.remove(&(*member, partition.clone())) {
                            doomed.insert((*member, partition.clone(), at));
                        }
                    }
                }
                Event::Revoked(partitions) => partitions.iter().for_each(|p| {
                    since.remove(&(*member, p.clone()));
                }),
                _ => {}
            }
        }
        doomed
    }

    /// The last that was told.
    pub fn last_told(&self) -> String {
        self.around(i64::MAX / 2)
    }

    /// What all members told before a time and shortly after it, records shortened.
    fn around(&self, at: i64) -> String {
        let mut all: Vec<_> = self.told.iter().collect();
        all.sort_by_key(|(_, told)| told.at);
        let before = all.iter().take_while(|(_, told)| told.at <= at).count();
        let lines = all.iter().skip(before.saturating_sub(40)).take(50).map(|(member, told)| match &told.event {
            Event::Records { partition, offset, values } => {
                format!("{} {member}: {} records of {partition} from {offset}", told.at, values.len())
            }
            event => format!("{} {member}: {event:?}", told.at),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// One partition on the way through the events.
#[derive(Debug, Default)]
struct Partition {
    owner: Option<usize>,
    /// Whether the owner will be told that it lost it, and may be told late.
    doomed: bool,
    /// Who was told late, and has not heard yet.
    late: BTreeSet<usize>,
    /// Whether the last owner went without having been able to commit.
    torn: bool,
    /// The owner's next offset; `None` until its first record.
    position: Option<i64>,
    /// Next offset over all owners.
    read: i64,
    committed: i64,
}

#[derive(Debug, Default)]
struct Audit {
    written: BTreeMap<String, Vec<String>>,
    partitions: BTreeMap<String, Partition>,
    doomed: BTreeSet<(usize, String, i64)>,
    account: Account,
}

impl Audit {
    fn heard(&mut self, at: i64, member: usize, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Assigned(partitions) => partitions.iter().try_for_each(|p| self.assigned(at, member, p)),
            Event::Revoked(partitions) => {
                self.account.revocations += partitions.len();
                partitions.iter().try_for_each(|p| self.released(member, p, false))
            }
            Event::Lost(partitions) => partitions.iter().try_for_each(|p| self.released(member, p, true)),
            Event::Left => {
                for partition in self.partitions.values_mut().filter(|p| p.owner == Some(member)) {
                    partition.owner = None;
                }
                Ok(())
            }
            Event::Records { partition, offset, values } => self.records(member, partition, *offset, values),
            Event::Committed(offsets) => offsets.iter().try_for_each(|(p, offset)| self.committed(member, p, *offset)),
            Event::Failed(error) => bail!("its program failed: {error}"),
            Event::Offsets { committed, .. } => committed.iter().try_for_each(|(p, offset)| self.found(p, *offset)),
            Event::Client(_) => Ok(()),
        }
    }

    fn assigned(&mut self, at: i64, member: usize, name: &str) -> anyhow::Result<()> {
        ensure!(self.written.contains_key(name), "{name} is assigned and not of the topic");
        let partition = self.partitions.entry(name.to_owned()).or_default();
        if let Some(owner) = partition.owner {
            ensure!(partition.doomed, "{name} is assigned to it while member {owner} has it");
            partition.torn = true;
            partition.late.insert(owner);
        }
        partition.owner = Some(member);
        partition.doomed = self.doomed.contains(&(member, name.to_owned(), at));
        partition.late.remove(&member);
        partition.position = None;
        self.account.assignments += 1;
        Ok(())
    }

    fn released(&mut self, member: usize, name: &str, lost: bool) -> anyhow::Result<()> {
        let partition = self.partitions.entry(name.to_owned()).or_default();
        if lost && partition.late.remove(&member) {
            return Ok(());
        }
        ensure!(partition.owner == Some(member), "it gives {name} back, which is {:?}'s", partition.owner);
        partition.owner = None;
        partition.torn |= lost;
        Ok(())
    }

    fn died(&mut self, member: usize) {
        for partition in self.partitions.values_mut().filter(|p| p.owner == Some(member)) {
            partition.owner = None;
            partition.torn = true;
        }
    }

    fn records(&mut self, member: usize, name: &str, offset: i64, values: &[String]) -> anyhow::Result<()> {
        let partition = self.partitions.entry(name.to_owned()).or_default();
        if partition.late.contains(&member) {
            return Ok(());
        }
        ensure!(partition.owner == Some(member), "it reads {name}, which is {:?}'s", partition.owner);
        let (committed, read) = (partition.committed, partition.read);
        match partition.position {
            Some(position) => ensure!(offset == position, "{name}: {offset} follows on {position}"),
            None if partition.torn => {
                ensure!(
                    (committed..=read).contains(&offset),
                    "{name}: begins at {offset}, not in {committed}..={read}"
                );
                partition.torn = false;
            }
            None => ensure!(offset == committed, "{name}: begins at {offset}, committed was {committed}"),
        }
        let next = offset + i64::try_from(values.len())?;
        let written = self.written.get(name).map_or(&[][..], Vec::as_slice);
        for (at, value) in (usize::try_from(offset)?..).zip(values) {
            ensure!(written.get(at) == Some(value), "{name}@{at}: {value}, written was {:?}", written.get(at));
        }
        self.account.again += usize::try_from(read.min(next) - offset.min(read))?;
        partition.position = Some(next);
        partition.read = read.max(next);
        Ok(())
    }

    fn committed(&mut self, member: usize, name: &str, offset: i64) -> anyhow::Result<()> {
        let partition = self.partitions.entry(name.to_owned()).or_default();
        ensure!(partition.owner == Some(member), "it commits {name}, which is {:?}'s", partition.owner);
        ensure!(offset >= partition.committed, "{name}: committed {offset} after {}", partition.committed);
        ensure!(offset <= partition.read, "{name}: committed {offset}, read up to {}", partition.read);
        partition.committed = offset;
        Ok(())
    }

    /// The coordinator's own word. It may know more than any member told: of a commit whose answer was lost.
    fn found(&mut self, name: &str, offset: i64) -> anyhow::Result<()> {
        let partition = self.partitions.entry(name.to_owned()).or_default();
        ensure!(offset <= partition.read, "{name}: {offset} is committed, read up to {}", partition.read);
        // What it said may be older than what another member has told since.
        partition.committed = partition.committed.max(offset);
        Ok(())
    }

    fn close(mut self) -> anyhow::Result<Account> {
        for (name, values) in &self.written {
            let partition = self.partitions.entry(name.clone()).or_default();
            let end = i64::try_from(values.len())?;
            ensure!(partition.read == end, "{name}: read up to {} of {end}", partition.read);
            ensure!(partition.committed == end, "{name}: committed {} of {end}", partition.committed);
            self.account.records += values.len();
        }
        Ok(self.account)
    }
}

#[cfg(test)]
mod tests;
