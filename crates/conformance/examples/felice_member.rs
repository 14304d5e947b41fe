//! Our client as one member of a group: the programs of `peers/README.md`, "Members".
//! Run: `felice_member BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE`.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use felice::{Client, Commit, Consumer, ConsumerHandle, GroupProtocol, RebalanceListener, StartAt, TopicPartition};
use serde_json::{Value, json};
use tokio::sync::mpsc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Next offsets that were read and are not yet told to be committed.
#[derive(Clone, Default)]
struct Processed(Arc<Mutex<BTreeMap<TopicPartition, i64>>>);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        emit("failed", json!({ "error": error.to_string() }));
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [bootstrap, group, topic, assignor, instance] = arguments.as_slice() else {
        return Err("usage: BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE".into());
    };
    let millis = |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let process = Duration::from_millis(millis("PROCESS_MS", 0));
    let mut commands = commands();
    let client = Client::connect(bootstrap).await?;
    let processed = Processed::default();
    let mut consumer =
        client.consumer(group).start_at(StartAt::Earliest).commit(Commit::Manual).listener(processed.clone());
    consumer = match topic.strip_prefix('^') {
        Some(_) => consumer.pattern(topic),
        None => consumer.topics(topic.split(',')),
    };
    consumer = match assignor.split_once(':') {
        Some((_, remote)) => consumer.protocol(GroupProtocol::Consumer).remote_assignor(remote),
        None if assignor == "consumer" => consumer.protocol(GroupProtocol::Consumer),
        None if assignor == "auto" => consumer,
        None => {
            let session = millis("SESSION_MS", 6000);
            let consumer = consumer.set("session.timeout.ms", &session.to_string());
            let consumer = consumer.set("heartbeat.interval.ms", &(session / 6).to_string());
            consumer.protocol(GroupProtocol::Classic).assignors(assignor.split('+'))
        }
    };
    if instance != "-" {
        consumer = consumer.instance_id(instance);
    }
    let limits = [("max.poll.interval.ms", "20000"), ("fetch.max.wait.ms", "200"), ("metadata.max.age.ms", "2000")];
    let consumer = limits.into_iter().fold(consumer, |consumer, (name, value)| consumer.set(name, value));
    let mut consumer = consumer.build().await?;
    let handle = consumer.handle();
    emit("client", json!({ "name": concat!("felice ", env!("CARGO_PKG_VERSION")) }));
    loop {
        tokio::select! {
            command = commands.recv() => match command.as_deref() {
                Some("offsets") => offsets(&client, &handle, topic).await?,
                Some("leave") => {
                    processed.commit(&handle).await;
                    let report = consumer.close().await?;
                    if !report.is_clean() {
                        return Err(format!("close: {report:?}").into());
                    }
                    emit("left", json!({}));
                    return Ok(());
                }
                _ => std::process::exit(3),
            },
            more = read(&mut consumer, &processed, process) => {
                if !more? {
                    return Err("the consumer ended by itself".into());
                }
                processed.commit(&handle).await;
            }
        }
    }
}

/// One batch, or nothing for a while; false when there will be none.
async fn read(consumer: &mut Consumer, processed: &Processed, process: Duration) -> Result<bool, Failure> {
    let Ok(batch) = tokio::time::timeout(Duration::from_millis(100), consumer.next_batch()).await else {
        return Ok(true);
    };
    let Some(mut batch) = batch? else { return Ok(false) };
    let partition = TopicPartition::new(batch.topic(), batch.partition());
    let (mut first, mut values) = (batch.first_offset(), Vec::<String>::new());
    while let Some(record) = batch.next() {
        let record = record?;
        if record.offset() != first + i64::try_from(values.len())? {
            tell(&partition, first, &std::mem::take(&mut values));
            first = record.offset();
        }
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        values.push(format!("{}:{}", text(record.key()), text(record.value())));
    }
    tell(&partition, first, &values);
    // Blocking, and not asleep: an application at work, during which the heartbeats go on.
    std::thread::sleep(process);
    processed.lock().insert(partition, batch.next_offset());
    batch.done();
    Ok(true)
}

fn tell(partition: &TopicPartition, first: i64, values: &[String]) {
    if !values.is_empty() {
        emit("records", json!({ "partition": name(partition), "offset": first, "values": values }));
    }
}

impl Processed {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TopicPartition, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what is done; what cannot be committed now stays for later.
    async fn commit(&self, handle: &ConsumerHandle) {
        let offsets = self.lock().clone();
        if offsets.is_empty() {
            return;
        }
        let Ok(result) = tokio::time::timeout(Duration::from_secs(30), handle.commit()).await else {
            emit("failed", json!({ "error": format!("the commit of {offsets:?} was not answered within 30 s") }));
            std::process::exit(1);
        };
        match result {
            Ok(()) => {
                self.lock().retain(|partition, offset| offsets.get(partition) != Some(offset));
                let offsets: BTreeMap<_, _> = offsets.iter().map(|(p, offset)| (name(p), *offset)).collect();
                emit("committed", json!({ "offsets": offsets }));
            }
            Err(error) => eprintln!("commit: {error}"),
        }
    }

    fn forget(&self, partitions: &[TopicPartition]) {
        self.lock().retain(|partition, _| !partitions.contains(partition));
    }
}

impl RebalanceListener for Processed {
    async fn assigned(&mut self, _: &ConsumerHandle, partitions: &[TopicPartition]) {
        owned("assigned", partitions);
    }

    async fn revoking(&mut self, handle: &ConsumerHandle, partitions: &[TopicPartition]) {
        self.commit(handle).await;
        self.forget(partitions);
        owned("revoked", partitions);
    }

    async fn lost(&mut self, _: &ConsumerHandle, partitions: &[TopicPartition]) {
        self.forget(partitions);
        owned("lost", partitions);
    }
}

async fn offsets(client: &Client, handle: &ConsumerHandle, topics: &str) -> Result<(), Failure> {
    let (mut committed, mut end) = (BTreeMap::new(), BTreeMap::new());
    for topic in topics.split(',') {
        let count = client.admin().topic(topic).await?.partitions.len();
        let partitions = (0..i32::try_from(count)?).map(|number| TopicPartition::new(topic, number));
        for (partition, place) in handle.committed(partitions).await? {
            committed.insert(name(&partition), place.map_or(-1, |place| place.offset));
            end.insert(name(&partition), handle.watermarks(&partition).await?.1);
        }
    }
    emit("offsets", json!({ "committed": committed, "end": end }));
    Ok(())
}

/// Lines of standard input; `None` at its end.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // The program ends before this thread does.
            let _ = sender.send(line);
        }
    });
    commands
}

fn owned(event: &str, partitions: &[TopicPartition]) {
    if !partitions.is_empty() {
        let mut names: Vec<_> = partitions.iter().map(name).collect();
        names.sort();
        emit(event, json!({ "partitions": names }));
    }
}

fn name(partition: &TopicPartition) -> String {
    format!("{}-{}", partition.topic, partition.partition)
}

fn emit(event: &str, mut fields: Value) {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_micros());
    fields["event"] = event.into();
    fields["at"] = u64::try_from(at).unwrap_or_default().into();
    let line = format!("{fields}\n");
    if std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush()).is_err() {
        std::process::exit(4);
    }
}
