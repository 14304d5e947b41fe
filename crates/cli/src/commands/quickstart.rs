//! `felice quickstart`: the main job in one command. A file's lines go through a producer, a broker of our own and a reader; what comes out is
//! compared with what went in.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::time::Instant;

use felice::{Client, NewRecord, Seek};
use felice_broker::Broker;

use super::broker::start_failure;
use super::produce::split_key;
use crate::args::{QuickstartArgs, unescape};
use crate::connect::failure;
use crate::failure::{Exit, Failure};
use crate::lines::{self, Rules};
use crate::output::{line, thousands};
use crate::progress::Progress;

const TOPIC: &str = "quickstart";
const PARTITIONS: i32 = 4;
/// The header that carries a line's number, so that order can be checked.
const NUMBER: &str = "line";

/// What went in or came out, in a form that can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    records: u64,
    bytes: u64,
    /// A sum over all records of a hash of number, key and value: nothing lost, doubled or changed, in whatever order partitions come.
    sum: u64,
}

impl Summary {
    fn add(&mut self, number: u64, key: Option<&[u8]>, value: &[u8]) {
        let mut hasher = DefaultHasher::new();
        (number, key, value).hash(&mut hasher);
        self.records += 1;
        self.bytes += value.len() as u64;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }
}

pub(crate) async fn run(args: QuickstartArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let broker = Broker::start().await.map_err(start_failure)?;
    line(&format!("broker    ready at {} after {:.1} ms", broker.bootstrap(), begun.elapsed().as_secs_f64() * 1e3))?;
    let client = Client::connect(broker.bootstrap()).await.map_err(|e| failure(&e))?;
    client.admin().create_topic(TOPIC).partitions(PARTITIONS).await.map_err(|e| failure(&e))?;
    line(&format!("topic     {TOPIC} with {PARTITIONS} partitions"))?;

    let sample = tempfile_with_sample(args.file.is_none())?;
    let path = args.file.as_deref().or(sample.as_ref().map(tempfile::NamedTempFile::path));
    let separator = args.key_separator.as_deref().map(unescape);
    let begun = Instant::now();
    let sent = produce(&client, path, separator.as_deref()).await?;
    line(&format!("produced  {}", rate(&sent, begun)))?;

    let begun = Instant::now();
    let read = consume(&client, sent.records).await?;
    line(&format!("consumed  {}", rate(&read, begun)))?;
    broker.shutdown().await.map_err(start_failure)?;
    if sent != read {
        let what = "what came out is not what went in";
        return Err(Failure::new(Exit::CheckFailed, "check", what).evidence(format!("sent {sent:?}, read {read:?}")));
    }
    line("checked   every record once, unchanged, in order within its partition")?;
    line("")?;
    line("Next:  felice broker --data ./data        a broker that keeps its data; in another terminal:")?;
    line("       felice produce greetings <<< hello")?;
    line("       felice consume greetings -e")
}

fn rate(summary: &Summary, begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs_f64().max(1e-9);
    let records = summary.records as f64 / seconds;
    format!(
        "{} records, {} B in {seconds:.3} s: {} records/s",
        thousands(summary.records.cast_signed()),
        thousands(summary.bytes.cast_signed()),
        thousands(records as i64)
    )
}

/// Lines to send where the caller has named no file.
fn tempfile_with_sample(wanted: bool) -> Result<Option<tempfile::NamedTempFile>, Failure> {
    use std::io::Write as _;
    if !wanted {
        return Ok(None);
    }
    let cannot = |e: std::io::Error| crate::failure::local_io("cannot write a sample", &e);
    let mut file = tempfile::NamedTempFile::new().map_err(cannot)?;
    let mut text = String::new();
    for n in 0..100_000 {
        text += &format!("order {n}: {} pieces for customer {}\n", n % 17 + 1, n * 7919 % 1009);
    }
    file.write_all(text.as_bytes()).map_err(cannot)?;
    Ok(Some(file))
}

async fn produce(client: &Client, path: Option<&Path>, separator: Option<&str>) -> Result<Summary, Failure> {
    let producer = client.producer().build().await.map_err(|e| failure(&e))?;
    let mut lines = lines::read(path, Rules { limit: 1_000_000, binary: false })?;
    let mut sent = Summary::default();
    let mut progress = Progress::new("producing", None);
    while let Some(block) = lines.recv().await {
        for line in block? {
            let (key, value) = split_key(&line.bytes, separator);
            let number = line.number.to_be_bytes();
            let mut record = NewRecord::to(TOPIC).value(value).header(NUMBER, &number);
            if let Some(key) = key {
                record = record.key(key);
            }
            producer.post(record).await.map_err(|e| failure(e.error()).evidence(format!("line {}", line.number)))?;
            sent.add(line.number, key, value);
        }
        progress.set(sent.records);
    }
    producer.flush().await.map_err(|e| failure(&e.first))?;
    progress.finish();
    Ok(sent)
}

async fn consume(client: &Client, records: u64) -> Result<Summary, Failure> {
    let reader = client.reader().topic(TOPIC).from(Seek::Start).until(Seek::End).open().await;
    let mut reader = reader.map_err(|e| failure(&e))?;
    let mut read = Summary::default();
    let mut last: BTreeMap<i32, u64> = BTreeMap::new();
    let mut progress = Progress::new("consuming", Some(records));
    while let Some(mut batch) = reader.next_batch().await.map_err(|e| failure(&e))? {
        while let Some(record) = batch.next() {
            let record = record.map_err(|e| failure(&e))?;
            let number = record.headers().find(|(name, _)| name == NUMBER).and_then(|(_, value)| value);
            let number = number.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).unwrap_or_default();
            if last.insert(record.partition(), number).is_some_and(|before| before >= number) {
                return Err(Failure::new(Exit::CheckFailed, "order", format!("line {number} came out of order")));
            }
            read.add(number, record.key(), record.value().unwrap_or_default());
        }
        progress.set(read.records);
    }
    progress.finish();
    Ok(read)
}
