//! The algorithms, and how the keys of a session are derived from the master key (RFC 3711 §4, RFC 7714).

use aes::{Aes128, Aes256};
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, KeyInit};
use ctr::{
    Ctr128BE, CtrCore,
    cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, StreamCipher, consts::U16},
};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::{ENCRYPTED, INDEX_LENGTH, MasterKey, RTCP_HEADER_LENGTH, Refused, Suite, word};

/// The tag of HMAC-SHA1 for RTCP, and for RTP unless a shorter one was agreed on.
const LONG_TAG: usize = 10;
const SHORT_TAG: usize = 4;
const GCM_TAG: usize = 16;

/// Labels of the derivation for RTP; those for RTCP are three higher (RFC 3711 §4.3).
const LABEL_KEY: u8 = 0;
const LABEL_AUTHENTICATION: u8 = 1;
const LABEL_SALT: u8 = 2;

/// What the keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Rtp,
    Rtcp,
}

/// Keys of a session for RTP or for RTCP, expanded.
pub(super) enum Cipher {
    Counter(Box<Counter>),
    Gcm(Box<Gcm>),
}

pub(super) struct Counter {
    aes: Aes128,
    salt: [u8; 14],
    hmac: Hmac<Sha1>,
    tag: usize,
}

pub(super) struct Gcm {
    key: GcmKey,
    salt: [u8; 12],
}

enum GcmKey {
    Of128(Aes128Gcm),
    Of256(Aes256Gcm),
}

impl Cipher {
    pub(super) fn new(master: &MasterKey, stream: Stream) -> Self {
        let first_label = if stream == Stream::Rtp { 0 } else { 3 };
        let derived = |label: u8, out: &mut [u8]| derive(master, first_label + label, out);
        let mut salt = [0; 14];
        derived(LABEL_SALT, &mut salt[..master.suite().salt_length()]);
        let (mut key, mut authentication) = ([0; 32], [0; 20]);
        derived(LABEL_KEY, &mut key[..master.suite().key_length()]);
        let [short_key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = key;
        let [gcm_salt @ .., _, _] = salt;
        match master.suite() {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                derived(LABEL_AUTHENTICATION, &mut authentication);
                let short = stream == Stream::Rtp && master.suite() == Suite::AesCm128HmacSha1_32;
                Self::Counter(Box::new(Counter {
                    aes: Aes128::new(&short_key.into()),
                    salt,
                    hmac: Hmac::new_from_slice(&authentication).expect("HMAC takes keys of any length"),
                    tag: if short { SHORT_TAG } else { LONG_TAG },
                }))
            }
            Suite::AeadAes128Gcm => {
                Self::Gcm(Box::new(Gcm { key: GcmKey::Of128(Aes128Gcm::new(&short_key.into())), salt: gcm_salt }))
            }
            Suite::AeadAes256Gcm => Self::Gcm(Box::new(Gcm { key: GcmKey::Of256(Aes256Gcm::new(&key.into())), salt: gcm_salt })),
        }
    }

    /// Encrypts what follows the header and appends the tag; answers the new length.
    pub(super) fn seal_rtp(&self, buffer: &mut [u8], header: usize, length: usize, wraps: u32) -> Option<usize> {
        let (ssrc, sequence) = (word(buffer, 8), u16::from_be_bytes([buffer[2], buffer[3]]));
        let end = length + self.tag();
        let (packet, tag) = buffer.get_mut(..end)?.split_at_mut(length);
        match self {
            Self::Counter(counter) => {
                counter.apply(ssrc, u64::from(wraps) << 16 | u64::from(sequence), &mut packet[header..]);
                tag.copy_from_slice(&counter.mac(&[packet, &wraps.to_be_bytes()]).finalize().into_bytes()[..counter.tag]);
            }
            Self::Gcm(gcm) => {
                let (header, body) = packet.split_at_mut(header);
                gcm.seal(&gcm.rtp_nonce(ssrc, wraps, sequence), header, body, tag)?;
            }
        }
        Some(end)
    }

    /// Checks the tag and decrypts what follows the header; answers the length without the tag. A packet whose tag is wrong stays
    /// as it is.
    pub(super) fn open_rtp(&self, packet: &mut [u8], header: usize, wraps: u32) -> Result<usize, Refused> {
        let (ssrc, sequence) = (word(packet, 8), u16::from_be_bytes([packet[2], packet[3]]));
        let length = packet.len().checked_sub(self.tag()).filter(|&length| length >= header).ok_or(Refused::Malformed)?;
        let (packet, tag) = packet.split_at_mut(length);
        match self {
            Self::Counter(counter) => {
                // Compares in constant time.
                let mac = counter.mac(&[packet, &wraps.to_be_bytes()]);
                mac.verify_truncated_left(tag).map_err(|_| Refused::Forged)?;
                counter.apply(ssrc, u64::from(wraps) << 16 | u64::from(sequence), &mut packet[header..]);
            }
            Self::Gcm(gcm) => {
                let (header, body) = packet.split_at_mut(header);
                gcm.open(&gcm.rtp_nonce(ssrc, wraps, sequence), header, body, tag)?;
            }
        }
        Ok(length)
    }

    /// Encrypts a compound behind its first header and appends tag and index; answers the new length.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, index: u32) -> Option<usize> {
        let ssrc = word(buffer, 4);
        let word = (index | ENCRYPTED).to_be_bytes();
        let end = length + self.rtcp_trailer();
        let (packet, trailer) = buffer.get_mut(..end)?.split_at_mut(length);
        let (header, body) = packet.split_at_mut(RTCP_HEADER_LENGTH);
        match self {
            Self::Counter(counter) => {
                counter.apply(ssrc, index.into(), body);
                let (index, tag) = trailer.split_at_mut(INDEX_LENGTH);
                index.copy_from_slice(&word);
                tag.copy_from_slice(&counter.mac(&[packet, &word]).finalize().into_bytes()[..counter.tag]);
            }
            Self::Gcm(gcm) => {
                let (tag, index_place) = trailer.split_at_mut(GCM_TAG);
                index_place.copy_from_slice(&word);
                gcm.seal(&gcm.rtcp_nonce(ssrc, index), &associated(header, word), body, tag)?;
            }
        }
        Some(end)
    }

    /// The index in a compound that is long enough for its trailer; `None` when it is not encrypted, which we never agree to.
    pub(super) fn rtcp_index(&self, compound: &[u8]) -> Option<u32> {
        let at = match self {
            Self::Counter(counter) => compound.len() - counter.tag - INDEX_LENGTH,
            // Behind the tag, not before it (RFC 7714 §9.2).
            Self::Gcm(_) => compound.len() - INDEX_LENGTH,
        };
        let word = word(compound, at);
        (word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)
    }

    /// Checks the tag and decrypts a compound that is long enough for its trailer; answers the length without it.
    pub(super) fn open_rtcp(&self, compound: &mut [u8], index: u32) -> Result<usize, Refused> {
        let ssrc = word(compound, 4);
        let word = (index | ENCRYPTED).to_be_bytes();
        let length = compound.len() - self.rtcp_trailer();
        let (packet, trailer) = compound.split_at_mut(length);
        match self {
            Self::Counter(counter) => {
                counter.mac(&[packet, &word]).verify_truncated_left(&trailer[INDEX_LENGTH..]).map_err(|_| Refused::Forged)?;
                counter.apply(ssrc, index.into(), &mut packet[RTCP_HEADER_LENGTH..]);
            }
            Self::Gcm(gcm) => {
                let (header, body) = packet.split_at_mut(RTCP_HEADER_LENGTH);
                gcm.open(&gcm.rtcp_nonce(ssrc, index), &associated(header, word), body, &trailer[..GCM_TAG])?;
            }
        }
        Ok(length)
    }

    /// Bytes of the tag, if it is the last of a packet.
    pub(super) fn last_tag(&self) -> usize {
        match self {
            Self::Counter(counter) => counter.tag,
            Self::Gcm(_) => 0,
        }
    }

    /// Bytes that a protected compound has behind its body.
    pub(super) fn rtcp_trailer(&self) -> usize {
        INDEX_LENGTH + self.tag()
    }

    fn tag(&self) -> usize {
        match self {
            Self::Counter(counter) => counter.tag,
            Self::Gcm(_) => GCM_TAG,
        }
    }
}

impl Counter {
    /// Encrypts or decrypts, which is the same (RFC 3711 §4.1.1).
    fn apply(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        apply_key_stream(&self.aes, iv, bytes);
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha1> {
        parts.iter().fold(self.hmac.clone(), |mac, part| mac.chain_update(part))
    }
}

impl Gcm {
    /// RFC 7714 §8.1.
    fn rtp_nonce(&self, ssrc: u32, wraps: u32, sequence: u16) -> [u8; 12] {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..10], &wraps.to_be_bytes());
        xor(&mut nonce[10..], &sequence.to_be_bytes());
        nonce
    }

    /// RFC 7714 §9.1.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> [u8; 12] {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[8..], &index.to_be_bytes());
        nonce
    }

    fn seal(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8], tag: &mut [u8]) -> Option<()> {
        let made = match &self.key {
            GcmKey::Of128(key) => key.encrypt_inout_detached(nonce.into(), associated, body.into()),
            GcmKey::Of256(key) => key.encrypt_inout_detached(nonce.into(), associated, body.into()),
        };
        tag.copy_from_slice(&made.ok()?);
        Some(())
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], body: &mut [u8], tag: &[u8]) -> Result<(), Refused> {
        let tag = tag.try_into().map_err(|_| Refused::Malformed)?;
        let opened = match &self.key {
            GcmKey::Of128(key) => key.decrypt_inout_detached(nonce.into(), associated, body.into(), tag),
            GcmKey::Of256(key) => key.decrypt_inout_detached(nonce.into(), associated, body.into(), tag),
        };
        opened.map_err(|_| Refused::Forged)
    }
}

/// What is authenticated and not encrypted of an SRTCP packet (RFC 7714 §17).
fn associated(header: &[u8], index: [u8; INDEX_LENGTH]) -> [u8; RTCP_HEADER_LENGTH + INDEX_LENGTH] {
    let mut associated = [0; RTCP_HEADER_LENGTH + INDEX_LENGTH];
    associated[..RTCP_HEADER_LENGTH].copy_from_slice(header);
    associated[RTCP_HEADER_LENGTH..].copy_from_slice(&index);
    associated
}

/// Derives a session key (RFC 3711 §4.3.1, with a key derivation rate of zero). A salt of 96 bits has zeros behind it
/// (RFC 7714 §11).
fn derive(master: &MasterKey, label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..master.salt().len()].copy_from_slice(master.salt());
    iv[7] ^= label;
    out.fill(0);
    if let Ok(key) = master.key().try_into() {
        apply_key_stream(&Aes256::new(key), iv, out);
    } else if let Ok(key) = master.key().try_into() {
        apply_key_stream(&Aes128::new(key), iv, out);
    }
}

fn apply_key_stream<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(cipher: &C, iv: [u8; 16], bytes: &mut [u8]) {
    Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &iv.into())).apply_keystream(bytes);
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    for (byte, with) in bytes.iter_mut().zip(with) {
        *byte ^= with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_b_2() {
        let aes = Aes128::new_from_slice(&unhex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
        let mut bytes = [0; 48];

        apply_key_stream(&aes, *unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000").first_chunk().unwrap(), &mut bytes);

        let expected = "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0";
        assert_eq!(bytes[..], unhex(expected));
    }

    #[test]
    fn keys_are_derived_as_in_rfc_3711_b_3() {
        let master = unhex("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
        let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &master).unwrap();
        let derived = |label, length| {
            let mut out = vec![0; length];
            derive(&master, label, &mut out);
            out
        };

        assert_eq!(derived(LABEL_KEY, 16), unhex("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(derived(LABEL_SALT, 14), unhex("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(derived(LABEL_AUTHENTICATION, 20), unhex("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    }

    #[test]
    fn packets_are_those_of_rfc_7714_16() {
        let plain =
            unhex("8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573");
        let ciphers = [
            (
                gcm_128(),
                "8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
                 899d7f27beb16a9152cf765ee4390cce",
            ),
            (
                gcm_256(),
                "8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b
                 7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ];

        for (cipher, expected) in ciphers {
            let mut buffer = [plain.clone(), vec![0; GCM_TAG]].concat();
            assert_eq!(cipher.seal_rtp(&mut buffer, 12, plain.len(), 0), Some(plain.len() + GCM_TAG));
            assert_eq!(buffer, unhex(expected));

            assert_eq!(cipher.open_rtp(&mut buffer, 12, 1), Err(Refused::Forged));
            assert_eq!(cipher.open_rtp(&mut buffer, 12, 0), Ok(plain.len()));
            assert_eq!(buffer[..plain.len()], plain);
        }
    }

    #[test]
    fn compounds_are_those_of_rfc_7714_17() {
        let plain =
            unhex("81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
        let expected = "81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b
            c84aa45896cf4d2fc5abf87245d9eade 800005d4";
        let cipher = gcm_128();

        let mut buffer = [plain.clone(), vec![0; GCM_TAG + INDEX_LENGTH]].concat();
        assert_eq!(cipher.seal_rtcp(&mut buffer, plain.len(), 0x5d4), Some(buffer.len()));
        assert_eq!(buffer, unhex(expected));

        assert_eq!(cipher.rtcp_index(&buffer), Some(0x5d4));
        assert_eq!(cipher.open_rtcp(&mut buffer, 0x5d4), Ok(plain.len()));
        assert_eq!(buffer[..plain.len()], plain);
    }

    fn gcm_128() -> Cipher {
        let key = GcmKey::Of128(Aes128Gcm::new_from_slice(&unhex("000102030405060708090a0b0c0d0e0f")).unwrap());
        Cipher::Gcm(Box::new(Gcm { key, salt: *b"Quid pro quo" }))
    }

    fn gcm_256() -> Cipher {
        let key = unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        Cipher::Gcm(Box::new(Gcm { key: GcmKey::Of256(Aes256Gcm::new_from_slice(&key).unwrap()), salt: *b"Quid pro quo" }))
    }

    fn unhex(text: &str) -> Vec<u8> {
        super::super::tests::unhex(text)
    }
}
