//! Where subscribers may call back to, and every reason why not.
//!
//! A list can stand for the whole service, for a tenant and for a mailbox. The narrowest that has an entry for a number decides, and
//! in it the entry with the most digits; a number that no list has an entry for is not called. Whatever the lists say, numbers that
//! cost more than a call are not called, and no number that its caller may have made up. [`decide`] is the only place where any of
//! this is decided.

use std::{collections::HashSet, fmt, str::FromStr, sync::LazyLock};

use super::{access::Level, dialling::DialRule};

/// The most entries of one list.
pub const MOST_ENTRIES: usize = 1000;

/// How many digits a number in North America's numbering plan has, its country's code included.
const NORTH_AMERICAN_DIGITS: usize = 11;

/// A telephone number in E.164.
#[derive(Clone, PartialEq, Eq)]
pub struct E164(String);

impl E164 {
    /// The number, if it is one of somebody outside and it is certain of whom: written with its plus. How another peer would read a number
    /// without one says nothing about whose it is.
    #[must_use]
    pub fn of(number: &str) -> Option<Self> {
        // With a plus it is the same number by any rule.
        let global = number.starts_with('+').then(|| DialRule::default().e164(number)).flatten()?;
        let digits = global.trim_start_matches('+');
        // In North America's numbering plan every number has eleven digits. What has more may be dialled without the rest.
        (!digits.starts_with('1') || digits.len() == NORTH_AMERICAN_DIGITS).then(|| Self(digits.to_owned()))
    }

    /// Its digits, the country's code first.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// What makes calls to this number cost more than a call, if something does.
    #[must_use]
    pub fn premium(&self) -> Option<Premium> {
        let beginning = (1..=self.0.len()).find(|length| PREMIUM.contains(&self.0[..*length]));
        let is_exchange_976 = self.area_code().is_some() && &self.0[4..7] == "976";
        beginning
            .map(|length| Premium(self.0[..length].to_owned()))
            .or_else(|| is_exchange_976.then(|| Premium("1…976".to_owned())))
    }

    /// Whether it looks like one of the United States or Canada, and is in another country. Callers hang up after one ring to be called
    /// back there.
    #[must_use]
    pub fn is_abroad_in_zone_1(&self) -> bool {
        self.area_code().is_some_and(|area| AREAS_ABROAD_IN_ZONE_1.contains(&area))
    }

    /// The area code of a number in North America's numbering plan.
    fn area_code(&self) -> Option<&str> {
        self.0.starts_with('1').then(|| &self.0[1..4])
    }
}

/// With its plus.
impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// Logs must not carry full numbers.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164(…{})", &self.0[self.0.len().saturating_sub(2)..])
    }
}

/// The beginning of the numbers that cost more than a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Premium(pub String);

/// The beginnings in `premium.tsv`, which says where each is written.
static PREMIUM: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("premium.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| line.split('\t').next().unwrap_or_default().split(' ')).collect()
});

/// Area codes of North America's numbering plan outside the United States' states and Canada (NANPA, "Area Code Map"): the Bahamas,
/// Barbados, Anguilla, Antigua, the Virgin Islands, the Caymans, Bermuda, Grenada, Turks and Caicos, Jamaica, Montserrat, the
/// Northern Marianas, Guam, American Samoa, Sint Maarten, Saint Lucia, Dominica, Saint Vincent, Puerto Rico, the Dominican
/// Republic, Trinidad, Saint Kitts.
const AREAS_ABROAD_IN_ZONE_1: [&str; 27] = [
    "242", "246", "264", "268", "284", "340", "345", "441", "473", "649", "658", "664", "670", "671", "684", "721", "758", "767",
    "784", "787", "809", "829", "849", "868", "869", "876", "939",
];

/// The beginning of telephone numbers: a country's code, and perhaps more digits. As text, with a plus.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

impl Prefix {
    fn covers(&self, number: &E164, is_allowed: bool) -> bool {
        // Where the code of the United States and Canada alone is allowed, the other countries that share it are not; where it is denied,
        // they are.
        let is_too_wide = is_allowed && number.is_abroad_in_zone_1() && self.0.len() < 4;
        number.digits().starts_with(&self.0) && !is_too_wide
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({self})")
    }
}

/// What is wrong with an entry or a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// No beginning of a number.
    #[error(
        "{0:?} is no beginning of telephone numbers: write a country's code with its plus and perhaps more digits, such as +44 or +4420"
    )]
    NoPrefix(String),
    /// The whole of it costs more than a call.
    #[error("{0} is for numbers that cost more than a call, which are never called back")]
    Premium(Prefix),
    /// One more than there may be.
    #[error("a list has {MOST_ENTRIES} entries at most")]
    TooMany,
}

impl FromStr for Prefix {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.')).collect();
        let digits = digits.strip_prefix('+').unwrap_or_default();
        let is_prefix = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_prefix && !digits.starts_with('0') {
            Ok(Self(digits.to_owned()))
        } else {
            Err(DestinationError::NoPrefix(text.chars().take(40).collect()))
        }
    }
}

/// Which numbers may be called, as one of service, tenant and mailbox has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations(Vec<(Prefix, bool)>);

impl Destinations {
    /// With one more entry, in the place of one that has the same digits.
    ///
    /// # Errors
    ///
    /// [`DestinationError::Premium`] when it would allow what is never called, [`DestinationError::TooMany`].
    pub fn with(mut self, prefix: Prefix, is_allowed: bool) -> Result<Self, DestinationError> {
        let is_premium = (1..=prefix.0.len()).any(|length| PREMIUM.contains(&prefix.0[..length]));
        if is_allowed && is_premium {
            return Err(DestinationError::Premium(prefix));
        }
        self.0.retain(|(known, _)| *known != prefix);
        if self.0.len() >= MOST_ENTRIES {
            return Err(DestinationError::TooMany);
        }
        self.0.push((prefix, is_allowed));
        self.0.sort();
        Ok(self)
    }

    /// Without the entry that has these digits; none when there is none.
    #[must_use]
    pub fn without(mut self, prefix: &Prefix) -> Option<Self> {
        let at = self.0.iter().position(|(known, _)| known == prefix)?;
        self.0.remove(at);
        Some(self)
    }

    /// The entries, and whether each allows, in order of their digits.
    pub fn entries(&self) -> impl Iterator<Item = (&Prefix, bool)> {
        self.0.iter().map(|(prefix, is_allowed)| (prefix, *is_allowed))
    }

    /// The entry that decides about a number: the one with the most digits.
    fn verdict(&self, number: &E164) -> Option<bool> {
        let covering = self.0.iter().filter(|(prefix, is_allowed)| prefix.covers(number, *is_allowed));
        covering.max_by_key(|(prefix, _)| prefix.0.len()).map(|(_, is_allowed)| *is_allowed)
    }
}

/// The lists that a mailbox's calls are judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Of the whole service.
    pub service: Destinations,
    /// Of the mailbox's tenant.
    pub tenant: Destinations,
    /// Of the mailbox itself.
    pub mailbox: Destinations,
}

impl Lists {
    /// Whether a number may be called, and whose list says so: the narrowest that has an entry for it. None when none has.
    #[must_use]
    pub fn verdict(&self, number: &E164) -> Option<(Level, bool)> {
        [(Level::Mailbox, &self.mailbox), (Level::Tenant, &self.tenant), (Level::Service, &self.service)]
            .into_iter()
            .find_map(|(level, list)| list.verdict(number).map(|is_allowed| (level, is_allowed)))
    }
}

/// How many calls there were, or may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// In the hour before now.
    pub an_hour: u32,
    /// In the 24 hours before now.
    pub a_day: u32,
    /// Being connected right now.
    pub at_once: u32,
}

/// What is known of the caller who would be called back.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The number that came with the call; none when it was withheld.
    pub number: Option<&'a str>,
    /// Whether somebody vouches for it who is believed: a trusted peer that asserts it, or a line of ours.
    pub is_verified: bool,
}

/// Everything that a call back is judged by.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Whether the service lets subscribers call back.
    pub service_allows: bool,
    /// Whether this mailbox may.
    pub mailbox_allows: bool,
    /// Whether the subscriber's call comes from a trusted peer, which alone is asked to connect anybody.
    pub peer_is_trusted: bool,
    /// Who is called back.
    pub caller: Caller<'a>,
    /// Where may be called.
    pub lists: &'a Lists,
    /// What the mailbox has called back so far, and may.
    pub of_mailbox: (Calls, Calls),
    /// What all mailboxes together have called back so far, and may.
    pub of_service: (Calls, Calls),
}

/// Why nobody is called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The service, or the mailbox, has it switched off.
    SwitchedOff(Level),
    /// Whoever sent the subscriber's call is no trusted peer.
    UntrustedPeer,
    /// The caller withheld the number.
    NoNumber,
    /// The caller's number may be made up.
    Unverified,
    /// It is no telephone number of anybody outside.
    NoTelephone,
    /// It costs more than a call.
    Premium,
    /// A list denies it.
    Denied(Level),
    /// No list has it.
    NotListed,
    /// There were as many calls as there may be in an hour.
    ThisHour(Level),
    /// There were as many calls as there may be in a day.
    Today(Level),
    /// As many as may be are being connected.
    AtOnce(Level),
}

impl Refusal {
    /// As it stands in the record of the call.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::SwitchedOff(Level::Service) => "calling back is off",
            Self::SwitchedOff(_) => "calling back is off for this mailbox",
            Self::UntrustedPeer => "the call does not come from a trusted peer",
            Self::NoNumber => "the caller withheld the number",
            Self::Unverified => "nobody vouches for the caller's number",
            Self::NoTelephone => "the caller's number is no telephone number outside",
            Self::Premium => "the number costs more than a call",
            Self::Denied(Level::Service) => "the service's list denies the number",
            Self::Denied(Level::Tenant) => "the tenant's list denies the number",
            Self::Denied(Level::Mailbox) => "the mailbox's list denies the number",
            Self::NotListed => "no list allows the number",
            Self::ThisHour(Level::Mailbox) => "too many calls back from this mailbox in an hour",
            Self::ThisHour(_) => "too many calls back in an hour",
            Self::Today(Level::Mailbox) => "too many calls back from this mailbox in a day",
            Self::Today(_) => "too many calls back in a day",
            Self::AtOnce(Level::Mailbox) => "this mailbox is calling back already",
            Self::AtOnce(_) => "too many calls back at once",
        }
    }
}

/// Decides whether a caller is called back, and at which number.
///
/// # Errors
///
/// The reason why not: what the operator decided first, then what is known of the number, then how much was called.
pub fn decide(wish: &Wish<'_>) -> Result<E164, Refusal> {
    if !wish.service_allows {
        return Err(Refusal::SwitchedOff(Level::Service));
    }
    if !wish.mailbox_allows {
        return Err(Refusal::SwitchedOff(Level::Mailbox));
    }
    if !wish.peer_is_trusted {
        return Err(Refusal::UntrustedPeer);
    }
    let number = wish.caller.number.ok_or(Refusal::NoNumber)?;
    if !wish.caller.is_verified {
        return Err(Refusal::Unverified);
    }
    let number = E164::of(number).ok_or(Refusal::NoTelephone)?;
    if number.premium().is_some() {
        return Err(Refusal::Premium);
    }
    match wish.lists.verdict(&number) {
        Some((_, true)) => {}
        Some((level, false)) => return Err(Refusal::Denied(level)),
        None => return Err(Refusal::NotListed),
    }
    for (level, (so_far, most)) in [(Level::Mailbox, wish.of_mailbox), (Level::Service, wish.of_service)] {
        if so_far.at_once >= most.at_once {
            return Err(Refusal::AtOnce(level));
        }
        if so_far.an_hour >= most.an_hour {
            return Err(Refusal::ThisHour(level));
        }
        if so_far.a_day >= most.a_day {
            return Err(Refusal::Today(level));
        }
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const MOST: Calls = Calls { an_hour: 5, a_day: 20, at_once: 1 };

    #[test]
    fn numbers_that_cost_more_than_a_call_are_known() {
        for number in [
            "+19005550123",
            "+12129765550",
            "+449098790000",
            "+447012345678",
            "+448711234567",
            "+33899123456",
            "+33820123456",
            "+499001234567",
            "+491371234567",
            "+34803123456",
            "+34806123456",
            "+34807123456",
            "+34905123456",
            "+34907123456",
            "+39899123456",
            "+39892424",
            "+41900123456",
            "+43900123456",
            "+32901234567",
            "+31906123456",
            "+353151234567",
            "+61190123456",
            "+81990123456",
            "+979123456789",
            "+881612345678",
            "+882123456789",
            "+883510012345",
            "+870773111632",
        ] {
            assert!(number_of(number).premium().is_some(), "{number}");
        }
    }

    #[test]
    fn ordinary_numbers_are_not_taken_for_dear_ones() {
        for number in [
            "+12125550123",
            "+19765550123",
            "+442079460123",
            "+447911123456",
            "+441184960123",
            "+33142685300",
            "+33612345678",
            "+4930123456",
            "+4915123456789",
            "+34912345678",
            "+34612345678",
            "+390612345678",
            "+393312345678",
            "+41446681800",
            "+431234567",
            "+3222345678",
            "+31201234567",
            "+35312345678",
            "+61291234567",
            "+81312345678",
            "+8613812345678",
        ] {
            assert_eq!(number_of(number).premium(), None, "{number}");
        }
    }

    #[test]
    fn the_table_has_beginnings_of_numbers_with_words_and_a_source() {
        let lines: Vec<_> = include_str!("premium.tsv").lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 100);
        for line in lines {
            let cells: Vec<_> = line.split('\t').collect();
            assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{line}");
            for digits in cells[0].split(' ') {
                assert!(format!("+{digits}").parse::<Prefix>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn a_number_is_certain_with_its_plus_only() {
        let read = |number| E164::of(number).map(|number| number.to_string());

        assert_eq!(read("+33142685300").as_deref(), Some("+33142685300"));
        assert_eq!(read("+12125550123").as_deref(), Some("+12125550123"));
        for number in ["02079460123", "442079460123", "1002", "+1", "+0442079460123", "+44abc", "", "+44207946012345678", "sip:x"]
        {
            assert_eq!(read(number), None, "{number}");
        }
        for number in ["+1212555012", "+121255501230", "+187655501230"] {
            assert_eq!(read(number), None, "{number}");
        }
    }

    #[test]
    fn the_narrowest_list_with_an_entry_decides_and_in_it_the_longest_entry() {
        let lists = Lists {
            service: list(&["+44", "+33"], &["+4477"]),
            tenant: list(&["+4477009"], &["+33"]),
            mailbox: list(&["+331"], &["+442"]),
        };
        let verdict = |number: &str| lists.verdict(&number_of(number));

        assert_eq!(verdict("+441134960000"), Some((Level::Service, true)));
        assert_eq!(verdict("+447700123456"), Some((Level::Service, false)));
        assert_eq!(verdict("+447700900123"), Some((Level::Tenant, true)));
        assert_eq!(verdict("+33612345678"), Some((Level::Tenant, false)));
        assert_eq!(verdict("+33142685300"), Some((Level::Mailbox, true)));
        assert_eq!(verdict("+442079460123"), Some((Level::Mailbox, false)));
        assert_eq!(verdict("+4930123456"), None);
    }

    #[test]
    fn the_code_of_the_united_states_does_not_stand_for_the_caribbean() {
        let allowed = |entries: &[&str], number: &str| list(entries, &[]).verdict(&number_of(number));

        assert_eq!(allowed(&["+1"], "+12125550123"), Some(true));
        assert_eq!(allowed(&["+1"], "+18765550123"), None);
        assert_eq!(allowed(&["+18"], "+18095550123"), None);
        assert_eq!(allowed(&["+1876"], "+18765550123"), Some(true));
        let denied = list(&["+1876"], &["+1"]);
        assert_eq!(denied.verdict(&number_of("+12125550123")), Some(false));
        assert_eq!(denied.verdict(&number_of("+18095550123")), Some(false));
        assert_eq!(denied.verdict(&number_of("+18765550123")), Some(true));
    }

    #[test]
    fn nobody_can_be_allowed_what_is_never_called() {
        let allow = |prefix: &str| Destinations::default().with(prefix.parse().unwrap(), true).map(|_| ());
        for prefix in ["+449", "+44909", "+1900", "+979", "+8816"] {
            assert_eq!(allow(prefix), Err(DestinationError::Premium(prefix.parse().unwrap())), "{prefix}");
        }
        assert_eq!(allow("+44"), Ok(()));
        assert!(Destinations::default().with("+1900".parse().unwrap(), false).is_ok());
    }

    #[test]
    fn an_entry_is_a_country_code_and_perhaps_more() {
        for good in ["+1", "+44", "+44 20", "+1-876", "+123456789012345"] {
            assert!(good.parse::<Prefix>().is_ok(), "{good}");
        }
        for bad in ["", "+", "44", "0044", "+0", "+044", "+44x", "+1234567890123456", "GB", "*"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entry_takes_the_place_of_one_with_the_same_digits_and_there_is_a_limit() {
        let changed = list(&["+44"], &[]).with("+44".parse().unwrap(), false).unwrap();
        assert_eq!(changed.entries().collect::<Vec<_>>(), [(&"+44".parse().unwrap(), false)]);
        let mut full = Destinations::default();
        for n in 0..MOST_ENTRIES {
            full = full.with(format!("+44{n:04}").parse().unwrap(), false).unwrap();
        }
        assert_eq!(full.with("+33".parse().unwrap(), false), Err(DestinationError::TooMany));
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let lists = Lists { service: list(&["+44"], &["+4478"]), ..Lists::default() };
        let good = wish(&lists);
        let refused = |change: &dyn Fn(&mut Wish<'_>)| {
            let mut wish = good;
            change(&mut wish);
            decide(&wish).unwrap_err()
        };
        let caller = |number| Caller { number, is_verified: true };

        assert_eq!(decide(&good).map(|number| number.to_string()), Ok("+442079460123".to_owned()));
        assert_eq!(refused(&|it| it.service_allows = false), Refusal::SwitchedOff(Level::Service));
        assert_eq!(refused(&|it| it.mailbox_allows = false), Refusal::SwitchedOff(Level::Mailbox));
        assert_eq!(refused(&|it| it.peer_is_trusted = false), Refusal::UntrustedPeer);
        assert_eq!(refused(&|it| it.caller = caller(None)), Refusal::NoNumber);
        assert_eq!(refused(&|it| it.caller.is_verified = false), Refusal::Unverified);
        assert_eq!(refused(&|it| it.caller = caller(Some("1002"))), Refusal::NoTelephone);
        assert_eq!(refused(&|it| it.caller = caller(Some("+449098790000"))), Refusal::Premium);
        assert_eq!(refused(&|it| it.caller = caller(Some("+447811123456"))), Refusal::Denied(Level::Service));
        assert_eq!(refused(&|it| it.caller = caller(Some("+33142685300"))), Refusal::NotListed);
        assert_eq!(refused(&|it| it.of_mailbox.0.at_once = 1), Refusal::AtOnce(Level::Mailbox));
        assert_eq!(refused(&|it| it.of_mailbox.0.an_hour = 5), Refusal::ThisHour(Level::Mailbox));
        assert_eq!(refused(&|it| it.of_mailbox.0.a_day = 20), Refusal::Today(Level::Mailbox));
        assert_eq!(refused(&|it| it.of_service.0.at_once = 1), Refusal::AtOnce(Level::Service));
        assert_eq!(refused(&|it| it.of_service.0.an_hour = 5), Refusal::ThisHour(Level::Service));
        assert_eq!(refused(&|it| it.of_service.0.a_day = 21), Refusal::Today(Level::Service));
    }

    #[test]
    fn the_last_call_that_may_be_made_is_made() {
        let lists = Lists { service: list(&["+44"], &[]), ..Lists::default() };
        for (hour, may) in [(4, true), (5, false), (6, false)] {
            let mut wish = wish(&lists);
            wish.of_mailbox.0.an_hour = hour;
            assert_eq!(decide(&wish).is_ok(), may, "{hour}");
        }
    }

    proptest! {
        #[test]
        fn no_lists_let_anybody_call_a_number_that_costs_more(
            beginning in select(PREMIUM.iter().copied().collect::<Vec<_>>()),
            rest in "[0-9]{6}",
            entries in vec((any::<[bool; 2]>(), 1..8_usize), 0..8),
        ) {
            let number = format!("+{beginning}{rest}").chars().take(16).collect::<String>();
            let mut lists = Lists::default();
            for ([is_allowed, of_mailbox], length) in entries {
                let prefix: Prefix = number.get(..=length).unwrap_or(&number).parse().unwrap();
                let list = if of_mailbox { &mut lists.mailbox } else { &mut lists.service };
                *list = list.clone().with(prefix, is_allowed).unwrap_or_else(|_| list.clone());
            }
            let wish = Wish { caller: Caller { number: Some(&number), is_verified: true }, ..wish(&lists) };
            prop_assert!(matches!(decide(&wish), Err(Refusal::Premium | Refusal::NoTelephone)));
        }

        #[test]
        fn what_is_called_is_on_a_list_and_is_what_the_caller_showed(number in "[+]?[0-9]{0,16}", entry in "[1-9][0-9]{0,3}") {
            let prefix: Prefix = format!("+{entry}").parse().unwrap();
            let Ok(service) = Destinations::default().with(prefix, true) else { return Ok(()) };
            let lists = Lists { service, ..Lists::default() };
            let wish = Wish { caller: Caller { number: Some(&number), is_verified: true }, ..wish(&lists) };
            if let Ok(called) = decide(&wish) {
                prop_assert_eq!(called.to_string(), number);
                prop_assert!(called.digits().starts_with(&entry));
            }
        }

        #[test]
        fn no_text_makes_us_panic(number in ".*", prefix in ".*") {
            let _ = E164::of(&number).map(|number| (number.premium(), number.is_abroad_in_zone_1()));
            let _ = prefix.parse::<Prefix>();
        }
    }

    fn wish(lists: &Lists) -> Wish<'_> {
        Wish {
            service_allows: true,
            mailbox_allows: true,
            peer_is_trusted: true,
            caller: Caller { number: Some("+442079460123"), is_verified: true },
            lists,
            of_mailbox: (Calls::default(), MOST),
            of_service: (Calls::default(), MOST),
        }
    }

    fn list(allowed: &[&str], denied: &[&str]) -> Destinations {
        let entries = allowed.iter().map(|prefix| (prefix, true)).chain(denied.iter().map(|prefix| (prefix, false)));
        entries
            .fold(Destinations::default(), |list, (prefix, is_allowed)| list.with(prefix.parse().unwrap(), is_allowed).unwrap())
    }

    fn number_of(text: &str) -> E164 {
        E164::of(text).unwrap()
    }
}
