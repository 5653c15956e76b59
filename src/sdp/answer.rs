//! Answering an offer.

use std::net::IpAddr;

use super::{
    AnswerError, Direction, LocalMedia, Negotiated, SdpError,
    description::{self, Description, Payload, Stream},
};
use crate::audio::codec::Codec;

/// A peer's offer, read.
#[derive(Clone, Debug)]
pub struct Offer(Description);

impl Offer {
    /// The address the peer wants audio at, by which the local address can be chosen; `None` when it cannot be answered.
    #[must_use]
    pub fn remote_ip(&self) -> Option<IpAddr> {
        choose(&self.0).ok().map(|choice| choice.address)
    }
}

/// Reads an offer.
///
/// # Errors
///
/// [`SdpError`] when the bytes are no session description; the request is answered with 400.
pub fn parse_offer(bytes: &[u8]) -> Result<Offer, SdpError> {
    Description::parse(bytes).map(Offer)
}

/// Answers an offer with one audio stream and, when offered, telephone-event; all other streams are refused.
///
/// Takes the first codec of the offer that we have, and only that one, so that a recording has one codec. Keeps the offerer's
/// payload types; `ptime` is 20 (milliseconds). Accepts `rtcp-mux` when offered.
///
/// # Errors
///
/// [`AnswerError`] when no stream fits; the call is refused with 488.
pub fn answer(offer: &Offer, local: &LocalMedia) -> Result<(Vec<u8>, Negotiated), AnswerError> {
    let Description { times, streams } = &offer.0;
    let choice = choose(&offer.0)?;
    let unspecified = choice.address.is_unspecified();
    if !unspecified && choice.address.is_ipv4() != local.address.to_canonical().is_ipv4() {
        return Err(AnswerError::OtherIpVersion);
    }
    let chosen = &streams[choice.stream];
    let direction = chosen.direction.reversed();
    // The unspecified address is how a hold was written before RFC 3264; what the direction says still counts.
    let direction = Direction::new(direction.sends() && !unspecified, direction.receives());
    let telephone_event = chosen.telephone_event();
    let (remote, remote_rtcp) = chosen.targets(choice.address, chosen.rtcp_mux);

    let medias = streams.iter().enumerate().map(|(index, stream)| {
        if index == choice.stream {
            let codecs = [(choice.payload_type, choice.codec)];
            description::audio_stream(local, &stream.protocol, &codecs, telephone_event, direction, stream.rtcp_mux)
        } else {
            description::bare_stream(&stream.media, 0, &stream.protocol, &stream.formats)
        }
    });
    let bytes = description::write(local, times.clone(), medias.collect());
    let negotiated = Negotiated {
        codec: choice.codec,
        codec_payload_type: choice.payload_type,
        telephone_event,
        remote,
        remote_rtcp,
        direction_send: direction.sends(),
        direction_receive: direction.receives(),
        rtcp_mux: chosen.rtcp_mux,
    };
    Ok((bytes, negotiated))
}

/// The stream of an offer that we answer.
struct Choice {
    stream: usize,
    payload_type: u8,
    codec: Codec,
    address: IpAddr,
}

/// Takes the first stream that fits. If none does, says what the one that came closest lacks.
fn choose(description: &Description) -> Result<Choice, AnswerError> {
    let mut closest = AnswerError::NoAudio;
    for (index, stream) in description.streams.iter().enumerate().filter(|(_, stream)| stream.is_plain_audio()) {
        match (first_codec(stream), stream.address) {
            (Some((payload_type, codec)), Some(address)) => return Ok(Choice { stream: index, payload_type, codec, address }),
            (Some(_), None) => closest = AnswerError::UnusableAddress,
            (None, _) if matches!(closest, AnswerError::NoAudio) => closest = AnswerError::NoCommonCodec,
            (None, _) => {}
        }
    }
    Err(closest)
}

fn first_codec(stream: &Stream) -> Option<(u8, Codec)> {
    stream.payloads.iter().find_map(|&(number, payload)| match payload {
        Payload::Audio(codec) => Some((number, codec)),
        Payload::TelephoneEvent | Payload::Other | Payload::Unnamed => None,
    })
}
