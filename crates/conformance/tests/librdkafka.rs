//! librdkafka's own test suite on our `librdkafka.so.1`: what passes on the original passes on ours, but for the list in `librdkafka/skips`.
//!
//! `FELICE_CONFORMANCE=1` runs the entries that are marked as the sample in `librdkafka/entries.tsv`, at most ten minutes of them; `full` runs all.
//! One entry by hand: `cargo run -p felice-conformance --example librdkafka -- 0072_headers_ut`.

use std::io::Write as _;

use felice_broker::Broker;
use felice_conformance::librdkafka::bindings::{self, Binding, Check, Installation};
use felice_conformance::librdkafka::cluster::Cluster;
use felice_conformance::librdkafka::table::Needs;
use felice_conformance::librdkafka::{Campaign, Library, Suite, Verdict, header, table};
use felice_conformance::{Extent, Failure, Skip};

mod support;

use support::{asked_for, unless_skipped};

#[test]
fn what_passes_on_the_original_passes_on_ours() {
    let test = "what_passes_on_the_original_passes_on_ours";
    let Some(extent) = asked_for(test) else { return };
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    let library = Library::ours().unwrap();
    let skips = table::skips().unwrap();
    let rows = table::rows().unwrap();
    let (mut passed, mut skipped, mut faults) = (0, 0, Vec::new());
    let mut campaign = Campaign::new(&suite, &library, None);
    let mut stderr = std::io::stderr();
    for row in rows.iter().filter(|row| row.original == Verdict::Pass) {
        // What is on the list is tried in full only: much of it ends by running out of time.
        if extent == Extent::Sampled && (!row.sampled || skips.contains_key(&row.entry)) {
            continue;
        }
        let outcome = match campaign.run(row) {
            Ok(outcome) => outcome,
            Err(Failure::Skip(Skip(why))) => {
                Skip(why).announce(&row.entry);
                continue;
            }
            Err(Failure::Failed(error)) => panic!("{}: {error:#}", row.entry),
        };
        let reason = skips.get(&row.entry).map(String::as_str);
        let fault = table::fault(row, reason, &outcome);
        let said = fault.as_deref().or(reason).unwrap_or_default();
        let (verdict, seconds) = (outcome.verdict.name(), outcome.time.as_secs_f64());
        // Past the harness, which keeps what `println` prints: this takes long, and a reader wants to see where it is.
        writeln!(stderr, "{:<50} {verdict:<8} {seconds:>6.1} s (original {} s) {said}", row.entry, row.seconds)
            .unwrap();
        match fault {
            Some(fault) => faults.push(format!("{}: {fault} ({})", row.entry, outcome.log.display())),
            None if reason.is_some() => skipped += 1,
            None => passed += 1,
        }
    }
    writeln!(stderr, "{passed} pass, {skipped} are on the list, {} are wrong", faults.len()).unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test]
async fn upstreams_library_passes_its_suite_on_our_broker() {
    let test = "upstreams_library_passes_its_suite_on_our_broker";
    let Some(extent) = asked_for(test) else { return };
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    let broker = Broker::builder().in_memory().config("num.partitions", "4").start().await.unwrap();
    let bootstrap = broker.bootstrap().to_owned();
    let skips = table::broker_skips().unwrap();
    let is_cheap = |row: &table::Row| row.sampled && row.seconds <= 1 || row.entry == "0053_stats";
    let wanted = move |row: &table::Row| {
        let applies = row.original == Verdict::Pass && row.needs == Needs::Brokers && !skips.contains_key(&row.entry);
        applies && (extent == Extent::Full || is_cheap(row))
    };
    let judged = tokio::task::spawn_blocking(move || {
        let library = Library::Original;
        let mut campaign = Campaign::new(&suite, &library, Some(bootstrap));
        let (mut passed, mut faults, mut stderr) = (0, Vec::new(), std::io::stderr());
        for row in table::rows().unwrap().iter().filter(|row| wanted(row)) {
            let outcome = campaign.run(row).unwrap();
            let fault = table::fault(row, None, &outcome);
            let (verdict, seconds) = (outcome.verdict.name(), outcome.time.as_secs_f64());
            let said = fault.as_deref().unwrap_or_default();
            writeln!(stderr, "our broker: {:<50} {verdict:<8} {seconds:>6.1} s {said}", row.entry).unwrap();
            match fault {
                Some(fault) => faults.push(format!("{}: {fault} ({})", row.entry, outcome.log.display())),
                None => passed += usize::from(outcome.verdict == Verdict::Pass),
            }
        }
        writeln!(stderr, "{passed} pass on our broker, {} do not", faults.len()).unwrap();
        faults
    });
    let faults = judged.await.unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_has_every_entry_of_the_suite() {
    let test = "the_table_has_every_entry_of_the_suite";
    if asked_for(test).is_none() {
        return;
    }
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    let rows = table::rows().unwrap();
    let missing: Vec<String> = suite
        .entries()
        .unwrap()
        .into_iter()
        .filter(|entry| !rows.iter().any(|row| row.entry.split('@').next() == Some(entry)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn our_header_is_upstreams() {
    let test = "our_header_is_upstreams";
    if asked_for(test).is_none() {
        return;
    }
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    let [upstream, _] = suite.libraries();
    let ours = header::ours();
    let (theirs, mine) = (header::prototypes(&upstream).unwrap(), header::prototypes(&ours).unwrap());
    assert_eq!(theirs.len(), 553);
    assert_eq!(theirs, mine);
    assert_eq!(header::numbers(&upstream, &upstream).unwrap(), header::numbers(&upstream, &ours).unwrap());
    assert_eq!(
        header::numbers(&ours, &upstream).unwrap(),
        header::numbers(&ours, &ours).unwrap(),
        "names of ours only"
    );
    header::compile_upstream(&suite).unwrap();
}

/// Judges a binding by its checks.
fn judge(binding: Binding, installation: &Installation, suite: &Suite, bootstrap: &str) -> Vec<String> {
    let test = format!("bindings, {}", binding.name());
    let Some(checks) = unless_skipped(&test, binding.run(installation, suite, bootstrap)) else { return Vec::new() };
    let held = checks.values().filter(|check| **check == Check::Ok).count();
    let left_out = checks.values().filter(|check| **check == Check::Skip).count();
    let faults = bindings::faults(binding, &checks, &table::binding_skips().unwrap());
    // Past the harness, which keeps what `eprintln` prints.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{test}: {held} hold, {left_out} left out, {} wrong", faults.len()).unwrap();
    faults
}

#[tokio::test]
async fn programs_for_librdkafka_run_on_ours_and_the_embedded_broker() {
    let test = "programs_for_librdkafka_run_on_ours_and_the_embedded_broker";
    let Some(extent) = asked_for(test) else { return };
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    let installation = Installation::of(&Library::ours().unwrap()).unwrap();
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let bootstrap = broker.bootstrap().to_owned();
    let judged = tokio::task::spawn_blocking(move || {
        // Go's tests mostly wait: two minutes.
        let go = (extent == Extent::Full).then_some(Binding::GoUnit);
        [Binding::Kcat, Binding::Cpp]
            .into_iter()
            .chain(go)
            .flat_map(|binding| judge(binding, &installation, &suite, &bootstrap))
            .collect::<Vec<_>>()
    });
    let faults = judged.await.unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn programs_for_librdkafka_run_on_ours_and_apache_kafka() {
    let test = "programs_for_librdkafka_run_on_ours_and_apache_kafka";
    if unless_skipped(test, felice_conformance::wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    let installation = Installation::of(&Library::ours().unwrap()).unwrap();
    let Some(cluster) = unless_skipped(test, Cluster::start(true)) else { return };
    let faults: Vec<String> = [Binding::Kcat, Binding::Cpp, Binding::Go, Binding::Python]
        .into_iter()
        .flat_map(|binding| judge(binding, &installation, &suite, &cluster.bootstrap()))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test]
async fn rust_rdkafka_runs_on_ours_and_the_embedded_broker() {
    let test = "rust_rdkafka_runs_on_ours_and_the_embedded_broker";
    if unless_skipped(test, felice_conformance::wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(suite) = unless_skipped(test, Suite::build()) else { return };
    // Its tests look for a cluster of this one node at this port, with three partitions by default.
    let broker = Broker::builder().in_memory().listen("127.0.0.1:9092");
    let broker = match broker.config("node.id", "0").config("num.partitions", "3").start().await {
        Ok(broker) => broker,
        Err(error) => return Skip(format!("no broker at port 9092: {error}")).announce(test),
    };
    let bootstrap = broker.bootstrap().to_owned();
    let installation = Installation::of(&Library::ours().unwrap()).unwrap();
    let judged = tokio::task::spawn_blocking(move || judge(Binding::Rust, &installation, &suite, &bootstrap));
    let faults = judged.await.unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
