//! Kafka's console tools as a judge: what a person types first.

use std::time::Duration;

use anyhow::{bail, ensure};

use super::Report;
use crate::{Failure, kafka, process};

const WITHIN: Duration = Duration::from_secs(90);

/// Each codec's records are lines `CODEC-KEY:CODEC-NUMBER`.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

pub(super) fn judge(bootstrap: &str, topic: &str, count: usize) -> Result<Report, Failure> {
    kafka::jars(kafka::VERSION)?;
    let mut console = Console { bootstrap, checks: Vec::new() };
    console.scenario(topic, count)?;
    Ok(Report { client: format!("console tools {}", kafka::VERSION), checks: console.checks })
}

struct Console<'a> {
    bootstrap: &'a str,
    checks: Vec<String>,
}

impl Console<'_> {
    fn scenario(&mut self, topic: &str, count: usize) -> anyhow::Result<()> {
        let topics = "org.apache.kafka.tools.TopicCommand";
        self.tool(topics, &["--create", "--topic", topic, "--partitions", "4", "--replication-factor", "1"], "")?;
        self.held("create");
        let described = self.tool(topics, &["--describe", "--topic", topic], "")?;
        ensure!(described.contains("PartitionCount: 4"), "describe says: {described}");
        ensure!(
            described.matches("Leader: ").count() == 4 && !described.contains("Leader: none"),
            "describe says: {described}"
        );
        self.held("describe");

        let mut expected = Vec::new();
        for codec in CODECS {
            let lines: Vec<_> = (0..count).map(|i| format!("{codec}-{}:{codec}-{i}", i % 17)).collect();
            let producer = "org.apache.kafka.tools.ConsoleProducer";
            let options = [
                "--topic",
                topic,
                "--compression-codec",
                codec,
                "--reader-property",
                "parse.key=true",
                "--reader-property",
                "key.separator=:",
            ];
            self.tool(producer, &options, &(lines.join("\n") + "\n"))?;
            expected.extend(lines);
            self.held(&format!("produce-{codec}"));
        }

        let offsets = self.tool("org.apache.kafka.tools.GetOffsetShell", &["--topic", topic, "--time", "-1"], "")?;
        let mut ends = Vec::new();
        for line in offsets.lines() {
            let mut fields = line.rsplit(':');
            if let (Some(end), Some(partition)) = (fields.next(), fields.next()) {
                ends.push((partition.to_owned(), end.parse::<usize>()?));
            }
        }
        let total: usize = ends.iter().map(|(_, end)| end).sum();
        ensure!(
            ends.len() == 4 && total == expected.len(),
            "get-offsets says {offsets}, expected {} in all",
            expected.len()
        );
        self.held("get-offsets");

        let mut got = Vec::new();
        for (partition, end) in &ends {
            if *end == 0 {
                continue;
            }
            let end = end.to_string();
            let options = [
                "--topic",
                topic,
                "--partition",
                partition,
                "--offset",
                "earliest",
                "--max-messages",
                &end,
                "--timeout-ms",
                "30000",
                "--formatter-property",
                "print.key=true",
                "--formatter-property",
                "key.separator=:",
            ];
            let lines = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &options, "")?;
            got.extend(lines.lines().map(str::to_owned));
        }
        same_per_key(&expected, &got)?;
        self.held("consume-partitions");

        self.tool(topics, &["--delete", "--topic", topic], "")?;
        let listed = self.tool(topics, &["--list"], "")?;
        ensure!(!listed.lines().any(|l| l == topic), "after its deletion {topic} is listed");
        self.held("delete");
        Ok(())
    }

    fn tool(&self, class: &str, options: &[&str], input: &str) -> anyhow::Result<String> {
        let mut command = match kafka::java(kafka::VERSION) {
            Ok(command) => command,
            Err(failure) => bail!("{failure}"),
        };
        command.args(["-XX:TieredStopAtLevel=1", class, "--bootstrap-server", self.bootstrap]).args(options);
        let finished = process::run(&mut command, input, WITHIN)?;
        let name = class.rsplit('.').next().unwrap_or(class);
        ensure!(
            finished.status.success() && !finished.stderr.contains("Exception"),
            "{name} {options:?} failed ({}) after {:?}: {}{}",
            finished.status,
            self.checks,
            process::tail(&finished.stdout),
            process::tail(&finished.stderr)
        );
        Ok(finished.stdout)
    }

    fn held(&mut self, check: &str) {
        self.checks.push(check.to_owned());
    }
}

/// Every key's values come out in the order they went in.
fn same_per_key(expected: &[String], got: &[String]) -> anyhow::Result<()> {
    let by_key = |lines: &[String]| {
        let mut keys = std::collections::BTreeMap::<String, Vec<String>>::new();
        for line in lines {
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            keys.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        keys
    };
    let (expected, got) = (by_key(expected), by_key(got));
    ensure!(expected.len() == got.len(), "{} keys went in, {} came out", expected.len(), got.len());
    for (key, values) in &expected {
        ensure!(
            got.get(key) == Some(values),
            "key {key}: {} values went in; others or another order came out",
            values.len()
        );
    }
    Ok(())
}
