//! First logins: what is still asked for, and what is done, so that one that is broken off goes on the next time.

use sqlx::AnyConnection;

use super::mailbox_log;
use crate::domain::{
    greeting::GreetingKind,
    id::MailboxId,
    mailbox_log::{Event, Origin},
    time::Timestamp,
};

/// Something that a first login asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Passcode,
    Name,
    Greeting,
}

impl Step {
    /// The step that a recording belongs to.
    pub const fn of(kind: GreetingKind) -> Option<Self> {
        match kind {
            GreetingKind::Standard => Some(Self::Greeting),
            GreetingKind::Name => Some(Self::Name),
            GreetingKind::Forwarded(_) | GreetingKind::Temporary => None,
        }
    }
}

/// Notes that a step is done; when it was the last one, the mailbox is enrolled. Answers whether a mail will go out.
pub(super) async fn done(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    step: Step,
    by: &Origin,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let sql = match step {
        Step::Passcode => "UPDATE mailboxes SET passcode_due = 0 WHERE id = $1",
        Step::Name => "UPDATE mailboxes SET name_due = 0 WHERE id = $1",
        Step::Greeting => "UPDATE mailboxes SET greeting_due = 0 WHERE id = $1",
    };
    sqlx::query(sql).bind(mailbox.as_str()).execute(&mut *connection).await?;
    let enrolled = sqlx::query(
        "UPDATE mailboxes SET enrolled = 1
         WHERE id = $1 AND enrolled = 0 AND passcode_due = 0 AND name_due = 0 AND greeting_due = 0",
    )
    .bind(mailbox.as_str())
    .execute(&mut *connection)
    .await?;
    if enrolled.rows_affected() == 0 {
        return Ok(false);
    }
    // Of a passcode alone, the mail about the passcode tells.
    mailbox_log::note(connection, mailbox, &Event::SetUp, by, step != Step::Passcode, now).await
}
