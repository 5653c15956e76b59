//! Samples into frames (§3, with the searches of Annex A).

use std::f32::consts::PI;

use super::{
    FRAME, FRAME_BYTES, Filter, LONGEST_DELAY, ORDER, SHORTEST_DELAY, SUBFRAME,
    decoder::synthesise,
    excitation::{self, Delay, GainPredictor, PAST},
    frame::{Frame, Half},
    lsp::{self, Lsp},
    post_filter::{residual, weighted},
    search,
};

/// Samples in the window by which the filter is told: 15 ms of the past, the frame, and 5 ms of the future.
const WINDOW: usize = 240;
/// Where the frame is in it.
const NOW: usize = 120;
/// How much less sharp than the filter's the resonances are under which noise is hidden.
const HIDDEN: f32 = 0.75;
/// The strongest repetition, and the strongest where errors of a decoder could grow.
const MOST_REPEATED: f32 = 1.2;
const TAME: f32 = 0.95;

/// Makes frames of samples.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// The last two samples into and out of the high-pass.
    into: [f32; 2],
    out: [f32; 2],
    speech: [f32; WINDOW],
    shape: Box<[f32; WINDOW]>,
    frequencies: lsp::Predictor,
    gains: GainPredictor,
    /// Cosines of the last frame, as they were and as they were sent.
    cosines: Lsp,
    sent: Lsp,
    /// What is searched for a rough delay, the newest at the end.
    soft: [f32; LONGEST_DELAY + FRAME],
    soft_memory: [f32; ORDER],
    excitation: [f32; PAST + FRAME],
    /// What the last subframe fell short of its target, through the filter that hides noise.
    shortfall: [f32; ORDER],
    repeated: f32,
    taming: Taming,
}

impl Encoder {
    /// An encoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            into: [0.0; 2],
            out: [0.0; 2],
            speech: [0.0; WINDOW],
            shape: Box::new(std::array::from_fn(shape)),
            frequencies: lsp::Predictor::new(),
            gains: GainPredictor::new(),
            cosines: lsp::FIRST_COSINES,
            sent: lsp::FIRST_COSINES,
            soft: [0.0; LONGEST_DELAY + FRAME],
            soft_memory: [0.0; ORDER],
            excitation: [0.0; PAST + FRAME],
            shortfall: [0.0; ORDER],
            repeated: 0.0,
            taming: Taming::default(),
        }
    }

    /// Encodes 80 samples. The frame is of those [`DELAY`](super::DELAY) before.
    #[must_use]
    pub fn encode(&mut self, samples: &[i16; FRAME]) -> [u8; FRAME_BYTES] {
        self.take(samples);
        let cosines = self.analyse();
        let (filter, frequencies) = self.frequencies.encode(&cosines.map(f32::acos));
        let sent = frequencies.map(f32::cos);
        let filters = lsp::filters(&self.sent, &sent);
        self.sent = sent;

        // Until a subframe is coded, its residual stands for its excitation (§A.3.7).
        for (part, filter) in filters.iter().enumerate() {
            let from = NOW + part * SUBFRAME;
            let at = PAST + part * SUBFRAME;
            residual(filter, &self.speech[from - ORDER..from + SUBFRAME], &mut self.excitation[at..at + SUBFRAME]);
            self.soften(filter, part);
        }
        let rough = search::rough_delay(&self.soft);
        self.soft.copy_within(FRAME.., 0);

        let least = rough.saturating_sub(3).clamp(SHORTEST_DELAY, LONGEST_DELAY - 6);
        let mut halves = [Half::default(); 2];
        let first = self.subframe(0, &filters[0], least..=least + 6);
        halves[0] = Half { delay: first.0.first_index(), ..first.1 };
        let least = Delay::least(first.0.whole);
        let second = self.subframe(1, &filters[1], least..=least + 9);
        halves[1] = Half { delay: second.0.second_index(first.0.whole), ..second.1 };
        self.excitation.copy_within(FRAME.., 0);
        Frame { filter, delay_is_sound: true, halves }.write()
    }

    /// Halves the samples, and leaves out what is below 140 Hz (§3.1).
    fn take(&mut self, samples: &[i16; FRAME]) {
        self.speech.copy_within(FRAME.., 0);
        for (&now, sample) in samples.iter().zip(&mut self.speech[WINDOW - FRAME..]) {
            let now = f32::from(now);
            let value = 0.463_637_18 * (now + self.into[1]) - 0.927_247_05 * self.into[0] + 1.905_946_5 * self.out[0]
                - 0.911_402_4 * self.out[1];
            self.into = [now, self.into[0]];
            self.out = [value, self.out[0]];
            *sample = value;
        }
    }

    /// Tells the filter of the mouth from the window (§3.2.1 to §3.2.3).
    fn analyse(&mut self) -> Lsp {
        let mut shaped = [0.0; WINDOW];
        for ((shaped, sample), shape) in shaped.iter_mut().zip(&self.speech).zip(self.shape.iter()) {
            *shaped = sample * shape;
        }
        let mut likeness: [f32; ORDER + 1] = std::array::from_fn(|lag| search::product(&shaped[lag..], &shaped));
        likeness[0] = likeness[0].max(1.0) * 1.0001;
        for (lag, likeness) in likeness.iter_mut().enumerate() {
            // Resonances are at least 60 Hz wide.
            *likeness *= (-0.5 * (2.0 * PI * 60.0 * lag as f32 / 8000.0).powi(2)).exp();
        }
        if let Some(cosines) = predictor(&likeness).as_ref().and_then(lsp::cosines) {
            self.cosines = cosines;
        }
        self.cosines
    }

    /// Adds a subframe to what is searched for a rough delay: without formants, and with less of what is high (§A.3.3).
    fn soften(&mut self, filter: &Filter, part: usize) {
        let weighted = weighted(filter, HIDDEN);
        let soft: Filter =
            std::array::from_fn(|index| weighted[index] - 0.7 * if index == 0 { 1.0 } else { weighted[index - 1] });
        let at = PAST + part * SUBFRAME;
        let mut line: [f32; SUBFRAME] = std::array::from_fn(|index| self.excitation[at + index]);
        synthesise(&soft, &mut self.soft_memory, &mut line);
        self.soft[LONGEST_DELAY + part * SUBFRAME..][..SUBFRAME].copy_from_slice(&line);
    }

    /// Finds the excitation of a subframe, and leaves it where its residual was; the delay's index is left to the caller.
    fn subframe(&mut self, part: usize, filter: &Filter, delays: std::ops::RangeInclusive<usize>) -> (Delay, Half) {
        let at = PAST + part * SUBFRAME;
        let hidden = weighted(filter, HIDDEN);
        let mut response = [0.0; SUBFRAME];
        response[0] = 1.0;
        synthesise(&hidden, &mut [0.0; ORDER], &mut response);
        let mut target: [f32; SUBFRAME] = std::array::from_fn(|index| self.excitation[at + index]);
        synthesise(&hidden, &mut self.shortfall.clone(), &mut target);

        let delay = self.delay(at, delays, &search::backward(&target, &response), part == 0);
        excitation::repeat(&mut self.excitation, at, delay);
        let repeated = search::filtered(&self.excitation[at..at + SUBFRAME], &response);
        let is_tame = self.taming.is_needed(delay);
        let most = if is_tame { TAME } else { MOST_REPEATED };
        let energy = search::product(&repeated, &repeated).max(1e-3);
        let gain = (search::product(&target, &repeated) / energy).clamp(0.0, most);

        let sharpness = excitation::sharpness(self.repeated);
        let mut sharp = response;
        excitation::sharpen(&mut sharp, delay.whole, sharpness);
        let missing: [f32; SUBFRAME] = std::array::from_fn(|index| target[index] - gain * repeated[index]);
        let (positions, signs) = search::pulses(&missing, &sharp);
        let code = excitation::pulses(positions, signs, delay.whole, sharpness);
        let pulses = search::filtered(&code, &response);
        let expected = self.gains.expected(&code);
        let strongest = if is_tame { TAME } else { f32::INFINITY };
        let gains = search::gains(&target, &repeated, &pulses, expected, strongest);

        let [gain, correction] = excitation::gains(gains);
        let strength = correction * expected;
        self.gains.learn(correction);
        self.repeated = gain;
        self.taming.learn(gain, delay.whole);
        for (sample, pulse) in self.excitation[at..at + SUBFRAME].iter_mut().zip(code) {
            *sample = *sample * gain + pulse * strength;
        }
        let start = SUBFRAME - ORDER;
        self.shortfall = std::array::from_fn(|index| {
            target[start + index] - gain * repeated[start + index] - strength * pulses[start + index]
        });
        (delay, Half { delay: 0, positions, signs, gains })
    }

    /// The delay at which the past is most like what is wanted (§A.3.7).
    fn delay(&mut self, at: usize, delays: std::ops::RangeInclusive<usize>, wanted: &[f32; SUBFRAME], is_first: bool) -> Delay {
        let likeness = |delay: usize| search::product(&self.excitation[at - delay..], wanted);
        let mut best = (f32::NEG_INFINITY, *delays.start());
        for delay in delays {
            let likeness = likeness(delay);
            if likeness > best.0 {
                best = (likeness, delay);
            }
        }
        let whole = best.1;
        let mut delay = Delay { whole, thirds: 0 };
        if is_first && whole > 84 {
            return delay;
        }
        let kept: [f32; SUBFRAME] = std::array::from_fn(|index| self.excitation[at + index]);
        let mut best = f32::NEG_INFINITY;
        for thirds in [0, -1, 1] {
            let candidate = Delay { whole, thirds };
            excitation::repeat(&mut self.excitation, at, candidate);
            let likeness = search::product(&self.excitation[at..at + SUBFRAME], wanted);
            self.excitation[at..at + SUBFRAME].copy_from_slice(&kept);
            if likeness > best {
                (best, delay) = (likeness, candidate);
            }
        }
        delay
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The window: half a Hamming, then a quarter of a cosine (§3.2.1).
fn shape(index: usize) -> f32 {
    if index < 200 {
        0.54 - 0.46 * (2.0 * PI * index as f32 / 399.0).cos()
    } else {
        (2.0 * PI * (index - 200) as f32 / 159.0).cos()
    }
}

/// The filter that expects each sample by those before it (Levinson and Durbin, §3.2.2); `None` when it is not stable.
fn predictor(likeness: &[f32; ORDER + 1]) -> Option<Filter> {
    let mut filter = [0.0; ORDER];
    let mut error = likeness[0];
    for order in 0..ORDER {
        let sum: f32 = (0..order).map(|index| filter[index] * likeness[order - index]).sum();
        let reflection = -(likeness[order + 1] + sum) / error;
        if reflection.is_nan() || reflection.abs() >= 1.0 {
            return None;
        }
        let before = filter;
        for index in 0..order {
            filter[index] += reflection * before[order - 1 - index];
        }
        filter[order] = reflection;
        error *= 1.0 - reflection * reflection;
    }
    Some(filter)
}

/// How much an error in a decoder's past could have grown by repetition, for four parts of the past, the newest first: a decoder
/// that lost a frame would never find back into a voice that is repeated ever stronger (the Recommendation's taming).
#[derive(Clone, Debug, Default)]
struct Taming {
    grown: [f32; 4],
}

/// More than this is too much.
const GROWN: f32 = 60_000.0;

impl Taming {
    fn is_needed(&self, delay: Delay) -> bool {
        let longest = delay.whole + usize::from(delay.thirds > 0);
        let parts = longest.saturating_sub(SUBFRAME + 10) / SUBFRAME..=(longest + 8) / SUBFRAME;
        parts.map(|part| self.grown[part.min(3)]).fold(0.0, f32::max) > GROWN
    }

    fn learn(&mut self, gain: f32, delay: usize) {
        let worst = if delay < SUBFRAME {
            let once = 1.0 + gain * self.grown[0];
            once.max(1.0 + gain * once)
        } else {
            let parts = (delay - SUBFRAME) / SUBFRAME..=(delay - 1) / SUBFRAME;
            parts.map(|part| 1.0 + gain * self.grown[part.min(3)]).fold(0.0, f32::max)
        };
        self.grown.rotate_right(1);
        self.grown[0] = worst;
    }
}
