//! Call records: one row for every call and every other attempt, which is the only place with full numbers of callers.
//!
//! Whoever has something to record gives it to [`Records`], which never waits. [`writer`] brings it into the database, off the
//! path of the calls.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::{Any, any::AnyRow, query::Query};

use super::{
    Store, StoreError,
    database::{Columns as _, Write},
    mailbox_log,
};
use crate::domain::{
    caller::Caller,
    id::{CallId, MailboxId, MessageId},
    mailbox::Mailbox,
    time::Timestamp,
};

mod writer;

pub use writer::{Attempt, Records};

/// The longest text that is kept of anything a peer wrote, in characters.
const LONGEST_TEXT: usize = 256;
/// The most transfers that are kept of one call.
const MOST_TRANSFERS: usize = 16;
/// The longest reasoning that is kept, in bytes; a longer one would be cut in the middle of its JSON.
const LONGEST_REASONING: usize = 16 * 1024;

/// A call, or an attempt to do something, as far as it has come.
#[derive(Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Ours; the same in the log.
    pub id: CallId,
    /// When the first request came.
    pub started_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The address it came from; the network, when attempts from several of its addresses are counted together.
    pub source: String,
    /// What carried it: `udp`, `tcp` …
    pub transport: String,
    /// The SIP Call-ID.
    pub sip_call_id: Option<String>,
    /// Who called, as far as it was believed.
    pub caller: Caller,
    /// Who vouches for the caller.
    pub believed: Belief,
    /// The user part of the Request-URI.
    pub called: String,
    /// The line that proved itself by a password.
    pub line: Option<String>,
    /// The mailbox that was chosen, or last tried at the login.
    pub mailbox: Option<RecordedMailbox>,
    /// How the mailbox was chosen, as JSON.
    pub reasoning: Option<String>,
    /// What it was for.
    pub purpose: Purpose,
    /// The codec that was agreed on.
    pub codec: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The SIP status it was refused with.
    pub status: Option<u16>,
    /// Why it was refused or blocked, or how it ended, in words.
    pub reason: Option<String>,
    /// The Reason header (RFC 3326) of the request that ended it.
    pub end_cause: Option<String>,
    /// The message that was left.
    pub message: Option<MessageId>,
    /// Whom the caller was to be connected with, in order; the latest if there are too many.
    pub transfers: Vec<RecordedTransfer>,
    /// How many attempts this stands for.
    pub attempts: u64,
}

/// Somebody whom the caller was to be connected with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTransfer {
    /// When it was asked for.
    pub at: String,
    /// Whom: `operator`, or `call back`.
    pub what: String,
    /// The number or address, if it came so far.
    pub to: Option<String>,
    /// `connected`, `handed over` (and nothing more was told), `not connected`, or `refused` (by us).
    pub outcome: String,
    /// The SIP status that it failed with.
    pub status: Option<u16>,
    /// Why it was refused or failed, in words.
    pub reason: Option<String>,
}

/// The mailbox of a record, as it was then.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedMailbox {
    /// Its id; it may be removed by now.
    pub id: MailboxId,
    /// Its tenant.
    pub tenant: String,
    /// Its number.
    pub number: String,
}

impl From<&Mailbox> for RecordedMailbox {
    fn from(mailbox: &Mailbox) -> Self {
        Self { id: mailbox.id.clone(), tenant: mailbox.tenant.clone(), number: mailbox.number.to_string() }
    }
}

/// Logs must not carry names or full numbers.
impl fmt::Debug for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, purpose, outcome, attempts, .. } = self;
        f.debug_struct("CallRecord")
            .field("id", id)
            .field("purpose", purpose)
            .field("outcome", outcome)
            .field("attempts", attempts)
            .finish_non_exhaustive()
    }
}

/// An enum that is a word in the database, in JSON and in CSV.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = StoreError;

            fn from_str(word: &str) -> Result<Self, StoreError> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(StoreError::Unreadable { what: $what }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

words! {
    /// Who vouches for the caller's number.
    Belief, "call_records.believed" {
        /// A trusted peer, by P-Asserted-Identity (RFC 3325).
        Asserted = "asserted",
        /// A trusted peer, by Remote-Party-ID.
        RemoteParty = "remote-party-id",
        /// The caller itself, by From.
        From = "from",
        /// A line that proved itself by a password.
        Line = "line",
        /// Nobody: the caller withholds its number.
        Withheld = "withheld",
        /// Nobody: it was not looked at.
        Nobody = "nobody",
    }
}

words! {
    /// What a call or an attempt is for.
    Purpose, "call_records.purpose" {
        /// A call that was over before it was known what it is for.
        Call = "call",
        /// A message is left.
        Deposit = "deposit",
        /// A subscriber listens to messages.
        Retrieval = "retrieval",
        /// A call for a number that is no mailbox, or one that is disabled.
        Unavailable = "unavailable",
        /// A phone registers.
        Registration = "registration",
        /// A phone wants to know about waiting messages.
        Subscription = "subscription",
        /// Any other request.
        Other = "other",
    }
}

words! {
    /// What became of a call or an attempt.
    Outcome, "call_records.outcome" {
        /// It goes on.
        Running = "running",
        /// It was answered, and is over.
        Ended = "ended",
        /// Accepted, which is all: a registration.
        Accepted = "accepted",
        /// It was refused with a status, as it happens to anybody.
        Refused = "refused",
        /// It was not let in.
        Blocked = "blocked",
        /// The caller gave up before it was answered.
        Abandoned = "abandoned",
        /// It broke off on our side: the server stopped dead, or its task did.
        BrokenOff = "broken off",
    }
}

impl CallRecord {
    /// A call or attempt that has just begun.
    #[must_use]
    pub fn new(id: CallId, started_at: Timestamp, source: IpAddr, transport: impl fmt::Display) -> Self {
        Self {
            id,
            started_at,
            answered_at: None,
            ended_at: None,
            source: source.to_canonical().to_string(),
            transport: transport.to_string(),
            sip_call_id: None,
            caller: Caller::private(),
            believed: Belief::Nobody,
            called: String::new(),
            line: None,
            mailbox: None,
            reasoning: None,
            purpose: Purpose::Call,
            codec: None,
            outcome: Outcome::Running,
            status: None,
            reason: None,
            end_cause: None,
            message: None,
            transfers: Vec::new(),
            attempts: 1,
        }
    }

    /// How long it was connected, if it was and is over.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        Some(self.ended_at?.since(self.answered_at?))
    }

    /// Without control characters, which PostgreSQL refuses in part, and no longer than need be.
    fn tidied(mut self) -> Self {
        for text in [&mut self.source, &mut self.transport, &mut self.called] {
            *text = tidy(text);
        }
        for text in [
            &mut self.sip_call_id,
            &mut self.caller.number,
            &mut self.caller.name,
            &mut self.line,
            &mut self.codec,
            &mut self.reason,
            &mut self.end_cause,
        ] {
            *text = text.as_deref().map(tidy);
        }
        for text in self.transfers.iter_mut().filter_map(|transfer| transfer.to.as_mut()) {
            *text = tidy(text);
        }
        self.transfers.drain(..self.transfers.len().saturating_sub(MOST_TRANSFERS));
        let is_sound = |text: &String| text.len() <= LONGEST_REASONING && !text.contains(char::is_control);
        self.reasoning = self.reasoning.filter(is_sound);
        self
    }
}

fn tidy(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

/// Which records are wanted; what is not given does not matter.
#[derive(Clone, Default)]
pub struct RecordFilter {
    /// Begun at this moment or later.
    pub since: Option<Timestamp>,
    /// Begun before this moment.
    pub until: Option<Timestamp>,
    /// Of this mailbox.
    pub mailbox: Option<MailboxId>,
    /// From callers whose number ends so.
    pub caller: Option<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
}

impl Store {
    /// Up to `limit` records, the latest first; with `before`, those that come after it in this order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn records(
        &self,
        filter: &RecordFilter,
        before: Option<&CallRecord>,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let mut sql = "SELECT * FROM call_records WHERE 1 = 1".to_owned();
        let mut values: Vec<Value> = Vec::new();
        let mut and = |condition: &str, value: Value| {
            values.push(value);
            sql.push_str(&format!(" AND {}", condition.replace('?', &format!("${}", values.len()))));
        };
        if let Some(since) = filter.since {
            and("started_at >= ?", Value::Integer(since.as_millis()));
        }
        if let Some(until) = filter.until {
            and("started_at < ?", Value::Integer(until.as_millis()));
        }
        if let Some(mailbox) = &filter.mailbox {
            and("mailbox_id = ?", Value::Text(mailbox.as_str().to_owned()));
        }
        if let Some(caller) = &filter.caller {
            and("caller_number LIKE ? ESCAPE '!'", Value::Text(format!("%{}", escaped(caller))));
        }
        if let Some(outcome) = filter.outcome {
            and("outcome = ?", Value::Text(outcome.as_str().to_owned()));
        }
        if let Some(last) = before {
            // Row values, which both databases compare column by column and find in the index.
            and("(started_at, id) < (?, ", Value::Integer(last.started_at.as_millis()));
            values.push(Value::Text(last.id.as_str().to_owned()));
            sql.push_str(&format!("${})", values.len()));
        }
        sql.push_str(&format!(" ORDER BY started_at DESC, id DESC LIMIT {limit}"));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        let rows = query.fetch_all(self.0.database.reader()).await?;
        rows.iter().map(read).collect()
    }

    /// Removes the records of calls that began before `moment`. Answers how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]. What was removed until then is gone; the rest goes next time.
    pub async fn prune_records(&self, moment: Timestamp) -> Result<u32, StoreError> {
        let mut removed: u32 = 0;
        loop {
            // In handfuls, so that deposits get their turns in between.
            let mut transaction = self.0.database.begin().await?;
            let pruned = sqlx::query(
                "DELETE FROM call_records WHERE id IN
                 (SELECT id FROM call_records WHERE started_at < $1 ORDER BY started_at LIMIT 500)",
            )
            .bind(moment.as_millis())
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            let pruned = u32::try_from(pruned.rows_affected()).unwrap_or(u32::MAX);
            if pruned == 0 {
                return Ok(removed);
            }
            removed = removed.saturating_add(pruned);
        }
    }

    /// Removes what the logs of mailboxes and of their lines' passwords tell of before `moment`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn prune_logs(&self, moment: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        mailbox_log::prune(&mut transaction, moment).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Says of this node's calls that were going on when it stopped dead that they broke off. For the start, before any call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn close_records(&self) -> Result<u32, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let closed = sqlx::query("UPDATE call_records SET outcome = $1 WHERE outcome = 'running' AND node = $2")
            .bind(Outcome::BrokenOff.as_str())
            .bind(self.node())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(u32::try_from(closed.rows_affected()).unwrap_or(u32::MAX))
    }

    /// Writes records, each over its earlier self, in one transaction.
    async fn write_records(&self, records: &[CallRecord]) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        for record in records {
            write(&mut transaction, self.node(), record).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Text that LIKE takes as it is.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| matches!(c, '!' | '%' | '_').then_some('!').into_iter().chain([c])).collect()
}

enum Value {
    Integer(i64),
    Text(String),
}

async fn write(transaction: &mut Write, node: &str, record: &CallRecord) -> Result<(), sqlx::Error> {
    let millis = |moment: Option<Timestamp>| moment.map(Timestamp::as_millis);
    let mailbox = record.mailbox.as_ref();
    let query: Query<'_, Any, _> = sqlx::query(
        "INSERT INTO call_records (id, node, started_at, answered_at, ended_at, source, transport, sip_call_id, caller_number,
         caller_name, believed, called, line, mailbox_id, mailbox_tenant, mailbox_number, reasoning, purpose, codec, outcome,
         status, reason, end_cause, message_id, attempts, transfers)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
         ON CONFLICT (id) DO UPDATE SET answered_at = $4, ended_at = $5, source = $6, believed = $11, line = $13,
         mailbox_id = $14, mailbox_tenant = $15, mailbox_number = $16, reasoning = $17, purpose = $18, codec = $19, outcome = $20,
         status = $21, reason = $22, end_cause = $23, message_id = $24, attempts = $25, transfers = $26",
    );
    query
        .bind(record.id.as_str())
        .bind(node)
        .bind(record.started_at.as_millis())
        .bind(millis(record.answered_at))
        .bind(millis(record.ended_at))
        .bind(record.source.as_str())
        .bind(record.transport.as_str())
        .bind(record.sip_call_id.as_deref())
        .bind(record.caller.number.as_deref())
        .bind(record.caller.name.as_deref())
        .bind(record.believed.as_str())
        .bind(record.called.as_str())
        .bind(record.line.as_deref())
        .bind(mailbox.map(|mailbox| mailbox.id.as_str()))
        .bind(mailbox.map(|mailbox| mailbox.tenant.as_str()))
        .bind(mailbox.map(|mailbox| mailbox.number.as_str()))
        .bind(record.reasoning.as_deref())
        .bind(record.purpose.as_str())
        .bind(record.codec.as_deref())
        .bind(record.outcome.as_str())
        .bind(record.status.map(i64::from))
        .bind(record.reason.as_deref())
        .bind(record.end_cause.as_deref())
        .bind(record.message.as_ref().map(MessageId::as_str))
        .bind(i64::try_from(record.attempts).unwrap_or(i64::MAX))
        .bind((!record.transfers.is_empty()).then(|| serde_json::to_string(&record.transfers).unwrap_or_default()))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<CallRecord, StoreError> {
    let mailbox = match row.maybe_text("mailbox_id")? {
        Some(id) => Some(RecordedMailbox {
            id: MailboxId::from_stored(id),
            tenant: row.maybe_text("mailbox_tenant")?.unwrap_or_default(),
            number: row.maybe_text("mailbox_number")?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(CallRecord {
        id: CallId::from_stored(row.text("id")?),
        started_at: row.moment("started_at")?,
        answered_at: row.maybe_moment("answered_at")?,
        ended_at: row.maybe_moment("ended_at")?,
        source: row.text("source")?,
        transport: row.text("transport")?,
        sip_call_id: row.maybe_text("sip_call_id")?,
        caller: Caller { number: row.maybe_text("caller_number")?, name: row.maybe_text("caller_name")? },
        believed: row.text("believed")?.parse()?,
        called: row.text("called")?,
        line: row.maybe_text("line")?,
        mailbox,
        reasoning: row.maybe_text("reasoning")?,
        purpose: row.text("purpose")?.parse()?,
        codec: row.maybe_text("codec")?,
        outcome: row.text("outcome")?.parse()?,
        status: row.maybe_integer("status")?.and_then(|status| u16::try_from(status).ok()),
        reason: row.maybe_text("reason")?,
        end_cause: row.maybe_text("end_cause")?,
        message: row.maybe_text("message_id")?.map(MessageId::from_stored),
        transfers: match row.maybe_text("transfers")? {
            Some(json) => serde_json::from_str(&json).map_err(|_| StoreError::Unreadable { what: "call_records.transfers" })?,
            None => Vec::new(),
        },
        attempts: u64::try_from(row.integer("attempts")?).unwrap_or_default(),
    })
}
