//! Passcodes: what a good one is, and how failed attempts lock a source out. Hashing is the store's.

use std::{fmt, time::Duration};

use rand::Rng as _;

use super::{rules, time::Timestamp};

/// Digits typed as a passcode. Not printable: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passcode(String);

impl Passcode {
    /// What somebody typed to get in. Anything but 1 to [`rules::LONGEST_PASSCODE`] digits is no passcode.
    #[must_use]
    pub fn typed(digits: &str) -> Option<Self> {
        let plausible = (1..=rules::LONGEST_PASSCODE).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        plausible.then(|| Self(digits.to_owned()))
    }

    /// What somebody wants as a new passcode for the mailbox with `numbers`.
    ///
    /// # Errors
    ///
    /// The first reason why it is too easy to guess.
    pub fn chosen(digits: &str, shortest: usize, numbers: &[&str]) -> Result<Self, WeakPasscode> {
        if digits.len() < shortest {
            return Err(WeakPasscode::TooShort { shortest });
        }
        let passcode = Self::typed(digits).ok_or(WeakPasscode::NotDigits)?;
        let bytes = digits.as_bytes();
        if is_repetition(bytes) {
            return Err(WeakPasscode::Repetition);
        }
        if is_run(bytes) {
            return Err(WeakPasscode::Run);
        }
        if is_keypad_line(digits) {
            return Err(WeakPasscode::KeypadLine);
        }
        let holds_number = |number: &&str| {
            let number: String = number.chars().filter(char::is_ascii_digit).collect();
            number.len() >= 3
                && (digits == number || (number.len() * 2 > digits.len() && digits.contains(&number)) || number.ends_with(digits))
        };
        if numbers.iter().any(holds_number) {
            return Err(WeakPasscode::MailboxNumber);
        }
        Ok(passcode)
    }

    /// A random passcode of `length` digits that [`chosen`](Self::chosen) would take for the mailbox with `numbers`; `length` is one
    /// that it takes.
    #[must_use]
    pub fn random(length: usize, numbers: &[&str]) -> Self {
        let mut random = rand::rng();
        loop {
            let digits: String = (0..length).map(|_| char::from(random.random_range(b'0'..=b'9'))).collect();
            if let Ok(passcode) = Self::chosen(&digits, length, numbers) {
                return passcode;
            }
        }
    }

    /// The digits, for hashing.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode(…)")
    }
}

/// Why a chosen passcode is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPasscode {
    /// Fewer digits than the setting asks for.
    #[error("a passcode has at least {shortest} digits")]
    TooShort {
        /// The fewest digits allowed.
        shortest: usize,
    },
    /// Something that is not a digit, or more digits than anybody remembers.
    #[error("a passcode has digits only, {} at most", rules::LONGEST_PASSCODE)]
    NotDigits,
    /// One group of at most four digits over and over: `11111111`, `12121212`, `12341234`.
    #[error("a passcode must not repeat one group of digits")]
    Repetition,
    /// Digits that follow each other: `12345678`, `98765432`.
    #[error("a passcode must not be a run such as 12345678")]
    Run,
    /// Keys in a line: `14714714`, `25802580`, `12369874`.
    #[error("a passcode must not be a line of keys such as 147258369")]
    KeypadLine,
    /// The mailbox's own number, or an alias.
    #[error("a passcode must not be the mailbox number")]
    MailboxNumber,
}

fn is_repetition(digits: &[u8]) -> bool {
    let distinct = digits.iter().collect::<std::collections::HashSet<_>>().len();
    distinct <= 2 || (1..=4).any(|period| period * 2 <= digits.len() && digits.iter().zip(&digits[period..]).all(|(a, b)| a == b))
}

fn is_run(digits: &[u8]) -> bool {
    let steps = |step: u8| digits.windows(2).all(|pair| (pair[0] - b'0' + step) % 10 == pair[1] - b'0');
    [1, 2, 8, 9].into_iter().any(steps)
}

/// Whether the digits walk the keypad line by line: columns, rows, the rim or the diagonals, from either end.
fn is_keypad_line(digits: &str) -> bool {
    const WALKS: [&str; 6] = ["147258369", "123654789", "741852963", "1478963214789632", "159357159357", "2580258025802580"];
    WALKS.iter().any(|walk| {
        let twice = walk.repeat(4);
        let back: String = twice.chars().rev().collect();
        twice.contains(digits) || back.contains(digits)
    })
}

/// Failed attempts of one source (a line, a caller number, an address), across calls and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Failures in a row.
    pub failures: u32,
    /// How often this source has been locked since it last succeeded.
    pub locks: u32,
    /// Until when nothing from it is even looked at.
    pub locked_until: Option<Timestamp>,
}

impl Attempts {
    /// Whether an attempt may be made now.
    #[must_use]
    pub fn may_try(&self, now: Timestamp) -> bool {
        self.locked_until.is_none_or(|until| now >= until)
    }

    /// The state after one more failure: every [`rules::FAILURES_BEFORE_LOCK`] failures lock, each time twice as long.
    #[must_use]
    pub fn after_failure(self, now: Timestamp) -> Self {
        let failures = self.failures + 1;
        if failures < rules::FAILURES_BEFORE_LOCK {
            return Self { failures, ..self };
        }
        let locked_for = rules::FIRST_LOCK.saturating_mul(1 << self.locks.min(16)).min(Duration::from_hours(24 * 365));
        Self { failures: 0, locks: self.locks + 1, locked_until: Some(now.after(locked_for)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easy_passcodes_are_refused_with_the_reason() {
        let refused = |digits| Passcode::chosen(digits, 8, &["12025550143"]).unwrap_err();

        assert_eq!(refused("4915873"), WeakPasscode::TooShort { shortest: 8 });
        assert_eq!(refused("11111111"), WeakPasscode::Repetition);
        assert_eq!(refused("12121212"), WeakPasscode::Repetition);
        assert_eq!(refused("83918391"), WeakPasscode::Repetition);
        assert_eq!(refused("23456789"), WeakPasscode::Run);
        assert_eq!(refused("98765432"), WeakPasscode::Run);
        assert_eq!(refused("14725836"), WeakPasscode::KeypadLine);
        assert_eq!(refused("12369874"), WeakPasscode::KeypadLine);
        assert_eq!(refused("12025550143"), WeakPasscode::MailboxNumber);
        assert_eq!(refused("25550143"), WeakPasscode::MailboxNumber);
        assert_eq!(refused("4915a873"), WeakPasscode::NotDigits);
    }

    #[test]
    fn a_good_passcode_is_taken_and_never_printed() {
        let passcode = Passcode::chosen("49158730", 8, &["1001"]).unwrap();

        assert_eq!(passcode.digits(), "49158730");
        assert_eq!(format!("{passcode:?}"), "Passcode(…)");
    }

    #[test]
    fn a_random_passcode_is_a_good_one_and_another_each_time() {
        let made: std::collections::HashSet<String> =
            (0..50).map(|_| Passcode::random(8, &["1001"]).digits().to_owned()).collect();

        assert_eq!(made.len(), 50);
        assert!(made.iter().all(|digits| Passcode::chosen(digits, 8, &["1001"]).is_ok()));
    }

    #[test]
    fn locks_double_and_start_at_the_fifth_failure() {
        let now = Timestamp::from_millis(0);
        let mut attempts = Attempts::default();

        for _ in 0..4 {
            attempts = attempts.after_failure(now);
            assert!(attempts.may_try(now));
        }
        attempts = attempts.after_failure(now);
        assert!(!attempts.may_try(now.after(rules::FIRST_LOCK - Duration::from_millis(1))));
        let later = now.after(rules::FIRST_LOCK);
        assert!(attempts.may_try(later));
        for _ in 0..5 {
            attempts = attempts.after_failure(later);
        }

        assert_eq!(attempts.locked_until, Some(later.after(rules::FIRST_LOCK * 2)));
    }
}
