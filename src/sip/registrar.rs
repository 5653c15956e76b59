//! What a REGISTER says (RFC 3261 §10.3), and how its contacts are told back. Where they are kept is nothing of ours.

use std::time::Duration;

use rsip::{Header, Headers};

use super::{
    request::Reply,
    wire::{HeaderViews, NameAddr, Scheme, SipUri},
};

/// The longest contact or path that is kept, in bytes.
const LONGEST_URI: usize = 512;
/// The most proxies on the way to a phone.
const LONGEST_PATH: usize = 8;
/// How long a contact is wanted for when nothing is said about it, or nothing that can be read (§10.2.1.1).
const USUAL_LIFE: Duration = Duration::from_secs(3600);

/// How long a contact may be registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// Shorter ones are refused with 423, so that nobody keeps the database busy.
    pub shortest: Duration,
    /// Longer ones are cut to this.
    pub longest: Duration,
}

/// What a REGISTER wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// These contacts are to be added, refreshed or removed. None at all: only to be told which there are.
    Contacts(Vec<WantedContact>),
}

/// A contact as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedContact {
    /// The URI as given.
    pub uri: SipUri,
    /// How much it is preferred, in thousandths.
    pub preference: Option<u16>,
    /// How long it is to be registered; zero removes it.
    pub life: Duration,
}

impl WantedContact {
    /// The URI in a form that is the same for all that mean the same, as near as it matters: host and parameter names in lower
    /// case, the parameters in order.
    #[must_use]
    pub fn key(&self) -> String {
        let mut params: Vec<String> = self
            .uri
            .params
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{}={}", name.to_ascii_lowercase(), value.to_ascii_lowercase()),
                None => name.to_ascii_lowercase(),
            })
            .collect();
        params.sort();
        let (user, host) = (self.uri.user_text().unwrap_or_default(), self.uri.host_text());
        let port = self.uri.port.unwrap_or_default();
        let headers: Vec<String> = self.uri.headers.iter().map(|(name, value)| format!("?{name}={value}")).collect();
        format!("{}:{user}@{host}:{port};{}{}", self.uri.scheme, params.join(";"), headers.concat())
    }
}

/// Reads a REGISTER.
///
/// # Errors
///
/// The answer that is owed: 400 for what cannot be read, 423 for a life that is too short.
pub fn read(headers: &Headers, lives: Lives) -> Result<Wanted, Reply> {
    let expires = headers.value("Expires").and_then(seconds);
    if headers.values("Contact").any(|value| value.trim() == "*") {
        let is_alone = headers.values("Contact").nth(1).is_none();
        return if is_alone && expires == Some(Duration::ZERO) { Ok(Wanted::RemoveAll) } else { Err(malformed()) };
    }
    let contacts = headers.contacts().map_err(|_| malformed())?;
    let wanted = contacts.into_iter().map(|contact| wanted(contact, expires, lives)).collect::<Result<Vec<_>, _>>()?;
    let mut keys: Vec<String> = wanted.iter().map(WantedContact::key).collect();
    keys.sort();
    keys.dedup();
    // What is to become of a contact that is named twice nobody can say.
    if keys.len() < wanted.len() { Err(malformed()) } else { Ok(Wanted::Contacts(wanted)) }
}

fn wanted(contact: NameAddr, expires: Option<Duration>, lives: Lives) -> Result<WantedContact, Reply> {
    let NameAddr { uri, params, .. } = contact;
    let can_be_reached = matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && uri.host.is_some();
    if !can_be_reached || uri.to_string().len() > LONGEST_URI {
        return Err(malformed());
    }
    let asked = params.get("expires").and_then(seconds).or(expires).unwrap_or(USUAL_LIFE);
    if !asked.is_zero() && asked < lives.shortest {
        let shortest = Header::MinExpires(lives.shortest.as_secs().to_string().into());
        return Err(Reply::status(423).with(shortest));
    }
    Ok(WantedContact { uri, preference: params.get("q").and_then(thousandths), life: asked.min(lives.longest) })
}

/// The proxies between us and the phone (RFC 3327), nearest first, as they were given.
///
/// # Errors
///
/// 400 when one cannot be read, or there are too many.
pub fn path(headers: &Headers) -> Result<Vec<String>, Reply> {
    let values: Result<Vec<_>, _> = headers.values("Path").map(NameAddr::parse_list).collect();
    let path: Vec<String> = values.map_err(|_| malformed())?.iter().flatten().map(ToString::to_string).collect();
    let is_fine = path.len() <= LONGEST_PATH && path.iter().all(|proxy| proxy.len() <= LONGEST_URI);
    if is_fine { Ok(path) } else { Err(malformed()) }
}

/// A contact as a 200 tells it: its URI as it was given, how long it still is registered, and `q`.
#[must_use]
pub fn contact(uri: &str, left: Duration, preference: Option<u16>) -> Header {
    let q = preference.map(|q| if q >= 1000 { ";q=1".to_owned() } else { format!(";q=0.{q:03}") }).unwrap_or_default();
    // Rounded up: the last second is one.
    Header::Contact(format!("<{uri}>;expires={}{q}", left.as_millis().div_ceil(1000)).into())
}

fn malformed() -> Reply {
    Reply::status(400)
}

/// A number of seconds below 2³²; more digits mean as much (RFC 3261 §20.19).
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()))
}

/// `0.7`, `1`, `0.125`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_fine = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, format!("{fraction:0<3}").parse::<u16>()) {
        ("0" | "", Ok(thousandths)) if is_fine && !(whole.is_empty() && fraction.is_empty()) => Some(thousandths),
        ("1", Ok(0)) if is_fine => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::wire::{self, Message};

    const LIVES: Lives = Lives { shortest: Duration::from_secs(60), longest: Duration::from_secs(1800) };

    #[test]
    fn contacts_have_lives_of_their_own_or_the_common_one() {
        let Ok(Wanted::Contacts(contacts)) = wanted_by(
            "Contact: <sip:a@192.0.2.1>;expires=120;q=0.7, \"A\" <sip:a@192.0.2.2:5070;transport=tcp>\r\nm: sip:a@192.0.2.3;expires=0\r\nExpires: 99999",
        ) else {
            panic!("contacts")
        };

        let lives: Vec<_> = contacts.iter().map(|contact| contact.life.as_secs()).collect();
        assert_eq!(lives, [120, 1800, 0]);
        assert_eq!(contacts.iter().map(|it| it.preference).collect::<Vec<_>>(), [Some(700), None, None]);
        assert_eq!(contacts[1].uri.to_string(), "sip:a@192.0.2.2:5070;transport=tcp");
    }

    #[test]
    fn a_life_that_is_not_said_or_cannot_be_read_is_the_usual_one() {
        for text in ["Contact: <sip:a@b>", "Contact: <sip:a@b>;expires=soon\r\nExpires: -1"] {
            let Ok(Wanted::Contacts(contacts)) = wanted_by(text) else { panic!("{text}") };

            assert_eq!(contacts[0].life, LIVES.longest, "{text}");
        }
    }

    #[test]
    fn a_life_that_is_too_short_is_told_the_shortest() {
        for text in ["Contact: <sip:a@b>;expires=59", "Contact: <sip:a@b>\r\nExpires: 1"] {
            let refusal = wanted_by(text).unwrap_err();

            assert_eq!((refusal.status, refusal.headers), (423, vec![Header::MinExpires("60".into())]), "{text}");
        }
        assert!(wanted_by("Contact: <sip:a@b>;expires=60").is_ok());
    }

    #[test]
    fn a_star_removes_all_if_it_is_alone_and_nothing_is_to_live() {
        assert_eq!(wanted_by("Contact: *\r\nExpires: 0"), Ok(Wanted::RemoveAll));
        for text in ["Contact: *", "Contact: *\r\nExpires: 60", "Contact: *\r\nContact: <sip:a@b>\r\nExpires: 0"] {
            assert_eq!(wanted_by(text).map_err(|reply| reply.status), Err(400), "{text}");
        }
        assert_eq!(wanted_by("Subject: none"), Ok(Wanted::Contacts(vec![])));
    }

    #[test]
    fn contacts_that_cannot_be_called_or_come_twice_are_refused() {
        let long = format!("Contact: <sip:{}@b>", "a".repeat(600));
        for text in ["Contact: <tel:+1202>", "Contact: <mailto:a@b>", "Contact: <sip:a@b>, <sip:a@B>", long.as_str()] {
            assert_eq!(wanted_by(text).map_err(|reply| reply.status), Err(400), "{text}");
        }
    }

    #[test]
    fn a_contact_is_known_again_however_it_is_written() {
        let key = |uri: &str| WantedContact { uri: SipUri::parse(uri).unwrap(), preference: None, life: Duration::ZERO }.key();

        assert_eq!(key("sip:a@Phone.example;transport=TCP;ob"), key("sip:%61@phone.example;OB;Transport=tcp"));
        assert_ne!(key("sip:a@b"), key("sip:A@b"));
        assert_ne!(key("sip:a@b:5060"), key("sip:a@b:5070"));
        assert_ne!(key("sip:a@b;line=1"), key("sip:a@b;line=2"));
    }

    #[test]
    fn a_path_is_kept_in_order_and_bounded() {
        let headers = headers("Path: <sip:p1.example;lr>, <sip:p2.example;lr;ob>\r\nPath: <sip:p3.example;lr>");
        let many = headers_of(&"Path: <sip:p;lr>\r\n".repeat(LONGEST_PATH + 1));

        assert_eq!(path(&headers).unwrap(), ["<sip:p1.example;lr>", "<sip:p2.example;lr;ob>", "<sip:p3.example;lr>"]);
        assert_eq!(path(&many).map_err(|reply| reply.status), Err(400));
    }

    #[test]
    fn contacts_are_told_with_the_time_that_is_left() {
        let told = |preference| contact("sip:a@b;ob", Duration::from_millis(59_001), preference);

        assert_eq!(told(None), Header::Contact("<sip:a@b;ob>;expires=60".into()));
        assert_eq!(told(Some(50)), Header::Contact("<sip:a@b;ob>;expires=60;q=0.050".into()));
        assert_eq!(told(Some(1000)), Header::Contact("<sip:a@b;ob>;expires=60;q=1".into()));
    }

    #[test]
    fn preferences_are_read_to_the_thousandth() {
        assert_eq!(["0", "0.7", "1", "1.0", "0.125", ".5"].map(thousandths), [0, 700, 1000, 1000, 125, 500].map(Some));
        assert_eq!(["", ".", "2", "1.1", "-1", "0.1234", "0.x", "0.+1"].map(thousandths), [None; 8]);
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_reading(contact in "(<sip:a@b>)?[ -~]{0,80}", expires in "[0-9]{0,12}|[ -~]{0,12}", proxy in "[ -~]{0,60}") {
            let headers = Headers::from(vec![
                Header::Contact(contact.into()), Header::Expires(expires.into()), Header::Other("Path".to_owned(), proxy),
            ]);

            let _ = path(&headers);
            if let Ok(Wanted::Contacts(contacts)) = read(&headers, LIVES) {
                for contact in contacts {
                    prop_assert!(contact.life.is_zero() || (LIVES.shortest..=LIVES.longest).contains(&contact.life));
                    prop_assert!(SipUri::parse(&contact.uri.to_string()).is_ok());
                }
            }
        }
    }

    fn wanted_by(text: &str) -> Result<Wanted, Reply> {
        read(&headers(text), LIVES)
    }

    fn headers(text: &str) -> Headers {
        headers_of(&format!("{text}\r\n"))
    }

    fn headers_of(lines: &str) -> Headers {
        let text = format!(
            "REGISTER sip:b SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: 1\r\nCSeq: 1 REGISTER\r\n{lines}\r\n"
        );
        let Ok(Message::Request(request)) = wire::parse(text.as_bytes()) else { panic!("{text}") };
        request.headers
    }
}
