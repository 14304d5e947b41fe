//! `felice broker`: runs until SIGTERM or SIGINT.

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
    let mut builder = Broker::builder().listen(args.listen);
    if let Some(data) = args.data {
        builder = builder.data_dir(data);
    }
    for (name, value) in args.properties {
        builder = builder.config(name, value);
    }
    let broker = builder.start().await.map_err(start_failure)?;
    crate::output::line(&format!("ready {}", broker.bootstrap()))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    broker.shutdown().await.map_err(start_failure)
}

pub(crate) fn start_failure(error: felice_broker::Error) -> Failure {
    Failure::new(Exit::SomeFailed, "broker", error)
}
