//! Real Apache Kafka (KRaft, combined mode) on loopback, from Maven Central's jars; no docker.
//!
//! [`Kafka::start`] resolves the jars once into the user's cache, formats storage, starts the nodes and waits until each answers and
//! knows all the others. A started cluster ends with its value ([`Drop`]), and also when this process ends in any other way: a
//! watchdog holds a pipe from it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tempfile::TempDir;

use crate::{Failure, process};

mod jars;
mod probe;
mod security;

pub use jars::{jars, java};
pub use security::{PASSWORD, USER};

/// The version that judges unless another is asked for.
pub const VERSION: &str = "4.3.1";
/// The last line of versions that still had ZooKeeper, here in KRaft mode.
pub const VERSION_3_9: &str = "3.9.1";

const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
const READY_WITHIN: Duration = Duration::from_secs(90);

/// How a listener of the cluster is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated; always there.
    Plaintext,
    /// TLS; with [`KafkaOptions::secure`].
    Ssl,
    /// SASL over plain TCP (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512); with [`KafkaOptions::secure`].
    SaslPlaintext,
    /// SASL over TLS; with [`KafkaOptions::secure`].
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// As Kafka spells it in `security.protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Kafka's version, 3.5 or later; default [`VERSION`].
    pub version: String,
    /// How many nodes, each broker and controller; default 1.
    pub nodes: u16,
    /// First of a row of ports: a plaintext listener a node, a controller a node, then the secured listeners a node. Default: free ones.
    pub port: Option<u16>,
    /// Whether each node also has SSL, SASL_PLAINTEXT and SASL_SSL listeners, with the user [`USER`].
    pub secure: bool,
    /// A data directory to use and to keep, of a cluster of one node; default: a temporary one.
    pub log_dir: Option<PathBuf>,
    /// Id of the first node; default 1.
    pub node_id: u16,
    /// Id of the cluster if storage is to be formatted.
    pub cluster_id: String,
    /// More server properties; they win over ours. `@ID@` in a value stands for the node's id.
    pub properties: Vec<(String, String)>,
    /// Options of the Java machine. The default starts fast and is not made for measuring.
    pub jvm: Vec<String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            version: VERSION.to_owned(),
            nodes: 1,
            port: None,
            secure: false,
            log_dir: None,
            node_id: 1,
            cluster_id: CLUSTER_ID.to_owned(),
            properties: Vec::new(),
            jvm: ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned).to_vec(),
        }
    }
}

impl KafkaOptions {
    /// Options for a version.
    pub fn version(version: &str) -> Self {
        Self { version: version.to_owned(), ..Self::default() }
    }

    fn protocols(&self) -> &'static [SecurityProtocol] {
        let all: &'static [SecurityProtocol] = &SecurityProtocol::ALL;
        if self.secure { all } else { &all[..1] }
    }
}

/// A running cluster. Dropping it kills the nodes and removes their temporary data; [`Kafka::stop`] stops them cleanly.
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
    ports: Vec<u16>,
    nodes: Vec<Node>,
    dir: TempDir,
}

#[derive(Debug)]
struct Node {
    process: Child,
    /// Waits for the end of its standard input, which this process holds, then kills the node and removes the folder.
    watchdog: Child,
}

impl Kafka {
    /// Starts a cluster and waits until it serves; blocks for seconds.
    ///
    /// # Errors
    /// [`Failure::Skip`] when Java, Maven or the network to fetch the jars is missing; otherwise what Kafka said.
    pub fn start(options: KafkaOptions) -> Result<Self, Failure> {
        jars(&options.version)?;
        let dir = tempfile::Builder::new().prefix("apache-kafka-").tempdir()?;
        fs::write(dir.path().join("log4j2.properties"), LOG4J2)?;
        fs::write(dir.path().join("log4j.properties"), LOG4J)?;
        if options.secure {
            security::write_certificates(dir.path())?;
        }
        let count = usize::from(options.nodes) * (1 + options.protocols().len());
        let ports = match options.port {
            Some(first) => (first..).take(count).collect(),
            None => free_ports(count)?,
        };
        let mut kafka = Self { options, ports, nodes: Vec::new(), dir };
        for index in 0..kafka.options.nodes {
            kafka.start_node(index)?;
        }
        kafka.wait_until_ready()?;
        Ok(kafka)
    }

    /// [`Kafka::start`] for asynchronous callers: on a thread of its own.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    pub async fn start_async(options: KafkaOptions) -> Result<Self, Failure> {
        match tokio::task::spawn_blocking(|| Self::start(options)).await {
            Ok(result) => result,
            Err(error) => Err(anyhow!(error).into()),
        }
    }

    /// The plaintext listeners, `host:port` with commas between.
    pub fn bootstrap(&self) -> String {
        self.bootstrap_of(SecurityProtocol::Plaintext)
    }

    /// The listeners of a protocol, `host:port` with commas between; empty when the options did not ask for it.
    pub fn bootstrap_of(&self, protocol: SecurityProtocol) -> String {
        let addresses = (0..self.options.nodes).filter_map(|index| self.port(index, protocol));
        addresses.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// The certificate authority that signed the nodes' certificates, as PEM.
    pub fn ca_pem(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Where the node with this index (from 0) keeps its data.
    pub fn log_dir(&self, index: u16) -> PathBuf {
        match &self.options.log_dir {
            Some(dir) => dir.clone(),
            None => self.dir.path().join(format!("data-{index}")),
        }
    }

    /// What the node with this index has logged.
    pub fn server_log(&self, index: u16) -> String {
        fs::read_to_string(self.dir.path().join(format!("server-{index}.log"))).unwrap_or_default()
    }

    /// A tool of this Kafka's own version: a class with a `main`.
    ///
    /// # Errors
    /// As [`jars`].
    pub fn tool(&self, class: &str) -> Result<Command, Failure> {
        let mut command = java(&self.options.version)?;
        command.arg(class);
        Ok(command)
    }

    /// Kills a node the hard way, as a power cut does, and leaves its data.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self, index: u16) -> io::Result<()> {
        match self.nodes.get_mut(usize::from(index)) {
            Some(node) => node.kill(),
            None => Ok(()),
        }
    }

    /// Stops all nodes cleanly, all at once (a node alone has no quorum to leave from), and waits for them.
    ///
    /// # Errors
    /// When a node does not end within 30 s; it is killed then.
    pub fn stop(mut self) -> anyhow::Result<()> {
        for node in &self.nodes {
            Command::new("kill").arg(node.process.id().to_string()).status().context("kill")?;
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        for node in &mut self.nodes {
            while node.process.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    bail!("a node did not stop within 30 s");
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn port(&self, index: u16, protocol: SecurityProtocol) -> Option<u16> {
        let row = self.options.protocols().iter().position(|p| *p == protocol)?;
        // Rows: plaintext, controller, then the secured ones.
        let row = if row == 0 { 0 } else { row + 1 };
        self.ports.get(row * usize::from(self.options.nodes) + usize::from(index)).copied()
    }

    fn controller_port(&self, index: u16) -> u16 {
        self.ports[usize::from(self.options.nodes + index)]
    }

    fn start_node(&mut self, index: u16) -> Result<(), Failure> {
        let properties = self.dir.path().join(format!("server-{index}.properties"));
        fs::write(&properties, self.properties(index))?;
        let mut format = self.tool("kafka.tools.StorageTool")?;
        format.args(["format", "--ignore-formatted", "-t", &self.options.cluster_id, "-c"]).arg(&properties);
        if self.options.secure {
            format.args(security::scram_arguments());
        }
        let formatted = process::run(&mut format, "", READY_WITHIN)?;
        if !formatted.status.success() {
            return Err(
                anyhow!("cannot format storage: {}{}", formatted.stdout, process::tail(&formatted.stderr)).into()
            );
        }
        let log = File::create(self.dir.path().join(format!("server-{index}.log")))?;
        let mut server = java(&self.options.version)?;
        server
            .args(&self.options.jvm)
            .arg(format!("-Dlog4j2.configurationFile={}", self.dir.path().join("log4j2.properties").display()))
            .arg(format!("-Dlog4j.configuration=file:{}", self.dir.path().join("log4j.properties").display()))
            .arg("kafka.Kafka")
            .arg(&properties)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = server.spawn()?;
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$1\"; sleep 0.2; rm -rf \"$2\"", "watchdog", &process.id().to_string()])
            .arg(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.nodes.push(Node { process, watchdog });
        Ok(())
    }

    fn properties(&self, index: u16) -> String {
        let o = &self.options;
        let id = o.node_id + index;
        let replicas = o.nodes.min(3);
        let voters: Vec<_> =
            (0..o.nodes).map(|i| format!("{}@127.0.0.1:{}", o.node_id + i, self.controller_port(i))).collect();
        let listeners: Vec<_> = o
            .protocols()
            .iter()
            .filter_map(|p| Some(format!("{}://127.0.0.1:{}", p.name(), self.port(index, *p)?)))
            .collect();
        let advertised = listeners.join(",");
        let map: Vec<_> = o.protocols().iter().map(|p| format!("{0}:{0}", p.name())).collect();
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            format!("node.id={id}"),
            format!("controller.quorum.voters={}", voters.join(",")),
            format!("listeners={advertised},CONTROLLER://127.0.0.1:{}", self.controller_port(index)),
            format!("advertised.listeners={advertised}"),
            format!("listener.security.protocol.map=CONTROLLER:PLAINTEXT,{}", map.join(",")),
            "controller.listener.names=CONTROLLER".to_owned(),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
            format!("log.dirs={}", self.log_dir(index).display()),
            "num.partitions=4".to_owned(),
            format!("default.replication.factor={replicas}"),
            format!("offsets.topic.replication.factor={replicas}"),
            "offsets.topic.num.partitions=4".to_owned(),
            format!("transaction.state.log.replication.factor={replicas}"),
            "transaction.state.log.min.isr=1".to_owned(),
            "transaction.state.log.num.partitions=4".to_owned(),
            "group.initial.rebalance.delay.ms=0".to_owned(),
        ];
        if !o.version.starts_with("3.") {
            lines.push(format!("share.coordinator.state.topic.replication.factor={replicas}"));
            lines.push("share.coordinator.state.topic.min.isr=1".to_owned());
            lines.push("share.coordinator.state.topic.num.partitions=4".to_owned());
        }
        if o.secure {
            lines.extend(security::properties(self.dir.path()));
        }
        let id_text = id.to_string();
        lines.extend(o.properties.iter().map(|(name, value)| format!("{name}={}", value.replace("@ID@", &id_text))));
        lines.join("\n") + "\n"
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for index in 0..self.options.nodes {
            let Some(port) = self.port(index, SecurityProtocol::Plaintext) else { continue };
            while !probe::known_brokers(port).is_ok_and(|n| n == usize::from(self.options.nodes)) {
                if let Some(status) = self.nodes[usize::from(index)].process.try_wait()? {
                    let log = self.server_log(index);
                    let cause =
                        log.lines().find(|l| l.contains("ERROR") || l.contains("Exception")).unwrap_or_default();
                    bail!("node {index} ended with {status}: {cause}\n{}", process::tail(&log));
                }
                if Instant::now() > deadline {
                    bail!(
                        "node {index} is not ready after {} s: {}",
                        READY_WITHIN.as_secs(),
                        process::tail(&self.server_log(index))
                    );
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

impl Node {
    fn kill(&mut self) -> io::Result<()> {
        // The watchdog first: it must not fire at a process id that is free again.
        self.watchdog.kill()?;
        self.watchdog.wait()?;
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            let _ = writeln!(io::stderr(), "cannot end Apache Kafka (process {}): {error}", self.process.id());
        }
    }
}

/// Ports nobody listens on, below the range that the system gives to outgoing connections: one of those could take a port between
/// this look and Kafka's start.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    let mut port =
        26_000 + u16::try_from((nanos / 1000).wrapping_add(std::process::id().wrapping_mul(97)) % 5_000).unwrap_or(0);
    let mut ports = Vec::new();
    for _ in 0..6_000 {
        if ports.len() == count {
            return Ok(ports);
        }
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
        port = if port >= 31_999 { 26_000 } else { port + 1 };
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free ports between 26000 and 31999"))
}

/// Where the jars of a started cluster's version and the data of a node lie, for tools that judge files.
pub fn dump_log(version: &str, segment: &Path) -> Result<String, Failure> {
    let mut command = java(version)?;
    command.args(["kafka.tools.DumpLogSegments", "--deep-iteration", "--files"]).arg(segment);
    let finished = process::run(&mut command, "", Duration::from_secs(60))?;
    if finished.status.success() {
        Ok(finished.stdout)
    } else {
        Err(anyhow!("{}", process::tail(&finished.stderr)).into())
    }
}

const LOG4J2: &str = "rootLogger.level=WARN
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=OUT
";

const LOG4J: &str = "log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
";
