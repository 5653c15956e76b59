//! How the numbers of one peer are written, and what else the same number may be written like.

use std::{fmt, str::FromStr};

/// The fewest and the most digits of a number in E.164, country code included. Fewer are an extension.
const E164_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// What a peer's numbers mean: `country=44 national=0 international=00`.
///
/// `national` and `international` are the prefixes that are dialled before a number of the country and of another one; with
/// `length`, a number of exactly so many digits is one of the country without any prefix, as in North America.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialRule {
    country: String,
    national: String,
    international: String,
    length: Option<usize>,
}

/// What is wrong with a dial rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write country=44 national=0 international=00, each with digits only; national, international and length may be left out"
)]
pub struct DialRuleError;

impl DialRule {
    /// The number in E.164, as `+442079460123`; none when it is no telephone number of anybody outside, such as an extension.
    #[must_use]
    pub fn e164(&self, number: &str) -> Option<String> {
        let bare = without_separators(number);
        if let Some(digits) = bare.strip_prefix('+') {
            return global(digits);
        }
        if !bare.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let after = |prefix: &str| if prefix.is_empty() { None } else { bare.strip_prefix(prefix) };
        if let Some(digits) = after(&self.international) {
            return global(digits);
        }
        if self.length == Some(bare.len()) {
            return global(&format!("{}{bare}", self.country));
        }
        let of_the_country = after(&self.national).filter(|rest| self.length.is_none_or(|length| length == rest.len()));
        if let Some(rest) = of_the_country {
            return global(&format!("{}{rest}", self.country));
        }
        // Trunks leave the plus out.
        bare.strip_prefix(&self.country).filter(|rest| rest.len() >= 8).and_then(|_| global(&bare))
    }

    /// How the same number may be written, as it came first: then in E.164, and as it is dialled in the country and from abroad.
    #[must_use]
    pub fn forms(&self, number: &str) -> Vec<String> {
        let mut forms = vec![number.to_owned()];
        if let Some(global) = self.e164(number) {
            let digits = global.trim_start_matches('+');
            let rest = digits.strip_prefix(self.country.as_str());
            forms.push(global.clone());
            forms.push(digits.to_owned());
            forms.extend(rest.map(|rest| format!("{}{rest}", self.national)));
            forms.extend(rest.map(ToOwned::to_owned));
        } else {
            forms.push(without_separators(number));
        }
        let mut seen = std::collections::HashSet::new();
        forms.retain(|form| !form.is_empty() && seen.insert(form.clone()));
        forms
    }
}

fn global(digits: &str) -> Option<String> {
    let is_number = E164_DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    // No country's code begins with a zero.
    (is_number && !digits.starts_with('0')).then(|| format!("+{digits}"))
}

/// Leaves out what people write into a number to read it better; what is no number stays as it is.
fn without_separators(number: &str) -> String {
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.() ".contains(&byte));
    if is_number { number.replace(['-', '.', '(', ')', ' '], "") } else { number.to_owned() }
}

impl FromStr for DialRule {
    type Err = DialRuleError;

    fn from_str(text: &str) -> Result<Self, DialRuleError> {
        let mut rule = Self::default();
        for part in text.split_whitespace() {
            let (name, value) = part.split_once('=').ok_or(DialRuleError)?;
            if value.is_empty() || value.len() > 6 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(DialRuleError);
            }
            match name {
                "country" => value.clone_into(&mut rule.country),
                "national" => value.clone_into(&mut rule.national),
                "international" => value.clone_into(&mut rule.international),
                "length" => rule.length = value.parse().ok(),
                _ => return Err(DialRuleError),
            }
        }
        let is_sound = (1..=3).contains(&rule.country.len()) && rule.length.is_none_or(|length| (4..=14).contains(&length));
        if is_sound { Ok(rule) } else { Err(DialRuleError) }
    }
}

impl fmt::Display for DialRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "country={}", self.country)?;
        for (name, value) in [("national", &self.national), ("international", &self.international)] {
            if !value.is_empty() {
                write!(f, " {name}={value}")?;
            }
        }
        self.length.map_or(Ok(()), |length| write!(f, " length={length}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> DialRule {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_become_global_by_their_peers_rule() {
        let britain = rule("country=44 national=0 international=00");
        let america = rule("country=1 national=1 international=011 length=10");
        let italy = rule("country=39 international=00 length=10");
        for (rule, number, global) in [
            (&britain, "02079460123", Some("+442079460123")),
            (&britain, "0012025550143", Some("+12025550143")),
            (&britain, "+44 20 7946-0123", Some("+442079460123")),
            (&britain, "442079460123", Some("+442079460123")),
            (&britain, "1001", None),
            (&britain, "01001", None),
            (&britain, "*98", None),
            (&britain, "anonymous", None),
            (&britain, "+0123456789", None),
            (&america, "2025550143", Some("+12025550143")),
            (&america, "12025550143", Some("+12025550143")),
            (&america, "011442079460123", Some("+442079460123")),
            (&america, "5550143", None),
            (&america, "1234", None),
            (&italy, "0655501234", Some("+390655501234")),
        ] {
            assert_eq!(rule.e164(number).as_deref(), global, "{number} by {rule}");
        }
    }

    #[test]
    fn a_number_is_looked_for_as_it_is_first() {
        let britain = rule("country=44 national=0 international=00");

        assert_eq!(britain.forms("+442079460123"), ["+442079460123", "442079460123", "02079460123", "2079460123"]);
        assert_eq!(britain.forms("02079460123"), ["02079460123", "+442079460123", "442079460123", "2079460123"]);
        assert_eq!(britain.forms("1001"), ["1001"]);
        assert_eq!(britain.forms("ann.lee"), ["ann.lee"]);
    }

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        for text in ["country=44 national=0 international=00", "country=1 national=1 international=011 length=10", "country=39"] {
            assert_eq!(rule(text).to_string(), text);
        }
        for wrong in ["", "national=0", "country=", "country=x", "country=1234", "country=44 length=1", "country=44 what=0", "44"]
        {
            assert!(wrong.parse::<DialRule>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_dialled_has_few_forms_and_the_first_is_itself(number in "[ -~]{1,40}", digits in "[0-9+]{1,20}") {
            for rule in ["country=44 national=0 international=00", "country=1 national=1 international=011 length=10", "country=39"] {
                for number in [&number, &digits] {
                    let forms = self::rule(rule).forms(number);
                    prop_assert!(forms.len() <= 5 && forms[0] == *number);
                }
                if let Some(global) = self::rule(rule).e164(&digits) {
                    prop_assert_eq!(self::rule(rule).e164(&global), Some(global));
                }
            }
        }
    }
}
