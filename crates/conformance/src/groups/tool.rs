//! Kafka's own group tool as a judge: it must say of the broker what it says of Apache Kafka.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use anyhow::anyhow;

use crate::{Failure, peers, process};

const WITHIN: Duration = Duration::from_secs(180);

/// Performs `group_tool.script` on the broker at `bootstrap`, which has nothing yet, and compares what the tool says with
/// `group_tool.expected`; gives how many commands of the tool there were.
///
/// # Errors
/// [`Failure::Skip`] without Java, its compiler or Kafka's jars; otherwise each command whose answer differs.
pub fn judge(bootstrap: &str) -> Result<usize, Failure> {
    let folder = peers::sources().join("java");
    let script = fs::read_to_string(folder.join("group_tool.script"))?;
    let expected = fs::read_to_string(folder.join("group_tool.expected"))?;
    let finished = run(bootstrap, &script)?;
    let differences = differences(&expected, &finished.stdout);
    if !differences.is_empty() {
        return Err(anyhow!("{differences}{}", process::tail(&finished.stderr)).into());
    }
    if !finished.status.success() {
        return Err(anyhow!("{}: {}", finished.status, process::tail(&finished.stderr)).into());
    }
    let commands = expected.lines().filter(|line| line.starts_with("> tool")).count();
    Ok(commands)
}

/// Performs a script, and gives its commands and what was said on each.
///
/// # Errors
/// As [`judge`], and when a command cannot be performed.
pub fn transcript(bootstrap: &str, script: &str) -> Result<String, Failure> {
    let finished = run(bootstrap, script)?;
    if finished.status.success() {
        return Ok(finished.stdout);
    }
    Err(anyhow!("{}{}", process::tail(&finished.stdout), process::tail(&finished.stderr)).into())
}

fn run(bootstrap: &str, script: &str) -> Result<process::Finished, Failure> {
    let mut command = peers::java_compiled("GroupTool")?;
    let dir = tempfile::tempdir()?;
    Ok(process::run(command.arg(bootstrap).arg(dir.path()), script, WITHIN)?)
}

/// Every command whose answer is another than expected, with both.
fn differences(expected: &str, got: &str) -> String {
    let (expected, got) = (answers(expected), answers(got));
    let mut text = String::new();
    for (at, (command, answer)) in expected.iter().enumerate() {
        match got.get(at) {
            Some((same, other)) if same == command && other == answer => {}
            Some((same, other)) if same == command => {
                let _ = write!(text, "{command}\nApache Kafka:\n{answer}here:\n{other}\n");
            }
            _ => {
                let _ = writeln!(text, "{command}\nwas not performed");
                break;
            }
        }
    }
    text
}

/// Commands with what was said on each.
fn answers(transcript: &str) -> Vec<(&str, String)> {
    let mut answers: Vec<(&str, String)> = Vec::new();
    for line in transcript.lines() {
        match (line.strip_prefix("> "), answers.last_mut()) {
            (Some(command), _) => answers.push((command, String::new())),
            (None, Some((_, answer))) => {
                let _ = writeln!(answer, "  {line}");
            }
            (None, None) => {}
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_answered_otherwise_is_named_with_both_answers() {
        let expected = "> tool --list\na\nb\n> tool --delete\nok\n";
        assert_eq!(differences(expected, expected), "");
        let other = differences(expected, "> tool --list\na\n> tool --delete\nok\n");
        assert_eq!(other, "tool --list\nApache Kafka:\n  a\n  b\nhere:\n  a\n\n");
        assert_eq!(differences(expected, "> tool --list\na\nb\n"), "tool --delete\nwas not performed\n");
    }
}
