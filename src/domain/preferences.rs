//! What a subscriber prefers on the telephone. Nothing here is ever searched for: it is kept as one JSON object.

use serde::{Deserialize, Serialize};

use super::{
    keys::{KeyProfile, MenuLength},
    language::Clock,
    listening::ListeningWishes,
};

/// Preferences of a mailbox. What is `None` is as the tenant, or else the service, has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Which keys do what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyProfile>,
    /// How much menus tell unasked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub menu_length: Option<MenuLength>,
    /// The clock that times are spoken by; what the language is used to, if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// How messages are listened to.
    #[serde(flatten)]
    pub listening: ListeningWishes,
}

impl Preferences {
    /// These preferences after `change`: what it names is taken from it.
    #[must_use]
    pub fn changed(self, change: Self) -> Self {
        Self {
            keys: change.keys.or(self.keys),
            menu_length: change.menu_length.or(self.menu_length),
            clock: change.clock.or(self.clock),
            listening: self.listening.changed(change.listening),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let before = Preferences { keys: Some(KeyProfile::Unity), menu_length: Some(MenuLength::Full), ..Preferences::default() };
        let change = Preferences { menu_length: Some(MenuLength::Brief), ..Preferences::default() };

        let after = before.changed(change);

        assert_eq!((after.keys, after.menu_length), (Some(KeyProfile::Unity), Some(MenuLength::Brief)));
    }

    #[test]
    fn what_is_stored_is_read_again_also_by_another_version() {
        let preferences =
            Preferences { keys: Some(KeyProfile::FreeSwitch), clock: Some(Clock::TwentyFour), ..Preferences::default() };
        let stored = serde_json::to_string(&preferences).unwrap();

        assert_eq!(stored, r#"{"keys":"freeswitch","clock":"24"}"#);
        assert_eq!(serde_json::from_str::<Preferences>(&stored).unwrap(), preferences);
        assert_eq!(serde_json::from_str::<Preferences>(r#"{"of_a_later_version":1}"#).unwrap(), Preferences::default());
    }
}
