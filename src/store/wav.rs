//! Journal bytes into the WAV that is kept: mono 16-bit PCM, which every player and mail program opens, at 8000 Hz or at
//! 16,000 Hz if it was recorded so.

use super::journal::Encoding;
use crate::audio::{form::Form, wav};

/// Finishes a WAV from raw recorded bytes. An odd byte at the end of 16-bit audio, torn off by a crash, is left out.
pub(super) fn finish(encoding: Encoding, recorded: &[u8]) -> Vec<u8> {
    match encoding.form() {
        Form::G711(law) => wav::from_g711(law, recorded),
        form @ (Form::Linear | Form::WideLinear) => wav::from_samples_at(form.sample_rate(), &form.samples(recorded)),
    }
}

/// A WAV of samples at the rate of an encoding.
pub(super) fn of_samples(encoding: Encoding, samples: &[i16]) -> Vec<u8> {
    wav::from_samples_at(encoding.form().sample_rate(), samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wav_has_every_sample_at_its_published_value() {
        let mulaw = finish(Encoding::Mulaw, &[0x00, 0x80, 0xff, 0x7f, 0xf2]);
        let alaw = finish(Encoding::Alaw, &[0x2a, 0xaa, 0xd5, 0x55]);

        assert_eq!(samples(&mulaw), [-32124, 32124, 0, 0, 104]);
        assert_eq!(samples(&alaw), [-32256, 32256, 8, -8]);
    }

    #[test]
    fn a_torn_sample_is_left_out() {
        let wav = finish(Encoding::Linear16, &[0x34, 0x12, 0x56]);

        assert_eq!(samples(&wav), [0x1234]);
    }

    #[test]
    fn wideband_audio_keeps_its_rate() {
        let wav = finish(Encoding::Wide16, &[1, 0, 2, 0]);

        assert_eq!(hound::WavReader::new(&wav[..]).unwrap().spec().sample_rate, 16_000);
    }

    fn samples(wav: &[u8]) -> Vec<i16> {
        let reader = hound::WavReader::new(wav).unwrap();
        assert_eq!(
            reader.spec(),
            hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int }
        );
        reader.into_samples().map(Result::unwrap).collect()
    }
}
