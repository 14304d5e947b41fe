//! Kafka's jars, resolved by Maven once into `apache-kafka/VERSION` of the user's cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::{Failure, Skip, cache, process};

/// The folder that holds the jars of a version (server, tools and clients), fetched from Maven Central if they are not there.
///
/// # Errors
/// [`Failure::Skip`] without `java`, or without `mvn` or network when the jars must be fetched.
pub fn jars(version: &str) -> Result<PathBuf, Failure> {
    static JAVA: OnceLock<bool> = OnceLock::new();
    if !JAVA.get_or_init(|| process::exists("java", "-version")) {
        return Err(Skip("no `java` (17 or later)".to_owned()).into());
    }
    let dir = cache::dir(&format!("apache-kafka/{version}"))?;
    cache::once(&dir, || {
        if !process::exists("mvn", "-v") {
            return Err(Skip(format!("no `mvn` to fetch Apache Kafka {version}")).into());
        }
        let project = tempfile::tempdir()?;
        let pom = project.path().join("pom.xml");
        fs::write(&pom, pom_xml(version))?;
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
        command.arg(format!("-DoutputDirectory={}", dir.display())).arg("-f").arg(&pom);
        let fetched = process::run(&mut command, "", Duration::from_secs(600))?;
        if !fetched.status.success() {
            let cause =
                fetched.stdout.lines().find(|l| l.contains("ERROR")).map_or_else(|| fetched.cause(), str::to_owned);
            return Err(Skip(format!("Maven cannot fetch Apache Kafka {version}: {cause}")).into());
        }
        Ok(())
    })?;
    Ok(dir)
}

/// `java` with the jars of a version as its class path.
///
/// # Errors
/// As [`jars`].
pub fn java(version: &str) -> Result<Command, Failure> {
    let mut class_path = jars(version)?.into_os_string();
    class_path.push("/*");
    let mut command = Command::new("java");
    command.arg("-cp").arg(class_path);
    Ok(command)
}

fn pom_xml(version: &str) -> String {
    let mut dependencies = String::new();
    for (group, artifact, version) in [
        ("org.apache.kafka", "kafka_2.13", version),
        ("org.apache.kafka", "kafka-tools", version),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
    ] {
        dependencies += &format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        );
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>local</groupId>\
         <artifactId>apache-kafka</artifactId><version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
}
