//! The contract of order and commits, by random histories against a model: takes, done in any order, seeks, pauses, commits.

use std::collections::{BTreeMap, BTreeSet};

use felice::{Commit, Message, Seek};
use futures::TryStreamExt as _;

use crate::world::{World, within};

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What a partition must look like.
#[derive(Default)]
struct Model {
    position: i64,
    /// Where it was last read from.
    base: i64,
    done: BTreeSet<i64>,
    paused: bool,
    committed: Option<i64>,
    /// Handed out since the last seek, and before it.
    held: Vec<Message>,
    stale: Vec<Message>,
}

impl Model {
    fn prefix(&self) -> i64 {
        (self.base..).find(|offset| !self.done.contains(offset)).unwrap_or(self.base)
    }
}

const RECORDS: i64 = 120;

#[tokio::test]
async fn any_history_keeps_order_and_commits_the_prefix_of_what_is_done() {
    for seed in 1..=4 {
        let mut dice = Dice(seed);
        let world = World::with(3).await;
        world.fill(3, RECORDS).await;
        let mut consumer = world.member().commit(Commit::Manual).build().await.unwrap();
        let handle = consumer.handle();
        let mut models: BTreeMap<i32, Model> = (0..3).map(|p| (p, Model::default())).collect();
        // Seeks and pauses need the assignment.
        let first = within(consumer.try_next()).await.unwrap().unwrap();
        let model = models.get_mut(&first.partition()).unwrap();
        assert_eq!(first.offset(), 0);
        model.position = 1;
        model.held.push(first);
        for _ in 0..400 {
            let partition = i32::try_from(dice.below(3)).unwrap();
            let tp = world.partition(partition);
            match dice.below(20) {
                0..=9 => {
                    if models.values().all(|m| m.paused || m.position >= RECORDS) {
                        continue;
                    }
                    let message = within(consumer.try_next()).await.unwrap().unwrap();
                    let model = models.get_mut(&message.partition()).unwrap();
                    assert!(!model.paused, "seed {seed}: {message:?} of a partition that rests");
                    assert_eq!(message.offset(), model.position, "seed {seed}: {message:?}");
                    assert_eq!(message.value_str().unwrap(), message.offset().to_string());
                    model.position += 1;
                    model.held.push(message);
                }
                10..=14 => {
                    let model = models.get_mut(&partition).unwrap();
                    if !model.held.is_empty() {
                        let at = usize::try_from(dice.below(model.held.len() as u64)).unwrap();
                        let message = model.held.swap_remove(at);
                        model.done.insert(message.offset());
                        message.done();
                    } else if let Some(stale) = model.stale.pop() {
                        stale.done();
                    }
                }
                15 => {
                    let model = models.get_mut(&partition).unwrap();
                    let to = i64::try_from(dice.below(RECORDS as u64)).unwrap();
                    assert_eq!(within(handle.seek(&tp, Seek::Offset(to))).await.unwrap(), to);
                    model.stale.append(&mut model.held);
                    (model.position, model.base, model.done) = (to, to, BTreeSet::new());
                }
                16 => {
                    handle.pause([tp]);
                    models.get_mut(&partition).unwrap().paused = true;
                }
                17 => {
                    handle.resume([tp]);
                    models.get_mut(&partition).unwrap().paused = false;
                }
                _ => {
                    within(handle.commit()).await.unwrap();
                    for model in models.values_mut() {
                        if model.prefix() > model.base {
                            model.committed = Some(model.prefix());
                        }
                    }
                }
            }
            assert_eq!(handle.position(&world.partition(partition)).unwrap_or(0), models[&partition].position);
        }
        let expected: BTreeMap<i32, i64> =
            models.iter().filter_map(|(partition, model)| Some((*partition, model.committed?))).collect();
        assert_eq!(world.committed(3).await, expected, "seed {seed}");
    }
}
