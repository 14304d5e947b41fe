//! `felice group` and `felice consume -g`.

use std::process::Output;

use serde_json::json;

use super::{Broker, failure, json_lines, stderr};

const UNDO: &str = "undo: felice group restore ";

/// A broker with ten records in `orders`, of which group `billing` has committed three.
fn billing() -> (Broker, tempfile::TempDir) {
    let broker = Broker::start();
    broker.ok(&["topic", "create", "orders", "-p", "1"]);
    let records: String = (0..10).map(|n| format!("r{n}\n")).collect();
    assert!(broker.feed(&["produce", "orders", "-q"], records.as_bytes()).status.success());
    let state = tempfile::tempdir().unwrap();
    let moved = seek(&broker, &state, &["billing", "--topic", "orders", "--to", "3", "--yes"]);
    assert!(moved.status.success(), "{}", stderr(&moved));
    (broker, state)
}

fn seek(broker: &Broker, state: &tempfile::TempDir, arguments: &[&str]) -> Output {
    let mut command = super::felice();
    command.args(["group", "seek"]).args(arguments);
    command.env("FELICE_BOOTSTRAP", &broker.address).env("XDG_STATE_HOME", state.path()).output().unwrap()
}

fn lag(broker: &Broker) -> serde_json::Value {
    json_lines(&broker.ok(&["group", "lag", "billing"])).remove(0)
}

#[test]
fn groups_are_listed_and_described() {
    let (broker, _state) = billing();
    let listed = json_lines(&broker.ok(&["group", "list"]));
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["group"], &listed[0]["state"]), (&json!("billing"), &json!("Empty")));
    assert_eq!(broker.ok(&["group", "list", "--state", "stable"]), "");
    assert_eq!(broker.ok(&["group", "list", "-f", "name"]), "billing\n");
    let described = json_lines(&broker.ok(&["group", "describe", "billing"]));
    assert_eq!((&described[0]["state"], &described[0]["members"]), (&json!("Empty"), &json!(0)));
    assert_eq!(broker.ok(&["group", "members", "billing"]), "");
}

#[test]
fn lag_is_shown_in_records_and_time_and_as_an_exit_code() {
    let (broker, _state) = billing();
    let row = lag(&broker);
    assert_eq!((&row["committed"], &row["end_offset"], &row["lag"]), (&json!(3), &json!(10), &json!(7)));
    assert!(row["behind_ms"].as_u64().is_some_and(|ms| ms < 60_000), "{row}");
    assert!(broker.run(&["group", "lag", "billing", "-q", "--fail-over", "7", "--fail-behind", "1h"]).status.success());
    let (code, text) = failure(&broker.run(&["group", "lag", "billing", "-q", "--fail-over", "6"]));
    assert_eq!(code, 6);
    assert!(text.contains("orders[0] is 7 records behind"), "{text}");
}

#[test]
fn a_seek_shows_its_plan_asks_and_can_be_undone() {
    let (broker, state) = billing();
    let planned = seek(&broker, &state, &["billing", "--to", "start", "--dry-run"]);
    let rows = json_lines(&String::from_utf8(planned.stdout.clone()).unwrap());
    assert_eq!((&rows[0]["committed"], &rows[0]["target"], &rows[0]["change"]), (&json!(3), &json!(0), &json!(-3)));
    assert!(stderr(&planned).contains("3 records will be read again. Nothing was changed"), "{}", stderr(&planned));
    assert_eq!(lag(&broker)["committed"], 3);

    let (code, text) = failure(&seek(&broker, &state, &["billing", "--to", "start"]));
    assert_eq!(code, 2);
    assert!(text.contains("--yes"), "{text}");

    let moved = seek(&broker, &state, &["billing", "--by", "-2", "--yes"]);
    assert_eq!(lag(&broker)["committed"], 1);
    let text = stderr(&moved);
    let undo = text.lines().find_map(|line| line.split(UNDO).nth(1)).unwrap_or_else(|| panic!("{text}"));
    broker.ok(&["group", "restore", undo, "--yes"]);
    assert_eq!(lag(&broker)["committed"], 3);

    assert!(seek(&broker, &state, &["other", "--to-group", "billing", "--yes"]).status.success());
    assert_eq!(broker.ok(&["group", "list", "-f", "name"]), "billing\nother\n");
}

#[test]
fn a_group_and_what_it_committed_of_a_topic_can_be_deleted() {
    let (broker, _state) = billing();
    broker.ok(&["group", "delete", "billing", "--topic", "orders", "--dry-run"]);
    assert_eq!(lag(&broker)["committed"], 3);
    broker.ok(&["group", "delete", "billing", "--topic", "orders", "--yes"]);
    let (code, text) = failure(&broker.run(&["group", "seek", "billing", "--to", "start", "--yes"]));
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("name a topic"), "{text}");
}

#[test]
fn what_is_not_there_is_named() {
    let (broker, _state) = billing();
    let (code, text) = failure(&broker.run(&["group", "describe", "nobody"]));
    assert_eq!(code, 4);
    assert!(text.contains("there is no group 'nobody'"), "{text}");
    let (code, text) = failure(&broker.run(&["group", "members", "billing", "--remove", "ghost", "--yes"]));
    assert_eq!(code, 4);
    assert!(text.contains("'ghost' is no member"), "{text}");
    let (code, text) = failure(&broker.run(&["group", "delete", "nobody", "--yes"]));
    assert_eq!(code, 4, "{text}");
}

#[test]
fn members_of_a_group_read_on_from_what_was_printed() {
    let (broker, _state) = billing();
    assert_eq!(broker.ok(&["consume", "orders", "-g", "billing", "-n", "2"]), "r3\nr4\n");
    assert_eq!(lag(&broker)["committed"], 5);
    assert_eq!(broker.ok(&["consume", "orders", "-g", "billing", "-e"]), "r5\nr6\nr7\nr8\nr9\n");
    assert_eq!(lag(&broker)["lag"], 0);
    assert_eq!(broker.ok(&["consume", "orders", "-g", "new", "-e", "-o", "end"]), "");
    let (code, text) = failure(&broker.run(&["consume", "orders", "-g", "billing", "-o", "@-1h"]));
    assert_eq!(code, 2);
    assert!(text.contains("felice group seek billing --topic orders --to @-1h"), "{text}");
    let (code, text) = failure(&broker.run(&["consume", "orders", "-g", "", "-e"]));
    assert_eq!(code, 2, "{text}");
    let (code, text) = failure(&broker.run(&["consume", "ghost", "-g", "billing", "-e"]));
    assert_eq!(code, 4, "{text}");
}
