//! `felice topic`: create, list, describe, delete.

use std::collections::BTreeMap;

use felice::{Client, ConfigResource, OffsetSpec, TopicInfo, TopicPartition};
use serde_json::{Value, json};

use crate::args::{TopicCommand, TopicCreateArgs, TopicDeleteArgs, TopicDescribeArgs, TopicListArgs};
use crate::ask::confirmed;
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure, show_and_keep};
use crate::output::{self, Column, List, column, hidden, on_terminal};

pub(crate) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::Create(args) => create(args).await,
        TopicCommand::List(args) => list(args).await,
        TopicCommand::Describe(args) => describe(args).await,
        TopicCommand::Delete(args) => delete(args).await,
    }
}

async fn create(args: TopicCreateArgs) -> Result<(), Failure> {
    let admin = client(&args.connection).await?.admin();
    let mut failed = None;
    for name in &args.topics {
        let mut call = admin.create_topic(name);
        if let Some(partitions) = args.partitions {
            call = call.partitions(partitions);
        }
        if let Some(replicas) = args.replicas {
            call = call.replicas(replicas);
        }
        for (name, value) in &args.config {
            call = call.config(name, value);
        }
        if args.if_not_exists {
            call = call.if_not_exists();
        }
        if args.dry_run {
            call = call.dry_run();
        }
        match call.await {
            Ok(_) if args.dry_run => anstream::eprintln!("{name} would be created"),
            Ok(_) => anstream::eprintln!("{name} is there"),
            Err(error) => show_and_keep(&mut failed, failure(&error)),
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn list(args: TopicListArgs) -> Result<(), Failure> {
    let admin = client(&args.connection).await?.admin();
    let mut topics = admin.topics().await.map_err(|e| failure(&e))?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let all = topics.len();
    topics.retain(|topic| args.all || !topic.is_internal);
    let hidden_topics = all - topics.len();
    let shown = topics.len();
    let rows = topics.iter().map(|topic| {
        let replicas = topic.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0);
        let under = topic.partitions.iter().filter(|p| p.in_sync_replicas.len() < p.replicas.len()).count();
        let leaderless = topic.partitions.iter().filter(|p| p.leader.is_none()).count();
        let health = match (leaderless, under) {
            (0, 0) => "ok".to_owned(),
            (0, n) => format!("{n} under-replicated"),
            (n, _) => format!("{n} without a leader"),
        };
        let (name, id) = (topic.name.as_str(), topic.id.to_string());
        vec![
            json!(name),
            json!(id),
            json!(topic.partitions.len()),
            json!(replicas),
            json!(topic.is_internal),
            json!(health),
        ]
    });
    const COLUMNS: &[Column] = &[
        column("name", "TOPIC"),
        hidden("id"),
        column("partitions", "PARTS"),
        column("replication", "RF"),
        hidden("internal"),
        column("health", "HEALTH"),
    ];
    List { columns: COLUMNS, rows: rows.collect() }.show(args.format.format)?;
    if on_terminal() && hidden_topics > 0 {
        anstream::eprintln!("{shown} topics ({hidden_topics} internal hidden, -a shows them)");
    }
    Ok(())
}

async fn describe(args: TopicDescribeArgs) -> Result<(), Failure> {
    let client = client(&args.connection).await?;
    let mut failed = None;
    for name in &args.topics {
        let topic = match client.admin().topic(name).await {
            Ok(topic) => topic,
            Err(error) => {
                show_and_keep(&mut failed, failure(&error));
                continue;
            }
        };
        let configs = client.admin().configs(&ConfigResource::Topic(name.clone())).await.map_err(|e| failure(&e))?;
        if on_terminal() && args.format.format.is_none() {
            let set: Vec<String> = configs
                .iter()
                .filter(|c| !c.is_default())
                .map(|c| format!("{}={}", c.name, c.value.as_deref().unwrap_or("(secret)")))
                .collect();
            let set = if set.is_empty() { "no properties of its own".to_owned() } else { set.join(" ") };
            output::line(&format!("{} {}  {} partitions  {set}", topic.name, topic.id, topic.partitions.len()))?;
        }
        partitions(&client, &topic).await?.show(args.format.format)?;
    }
    failed.map_or(Ok(()), Err)
}

async fn partitions(client: &Client, topic: &TopicInfo) -> Result<List, Failure> {
    let starts = offsets(client, topic, OffsetSpec::Earliest).await?;
    let ends = offsets(client, topic, OffsetSpec::Latest).await?;
    let rows = topic.partitions.iter().map(|p| {
        let offset = |of: &BTreeMap<i32, i64>| of.get(&p.partition).map_or(Value::Null, |n| json!(n));
        vec![
            json!(topic.name.as_str()),
            json!(p.partition),
            json!(p.leader),
            json!(p.leader_epoch),
            json!(p.replicas),
            json!(p.in_sync_replicas),
            offset(&starts),
            offset(&ends),
        ]
    });
    const COLUMNS: &[Column] = &[
        hidden("topic"),
        column("partition", "PART"),
        column("leader", "LEADER"),
        column("leader_epoch", "EPOCH"),
        column("replicas", "REPLICAS"),
        column("isr", "ISR"),
        column("log_start_offset", "START"),
        column("end_offset", "END"),
    ];
    Ok(List { columns: COLUMNS, rows: rows.collect() })
}

/// One end of every partition that has a leader.
async fn offsets(client: &Client, topic: &TopicInfo, end: OffsetSpec) -> Result<BTreeMap<i32, i64>, Failure> {
    let led = topic.partitions.iter().filter(|p| p.leader.is_some());
    let asked = led.map(|p| (TopicPartition::new(topic.name.clone(), p.partition), end));
    let listed = client.admin().list_offsets(asked).await.map_err(|e| failure(&e))?;
    Ok(listed.0.into_iter().filter_map(|(p, listed)| Some((p.partition, listed.ok()?.offset?))).collect())
}

async fn delete(args: TopicDeleteArgs) -> Result<(), Failure> {
    let client = client(&args.connection).await?;
    let admin = client.admin();
    if args.dry_run || !args.yes {
        for name in &args.topics {
            let topic = admin.topic(name).await.map_err(|e| failure(&e))?;
            let (starts, ends) = (
                offsets(&client, &topic, OffsetSpec::Earliest).await?,
                offsets(&client, &topic, OffsetSpec::Latest).await?,
            );
            let records: i64 = ends.iter().map(|(p, end)| end - starts.get(p).copied().unwrap_or(0)).sum();
            anstream::eprintln!(
                "{name}  {} partitions  {} records",
                topic.partitions.len(),
                output::thousands(records)
            );
        }
    }
    if args.dry_run {
        anstream::eprintln!("Nothing was changed (--dry-run).");
        return Ok(());
    }
    if !args.yes && !confirmed("Delete, with all records?")? {
        return Err(Failure::new(Exit::SomeFailed, "not-confirmed", "nothing was deleted"));
    }
    let answer = admin.delete_topics(&args.topics).await.map_err(|e| failure(&e))?;
    let mut failed = None;
    for (name, result) in answer.0 {
        match result {
            Ok(()) => anstream::eprintln!("{name} is deleted"),
            Err(error) => show_and_keep(&mut failed, failure(&error)),
        }
    }
    failed.map_or(Ok(()), Err)
}
