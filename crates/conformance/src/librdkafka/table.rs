//! What passes: `librdkafka/entries.tsv` for the original, with how long it took, and `librdkafka/skips`, which names what does not pass on ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{Outcome, Verdict, lists};

/// What an entry needs beside the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing, or a mock cluster of the library's.
    Nothing,
    /// Brokers.
    Brokers,
    /// Brokers that create no topics by themselves.
    NoAutoCreate,
}

impl Needs {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "local",
            Self::Brokers => "broker",
            Self::NoAutoCreate => "noautocreate",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Nothing, Self::Brokers, Self::NoAutoCreate].into_iter().find(|n| n.name() == name)
    }
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The entry, with `@consumer` if it needs that group protocol.
    pub entry: String,
    /// What it needs.
    pub needs: Needs,
    /// How it ends on the original.
    pub original: Verdict,
    /// How many parts of it pass there.
    pub parts: usize,
    /// How many seconds it takes there.
    pub seconds: u64,
    /// Whether the sample of CI has it.
    pub sampled: bool,
}

const HEADING: &str = "entry\tneeds\toriginal\tparts\tseconds\tsample";

/// Reads the table.
///
/// # Errors
/// When a line is no row.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    parse(&fs::read_to_string(path())?)
}

fn path() -> PathBuf {
    lists().join("entries.tsv")
}

fn parse(text: &str) -> anyhow::Result<Vec<Row>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && *line != HEADING && !line.is_empty());
    lines.map(|line| row(line).with_context(|| format!("no row: {line}"))).collect()
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [entry, needs, original, parts, seconds, sampled] = fields[..] else { return None };
    Some(Row {
        entry: entry.to_owned(),
        needs: Needs::named(needs)?,
        original: Verdict::named(original)?,
        parts: parts.parse().ok()?,
        seconds: seconds.parse().ok()?,
        sampled: match sampled {
            "yes" => true,
            "no" => false,
            _ => return None,
        },
    })
}

/// Writes the table, keeping the comment above it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(rows: &[Row]) -> anyhow::Result<()> {
    let old = fs::read_to_string(path()).unwrap_or_default();
    let mut text: String =
        old.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    text += HEADING;
    text.push('\n');
    for row in rows {
        text += &format!(
            "{}\t{}\t{}\t{}\t{}\t{}\n",
            row.entry,
            row.needs.name(),
            row.original.name(),
            row.parts,
            row.seconds,
            if row.sampled { "yes" } else { "no" }
        );
    }
    Ok(fs::write(path(), text)?)
}

/// Entries that need brokers, pass on Apache Kafka, and cannot on Felice's broker, each with its reason.
///
/// # Errors
/// As [`skips`].
pub fn broker_skips() -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(lists().join("broker-skips"))?;
    parse_skips(&text)
}

/// Checks of bindings that do not hold on ours (`BINDING/CHECK`), each with its reason.
///
/// # Errors
/// As [`skips`].
pub fn binding_skips() -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(lists().join("bindings/skips"))?;
    parse_skips(&text)
}

/// What does not pass on ours, each with its reason.
///
/// # Errors
/// When a line has no reason, or there are more than the list's own ceiling allows.
pub fn skips() -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(lists().join("skips"))?;
    parse_skips(&text)
}

fn parse_skips(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut ceiling = None;
    let mut skips = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, rest) = line.split_once(": ").with_context(|| format!("no reason: {line}"))?;
        if name == "at most" {
            ceiling = Some(rest.parse::<usize>()?);
        } else if skips.insert(name.to_owned(), rest.to_owned()).is_some() {
            bail!("{name} stands there twice");
        }
    }
    let ceiling = ceiling.context("no line `at most: N`")?;
    if skips.len() > ceiling {
        bail!("{} skips, at most {ceiling} are allowed: the list only shrinks", skips.len());
    }
    Ok(skips)
}

/// What an outcome on ours means, seen from the original's row and the list of skips; `None` if all is well.
pub fn fault(row: &Row, skip: Option<&str>, outcome: &Outcome) -> Option<String> {
    let passed = outcome.verdict == Verdict::Pass;
    let complete = outcome.parts >= row.parts;
    match (skip, passed && complete) {
        (None, true) => None,
        // Entries that read JSON need it where the suite is built; without it they skip themselves on the original too.
        (None, false) if outcome.verdict == Verdict::Skip && outcome.why.contains("RapidJSON") => None,
        (None, false) if passed => Some(format!("only {} of {} parts ran", outcome.parts, row.parts)),
        (None, false) => Some(format!("{}: {}", outcome.verdict.name(), outcome.why)),
        (Some(_), false) => None,
        (Some(reason), true) => Some(format!("it passes, but stands among the skips: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(verdict: Verdict, parts: usize) -> Outcome {
        Outcome { verdict, parts, time: Duration::ZERO, why: String::new(), log: PathBuf::new() }
    }

    #[test]
    fn the_committed_lists_can_be_read() {
        let rows = rows().unwrap();
        let skips = skips().unwrap();
        // Those of bindings are named BINDING/CHECK.
        for name in skips.keys().filter(|name| !name.contains('/')) {
            assert!(
                rows.iter().any(|row| row.entry == *name && row.original == Verdict::Pass),
                "{name}: not a passing entry"
            );
        }
    }

    #[test]
    fn a_pass_counts_only_if_whole_and_a_skip_only_while_it_fails() {
        let row = row("0004_conf\tlocal\tpass\t3\t1\tyes").unwrap();
        assert_eq!(fault(&row, None, &outcome(Verdict::Pass, 3)), None);
        assert!(fault(&row, None, &outcome(Verdict::Pass, 0)).is_some(), "an empty pass");
        assert!(fault(&row, None, &outcome(Verdict::Skip, 3)).is_some());
        assert_eq!(fault(&row, Some("why"), &outcome(Verdict::Fail, 0)), None);
        assert!(fault(&row, Some("why"), &outcome(Verdict::Pass, 3)).is_some());
    }

    #[test]
    fn the_list_of_skips_has_reasons_and_a_ceiling() {
        assert_eq!(parse_skips("at most: 1\n# x\na: because\n").unwrap().len(), 1);
        assert!(parse_skips("at most: 0\na: because\n").is_err());
        assert!(parse_skips("at most: 1\na\n").is_err());
        assert!(parse_skips("a: because\n").is_err());
    }
}
