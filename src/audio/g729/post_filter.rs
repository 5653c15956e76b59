//! What makes decoded speech more pleasant: noise is pushed under the harmonics and formants of the voice (§A.4.2).

use super::{Filter, LONGEST_DELAY, ORDER, SUBFRAME, decoder::synthesise};

/// How much of the filter is taken away, and put back.
const TAKEN: f32 = 0.55;
const PUT_BACK: f32 = 0.7;
/// How much of the delayed is added at most, to one of the present.
const HARMONIC: f32 = 0.5;
/// How much of the tilt that both leave is taken away.
const TILT: f32 = 0.8;
/// Samples of the response by which that tilt is told.
const RESPONSE: usize = 22;
/// How slowly loudness follows.
const SLOWNESS: f32 = 0.9;

#[derive(Clone, Debug)]
pub(super) struct PostFilter {
    /// What was decoded, the newest at the end.
    spoken: [f32; ORDER],
    /// The same without its formants; its last subframe is room for the next one.
    residual: [f32; LONGEST_DELAY + SUBFRAME],
    before_tilt: f32,
    put_back: [f32; ORDER],
    loudness: f32,
    /// The last two samples into and out of the high-pass.
    into: [f32; 2],
    out: [f32; 2],
}

impl PostFilter {
    pub(super) fn new() -> Self {
        Self {
            spoken: [0.0; ORDER],
            residual: [0.0; LONGEST_DELAY + SUBFRAME],
            before_tilt: 0.0,
            put_back: [0.0; ORDER],
            loudness: 1.0,
            into: [0.0; 2],
            out: [0.0; 2],
        }
    }

    /// Filters a subframe, which was made with this filter and delay.
    pub(super) fn run(&mut self, filter: &Filter, delay: usize, spoken: &[f32; SUBFRAME], samples: &mut [i16; SUBFRAME]) {
        let (taken, put_back) = (weighted(filter, TAKEN), weighted(filter, PUT_BACK));
        let mut line = [0.0; ORDER + SUBFRAME];
        line[..ORDER].copy_from_slice(&self.spoken);
        line[ORDER..].copy_from_slice(spoken);
        self.spoken.copy_from_slice(&line[SUBFRAME..]);
        residual(&taken, &line, &mut self.residual[LONGEST_DELAY..]);

        let mut filtered = self.with_harmonics(delay);
        self.residual.copy_within(SUBFRAME.., 0);
        let tilt = tilt(&taken, &put_back);
        for sample in &mut filtered {
            let now = *sample;
            *sample -= tilt * self.before_tilt;
            self.before_tilt = now;
        }
        synthesise(&put_back, &mut self.put_back, &mut filtered);
        self.follow_loudness(spoken, &mut filtered);
        self.high_pass(&filtered, samples);
    }

    /// Adds what was a period ago, if it is like what is now (§A.4.2.1).
    fn with_harmonics(&self, delay: usize) -> [f32; SUBFRAME] {
        let now: &[f32; SUBFRAME] = self.residual.last_chunk().expect("the residual is longer");
        let past = |delay: usize| &self.residual[LONGEST_DELAY - delay..][..SUBFRAME];
        let likeness = |delay: usize| now.iter().zip(past(delay)).map(|(now, past)| now * past).sum::<f32>();
        let last = (delay + 3).min(LONGEST_DELAY);
        let mut best = (likeness(last - 6), last - 6);
        for delay in last - 5..=last {
            let likeness = likeness(delay);
            if likeness > best.0 {
                best = (likeness, delay);
            }
        }
        let (likeness, delay) = best;
        let energy = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
        let (present, past_energy) = (energy(now), energy(past(delay)));
        // Less than 3 dB are no harmonics.
        if likeness <= 0.0 || likeness * likeness < 0.5 * present * past_energy {
            return *now;
        }
        let share = HARMONIC * (likeness / past_energy).min(1.0);
        let mut both = *now;
        both.iter_mut().zip(past(delay)).for_each(|(now, past)| *now = (*now + share * past) / (1.0 + share));
        both
    }

    /// Makes what was filtered as loud as it was before (§A.4.2.4).
    fn follow_loudness(&mut self, spoken: &[f32; SUBFRAME], filtered: &mut [f32; SUBFRAME]) {
        let energy = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
        let (wanted, present) = (energy(spoken), energy(filtered));
        if present <= 0.0 {
            self.loudness = 0.0;
            return;
        }
        let target = (wanted / present).sqrt();
        for sample in filtered {
            self.loudness = SLOWNESS * self.loudness + (1.0 - SLOWNESS) * target;
            *sample *= self.loudness;
        }
    }

    /// Leaves out what is below 100 Hz, and doubles the rest, which the encoder halved (§4.2.5).
    fn high_pass(&mut self, filtered: &[f32; SUBFRAME], samples: &mut [i16; SUBFRAME]) {
        for (&now, sample) in filtered.iter().zip(samples) {
            let value =
                0.939_805_8 * (now - 2.0 * self.into[0] + self.into[1]) + 1.933_073_5 * self.out[0] - 0.935_892 * self.out[1];
            self.into = [now, self.into[0]];
            self.out = [value, self.out[0]];
            *sample = (2.0 * value).round() as i16;
        }
    }
}

/// A filter whose resonances are less sharp.
pub(super) fn weighted(filter: &Filter, factor: f32) -> Filter {
    let mut power = 1.0;
    filter.map(|coefficient| {
        power *= factor;
        coefficient * power
    })
}

/// Takes a filter out of samples; `line` has as many before them as the filter looks back.
pub(super) fn residual(filter: &Filter, line: &[f32], out: &mut [f32]) {
    for (now, out) in out.iter_mut().enumerate() {
        let past = line[now..now + ORDER].iter().rev();
        *out = line[now + ORDER] + filter.iter().zip(past).map(|(coefficient, past)| coefficient * past).sum::<f32>();
    }
}

/// How much of the sample before is taken away, by the response of both filters (§A.4.2.3).
fn tilt(taken: &Filter, put_back: &Filter) -> f32 {
    let mut response = [0.0; RESPONSE];
    response[0] = 1.0;
    response[1..=ORDER].copy_from_slice(taken);
    synthesise(put_back, &mut [0.0; ORDER], &mut response);
    let same: f32 = response.iter().map(|value| value * value).sum();
    let next: f32 = response.iter().zip(&response[1..]).map(|(value, next)| value * next).sum();
    if next > 0.0 { TILT * next / same } else { 0.0 }
}
