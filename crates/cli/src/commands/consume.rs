//! `felice consume`: reads a topic's partitions, without a group.

use std::io::Write as _;

use felice::{BorrowedRecord, Reader, Seek};

use crate::args::ConsumeArgs;
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure, local_io};
use crate::format::{Layout, Shown};
use crate::offset::{Start, now};
use crate::output::on_terminal;

pub(crate) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    if args.group.is_some() {
        return Err(Failure::usage("-g: this version reads partitions without a group")
            .fix("leave -g out; every partition is read from -o"));
    }
    let from = Seek::from(Start::parse(&args.offset, &now())?);
    let layout = match &args.format {
        Some(format) => Layout::parse(format)?,
        None if on_terminal() => Layout::Human,
        None => Layout::Value,
    };
    let client = client(&args.connection).await?;
    let mut builder = client.reader().topic(&args.topic).from(from);
    if !args.partitions.is_empty() {
        builder = builder.partitions(args.partitions.iter().copied());
    }
    if args.exit {
        builder = builder.until(Seek::End);
    }
    let reader = builder.open().await.map_err(|e| failure(&e))?;
    tokio::select! {
        ended = read(reader, layout, args.count) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted")),
    }
}

async fn read(mut reader: Reader, layout: Layout, count: Option<u64>) -> Result<(), Failure> {
    let mut out = Vec::with_capacity(64 * 1024);
    let mut left = count.unwrap_or(u64::MAX);
    let mut told = false;
    while left > 0
        && let Some(mut batch) = reader.next_batch().await.map_err(|e| failure(&e))?
    {
        while left > 0
            && let Some(record) = batch.next()
        {
            let record = record.map_err(|e| failure(&e))?;
            let lossless = write(&mut out, &layout, &record);
            if !lossless && !told {
                told = true;
                anstream::eprintln!("note: a value is null, is not UTF-8 or holds a line's end; -f json is lossless");
            }
            left -= 1;
            if out.len() >= 60 * 1024 {
                flush(&mut out)?;
            }
        }
        flush(&mut out)?;
    }
    flush(&mut out)
}

fn write(out: &mut Vec<u8>, layout: &Layout, record: &BorrowedRecord<'_>) -> bool {
    let headers: Vec<_> = record.headers().collect();
    let headers: Vec<(&[u8], Option<&[u8]>)> = headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
    let shown = Shown {
        topic: record.topic(),
        partition: record.partition(),
        offset: record.offset(),
        timestamp: record.timestamp(),
        key: record.key(),
        value: record.value(),
        headers: &headers,
    };
    layout.write(out, &shown);
    layout.is_lossless(&shown)
}

fn flush(out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(out).and_then(|()| stdout.flush());
    out.clear();
    written.map_err(|e| local_io("cannot write to standard output", &e))
}
