//! What is said of greetings, of the last access, and to administrators.

use super::{BREATH, Item, Noun, PromptId, digits, digits_in_groups, from, moment, number, say};
use crate::domain::{
    caller::Caller,
    language::{Grammar, Language},
    mailbox_log::{Channel, LastAccess},
    time::{TimeZone, Timestamp},
};

/// "The last day of your temporary greeting is November thirteenth."
pub(in crate::ivr) fn last_day(language: &Language, until: Timestamp, zone: TimeZone) -> Vec<Item> {
    let last = zone.local(until.before(std::time::Duration::from_millis(1)));
    let mut items = say([PromptId::LastDay]);
    items.extend(super::date(language, last.month, last.day));
    items.push(BREATH);
    items
}

/// "Your mailbox was last opened today, at nine A.M., from your own phone. Wrong passcodes since then: two."
pub(in crate::ivr) fn last_access(language: &Language, access: &LastAccess, zone: TimeZone, now: Timestamp) -> Vec<Item> {
    let mut items = match &access.opened {
        None => say([PromptId::NeverOpened]),
        Some((at, by)) => {
            let mut items = say([PromptId::LastOpened]);
            items.extend(moment(language, &zone.local(*at), &zone.local(now)));
            items.extend(match by.channel {
                Channel::OwnLine => say([PromptId::FromOwnPhone]),
                // By number if it is certain; otherwise it was somebody who showed none that can be believed.
                Channel::Phone | Channel::Command => from_where(language, &Caller { number: by.number.clone(), name: None }),
                Channel::UnsureNumber => from_where(language, &Caller { number: None, name: None }),
            });
            items
        }
    };
    items.extend([BREATH, Item::Prompt(PromptId::WrongPasscodes)]);
    items.extend(number(language, access.failures, Noun::Alone));
    items.push(BREATH);
    items
}

/// "From one zero zero two": a place, which French and Spanish tell from somebody whom a message is from.
fn from_where(language: &Language, caller: &Caller) -> Vec<Item> {
    let mut items = from(language, caller);
    if language.grammar != Grammar::English {
        for item in items.iter_mut().filter(|item| **item == Item::Prompt(PromptId::From)) {
            *item = Item::Prompt(PromptId::FromPhone);
        }
    }
    items
}

/// "The number of the mailbox is one zero zero two."
pub(in crate::ivr) fn mailbox_is(language: &Language, typed: &str) -> Vec<Item> {
    let mut items = say([PromptId::MailboxIs]);
    items.extend(digits(language, typed));
    items.push(BREATH);
    items
}

/// "Its new passcode is six zero seven one, eight two nine three." Digit by digit in every language, to be written down.
pub(in crate::ivr) fn new_passcode(passcode: &str) -> Vec<Item> {
    let mut items = say([PromptId::NewPasscodeIs]);
    items.push(BREATH);
    items.extend(digits_in_groups(passcode, |left| left.is_multiple_of(4)));
    items.push(BREATH);
    items
}
