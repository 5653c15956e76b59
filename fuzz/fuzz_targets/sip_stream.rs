//! Bytes of a TCP connection, cut in two ways that must not make a difference.

#![no_main]

use afterbeep::sip::wire::{Frame, FramingError, MAX_MESSAGE, Message, StreamFramer, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let size = usize::from(*size) + 1;

    let whole = frames([stream].into_iter());
    let cut = frames(stream.chunks(size));

    assert_eq!(whole, cut);
    for frame in &whole.0 {
        let Frame::Message(bytes) = frame else { continue };
        assert!(bytes.len() <= MAX_MESSAGE);
        // The framer and the parser agree where the body ends.
        if let Ok(Message::Request(rsip::Request { body, .. }) | Message::Response(rsip::Response { body, .. })) = parse(bytes) {
            assert!(bytes.ends_with(&body));
            let head = bytes.len() - body.len();
            assert!(bytes[..head].ends_with(b"\r\n\r\n"));
        }
    }
});

/// All frames, and the error that ended the stream.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FramingError>) {
    let mut framer = StreamFramer::new();
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
