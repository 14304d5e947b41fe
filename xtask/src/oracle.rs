//! `xtask oracle`: has Apache Kafka's own message classes write the golden bytes of `crates/protocol/testdata/messages`, and its assignors
//! divide the groups of the cores' `testdata/assignors`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{codegen, run};

/// Records the bytes; with `check`, only compares them with what is committed.
pub(crate) fn run(check: bool) -> Result<()> {
    let jars = codegen::kafka_libs();
    let java = run::available("java", &["-version"]);
    if check && (jars.is_none() || !java) {
        println!("SKIP oracle check: {}", if java { "Apache Kafka's jars are not here" } else { "no java" });
        return Ok(());
    }
    let jars = jars.context("Apache Kafka 4.3.1's jars are not here: set FELICE_KAFKA_LIBS to their folder")?;
    let testdata = run::root().join("crates/protocol/testdata");
    let committed = testdata.join("messages");
    let written = if check { run::target_dir().join("oracle") } else { committed.clone() };
    run::check(
        Command::new("java")
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(testdata.join("oracle/MessageOracle.java"))
            .arg(&jars)
            .arg(&written),
    )?;
    if check {
        compare(&committed, &written)?;
    }
    ASSIGNORS.iter().try_for_each(|(core, program)| assignors(core, program, &jars, check))
}

/// The programs that run Kafka's assignors, each in the `testdata/oracle` of a crate.
const ASSIGNORS: &[(&str, &str)] =
    &[("client-core", "AssignorOracle.java"), ("broker-core", "ServerAssignorOracle.java")];

fn assignors(core: &str, program: &str, jars: &Path, check: bool) -> Result<()> {
    let testdata = run::root().join("crates").join(core).join("testdata");
    let committed = testdata.join("assignors/kafka.txt");
    let written = if check { run::target_dir().join(format!("oracle-{core}.txt")) } else { committed.clone() };
    // What they log, they log to the standard output.
    run::check(
        Command::new("java")
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(testdata.join("oracle").join(program))
            .arg(&written)
            .stdout(std::process::Stdio::null()),
    )?;
    if std::fs::read(&committed)? != std::fs::read(&written)? {
        bail!("{} is not what Apache Kafka answers (cargo xtask oracle)", committed.display());
    }
    Ok(())
}

fn compare(committed: &Path, written: &Path) -> Result<()> {
    let mut differing = Vec::new();
    let names = |folder: &Path| -> Result<Vec<_>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.push(entry?.file_name());
        }
        names.sort();
        Ok(names)
    };
    let (ours, theirs) = (names(committed)?, names(written)?);
    for name in ours.iter().chain(theirs.iter().filter(|name| !ours.contains(name))) {
        if std::fs::read(committed.join(name)).ok() != std::fs::read(written.join(name)).ok() {
            differing.push(name.to_string_lossy().into_owned());
        }
    }
    if !differing.is_empty() {
        bail!("golden bytes are not those of Apache Kafka: {} (cargo xtask oracle)", differing.join(", "));
    }
    Ok(())
}
