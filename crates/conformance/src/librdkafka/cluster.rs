//! Brokers as upstream's own test clusters have them: three nodes in three racks, four partitions and three replicas by default, and an authorizer that
//! lets everybody do what no rule forbids.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::kafka::{self, Kafka, KafkaOptions};
use crate::{Failure, cache};

/// A running cluster with the folder of Kafka's scripts.
#[derive(Debug)]
pub struct Cluster {
    kafka: Kafka,
    scripts: PathBuf,
}

impl Cluster {
    /// Starts one; `auto_create` says whether topics come into being by being asked for.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    pub fn start(auto_create: bool) -> Result<Self, Failure> {
        let mut properties: Vec<(String, String)> = [
            ("broker.rack", "RACK@ID@"),
            ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
            ("group.share.min.record.lock.duration.ms", "1000"),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("allow.everyone.if.no.acl.found", "true"),
            // Nodes speak to each other before the rules are loaded, so they have to be somebody whom no rule binds.
            ("super.users", "User:node"),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"),
            ("sasl.mechanism.controller.protocol", "PLAIN"),
            ("listener.name.controller.sasl.enabled.mechanisms", "PLAIN"),
            (
                "listener.name.controller.plain.sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"node\" password=\"node\" \
                 user_node=\"node\";",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        properties.push(("auto.create.topics.enable".to_owned(), auto_create.to_string()));
        let jvm = ["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned).to_vec();
        let options = KafkaOptions { nodes: 3, properties, jvm, ..KafkaOptions::default() };
        Ok(Self { kafka: Kafka::start(options)?, scripts: scripts()? })
    }

    /// Its bootstrap servers.
    pub fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    /// The folder that upstream calls `KAFKA_PATH`.
    pub fn scripts(&self) -> &Path {
        &self.scripts
    }
}

/// A folder as a Kafka distribution has it, as far as the suite calls its scripts.
fn scripts() -> Result<PathBuf, Failure> {
    let folder = cache::dir("felice-conformance/kafka-scripts")?;
    let bin = folder.join("bin");
    fs::create_dir_all(&bin)?;
    let jars = kafka::jars(kafka::VERSION)?;
    for (script, class) in [
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
        ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
        ("kafka-run-class.sh", ""),
    ] {
        let path = bin.join(script);
        let text = format!(
            "#!/bin/sh\nexec java -Xmx128m -XX:TieredStopAtLevel=1 -cp '{}/*' {class} \"$@\"\n",
            jars.display()
        );
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(folder)
}
