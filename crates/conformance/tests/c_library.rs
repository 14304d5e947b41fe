//! A C program that was written for librdkafka, unmodified, on our `librdkafka.so.1`: in all its modes, on Apache Kafka and on the embedded broker.
//!
//! The program and librdkafka's header are not part of this repository: `FELICE_PEERS` names the folder that holds `peers/c/librdkafka.c`
//! (`../shared` beside the checkout without it), and the header comes with Debian's `librdkafka-dev`.

use std::path::{Path, PathBuf};
use std::process::Command;

use felice::Client;
use felice_broker::Broker;
use felice_conformance::kafka::{Kafka, KafkaOptions};
use felice_conformance::{Failure, Skip};

mod support;

use support::{asked_for, unless_skipped};

/// The program, compiled, and the folder with our library.
struct Program {
    binary: PathBuf,
    library: PathBuf,
    _dir: tempfile::TempDir,
}

impl Program {
    fn build() -> Result<Self, Failure> {
        let skip = |why: String| Failure::Skip(Skip(why));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let shared = std::env::var_os("FELICE_PEERS").map_or_else(|| root.join("../shared"), PathBuf::from);
        let source = shared.join("peers/c/librdkafka.c");
        if !source.exists() {
            return Err(skip(format!("no {} (FELICE_PEERS)", source.display())));
        }
        let test = std::env::current_exe().map_err(anyhow::Error::from)?;
        let target = test.ancestors().nth(3).unwrap_or(&test).to_path_buf();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "--package", "felice-capi", "--target-dir"]).arg(&target);
        assert!(build.status().map_err(anyhow::Error::from)?.success());
        let library = target.join("debug");
        let dir = tempfile::tempdir().map_err(anyhow::Error::from)?;
        let binary = dir.path().join("program");
        let mut compile = Command::new("cc");
        compile.arg("-O1").arg("-o").arg(&binary).arg(&source).arg(library.join("librdkafka.so.1")).arg("-lpthread");
        let compiled = compile.output().map_err(|e| skip(format!("no C compiler: {e}")))?;
        let said = String::from_utf8_lossy(&compiled.stderr);
        if said.contains("rdkafka.h") {
            return Err(skip("no librdkafka/rdkafka.h: install librdkafka-dev".to_owned()));
        }
        assert!(compiled.status.success(), "{said}");
        Ok(Self { binary, library, _dir: dir })
    }

    fn run(&self, mode: &str, bootstrap: &str, topic: &str, count: usize) {
        let count = count.to_string();
        let mut command = Command::new("timeout");
        command.arg("120").arg(&self.binary).args([mode, bootstrap, topic, &count, "100", "lz4", "4"]);
        let output = command.env("LD_LIBRARY_PATH", &self.library).output().unwrap();
        let line = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{mode}: {}{line}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((json["mode"].as_str(), json["count"].as_u64()), (Some(mode), count.parse().ok()), "{line}");
    }

    async fn every_mode(&self, bootstrap: &str) {
        let client = Client::connect(bootstrap).await.unwrap();
        for topic in ["c-program", "c-latency"] {
            client.admin().create_topic(topic).partitions(4).await.unwrap();
        }
        for mode in ["produce", "consume", "consume-batch"] {
            self.run(mode, bootstrap, "c-program", 50_000);
        }
        self.run("latency", bootstrap, "c-latency", 500);
    }
}

#[tokio::test]
async fn an_unmodified_program_runs_on_the_embedded_broker() {
    let test = "an_unmodified_program_runs_on_the_embedded_broker";
    if asked_for(test).is_none() {
        return;
    }
    let Some(program) = unless_skipped(test, Program::build()) else { return };
    let broker = Broker::start().await.unwrap();
    program.every_mode(broker.bootstrap()).await;
}

#[tokio::test]
async fn an_unmodified_program_runs_on_apache_kafka() {
    let test = "an_unmodified_program_runs_on_apache_kafka";
    if asked_for(test).is_none() {
        return;
    }
    let Some(program) = unless_skipped(test, Program::build()) else { return };
    let started = Kafka::start_async(KafkaOptions::default()).await;
    let Some(kafka) = unless_skipped(test, started) else { return };
    program.every_mode(&kafka.bootstrap()).await;
}
