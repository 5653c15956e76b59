//! Why a call was forwarded to us.

use std::str::FromStr;

use serde::Serialize;

/// Why the party that was called first did not take the call, as far as somebody told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forward {
    /// It is busy, or does not want to be disturbed.
    Busy,
    /// It did not answer.
    NoAnswer,
    /// Its phone cannot be reached.
    Unavailable,
    /// All its calls are forwarded.
    Unconditional,
    /// Something else.
    Other,
}

impl Forward {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Unavailable => "unavailable",
            Self::Unconditional => "unconditional",
            Self::Other => "other",
        }
    }

    /// The reasons that a mailbox can have a greeting for.
    const CHOOSING: [Self; 4] = [Self::Busy, Self::NoAnswer, Self::Unavailable, Self::Unconditional];

    /// From a SIP status, as `cause` (RFC 4458 §2) and the Reasons of History-Info (RFC 7044) give it.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            486 | 600 | 603 => Self::Busy,
            408 | 487 => Self::NoAnswer,
            404 | 410 | 480 | 503 | 604 => Self::Unavailable,
            // A number that stands for a service, and was nobody's who could have taken the call (RFC 8119).
            380 => Self::Other,
            300..=399 => Self::Unconditional,
            _ => Self::Other,
        }
    }

    /// From a cause of Q.850, as gateways to the telephone network give it.
    #[must_use]
    pub const fn of_q850(cause: u16) -> Self {
        match cause {
            17 => Self::Busy,
            18 | 19 => Self::NoAnswer,
            1 | 20 | 27 | 31 | 38 | 41 => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// From the `reason` of a Diversion (RFC 5806 §4), in lower case.
    #[must_use]
    pub fn of_diversion(reason: &str) -> Self {
        match reason {
            "user-busy" | "do-not-disturb" => Self::Busy,
            "no-answer" => Self::NoAnswer,
            "unavailable" | "out-of-service" | "away" => Self::Unavailable,
            "unconditional" | "follow-me" | "time-of-day" | "deflection" => Self::Unconditional,
            _ => Self::Other,
        }
    }
}

/// What is no reason that a greeting can be for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reasons are busy, no-answer, unavailable and unconditional")]
pub struct ForwardError;

impl FromStr for Forward {
    type Err = ForwardError;

    fn from_str(word: &str) -> Result<Self, ForwardError> {
        Self::CHOOSING.into_iter().find(|forward| forward.as_str() == word).ok_or(ForwardError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_say_it_agree() {
        for (forward, status, q850, word) in [
            (Forward::Busy, 486, 17, "user-busy"),
            (Forward::NoAnswer, 408, 19, "no-answer"),
            (Forward::Unavailable, 503, 20, "unavailable"),
            (Forward::Other, 999, 999, "unknown"),
        ] {
            assert_eq!([Forward::of_status(status), Forward::of_q850(q850), Forward::of_diversion(word)], [forward; 3]);
        }
        assert_eq!(Forward::of_status(302), Forward::of_diversion("unconditional"));
    }
}
