//! `felice`: Kafka in one box on the command line.
//!
//! [`args`] is the command line, `commands/` what each command does, [`output`] and [`format`] what it prints, [`failure`] what it says when it
//! cannot. Everything goes through the client and the broker as any program would use them.
#![warn(clippy::unwrap_used)]

mod args;
mod ask;
mod commands;
mod connect;
mod failure;
mod format;
mod lines;
mod offset;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::failure::{BROKEN_PIPE, Failure, local_io};

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("FELICE_LOG").unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.id == BROKEN_PIPE => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show();
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| local_io("cannot start", &e))?;
    runtime.block_on(async {
        match command {
            Command::Broker(args) => commands::broker::run(args).await,
            Command::Topic(command) => commands::topic::run(command).await,
            Command::Group(command) => commands::group::run(command).await,
            Command::Produce(args) => commands::produce::run(args).await,
            Command::Consume(args) => commands::consume::run(args).await,
            Command::Perf(command) => commands::perf::run(command).await,
            Command::Quickstart(args) => commands::quickstart::run(args).await,
        }
    })
}
