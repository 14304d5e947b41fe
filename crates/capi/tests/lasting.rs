//! What only shows after many calls: random ones, cycles of making and destroying, forks, many consumers. The same programs run longer by hand:
//! `tests/README.md`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod program;

use program::{build, run};

async fn succeeds<const N: usize>(source: &str, arguments: [&str; N]) {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = build(dir.path(), source) else { return };
    let output = run(&program, arguments).await;
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_calls_find_no_crash_hang_or_leak() {
    // A busy machine is given more patience than one that looks for hangs.
    succeeds("calls.c", ["1", "20", "60000"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_and_destroyed_again_and_again_leaves_nothing() {
    succeeds("cycles.c", ["50"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_forked_child_old_handles_fail_at_once_and_new_ones_work() {
    succeeds("fork.c", ["20"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_consumers_share_threads() {
    succeeds("many.c", ["500", "250", "40"]).await;
}
