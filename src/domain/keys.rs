//! Which keys do what on the telephone, by name. What each key does is a table of the menus.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of a key map: people keep the habits of the system they had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyProfile {
    /// Our own.
    #[default]
    Afterbeep,
    /// As `app_voicemail` of Asterisk.
    Asterisk,
    /// As `mod_voicemail` of FreeSWITCH.
    FreeSwitch,
    /// As the standard conversation of Cisco Unity Connection.
    Unity,
    /// As AUDIX of Avaya.
    Audix,
}

impl KeyProfile {
    /// All of them, our own first.
    pub const ALL: [Self; 5] = [Self::Afterbeep, Self::Asterisk, Self::FreeSwitch, Self::Unity, Self::Audix];

    /// The name in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Afterbeep => "afterbeep",
            Self::Asterisk => "asterisk",
            Self::FreeSwitch => "freeswitch",
            Self::Unity => "unity",
            Self::Audix => "audix",
        }
    }
}

impl fmt::Display for KeyProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyProfile {
    type Err = KeyProfileError;

    fn from_str(name: &str) -> Result<Self, KeyProfileError> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name).ok_or(KeyProfileError)
    }
}

/// A name that no key map has.
#[derive(Debug, thiserror::Error)]
#[error("there is no such key map; there are afterbeep, asterisk, freeswitch, unity and audix")]
pub struct KeyProfileError;

/// How much of a menu is told unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MenuLength {
    /// What is needed most; the help key tells the rest.
    #[default]
    Brief,
    /// Everything that can be done.
    Full,
}

impl MenuLength {
    /// The name in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brief => "brief",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for MenuLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MenuLength {
    type Err = MenuLengthError;

    fn from_str(name: &str) -> Result<Self, MenuLengthError> {
        match name {
            "brief" => Ok(Self::Brief),
            "full" => Ok(Self::Full),
            _ => Err(MenuLengthError),
        }
    }
}

/// A word that is no length of menus.
#[derive(Debug, thiserror::Error)]
#[error("menus are brief or full")]
pub struct MenuLengthError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for profile in KeyProfile::ALL {
            assert_eq!(profile.to_string().parse::<KeyProfile>().unwrap(), profile);
        }
        for length in [MenuLength::Brief, MenuLength::Full] {
            assert_eq!(length.to_string().parse::<MenuLength>().unwrap(), length);
        }
        assert!("Asterisk".parse::<KeyProfile>().is_err());
        assert!("long".parse::<MenuLength>().is_err());
    }
}
