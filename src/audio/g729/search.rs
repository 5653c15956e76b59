//! The searches of the encoder: for a delay, for pulses, for gains (§A.3.4 to §3.9).

use super::{LONGEST_DELAY, SHORTEST_DELAY, SUBFRAME, excitation};

type Subframe = [f32; SUBFRAME];

/// The delay at which weighted speech is most like itself, roughly (§A.3.4). `speech` has [`LONGEST_DELAY`] samples before
/// the frame's 80.
pub(super) fn rough_delay(speech: &[f32]) -> usize {
    // Every second sample tells enough.
    let pairs = |delay: usize| {
        let now = speech[LONGEST_DELAY..].iter().step_by(2);
        now.zip(speech[LONGEST_DELAY - delay..].iter().step_by(2))
    };
    let likeness = |delay: usize| pairs(delay).map(|(now, past)| now * past).sum::<f32>();
    let best = |delays: &mut dyn Iterator<Item = usize>| {
        delays.map(|delay| (likeness(delay), delay)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, SHORTEST_DELAY))
    };
    let normal = |(likeness, delay): (f32, usize)| {
        let energy: f32 = pairs(delay).take(SUBFRAME).map(|(_, past)| past * past).sum();
        (likeness / energy.max(1.0).sqrt(), delay)
    };
    let short = normal(best(&mut (SHORTEST_DELAY..40)));
    let middle = normal(best(&mut (40..80)));
    let even = best(&mut (80..=LONGEST_DELAY).step_by(2));
    let long = normal(best(&mut (even.1.max(81) - 1..=(even.1 + 1).min(LONGEST_DELAY))));

    // Twice and three times a period is as much like it: the shorter ones are preferred.
    let is_near = |times: usize, short: usize, long: usize, reach: usize| (times * short).abs_diff(long) < reach;
    let (mut short, mut middle) = (short, middle);
    if is_near(2, middle.1, long.1, 5) || is_near(3, middle.1, long.1, 7) {
        middle.0 += 0.25 * long.0;
    }
    if is_near(2, short.1, middle.1, 5) || is_near(3, short.1, middle.1, 7) {
        short.0 += 0.2 * middle.0;
    }
    [middle, long].into_iter().fold(short, |best, other| if other.0 > best.0 { other } else { best }).1
}

/// How each sample of an excitation counts towards the target, where `response` is the filter's.
pub(super) fn backward(target: &Subframe, response: &Subframe) -> Subframe {
    std::array::from_fn(|now| target[now..].iter().zip(response).map(|(target, response)| target * response).sum())
}

/// What an excitation becomes by a filter of this response.
pub(super) fn filtered(excitation: &[f32], response: &Subframe) -> Subframe {
    std::array::from_fn(|now| excitation[..=now].iter().rev().zip(response).map(|(sample, response)| sample * response).sum())
}

pub(super) fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Four pulses (§A.3.8): the indices of their places and signs.
pub(super) fn pulses(target: &Subframe, response: &Subframe) -> (usize, usize) {
    let wanted = backward(target, response);
    let likeness = likenesses(response, &wanted);
    let strength: Subframe = wanted.map(f32::abs);

    let mut best = Found::default();
    for last in [3, 4] {
        for [first, second, third, fourth] in [[2, last, 0, 1], [last, 0, 1, 2]] {
            for start in strongest_two(&strength, first) {
                let begun = Found::of(&strength, &likeness, start);
                let begun = begun.with_best(&strength, &likeness, track(second));
                for place in track(third) {
                    let three = begun.with(&strength, &likeness, place);
                    let four = three.with_best(&strength, &likeness, track(fourth));
                    if four.is_better_than(&best) {
                        best = four;
                    }
                }
            }
        }
    }

    let (mut positions, mut signs) = (0, 0);
    for place in best.places {
        let (step, track) = (place / 5, place % 5);
        let (pulse, index) = match track {
            0..3 => (track, step << (3 * track)),
            _ => (3, step << 10 | (track - 3) << 9),
        };
        positions |= index;
        signs |= usize::from(wanted[place] >= 0.0) << pulse;
    }
    (positions, signs)
}

/// The eight places of a pulse.
fn track(track: usize) -> impl Iterator<Item = usize> {
    (track..SUBFRAME).step_by(5)
}

fn strongest_two(strength: &Subframe, of: usize) -> [usize; 2] {
    let mut best = [of, of + 5];
    if strength[best[1]] > strength[best[0]] {
        best.swap(0, 1);
    }
    for place in track(of).skip(2) {
        if strength[place] > strength[best[0]] {
            best = [place, best[0]];
        } else if strength[place] > strength[best[1]] {
            best[1] = place;
        }
    }
    best
}

/// How alike the responses to pulses at two places are, where each has the sign that is wanted of it.
fn likenesses(response: &Subframe, wanted: &Subframe) -> [Subframe; SUBFRAME] {
    let mut likeness = [[0.0; SUBFRAME]; SUBFRAME];
    for apart in 0..SUBFRAME {
        let mut sum = 0.0;
        for at in 0..SUBFRAME - apart {
            sum += response[at] * response[at + apart];
            let later = SUBFRAME - 1 - at;
            let earlier = later - apart;
            let signed = if (wanted[later] >= 0.0) == (wanted[earlier] >= 0.0) { sum } else { -sum };
            likeness[earlier][later] = signed;
            likeness[later][earlier] = signed;
        }
    }
    likeness
}

/// Pulses chosen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    places: [usize; 4],
    count: usize,
    /// How much of the target they meet, and their energy.
    met: f32,
    energy: f32,
}

impl Found {
    fn of(strength: &Subframe, likeness: &[Subframe; SUBFRAME], place: usize) -> Self {
        Self::default().with(strength, likeness, place)
    }

    fn with(mut self, strength: &Subframe, likeness: &[Subframe; SUBFRAME], place: usize) -> Self {
        let row = &likeness[place];
        let shared: f32 = self.places[..self.count].iter().map(|&other| row[other]).sum();
        self.met += strength[place];
        self.energy += row[place] + 2.0 * shared;
        self.places[self.count] = place;
        self.count += 1;
        self
    }

    fn with_best(self, strength: &Subframe, likeness: &[Subframe; SUBFRAME], places: impl Iterator<Item = usize>) -> Self {
        let mut best = Self::default();
        for place in places {
            let found = self.with(strength, likeness, place);
            if found.is_better_than(&best) {
                best = found;
            }
        }
        best
    }

    fn is_better_than(&self, other: &Self) -> bool {
        other.count < self.count || self.met * self.met * other.energy > other.met * other.met * self.energy
    }
}

/// The indices of the gains with which what is repeated and the pulses, both filtered, come nearest to the target (§3.9.2).
/// `expected` is the pulses' expected gain; what is repeated is not made stronger than `most`.
pub(super) fn gains(target: &Subframe, repeated: &Subframe, pulses: &Subframe, expected: f32, most: f32) -> [usize; 2] {
    let (rr, pp, rp) = (product(repeated, repeated), product(pulses, pulses), product(repeated, pulses));
    let (tr, tp) = (product(target, repeated), product(target, pulses));
    let mut best = (f32::INFINITY, [0; 2]);
    for first in 0..8 {
        for second in 0..16 {
            let [gain, correction] = excitation::gains([first, second]);
            let code = correction * expected;
            let error = gain * gain * rr + code * code * pp + 2.0 * (gain * code * rp - gain * tr - code * tp);
            if error < best.0 && gain <= most {
                best = (error, [first, second]);
            }
        }
    }
    best.1
}
