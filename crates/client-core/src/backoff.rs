//! Growing pauses with jitter, from a seed.

use std::time::Duration;

/// A small seeded generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The pause doubles from the first to the longest, 20 % up or down.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
    random: Random,
}

impl Backoff {
    /// No attempt has failed yet.
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest: longest.max(first), attempts: 0, random: Random::new(seed) }
    }

    /// The first pause, without jitter.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// Another attempt has failed: how long to wait.
    #[expect(clippy::should_implement_trait, reason = "a backoff is no iterator")]
    pub fn next(&mut self) -> Duration {
        let pause = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        let percent = u32::try_from(80 + self.random.next_u64() % 41).unwrap_or(100);
        pause.saturating_mul(percent) / 100
    }

    /// An attempt has worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// How many attempts have failed in a row.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}
