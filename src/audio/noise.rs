//! Comfort noise (RFC 3389): what a pause sounds like, told by the sender once instead of sent all the time.

/// Noise of a level and colour.
#[derive(Clone, Debug)]
pub struct Noise {
    /// The mean amplitude of what drives the filter.
    amplitude: f32,
    /// Reflection coefficients, which colour the noise.
    reflections: [f32; MOST],
    order: usize,
    /// The filter's memory.
    backward: [f32; MOST + 1],
    random: u32,
}

/// The most coefficients that are used; further ones hardly matter for a background.
const MOST: usize = 10;
/// No background is louder than this below the overload point, in dB: what says so is no comfort.
const LOUDEST: u8 = 30;

impl Noise {
    /// Reads a payload (RFC 3389 §3); `None` when it is empty.
    #[must_use]
    pub fn new(payload: &[u8]) -> Option<Self> {
        let (&level, coefficients) = payload.split_first()?;
        let order = coefficients.len().min(MOST);
        let mut reflections = [0.0; MOST];
        for (reflection, &coefficient) in reflections.iter_mut().zip(coefficients) {
            *reflection = ((f32::from(coefficient) - 127.0) / 128.0).clamp(-0.98, 0.98);
        }
        // The overload point is a sine (dBov is relative to a square wave's power, 3 dB above), and the filter adds gain.
        let gain: f32 = reflections[..order].iter().map(|reflection| 1.0 - reflection * reflection).product();
        let power = 10_f32.powf(-f32::from((level & 0x7f).max(LOUDEST)) / 10.0) * gain;
        // Evenly spread noise between -a and a has the power a²/3.
        Some(Self {
            amplitude: 32_768.0 * (3.0 * power).sqrt(),
            reflections,
            order,
            backward: [0.0; MOST + 1],
            random: 0x9e37_79b9,
        })
    }

    /// Fills samples with it.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            let mut forward = self.amplitude * (self.random as f32 / (1_u64 << 31) as f32 - 1.0);
            // A lattice of all poles.
            for stage in (0..self.order).rev() {
                forward -= self.reflections[stage] * self.backward[stage];
                self.backward[stage + 1] = self.backward[stage] + self.reflections[stage] * forward;
            }
            self.backward[0] = forward;
            *sample = forward.round() as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::level::level;

    #[test]
    fn it_is_as_loud_as_was_told_whatever_its_colour() {
        for payload in
            [&[50][..], &[50, 127], &[50, 200], &[50, 20, 160], &[50, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 9]]
        {
            let mut samples = vec![0; 16_000];
            Noise::new(payload).unwrap().fill(&mut samples);

            // Relative to a full sine, which is 3 dB below the overload point.
            assert!((level(&samples) + 47.0).abs() < 2.0, "{payload:?}: {}", level(&samples));
        }
    }

    #[test]
    fn it_is_never_loud() {
        let mut samples = vec![0; 16_000];
        Noise::new(&[0]).unwrap().fill(&mut samples);

        assert!(level(&samples) < -25.0);
        assert!(Noise::new(&[]).is_none());
    }

    proptest! {
        #[test]
        fn any_payload_at_all(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut samples = [0; 1600];
            if let Some(mut noise) = Noise::new(&payload) {
                noise.fill(&mut samples);
                prop_assert!(samples.iter().all(|sample| sample.unsigned_abs() < 16_000));
            }
        }
    }
}
