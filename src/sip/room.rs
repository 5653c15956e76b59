//! Tables that give back the room they had in a flood: those of the standard library only ever grow.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
};

/// As many places are not worth giving back.
const LITTLE: usize = 64;
/// Room is given back when less than one in so many places is taken.
const SPARSE: usize = 8;

/// What has more room than it needs at times.
pub(super) trait Roomy {
    /// Gives most of the room back if hardly any of it is used. What that costs was earned by the removals since it was full.
    fn give_room_back(&mut self);
}

/// How much room is to be left, if some is to be given back.
fn enough(taken: usize, places: usize) -> Option<usize> {
    (places > 2 * LITTLE && taken < places / SPARSE).then(|| (2 * taken).max(LITTLE))
}

impl<K: Eq + Hash, V> Roomy for HashMap<K, V> {
    fn give_room_back(&mut self) {
        if let Some(enough) = enough(self.len(), self.capacity()) {
            self.shrink_to(enough);
        }
    }
}

impl<K: Eq + Hash> Roomy for HashSet<K> {
    fn give_room_back(&mut self) {
        if let Some(enough) = enough(self.len(), self.capacity()) {
            self.shrink_to(enough);
        }
    }
}

impl<T> Roomy for VecDeque<T> {
    fn give_room_back(&mut self) {
        if let Some(enough) = enough(self.len(), self.capacity()) {
            self.shrink_to(enough);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_full_has_little_room_left_when_it_is_empty() {
        let mut table: HashMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let mut times = 0;
        for n in 0..10_000 {
            table.remove(&n);
            let before = table.capacity();
            table.give_room_back();
            times += u32::from(table.capacity() < before);
        }

        assert!(table.capacity() <= 4 * LITTLE, "{}", table.capacity());
        assert!(times < 10, "it was made anew {times} times");
    }

    #[test]
    fn what_is_in_use_stays_as_it_is() {
        let mut table: HashSet<u32> = (0..10_000).collect();
        let mut queue: VecDeque<u32> = (0..100).collect();
        let room = queue.capacity();
        table.retain(|n| n % 4 == 0);

        table.give_room_back();
        queue.give_room_back();

        assert!(table.capacity() > 10_000, "{}", table.capacity());
        assert_eq!((table.len(), queue.len(), queue.capacity()), (2500, 100, room));
    }
}
