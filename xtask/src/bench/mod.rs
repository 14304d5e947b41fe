//! `xtask bench`: Felice and its peers on one piece of work, interleaved in one run on Apache Kafka; CPU time a record, which a shared
//! machine disturbs least. Writes the table that the README shows.
//!
//! - this file: the client and its peers, `cargo xtask bench`
//! - [`capi`]: our `librdkafka.so.1` and another one under the same programs, `cargo xtask bench capi`
//!
//! The peers' programs and Apache Kafka's launcher are not part of this repository: `FELICE_PEERS` names the folder that holds `peers/run`
//! and `kafka/kafka` (`../shared` beside the checkout without it).

mod capi;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::run;

const PORT: &str = "19392";
const BOOTSTRAP: &str = "127.0.0.1:19392";
const PARTITIONS: &str = "4";

/// One column of the table.
struct Work {
    title: &'static str,
    mode: &'static str,
    count: u64,
    size: usize,
}

/// Consumers read what the producers of the same size wrote.
const WORKS: [Work; 4] = [
    Work { title: "produce 100 B", mode: "produce", count: 3_000_000, size: 100 },
    Work { title: "consume 100 B", mode: "consume", count: 3_000_000, size: 100 },
    Work { title: "produce 1 KiB", mode: "produce", count: 600_000, size: 1024 },
    Work { title: "consume 1 KiB", mode: "consume", count: 600_000, size: 1024 },
];

/// `(name in the table, name of the peer's program)`; the first two are this project's.
const CLIENTS: [(&str, &str); 6] = [
    ("**felice**", "felice"),
    ("felice as `librdkafka.so.1`, from C", "felice-capi"),
    ("franz-go 1.22.2", "franz"),
    ("kacrab 0.4.0", "kacrab"),
    ("krafka 0.28.1", "krafka"),
    ("librdkafka (the system's), from C", "librdkafka"),
];

/// Figures a cell has: CPU nanoseconds a record, one a round.
type Figures = BTreeMap<(usize, usize), Vec<f64>>;

/// With `--built` nothing is built: what `cargo build --release -p felice-cli -p felice-capi` left is measured.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let builds = !arguments.contains(&"--built");
    let arguments: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--built").collect();
    let arguments = arguments.as_slice();
    if let ["capi", rest @ ..] = arguments {
        return capi::run(rest, builds);
    }
    let rounds = match arguments {
        [] => 3,
        ["--rounds", n] => n.parse().context("--rounds takes a number")?,
        _ => bail!("cargo xtask bench [--rounds N] [--built] | bench capi [--original DIR] [--rounds N] [--built]"),
    };
    let Some(bench) = Bench::prepare(builds)? else { return Ok(()) };
    bench.start_kafka()?;
    let measured = bench.measure(rounds);
    bench.kafka(&["stop"])?;
    let table = table(&measured?);
    println!("{table}");
    write_table("README.md", "cargo xtask bench", &table)
}

struct Bench {
    shared: PathBuf,
    directory: PathBuf,
}

impl Bench {
    /// Builds what is measured; `None` where there are no peers.
    fn prepare(builds: bool) -> Result<Option<Self>> {
        let shared = std::env::var_os("FELICE_PEERS").map_or_else(|| run::root().join("../shared"), PathBuf::from);
        if !shared.join("peers/run").exists() {
            println!("SKIP bench: no peers in {} (FELICE_PEERS)", shared.display());
            return Ok(None);
        }
        if builds {
            run::check(&mut run::cargo(&["build", "--release", "-p", "felice-cli", "-p", "felice-capi"]))?;
        }
        let bench = Self { shared, directory: run::target_dir().join("bench") };
        std::fs::create_dir_all(&bench.directory)?;
        Ok(Some(bench))
    }

    fn kafka(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.shared.join("kafka/kafka"));
        let (verb, rest) = arguments.split_first().context("a verb")?;
        command.arg(verb).arg(self.directory.join("kafka")).args(rest);
        command.env("KAFKA_EXTRA", self.directory.join("extra.properties"));
        run::check(&mut command)
    }

    fn start_kafka(&self) -> Result<()> {
        let data = self.directory.join("kafka");
        if data.exists() {
            // A run that was broken off left its broker and its topics.
            self.kafka(&["stop"])?;
            std::fs::remove_dir_all(&data)?;
        }
        // Topics of the last round must not fill the disk.
        std::fs::write(self.directory.join("extra.properties"), "file.delete.delay.ms=1000\n")?;
        self.kafka(&["start", PORT])
    }

    fn felice(&self) -> Command {
        let mut command = Command::new(run::target_dir().join("release/felice"));
        command.env("FELICE_BOOTSTRAP", BOOTSTRAP);
        command
    }

    fn measure(&self, rounds: usize) -> Result<Figures> {
        let mut figures = Figures::new();
        for round in 0..rounds {
            for (column, work) in WORKS.iter().enumerate() {
                for (row, (_, client)) in CLIENTS.iter().enumerate() {
                    // Each producer writes a topic of its own; all consumers of a round read what Felice wrote.
                    let topic = format!(
                        "bench-{}-{round}-{}",
                        work.size,
                        if work.mode == "produce" { client } else { "felice" }
                    );
                    if work.mode == "produce" {
                        run::check(self.felice().args(["topic", "create", &topic, "-p", PARTITIONS]))?;
                    }
                    match self.one(client, work, &topic) {
                        Ok(nanos) => {
                            println!("round {round}  {:14} {client:12} {nanos:7.0} ns", work.title);
                            figures.entry((row, column)).or_default().push(nanos);
                        }
                        Err(error) => println!("SKIP {client} {}: {error:#}", work.title),
                    }
                    if work.mode == "produce" && *client != "felice" {
                        run::check(self.felice().args(["topic", "delete", &topic, "--yes"]))?;
                    }
                }
                if work.mode == "consume" {
                    let topic = format!("bench-{}-{round}-felice", work.size);
                    run::check(self.felice().args(["topic", "delete", &topic, "--yes"]))?;
                }
            }
        }
        Ok(figures)
    }

    /// CPU nanoseconds a record of one run.
    fn one(&self, client: &str, work: &Work, topic: &str) -> Result<f64> {
        let (count, size) = (work.count.to_string(), work.size.to_string());
        let mut command = if client == "felice" {
            let mut command = self.felice();
            command.args([
                "perf",
                work.mode,
                topic,
                "--count",
                &count,
                "--size",
                &size,
                "--compression",
                "none",
                "--json",
            ]);
            command
        } else {
            let mut command = Command::new("timeout");
            command.arg("300").arg(self.shared.join("peers/run"));
            command.arg(if client == "felice-capi" { "librdkafka" } else { client });
            command.args([work.mode, BOOTSTRAP, topic, &count, &size, "none", PARTITIONS]);
            if client == "felice-capi" {
                command.env("LD_LIBRARY_PATH", capi_directory()?);
            }
            command
        };
        let output = run::output(&mut command)?;
        let json: Value = serde_json::from_str(output.trim()).with_context(|| format!("not JSON: {output}"))?;
        let seconds = |name: &str| json[name].as_f64().with_context(|| format!("no {name} in {json}"));
        Ok((seconds("user_s")? + seconds("sys_s")?) * 1e9 / json["count"].as_f64().context("no count")?)
    }
}

/// A folder that holds nothing but this project's library under its SONAME.
fn capi_directory() -> Result<PathBuf> {
    let release = run::target_dir().join("release");
    let folder = release.join("capi");
    std::fs::create_dir_all(&folder)?;
    let link = folder.join("librdkafka.so.1");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(release.join("librdkafka.so").canonicalize()?, &link)?;
    Ok(folder)
}

fn table(figures: &Figures) -> String {
    let titles: Vec<&str> = WORKS.iter().map(|work| work.title).collect();
    let mut out = format!("| CPU ns a record | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(WORKS.len()));
    for (row, (name, _)) in CLIENTS.iter().enumerate() {
        let cells: Vec<String> = (0..WORKS.len())
            .map(|column| {
                let best = figures.get(&(row, column)).and_then(|all| all.iter().copied().min_by(f64::total_cmp));
                best.map_or_else(|| "-".to_owned(), |nanos| format!("{nanos:.0}"))
            })
            .collect();
        out += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    out
}

/// Replaces the table between the two comments in a file of the repository that name `what`.
fn write_table(file: &str, what: &str, table: &str) -> Result<()> {
    let path: &Path = &run::root().join(file);
    let text = std::fs::read_to_string(path).with_context(|| file.to_owned())?;
    let (begin, end) = (format!("<!-- {what} -->\n"), format!("<!-- /{what} -->"));
    let (head, rest) = text.split_once(&begin).with_context(|| format!("{file} has no place for the table"))?;
    let (_, tail) = rest.split_once(&end).with_context(|| format!("the table's place in {file} has no end"))?;
    std::fs::write(path, format!("{head}{begin}{table}{end}{tail}"))?;
    Ok(())
}
