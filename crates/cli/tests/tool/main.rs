//! The tool as scripts see it: streams, exit codes, errors that name the cause. Every test has a broker of its own, which is the tool itself.

mod groups;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn felice() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felice"));
    command.env_remove("FELICE_BOOTSTRAP").env_remove("FELICE_FORMAT").stdin(Stdio::null());
    command
}

/// A broker that ends with its test.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let mut command = felice();
        command.args(["broker", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?}")).trim().to_owned();
        Self { child, address }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.feed(arguments, b"")
    }

    fn feed(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = felice();
        command.args(arguments).env("FELICE_BOOTSTRAP", &self.address);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A command that refuses its input closes the pipe early.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The exit code and standard error of a command that fails.
fn failure(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), stderr(output))
}

fn file(dir: &Path, name: &str, content: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_broker_says_that_it_is_ready_and_stops_on_sigterm() {
    let mut broker = Broker::start();
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn records_outlive_the_broker_that_keeps_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let arguments = ["--data", data.to_str().unwrap()];
    let mut broker = Broker::with(&arguments);
    assert!(broker.feed(&["produce", "kept", "-q"], b"one\ntwo\n").status.success());
    assert_eq!(broker.stop(), Some(0));
    let broker = Broker::with(&arguments);
    assert_eq!(broker.ok(&["consume", "kept", "-e"]), "one\ntwo\n");
}

#[test]
fn topics_are_created_listed_described_and_deleted() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "orders", "-p", "3", "-c", "retention.ms=1000"]);
    assert_eq!(failure(&broker.run(&["topic", "create", "orders"])).0, 1);
    broker.ok(&["topic", "create", "orders", "--if-not-exists"]);
    let listed = json_lines(&broker.ok(&["topic", "list"]));
    assert_eq!((listed.len(), &listed[0]["name"], &listed[0]["partitions"]), (1, &"orders".into(), &3.into()));
    assert_eq!(broker.ok(&["topic", "list", "-f", "name"]), "orders\n");
    let partitions = json_lines(&broker.ok(&["topic", "describe", "orders"]));
    assert_eq!(partitions.len(), 3);
    assert_eq!((&partitions[2]["partition"], &partitions[2]["end_offset"]), (&2.into(), &0.into()));
    let (code, text) = failure(&broker.run(&["topic", "delete", "orders"]));
    assert!(code == 2 && text.contains("--yes"), "{text}");
    broker.ok(&["topic", "delete", "orders", "--yes"]);
    assert_eq!(broker.ok(&["topic", "list"]), "");
    assert_eq!(failure(&broker.run(&["topic", "describe", "orders"])).0, 4);
}

#[test]
fn a_line_is_a_record_and_comes_out_as_it_went_in() {
    let broker = Broker::start();
    let output = broker.feed(&["produce", "t", "-K", ":", "-H", "source=test"], b"k1:v1\nk2:\nno key\n");
    assert!(stderr(&output).starts_with("3 of 3 acknowledged"), "{}", stderr(&output));
    assert_eq!(broker.ok(&["consume", "t", "-e"]), "v1\n\nno key\n");
    assert_eq!(
        broker.ok(&["consume", "t", "-e", "-f", r"%o %k=%v %h\n"]),
        "0 k1=v1 source=test\n1 k2= source=test\n2 =no key source=test\n"
    );
    let records = json_lines(&broker.ok(&["consume", "t", "-n", "3", "-f", "json"]));
    assert_eq!((&records[2]["key"], &records[2]["value"]), (&Value::Null, &"no key".into()));
    assert_eq!(broker.ok(&["consume", "t", "-e", "-o", "-1"]), "no key\n");
    assert_eq!(broker.ok(&["consume", "t", "-e", "-o", "2"]), "no key\n");
    assert_eq!(broker.ok(&["consume", "t", "-e", "-o", "end"]), "");
    assert_eq!(broker.ok(&["consume", "t", "-e", "-o", "@-1h"]).lines().count(), 3);
}

#[test]
fn every_codec_goes_through() {
    let broker = Broker::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..500).map(|n| format!("{codec} {n}\n")).collect();
        let output = broker.feed(&["produce", codec, "-z", codec], lines.as_bytes());
        assert!(output.status.success(), "{codec}: {}", stderr(&output));
        assert_eq!(broker.ok(&["consume", codec, "-e"]), lines);
    }
}

#[test]
fn quickstart_checks_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..2_000).map(|n| format!("key{}:value {n}\n", n % 7)).collect();
    let output =
        felice().args(["quickstart", &file(dir.path(), "lines", lines.as_bytes()), "-K", ":"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("2,000 records") && text.contains("checked"), "{text}");
}

#[test]
fn perf_prints_the_fields_that_scripts_read() {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "p", "-p", "4"]);
    for mode in ["produce", "consume"] {
        let line =
            broker.ok(&["perf", mode, "p", "--count", "20000", "--size", "100", "--compression", "lz4", "--json"]);
        let json: Value = serde_json::from_str(&line).unwrap();
        for field in ["count", "size", "compression", "wall_s", "user_s", "sys_s", "maxrss_mb"] {
            assert!(!json[field].is_null(), "{field} in {json}");
        }
    }
    let line = broker.ok(&["perf", "latency", "p", "--count", "300", "--json"]);
    let json: Value = serde_json::from_str(&line).unwrap();
    assert!(json["p50_us"].as_u64() <= json["p999_us"].as_u64(), "{json}");
}

#[test]
fn a_closed_pipe_ends_consume_without_a_word() {
    let broker = Broker::start();
    let lines: String = (0..20_000).map(|n| format!("a line of some length, number {n}\n")).collect();
    assert!(broker.feed(&["produce", "long", "-q"], lines.as_bytes()).status.success());
    let mut command = felice();
    command.args(["consume", "long", "-b", &broker.address]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn an_unknown_property_proposes_the_nearest() {
    let (code, text) = failure(&felice().args(["topic", "list", "-X", "linger.mss=5"]).output().unwrap());
    assert!(code == 2 && text.contains("linger.mss") && text.contains("linger.ms"), "{text}");
    let (code, text) = failure(&felice().args(["broker", "-X", "num.partition=5"]).output().unwrap());
    assert!(code != 0 && text.contains("num.partitions"), "{text}");
}

#[test]
fn no_broker_at_the_address_is_a_matter_of_the_connection() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, text) = failure(&felice().args(["topic", "list", "-b", &port.to_string()]).output().unwrap());
    assert!(code == 3 && text.contains(&port.to_string()) && text.contains("refused"), "{text}");
}

#[test]
fn tls_to_a_plaintext_port_is_recognised() {
    let broker = Broker::start();
    let (code, text) = failure(&broker.run(&["topic", "list", "-X", "security.protocol=ssl"]));
    assert!(code == 3 && text.to_lowercase().contains("plaintext"), "{text}");
}

#[test]
fn a_port_in_use_and_a_directory_that_cannot_be_are_named() {
    let broker = Broker::start();
    let (code, text) = failure(&felice().args(["broker", "--listen", &broker.address]).output().unwrap());
    assert!(code == 1 && text.contains(&broker.address) && text.contains("another"), "{text}");
    // Below /sys not even root may make a directory.
    let (code, text) =
        failure(&felice().args(["broker", "--listen", "127.0.0.1:0", "--data", "/sys/felice"]).output().unwrap());
    assert!(code == 1 && text.contains("/sys/felice"), "{text}");
    let (code, text) = failure(&felice().args(["broker", "--nodes", "3"]).output().unwrap());
    assert!(code == 2 && text.contains("--nodes"), "{text}");
}

#[test]
fn two_brokers_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let _broker = Broker::with(&["--data", data]);
    let (code, text) = failure(&felice().args(["broker", "--listen", "127.0.0.1:0", "--data", data]).output().unwrap());
    assert!(code == 1 && text.contains("in use by another broker"), "{text}");
}

#[test]
fn a_file_that_is_not_text_and_a_line_of_50_mb_are_refused_by_name() {
    let broker = Broker::start();
    let dir = tempfile::tempdir().unwrap();
    let binary = file(dir.path(), "binary", b"fine\n\xff\xfe\n");
    let (code, text) = failure(&broker.run(&["produce", "t", &binary]));
    assert!(code == 1 && text.contains("line 2") && text.contains("UTF-8"), "{text}");
    assert!(broker.run(&["produce", "t", &binary, "--binary"]).status.success());
    let long = file(dir.path(), "long", &vec![b'x'; 50 << 20]);
    let (code, text) = failure(&broker.run(&["produce", "t", &long]));
    assert!(code == 1 && text.contains("line 1") && text.contains("longer"), "{text}");
    let (code, text) = failure(&felice().args(["quickstart", &long]).output().unwrap());
    assert!(code == 1 && text.contains("longer"), "{text}");
    assert_eq!(failure(&broker.run(&["produce", "t", "/nowhere/at/all"])).0, 4);
}

#[test]
fn a_record_above_the_topics_limit_is_refused_by_the_broker_and_nothing_else_is_lost() {
    let broker = Broker::start();
    let mut lines = b"before\n".to_vec();
    lines.extend(vec![b'x'; 2 << 20]);
    lines.push(b'\n');
    let arguments = ["produce", "t", "-X", "max.request.size=4000000", "-X", "batch.size=100"];
    let (code, text) = failure(&broker.feed(&arguments, &lines));
    assert!(code == 1 && text.contains("MESSAGE_TOO_LARGE") && text.contains("max.message.bytes"), "{text}");
    assert_eq!(broker.ok(&["consume", "t", "-e"]), "before\n");
}
