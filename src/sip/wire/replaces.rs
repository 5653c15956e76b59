//! `Replaces` (RFC 3891): the call that a new one takes the place of.

use super::text::{Malformed, is_space, trim};
use super::{HeaderError, HeaderViews, Params};

/// Names a dialog by its three parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of whoever receives the header.
    pub to_tag: String,
    /// The tag of the other side of that dialog.
    pub from_tag: String,
    /// Whether it may be replaced only before it is answered.
    pub early_only: bool,
}

impl Replaces {
    /// Reads `425928@phone.example;to-tag=7743;from-tag=6472`.
    ///
    /// # Errors
    ///
    /// When one of the three parts is missing.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let (call_id, params) = value.split_once(';').ok_or(Malformed("no tags"))?;
        let call_id = trim(call_id);
        if call_id.is_empty() || call_id.contains(is_space) {
            return Err(Malformed("no Call-ID"));
        }
        let params = Params::parse(params)?;
        let tag = |name| params.get(name).map(ToOwned::to_owned).ok_or(Malformed("no tags"));
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        Ok(Self { call_id: call_id.to_owned(), to_tag, from_tag, early_only: params.has("early-only") })
    }

    /// The `Replaces` of an INVITE, if it has one.
    ///
    /// # Errors
    ///
    /// When it is malformed or there is more than one (RFC 3891 §3).
    pub fn of(headers: &rsip::Headers) -> Result<Option<Self>, HeaderError> {
        let mut values = headers.values("Replaces");
        let read = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => Self::parse(value),
            (Some(_), Some(_)) => Err(Malformed("more than one")),
        };
        read.map(Some).map_err(|problem| HeaderError::Malformed("Replaces", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_its_call_id_and_both_tags() {
        let read = Replaces::parse("425928@phone.example ;from-tag=6472;to-tag=7743;early-only").unwrap();

        assert_eq!(
            (read.call_id.as_str(), read.to_tag.as_str(), read.from_tag.as_str()),
            ("425928@phone.example", "7743", "6472")
        );
        assert!(read.early_only);
        for text in
            ["", "a", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2", "a b;to-tag=1;from-tag=2", "a;to-tag;from-tag=2"]
        {
            assert!(Replaces::parse(text).is_err(), "{text}");
        }
    }
}
