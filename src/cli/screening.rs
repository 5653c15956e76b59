//! `afterbeep mailbox block|unblock|blocked|alerts`: whom a mailbox refuses, and what its subscriber is told.

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::{
    mailbox::{Switch, Which},
    output,
    workplace::Workplace,
};
use crate::domain::credential::Alerts;

#[derive(Args, Debug)]
pub struct Blocking {
    #[command(flatten)]
    which: Which,
    /// The callers' numbers, as messages show them
    #[arg(value_name = "CALLER")]
    callers: Vec<String>,
    /// Whether callers are refused who show no number
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    anonymous: Option<Switch>,
}

#[derive(Args, Debug)]
pub struct AlertsArgs {
    #[command(flatten)]
    which: Which,
    /// new-address-or-agent, new-agent, or none (not recommended); without it, the setting is shown
    #[arg(value_name = "WHEN")]
    alerts: Option<Alerts>,
}

pub async fn block(place: &Workplace, args: Blocking) -> anyhow::Result<()> {
    let Blocking { which, callers, anonymous } = args;
    if callers.is_empty() && anonymous.is_none() {
        bail!("say whom: callers' numbers, or --anonymous on");
    }
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
    for caller in &callers {
        place.store.block_caller(&mailbox.id, caller, place.now).await?;
    }
    if let Some(anonymous) = anonymous {
        place.store.refuse_anonymous(&mailbox.id, anonymous == Switch::On).await?;
    }
    Ok(())
}

pub async fn unblock(place: &Workplace, which: &Which, callers: &[String]) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
    for caller in callers {
        if !place.store.unblock_caller(&mailbox.id, caller).await? {
            bail!("{caller} is not blocked; see `afterbeep mailbox blocked {}`", mailbox.number);
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Blocked {
    caller: Option<String>,
    since: Option<String>,
}

pub async fn blocked(place: &Workplace, which: &Which, json: bool) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
    let mut rows = Vec::new();
    if place.store.refuses_anonymous(&mailbox.id).await? {
        rows.push(Blocked { caller: None, since: None });
    }
    let callers = place.store.blocked_callers(&mailbox.id).await?;
    rows.extend(callers.into_iter().map(|it| Blocked { caller: Some(it.number), since: Some(it.since.to_string()) }));
    output::rows(
        &rows,
        &[
            ("CALLER", &|row: &Blocked| row.caller.clone().unwrap_or_else(|| "anonymous".to_owned())),
            ("SINCE", &|row| row.since.clone().unwrap_or_else(|| "-".to_owned())),
        ],
        json,
    )
}

pub async fn alerts(place: &Workplace, args: AlertsArgs) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&args.which.tenant, args.which.number.as_str()).await?;
    if let Some(alerts) = args.alerts {
        place.store.set_alerts(&mailbox.id, alerts).await?;
    }
    output::text(&format!("{}\n", place.store.alerts(&mailbox.id).await?))
}
