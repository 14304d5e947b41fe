//! The table as text: `rd_kafka_conf_properties_show`.

use felice::config::find_property;

use super::table::{Importance, Kind, Property, Role, Scope, find_exact, properties};
use super::values::Values;

pub(super) fn meaning(property: &Property) -> &'static str {
    if property.deprecated {
        return "no longer used";
    }
    find_property(property.name).map_or("see the documentation", |known| known.meaning)
}

fn range(property: &Property) -> String {
    let names = |names: super::table::Names| names.iter().map(|known| known.1).collect::<Vec<_>>().join(", ");
    match property.kind {
        Kind::Bool { .. } => "true, false".to_owned(),
        Kind::Int { low, high, .. } => format!("{low} .. {high}"),
        Kind::Float { low, high, .. } => format!("{low} .. {high}"),
        Kind::Choice { names: known, .. } => names(known),
        Kind::Flags { names: known, .. } if property.name != "builtin.features" => names(known),
        _ => String::new(),
    }
}

fn type_name(property: &Property) -> &'static str {
    match property.kind {
        Kind::Text { .. } => "string",
        Kind::Patterns => "pattern list",
        Kind::Bool { .. } => "boolean",
        Kind::Int { .. } => "integer",
        Kind::Float { .. } => "float",
        Kind::Choice { .. } => "enum value",
        Kind::Flags { .. } => "CSV flags",
        Kind::Pointer | Kind::Internal => "see dedicated API",
        Kind::Alias(_) | Kind::Invalid(_) => "",
    }
}

/// The table, in librdkafka's columns; the meanings are our own.
pub(super) fn table() -> String {
    let mut text = String::new();
    for (scope, title) in [(Scope::Global, "Global"), (Scope::Topic, "Topic")] {
        let defaults = Values::new(scope);
        if scope == Scope::Topic {
            text.push_str("\n\n");
        }
        text.push_str(&format!("## {title} configuration properties\n\n"));
        text.push_str(&format!(
            "{:<40} | {:>3} | {:<15} | {:>13} | {:<10} | {:<25}\n",
            "Property", "C/P", "Range", "Default", "Importance", "Description"
        ));
        let line = |width: usize| "-".repeat(width);
        text.push_str(&format!(
            "{}-|-{}-|-{}-|-{}:|-{}-| -{}\n",
            line(40),
            line(3),
            line(15),
            line(13),
            line(10),
            line(25)
        ));
        for shown in properties(scope).filter(|property| !property.hidden) {
            let (property, prefix) = match shown.kind {
                Kind::Invalid(_) => continue,
                Kind::Alias(of) => (find_exact(scope, of).unwrap_or(shown), format!("Alias for `{of}`: ")),
                _ => (shown, String::new()),
            };
            let role = match property.role {
                Role::Any => " * ",
                Role::Producer => " P ",
                Role::Consumer => " C ",
            };
            let importance = match property.importance {
                Importance::High => "high",
                Importance::Medium => "medium",
                Importance::Low => "low",
            };
            let marks = match (property.experimental, property.deprecated) {
                (true, _) => "**EXPERIMENTAL**: subject to change or removal. ",
                (false, true) => "**DEPRECATED** ",
                (false, false) => "",
            };
            text.push_str(&format!(
                "{:<40} | {role:>3} | {:<15} | {:>13} | {importance:<10} | {marks}{prefix}{} <br>*Type: {}*\n",
                shown.name,
                range(property),
                defaults.shown(property).unwrap_or_default(),
                meaning(property),
                type_name(property),
            ));
        }
    }
    text + "\n### C/P legend: C = Consumer, P = Producer, * = both\n"
}
