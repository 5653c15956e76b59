//! `afterbeep calls`.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{output, workplace::Workplace};
use crate::{
    domain::{mailbox::MailboxNumber, tenant::tenant_name, time::Timestamp},
    store::record::{CallRecord, Outcome, RecordFilter, RecordedTransfer},
};

/// How many records a table shows when nothing else is said.
const TABLE: u32 = 100;
/// How many records are read at once.
const PAGE: u32 = 1_000;

/// Show calls and attempts, also those that were not let in, the latest first
///
/// Records are written within a second or so; a call that goes on is shown as running. How long they are kept is the setting
/// records.keep.
#[derive(Debug, Args)]
pub struct CallsArgs {
    /// Begun at this moment or later, such as 2026-11-21T08:05:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Begun before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only of this mailbox
    #[arg(long, value_name = "NUMBER")]
    mailbox: Option<MailboxNumber>,
    /// The SIP domain of the mailbox
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", requires = "mailbox", hide_default_value = true)]
    tenant: String,
    /// Only from callers whose number ends so
    #[arg(long, value_name = "NUMBER")]
    caller: Option<String>,
    /// Only what came to this, such as ended, refused or blocked
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<Outcome>,
    /// Only what was not let in: --outcome blocked
    #[arg(long, conflicts_with = "outcome")]
    blocked: bool,
    /// Show so many at most [default: 100; all of them with --json or --csv]
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,
    /// Print a JSON array
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV with a line of headings
    #[arg(long)]
    csv: bool,
}

pub async fn run(args: CallsArgs, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    let mailbox = match &args.mailbox {
        Some(number) => Some(place.mailbox(&args.tenant, number.as_str()).await?.id),
        None => None,
    };
    let filter = RecordFilter {
        since: args.since,
        until: args.until,
        mailbox,
        caller: args.caller.clone(),
        outcome: args.outcome.or_else(|| args.blocked.then_some(Outcome::Blocked)),
    };
    let mut pages = Pages { place: &place, filter, left: args.limit.unwrap_or(u32::MAX), last: None };
    if args.csv {
        output::text(&csv_line(HEADINGS.iter().copied()))?;
        while let Some(page) = pages.next().await? {
            let lines: String = page.iter().map(|record| csv_line(csv_cells(record).iter().map(String::as_str))).collect();
            output::text(&lines)?;
        }
        return Ok(());
    }
    if args.json {
        // Page by page, for there may be millions.
        let mut separator = "[";
        while let Some(page) = pages.next().await? {
            for record in page {
                output::text(&format!("{separator}\n{}", serde_json::to_string(&Listed::from(record))?))?;
                separator = ",";
            }
        }
        return output::text(if separator == "[" { "[]\n" } else { "\n]\n" });
    }
    pages.left = pages.left.min(args.limit.unwrap_or(TABLE));
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await? {
        rows.extend(page);
    }
    table(rows)?;
    if args.limit.is_none() && pages.left == 0 {
        eprintln!("afterbeep: the latest {TABLE} are shown; see --limit, --since and --until");
    }
    Ok(())
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let words = || Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect::<Vec<_>>().join(", ");
    word.parse().map_err(|_| format!("one of: {}", words()))
}

/// Reads records in handfuls.
struct Pages<'a> {
    place: &'a Workplace,
    filter: RecordFilter,
    left: u32,
    last: Option<CallRecord>,
}

impl Pages<'_> {
    async fn next(&mut self) -> anyhow::Result<Option<Vec<CallRecord>>> {
        let wanted = self.left.min(PAGE);
        if wanted == 0 {
            return Ok(None);
        }
        let page = self.place.store.records(&self.filter, self.last.as_ref(), wanted).await?;
        self.left -= u32::try_from(page.len()).unwrap_or(wanted).min(self.left);
        self.last = page.last().cloned();
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

fn table(rows: Vec<CallRecord>) -> anyhow::Result<()> {
    let rows: Vec<Listed> = rows.into_iter().map(Listed::from).collect();
    output::rows(
        &rows,
        &[
            ("BEGUN", &|row| row.started_at.clone()),
            ("SOURCE", &|row| row.source.clone()),
            ("CALLER", &|row| row.caller_number.clone().or_else(|| row.caller_name.clone()).unwrap_or_else(|| "-".to_owned())),
            ("CALLED", &|row| row.called.clone()),
            ("MAILBOX", &|row| row.mailbox.clone().unwrap_or_else(|| "-".to_owned())),
            ("PURPOSE", &|row| row.purpose.to_owned()),
            ("OUTCOME", &|row| match row.status {
                Some(status) => format!("{} {status}", row.outcome),
                None => row.outcome.to_owned(),
            }),
            ("LENGTH", &|row| row.duration_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0} s"))),
            ("TIMES", &|row| row.attempts.to_string()),
            ("REASON", &|row| reasons(row)),
        ],
        false,
    )
}

/// Why the call ended so, and what became of those whom the caller was to be connected with.
fn reasons(row: &Listed) -> String {
    let transfers = row.transfers.iter().map(|transfer| {
        let status = transfer.status.map(|status| format!(" {status}")).unwrap_or_default();
        let reason = transfer.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} {}{status}{reason}", transfer.what, transfer.outcome)
    });
    row.reason.iter().cloned().chain(transfers).collect::<Vec<_>>().join("; ")
}

#[derive(Serialize)]
struct Listed {
    id: String,
    started_at: String,
    answered_at: Option<String>,
    ended_at: Option<String>,
    duration_seconds: Option<f64>,
    source: String,
    transport: String,
    sip_call_id: Option<String>,
    caller_number: Option<String>,
    caller_name: Option<String>,
    believed: &'static str,
    called: String,
    line: Option<String>,
    tenant: Option<String>,
    mailbox: Option<String>,
    reasoning: Option<Value>,
    purpose: &'static str,
    codec: Option<String>,
    outcome: &'static str,
    status: Option<u16>,
    reason: Option<String>,
    end_cause: Option<String>,
    message_id: Option<String>,
    transfers: Vec<RecordedTransfer>,
    attempts: u64,
}

impl From<CallRecord> for Listed {
    fn from(record: CallRecord) -> Self {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        let (tenant, mailbox) = record.mailbox.as_ref().map(|it| (it.tenant.clone(), it.number.clone())).unzip();
        Self {
            id: record.id.to_string(),
            started_at: record.started_at.to_string(),
            answered_at: text(record.answered_at),
            ended_at: text(record.ended_at),
            duration_seconds: record.duration().map(|span| span.as_secs_f64()),
            believed: record.believed.as_str(),
            purpose: record.purpose.as_str(),
            outcome: record.outcome.as_str(),
            source: record.source,
            transport: record.transport,
            sip_call_id: record.sip_call_id,
            caller_number: record.caller.number,
            caller_name: record.caller.name,
            called: record.called,
            line: record.line,
            tenant,
            mailbox,
            reasoning: record.reasoning.and_then(|json| serde_json::from_str(&json).ok()),
            codec: record.codec,
            status: record.status,
            reason: record.reason,
            end_cause: record.end_cause,
            message_id: record.message.map(|message| message.to_string()),
            transfers: record.transfers,
            attempts: record.attempts,
        }
    }
}

const HEADINGS: [&str; 25] = [
    "id",
    "started_at",
    "answered_at",
    "ended_at",
    "duration_seconds",
    "source",
    "transport",
    "sip_call_id",
    "caller_number",
    "caller_name",
    "believed",
    "called",
    "line",
    "tenant",
    "mailbox",
    "reasoning",
    "purpose",
    "codec",
    "outcome",
    "status",
    "reason",
    "end_cause",
    "message_id",
    "transfers",
    "attempts",
];

/// What a record shows under the headings, which are the names of the JSON fields.
fn csv_cells(record: &CallRecord) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(Listed::from(record.clone())) else { return Vec::new() };
    let cell = |heading: &&str| match fields.get(*heading) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    HEADINGS.iter().map(cell).collect()
}

/// One line as in RFC 4180.
fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = cells.map(csv_cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// One value, quoted where need be. What a spreadsheet would take for a formula gets an apostrophe before it, for a caller can
/// write one into its name; a plus and digits are a number and stay as they are.
fn csv_cell(text: &str) -> String {
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let is_formula = text.starts_with(['=', '-', '@', '\t', '\r']) || text.strip_prefix('+').is_some_and(|rest| !is_number(rest));
    let safe = if is_formula { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\r', '\n', '\'', ';']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{caller::Caller, id::CallId};

    #[test]
    fn a_cell_is_quoted_where_a_reader_would_split_it() {
        for (text, cell) in [
            ("", ""),
            ("Ann Lee", "Ann Lee"),
            ("Lee, Ann", "\"Lee, Ann\""),
            ("Ann \"A\" Lee", "\"Ann \"\"A\"\" Lee\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
    }

    #[test]
    fn no_name_becomes_a_formula() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("-1+cmd|' /C calc'!A0", "\"'-1+cmd|' /C calc'!A0\""),
            ("+1+1", "\"'+1+1\""),
            ("+", "\"'+\""),
            ("\t=1", "\"'\t=1\""),
            ("+12025550143", "+12025550143"),
            ("1-2", "1-2"),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
    }

    #[test]
    fn the_headings_are_the_fields() {
        let record = CallRecord {
            caller: Caller { number: Some("+12025550143".to_owned()), name: None },
            reasoning: Some(r#"{"a":1}"#.to_owned()),
            ..CallRecord::new(CallId::random(), Timestamp::from_millis(0), "192.0.2.1".parse().unwrap(), "udp")
        };
        let Ok(Value::Object(fields)) = serde_json::to_value(Listed::from(record.clone())) else { panic!("no object") };
        let cells = csv_cells(&record);

        assert!(HEADINGS.iter().all(|heading| fields.contains_key(*heading)));
        assert_eq!(fields.len(), HEADINGS.len());
        assert_eq!((cells[8].as_str(), cells[15].as_str()), ("+12025550143", r#"{"a":1}"#));
    }
}
