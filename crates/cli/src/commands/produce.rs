//! `felice produce`: a line is a record.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use felice::{BatchReport, Error, NewRecord, Producer};

use crate::args::{ProduceArgs, unescape};
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure};
use crate::lines::{self, Line, Rules};
use crate::output::thousands;
use crate::progress::Progress;

/// What the broker has said so far.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    failed: u64,
    partitions: BTreeSet<i32>,
    first_error: Option<Error>,
}

pub(crate) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let client = client(&args.connection).await?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let producer = producer(&client, &args, tally.clone()).await?;
    let limit = client.properties().value("max.request.size").and_then(|v| v.parse().ok()).unwrap_or(1_048_576);
    let mut lines = lines::read(args.file.as_deref(), Rules { limit, binary: args.binary })?;
    let template = Template::new(&args);
    let begun = Instant::now();
    let (mut sent, mut bytes) = (0_u64, 0_u64);
    let mut progress = Progress::new("producing", None);
    let ended = loop {
        let block = tokio::select! {
            block = lines.recv() => block,
            _ = tokio::signal::ctrl_c() => break Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted")),
        };
        let block = match block {
            None => break Ok(()),
            Some(Err(failure)) => break Err(failure),
            Some(Ok(block)) => block,
        };
        let mut refused = None;
        for line in &block {
            if let Err(error) = producer.post(template.record(line)).await {
                refused = Some(failure(error.error()).evidence(format!("line {}", line.number)));
                break;
            }
            sent += 1;
            bytes += line.bytes.len() as u64;
        }
        progress.set(sent);
        if let Some(refused) = refused {
            break Err(refused);
        }
    };
    // What was read is sent whatever came after it; errors of single records are in the tally.
    let _ = producer.flush().await;
    progress.finish();
    let _ = producer.close(Duration::from_secs(10)).await;
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    if !args.quiet {
        let elapsed = begun.elapsed().as_millis();
        anstream::eprintln!(
            "{} of {} acknowledged  {} partitions  {} B  {elapsed} ms",
            thousands(tally.acknowledged.cast_signed()),
            thousands(sent.cast_signed()),
            tally.partitions.len(),
            thousands(bytes.cast_signed()),
        );
    }
    ended?;
    match &tally.first_error {
        Some(error) => Err(failure(error).evidence(format!("{} records were not acknowledged", tally.failed))),
        None => Ok(()),
    }
}

async fn producer(client: &felice::Client, args: &ProduceArgs, tally: Arc<Mutex<Tally>>) -> Result<Producer, Failure> {
    let mut builder = client.producer();
    if let Some(codec) = &args.compression {
        builder = builder.set("compression.type", codec);
    }
    if let Some(acks) = &args.acks {
        builder = builder.set("acks", acks);
        if acks != "all" && acks != "-1" {
            builder = builder.set("enable.idempotence", "false");
        }
    }
    let hear = move |report: &BatchReport| {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match &report.result {
            Ok(_) => {
                tally.acknowledged += u64::from(report.count);
                tally.partitions.insert(report.partition);
            }
            Err(error) => {
                tally.failed += u64::from(report.count);
                tally.first_error.get_or_insert_with(|| error.clone());
            }
        }
    };
    builder.on_delivery(hear).build().await.map_err(|e| failure(&e))
}

/// What every record has, and how a line becomes one.
pub(crate) struct Template<'a> {
    topic: &'a str,
    separator: Option<String>,
    key: Option<&'a str>,
    headers: &'a [(String, String)],
    partition: Option<i32>,
    empty_is_null: bool,
}

impl<'a> Template<'a> {
    fn new(args: &'a ProduceArgs) -> Self {
        Self {
            topic: &args.topic,
            separator: args.key_separator.as_deref().map(unescape),
            key: args.key.as_deref(),
            headers: &args.headers,
            partition: args.partition,
            empty_is_null: args.null,
        }
    }

    fn record<'l>(&'l self, line: &'l Line) -> NewRecord<'l> {
        let (split, value) = split_key(&line.bytes, self.separator.as_deref());
        let mut record = NewRecord::to(self.topic);
        if let Some(key) = split.or(self.key.map(str::as_bytes)) {
            record = record.key(key);
        }
        if !(value.is_empty() && self.empty_is_null) {
            record = record.value(value);
        }
        for (name, value) in self.headers {
            record = record.header(name.as_str(), value);
        }
        match self.partition {
            Some(partition) => record.partition(partition),
            None => record,
        }
    }
}

/// Splits at the first separator; a line without one has no key.
pub(crate) fn split_key<'l>(line: &'l [u8], separator: Option<&str>) -> (Option<&'l [u8]>, &'l [u8]) {
    let separator = separator.unwrap_or_default().as_bytes();
    if separator.is_empty() {
        return (None, line);
    }
    match line.windows(separator.len()).position(|window| window == separator) {
        Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_splits_and_a_line_without_one_has_no_key() {
        assert_eq!(split_key(b"k:v:w", Some(":")), (Some(&b"k"[..]), &b"v:w"[..]));
        assert_eq!(split_key(b"v", Some(":")), (None, &b"v"[..]));
        assert_eq!(split_key(b"k::v", Some("::")), (Some(&b"k"[..]), &b"v"[..]));
        assert_eq!(split_key(b"k:v", None), (None, &b"k:v"[..]));
    }
}
