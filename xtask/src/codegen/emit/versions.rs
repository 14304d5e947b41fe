//! In which versions something is there, and the Rust that asks so.

use anyhow::{Result, bail};

use super::super::schema::{Field, Struct, Versions};
use super::{Scope, live};

/// An expression over `version` that is true in `wanted`, given that `version` lies in `given`; `None` where it always is.
pub(super) fn condition(wanted: Versions, given: Versions) -> Option<String> {
    let both = wanted.intersect(given);
    if wanted.contains(given) {
        return None;
    }
    Some(match both {
        Versions { min, max } if min > max => "false".into(),
        Versions { min, max } if min == max => format!("version == {min}"),
        Versions { min, max } if max == given.max => format!("version >= {min}"),
        Versions { min, max } if min == given.min => format!("version <= {max}"),
        Versions { min, max } => format!("({min}..={max}).contains(&version)"),
    })
}

/// The opposite of what [`condition`] gave.
pub(super) fn negated(condition: &str) -> String {
    match condition.strip_prefix("version ").and_then(|rest| rest.split_once(' ')) {
        Some(("==", n)) => format!("version != {n}"),
        Some((">=", n)) => format!("version < {n}"),
        Some(("<=", n)) => format!("version > {n}"),
        _ => format!("!{condition}"),
    }
}

/// The argument that says whether lengths are compact.
pub(super) fn flexible(scope: &Scope<'_>, field: &Field) -> String {
    if field.never_flexible || scope.message.flexible.is_empty() {
        return "false".into();
    }
    condition(scope.message.flexible, scope.message.valid.intersect(field.versions)).unwrap_or_else(|| "true".into())
}

/// The versions in which a field stands in its place, and those in which it is a tagged field.
pub(super) fn places(scope: &Scope<'_>, of: &Struct, field: &Field) -> Result<(Versions, Versions)> {
    let present = live(scope, of).intersect(field.versions);
    let tagged = present.intersect(field.tagged);
    if tagged.is_empty() {
        return Ok((present, tagged));
    }
    if !tagged.contains(present) && tagged.max != present.max {
        bail!("{} is tagged in the middle of its versions", field.name);
    }
    Ok((Versions { min: present.min, max: tagged.min - 1 }, tagged))
}
