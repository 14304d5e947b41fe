//! `felice group lag`: how far a group is behind, once or again and again, and as an exit code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use felice::{Group, PartitionLag, TopicPartition};
use serde_json::{Value, json};

use super::group_failure;
use crate::args::GroupLagArgs;
use crate::connect::client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Column, List, column, hidden, on_terminal, thousands};

/// How long the oldest records that are not committed may take to come.
const WAIT_FOR_RECORDS: Duration = Duration::from_secs(5);

type Ages = BTreeMap<TopicPartition, Duration>;

pub(super) async fn run(args: GroupLagArgs) -> Result<(), Failure> {
    let group = client(&args.connection).await?.admin().group(args.group.as_str());
    let mut before: Option<Sample> = None;
    loop {
        let sample = Sample::take(&group, &args.topics).await?;
        let rates = before.as_ref().map(|before| sample.rates(before));
        if !args.quiet {
            if args.watch.is_some() && on_terminal() {
                // Home and clear: the table stands still.
                output::line("\u{1b}[H\u{1b}[2J")?;
            }
            table(&sample.rows, &sample.behind, rates.as_ref()).show(args.format.format)?;
            if on_terminal() {
                let total: i64 = sample.rows.iter().filter_map(|row| row.lag).sum();
                let behind = sample.behind.values().max().map_or_else(|| "-".to_owned(), |age| span(*age));
                anstream::eprintln!("total  {}  behind {behind}", thousands(total));
            }
        }
        let Some(every) = args.watch else { return check(&args, &sample) };
        before = Some(sample);
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn check(args: &GroupLagArgs, sample: &Sample) -> Result<(), Failure> {
    let too_far = |row: &&PartitionLag| args.fail_over.is_some_and(|most| row.lag.is_some_and(|lag| lag > most));
    if let Some(row) = sample.rows.iter().find(too_far) {
        let lag = thousands(row.lag.unwrap_or_default());
        return Err(Failure::new(Exit::CheckFailed, "lag", format!("{} is {lag} records behind", row.partition)));
    }
    let too_old = |(_, age): &(&TopicPartition, &Duration)| args.fail_behind.is_some_and(|most| **age > most);
    if let Some((partition, age)) = sample.behind.iter().find(too_old) {
        return Err(Failure::new(Exit::CheckFailed, "lag", format!("{partition} is {} behind", span(*age))));
    }
    Ok(())
}

struct Sample {
    at: Instant,
    rows: Vec<PartitionLag>,
    behind: Ages,
}

/// What goes into and out of a partition, in records a second.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    written: f64,
    committed: f64,
}

impl Sample {
    async fn take(group: &Group, topics: &[String]) -> Result<Self, Failure> {
        let failed = |e: felice::Error| group_failure(group.id(), &e);
        let mut rows = group.lag().await.map_err(failed)?;
        rows.retain(|row| topics.is_empty() || topics.iter().any(|topic| row.partition.topic.as_str() == topic));
        let behind = group.behind(&rows, WAIT_FOR_RECORDS).await.map_err(failed)?;
        Ok(Self { at: Instant::now(), rows, behind })
    }

    fn rates(&self, before: &Self) -> BTreeMap<TopicPartition, Rate> {
        let seconds = (self.at - before.at).as_secs_f64().max(0.001);
        let rate = |now: Option<i64>, then: Option<i64>| {
            let moved = now.zip(then).map_or(0, |(now, then)| (now - then).max(0));
            f64::from(i32::try_from(moved).unwrap_or(i32::MAX)) / seconds
        };
        let rows = self.rows.iter().filter_map(|row| {
            let then = before.rows.iter().find(|then| then.partition == row.partition)?;
            let written = rate(row.end_offset, then.end_offset);
            Some((row.partition.clone(), Rate { written, committed: rate(row.committed, then.committed) }))
        });
        rows.collect()
    }
}

pub(super) fn table(rows: &[PartitionLag], behind: &Ages, rates: Option<&BTreeMap<TopicPartition, Rate>>) -> List {
    const WATCHED: &[Column] = &[
        column("topic", "TOPIC"),
        column("partition", "PART"),
        column("committed", "COMMITTED"),
        column("end_offset", "END"),
        column("lag", "LAG"),
        hidden("behind_ms"),
        column("behind", "BEHIND"),
        column("member", "MEMBER"),
        column("in_per_s", "IN/s"),
        column("out_per_s", "OUT/s"),
        column("drained_in", "DRAINED IN"),
    ];
    /// Without the pace, which takes two looks.
    const PLAIN: &[Column] = WATCHED.split_at(8).0;
    let rows = rows.iter().map(|row| {
        let age = behind.get(&row.partition);
        let mut cells = vec![
            json!(row.partition.topic.as_str()),
            json!(row.partition.partition),
            json!(row.committed),
            json!(row.end_offset),
            json!(row.lag),
            json!(age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))),
            json!(age.map(|age| span(*age))),
            json!(row.member.as_deref()),
        ];
        if let Some(rates) = rates {
            let rate = rates.get(&row.partition);
            cells.extend([
                rate.map_or(Value::Null, |rate| json!(rate.written.round())),
                rate.map_or(Value::Null, |rate| json!(rate.committed.round())),
                rate.map_or(Value::Null, |rate| json!(drained_in(row.lag.unwrap_or(0), *rate))),
            ]);
        }
        cells
    });
    List { columns: if rates.is_some() { WATCHED } else { PLAIN }, rows: rows.collect() }
}

/// When nothing will be left at this pace.
fn drained_in(lag: i64, rate: Rate) -> String {
    let pace = rate.committed - rate.written;
    match u32::try_from(lag) {
        Ok(0) => "done".to_owned(),
        Ok(lag) if pace > 0.0 => span(Duration::from_secs_f64((f64::from(lag) / pace).min(1e9))),
        Ok(_) | Err(_) => "never".to_owned(),
    }
}

/// `0.4 s`, `7 m 2 s`, `3 h 5 m`, `2 d 1 h`.
fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3_600 => format!("{} m {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} m", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_says_when_nothing_is_left() {
        let rate = |written, committed| Rate { written, committed };
        assert_eq!(drained_in(0, rate(5.0, 0.0)), "done");
        assert_eq!(drained_in(1_220, rate(10.0, 20.0)), "2 m 2 s");
        assert_eq!(drained_in(10, rate(20.0, 10.0)), "never");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(span(Duration::from_millis(430)), "0.4 s");
        assert_eq!(span(Duration::from_secs(422)), "7 m 2 s");
        assert_eq!(span(Duration::from_secs(7_260)), "2 h 1 m");
        assert_eq!(span(Duration::from_secs(90_000)), "1 d 1 h");
    }
}
