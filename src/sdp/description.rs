//! Reading a session description, and the parts of it that writing needs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sdp_types::{AddrType, Attribute, Connection, Media, NetType, Origin, Session, Time};

use super::{Direction, LocalMedia, protection::Offered};
use crate::audio::codec::Codec;

/// The longest description we read, in bytes. A browser's, with video, has about 8,000.
pub const LONGEST_DESCRIPTION: usize = 32 * 1024;

/// The most streams in a description that we read.
pub const MOST_STREAMS: usize = 32;

/// Why bytes are not a session description. The request is answered with 400.
#[derive(Debug, thiserror::Error)]
pub enum SdpError {
    /// More than [`LONGEST_DESCRIPTION`] bytes.
    #[error("the session description is longer than {LONGEST_DESCRIPTION} bytes")]
    TooLong,
    /// More than [`MOST_STREAMS`] streams.
    #[error("the session description has more than {MOST_STREAMS} streams")]
    TooManyStreams,
    /// Not of the form RFC 8866 demands, where it concerns us.
    #[error("the session description is malformed")]
    Malformed(#[source] sdp_types::ParserError),
}

/// What concerns us in a session description.
#[derive(Clone, Debug)]
pub(super) struct Description {
    /// Its `t=` lines, which an answer repeats.
    pub times: Vec<Time>,
    /// Its `m=` lines with what belongs to them.
    pub streams: Vec<Stream>,
}

/// One `m=` line.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub media: String,
    pub port: u16,
    pub protocol: String,
    /// The formats as written.
    pub formats: String,
    /// The formats we know, in the order of the `m=` line, which is that of preference.
    pub payloads: Vec<(u8, Payload)>,
    /// One host's address, or the unspecified one.
    pub address: Option<IpAddr>,
    /// What `a=rtcp` says, if it can be used.
    rtcp: Option<(u16, Option<IpAddr>)>,
    pub rtcp_mux: bool,
    pub direction: Direction,
    /// How it can be protected.
    pub offered: Offered,
    /// How many milliseconds of audio the peer would like in a packet, and the most it takes.
    packet_time: Option<u32>,
    longest_packet: Option<u32>,
}

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Audio(Codec),
    /// Keys, by a clock of so many units a second.
    TelephoneEvent(u32),
    /// What a pause sounds like (RFC 3389).
    ComfortNoise,
    /// Named in the description, and nothing we know.
    Other,
    /// A number without a name.
    Unnamed,
}

impl Description {
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        let session = Session::parse(&relevant_lines(bytes)?).map_err(SdpError::Malformed)?;
        let session_address = session.connection.as_ref().map(host_address);
        let session_direction = direction(&session.attributes);
        let stream = |media: &Media| Stream {
            media: media.media.clone(),
            port: media.port,
            protocol: media.proto.clone(),
            formats: media.fmt.clone(),
            payloads: payloads(media),
            address: media.connections.first().map(host_address).or(session_address).flatten(),
            rtcp: attribute(&media.attributes, "rtcp").and_then(rtcp),
            rtcp_mux: media.attributes.iter().any(|attribute| attribute.attribute == "rtcp-mux"),
            direction: direction(&media.attributes).or(session_direction).unwrap_or_default(),
            offered: Offered::read(media, &session.attributes),
            packet_time: attribute(&media.attributes, "ptime").and_then(milliseconds),
            longest_packet: attribute(&media.attributes, "maxptime").and_then(milliseconds),
        };
        Ok(Self { streams: session.medias.iter().map(stream).collect(), times: session.times })
    }
}

impl Stream {
    /// The payload type of telephone-event by the clock of our audio (RFC 4733 §2.1) and that clock; telephones that offer Opus
    /// and keys by the usual clock only send those.
    pub fn telephone_event(&self, clock_rate: u32) -> Option<(u8, u32)> {
        let with_clock = |wanted| {
            let mut payloads = self.payloads.iter();
            payloads.find(|(_, payload)| *payload == Payload::TelephoneEvent(wanted)).map(|&(number, _)| (number, wanted))
        };
        with_clock(clock_rate).or_else(|| with_clock(8000))
    }

    /// The payload type of comfort noise.
    pub fn comfort_noise(&self) -> Option<u8> {
        self.payloads.iter().find(|(_, payload)| *payload == Payload::ComfortNoise).map(|&(number, _)| number)
    }

    /// How many milliseconds of audio go into the packets that we send.
    pub fn packet_time(&self) -> u8 {
        let wanted = self.packet_time.unwrap_or(PACKET_TIME).min(self.longest_packet.unwrap_or(u32::MAX));
        u8::try_from(wanted).unwrap_or(u8::MAX)
    }

    /// Whether the stream is audio and switched on.
    pub fn is_audio(&self) -> bool {
        self.port != 0 && self.media.eq_ignore_ascii_case("audio")
    }

    /// Where RTP goes, and where RTCP goes when `mux` was or was not agreed on.
    pub fn targets(&self, address: IpAddr, mux: bool) -> (SocketAddr, SocketAddr) {
        let rtp = SocketAddr::new(address, self.port);
        let rtcp = match self.rtcp {
            _ if mux => rtp,
            Some((port, other)) => {
                SocketAddr::new(other.filter(|other| other.is_ipv4() == address.is_ipv4()).unwrap_or(address), port)
            }
            None => SocketAddr::new(address, self.port.checked_add(1).unwrap_or(self.port)),
        };
        (rtp, rtcp)
    }
}

/// Writes a description of ours around its streams.
pub(super) fn write(local: &LocalMedia, times: Vec<Time>, attributes: Vec<Attribute>, medias: Vec<Media>) -> Vec<u8> {
    let session = Session {
        origin: Origin::with_ip_addr(local.session_id, local.version, local.address),
        session_name: "-".to_owned(),
        session_description: None,
        uri: None,
        emails: Vec::new(),
        phones: Vec::new(),
        connection: Some(Connection::from_ip_addr(local.address)),
        bandwidths: Vec::new(),
        times,
        time_zones: Vec::new(),
        key: None,
        attributes,
        medias,
    };
    let mut bytes = Vec::with_capacity(512);
    session.write(&mut bytes).expect("a Vec takes whatever is written");
    bytes
}

/// The payload types of our audio stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Formats<'a> {
    /// The codecs, the preferred one first.
    pub codecs: &'a [(u8, Codec)],
    /// Keys, with their clock rates.
    pub telephone_events: &'a [(u8, u32)],
    pub comfort_noise: Option<u8>,
}

/// Our audio stream: the codecs, then telephone-event, 20 ms a packet.
pub(super) fn audio_stream(
    local: &LocalMedia,
    protocol: &str,
    payloads: &Formats<'_>,
    direction: Direction,
    rtcp_mux: bool,
) -> Media {
    let mut attributes = Vec::new();
    let mut formats: Vec<String> = Vec::new();
    for (payload_type, codec) in payloads.codecs {
        formats.push(payload_type.to_string());
        let channels = if codec.channels() == 1 { String::new() } else { format!("/{}", codec.channels()) };
        let name = format_args!("{payload_type} {}/{}{channels}", codec.name(), codec.clock_rate());
        attributes.push(Attribute::with_value("rtpmap", name));
        if let Some(parameters) = parameters(*codec) {
            attributes.push(Attribute::with_value("fmtp", format_args!("{payload_type} {parameters}")));
        }
    }
    if let Some(payload_type) = payloads.comfort_noise {
        formats.push(payload_type.to_string());
        attributes.push(Attribute::with_value("rtpmap", format_args!("{payload_type} CN/8000")));
    }
    for (payload_type, clock_rate) in payloads.telephone_events {
        formats.push(payload_type.to_string());
        attributes.push(Attribute::with_value("rtpmap", format_args!("{payload_type} telephone-event/{clock_rate}")));
        // The sixteen keys; nothing else of RFC 4733 means anything to us.
        attributes.push(Attribute::with_value("fmtp", format_args!("{payload_type} 0-15")));
    }
    attributes.push(Attribute::with_value("ptime", PACKET_TIME));
    if rtcp_mux {
        attributes.push(Attribute::new("rtcp-mux"));
    }
    attributes.push(Attribute::new(direction.name()));
    Media { attributes, ..bare_stream("audio", local.port, protocol, &formats.join(" ")) }
}

/// Milliseconds of audio in a packet, where nobody says otherwise.
const PACKET_TIME: u32 = 20;

/// What we say about a codec in `a=fmtp`.
fn parameters(codec: Codec) -> Option<&'static str> {
    match codec {
        // RFC 7587 §6.1: more than 16,000 samples a second would be wasted on us, and what is said twice survives a loss.
        Codec::Opus => Some("maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1"),
        // RFC 4856 §2.1.9: what it leaves out when silent is Annex B, and we send all of it.
        Codec::G729 => Some("annexb=no"),
        Codec::Pcmu | Codec::Pcma | Codec::G722 => None,
    }
}

/// An `m=` line with nothing below it; with port 0 it refuses a stream.
pub(super) fn bare_stream(media: &str, port: u16, protocol: &str, formats: &str) -> Media {
    Media {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: protocol.to_owned(),
        fmt: formats.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

/// The lines that decide something for us, as UTF-8 with single line feeds.
///
/// Telephones put all kinds of text into the other lines (names in Latin-1, sixty-digit versions, empty e-mail addresses), and a
/// call must not fail because of them. Lines that are no SDP at all are kept, so that they are refused.
fn relevant_lines(bytes: &[u8]) -> Result<Vec<u8>, SdpError> {
    if bytes.len() > LONGEST_DESCRIPTION {
        return Err(SdpError::TooLong);
    }
    let mut relevant = Vec::with_capacity(bytes.len());
    let mut streams = 0;
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii_end();
        match line {
            [] => continue,
            [b'm', b'=', fields @ ..] => {
                streams += 1;
                relevant.extend_from_slice(b"m=");
                // `sdp-types` takes every single space for a separator.
                relevant.extend_from_slice(words(&String::from_utf8_lossy(fields)).join(" ").as_bytes());
            }
            [b't', b'=', fields @ ..] => {
                if !is_times(fields) {
                    continue;
                }
                relevant.extend_from_slice(line);
            }
            [b'v' | b'c' | b'a', b'=', ..] => relevant.extend_from_slice(String::from_utf8_lossy(line).as_bytes()),
            [b'a'..=b'z', b'=', ..] => continue,
            _ => relevant.extend_from_slice(line),
        }
        relevant.push(b'\n');
    }
    if streams > MOST_STREAMS { Err(SdpError::TooManyStreams) } else { Ok(relevant) }
}

fn is_times(fields: &[u8]) -> bool {
    let fields = String::from_utf8_lossy(fields);
    let fields = words(&fields);
    fields.len() == 2 && fields.iter().all(|field| field.parse::<u64>().is_ok())
}

/// What the formats of an `m=` line stand for. Formats that are no payload type are left out.
fn payloads(media: &Media) -> Vec<(u8, Payload)> {
    let types = media.fmt.split_ascii_whitespace().filter_map(|format| format.parse().ok().filter(|&number: &u8| number < 128));
    types.map(|number| (number, named(media, number))).collect()
}

fn named(media: &Media, number: u8) -> Payload {
    let maps = media.attributes.iter().filter(|attribute| attribute.attribute == "rtpmap");
    let mut names = maps.filter_map(|attribute| {
        let (payload_type, name) = attribute.value.as_deref()?.trim_start().split_once(' ')?;
        (payload_type.parse() == Ok(number)).then(|| name.trim())
    });
    match names.next() {
        Some(name) => payload(name),
        // Payload types below 96 have a meaning of their own (RFC 3551).
        None if number == COMFORT_NOISE => Payload::ComfortNoise,
        None => Codec::from_payload_type(number).map_or(Payload::Unnamed, Payload::Audio),
    }
}

/// The static payload type of comfort noise.
const COMFORT_NOISE: u8 = 13;

/// Reads `PCMU/8000`, `PCMU/8000/1` or `opus/48000/2`, in any case.
fn payload(name: &str) -> Payload {
    let mut parts = name.split('/');
    let (Some(encoding), Some(clock_rate), channels, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Payload::Other;
    };
    let (Ok(clock_rate), Ok(channels)) = (clock_rate.parse::<u32>(), channels.unwrap_or("1").parse::<u8>()) else {
        return Payload::Other;
    };
    // The same on the wire.
    let encoding = if encoding.eq_ignore_ascii_case("G729A") { "G729" } else { encoding };
    let known = Codec::from_name(encoding).filter(|codec| (codec.clock_rate(), codec.channels()) == (clock_rate, channels));
    match known {
        Some(codec) => Payload::Audio(codec),
        None if channels != 1 => Payload::Other,
        None if encoding.eq_ignore_ascii_case("telephone-event") => Payload::TelephoneEvent(clock_rate),
        None if encoding.eq_ignore_ascii_case("CN") && clock_rate == 8000 => Payload::ComfortNoise,
        None => Payload::Other,
    }
}

/// Reads `20`, also where a careless peer writes `20.0` or more behind it.
fn milliseconds(value: &str) -> Option<u32> {
    value.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|&time| time > 0)
}

/// The address in a `c=` line, if it is one host's or the unspecified one.
fn host_address(connection: &Connection) -> Option<IpAddr> {
    let known = connection.nettype == NetType::In && matches!(connection.addrtype, AddrType::Ip4 | AddrType::Ip6);
    unicast(connection.connection_address.parse().ok().filter(|_| known)?)
}

fn unicast(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    (!address.is_multicast() && address != IpAddr::V4(Ipv4Addr::BROADCAST)).then_some(address)
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| Direction::from_name(&attribute.attribute))
}

/// Reads `53020` or `53020 IN IP4 192.0.2.1` (RFC 3605).
fn rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    match words(value)[..] {
        [port] => Some((port.parse().ok().filter(|&port| port != 0)?, None)),
        [port, "IN", "IP4" | "IP6", address] => {
            let address = unicast(address.parse().ok()?)?;
            Some((port.parse().ok().filter(|&port| port != 0)?, Some(address).filter(|address| !address.is_unspecified())))
        }
        _ => None,
    }
}

pub(super) fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.attribute == name)?.value.as_deref()
}

fn words(text: &str) -> Vec<&str> {
    text.split_ascii_whitespace().collect()
}
