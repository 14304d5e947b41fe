//! A broker and a client in one process, with nothing to install: `cargo run -p felice --example embedded`.

use std::time::Instant;

use felice::{Client, NewRecord, Seek};
use felice_broker::Broker;
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let broker = Broker::start().await?;
    println!("a broker at {} after {:.1?}", broker.bootstrap(), started.elapsed());

    let client = Client::connect(broker.bootstrap()).await?;
    client.admin().create_topic("orders").partitions(3).await?;
    let producer = client.producer().build().await?;
    for n in 0..1000 {
        let (key, value) = (format!("u{}", n % 7), format!("order {n}"));
        producer.post(NewRecord::to("orders").key(&key).value(&value)).await?;
    }
    producer.flush().await?;

    let reader = client.reader().topic("orders").from(Seek::Start).until(Seek::End).open().await?;
    let records: Vec<felice::Record> = reader.try_collect().await?;
    assert_eq!(records.len(), 1000, "every record once");
    println!("{} records out and back after {:.1?}", records.len(), started.elapsed());

    broker.shutdown().await?;
    Ok(())
}
