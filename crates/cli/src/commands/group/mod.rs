//! `felice group`: list, describe, lag, seek, restore, delete, members.

mod lag;
mod seek;

use felice::{ErrorCode, GroupDescription, PerItem};
use serde_json::{Value, json};

use crate::args::{GroupCommand, GroupDeleteArgs, GroupDescribeArgs, GroupListArgs, GroupMembersArgs};
use crate::ask::confirmed;
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure, show_and_keep};
use crate::output::{self, Column, List, column, hidden, on_terminal};

pub(crate) async fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::List(args) => list(args).await,
        GroupCommand::Describe(args) => describe(args).await,
        GroupCommand::Lag(args) => lag::run(args).await,
        GroupCommand::Seek(args) => seek::run(args).await,
        GroupCommand::Restore(args) => seek::restore(args).await,
        GroupCommand::Delete(args) => delete(args).await,
        GroupCommand::Members(args) => members(args).await,
    }
}

/// An error about a group: one that is not there has its own exit code.
fn group_failure(group: &str, error: &felice::Error) -> Failure {
    if error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) {
        let failure = Failure::new(Exit::NotFound, "unknown-group", format!("there is no group '{group}'"));
        return match error.hint() {
            Some(hint) => failure.fix(hint),
            None => failure.fix("felice group list"),
        };
    }
    let mut failure = failure(error);
    failure.what = format!("group {group}: {}", failure.what);
    failure
}

async fn list(args: GroupListArgs) -> Result<(), Failure> {
    let mut groups = client(&args.connection).await?.admin().groups().await.map_err(|e| failure(&e))?;
    groups.retain(|g| args.states.is_empty() || args.states.iter().any(|s| s.eq_ignore_ascii_case(&g.state)));
    let rows = groups.iter().map(|group| {
        vec![
            json!(group.id.as_str()),
            json!(group.group_type.to_string()),
            json!(group.state.as_str()),
            json!(group.protocol_type.as_str()),
        ]
    });
    const COLUMNS: &[Column] =
        &[column("group", "GROUP"), column("type", "TYPE"), column("state", "STATE"), column("protocol_type", "FOR")];
    List { columns: COLUMNS, rows: rows.collect() }.show(args.format.format)
}

async fn describe(args: GroupDescribeArgs) -> Result<(), Failure> {
    let admin = client(&args.connection).await?.admin();
    let mut failed = None;
    let (mut rows, mut groups) = (Vec::new(), Vec::new());
    for (name, described) in admin.describe_groups(&args.groups).await.map_err(|e| failure(&e))?.0 {
        match described {
            Ok(group) => {
                rows.push(vec![
                    json!(group.id.as_str()),
                    json!(group.group_type.to_string()),
                    json!(group.state.as_str()),
                    json!(group.assignor.as_str()),
                    json!(group.group_epoch),
                    json!(group.assignment_epoch),
                    json!(group.members.len()),
                ]);
                groups.push(group);
            }
            Err(error) => show_and_keep(&mut failed, group_failure(&name, &error)),
        }
    }
    const COLUMNS: &[Column] = &[
        column("group", "GROUP"),
        column("type", "TYPE"),
        column("state", "STATE"),
        column("assignor", "ASSIGNOR"),
        column("group_epoch", "EPOCH"),
        hidden("assignment_epoch"),
        column("members", "MEMBERS"),
    ];
    if !rows.is_empty() {
        List { columns: COLUMNS, rows }.show(args.format.format)?;
    }
    if on_terminal() && args.format.format.is_none() {
        for group in &groups {
            output::line("")?;
            if !group.members.is_empty() {
                member_list(group).show(None)?;
                output::line("")?;
            }
            let lags = admin.group(group.id.clone()).lag().await.map_err(|e| group_failure(&group.id, &e))?;
            lag::table(&lags, &Default::default(), None).show(None)?;
        }
    }
    failed.map_or(Ok(()), Err)
}

fn member_list(group: &GroupDescription) -> List {
    let rows = group.members.iter().map(|member| {
        let partitions: Vec<Value> = member.assignment.iter().map(|p| json!(p.to_string())).collect();
        let subscription = member.subscription.iter().map(|topic| topic.as_str());
        let subscription: Vec<&str> = subscription.chain(member.subscription_regex.as_deref()).collect();
        vec![
            json!(member.id.as_str()),
            json!(member.instance_id.as_deref()),
            json!(member.client_id.as_str()),
            json!(member.client_host.as_str()),
            json!(member.epoch),
            json!(subscription),
            json!(partitions.len()),
            Value::Array(partitions),
        ]
    });
    const COLUMNS: &[Column] = &[
        column("member", "MEMBER"),
        column("instance", "INSTANCE"),
        column("client_id", "CLIENT"),
        column("host", "HOST"),
        hidden("epoch"),
        column("subscription", "SUBSCRIPTION"),
        column("partitions", "PARTS"),
        hidden("assignment"),
    ];
    List { columns: COLUMNS, rows: rows.collect() }
}

async fn members(args: GroupMembersArgs) -> Result<(), Failure> {
    let group = client(&args.connection).await?.admin().group(args.group.as_str());
    let described = group.describe().await.map_err(|e| group_failure(&args.group, &e))?;
    if args.remove.is_empty() {
        return member_list(&described).show(args.format.format);
    }
    for name in &args.remove {
        let known = |m: &&felice::GroupMemberInfo| m.id.as_str() == name || m.instance_id.as_deref() == Some(name);
        match described.members.iter().find(known) {
            Some(member) => anstream::eprintln!("{name}  {}  {} partitions", member.client_id, member.assignment.len()),
            None => {
                return Err(Failure::new(Exit::NotFound, "unknown-member", format!("'{name}' is no member"))
                    .fix(format!("felice group members {}", args.group)));
            }
        }
    }
    if args.change.dry_run {
        anstream::eprintln!("Nothing was changed (--dry-run).");
        return Ok(());
    }
    if !args.change.yes && !confirmed("Take out of the group?")? {
        return Err(Failure::new(Exit::SomeFailed, "not-confirmed", "nothing was changed"));
    }
    let removed = group.remove_members(&args.remove).await.map_err(|e| group_failure(&args.group, &e))?;
    report(removed, |name| format!("{name} is out"), failure)
}

async fn delete(args: GroupDeleteArgs) -> Result<(), Failure> {
    let admin = client(&args.connection).await?.admin();
    let mut failed = None;
    let mut doomed = Vec::new();
    for name in &args.groups {
        let committed = admin.group(name.as_str()).committed().await.map_err(|e| group_failure(name, &e))?;
        let mut partitions: Vec<_> = committed.into_keys().collect();
        partitions.retain(|p| args.topics.is_empty() || args.topics.iter().any(|topic| p.topic.as_str() == topic));
        anstream::eprintln!("{name}  {} committed offsets", partitions.len());
        doomed.push((name, partitions));
    }
    if args.change.dry_run {
        anstream::eprintln!("Nothing was changed (--dry-run).");
        return Ok(());
    }
    if !args.change.yes && !confirmed("Delete?")? {
        return Err(Failure::new(Exit::SomeFailed, "not-confirmed", "nothing was deleted"));
    }
    if args.topics.is_empty() {
        for (name, result) in admin.delete_groups(&args.groups).await.map_err(|e| failure(&e))?.0 {
            match result {
                Ok(()) => anstream::eprintln!("{name} is deleted"),
                Err(error) => show_and_keep(&mut failed, group_failure(&name, &error)),
            }
        }
        return failed.map_or(Ok(()), Err);
    }
    for (name, partitions) in doomed.into_iter().filter(|(_, partitions)| !partitions.is_empty()) {
        let deleted =
            admin.group(name.as_str()).delete_offsets(partitions).await.map_err(|e| group_failure(name, &e))?;
        if let Err(last) = report(deleted, |p| format!("{name} has forgotten {p}"), failure) {
            show_and_keep(&mut failed, last);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Says what became of each item; the last failure is the caller's.
fn report<K>(
    results: PerItem<K, ()>,
    done: impl Fn(&K) -> String,
    failure: impl Fn(&felice::Error) -> Failure,
) -> Result<(), Failure> {
    let mut failed = None;
    for (key, result) in results.0 {
        match result {
            Ok(()) => anstream::eprintln!("{}", done(&key)),
            Err(error) => show_and_keep(&mut failed, failure(&error)),
        }
    }
    failed.map_or(Ok(()), Err)
}
