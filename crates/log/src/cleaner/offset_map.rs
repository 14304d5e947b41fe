//! Which offset is the last of a key, in memory that is bounded. In Java: `SkimpyOffsetMap`.

use std::hash::{DefaultHasher, Hasher};

/// Two words of a key's hash, and the offset plus one; three zeros are free.
type Slot = [u64; 3];

/// The last offset of each key, by 128 bits of the key's hash. The hash is seeded, so that nobody can choose keys that are taken for one another.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    len: usize,
    /// It grows up to so many slots.
    most: usize,
    load_factor: f64,
    seed: u64,
    /// Up to here every record was looked at.
    pub(crate) latest_offset: i64,
}

/// A map of fewer slots would not be worth a round.
const FEWEST_SLOTS: usize = 64;
const FIRST_SLOTS: usize = 4096;

impl OffsetMap {
    /// A map for at most `records` keys, of at most `max_bytes`, that is full when `load_factor` of its slots are.
    pub(crate) fn new(records: u64, max_bytes: usize, load_factor: f64, seed: u64) -> Self {
        let most = (max_bytes / size_of::<Slot>()).max(FEWEST_SLOTS);
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        let most = records.saturating_mul(2).clamp(FEWEST_SLOTS, most);
        let slots = vec![[0; 3]; most.min(FIRST_SLOTS)];
        Self { slots, len: 0, most, load_factor: load_factor.clamp(0.1, 0.95), seed, latest_offset: -1 }
    }

    /// Notes a key's offset, which is larger than all before. Says whether there was room.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let mut at = self.find(hash);
        if self.slots.get(at).is_none_or(|slot| slot[2] == 0) {
            if self.is_full() {
                if self.slots.len() >= self.most {
                    return false;
                }
                self.grow();
                at = self.find(hash);
            }
            self.len += 1;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = [hash[0], hash[1], offset.cast_unsigned() + 1];
        }
        true
    }

    #[expect(clippy::cast_precision_loss, reason = "a part of a number of slots, which are no more than memory holds")]
    fn is_full(&self) -> bool {
        (self.len + 1) as f64 > self.slots.len() as f64 * self.load_factor
    }

    /// Four times the slots at once: that keeps the pauses for it few.
    fn grow(&mut self) {
        let slots = self.slots.len().saturating_mul(4).min(self.most);
        for slot in std::mem::replace(&mut self.slots, vec![[0; 3]; slots]) {
            if slot[2] != 0 {
                let at = self.find([slot[0], slot[1]]);
                if let Some(place) = self.slots.get_mut(at) {
                    *place = slot;
                }
            }
        }
    }

    /// A key's last offset.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots.get(self.find(self.hash(key)))?;
        slot[2].checked_sub(1).map(u64::cast_signed)
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [0, 1].map(|word| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.seed);
            hasher.write_u64(word);
            hasher.write(key);
            hasher.finish()
        })
    }

    /// The slot of a hash, or the free one that it would get; there always is one, as the map is never filled up.
    fn find(&self, hash: [u64; 2]) -> usize {
        let count = self.slots.len() as u64;
        let mut at = usize::try_from(hash[0] % count).unwrap_or(0);
        while self.slots.get(at).is_some_and(|slot| slot[2] != 0 && [slot[0], slot[1]] != hash) {
            at = (at + 1) % self.slots.len();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_known_until_the_map_is_full() {
        let mut map = OffsetMap::new(1000, 24 * 100, 0.9, 7);
        let mut taken = 0_u32;
        while map.put(&taken.to_be_bytes(), i64::from(taken)) {
            taken += 1;
        }
        assert_eq!(taken, 90);
        assert!(map.put(&5_u32.to_be_bytes(), 500), "a key that is there needs no room");
        for key in 0..taken {
            assert_eq!(map.get(&key.to_be_bytes()), Some(if key == 5 { 500 } else { i64::from(key) }));
        }
        assert_eq!(map.get(&taken.to_be_bytes()), None);
        assert_eq!(map.get(b""), None);
    }

    #[test]
    fn it_grows_with_its_keys() {
        let mut map = OffsetMap::new(u64::MAX, 24 * 100_000, 0.9, 7);
        assert_eq!(map.slots.len(), FIRST_SLOTS);
        let taken = (0..).take_while(|key: &u32| map.put(&key.to_be_bytes(), i64::from(*key))).count();
        assert_eq!((taken, map.slots.len()), (90_000, 100_000));
        assert!((0..90_000_u32).all(|key| map.get(&key.to_be_bytes()) == Some(i64::from(key))));
    }
}
