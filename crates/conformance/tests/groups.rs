//! The broker's groups before clients that are not ours.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::Context;
use felice_broker::{Broker, BrokerBuilder};
use felice_conformance::groups::scenario::PARTITIONS;
use felice_conformance::groups::{BROKER_PROPERTIES, Program, chain, files, tool};
use felice_conformance::kafka::{Kafka, KafkaOptions};
use felice_conformance::{Extent, Failure, wanted_in_full};

#[path = "support/felice.rs"]
mod felice;
#[path = "support/group.rs"]
mod group;
#[path = "support/matrix.rs"]
mod matrix;
mod support;

use group::Writer;
use matrix::Group;
use support::{asked_for, unless_skipped};

async fn start(builder: BrokerBuilder) -> Broker {
    let builder = builder.config("offsets.topic.num.partitions", "4");
    BROKER_PROPERTIES.into_iter().fold(builder, |b, (name, value)| b.config(name, value)).start().await.unwrap()
}

/// Lets a judge, who blocks, look at a fresh broker with quick groups.
async fn judged(test: &str, judge: impl FnOnce(&str, Extent) + Send + 'static) {
    let Some(extent) = asked_for(test) else { return };
    let broker = start(Broker::builder()).await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || judge(&bootstrap, extent)).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_client_s_groups_live_on_the_broker() {
    let test = "every_client_s_groups_live_on_the_broker";
    let groups = || [matrix::foreign(), matrix::mixed()].concat();
    judged(test, move |bootstrap, extent| matrix::judge(test, bootstrap, extent, groups())).await;
}

#[tokio::test]
async fn our_members_live_on_the_broker() {
    let test = "our_members_live_on_the_broker";
    judged(test, move |bootstrap, extent| matrix::judge(test, bootstrap, extent, matrix::ours())).await;
}

#[tokio::test]
async fn our_chained_groups_are_exact_on_the_broker() {
    judged("our_chained_groups_are_exact_on_the_broker", matrix::judge_our_chains).await;
}

#[tokio::test]
async fn chained_groups_are_exact_on_the_broker() {
    let test = "chained_groups_are_exact_on_the_broker";
    judged(test, move |bootstrap, extent| matrix::judge_chains(test, bootstrap, extent)).await;
}

#[tokio::test]
async fn crowds_come_to_rest_on_the_broker() {
    let test = "crowds_come_to_rest_on_the_broker";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let crowds =
        [(1000, 1000, "consumer:uniform"), (1000, 1000, "cooperative-sticky"), (10, 10_000, "consumer:uniform")];
    judged(test, move |bootstrap, _| {
        for (members, partitions, balancer) in crowds {
            let topic = format!("crowd-{members}-{partitions}-{}", balancer.replace(':', "-"));
            let rested = unless_skipped(test, chain::crowd(bootstrap, &topic, members, partitions, balancer));
            let Some((joined, left)) = rested else { return };
            eprintln!(
                "{balancer}: {members} members, {partitions} partitions: at rest after {joined:.1} s, {left:.1} s"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn confluent_kafka_s_consumer_accepts_the_broker() {
    let test = "confluent_kafka_s_consumer_accepts_the_broker";
    judged(test, move |bootstrap, _| matrix::judge_consumers(test, bootstrap)).await;
}

#[tokio::test]
async fn the_group_tool_says_of_the_broker_what_it_says_of_apache_kafka() {
    let test = "the_group_tool_says_of_the_broker_what_it_says_of_apache_kafka";
    judged(test, move |bootstrap, _| {
        if let Some(commands) = unless_skipped(test, tool::judge(bootstrap)) {
            eprintln!("{commands} commands");
        }
    })
    .await;
}

/// A broker that is killed while groups live, and started again, has them and their offsets: no member need join anew.
#[test]
fn groups_outlive_a_broker_that_is_killed() {
    let test = "groups_outlive_a_broker_that_is_killed";
    let Some(extent) = asked_for(test) else { return };
    let member = &matrix::felice_member();
    let mut groups = vec![
        Group::of(&Program::FranzGo, "cooperative-sticky", true),
        Group::of(member, "consumer:uniform", true),
        Group::of(member, "sticky", false),
        Group::of(&Program::Java, "consumer", false),
        Group::of(&Program::Python, "consumer", false),
        Group::of(&Program::Sarama, "range", false),
        Group::of(&Program::C, "roundrobin", false),
    ];
    groups.retain(|group| group.sampled || extent == Extent::Full);
    let dir = tempfile::tempdir().unwrap();
    let broker = Mutex::new(Killable::start("127.0.0.1:0", dir.path()).unwrap());
    let bootstrap = broker.lock().unwrap().address.clone();
    let writer = Writer::new(&bootstrap);
    let kill = || broker.lock().unwrap().kill_and_start(dir.path());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for group in &groups {
            let (writer, bootstrap, failures, kill) = (&writer, &bootstrap, &failures, &kill);
            scope.spawn(move || match matrix::live(writer, bootstrap, group, extent, Some(kill)) {
                Ok(verdict) => eprintln!("{}, the broker killed: {verdict}", group.name()),
                Err(Failure::Skip(skip)) => skip.announce(&format!("{test}: {}", group.name())),
                Err(Failure::Failed(error)) => failures.lock().unwrap().push(format!("{}: {error:#}", group.name())),
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// `felice broker` as a process.
struct Killable {
    address: String,
    child: Child,
}

impl Killable {
    fn start(listen: &str, data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(felice::felice());
        command.args(["broker", "--listen", listen, "--data"]).arg(data).args(["-X", "offsets.topic.num.partitions=4"]);
        for (name, value) in BROKER_PROPERTIES {
            command.args(["-X", &format!("{name}={value}")]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
        let address = line.trim().strip_prefix("ready ").with_context(|| format!("the broker says {line:?}"))?;
        Ok(Self { address: address.to_owned(), child })
    }

    fn kill_and_start(&mut self, data: &Path) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        *self = Self::start(&self.address, data)?;
        Ok(())
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Groups of both protocols live on a broker; afterwards Kafka's tool reads their records, and Apache Kafka, given those files, has the
/// groups and their offsets.
#[tokio::test]
async fn apache_kafka_takes_the_broker_s_groups_over() {
    let test = "apache_kafka_takes_the_broker_s_groups_over";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("ours");
    let broker = start(Broker::builder().data_dir(&ours)).await;
    let bootstrap = broker.bootstrap().to_owned();
    let groups = [
        Group::of(&Program::FranzGo, "sticky", true).with_static_members(),
        Group::of(&Program::FranzGo, "consumer:uniform", true),
    ];
    let names = groups.clone().map(|group| group.name());
    let lived = tokio::task::spawn_blocking(move || {
        let writer = Writer::new(&bootstrap);
        groups
            .iter()
            .map(|group| matrix::live(&writer, &bootstrap, group, Extent::Sampled, None))
            .collect::<Result<Vec<_>, _>>()
    });
    let Some(verdicts) = unless_skipped(test, lived.await.unwrap()) else { return };
    broker.shutdown().await.unwrap();

    let taken = tokio::task::spawn_blocking(move || {
        let dumped = files::dump(&ours)?;
        let mut expected = "> tool --list --state --type\nGROUP TYPE STATE\n".to_owned();
        for (name, kind) in [(&names[1], "Consumer"), (&names[0], "Classic")] {
            expected += &format!("{name} {kind} Empty\n");
        }
        for (name, verdict) in names.iter().zip(&verdicts) {
            let of_group = dumped.committed.iter().filter(|((group, ..), _)| group == name);
            let offsets: Vec<_> = of_group.clone().map(|((_, t, p), offset)| format!("{t}-{p}={offset}")).collect();
            let committed: i64 = of_group.map(|(_, offset)| offset).sum();
            assert_eq!(committed, i64::try_from(verdict.account.records).unwrap(), "{name}: {:?}", dumped.committed);
            expected += &format!("> committed {name}\n{{{}}}\n", offsets.join(", "));
        }
        let said = take_over(&ours, &dir.path().join("theirs"), &names)?;
        Ok((dumped.types, expected, said))
    });
    let Some((types, expected, said)) = unless_skipped(test, taken.await.unwrap()) else { return };
    eprintln!("records by type: {types:?}");
    for kind in ["1", "2", "3", "5", "6", "7", "8"] {
        assert!(types.contains_key(kind), "no record of type {kind}: {types:?}");
    }
    assert_eq!(expected, said);
}

/// What Apache Kafka says of the groups whose files it was given.
fn take_over(ours: &Path, theirs: &Path, names: &[String]) -> Result<String, Failure> {
    let properties = BROKER_PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = KafkaOptions { properties, log_dir: Some(theirs.to_owned()), ..KafkaOptions::default() };
    let kafka = Kafka::start(options.clone())?;
    let topics = names.iter().map(|name| format!("topic {name} {PARTITIONS} 0\n"));
    let script = topics.collect::<String>() + "topic first 1 1\ncommit first first:0=1\n";
    tool::transcript(&kafka.bootstrap(), &script)?;
    kafka.stop()?;
    files::transplant(ours, theirs)?;
    let kafka = Kafka::start(options)?;
    let committed = names.iter().map(|name| format!("committed {name}\n"));
    let said = tool::transcript(
        &kafka.bootstrap(),
        &("tool --list --state --type\n".to_owned() + &committed.collect::<String>()),
    )?;
    kafka.stop()?;
    Ok(said)
}
