//! The tool before real Apache Kafka: every listener, every mechanism, today's version and the last 3.9, and what it says where they do not fit.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use felice_conformance::kafka::{self, Kafka, KafkaOptions, PASSWORD, SecurityProtocol, USER};
use felice_conformance::{Failure, Skip};

#[path = "support/felice.rs"]
mod felice;
mod support;

use felice::felice;
use support::{asked_for, unless_skipped};

/// A cluster, and the properties with which a client reaches it.
struct Reached {
    bootstrap: String,
    properties: Vec<String>,
}

impl Reached {
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(felice());
        command.args(arguments).args(["-b", &self.bootstrap]);
        for property in &self.properties {
            command.args(["-X", property]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn ok(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code and standard error of a command that must fail.
    fn refused(&self) -> (i32, String) {
        let output = self.run(&["topic", "list"], "");
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The tool's whole way: topic, lines in every codec, the same lines back, deletion.
    fn whole_way(&self, topic: &str) {
        self.ok(&["topic", "create", topic, "-p", "3"], "");
        let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
        let mut sent = Vec::new();
        for codec in codecs {
            let lines: String = (0..200).map(|n| format!("k{}:{codec} {n}\n", n % 5)).collect();
            self.ok(&["produce", topic, "-K", ":", "-z", codec], &lines);
            sent.extend(lines.lines().map(str::to_owned));
        }
        let read = self.ok(&["consume", topic, "-e", "-f", r"%k:%v\n"], "");
        let mut read: Vec<_> = read.lines().map(str::to_owned).collect();
        read.sort();
        sent.sort();
        assert!(read == sent, "{} of {} lines came back", read.len(), sent.len());
        assert_eq!(self.ok(&["consume", topic, "-e", "-n", "7"], "").lines().count(), 7);
        assert_eq!(self.ok(&["topic", "describe", topic], "").lines().count(), 3);
        self.ok(&["topic", "delete", topic, "--yes"], "");
    }
}

fn secured() -> Result<&'static Kafka, Failure> {
    static KAFKA: OnceLock<Result<Kafka, Skip>> = OnceLock::new();
    let started = KAFKA.get_or_init(|| match Kafka::start(KafkaOptions { secure: true, ..KafkaOptions::default() }) {
        Ok(kafka) => Ok(kafka),
        Err(Failure::Skip(skip)) => Err(skip),
        Err(Failure::Failed(error)) => panic!("{error:#}"),
    });
    started.as_ref().map_err(|skip| Failure::Skip(Skip(skip.0.clone())))
}

fn reached(kafka: &Kafka, protocol: SecurityProtocol, mechanism: Option<&str>, password: &str) -> Reached {
    let mut properties = vec![format!("security.protocol={}", protocol.name())];
    if matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl) {
        properties.push(format!("ssl.ca.location={}", kafka.ca_pem().display()));
    }
    if let Some(mechanism) = mechanism {
        properties.push(format!("sasl.mechanism={mechanism}"));
        properties.push(format!("sasl.username={USER}"));
        properties.push(format!("sasl.password={password}"));
    }
    Reached { bootstrap: kafka.bootstrap_of(protocol), properties }
}

#[test]
fn the_tool_goes_its_whole_way_over_every_listener() {
    let test = "the_tool_goes_its_whole_way_over_every_listener";
    if asked_for(test).is_none() {
        return;
    }
    let Some(kafka) = unless_skipped(test, secured()) else { return };
    reached(kafka, SecurityProtocol::Plaintext, None, "").whole_way("tool-plaintext");
    reached(kafka, SecurityProtocol::Ssl, None, "").whole_way("tool-ssl");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let topic = format!("tool-{}", mechanism.to_lowercase());
        reached(kafka, SecurityProtocol::SaslPlaintext, Some(mechanism), PASSWORD).whole_way(&topic);
        reached(kafka, SecurityProtocol::SaslSsl, Some(mechanism), PASSWORD).whole_way(&format!("{topic}-ssl"));
    }
}

#[test]
fn the_tool_goes_its_whole_way_on_the_last_3_9() {
    let test = "the_tool_goes_its_whole_way_on_the_last_3_9";
    if asked_for(test).is_none() {
        return;
    }
    let started = Kafka::start(KafkaOptions::version(kafka::VERSION_3_9));
    let Some(kafka) = unless_skipped(test, started) else { return };
    Reached { bootstrap: kafka.bootstrap(), properties: Vec::new() }.whole_way("tool");
}

#[test]
fn what_does_not_fit_is_said_in_so_many_words() {
    let test = "what_does_not_fit_is_said_in_so_many_words";
    if asked_for(test).is_none() {
        return;
    }
    let Some(kafka) = unless_skipped(test, secured()) else { return };
    let plaintext_to_tls = Reached { bootstrap: kafka.bootstrap_of(SecurityProtocol::Ssl), properties: Vec::new() };
    let (code, text) = plaintext_to_tls.refused();
    assert!(code == 3 && text.contains("TLS"), "{text}");
    let mut tls_to_plaintext = reached(kafka, SecurityProtocol::Ssl, None, "");
    tls_to_plaintext.bootstrap = kafka.bootstrap();
    let (code, text) = tls_to_plaintext.refused();
    assert!(code == 3 && text.to_lowercase().contains("plaintext"), "{text}");
    let mut unknown_authority = reached(kafka, SecurityProtocol::Ssl, None, "");
    unknown_authority.properties.truncate(1);
    let (code, text) = unknown_authority.refused();
    assert!(code == 3 && text.contains("certificate"), "{text}");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (code, text) = reached(kafka, SecurityProtocol::SaslPlaintext, Some(mechanism), "not-it").refused();
        assert!(code == 3 && text.contains("authentication") && !text.contains("not-it"), "{text}");
    }
}
