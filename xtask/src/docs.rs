//! `docs`: the tables in `docs/` that are made from the code. A test of the client makes them (it has the property table, and a broker to
//! ask), so that every `cargo test` finds an old one; this is the name under which people look for it.

use anyhow::Result;

use crate::run;

pub(crate) fn run(check: bool) -> Result<()> {
    let mut cargo = run::cargo(&["test", "--quiet", "-p", "felice", "--test", "docs"]);
    if !check {
        cargo.env("FELICE_UPDATE_DOCS", "1");
    }
    run::check(&mut cargo)
}
