//! SRTP and SRTCP (RFC 3711), with AES in counter mode and HMAC-SHA1, or AES-GCM (RFC 7714).
//!
//! [`Protector`] is for what we send, [`Unprotector`] for what we receive; both work in the datagram's own buffer, without
//! allocation. [`cipher`] has the algorithms and how their keys are derived, [`window`] knows packets that were there before.
//!
//! Only what authenticates counts: a wrong tag changes no state, so nobody who lacks the key can fill the table of streams or
//! move a window.

mod cipher;
mod window;

use std::fmt;

use cipher::{Cipher, Stream};
use window::Window;

use super::{HEADER_LENGTH, packet};

/// The most bytes that protection adds to a packet: tag, and the index of SRTCP.
pub const LONGEST_TRAILER: usize = 16 + INDEX_LENGTH;
/// The longest master key with its salt: AES-256-GCM's.
pub const LONGEST_KEY: usize = 44;
/// How many streams of one peer are known at once; the one that was silent longest makes room. A peer has one, and another after
/// a transfer; some send keys with a stream of their own.
pub const MOST_STREAMS: usize = 4;

/// The index of an SRTCP packet, and whether it is encrypted.
const INDEX_LENGTH: usize = 4;
const RTCP_HEADER_LENGTH: usize = 8;
/// Set in the index of an SRTCP packet that is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-256-GCM (RFC 7714).
    AeadAes256Gcm,
    /// AES-128-GCM (RFC 7714).
    AeadAes128Gcm,
    /// AES-128 in counter mode, HMAC-SHA1 cut to 80 bits: what everybody has (RFC 3711).
    AesCm128HmacSha1_80,
    /// The same with tags of 32 bits for RTP.
    AesCm128HmacSha1_32,
}

impl Suite {
    /// All that we know, in the order in which we offer them: first what everybody knows.
    pub const ALL: [Self; 4] = [Self::AesCm128HmacSha1_80, Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_32];

    /// The name in SDP (RFC 4568 §6.2, RFC 7714 §14.2).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
        }
    }

    /// Bytes of master key and salt together.
    #[must_use]
    pub const fn length(self) -> usize {
        self.key_length() + self.salt_length()
    }
}

/// A master key and its salt. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; LONGEST_KEY],
    identifier: u8,
}

impl MasterKey {
    /// The first bytes of `key_and_salt` that the suite needs; `None` when there are fewer.
    #[must_use]
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let given = key_and_salt.get(..suite.length())?;
        let mut bytes = [0; LONGEST_KEY];
        bytes[..given.len()].copy_from_slice(given);
        Some(Self { suite, bytes, identifier: 0 })
    }

    /// The same, named by so many bytes in each packet that is protected with it (MKI). What they say does not matter, as there is
    /// one key only.
    #[must_use]
    pub fn named_in_packets_by(self, identifier: u8) -> Self {
        Self { identifier, ..self }
    }

    /// What it is a key for.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key and then the salt, for the line of SDP that tells them to the peer.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..self.suite.length()]
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key_length()]
    }

    fn salt(&self) -> &[u8] {
        &self.bytes[self.suite.key_length()..self.suite.length()]
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.suite.name())
    }
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is cut short, or no RTP or RTCP.
    Malformed,
    /// Its tag is wrong: somebody else's, or damaged, or of other keys.
    Forged,
    /// It was there before, or is too old to know.
    Replayed,
}

/// Both directions of a stream.
#[derive(Debug)]
pub struct Channel {
    /// For what we send.
    pub protector: Protector,
    /// For what we receive.
    pub unprotector: Unprotector,
}

impl Channel {
    /// Goes on after `before` with these keys. A direction whose key stays the same goes on where it is: to begin its packets anew
    /// would be the end of its secrecy.
    #[must_use]
    pub fn follow(before: Option<Self>, send: MasterKey, receive: MasterKey) -> Self {
        let (protector, unprotector) = before.map_or((None, None), |before| (Some(before.protector), Some(before.unprotector)));
        Self {
            protector: protector.filter(|before| before.key == send).unwrap_or_else(|| Protector::new(send)),
            unprotector: unprotector.filter(|before| before.key == receive).unwrap_or_else(|| Unprotector::new(receive)),
        }
    }
}

/// Protects one stream that we send, and our reports.
pub struct Protector {
    key: MasterKey,
    rtp: Cipher,
    rtcp: Cipher,
    /// How often the sequence number has wrapped.
    wraps: u32,
    sequence: Option<u16>,
    /// The index of the next SRTCP packet.
    index: u32,
}

impl Protector {
    /// Protects with that key. A key must not be used for two streams that may have the same SSRC.
    #[must_use]
    pub fn new(key: MasterKey) -> Self {
        let (rtp, rtcp) = (Cipher::new(&key, Stream::Rtp), Cipher::new(&key, Stream::Rtcp));
        Self { key, rtp, rtcp, wraps: 0, sequence: None, index: 0 }
    }

    /// Protects the RTP packet in the first `length` bytes, in place; answers its new length, at most [`LONGEST_TRAILER`] more.
    /// Packets must come in the order of their sequence numbers.
    ///
    /// `None` when it is no packet or the buffer has no room.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let header = header_length(buffer.get(..length)?)?;
        let sequence = u16::from_be_bytes([buffer[2], buffer[3]]);
        if self.sequence.replace(sequence).is_some_and(|before| sequence < before) {
            self.wraps = self.wraps.wrapping_add(1);
        }
        self.rtp.seal_rtp(buffer, header, length, self.wraps)
    }

    /// Protects the RTCP compound in the first `length` bytes, in place; answers its new length.
    ///
    /// `None` when it is no compound, the buffer has no room, or the key is used up after 2^31 packets.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        if length < RTCP_HEADER_LENGTH || self.index >= ENCRYPTED {
            return None;
        }
        let index = self.index;
        self.index += 1;
        self.rtcp.seal_rtcp(buffer, length, index)
    }
}

impl fmt::Debug for Protector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protector({})", self.key.suite.name())
    }
}

/// Checks and decrypts what a peer sends.
pub struct Unprotector {
    key: MasterKey,
    rtp: Cipher,
    rtcp: Cipher,
    streams: [Option<Known>; MOST_STREAMS],
    rtcp_streams: [Option<Known>; MOST_STREAMS],
    /// Counts packets, to tell which stream was silent longest.
    clock: u64,
    forged: u64,
    replayed: u64,
}

/// A stream that has authenticated itself.
#[derive(Clone, Copy)]
struct Known {
    ssrc: u32,
    /// The highest index so far and those below it. An index of RTP is the sequence number with its wraps above it.
    window: Window,
    heard: u64,
}

impl Unprotector {
    /// Expects packets protected with that key.
    #[must_use]
    pub fn new(key: MasterKey) -> Self {
        Self {
            key,
            rtp: Cipher::new(&key, Stream::Rtp),
            rtcp: Cipher::new(&key, Stream::Rtcp),
            streams: [None; MOST_STREAMS],
            rtcp_streams: [None; MOST_STREAMS],
            clock: 0,
            forged: 0,
            replayed: 0,
        }
    }

    /// Packets that were dropped so far because their tag was wrong.
    #[must_use]
    pub fn forged(&self) -> u64 {
        self.forged
    }

    /// Packets that were dropped so far because they had been there before or were too old.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Checks an RTP packet and decrypts it in place; answers its length without the tag.
    ///
    /// # Errors
    ///
    /// [`Refused`]; what the packet holds then is of no use.
    pub fn unprotect(&mut self, datagram: &mut [u8]) -> Result<usize, Refused> {
        let datagram = without_identifier(datagram, &self.key, &self.rtp)?;
        let header = header_length(datagram).ok_or(Refused::Malformed)?;
        let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
        let ssrc = word(datagram, 8);
        let known = self.streams.iter().flatten().find(|known| known.ssrc == ssrc);
        let (index, opened) = if let Some(known) = known {
            let index = nearest(sequence, known.window.highest()).ok_or(Refused::Malformed)?;
            if known.window.has(index) {
                self.replayed += 1;
                return Err(Refused::Replayed);
            }
            (index, self.rtp.open_rtp(datagram, header, (index >> 16) as u32))
        } else {
            // A stream begins with no wraps, or with one when it wrapped before its first packet arrived.
            let first = self.rtp.open_rtp(datagram, header, 0);
            if first == Err(Refused::Forged) && sequence < 1 << 15 {
                (1 << 16 | u64::from(sequence), self.rtp.open_rtp(datagram, header, 1))
            } else {
                (u64::from(sequence), first)
            }
        };
        self.forged += u64::from(opened == Err(Refused::Forged));
        let length = opened?;
        self.clock += 1;
        note(&mut self.streams, ssrc, index, self.clock);
        Ok(length)
    }

    /// Checks an RTCP compound and decrypts it in place; answers its length without tag and index.
    ///
    /// # Errors
    ///
    /// [`Refused`]; what the compound holds then is of no use.
    pub fn unprotect_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, Refused> {
        let datagram = without_identifier(datagram, &self.key, &self.rtcp)?;
        if datagram.len() < RTCP_HEADER_LENGTH + self.rtcp.rtcp_trailer() {
            return Err(Refused::Malformed);
        }
        let ssrc = word(datagram, 4);
        let index = self.rtcp.rtcp_index(datagram).ok_or(Refused::Malformed)?;
        let known = self.rtcp_streams.iter().flatten().find(|known| known.ssrc == ssrc);
        if known.is_some_and(|known| known.window.has(index.into())) {
            self.replayed += 1;
            return Err(Refused::Replayed);
        }
        let opened = self.rtcp.open_rtcp(datagram, index);
        self.forged += u64::from(opened == Err(Refused::Forged));
        let length = opened?;
        self.clock += 1;
        note(&mut self.rtcp_streams, ssrc, index.into(), self.clock);
        Ok(length)
    }
}

impl fmt::Debug for Unprotector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unprotector({})", self.key.suite.name())
    }
}

/// Takes the name of the key out of a packet. It stands before the tag of HMAC-SHA1, and behind everything with GCM.
fn without_identifier<'a>(packet: &'a mut [u8], key: &MasterKey, cipher: &Cipher) -> Result<&'a mut [u8], Refused> {
    let (length, identifier, tag) = (packet.len(), usize::from(key.identifier), cipher.last_tag());
    let end = length.checked_sub(identifier).filter(|&end| end >= tag).ok_or(Refused::Malformed)?;
    if identifier > 0 {
        packet.copy_within(length - tag.., end - tag);
    }
    Ok(&mut packet[..end])
}

/// Remembers a packet that has authenticated itself.
fn note(streams: &mut [Option<Known>; MOST_STREAMS], ssrc: u32, index: u64, clock: u64) {
    if let Some(known) = streams.iter_mut().flatten().find(|known| known.ssrc == ssrc) {
        known.window.add(index);
        known.heard = clock;
        return;
    }
    let place = streams.iter_mut().min_by_key(|known| known.map_or(0, |known| known.heard));
    if let Some(place) = place {
        *place = Some(Known { ssrc, window: Window::new(index), heard: clock });
    }
}

/// The index with this sequence number that is nearest to the highest so far (RFC 3711 §3.3.1); `None` when it would lie before
/// the beginning, or behind the end of the key's life.
fn nearest(sequence: u16, highest: u64) -> Option<u64> {
    let ahead = sequence.wrapping_sub(highest as u16).cast_signed();
    highest.checked_add_signed(ahead.into()).filter(|index| index >> 48 == 0)
}

/// The length of an RTP header with its contributing sources and extension: what is authenticated and not encrypted.
fn header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if first >> 6 != 2 || packet.len() < HEADER_LENGTH || packet::is_rtcp(packet) {
        return None;
    }
    let mut length = HEADER_LENGTH + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
    }
    (length <= packet.len()).then_some(length)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests;
