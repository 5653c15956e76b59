//! Frames into samples (§4).

use super::{
    FRAME, FRAME_BYTES, Filter, LONGEST_DELAY, ORDER, SUBFRAME,
    excitation::{self, Delay, GainPredictor, PAST},
    frame::Frame,
    lsp::{self, Lsp},
    post_filter::PostFilter,
};

/// Makes samples of frames, and of the lack of them.
#[derive(Clone, Debug)]
pub struct Decoder {
    frequencies: lsp::Predictor,
    gains: GainPredictor,
    /// The last frame: its frequencies, their cosines, and the predictor that it chose.
    last: (Lsp, Lsp, usize),
    /// What excited the filter, the newest at the end; the last frame of it is room for the next one.
    excitation: [f32; PAST + FRAME],
    spoken: [f32; ORDER],
    delay: usize,
    /// Of what is repeated, and of pulses.
    gain: [f32; 2],
    random: u16,
    lost: u32,
    post_filter: PostFilter,
}

/// How much of the gains is left in each subframe that was lost (§4.4.2).
const FADES: [f32; 2] = [0.9, 0.98];
/// What is repeated in the place of a lost subframe is no stronger than this.
const MOST_REPEATED: f32 = 0.9;
/// After so many lost frames the voice is let go.
const LONG_LOST: u32 = 6;
/// The loudest sample in fixed point, beyond which no encoder's model goes.
const LOUDEST: f32 = 32_767.0;

impl Decoder {
    /// A decoder that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frequencies: lsp::Predictor::new(),
            gains: GainPredictor::new(),
            last: (lsp::evenly_spread(), lsp::FIRST_COSINES, 0),
            excitation: [0.0; PAST + FRAME],
            spoken: [0.0; ORDER],
            delay: 60,
            gain: [0.0; 2],
            random: 21_845,
            lost: 0,
            post_filter: PostFilter::new(),
        }
    }

    /// Decodes the frames of a payload into 80 samples each; what describes silence, and what is no frame, is heard as if it
    /// were lost. The shorter of the two slices decides.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) {
        let mut frames = payload.as_chunks::<FRAME_BYTES>().0.iter();
        let (whole, rest) = samples.as_chunks_mut::<FRAME>();
        for samples in whole {
            self.frame(frames.next().map(Frame::read), samples);
        }
        if !rest.is_empty() {
            let mut samples = [0; FRAME];
            self.frame(None, &mut samples);
            rest.copy_from_slice(&samples[..rest.len()]);
        }
    }

    /// Makes up for frames that were lost: the voice goes on and fades away (§4.4).
    pub fn conceal(&mut self, samples: &mut [i16]) {
        self.decode(&[], samples);
    }

    fn frame(&mut self, frame: Option<Frame>, samples: &mut [i16; FRAME]) {
        let filters = self.filters(frame.as_ref());
        self.lost = if frame.is_some() { 0 } else { self.lost.saturating_add(1) };
        let mut first_delay = self.delay;
        for (part, (filter, samples)) in filters.iter().zip(samples.as_chunks_mut::<SUBFRAME>().0).enumerate() {
            let half = frame.map(|frame| frame.halves[part]);
            let delay = match (half, frame.is_some_and(|frame| frame.delay_is_sound)) {
                (Some(half), true) if part == 0 => Delay::first(half.delay),
                (Some(half), _) if part == 1 => Delay::second(half.delay, first_delay),
                _ => self.same_delay(),
            };
            if part == 0 {
                first_delay = delay.whole;
            }
            let at = PAST + part * SUBFRAME;
            excitation::repeat(&mut self.excitation, at, delay);
            let sharpness = excitation::sharpness(self.gain[0]);
            let code = match half {
                Some(half) => {
                    let code = excitation::pulses(half.positions, half.signs, delay.whole, sharpness);
                    let [repeated, correction] = excitation::gains(half.gains);
                    self.gain = [repeated, correction * self.gains.expected(&code)];
                    self.gains.learn(correction);
                    code
                }
                None => {
                    self.gains.forget();
                    self.gain = [(self.gain[0] * FADES[0]).min(MOST_REPEATED), self.gain[1] * FADES[1]];
                    if self.lost > LONG_LOST {
                        self.gain[1] *= FADES[0];
                    }
                    let (positions, signs) = (self.random(), self.random());
                    excitation::pulses(positions & 0x1fff, signs & 0xf, delay.whole, sharpness)
                }
            };
            self.delay = delay.whole;
            let mut spoken = [0.0; SUBFRAME];
            for ((spoken, excitation), pulse) in spoken.iter_mut().zip(&mut self.excitation[at..at + SUBFRAME]).zip(code) {
                *excitation = (*excitation * self.gain[0] + pulse * self.gain[1]).clamp(-LOUDEST, LOUDEST);
                *spoken = *excitation;
            }
            synthesise(filter, &mut self.spoken, &mut spoken);
            self.post_filter.run(filter, delay.whole, &spoken, samples);
        }
        self.excitation.copy_within(FRAME.., 0);
    }

    /// The filters of the two subframes.
    fn filters(&mut self, frame: Option<&Frame>) -> [Filter; 2] {
        let (frequencies, before, predictor) = self.last;
        let Some(Frame { filter, .. }) = frame else {
            self.frequencies.repeat(predictor, &frequencies);
            return [lsp::filter(&before); 2];
        };
        let frequencies = self.frequencies.decode(*filter);
        let cosines = frequencies.map(f32::cos);
        self.last = (frequencies, cosines, filter.predictor);
        lsp::filters(&before, &cosines)
    }

    /// The delay where none is known: a little more each time, so that no tone comes of it.
    fn same_delay(&self) -> Delay {
        Delay { whole: (self.delay + usize::from(self.lost > 0)).min(LONGEST_DELAY), thirds: 0 }
    }

    fn random(&mut self) -> usize {
        self.random = self.random.wrapping_mul(31_821).wrapping_add(13_849);
        usize::from(self.random)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs samples through one over a filter; `memory` has what came out before, the newest at the end.
pub(super) fn synthesise<const N: usize>(filter: &Filter, memory: &mut [f32; ORDER], samples: &mut [f32; N]) {
    let mut line = [0.0; ORDER + SUBFRAME];
    line[..ORDER].copy_from_slice(memory);
    for (now, sample) in samples.iter_mut().enumerate() {
        let past = line[now..now + ORDER].iter().rev();
        let value = *sample - filter.iter().zip(past).map(|(coefficient, past)| coefficient * past).sum::<f32>();
        line[now + ORDER] = value.clamp(-LOUDEST, LOUDEST);
        *sample = line[now + ORDER];
    }
    memory.copy_from_slice(&line[N..N + ORDER]);
}
