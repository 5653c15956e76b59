//! SRTP and SRTCP: the input is read as a protected packet and report of every suite, then protected itself and read again.

#![no_main]

use afterbeep::rtp::srtp::{LONGEST_KEY, LONGEST_TRAILER, MasterKey, Protector, Suite, Unprotector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&named, bytes)) = bytes.split_first() else { return };
    for suite in Suite::ALL {
        let key = MasterKey::new(suite, &[7; LONGEST_KEY]).expect("long enough");
        let mut strangers = Unprotector::new(key.named_in_packets_by(named));
        let _ = strangers.unprotect(&mut bytes.to_vec());
        let _ = strangers.unprotect_rtcp(&mut bytes.to_vec());

        let (mut protector, mut unprotector) = (Protector::new(key), Unprotector::new(key));
        let mut buffer = [bytes, &[0; LONGEST_TRAILER]].concat();
        if let Some(length) = protector.protect(&mut buffer, bytes.len()) {
            assert_eq!(unprotector.unprotect(&mut buffer[..length]), Ok(bytes.len()));
            assert_eq!(&buffer[..bytes.len()], bytes);
        }
        let mut buffer = [bytes, &[0; LONGEST_TRAILER]].concat();
        if let Some(length) = protector.protect_rtcp(&mut buffer, bytes.len()) {
            assert_eq!(unprotector.unprotect_rtcp(&mut buffer[..length]), Ok(bytes.len()));
            assert_eq!(&buffer[..bytes.len()], bytes);
        }
    }
});
