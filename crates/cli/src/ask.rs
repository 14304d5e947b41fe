//! The question before a change that cannot be taken back.

use std::io::{IsTerminal as _, Write as _};

use crate::failure::{Failure, local_io};

/// Whether the person at the terminal says yes.
pub(crate) fn confirmed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage("this change needs a yes, and there is no terminal to ask on").fix("--yes"));
    }
    let failure = |e: std::io::Error| local_io("cannot ask", &e);
    anstream::eprint!("{question} [y/N] ");
    std::io::stderr().flush().map_err(failure)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failure)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
