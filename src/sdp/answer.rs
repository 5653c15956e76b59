//! Answering an offer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{
    AnswerError, Direction, LocalMedia, LocalSecurity, Negotiated, Policy, SdpError,
    description::{self, Description, Formats, Payload, Stream},
    protection::Protection,
};
use crate::audio::codec::Codec;

/// A peer's offer, read.
#[derive(Clone, Debug)]
pub struct Offer(Description);

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
/// Takes the first codec of the offer that is one of `codecs`, and only that one, so that a recording has one codec. Keeps the offerer's
/// payload types; `ptime` is 20 (milliseconds). Accepts comfort noise and `rtcp-mux` when offered. A stream with encryption is preferred to one
/// without, and what `security` has decides which can be taken.
///
/// # Errors
///
/// [`AnswerError`] when no stream fits; the call is refused with 488.
pub fn answer(
    offer: &Offer,
    local: &LocalMedia,
    codecs: &[Codec],
    security: &LocalSecurity,
) -> Result<(Vec<u8>, Negotiated), AnswerError> {
    let Description { times, streams } = &offer.0;
    let choice = choose(&offer.0, local, codecs, security)?;
    let Choice { protection, address, .. } = choice;
    // An agent that checks paths will say which one to use; until then there is none.
    let on_hold = address.is_unspecified() && protection.ice().is_none();
    let chosen = &streams[choice.stream];
    let direction = chosen.direction.reversed();
    // The unspecified address is how a hold was written before RFC 3264; what the direction says still counts.
    let direction = Direction::new(direction.sends() && !on_hold, direction.receives());
    let telephone_event = chosen.telephone_event(choice.codec.clock_rate());
    let (remote, remote_rtcp) = chosen.targets(address, chosen.rtcp_mux);

    let medias = streams.iter().enumerate().map(|(index, stream)| {
        if index == choice.stream {
            let formats = Formats {
                codecs: &[(choice.payload_type, choice.codec)],
                telephone_events: telephone_event.as_slice(),
                // Opus has a silence of its own.
                comfort_noise: stream.comfort_noise().filter(|_| choice.codec != Codec::Opus),
            };
            let mut media = description::audio_stream(local, &stream.protocol, &formats, direction, stream.rtcp_mux);
            let here = SocketAddr::new(local.address, local.port);
            stream.offered.describe(&mut media, &protection, here, security, stream.rtcp_mux);
            media
        } else {
            description::bare_stream(&stream.media, 0, &stream.protocol, &stream.formats)
        }
    });
    let bytes = description::write(local, times.clone(), chosen.offered.session_attributes(&protection), medias.collect());
    let negotiated = Negotiated {
        codec: choice.codec,
        codec_payload_type: choice.payload_type,
        telephone_event: telephone_event.map(|(payload_type, _)| payload_type),
        packet_time: chosen.packet_time(),
        remote,
        remote_rtcp,
        direction_send: direction.sends(),
        direction_receive: direction.receives(),
        rtcp_mux: chosen.rtcp_mux,
        security: protection.agreed(security),
    };
    Ok((bytes, negotiated))
}

/// The stream of an offer that we answer.
struct Choice {
    stream: usize,
    payload_type: u8,
    codec: Codec,
    address: IpAddr,
    protection: Protection,
}

/// Takes the first stream that fits and is encrypted, or else the first that fits. If none does, says what the one that came
/// closest lacks.
fn choose(
    description: &Description,
    local: &LocalMedia,
    codecs: &[Codec],
    security: &LocalSecurity,
) -> Result<Choice, AnswerError> {
    let mut plain = None;
    let mut closest = AnswerError::NoAudio;
    for (index, stream) in description.streams.iter().enumerate().filter(|(_, stream)| stream.is_audio()) {
        let Some(protection) = stream.offered.protection(&stream.protocol, security) else {
            if security.policy == Policy::Required && matches!(closest, AnswerError::NoAudio) {
                closest = AnswerError::NotEncrypted;
            }
            continue;
        };
        let Some((payload_type, codec)) = first_codec(stream, codecs) else {
            if matches!(closest, AnswerError::NoAudio | AnswerError::NotEncrypted) {
                closest = AnswerError::NoCommonCodec;
            }
            continue;
        };
        match address(stream, &protection, local) {
            Ok(address) => {
                let choice = Choice { stream: index, payload_type, codec, address, protection };
                if !matches!(protection, Protection::None) {
                    return Ok(choice);
                }
                plain = plain.or(Some(choice));
            }
            Err(error) => closest = error,
        }
    }
    plain.ok_or(closest)
}

/// Where the stream's audio goes.
fn address(stream: &Stream, protection: &Protection, local: &LocalMedia) -> Result<IpAddr, AnswerError> {
    let is_ours = |address: IpAddr| address.is_ipv4() == local.address.to_canonical().is_ipv4();
    match stream.address {
        Some(address) if address.is_unspecified() || is_ours(address) => Ok(address),
        // Its agent has other addresses too, and will try them.
        _ if protection.ice().is_some() => Ok(Ipv4Addr::UNSPECIFIED.into()),
        Some(_) => Err(AnswerError::OtherIpVersion),
        None => Err(AnswerError::UnusableAddress),
    }
}

fn first_codec(stream: &Stream, codecs: &[Codec]) -> Option<(u8, Codec)> {
    stream.payloads.iter().find_map(|&(number, payload)| match payload {
        Payload::Audio(codec) if codecs.contains(&codec) => Some((number, codec)),
        Payload::Audio(_) | Payload::TelephoneEvent(_) | Payload::ComfortNoise | Payload::Other | Payload::Unnamed => None,
    })
}
