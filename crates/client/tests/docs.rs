//! What in `docs/` is made from the code: the table of properties, and the APIs that the broker offers. `cargo xtask docs` writes them anew,
//! `cargo xtask docs --check` and every `cargo test` fail where they are old.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::Write as _;
use std::path::Path;

use felice::Client;
use felice::config::{Kind, PROPERTIES, Property};
use felice::protocol::messages::{ApiKey, ApiVersionsRequest};
use felice_broker::Broker;

/// Puts `text` between the markers of that name in a file of `docs/`, or complains where something else is there.
fn hold(file: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    let old = std::fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- generated: {name} -->\n"), format!("<!-- /generated: {name} -->\n"));
    let (before, rest) = old.split_once(&open).unwrap();
    let (_, after) = rest.split_once(&close).unwrap();
    let new = format!("{before}{open}{text}{close}{after}");
    if std::env::var_os("FELICE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, new).unwrap();
    } else {
        assert!(old == new, "docs/{file} is old: cargo xtask docs");
    }
}

fn code(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("`{value}`") }
}

fn kind(property: &Property) -> String {
    let bound = |n: i64| match n {
        i64::MAX => "…".to_owned(),
        n if n == i64::from(i32::MAX) => "2³¹−1".to_owned(),
        n => n.to_string(),
    };
    match property.kind {
        Kind::Text => "text".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Bool => "boolean".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Int(low, high) => format!("{} to {}", bound(low), bound(high)),
        Kind::Enum(values) => {
            values.iter().filter(|value| !value.is_empty()).map(|value| code(value)).collect::<Vec<_>>().join(" ")
        }
    }
}

/// The README's example runs: it stands among the crate's own, which are compiled and run as tests.
#[test]
fn the_readme_s_example_is_one_that_runs() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```rust\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let docs: String = include_str!("../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(docs.contains(example), "the crate's documentation does not have:\n{example}");
}

#[test]
fn the_table_of_properties_is_that_of_the_code() {
    let mut text = String::from(
        "| property | other names | value | Felice | Java | librdkafka | meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for property in PROPERTIES {
        let aliases = property.aliases.iter().map(|alias| code(alias)).collect::<Vec<_>>().join(" ");
        let [felice, java, librdkafka] = [property.felice, property.java, property.librdkafka].map(code);
        let (name, kind, meaning) = (code(property.name), kind(property), property.meaning);
        writeln!(text, "| {name} | {aliases} | {kind} | {felice} | {java} | {librdkafka} | {meaning} |").unwrap();
    }
    hold("properties.md", "properties", &text);
}

#[tokio::test]
async fn the_table_of_apis_is_what_a_broker_answers() {
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    // A client without a name and a version is refused.
    let request = ApiVersionsRequest {
        client_software_name: "docs".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let answer = client.request(request).await.unwrap();
    assert!(!answer.api_keys.is_empty(), "{answer:?}");
    let mut text = String::from("| key | API | versions | Kafka 4.3.1 has |\n|---|---|---|---|\n");
    for api in &answer.api_keys {
        let key = ApiKey(api.api_key);
        let (low, high) = key.valid_versions().unwrap();
        let name = key.name().unwrap_or_default();
        writeln!(text, "| {} | {name} | {} to {} | {low} to {high} |", key.0, api.min_version, api.max_version)
            .unwrap();
    }
    hold("broker.md", "apis", &text);
}
