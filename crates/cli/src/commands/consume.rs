//! `felice consume`: reads a topic's partitions, by itself or as a member of a group.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use felice::{BorrowedRecord, Client, Consumer, OffsetSpec, Reader, Seek, StartAt, TopicPartition};

use crate::args::ConsumeArgs;
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure, local_io};
use crate::format::{Layout, Shown};
use crate::offset::{Start, now};
use crate::output::on_terminal;

/// How long a member may take to commit and to leave.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// How often `-e` looks whether a member has come to the end.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// With `-g -e`: how long to go on while the group gives no partition. Longer than a rebalance usually takes.
const UNASSIGNED_MAX: Duration = Duration::from_secs(15);

pub(crate) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let from = Start::parse(&args.offset, &now())?;
    let layout = match &args.format {
        Some(format) => Layout::parse(format)?,
        None if on_terminal() => Layout::Human,
        None => Layout::Value,
    };
    let printer =
        Printer { layout, out: Vec::with_capacity(64 * 1024), left: args.count.unwrap_or(u64::MAX), told: false };
    match &args.group {
        Some(group) => as_member(&args, group, from, printer).await,
        None => alone(&args, from, printer).await,
    }
}

async fn alone(args: &ConsumeArgs, from: Start, mut printer: Printer) -> Result<(), Failure> {
    let client = client(&args.connection).await?;
    let mut builder = client.reader().topic(&args.topic).from(Seek::from(from));
    if !args.partitions.is_empty() {
        builder = builder.partitions(args.partitions.iter().copied());
    }
    if args.exit {
        builder = builder.until(Seek::End);
    }
    let reader = builder.open().await.map_err(|e| failure(&e))?;
    tokio::select! {
        ended = read(reader, &mut printer) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted")),
    }
}

async fn read(mut reader: Reader, printer: &mut Printer) -> Result<(), Failure> {
    while printer.left > 0
        && let Some(mut batch) = reader.next_batch().await.map_err(|e| failure(&e))?
    {
        while printer.left > 0
            && let Some(record) = batch.next()
        {
            printer.print(&record.map_err(|e| failure(&e))?)?;
        }
        printer.flush()?;
    }
    Ok(())
}

/// Reads on from what the group has committed, and commits what was printed.
async fn as_member(args: &ConsumeArgs, group: &str, from: Start, mut printer: Printer) -> Result<(), Failure> {
    let start = match from {
        Start::Start => StartAt::Earliest,
        Start::End => StartAt::Latest,
        Start::Offset(_) | Start::BeforeEnd(_) | Start::Time(_) => {
            return Err(Failure::usage(
                "-o with -g says where a group starts that has committed nothing: start or end",
            )
            .fix(format!("felice group seek {group} --topic {} --to {}", args.topic, args.offset)));
        }
    };
    if !args.partitions.is_empty() {
        return Err(Failure::usage("-p and -g exclude each other: the group says which partitions its members read"));
    }
    let client = client(&args.connection).await?;
    let until = if args.exit { Some(ends(&client, &args.topic).await?) } else { None };
    let mut consumer =
        client.consumer(group).topics([&args.topic]).start_at(start).build().await.map_err(|e| failure(&e))?;
    let read = tokio::select! {
        read = read_as_member(&mut consumer, &mut printer, until) => read,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted")),
    };
    // However reading ended, what was printed is committed and the group told.
    let report = consumer.close_within(CLOSE_WITHIN).await.map_err(|e| failure(&e))?;
    for (partition, offset) in &report.uncommitted {
        anstream::eprintln!("note: {partition} is not committed up to {offset}; those records will come again");
    }
    read
}

async fn read_as_member(
    consumer: &mut Consumer,
    printer: &mut Printer,
    until: Option<BTreeMap<TopicPartition, i64>>,
) -> Result<(), Failure> {
    let handle = consumer.handle();
    let at_the_end = |until: &BTreeMap<TopicPartition, i64>| {
        let mine = handle.assignment();
        let reached = |p: &TopicPartition| handle.position(p) >= until.get(p).copied();
        !mine.is_empty() && mine.iter().all(reached)
    };
    let mut given = Instant::now();
    while printer.left > 0 {
        let next = tokio::select! {
            next = consumer.next_batch() => next,
            () = tokio::time::sleep(LOOK_EVERY), if until.is_some() => {
                if until.as_ref().is_some_and(at_the_end) {
                    break;
                }
                if !handle.assignment().is_empty() {
                    given = Instant::now();
                } else if given.elapsed() > UNASSIGNED_MAX {
                    anstream::eprintln!(
                        "note: the group gave this member no partition for {} s: others may have them all (felice group members shows who)",
                        UNASSIGNED_MAX.as_secs()
                    );
                    break;
                }
                continue;
            }
        };
        let Some(mut batch) = next.map_err(|e| failure(&e))? else { break };
        let mut printed = batch.first_offset();
        while printer.left > 0
            && let Some(record) = batch.next()
        {
            let record = record.map_err(|e| failure(&e))?;
            printer.print(&record)?;
            printed = record.offset() + 1;
        }
        printer.flush()?;
        if printer.left > 0 {
            batch.done();
        } else {
            batch.done_before(printed);
        }
    }
    Ok(())
}

/// Where a topic's partitions end now.
async fn ends(client: &Client, topic: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let admin = client.admin();
    let topic = admin.topic(topic).await.map_err(|e| failure(&e))?;
    let asked =
        topic.partitions.iter().map(|p| (TopicPartition::new(topic.name.clone(), p.partition), OffsetSpec::Latest));
    let listed = admin.list_offsets(asked).await.and_then(felice::PerItem::all).map_err(|e| failure(&e))?;
    Ok(listed.into_iter().map(|(p, listed)| (p, listed.offset.unwrap_or(0))).collect())
}

/// Standard output, record by record.
struct Printer {
    layout: Layout,
    out: Vec<u8>,
    /// So many records more.
    left: u64,
    /// Whether it was said that something is lost in this layout.
    told: bool,
}

impl Printer {
    fn print(&mut self, record: &BorrowedRecord<'_>) -> Result<(), Failure> {
        let headers: Vec<_> = record.headers().collect();
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
        let shown = Shown {
            topic: record.topic(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key(),
            value: record.value(),
            headers: &headers,
        };
        self.layout.write(&mut self.out, &shown);
        if !self.layout.is_lossless(&shown) && !self.told {
            self.told = true;
            anstream::eprintln!("note: a value is null, is not UTF-8 or holds a line's end; -f json is lossless");
        }
        self.left -= 1;
        if self.out.len() >= 60 * 1024 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        written.map_err(|e| local_io("cannot write to standard output", &e))
    }
}
