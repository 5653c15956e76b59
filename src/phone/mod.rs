//! A telephone of our own: for the terminal (`afterbeep call`), for the quickstart's self-test, and for the tests.
//!
//! [`Phone::dial`] makes a [`Call`], which speaks, presses keys and listens through its [`Line`]. [`listen`] recognises what was
//! heard. Clarity before speed: the server's own audio is in `media`.

pub mod line;
pub mod listen;

use std::{io, net::SocketAddr, time::Duration};

use crate::{
    audio::codec::Codec,
    rtp::{Security, secure::IceCredentials},
    sdp::{self, AnswerError, CallKeys, Direction, LocalMedia, LocalSecurity, Negotiated, OwnOffer, Policy},
    sip::{
        transport::TlsSettings,
        user_agent::{DialEnd, DialEvent, DialledCall, Invitation, Login, Registering, UserAgent},
        wire::{Malformed, NameAddr, SipUri},
    },
};

pub use line::Line;

/// A telephone that calls one server.
pub struct Phone {
    agent: UserAgent,
    from: String,
    codecs: Vec<Codec>,
    telephone_event: bool,
    encrypted: bool,
    headers: Vec<(String, String)>,
    login: Option<Login>,
}

/// Why a call did not come about.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// What to call is no SIP URI.
    #[error("{uri:?} is not a SIP URI: write sip:NUMBER@HOST or sip:NUMBER@HOST:PORT")]
    Uri {
        /// What was given.
        uri: String,
        /// Why.
        source: Malformed,
    },
    /// The telephone has no socket, or no connection.
    #[error("the telephone cannot reach the server")]
    Unreachable(#[from] io::Error),
    /// The other side refused.
    #[error("the call was refused: {status} {reason}")]
    Refused {
        /// The SIP status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// The other side hung up before it answered what was asked.
    #[error("the call ended")]
    Ended,
    /// The other side's session description does not fit.
    #[error("the other side's session description does not fit")]
    Session(#[from] AnswerError),
}

impl Phone {
    /// A telephone for calls to the host of `target`, over TLS if it is a `sips:` URI, else over what its `transport` parameter
    /// or the DNS says.
    ///
    /// # Errors
    ///
    /// [`CallError::Unreachable`] when there is no way to the host.
    pub async fn towards(target: &str) -> Result<Self, CallError> {
        Self::securely_towards(target, &TlsSettings::default()).await
    }

    /// The same with other authorities than the system's, or a certificate of our own.
    ///
    /// # Errors
    ///
    /// [`CallError::Unreachable`] when there is no way to the host, or it cannot prove its name.
    pub async fn securely_towards(target: &str, settings: &TlsSettings) -> Result<Self, CallError> {
        Self::towards_asking(target, settings, &[]).await
    }

    /// The same, but these DNS servers are asked where the host is, unless there are none.
    ///
    /// # Errors
    ///
    /// [`CallError::Unreachable`] when there is no way to the host, or it cannot prove its name.
    pub async fn towards_asking(target: &str, settings: &TlsSettings, dns: &[SocketAddr]) -> Result<Self, CallError> {
        Ok(Self::with_agent(UserAgent::towards(&uri(target)?, settings, dns).await?))
    }

    fn with_agent(agent: UserAgent) -> Self {
        Self {
            agent,
            from: "afterbeep".to_owned(),
            codecs: Codec::G711.to_vec(),
            telephone_event: true,
            encrypted: false,
            headers: Vec::new(),
            login: None,
        }
    }

    /// Calls as a line: answers challenges with its name and password.
    #[must_use]
    pub fn line(self, user: &str, password: &str) -> Self {
        let login = Login { user: user.to_owned(), password: password.to_owned() };
        Self { login: Some(login), ..self.from(user) }
    }

    /// Calls as `user`: a number or a name.
    #[must_use]
    pub fn from(self, user: &str) -> Self {
        Self { from: user.to_owned(), ..self }
    }

    /// Offers these codecs only, best first.
    #[must_use]
    pub fn codecs(self, codecs: &[Codec]) -> Self {
        Self { codecs: codecs.to_vec(), ..self }
    }

    /// Does not offer telephone-event, so that keys are tones.
    #[must_use]
    pub fn without_telephone_event(self) -> Self {
        Self { telephone_event: false, ..self }
    }

    /// Offers encrypted audio, with its keys in the offer (SDES), and nothing else.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { encrypted: true, ..self }
    }

    /// Sends one more header with each INVITE.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Calls, and waits for the answer.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn dial(&self, target: &str) -> Result<Call, CallError> {
        self.call(target, false).await
    }

    /// Calls without an offer, so that the other side makes it.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn dial_without_offer(&self, target: &str) -> Result<Call, CallError> {
        self.call(target, true).await
    }

    /// Registers with the host of `target` as the line that this telephone is; says for how long. Zero takes that back.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`], also by a telephone that is no line.
    pub async fn register(&self, target: &str, life: Duration) -> Result<Duration, CallError> {
        let refused = |status: u16| CallError::Refused { status, reason: "no registration".to_owned() };
        let login = self.login.clone().ok_or(refused(401))?;
        let registrar = SipUri { user: None, password: None, ..uri(target)? };
        let answer = self.agent.register(Registering { registrar, login, life }).await?;
        match (answer.status, answer.life) {
            (200, Some(life)) => Ok(life),
            (200, None) if life.is_zero() => Ok(Duration::ZERO),
            (status, _) => Err(refused(status)),
        }
    }

    async fn call(&self, target: &str, late: bool) -> Result<Call, CallError> {
        let line = Line::open(self.agent.local_ip()).await?;
        let address = line.local_address()?;
        let local =
            LocalMedia { address: address.ip(), port: address.port(), session_id: rand::random::<u64>() >> 1, version: 1 };
        let offer = sdp::offer(&local, &self.codecs);
        let offer = if self.telephone_event { offer } else { offer.without_telephone_event() };
        let security = security();
        let offer = if self.encrypted { offer.encrypted(security.keys.clone()) } else { offer };
        let from = match self.login {
            // A line belongs to the domain that it calls.
            Some(_) => uri(target)?
                .host
                .map_or(SipUri::at(Some(&self.from), self.agent.local_addr()), |host| SipUri::sip(Some(&self.from), host, None)),
            None => SipUri::at(Some(&self.from), self.agent.local_addr()),
        };
        let from = NameAddr::new(from);
        let mut invitation = Invitation::new(uri(target)?, from, offer.bytes());
        invitation.headers.clone_from(&self.headers);
        invitation.login.clone_from(&self.login);
        if late {
            invitation.offer = None;
        }
        let mut sip = self.agent.dial(invitation).await?;
        let negotiated = loop {
            match sip.next_event().await {
                DialEvent::Answered { sdp } if late => {
                    let (answer, negotiated) =
                        sdp::answer(&sdp::parse_offer(&sdp).map_err(AnswerError::from)?, &local, &self.codecs, &security)?;
                    sip.confirm(answer);
                    break negotiated;
                }
                DialEvent::Answered { sdp } => break sdp::accept_answer(&offer, &sdp)?,
                DialEvent::Rejected { status, reason, .. } => return Err(CallError::Refused { status, reason }),
                DialEvent::Ended(_) => return Err(CallError::Ended),
                DialEvent::Provisional(_)
                | DialEvent::Reanswered { .. }
                | DialEvent::ReofferRefused { .. }
                | DialEvent::InfoAnswered { .. } => {}
            }
        };
        line.connect(&negotiated);
        Ok(Call { sip, line, offer, local, security, negotiated })
    }
}

/// An answered call. Dropping it hangs up.
pub struct Call {
    sip: DialledCall,
    line: Line,
    offer: OwnOffer,
    local: LocalMedia,
    security: LocalSecurity,
    negotiated: Negotiated,
}

impl Call {
    /// The audio of the call.
    #[must_use]
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What both sides agreed on last.
    #[must_use]
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// Presses a key by SIP INFO, and waits until the other side has answered it.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] when INFO is not taken, [`CallError::Ended`].
    pub async fn press_by_info(&mut self, key: char) -> Result<(), CallError> {
        self.sip.info("application/dtmf-relay", format!("Signal={key}\r\nDuration=160\r\n"));
        loop {
            match self.sip.next_event().await {
                DialEvent::InfoAnswered { status: 200 } => return Ok(()),
                DialEvent::InfoAnswered { status } => {
                    return Err(CallError::Refused { status, reason: "INFO is not taken".to_owned() });
                }
                DialEvent::Ended(_) | DialEvent::Rejected { .. } => return Err(CallError::Ended),
                _ => {}
            }
        }
    }

    /// Holds the call: we send, but do not want to hear (`sendonly`).
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn hold(&mut self) -> Result<(), CallError> {
        self.reinvite(Direction::SendOnly).await
    }

    /// Resumes a call on hold.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn resume(&mut self) -> Result<(), CallError> {
        self.reinvite(Direction::SendReceive).await
    }

    async fn reinvite(&mut self, direction: Direction) -> Result<(), CallError> {
        self.local.version += 1;
        let codecs = [self.negotiated.codec];
        let offer = sdp::offer(&self.local, &codecs).with_direction(direction);
        let encrypted = self.negotiated.security != Security::None;
        self.offer = if encrypted { offer.encrypted(self.security.keys.clone()) } else { offer };
        self.sip.reinvite(self.offer.bytes());
        loop {
            match self.sip.next_event().await {
                DialEvent::Reanswered { sdp } => {
                    self.negotiated = sdp::accept_answer(&self.offer, &sdp)?;
                    self.line.connect(&self.negotiated);
                    return Ok(());
                }
                DialEvent::ReofferRefused { status } => {
                    return Err(CallError::Refused { status, reason: "the new offer is refused".to_owned() });
                }
                DialEvent::Ended(_) | DialEvent::Rejected { .. } => return Err(CallError::Ended),
                _ => {}
            }
        }
    }

    /// Hangs up, and waits until the other side has confirmed it.
    pub async fn hang_up(mut self) {
        self.sip.hangup();
        while !matches!(self.sip.next_event().await, DialEvent::Ended(_) | DialEvent::Rejected { .. }) {}
    }

    /// Waits until the other side hangs up. `false` when it has not within `limit`.
    pub async fn wait_for_the_end(&mut self, limit: Duration) -> bool {
        let ended = async {
            loop {
                match self.sip.next_event().await {
                    DialEvent::Ended(end) => return end == DialEnd::TheyHungUp,
                    DialEvent::Rejected { .. } => return true,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(limit, ended).await.unwrap_or(false)
    }
}

fn uri(text: &str) -> Result<SipUri, CallError> {
    SipUri::parse(text).map_err(|source| CallError::Uri { uri: text.to_owned(), source })
}

/// Keys for one call, used when they are wanted.
fn security() -> LocalSecurity {
    let mut keys = [0; CallKeys::LENGTH];
    rand::fill(&mut keys);
    let ice = IceCredentials::new(&rand::random());
    LocalSecurity { policy: Policy::Optional, keys: CallKeys::new(&keys), fingerprint: None, ice }
}
