//! WAV files of all the forms that people have: PCM, floating point and G.711, at the rate at which they are.

use std::time::Duration;

use super::{
    SAMPLE_RATE, WIDE_RATE,
    law::Law,
    resample::resample,
    wav::{self, RATES, WavError},
};

/// Audio of a file, as mono.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Samples a second.
    pub rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

impl Imported {
    /// A whole file of ours with this audio: at 16,000 Hz if there is that much in it, else at 8000 Hz.
    #[must_use]
    pub fn to_wav(&self) -> Vec<u8> {
        let rate = if self.rate < WIDE_RATE { SAMPLE_RATE } else { WIDE_RATE };
        wav::from_samples_at(rate, &resample(&self.samples, self.rate, rate))
    }
}

/// Reads a WAV file of PCM of any width, of floating-point numbers, or of G.711 (µ-law, A-law), when it is no longer than `longest`.
///
/// Channels are averaged. A file whose end is missing is read as far as it goes.
///
/// # Errors
///
/// [`WavError`], whose text says to people what is wrong with their file.
pub fn read(bytes: &[u8], longest: Duration) -> Result<Imported, WavError> {
    let Some(layout) = layout(bytes) else {
        // Says why.
        return wav::read_at(SAMPLE_RATE, bytes, longest).map(|samples| Imported { rate: SAMPLE_RATE, samples });
    };
    let rate = layout.rate;
    if !RATES.contains(&rate) {
        return Err(WavError::Rate(rate));
    }
    let Some(law) = layout.law else {
        return wav::read_at(rate, bytes, longest).map(|samples| Imported { rate, samples });
    };
    let channels = layout.channels.max(1);
    let count = layout.data.len() / channels;
    if count as u128 > wav::most_samples(longest, rate) {
        return Err(WavError::TooLong(longest));
    }
    let mix = |frame: &[u8]| {
        let sum: i64 = frame.iter().map(|&byte| i64::from(law.decode_byte(byte))).sum();
        i16::try_from(sum / channels as i64).unwrap_or_default()
    };
    Ok(Imported { rate, samples: layout.data.chunks_exact(channels).map(mix).collect() })
}

/// What the chunks of a file say.
struct Layout<'a> {
    rate: u32,
    channels: usize,
    /// Of G.711 only.
    law: Option<Law>,
    data: &'a [u8],
}

const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The real form stands in the extension.
const EXTENSIBLE: u16 = 0xfffe;

fn layout(bytes: &[u8]) -> Option<Layout<'_>> {
    let rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut rest = rest;
    let mut format: Option<&[u8]> = None;
    loop {
        let (id, after) = rest.split_at_checked(4)?;
        let (length, after) = after.split_at_checked(4)?;
        let length = usize::try_from(u32_at(length, 0)?).ok()?;
        // Whoever wrote into a pipe does not know how long it became.
        let chunk = &after[..length.min(after.len())];
        match id {
            b"fmt " => format = Some(chunk),
            b"data" => {
                let format = format?;
                let (mut tag, channels, rate) = (u16_at(format, 0)?, u16_at(format, 2)?, u32_at(format, 4)?);
                if tag == EXTENSIBLE {
                    tag = u16_at(format, 24)?;
                }
                let law = match tag {
                    A_LAW => Some(Law::A),
                    MU_LAW => Some(Law::Mu),
                    _ => None,
                };
                return Some(Layout { rate, channels: channels.into(), law, data: chunk });
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hound::{SampleFormat, WavSpec, WavWriter};
    use proptest::prelude::*;

    use super::*;
    use crate::audio::{level::level, testing::speech};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn every_common_form_is_read_at_its_own_rate() {
        let spoken = speech(1.0, -20.0);
        for rate in [8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            let samples = resample(&spoken, 8000, rate);
            for channels in [1, 2] {
                for (bits, loudest_error) in [(8, -44.0), (16, -90.0), (24, -90.0), (32, -90.0)] {
                    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: SampleFormat::Int };
                    let file = written(spec, &samples, |sample| (i64::from(sample) << 16 >> (32 - bits)) as i32);
                    expect(&file, rate, &samples, loudest_error);
                }
                let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: 32, sample_format: SampleFormat::Float };
                let file = written(spec, &samples, |sample| f32::from(sample) / 32_768.0);
                expect(&file, rate, &samples, -90.0);
                for law in Law::ALL {
                    expect(&g711(law, channels, rate, &samples, false), rate, &samples, -50.0);
                    expect(&g711(law, channels, rate, &samples, true), rate, &samples, -50.0);
                }
            }
        }
    }

    #[test]
    fn what_is_kept_is_telephone_audio_or_wideband() {
        for (rate, kept) in [(8000, 8000), (11_025, 8000), (16_000, 16_000), (44_100, 16_000), (48_000, 16_000)] {
            let samples = resample(&speech(1.0, -20.0), 8000, rate);

            let wav = Imported { rate, samples }.to_wav();

            let reader = hound::WavReader::new(&wav[..]).unwrap();
            assert_eq!((reader.spec().sample_rate, reader.spec().bits_per_sample, reader.spec().channels), (kept, 16, 1));
            assert!(reader.len().abs_diff(kept) <= 2);
        }
    }

    #[test]
    fn too_long_files_are_refused_at_the_sample() {
        let longest = Duration::from_millis(250);
        for channels in [1, 2] {
            let of = |count| read(&g711(Law::Mu, channels, 8000, &vec![0; count], false), longest);

            assert!(of(2000).is_ok());
            assert!(matches!(of(2001), Err(WavError::TooLong(_))));
        }
    }

    #[test]
    fn chunks_before_the_audio_and_an_unknown_length_do_no_harm() {
        let mut file = g711(Law::A, 1, 8000, &[1000; 800], false);
        file.splice(12..12, *b"LIST\x03\0\0\0abc\0");
        let data = file.windows(4).position(|four| four == b"data").unwrap();
        file[data + 4..data + 8].copy_from_slice(&u32::MAX.to_le_bytes());

        assert_eq!(read(&file, MINUTE).unwrap().samples.len(), 800);
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let mut mp3 = g711(Law::A, 1, 8000, &[0; 8], false);
        mp3[20..22].copy_from_slice(&0x55_u16.to_le_bytes());

        assert!(matches!(read(&mp3, MINUTE), Err(WavError::Unreadable(_))));
        assert!(matches!(read(b"ID3\x04", MINUTE), Err(WavError::Unreadable(_))));
        assert!(matches!(read(&g711(Law::A, 1, 3999, &[0; 8], false), MINUTE), Err(WavError::Rate(3999))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_us_panic(
            changes in proptest::collection::vec((0_usize..80, any::<u8>()), 0..8), cut in 0_usize..120,
            extensible in any::<bool>(), channels in 0_u16..4,
        ) {
            let mut bytes = g711(Law::Mu, channels, 8000, &[1; 20], extensible);
            for (at, byte) in changes {
                if let Some(changed) = bytes.get_mut(at) {
                    *changed = byte;
                }
            }
            bytes.truncate(cut);

            let _ = read(&bytes, MINUTE);
        }
    }

    fn expect(file: &[u8], rate: u32, samples: &[i16], loudest_error: f32) {
        let read = read(file, MINUTE).unwrap();

        assert_eq!((read.rate, read.samples.len()), (rate, samples.len()));
        let error: Vec<i16> = read.samples.iter().zip(samples).map(|(got, want)| got.saturating_sub(*want)).collect();
        assert!(level(&error) < loudest_error, "{rate}: {} dB", level(&error));
    }

    fn written<T: hound::Sample + Copy>(spec: WavSpec, samples: &[i16], to: impl Fn(i16) -> T) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        for &sample in samples {
            for _ in 0..spec.channels {
                writer.write_sample(to(sample)).unwrap();
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    fn g711(law: Law, channels: u16, rate: u32, samples: &[i16], extensible: bool) -> Vec<u8> {
        let tag = if law == Law::A { A_LAW } else { MU_LAW };
        let data: Vec<u8> = law.encoded(samples).into_iter().flat_map(|byte| vec![byte; channels.into()]).collect();
        let mut format = Vec::new();
        format.extend(if extensible { EXTENSIBLE } else { tag }.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend((rate * u32::from(channels)).to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(8_u16.to_le_bytes());
        if extensible {
            format.extend([22, 0, 8, 0, 0, 0, 0, 0]);
            format.extend(tag.to_le_bytes());
            format.extend(*b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        }
        let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        file.extend(u32::try_from(format.len()).unwrap().to_le_bytes());
        file.extend(format);
        file.extend(*b"data");
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(data);
        file
    }
}
