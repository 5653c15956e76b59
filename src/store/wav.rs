//! Journal bytes into the WAV that is kept: mono 16-bit PCM at 8000 Hz, which every player and mail program opens.

use super::journal::Encoding;

const RATE: u32 = 8000;
const HEADER: usize = 44;

/// Finishes a WAV from raw recorded bytes. An odd byte at the end of 16-bit audio, torn off by a crash, is left out.
pub(super) fn finish(encoding: Encoding, recorded: &[u8]) -> Vec<u8> {
    let samples = encoding.samples(recorded.len() as u64) as usize;
    let mut wav = Vec::with_capacity(HEADER + samples * 2);
    write_header(&mut wav, samples);
    match encoding {
        Encoding::Mulaw => expand(&mut wav, recorded, &MULAW),
        Encoding::Alaw => expand(&mut wav, recorded, &ALAW),
        Encoding::Linear16 => wav.extend_from_slice(&recorded[..samples * 2]),
    }
    wav
}

fn write_header(wav: &mut Vec<u8>, samples: usize) {
    // Recordings are minutes; a length beyond 4 GiB cannot occur, and would only make the header's sizes wrong.
    let data = u32::try_from(samples * 2).unwrap_or(u32::MAX - 36);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(data + 36).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16u32.to_le_bytes());
    wav.extend_from_slice(&1u16.to_le_bytes());
    wav.extend_from_slice(&1u16.to_le_bytes());
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&(RATE * 2).to_le_bytes());
    wav.extend_from_slice(&2u16.to_le_bytes());
    wav.extend_from_slice(&16u16.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&data.to_le_bytes());
}

fn expand(wav: &mut Vec<u8>, recorded: &[u8], table: &[i16; 256]) {
    wav.extend(recorded.iter().flat_map(|byte| table[usize::from(*byte)].to_le_bytes()));
}

// ITU-T G.711 expansion. `audio` has these tables as well, but the store depends on nothing but `domain`.
static MULAW: [i16; 256] = table(false);
static ALAW: [i16; 256] = table(true);

const fn table(a_law: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if a_law { expand_alaw(byte as u8) } else { expand_mulaw(byte as u8) };
        byte += 1;
    }
    table
}

const fn expand_mulaw(byte: u8) -> i16 {
    let inverted = !byte;
    let magnitude = (((((inverted & 0x0f) as i16) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84;
    if inverted & 0x80 == 0 { magnitude } else { -magnitude }
}

const fn expand_alaw(byte: u8) -> i16 {
    let even = byte ^ 0x55;
    let mantissa = ((even & 0x0f) as i16) << 4;
    let magnitude = match (even & 0x70) >> 4 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    if even & 0x80 == 0 { -magnitude } else { magnitude }
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

    fn samples(wav: &[u8]) -> Vec<i16> {
        let reader = hound::WavReader::new(wav).unwrap();
        assert_eq!(
            reader.spec(),
            hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int }
        );
        reader.into_samples().map(Result::unwrap).collect()
    }
}
