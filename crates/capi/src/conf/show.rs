//! The table as text: `rd_kafka_conf_properties_show`, and the warnings that follow from a property's marks.

use felice::config::find_property;

use super::ClientKind;
use super::table::{Importance, Kind, Property, Role, Scope, find_exact, properties};
use super::values::Values;

/// What is logged of properties that are set and deprecated, experimental, or not for this kind of handle.
pub(super) fn marked(values: &Values, kind: ClientKind) -> Vec<String> {
    let (other, own, others) = match kind {
        ClientKind::Producer => (Role::Consumer, "producer", "consumer"),
        ClientKind::Consumer | ClientKind::ShareConsumer => (Role::Producer, "consumer", "producer"),
    };
    let mut lines = Vec::new();
    for property in properties(values.scope()).filter(|property| values.set_value(property.name).is_some()) {
        let name = property.name;
        let mark = match (property.deprecated, property.experimental) {
            (true, true) => Some("deprecated and experimental"),
            (true, false) => Some("deprecated"),
            (false, true) => Some("experimental"),
            (false, false) => None,
        };
        if let Some(mark) = mark {
            lines.push(format!("Configuration property {name} is {mark}: {}", meaning(property)));
        }
        if property.role == other {
            lines.push(format!(
                "Configuration property {name} is a {others} property and will be ignored by this {own} instance"
            ));
        }
    }
    lines
}

fn meaning(property: &Property) -> &'static str {
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
