//! Writes records and waits for them: `cargo run -p felice --example produce -- [HOST:PORT [TOPIC]]`.

use std::time::Duration;

use felice::{Client, Compression, NewRecord};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let client = Client::connect(&bootstrap).await?;
    client.admin().create_topic(&topic).partitions(3).if_not_exists().await?;
    let producer = client.producer().compression(Compression::Lz4).build().await?;

    // One at a time: each waits for its acknowledgement.
    let delivery = producer.send(NewRecord::to(&topic).key("u42").value("hello")).await?;
    println!("{}[{}]@{}", delivery.topic, delivery.partition, delivery.offset);

    // Many at a time: `enqueue` waits for nothing but room in the buffer.
    let mut pending = Vec::new();
    for n in 0..10_000 {
        let (key, value) = (format!("u{}", n % 100), format!("order {n}"));
        pending.push(producer.enqueue(NewRecord::to(&topic).key(&key).value(&value)).await?);
    }
    let mut failed = 0;
    for pending in pending {
        if let Err(error) = pending.await {
            eprintln!("{error}; {}", error.hint().unwrap_or("no hint"));
            failed += 1;
        }
    }
    println!("{} of 10000 are in the log", 10_000 - failed);
    producer.close(Duration::from_secs(10)).await?;
    Ok(())
}
