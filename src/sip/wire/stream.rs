//! Messages out of a TCP stream.

use bytes::{Buf, Bytes, BytesMut};

use super::MAX_MESSAGE;
use super::parse::{declared_length, find_head_end, has_header};
use super::text::is_token_byte;

/// Cuts a byte stream into messages by `Content-Length` (RFC 3261 §18.3).
///
/// Holds at most [`MAX_MESSAGE`] bytes more than one push: call [`next`](Self::next) until it has nothing after each push. After an
/// error the stream cannot be followed any more, and the connection is to be closed.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Up to here no head ends.
    searched: usize,
    /// Length of the first message, once its head has arrived.
    length: Option<usize>,
    /// An empty line was seen and may be the first half of a ping.
    half_a_ping: bool,
    broken: Option<FramingError>,
}

/// What was in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message for [`parse`](super::parse), which may still reject it.
    Message(Bytes),
    /// A keep-alive ping, two line ends (RFC 5626 §4.4.1); one line end is the answer.
    Ping,
}

/// Why a stream cannot be followed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The bytes are not SIP.
    #[error("the stream is not SIP")]
    NotSip,
    /// The head, or the whole message, is larger than [`MAX_MESSAGE`].
    #[error("the message is too large")]
    TooLarge,
    /// `Content-Length` is malformed, repeated, or missing where there is a body.
    #[error("the end of the message is unknown")]
    UnknownLength,
}

impl StreamFramer {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message or ping, if it has arrived whole.
    ///
    /// When only the end of a message cannot be known, its head comes first, so that it can be refused with the status owed
    /// before the error closes the connection.
    ///
    /// # Errors
    ///
    /// When the stream cannot be followed any more; then always.
    #[expect(clippy::should_implement_trait, reason = "an error is not the end of an iterator")]
    pub fn next(&mut self) -> Result<Option<Frame>, FramingError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            self.half_a_ping = !self.half_a_ping;
            if !self.half_a_ping {
                return Ok(Some(Frame::Ping));
            }
        }
        match self.buffer.first() {
            None => return Ok(None),
            Some(b'\r') if self.buffer.len() == 1 => return Ok(None),
            Some(&byte) if !is_token_byte(byte) => return Err(self.fail(FramingError::NotSip)),
            Some(_) => self.half_a_ping = false,
        }
        let length = match self.length {
            Some(length) => length,
            None => {
                let Some(head) = find_head_end(&self.buffer, self.searched) else {
                    // The last three bytes may be the beginning of the end.
                    self.searched = self.buffer.len().saturating_sub(3);
                    return if self.buffer.len() > MAX_MESSAGE { Err(self.fail(FramingError::TooLarge)) } else { Ok(None) };
                };
                if head > MAX_MESSAGE {
                    return Err(self.fail(FramingError::TooLarge));
                }
                match declared_length(&self.buffer[..head]) {
                    Ok(Some(body)) if head + body > MAX_MESSAGE => return Ok(Some(self.last_head(head, FramingError::TooLarge))),
                    Ok(Some(body)) => head + body,
                    Ok(None) if has_header(&self.buffer[..head], "Content-Type") => {
                        return Err(self.fail(FramingError::UnknownLength));
                    }
                    Ok(None) => head,
                    Err(_) => return Ok(Some(self.last_head(head, FramingError::UnknownLength))),
                }
            }
        };
        self.length = Some(length);
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.searched = 0;
        self.length = None;
        Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
    }

    /// Whether part of a message has come and the rest has not, which a server does not wait for without end.
    #[must_use]
    pub fn is_inside_a_message(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Gives out the head of a message whose end is unknown, and then nothing more.
    fn last_head(&mut self, head: usize, error: FramingError) -> Frame {
        let frame = self.buffer.split_to(head).freeze();
        self.fail(error);
        Frame::Message(frame)
    }

    fn fail(&mut self, error: FramingError) -> FramingError {
        self.broken = Some(error);
        self.buffer = BytesMut::new();
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:x SIP/2.0\r\nl: 4\r\n\r\nbody";
    const BYE: &str = "BYE sip:x SIP/2.0\r\nX: y\r\n\r\n";

    fn framer(bytes: &str) -> StreamFramer {
        let mut framer = StreamFramer::new();
        framer.push(bytes.as_bytes());
        framer
    }

    fn message(text: &str) -> Result<Option<Frame>, FramingError> {
        Ok(Some(Frame::Message(Bytes::copy_from_slice(text.as_bytes()))))
    }

    #[test]
    fn messages_and_pings_come_apart() {
        let mut framer = framer(&format!("{OPTIONS}{BYE}\r\n\r\n\r\n{OPTIONS}OPT"));

        assert_eq!(framer.next(), message(OPTIONS));
        assert_eq!(framer.next(), message(BYE));
        assert_eq!(framer.next(), Ok(Some(Frame::Ping)));
        assert_eq!(framer.next(), message(OPTIONS));
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.is_inside_a_message());
    }

    #[test]
    fn a_message_in_single_bytes_comes_once_and_whole() {
        let mut framer = StreamFramer::new();
        for byte in &OPTIONS.as_bytes()[..OPTIONS.len() - 1] {
            framer.push(&[*byte]);
            assert_eq!(framer.next(), Ok(None));
        }

        framer.push(b"y");

        assert_eq!(framer.next(), message(OPTIONS));
        assert!(!framer.is_inside_a_message());
    }

    #[test]
    fn a_message_without_an_end_is_given_out_for_its_refusal_and_then_all_is_over() {
        for (line, error) in [
            ("Content-Length: -999", FramingError::UnknownLength),
            ("Content-Length: 1\r\nl: 1", FramingError::UnknownLength),
            ("Content-Length:\r\n 70000", FramingError::UnknownLength),
            ("Content-Length: 65530", FramingError::TooLarge),
        ] {
            let head = format!("INVITE sip:x SIP/2.0\r\n{line}\r\n\r\n");
            let mut framer = framer(&format!("{head}rest"));

            assert_eq!(framer.next(), message(&head), "{line}");
            assert_eq!(framer.next(), Err(error), "{line}");
            framer.push(b"more");
            assert_eq!(framer.next(), Err(error), "{line}");
        }
    }

    #[test]
    fn what_is_no_sip_is_found_out_at_once() {
        assert_eq!(framer("\u{16}\u{3}\u{1}").next(), Err(FramingError::NotSip));
        assert_eq!(framer("\r\r").next(), Err(FramingError::NotSip));
        assert_eq!(framer(&"A".repeat(MAX_MESSAGE + 1)).next(), Err(FramingError::TooLarge));
        assert_eq!(framer(&format!("A{}\r\n\r\n", " ".repeat(MAX_MESSAGE))).next(), Err(FramingError::TooLarge));
        assert_eq!(framer("A b SIP/2.0\r\nc: text/plain\r\n\r\n").next(), Err(FramingError::UnknownLength));
    }
}
