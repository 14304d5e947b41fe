//! `xtask bench capi`: the same programs on our `librdkafka.so.1` and on another one, by turns in one run on Apache Kafka. Writes the table of
//! `docs/capi.md`.
//!
//! `--original DIR` holds the other library; without it the loader's is taken. On a machine that is busy with other work,
//! `chrt -r 5 cargo xtask bench capi --built` puts programs and broker before all else, so that wall times and latencies mean something.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{BOOTSTRAP, Bench, capi_directory, write_table};
use crate::run;

/// What one program does.
struct Work {
    client: &'static str,
    mode: &'static str,
    count: u64,
    size: usize,
    partitions: &'static str,
}

const fn work(client: &'static str, mode: &'static str, count: u64, size: usize, partitions: &'static str) -> Work {
    Work { client, mode, count, size, partitions }
}

const WORKS: [Work; 7] = [
    work("librdkafka", "produce", 3_000_000, 100, "4"),
    work("librdkafka", "produce", 600_000, 1024, "4"),
    work("librdkafka", "consume", 4_000_000, 100, "4"),
    work("librdkafka", "consume-batch", 4_000_000, 100, "4"),
    work("librdkafka", "consume", 600_000, 1024, "4"),
    work("confluent-dynamic", "consume", 4_000_000, 100, "4"),
    work("librdkafka", "latency", 5_000, 8, "1"),
];

/// What of a program's answer is shown, over all rounds.
enum Figure {
    /// The least.
    CpuNanos,
    /// The median.
    WallSeconds,
    /// The median.
    Named(&'static str),
}

/// `(title, index in WORKS, figure)`.
const ROWS: [(&str, usize, Figure); 14] = [
    ("produce 100 B, CPU ns a record", 0, Figure::CpuNanos),
    ("produce 1 KiB, CPU ns a record", 1, Figure::CpuNanos),
    ("consume 100 B, CPU ns a record", 2, Figure::CpuNanos),
    ("consume-batch 100 B, CPU ns a record", 3, Figure::CpuNanos),
    ("consume 1 KiB, CPU ns a record", 4, Figure::CpuNanos),
    ("produce 3 M of 100 B, wall s", 0, Figure::WallSeconds),
    ("consume 4 M of 100 B, wall s", 2, Figure::WallSeconds),
    ("consume-batch 4 M of 100 B, wall s", 3, Figure::WallSeconds),
    ("confluent-kafka-go, consume 4 M of 100 B, wall s", 5, Figure::WallSeconds),
    ("confluent-kafka-go, consume 100 B, CPU ns a record", 5, Figure::CpuNanos),
    ("produce 100 B, peak memory MB", 0, Figure::Named("maxrss_mb")),
    ("consume 100 B, peak memory MB", 2, Figure::Named("maxrss_mb")),
    ("end to end at 1,000 a second, p50 µs", 6, Figure::Named("p50_us")),
    ("end to end at 1,000 a second, p99 µs", 6, Figure::Named("p99_us")),
];

/// Each side's answers to each work, one a round.
type Answers = [[Vec<Value>; WORKS.len()]; 2];

pub(super) fn run(arguments: &[&str], builds: bool) -> Result<()> {
    let (mut rounds, mut original) = (7, None);
    for pair in arguments.chunks(2) {
        match pair {
            ["--rounds", n] => rounds = n.parse().context("--rounds takes a number")?,
            ["--original", directory] => original = Some(PathBuf::from(directory).canonicalize()?),
            _ => bail!("cargo xtask bench capi [--original DIR] [--rounds N]"),
        }
    }
    let Some(bench) = Bench::prepare(builds)? else { return Ok(()) };
    let libraries = [Some(capi_directory()?), original];
    bench.start_kafka()?;
    let answers = measure(&bench, &libraries, rounds);
    bench.kafka(&["stop"])?;
    let table = table(&answers?);
    println!("{table}");
    write_table("docs/capi.md", "cargo xtask bench capi", &table)
}

fn measure(bench: &Bench, libraries: &[Option<PathBuf>; 2], rounds: usize) -> Result<Answers> {
    let sources = [(100, 4_000_000), (1024, 600_000)];
    for (size, count) in sources {
        let topic = format!("capi-{size}");
        run::check(bench.felice().args(["topic", "create", &topic, "-p", "4"]))?;
        let source = work("librdkafka", "produce", count, size, "4");
        one(bench, libraries[0].as_ref(), &source, &topic)?;
    }
    let mut answers = Answers::default();
    // The first round is Kafka's: its JVM compiles meanwhile, and its tail is three times as long as later.
    for round in 0..=rounds {
        for (at, work) in WORKS.iter().enumerate() {
            // Neither is always first.
            for side in [round % 2, 1 - round % 2] {
                let writes = !work.mode.starts_with("consume");
                let own = format!("capi-{round}-{at}-{side}");
                let topic = if writes { own } else { format!("capi-{}", work.size) };
                if writes {
                    run::check(bench.felice().args(["topic", "create", &topic, "-p", work.partitions]))?;
                }
                match one(bench, libraries[side].as_ref(), work, &topic) {
                    Ok(answer) => {
                        println!("round {round}  {}  {answer}", ["felice", "original"][side]);
                        if round > 0 {
                            answers[side][at].push(answer);
                        }
                    }
                    Err(error) => println!("SKIP {} {}: {error:#}", work.client, work.mode),
                }
                if writes {
                    run::check(bench.felice().args(["topic", "delete", &topic, "--yes"]))?;
                }
            }
        }
    }
    Ok(answers)
}

fn one(bench: &Bench, library: Option<&PathBuf>, work: &Work, topic: &str) -> Result<Value> {
    let mut command = Command::new("timeout");
    command.arg("300").arg(bench.shared.join("peers/run"));
    let (count, size) = (work.count.to_string(), work.size.to_string());
    command.args([work.client, work.mode, BOOTSTRAP, topic, &count, &size, "none", work.partitions]);
    if let Some(library) = library {
        command.env("LD_LIBRARY_PATH", library);
    }
    let output = run::output(&mut command)?;
    serde_json::from_str(output.trim()).with_context(|| format!("not JSON: {output}"))
}

impl Figure {
    fn of(&self, answers: &[Value]) -> Option<f64> {
        let all = |figure: &dyn Fn(&Value) -> Option<f64>| {
            let mut all: Vec<f64> = answers.iter().filter_map(figure).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let median = |all: Vec<f64>| all.get(all.len() / 2).copied();
        match self {
            Self::CpuNanos => {
                let seconds = |answer: &Value| Some(answer["user_s"].as_f64()? + answer["sys_s"].as_f64()?);
                all(&|answer| Some(seconds(answer)? * 1e9 / answer["count"].as_f64()?)).first().copied()
            }
            Self::WallSeconds => median(all(&|answer| answer["wall_s"].as_f64())),
            Self::Named(name) => median(all(&|answer| answer[*name].as_f64())),
        }
    }

    fn show(&self, value: Option<f64>) -> String {
        match (value, self) {
            (None, _) => "-".to_owned(),
            (Some(value), Self::WallSeconds) => format!("{value:.2}"),
            (Some(value), Self::CpuNanos | Self::Named(_)) => format!("{value:.0}"),
        }
    }
}

fn table(answers: &Answers) -> String {
    let version = answers[1].iter().flatten().find_map(|answer| answer["version"].as_str()).unwrap_or("the system's");
    let mut out = format!("| | Felice | librdkafka {version} | of it |\n|---|---|---|---|\n");
    for (title, work, figure) in &ROWS {
        let [ours, original] = [0, 1].map(|side: usize| figure.of(&answers[side][*work]));
        let share = ours.zip(original).map_or_else(|| "-".to_owned(), |(a, b)| format!("{:.0} %", a * 100.0 / b));
        out += &format!("| {title} | {} | {} | {share} |\n", figure.show(ours), figure.show(original));
    }
    out
}
