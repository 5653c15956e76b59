//! What a listener would stumble over: recordings that are missing, empty, clipped, cut off, or louder than the others.

use std::{collections::BTreeMap, fmt};

use crate::{
    audio::{WIDE_RATE, quality},
    domain::language::{Grammar, LanguageCode},
    ivr::prompts::PromptId,
    voice::Recording,
};

/// Something wrong with one prompt of one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Of which language.
    pub language: LanguageCode,
    /// The prompt's name, or that of a file that is no prompt.
    pub prompt: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// There is none.
    Missing,
    /// The language needs no prompt of this name.
    Unknown,
    /// It is no WAV that we can read, and why.
    Unreadable(String),
    /// It has so few samples a second that it would sound muffled on any phone.
    Rate(u32),
    /// Nothing is said.
    Empty,
    /// Its peaks are cut off.
    Clipped,
    /// It begins in the middle of a sound.
    BeginsAbruptly,
    /// It ends in the middle of a sound.
    EndsAbruptly,
    /// So many dB louder than the others, or softer.
    Uneven(f64),
}

impl Problem {
    /// One word for the kind of problem.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Unreadable(_) => "unreadable",
            Self::Rate(_) => "wrong-rate",
            Self::Empty => "empty",
            Self::Clipped => "clipped",
            Self::BeginsAbruptly => "begins-abruptly",
            Self::EndsAbruptly => "ends-abruptly",
            Self::Uneven(_) => "uneven",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing; ours is said"),
            Self::Unknown => f.write_str("is no WAV file of a prompt that this language needs"),
            Self::Unreadable(why) => write!(f, "cannot be used: {why}"),
            Self::Rate(rate) => write!(f, "has {rate} samples a second; it needs 8000 at least, better 16,000"),
            Self::Empty => f.write_str("is empty or silent"),
            Self::Clipped => f.write_str("is clipped: its peaks are cut off"),
            Self::BeginsAbruptly => f.write_str("begins in the middle of a sound"),
            Self::EndsAbruptly => f.write_str("ends in the middle of a sound"),
            Self::Uneven(more) if *more > 0.0 => write!(f, "is {more:.0} dB louder than the others"),
            Self::Uneven(more) => write!(f, "is {:.0} dB softer than the others", -more),
        }
    }
}

impl Finding {
    /// What is wrong with the file of this name.
    #[must_use]
    pub fn new(language: &LanguageCode, prompt: &str, problem: Problem) -> Self {
        Self { language: language.clone(), prompt: prompt.to_owned(), problem }
    }

    /// That there is no recording.
    #[must_use]
    pub fn missing(language: &LanguageCode, prompt: PromptId) -> Self {
        Self::new(language, prompt.name(), Problem::Missing)
    }
}

/// How much louder or softer than the others a prompt may be, in dB.
const EVEN: f64 = 3.0;
/// The level of our own prompts, in dB relative to full scale.
const OUR_LEVEL: f64 = -20.0;
/// What is softer is silence, in dB relative to full scale.
const SILENT: f64 = -50.0;
/// The loudest that the first and last 5 ms may be.
const EDGE: u16 = 600;
const EDGE_SAMPLES: usize = 80;
/// So many samples in a row at full scale are no chance.
const CLIPPED: u16 = 32_700;
const CLIPPED_SAMPLES: usize = 3;
/// What is shorter says nothing: 60 ms.
const SHORTEST: usize = WIDE_RATE as usize * 60 / 1000;

/// Whether the peaks of a file's own samples are cut off: flat at full scale, or so often at their peak that what wrote the file made
/// their tops uneven afterwards, as G.711 does.
pub fn is_clipped(samples: &[i16], rate: u32) -> bool {
    let is_flat = |run: &[i16]| run.len() >= CLIPPED_SAMPLES && run[0].unsigned_abs() >= CLIPPED;
    samples.chunk_by(|a, b| a == b).any(is_flat) || quality::is_clipped(samples, rate)
}

/// What is wrong with the recordings of a language.
///
/// They are compared with each other when none of ours is heard, else with ours, among which they are heard.
pub fn faults(language: &LanguageCode, grammar: Grammar, recordings: &BTreeMap<PromptId, Recording>) -> Vec<Finding> {
    let needed = PromptId::ALL.iter().filter(|prompt| prompt.is_needed_by(grammar)).count();
    let levels: BTreeMap<PromptId, f64> = recordings
        .iter()
        .map(|(prompt, recording)| (*prompt, level(&recording.samples)))
        .filter(|(_, level)| *level > SILENT)
        .collect();
    let usual = if recordings.len() >= needed { median(levels.values().copied().collect()) } else { OUR_LEVEL };
    let mut findings = vec![];
    for (prompt, Recording { samples, is_clipped, .. }) in recordings {
        let mut found = |problem| findings.push(Finding::new(language, prompt.name(), problem));
        let Some(level) = levels.get(prompt).filter(|_| samples.len() >= SHORTEST) else {
            found(Problem::Empty);
            continue;
        };
        if *is_clipped {
            found(Problem::Clipped);
        }
        let loud = |edge: &[i16]| edge.iter().any(|sample| sample.unsigned_abs() > EDGE);
        if loud(&samples[..EDGE_SAMPLES]) {
            found(Problem::BeginsAbruptly);
        }
        if loud(&samples[samples.len() - EDGE_SAMPLES..]) {
            found(Problem::EndsAbruptly);
        }
        if (level - usual).abs() > EVEN {
            found(Problem::Uneven(level - usual));
        }
    }
    findings
}

/// The mean power of the frames of 20 ms within 30 dB of the loudest one, in dB relative to full scale.
fn level(samples: &[i16]) -> f64 {
    let power = |frame: &[i16; 320]| frame.iter().map(|&sample| (f64::from(sample) / 32_768.0).powi(2)).sum::<f64>() / 320.0;
    let powers: Vec<f64> = samples.as_chunks::<320>().0.iter().map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let (sum, count) =
        powers.iter().filter(|power| **power > loudest * 1e-3).fold((0.0, 0.0), |(sum, count), power| (sum + power, count + 1.0));
    10.0 * (sum / f64::max(count, 1.0)).max(1e-12).log10()
}

fn median(mut levels: Vec<f64>) -> f64 {
    levels.sort_by(f64::total_cmp);
    levels.get(levels.len() / 2).copied().unwrap_or(OUR_LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audio::import::Imported,
        domain::language::Languages,
        voice::{Source, Voice, Voices},
    };

    #[test]
    fn nothing_is_wrong_with_our_own_prompts() {
        for (code, voice) in Voices::ours().all() {
            assert_eq!(voice.faults_of_ours(code), [], "{code}");
        }
    }

    #[test]
    fn prompts_are_as_loud_as_each_other_or_as_ours_if_one_of_ours_is_among_them() {
        let english = Languages::default().spoken(None, None).code;
        let voice = Voice::ours(Grammar::English);
        let softer = |prompt| voice.prompt(prompt, WIDE_RATE).unwrap().iter().map(|sample| sample / 2).collect::<Vec<_>>();
        let mut pack: BTreeMap<_, _> = voice.prompts().map(|(prompt, _)| (prompt, recording(&softer(prompt)))).collect();
        let prompts = pack.len();

        assert_eq!(faults(&english, Grammar::English, &pack), []);
        pack.remove(&PromptId::Goodbye);
        let told = faults(&english, Grammar::English, &pack);
        assert_eq!(told.iter().filter(|finding| matches!(finding.problem, Problem::Uneven(..-5.0))).count(), prompts - 1);
    }

    #[test]
    fn a_bad_recording_is_told_from_a_good_one() {
        let good = Voice::ours(Grammar::English).prompt(PromptId::Goodbye, WIDE_RATE).unwrap();
        let loudest = (0..good.len()).max_by_key(|at| good[*at].unsigned_abs()).unwrap();
        let scaled = |by: f64| good.iter().map(|&sample| (f64::from(sample) * by) as i16).collect::<Vec<_>>();

        assert_eq!(problems(&good), []);
        assert_eq!(problems(&[]), [Problem::Empty]);
        assert_eq!(problems(&[0; 16_000]), [Problem::Empty]);
        assert_eq!(problems(&good[..900]), [Problem::Empty]);
        assert_eq!(problems(&scaled(1.3)), []);
        assert!(matches!(problems(&scaled(0.5))[..], [Problem::Uneven(by)] if (-6.3..-5.7).contains(&by)));
        assert!(matches!(problems(&scaled(4.0))[..], [Problem::Clipped, Problem::Uneven(9.0..)]));
        assert!(problems(&good[loudest..]).contains(&Problem::BeginsAbruptly));
        assert!(problems(&good[..loudest]).contains(&Problem::EndsAbruptly));
    }

    fn problems(samples: &[i16]) -> Vec<Problem> {
        let english = Languages::default().spoken(None, None).code;
        let found = faults(&english, Grammar::English, &BTreeMap::from([(PromptId::Goodbye, recording(samples))]));
        found.into_iter().map(|finding| finding.problem).collect()
    }

    fn recording(samples: &[i16]) -> Recording {
        Recording::new(Source::Folder, &Imported { rate: WIDE_RATE, samples: samples.to_vec() })
    }
}
