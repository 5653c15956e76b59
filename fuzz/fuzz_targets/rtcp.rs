//! One RTCP compound. What can be said in a report of ours reads the same after it was written.

#![no_main]

use afterbeep::rtp::rtcp::{Rtcp, parse, report};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for packet in parse(bytes).into_iter().flatten() {
        let (ssrc, sent, blocks) = match packet {
            Rtcp::SenderReport { ssrc, sent, blocks } => (ssrc, Some(sent), blocks),
            Rtcp::ReceiverReport { ssrc, blocks } => (ssrc, None, blocks),
            Rtcp::SourceDescription { cname, .. } => {
                assert!(cname.len() <= 255);
                continue;
            }
            Rtcp::Goodbye(streams) => {
                assert!(streams.len() <= 31);
                continue;
            }
            Rtcp::Other(_) => continue,
        };
        let block = blocks.first().copied();
        let written = report(ssrc, sent, block, b"afterbeep", true);
        let read = parse(&written).expect("what we write is valid");
        let first = match sent {
            Some(sent) => Rtcp::SenderReport { ssrc, sent, blocks: block.into_iter().collect() },
            None => Rtcp::ReceiverReport { ssrc, blocks: block.into_iter().collect() },
        };
        assert_eq!(read[0], first);
        assert_eq!(read[2], Rtcp::Goodbye(vec![ssrc]));
    }
});
