//! Which packets of a stream have been there (RFC 3711 §3.3.2).

/// How many indices below the highest are remembered; older ones count as seen. More than two seconds of packets.
const SIZE: u64 = 128;

/// The highest index so far, and which of those below it were there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit 0 is the highest index, bit 1 the one below it, and so on.
    seen: u128,
}

impl Window {
    pub(super) fn new(first: u64) -> Self {
        Self { highest: first, seen: 1 }
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether the index was there, or is too old to know.
    pub(super) fn has(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(behind) => behind >= SIZE || self.seen >> behind & 1 == 1,
        }
    }

    pub(super) fn add(&mut self, index: u64) {
        if let Some(behind) = self.highest.checked_sub(index) {
            if behind < SIZE {
                self.seen |= 1 << behind;
            }
        } else {
            let ahead = index - self.highest;
            self.seen = if ahead < SIZE { self.seen << ahead | 1 } else { 1 };
            self.highest = index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_known_as_far_as_the_window_goes() {
        let mut window = Window::new(1000);
        for index in [1002, 1001, 999] {
            assert!(!window.has(index));
            window.add(index);
            assert!(window.has(index));
        }

        window.add(1002 + 127 - 3);

        assert_eq!(
            [998, 999, 1000, 1001, 1002, 1003, 1127].map(|index| window.has(index)),
            [true, true, true, true, true, false, false]
        );
    }

    #[test]
    fn a_leap_forgets_what_is_too_old_and_takes_it_for_seen() {
        let mut window = Window::new(0);

        window.add(10_000);

        assert_eq!([10_000 - 128, 10_000 - 127, 10_000, 10_001].map(|index| window.has(index)), [true, false, true, false]);
    }
}
