//! `Remote-Party-ID` (draft-ietf-sip-privacy-04), which older exchanges send instead of P-Asserted-Identity.

use super::NameAddr;
use super::text::Malformed;

/// Who one side of the call is, as an old exchange says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParty {
    /// The identity.
    pub address: NameAddr,
    /// Whether it is the calling side's: `party=calling`, or no word about it.
    pub is_calling: bool,
    /// Whether it may not be shown: `privacy=full`, `name` or `uri`.
    pub is_private: bool,
    /// Whether the exchange says that it did not check it: `screen=no`.
    pub is_unchecked: bool,
}

impl RemoteParty {
    /// Reads one identity.
    ///
    /// # Errors
    ///
    /// When its address is malformed.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let address = NameAddr::parse(value)?;
        let word = |name| address.params.get(name).unwrap_or_default().to_ascii_lowercase();
        let privacy = word("privacy");
        Ok(Self {
            is_calling: matches!(word("party").as_str(), "" | "calling"),
            is_unchecked: word("screen") == "no",
            is_private: privacy.split([';', ',', '-']).any(|part| matches!(part, "full" | "name" | "uri")),
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_old_exchange_says_who_calls_and_whether_it_may_be_shown() {
        let shown = RemoteParty::parse("\"Ann\" <sip:2025550143@192.0.2.1>;party=calling;screen=yes;privacy=off").unwrap();
        let hidden = RemoteParty::parse("<sip:2025550143@192.0.2.1>;privacy=Full;screen=no").unwrap();
        let called = RemoteParty::parse("<sip:1001@192.0.2.1>;party=called").unwrap();

        assert_eq!((shown.is_calling, shown.is_private), (true, false));
        assert_eq!((hidden.is_calling, hidden.is_private), (true, true));
        assert_eq!((shown.is_unchecked, hidden.is_unchecked), (false, true));
        assert!(!called.is_calling);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = RemoteParty::parse(&text);
        }
    }
}
