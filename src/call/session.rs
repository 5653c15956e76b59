//! The SIP and media side of one call: offer and answer, and what a re-INVITE changes.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    audio::codec::Codec,
    media::{MediaEngine, MediaEvent, MediaSession, SessionSpec, Stream},
    rtp::{
        Security,
        secure::{Fingerprint, IceCredentials},
    },
    sdp::{self, AnswerError, CallKeys, LocalMedia, LocalSecurity, Negotiated, OwnOffer, Policy},
    sip::{
        event::{Command, EndReason, Event, IncomingCall},
        handle::CallHandle,
        wire::Reason,
    },
};

/// How many media events may wait for a call's task.
const MEDIA_EVENTS: usize = 64;

/// A call that was answered and acknowledged.
pub struct CallSession {
    /// The SIP side.
    pub sip: CallHandle,
    /// The RTP side.
    pub media: MediaSession,
    /// What the media threads report.
    pub media_events: mpsc::Receiver<MediaEvent>,
    /// What both sides agreed on last.
    pub negotiated: Negotiated,
    local: LocalMedia,
    security: LocalSecurity,
    codecs: Vec<Codec>,
    /// Our offer in answer to a re-INVITE without one, until the ACK brings the caller's answer.
    offered: Option<OwnOffer>,
}

/// Why there is no session.
#[derive(Debug)]
pub enum NoSession {
    /// The offer does not fit; refused with 488.
    Unacceptable(AnswerError),
    /// No port could be opened; refused with 503.
    NoPort(std::io::Error),
    /// The caller was gone before the ACK.
    Ended(EndReason),
}

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unacceptable(error) => write!(f, "the offer does not fit: {error}"),
            Self::NoPort(error) => write!(f, "no port for audio: {error}"),
            Self::Ended(reason) => write!(f, "the caller was gone before the session began: {reason:?}"),
        }
    }
}

/// Lets the caller hear ringing for `ring`, if that is not zero, answers the call and waits for its ACK; no RTP is sent before.
///
/// # Errors
///
/// When there is no session; the call was refused or is over.
pub async fn answer(
    engine: &Arc<MediaEngine>,
    codecs: &[Codec],
    policy: Policy,
    invite: &IncomingCall,
    sip: CallHandle,
    ring: Duration,
    trusted: bool,
) -> Result<CallSession, NoSession> {
    let mut sip = sip;
    // A stranger may name anybody's address in its offer; a trusted peer's media may be elsewhere.
    let proven = (!trusted).then(|| invite.source.ip());
    let (events, media_events) = mpsc::channel(MEDIA_EVENTS);
    // The port is opened before the answer, because it is in it.
    let media = engine.open(SessionSpec { local_ip: invite.local.ip(), proven, events }).map_err(|error| {
        sip.send(Command::Refuse { status: 503, retry_after: Some(super::RETRY_AFTER) });
        NoSession::NoPort(error)
    })?;
    let mut local = local_media(invite.local.ip(), media.local_port());
    let security = local_security(policy, engine.fingerprint());
    let refuse = |sip: &CallHandle, error| {
        sip.send(Command::Refuse { status: 488, retry_after: None });
        NoSession::Unacceptable(error)
    };
    let (mut negotiated, mut offered) = (None, None);
    let description = match &invite.offer {
        Some(offer) => {
            let offer = sdp::parse_offer(offer).map_err(|error| refuse(&sip, error.into()))?;
            let (answer, agreed) = sdp::answer(&offer, &local, codecs, &security).map_err(|error| refuse(&sip, error))?;
            negotiated = Some(agreed);
            answer
        }
        None => offered.insert(own_offer(&local, codecs, &security, policy == Policy::Required)).bytes(),
    };
    local.version += 1;
    let answer_at = Instant::now() + ring;
    let mut is_ringing = !ring.is_zero();
    if is_ringing {
        sip.send(Command::Ring { offer: offered.as_ref().map(OwnOffer::bytes) });
    } else {
        sip.send(Command::Answer { sdp: description.clone() });
        listen(&media, negotiated.as_ref());
    }
    loop {
        let event = tokio::select! {
            event = sip.next_event() => event,
            () = sleep_until(answer_at), if is_ringing => {
                is_ringing = false;
                sip.send(Command::Answer { sdp: description.clone() });
                listen(&media, negotiated.as_ref());
                continue;
            }
        };
        match event {
            Event::EarlyAnswer { answer } => {
                if let Some(offer) = offered.take() {
                    let agreed = sdp::accept_answer(&offer, answer.as_deref().unwrap_or_default());
                    negotiated = Some(agreed.map_err(|error| refuse(&sip, error))?);
                }
            }
            Event::Acknowledged { answer } => {
                if let Some(offer) = &offered {
                    match sdp::accept_answer(offer, answer.as_deref().unwrap_or_default()) {
                        Ok(agreed) => negotiated = Some(agreed),
                        Err(error) => {
                            sip.send(Command::Hangup { reason: Some(Reason::sip(488, "the answer does not fit the offer")) });
                            return Err(NoSession::Unacceptable(error));
                        }
                    }
                }
                if let Some(negotiated) = negotiated {
                    let codecs = codecs.to_vec();
                    let session = CallSession { sip, media, media_events, negotiated, local, codecs, security, offered: None };
                    // A first offer of `sendonly` is a caller who only speaks, not one on hold.
                    session.connect(negotiated.direction_receive);
                    return Ok(session);
                }
            }
            Event::Ended(reason) => return Err(NoSession::Ended(reason)),
            // Nothing can be changed or keyed before there is a session.
            Event::Reoffer { .. } => sip.send(Command::RefuseReoffer { status: 491 }),
            Event::Incoming(_) | Event::Refreshed { .. } | Event::Info { .. } | Event::Transferred(_) => {}
        }
    }
}

impl CallSession {
    /// The codec that is sent.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.negotiated.codec
    }

    /// Answers a re-INVITE: hold, resume, another address, or a request for an offer of ours.
    pub fn reoffer(&mut self, offer: Option<&[u8]>) {
        let Some(offer) = offer else {
            let offer = own_offer(&self.local, &self.codecs, &self.security, self.negotiated.security != Security::None);
            self.sip.send(Command::AnswerReoffer { sdp: offer.bytes() });
            self.offered = Some(offer);
            self.local.version += 1;
            return;
        };
        // What the call is in goes on if it can: what is playing and recording has begun in it.
        let answered = sdp::parse_offer(offer).map_err(AnswerError::from).and_then(|offer| {
            let unchanged = sdp::answer(&offer, &self.local, &[self.negotiated.codec], &self.security);
            if matches!(unchanged, Err(AnswerError::NoCommonCodec)) {
                return sdp::answer(&offer, &self.local, &self.codecs, &self.security);
            }
            unchanged
        });
        match answered {
            Ok((answer, agreed)) => {
                self.local.version += 1;
                self.negotiated = agreed;
                self.reconnect();
                self.sip.send(Command::AnswerReoffer { sdp: answer });
            }
            Err(error) => {
                tracing::debug!(%error, "a re-INVITE is refused");
                self.sip.send(Command::RefuseReoffer { status: 488 });
            }
        }
    }

    /// Takes the caller's answer to an offer of ours in a re-INVITE.
    pub fn acknowledged(&mut self, answer: Option<&[u8]>) {
        let Some(offer) = self.offered.take() else { return };
        match sdp::accept_answer(&offer, answer.unwrap_or_default()) {
            Ok(agreed) => {
                self.negotiated = agreed;
                self.reconnect();
            }
            Err(error) => {
                tracing::debug!(%error, "the answer to our offer does not fit");
                self.sip.send(Command::Hangup { reason: Some(Reason::sip(488, "the answer does not fit the offer")) });
            }
        }
    }

    /// Takes the caller's answer to a re-INVITE of ours that changed nothing, and what it changes on the caller's side.
    pub fn refreshed(&mut self, answer: &[u8]) {
        let described = sdp::parse_offer(answer).map_err(AnswerError::from);
        match described.and_then(|description| sdp::answer(&description, &self.local, &[self.negotiated.codec], &self.security)) {
            Ok((_, agreed)) if agreed != self.negotiated => {
                self.negotiated = agreed;
                self.reconnect();
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the answer to a refresh changes nothing"),
        }
    }

    /// Whether the caller has us on hold.
    #[must_use]
    pub fn is_on_hold(&self) -> bool {
        !self.negotiated.direction_receive || self.negotiated.is_hold()
    }

    /// Waits for audio as if none had been expected so far.
    pub fn listen_anew(&self) {
        self.connect(false);
        self.reconnect();
    }

    /// Goes on with what a re-INVITE changed. Whoever holds us plays music at most: it is not recorded, and may cease.
    fn reconnect(&self) {
        self.connect(!self.is_on_hold());
    }

    fn connect(&self, receive: bool) {
        self.media.connect(stream(&self.negotiated, receive));
    }
}

/// Hears a caller who was answered: what they key and say while their ACK is lost counts. Only our own audio waits for it.
fn listen(media: &MediaSession, negotiated: Option<&Negotiated>) {
    if let Some(agreed) = negotiated {
        media.connect(Stream { send: false, ..stream(agreed, agreed.direction_receive) });
    }
}

/// The stream that was agreed on, for the media thread.
fn stream(agreed: &Negotiated, receive: bool) -> Stream {
    Stream {
        codec: agreed.codec,
        payload_type: agreed.codec_payload_type,
        telephone_event: agreed.telephone_event,
        packet_time: agreed.packet_time,
        remote: agreed.remote,
        remote_rtcp: agreed.remote_rtcp,
        rtcp_mux: agreed.rtcp_mux,
        send: agreed.direction_send,
        receive,
        // Keys are looked for in the audio only where nothing better was agreed on.
        detect_inband: agreed.telephone_event.is_none(),
        security: agreed.security,
    }
}

/// What an offer would be agreed to, for those who want to know.
///
/// # Errors
///
/// When it would be refused with 488.
pub fn agree(offer: &[u8], local: IpAddr, codecs: &[Codec], policy: Policy) -> Result<Negotiated, AnswerError> {
    let offer = sdp::parse_offer(offer)?;
    // Whose certificate it is matters to no offer.
    let security = local_security(policy, Fingerprint::of(&[]));
    Ok(sdp::answer(&offer, &local_media(local, 30_000), codecs, &security)?.1)
}

fn local_media(address: IpAddr, port: u16) -> LocalMedia {
    // RFC 4566 §5.2 asks for a number unlike any other of this machine's; 63 bits, as some peers read it signed.
    LocalMedia { address, port, session_id: rand::random::<u64>() >> 1, version: 1 }
}

fn local_security(policy: Policy, fingerprint: Fingerprint) -> LocalSecurity {
    let mut keys = [0; CallKeys::LENGTH];
    rand::fill(&mut keys);
    LocalSecurity {
        policy,
        keys: CallKeys::new(&keys),
        fingerprint: Some(fingerprint),
        ice: IceCredentials::new(&rand::random()),
    }
}

/// What we offer to a caller who made no offer.
fn own_offer(local: &LocalMedia, codecs: &[Codec], security: &LocalSecurity, encrypted: bool) -> OwnOffer {
    let offer = sdp::offer(local, codecs);
    if encrypted { offer.encrypted(security.keys.clone()) } else { offer }
}
