//! Who called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The calling party as the network told us; every part may be missing, none is proof.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Number or SIP user part, as received. Absent when withheld.
    pub number: Option<String>,
    /// Display name, decoded to text. Absent when withheld.
    pub name: Option<String>,
}

impl Caller {
    /// A caller who withholds everything: "a private caller".
    #[must_use]
    pub fn private() -> Self {
        Self::default()
    }

    /// The digits that can be spoken one by one (a leading `+` is dropped), if the number is nothing but a number.
    #[must_use]
    pub fn spoken_digits(&self) -> Option<&str> {
        let digits = self.number.as_deref()?;
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        (!digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
    }

    /// Name and number for people to read: `Ann Lee (2025550143)`, `2025550143`, `Private caller`.
    #[must_use]
    pub fn display(&self) -> String {
        match (&self.name, &self.number) {
            (Some(name), Some(number)) if name != number => format!("{name} ({number})"),
            (_, Some(number)) => number.clone(),
            (Some(name), None) => name.clone(),
            (None, None) => "Private caller".to_owned(),
        }
    }
}

/// Logs must not carry names or full numbers, so the debug form shows the last two characters of the number only.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.number {
            Some(number) => {
                let shown = number.chars().count().saturating_sub(2);
                write!(f, "Caller(…{})", number.chars().skip(shown).collect::<String>())
            }
            None => f.write_str("Caller(…)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_never_printed_whole() {
        let caller = Caller { number: Some("+12025550143".to_owned()), name: Some("Ann Lee".to_owned()) };

        assert_eq!(format!("{caller:?}"), "Caller(…43)");
        assert_eq!(format!("{:?}", Caller::private()), "Caller(…)");
    }
}
