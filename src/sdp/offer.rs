//! Offering, and reading what is answered.

use super::{
    AnswerError, CallKeys, Direction, LocalMedia, Negotiated, crypto,
    description::{self, Description, Formats, Payload, Stream},
};
use crate::{
    audio::codec::Codec,
    rtp::{Security, srtp::Suite},
};

/// The payload type we offer telephone-event with: what nearly everybody uses, and another beside Opus, whose clock is faster.
const TELEPHONE_EVENT: u8 = 101;
const FAST_TELEPHONE_EVENT: u8 = 102;

/// An offer of ours, kept until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOffer {
    local: LocalMedia,
    codecs: Vec<Codec>,
    /// Payload types and clock rates.
    telephone_events: Vec<(u8, u32)>,
    direction: Direction,
    keys: Option<CallKeys>,
}

/// Offers one audio stream with these codecs, the preferred one first, and telephone-event.
#[must_use]
pub fn offer(local: &LocalMedia, codecs: &[Codec]) -> OwnOffer {
    let mut telephone_events = vec![(TELEPHONE_EVENT, 8000), (FAST_TELEPHONE_EVENT, 48_000)];
    telephone_events.retain(|(_, clock_rate)| codecs.iter().any(|codec| codec.clock_rate() == *clock_rate));
    OwnOffer { local: *local, codecs: codecs.to_vec(), telephone_events, direction: Direction::SendReceive, keys: None }
}

impl OwnOffer {
    /// The same with another direction: `SendOnly` or `Inactive` puts the peer on hold.
    #[must_use]
    pub fn with_direction(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// The same without telephone-event: keys can then only be sent as tones or by INFO.
    #[must_use]
    pub fn without_telephone_event(self) -> Self {
        Self { telephone_events: Vec::new(), ..self }
    }

    /// The same, encrypted with keys in the description (SDES): whoever cannot do that refuses the call.
    #[must_use]
    pub fn encrypted(self, keys: CallKeys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// The offer as it is sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let codecs: Vec<_> = self.codecs.iter().map(|&codec| (codec.payload_type(), codec)).collect();
        let protocol = self.protocol();
        let formats = Formats { codecs: &codecs, telephone_events: &self.telephone_events, comfort_noise: None };
        let mut stream = description::audio_stream(&self.local, protocol, &formats, self.direction, false);
        if let Some(keys) = &self.keys {
            stream.attributes.extend((1..).zip(Suite::ALL).map(|(tag, suite)| crypto::attribute(tag, &keys.of(suite))));
        }
        description::write(&self.local, Vec::new(), Vec::new(), vec![stream])
    }

    fn protocol(&self) -> &'static str {
        if self.keys.is_some() { "RTP/SAVP" } else { "RTP/AVP" }
    }

    /// What an answer's stream agrees to; `None` when that is not what was offered.
    fn security(&self, stream: &Stream) -> Option<Security> {
        let profile = stream.protocol.get(..self.protocol().len())?;
        // Some answer AVP with AVPF.
        let feedback = &stream.protocol[profile.len()..];
        if !profile.eq_ignore_ascii_case(self.protocol()) || !(feedback.is_empty() || feedback.eq_ignore_ascii_case("F")) {
            return None;
        }
        let Some(keys) = &self.keys else { return Some(Security::None) };
        let line = stream.offered.crypto.first()?;
        let (_, suite) = (1..).zip(Suite::ALL).find(|&(tag, suite)| tag == line.tag && suite == line.key.suite())?;
        Some(Security::Keys { send: keys.of(suite), receive: line.key })
    }

    /// What a payload type of the answer stands for; one that the answer does not name means what we offered it as.
    fn meaning(&self, payload_type: u8, payload: Payload) -> Payload {
        let unnamed = || {
            let event = self.telephone_events.iter().find(|(number, _)| *number == payload_type);
            let codec = self.codecs.iter().find(|codec| codec.payload_type() == payload_type);
            let event = event.map(|&(_, clock_rate)| Payload::TelephoneEvent(clock_rate));
            event.or(codec.copied().map(Payload::Audio)).unwrap_or(payload)
        };
        if payload == Payload::Unnamed { unnamed() } else { payload }
    }
}

/// Reads the answer to our offer. Of several codecs the answerer's first counts.
///
/// # Errors
///
/// [`AnswerError`] when it cannot be read or agrees to nothing we offered; the call is ended.
pub fn accept_answer(offer: &OwnOffer, bytes: &[u8]) -> Result<Negotiated, AnswerError> {
    let description = Description::parse(bytes)?;
    let stream = description.streams.first().filter(|stream| stream.is_audio()).ok_or(AnswerError::NoAudio)?;
    let security = offer.security(stream).ok_or(AnswerError::NoAudio)?;
    let payloads = stream.payloads.iter().map(|&(number, payload)| (number, offer.meaning(number, payload)));
    let codec = payloads.clone().find_map(|(number, payload)| match payload {
        Payload::Audio(codec) if offer.codecs.contains(&codec) => Some((number, codec)),
        Payload::Audio(_) | Payload::TelephoneEvent(_) | Payload::ComfortNoise | Payload::Other | Payload::Unnamed => None,
    });
    let (codec_payload_type, codec) = codec.ok_or(AnswerError::NoCommonCodec)?;
    let telephone_event = payloads.clone().filter_map(|(number, payload)| match payload {
        Payload::TelephoneEvent(clock_rate) => Some((number, clock_rate)),
        Payload::Audio(_) | Payload::ComfortNoise | Payload::Other | Payload::Unnamed => None,
    });
    // By the codec's clock, if there is one (RFC 4733 §2.1).
    let telephone_event = telephone_event.min_by_key(|&(_, clock_rate)| clock_rate.abs_diff(codec.clock_rate()));
    let address = stream.address.ok_or(AnswerError::UnusableAddress)?;
    if !address.is_unspecified() && address.is_ipv4() != offer.local.address.to_canonical().is_ipv4() {
        return Err(AnswerError::OtherIpVersion);
    }
    // We never offer `rtcp-mux`, so an answer cannot agree to it.
    let (remote, remote_rtcp) = stream.targets(address, false);
    Ok(Negotiated {
        codec,
        codec_payload_type,
        telephone_event: telephone_event.map(|(number, _)| number).filter(|_| !offer.telephone_events.is_empty()),
        packet_time: stream.packet_time(),
        remote,
        remote_rtcp,
        direction_send: offer.direction.sends() && stream.direction.receives() && !address.is_unspecified(),
        direction_receive: offer.direction.receives() && stream.direction.sends(),
        rtcp_mux: false,
        security,
    })
}
