//! Random numbers from a seed: ids of topics, clusters and sessions.

use felice_protocol::primitives::Uuid;

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An id; never one that prints with a leading dash, which command lines take for an option.
    pub(crate) fn uuid(&mut self) -> Uuid {
        loop {
            let id = Uuid::from_random(u128::from(self.next_u64()) << 64 | u128::from(self.next_u64()));
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// A positive number.
    pub(crate) fn positive_i32(&mut self) -> i32 {
        loop {
            let number = i32::from_be_bytes(std::array::from_fn(|i| self.next_u64().to_be_bytes()[i])) & i32::MAX;
            if number > 0 {
                return number;
            }
        }
    }
}
