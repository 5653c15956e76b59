//! NOTIFY requests of the `refer` event package (RFC 3515): what came of a call that the sender was asked to make.

use super::text::trim;
use super::{HeaderViews, Params, body_of_type};

/// The event package.
const PACKAGE: &str = "refer";
/// The type of the body: a part of a SIP message (RFC 3420).
const BODY: &str = "message/sipfrag";

/// What one such NOTIFY says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferNews {
    /// The CSeq number of the REFER it is about; without one, the only one that there was.
    pub id: Option<u32>,
    /// The status that the new call has got so far, if it is told.
    pub status: Option<u16>,
    /// Whether nothing more will be told.
    pub is_last: bool,
}

/// Why a NOTIFY says nothing of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReferNews {
    /// It is about another event, or none: 489.
    OtherEvent,
    /// Its body is something else: 415.
    OtherBody,
}

impl ReferNews {
    /// Reads a NOTIFY.
    ///
    /// # Errors
    ///
    /// When it is about something else.
    pub fn of(headers: &rsip::Headers, body: &[u8]) -> Result<Self, NoReferNews> {
        let (package, params) = split(headers.value("Event").unwrap_or_default());
        if !package.eq_ignore_ascii_case(PACKAGE) {
            return Err(NoReferNews::OtherEvent);
        }
        let fragment = body_of_type(headers, body, BODY);
        if fragment.is_none() && !body.is_empty() {
            return Err(NoReferNews::OtherBody);
        }
        // Without the header, which must be there, nothing is over.
        let (state, _) = split(headers.value("Subscription-State").unwrap_or_default());
        Ok(Self {
            id: params.get("id").and_then(|id| id.parse().ok()),
            status: fragment.and_then(status_of),
            is_last: state.eq_ignore_ascii_case("terminated"),
        })
    }

    /// The media type that the body has, if there is one.
    #[must_use]
    pub fn accept() -> rsip::Header {
        rsip::Header::Accept(BODY.into())
    }
}

fn split(value: &str) -> (&str, Params) {
    let end = value.find(';').unwrap_or(value.len());
    (trim(&value[..end]), Params::parse(&value[end..]).unwrap_or_default())
}

/// The status of the response whose first line the fragment begins with.
fn status_of(fragment: &[u8]) -> Option<u16> {
    let line = fragment.trim_ascii_start().split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let digits = line.strip_prefix(b"SIP/2.0 ")?.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    (100..700).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::wire::header::header;

    fn read(event: &str, state: &str, content_type: &str, body: &[u8]) -> Result<ReferNews, NoReferNews> {
        let lines = [("Event", event), ("Subscription-State", state), ("Content-Type", content_type)];
        let headers: Vec<_> = lines.iter().map(|(name, value)| header(name, (*value).to_owned())).collect();
        ReferNews::of(&headers.into(), body)
    }

    #[test]
    fn the_status_of_the_new_call_is_read_and_whether_it_is_the_last() {
        let news = |id, status, is_last| Ok(ReferNews { id, status, is_last });
        let sipfrag = "message/sipfrag;version=2.0";

        assert_eq!(read("refer", "active;expires=60", sipfrag, b"SIP/2.0 100 Trying\r\n"), news(None, Some(100), false));
        assert_eq!(
            read("Refer;id=93809824", "terminated;reason=noresource", sipfrag, b"SIP/2.0 200 OK"),
            news(Some(93_809_824), Some(200), true)
        );
        assert_eq!(
            read("refer ; id=2", "pending", sipfrag, b"SIP/2.0 486\r\nTo: <sip:a@b>\r\n"),
            news(Some(2), Some(486), false)
        );
        assert_eq!(read("refer", "Terminated", "message/sipfrag", b""), news(None, None, true));
        assert_eq!(read("refer", "", sipfrag, b"INVITE sip:a@b SIP/2.0\r\n"), news(None, None, false));
    }

    #[test]
    fn other_events_and_bodies_are_told_apart() {
        assert_eq!(read("message-summary", "active", "message/sipfrag", b""), Err(NoReferNews::OtherEvent));
        assert_eq!(read("", "active", "message/sipfrag", b"SIP/2.0 200 OK"), Err(NoReferNews::OtherEvent));
        assert_eq!(read("refer", "active", "text/plain", b"SIP/2.0 200 OK"), Err(NoReferNews::OtherBody));
    }

    #[test]
    fn what_is_no_status_line_tells_nothing() {
        for body in ["SIP/2.0 20", "SIP/2.0 abc", "SIP/2.0 099 x", "SIP/2.0 700 x", "SIP/1.0 200 OK", "200 OK", "SIP/2.0  200 OK"]
        {
            assert_eq!(status_of(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_notify_makes_us_panic(event in ".*", state in ".*", content_type in ".*", body in any::<Vec<u8>>()) {
            let _ = read(&event, &state, &content_type, &body);
            let status = read("refer", &state, "message/sipfrag", &body).ok().and_then(|news| news.status);
            prop_assert!(status.is_none_or(|status| (100..700).contains(&status)));
        }
    }
}
