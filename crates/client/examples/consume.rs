//! Reads a topic from its start to its end: `cargo run -p felice --example consume -- [HOST:PORT [TOPIC]]`.

use felice::{Client, Seek};
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let client = Client::connect(&bootstrap).await?;
    // Without `until` it would go on for ever.
    let mut reader = client.reader().topic(&topic).from(Seek::Start).until(Seek::End).open().await?;
    let mut count = 0;
    while let Some(record) = reader.try_next().await? {
        if count < 10 {
            let key = String::from_utf8_lossy(record.key().unwrap_or_default());
            println!("{topic}[{}]@{} {key} {}", record.partition(), record.offset(), record.value_str()?);
        }
        count += 1;
    }
    println!("{count} records");
    Ok(())
}
