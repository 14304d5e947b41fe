//! What a command says when it cannot: one line what, then evidence, then what to do. On standard error, with the exit codes that scripts
//! rely on.

use std::fmt;
use std::process::ExitCode;

/// The exit codes; 0 is "all done".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// At least one item failed; the others are done.
    SomeFailed = 1,
    /// The command line cannot be.
    Usage = 2,
    /// No connection, no TLS session or no authentication.
    NoConnection = 3,
    /// The named thing does not exist.
    NotFound = 4,
    /// Time ran out before the asked count or state.
    TimedOut = 5,
    /// A check said no.
    CheckFailed = 6,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A stable word to search for.
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) fix: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, id: &'static str, what: impl fmt::Display) -> Self {
        Self { exit, id, what: what.to_string(), evidence: Vec::new(), fix: None }
    }

    pub(crate) fn usage(what: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", what)
    }

    pub(crate) fn evidence(mut self, evidence: impl fmt::Display) -> Self {
        self.evidence.push(evidence.to_string());
        self
    }

    pub(crate) fn fix(mut self, fix: impl fmt::Display) -> Self {
        self.fix = Some(fix.to_string());
        self
    }

    /// Shows it on standard error.
    pub(crate) fn show(&self) {
        let bold = anstyle::Style::new().bold();
        let red = anstyle::AnsiColor::Red.on_default().bold();
        anstream::eprintln!("{red}error[{}]{red:#}: {bold}{}{bold:#}", self.id, self.what);
        for evidence in &self.evidence {
            anstream::eprintln!("  evidence  {evidence}");
        }
        if let Some(fix) = &self.fix {
            anstream::eprintln!("  fix       {fix}");
        }
    }
}

/// Shows every failure but the last, which the caller ends with: all items are tried, and each is reported once.
pub(crate) fn show_and_keep(kept: &mut Option<Failure>, failure: Failure) {
    if let Some(earlier) = kept.replace(failure) {
        earlier.show();
    }
}

/// Reading or writing a local file or pipe. A closed pipe is no failure: `felice consume t | head` has what it asked for.
pub(crate) fn local_io(what: impl fmt::Display, error: &std::io::Error) -> Failure {
    let id = match error.kind() {
        std::io::ErrorKind::NotFound => "file-not-found",
        std::io::ErrorKind::PermissionDenied => "permission-denied",
        std::io::ErrorKind::BrokenPipe => BROKEN_PIPE,
        _ => "io",
    };
    let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::SomeFailed };
    Failure::new(exit, id, format!("{what}: {error}"))
}

/// The id of a failure that is none.
pub(crate) const BROKEN_PIPE: &str = "broken-pipe";
