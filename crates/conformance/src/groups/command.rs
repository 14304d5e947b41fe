//! How each member's program is made and started.

use std::ffi::OsString;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::Program;
use crate::{Failure, peers};

type Launch = (OsString, Vec<OsString>);

/// The command of a member's program, without its arguments; built if need be, once in this process.
///
/// # Errors
/// [`Failure::Skip`] when the machine lacks what it is made of.
pub fn member(program: &Program) -> Result<Command, Failure> {
    static BUILT: Mutex<Vec<(Program, Launch)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, launch)) = built.iter().find(|(known, _)| known == program) {
        return Ok(command(launch));
    }
    let launch = launch(&match program {
        Program::Java => peers::java_compiled("Member")?,
        Program::FranzGo => peers::go("franz-member")?,
        Program::Sarama => peers::go("sarama-member")?,
        Program::Python => peers::python("member.py")?,
        Program::C => peers::c("member")?,
        Program::Other(path) => Command::new(path),
    });
    built.push((program.clone(), launch.clone()));
    Ok(command(&launch))
}

fn launch(command: &Command) -> Launch {
    (command.get_program().to_owned(), command.get_args().map(ToOwned::to_owned).collect())
}

fn command((program, arguments): &Launch) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
