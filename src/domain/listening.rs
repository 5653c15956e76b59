//! How a subscriber listens to messages: settings of a mailbox.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::rules;

/// The settings of a mailbox that concern listening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// How fast and how loud messages are played.
    pub playback: Playback,
    /// How far the keys for back and ahead go.
    pub skip: Skip,
    /// Which of the new messages comes first.
    pub new_first: First,
    /// Which of the saved messages comes first.
    pub saved_first: First,
    /// What is said before each message.
    pub announcement: Announcement,
}

/// What a subscriber wishes of [`Listening`]; `None` is as everybody has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of `Listening`")]
pub struct ListeningWishes {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "leniently")]
    pub speed: Option<Speed>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "leniently")]
    pub volume: Option<Volume>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "leniently")]
    pub skip: Option<Skip>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "leniently")]
    pub new_first: Option<First>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "leniently")]
    pub saved_first: Option<First>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "leniently")]
    pub announcement: Option<Announcement>,
}

/// What is no choice any more, because a later version has other steps, is as good as no wish.
fn leniently<'de, D: Deserializer<'de>, T: DeserializeOwned>(stored: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(stored)?).ok())
}

impl ListeningWishes {
    /// These wishes after `change`: what it names is taken from it.
    #[must_use]
    pub fn changed(self, change: Self) -> Self {
        Self {
            speed: change.speed.or(self.speed),
            volume: change.volume.or(self.volume),
            skip: change.skip.or(self.skip),
            new_first: change.new_first.or(self.new_first),
            saved_first: change.saved_first.or(self.saved_first),
            announcement: change.announcement.or(self.announcement),
        }
    }

    /// The settings that follow from them.
    #[must_use]
    pub fn settings(self) -> Listening {
        Listening {
            playback: Playback { speed: self.speed.unwrap_or_default(), volume: self.volume.unwrap_or_default() },
            skip: self.skip.unwrap_or_default(),
            new_first: self.new_first.unwrap_or_default(),
            saved_first: self.saved_first.unwrap_or_default(),
            announcement: self.announcement.unwrap_or_default(),
        }
    }
}

impl From<Playback> for ListeningWishes {
    fn from(Playback { speed, volume }: Playback) -> Self {
        Self { speed: Some(speed), volume: Some(volume), ..Self::default() }
    }
}

/// How fast and how loud a message is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playback {
    /// The speed.
    pub speed: Speed,
    /// The loudness.
    pub volume: Volume,
}

/// How fast messages are played: one of [`rules::SPEEDS`]. The pitch stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub struct Speed(u16);

impl Speed {
    /// As it was spoken.
    pub const NORMAL: Self = Self(100);

    /// Percent of the speed at which it was spoken; never 0.
    #[must_use]
    pub const fn percent(self) -> u32 {
        self.0 as u32
    }

    /// The speed of so many percent, if messages can be played at it.
    #[must_use]
    pub fn from_percent(percent: i64) -> Option<Self> {
        rules::SPEEDS.into_iter().find(|speed| i64::from(*speed) == percent).map(Self)
    }

    /// A step faster, up to the fastest.
    #[must_use]
    pub fn faster(self) -> Self {
        rules::SPEEDS.into_iter().find(|speed| *speed > self.0).map_or(self, Self)
    }

    /// A step slower, down to the slowest.
    #[must_use]
    pub fn slower(self) -> Self {
        rules::SPEEDS.into_iter().rev().find(|speed| *speed < self.0).map_or(self, Self)
    }

    /// How much of a message is heard in `span`.
    #[must_use]
    pub fn heard_in(self, span: Duration) -> Duration {
        span * self.percent() / 100
    }

    /// How long it takes to hear so much of a message.
    #[must_use]
    pub fn time_for(self, length: Duration) -> Duration {
        length * 100 / self.percent()
    }
}

impl Default for Speed {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl fmt::Debug for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<Speed> for i64 {
    fn from(speed: Speed) -> Self {
        Self::from(speed.0)
    }
}

impl TryFrom<i64> for Speed {
    type Error = ListeningError;

    fn try_from(percent: i64) -> Result<Self, ListeningError> {
        Self::from_percent(percent).ok_or(ListeningError::Speed)
    }
}

impl FromStr for Speed {
    type Err = ListeningError;

    fn from_str(text: &str) -> Result<Self, ListeningError> {
        let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
        percent.and_then(Self::from_percent).ok_or(ListeningError::Speed)
    }
}

/// How loud messages are played: one of [`rules::VOLUMES`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub struct Volume(i8);

impl Volume {
    /// As it was recorded.
    pub const NORMAL: Self = Self(0);

    /// Decibels above the loudness at which it was recorded.
    #[must_use]
    pub const fn decibels(self) -> i32 {
        self.0 as i32
    }

    /// The volume of so many decibels, if messages can be played at it.
    #[must_use]
    pub fn from_decibels(decibels: i64) -> Option<Self> {
        rules::VOLUMES.into_iter().find(|volume| i64::from(*volume) == decibels).map(Self)
    }

    /// A step louder, up to the loudest.
    #[must_use]
    pub fn louder(self) -> Self {
        rules::VOLUMES.into_iter().find(|volume| *volume > self.0).map_or(self, Self)
    }

    /// A step softer, down to the softest.
    #[must_use]
    pub fn softer(self) -> Self {
        rules::VOLUMES.into_iter().rev().find(|volume| *volume < self.0).map_or(self, Self)
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+} dB", self.0)
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<Volume> for i64 {
    fn from(volume: Volume) -> Self {
        Self::from(volume.0)
    }
}

impl TryFrom<i64> for Volume {
    type Error = ListeningError;

    fn try_from(decibels: i64) -> Result<Self, ListeningError> {
        Self::from_decibels(decibels).ok_or(ListeningError::Volume)
    }
}

impl FromStr for Volume {
    type Err = ListeningError;

    fn from_str(text: &str) -> Result<Self, ListeningError> {
        let text = text.strip_suffix("dB").unwrap_or(text);
        let decibels = text.strip_prefix('+').unwrap_or(text).parse().ok();
        decibels.and_then(Self::from_decibels).ok_or(ListeningError::Volume)
    }
}

/// How far the keys for back and ahead go within a message: whole seconds, from [`rules::SHORTEST_SKIP`] to [`rules::LONGEST_SKIP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Skip(Duration);

impl Skip {
    /// How far.
    #[must_use]
    pub const fn span(self) -> Duration {
        self.0
    }

    /// A skip of `span`, if it can be chosen.
    #[must_use]
    pub fn new(span: Duration) -> Option<Self> {
        let chosen = span.subsec_nanos() == 0 && (rules::SHORTEST_SKIP..=rules::LONGEST_SKIP).contains(&span);
        chosen.then_some(Self(span))
    }
}

impl Default for Skip {
    fn default() -> Self {
        Self(rules::SKIP)
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

impl From<Skip> for String {
    fn from(skip: Skip) -> Self {
        skip.to_string()
    }
}

impl TryFrom<String> for Skip {
    type Error = ListeningError;

    fn try_from(text: String) -> Result<Self, ListeningError> {
        text.parse()
    }
}

impl FromStr for Skip {
    type Err = ListeningError;

    fn from_str(text: &str) -> Result<Self, ListeningError> {
        let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
        seconds.map(Duration::from_secs).and_then(Self::new).ok_or(ListeningError::Skip)
    }
}

/// A setting that is chosen by a word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $error:ident { $($(#[$variant_doc:meta])* $variant:ident: $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every choice.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ListeningError;

            fn from_str(text: &str) -> Result<Self, ListeningError> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == text).ok_or(ListeningError::$error)
            }
        }
    };
}

words! {
    /// Which message of a list comes first. Urgent ones come before all others.
    First, First {
        /// The one that has been there longest.
        #[default]
        Oldest: "oldest",
        /// The one that came last.
        Newest: "newest",
    }
}

words! {
    /// What is said of each message before it is played.
    Announcement, Announcement {
        /// Date, time and caller.
        #[default]
        Full: "full",
        /// Date and time.
        Time: "time",
        /// The caller.
        Caller: "caller",
        /// Nothing.
        None: "none",
    }
}

/// A text that is none of the choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each is told by its text")]
pub enum ListeningError {
    #[error("a speed is one of 60, 80, 100, 125, 150 and 200 percent")]
    Speed,
    #[error("a volume is one of -12, -6, 0, 6 and 12 decibels")]
    Volume,
    #[error("a skip is 1 to 60 whole seconds, such as 5s")]
    Skip,
    #[error("what comes first is `oldest` or `newest`")]
    First,
    #[error("what is said before a message is `full`, `time`, `caller` or `none`")]
    Announcement,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_at_the_fastest_and_the_slowest() {
        let up: Vec<_> = std::iter::successors(Some(Speed::NORMAL), |speed| Some(speed.faster())).take(5).collect();
        let down: Vec<_> = std::iter::successors(Some(Speed::NORMAL), |speed| Some(speed.slower())).take(4).collect();

        assert_eq!(format!("{up:?} {down:?}"), "[100%, 125%, 150%, 200%, 200%] [100%, 80%, 60%, 60%]");
        let up: Vec<_> = std::iter::successors(Some(Volume::NORMAL), |volume| Some(volume.louder())).take(4).collect();
        let down: Vec<_> = std::iter::successors(Some(Volume::NORMAL), |volume| Some(volume.softer())).take(4).collect();
        assert_eq!(format!("{up:?} {down:?}"), "[+0 dB, +6 dB, +12 dB, +12 dB] [+0 dB, -6 dB, -12 dB, -12 dB]");
    }

    #[test]
    fn what_is_heard_and_how_long_it_takes_agree() {
        for percent in rules::SPEEDS {
            let speed = Speed::from_percent(i64::from(percent)).unwrap();
            let length = Duration::from_secs(300);

            assert!(speed.heard_in(speed.time_for(length)).abs_diff(length) < Duration::from_micros(1), "{percent}");
        }
        assert_eq!(Speed(200).time_for(Duration::from_secs(10)), Duration::from_secs(5));
    }

    #[test]
    fn settings_are_read_as_they_are_written() {
        for percent in rules::SPEEDS {
            let speed = Speed(percent);
            assert_eq!([speed.to_string(), format!("{speed}%")].map(|text| text.parse()), [Ok(speed); 2]);
        }
        for decibels in rules::VOLUMES {
            assert_eq!([format!("{decibels}"), format!("{decibels:+}dB")].map(|text| text.parse()), [Ok(Volume(decibels)); 2]);
        }
        for first in First::ALL {
            assert_eq!(first.as_str().parse(), Ok(*first));
        }
        for announcement in Announcement::ALL {
            assert_eq!(announcement.as_str().parse(), Ok(*announcement));
        }
        assert_eq!(["3s", "3"].map(str::parse), [Ok(Skip::default()); 2]);
        assert_eq!("60s".parse::<Skip>().map(|skip| skip.to_string()), Ok("60s".to_owned()));
    }

    #[test]
    fn the_refusals_name_every_choice() {
        let error = "90".parse::<Speed>().unwrap_err().to_string();
        assert!(rules::SPEEDS.iter().all(|speed| error.contains(&speed.to_string())), "{error}");
        let error = "3".parse::<Volume>().unwrap_err().to_string();
        assert!(rules::VOLUMES.iter().all(|volume| error.contains(&volume.to_string())), "{error}");
        for bad in ["0", "61s", "2.5s", "-3", ""] {
            assert_eq!(bad.parse::<Skip>(), Err(ListeningError::Skip), "{bad}");
        }
        let choices: Vec<_> = Announcement::ALL.iter().map(|choice| format!("`{choice}`")).collect();
        let error = "nothing".parse::<Announcement>().unwrap_err().to_string();
        assert!(choices.iter().all(|choice| error.contains(choice)), "{error}");
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let before = ListeningWishes {
            skip: Skip::new(Duration::from_secs(5)),
            new_first: Some(First::Newest),
            speed: Some(Speed::NORMAL),
            ..ListeningWishes::default()
        };
        let playback = Playback { speed: Speed(150), volume: Volume(6) };

        let after = before.changed(playback.into());

        let skip = Skip(Duration::from_secs(5));
        assert_eq!(after.settings(), Listening { playback, skip, new_first: First::Newest, ..Listening::default() });
        assert_eq!(after.changed(ListeningWishes::default()), after);
    }

    #[test]
    fn wishes_are_stored_in_words_and_what_is_no_choice_is_no_wish() {
        let wishes = ListeningWishes {
            speed: Some(Speed(150)),
            volume: Some(Volume(-6)),
            skip: Skip::new(Duration::from_secs(5)),
            announcement: Some(Announcement::Caller),
            ..ListeningWishes::default()
        };
        let stored = serde_json::to_string(&wishes).unwrap();

        assert_eq!(stored, r#"{"speed":150,"volume":-6,"skip":"5s","announcement":"caller"}"#);
        assert_eq!(serde_json::from_str::<ListeningWishes>(&stored).unwrap(), wishes);
        let later = r#"{"speed":175,"volume":"loud","skip":7,"new_first":"urgent","saved_first":"newest"}"#;
        let read = serde_json::from_str::<ListeningWishes>(later).unwrap();
        assert_eq!(read, ListeningWishes { saved_first: Some(First::Newest), ..ListeningWishes::default() });
    }
}
