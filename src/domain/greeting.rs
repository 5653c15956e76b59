//! The subscriber's own recordings, and which of them a caller hears.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    forward::Forward,
    id::AudioKey,
    rules,
    time::{TimeZone, Timestamp},
};

/// Which recording of the subscriber's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GreetingKind {
    /// For every caller for whom there is no other.
    Standard,
    /// For callers who were forwarded for this reason.
    Forwarded(Forward),
    /// For every caller, instead of all others, until it ends or is erased.
    Temporary,
    /// The spoken name, played inside our own phrases.
    Name,
}

impl GreetingKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Standard,
        Self::Forwarded(Forward::Busy),
        Self::Forwarded(Forward::NoAnswer),
        Self::Forwarded(Forward::Unavailable),
        Self::Forwarded(Forward::Unconditional),
        Self::Temporary,
        Self::Name,
    ];

    /// The longest such recording.
    #[must_use]
    pub const fn longest(self) -> Duration {
        match self {
            Self::Standard | Self::Forwarded(_) | Self::Temporary => rules::LONGEST_GREETING,
            Self::Name => rules::LONGEST_NAME,
        }
    }

    /// The stored name of the kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Forwarded(forward) => forward.as_str(),
            Self::Temporary => "temporary",
            Self::Name => "name",
        }
    }
}

impl fmt::Display for GreetingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GreetingKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownKind)
    }
}

impl TryFrom<String> for GreetingKind {
    type Error = UnknownKind;

    fn try_from(word: String) -> Result<Self, UnknownKind> {
        word.parse()
    }
}

impl From<GreetingKind> for String {
    fn from(kind: GreetingKind) -> Self {
        kind.as_str().to_owned()
    }
}

/// A text that is no [`GreetingKind`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the greetings are standard, busy, no-answer, unavailable, unconditional, temporary and name")]
pub struct UnknownKind;

/// A recording that a mailbox has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// What it is for.
    pub kind: GreetingKind,
    /// The WAV; none when only the previous one is left.
    pub audio: Option<AudioKey>,
    /// The one before it, which can be brought back.
    pub previous: Option<AudioKey>,
    /// When it ends; of a temporary greeting only.
    pub until: Option<Timestamp>,
}

impl Greeting {
    /// What callers hear of it at `now`: nothing once it has ended.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> Option<&AudioKey> {
        self.audio.as_ref().filter(|_| Temporary { until: self.until }.is_in_force(now))
    }
}

/// When a temporary greeting ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temporary {
    /// The moment, if it ends by itself.
    pub until: Option<Timestamp>,
}

impl Temporary {
    /// Whether callers hear it at `now`.
    #[must_use]
    pub fn is_in_force(self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Which of a mailbox's recordings a caller hears first: the temporary greeting, as long as there is one; the one for the reason of
/// the forward; the standard one; the spoken name. Nothing when there is none of them.
#[must_use]
pub fn choose(greetings: &[Greeting], forward: Option<Forward>, now: Timestamp) -> Option<(GreetingKind, &AudioKey)> {
    let wanted = [
        Some(GreetingKind::Temporary),
        forward.map(GreetingKind::Forwarded),
        Some(GreetingKind::Standard),
        Some(GreetingKind::Name),
    ];
    wanted.into_iter().flatten().find_map(|kind| {
        let greeting = greetings.iter().find(|greeting| greeting.kind == kind)?;
        Some((kind, greeting.in_force(now)?))
    })
}

/// The moment at which a greeting ends that is for so many days, today included: midnight where the subscriber is. At least one
/// day, and [`rules::LONGEST_TEMPORARY`] days at most.
#[must_use]
pub fn end_after_days(days: u32, zone: TimeZone, now: Timestamp) -> Timestamp {
    zone.midnight_after(now, days.clamp(1, rules::LONGEST_TEMPORARY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in GreetingKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::from_str::<GreetingKind>(&serde_json::to_string(&kind).unwrap()).unwrap(), kind);
        }
        assert_eq!("other".parse::<GreetingKind>(), Err(UnknownKind));
    }

    #[test]
    fn the_greeting_follows_the_call() {
        use Forward::{Busy, NoAnswer, Other, Unavailable, Unconditional};
        const STANDARD: GreetingKind = GreetingKind::Standard;
        const BUSY: GreetingKind = GreetingKind::Forwarded(Busy);
        const NO_ANSWER: GreetingKind = GreetingKind::Forwarded(NoAnswer);
        const TEMPORARY: GreetingKind = GreetingKind::Temporary;
        const NAME: GreetingKind = GreetingKind::Name;
        let everything = &GreetingKind::ALL[..];
        // What the mailbox has, why the call was forwarded, and what is heard.
        let table: &[(&[GreetingKind], Option<Forward>, Option<GreetingKind>)] = &[
            (&[], None, None),
            (&[], Some(Busy), None),
            (&[NAME], None, Some(NAME)),
            (&[NAME], Some(Busy), Some(NAME)),
            (&[NAME, STANDARD], None, Some(STANDARD)),
            (&[NAME, STANDARD], Some(Busy), Some(STANDARD)),
            (&[NAME, BUSY], None, Some(NAME)),
            (&[NAME, BUSY], Some(NoAnswer), Some(NAME)),
            (&[NAME, BUSY], Some(Busy), Some(BUSY)),
            (&[BUSY, STANDARD], None, Some(STANDARD)),
            (&[BUSY, STANDARD], Some(Busy), Some(BUSY)),
            (&[BUSY, STANDARD], Some(NoAnswer), Some(STANDARD)),
            (&[BUSY, NO_ANSWER, STANDARD], Some(NoAnswer), Some(NO_ANSWER)),
            (&[TEMPORARY], None, Some(TEMPORARY)),
            (&[TEMPORARY, NAME], Some(Busy), Some(TEMPORARY)),
            (everything, None, Some(TEMPORARY)),
            (everything, Some(Busy), Some(TEMPORARY)),
            (&[BUSY, STANDARD], Some(Other), Some(STANDARD)),
            (&[GreetingKind::Forwarded(Unavailable)], Some(Unavailable), Some(GreetingKind::Forwarded(Unavailable))),
            (&[GreetingKind::Forwarded(Unconditional)], Some(Unconditional), Some(GreetingKind::Forwarded(Unconditional))),
        ];

        for (held, forward, heard) in table {
            let greetings: Vec<Greeting> = held.iter().map(|kind| greeting(*kind, None)).collect();

            let chosen = choose(&greetings, *forward, NOW);

            assert_eq!(chosen.map(|(kind, _)| kind), *heard, "{held:?} {forward:?}");
            if let Some((kind, audio)) = chosen {
                assert_eq!(audio.as_str(), kind.as_str());
            }
        }
    }

    #[test]
    fn a_temporary_greeting_is_heard_until_it_ends_and_not_a_moment_longer() {
        let until = NOW.after(Duration::from_secs(60));
        let greetings = [greeting(GreetingKind::Standard, None), greeting(GreetingKind::Temporary, Some(until))];
        let heard = |now| choose(&greetings, None, now).map(|(kind, _)| kind);

        assert_eq!(heard(until.before(Duration::from_millis(1))), Some(GreetingKind::Temporary));
        assert_eq!(heard(until), Some(GreetingKind::Standard));
    }

    #[test]
    fn what_was_erased_and_can_be_brought_back_is_not_heard() {
        let erased = Greeting { audio: None, previous: Some(AudioKey::random()), ..greeting(GreetingKind::Standard, None) };

        assert_eq!(choose(&[erased], None, NOW), None);
    }

    #[test]
    fn a_greeting_for_days_ends_at_midnight_where_the_subscriber_is() {
        let zone: TimeZone = "Europe/Paris".parse().unwrap();
        let now = "2026-11-20T22:30:00Z".parse().unwrap();
        let end = |days| end_after_days(days, zone, now).to_string();

        assert_eq!(end(1), "2026-11-20T23:00:00Z");
        assert_eq!(end(0), end(1));
        assert_eq!(end(7), "2026-11-26T23:00:00Z");
        assert_eq!(end(1000), end(rules::LONGEST_TEMPORARY));
    }

    fn greeting(kind: GreetingKind, until: Option<Timestamp>) -> Greeting {
        Greeting { kind, audio: Some(AudioKey::from_stored(kind.as_str())), previous: None, until }
    }
}
