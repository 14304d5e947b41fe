//! `felice group …`

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::{Connection, ListFormat};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups
    #[command(visible_alias = "ls")]
    List(GroupListArgs),
    /// Show groups: state, assignor, members, and where they are
    Describe(GroupDescribeArgs),
    /// Show how far a group is behind, in records and in time
    Lag(GroupLagArgs),
    /// Let a group read on from another place; prints the line that undoes it
    Seek(GroupSeekArgs),
    /// Put back the offsets that a seek has kept
    Restore(GroupRestoreArgs),
    /// Delete groups, or what a group has committed of a topic
    #[command(visible_alias = "rm")]
    Delete(GroupDeleteArgs),
    /// Show a group's members; take out those that are gone for good
    Members(GroupMembersArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GroupListArgs {
    /// Only groups in this state, by Kafka's name: Stable, Empty, PreparingRebalance … (repeatable)
    #[arg(long = "state", value_name = "STATE")]
    pub(crate) states: Vec<String>,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GroupDescribeArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GroupLagArgs {
    /// The group
    pub(crate) group: String,
    /// Only this topic (repeatable)
    #[arg(long = "topic", value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Show it again and again, with what comes in and goes out, until Ctrl-C
    #[arg(long, value_name = "EVERY", value_parser = duration)]
    pub(crate) watch: Option<std::time::Duration>,
    /// Exit with 6 where a partition is behind by more records
    #[arg(long, value_name = "RECORDS")]
    pub(crate) fail_over: Option<i64>,
    /// Exit with 6 where a partition is behind by a longer time (90s, 5m, 2h)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) fail_behind: Option<std::time::Duration>,
    /// No table: the exit code alone
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("where").required(true).args(["to", "by", "to_group"]))]
pub(crate) struct GroupSeekArgs {
    /// The group; it must have no members
    pub(crate) group: String,
    /// Where to: start, end, an OFFSET, -N or end-N (the last N of each partition), @TIME (a date, RFC 3339, unix time, @-1h)
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// So many records forwards, or backwards where it is negative
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) by: Option<i64>,
    /// Where another group is
    #[arg(long, value_name = "GROUP")]
    pub(crate) to_group: Option<String>,
    /// All partitions of this topic, instead of those that the group has committed (repeatable)
    #[arg(long = "topic", value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GroupRestoreArgs {
    /// The file that a seek has written
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GroupDeleteArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Only what they have committed of this topic (repeatable)
    #[arg(long = "topic", value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GroupMembersArgs {
    /// The group
    pub(crate) group: String,
    /// Take this member out, by its id or its group.instance.id (repeatable)
    #[arg(long = "remove", value_name = "MEMBER")]
    pub(crate) remove: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How a change is confirmed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Change {
    /// Do not ask; required where there is no terminal to ask on
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Only show what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Reads `90s`, `5m`, `1h30m`, `500ms`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "this takes a time such as 90s, 5m or 1h30m".to_owned())?;
    span.try_into().map_err(|_| "this takes a time that is not negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_understood() {
        assert_eq!(duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(duration("500ms").unwrap().as_millis(), 500);
        assert!(duration("soon").is_err() && duration("-5s").is_err());
    }
}
