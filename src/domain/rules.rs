//! Every number of the service, and the decisions made with it. Nobody else compares with a limit.

use std::time::Duration;

use super::{destination::Calls, message::Message, time::Timestamp};

const DAY: Duration = Duration::from_hours(24);

/// The longest message.
pub const LONGEST_MESSAGE: Duration = Duration::from_secs(300);
/// The longest personal greeting.
pub const LONGEST_GREETING: Duration = Duration::from_secs(15);
/// The longest spoken name.
pub const LONGEST_NAME: Duration = Duration::from_secs(5);
/// The longest introduction to a forwarded message.
pub const LONGEST_INTRODUCTION: Duration = Duration::from_secs(120);
/// The longest message that forwarding makes, with all introductions: what any message can be long.
pub const LONGEST_FORWARDED: Duration = Duration::from_secs(600);
/// The silence between an introduction and the message that it introduces.
pub const PAUSE_AFTER_INTRODUCTION: Duration = Duration::from_millis(600);
/// How many numbers, of mailboxes or lists, one message can be addressed to by phone.
pub const MOST_ADDRESSEES: usize = 50;
/// How many mailboxes a caller can leave one message in at once: named together, or in a distribution list that takes calls. All of
/// them are written in one transaction.
pub const MAILBOXES_AT_ONCE: usize = 50;
/// How many mailboxes can be in a distribution list.
pub const MOST_LIST_MEMBERS: u32 = 1000;
/// How many subscribers can own a shared mailbox: each is told of all that happens in it.
pub const OWNERS_PER_MAILBOX: u32 = 32;
/// How many shared mailboxes a subscriber can own: each has a key.
pub const SHARED_PER_OWNER: u32 = 9;
/// The most days that a temporary greeting can be given, today included.
pub const LONGEST_TEMPORARY: u32 = 366;
/// How many messages a mailbox holds, new and saved together.
pub const MAILBOX_CAPACITY: u32 = 300;
/// How long a message lives from its deposit, and again from every save.
pub const MESSAGE_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long a message that its subscriber deleted can be restored, unless its life ends before.
pub const DELETED_LIFE: Duration = DAY;
/// How long a mailed message stays, counted from the mail server's acceptance.
pub const MAILED_LIFE: Duration = Duration::from_hours(3 * 24);
/// How long before an unsaved message expires its subscriber is warned.
pub const EXPIRY_WARNING: Duration = Duration::from_hours(3 * 24);
/// How long the outbox tries before it gives up.
pub const DELIVERY_LIFE: Duration = Duration::from_hours(5 * 24);
/// The most times a call may have been forwarded before it comes to us; more is a loop somewhere.
const MOST_FORWARDS: u32 = 20;
/// How long call records are kept, unless the operator says otherwise.
pub const RECORD_LIFE: Duration = Duration::from_hours(90 * 24);
/// Failures in a row that lock a source.
pub const FAILURES_BEFORE_LOCK: u32 = 5;
/// How long the first lock of a source lasts; each further one doubles.
pub const FIRST_LOCK: Duration = Duration::from_mins(15);
/// Failures in a row on one mailbox that end remote access to it until it is unlocked.
pub const FAILURES_BEFORE_REMOTE_LOCK: u32 = 10;
/// Passcode attempts in one call.
pub const ATTEMPTS_PER_CALL: u32 = 3;
/// How often a mailbox number can be typed in one call: a line is no tool for listing them.
pub const NUMBERS_PER_CALL: u32 = 5;
/// The most digits a passcode can have.
pub const LONGEST_PASSCODE: usize = 20;
/// How many phones a line can have, each with a contact of its own.
pub const CONTACTS_PER_LINE: usize = 10;
/// Subscriptions to the counts of one mailbox: every telephone of a large household, and a reception's.
pub const SUBSCRIPTIONS_PER_MAILBOX: u32 = 32;
/// How often one call can be connected with an operator: then the operator is not there.
const TRANSFERS_PER_CALL: u32 = 3;
/// How long a transfer may take until it is known what came of it; then the caller goes on with us.
pub const LONGEST_TRANSFER: Duration = Duration::from_mins(2);
/// What "an hour" means where calls back are counted.
pub const CALL_BACK_HOUR: Duration = Duration::from_hours(1);
/// What "a day" means where calls back are counted.
pub const CALL_BACK_DAY: Duration = DAY;
/// Calls back that a mailbox can make, unless the operator says otherwise.
pub const CALL_BACKS_PER_MAILBOX: Calls = Calls { an_hour: 5, a_day: 20, at_once: 1 };
/// Calls back that all mailboxes together can make, unless the operator says otherwise.
pub const CALL_BACKS: Calls = Calls { an_hour: 100, a_day: 500, at_once: 10 };
/// The speeds at which messages can be played, in percent of that at which they were spoken.
pub const SPEEDS: [u16; 6] = [60, 80, 100, 125, 150, 200];
/// How loud messages can be played, in decibels above the loudness at which they were recorded.
pub const VOLUMES: [i8; 5] = [-12, -6, 0, 6, 12];
/// How far back and ahead go within a message, unless the subscriber has chosen.
pub const SKIP: Duration = Duration::from_secs(3);
/// The least that can be chosen for it.
pub const SHORTEST_SKIP: Duration = Duration::from_secs(1);
/// The most that can be chosen for it.
pub const LONGEST_SKIP: Duration = Duration::from_mins(1);
/// How long a subscriber who has given the passcode can stay: enough to hear a hundred messages with all that is said around them.
pub const LONGEST_CALL: Duration = Duration::from_hours(2);
/// How long anybody else can: enough to record the longest message, hear it, and record and hear it once more.
pub const LONGEST_CALL_BEFORE_LOGIN: Duration = Duration::from_mins(25);
/// How long a call goes on without any RTP.
pub const RTP_TIMEOUT: Duration = Duration::from_secs(30);

/// What a new message meets in a mailbox that holds `held` messages.
#[must_use]
pub fn admits(held: u32) -> bool {
    held < MAILBOX_CAPACITY
}

/// How long an introduction to a message of `length` can get; none where there is no room for one.
#[must_use]
pub fn room_for_introduction(length: Duration) -> Option<Duration> {
    // Between the two there is a pause.
    let left = LONGEST_FORWARDED.saturating_sub(length + PAUSE_AFTER_INTRODUCTION);
    Some(left.min(LONGEST_INTRODUCTION)).filter(|room| *room >= Duration::from_secs(5))
}

/// Whether a message can have another addressee beside so many.
#[must_use]
pub fn admits_addressee(held: usize) -> bool {
    held < MOST_ADDRESSEES
}

/// Whether a distribution list can have so many members.
#[must_use]
pub fn admits_list_members(count: u32) -> bool {
    count <= MOST_LIST_MEMBERS
}

/// Whether a caller can leave one message in so many mailboxes at once.
#[must_use]
pub fn admits_at_once(mailboxes: usize) -> bool {
    mailboxes <= MAILBOXES_AT_ONCE
}

/// Whether a mailbox can have so many owners, one of whom owns so many mailboxes.
#[must_use]
pub fn admits_owner(owners: u32, owned: u32) -> bool {
    owners <= OWNERS_PER_MAILBOX && owned <= SHARED_PER_OWNER
}

/// Whether a line can have so many contacts.
#[must_use]
pub fn admits_contacts(count: usize) -> bool {
    count <= CONTACTS_PER_LINE
}

/// Whether somebody may subscribe to the counts of a mailbox that so many subscribe to.
#[must_use]
pub fn admits_subscription(held: u32) -> bool {
    held < SUBSCRIPTIONS_PER_MAILBOX
}

/// Whether a call that an operator was called for so many times may have one called again.
#[must_use]
pub fn admits_transfer(transfers: u32) -> bool {
    transfers < TRANSFERS_PER_CALL
}

/// Whether the subscriber should be warned that the mailbox is filling up: at nine tenths, and when full.
#[must_use]
pub fn fullness(held: u32) -> Fullness {
    if held >= MAILBOX_CAPACITY {
        Fullness::Full
    } else if held >= MAILBOX_CAPACITY / 10 * 9 {
        Fullness::NearlyFull
    } else {
        Fullness::Roomy
    }
}

/// How full a mailbox is, as far as anybody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fullness {
    /// Below nine tenths.
    Roomy,
    /// Nine tenths or more.
    NearlyFull,
    /// No further message is taken.
    Full,
}

/// When a message deposited at `deposited_at` expires, if nothing else happens.
#[must_use]
pub fn expiry_after_deposit(deposited_at: Timestamp) -> Timestamp {
    deposited_at.after(MESSAGE_LIFE)
}

/// When a message expires that was saved at `saved_at`, voice-to-email or not.
#[must_use]
pub fn expiry_after_save(saved_at: Timestamp) -> Timestamp {
    saved_at.after(MESSAGE_LIFE)
}

/// When a message expires after the mail server accepted it at `accepted_at`: a save outweighs the mail.
#[must_use]
pub fn expiry_after_mail(message: &Message, accepted_at: Timestamp) -> Timestamp {
    match message.saved_at {
        Some(_) => message.expires_at,
        None => accepted_at.after(MAILED_LIFE),
    }
}

/// When a message expires after voice-to-email was switched off: never earlier than it did.
#[must_use]
pub fn expiry_without_mail(message: &Message) -> Timestamp {
    match message.saved_at {
        Some(_) => message.expires_at,
        None => message.expires_at.max(expiry_after_deposit(message.deposited_at)),
    }
}

/// Whether something that has waited in the outbox since `created_at` is given up when it fails again.
#[must_use]
pub fn is_delivery_over(created_at: Timestamp, now: Timestamp) -> bool {
    now >= created_at.after(DELIVERY_LIFE)
}

/// Whether a message has reached its end.
#[must_use]
pub fn is_expired(expires_at: Timestamp, now: Timestamp) -> bool {
    now >= expires_at
}

/// When a message that was deleted at `deleted_at` goes for good, unless its life ends before.
#[must_use]
pub fn end_in_deleted_list(deleted_at: Timestamp) -> Timestamp {
    deleted_at.after(DELETED_LIFE)
}

/// Whether a message is mailed: not when it is older than the switch-on.
#[must_use]
pub fn is_mailed(deposited_at: Timestamp, voice_to_email_since: Option<Timestamp>) -> bool {
    voice_to_email_since.is_some_and(|since| deposited_at >= since)
}

/// Whether a recording of `length` is worth keeping; `shortest` is a setting.
#[must_use]
pub fn is_long_enough(length: Duration, shortest: Duration) -> bool {
    length >= shortest
}

/// How much longer a message may get of which so much is there.
#[must_use]
pub fn room_in_message(taken: Duration) -> Duration {
    LONGEST_MESSAGE.saturating_sub(taken)
}

/// Whether so many failures in a row end remote access to a mailbox.
#[must_use]
pub fn locks_remote_access(failures_in_a_row: u32) -> bool {
    failures_in_a_row >= FAILURES_BEFORE_REMOTE_LOCK
}

/// Whether a clock that now shows `now`, and was last known to show `last_seen`, can be trusted with deletions: it must
/// not have jumped ahead by more than a day since the calendar was last looked at.
#[must_use]
pub fn clock_is_plausible(last_seen: Timestamp, now: Timestamp, monotonic: Duration) -> bool {
    now.since(last_seen) <= monotonic.saturating_add(DAY)
}

/// Whether a call that was forwarded so many times goes round somewhere.
#[must_use]
pub fn is_forwarded_too_often(forwards: u32) -> bool {
    forwards > MOST_FORWARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        caller::Caller,
        id::{AudioKey, MailboxId, MessageId},
    };

    const DEPOSIT: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_mailbox_holds_three_hundred_messages() {
        assert!(admits(299));
        assert!(!admits(300));
        assert!(!admits(301));
    }

    #[test]
    fn a_message_is_left_in_fifty_mailboxes_at_once_at_most() {
        assert!(admits_at_once(49));
        assert!(admits_at_once(50));
        assert!(!admits_at_once(51));
    }

    #[test]
    fn fullness_is_told_at_nine_tenths_and_when_full() {
        assert_eq!(
            [269, 270, 299, 300].map(fullness),
            [Fullness::Roomy, Fullness::NearlyFull, Fullness::NearlyFull, Fullness::Full]
        );
    }

    #[test]
    fn a_message_lives_thirty_days_to_the_millisecond() {
        let expires_at = expiry_after_deposit(DEPOSIT);

        assert!(!is_expired(expires_at, DEPOSIT.after(DAY * 30).before(Duration::from_millis(1))));
        assert!(is_expired(expires_at, DEPOSIT.after(DAY * 30)));
    }

    #[test]
    fn an_accepted_mail_leaves_three_days_unless_saved() {
        let accepted = DEPOSIT.after(DAY);

        assert_eq!(expiry_after_mail(&message(None), accepted), accepted.after(DAY * 3));
        let saved = message(Some(DEPOSIT.after(DAY / 2)));
        assert_eq!(expiry_after_mail(&saved, accepted), saved.expires_at);
    }

    #[test]
    fn switching_voice_to_email_off_never_shortens() {
        let mut mailed = message(None);
        mailed.expires_at = DEPOSIT.after(DAY * 4);

        assert_eq!(expiry_without_mail(&mailed), DEPOSIT.after(DAY * 30));
        mailed.expires_at = DEPOSIT.after(DAY * 31);
        assert_eq!(expiry_without_mail(&mailed), DEPOSIT.after(DAY * 31));
    }

    #[test]
    fn older_messages_than_the_switch_on_are_not_mailed() {
        assert!(!is_mailed(DEPOSIT, None));
        assert!(is_mailed(DEPOSIT, Some(DEPOSIT)));
        assert!(!is_mailed(DEPOSIT, Some(DEPOSIT.after(Duration::from_millis(1)))));
    }

    #[test]
    fn a_clock_that_leaps_is_not_believed() {
        assert!(clock_is_plausible(DEPOSIT, DEPOSIT.after(DAY), Duration::from_secs(1)));
        assert!(!clock_is_plausible(DEPOSIT, DEPOSIT.after(DAY * 2), Duration::from_secs(1)));
        assert!(clock_is_plausible(DEPOSIT, DEPOSIT.before(DAY), Duration::ZERO));
    }

    fn message(saved_at: Option<Timestamp>) -> Message {
        Message {
            id: MessageId::random(),
            mailbox: MailboxId::random(),
            caller: Caller::private(),
            called: None,
            deposited_at: DEPOSIT,
            stamp_at: saved_at.unwrap_or(DEPOSIT),
            expires_at: saved_at.map_or_else(|| expiry_after_deposit(DEPOSIT), expiry_after_save),
            heard_at: None,
            saved_at,
            mailed_at: None,
            deleted_at: None,
            duration: Duration::from_secs(20),
            audio: AudioKey::random(),
            original_audio: None,
            interrupted: false,
            caller_verified: false,
            urgent: false,
            private: false,
            sent: None,
            version: 1,
        }
    }
}
