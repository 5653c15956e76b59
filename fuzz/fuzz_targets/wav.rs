//! A WAV file that an operator gives us.

#![no_main]

use std::time::Duration;

use afterbeep::audio::{SAMPLE_RATE, WIDE_RATE, import, quality, wav};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(imported) = import::read(input, Duration::from_secs(1)) {
        assert!(imported.samples.len() <= imported.rate as usize);
        let _ = quality::fault(&imported.samples, imported.rate);
        let kept = wav::read_at(WIDE_RATE, &imported.to_wav(), Duration::from_secs(2));
        kept.expect("we write what we can read");
    }
    let Ok(samples) = wav::read(input, Duration::from_secs(1)) else { return };
    assert!(samples.len() <= SAMPLE_RATE as usize);

    let again = wav::read(&wav::from_samples(&samples), Duration::from_secs(1));
    assert_eq!(again.expect("we write what we can read"), samples);
});
