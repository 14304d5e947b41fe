//! Apache Kafka and foreign clients as judges of Felice.
//!
//! - [`kafka`]: real Apache Kafka, any version, from Maven Central's jars, one node or three, on loopback.
//! - [`peers`]: programs with clients that are not ours (Java, franz-go, sarama, librdkafka from C and Python, Kafka's console tools),
//!   each performing one scenario against a broker.
//! - [`groups`]: the same clients as members of groups, one program a member.
//! - [`librdkafka`]: librdkafka's own test suite and its bindings, on our C library.
//! - [`flights`]: 336,776 real lines with 16 keys as input.
//!
//! Nothing of this is needed to build Felice. What a machine lacks is skipped visibly: every entry point answers with a
//! [`Skip`] that says what is missing. [`wanted`] says whether the run was asked for at all (`FELICE_CONFORMANCE`).

#![warn(clippy::unwrap_used)]
#![forbid(unsafe_code)]

use std::fmt;
use std::io::Write;

pub mod cache;
pub mod flights;
pub mod groups;
pub mod kafka;
pub mod librdkafka;
pub mod peers;
mod process;

/// Why a judge cannot sit: a tool, a network or a permission that this machine lacks.
#[derive(Clone, Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Skip {
    /// Says on standard error that `test` is skipped and why. The test harness captures what `eprintln` prints; this line is
    /// written past it, so that nobody takes a skipped judge for one that passed.
    pub fn announce(&self, test: &str) {
        let _ = writeln!(std::io::stderr(), "SKIP {test}: {self}");
    }
}

/// Why something did not come about: the machine lacks something, or it is broken.
#[derive(Debug)]
pub enum Failure {
    /// The machine lacks something: no verdict.
    Skip(Skip),
    /// It was tried and failed: a verdict.
    Failed(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip(skip) => write!(f, "skipped: {skip}"),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Skip> for Failure {
    fn from(skip: Skip) -> Self {
        Self::Skip(skip)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// How much of the conformance suite a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// `FELICE_CONFORMANCE=1`: every judge, few records, a few minutes.
    Sampled,
    /// `FELICE_CONFORMANCE=full`: every judge, many records, every version.
    Full,
}

impl Extent {
    /// Records a codec in the peers' scenario.
    pub fn records(self) -> usize {
        match self {
            Self::Sampled => 500,
            Self::Full => 20_000,
        }
    }
}

/// As [`wanted`], for what only the full extent does.
///
/// # Errors
/// When less was asked for.
pub fn wanted_in_full() -> Result<(), Skip> {
    match wanted()? {
        Extent::Full => Ok(()),
        Extent::Sampled => Err(Skip("only in full: set FELICE_CONFORMANCE=full".to_owned())),
    }
}

/// What `FELICE_CONFORMANCE` asks for; without it a [`Skip`] that says how to ask.
///
/// # Errors
/// When nothing was asked for.
pub fn wanted() -> Result<Extent, Skip> {
    match std::env::var("FELICE_CONFORMANCE").as_deref() {
        Ok("full") => Ok(Extent::Full),
        Ok("" | "0") | Err(_) => Err(Skip("not asked for: set FELICE_CONFORMANCE=1 (sampled) or =full".to_owned())),
        Ok(_) => Ok(Extent::Sampled),
    }
}
