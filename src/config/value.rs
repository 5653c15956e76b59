//! The types of single values: each is written as text and checked where it is read.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    audio::codec::Codec,
    delivery::Sender,
    domain::{
        destination::Prefix,
        dialling::DialRule,
        keys::{KeyProfile, MenuLength},
        language::AccessLanguage,
        tenant::tenant_name,
        time::TimeZone,
    },
    sdp::Policy,
    sip::{
        flow::{ListenAddr, Transport},
        refer::ReferTarget,
        wire::SipUri,
    },
};

/// How a value is written, for the documentation and for reading it from an environment variable.
pub trait Shape {
    /// What kind of value it is, in words.
    const SHAPE: &'static str;
    /// Whether it is a list, which a variable gives separated by commas.
    const LIST: bool = false;
    /// Whether it is text, which stands in quotes in the file but not in a variable.
    const QUOTED: bool = true;
}

/// Gives a type that is read with `FromStr` and printed with `Display` its serde form and its shape.
macro_rules! text_values {
    ($($Type:ident: $shape:literal;)*) => {$(
        impl Shape for $Type {
            const SHAPE: &'static str = $shape;
        }

        impl Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

text_values! {
    AccessLanguage: "number and language";
    DnsServer: "address";
    ListenAddr: "transport and address";
    Network: "address or network";
    CodecName: "codec";
    TenantKeys: "tenant=profile";
    PeerDialRule: "address, network or `any`, and what its numbers mean";
    PortRange: "port range";
    ReferTarget: "number or SIP URI";
    Prefix: "beginning of telephone numbers";
    CronExpression: "cron expression";
    Policy: "`off`, `optional` or `required`";
    LogFormat: "`human` or `json`";
    LogLevel: "log level";
    Sender: "mail address";
    SipUri: "SIP URI";
    Secret: "secret";
    SecretUrl: "URL";
}

impl Shape for KeyProfile {
    const SHAPE: &'static str = "`afterbeep`, `asterisk`, `freeswitch`, `unity` or `audix`";
}

impl Shape for MenuLength {
    const SHAPE: &'static str = "`brief` or `full`";
}

impl Shape for String {
    const SHAPE: &'static str = "text";
}

impl Shape for PathBuf {
    const SHAPE: &'static str = "path";
}

impl Shape for Duration {
    const SHAPE: &'static str = "span of time";
}

impl Shape for TimeZone {
    const SHAPE: &'static str = "time zone";
}

impl Shape for bool {
    const SHAPE: &'static str = "true or false";
    const QUOTED: bool = false;
}

impl Shape for u32 {
    const SHAPE: &'static str = "number";
    const QUOTED: bool = false;
}

impl Shape for usize {
    const SHAPE: &'static str = "number";
    const QUOTED: bool = false;
}

impl<T: Shape> Shape for Option<T> {
    const SHAPE: &'static str = T::SHAPE;
    const LIST: bool = T::LIST;
    const QUOTED: bool = T::QUOTED;
}

impl<T: Shape> Shape for Vec<T> {
    const SHAPE: &'static str = T::SHAPE;
    const LIST: bool = true;
    const QUOTED: bool = T::QUOTED;
}

/// What is wrong with a value, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

fn wrong<T>(text: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError(text.into()))
}

impl FromStr for ListenAddr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (transport, address) = match text.split_once(':') {
            Some(("udp", address)) => (Transport::Udp, address),
            Some(("tcp", address)) => (Transport::Tcp, address),
            Some(("tls", address)) => (Transport::Tls, address),
            Some(("ws", address)) => (Transport::Ws, address),
            Some(("wss", address)) => (Transport::Wss, address),
            _ => return wrong(format!("{text:?} must start with udp:, tcp:, tls:, wss: or ws:, as in udp:0.0.0.0:5060")),
        };
        let without_port = || {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            Some(SocketAddr::new(bare.parse().ok()?, transport.default_port()))
        };
        match address.parse().ok().or_else(without_port) {
            Some(address) => Ok(Self { transport, address }),
            None => wrong(format!("{text:?} needs an address and a port, as in udp:0.0.0.0:5060 or tcp:[::]:5060")),
        }
    }
}

/// A DNS server: `192.0.2.53`, or with a port `192.0.2.53:5353`, `[2001:db8::53]:5353`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsServer(pub SocketAddr);

impl FromStr for DnsServer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let whole = text.parse::<SocketAddr>().ok();
        match whole.or_else(|| Some(SocketAddr::new(text.parse().ok()?, 53))) {
            Some(server) => Ok(Self(server)),
            None => wrong(format!("{text:?} is no address of a DNS server; write 192.0.2.53 or 192.0.2.53:5353")),
        }
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.port() {
            53 => write!(f, "{}", self.0.ip()),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// One address or a network: `192.0.2.10`, `198.51.100.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address that arrives in IPv6 clothes (`::ffff:192.0.2.10`) is that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let shift = 32 - u32::from(self.prefix);
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let shift = 128 - u32::from(self.prefix);
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    fn longest_prefix(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }
}

impl FromStr for Network {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return wrong(format!(
                "{text:?} is no address or network; write 192.0.2.10 or 198.51.100.0/24 (host names are not looked up)"
            ));
        };
        let longest = Self::longest_prefix(address);
        let prefix = match prefix.map(str::parse) {
            None => longest,
            Some(Ok(prefix)) if prefix <= longest => prefix,
            Some(_) => return wrong(format!("{text:?} needs a prefix length of 0 to {longest} after the /")),
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == Self::longest_prefix(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// A codec by its name in SDP, in any case: `opus`, `G722`, `PCMU`, `PCMA`, `G729`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecName(pub Codec);

impl FromStr for CodecName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match Codec::from_name(text) {
            Some(codec) => Ok(Self(codec)),
            None => {
                let names = Codec::ALL.map(Codec::name).join(", ");
                wrong(format!("{text:?} is no codec of ours; there are {names}"))
            }
        }
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A peer's dial rule: `192.0.2.10 country=44 national=0 international=00`; `any` stands for every peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerDialRule {
    network: Option<Network>,
    /// What the peer's numbers mean.
    pub rule: DialRule,
}

impl PeerDialRule {
    /// Whether it is about this peer.
    #[must_use]
    pub fn applies_to(&self, peer: IpAddr) -> bool {
        self.network.is_none_or(|network| network.contains(peer))
    }
}

impl FromStr for PeerDialRule {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (peer, rule) = text.trim().split_once(' ').unwrap_or((text, ""));
        let network = if peer == "any" { None } else { Some(peer.parse()?) };
        match rule.parse() {
            Ok(rule) => Ok(Self { network, rule }),
            Err(error) => wrong(format!("{text:?}: {error}")),
        }
    }
}

impl fmt::Display for PeerDialRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.network {
            Some(network) => write!(f, "{network} {}", self.rule),
            None => write!(f, "any {}", self.rule),
        }
    }
}

/// The key map of one tenant: `example.com=asterisk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKeys {
    /// The tenant's SIP domain.
    pub tenant: String,
    /// What its mailboxes have.
    pub keys: KeyProfile,
}

impl FromStr for TenantKeys {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some((tenant, keys)) = text.split_once('=') else { return wrong(format!("{text:?}: write tenant=profile")) };
        match (tenant_name(tenant), keys.trim().parse()) {
            (Ok(tenant), Ok(keys)) => Ok(Self { tenant, keys }),
            (Err(error), _) => wrong(format!("{text:?}: {error}")),
            (_, Err(error)) => wrong(format!("{text:?}: {error}")),
        }
    }
}

impl fmt::Display for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.tenant, self.keys)
    }
}

/// UDP ports from `first` to `last`, both included: `30000-39999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl PortRange {
    /// How many pairs of an even port and the next one it holds.
    #[must_use]
    pub fn pairs(&self) -> u32 {
        let first_even = u32::from(self.first).next_multiple_of(2);
        (u32::from(self.last) + 1).saturating_sub(first_even) / 2
    }
}

impl FromStr for PortRange {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let ends = text.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
        match ends {
            Some((first, last)) if first >= 1024 && first < last => Ok(Self { first, last }),
            _ => wrong(format!(
                "{text:?} is no port range; write the lowest (at least 1024) and the highest port, as in 30000-39999"
            )),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A `cron` expression with seconds: `0 30 3 * * *`.
#[derive(Clone, Debug)]
pub struct CronExpression {
    text: String,
    schedule: cron::Schedule,
}

impl CronExpression {
    /// The moments it stands for.
    #[must_use]
    pub fn schedule(&self) -> &cron::Schedule {
        &self.schedule
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for CronExpression {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.split_whitespace().count() == 5 {
            return wrong(format!("{text:?} has five fields; put the second first, as in \"0 {text}\""));
        }
        match text.parse() {
            Ok(schedule) => Ok(Self { text: text.to_owned(), schedule }),
            Err(_) => wrong(format!(
                "{text:?} is no cron expression; write second, minute, hour, day of month, month and day of week, as in \"0 30 3 * * *\""
            )),
        }
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Policy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => wrong(format!("{text:?} says nothing about encryption; write off, optional or required")),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        })
    }
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => wrong(format!("{text:?} is no log format; write human or json")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Human => "human",
            Self::Json => "json",
        })
    }
}

/// What is logged, as a filter of `tracing-subscriber`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// The filter as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogLevel {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        // A lone word would also pass as the name of a module, and silence the log.
        let is_plausible = |part: &&str| part.contains('=') || part.parse::<tracing::metadata::LevelFilter>().is_ok();
        let filter = parts.join(",");
        if parts.iter().all(is_plausible) && tracing_subscriber::EnvFilter::try_new(&filter).is_ok() {
            Ok(Self(filter))
        } else {
            wrong(format!("{text:?} is no log level; write error, warn, info, debug or trace, or module=level pairs after it"))
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whom it was meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Ok(Self::new(text))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({HIDDEN})")
    }
}

const HIDDEN: &str = "***";

/// A URL that may hold a password; it is printed without it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The whole URL, for whom it was meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // The text itself is kept out of the message: it may hold a password.
        match text.split_once("://") {
            Some((scheme, rest)) if !scheme.is_empty() && !rest.is_empty() => Ok(Self(text.to_owned())),
            _ => wrong("this is no URL; it needs a scheme and :// as in smtp://relay.example:587"),
        }
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        // The last @, wherever it is: a password that was not escaped may hold anything, and hiding too much does no harm.
        let host_start = rest.rfind('@').map_or(0, |at| at + 1);
        let (user, rest) = rest.split_at(host_start);
        write!(f, "{scheme}://")?;
        match user.split_once(':') {
            Some((user, _)) => write!(f, "{user}:{HIDDEN}@")?,
            None => f.write_str(user)?,
        }
        // PostgreSQL takes a password among the parameters, too.
        let (place, parameters) = rest.split_once('?').map_or((rest, None), |(place, parameters)| (place, Some(parameters)));
        f.write_str(place)?;
        for (index, parameter) in parameters.into_iter().flat_map(|all| all.split('&')).enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            match parameter.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("pass") => write!(f, "{name}={HIDDEN}")?,
                _ => f.write_str(parameter)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// A default that we wrote ourselves.
pub fn text<T: FromStr<Err: fmt::Display>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("our own default is refused: {error}"))
}

/// A list of defaults that we wrote ourselves.
pub fn texts<T: FromStr<Err: fmt::Display>, const N: usize>(list: [&str; N]) -> Vec<T> {
    list.into_iter().map(text).collect()
}

/// Spans as `500ms`, `10s`, `5m`, `1h`, `3d`.
pub mod span {
    use super::*;

    /// Writes a span.
    pub fn serialize<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&span_text(*span))
    }

    /// Reads a span.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_span(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A span in the largest unit that shows it whole.
pub fn span_text(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, size) = UNITS.into_iter().rev().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(UNITS[0]);
    format!("{}{unit}", millis / size)
}

fn parse_span(text: &str) -> Result<Duration, ValueError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let size = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).map(|(_, size)| size);
    match (count.parse::<u64>().ok(), size) {
        (Some(count), Some(size)) if count.checked_mul(size).is_some() => Ok(Duration::from_millis(count * size)),
        _ => wrong(format!("{text:?} is no span of time; write a number and ms, s, m, h or d, as in \"10s\"")),
    }
}

/// Time zones by their name.
pub mod time_zone {
    use super::*;

    /// Writes a zone's name.
    pub fn serialize<S: serde::Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(zone)
    }

    /// Reads a zone's name.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_tenant_are_read_under_the_name_that_calls_look_for() {
        let keys: TenantKeys = "Example.com = unity".parse().unwrap();

        assert_eq!(keys, TenantKeys { tenant: "example.com".to_owned(), keys: KeyProfile::Unity });
        assert_eq!(keys.to_string(), "example.com=unity");
        assert!("example.com".parse::<TenantKeys>().is_err());
        assert!("example com=unity".parse::<TenantKeys>().is_err());
        assert!("example.com=nortel".parse::<TenantKeys>().is_err());
    }

    #[test]
    fn spans_read_and_print() {
        for (written, millis) in
            [("0s", 0), ("500ms", 500), ("10s", 10_000), ("90s", 90_000), ("5m", 300_000), ("3d", 259_200_000)]
        {
            let span = parse_span(written).unwrap();

            assert_eq!(span, Duration::from_millis(millis));
            assert_eq!(parse_span(&span_text(span)).unwrap(), span);
        }
        assert_eq!(span_text(Duration::from_secs(120)), "2m");
        for wrong in ["", "10", "s", "-1s", "1.5s", "10 weeks", "99999999999999999999s", "999999999999999999d"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dns_server_needs_no_port() {
        for (text, server) in
            [("192.0.2.53", "192.0.2.53:53"), ("192.0.2.53:5353", "192.0.2.53:5353"), ("2001:db8::53", "[2001:db8::53]:53")]
        {
            let parsed: DnsServer = text.parse().unwrap();
            assert_eq!((parsed.0.to_string(), parsed.to_string()), (server.to_owned(), text.to_owned()));
        }
        assert_eq!("[2001:db8::53]:53".parse::<DnsServer>().unwrap().to_string(), "2001:db8::53");
        for wrong in ["", "dns.example", "192.0.2", "192.0.2.53:", "192.0.2.53:65536", "[2001:db8::53]"] {
            assert!(wrong.parse::<DnsServer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_network_contains_its_own() {
        let contains = |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());

        assert!(contains("192.0.2.10", "192.0.2.10"));
        assert!(!contains("192.0.2.10", "192.0.2.11"));
        assert!(contains("192.0.2.10", "::ffff:192.0.2.10"));
        assert!(contains("198.51.100.0/24", "198.51.100.255"));
        assert!(!contains("198.51.100.0/24", "198.51.101.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.1"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::1"));
        for wrong in ["pbx.example", "192.0.2.0/33", "192.0.2.0/", "2001:db8::/129", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        for (url, printed) in [
            ("smtp://user:se@cret@relay.example:587", "smtp://user:***@relay.example:587"),
            ("postgres://vm:a/b@db/vm?x=y", "postgres://vm:***@db/vm?x=y"),
            ("smtp://user@relay.example:587", "smtp://user@relay.example:587"),
            ("smtp://user:what?now@relay.example", "smtp://user:***@relay.example"),
            ("postgres://db/vm?user=vm&password=horse&sslmode=require", "postgres://db/vm?user=vm&password=***&sslmode=require"),
            ("sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"),
        ] {
            let url: SecretUrl = url.parse().unwrap();

            assert_eq!(url.to_string(), printed);
            assert!(!format!("{url:?}").contains("se@cret"));
        }
        assert_eq!(Secret::new("abc").to_string(), "***");
    }

    #[test]
    fn a_pair_of_ports_starts_even() {
        for (range, pairs) in
            [("30000-39999", 5000), ("30001-30003", 1), ("30000-30001", 1), ("1025-1026", 0), ("1024-65535", 32256)]
        {
            assert_eq!(range.parse::<PortRange>().unwrap().pairs(), pairs, "{range}");
        }
        for wrong in ["", "30000", "80-90", "30001-30000", "30000-70000"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn five_field_cron_is_told_what_is_missing() {
        assert!("0 30 3 * * *".parse::<CronExpression>().is_ok());
        assert!("30 3 * * *".parse::<CronExpression>().unwrap_err().to_string().contains("\"0 30 3 * * *\""));
        assert!("often".parse::<CronExpression>().is_err());
    }

    #[test]
    fn a_misspelt_log_level_is_refused() {
        for good in ["info", "info,afterbeep::sip=debug", "warn, afterbeep=trace"] {
            assert!(good.parse::<LogLevel>().is_ok(), "{good}");
        }
        for wrong in ["inf", "afterbeep", "afterbeep=loud"] {
            assert!(wrong.parse::<LogLevel>().is_err(), "{wrong}");
        }
    }
}
