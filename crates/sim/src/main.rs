//! `felice-sim`: runs seeds, and prints of a failing one the command that replays it.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use felice_sim::bugs;
use felice_sim::plan::{Mode, Settings};
use felice_sim::runner::{self, Summary};

const USAGE: &str = "\
felice-sim: Felice's broker and clients in a simulated world; the same seed is the same history

  --seed N          run one seed
  --seeds A..B      run these seeds
  --ci              200 fixed seeds without groups and 200 with, and fresh ones; any that fails, fails the run
  --fresh-seconds N how long --ci looks at fresh seeds (10)
  --bug NAME        plant a bug first; --bugs lists them
  --hunt            for each bug, or the one given, the first seed that finds it (--seeds 0..3000)
  --mode MODE       lite, swarm (the default) or full
  --groups          worlds with consumer groups
  --trace           print the history while it grows
  --limit N         stop after so many failures (20)
  --threads N       as many at a time (the machine's)
";

/// Seeds that every CI run runs.
const FIXED_SEEDS: std::ops::Range<u64> = 0..200;

#[derive(Clone, Debug)]
struct Args {
    settings: Settings,
    seeds: Option<std::ops::Range<u64>>,
    ci: bool,
    hunt: bool,
    list_bugs: bool,
    fresh_seconds: u64,
    threads: usize,
    /// So many failures are enough.
    limit: usize,
}

fn parse() -> Result<Args, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut parsed = Args {
        settings: Settings::default(),
        seeds: None,
        ci: false,
        hunt: false,
        list_bugs: false,
        fresh_seconds: 10,
        threads,
        limit: 20,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
        match arg.as_str() {
            "--seed" => {
                let seed = number(value()?)?;
                parsed.seeds = Some(seed..seed + 1);
            }
            "--seeds" => {
                let text = value()?;
                let (from, to) = text.split_once("..").ok_or("--seeds takes A..B")?;
                parsed.seeds = Some(number(from.to_owned())?..number(to.to_owned())?);
            }
            "--ci" => parsed.ci = true,
            "--hunt" => parsed.hunt = true,
            "--bugs" => parsed.list_bugs = true,
            "--fresh-seconds" => parsed.fresh_seconds = number(value()?)?,
            "--limit" => parsed.limit = usize::try_from(number(value()?)?).unwrap_or(1),
            "--threads" => parsed.threads = usize::try_from(number(value()?)?).unwrap_or(1),
            "--groups" => parsed.settings.groups = true,
            "--trace" => parsed.settings.trace = true,
            "--bug" => {
                let name = value()?;
                let bug = bugs::find(&name).ok_or_else(|| format!("no bug is called {name}; --bugs lists them"))?;
                parsed.settings.bug = Some(bug.name);
            }
            "--mode" => {
                parsed.settings.mode = match value()?.as_str() {
                    "lite" => Mode::Lite,
                    "swarm" => Mode::Swarm,
                    "full" => Mode::Full,
                    other => return Err(format!("no mode is called {other}")),
                }
            }
            "--help" | "-h" => return Err(USAGE.to_owned()),
            other => return Err(format!("unknown argument {other}\n\n{USAGE}")),
        }
    }
    if parsed.seeds.is_none() && !parsed.ci && !parsed.hunt && !parsed.list_bugs {
        return Err(USAGE.to_owned());
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let args = match parse() {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    if args.list_bugs {
        for bug in bugs::ALL {
            println!("{:<32} {}", bug.name, bug.what);
        }
        return ExitCode::SUCCESS;
    }
    if args.hunt {
        return hunt(&args);
    }
    if args.ci {
        return ci(&args);
    }
    let seeds = args.seeds.clone().unwrap_or(0..1);
    if seeds.end - seeds.start == 1 {
        return one(&args, seeds.start);
    }
    many(&args, seeds, &|| false)
}

fn one(args: &Args, seed: u64) -> ExitCode {
    let report = runner::run(Settings { seed, ..args.settings.clone() });
    println!(
        "seed {seed}: history {:016x}, {:.1} s simulated, {} faults, {} records sent, {} read, {} steps",
        report.hash,
        report.simulated.as_secs_f64(),
        report.faults.total(),
        report.records,
        report.reads,
        report.steps
    );
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {seed} FAILED: {}: {}", violation.checker, violation.what);
            println!("replay: {}", replay(args, seed));
            ExitCode::FAILURE
        }
    }
}

fn replay(args: &Args, seed: u64) -> String {
    let bug = args.settings.bug.map(|name| format!(" --bug {name}")).unwrap_or_default();
    let mode = match args.settings.mode {
        Mode::Swarm => "",
        Mode::Lite => " --mode lite",
        Mode::Full => " --mode full",
    };
    let groups = if args.settings.groups { " --groups" } else { "" };
    format!("cargo run --release -p felice-sim -- --seed {seed}{groups}{bug}{mode}")
}

fn many(args: &Args, seeds: std::ops::Range<u64>, until: &(dyn Fn() -> bool + Sync)) -> ExitCode {
    let began = Instant::now();
    let summary = runner::run_many(&args.settings, seeds, args.threads, args.limit, until);
    print(args, &summary, began.elapsed());
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(args: &Args, summary: &Summary, took: Duration) {
    for (seed, violation) in &summary.failures {
        println!("seed {seed} FAILED: {}: {}", violation.checker, violation.what);
        println!("replay: {}", replay(args, *seed));
    }
    let faults: Vec<String> = summary.faults.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
    println!(
        "{} seeds, {} failed; {:.2} h simulated, {} faults ({}), {} records sent, {} read; {:.1} s, {:.1} seeds/s, time x{:.0}",
        summary.seeds,
        summary.failures.len(),
        summary.simulated.as_secs_f64() / 3600.0,
        summary.faults.total(),
        faults.join(", "),
        summary.records,
        summary.reads,
        took.as_secs_f64(),
        summary.seeds as f64 / took.as_secs_f64(),
        summary.simulated.as_secs_f64() / took.as_secs_f64(),
    );
}

/// Fixed seeds first, so that two runs of one commit agree; then fresh ones, so that each run looks where none has looked. Both without groups
/// and with them.
fn ci(args: &Args) -> ExitCode {
    let with = |groups| Args { settings: Settings { groups, ..args.settings.clone() }, ..args.clone() };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fresh = since.as_secs() * 100_000;
    let mut outcome = ExitCode::SUCCESS;
    for groups in [false, true] {
        let args = with(groups);
        println!("{}", if groups { "consumer groups" } else { "producers and readers" });
        let fixed = many(&args, args.seeds.clone().unwrap_or(FIXED_SEEDS), &|| false);
        println!("fresh seeds from {fresh}");
        let end = Instant::now() + Duration::from_secs(args.fresh_seconds / 2);
        let found = many(&args, fresh..fresh + 99_999, &|| Instant::now() >= end);
        if fixed != ExitCode::SUCCESS || found != ExitCode::SUCCESS {
            outcome = ExitCode::FAILURE;
        }
    }
    outcome
}

/// How many seeds each bug needs. Without a range, the seed that is known to find it comes first.
fn hunt(args: &Args) -> ExitCode {
    let seeds = args.seeds.clone().unwrap_or(0..3000);
    let mut missed = 0;
    for bug in bugs::ALL.iter().filter(|bug| args.settings.bug.is_none_or(|name| name == bug.name)) {
        let settings = Settings { bug: Some(bug.name), groups: bug.groups, ..args.settings.clone() };
        let known = Settings { seed: bug.seed, ..settings.clone() };
        if args.seeds.is_none()
            && let Some(violation) = runner::run(known).violation
        {
            println!("{:<32} found by seed {}, as ever: {}", bug.name, bug.seed, violation.checker);
            continue;
        }
        let summary = runner::run_many(&settings, seeds.clone(), args.threads, 1, &|| false);
        match summary.failures.first() {
            Some((seed, violation)) => {
                println!("{:<32} found by seed {seed} after {} seeds: {}", bug.name, summary.seeds, violation.checker);
            }
            None => {
                missed += 1;
                println!("{:<32} NOT FOUND in {} seeds", bug.name, summary.seeds);
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
