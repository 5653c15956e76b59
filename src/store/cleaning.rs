//! What is kept of a recording: the cleaned one, which the subscriber hears, and the one that came.

use std::{panic::catch_unwind, time::Duration};

use super::{journal::Encoding, wav};
use crate::audio::clean::{Cleaned, clean};

/// What the operator wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// Whether recordings are cleaned.
    pub clean: bool,
    /// Whether one in which nobody says anything is kept.
    pub keep_silent: bool,
}

/// A message's audio.
pub(super) struct Audio {
    /// How long the subscriber will hear it.
    pub duration: Duration,
    /// What the subscriber will hear.
    pub wav: Vec<u8>,
    /// The recording as it came, if that is another.
    pub original: Option<Vec<u8>>,
}

/// Makes of raw recorded bytes what is kept; nothing if it is not worth keeping.
pub(super) fn finish(encoding: Encoding, recorded: &[u8], wishes: Wishes) -> Option<Audio> {
    let original = wav::finish(encoding, recorded);
    let duration = encoding.duration(recorded.len() as u64);
    let as_it_came = |wav| Some(Audio { duration, wav, original: None });
    if !wishes.clean && wishes.keep_silent {
        return as_it_came(original);
    }
    let form = encoding.form();
    // What goes wrong in here must cost the beauty of a message, and not the message.
    let cleaned = catch_unwind(|| clean(&form.samples(recorded), form.sample_rate())).unwrap_or_else(|_| {
        tracing::error!("a message could not be cleaned; it is kept as it came");
        Cleaned::AsItWas
    });
    match cleaned {
        Cleaned::NothingSaid if !wishes.keep_silent => None,
        Cleaned::Better(samples) if wishes.clean => {
            let duration = Duration::from_secs_f64(samples.len() as f64 / f64::from(form.sample_rate()));
            Some(Audio { duration, wav: wav::of_samples(encoding, &samples), original: Some(original) })
        }
        Cleaned::NothingSaid | Cleaned::Better(_) | Cleaned::AsItWas => as_it_came(original),
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::law::Law;

    const BOTH: Wishes = Wishes { clean: true, keep_silent: true };

    #[test]
    fn a_soft_message_with_a_busy_tone_is_kept_twice() {
        let recorded = Law::Mu.encoded(&[syllables(4.0), busy(3.0)].concat());

        let audio = finish(Encoding::Mulaw, &recorded, BOTH).unwrap();

        assert!(
            audio.duration >= Duration::from_millis(3900) && audio.duration < Duration::from_millis(4600),
            "{:?}",
            audio.duration
        );
        assert_eq!(audio.original, Some(wav::finish(Encoding::Mulaw, &recorded)));
        assert!(audio.wav.len() < recorded.len() * 2);
    }

    #[test]
    fn nothing_is_cleaned_that_should_not_be() {
        let recorded = Law::Mu.encoded(&[syllables(4.0), busy(3.0)].concat());

        let audio = finish(Encoding::Mulaw, &recorded, Wishes { clean: false, ..BOTH }).unwrap();

        assert_eq!((audio.original, audio.duration), (None, Duration::from_secs(7)));
        assert_eq!(audio.wav, wav::finish(Encoding::Mulaw, &recorded));
    }

    #[test]
    fn a_message_of_nothing_is_kept_as_it_came_unless_none_is_wanted() {
        let recorded = Law::A.encoded(&[vec![0; 16_000], busy(3.0)].concat());

        let kept = finish(Encoding::Alaw, &recorded, BOTH).unwrap();

        assert_eq!((kept.original, kept.wav), (None, wav::finish(Encoding::Alaw, &recorded)));
        for clean in [true, false] {
            assert!(finish(Encoding::Alaw, &recorded, Wishes { clean, keep_silent: false }).is_none());
            let said = Law::A.encoded(&syllables(3.0));
            assert!(finish(Encoding::Alaw, &said, Wishes { clean, keep_silent: false }).is_some());
        }
    }

    /// Harmonics of a gliding pitch, four times a second, softly.
    fn syllables(seconds: f64) -> Vec<i16> {
        let samples = (0..(seconds * 8000.0) as usize).map(|n| {
            let time = n as f64 / 8000.0;
            let within = time * 4.0 % 1.0;
            let pitch = 150.0 * time + 8.0 * (TAU * 1.5 * time).sin();
            let voice: f64 = (1..8).map(|harmonic| (TAU * pitch * f64::from(harmonic)).sin() / f64::from(harmonic)).sum();
            (800.0 * (std::f64::consts::PI * within).sin().powi(4) * voice) as i16
        });
        samples.collect()
    }

    fn busy(seconds: f64) -> Vec<i16> {
        crate::audio::tone::busy(Duration::from_secs_f64(seconds))
    }
}
