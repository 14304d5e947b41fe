//! `felice group seek` and `restore`: shows the plan, keeps what was committed in an undo file, then commits.

use std::path::{Path, PathBuf};

use felice::{Admin, ErrorCode, Group, Seek, SeekPlan, TopicPartition};
use serde_json::{Value, json};

use super::{group_failure, report};
use crate::args::{Change, GroupRestoreArgs, GroupSeekArgs};
use crate::ask::confirmed;
use crate::connect::{client, failure};
use crate::failure::{Exit, Failure, local_io};
use crate::offset::{Start, now};
use crate::output::{Column, List, column, thousands};

pub(super) async fn run(args: GroupSeekArgs) -> Result<(), Failure> {
    let to = args.to.as_deref().map(|to| Start::parse(to, &now())).transpose()?;
    let admin = client(&args.connection).await?.admin();
    let group = admin.group(args.group.as_str());
    let plan = match (to, args.by, &args.to_group) {
        (Some(to), ..) => group.plan_seek(Seek::from(to)),
        (None, Some(records), _) => group.plan_shift(records),
        (None, None, other) => group.plan_offsets(offsets_of(&admin, other.as_deref().unwrap_or_default()).await?),
    };
    let plan = args.topics.iter().fold(plan, |plan, topic| plan.topic(topic));
    let plan = plan.await.map_err(|e| group_failure(&args.group, &e))?;
    carry_out(&group, plan, args.change).await
}

async fn offsets_of(admin: &Admin, group: &str) -> Result<Vec<(TopicPartition, i64)>, Failure> {
    let committed = admin.group(group).committed().await.map_err(|e| group_failure(group, &e))?;
    Ok(committed.into_iter().map(|(p, committed)| (p, committed.offset)).collect())
}

async fn carry_out(group: &Group, plan: SeekPlan, change: Change) -> Result<(), Failure> {
    show(&plan)?;
    let records = records(&plan);
    if change.dry_run {
        anstream::eprintln!("{} partitions, {records}. Nothing was changed (--dry-run).", plan.moves().len());
        return Ok(());
    }
    if !change.yes && !confirmed("Move the group?")? {
        return Err(Failure::new(Exit::SomeFailed, "not-confirmed", "nothing was changed"));
    }
    // Members would commit over it: better said before a file is written.
    match group.describe().await {
        Ok(description) if !description.members.is_empty() => {
            let members = description.members.len();
            return Err(Failure::new(
                Exit::SomeFailed,
                "group-not-empty",
                format!("{} has {members} members", group.id()),
            )
            .fix("stop its members first; a group without members can be moved"));
        }
        Ok(_) => {}
        Err(error) if error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => {}
        Err(error) => return Err(group_failure(group.id(), &error)),
    }
    let undo = keep(group.id(), &plan)?;
    let partitions = plan.moves().len();
    let applied = plan.apply().await.map_err(|e| group_failure(group.id(), &e))?;
    if applied.failed().next().is_some() {
        return report(applied, |p| format!("{p} is moved"), failure);
    }
    anstream::eprintln!("{partitions} partitions moved, {records}.  undo: felice group restore {}", undo.display());
    Ok(())
}

fn show(plan: &SeekPlan) -> Result<(), Failure> {
    const COLUMNS: &[Column] = &[
        column("topic", "TOPIC"),
        column("partition", "PART"),
        column("committed", "COMMITTED"),
        column("target", "TARGET"),
        column("change", "CHANGE"),
    ];
    let rows = plan.moves().iter().map(|m| {
        let change = m.committed.map(|committed| m.target - committed);
        vec![
            json!(m.partition.topic.as_str()),
            json!(m.partition.partition),
            json!(m.committed),
            json!(m.target),
            json!(change),
        ]
    });
    List { columns: COLUMNS, rows: rows.collect() }.show(None)
}

/// What the move means for the members.
fn records(plan: &SeekPlan) -> String {
    let changes = plan.moves().iter().filter_map(|m| Some(m.target - m.committed?));
    let (mut again, mut skipped) = (0, 0);
    for change in changes {
        if change < 0 { again -= change } else { skipped += change }
    }
    match (again, skipped) {
        (0, 0) => "no record will be read again or left out".to_owned(),
        (again, 0) => format!("{} records will be read again", thousands(again)),
        (0, skipped) => format!("{} records will be left out", thousands(skipped)),
        (again, skipped) => {
            format!("{} records will be read again, {} left out", thousands(again), thousands(skipped))
        }
    }
}

/// Where undo files lie: `$XDG_STATE_HOME/felice/undo`, or the same below `~/.local/state`.
fn undo_folder() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("felice/undo")
}

/// Writes what is committed now, so that it can be put back.
fn keep(group: &str, plan: &SeekPlan) -> Result<PathBuf, Failure> {
    let folder = undo_folder();
    let cannot = |e: std::io::Error| local_io(format!("cannot keep the old offsets in {}", folder.display()), &e);
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    let offsets: Vec<Value> = plan
        .moves()
        .iter()
        .filter_map(|m| {
            Some(json!({"topic": m.partition.topic.as_str(), "partition": m.partition.partition, "offset": m.committed?}))
        })
        .collect();
    // A group's id may hold what no file name can.
    let name: String =
        group.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(80).collect();
    let at = now().strftime("%Y%m%d-%H%M%S%.3f").to_string();
    let path = folder.join(format!("{name}-{at}.json"));
    let text = format!("{}\n", json!({"group": group, "offsets": offsets}));
    std::fs::write(&path, text).map_err(cannot)?;
    Ok(path)
}

pub(super) async fn restore(args: GroupRestoreArgs) -> Result<(), Failure> {
    let (name, offsets) = read(&args.file)?;
    let group = client(&args.connection).await?.admin().group(name.as_str());
    let plan = group.plan_offsets(offsets).await.map_err(|e| group_failure(&name, &e))?;
    carry_out(&group, plan, args.change).await
}

fn read(path: &Path) -> Result<(String, Vec<(TopicPartition, i64)>), Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| local_io(format!("cannot read {}", path.display()), &e))?;
    let wrong = || Failure::usage(format!("{} is no undo file of felice group seek", path.display()));
    let value: Value = serde_json::from_str(&text).map_err(|e| wrong().evidence(e))?;
    let group = value.get("group").and_then(Value::as_str).ok_or_else(wrong)?;
    let offset = |entry: &Value| {
        let partition = i32::try_from(entry.get("partition")?.as_i64()?).ok()?;
        Some((TopicPartition::new(entry.get("topic")?.as_str()?, partition), entry.get("offset")?.as_i64()?))
    };
    let entries = value.get("offsets").and_then(Value::as_array).ok_or_else(wrong)?;
    let offsets = entries.iter().map(offset).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    Ok((group.to_owned(), offsets))
}
