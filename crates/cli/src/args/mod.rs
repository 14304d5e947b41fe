//! The command line, as clap reads it. What a command does with it stands in `commands/`.

mod group;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::group::{
    Change, GroupCommand, GroupDeleteArgs, GroupDescribeArgs, GroupLagArgs, GroupListArgs, GroupMembersArgs,
    GroupRestoreArgs, GroupSeekArgs,
};

/// Kafka in one box: a broker, and the tools for any broker.
#[derive(Debug, Parser)]
#[command(name = "felice", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker: prints `ready HOST:PORT` when it accepts connections; SIGTERM or Ctrl-C stops it
    Broker(BrokerArgs),
    /// Create, list, describe and delete topics
    #[command(subcommand, visible_alias = "topics")]
    Topic(TopicCommand),
    /// See how far groups are, move and delete them
    #[command(subcommand, visible_alias = "groups")]
    Group(GroupCommand),
    /// Write lines as records
    Produce(ProduceArgs),
    /// Read records
    Consume(ConsumeArgs),
    /// Measure the client against a broker: CPU time, wall time, latency
    #[command(subcommand)]
    Perf(PerfCommand),
    /// The whole way in one command: a broker, a file's lines through producer, broker and consumer, and a check
    Quickstart(QuickstartArgs),
}

/// How to reach a cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// Brokers to start from, comma-separated
    #[arg(short, long, value_name = "HOST:PORT", env = "FELICE_BOOTSTRAP", default_value = "localhost:9092")]
    pub(crate) bootstrap: String,
    /// A client property, by Kafka's or librdkafka's name (repeatable)
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    /// Where to listen, 127.0.0.1:9092 without it; port 0 takes a free one. With --user clients must authenticate, with --tls-certificate use TLS
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "listeners")]
    pub(crate) listen: Option<String>,
    /// A listener in Kafka's words: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, as in SASL_SSL://0.0.0.0:9093 (repeatable)
    #[arg(long = "listener", value_name = "NAME://HOST:PORT")]
    pub(crate) listeners: Vec<String>,
    /// Somebody who may log in, with PLAIN or SCRAM (repeatable)
    #[arg(long = "user", value_name = "NAME:PASSWORD", value_parser = user)]
    pub(crate) users: Vec<(String, String)>,
    /// The certificate chain of TLS listeners, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The key of that certificate, PEM; -X ssl.key.password opens an encrypted one
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where to keep data; without it, a temporary directory that goes away at exit
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Brokers in this process
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) nodes: u16,
    /// A broker property, by Kafka's name (repeatable)
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create topics
    Create(TopicCreateArgs),
    /// List topics
    #[command(visible_alias = "ls")]
    List(TopicListArgs),
    /// Show a topic's partitions, offsets and configuration
    Describe(TopicDescribeArgs),
    /// Delete topics and all their records
    #[command(visible_alias = "rm")]
    Delete(TopicDeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TopicCreateArgs {
    /// The topics' names
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Partitions; the broker's default without it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// Replicas of each partition; the broker's default without it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub(crate) replicas: Option<i16>,
    /// A topic property, by Kafka's name (repeatable)
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) config: Vec<(String, String)>,
    /// A topic that exists is no error
    #[arg(long)]
    pub(crate) if_not_exists: bool,
    /// Only ask the broker whether it would work
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TopicListArgs {
    /// Internal topics too
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TopicDescribeArgs {
    /// The topics' names
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TopicDeleteArgs {
    /// The topics' names
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Do not ask; required where there is no terminal to ask on
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Only show what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How lists are shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ListFormat {
    /// A table on a terminal, else NDJSON
    #[arg(short, long, value_enum, env = "FELICE_FORMAT")]
    pub(crate) format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    Table,
    /// One JSON object a line
    Json,
    /// Tab-separated values
    Tsv,
    /// Names alone
    Name,
}

#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    /// The topic
    pub(crate) topic: String,
    /// The file whose lines are the records; standard input without it
    pub(crate) file: Option<PathBuf>,
    /// What separates a key from its value (`\t` and the like are understood); the first one in a line counts
    #[arg(short = 'K', value_name = "SEPARATOR")]
    pub(crate) key_separator: Option<String>,
    /// One key for every record
    #[arg(short, long, value_name = "KEY", conflicts_with = "key_separator")]
    pub(crate) key: Option<String>,
    /// A header for every record (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) headers: Vec<(String, String)>,
    /// The partition for every record, instead of the partitioner's choice
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// An empty value is null (a tombstone)
    #[arg(short = 'Z', long)]
    pub(crate) null: bool,
    /// Lines need not be UTF-8
    #[arg(long)]
    pub(crate) binary: bool,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC")]
    pub(crate) compression: Option<String>,
    /// all, 1 or 0
    #[arg(long, value_name = "ACKS")]
    pub(crate) acks: Option<String>,
    /// No summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    /// The topic
    pub(crate) topic: String,
    /// Where to start: start, end, an OFFSET, -N or end-N (the last N of each partition), @TIME (a date, RFC 3339, unix time, @-1h); with
    /// -g, start or end, for partitions of which the group has committed nothing
    #[arg(short, long, value_name = "OFFSET", default_value = "start", allow_hyphen_values = true)]
    pub(crate) offset: String,
    /// Stop after that many records
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// Stop at the end that each partition had when reading began
    #[arg(short, long)]
    pub(crate) exit: bool,
    /// Only this partition (repeatable)
    #[arg(short, long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partitions: Vec<i32>,
    /// `json`, or a text with %t topic, %p partition, %o offset, %k key, %v value, %h headers, %T timestamp, %%
    #[arg(short, long, value_name = "FORMAT", env = "FELICE_FORMAT")]
    pub(crate) format: Option<String>,
    /// As a member of this group: from what it has committed, and what is printed is committed
    #[arg(short, long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PerfCommand {
    /// Write records as fast as it goes, each acknowledged
    Produce(PerfArgs),
    /// Read records as fast as it goes
    Consume(PerfArgs),
    /// From `send` to the reader at 1,000 records a second
    Latency(PerfArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PerfArgs {
    /// The topic; it must exist
    pub(crate) topic: String,
    /// Records: 1,000,000 without it, 10,000 for latency
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Bytes of each value
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) size: usize,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC", default_value = "none")]
    pub(crate) compression: String,
    /// Consume as a member of this group, from what it has committed or else from the start
    #[arg(short = 'g', long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// One line of JSON even on a terminal
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// The file whose lines go through; a built-in sample without it
    pub(crate) file: Option<PathBuf>,
    /// Split a key off each line at this separator
    #[arg(short = 'K', value_name = "SEPARATOR")]
    pub(crate) key_separator: Option<String>,
}

fn user(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), password.to_owned()))
        }
        _ => Err("write NAME:PASSWORD".to_owned()),
    }
}

/// Reads `NAME=VALUE`.
fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("this takes NAME=VALUE".to_owned()),
    }
}

/// Understands `\t`, `\n`, `\0` and `\\` in a separator.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            (_, true) => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('0') => out.push('\0'),
                Some('\\') => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_negative_offset_is_an_offset_and_no_option() {
        let cli = Cli::try_parse_from(["felice", "consume", "t", "-o", "-5"]).unwrap();
        assert!(matches!(cli.command, Command::Consume(ConsumeArgs { offset, .. }) if offset == "-5"));
    }

    #[test]
    fn separators_understand_escapes() {
        assert_eq!(unescape(r"\t"), "\t");
        assert_eq!(unescape(r"a\\b\x"), r"a\b\x");
    }

    #[test]
    fn a_property_needs_a_name() {
        assert!(property("=x").is_err());
        assert_eq!(property("a=b=c").unwrap(), ("a".into(), "b=c".into()));
    }
}
