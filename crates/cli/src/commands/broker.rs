//! `felice broker`: runs until SIGTERM or SIGINT.

use std::path::Path;

use felice_broker::Broker;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::BrokerArgs;
use crate::failure::{Exit, Failure, local_io};

pub(crate) async fn run(args: BrokerArgs) -> Result<(), Failure> {
    if args.nodes != 1 {
        return Err(Failure::usage(format!("--nodes {}: several brokers in one process need replication", args.nodes))
            .fix("leave --nodes out until Felice has replication"));
    }
    let listen = |kind| signal(kind).map_err(|e| local_io("cannot listen to signals", &e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let is_named = !args.listeners.is_empty() || args.properties.iter().any(|(name, _)| name == "listeners");
    let mut builder = Broker::builder();
    match args.listen {
        Some(listen) => builder = builder.listen(listen),
        None if !is_named => builder = builder.listen("127.0.0.1:9092"),
        None => {}
    }
    for listener in args.listeners {
        builder = builder.listener(listener);
    }
    for (name, password) in args.users {
        builder = builder.user(name, password);
    }
    if let (Some(certificate), Some(key)) = (args.tls_certificate, args.tls_key) {
        builder = builder.tls(text_of(&certificate)?, text_of(&key)?);
    }
    if let Some(data) = args.data {
        builder = builder.data_dir(data);
    }
    for (name, value) in args.properties {
        builder = builder.config(name, value);
    }
    let broker = builder.start().await.map_err(start_failure)?;
    for (name, address) in broker.listeners().skip(1) {
        crate::output::line(&format!("listener {name} {address}"))?;
    }
    crate::output::line(&format!("ready {}", broker.bootstrap()))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    broker.shutdown().await.map_err(start_failure)
}

fn text_of(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| local_io(format!("cannot read {}", file.display()), &error))
}

pub(crate) fn start_failure(error: felice_broker::Error) -> Failure {
    Failure::new(Exit::SomeFailed, "broker", error)
}
