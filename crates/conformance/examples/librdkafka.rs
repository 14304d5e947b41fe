//! Runs entries of librdkafka's test suite, on our library or on the original:
//! `cargo run -p felice-conformance --example librdkafka -- [--original | --library DIR] [--brokers HOST:PORT] [--record] [ENTRY...]`.
//!
//! Without entries it runs all. `--record` (with `--original`) writes what it sees into `librdkafka/entries.tsv`.

use std::path::Path;

use anyhow::{Context, bail};
use felice_conformance::librdkafka::{Campaign, Library, Suite, Verdict, table};

fn main() -> anyhow::Result<()> {
    let (mut library, mut brokers, mut record, mut entries) = (None, None, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--original" => library = Some(Library::Original),
            "--library" => library = Some(Library::at(Path::new(&arguments.next().context("--library DIR")?))?),
            "--brokers" => brokers = Some(arguments.next().context("--brokers HOST:PORT")?),
            "--record" => record = true,
            option if option.starts_with('-') => bail!("unknown option {option}"),
            entry => entries.push(entry.to_owned()),
        }
    }
    let suite = Suite::build()?;
    let library = library.map_or_else(Library::ours, Ok)?;
    if record && library != Library::Original {
        bail!("what is recorded is the original's");
    }
    let mut rows = table::rows()?;
    let mut campaign = Campaign::new(&suite, &library, brokers);
    let mut passed = 0;
    for row in rows.iter_mut().filter(|row| entries.is_empty() || entries.contains(&row.entry)) {
        let outcome = campaign.run(row)?;
        let (verdict, seconds) = (outcome.verdict.name(), outcome.time.as_secs_f64());
        println!("{:<50} {verdict:<8} {seconds:>6.1} s {:>4} parts  {}", row.entry, outcome.parts, outcome.why);
        passed += usize::from(outcome.verdict == Verdict::Pass);
        row.original = outcome.verdict;
        (row.parts, row.seconds) = (outcome.parts, outcome.time.as_secs());
    }
    println!("{passed} pass");
    if record {
        table::write(&rows)?;
    }
    Ok(())
}
