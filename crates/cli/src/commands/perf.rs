//! `felice perf`: what the client costs. One line of JSON with the fields that programs for other clients print too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use felice::{BatchReport, Client, NewRecord, Seek, StartAt};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::args::{PerfArgs, PerfCommand};
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure};
use crate::output::{self, on_terminal, thousands};
use crate::progress::Progress;

pub(crate) async fn run(command: PerfCommand) -> Result<(), Failure> {
    let (mode, args) = match &command {
        PerfCommand::Produce(args) => ("produce", args),
        PerfCommand::Consume(args) => ("consume", args),
        PerfCommand::Latency(args) => ("latency", args),
    };
    let count = args.count.unwrap_or(if mode == "latency" { 10_000 } else { 1_000_000 });
    let begun = Instant::now();
    let client = client(&args.connection).await?;
    let figures = match command {
        PerfCommand::Produce(_) => produce(&client, args, count).await.map(|()| json!({})),
        PerfCommand::Consume(_) => consume(&client, args, count).await.map(|()| json!({})),
        PerfCommand::Latency(_) => latency(&client, args, count).await,
    }?;
    report(mode, args, count, begun.elapsed(), &figures)
}

async fn produce(client: &Client, args: &PerfArgs, count: u64) -> Result<(), Failure> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let counted = acknowledged.clone();
    let producer = client
        .producer()
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("compression.type", &args.compression)
        .on_delivery(move |report: &BatchReport| {
            if report.result.is_ok() {
                counted.fetch_add(u64::from(report.count), Ordering::Relaxed);
            }
        })
        .build()
        .await
        .map_err(|e| failure(&e))?;
    let value = value(args.size);
    let mut progress = Progress::new("producing", Some(count));
    let record = NewRecord::to(args.topic.as_str()).value(&value[..]);
    for at in 0..count {
        // `post` waits where the buffer is full; asking first costs no future.
        if !producer.try_post(&record).map_err(|e| failure(&e))? {
            producer.post(record.clone()).await.map_err(|e| failure(e.error()))?;
        }
        if at % 65_536 == 0 {
            progress.set(at);
        }
    }
    producer.flush().await.map_err(|e| failure(&e.first))?;
    progress.finish();
    match acknowledged.load(Ordering::Relaxed) {
        n if n == count => Ok(()),
        n => Err(Failure::new(Exit::SomeFailed, "not-acknowledged", format!("{n} of {count} records acknowledged"))),
    }
}

/// The bytes that the other clients' programs send.
fn value(size: usize) -> Vec<u8> {
    (0..size).map(|i| b'a' + u8::try_from((i * 7) % 26).unwrap_or_default()).collect()
}

async fn consume(client: &Client, args: &PerfArgs, count: u64) -> Result<(), Failure> {
    if let Some(group) = &args.group {
        return consume_in_group(client, args, group, count).await;
    }
    let mut reader = client.reader().topic(&args.topic).from(Seek::Start).open().await.map_err(|e| failure(&e))?;
    let mut progress = Progress::new("consuming", Some(count));
    let (mut records, mut bytes) = (0_u64, 0_usize);
    while records < count {
        let Some(mut batch) = reader.next_batch().await.map_err(|e| failure(&e))? else { break };
        while let Some(record) = batch.next() {
            bytes += record.map_err(|e| failure(&e))?.value().map_or(0, <[u8]>::len);
            records += 1;
        }
        progress.set(records);
    }
    std::hint::black_box(bytes);
    progress.finish();
    Ok(())
}

/// As [`consume`], with each batch done, and what is done committed.
async fn consume_in_group(client: &Client, args: &PerfArgs, group: &str, count: u64) -> Result<(), Failure> {
    let builder = client.consumer(group).topics([&args.topic]).start_at(StartAt::Earliest);
    let mut consumer = builder.build().await.map_err(|e| failure(&e))?;
    let mut progress = Progress::new("consuming", Some(count));
    let (mut records, mut bytes) = (0_u64, 0_usize);
    while records < count {
        let Some(mut batch) = consumer.next_batch().await.map_err(|e| failure(&e))? else { break };
        while let Some(record) = batch.next() {
            bytes += record.map_err(|e| failure(&e))?.value().map_or(0, <[u8]>::len);
            records += 1;
        }
        batch.done();
        progress.set(records);
    }
    std::hint::black_box(bytes);
    progress.finish();
    consumer.close().await.map_err(|e| failure(&e))?;
    Ok(())
}

/// End to end at 1,000 records a second: a thread sends, this task reads.
async fn latency(client: &Client, args: &PerfArgs, count: u64) -> Result<Value, Failure> {
    let mut reader = client.reader().topic(&args.topic).from(Seek::End).open().await.map_err(|e| failure(&e))?;
    let producer = client.producer().set("linger.ms", "0").build().await.map_err(|e| failure(&e))?;
    // The reader must have found the end before the first record is sent behind it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let epoch = Instant::now();
    let topic = args.topic.clone();
    let size = args.size.max(8);
    let sending = tokio::task::spawn_blocking(move || {
        let mut value = value(size);
        for at in 0..count {
            let due = epoch + Duration::from_millis(at);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            value[..8].copy_from_slice(&sent.to_be_bytes());
            let posted = futures::executor::block_on(producer.post(NewRecord::to(topic.as_str()).value(&value)));
            if let Err(error) = posted {
                return Err(failure(error.error()));
            }
        }
        futures::executor::block_on(producer.flush()).map_err(|e| failure(&e.first))
    });
    let mut micros = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    let receiving = async {
        while (micros.len() as u64) < count {
            let Some(mut batch) = reader.next_batch().await.map_err(|e| failure(&e))? else { break };
            let now = u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            while let Some(record) = batch.next() {
                let record = record.map_err(|e| failure(&e))?;
                if let Some(sent) = record.value().and_then(|v| v.first_chunk::<8>()) {
                    micros.push(now.saturating_sub(u64::from_be_bytes(*sent)) / 1_000);
                }
            }
        }
        Ok::<(), Failure>(())
    };
    let limit = Duration::from_millis(count) + Duration::from_secs(30);
    tokio::time::timeout(limit, receiving).await.map_err(|_| {
        Failure::new(Exit::TimedOut, "timed-out", format!("not all records came within {} s", limit.as_secs()))
    })??;
    sending.await.map_err(|e| Failure::new(Exit::SomeFailed, "bug", e))??;
    micros.sort_unstable();
    let at = |part: u64| micros[usize::try_from(count.saturating_sub(1).min(count * part / 1000)).unwrap_or_default()];
    Ok(json!({"p50_us": at(500), "p99_us": at(990), "p999_us": at(999)}))
}

fn report(mode: &str, args: &PerfArgs, count: u64, wall: Duration, figures: &Value) -> Result<(), Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|e| Failure::new(Exit::SomeFailed, "getrusage", e))?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    let (user, system) = (seconds(usage.user_time()), seconds(usage.system_time()));
    let round = |s: f64| (s * 1000.0).round() / 1000.0;
    if on_terminal() && !args.json {
        let cpu = (user + system) * 1e9 / count as f64;
        let rate = count as f64 / wall.as_secs_f64();
        output::line(&format!(
            "{mode} {} records of {} B ({})  {:.3} s  {} records/s  {cpu:.0} ns of CPU a record",
            thousands(count.cast_signed()),
            args.size,
            args.compression,
            wall.as_secs_f64(),
            thousands(rate as i64),
        ))?;
        if let (Some(p50), Some(p99), Some(p999)) =
            (figures.get("p50_us"), figures.get("p99_us"), figures.get("p999_us"))
        {
            output::line(&format!("latency p50 {p50} µs  p99 {p99} µs  p99.9 {p999} µs"))?;
        }
        return Ok(());
    }
    let mut line = json!({
        "client": "felice",
        "version": env!("CARGO_PKG_VERSION"),
        "mode": mode,
        "count": count,
        "size": args.size,
        "compression": args.compression,
        "wall_s": round(wall.as_secs_f64()),
        "user_s": round(user),
        "sys_s": round(system),
        "maxrss_mb": usage.max_rss() / 1024,
    });
    if let (Some(line), Some(figures)) = (line.as_object_mut(), figures.as_object()) {
        line.extend(figures.clone());
    }
    output::line(&line.to_string())
}
