//! Samples as bytes in a file that grows.

use std::time::Duration;

use super::{codec::Codec, law::Law};

/// How recorded audio is kept until it is a WAV: so many bytes for every 8000th of a second, whatever they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// G.711 as it was received, 8000 samples a second.
    G711(Law),
    /// 16-bit little-endian PCM, 8000 samples a second.
    Linear,
    /// 16-bit little-endian PCM, 16,000 samples a second.
    WideLinear,
}

impl Form {
    /// The form in which the audio of a codec is kept: at 16,000 samples a second if it has them and `wideband` is wanted.
    #[must_use]
    pub const fn of(codec: Codec, wideband: bool) -> Self {
        match codec.law() {
            Some(law) => Self::G711(law),
            None if codec.is_wideband() && wideband => Self::WideLinear,
            None => Self::Linear,
        }
    }

    /// Bytes in an 8000th of a second.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::G711(_) => 1,
            Self::Linear => 2,
            Self::WideLinear => 4,
        }
    }

    /// Samples a second.
    #[must_use]
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::G711(_) | Self::Linear => 8000,
            Self::WideLinear => 16_000,
        }
    }

    /// How much time so many bytes are.
    #[must_use]
    pub fn duration(self, bytes: u64) -> Duration {
        super::duration_of(bytes / self.width() as u64)
    }

    /// How many bytes so much time is, down to an 8000th of a second.
    #[must_use]
    pub fn bytes(self, duration: Duration) -> u64 {
        super::samples_in(duration).saturating_mul(self.width() as u64)
    }

    /// The samples in these bytes, at [`sample_rate`](Self::sample_rate); a torn sample at the end is left out.
    #[must_use]
    pub fn samples(self, bytes: &[u8]) -> Vec<i16> {
        match self {
            Self::G711(law) => law.decoded(bytes),
            Self::Linear | Self::WideLinear => bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 4] = [Form::G711(Law::Mu), Form::G711(Law::A), Form::Linear, Form::WideLinear];

    #[test]
    fn bytes_and_time_agree() {
        for form in FORMS {
            assert_eq!(form.bytes(Duration::from_micros(1_500_249)), 12_001 * form.width() as u64);
            assert_eq!(form.duration(12_001 * form.width() as u64), Duration::from_micros(1_500_125));
            assert_eq!(form.samples(&vec![0; form.bytes(Duration::from_secs(1)) as usize]).len(), form.sample_rate() as usize);
            assert_eq!(form.bytes(Duration::MAX), u64::MAX);
        }
    }

    #[test]
    fn a_codec_is_kept_with_all_it_has_or_as_a_telephone_has_it() {
        assert_eq!(Form::of(Codec::Pcma, true), Form::G711(Law::A));
        assert_eq!(Form::of(Codec::G722, true), Form::WideLinear);
        assert_eq!(Form::of(Codec::Opus, false), Form::Linear);
        assert_eq!(Form::of(Codec::G729, true), Form::Linear);
    }

    #[test]
    fn a_torn_sample_is_left_out() {
        assert_eq!(Form::Linear.samples(&[0x34, 0x12, 0x56]), [0x1234]);
    }
}
