//! Whole configurations: what is set, copied, checked and mapped.

use super::*;

fn with(values: &[(&str, &str)]) -> Conf {
    let mut conf = Conf::new();
    for (name, value) in values {
        conf.set(name, Some(value)).unwrap();
    }
    conf
}

fn refused(kind: ClientKind, values: &[(&str, &str)]) -> String {
    with(values).finalize(kind).unwrap_err()
}

#[test]
fn a_property_of_topics_falls_through_and_is_seen_once_it_was_touched() {
    let mut conf = Conf::new();
    assert_eq!(conf.get("acks"), None);
    assert_eq!(conf.text("auto.offset.reset"), Some("largest"));
    conf.set("acks", Some("all")).unwrap();
    assert_eq!(conf.get("acks").as_deref(), Some("-1"));
    assert_eq!(conf.get("topic.acks"), None);
    assert_eq!(conf.get("auto.offset.reset").as_deref(), Some("largest"));
    assert_eq!(conf.set("no.such", Some("1")).unwrap_err().0, ConfRes::UNKNOWN);
}

#[test]
fn an_idempotent_producer_has_its_settings_adjusted_or_refused() {
    let mut conf = with(&[("enable.idempotence", "true"), ("linger.ms", "7.5")]);
    let mapped = conf.finalize(ClientKind::Producer).unwrap();
    assert_eq!(conf.int("max.in.flight"), 5);
    assert_eq!(conf.int("sticky.partitioning.linger.ms"), 15);
    assert_eq!(mapped.value("linger.ms"), Some("7.5"));
    assert_eq!(mapped.value("enable.idempotence"), Some("true"));
    assert_eq!(mapped.value("allow.auto.create.topics"), Some("true"));
    let idempotent = ("enable.idempotence", "true");
    assert!(refused(ClientKind::Producer, &[idempotent, ("acks", "1")]).starts_with("`acks` must be set to `all`"));
    assert!(refused(ClientKind::Producer, &[idempotent, ("max.in.flight", "6")]).contains("<= 5 when"));
    assert!(refused(ClientKind::Producer, &[idempotent, ("retries", "0")]).starts_with("`retries` must be set >= 1"));
    let explicit = [("enable.idempotence", "false"), ("transactional.id", "t")];
    assert_eq!(refused(ClientKind::Producer, &explicit), "`transactional.id` requires `enable.idempotence=true`");
}

#[test]
fn a_consumers_sizes_follow_each_other() {
    let mut conf = with(&[("message.max.bytes", "200000000"), ("group.id", "g")]);
    conf.finalize(ClientKind::Consumer).unwrap();
    assert_eq!(conf.int("fetch.max.bytes"), 200_000_000);
    assert_eq!(conf.int("receive.message.max.bytes"), 200_000_512);
    assert_eq!(
        refused(ClientKind::Consumer, &[("session.timeout.ms", "400000")]),
        "`max.poll.interval.ms`must be >= `session.timeout.ms`"
    );
    let broker_side = refused(ClientKind::Consumer, &[("group.protocol", "consumer"), ("session.timeout.ms", "1")]);
    assert!(broker_side.ends_with("It is defined broker side"), "{broker_side}");
    assert!(
        refused(ClientKind::ShareConsumer, &[("isolation.level", "read_committed")])
            .starts_with("`isolation.level` is not applicable")
    );
}

#[test]
fn linger_gives_way_to_the_message_timeout_unless_it_was_set() {
    let mut conf = with(&[("message.timeout.ms", "3")]);
    conf.finalize(ClientKind::Producer).unwrap();
    assert!((conf.float("linger.ms") - 2.9).abs() < 1e-9);
    let both = [("message.timeout.ms", "3"), ("linger.ms", "3")];
    assert_eq!(refused(ClientKind::Producer, &both), "`message.timeout.ms` must be greater than `linger.ms`");
}

#[test]
fn every_value_of_every_choice_is_understood_by_our_client() {
    for scope in [Scope::Global, Scope::Topic] {
        for property in properties(scope).filter(|property| property.unsupported.is_none()) {
            let Kind::Choice { names, .. } = property.kind else { continue };
            // SASL needs more settings.
            for (_, name) in names.iter().filter(|known| !known.1.starts_with("sasl")) {
                let mut conf = Conf::new();
                match scope {
                    Scope::Global => conf.set(property.name, Some(name)).unwrap(),
                    Scope::Topic => conf.topic.set(property.name, Some(name)).unwrap(),
                }
                conf.finalize(ClientKind::Consumer).unwrap();
            }
        }
    }
}

#[test]
fn warnings_name_what_is_deprecated_or_for_others() {
    let conf = with(&[("api.version.request", "true"), ("group.id", "g"), ("bootstrap.servers", "b")]);
    let lines = conf.warnings(ClientKind::Producer);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("Configuration property api.version.request is deprecated"));
    assert!(lines[1].ends_with("is a consumer property and will be ignored by this producer instance"));
}

#[test]
fn passwords_are_not_shown_where_it_is_logged() {
    let conf = with(&[("sasl.password", "hunter2"), ("client.id", "me")]);
    let shown = conf.set_and_shown();
    assert_eq!(shown, [("client.id", "me".to_owned()), ("sasl.password", "[redacted]".to_owned())]);
}
