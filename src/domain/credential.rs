//! Uses of a mailbox's credentials, and which of them its subscriber is told about.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// How many alerts a mailbox is mailed within [`ALERT_SPAN`]; the last of them says that more are in the access log.
pub const MOST_ALERTS: u32 = 4;
/// See [`MOST_ALERTS`].
pub const ALERT_SPAN: Duration = Duration::from_hours(1);
/// How many addresses, and how many agents, a mailbox's credentials are remembered to come from.
pub const MOST_KNOWN: u32 = 200;

/// Which uses of its credentials a mailbox is alerted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alerts {
    /// A new address or a new user agent.
    #[default]
    NewAddressOrAgent,
    /// A new user agent only.
    NewAgent,
    /// None; nothing is written in the access log either. Not recommended.
    None,
}

impl Alerts {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NewAddressOrAgent, Self::NewAgent, Self::None];
}

impl fmt::Display for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NewAddressOrAgent => "new-address-or-agent",
            Self::NewAgent => "new-agent",
            Self::None => "none",
        })
    }
}

impl FromStr for Alerts {
    type Err = UnknownAlerts;

    fn from_str(text: &str) -> Result<Self, UnknownAlerts> {
        Self::ALL.into_iter().find(|known| known.to_string() == text).ok_or(UnknownAlerts)
    }
}

/// A text that is no [`Alerts`].
#[derive(Debug, thiserror::Error)]
#[error("write new-address-or-agent, new-agent or none")]
pub struct UnknownAlerts;

/// Something about a mailbox's credentials that its subscriber may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// They were used from an address that they had not been used from before.
    NewAddress,
    /// They were used by software that had not used them before.
    NewAgent,
    /// Both.
    NewAddressAndAgent,
    /// They were right, but came from an address that the access list keeps out.
    RightPasswordFromBlockedAddress,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::NewAddress, Self::NewAgent, Self::NewAddressAndAgent, Self::RightPasswordFromBlockedAddress];
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NewAddress => "new_address",
            Self::NewAgent => "new_agent",
            Self::NewAddressAndAgent => "new_address_and_agent",
            Self::RightPasswordFromBlockedAddress => "right_password_from_blocked_address",
        })
    }
}

/// What is to be noticed when the right credentials came from an address that is `admitted` or not.
///
/// The very first use of a mailbox's credentials is new in both respects and noticed like any other.
#[must_use]
pub fn notice(alerts: Alerts, admitted: bool, address_is_new: bool, agent_is_new: bool) -> Option<Notice> {
    match (alerts, admitted) {
        (Alerts::None, _) => None,
        (_, false) => Some(Notice::RightPasswordFromBlockedAddress),
        (Alerts::NewAddressOrAgent, true) => match (address_is_new, agent_is_new) {
            (true, true) => Some(Notice::NewAddressAndAgent),
            (true, false) => Some(Notice::NewAddress),
            (false, true) => Some(Notice::NewAgent),
            (false, false) => None,
        },
        (Alerts::NewAgent, true) => agent_is_new.then_some(Notice::NewAgent),
    }
}

/// Whether one more alert is mailed, when `mailed` were since `since`; and both numbers from then on.
#[must_use]
pub fn mails_alert(mailed: u32, since: Timestamp, now: Timestamp) -> (bool, u32, Timestamp) {
    if now >= since.after(ALERT_SPAN) || now < since {
        (true, 1, now)
    } else {
        (mailed < MOST_ALERTS, mailed.saturating_add(1), since)
    }
}

/// An address as it is remembered: of an IPv6 address the /64 network, since hosts change the rest every day.
#[must_use]
pub fn place(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// The name of software as it is remembered, of what a peer wrote.
#[must_use]
pub fn agent(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noticed_follows_the_setting() {
        use Alerts::{NewAddressOrAgent, NewAgent};
        for (alerts, admitted, address, agent, expected) in [
            (NewAddressOrAgent, true, true, false, Some(Notice::NewAddress)),
            (NewAddressOrAgent, true, false, true, Some(Notice::NewAgent)),
            (NewAddressOrAgent, true, true, true, Some(Notice::NewAddressAndAgent)),
            (NewAddressOrAgent, true, false, false, None),
            (NewAgent, true, true, false, None),
            (NewAgent, true, true, true, Some(Notice::NewAgent)),
            (NewAddressOrAgent, false, false, false, Some(Notice::RightPasswordFromBlockedAddress)),
            (NewAgent, false, true, true, Some(Notice::RightPasswordFromBlockedAddress)),
            (Alerts::None, true, true, true, None),
            (Alerts::None, false, true, true, None),
        ] {
            assert_eq!(notice(alerts, admitted, address, agent), expected, "{alerts} {admitted} {address} {agent}");
        }
    }

    #[test]
    fn four_alerts_are_mailed_an_hour() {
        let start = Timestamp::from_millis(1_800_000_000_000);
        let (mut mailed, mut since, mut told) = (0, Timestamp::from_millis(0), 0);
        for minute in 0..60 {
            let (tell, new_mailed, new_since) = mails_alert(mailed, since, start.after(Duration::from_mins(minute)));
            (mailed, since) = (new_mailed, new_since);
            told += u32::from(tell);
        }

        assert_eq!(told, 4);
        assert!(mails_alert(mailed, since, start.after(ALERT_SPAN)).0);
    }

    #[test]
    fn settings_are_read_as_they_are_written() {
        for alerts in Alerts::ALL {
            assert_eq!(alerts.to_string().parse::<Alerts>().unwrap(), alerts);
        }
        assert!("all".parse::<Alerts>().is_err());
    }

    #[test]
    fn an_address_is_remembered_by_what_stays_of_it() {
        assert_eq!(place("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1");
        assert_eq!(place("2001:db8::1:2:3".parse().unwrap()), "2001:db8::/64");
        assert_eq!(agent(Some(" Phone/1.0\r\n ")), "Phone/1.0");
        assert_eq!(agent(Some(&"x".repeat(500))).len(), 80);
    }
}
