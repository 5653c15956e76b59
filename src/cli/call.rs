//! `afterbeep call`: a telephone for the terminal.

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};

use crate::{
    audio::wav,
    config::DnsServer,
    phone::{Call, Phone},
    sip::transport::TlsSettings,
};

/// How long the other side may take until its beep.
const BEEP: Duration = Duration::from_mins(2);
/// How long a registration is asked for: longer than most calls.
const REGISTERED: Duration = Duration::from_mins(10);
/// The longest WAV that is spoken.
const LONGEST_SPEECH: Duration = Duration::from_mins(15);

/// Calls a SIP URI, presses keys, speaks a WAV, and records what is heard
///
/// First the keys are pressed, one second after the answer. Then, with --say, the telephone waits for the beep, speaks the WAV
/// and hangs up; without it, it listens until the other side hangs up, --listen has passed, or Ctrl-C is pressed.
#[derive(Debug, clap::Args)]
pub struct CallArgs {
    /// Whom to call, such as sip:1001@127.0.0.1:5060; add ;transport=tcp for TCP, or ;transport=tls or sips: for TLS. Without a
    /// port, a name is looked up by NAPTR and SRV
    #[arg(value_name = "URI")]
    target: String,
    /// Speak this WAV (any PCM WAV) after the beep, then hang up
    #[arg(long, value_name = "FILE")]
    say: Option<PathBuf>,
    /// Press these keys: 0-9, *, #, A-D; w waits one second
    #[arg(long, value_name = "KEYS", allow_hyphen_values = true)]
    digits: Option<String>,
    /// Write what was heard to this WAV
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Call as this line of the server, with --password-file: the mailbox's number
    #[arg(long, value_name = "NUMBER", requires = "password_file", conflicts_with = "from")]
    user: Option<String>,
    /// A file with the line's password; - reads it from standard input
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Register as --user for the time of the call
    #[arg(long, requires = "user")]
    register: bool,
    /// The caller's number or name
    #[arg(long, value_name = "USER", default_value = "afterbeep")]
    from: String,
    /// One more header of the INVITE, such as 'Diversion: <sip:1001@pbx>'; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Ask this DNS server where a host name is, instead of those that this machine asks; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    dns_server: Vec<DnsServer>,
    /// Believe the certificates of these authorities (PEM) when calling by TLS, instead of those that this machine knows
    #[arg(long, value_name = "FILE")]
    tls_authorities: Option<PathBuf>,
    /// Show this certificate (PEM) when calling by TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key (PEM) of --tls-certificate
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Hang up so long after the answer, such as 20s
    #[arg(long, value_name = "SPAN", value_parser = span)]
    listen: Option<Duration>,
}

/// Makes one call.
///
/// # Errors
///
/// When a file cannot be read or written, the call is refused, or no beep comes.
pub async fn run(args: CallArgs) -> anyhow::Result<()> {
    let speech = match &args.say {
        Some(file) => {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(wav::read(&bytes, LONGEST_SPEECH).with_context(|| format!("cannot speak {}", file.display()))?)
        }
        None => None,
    };
    let tls = TlsSettings {
        certificate: args.tls_certificate.clone(),
        key: args.tls_key.clone(),
        peer_authorities: args.tls_authorities.clone(),
        ..TlsSettings::default()
    };
    let dns: Vec<_> = args.dns_server.iter().map(|server| server.0).collect();
    let mut phone = Phone::towards_asking(&args.target, &tls, &dns).await?.from(&args.from);
    for header in &args.header {
        let Some((name, value)) = header.split_once(':') else { bail!("{header:?} is no header; write 'Name: value'") };
        phone = phone.header(name.trim(), value.trim());
    }
    if let (Some(user), Some(file)) = (&args.user, &args.password_file) {
        phone = phone.line(user, &super::read_secret(file, "the password")?);
    }
    if args.register {
        let life = phone.register(&args.target, REGISTERED).await.context("cannot register")?;
        say(&format!("registered for {} s", life.as_secs()));
    }
    let mut call = phone.dial(&args.target).await?;
    say(&format!("answered, {}", call.negotiated().codec.name()));
    let outcome = tokio::select! {
        outcome = conversation(&mut call, &args, speech) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = async { match args.listen { Some(span) => tokio::time::sleep(span).await, None => std::future::pending().await } } => Ok(()),
    };
    let heard = call.line().heard();
    call.hang_up().await;
    say(&format!("over, {:.1} s heard", heard.len() as f64 / 8000.0));
    if let Some(file) = &args.record {
        std::fs::write(file, wav::from_samples(&heard)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if args.register {
        phone.register(&args.target, Duration::ZERO).await.context("cannot take the registration back")?;
    }
    outcome
}

async fn conversation(call: &mut Call, args: &CallArgs, speech: Option<Vec<i16>>) -> anyhow::Result<()> {
    if let Some(keys) = &args.digits {
        tokio::time::sleep(Duration::from_secs(1)).await;
        call.line().press(keys);
        call.line().wait_until_said(Duration::from_secs(keys.len() as u64 * 2 + 5)).await;
    }
    if let Some(speech) = speech {
        let Some(_) = call.line().wait_for_beep(0, BEEP).await else { bail!("no beep was heard") };
        let length = Duration::from_millis(speech.len() as u64 / 8);
        call.line().say(speech);
        call.line().wait_until_said(length + Duration::from_secs(5)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Ok(());
    }
    call.wait_for_the_end(Duration::from_hours(1)).await;
    Ok(())
}

fn say(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no span: write 20s or 2m"))?;
    match unit {
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("{text:?} is no span: write 20s or 2m")),
    }
}
