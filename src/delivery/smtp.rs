//! Hands mails to the relay over SMTP (RFC 5321), and says what came of it in the terms of the outbox.
//!
//! The protocol is `lettre`'s, one command at a time. Its pool (`AsyncSmtpTransport::send_raw`) is not used, because it has
//! no time-outs after the connect and, when a send is given up from outside, takes the half-used connection back: the late
//! answer to one mail would then be read as the answer to the next.

use std::{
    error::Error as _,
    fmt, io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::transport::smtp::{
    Error as SmtpError,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    commands::{Data, Mail, Quit, Rcpt, Rset},
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{ComposedMail, stream::LineByLine, text::one_line};

/// Relays close idle connections after some minutes; we are done with them earlier.
const LONGEST_IDLE: Duration = Duration::from_secs(30);
/// How much longer the relay may take over content and verdict than over other steps: it may be scanning the attachment.
const VERDICT_FACTOR: u32 = 4;
/// How long a whole delivery may take, as a multiple of the time-out for a step.
const DELIVERY_FACTOR: u32 = 6;
const FAREWELL: Duration = Duration::from_secs(1);
const LONGEST_REPLY: usize = 300;

/// Where the relay is and how to speak to it.
#[derive(Clone)]
pub struct Relay {
    security: Security,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    extra_roots: Option<Certificate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    Plain,
    StartTls,
    Tls,
}

impl Relay {
    /// Reads `smtp://`, `smtp+starttls://` or `smtps://`, then `[user[:password]@]host[:port]`; special characters in user and
    /// password are percent-encoded. `password` is the one to use when the URL has none.
    ///
    /// # Errors
    ///
    /// Says what is wrong without repeating the URL.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, RelayError> {
        let (scheme, rest) = url.split_once("://").ok_or(RelayError::Scheme)?;
        let (security, default_port) = match scheme {
            "smtp" => (Security::Plain, 25),
            "smtp+starttls" => (Security::StartTls, 587),
            "smtps" => (Security::Tls, 465),
            _ => return Err(RelayError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((address, port)) => (address, port),
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| RelayError::Place)?,
            None if port.is_empty() => default_port,
            None => return Err(RelayError::Place),
        };
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_')) {
            return Err(RelayError::Place);
        }
        let credentials = match login {
            None => None,
            Some(login) => {
                let (user, in_url) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
                let user = percent_decoded(user)?;
                let secret = match in_url {
                    Some(secret) => percent_decoded(secret)?,
                    None => password.ok_or(RelayError::Password)?.to_owned(),
                };
                Some(Credentials::new(user, secret))
            }
        };
        Ok(Self { security, host: host.to_owned(), port, credentials, extra_roots: None })
    }

    /// The same relay, believed also when its certificate was issued by one of `roots` (PEM).
    ///
    /// # Errors
    ///
    /// When `roots` holds no certificate.
    pub fn trusting(mut self, roots: &[u8]) -> Result<Self, RelayError> {
        self.extra_roots = Some(Certificate::from_pem(roots).map_err(|_| RelayError::Certificate)?);
        Ok(self)
    }

    /// Whether a password would cross the network for all to read.
    #[must_use]
    pub fn exposes_password(&self) -> bool {
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        self.credentials.is_some() && self.security == Security::Plain && !local
    }
}

/// Host and port, for logs; never the login.
impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({:?} {self})", self.security)
    }
}

/// Why a relay cannot be used as configured. The URL itself is left out: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// Another scheme, or none.
    #[error("a relay starts with smtp://, smtp+starttls:// or smtps://")]
    Scheme,
    /// No host, or no port where one should be.
    #[error("a relay's scheme is followed by [user[:password]@]host[:port]")]
    Place,
    /// A stray percent sign.
    #[error("in a relay's user and password, a percent sign is written %25 and an @ is written %40")]
    Encoding,
    /// A user without a password.
    #[error("a relay with a user needs a password, in its URL or beside it")]
    Password,
    /// A file that holds no certificates, or a host that cannot have one.
    #[error("the relay's certificates cannot be used")]
    Certificate,
}

fn percent_decoded(text: &str) -> Result<String, RelayError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(RelayError::Encoding);
                u8::try_from(digit()? * 16 + digit()?).expect("two hexadecimal digits make a byte")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| RelayError::Encoding)
}

/// What became of a mail that the relay did not accept. The texts are for the outbox; logs take [`SendError::code`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// A final answer about this mail: sending it again is pointless.
    Refused(Reply),
    /// Not now, says the relay about this mail.
    Deferred(Reply),
    /// The relay cannot be used; that says nothing about this mail.
    Unusable {
        /// How far we came.
        step: Step,
        /// Its answer, or what the network said.
        reply: Reply,
        /// Whether it will stay so until somebody changes a setting: login, certificate, sender.
        needs_operator: bool,
    },
    /// The connection was lost between the mail's end and the verdict: the relay may have accepted it or not.
    Unknown(Reply),
}

/// An answer of the relay, or an error instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The SMTP code, if there was an answer.
    pub code: Option<u16>,
    /// The text, one line. It may name addresses, so it does not belong in logs.
    pub text: String,
}

/// The steps of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Name look-up and TCP; with `smtps`, the TLS handshake too.
    Connect,
    /// The handshake after STARTTLS.
    Tls,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA and the mail itself.
    Content,
    /// Waiting for the 250.
    Verdict,
}

impl SendError {
    /// The SMTP code, if there was one.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.reply().code
    }

    /// What can be logged: an answer's text may name addresses, so of an answer only the code.
    #[must_use]
    pub fn without_addresses(&self) -> String {
        let Reply { code, text } = self.reply();
        let answer = code.map_or_else(|| text.clone(), |code| format!("it answered {code}"));
        match self {
            Self::Refused(_) | Self::Deferred(_) => answer,
            Self::Unusable { step, .. } => format!("{step}: {answer}"),
            Self::Unknown(_) => format!("{}: {answer}", Step::Verdict),
        }
    }

    fn reply(&self) -> &Reply {
        match self {
            Self::Refused(reply) | Self::Deferred(reply) | Self::Unknown(reply) | Self::Unusable { reply, .. } => reply,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reply { text, .. } = self.reply();
        match self {
            Self::Refused(_) => write!(f, "refused: {text}"),
            Self::Deferred(_) => write!(f, "put off: {text}"),
            Self::Unusable { step, .. } => write!(f, "{step}: {text}"),
            Self::Unknown(_) => write!(f, "no verdict, so it may arrive twice: {text}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection to the relay",
            Self::Tls => "no encryption with the relay",
            Self::Login => "the relay does not let us log in",
            Self::Sender => "the relay does not take our sender address",
            Self::Recipient => "the relay failed at the recipient",
            Self::Content => "the relay failed at the content",
            Self::Verdict => "the relay gave no verdict",
        })
    }
}

/// What an answer, or the lack of one, means at a step.
fn judge(step: Step, reply: Reply) -> SendError {
    let unusable = |reply, needs_operator| SendError::Unusable { step, reply, needs_operator };
    match (step, reply.code) {
        (Step::Verdict, None) => SendError::Unknown(reply),
        // A certificate we do not trust stays so.
        (Step::Tls, None) => unusable(reply, true),
        (_, None | Some(421)) => unusable(reply, false),
        // Before the recipient is named, a refusal is not about them; and a sender that is refused is refused for everybody.
        (Step::Connect | Step::Tls | Step::Login | Step::Sender, Some(500..)) => unusable(reply, true),
        (Step::Connect | Step::Tls | Step::Login, Some(_)) => unusable(reply, false),
        // "Log in first", "encrypt first", "I do not know that command": all about us.
        (_, Some(500 | 502 | 503 | 523 | 530 | 534 | 535 | 538)) => unusable(reply, true),
        (_, Some(500..)) => SendError::Refused(reply),
        (_, Some(_)) => SendError::Deferred(reply),
    }
}

/// Speaks to one relay, over as many connections as there are mails under way at once, and keeps those for the next ones.
pub struct SmtpClient {
    relay: Relay,
    tls: Option<TlsParameters>,
    hello: ClientId,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl SmtpClient {
    /// `timeout` is for each step; see [`SmtpClient::longest_delivery`].
    ///
    /// # Errors
    ///
    /// When the relay's name cannot be one in a certificate.
    pub fn new(relay: &Relay, timeout: Duration) -> Result<Self, RelayError> {
        let tls = match relay.security {
            Security::Plain => None,
            Security::StartTls | Security::Tls => {
                let mut tls = TlsParameters::builder(relay.host.clone());
                if let Some(roots) = relay.extra_roots.clone() {
                    tls = tls.add_root_certificate(roots);
                }
                Some(tls.build().map_err(|_| RelayError::Certificate)?)
            }
        };
        Ok(Self { relay: relay.clone(), tls, hello: hello_name(), timeout, idle: Mutex::default() })
    }

    /// The relay.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// How long [`SmtpClient::send`] can take at most, so that a lease can outlast it.
    #[must_use]
    pub fn longest_delivery(timeout: Duration) -> Duration {
        timeout * DELIVERY_FACTOR
    }

    /// Delivers a mail. `Ok` means that the relay said 250: it is the relay's responsibility now.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send(&self, mail: &ComposedMail) -> Result<(), SendError> {
        let limit = Self::longest_delivery(self.timeout);
        // Dropping the attempt drops its connection, so nothing half-said is ever continued.
        timeout(limit, self.attempt(mail)).await.unwrap_or_else(|_| Err(SendError::Unknown(Reply::from_error(&too_slow(limit)))))
    }

    async fn attempt(&self, mail: &ComposedMail) -> Result<(), SendError> {
        if let Some(mut connection) = self.take_idle() {
            match self.deliver(&mut connection, mail).await {
                // The relay has closed the connection while it lay idle. That is its right and no failure.
                Err(SendError::Unusable { step: Step::Sender, needs_operator: false, .. }) => {}
                outcome => return self.keep(connection, outcome).await,
            }
        }
        let mut connection = self.connect().await?;
        let outcome = self.deliver(&mut connection, mail).await;
        self.keep(connection, outcome).await
    }

    /// Closes connections that have been idle for long.
    pub async fn tidy(&self) {
        let old: Vec<Idle> = self.lock().extract_if(.., |idle| idle.since.elapsed() > LONGEST_IDLE).collect();
        close(old).await;
    }

    /// Says good-bye on every idle connection.
    pub async fn close(&self) {
        let all = std::mem::take(&mut *self.lock());
        close(all).await;
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        // The one used last; older ones come of age and are tidied away.
        self.lock().pop().filter(|idle| idle.since.elapsed() <= LONGEST_IDLE).map(|idle| idle.connection)
    }

    async fn keep(&self, mut connection: AsyncSmtpConnection, outcome: Result<(), SendError>) -> Result<(), SendError> {
        let usable = match &outcome {
            Ok(()) => true,
            Err(SendError::Refused(_) | SendError::Deferred(_)) => {
                self.step(Step::Sender, connection.command(Rset)).await.is_ok()
            }
            // Nobody knows what the next bytes on it would mean.
            Err(SendError::Unusable { .. } | SendError::Unknown(_)) => false,
        };
        if usable {
            self.lock().push(Idle { connection, since: Instant::now() });
        }
        outcome
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let mut connection = match (self.relay.security, &self.tls) {
            (Security::Tls, Some(tls)) => {
                let place = (self.relay.host.as_str(), self.relay.port);
                let connecting =
                    AsyncSmtpConnection::connect_tokio1(place, Some(self.timeout), &self.hello, Some(tls.clone()), None);
                self.step(Step::Connect, connecting).await?
            }
            (Security::Plain | Security::StartTls | Security::Tls, tls) => {
                let stream = self.open().await.map_err(|error| judge(Step::Connect, Reply::from_error(&error)))?;
                let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(LineByLine::new(stream)), &self.hello);
                let mut connection = self.step(Step::Connect, greeting).await?;
                if let Some(tls) = tls {
                    self.step(Step::Tls, connection.starttls(tls.clone(), &self.hello)).await?;
                }
                connection
            }
        };
        if let Some(credentials) = &self.relay.credentials {
            self.step(Step::Login, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    /// Tries the relay's addresses in turn.
    async fn open(&self) -> io::Result<TcpStream> {
        let place = (self.relay.host.as_str(), self.relay.port);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the relay's name has no address");
        for address in timeout(self.timeout, lookup_host(place)).await.map_err(|_| too_slow(self.timeout))?? {
            match timeout(self.timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // The end of a mail is a small packet of its own; Nagle would hold it back for a delayed ACK.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = too_slow(self.timeout),
            }
        }
        Err(last)
    }

    async fn deliver(&self, connection: &mut AsyncSmtpConnection, mail: &ComposedMail) -> Result<(), SendError> {
        let mut parameters = Vec::new();
        if !mail.bytes.is_ascii() {
            // Only an address that is not ASCII makes the mail so (RFC 6531).
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let text = "the relay does not support SMTPUTF8, which this address needs".to_owned();
                return Err(SendError::Refused(Reply { code: None, text }));
            }
            parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
        }
        self.step(Step::Sender, connection.command(Mail::new(Some(mail.from.clone()), parameters))).await?;
        self.step(Step::Recipient, connection.command(Rcpt::new(mail.to.clone(), vec![]))).await?;
        self.step(Step::Content, connection.command(Data)).await?;
        let content = connection.message_iter(mail.bytes.chunks(64 * 1024));
        within(self.timeout * VERDICT_FACTOR, Step::Verdict, content).await?;
        Ok(())
    }

    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<T, SmtpError>>) -> Result<T, SendError> {
        within(self.timeout, step, work).await
    }
}

async fn within<T>(limit: Duration, step: Step, work: impl Future<Output = Result<T, SmtpError>>) -> Result<T, SendError> {
    match timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(judge(step, Reply::from_smtp(&error))),
        Err(_) => Err(judge(step, Reply::from_error(&too_slow(limit)))),
    }
}

impl Reply {
    fn from_smtp(error: &SmtpError) -> Self {
        match error.status() {
            // The source of an answer that is an error is the answer's text.
            Some(code) => {
                let text = error.source().map(ToString::to_string).unwrap_or_default();
                Self { code: Some(code.into()), text: one_line(&format!("{code} {text}"), LONGEST_REPLY) }
            }
            None => Self::from_error(error),
        }
    }

    fn from_error(error: &dyn std::error::Error) -> Self {
        // Every error of `lettre` and of the system tells its cause itself.
        Self { code: None, text: one_line(&error.to_string(), LONGEST_REPLY) }
    }
}

fn too_slow(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("nothing happened for {} seconds", limit.as_secs_f32()))
}

async fn close(connections: Vec<Idle>) {
    let farewells = connections.into_iter().map(|mut idle| async move {
        // Whether it is heard does not matter.
        let _ = timeout(FAREWELL, idle.connection.command(Quit)).await;
    });
    futures_util::future::join_all(farewells).await;
}

/// The name we greet with: the machine's, or the address literal that RFC 5321 §4.1.4 has for machines without one.
fn hello_name() -> ClientId {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let plausible = name.contains('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if plausible { ClientId::Domain(name.to_owned()) } else { ClientId::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_an_url() {
        for (url, shown) in [
            ("smtp://relay.example", "Relay(Plain relay.example:25)"),
            ("smtp+starttls://relay.example/", "Relay(StartTls relay.example:587)"),
            ("smtps://relay.example:2465", "Relay(Tls relay.example:2465)"),
            ("smtp://[::1]:2525", "Relay(Plain [::1]:2525)"),
            ("smtps://ann%40example.com:se%3Acret@relay.example", "Relay(Tls relay.example:465)"),
            ("smtps://ann@relay.example", "Relay(Tls relay.example:465)"),
        ] {
            assert_eq!(format!("{:?}", Relay::parse(url, Some("secret")).unwrap()), shown, "{url}");
        }
        for (url, error) in [
            ("relay.example", RelayError::Scheme),
            ("http://relay.example", RelayError::Scheme),
            ("smtp://", RelayError::Place),
            ("smtp://relay.example:port", RelayError::Place),
            ("smtp://relay.example/path", RelayError::Place),
            ("smtp://[::1]25", RelayError::Place),
            ("smtp://ann:100%@relay.example", RelayError::Encoding),
            ("smtp://ann@relay.example", RelayError::Password),
        ] {
            assert_eq!(Relay::parse(url, None).unwrap_err(), error, "{url}");
        }
    }

    #[test]
    fn login_and_password_are_decoded() {
        let credentials = |url, password| Relay::parse(url, password).unwrap().credentials.unwrap();

        let in_url = credentials("smtps://ann%40example.com:se%3Acret@relay.example", Some("other"));
        let beside = credentials("smtps://ann@relay.example", Some("beside"));

        assert_eq!(in_url, Credentials::new("ann@example.com".into(), "se:cret".into()));
        assert_eq!(beside, Credentials::new("ann".into(), "beside".into()));
    }

    #[test]
    fn a_password_in_the_clear_is_noticed() {
        let exposes = |url| Relay::parse(url, Some("secret")).unwrap().exposes_password();

        assert!(exposes("smtp://ann@relay.example"));
        assert!(!exposes("smtp://relay.example"));
        assert!(!exposes("smtp://ann@localhost"));
        assert!(!exposes("smtp+starttls://ann@relay.example"));
    }

    #[test]
    fn only_what_is_about_the_recipient_or_the_mail_is_final() {
        let judged = |step, code: Option<u16>| match judge(step, Reply { code, text: String::new() }) {
            SendError::Refused(_) => "refused",
            SendError::Deferred(_) => "deferred",
            SendError::Unknown(_) => "unknown",
            SendError::Unusable { needs_operator: true, .. } => "operator",
            SendError::Unusable { needs_operator: false, .. } => "unusable",
        };

        for (step, code, verdict) in [
            (Step::Connect, None, "unusable"),
            (Step::Connect, Some(421), "unusable"),
            (Step::Connect, Some(554), "operator"),
            (Step::Tls, None, "operator"),
            (Step::Tls, Some(454), "unusable"),
            (Step::Login, Some(535), "operator"),
            (Step::Login, Some(454), "unusable"),
            (Step::Login, None, "unusable"),
            (Step::Sender, Some(530), "operator"),
            (Step::Sender, Some(553), "operator"),
            (Step::Sender, Some(451), "deferred"),
            (Step::Recipient, Some(450), "deferred"),
            (Step::Recipient, Some(421), "unusable"),
            (Step::Recipient, Some(530), "operator"),
            (Step::Recipient, Some(550), "refused"),
            (Step::Recipient, Some(501), "refused"),
            (Step::Recipient, None, "unusable"),
            (Step::Content, Some(554), "refused"),
            (Step::Content, Some(451), "deferred"),
            (Step::Verdict, Some(552), "refused"),
            (Step::Verdict, Some(452), "deferred"),
            (Step::Verdict, None, "unknown"),
        ] {
            assert_eq!(judged(step, code), verdict, "{step:?} {code:?}");
        }
    }
}
