//! The faults a world knows, and when they come. What each does to the world is in `world/mischief.rs`.

use crate::rng::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A connection breaks, both sides are told, what was under way is lost.
    Cut,
    /// A connection breaks and only the client is told.
    CutForClient,
    /// A connection breaks and only the broker is told.
    CutForBroker,
    /// A connection breaks and nobody is told.
    BlackHole,
    /// For a while nobody reaches anybody.
    Blackout,
    /// For a while the network is slow.
    SlowNetwork,
    /// The broker stops in order and starts again.
    Shutdown,
    /// The broker's process dies, at any operation of its disk.
    ProcessCrash,
    /// The broker's machine dies, at any operation of its disk.
    MachineCrash,
    /// For a while the disk is slow.
    SlowDisk,
    /// For a while the disk fails at times; its operator restarts the broker after.
    FailingDisk,
}

impl FaultKind {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Cut,
        Self::CutForClient,
        Self::CutForBroker,
        Self::BlackHole,
        Self::Blackout,
        Self::SlowNetwork,
        Self::Shutdown,
        Self::ProcessCrash,
        Self::MachineCrash,
        Self::SlowDisk,
        Self::FailingDisk,
    ];

    /// How long it lasts, in milliseconds.
    pub fn duration_millis(self, rng: &mut Rng) -> u64 {
        match self {
            Self::Cut | Self::CutForClient | Self::CutForBroker | Self::BlackHole => 0,
            Self::Blackout => rng.between(10, 5000),
            Self::SlowNetwork | Self::SlowDisk => rng.between(100, 5000),
            Self::Shutdown | Self::ProcessCrash | Self::MachineCrash => rng.between(1, 3000),
            Self::FailingDisk => rng.between(50, 3000),
        }
    }
}

/// How many faults of each kind came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts(std::collections::BTreeMap<FaultKind, u64>);

impl FaultCounts {
    /// One more.
    pub fn add(&mut self, kind: FaultKind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// All of another count as well.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }

    /// Of all kinds.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// By kind.
    pub fn iter(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        self.0.iter().map(|(kind, count)| (*kind, *count))
    }
}
