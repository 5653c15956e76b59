//! Audio that is ready to be sent, and where in it a session is.

use std::{fmt, sync::Arc, time::Duration};

use super::order::PlayId;
use crate::audio::{FRAME, FRAME_SAMPLES, codec::Codec, duration_of, encoder::Encoder, law::Law, resample::resample, samples_in};

/// Audio in one codec, cut into the frames of 20 ms it is sent in. Made once, shared by all calls that play it.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedAudio {
    codec: Codec,
    payloads: Box<[u8]>,
    frames: Frames,
    /// The length in 8000ths of a second, without what fills up the last frame.
    length: u64,
}

/// Where one frame ends and the next begins.
#[derive(Clone, PartialEq, Eq)]
enum Frames {
    /// All are of this length.
    Even(usize),
    /// They end at these places.
    Uneven(Box<[u32]>),
}

impl EncodedAudio {
    /// Encodes samples, of which there are `rate` a second.
    #[must_use]
    pub fn new(codec: Codec, samples: &[i16], rate: u32) -> Self {
        let resampled;
        let samples = if rate == codec.sample_rate() {
            samples
        } else {
            resampled = resample(samples, rate, codec.sample_rate());
            &resampled
        };
        if let Some(law) = codec.law() {
            return Self::from_g711(law, &law.encoded(samples));
        }
        let frame_samples = codec.frame_samples();
        let mut encoder = Encoder::new(codec);
        let (mut payloads, mut ends) = (Vec::new(), Vec::new());
        let mut frame = vec![0; frame_samples];
        for chunk in samples.chunks(frame_samples) {
            frame[..chunk.len()].copy_from_slice(chunk);
            frame[chunk.len()..].fill(0);
            encoder.encode(&frame, &mut payloads);
            ends.push(payloads.len() as u32);
        }
        let length = samples.len() as u64 * u64::from(8000_u32) / u64::from(codec.sample_rate());
        let even = ends.first().copied().filter(|first| (1..).zip(&ends).all(|(index, end)| first * index == *end));
        let frames = even.map_or_else(|| Frames::Uneven(ends.into()), |length| Frames::Even(length as usize));
        Self { codec, payloads: payloads.into(), frames, length }
    }

    /// Takes G.711, a byte a sample; its last frame is filled up with silence.
    #[must_use]
    pub fn from_g711(law: Law, bytes: &[u8]) -> Self {
        let codec = if law == Law::Mu { Codec::Pcmu } else { Codec::Pcma };
        let mut payloads = bytes.to_vec();
        payloads.resize(bytes.len().next_multiple_of(FRAME_SAMPLES), law.silence());
        Self { codec, payloads: payloads.into(), frames: Frames::Even(FRAME_SAMPLES), length: bytes.len() as u64 }
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The length, without what fills up the last frame.
    #[must_use]
    pub fn duration(&self) -> Duration {
        duration_of(self.length)
    }

    /// How many frames there are.
    fn count(&self) -> usize {
        match &self.frames {
            Frames::Even(length) => self.payloads.len() / length,
            Frames::Uneven(ends) => ends.len(),
        }
    }

    /// The payload of a frame.
    fn frame(&self, index: usize) -> &[u8] {
        match &self.frames {
            Frames::Even(length) => &self.payloads[index * length..][..*length],
            Frames::Uneven(ends) => {
                let start = index.checked_sub(1).map_or(0, |before| ends[before]);
                &self.payloads[start as usize..ends[index] as usize]
            }
        }
    }
}

impl fmt::Debug for EncodedAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedAudio({} {:?})", self.codec.name(), self.duration())
    }
}

/// One of the things played in a row.
#[derive(Clone, Debug)]
pub enum Clip {
    /// Audio, from a moment in it on, rounded down to a frame.
    Audio(Arc<EncodedAudio>, Duration),
    /// A pause, rounded up to a frame.
    Silence(Duration),
}

impl Clip {
    /// How many frames there are, from the beginning.
    fn count(&self) -> usize {
        match self {
            Self::Audio(audio, _) => audio.count(),
            Self::Silence(pause) => pause.as_micros().div_ceil(FRAME.as_micros()) as usize,
        }
    }
}

impl From<Arc<EncodedAudio>> for Clip {
    fn from(audio: Arc<EncodedAudio>) -> Self {
        Self::Audio(audio, Duration::ZERO)
    }
}

/// Plays clips in a row, a frame each 20 ms.
#[derive(Debug, Default)]
pub(super) struct Player {
    id: PlayId,
    clips: Vec<Clip>,
    clip: usize,
    frame: usize,
    sent: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Playing,
    Paused,
}

/// What there is to send in the next 20 ms.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// This frame, in this codec.
    Frame(Codec, &'a [u8]),
    /// A frame of silence.
    Silence,
    /// Nothing, and what played has just come to its end.
    Done(PlayId),
    /// Nothing.
    Nothing,
}

impl Player {
    pub(super) fn play(&mut self, id: PlayId, clips: Vec<Clip>) {
        *self = Self { id, clips, clip: 0, frame: 0, sent: 0, state: State::Playing };
        self.enter_clip();
    }

    pub(super) fn stop(&mut self) {
        *self = Self { id: self.id, sent: self.sent, ..Self::default() };
    }

    pub(super) fn pause(&mut self) {
        if self.state == State::Playing {
            self.state = State::Paused;
        }
    }

    pub(super) fn resume(&mut self) {
        if self.state == State::Paused {
            self.state = State::Playing;
        }
    }

    pub(super) fn is_playing(&self) -> bool {
        self.state == State::Playing
    }

    /// How many frames of which `play` have been sent.
    pub(super) fn progress(&self) -> (PlayId, u32) {
        (self.id, self.sent)
    }

    pub(super) fn next(&mut self) -> Next<'_> {
        if self.state != State::Playing {
            return Next::Nothing;
        }
        loop {
            let Some(clip) = self.clips.get(self.clip) else {
                self.stop();
                return Next::Done(self.id);
            };
            if self.frame < clip.count() {
                break;
            }
            self.clip += 1;
            self.enter_clip();
        }
        let frame = self.frame;
        self.frame += 1;
        self.sent += 1;
        match &self.clips[self.clip] {
            Clip::Audio(audio, _) => Next::Frame(audio.codec, audio.frame(frame)),
            Clip::Silence(_) => Next::Silence,
        }
    }

    /// Whether the last frame was the last of all.
    pub(super) fn has_no_more(&self) -> bool {
        let mut rest = self.clips.iter().skip(self.clip);
        rest.next().is_none_or(|clip| self.frame >= clip.count()) && rest.all(|clip| clip.count() == 0)
    }

    fn enter_clip(&mut self) {
        self.frame = match self.clips.get(self.clip) {
            Some(Clip::Audio(_, from)) => (samples_in(*from) / FRAME_SAMPLES as u64) as usize,
            Some(Clip::Silence(_)) | None => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODEC: Codec = Codec::Pcmu;

    #[test]
    fn the_last_frame_is_filled_up_but_not_counted() {
        let audio = EncodedAudio::from_g711(Law::Mu, &[7; 200]);

        assert_eq!(audio.count(), 2);
        assert_eq!(&audio.frame(1)[..41], &[[7; 40].as_slice(), &[0xff]].concat());
        assert_eq!(audio.duration(), Duration::from_millis(25));
    }

    #[test]
    fn every_codec_has_frames_of_twenty_milliseconds() {
        let samples: Vec<i16> = (0..8100).map(|n| (n * 37 % 5000) as i16).collect();
        for codec in Codec::ALL {
            let audio = EncodedAudio::new(codec, &samples, 8000);

            assert_eq!((audio.count(), audio.duration()), (51, Duration::from_micros(1_012_500)), "{codec:?}");
            assert!((0..51).all(|index| codec.length(audio.frame(index)) == Some(160)), "{codec:?}");
            assert_eq!((0..51).map(|index| audio.frame(index).len()).sum::<usize>(), audio.payloads.len());
        }
        assert_eq!(EncodedAudio::new(Codec::Opus, &[], 16_000).count(), 0);
    }

    #[test]
    fn clips_are_played_in_a_row_and_their_end_is_told_once() {
        let mut player = Player::default();
        player.play(PlayId(3), vec![audio(&[1, 2]), Clip::Silence(Duration::from_millis(21)), audio(&[]), audio(&[3])]);

        let mut again = Player::default();
        again.play(PlayId(4), player.clips.clone());

        assert_eq!(played(&mut again), [Some(1), Some(2), None, None, Some(3)]);
        for last in [false, false, false, false, true] {
            assert!(!player.has_no_more());
            player.next();
            assert_eq!(player.has_no_more(), last);
        }
        assert_eq!(played(&mut player), []);
        assert_eq!(player.next(), Next::Nothing);
        assert_eq!(player.progress(), (PlayId(3), 5));
    }

    #[test]
    fn a_clip_can_begin_anywhere() {
        for (from, expected) in [(39, &[Some(2), Some(3)][..]), (40, &[Some(3)]), (60, &[]), (9999, &[])] {
            let mut player = Player::default();
            let Clip::Audio(audio, _) = audio(&[1, 2, 3]) else { unreachable!("audio makes audio") };
            player.play(PlayId(0), vec![Clip::Audio(audio, Duration::from_millis(from))]);

            assert_eq!(played(&mut player), expected, "from {from} ms");
        }
    }

    #[test]
    fn a_pause_keeps_the_place() {
        let mut player = Player::default();
        player.play(PlayId(0), vec![audio(&[1, 2, 3])]);

        assert!(matches!(player.next(), Next::Frame(CODEC, frame) if frame[0] == 1));
        player.pause();
        assert_eq!(player.next(), Next::Nothing);
        assert_eq!(player.progress(), (PlayId(0), 1));
        player.resume();
        assert_eq!(played(&mut player), [Some(2), Some(3)]);
    }

    #[test]
    fn what_was_stopped_has_no_end_to_tell() {
        let mut player = Player::default();
        player.play(PlayId(0), vec![audio(&[1, 2, 3])]);

        player.stop();
        player.resume();

        assert_eq!(player.next(), Next::Nothing);
    }

    fn audio(frames: &[u8]) -> Clip {
        let bytes: Vec<u8> = frames.iter().flat_map(|&byte| [byte; FRAME_SAMPLES]).collect();
        Clip::from(Arc::new(EncodedAudio::from_g711(Law::Mu, &bytes)))
    }

    /// The first byte of each frame until the end, `None` for silence.
    fn played(player: &mut Player) -> Vec<Option<u8>> {
        let mut frames = Vec::new();
        loop {
            match player.next() {
                Next::Frame(_, frame) => frames.push(Some(frame[0])),
                Next::Silence => frames.push(None),
                Next::Done(_) => return frames,
                Next::Nothing => panic!("the end was not told"),
            }
        }
    }
}
