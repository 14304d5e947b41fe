//! The broker's groups before clients that are not ours.

use std::path::Path;

use felice_broker::{Broker, BrokerBuilder};
use felice_conformance::Failure;
use felice_conformance::groups::scenario::PARTITIONS;
use felice_conformance::groups::{BROKER_PROPERTIES, Program, files, tool};
use felice_conformance::kafka::{Kafka, KafkaOptions};

#[path = "support/group.rs"]
mod group;
#[path = "support/matrix.rs"]
mod matrix;
mod support;

use group::Writer;
use matrix::Group;
use support::{asked_for, unless_skipped};

/// A broker with quick groups.
async fn broker() -> Broker {
    start(Broker::builder()).await
}

async fn start(builder: BrokerBuilder) -> Broker {
    let builder = builder.config("offsets.topic.num.partitions", "4");
    BROKER_PROPERTIES.into_iter().fold(builder, |b, (name, value)| b.config(name, value)).start().await.unwrap()
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn every_client_s_groups_live_on_the_broker() {
    let test = "every_client_s_groups_live_on_the_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || {
        matrix::judge(test, &bootstrap, extent, [matrix::foreign(), matrix::mixed()].concat())
    })
    .await
    .unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the client's members are new"]
async fn our_members_live_on_the_broker() {
    let test = "our_members_live_on_the_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || matrix::judge(test, &bootstrap, extent, matrix::ours())).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the client's members are new"]
async fn our_chained_groups_are_exact_on_the_broker() {
    let test = "our_chained_groups_are_exact_on_the_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || matrix::judge_our_chains(&bootstrap, extent)).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn chained_groups_are_exact_on_the_broker() {
    let test = "chained_groups_are_exact_on_the_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || matrix::judge_chains(test, &bootstrap, extent)).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn confluent_kafka_s_consumer_accepts_the_broker() {
    let test = "confluent_kafka_s_consumer_accepts_the_broker";
    if asked_for(test).is_none() {
        return;
    }
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || matrix::judge_consumers(test, &bootstrap)).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn the_group_tool_says_of_the_broker_what_it_says_of_apache_kafka() {
    let test = "the_group_tool_says_of_the_broker_what_it_says_of_apache_kafka";
    if asked_for(test).is_none() {
        return;
    }
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    let judged = tokio::task::spawn_blocking(move || tool::judge(&bootstrap)).await.unwrap();
    if let Some(commands) = unless_skipped(test, judged) {
        eprintln!("{commands} commands");
    }
    broker.shutdown().await.unwrap();
}

/// Groups of both protocols live on a broker; afterwards Kafka's tool reads their records, and Apache Kafka, given those files, has the
/// groups and their offsets.
#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn apache_kafka_takes_the_broker_s_groups_over() {
    let test = "apache_kafka_takes_the_broker_s_groups_over";
    let Some(extent) = asked_for(test) else { return };
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
        groups.iter().map(|group| matrix::live(&writer, &bootstrap, group, extent, None)).collect::<Result<Vec<_>, _>>()
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
