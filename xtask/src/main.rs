//! Felice's own chores. One entry point, no second tool: everything that CI does is a subcommand here.

#![warn(clippy::unwrap_used)]

use std::process::ExitCode;

mod bench;
mod capi_install;
mod ci;
mod codegen;
mod deny;
mod docs;
mod fuzz;
mod metadata;
mod oracle;
mod run;
mod tidy;

const USAGE: &str = "\
cargo xtask <command>

  codegen [--check]           generate the message code from Kafka's schemas (or check that it is current)
  oracle [--check]            record the golden bytes of every message from Apache Kafka's own classes
  docs [--check]              the tables in docs/ that are made from the code
  tidy                        crate edges, file headers and sizes, lints, what may stand in tracked text
  deny                        licences, banned and doubled crates
  fuzz [--seconds N] [TARGET] run every fuzz target (or one) for a short while
  ci [--full] [STEP...]       everything that must hold before a commit, or some steps of it
  capi-install --prefix DIR   build librdkafka.so.1 and install it with headers and pkg-config files
  capi-install --into-wheel DIR | --out-of-wheel DIR
                              the same in the place of the library inside an installed confluent_kafka wheel, and back
  bench [--rounds N] [--built]
                              Felice and its peers on one piece of work; writes the README's table
  bench capi [--original DIR] [--rounds N] [--built]
                              our librdkafka.so.1 and another one by turns; writes the table of docs/capi.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.split_first() {
        Some((&"codegen", [])) => codegen::run(false),
        Some((&"codegen", ["--check"])) => codegen::run(true),
        Some((&"oracle", [])) => oracle::run(false),
        Some((&"oracle", ["--check"])) => oracle::run(true),
        Some((&"docs", [])) => docs::run(false),
        Some((&"docs", ["--check"])) => docs::run(true),
        Some((&"tidy", [])) => tidy::run(),
        Some((&"deny", [])) => deny::run(),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        Some((&"ci", ["--full", steps @ ..])) => ci::run(true, steps),
        Some((&"ci", steps)) => ci::run(false, steps),
        Some((&"capi-install", rest)) => capi_install::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
