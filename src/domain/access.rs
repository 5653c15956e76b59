//! Access lists: from which addresses phones may register and calls may come in.
//!
//! A list can stand for the whole service, for a tenant and for a mailbox, and the narrowest one that is there decides alone.
//! A list that is there and empty admits nobody; where no list is there, nobody is kept out by one. Lists admit and never
//! vouch: whom an address belongs to, and whether it is believed, is decided elsewhere.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::id::MailboxId;

/// The most entries of one list.
pub const MOST_ENTRIES: usize = 1000;

/// What an address is admitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Registering a phone.
    Register,
    /// Sending a call.
    Call,
}

impl Purpose {
    /// Both, in the order of listings.
    pub const ALL: [Self; 2] = [Self::Register, Self::Call];
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::Call => "call",
        })
    }
}

/// Whom a list is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody.
    Service,
    /// The mailboxes of a SIP domain; the default tenant's name is empty.
    Tenant(String),
    /// One mailbox.
    Mailbox(MailboxId),
}

/// How wide a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It is the whole service's.
    Service,
    /// It is a tenant's.
    Tenant,
    /// It is a mailbox's.
    Mailbox,
}

impl Level {
    /// The word for whose list it is.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Tenant => "tenant",
            Self::Mailbox => "mailbox",
        }
    }
}

/// Addresses, as an operator wrote them.
///
/// Text form: entries separated by commas or line ends. An entry is an address (`192.0.2.1`, `2001:db8::1`), a range with both
/// ends (`192.0.2.10-192.0.2.20`), a network with a prefix length (`192.0.2.0/24`, `2001:db8::/32`) or with a dotted mask
/// (`192.0.2.0/255.255.255.0`). IPv4 addresses in IPv6 clothes (`::ffff:192.0.2.1`) are those IPv4 addresses. Names are not
/// looked up, and so are refused.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccessList {
    entries: Vec<Entry>,
    /// What the entries cover: in order, without overlaps.
    spans: Vec<Entry>,
}

/// Consecutive addresses of one family, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    first: IpAddr,
    last: IpAddr,
}

impl AccessList {
    /// A list of these entries, which keeps their order and drops repetitions.
    fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut list = Self::default();
        for entry in entries {
            if !list.entries.contains(&entry) {
                list.entries.push(entry);
            }
        }
        let mut sorted = list.entries.clone();
        sorted.sort_unstable();
        for entry in sorted {
            match list.spans.last_mut() {
                Some(span) if span.last >= entry.first || following(span.last) == Some(entry.first) => {
                    span.last = span.last.max(entry.last);
                }
                _ => list.spans.push(entry),
            }
        }
        list
    }

    /// Whether `address` is on the list.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.covers(address, address)
    }

    /// Whether every address from `first` to `last` is on the list.
    #[must_use]
    pub fn covers(&self, first: IpAddr, last: IpAddr) -> bool {
        let after = self.spans.partition_point(|span| span.first <= first);
        after.checked_sub(1).is_some_and(|at| {
            let span = self.spans[at];
            span.last >= last && span.first.is_ipv4() == last.is_ipv4()
        })
    }

    /// Whether everybody on another list is on this one.
    #[must_use]
    pub fn covers_all(&self, other: &Self) -> bool {
        other.spans.iter().all(|span| self.covers(span.first, span.last))
    }

    /// Whether nobody is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// This list and the entries of another.
    ///
    /// # Errors
    ///
    /// [`AccessError::TooMany`].
    pub fn with(&self, more: &Self) -> Result<Self, AccessError> {
        let both = Self::of(self.entries.iter().chain(&more.entries).copied());
        if both.entries.len() > MOST_ENTRIES { Err(AccessError::TooMany) } else { Ok(both) }
    }

    /// This list without the entries of another. Entries are taken out whole, as they stand.
    ///
    /// # Errors
    ///
    /// [`AccessError::NotListed`] names an entry that is not on this list.
    pub fn without(&self, fewer: &Self) -> Result<Self, AccessError> {
        if let Some(missing) = fewer.entries.iter().find(|entry| !self.entries.contains(entry)) {
            return Err(AccessError::NotListed(missing.to_string()));
        }
        Ok(Self::of(self.entries.iter().filter(|entry| !fewer.entries.contains(entry)).copied()))
    }

    /// The entries, each as text.
    pub fn entries(&self) -> impl Iterator<Item = String> + '_ {
        self.entries.iter().map(Entry::to_string)
    }
}

/// The entries separated by commas.
impl fmt::Display for AccessList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            write!(f, "{}{entry}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for AccessList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessList({self})")
    }
}

/// Why a text is no access list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// A name.
    #[error(
        "{0:?} is no address: names are not looked up in access lists, for whoever answers for the name would decide who is admitted; \
         write the address"
    )]
    Name(String),
    /// Neither address, nor range, nor network.
    #[error(
        "{0:?} is no address, range or network; write 192.0.2.1, 192.0.2.10-192.0.2.20, 192.0.2.0/24 or 192.0.2.0/255.255.255.0"
    )]
    Unreadable(String),
    /// A prefix length that is too long.
    #[error("{0:?} needs a prefix length of 0 to {1} after the /")]
    Prefix(String, u8),
    /// A mask with gaps.
    #[error("{0:?} has a mask with gaps; a mask has ones first and zeros after, as 255.255.255.0")]
    Mask(String),
    /// A range that ends before it begins, or in the other family.
    #[error("{0:?} is no range; write the lower address, a -, and the higher one of the same kind")]
    Range(String),
    /// More entries than a list can have.
    #[error("an access list has at most {MOST_ENTRIES} entries; write ranges or networks")]
    TooMany,
    /// An entry that is to be taken out and is not there.
    #[error("{0} is not on the list as an entry of its own")]
    NotListed(String),
}

impl FromStr for AccessList {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let mut entries = Vec::new();
        for part in text.split([',', ';', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty()) {
            if entries.len() == MOST_ENTRIES {
                return Err(AccessError::TooMany);
            }
            entries.push(part.parse()?);
        }
        Ok(Self::of(entries))
    }
}

impl FromStr for Entry {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        if let Some((address, width)) = text.split_once('/') {
            return network(text, address.trim(), width.trim());
        }
        if let Some((first, last)) = text.split_once('-')
            && let (Ok(first), Ok(last)) = (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>())
        {
            let (first, last) = (first.to_canonical(), last.to_canonical());
            let is_range = first.is_ipv4() == last.is_ipv4() && first <= last;
            return if is_range { Ok(Self { first, last }) } else { Err(AccessError::Range(text.to_owned())) };
        }
        // An address and a mask behind it, as some screens show them; never two addresses, which a comma separates.
        if let Some((address, mask)) = text.split_once(char::is_whitespace)
            && mask.trim().starts_with("255.")
        {
            return network(text, address, mask.trim());
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self { first: address.to_canonical(), last: address.to_canonical() }),
            Err(_) => Err(unreadable(text)),
        }
    }
}

/// The network of an address and a prefix length or mask. Bits of the address behind the prefix do not count.
fn network(text: &str, address: &str, width: &str) -> Result<Entry, AccessError> {
    let Ok(address) = address.parse::<IpAddr>() else { return Err(unreadable(text)) };
    let prefix = if let Ok(mask) = width.parse::<Ipv4Addr>() {
        let ones = mask.to_bits().leading_ones();
        if !address.is_ipv4() {
            return Err(AccessError::Unreadable(text.to_owned()));
        }
        if mask.to_bits().checked_shl(ones).unwrap_or(0) != 0 {
            return Err(AccessError::Mask(text.to_owned()));
        }
        ones
    } else {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let digits = !width.is_empty() && width.bytes().all(|byte| byte.is_ascii_digit());
        match width.parse::<u32>() {
            Ok(prefix) if digits && prefix <= u32::from(longest) => prefix,
            _ => return Err(AccessError::Prefix(text.to_owned(), longest)),
        }
    };
    match (address, address.to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= 96 => Ok(network_v4(mapped, prefix - 96)),
        (IpAddr::V6(address), _) => {
            let hosts = u128::MAX.checked_shr(prefix).unwrap_or(0);
            Ok(Entry {
                first: Ipv6Addr::from_bits(address.to_bits() & !hosts).into(),
                last: Ipv6Addr::from_bits(address.to_bits() | hosts).into(),
            })
        }
        (IpAddr::V4(address), _) => Ok(network_v4(address, prefix)),
    }
}

fn network_v4(address: Ipv4Addr, prefix: u32) -> Entry {
    let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
    Entry {
        first: Ipv4Addr::from_bits(address.to_bits() & !hosts).into(),
        last: Ipv4Addr::from_bits(address.to_bits() | hosts).into(),
    }
}

/// What to say about a text that no address could be read from.
fn unreadable(text: &str) -> AccessError {
    let is_name = |text: &str| {
        text.contains(|c: char| c.is_ascii_alphabetic())
            && !text.contains(':')
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | '/'))
    };
    if is_name(text) { AccessError::Name(text.to_owned()) } else { AccessError::Unreadable(text.to_owned()) }
}

/// An address, a network with its prefix length, or a range.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last, width) = match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits().into(), last.to_bits().into(), 32),
            (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits(), last.to_bits(), 128),
            // Both ends are of one family.
            (first, last) => return write!(f, "{first}-{last}"),
        };
        let hosts: u128 = first ^ last;
        if first == last {
            write!(f, "{}", self.first)
        } else if hosts & hosts.wrapping_add(1) == 0 && first & hosts == 0 {
            write!(f, "{}/{}", self.first, width - hosts.count_ones())
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// The address after this one.
fn following(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

/// All lists there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessPolicy {
    register: Lists,
    call: Lists,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lists {
    service: Option<AccessList>,
    tenants: HashMap<String, AccessList>,
    mailboxes: HashMap<MailboxId, AccessList>,
}

impl AccessPolicy {
    /// Puts a list in the place of the one there was, or takes it away.
    pub fn set(&mut self, scope: Scope, purpose: Purpose, list: Option<AccessList>) {
        let lists = match purpose {
            Purpose::Register => &mut self.register,
            Purpose::Call => &mut self.call,
        };
        match (scope, list) {
            (Scope::Service, list) => lists.service = list,
            (Scope::Tenant(tenant), Some(list)) => _ = lists.tenants.insert(tenant, list),
            (Scope::Tenant(tenant), None) => _ = lists.tenants.remove(&tenant),
            (Scope::Mailbox(mailbox), Some(list)) => _ = lists.mailboxes.insert(mailbox, list),
            (Scope::Mailbox(mailbox), None) => _ = lists.mailboxes.remove(&mailbox),
        }
    }

    /// The list of exactly this scope.
    #[must_use]
    pub fn of(&self, scope: &Scope, purpose: Purpose) -> Option<&AccessList> {
        let lists = self.lists(purpose);
        match scope {
            Scope::Service => lists.service.as_ref(),
            Scope::Tenant(tenant) => lists.tenants.get(tenant),
            Scope::Mailbox(mailbox) => lists.mailboxes.get(mailbox),
        }
    }

    /// The list that decides for a mailbox of a tenant, or for a number of it that is no mailbox, and how wide it is.
    #[must_use]
    pub fn deciding(&self, purpose: Purpose, tenant: &str, mailbox: Option<&MailboxId>) -> Option<(Level, &AccessList)> {
        let lists = self.lists(purpose);
        let own = mailbox.and_then(|mailbox| lists.mailboxes.get(mailbox)).map(|list| (Level::Mailbox, list));
        let of_tenant = || lists.tenants.get(tenant).map(|list| (Level::Tenant, list));
        own.or_else(of_tenant).or_else(|| lists.service.as_ref().map(|list| (Level::Service, list)))
    }

    /// Whether `address` may do this for a mailbox of a tenant, or for a number of it that is no mailbox.
    #[must_use]
    pub fn admits(&self, purpose: Purpose, tenant: &str, mailbox: Option<&MailboxId>, address: IpAddr) -> bool {
        self.deciding(purpose, tenant, mailbox).is_none_or(|(_, list)| list.contains(address))
    }

    /// Whether there is a list that keeps anybody out.
    #[must_use]
    pub fn is_open(&self, purpose: Purpose) -> bool {
        let lists = self.lists(purpose);
        lists.service.is_none() && lists.tenants.is_empty() && lists.mailboxes.is_empty()
    }

    fn lists(&self, purpose: Purpose) -> &Lists {
        match purpose {
            Purpose::Register => &self.register,
            Purpose::Call => &self.call,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ways_that_operators_write_addresses_are_understood() {
        for (text, canonical) in [
            // One address, one network, several of either, mixed, of both families.
            ("81.187.30.111", "81.187.30.111"),
            ("81.187.30.0/24", "81.187.30.0/24"),
            ("81.187.30.111,81.187.30.112", "81.187.30.111, 81.187.30.112"),
            ("81.187.30.0/24,90.155.3.0/24", "81.187.30.0/24, 90.155.3.0/24"),
            ("2001:8b0::1", "2001:8b0::1"),
            ("2001:8b0::/32", "2001:8b0::/32"),
            ("81.187.30.111, 90.155.0.0/16, 2001:8b0:1::/48", "81.187.30.111, 90.155.0.0/16, 2001:8b0:1::/48"),
            // Ranges and dotted masks.
            ("192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.20"),
            ("192.0.2.10 - 192.0.2.20", "192.0.2.10-192.0.2.20"),
            ("192.0.2.0-192.0.2.255", "192.0.2.0/24"),
            ("2001:db8::1-2001:db8::ff", "2001:db8::1-2001:db8::ff"),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
            ("192.0.2.0 255.255.255.0", "192.0.2.0/24"),
            ("192.0.2.7/255.255.255.255", "192.0.2.7"),
            ("0.0.0.0/0.0.0.0", "0.0.0.0/0"),
            ("0.0.0.0/0, ::/0", "0.0.0.0/0, ::/0"),
            // IPv4 in IPv6 clothes, host bits, repetitions, stray separators.
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.1,192.0.2.1\n ,192.0.2.2,", "192.0.2.1, 192.0.2.2"),
            ("", ""),
        ] {
            let list: AccessList = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));

            assert_eq!(list.to_string(), canonical, "{text}");
            assert_eq!(canonical.parse::<AccessList>().unwrap(), list, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_with_what_to_write() {
        for (text, error) in [
            ("pbx.example.com", AccessError::Name("pbx.example.com".to_owned())),
            ("192.0.2.1, home.dyndns.org", AccessError::Name("home.dyndns.org".to_owned())),
            ("my-host", AccessError::Name("my-host".to_owned())),
            ("localhost/8", AccessError::Name("localhost/8".to_owned())),
            ("192.0.2.0/33", AccessError::Prefix("192.0.2.0/33".to_owned(), 32)),
            ("2001:db8::/129", AccessError::Prefix("2001:db8::/129".to_owned(), 128)),
            ("192.0.2.0/", AccessError::Prefix("192.0.2.0/".to_owned(), 32)),
            ("192.0.2.0/+8", AccessError::Prefix("192.0.2.0/+8".to_owned(), 32)),
            ("192.0.2.0/255.0.255.0", AccessError::Mask("192.0.2.0/255.0.255.0".to_owned())),
            ("192.0.2.20-192.0.2.10", AccessError::Range("192.0.2.20-192.0.2.10".to_owned())),
            ("192.0.2.1-2001:db8::1", AccessError::Range("192.0.2.1-2001:db8::1".to_owned())),
            ("192.0.2.1-9", AccessError::Unreadable("192.0.2.1-9".to_owned())),
            ("192.0.2.1 192.0.2.2", AccessError::Unreadable("192.0.2.1 192.0.2.2".to_owned())),
            ("192.0.2.1:5060", AccessError::Unreadable("192.0.2.1:5060".to_owned())),
            ("192.0.2", AccessError::Unreadable("192.0.2".to_owned())),
            ("fe80::1%eth0", AccessError::Unreadable("fe80::1%eth0".to_owned())),
            ("2001:db8::/255.255.0.0", AccessError::Unreadable("2001:db8::/255.255.0.0".to_owned())),
        ] {
            assert_eq!(text.parse::<AccessList>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_list_admits_its_ends_and_nobody_beside_them() {
        let list = list("192.0.2.10-192.0.2.20, 198.51.100.0/30, 2001:db8::/126");

        for inside in
            ["192.0.2.10", "192.0.2.20", "198.51.100.0", "198.51.100.3", "2001:db8::", "2001:db8::3", "::ffff:192.0.2.15"]
        {
            assert!(list.contains(address(inside)), "{inside}");
        }
        for outside in
            ["192.0.2.9", "192.0.2.21", "198.51.99.255", "198.51.100.4", "2001:db8::4", "::192.0.2.15", "::", "0.0.0.0"]
        {
            assert!(!list.contains(address(outside)), "{outside}");
        }
    }

    #[test]
    fn everything_of_one_family_is_nothing_of_the_other() {
        assert!(list("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(list("::/0").contains(address("ffff::")));
        assert!(!list("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(!list("::/0").contains(address("192.0.2.1")));
        assert!(!list("::/0").contains(address("::ffff:192.0.2.1")));
    }

    #[test]
    fn neighbours_together_cover_what_neither_does_alone() {
        let list = list("192.0.2.128/25, 192.0.2.0/25, 198.51.100.1");

        assert!(list.covers(address("192.0.2.0"), address("192.0.2.255")));
        assert!(!list.covers(address("192.0.2.0"), address("192.0.3.0")));
        assert!(!list.covers(address("192.0.2.0"), address("198.51.100.1")));
    }

    #[test]
    fn the_narrowest_list_decides_alone() {
        let (own, neighbour) = (MailboxId::random(), MailboxId::random());
        let mut policy = AccessPolicy::default();
        let admits =
            |policy: &AccessPolicy, tenant, mailbox, from| policy.admits(Purpose::Register, tenant, Some(mailbox), address(from));
        assert!(admits(&policy, "", &own, "192.0.2.1"));
        policy.set(Scope::Service, Purpose::Register, Some(list("192.0.2.1")));
        policy.set(Scope::Tenant("b.example".to_owned()), Purpose::Register, Some(list("192.0.2.2")));
        policy.set(Scope::Mailbox(own.clone()), Purpose::Register, Some(list("192.0.2.3")));

        for (tenant, mailbox, admitted) in [
            ("", &neighbour, "192.0.2.1"),
            ("b.example", &neighbour, "192.0.2.2"),
            ("b.example", &own, "192.0.2.3"),
            ("", &own, "192.0.2.3"),
        ] {
            for from in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
                assert_eq!(admits(&policy, tenant, mailbox, from), from == admitted, "{tenant} {from}");
            }
        }
        assert!(policy.admits(Purpose::Call, "", Some(&own), address("192.0.2.9")), "a list is for one purpose");
    }

    #[test]
    fn an_empty_list_admits_nobody_and_a_removed_one_everybody() {
        let mut policy = AccessPolicy::default();
        policy.set(Scope::Service, Purpose::Call, Some(AccessList::default()));
        assert!(!policy.admits(Purpose::Call, "", None, address("192.0.2.1")));
        assert!(!policy.is_open(Purpose::Call));

        policy.set(Scope::Service, Purpose::Call, None);

        assert!(policy.admits(Purpose::Call, "", None, address("192.0.2.1")));
        assert!(policy.is_open(Purpose::Call));
    }

    #[test]
    fn entries_are_added_and_taken_out_as_they_stand() {
        let both = list("192.0.2.1").with(&list("198.51.100.0/24, 192.0.2.1")).unwrap();

        assert_eq!(both.to_string(), "192.0.2.1, 198.51.100.0/24");
        assert_eq!(both.without(&list("198.51.100.0-198.51.100.255")).unwrap().to_string(), "192.0.2.1");
        assert_eq!(both.without(&list("198.51.100.7")), Err(AccessError::NotListed("198.51.100.7".to_owned())));
    }

    #[test]
    fn a_list_has_a_thousand_entries_at_most() {
        let text = |entries: u32| (0..entries).map(|n| Ipv4Addr::from_bits(2 * n).to_string()).collect::<Vec<_>>().join(",");

        assert_eq!(text(1000).parse::<AccessList>().unwrap().entries().count(), 1000);
        assert_eq!(text(1001).parse::<AccessList>(), Err(AccessError::TooMany));
        assert_eq!(list(&text(1000)).with(&list("255.0.0.1")), Err(AccessError::TooMany));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<AccessList>();
        }

        #[test]
        fn what_looks_like_an_entry_is_read_or_refused(text in "[0-9a-f.:/ ,-]{0,60}") {
            if let Ok(list) = text.parse::<AccessList>() {
                prop_assert_eq!(list.to_string().parse::<AccessList>().unwrap(), list);
            }
        }

        #[test]
        fn a_list_contains_what_one_of_its_entries_does(
            ends in proptest::collection::vec((0_u32..64, 0_u32..64), 0..8),
            probe in 0_u32..64,
        ) {
            let entries = ends.iter().map(|&(a, b)| (a.min(b), a.max(b)));
            let list = AccessList::of(entries.clone().map(|(first, last)| Entry {
                first: Ipv4Addr::from_bits(first).into(),
                last: Ipv4Addr::from_bits(last).into(),
            }));

            let expected = entries.clone().any(|(first, last)| (first..=last).contains(&probe));
            prop_assert_eq!(list.contains(Ipv4Addr::from_bits(probe).into()), expected);
        }
    }

    fn list(text: &str) -> AccessList {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
