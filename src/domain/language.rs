//! Languages: their codes, the grammars that phrases are put together by, and the clocks people read.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The code of a language, such as `en` or `fr-ca`: 2 to 16 of `a-z`, `0-9` and `-`. It is the name of a folder, too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageCode(Arc<str>);

impl LanguageCode {
    /// The code as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LanguageCode {
    type Err = LanguageCodeError;

    fn from_str(text: &str) -> Result<Self, LanguageCodeError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (2..=16).contains(&text.len()) && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(LanguageCodeError) }
    }
}

impl fmt::Display for LanguageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LanguageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no code of a language.
#[derive(Debug, thiserror::Error)]
#[error("a language is written as en, fr or pt-br: 2 to 16 small letters, digits and dashes")]
pub struct LanguageCodeError;

/// How phrases are put together: each grammar is that of a language we have prompts in, and others may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grammar {
    /// One word for each digit; the month before the day.
    English,
    /// Feminine hours and minutes; telephone numbers in pairs.
    French,
    /// Shortened numbers before a noun; hours with their article.
    Spanish,
}

impl Grammar {
    /// All grammars.
    pub const ALL: [Self; 3] = [Self::English, Self::French, Self::Spanish];

    /// The code of the language whose grammar it is.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
            Self::Spanish => "es",
        }
    }

    /// The grammar of the language with this code, which must be one of ours.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grammar| grammar.code() == code)
    }

    /// The clock that people who speak so are used to.
    #[must_use]
    pub const fn clock(self) -> Clock {
        match self {
            Self::English => Clock::Twelve,
            Self::French | Self::Spanish => Clock::TwentyFour,
        }
    }
}

/// How many hours the clock has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clock {
    /// "three P.M."
    #[serde(rename = "12")]
    Twelve,
    /// "fifteen hundred hours"
    #[serde(rename = "24")]
    TwentyFour,
}

impl Clock {
    /// As it is given on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Twelve => "12",
            Self::TwentyFour => "24",
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Clock {
    type Err = ClockError;

    fn from_str(text: &str) -> Result<Self, ClockError> {
        [Self::Twelve, Self::TwentyFour].into_iter().find(|clock| clock.as_str() == text).ok_or(ClockError)
    }
}

/// A text that is no clock.
#[derive(Debug, thiserror::Error)]
#[error("the clock has 12 or 24 hours")]
pub struct ClockError;

/// What a session needs to know in order to speak: which voice, by which grammar, by which clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// Whose prompts are played.
    pub code: LanguageCode,
    /// How they are put together.
    pub grammar: Grammar,
    /// How the time of day is said.
    pub clock: Clock,
}

/// The languages that are spoken here: ours, and those that the operator adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Languages {
    known: Arc<BTreeMap<LanguageCode, Grammar>>,
    default: LanguageCode,
}

impl Languages {
    /// Ours and `added`, with the one that is spoken where nothing else says which.
    ///
    /// # Errors
    ///
    /// [`UnknownLanguage`] when `default` is none of them.
    pub fn new(added: impl IntoIterator<Item = (LanguageCode, Grammar)>, default: &str) -> Result<Self, UnknownLanguage> {
        let ours = Grammar::ALL.map(|grammar| (LanguageCode(grammar.code().into()), grammar));
        let known: BTreeMap<_, _> = ours.into_iter().chain(added).collect();
        match known.keys().find(|code| code.as_str() == default).cloned() {
            Some(default) => Ok(Self { known: Arc::new(known), default }),
            None => Err(UnknownLanguage { asked: default.to_owned(), known: known.into_keys().collect() }),
        }
    }

    /// All codes, in order, with the grammars they follow.
    pub fn all(&self) -> impl Iterator<Item = (&LanguageCode, Grammar)> {
        self.known.iter().map(|(code, grammar)| (code, *grammar))
    }

    /// The code if it is one of a known language.
    ///
    /// # Errors
    ///
    /// [`UnknownLanguage`], which names those that are known.
    pub fn find(&self, code: &str) -> Result<&LanguageCode, UnknownLanguage> {
        let found = self.known.keys().find(|known| known.as_str() == code);
        found.ok_or_else(|| UnknownLanguage { asked: code.to_owned(), known: self.known.keys().cloned().collect() })
    }

    /// How a language is spoken, by its own clock if no other is wished. One that is not known any more is spoken as the default.
    #[must_use]
    pub fn spoken(&self, code: Option<&str>, clock: Option<Clock>) -> Language {
        let found = code.and_then(|code| self.known.iter().find(|(known, _)| known.as_str() == code));
        let (code, grammar) = match found {
            Some((code, grammar)) => (code.clone(), *grammar),
            None => (self.default.clone(), self.known.get(&self.default).copied().unwrap_or(Grammar::English)),
        };
        Language { code, grammar, clock: clock.unwrap_or(grammar.clock()) }
    }
}

impl Default for Languages {
    fn default() -> Self {
        Self::new([], Grammar::English.code()).expect("English is one of ours")
    }
}

/// A language that nobody speaks here.
#[derive(Debug, thiserror::Error)]
#[error("there are no prompts in the language {asked:?}; there are {}", known.iter().map(LanguageCode::as_str).collect::<Vec<_>>().join(", "))]
pub struct UnknownLanguage {
    asked: String,
    known: Vec<LanguageCode>,
}

/// Which language callers hear by what they dialled: a number, or how numbers begin when it ends in `...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLanguage {
    number: String,
    prefix: bool,
    /// The code of the language; whether it is known is seen when the prompts are.
    pub language: LanguageCode,
}

impl AccessLanguage {
    /// How well the dialled number fits: the more, the longer the rule; a whole number most of all.
    fn fit(&self, dialled: &str) -> Option<usize> {
        match self.prefix {
            true => dialled.starts_with(&self.number).then_some(self.number.len()),
            false => (dialled == self.number).then_some(usize::MAX),
        }
    }

    /// The language for what was dialled, by the rule that fits best.
    #[must_use]
    pub fn choose<'a>(rules: &'a [Self], dialled: &str) -> Option<&'a LanguageCode> {
        let fitting = rules.iter().filter_map(|rule| Some((rule.fit(dialled)?, rule)));
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, rule)| &rule.language)
    }
}

impl FromStr for AccessLanguage {
    type Err = AccessLanguageError;

    fn from_str(text: &str) -> Result<Self, AccessLanguageError> {
        let (number, language) = text.split_once('=').ok_or(AccessLanguageError)?;
        let (number, prefix) = number.trim().strip_suffix("...").map_or((number.trim(), false), |number| (number, true));
        let language = language.trim().parse().map_err(|LanguageCodeError| AccessLanguageError)?;
        let fits = (1..=64).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if fits { Ok(Self { number: number.to_owned(), prefix, language }) } else { Err(AccessLanguageError) }
    }
}

impl fmt::Display for AccessLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", self.number, if self.prefix { "..." } else { "" }, self.language)
    }
}

/// A text that is no rule for the language of a number.
#[derive(Debug, thiserror::Error)]
#[error("write the number dialled and the language, as in 8001=fr, or how numbers begin, as in +33...=fr")]
pub struct AccessLanguageError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_short_and_safe_as_a_folders_name() {
        for good in ["en", "fr-ca", "es-419", "abcdefghijklmnop"] {
            assert_eq!(good.parse::<LanguageCode>().unwrap().as_str(), good);
        }
        for bad in ["", "e", "EN", "en_US", "../en", "en/fr", "abcdefghijklmnopq", "français"] {
            assert!(bad.parse::<LanguageCode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_language_brings_its_clock_unless_another_is_wished() {
        let languages = Languages::new([("pt".parse().unwrap(), Grammar::Spanish)], "fr").unwrap();

        assert_eq!(languages.spoken(Some("en"), None).clock, Clock::Twelve);
        assert_eq!(languages.spoken(Some("fr"), None).clock, Clock::TwentyFour);
        assert_eq!(languages.spoken(Some("pt"), Some(Clock::Twelve)).clock, Clock::Twelve);
        assert_eq!(languages.spoken(Some("pt"), None).grammar, Grammar::Spanish);
    }

    #[test]
    fn a_language_that_is_gone_is_spoken_as_the_default() {
        let languages = Languages::new([], "fr").unwrap();

        assert_eq!(languages.spoken(Some("de"), None), languages.spoken(Some("fr"), None));
        assert_eq!(languages.spoken(None, None).code.as_str(), "fr");
        assert_eq!(
            languages.find("de").unwrap_err().to_string(),
            "there are no prompts in the language \"de\"; there are en, es, fr"
        );
        assert!(Languages::new([], "de").is_err());
    }

    #[test]
    fn the_rule_that_fits_best_chooses_the_language() {
        let rules: Vec<AccessLanguage> = ["+3...=fr", "+34...=es", "+3491=en", "*98=fr"].map(|text| text.parse().unwrap()).into();
        let chosen = |dialled| AccessLanguage::choose(&rules, dialled).map(LanguageCode::as_str);

        assert_eq!(chosen("+33142685300"), Some("fr"));
        assert_eq!(chosen("+34915550123"), Some("es"));
        assert_eq!(chosen("+3491"), Some("en"));
        assert_eq!(chosen("*98"), Some("fr"));
        assert_eq!(chosen("1001"), None);
    }

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for good in ["8001=fr", "+33...=fr", "*97=es", "sales...=fr-ca"] {
            assert_eq!(good.parse::<AccessLanguage>().unwrap().to_string(), good);
        }
        for bad in ["", "8001", "=fr", "...=fr", "8001=", "8001=FR", "80 01=fr", "80,01=fr"] {
            assert!(bad.parse::<AccessLanguage>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_so_that_it_is_read_again(text in "\\PC{0,40}", rule in "[+*0-9a-z.]{0,8}=[a-z-]{0,6}") {
            for text in [&text, &rule] {
                if let Ok(code) = text.parse::<LanguageCode>() {
                    prop_assert_eq!(code.as_str(), text.as_str());
                }
                if let Ok(rule) = text.parse::<AccessLanguage>() {
                    prop_assert_eq!(rule.to_string().parse::<AccessLanguage>().unwrap(), rule);
                }
            }
        }
    }
}
