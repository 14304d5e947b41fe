//! Starts real Apache Kafka and keeps it until standard input ends:
//! `cargo run -p felice-conformance --example kafka -- [VERSION] [NODES] [secure]`.

use std::io::Read;

use felice_conformance::kafka::{Kafka, KafkaOptions, PASSWORD, SecurityProtocol, USER, VERSION};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let version = arguments.first().map_or(VERSION, String::as_str);
    let nodes = arguments.get(1).map_or(Ok(1), |n| n.parse())?;
    let secure = arguments.get(2).is_some_and(|s| s == "secure");
    let kafka = Kafka::start(KafkaOptions { nodes, secure, ..KafkaOptions::version(version) })?;
    println!("ready {}", kafka.bootstrap());
    if secure {
        for protocol in [SecurityProtocol::Ssl, SecurityProtocol::SaslPlaintext, SecurityProtocol::SaslSsl] {
            println!("{} {}", protocol.name(), kafka.bootstrap_of(protocol));
        }
        println!("ca {}\nuser {USER}\npassword {PASSWORD}", kafka.ca_pem().display());
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    kafka.stop()?;
    Ok(())
}
