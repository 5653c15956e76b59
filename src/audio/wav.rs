//! WAV files: ours are 16-bit PCM, mono, 8000 or 16,000 Hz; those that are given to us can be of any PCM form and rate.

use std::{
    io::{self, Cursor, Seek, SeekFrom, Write},
    time::Duration,
};

use hound::{SampleFormat, WavReader};

use super::{SAMPLE_RATE, WIDE_RATE, law::Law, resample::resample};

/// Bytes before the samples in a file of ours.
pub const HEADER_LENGTH: usize = 44;

/// Sample rates that we read.
pub const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;

/// The header of a file of ours with so many samples at 8000 Hz.
#[must_use]
pub fn header(samples: u32) -> [u8; HEADER_LENGTH] {
    header_at(SAMPLE_RATE, samples)
}

/// The header of a file of ours with so many samples at a rate in samples a second.
///
/// More than 2^31 - 19 samples, three days, cannot be said in it; then it says that many.
#[must_use]
pub fn header_at(rate: u32, samples: u32) -> [u8; HEADER_LENGTH] {
    let data = samples.min(MOST_SAMPLES) * 2;
    let mut header = [0; HEADER_LENGTH];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &(data + AFTER_LENGTH).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &rate.to_le_bytes(),
        &(rate * 2).to_le_bytes(),
        &2_u16.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    let mut rest = &mut header[..];
    for field in fields {
        let (start, end) = rest.split_at_mut(field.len());
        start.copy_from_slice(field);
        rest = end;
    }
    header
}

/// Bytes of the header that the length in it counts: all after that length.
const AFTER_LENGTH: u32 = HEADER_LENGTH as u32 - 8;
const MOST_SAMPLES: u32 = (u32::MAX - AFTER_LENGTH) / 2;

/// A whole file of ours with these samples at 8000 Hz.
#[must_use]
pub fn from_samples(samples: &[i16]) -> Vec<u8> {
    from_samples_at(SAMPLE_RATE, samples)
}

/// A whole file of ours with these samples at a rate in samples a second.
#[must_use]
pub fn from_samples_at(rate: u32, samples: &[i16]) -> Vec<u8> {
    file(rate, samples.len(), samples.iter().copied())
}

/// A whole file of ours from G.711, as a journal holds it.
#[must_use]
pub fn from_g711(law: Law, bytes: &[u8]) -> Vec<u8> {
    file(SAMPLE_RATE, bytes.len(), bytes.iter().map(|&byte| law.decode_byte(byte)))
}

fn file(rate: u32, count: usize, samples: impl Iterator<Item = i16>) -> Vec<u8> {
    let mut file = vec![0; HEADER_LENGTH + 2 * count];
    let (start, data) = file.split_at_mut(HEADER_LENGTH);
    start.copy_from_slice(&header_at(rate, u32::try_from(count).unwrap_or(u32::MAX)));
    data.as_chunks_mut::<2>().0.iter_mut().zip(samples).for_each(|(bytes, sample)| *bytes = sample.to_le_bytes());
    file
}

/// Writes a file of ours while its samples are made, and returns how many there were.
///
/// # Errors
///
/// When `out` cannot be written or is full, or after three days of audio.
pub fn write(out: impl Write + Seek, samples: impl IntoIterator<Item = i16>) -> io::Result<u32> {
    let mut writer = Writer::new(out)?;
    let mut samples = samples.into_iter();
    let mut buffer = Vec::with_capacity(4096);
    loop {
        buffer.clear();
        buffer.extend(samples.by_ref().take(4096));
        if buffer.is_empty() {
            return writer.finish();
        }
        writer.push(&buffer)?;
    }
}

/// A file of ours that grows: for recordings whose length is not known. Until [`finish`](Self::finish) its header says that it
/// is empty.
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    out: W,
    start: u64,
    samples: u32,
    bytes: Vec<u8>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file at the place where `out` stands.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        let start = out.stream_position()?;
        out.write_all(&header(0))?;
        Ok(Self { out, start, samples: 0, bytes: Vec::new() })
    }

    /// Writes the next samples.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written, or after three days of audio.
    pub fn push(&mut self, samples: &[i16]) -> io::Result<()> {
        let count = u32::try_from(samples.len()).ok().and_then(|count| self.samples.checked_add(count));
        let count = count.filter(|&count| count <= MOST_SAMPLES).ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        self.out.write_all(&self.bytes)?;
        self.samples = count;
        Ok(())
    }

    /// Completes the header and returns how many samples there are.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub fn finish(mut self) -> io::Result<u32> {
        self.out.seek(SeekFrom::Start(self.start))?;
        self.out.write_all(&header(self.samples))?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()?;
        Ok(self.samples)
    }
}

/// Reads a WAV file of any PCM or floating-point form as mono at 8000 Hz, when it is no longer than `longest`.
///
/// Channels are averaged. A file whose end is missing is read as far as it goes.
///
/// # Errors
///
/// [`WavError`], whose text says to people what is wrong with their file.
pub fn read(bytes: &[u8], longest: Duration) -> Result<Vec<i16>, WavError> {
    read_at(SAMPLE_RATE, bytes, longest)
}

/// The same at another rate, in samples a second.
///
/// # Errors
///
/// As [`read`].
pub fn read_at(wanted: u32, bytes: &[u8], longest: Duration) -> Result<Vec<i16>, WavError> {
    if let Some((rate, samples)) = own_samples(bytes) {
        return if samples.len() as u128 > most_samples(longest, rate) {
            Err(WavError::TooLong(longest))
        } else {
            let samples: Vec<i16> = samples.iter().map(|&sample| i16::from_le_bytes(sample)).collect();
            Ok(if rate == wanted { samples } else { resample(&samples, rate, wanted) })
        };
    }
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(WavError::Unreadable)?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        return Err(WavError::Rate(spec.sample_rate));
    }
    let mut mixer =
        Mixer { channels: spec.channels, sum: 0.0, seen: 0, most: most_samples(longest, spec.sample_rate), samples: Vec::new() };
    let room = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Float, _) => {
            reader.samples::<f32>().try_for_each(|sample| mixer.push(sample.map(|sample| sample * 32_768.0)))
        }
        (SampleFormat::Int, bits @ 1..=32) => {
            let scale = (f64::from(bits) - 16.0).exp2().recip() as f32;
            reader.samples::<i32>().try_for_each(|sample| mixer.push(sample.map(|sample| sample as f32 * scale)))
        }
        (SampleFormat::Int, _) => return Err(WavError::Unreadable(hound::Error::Unsupported)),
    };
    match room {
        Ok(()) | Err(Stop::End) => Ok(resample(&mixer.samples, spec.sample_rate, wanted)),
        Err(Stop::Full) => Err(WavError::TooLong(longest)),
        Err(Stop::Unreadable(error)) => Err(WavError::Unreadable(error)),
    }
}

/// The sample rate of a file of ours; `None` when it is none.
#[must_use]
pub fn rate_of(bytes: &[u8]) -> Option<u32> {
    own_samples(bytes).map(|(rate, _)| rate)
}

/// How long a file is, when it is no longer than `longest`.
///
/// # Errors
///
/// As [`read`].
pub fn length(bytes: &[u8], longest: Duration) -> Result<Duration, WavError> {
    let (rate, samples) = match own_samples(bytes) {
        Some((rate, samples)) => (rate, samples.len()),
        None => (SAMPLE_RATE, read(bytes, longest)?.len()),
    };
    if samples as u128 > most_samples(longest, rate) {
        return Err(WavError::TooLong(longest));
    }
    Ok(Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(rate)))
}

/// Why a WAV file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// No WAV file, or one with audio that is compressed otherwise.
    #[error("not a WAV file of PCM or G.711 audio")]
    Unreadable(#[source] hound::Error),
    /// A rate outside [`RATES`].
    #[error("the sample rate is {0} Hz; between {low} and {high} can be used", low = RATES.start(), high = RATES.end())]
    Rate(u32),
    /// Longer than was allowed.
    #[error("the audio is longer than {} seconds", .0.as_secs_f64())]
    TooLong(Duration),
}

/// Averages channels.
struct Mixer {
    channels: u16,
    sum: f32,
    seen: u16,
    most: u128,
    samples: Vec<i16>,
}

enum Stop {
    End,
    Full,
    Unreadable(hound::Error),
}

impl Mixer {
    fn push(&mut self, sample: hound::Result<f32>) -> Result<(), Stop> {
        self.sum += sample.map_err(|error| match error {
            hound::Error::IoError(_) => Stop::End,
            hound::Error::FormatError(_)
            | hound::Error::TooWide
            | hound::Error::UnfinishedSample
            | hound::Error::Unsupported
            | hound::Error::InvalidSampleFormat => Stop::Unreadable(error),
        })?;
        self.seen += 1;
        if self.seen < self.channels {
            return Ok(());
        }
        if self.samples.len() as u128 >= self.most {
            return Err(Stop::Full);
        }
        // Too loud values are clipped and what is no number is silent: that is what `as` does.
        self.samples.push((self.sum / f32::from(self.channels)).round() as i16);
        self.sum = 0.0;
        self.seen = 0;
        Ok(())
    }
}

/// The samples of a file that has exactly our header, and their rate: most that is ever read was written here.
fn own_samples(bytes: &[u8]) -> Option<(u32, &[[u8; 2]])> {
    let (start, data) = bytes.split_at_checked(HEADER_LENGTH)?;
    let (samples, []) = data.as_chunks::<2>() else { return None };
    let count = u32::try_from(samples.len()).ok()?;
    let rate = [SAMPLE_RATE, WIDE_RATE].into_iter().find(|&rate| start == header_at(rate, count))?;
    Some((rate, samples))
}

/// The comment in a WAV file (`ICMT` of its `INFO`), which in our prompts is what they say.
#[must_use]
pub fn comment(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes.get(12..)?;
    while let Some((head, after)) = rest.split_at_checked(8) {
        let size = usize::try_from(u32::from_le_bytes(head[4..].try_into().ok()?)).ok()?;
        let content = after.get(..size)?;
        if head.starts_with(b"LIST")
            && let Some(fields) = content.strip_prefix(b"INFOICMT")
        {
            let (length, text) = fields.split_at_checked(4)?;
            let text = text.get(..usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?)?;
            return Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
        rest = after.get(size + size % 2..)?;
    }
    None
}

/// Brings a file of ours with wideband audio to 8000 Hz, for players that know no other; `None` when it is none, and so stays as
/// it is.
#[must_use]
pub fn narrowed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (rate, samples) = own_samples(bytes)?;
    if rate == SAMPLE_RATE {
        return None;
    }
    let samples: Vec<i16> = samples.iter().map(|&sample| i16::from_le_bytes(sample)).collect();
    Some(from_samples(&resample(&samples, rate, SAMPLE_RATE)))
}

pub(super) fn most_samples(longest: Duration, rate: u32) -> u128 {
    longest.as_nanos() * u128::from(rate) / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::{
        level::level,
        testing::speech,
        tone::{self, Sine},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_written_is_read_back_and_others_read_it_too() {
        for samples in [speech(1.0, -20.0), vec![i16::MIN, -1, 0, 1, i16::MAX], vec![]] {
            let bytes = from_samples(&samples);

            assert_eq!(read(&bytes, MINUTE).unwrap(), samples);
            let mut reader = WavReader::new(&bytes[..]).unwrap();
            let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: SampleFormat::Int };
            assert_eq!(reader.spec(), spec);
            assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);
        }
    }

    #[test]
    fn streaming_gives_the_same_file() {
        let samples = speech(1.3, -20.0);
        let mut streamed = Cursor::new(b"before".to_vec());
        streamed.set_position(6);

        let count = write(&mut streamed, samples.iter().copied()).unwrap();

        assert_eq!(count as usize, samples.len());
        assert_eq!(streamed.position() as usize, streamed.get_ref().len());
        assert_eq!(streamed.into_inner()[6..], from_samples(&samples));
    }

    #[test]
    fn a_disk_that_is_full_is_an_error() {
        let mut room = [0; 100];

        let error = write(Cursor::new(&mut room[..]), [0; 29]).unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        assert_eq!(write(Cursor::new(&mut room[..]), [0; 28]).unwrap(), 28);
    }

    #[test]
    fn a_journal_becomes_a_file() {
        let samples = speech(0.5, -20.0);
        for law in Law::ALL {
            let journal = law.encoded(&samples);

            assert_eq!(from_g711(law, &journal), from_samples(&law.decoded(&journal)));
        }
    }

    #[test]
    fn wideband_audio_is_read_at_either_rate_and_can_be_narrowed() {
        let samples = crate::audio::testing::wide_speech(1.0, -20.0);
        let wide = from_samples_at(16_000, &samples);

        assert_eq!(read_at(16_000, &wide, MINUTE).unwrap(), samples);
        let narrow = read(&wide, MINUTE).unwrap();
        assert_eq!(narrow, resample(&samples, 16_000, 8000));
        assert_eq!(narrowed(&wide).unwrap(), from_samples(&narrow));
        assert_eq!(narrowed(&from_samples(&narrow)), None);
        assert!(read_at(16_000, &wide, Duration::from_millis(999)).is_err());
    }

    #[test]
    fn every_form_of_pcm_is_read() {
        let expected = at_rate(8000, -10.0);
        for bits in [8, 16, 24, 32] {
            for channels in [1, 2, 5] {
                for rate in [8000, 16_000, 44_100, 48_000] {
                    let spec =
                        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: SampleFormat::Int };
                    let read = read(&foreign(spec, &at_rate(rate, -10.0)), MINUTE).unwrap();

                    let loudest_error = if bits == 8 { -40.0 } else { -60.0 };
                    assert_eq!(read.len(), expected.len(), "{spec:?}");
                    let error: Vec<i16> = read.iter().zip(&expected).map(|(got, want)| got - want).collect();
                    assert!(level(&error) < loudest_error, "{spec:?}: {} dB", level(&error));
                }
            }
        }
    }

    #[test]
    fn floating_point_is_clipped_and_survives_what_is_no_number() {
        let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 32, sample_format: SampleFormat::Float };
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for sample in [0.5_f32, -0.5, 2.0, -2.0, f32::INFINITY, f32::NAN] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();

        let samples = read(file.get_ref(), MINUTE).unwrap();

        assert_eq!(samples, [16_384, -16_384, i16::MAX, i16::MIN, i16::MAX, 0]);
    }

    #[test]
    fn channels_are_averaged() {
        let spec = hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for sample in [100_i16, 300, i16::MAX, i16::MAX, -100, 100] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();

        assert_eq!(read(file.get_ref(), MINUTE).unwrap(), [200, i16::MAX, 0]);
    }

    #[test]
    fn a_file_without_its_end_is_read_as_far_as_it_goes() {
        let samples = speech(1.0, -20.0);
        let whole = from_samples(&samples);

        assert_eq!(read(&whole[..8044], MINUTE).unwrap(), samples[..4000]);
        assert_eq!(read(&whole[..8045], MINUTE).unwrap(), samples[..4000]);
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_at_the_sample() {
        let longest = Duration::from_millis(250);
        for rate in [8000, 16_000] {
            let spec = hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
            let of = |count| read(&foreign(spec, &vec![1; count]), longest);

            assert!(of(rate as usize / 4).is_ok());
            assert!(matches!(of(rate as usize / 4 + 1), Err(WavError::TooLong(length)) if length == longest));
        }
        assert!(read(&from_samples(&[0; 2001]), longest).is_err());
    }

    #[test]
    fn what_is_no_pcm_wav_is_refused_with_a_reason() {
        let spec = hound::WavSpec { channels: 1, sample_rate: 3999, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut ulaw = from_samples(&[0; 10]);
        ulaw[20] = 7;

        assert!(matches!(read(b"", MINUTE), Err(WavError::Unreadable(_))));
        assert!(matches!(read(b"ID3\x04mp3", MINUTE), Err(WavError::Unreadable(_))));
        assert!(matches!(read(&ulaw, MINUTE), Err(WavError::Unreadable(_))));
        let error = read(&foreign(spec, &[0]), MINUTE).unwrap_err();
        assert_eq!(error.to_string(), "the sample rate is 3999 Hz; between 4000 and 192000 can be used");
    }

    #[test]
    fn a_header_never_overflows() {
        assert_eq!(header(u32::MAX), header(MOST_SAMPLES));
        assert_eq!(header(MOST_SAMPLES)[4..8], (u32::MAX - 1).to_le_bytes());
    }

    proptest! {
        #[test]
        fn no_bytes_make_us_panic(
            changes in proptest::collection::vec((0_usize..60, any::<u8>()), 0..6), cut in 0_usize..100, samples in 0_usize..20,
        ) {
            let mut bytes = from_samples(&vec![1; samples]);
            for (at, byte) in changes {
                if let Some(changed) = bytes.get_mut(at) {
                    *changed = byte;
                }
            }
            bytes.truncate(cut);

            let _ = (read(&bytes, MINUTE), comment(&bytes));
        }
    }

    fn at_rate(rate: u32, decibels: f64) -> Vec<i16> {
        let mut samples: Vec<i16> =
            tone::tone(&[Sine { frequency: 440.0 * 8000.0 / f64::from(rate), level: decibels }], Duration::from_secs(4))
                .into_iter()
                .take(rate as usize / 2)
                .collect();
        // The same soft end at every rate.
        let end = samples.len();
        for (n, sample) in samples.iter_mut().enumerate() {
            let edge = n.min(end - n) as f64 / f64::from(rate);
            *sample = (f64::from(*sample) * (edge / 0.05).min(1.0)) as i16;
        }
        samples
    }

    fn foreign(spec: hound::WavSpec, samples: &[i16]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for &sample in samples {
            for _ in 0..spec.channels {
                let wide = i64::from(sample) << 16 >> (32 - spec.bits_per_sample);
                writer.write_sample(wide as i32).unwrap();
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }
}
