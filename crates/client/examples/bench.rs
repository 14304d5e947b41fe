//! What a record costs this process in CPU time: `bench produce|consume BROKERS TOPIC COUNT SIZE [COMPRESSION] [NAME=VALUE…]`. Prints one
//! line of JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use felice::{Client, NewRecord, Seek};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, brokers, topic, count, size, rest @ ..] = arguments.as_slice() else {
        return Err("bench produce|consume BROKERS TOPIC COUNT SIZE [COMPRESSION] [NAME=VALUE…]".into());
    };
    let (count, size): (u64, usize) = (count.parse()?, size.parse()?);
    let (properties, codec): (Vec<&String>, Vec<&String>) = rest.iter().partition(|argument| argument.contains('='));
    let compression = codec.first().map_or("none", |codec| codec.as_str());
    let mut builder = Client::builder(brokers);
    for (name, value) in properties.iter().filter_map(|property| property.split_once('=')) {
        builder = builder.set(name, value);
    }
    let client = builder.connect().await?;
    let started = Instant::now();
    match mode.as_str() {
        "produce" => produce(&client, topic, count, size, compression).await?,
        "consume" => consume(&client, topic, count).await?,
        other => return Err(format!("no mode is called {other}").into()),
    }
    let wall = started.elapsed().as_secs_f64();
    let (user, system, memory) = usage()?;
    println!(
        "{{\"client\":\"felice\",\"mode\":\"{mode}\",\"count\":{count},\"size\":{size},\"compression\":\"{compression}\",\"wall_s\":{wall:.3},\"user_s\":{user:.2},\"sys_s\":{system:.2},\"maxrss_mb\":{memory},\"cpu_ns_per_record\":{:.0}}}",
        (user + system) * 1e9 / count as f64
    );
    Ok(())
}

async fn produce(client: &Client, topic: &str, count: u64, size: usize, compression: &str) -> Result<(), Failure> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let counter = acknowledged.clone();
    let producer = client
        .producer()
        .set("compression.type", compression)
        .on_delivery(move |batch| {
            if batch.result.is_ok() {
                counter.fetch_add(u64::from(batch.count), Ordering::Relaxed);
            }
        })
        .build()
        .await?;
    let mut value = vec![b'x'; size];
    for n in 0..count {
        value[..8.min(size)].copy_from_slice(&n.to_be_bytes()[..8.min(size)]);
        producer.post(NewRecord::to(topic).value(&value)).await?;
    }
    producer.flush().await?;
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    if acknowledged != count {
        return Err(format!("{acknowledged} of {count} records were acknowledged").into());
    }
    Ok(())
}

async fn consume(client: &Client, topic: &str, count: u64) -> Result<(), Failure> {
    let mut reader = client.reader().topic(topic).from(Seek::Start).open().await?;
    let (mut seen, mut bytes) = (0_u64, 0_u64);
    while seen < count {
        let Some(mut batch) = reader.next_batch().await? else { break };
        batch.for_each(|record| {
            seen += 1;
            bytes += record.value().map_or(0, |value| value.len() as u64);
        })?;
    }
    if bytes == 0 {
        return Err("nothing was read".into());
    }
    Ok(())
}

/// User and system time in seconds, and the largest resident size in MB.
fn usage() -> Result<(f64, f64, u64), Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // The system counts in hundredths of a second.
    let seconds =
        |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).map_or(0.0, |ticks| ticks / 100.0);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.split_whitespace().next());
    Ok((seconds(11), seconds(12), peak.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024))
}
