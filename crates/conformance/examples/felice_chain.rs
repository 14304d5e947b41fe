//! Chained groups with our client: records go through three stages of consuming and producing, each a group of six members that come and go.
//! See "Chained groups" in `peers/README.md`. Run: `felice_chain BOOTSTRAP PREFIX COUNT BALANCER`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use felice::{
    Batch, Client, Commit, Consumer, ConsumerHandle, GroupProtocol, NewRecord, Producer, RebalanceListener, StartAt,
    TopicPartition,
};
use serde_json::json;

const STAGES: usize = 3;
const MEMBERS: usize = 6;
const PARTITIONS: i32 = 7;
const WITHIN: Duration = Duration::from_secs(480);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let report = match arguments.as_slice() {
        [bootstrap, prefix, count, balancer] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let chain = Chain {
                bootstrap: bootstrap.clone(),
                prefix: prefix.clone(),
                count: count.parse().unwrap_or(0),
                balancer: balancer.clone(),
            };
            runtime.map_err(Failure::from).and_then(|runtime| {
                let chain = Arc::new(chain);
                runtime.block_on(async {
                    tokio::time::timeout(WITHIN, run(chain)).await.unwrap_or_else(|_| Err("not done in time".into()))
                })
            })
        }
        _ => Err("usage: BOOTSTRAP PREFIX COUNT BALANCER".into()),
    };
    match report {
        Ok(report) => println!("{report}"),
        Err(error) => {
            println!("{}", json!({ "client": "felice", "error": error.to_string() }));
            std::process::exit(1);
        }
    }
}

struct Chain {
    bootstrap: String,
    prefix: String,
    count: usize,
    balancer: String,
}

impl Chain {
    fn topic(&self, stage: usize) -> String {
        format!("{}-{stage}", self.prefix)
    }

    fn group(&self, stage: usize) -> String {
        format!("{}-stage-{stage}", self.prefix)
    }
}

async fn run(chain: Arc<Chain>) -> Result<serde_json::Value, Failure> {
    let client = Client::connect(&chain.bootstrap).await?;
    for stage in 0..=STAGES {
        client.admin().create_topic(chain.topic(stage)).partitions(PARTITIONS).replicas(1).await?;
    }
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(source(chain.clone()));
    let stages: Vec<_> = (0..STAGES).map(|number| Arc::new(Stage::new(chain.clone(), number))).collect();
    for stage in &stages {
        for seat in 0..MEMBERS {
            tasks.spawn(stage.clone().seat(seat));
        }
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let mut members = 0;
    for stage in &stages {
        stage.exact().await?;
        members += stage.lives.load(Ordering::SeqCst);
    }
    let ends = ends(&client, &chain.topic(STAGES)).await?;
    if ends.values().sum::<i64>() != i64::try_from(chain.count)? {
        return Err(format!("the last topic ends at {ends:?}").into());
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(json!({ "client": "felice", "records": chain.count, "members": members, "seconds": seconds }))
}

/// Writes the keys 0 to count-1, each once.
async fn source(chain: Arc<Chain>) -> Result<(), Failure> {
    let client = Client::connect(&chain.bootstrap).await?;
    let producer = client.producer().build().await?;
    let topic = chain.topic(0);
    for key in 0..chain.count {
        producer.post(NewRecord::to(topic.as_str()).key(key.to_string()).value("value")).await?;
    }
    producer.flush().await?;
    producer.close(Duration::from_secs(10)).await?;
    Ok(())
}

async fn ends(client: &Client, topic: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let partitions = (0..PARTITIONS).map(|p| (TopicPartition::new(topic, p), felice::OffsetSpec::Latest));
    let listed = client.admin().list_offsets(partitions).await?.all()?;
    Ok(listed.into_iter().map(|(p, at)| (p, at.offset.unwrap_or(0))).collect())
}

/// One group: what it takes from one topic it writes to the next.
struct Stage {
    chain: Arc<Chain>,
    number: usize,
    /// How often each key was taken.
    seen: Vec<AtomicU32>,
    total: AtomicUsize,
    /// How many members there were in all.
    lives: AtomicU32,
    /// The next offset of each partition.
    next: Mutex<BTreeMap<i32, i64>>,
}

/// What goes wrong where nobody can be told at once.
#[derive(Clone, Default)]
struct Losses(Arc<Mutex<Option<String>>>);

impl RebalanceListener for Losses {
    async fn lost(&mut self, _: &ConsumerHandle, partitions: &[TopicPartition]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("lost {partitions:?}"));
    }
}

impl Stage {
    fn new(chain: Arc<Chain>, number: usize) -> Self {
        let seen = (0..chain.count).map(|_| AtomicU32::new(0)).collect();
        let (total, lives) = (AtomicUsize::new(0), AtomicU32::new(0));
        Self { chain, number, seen, total, lives, next: Mutex::new(BTreeMap::new()) }
    }

    /// Taken by one member after the other: each leaves when it has had its share, the last when all is done.
    async fn seat(self: Arc<Self>, seat: usize) -> Result<(), Failure> {
        let count = self.chain.count;
        let coming_and_going = count / 80 + seat * count / 400 + 1;
        let share = if seat < MEMBERS / 2 { count } else { coming_and_going };
        loop {
            let done = self.live(share).await.map_err(|e| format!("stage {}, seat {seat}: {e}", self.number))?;
            if done {
                return Ok(());
            }
        }
    }

    fn is_done(&self) -> bool {
        self.total.load(Ordering::SeqCst) >= self.chain.count
    }

    /// One member's life: true when the stage is done.
    async fn live(&self, share: usize) -> Result<bool, Failure> {
        self.lives.fetch_add(1, Ordering::SeqCst);
        let client = Client::connect(&self.chain.bootstrap).await?;
        let producer = client.producer().build().await?;
        let losses = Losses::default();
        let mut consumer = self.consumer(&client, losses.clone()).await?;
        let handle = consumer.handle();
        let (mut taken, mut quiet) = (0, Duration::ZERO);
        while taken < share {
            let wait = Duration::from_millis(100);
            match tokio::time::timeout(wait, consumer.next_batch()).await {
                Ok(batch) => {
                    let batch = batch?.ok_or("the consumer ended by itself")?;
                    taken += self.pass_on(batch, &producer, &handle).await?;
                    quiet = Duration::ZERO;
                }
                // A record that comes once too often has the time to come.
                Err(_) if self.is_done() && quiet > Duration::from_millis(500) => break,
                Err(_) => quiet += wait,
            }
            if let Some(lost) = losses.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(lost.into());
            }
        }
        let report = consumer.close().await?;
        if !report.is_clean() {
            return Err(format!("close: {report:?}").into());
        }
        producer.close(Duration::from_secs(10)).await?;
        client.shutdown(Duration::from_secs(10)).await?;
        Ok(self.is_done())
    }

    async fn consumer(&self, client: &Client, losses: Losses) -> Result<Consumer, Failure> {
        let consumer = client.consumer(self.chain.group(self.number)).topics([self.chain.topic(self.number)]);
        let consumer = consumer.start_at(StartAt::Earliest).commit(Commit::Manual).listener(losses);
        let consumer = match self.chain.balancer.split_once(':') {
            Some(("consumer", assignor)) => consumer.protocol(GroupProtocol::Consumer).remote_assignor(assignor),
            _ => consumer
                .protocol(GroupProtocol::Classic)
                .assignors([&self.chain.balancer])
                .set("session.timeout.ms", "20000")
                .set("heartbeat.interval.ms", "300"),
        };
        // Small answers, so that many members have their share.
        Ok(consumer.set("fetch.max.wait.ms", "200").set("max.partition.fetch.bytes", "16384").build().await?)
    }

    /// First what was taken is in the next topic, then it is committed: no record is lost. And no member dies: none comes twice.
    async fn pass_on(&self, mut batch: Batch, producer: &Producer, handle: &ConsumerHandle) -> Result<usize, Failure> {
        let topic = self.chain.topic(self.number + 1);
        let (partition, mut taken) = (batch.partition(), 0);
        let mut keys = Vec::new();
        while let Some(record) = batch.next() {
            let record = record?;
            keys.push(self.take(partition, record.offset(), record.key().unwrap_or_default())?);
            taken += 1;
        }
        for key in keys {
            producer.post(NewRecord::to(topic.as_str()).key(key).value("value")).await?;
        }
        producer.flush().await?;
        batch.done();
        handle.commit().await.map_err(|e| format!("commit: {e}"))?;
        Ok(taken)
    }

    fn take(&self, partition: i32, offset: i64, key: &[u8]) -> Result<String, Failure> {
        let text = String::from_utf8(key.to_vec())?;
        let times = self.seen.get(text.parse::<usize>()?).ok_or_else(|| format!("key {text}"))?;
        if times.fetch_add(1, Ordering::SeqCst) > 0 {
            return Err(format!("key {text} comes once more, at {partition}@{offset}").into());
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let next = next.entry(partition).or_default();
        if offset != *next {
            return Err(format!("partition {partition}: offset {offset} instead of {next}").into());
        }
        *next += 1;
        self.total.fetch_add(1, Ordering::SeqCst);
        Ok(text)
    }

    /// Every key was taken once, and all is committed.
    async fn exact(&self) -> Result<(), Failure> {
        if let Some(key) = self.seen.iter().position(|times| times.load(Ordering::SeqCst) != 1) {
            return Err(format!("stage {}: key {key} was not taken once", self.number).into());
        }
        let client = Client::connect(&self.chain.bootstrap).await?;
        let topic = self.chain.topic(self.number);
        let committed = client.admin().group(self.chain.group(self.number).as_str()).committed().await?;
        for (partition, end) in ends(&client, &topic).await? {
            let offset = committed.get(&partition).map_or(-1, |place| place.offset);
            if offset != end {
                return Err(format!("stage {}: {partition} is committed up to {offset} of {end}", self.number).into());
            }
        }
        Ok(())
    }
}
