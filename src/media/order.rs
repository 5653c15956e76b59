//! What a session can be told, and what it tells.

use std::{fs::File, net::SocketAddr, time::Duration};

use super::{clip::Clip, handshake::Told};
use crate::{
    audio::{codec::Codec, form::Form},
    rtp::Security,
};

/// The stream that an offer and its answer agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The codec of both directions.
    pub codec: Codec,
    /// Its payload type, of both directions.
    pub payload_type: u8,
    /// The payload type of telephone-events, when there are any.
    pub telephone_event: Option<u8>,
    /// Milliseconds of audio in each packet that we send, as near to it as the codec allows.
    pub packet_time: u8,
    /// Where the peer wants its RTP.
    pub remote: SocketAddr,
    /// Where the peer wants its RTCP.
    pub remote_rtcp: SocketAddr,
    /// Whether RTCP goes through the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether we may send. While we may not, what plays waits.
    pub send: bool,
    /// Whether the peer sends. While it does not (hold), a recording waits, and so does the RTP time-out.
    pub receive: bool,
    /// Whether to listen for keys in the audio: where neither telephone-event nor INFO can be expected.
    pub detect_inband: bool,
    /// How both directions are protected.
    pub security: Security,
}

/// Names one call of [`play`](super::MediaSession::play); the caller chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u32);

/// Names one call of [`record`](super::MediaSession::record); the caller chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub u32);

/// A recording to make.
#[derive(Debug)]
pub struct RecordSpec {
    /// What its [`RecordingDone`](MediaEvent::RecordingDone) will name.
    pub id: RecordingId,
    /// Where the audio is appended, without gaps in time.
    pub file: File,
    /// What its bytes are; what comes in another form is converted.
    pub form: Form,
    /// The length at which it ends by itself.
    pub longest: Duration,
    /// The silence at which it ends by itself, `None` for never.
    pub trailing_silence: Option<Duration>,
    /// The keys that end it. They are told by `RecordingDone` alone.
    pub end_digits: DigitSet,
}

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigitSet(u16);

impl DigitSet {
    /// No key.
    pub const NONE: Self = Self(0);
    /// Every key.
    pub const ALL: Self = Self(u16::MAX);

    /// The keys in `digits`; what is no key is left out.
    #[must_use]
    pub fn of(digits: &str) -> Self {
        Self(digits.chars().filter_map(crate::rtp::telephone_event::event).fold(0, |set, event| set | 1 << event))
    }

    /// Whether `digit` is one of them.
    #[must_use]
    pub fn contains(self, digit: char) -> bool {
        crate::rtp::telephone_event::event(digit).is_some_and(|event| self.0 >> event & 1 == 1)
    }
}

/// What happened in a session. None but `Digit` is ever lost, however slowly the events are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The first packet of the call arrived.
    FirstPacket,
    /// A key was pressed that does not end a recording. It is told as the key goes down.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
    /// Everything of a `play` has been sent, and its last frame has had its time.
    PlaybackDone {
        /// Which.
        id: PlayId,
    },
    /// A recording is over; its bytes are on the disk.
    RecordingDone {
        /// Which.
        id: RecordingId,
        /// How much of the file is the recording: without the tone of the key that ended it, and without a silence at the
        /// end when it ends at silence.
        kept: Duration,
        /// How much was appended to the file, in 8000ths of a second; never less than `kept`.
        written: u64,
        /// Why it is over.
        ended_by: RecordingEnd,
    },
    /// Nothing came for as long as the configuration allows, though the peer should be sending.
    RtpTimeout,
}

/// Why a recording is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// One of its end digits.
    Digit(char),
    /// Nobody talked any more.
    Silence,
    /// It is as long as it may be.
    Longest,
    /// It was told to stop, or the session was closed.
    Stopped,
    /// The disk does not take it. What is kept is on the disk all the same.
    WriteFailed,
}

/// What a media thread is told about a session.
#[derive(Debug)]
pub(super) enum Order {
    Open(Box<super::session::Session>),
    Connect(Box<Stream>),
    Play(PlayId, Vec<Clip>),
    StopPlaying,
    PausePlaying,
    ResumePlaying,
    Record(Box<RecordSpec>),
    StopRecording,
    SendDigit(char, Duration),
    /// From the writer: a recording is on the disk.
    Recorded(MediaEvent),
    /// From the thread of handshakes.
    Handshake(Told),
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_set_holds_its_digits_and_no_others() {
        let set = DigitSet::of("#1x");

        assert_eq!("0123456789*#ABCDx".chars().filter(|&digit| set.contains(digit)).collect::<String>(), "1#");
        assert!("0123456789*#ABCD".chars().all(|digit| DigitSet::ALL.contains(digit) && !DigitSet::NONE.contains(digit)));
    }
}
