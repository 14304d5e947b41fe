//! A broker on the command line: `serve [--listen HOST:PORT] [--data DIR] [--memory] [-X name=value]...`. Prints `ready HOST:PORT`; stops
//! on SIGTERM or SIGINT.

use felice_broker::Broker;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Broker::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--memory" {
            builder = builder.in_memory();
            continue;
        }
        let value = arguments.next().ok_or("a value is missing")?;
        builder = match argument.as_str() {
            "--listen" => builder.listen(value),
            "--data" => builder.data_dir(value),
            "-X" => {
                let (name, value) = value.split_once('=').ok_or("-X takes name=value")?;
                builder.config(name, value)
            }
            other => return Err(format!("unknown argument {other}").into()),
        };
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let broker = builder.start().await?;
        println!("ready {}", broker.bootstrap());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        broker.shutdown().await?;
        Ok(())
    })
}
