//! A WAV file that an operator gives us.

#![no_main]

use std::time::Duration;

use afterbeep::audio::{SAMPLE_RATE, wav};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(samples) = wav::read(input, Duration::from_secs(1)) else { return };
    assert!(samples.len() <= SAMPLE_RATE as usize);

    let again = wav::read(&wav::from_samples(&samples), Duration::from_secs(1));
    assert_eq!(again.expect("we write what we can read"), samples);
});
